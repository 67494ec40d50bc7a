"""The tutorials are true: their files are written, their commands are run, and what they show is shown.

In a ``console`` block each line that begins with ``$`` is run in the lab; the lines below it must appear in
what it prints, in order, where ``…`` stands for anything.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import World

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+)(?: title=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["first-upload.md", "first-policy.md"])
def test_every_command_of_a_tutorial_shows_what_it_says(world: World, tmp_path: Path, page: str) -> None:
    """Every command of a tutorial runs and shows what the page says."""
    ran = 0
    for kind, title, body in BLOCK.findall((DOCS / "tutorial" / page).read_text()):
        if title:
            (tmp_path / title).write_text(body)
        if kind != "console":
            continue
        for step in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, shown = step.partition("\n")
            words = shlex.split(command)
            assert words[0] == "onvp"
            done = subprocess.run(
                world.lab.command("ctl", [str(Path(sys.executable).parent / "onvp"), *words[1:]]),
                env=world.environment(), cwd=tmp_path, text=True, capture_output=True, timeout=60, check=False,
            )  # fmt: skip
            printed = done.stdout + done.stderr
            assert done.returncode == 0, (command, printed)
            pattern = ".*".join(re.escape(part.strip()) for line in shown.splitlines() for part in line.split("…"))
            assert re.search(pattern, printed, re.DOTALL), (command, pattern, printed)
            ran += 1
    assert ran >= 2
