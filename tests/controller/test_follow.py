"""What people and programs see of a run."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.controller.follow import Tally, plain_table, visible, why


def event(kind: str, vp: str = "vp1", **data: Any) -> dict[str, Any]:
    """An event line."""
    return {"id": 1, "run": "r", "vp": vp, "time": 0.0, "type": kind, "data": data}


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        pytest.param(["finished"], 0, id="finished"),
        pytest.param(["finished", "failed"], 1, id="one failed"),
        pytest.param(["failed", "refused"], 3, id="refused is larger"),
        pytest.param(["timed-out"], 4, id="timed out"),
        pytest.param(["killed", "finished"], 4, id="killed"),
        pytest.param(["lost", "killed"], 5, id="lost"),
        pytest.param(["cancelled", "lost"], 6, id="cancelled"),
        pytest.param(["something new"], 1, id="an outcome of a later release is not a success"),
        pytest.param([], 0, id="nothing has ended yet"),
    ],
)
def test_exit_status(outcomes: list[str], status: int) -> None:
    """Over several VPs the largest status counts."""
    tally = Tally([])
    for number, outcome in enumerate(outcomes):
        tally.add(event("end", f"vp{number}", outcome=outcome))

    assert tally.exit_status() == status


def test_a_late_end_replaces_a_loss() -> None:
    """A VP that was lost and delivers after all is judged by its own end."""
    tally = Tally(["vp1"])
    tally.add(event("end", outcome="lost"))
    tally.add(event("end", outcome="finished", status=0))

    assert tally.exit_status() == 0


@pytest.mark.parametrize(
    ("end", "words"),
    [
        pytest.param({"reason": "too slow\nreally"}, "too slow", id="reason first"),
        pytest.param({"limit": "cpu"}, "limit: cpu", id="limit"),
        pytest.param({"problems": [{}, {}]}, "2 problem(s) in the script", id="problems"),
        pytest.param({"error": "Traceback\n  x\nBoom: y\n"}, "Boom: y", id="last line of a traceback"),
        pytest.param({}, "", id="nothing"),
    ],
)
def test_why(end: dict[str, Any], words: str) -> None:
    """The final table says in one line why a run ended."""
    assert why(end) == words


@given(st.text())
def test_visible(text: str) -> None:
    """No control character reaches a terminal, except a line's end and a tab."""
    assert all(character in "\n\t" or not 0 <= ord(character) < 32 for character in visible(text))
    assert not any(0x7F <= ord(character) < 0xA0 for character in visible(text))


def test_plain_table() -> None:
    """Columns are aligned and lines have no blanks at their ends."""
    assert plain_table(["a", "bb"], [["1", ""], ["333", "4"]]) == "a    bb\n1\n333  4"
