"""Forbidden operations, tried from inside a real worker: the line of the doctor's report to look
at first.

Each attempt runs in a worker of its own, because the filter's answer to most of them is death.
Pointers handed to the kernel are bad on purpose: had the filter let the call through, the kernel
would answer EFAULT or do it. So only two ends mean "blocked by the filter": SIGSYS, or EPERM where
the table denies softly. Anything else is a finding.

The worker's side is `run`, which needs nothing but the compiled module; `verdict` is the agent's
side of the same table.
"""

from __future__ import annotations

import errno
import os
import platform
import signal
import time
from dataclasses import dataclass
from typing import Final

from onvp.sandbox.jail import _confine

_BAD: Final = 1  # an address that no process can read
_HERE: Final = -100  # AT_FDCWD


@dataclass(frozen=True)
class Attempt:
    """One forbidden call.

    Attributes:
        what: For people, after "a worker must not be able to".
        x86_64: The number of the call there.
        aarch64: The number of the call there.
        arguments: As passed to the kernel.
        softly: Whether the filter's answer is EPERM instead of death.
    """

    what: str
    x86_64: int
    aarch64: int
    arguments: tuple[int, ...] = ()
    softly: bool = False


ATTEMPTS: Final = {
    "open": Attempt("open a file", 257, 56, (_HERE, _BAD, 0), softly=True),
    "create": Attempt("create a file", 257, 56, (_HERE, _BAD, 0o101, 0o600), softly=True),
    "stat": Attempt("look at a file", 262, 79, (_HERE, _BAD, _BAD, 0), softly=True),
    "statx": Attempt("look at a file by statx", 332, 291, (_HERE, _BAD, 0, 0, _BAD)),
    "openat2": Attempt("open a file by openat2", 437, 437, (_HERE, _BAD, _BAD, 24)),
    "mkdir": Attempt("make a directory", 258, 34, (_HERE, _BAD, 0o700)),
    "unlink": Attempt("remove a file", 263, 35, (_HERE, _BAD, 0)),
    "socket": Attempt("make a socket", 41, 198, (2, 1, 0)),
    "raw socket": Attempt("make a raw socket", 41, 198, (2, 3, 1)),
    "unix socket": Attempt("make a Unix socket", 41, 198, (1, 1, 0)),
    "netlink": Attempt("make a netlink socket", 41, 198, (16, 3, 0)),
    "connect": Attempt("connect its socket elsewhere", 42, 203, (3, _BAD, 16)),
    "sendmsg": Attempt("pass descriptors or addresses", 46, 211, (3, _BAD, 0)),
    "fork": Attempt("start a process", 56, 220, (17, 0, 0, 0, 0)),
    "clone3": Attempt("start a thread", 435, 435, (_BAD, 88)),
    "execve": Attempt("run a program", 59, 221, (_BAD, 0, 0)),
    "kill": Attempt("signal a process", 62, 129, (1, 0)),
    "ptrace": Attempt("trace a process", 101, 117, (16, 1, 0, 0)),
    "process_vm_readv": Attempt("read another's memory", 310, 270, (1, _BAD, 1, _BAD, 1, 0)),
    "pidfd_open": Attempt("hold another process", 434, 434, (1, 0)),
    "bpf": Attempt("load a bpf program", 321, 280, (5, _BAD, 120)),
    "io_uring": Attempt("set up io_uring", 425, 425, (8, _BAD)),
    "keyctl": Attempt("reach the kernel's keys", 250, 219, (0, -3, 1)),
    "userfaultfd": Attempt("handle page faults", 323, 282, (1,)),
    "perf": Attempt("watch by performance counters", 298, 241, (_BAD, 0, -1, -1, 0)),
    "unshare": Attempt("make a namespace", 272, 97, (0x1000_0000,)),
    "setns": Attempt("enter a namespace", 308, 268, (3, 0)),
    "mount": Attempt("mount", 165, 40, (0, _BAD, 0, 0, 0)),
    "chroot": Attempt("change its root", 161, 51, (_BAD,)),
    "setuid": Attempt("change its user", 105, 146, (0,)),
    "prctl": Attempt("change its own attributes", 157, 167, (4, 1, 0, 0, 0)),
    "prlimit": Attempt("change a limit", 302, 261, (0, 7, _BAD, 0)),
    "seccomp": Attempt("touch its filter", 317, 277, (1, 0, _BAD)),
    "memfd": Attempt("make a file in memory", 319, 279, (_BAD, 0)),
    "shm": Attempt("share memory", 29, 194, (0, 4096, 0o1600)),
    "exec memory": Attempt("map memory as code", 9, 222, (0, 4096, 7, 0x22, -1, 0)),
    "shared memory": Attempt("map shared memory", 9, 222, (0, 4096, 3, 0x21, -1, 0)),
    "mprotect": Attempt("turn data into code", 10, 226, (0, 4096, 5), softly=True),
    "write elsewhere": Attempt("write to another descriptor", 1, 64, (2, _BAD, 1)),
    "read elsewhere": Attempt("read from another descriptor", 0, 63, (0, _BAD, 1)),
    "dup": Attempt("copy a descriptor", 32, 23, (3,)),
    "others' clock": Attempt("read another's CPU clock", 228, 113, (~1 << 3 | 2, _BAD)),
    "module": Attempt("load a kernel module", 175, 105, (_BAD, 0, _BAD)),
}  # fmt: skip

HELLO: Final = "hello"  # not an attempt: says when the worker came to life


def run(channel: int) -> int:
    """The worker's side: do what one word asks, tell the kernel's answer (a number)."""
    if not (word := os.read(channel, 64).decode()):
        return 0
    if word == HELLO:
        os.write(channel, f"{time.monotonic_ns()}".encode())
        return 0 if os.read(channel, 64) == b"" else 1
    attempt = ATTEMPTS[word]
    os.write(channel, f"{_call(attempt)}".encode())
    return 0


def forbidden(channel: int) -> int:
    """The trial of a new zygote: without a filter this ends well, with one it must not."""
    _call(ATTEMPTS["keyctl"])
    return 0


def _call(attempt: Attempt) -> int:
    number = attempt.x86_64 if platform.machine() == "x86_64" else attempt.aarch64
    return _confine.syscall(number, *attempt.arguments)


def verdict(attempt: Attempt, answer: str, end_signal: int | None) -> str:
    """What is wrong with how an attempt ended; "" when the filter blocked it.

    Args:
        attempt: What was tried.
        answer: What the worker wrote, "" when it wrote nothing.
        end_signal: The signal that ended it.
    """
    if attempt.softly and answer == str(-errno.EPERM):
        return ""
    if not answer and end_signal == signal.SIGSYS:
        return ""
    if not answer:
        return f"ended by signal {end_signal} instead of the filter"
    number = int(answer)
    what = f"failed with {errno.errorcode.get(-number, number)}" if number < 0 else "worked"
    return f"{what}: the call reached the kernel"
