"""The modules of scripts do what Python's do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lang.module_uses import USES
from tests.lang.running import run

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    """What each use prints in plain CPython."""
    command = [sys.executable, "-I", str(HERE / "plain_python.py"), str(HERE / "module_uses.py")]
    done = subprocess.run(command, env={"TZ": "UTC"}, capture_output=True, check=True, timeout=60)
    printed: dict[str, str] = json.loads(done.stdout)
    return printed


def without_carets(text: str) -> list[str]:
    """The lines of a text, without those that mark a place in the line above."""
    return [line for line in text.splitlines() if not line.strip() or set(line) - set(" ^~")]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize("module", USES)
def test_a_module_prints_what_pythons_prints(module, guards, plain):
    """An ordinary use of the module gives the output of plain CPython, with either kind of guards."""
    outcome = run(USES[module], guards=guards)
    assert outcome.last_word == ""
    assert without_carets(outcome.out) == without_carets(plain[module])
