"""Native code in a worker meets the filter's answer, whatever it tries, even with the other walls gone."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import Iterator

import pytest

from onvp.sandbox.jail import filter as calls
from onvp.sandbox.jail.levels import Level
from onvp.sandbox.jail.spawn import Cause
from tests.escape.kernel.attacks import ATTACKS, PRELUDE, Attack
from tests.jail.cell import Cell, live, native

EACH = pytest.mark.parametrize("attack", [pytest.param(a, id=a.name) for a in ATTACKS])


@pytest.fixture(scope="module")
def full() -> Iterator[Cell]:
    """All walls."""
    cell = Cell(native())
    yield cell
    cell.close()


@pytest.fixture(scope="module")
def filter_alone() -> Iterator[Cell]:
    """The filter without namespaces, Landlock and limits."""
    cell = Cell(native(least=Level.REFUSED, without=("namespaces", "landlock", "rlimits")))
    yield cell
    cell.close()


@pytest.fixture(scope="module")
def no_filter() -> Iterator[Cell]:
    """Every wall but the filter."""
    cell = Cell(native(least=Level.REFUSED, without=("seccomp",)))
    yield cell
    cell.close()


def check(cell: Cell, attack: Attack) -> None:
    """The worker got as far as the attempt, and the filter answered it."""
    life = cell.run(PRELUDE + attack.source)

    if attack.answer == "EPERM":
        assert life.lines == ["ready", "-1"], life
    else:
        assert (life.lines, life.end.cause) == (["ready"], Cause.VIOLATION), life


@EACH
def test_worker_cannot(full: Cell, attack: Attack) -> None:
    """The attempt is blocked by the filter: EPERM where denial is soft, death by SIGSYS everywhere else."""
    check(full, attack)


@EACH
def test_filter_alone_suffices(filter_alone: Cell, attack: Attack) -> None:
    """The same answer comes where there are no namespaces, no Landlock and no limits."""
    check(filter_alone, attack)


@pytest.mark.parametrize(
    "attack",
    [pytest.param(a, id=a.name) for a in ATTACKS if a.answer == "EPERM" and a.group != "python"],
)
def test_answer_is_the_filters(no_filter: Cell, attack: Attack) -> None:
    """Without the filter the same call is answered otherwise: EPERM above was not the kernel's."""
    life = no_filter.run(PRELUDE + attack.source)

    assert len(life.lines) == 2 and life.lines[1] != "-1", life


# uretprobe and uprobe of x86-64, which newer kernels let past every filter: they are made for code that the
# kernel itself puts into a traced process, and called by a program they only fail.
PAST_EVERY_FILTER = {335: ("", signal.SIGILL), 336: (f"{-errno.ENXIO}\n", None)}


def test_every_other_call_ends_the_process(full: Cell) -> None:
    """Each number that the table does not list, asked of the real kernel, ends its worker by SIGSYS."""
    here = calls.here()
    listed = {here.numbers[c.name] for c in calls.allowed_on(here)}
    listed |= {here.numbers[name] for name in calls.denied_on(here)}
    asked = [n for n in (*range(512), 1 << 20, 0x3FFF_FFFF) if n not in listed]
    blocked = ("", signal.SIGSYS)

    async def scenario() -> dict[int, tuple[str, int | None]]:
        answers = {}
        for at in range(0, len(asked), 16):
            numbers = asked[at : at + 16]
            lives = [live(full.jail, f"say(syscall({n}, 0, 0, 0, 0, 0, 0))") for n in numbers]
            for number, life in zip(numbers, await asyncio.gather(*lives), strict=True):
                answers[number] = (life.text, life.end.signal)
        return answers

    others = {n: a for n, a in full.loop.run_until_complete(scenario()).items() if a != blocked}
    assert others == {n: a for n, a in PAST_EVERY_FILTER.items() if n in others}


def test_attacks_are_distinct() -> None:
    """There are well over sixty attacks, each another idea with another source."""
    assert len({a.name for a in ATTACKS}) == len(ATTACKS) >= 60
    assert len({a.source for a in ATTACKS}) == len(ATTACKS)
