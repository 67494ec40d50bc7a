"""The zygote at hand: one is always there, until the jail is closed, and none is left behind."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from onvp.sandbox.agent import warm as module
from onvp.sandbox.agent.warm import Warm
from onvp.sandbox.jail.errors import JailError, LevelTooLow, SpawnError, ZygoteGone
from onvp.sandbox.jail.levels import Level
from onvp.sandbox.jail.limits import Limits
from onvp.sandbox.jail.messages import Configure
from onvp.sandbox.jail.spawn import Cause, JailClient, start_zygote
from tests.prober.tools import run

CONFIG = Configure(run="onvp.sandbox.worker.main:run", preload="onvp.sandbox.worker.main:preload", uid=64991, gid=64991)
LIMITS = Limits(cpu_s=5, wall_s=30)


class Starter:
    """Starts zygotes, and counts them."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []

    async def __call__(self) -> JailClient:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.processes.append(start_zygote(theirs))
        return JailClient(ours)


def play(part: Callable[[Warm, Starter], Coroutine[Any, Any, None]], config: Configure = CONFIG) -> None:
    """Run a part with a jail; afterwards every zygote has ended."""

    async def whole() -> None:
        starter = Starter()
        warm = Warm(starter, config)
        try:
            await part(warm, starter)
        finally:
            warm.close()
            for process in starter.processes:
                await asyncio.to_thread(process.wait, 30)

    run(whole())


def test_a_zygote_that_died_is_replaced_for_the_next_worker() -> None:
    """Its workers are lost; the next spawn starts another and works."""

    async def part(warm: Warm, starter: Starter) -> None:
        await warm.start()
        first = await warm.spawn(LIMITS)
        os.kill(starter.processes[0].pid, signal.SIGKILL)
        assert (await first.wait()).cause is Cause.LOST
        second = await warm.spawn(LIMITS)
        second.kill("enough")
        assert (await second.wait()).cause is Cause.KILLED
        assert len(starter.processes) == 2
        first.socket.close()
        second.socket.close()

    play(part)


def test_a_zygote_is_replaced_before_it_grows_old_and_ends_after_its_last_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Workers of the old one live on beside the new one; then it goes."""
    monkeypatch.setattr(module, "FORKS", 2)

    async def part(warm: Warm, starter: Starter) -> None:
        workers = [await warm.spawn(LIMITS) for _ in range(3)]
        assert len(starter.processes) == 2
        assert len(warm.client.workers) == 1
        for worker in workers:
            worker.kill("enough")
            assert (await worker.wait()).cause is Cause.KILLED
            worker.socket.close()
        last = await warm.spawn(LIMITS)
        last.kill("enough")
        await last.wait()
        last.socket.close()
        await asyncio.to_thread(starter.processes[0].wait, 30)

    play(part)


def test_a_closed_jail_starts_nothing_more() -> None:
    """A spawn that comes after the end, or was under way then, is refused."""

    async def part(warm: Warm, starter: Starter) -> None:
        under_way = asyncio.ensure_future(warm.spawn(LIMITS))
        while not starter.processes:
            await asyncio.sleep(0)
        warm.close()
        with pytest.raises(ZygoteGone):
            await under_way
        with pytest.raises(ZygoteGone, match="closed"):
            await warm.spawn(LIMITS)
        assert len(starter.processes) == 1

    play(part)


def test_a_zygote_that_cannot_start_is_an_error_that_says_why() -> None:
    """A preload that fails is told; the level is then none."""

    async def part(warm: Warm, _starter: Starter) -> None:
        with pytest.raises(JailError, match="no_such_module"):
            await warm.start()
        assert warm.level is Level.REFUSED
        with pytest.raises(ZygoteGone):
            _ = warm.client

    play(part, Configure(run="no_such_module:run", uid=64991, gid=64991))


def test_less_than_the_required_level_is_refused() -> None:
    """A layer that is missing lowers the level, and the policy's least level is not negotiable."""

    async def part(warm: Warm, _starter: Starter) -> None:
        with pytest.raises(LevelTooLow):
            await warm.start()

    play(part, Configure(run=CONFIG.run, preload=CONFIG.preload, uid=64991, gid=64991, without=("landlock",)))


def test_many_that_ask_at_once_share_one_zygote() -> None:
    """Spawns that come together while there is none start one, not many."""

    async def part(warm: Warm, starter: Starter) -> None:
        workers = await asyncio.gather(*(warm.spawn(LIMITS) for _ in range(6)))
        assert len(starter.processes) == 1
        for worker in workers:
            worker.kill("enough")
        assert {(await worker.wait()).cause for worker in workers} == {Cause.KILLED}
        for worker in workers:
            worker.socket.close()

    play(part)


def test_an_error_of_one_worker_is_not_the_zygotes() -> None:
    """What is refused for one worker leaves the zygote at hand."""

    async def part(warm: Warm, starter: Starter) -> None:
        await warm.start()
        with pytest.raises((ValueError, SpawnError)):
            await warm.spawn(Limits(memory_bytes=1))
        worker = await warm.spawn(LIMITS)
        worker.kill("enough")
        await worker.wait()
        worker.socket.close()
        assert len(starter.processes) == 1

    play(part)
