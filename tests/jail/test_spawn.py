"""A worker's life and end, as the agent sees it."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from onvp.sandbox.jail import spawn
from onvp.sandbox.jail.errors import LevelTooLow, ZygoteGone
from onvp.sandbox.jail.levels import Level
from onvp.sandbox.jail.limits import MIB, Limits
from onvp.sandbox.jail.messages import Configure, Switch
from onvp.sandbox.jail.server import RESERVE
from onvp.sandbox.jail.spawn import Cause, End, Jail, JailClient, Worker, start_zygote
from tests.jail.cell import Cell, children, live, native, read_all, zygote_of


def test_exit_status_is_reported(cell: Cell) -> None:
    """A worker that ends by itself is reported with its status and what it used."""
    life = cell.run("say('hello'); raise SystemExit(7)")

    assert (life.text, life.end.cause, life.end.status) == ("hello\n", Cause.EXITED, 7)
    assert life.end.cpu_s > 0 and life.end.peak_bytes > MIB


def test_cpu_limit_is_named(cell: Cell) -> None:
    """A busy loop ends at its CPU limit, within a tenth of a second of CPU, and the limit is named."""
    life = cell.run("while True: pass", Limits(cpu_s=0.2))

    assert (life.end.cause, life.end.limit) == (Cause.LIMIT, "cpu")
    assert 0.2 <= life.end.cpu_s < 0.3


def test_wall_limit_is_named(cell: Cell) -> None:
    """A worker that only waits ends at its wall limit, and the limit is named."""
    life = cell.run("time.sleep(600)", Limits(wall_s=0.05))

    assert (life.end.cause, life.end.limit) == (Cause.LIMIT, "wall")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("bytearray(1 << 40)", id="one huge block"),
        pytest.param("keep = []\nwhile True: keep.append(bytearray(1 << 20))", id="many blocks"),
        pytest.param("keep = []\nwhile True: keep = [keep]", id="small objects"),
        pytest.param("text = 'x'\nwhile True: text += text", id="a string that doubles"),
        pytest.param("1 << (1 << 40)", id="a huge number"),
    ],
)
def test_memory_limit_is_named(cell: Cell, source: str) -> None:
    """Memory beyond the limit is not given, the worker ends, and the limit is named."""
    life = cell.run(source, Limits(memory_bytes=32 * MIB, cpu_s=20))

    assert (life.end.cause, life.end.limit) == (Cause.LIMIT, "memory")
    assert life.end.peak_bytes < 96 * MIB


def test_memory_limit_lets_use_what_it_promises(cell: Cell) -> None:
    """Nine tenths of the memory limit can be used."""
    life = cell.run("keep = bytearray(90 << 20); say(len(keep))", Limits(memory_bytes=100 * MIB))

    assert (life.text, life.end.status) == (f"{90 << 20}\n", 0)


def test_full_memory_does_not_hide_another_end(cell: Cell) -> None:
    """A worker that holds nearly all its memory when its wall time is up ends for its wall time."""
    source = "keep = bytearray(95 << 20)\nfor at in range(0, len(keep), 4096): keep[at] = 1\ntime.sleep(600)"
    life = cell.run(source, Limits(memory_bytes=100 * MIB, wall_s=0.5))

    assert (life.end.cause, life.end.limit) == (Cause.LIMIT, "wall")
    assert life.end.peak_bytes > 95 * MIB


def test_stack_that_is_used_up_is_told(cell: Cell) -> None:
    """Recursion without the interpreter's own bound ends at the C stack's limit, and the end says so."""
    life = cell.run(
        "sys.setrecursionlimit(1 << 30)\nclass A:\n  def __getattr__(s, n): return repr(s)\n"
        "  __repr__ = lambda s: s.x\nrepr(A())",
        Limits(memory_bytes=2048 * MIB, stack_bytes=MIB),
    )

    assert life.end.cause is Cause.CRASHED
    assert "its stack was used up" in life.end.detail


def test_crash_is_no_violation(cell: Cell) -> None:
    """A segmentation fault is reported as a crash with the signal's name."""
    life = cell.run("ctypes.string_at(0)")

    assert (life.end.cause, life.end.signal) == (Cause.CRASHED, signal.SIGSEGV)
    assert "SIGSEGV" in life.end.detail


