"""The page on the kernel wall says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from onvp.sandbox.jail import filter as calls
from onvp.sandbox.jail.levels import Level

PAGE = (Path(__file__).parents[2] / "docs/explanation/sandbox.md").read_text()


def test_every_allowed_call_is_explained() -> None:
    """The page's table has exactly the allowed calls, each with the reason that the filter's table gives."""
    rows = re.findall(r"^\| `(\w+)`[^|]* \| (.+) \|$", PAGE, re.M)

    assert rows == [(call.name, call.reason) for call in calls.ALLOWED]


def test_every_soft_denial_is_named() -> None:
    """The page names every call that answers EPERM."""
    sentence = PAGE.split("These answer EPERM", 1)[1].split("\n\n", 1)[0]

    assert re.findall(r"`(\w+)`", sentence) == list(calls.DENIED_SOFTLY)


def test_every_level_is_described() -> None:
    """The page has a row for each level."""
    for level in Level:
        assert f"| {level} |" in PAGE
