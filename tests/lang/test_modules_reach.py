"""No view leads to anything unlisted."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def walked(*arguments: str) -> dict[str, Any]:
    """What a walk in a process of its own found."""
    command = [sys.executable, str(HERE / "reach.py"), *arguments]
    env = {"TZ": "UTC", "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=240, cwd=ROOT)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("guards", ["static", "full"])
def test_nothing_within_reach_of_a_script_is_the_interpreters(guards):
    """A script cannot reach a module, code, frame, function-globals, file, loader or metaclass."""
    found = walked(guards)
    assert found["bad"] == []
    assert found["count"] > 3000


def test_the_walk_finds_what_is_planted():
    """Each kind of forbidden thing, hidden a few steps deep in a facade, is found."""
    found = walked("static", "planted")
    kinds = {line.split(": ")[1] for line in found["bad"] if line.startswith("<planted>")}
    assert kinds == {
        "a module",
        "code",
        "frame",
        "a file",
        "a loader",
        "a metaclass",
        "a module's globals",
        "the interpreter's own table",
        "a function of posix",
        "a builtin that asks no guard",
        "the library's own enum base, whose functional form takes any name",
    }
