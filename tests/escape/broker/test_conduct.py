"""The worker owned, and its conduct: floods, silence, halves, descriptors, lies. The broker stays up and small."""

import array
import asyncio
import functools
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from onvp.sandbox.broker import serve
from onvp.sandbox.broker.session import ARTIFACTS_LIMIT, HELD_LIMIT, OUTSTANDING_LIMIT, TOLD_LIMIT, Quota
from onvp.sandbox.prober.errors import Inexpressible
from onvp.sandbox.wire import calls, link
from onvp.sandbox.wire.errors import Code
from tests.broker.parts import CLOSED, FAST, PACED, TARGET, Instant, frame, ping
from tests.escape.broker.owned import QUOTA, Scene, attack, descriptors, framed, quiet, raw, resident_bytes

MIB = 1 << 20
SMALL = Quota(output_bytes=64 << 10, artifact_bytes=64 << 10, calls=200)
SILENT = functools.partial(Instant, silent=True)


# ---- floods ----


def test_a_flood_of_refused_calls_is_answered_and_told_only_so_often(tmp_path: Path) -> None:
    """Every refusal is answered, the researcher is told of the first thousand, the rest is counted."""
    count = TOLD_LIMIT + 500

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            sending = asyncio.create_task(it.owned.send(*(frame(ping(t, CLOSED, sync=True)) for t in range(1, count))))
            for task in range(1, count):
                assert isinstance(await it.owned.answer(task), calls.Refused)
            await sending
            assert len(it.owned.events) == TOLD_LIMIT
            assert it.owned.session.counters.refused == count - 1

    attack(scene())


def test_a_flood_of_calls_beyond_the_rate_ends_the_run(tmp_path: Path) -> None:
    """Calls that wait for their tokens are held up to a number; the flood beyond it is a breach."""

    async def scene() -> None:
        async with Scene(tmp_path, PACED) as it:
            await it.owned.send(*(frame(ping(task)) for task in range(1, HELD_LIMIT + 200)))
            end = await it.owned.end()
            assert end is not None
            assert end.code == Code.PROTOCOL
            assert "wait at once" in end.reason
            assert len(it.owned.prober.lines) < 200

    attack(scene())


def test_a_flood_of_granted_calls_waits_for_the_prober(tmp_path: Path) -> None:
    """A prober that does not answer holds no more than so many tasks of a run."""

    async def scene() -> None:
        async with Scene(tmp_path, FAST, prober=SILENT) as it:
            await it.owned.send(*(frame(ping(task, sync=True)) for task in range(1, OUTSTANDING_LIMIT + 100)))
            await quiet(it.owned)
            assert len(it.owned.prober.lines) <= OUTSTANDING_LIMIT
            assert not it.owned.ended.done()

    attack(scene())


def test_a_call_beyond_the_quota_ends_the_run_by_name(tmp_path: Path) -> None:
    """The limit of calls is named, and counts calls that cannot be, too."""

    async def scene() -> None:
        async with Scene(tmp_path, quota=SMALL) as it:
            await it.owned.send(*(frame(calls.Submit(task, "x", {})) for task in range(1, 300)))
            end = await it.owned.end()
            assert end is not None
            assert (end.code, end.limit) == (Code.LIMIT, "calls")

    attack(scene())