def test_forbidden_call_is_a_violation(cell: Cell) -> None:
    """A call that is not on the list ends the worker as a violation of policy."""
    life = cell.run("os.getppid(); say('alive')")

    assert (life.text, life.end.cause) == ("", Cause.VIOLATION)
    assert "policy violation" in life.end.detail


def test_kill_tells_the_reason(cell: Cell) -> None:
    """A worker that the agent kills ends with the reason that the agent gave."""

    async def scenario() -> End:
        worker = await cell.jail.spawn(Limits())
        worker.kill("the researcher cancelled")
        worker.kill("a second reason comes too late")
        with worker.socket:
            return await worker.wait()

    end = cell.loop.run_until_complete(scenario())

    assert (end.cause, end.detail) == (Cause.KILLED, "the researcher cancelled")


def test_broker_sees_the_end_of_the_channel(cell: Cell) -> None:
    """A worker's end of the channel closes with it even while younger workers live: they hold no copy."""

    async def scenario() -> bytes:
        old = await cell.jail.spawn(Limits())
        young = await cell.jail.spawn(Limits())
        with old.socket, young.socket:
            old.kill("done")
            left = await asyncio.wait_for(read_all(old), 10)
            young.kill("done")
            await young.wait()
        return left

    assert cell.loop.run_until_complete(scenario()) == b""


def test_worker_sees_the_end_of_the_broker(cell: Cell) -> None:
    """A worker reads end of file when the broker closes its end: nobody else holds a copy of that."""

    async def scenario() -> End:
        old = await cell.jail.spawn(Limits())
        young = await cell.jail.spawn(Limits())
        old.socket.close()
        end = await asyncio.wait_for(old.wait(), 10)
        young.socket.close()
        await young.wait()
        return end

    assert cell.loop.run_until_complete(scenario()).cause is Cause.EXITED


def test_start_gives_up_when_the_preload_fails() -> None:
    """A zygote whose preload function fails says so and is gone."""
    jail = native()
    jail.config = Configure(
        run="tests.jail.native_entry:run",
        preload="tests.jail.native_entry:fails_to_load",
        path=jail.config.path,
    )

    with pytest.raises(ZygoteGone, match="the modules are not there"):
        asyncio.run(jail.start())


def test_start_gives_up_when_the_warming_fails() -> None:
    """A zygote whose children cannot warm up says so at the start."""
    jail = native()
    jail.config = msgspec.structs.replace(jail.config, warm="tests.jail.native_entry:fails_to_load")

    with pytest.raises(ZygoteGone, match="warm up: RuntimeError: the modules are not there"):
        asyncio.run(jail.start())


def test_warming_is_not_charged() -> None:
    """The CPU time that a child used before it was given to a run does not count for the run."""
    jail = native()
    jail.config = msgspec.structs.replace(jail.config, warm="tests.jail.native_entry:warm_for_long")
    cell = Cell(jail)
    zygote = zygote_of(cell)
    deadline = time.monotonic() + 30
    while [time.clock_gettime(~pid << 3 | 2) > 0.3 for pid in children(zygote)] != [True] * RESERVE:
        assert time.monotonic() < deadline, "the reserve was not warmed"
        cell.loop.run_until_complete(asyncio.sleep(0.01))
    life = cell.run("say('within the limit')", Limits(cpu_s=0.2))
    cell.close()

    assert (life.text, life.end.status) == ("within the limit\n", 0)
    assert life.end.cpu_s < 0.2


