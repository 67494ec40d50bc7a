"""The socket loop: order, timers, back-pressure, turns, and what it does when something goes wrong."""

import asyncio
import functools
import time
from pathlib import Path
from typing import Any

import pytest

from onvp.sandbox.broker import serve
from onvp.sandbox.broker.serve import LATELY_S, Turns
from onvp.sandbox.broker.session import Quota
from onvp.sandbox.prober.errors import Inexpressible, ProberUnavailable
from onvp.sandbox.wire import calls, link
from onvp.sandbox.wire.errors import Code
from tests.broker.parts import PACED, Instant, frame, ping
from tests.escape.broker.owned import JOB, QUOTA, Scene, attack


def test_the_job_is_the_first_thing_that_a_worker_hears(tmp_path: Path) -> None:
    """The broker speaks first, and says what to run."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            assert await it.owned.hear() == JOB

    attack(scene())


def test_an_acceptance_comes_before_its_record(tmp_path: Path) -> None:
    """An asynchronous call is accepted with its prober's name, then answered."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.hear()
            await it.owned.send(frame(ping(1)))
            accepted, record = await it.owned.hear(), await it.owned.hear()
            assert accepted == calls.Accepted(task=1, prober="scamper 20260420")
            assert record == calls.Record(task=1, data=b"warts", connection=1)

    attack(scene())


def test_a_delayed_call_is_sent_when_its_tokens_are_there(tmp_path: Path) -> None:
    """Calls beyond the burst are all done, later, without another word from the worker."""

    async def scene() -> None:
        async with Scene(tmp_path, PACED) as it:
            await it.owned.send(*(frame(ping(task)) for task in range(1, 41)))
            for task in range(1, 41):
                assert isinstance(await it.owned.answer(task), calls.Record)
            assert it.owned.session.counters.delayed_s > 0

    attack(scene())


def test_a_record_larger_than_the_socket_takes_arrives_whole(tmp_path: Path) -> None:
    """What does not fit into the socket at once is sent as the worker reads."""
    large = bytes(range(256)) * (16 << 10)

    async def scene() -> None:
        async with Scene(tmp_path, prober=functools.partial(Instant, answer=large)) as it:
            await it.owned.send(*(frame(ping(task, sync=True)) for task in range(1, 6)))
            for task in range(1, 6):
                answer = await it.owned.answer(task)
                assert isinstance(answer, calls.Record)
                assert answer.data == large

    attack(scene())


class Gone(Instant):
    """A prober that is not there."""

    def submit(self, grant: Any, task: int) -> str:
        raise ProberUnavailable("the prober has never answered")


class Unable(Instant):
    """A prober that cannot do it."""

    def submit(self, grant: Any, task: int) -> str:
        raise Inexpressible("ping", "not with this one")


@pytest.mark.parametrize(
    ("prober", "answer"),
    [
        (Gone, calls.Failed(task=1, message="the prober has never answered", code=Code.PROBER_LOST)),
        (Unable, calls.Invalid(task=1, code=Code.UNSUPPORTED, message="not with this one")),
    ],
)
def test_a_prober_that_does_not_take_a_task_is_an_answer(tmp_path: Path, prober: Any, answer: calls.ToWorker) -> None:
    """The call ends with the reason, is refunded, and the run goes on."""

    async def scene() -> None:
        async with Scene(tmp_path, prober=prober) as it:
            await it.owned.send(frame(ping(1, sync=True)))
            assert await it.owned.answer(1) == answer
            assert not it.owned.ended.done()

    attack(scene())


def test_a_run_that_tells_much_waits_for_room(tmp_path: Path) -> None:
    """While the sink has no room the worker is not read; nothing is lost."""

    async def scene() -> None:
        async with Scene(tmp_path, quota=Quota(1 << 30, 1 << 30)) as it:
            gate = asyncio.Event()
            it.owned.connection._room = gate.wait  # type: ignore[assignment]
            text = "x" * 10_000
            output = [frame(calls.Output(text=text)) for _ in range(400)]
            sending = asyncio.ensure_future(it.owned.send(*output))
            while it.owned.connection._waiting is None:
                await it.others_work()
            held = len(it.owned.events)
            for _ in range(20):
                await it.others_work()
            assert len(it.owned.events) == held < 400
            gate.set()
            await sending
            await it.owned.send(frame(calls.Finished(status=0)))
            assert await it.owned.end() is not None
            assert len(it.owned.events) == 400

    attack(scene())


def test_events_are_told_in_the_order_in_which_they_happened(tmp_path: Path) -> None:
    """Start, output and results come as the worker said them."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            said = [
                calls.Started(),
                calls.Output(text="a\n"),
                calls.Emit(json=b"1"),
                calls.Output(text="b\n", err=True),
            ]
            await it.owned.send(*map(frame, said), frame(calls.Finished(status=0)))
            await it.owned.end()
            assert it.owned.events == [
                link.State(state="running"), link.Output(text="a\n"), link.Result(json=b"1"),
                link.Output(text="b\n", err=True),
            ]  # fmt: skip

    attack(scene())


def test_closing_twice_and_callbacks_after_it_are_no_errors(tmp_path: Path) -> None:
    """A connection that was closed takes late answers of the prober in silence."""

    async def scene() -> None:
        async with Scene(tmp_path, quota=QUOTA, prober=functools.partial(Instant, silent=True)) as it:
            await it.owned.send(frame(ping(1)))
            while not it.owned.prober.tasks:
                await it.others_work()
            it.owned.connection.close()
            it.owned.connection.close()
            it.owned.connection.on_record(1, 1, b"late")
            it.owned.connection.on_failed(1, "late", Code.PROBER)
            it.owned.connection.on_gone("late")
            assert it.owned.events == []
            assert not it.owned.ended.done()

    attack(scene())


def test_who_was_served_lately_counts_and_who_has_ended_does_not() -> None:
    """The turns know the others that want to be served, and forget them."""
    turns = Turns()
    turns.note("a", 10.0)
    turns.note("b", 10.0 + LATELY_S / 2)

    assert turns.others("c", 10.0) == 2
    assert turns.others("a", 10.0) == 1
    assert turns.others("a", 10.0 + LATELY_S) == 1
    assert turns.others("a", 11.0) == 0
    turns.forget("b")
    assert turns.others("a", 10.0) == 0


def test_a_debt_is_paid_by_a_pause_only_while_others_are_there(tmp_path: Path) -> None:
    """Alone a run pays nothing; beside another it waits in proportion to what it took, and measurements pay."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            connection, turns = it.owned.connection, it.owned.connection._turns
            assert connection._pay(0.1, 0) == 0.0
            turns.note("other", connection._credited + 10)
            first = connection._pay(0.01, 0)
            assert first == pytest.approx(0.01 / serve.SHARE, rel=0.1)
            turns.note("another", connection._credited + 10)
            connection._credited = time.monotonic()
            assert connection._pay(0.01, 0) == pytest.approx(2 * 0.01 / serve.SHARE, rel=0.1)
            connection._credited = time.monotonic()
            assert connection._pay(serve.EARNED_S, 1) == 0.0
            assert connection._pay(1000.0, 0) == serve.PAUSE_LIMIT_S

    attack(scene())