@pytest.mark.parametrize(
    "message",
    [
        calls.Halt(task=5), calls.Halt(task=-1), calls.Halt(task=(1 << 64) - 1), calls.Done(instance=0),
        calls.Done(instance=-7), calls.Started(), calls.Output(text=""), calls.Output(text="", err=True),
        calls.Refusals([]), calls.Refusals([calls.Problem(1, 1, "x" * 1000)]),
    ],
    ids=[
        "halts of no task", "halts of a negative task", "halts of a huge task", "goodbyes", "goodbyes to nobody",
        "starts", "empty outputs", "empty errors", "empty refusals", "refusals",
    ],
)  # fmt: skip
def test_a_flood_that_means_nothing_leaves_nothing(tmp_path: Path, message: Any) -> None:
    """Twenty thousand of them make at most one event, nothing for the prober, and keep no memory."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            flood = frame(message) * 2000
            before = resident_bytes()
            for _ in range(10 if len(flood) < MIB else 1):
                await it.owned.send(flood)
            await quiet(it.owned)
            assert resident_bytes() - before < 32 * MIB
            assert len(it.owned.events) <= 1
            assert it.owned.prober.lines == it.owned.prober.halted == []
            assert not it.owned.ended.done()

    attack(scene())


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        (calls.Output(text="x" * 500), "output"),
        (calls.Output(text="x", err=True), "output"),
        (calls.Emit(json=b"1"), "output"),
        (calls.Emit(json=b'"' + b"x" * 5000 + b'"'), "output"),
        (calls.Write(name="a", data=b"x" * 5000), "artifacts"),
        (calls.Write(name="a", data=b""), "artifacts"),
        (calls.Write(name="a", data=b"", truncate=True, last=True), "artifacts"),
    ],
    ids=["text", "single letters", "single digits", "long results", "data", "empty pieces", "files made and undone"],
)
def test_a_flood_of_deliveries_ends_at_the_quota_by_name(tmp_path: Path, message: Any, limit: str) -> None:
    """What is delivered never passes the quota, whatever the size of the pieces."""

    async def scene() -> None:
        async with Scene(tmp_path, quota=SMALL) as it:
            data = frame(message)
            while await it.owned.send(data * (1 + 70_000 // len(data))):
                await asyncio.sleep(0)
                if it.owned.ended.done():
                    break
            end = await it.owned.end()
            assert end is not None
            assert (end.code, end.limit) == (Code.LIMIT, limit)
            told = sum(
                len(getattr(e, "text", "")) + len(getattr(e, "json", b"")) + len(getattr(e, "data", b""))
                for e in it.owned.events
            )
            assert told <= 64 << 10

    attack(scene())


def test_a_flood_of_file_names_ends_the_run(tmp_path: Path) -> None:
    """A run has so many artifacts and no more."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.send(*(frame(calls.Write(name=f"{n}", data=b"")) for n in range(ARTIFACTS_LIMIT + 1)))
            end = await it.owned.end()
            assert end is not None
            assert end.limit == "artifacts"

    attack(scene())


def test_questions_that_nobody_reads_the_answers_of_are_kept_within_bounds(tmp_path: Path) -> None:
    """Twenty thousand questions unread: the answers wait, complete and in order, for little memory."""
    count = 20_000

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            before = resident_bytes()
            await it.owned.send(*(frame(calls.AskBudget(seq=n)) for n in range(count)))
            for _ in range(3):
                await it.others_work()
            for n in range(count):
                answer = await it.owned.hear()
                while isinstance(answer, calls.Job):
                    answer = await it.owned.hear()
                assert isinstance(answer, calls.Budget)
                assert answer.seq == n
            assert resident_bytes() - before < 64 * MIB

    attack(scene())


def test_results_that_are_never_read_end_the_run_within_bounded_memory(tmp_path: Path) -> None:
    """What a worker leaves unread is kept up to a limit; then the run ends by that name, and the memory is free."""
    large = functools.partial(Instant, answer=b"x" * (4 * MIB))

    async def scene() -> None:
        async with Scene(tmp_path, FAST, prober=large) as it:
            it.owned.events = Forgetful()  # type: ignore[assignment]
            it.owned.connection._tell = it.owned.events.append
            before = resident_bytes()
            await it.owned.send(*(frame(ping(task, sync=True)) for task in range(1, 200)))
            end = await it.owned.end()
            most = resident_bytes() - before
            assert end is not None
            assert (end.code, end.limit) == (Code.LIMIT, "unread")
            print(
                f"unread results: {most / MIB:.0f} MiB resident at the end, limit {serve.UNREAD_LIMIT_BYTES / MIB:.0f}"
            )
            assert most < 3 * serve.UNREAD_LIMIT_BYTES

    attack(scene())