def test_dead_reserve_is_replaced(cell: Cell) -> None:
    """When the waiting children are killed from outside, the next worker is another child and lives."""
    zygote = zygote_of(cell)
    for _ in range(3):
        for pid in children(zygote):
            handle = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            select.select([handle], [], [])
            os.close(handle)
        assert cell.run("say('alive')").text == "alive\n"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("tests.jail.nowhere:run", "nowhere"),
        ("tests.jail.native_entry:nothing", "module:function"),
        ("tests.jail.native_entry", "module:function"),
    ],
)
def test_start_names_a_wrong_entry_point(entry: str, problem: str) -> None:
    """An entry point that does not exist is refused at start with its name."""
    jail = Jail(Configure(run=entry, path=native().config.path))

    with pytest.raises(ZygoteGone, match=problem):
        asyncio.run(jail.start())


@pytest.mark.parametrize(
    ("entry", "cause", "limit"),
    [
        ("tests.jail.native_entry:memory_hog", Cause.LIMIT, "memory"),
        ("tests.jail.native_entry:raises", Cause.EXITED, ""),
    ],
)
def test_exception_of_the_entry_point(entry: str, cause: Cause, limit: str) -> None:
    """MemoryError out of the entry point counts as the memory limit, any other error as a status."""

    async def scenario() -> End:
        async with Jail(Configure(run=entry, path=native().config.path)) as jail:
            worker = await jail.spawn(Limits())
            worker.socket.close()
            return await worker.wait()

    end = asyncio.run(scenario())

    assert (end.cause, end.limit) == (cause, limit)
    assert end.status != 0


def test_level_below_the_required_one_is_refused() -> None:
    """Where a layer is missing, a jail that requires more does not start and says what is missing."""
    with pytest.raises(LevelTooLow, match="uts namespace: switched off"):
        asyncio.run(native(without=("namespaces",)).start())


@pytest.mark.parametrize(
    ("without", "level"),
    [
        ((), Level.FULL),
        (("namespaces",), Level.STANDARD),
        (("landlock",), Level.STANDARD),
        (("namespaces", "landlock"), Level.STANDARD),
        (("rlimits",), Level.REFUSED),
        (("seccomp",), Level.REFUSED),
    ],
)
def test_level_follows_from_the_layers(without: tuple[str, ...], level: Level) -> None:
    """The level reported is the one that the layers really found add up to."""

    async def scenario() -> Level:
        async with native(least=Level.REFUSED, without=without) as jail:  # type: ignore[arg-type]
            report = jail.client.report
            assert report is not None
            assert (await live(jail, "say('alive')")).text == "alive\n"
            return report.level

    assert asyncio.run(scenario()) == level


@pytest.mark.parametrize("without", [(), ("namespaces",)], ids=["full", "standard"])
def test_loss_of_the_zygote_ends_every_worker(without: tuple[Switch, ...]) -> None:
    """When the zygote is killed, each worker is reported lost, really ends, and no more are spawned."""

    async def scenario() -> tuple[End, bytes]:
        jail = native(least=Level.STANDARD, without=without)
        await jail.start()
        worker = await jail.spawn(Limits())
        os.kill(jail.pid, signal.SIGKILL)
        end = await asyncio.wait_for(worker.wait(), 10)
        with worker.socket:
            left = await asyncio.wait_for(read_all(worker), 10)
        with pytest.raises(ZygoteGone):
            await jail.spawn(Limits())
        await jail.close()
        return end, left

    end, left = asyncio.run(scenario())

    assert (end.cause, left) == (Cause.LOST, b"")


def test_another_process_may_start_the_zygote() -> None:
    """A zygote started by one process serves the client of another, over the socket alone."""

    async def scenario() -> str:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        keeper = os.fork()
        if keeper == 0:
            ours.close()
            os._exit(start_zygote(theirs).wait())
        theirs.close()
        client = JailClient(ours)
        await client.start(native().config)
        worker: Worker = await client.spawn(Limits())
        with worker.socket:
            await asyncio.get_running_loop().sock_sendall(worker.socket, b"say(1 + 1)\0")
            text = (await read_all(worker)).decode()
        client.close()
        os.waitpid(keeper, 0)
        return text

    assert asyncio.run(scenario()) == "2\n"


