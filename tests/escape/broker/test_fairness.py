"""Two runs on one loop: what a flood of one takes from the other, measured in turns within one test."""

import asyncio
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from onvp.sandbox.broker.serve import Turns
from tests.broker.parts import FAST, Books
from tests.escape.broker.owned import Owned, attack
from tests.escape.broker.workers import FLOODS

ROOT = Path(__file__).parents[3]
PHASE_S = 0.15
PHASES = 6


class Phase(NamedTuple):
    """What happened in a stretch of time."""

    calls: int
    wall_s: float
    cpu_s: float

    @property
    def rate(self) -> float:
        return self.calls / self.wall_s


def start(run: Owned, kind: str) -> "subprocess.Popen[bytes]":
    """A worker in a process of its own at the run's other end."""
    run.peer.setblocking(True)
    descriptor = run.peer.fileno()
    argv = [sys.executable, "-m", "tests.escape.broker.workers", str(descriptor), kind]
    return subprocess.Popen(argv, pass_fds=(descriptor,), cwd=ROOT)


async def measure(honest: Owned) -> Phase:
    """The honest run's calls, and this thread's processor time, over one phase."""
    counters, calls = honest.session.counters, honest.session.counters.results
    wall, cpu = time.monotonic(), time.thread_time()
    await asyncio.sleep(PHASE_S)
    return Phase(counters.results - calls, time.monotonic() - wall, time.thread_time() - cpu)


async def answers(run: Owned, more: int) -> None:
    """Return when the run has had so many more answers."""
    until = run.session.counters.results + more
    while run.session.counters.results < until:
        await asyncio.sleep(0.001)


async def phases(honest: Owned, books: Books, turns: Turns, kind: str) -> tuple[list[Phase], list[Phase]]:
    """Phases without and with the flood, in turns."""
    flooding = Owned(books, turns, f"{kind} {id(turns)}")
    process = start(flooding, kind)
    without, beside = [], []
    try:
        while not flooding.session.counters.calls and kind in {"invalid calls", "refused calls", "scans"}:
            await asyncio.sleep(0.01)
        for _ in range(PHASES):
            process.send_signal(signal.SIGSTOP)
            await answers(honest, 30)
            without.append(await measure(honest))
            process.send_signal(signal.SIGCONT)
            await answers(honest, 5)
            beside.append(await measure(honest))
        assert not flooding.ended.done(), flooding.ended.result()
    finally:
        process.kill()
        process.wait()
        flooding.close()
    return without, beside


def share(without: list[Phase], beside: list[Phase]) -> float:
    """How much of a processor the broker spent on the flood: what the honest calls do not account for."""
    cost = statistics.median(phase.cpu_s / max(1, phase.calls) for phase in without)
    return statistics.median((phase.cpu_s - phase.calls * cost) / phase.wall_s for phase in beside)


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_takes_little_from_the_run_beside_it(tmp_path: Path, kind: str) -> None:
    """The broker spends a small share of a processor on a flood while another run wants to be served.

    The figures of the slow-down are printed, not judged: this machine has other things to do. What is judged is the
    processor time that the broker spends on the flood.
    """

    async def scene() -> None:
        books = Books(tmp_path, FAST)
        turns = Turns()
        honest = Owned(books, turns, "honest")
        process = start(honest, "honest")
        try:
            await answers(honest, 100)
            without, beside = await phases(honest, books, turns, kind)
            alone, together = (statistics.median(p.rate for p in x) for x in (without, beside))
            spent = share(without, beside)
            print(
                f"flood of {kind}: honest calls {alone:.0f}/s without, {together:.0f}/s beside "
                f"({together / alone:.2f}); the flood took {spent:.2f} of a processor"
            )
            assert min(phase.calls for phase in beside) > 0
            assert spent < 0.25
        finally:
            process.kill()
            process.wait()
            honest.close()
            books.close()

    attack(scene())


def test_a_lone_run_is_never_held_up(tmp_path: Path) -> None:
    """With nobody else there, a run that only asks questions is served without a pause."""

    async def scene() -> None:
        books = Books(tmp_path, FAST)
        alone = Owned(books, Turns(), "alone")
        try:
            pauses = []
            rest = alone.connection._rest

            def note(until: float) -> None:
                pauses.append(until - time.monotonic())
                rest(until)

            alone.connection._rest = note  # type: ignore[method-assign]
            process = start(alone, "questions")
            while len(pauses) < 50:
                await asyncio.sleep(0.01)
            process.kill()
            process.wait()
            assert max(pauses) <= 0
        finally:
            alone.close()
            books.close()

    attack(scene())