class Forgetful(list[Any]):
    """Events that somebody else keeps."""

    def append(self, _event: Any) -> None:
        """Keep nothing."""


def test_frames_of_the_largest_size_cost_no_more_memory_than_a_few_of_them(tmp_path: Path) -> None:
    """Fifty frames of a megabyte, each refused, are not all in memory at once."""
    url = "http://" + "a" * (MIB - 300)
    params = {"dst": TARGET, "url": url}

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            before = resident_bytes()
            most = 0
            for task in range(1, 51):
                await it.owned.send(frame(calls.Submit(task, "http", params)))
                most = max(most, resident_bytes() - before)
            await quiet(it.owned)
            assert it.owned.session.counters.invalid == 50
            print(f"largest frames: {most / MIB:.0f} MiB")
            assert most < 48 * MIB

    attack(scene())


# ---- halves, drips and silence ----


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 5, 40])
def test_half_a_frame_and_then_the_end_is_the_end_of_the_run(tmp_path: Path, cut: int) -> None:
    """A worker that closes in the middle of a frame has said nothing."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.send(frame(ping(1))[:cut])
            it.owned.peer.close()
            assert await it.owned.end() is None
            assert it.owned.prober.lines == []

    attack(scene())


def test_half_a_frame_and_then_silence_holds_nobody_up(tmp_path: Path) -> None:
    """A frame that is announced and never sent costs its bytes and nothing else."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.send(framed(bytes(MIB))[: MIB // 2])
            for _ in range(20):
                await it.others_work()
            assert not it.owned.ended.done()

    attack(scene())


def test_a_message_that_arrives_byte_by_byte_is_a_message(tmp_path: Path) -> None:
    """A slow drip is put together and served."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            for byte in frame(ping(1, sync=True)):
                await it.owned.send(bytes([byte]))
                await asyncio.sleep(0)
            assert isinstance(await it.owned.answer(1), calls.Record)

    attack(scene())


def test_frames_torn_at_every_place_are_put_together(tmp_path: Path) -> None:
    """Where a stream is cut makes no difference."""
    stream = b"".join(frame(ping(task, sync=True)) for task in range(1, 60))

    async def scene() -> None:
        async with Scene(tmp_path, FAST) as it:
            for start in range(0, len(stream), 7):
                await it.owned.send(stream[start : start + 7])
                await asyncio.sleep(0)
            for task in range(1, 60):
                assert isinstance(await it.owned.answer(task), calls.Record)

    attack(scene())


def test_a_worker_that_hangs_up_at_once_is_the_end_of_its_run(tmp_path: Path) -> None:
    """Closing without a word ends the run without one."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            it.owned.peer.close()
            assert await it.owned.end() is None

    attack(scene())


def test_a_worker_that_hangs_up_with_tasks_under_way_leaves_nothing_charged_but_what_was_sent(tmp_path: Path) -> None:
    """Tasks of a worker that is gone are settled; late results of them are dropped."""

    async def scene() -> None:
        async with Scene(tmp_path, PACED, prober=SILENT) as it:
            await it.owned.send(*(frame(ping(task)) for task in range(1, 100)))
            await quiet(it.owned)
            it.owned.peer.close()
            assert await it.owned.end() is None
            sent = len(it.owned.prober.tasks)
            assert 0 < sent < 60
            assert it.owned.session.counters.packets <= sent
            for task in it.owned.prober.tasks:
                it.owned.connection.on_record(task, 1, b"late")
                it.owned.connection.on_failed(task, "late", Code.PROBER)
            it.owned.connection.on_gone("late")
            assert it.owned.events == []

    attack(scene())


