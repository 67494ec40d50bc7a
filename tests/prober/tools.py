"""What the tests of the prober driver share."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from onvp.policies.action import Action, parse
from onvp.sandbox.wire.errors import Code

T = TypeVar("T")

PATIENCE_S = 60
"""A test that waits longer than this has failed; nothing depends on how much less it takes."""


class Grant(NamedTuple):
    """What the driver sees of a grant."""

    action: Action


def grant(primitive: str, **params: Any) -> Grant:
    """A grant for a call with these parameters."""
    return Grant(parse(primitive, params))


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine, but not for ever."""

    async def bounded() -> T:
        async with asyncio.timeout(PATIENCE_S):
            return await test

    return asyncio.run(bounded())


class Notes:
    """A sink that keeps everything and can be waited for."""

    def __init__(self) -> None:
        self.results: dict[int, bytes] = {}
        self.envelopes: list[tuple[int, bytes]] = []
        self.failures: dict[int, tuple[str, Code]] = {}
        self.gone: list[str] = []
        self.connections: dict[int, int] = {}
        self._news = asyncio.Event()

    def on_record(self, task: int, connection: int, raw: bytes) -> None:
        if task == 0:
            self.envelopes.append((connection, raw))
        else:
            assert task not in self.results, "a task ends once"
            assert task not in self.failures, "a task ends once"
            self.results[task] = raw
            self.connections[task] = connection
        self._news.set()

    def on_failed(self, task: int, message: str, code: Code) -> None:
        assert task not in self.results, "a task ends once"
        assert task not in self.failures, "a task ends once"
        self.failures[task] = (message, code)
        self._news.set()

    def on_gone(self, reason: str) -> None:
        self.gone.append(reason)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; it is judged after each callback."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def ended(self, *tasks: int) -> None:
        """Return when each of the tasks has a result or has failed."""
        await self.until(lambda: all(t in self.results or t in self.failures for t in tasks))


class Daemon:
    """A scamper process on a control socket."""

    def __init__(self, program: str, path: Path, pps: int = 10_000) -> None:
        self.program = program
        self.path = path
        self._pps = pps
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.path.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            [self.program, "-U", self.path.name, "-M", "vp", "-p", str(self._pps)],
            cwd=self.path.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE_S
        while not listens(self.path):
            assert self._process.poll() is None, "scamper ended at start"
            assert time.monotonic() < deadline, "scamper does not listen"
            time.sleep(0.005)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop it from doing anything, without ending it."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        self.kill()


def listens(path: Path) -> bool:
    """Whether somebody accepts connections at ``path``."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
    return True


def record_type(raw: bytes) -> int:
    """The type in a record's header."""
    return int.from_bytes(raw[2:4], "big")
