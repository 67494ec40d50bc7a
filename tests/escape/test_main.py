"""The command that runs any file behind the walls prints what it could do and how it ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

TRIES = """
import os, sys, asyncio, multiprocessing, urllib.request
print(__name__, sys.argv)
try:
    print(open("/etc/passwd").read())
except OSError as error:
    print("no file:", error.strerror)
os.fork()
print("forked")
"""


def escape(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command from the project's root."""
    command = [sys.executable, "-m", "tests.escape", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_native_files_are_run_one_by_one(tmp_path: Path) -> None:
    """Each file runs as __main__ with the standard library at hand; prints and the end are shown for each."""
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text(TRIES)
    second.write_text("raise ValueError('mine')")

    done = escape("--native", str(first), str(second))

    assert done.returncode == 0, done.stderr
    one, two = done.stdout.split("\n== ")[1:]
    assert "__main__ ['first.py']" in one and "no file: Operation not permitted" in one
    assert "forked" not in one and "-- violation: policy violation" in one
    assert "ValueError: mine" in two and "-- exited: exit status 1" in two


def test_missing_layer_shows_in_what_a_file_can_do(tmp_path: Path) -> None:
    """With the filter left out the same file gets further, and the level printed says so."""
    file = tmp_path / "file.py"
    file.write_text("import socket; print(socket.socket().family)")

    done = escape("--native", "--without", "seccomp", str(file))

    assert "confinement: refused (seccomp: switched off)" in done.stdout
    assert "-- exited: exit status 0" in done.stdout


def test_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """A file that does not exist is named, and nothing runs."""
    done = escape("--native", str(tmp_path / "nowhere.py"))

    assert done.returncode == 2
    assert "nowhere.py" in done.stderr


def test_scripts_take_the_whole_path(tmp_path: Path) -> None:
    """Without --native a file meets the language wall, and the policy that allows nothing."""
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("print(().__class__.__bases__[0].__subclasses__())")
    second.write_text("import scamper\nprint('hello')\nscamper.ScamperCtrl().do_ping('192.0.2.1')")

    done = escape(str(first), str(second))

    assert done.returncode == 0, done.stderr
    one, two = done.stdout.split("\n== ")[1:]
    assert "line 1" in one and "-- exit status 3" in one
    assert "hello" in two and "refused ping 192.0.2.1" in two and "-- exit status 3" in two
