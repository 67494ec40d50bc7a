"""The fleet's bookkeeping: which instruction follows from which fact."""

from collections.abc import Callable

import pytest

from onvp.controller.fleet import Abandoned, Fleet, Instruction, Lost, SendCancel, SendOffer
from onvp.sandbox.wire import link
from tests.controller.world import hello

GRACE_S = 900.0


def linked(fleet: Fleet, *, running: tuple[str, ...] = (), acked: int = 0, last: int = 0) -> list[Instruction]:
    """vp1 greets."""
    said = hello("vp1", running=list(running), last_seq=last)
    return fleet.greeted("vp1", said, acked, 0.0)


def delivered(fleet: Fleet) -> None:
    """vp1 said something about the run."""
    fleet.happened("vp1", "r", link.State("accepted"), 0.0)


LOST_HERE = Lost("r", "vp1", "the vantage point vp1 came back and no longer knows the run")
OFFER = SendOffer("r", "vp1")


def _offered(fleet: Fleet) -> None:
    linked(fleet)
    fleet.submitted("r", ["vp1"], 0.0)


def _running(fleet: Fleet) -> None:
    _offered(fleet)
    delivered(fleet)


def _ended(fleet: Fleet) -> None:
    _running(fleet)
    fleet.happened("vp1", "r", link.End(outcome="finished"), 0.0)


def _away(before: Callable[[Fleet], None]) -> Callable[[Fleet], None]:
    def history(fleet: Fleet) -> None:
        before(fleet)
        fleet.gone("vp1", 100.0)

    return history


def _lost(fleet: Fleet) -> None:
    _away(_running)(fleet)
    fleet.ended("r", "vp1")


def _cancelled(before: Callable[[Fleet], None]) -> Callable[[Fleet], None]:
    def history(fleet: Fleet) -> None:
        before(fleet)
        fleet.cancelled("r", "alice")

    return history


def _cancelled_and_lost(fleet: Fleet) -> None:
    _cancelled(_away(_running))(fleet)
    fleet.ended("r", "vp1")


@pytest.mark.parametrize(
    ("history", "fact", "instructions"),
    [
        pytest.param(linked, lambda f: f.submitted("r", ["vp1"], 0.0), [OFFER], id="submitted to a linked VP"),
        pytest.param(_away(linked), lambda f: f.submitted("r", ["vp1"], 0.0), [], id="submitted to one just gone"),
        pytest.param(_away(_offered), linked, [OFFER], id="offer repeated after a broken link"),
        pytest.param(_away(_running), linked, [LOST_HERE], id="back without the run, nothing spooled"),
        pytest.param(_away(_running), lambda f: linked(f, running=("r",)), [], id="back, still running"),
        pytest.param(_away(_running), lambda f: linked(f, acked=3, last=9), [], id="back, events still to come"),
        pytest.param(_away(_offered), lambda f: linked(f, running=("r",)), [], id="offer had arrived"),
        pytest.param(_away(_ended), linked, [], id="ended runs are forgotten"),
        pytest.param(_running, lambda f: f.tick(1e9), [], id="time does nothing to a linked VP"),
        pytest.param(_away(_running), lambda f: f.tick(100.0 + GRACE_S - 1), [], id="within the grace time"),
        pytest.param(
            _away(_running),
            lambda f: f.tick(100.0 + GRACE_S),
            [Lost("r", "vp1", "the vantage point vp1 has been away for 900 s")],
            id="after the grace time",
        ),
        pytest.param(_running, lambda f: f.cancelled("r", "alice"), [SendCancel("r", "vp1", "alice")], id="cancelled"),
        pytest.param(_away(_running), lambda f: f.cancelled("r", "alice"), [], id="cancelled while away, delivered"),
        pytest.param(
            _away(_offered),
            lambda f: f.cancelled("r", "alice"),
            [Abandoned("r", "vp1", "alice")],
            id="never arrived",
        ),
        pytest.param(
            _cancelled(_away(_running)),
            lambda f: linked(f, running=("r",)),
            [SendCancel("r", "vp1", "alice")],
            id="the cancel waits for the VP",
        ),
        pytest.param(
            _away(_cancelled(_offered)),
            linked,
            [SendCancel("r", "vp1", "alice"), Abandoned("r", "vp1", "alice")],
            id="offer and cancel both got lost",
        ),
        pytest.param(_lost, lambda f: f.tick(1e9), [], id="lost once"),
        pytest.param(_lost, linked, [], id="a lost run is not offered again"),
        pytest.param(
            _cancelled_and_lost,
            lambda f: linked(f, running=("r",)),
            [SendCancel("r", "vp1", "alice")],
            id="a run that was given up and is alive is still to be stopped",
        ),
        pytest.param(linked, lambda f: f.cancelled("other", "alice"), [], id="cancel of a run it does not have"),
        pytest.param(lambda f: None, lambda f: f.acknowledged("nobody", 3), [], id="an unknown VP"),
    ],
)
def test_instructions(
    history: Callable[[Fleet], object],
    fact: Callable[[Fleet], list[Instruction]],
    instructions: list[Instruction],
) -> None:
    """After a history, a fact leads to exactly these instructions."""
    fleet = Fleet(GRACE_S)
    history(fleet)

    assert instructions == fact(fleet)


def test_lost_only_after_the_last_spooled_event() -> None:
    """A run that the VP no longer runs is lost only when everything that it had spooled is here."""
    fleet = Fleet(GRACE_S)
    _away(_running)(fleet)
    linked(fleet, acked=3, last=5)

    assert fleet.acknowledged("vp1", 4) == []
    assert fleet.acknowledged("vp1", 5) == [LOST_HERE]


def test_an_end_among_the_spooled_events_is_not_a_loss() -> None:
    """If the end was in the spool, the run has ended and is not lost."""
    fleet = Fleet(GRACE_S)
    _away(_running)(fleet)
    linked(fleet, acked=3, last=5)
    fleet.happened("vp1", "r", link.End(outcome="finished"), 0.0)

    assert fleet.acknowledged("vp1", 5) == []
    assert fleet.alive("vp1") == []


def test_a_lost_run_that_speaks_is_alive() -> None:
    """Events of a run that was given up bring it back."""
    fleet = Fleet(GRACE_S)
    _lost(fleet)
    linked(fleet)
    delivered(fleet)

    assert fleet.alive("vp1") == ["r"]


def test_restore() -> None:
    """A picture rebuilt from the database offers what was not delivered and waits for the rest."""
    fleet = Fleet(GRACE_S)
    fleet.restore([("new", "vp1", "offered", None), ("old", "vp1", "running", None)], 0.0)

    assert fleet.tick(GRACE_S - 1) == []
    assert linked(fleet, running=("old",)) == [SendOffer("new", "vp1")]


def test_who_is_connected() -> None:
    """Only linked VPs are connected, with what they last said."""
    fleet = Fleet(GRACE_S)
    linked(fleet)
    fleet.changed("vp1", link.Status(True, "full", "d", {}, {}))
    fleet.changed("vp2", link.Status(True, "full", "d", {}, {}))

    assert [hello.level for hello in fleet.connected().values()] == ["full"]
    fleet.gone("vp1", 0.0)
    assert fleet.connected() == {}
