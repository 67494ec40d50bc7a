"""The command ``onvp-vp`` as a process, in a temporary folder of its own that can be looked at afterwards."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from tests.agent.vantage import LIMITS, POLICY, lonely_scamper

PROGRAM = Path(sys.executable).parent / "onvp-vp"


class Done(NamedTuple):
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def sentences(self) -> list[str]:
        """The lines that are not the log's."""
        return [line for line in self.err.splitlines() if line and not line.startswith("{")]


class Desk:
    """A folder with a policy and a scamper, a place for temporary files, and the command."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="onvp-"))
        self.folder.chmod(0o755)
        self.temporary = self.folder / "t"
        self.temporary.mkdir(mode=0o1777)
        self.temporary.chmod(0o1777)
        self.policy = self.write("policy.yaml", POLICY + LIMITS)
        self.scamper = str(lonely_scamper(self.folder))

    def write(self, name: str, data: str | bytes) -> Path:
        """A file."""
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    def command(self, *words: object) -> list[str]:
        """The command line."""
        return [str(PROGRAM), *map(str, words)]

    def start(self, *words: object, before: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """Start it, perhaps behind a command that changes who runs it."""
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            [*before, *self.command(*words)], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=self.folder,
        )  # fmt: skip

    def run(self, *words: object, before: Sequence[str] = ()) -> Done:
        """Run it to its end."""
        with self.start(*words, before=before) as process:
            try:
                out, err = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                raise
        return Done(process.returncode, out, err)

    def attempt(self, source: str | bytes, *words: object) -> Done:
        """`onvp-vp try` of a script, with the policy and the scamper of this desk."""
        script = self.write("script.py", source)
        # What is given later counts.
        return self.run("try", script, "--no-companion", "--policy", self.policy, "--scamper", self.scamper, *words)

    def leftovers(self) -> list[str]:
        """Temporary files, and processes that have to do with this folder."""
        found = [str(path) for path in self.temporary.rglob("*")]
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                where = str((entry / "cwd").readlink())
            except OSError:
                continue
            if str(self.folder) in words or where.startswith(str(self.folder)):
                found.append(f"process {entry.name}: {words!r}")
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder)
