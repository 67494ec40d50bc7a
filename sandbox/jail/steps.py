"""What a worker gives up, one class per layer.

Each step can say what it does, do it, and check that it holds. `apply` raises OSError when the
kernel refuses, `verify` raises ConfinementError when the layer does not hold although the kernel
said yes. Whoever runs the steps stops at the first error and ends the process: there is no partly
confined worker.

The order is the plan's business (plan.py). Numbers are those of the Linux headers named beside them.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from onvp.sandbox.jail import _confine
from onvp.sandbox.jail.errors import ConfinementError
from onvp.sandbox.jail.filter import CHANNEL
from onvp.sandbox.jail.limits import MIB, Limits

# linux/prctl.h
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_GET_DUMPABLE = 1, 4, 3
PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS = 38, 39

REPORT: Final = 4  # where a step that fails says so; closed before the filter goes in
ROOM: Final = 16 * MIB  # address space for what the allocators round up


class Step(Protocol):
    """One layer."""

    name: str

    def describe(self) -> str:
        """What will be given up, for people."""

    def apply(self) -> None:
        """Give it up, for good."""

    def verify(self) -> None:
        """Raise unless it is gone."""


def run(steps: Sequence[Step]) -> None:
    """Apply and verify every step in order; the first that fails ends it as a ConfinementError."""
    for step in steps:
        try:
            step.apply()
            step.verify()
        except OSError as error:
            raise ConfinementError(step.name, f"{error.strerror or error}") from error


@dataclass(frozen=True)
class Descriptors:
    """Nothing is open but the line to the zygote and, for the moment, the report pipe."""

    line: int  # where it is now; REPORT is in its place already
    name = "descriptors"

    def describe(self) -> str:
        """What will be given up, for people."""
        return "close every descriptor but the line on which the assignment comes"

    def apply(self) -> None:
        """Move the line to its place, close the rest below and above."""
        os.dup2(self.line, CHANNEL, inheritable=False)
        os.closerange(0, CHANNEL)
        _confine.close_from(REPORT + 1)

    def verify(self) -> None:
        """Count what is open."""
        left = _confine.open_descriptors()
        if left != [CHANNEL, REPORT]:
            raise ConfinementError(self.name, f"still open: {left}")


@dataclass(frozen=True)
class Channel:
    """The socket to the broker takes the place of the line to the zygote."""

    channel: int  # where it arrived
    name = "channel"

    def describe(self) -> str:
        """What will be given up, for people."""
        return f"the line to the zygote: {CHANNEL} becomes the socket to the broker"

    def apply(self) -> None:
        """Move it over the line, which closes that, and close where it arrived."""
        os.dup2(self.channel, CHANNEL, inheritable=False)
        os.closerange(0, CHANNEL)
        _confine.close_from(REPORT + 1)

    def verify(self) -> None:
        """Count what is open."""
        left = _confine.open_descriptors()
        if left != [CHANNEL, REPORT]:
            raise ConfinementError(self.name, f"still open: {left}")


@dataclass(frozen=True)
class NoNewPrivileges:
    """No execve ever raises privileges again (a filter needs this, too)."""

    name = "no_new_privs"

    def describe(self) -> str:
        """What will be given up, for people."""
        return "no_new_privs: no privilege can be gained by any means"

    def apply(self) -> None:
        """Set the flag; it cannot be unset."""
        _confine.prctl(PR_SET_NO_NEW_PRIVS, 1)

    def verify(self) -> None:
        """Read it back."""
        if _confine.prctl(PR_GET_NO_NEW_PRIVS) != 1:
            raise ConfinementError(self.name, "the flag did not stay set")


@dataclass(frozen=True)
class Undumpable:
    """No core file, no ptrace by processes of the same user."""

    name = "undumpable"

    def describe(self) -> str:
        """What will be given up, for people."""
        return "not dumpable: no core file, no tracing by another process"

    def apply(self) -> None:
        """Clear the flag."""
        _confine.prctl(PR_SET_DUMPABLE, 0)

    def verify(self) -> None:
        """Read it back."""
        if _confine.prctl(PR_GET_DUMPABLE) != 0:
            raise ConfinementError(self.name, "the process is still dumpable")


@dataclass(frozen=True)
class DieWithParent:
    """The kernel kills this process when the one that started it ends."""

    parent: int  # as getppid() shows it: 0 when the parent is outside this pid namespace
    name = "death with parent"

    def describe(self) -> str:
        """What will be given up, for people."""
        return "SIGKILL when the parent process ends"

    def apply(self) -> None:
        """Ask for the signal. Changes of user clear it, so this comes after them (prctl(2))."""
        _confine.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def verify(self) -> None:
        """Read it back, and see that the parent had not already gone."""
        if _confine.death_signal() != signal.SIGKILL:
            raise ConfinementError(self.name, "the death signal did not stay set")
        if os.getppid() != self.parent:
            raise ConfinementError(self.name, "the parent has already ended")


@dataclass(frozen=True)
class Identity:
    """The process is nobody: not root inside or outside, and without capabilities."""

    uid: int
    gid: int
    name = "identity"

    def describe(self) -> str:
        """What will be given up, for people."""
        return f"uid {self.uid}, gid {self.gid}, no capabilities"

    def apply(self) -> None:
        """Drop what may be left; the change of user was the zygote's."""
        _confine.drop_capabilities()

    def verify(self) -> None:
        """All three ids are the expected ones and not 0; all three capability sets are empty."""
        users, groups = set(os.getresuid()), set(os.getresgid())
        if users != {self.uid} or groups != {self.gid} or 0 in users or 0 in groups:
            raise ConfinementError(self.name, f"runs as user {users}, group {groups}")
        if any(_confine.capabilities()):
            raise ConfinementError(self.name, "capabilities are left")


