"""The level is what verified facts add up to, never more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.sandbox.jail.levels import NEEDED, Layer, Level, judge

ALL = [name for level in (Level.STANDARD, Level.FULL) for name in NEEDED[level]]


def test_everything_is_full() -> None:
    """All layers together are full, with nothing left to explain."""
    report = judge(Layer(name, True, "") for name in ALL)

    assert (report.level, report.why_not_higher) == (Level.FULL, "")


def test_nothing_is_refused() -> None:
    """No facts are no walls: refused, and every layer of the next level is named."""
    report = judge([])

    assert report.level is Level.REFUSED
    assert report.why_not_higher == ("seccomp, no_new_privs, rlimits, descriptors, identity: not verified")


@given(st.sets(st.sampled_from(ALL)))
def test_level_is_reached_only_with_all_it_needs(missing: set[str]) -> None:
    """Whatever is missing, a level is reached exactly when nothing that it needs is among that."""
    report = judge(Layer(name, name not in missing, "gone") for name in ALL)

    standard = not missing & set(NEEDED[Level.STANDARD])
    full = standard and not missing & set(NEEDED[Level.FULL])
    assert report.level is (Level.FULL if full else Level.STANDARD if standard else Level.REFUSED)
    assert bool(report.why_not_higher) == (not full)


@pytest.mark.parametrize("level", list(Level))
def test_level_is_read_back_by_its_name(level: Level) -> None:
    """The word that a policy uses names the level that prints as that word."""
    assert Level.named(str(level)) is level


def test_unknown_level_is_refused() -> None:
    """A word that names no level is refused with those that do."""
    with pytest.raises(ValueError, match="full, standard or refused, not 'fuller'"):
        Level.named("fuller")