AGENT = """
import asyncio, sys, time
sys.path.insert(0, {root!r})
from onvp.sandbox.jail.limits import Limits
from tests.jail.cell import native

async def main():
    jail = native()
    await jail.start()
    worker = await jail.spawn(Limits())
    worker.socket.send(b"while True: pass" + bytes(1))
    print(jail.pid, flush=True)
    time.sleep(600)

asyncio.run(main())
"""


def test_death_of_the_agent_ends_everything() -> None:
    """When the agent is killed, guard, zygote and a worker that loops all end."""
    source = AGENT.format(root=str(Path(__file__).parents[2]))
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        guard = int(agent.stdout.readline())
        (zygote,) = children(guard)
        below = children(zygote)
        assert below
        handles = [os.pidfd_open(pid) for pid in (guard, zygote, *below)]
        agent.kill()
    for handle in handles:
        assert select.select([handle], [], [], 20)[0], "a process outlived the agent"
        os.close(handle)


def test_closing_ends_everything() -> None:
    """When the jail is closed its processes are gone and its workers' channels closed."""

    async def scenario() -> bytes:
        jail = native()
        await jail.start()
        worker = await jail.spawn(Limits())
        await jail.close()
        assert (await worker.wait()).cause is Cause.LOST
        with worker.socket:
            return await asyncio.wait_for(read_all(worker), 10)

    assert asyncio.run(scenario()) == b""


def test_nonsense_from_the_agent_ends_the_zygote() -> None:
    """A zygote that does not understand its agent runs nothing more."""

    async def scenario() -> int:
        jail = native()
        await jail.start()
        jail.client._control.send(b'{"type":"fork"}')
        assert jail._process is not None
        return await asyncio.to_thread(jail._process.wait)

    assert asyncio.run(scenario()) == 0


def test_nonsense_from_the_zygote_is_a_lost_zygote() -> None:
    """What does not decode on the agent's side ends the client with a reason, and hangs nobody."""

    async def scenario() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            theirs.send(b'{"type":"ended","worker":"one"}')
            await JailClient(ours).start(Configure(run="a:b"))

    with pytest.raises(ZygoteGone, match="not understood"):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    "values",
    [
        {"cpu_s": 0},
        {"cpu_s": float("nan")},
        {"cpu_s": float("inf")},
        {"wall_s": -1.0},
        {"memory_bytes": 0},
        {"stack_bytes": 0},
    ],
)
def test_limits_that_limit_nothing_are_refused(values: dict[str, float]) -> None:
    """A limit of zero, below zero, without bound or not a number is refused where it is made."""
    with pytest.raises(ValueError, match=next(iter(values))):
        Limits(**values)  # type: ignore[arg-type]


def test_zygote_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zygote that does not answer in time is lost, at its start and at a fork; nobody waits for ever."""
    monkeypatch.setattr(spawn, "START_S", 0.05)
    monkeypatch.setattr(spawn, "ANSWER_S", 0.05)

    async def silent() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            await JailClient(ours).start(Configure(run="a:b"))

    async def stopped() -> None:
        jail = native()
        monkeypatch.setattr(spawn, "START_S", 60)
        await jail.start()
        os.kill(children(jail.pid)[0], signal.SIGSTOP)
        try:
            await jail.spawn(Limits())
        finally:
            os.kill(jail.pid, signal.SIGKILL)
            await jail.close()

    with pytest.raises(ZygoteGone, match=r"not ready within 0\.05 s"):
        asyncio.run(silent())
    with pytest.raises(ZygoteGone, match=r"did not answer within 0\.05 s"):
        asyncio.run(stopped())