def test_a_worker_that_does_not_listen_any_more_is_served_until_it_ends(tmp_path: Path) -> None:
    """A worker that shut its reading side down is no error of the broker's."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            it.owned.peer.shutdown(socket.SHUT_RD)
            await it.owned.send(*(frame(ping(task)) for task in range(1, 10)), frame(calls.Finished(status=3)))
            end = await it.owned.end()
            assert end is not None
            assert end.status == 3

    attack(scene())


# ---- what else a socket can carry ----


def test_descriptors_that_come_along_are_closed_by_the_kernel(tmp_path: Path) -> None:
    """However many descriptors are attached to bytes, the agent has as many open as before."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.others_work()
            mine = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", mine))]
            before = descriptors()
            stream = frame(ping(1, sync=True))
            for start in range(0, len(stream), 10):
                it.owned.peer.sendmsg([stream[start : start + 10]], rights)
                await asyncio.sleep(0)
            assert isinstance(await it.owned.answer(1), calls.Record)
            assert descriptors() == before
            for descriptor in mine:
                os.close(descriptor)

    attack(scene())


def test_a_channel_sent_through_itself_is_closed(tmp_path: Path) -> None:
    """A worker cannot keep its channel alive by putting it into its own queue."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [it.owned.peer.fileno()]))]
            it.owned.peer.sendmsg([frame(calls.Done(instance=0))], rights)
            it.owned.peer.close()
            assert await it.owned.end() is None

    attack(scene())


def test_urgent_data_is_a_byte_like_another_or_nothing(tmp_path: Path) -> None:
    """Out-of-band bytes (unix(7), MSG_OOB) end the run or are left out; the broker stays up."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            with_urgent = frame(ping(1, sync=True))
            it.owned.peer.send(with_urgent)
            try:
                it.owned.peer.send(b"!", socket.MSG_OOB)
            except OSError:
                return  # this kernel has none
            it.owned.peer.send(frame(calls.Finished(status=0)))
            it.owned.peer.shutdown(socket.SHUT_WR)
            end = await it.owned.end()
            assert end is None or end.code in {"", Code.PROTOCOL}

    attack(scene())


# ---- lies ----


def test_a_second_last_word_is_not_heard(tmp_path: Path) -> None:
    """The first end counts."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.send(
                frame(calls.Finished(status=4)), frame(calls.Finished(status=0)), frame(calls.Output(text="late"))
            )
            end = await it.owned.end()
            assert end is not None
            assert end.status == 4
            assert it.owned.events == []

    attack(scene())


def test_calls_after_the_last_word_are_not_done(tmp_path: Path) -> None:
    """What follows the end is not read."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.send(frame(calls.Finished(status=0)), frame(ping(1)))
            assert await it.owned.end() is not None
            await it.others_work()
            assert it.owned.prober.lines == []

    attack(scene())


@pytest.mark.parametrize("code", [*Code, "x", "finished", "\U0001f980" * 1000])
def test_an_ending_that_the_broker_did_not_see_is_a_failure_of_the_script(tmp_path: Path, code: str) -> None:
    """A worker cannot say that a policy refused it, that it was lost, or invent an ending."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.send(
                frame(calls.Started()), frame(calls.Finished(status=1, error="a rule said no", code=code))
            )
            end = await it.owned.end()
            assert end is not None
            assert end.code == (Code.LIMIT if code == Code.LIMIT else Code.SCRIPT_ERROR)
            assert end.limit == ""

    attack(scene())


@pytest.mark.parametrize("status", [-(1 << 63), -1, 256, 1 << 40, (1 << 64) - 1])
def test_a_status_that_no_process_has_is_cut_to_one(tmp_path: Path, status: int) -> None:
    """The exit status is one byte."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.send(frame(calls.Finished(status=status)))
            end = await it.owned.end()
            assert end is not None
            assert end.status in {0, 255}

    attack(scene())


def test_a_halt_reaches_only_tasks_of_the_same_run(tmp_path: Path) -> None:
    """Numbers of tasks are a run's own: another run's task with that number goes on."""

    async def scene() -> None:
        async with Scene(tmp_path, prober=SILENT) as it:
            await it.others_work()  # task 1 of the honest run
            await it.owned.send(frame(calls.Halt(task=1)), frame(calls.Halt(task=2)))
            await quiet(it.owned)
            assert it.honest.prober.halted == it.owned.prober.halted == []

    attack(scene())


