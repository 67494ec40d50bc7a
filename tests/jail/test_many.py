"""Many workers, dead and alive: nothing leaks, and idle ones are small."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onvp.sandbox.jail.limits import MIB, Limits
from onvp.sandbox.jail.server import RESERVE
from onvp.sandbox.jail.spawn import Cause, Worker
from tests.jail.cell import Cell, children, native, zygote_of


def private_bytes(pid: int) -> int:
    """Memory that only this process holds (proc(5), smaps_rollup)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(int(kb) for kb in re.findall(r"Private_\w+: +(\d+) kB", text))


def namespaces(pid: int) -> tuple[str, ...]:
    """Which namespaces it is in."""
    return tuple(str(link.readlink()) for link in sorted(Path(f"/proc/{pid}/ns").iterdir()))


def open_count(pid: int) -> int:
    """How many descriptors it has."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.fixture
def fresh() -> Iterator[Cell]:
    """A jail of its own."""
    cell = Cell(native())
    yield cell
    cell.close()


def test_a_thousand_killed_workers_leave_nothing(fresh: Cell) -> None:
    """After a thousand killed workers no descriptor, process, zombie or memory of theirs is left."""
    zygote = zygote_of(fresh)

    async def kill(count: int) -> None:
        for _ in range(count // 20):
            workers = [await fresh.jail.spawn(Limits()) for _ in range(20)]
            for worker in workers:
                worker.kill("a test")
            for worker in workers:
                assert (await worker.wait()).cause is Cause.KILLED
                worker.socket.close()

    def state() -> tuple[int, int]:
        """What the agent's side and the zygote hold, once the zygote has its reserve again."""
        gc.collect()
        deadline = time.monotonic() + 20
        while len(children(zygote)) != RESERVE and time.monotonic() < deadline:
            fresh.loop.run_until_complete(asyncio.sleep(0.01))
        assert len(children(zygote)) == RESERVE, "children are left, or none in reserve"
        return open_count(os.getpid()), open_count(zygote)

    fresh.loop.run_until_complete(kill(100))
    before, memory_before = state(), private_bytes(zygote)
    fresh.loop.run_until_complete(kill(1000))

    assert state() == before
    assert private_bytes(zygote) - memory_before < MIB
    assert not fresh.jail.client.workers
    assert fresh.run("say('alive')").text == "alive\n"


def test_a_hundred_idle_workers_are_small(fresh: Cell) -> None:
    """A hundred workers that wait answer, hold under 512 MiB with their zygote, and no namespaces."""
    zygote = zygote_of(fresh)

    async def scenario() -> tuple[list[Worker], list[bytes]]:
        loop = asyncio.get_running_loop()
        workers = [await fresh.jail.spawn(Limits()) for _ in range(100)]
        for worker in workers:
            await loop.sock_sendall(worker.socket, b"say('ready'); os.read(3, 1)\0")
        return workers, [await loop.sock_recv(w.socket, 99) for w in workers]

    workers, answers = fresh.loop.run_until_complete(scenario())
    alive = children(zygote)  # those in reserve among them
    assert {namespaces(pid) for pid in alive} == {namespaces(zygote)}, "a worker has namespaces of its own"
    total = private_bytes(zygote) + sum(private_bytes(pid) for pid in alive)
    for worker in workers:
        worker.socket.close()

    assert answers == [b"ready\n"] * 100
    assert 100 <= len(alive) <= 100 + RESERVE
    assert total < 512 * MIB
    assert total / 100 < 4 * MIB
