"""With the filter gone the other layers, each alone, keep files, networks and processes away."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from onvp.sandbox.jail.levels import Level
from tests.jail.cell import Cell, native

FILES = {
    "read a file": "open('/etc/hostname').read()",
    "list the root": "os.listdir('/')[0]",
    "see a process": "open('/proc/self/status').read()",
    "write a file": "open('/onvp-escape', 'w')",
    "make a directory": "os.mkdir('/onvp-escape')",
    "run a program": "os.execv('/bin/true', ['true'])",
}
OUTSIDE = {
    "reach a TCP server of the host": "socket.create_connection(('127.0.0.1', PORT))",
    "reach an abstract socket of the host": "s = socket.socket(socket.AF_UNIX); s.connect(NAME)",
    "signal a process of the host": "os.kill(VICTIM, 0)",
}
NETWORK_ONLY = {
    "listen on TCP": "s = socket.socket(); s.bind(('127.0.0.1', 0))",
}


@pytest.fixture(scope="module")
def outside() -> Iterator[str]:
    """Things of the host to reach: source that names a TCP port, an abstract socket and a process."""
    server, abstract = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    name = f"\0onvp-escape-{os.getpid()}"
    abstract.bind(name)
    abstract.listen()
    victim = subprocess.Popen(["sleep", "600"], user=65533, group=65533, extra_groups=[])
    with server, abstract:
        yield f"PORT, NAME, VICTIM = {server.getsockname()[1]}, {name!r}, {victim.pid}\n"
    victim.kill()
    victim.wait()


def cells(*without: str) -> Iterator[Cell]:
    """A jail without these layers."""
    cell = Cell(native(least=Level.REFUSED, without=without))  # type: ignore[arg-type]
    yield cell
    cell.close()


@pytest.fixture(scope="module")
def namespaces_alone() -> Iterator[Cell]:
    """Namespaces and the empty root, nothing else."""
    yield from cells("seccomp", "landlock", "rlimits")


@pytest.fixture(scope="module")
def landlock_alone() -> Iterator[Cell]:
    """Landlock, nothing else."""
    yield from cells("seccomp", "namespaces", "rlimits")


@pytest.fixture(scope="module")
def nothing() -> Iterator[Cell]:
    """An ordinary process of another user."""
    yield from cells("seccomp", "namespaces", "landlock", "rlimits")


def attempt(cell: Cell, preparation: str, source: str) -> str:
    """The name of the error that it met, or that it worked."""
    lines = [f"{preparation}try:", f"    {source}", "except OSError as error:"]
    lines += ["    say(errno.errorcode[error.errno])", "else:", "    say('worked')"]
    life = cell.run("\n".join(lines))
    return life.text.strip() or f"ended: {life.end.detail}"


ALL = {**FILES, **OUTSIDE}


@pytest.mark.parametrize("what", ALL)
def test_namespaces_alone(namespaces_alone: Cell, outside: str, what: str) -> None:
    """Without filter and Landlock, the empty root and the own namespaces leave nothing to find."""
    answer = attempt(namespaces_alone, outside, ALL[what])

    if what == "list the root":
        assert answer == "!IndexError: list index out of range"  # it is empty
    else:
        assert answer in {"ENOENT", "ECONNREFUSED", "ESRCH", "EROFS", "ENETUNREACH"}


@pytest.mark.parametrize("what", {**ALL, **NETWORK_ONLY})
def test_landlock_alone(landlock_alone: Cell, outside: str, what: str) -> None:
    """Without filter and namespaces, Landlock refuses files, TCP, abstract sockets and signals."""
    answer = attempt(landlock_alone, outside, {**ALL, **NETWORK_ONLY}[what])

    assert answer in {"EACCES", "EPERM"}


@pytest.mark.parametrize("what", [*OUTSIDE, "read a file", "list the root", "see a process"])
def test_attempts_would_work(nothing: Cell, outside: str, what: str) -> None:
    """Where all three are gone the same attempts succeed: the tests above measure the walls."""
    assert attempt(nothing, outside, ALL[what]) == "worked"


RAISED = "!ValueError: not allowed to raise maximum limit"
FAIL = "(_ for _ in ()).throw(OSError(ctypes.get_errno(), ''))"


@pytest.mark.parametrize(
    ("what", "source", "expected"),
    [
        ("open more descriptors", "[os.dup(3) for _ in range(9)]", "EMFILE"),
        ("start a process", "os.fork() or os._exit(0)", "EAGAIN"),
        ("lock memory", f"{FAIL} if libc.mlock(ctypes.create_string_buffer(9999), 4096) else 0", "EPERM"),
        (
            "raise a limit",
            "resource.setrlimit(7, (99, 99))",
            RAISED,
        ),
    ],
)
def test_limits_alone(what: str, source: str, expected: str) -> None:
    """Without the other layers, the kernel's limits hold for descriptors, processes and memory."""
    for cell in cells("seccomp", "namespaces", "landlock"):
        assert attempt(cell, "", source) == expected, what