def test_a_task_is_halted_once_however_often_it_is_asked(tmp_path: Path) -> None:
    """A thousand halts of one task are one halt at the prober."""

    async def scene() -> None:
        async with Scene(tmp_path, prober=SILENT) as it:
            await it.owned.send(frame(ping(1)), frame(calls.Halt(task=1)) * 1000)
            await quiet(it.owned)
            assert it.owned.prober.halted == [1]

    attack(scene())


class Unable(Instant):
    """A prober that can do nothing, once it has been given enough to do."""

    def submit(self, grant: Any, task: int) -> str:
        if task > OUTSTANDING_LIMIT:
            raise Inexpressible("ping", "not that")
        return super().submit(grant, task)


def test_a_chain_of_calls_that_end_each_other_does_not_grow_the_stack(tmp_path: Path) -> None:
    """Thousands of waiting calls that all fail in their turn fail one after the other, not inside each other."""
    waiting = 3000

    async def scene() -> None:
        async with Scene(tmp_path, FAST, prober=functools.partial(Unable, silent=True)) as it:
            tasks = range(1, OUTSTANDING_LIMIT + waiting + 1)
            await it.owned.send(*(frame(ping(task, sync=True)) for task in tasks))
            await quiet(it.owned)
            it.owned.connection.on_record(1, 1, b"x")
            assert not it.owned.ended.done()
            for task in range(OUTSTANDING_LIMIT + 1, OUTSTANDING_LIMIT + waiting + 1):
                assert isinstance(await it.owned.answer(task), calls.Invalid)

    attack(scene())


class Broken(Instant):
    """A prober session with a bug."""

    def submit(self, grant: Any, task: int) -> str:
        raise ZeroDivisionError("a bug")


def test_a_fault_of_ours_ends_the_run_that_met_it_and_no_other(tmp_path: Path) -> None:
    """An exception in the broker is contained: that run ends as failed by us, the next call of the others is done."""

    async def scene() -> None:
        async with Scene(tmp_path, prober=Broken) as it:
            await it.owned.send(frame(ping(1)))
            end = await it.owned.end()
            assert end is not None
            assert end.code == Code.INTERNAL
            assert "a bug" in end.reason

    attack(scene())


def test_a_sink_that_fails_ends_the_run_and_no_other(tmp_path: Path) -> None:
    """Events that cannot be kept are no reason for anybody else to stop."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:

            def full(_event: link.Body) -> None:
                raise OSError(28, "No space left on device")

            it.owned.connection._tell = full
            await it.owned.send(frame(calls.Output(text="x")))
            end = await it.owned.end()
            assert end is not None
            assert "No space left" in end.reason

    attack(scene())


def test_a_burst_of_many_small_frames_is_served_in_turns(tmp_path: Path) -> None:
    """While a burst of one run is being served, the other runs get their answers: none waits for its end."""
    burst = raw({"type": "budget?", "seq": 1}) * 60_000

    async def scene() -> None:
        async with Scene(tmp_path, quota=QUOTA) as it:
            sending = asyncio.create_task(it.owned.send(burst))
            reading = asyncio.create_task(read_all(it.owned.peer))
            began = time.monotonic()
            answered = 0
            while not sending.done() and answered < 50:
                await it.others_work()
                answered += 1
            assert answered == 50, "the burst was served before the others had their turns"
            print(f"50 calls beside a burst: {(time.monotonic() - began) * 20:.1f} ms each")
            for task in (sending, reading):
                task.cancel()
            await asyncio.gather(sending, reading, return_exceptions=True)

    attack(scene())


async def read_all(sock: socket.socket) -> None:
    """Take whatever comes."""
    while await asyncio.get_running_loop().sock_recv(sock, MIB):
        pass