# linux/landlock.h: how many of the lowest bits each ABI knows
_FS_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NET_RIGHTS: Final = 0b11  # bind and connect of TCP, from ABI 4
_SCOPES: Final = 0b11  # abstract sockets and signals to outside, from ABI 6


@dataclass(frozen=True)
class Landlock:
    """No file, no TCP port, no abstract socket, no signal to other processes, as far as the ABI goes."""

    abi: int
    thorough: bool = False  # whether to try TCP, too: a fifth of a millisecond, so in the trial worker only
    name = "landlock"

    def describe(self) -> str:
        """What will be given up, for people."""
        parts = ["every right on files"]
        parts += ["TCP bind and connect"] if self.abi >= 4 else []
        parts += ["abstract sockets and signals to other processes"] if self.abi >= 6 else []
        return f"Landlock ABI {self.abi}: give up {', '.join(parts)}"

    def apply(self) -> None:
        """A ruleset that handles all rights and grants none."""
        _confine.landlock_deny(
            (1 << _FS_RIGHTS[min(self.abi, max(_FS_RIGHTS))]) - 1,
            _NET_RIGHTS if self.abi >= 4 else 0,
            _SCOPES if self.abi >= 6 else 0,
        )

    def verify(self) -> None:
        """Listing / (and binding a TCP port) is refused with Landlock's own answer, EACCES.

        All rights were given up by one ruleset in one call, so one of them shows that it is in force.
        """
        try:
            os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY))
        except OSError as error:
            if error.errno != errno.EACCES:
                raise
        else:
            raise ConfinementError(self.name, "/ can still be listed")
        if self.thorough and self.abi >= 4:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                try:
                    probe.bind(("127.0.0.1", 0))
                except OSError as error:
                    if error.errno != errno.EACCES:
                        raise
                else:
                    raise ConfinementError(self.name, "a TCP port can still be bound")


@dataclass(frozen=True)
class ResourceLimits:
    """What the process may use, as the kernel counts it.

    Attributes:
        limits: What the run is given.
        base_data: Bytes of private writable memory that the zygote had.
        base_space: Bytes of address space that it had.
    """

    limits: Limits
    base_data: int
    base_space: int
    name = "rlimits"

    def table(self) -> dict[int, int]:
        """Each limit, hard and soft alike (getrlimit(2))."""
        given = self.limits
        return {
            resource.RLIMIT_AS: self.base_space + given.memory_bytes + given.stack_bytes + ROOM,
            resource.RLIMIT_DATA: self.base_data + given.memory_bytes,
            resource.RLIMIT_STACK: given.stack_bytes,
            # The zygote ends a worker at its limit to the millisecond; this is the belt, in whole seconds.
            resource.RLIMIT_CPU: min(int(given.cpu_s) + 2, 1 << 40),
            resource.RLIMIT_NOFILE: CHANNEL + 1,
            resource.RLIMIT_FSIZE: 0,
            resource.RLIMIT_NPROC: 0,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_MEMLOCK: 0,
            resource.RLIMIT_MSGQUEUE: 0,
            resource.RLIMIT_SIGPENDING: 0,
            resource.RLIMIT_NICE: 0,
            resource.RLIMIT_RTPRIO: 0,
        }

    def describe(self) -> str:
        """What will be given up, for people."""
        given = self.limits
        return (
            f"{given.memory_bytes // MIB} MiB of memory, {given.cpu_s:g} s of CPU, "
            f"{given.stack_bytes // MIB} MiB of stack, {CHANNEL + 1} descriptors, "
            "no files, no processes, no locked memory, no core, no message queues, no priorities"
        )

    def apply(self) -> None:
        """Set them; without privileges a hard limit only goes down."""
        for kind, value in self.table().items():
            hard = resource.getrlimit(kind)[1]
            if hard != resource.RLIM_INFINITY:
                value = min(value, hard)  # noqa: PLW2901 - a stricter one from outside stays
            resource.setrlimit(kind, (value, value))

    def verify(self) -> None:
        """Read them back."""
        for kind, value in self.table().items():
            soft, hard = resource.getrlimit(kind)
            if not (0 <= soft <= value and 0 <= hard <= value):
                raise ConfinementError(self.name, f"limit {kind} is {soft}, {hard}, not {value}")


@dataclass(frozen=True)
class LastDescriptor:
    """The report pipe goes; from here on a failure is told by the exit status alone."""

    name = "last descriptor"

    def describe(self) -> str:
        """What will be given up, for people."""
        return "close the report pipe of the steps above"

    def apply(self) -> None:
        """Close it."""
        os.close(REPORT)

    def verify(self) -> None:
        """Using it fails with EBADF.

        The others were counted before, and none could be opened since.
        """
        try:
            os.fstat(REPORT)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
        else:
            raise ConfinementError(self.name, "the report pipe is still open")


@dataclass(frozen=True)
class SystemCallFilter:
    """All system calls but the few of filter.py."""

    program: bytes
    name = "seccomp"

    def describe(self) -> str:
        """What will be given up, for people."""
        return f"seccomp filter of {len(self.program) // 8} instructions (filter.py has the table)"

    def apply(self) -> None:
        """Install it. It cannot be taken off."""
        _confine.install_filter(self.program)

    def verify(self) -> None:
        """A call that cannot fail on Linux, uname(2), is now refused with the filter's own answer."""
        try:
            os.uname()
        except PermissionError:
            return
        raise ConfinementError(self.name, "uname is still answered")
