"""Fixtures that every room uses, and the walls' own counts at the end of a run."""

from collections import Counter
from typing import Any

import pytest

from tests.lab import Lab

pytest_plugins = ["tests.lab.fixtures", "tests.fixtures"]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say what this machine lacks before anything runs: nothing is skipped for want of something."""
    lacks = Lab.missing()
    if lacks:
        pytest.exit("this machine cannot run the tests. " + " ".join(lacks), returncode=3)


WALLS = {"lang": "language", "kernel": "kernel", "broker": "broker"}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many attacks each wall withstood (docs/security.md explains them)."""
    counts: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            if outcome == "passed" and report.when != "call":
                continue
            parts = report.nodeid.split("/")
            if parts[:2] == ["tests", "escape"] and len(parts) > 3:
                counts.setdefault(parts[2], Counter())[outcome] += 1
    if not counts:
        return
    terminalreporter.section("attacks that the walls withstood")
    for folder, wall in WALLS.items():
        if folder in counts:
            tally = counts[folder]
            bad = tally["failed"] + tally["error"]
            terminalreporter.write_line(f"the {wall} wall: {tally['passed']} withstood, {bad} not")
