"""The system calls that a worker may make, each with its reason, and the filter program made from
them.

The table is the policy; `assemble` turns it into classic BPF for seccomp(2). Three answers exist:

    allow         the call is in ALLOWED and its checked arguments have the listed values
    EPERM         the call is in DENIED_SOFTLY: a lazy import then becomes a Python exception with
                  a line number
    kill process  everything else, the wrong architecture and x86-64's x32 numbers: the worker dies
                  of SIGSYS

Newer x86-64 kernels let two calls past every filter, uretprobe and uprobe (335, 336). They serve code that
the kernel itself puts into a traced process; a program that calls them gets SIGILL or ENXIO, nothing else.

The program checks the architecture first, because numbers mean other calls on another one (seccomp(2)).
Numbers are those of asm/unistd_64.h (x86-64) and asm-generic/unistd.h (aarch64).
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Check:
    """`argument & mask` must be one of `values`; with `whole`, its upper 32 bits must be zero.

    The kernel itself looks at the lower half only of what it declares as int: a descriptor, a
    clock, a futex operation.
    """

    argument: int
    mask: int
    values: tuple[int, ...]
    whole: bool = False


@dataclass(frozen=True)
class Allowed:
    """A call that remains, why, and which arguments it remains with."""

    name: str
    reason: str
    checks: tuple[Check, ...] = ()


CHANNEL: Final = 3  # the only descriptor of a worker: its socket to the broker
_EXACT: Final = 0xFFFF_FFFF
_ON_CHANNEL: Final = (Check(0, _EXACT, (CHANNEL,)),)
# Clocks 0 to 7 are the machine's and the caller's own; a negative id is another process's.
_PLAIN_CLOCK: Final = (Check(0, 0xFFFF_FFF8, (0,)),)

ALLOWED: Final = (
    Allowed("read", "answers of the broker, on descriptor 3", _ON_CHANNEL),
    Allowed("write", "calls to the broker, on descriptor 3", _ON_CHANNEL),
    Allowed("close", "end of the conversation, on descriptor 3", _ON_CHANNEL),
    Allowed("poll", "wait for the broker with a time limit: one entry", (Check(1, ~1 & _EXACT, (0,)),)),
    Allowed("ppoll", "what poll is on aarch64: one entry", (Check(1, ~1 & _EXACT, (0,), whole=True),)),
    Allowed("brk", "the allocator's small blocks"),
    Allowed(
        "mmap",
        "the allocator's large blocks: fresh private memory that is never code",
        (
            Check(2, ~3 & _EXACT, (0,), whole=True),  # PROT_READ and PROT_WRITE at most
            # of MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS, MAP_HUGETLB exactly the middle two
            Check(3, 0x1 | 0x2 | 0x20 | 0x4_0000, (0x22,)),
        ),
    ),
    Allowed("munmap", "gives memory back"),
    Allowed("mremap", "grows large lists and strings without copying"),
    Allowed(
        "futex",
        "locks of the interpreter: wait and wake only, none of the operations with a history",
        # FUTEX_WAIT, WAKE, WAIT_BITSET, WAKE_BITSET beside FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME
        (Check(1, ~(128 | 256) & _EXACT, (0, 1, 9, 10)),),
    ),
    Allowed("getrandom", "os.urandom: random, uuid, secrets of hash seeds"),
    Allowed("clock_gettime", "time, where the vDSO has no clock (Xen, some ARM)", _PLAIN_CLOCK),
    Allowed("clock_getres", "time.get_clock_info, likewise", _PLAIN_CLOCK),
    Allowed("clock_nanosleep", "time.sleep", _PLAIN_CLOCK),
    Allowed("getpid", "the logging module notes it; inside a pid namespace it says nothing"),
    Allowed("restart_syscall", "the kernel goes on with a sleep after a stop or a machine's suspend"),
    Allowed("exit_group", "the end"),
)

DENIED_SOFTLY: Final = (
    "openat", "open", "newfstatat", "stat", "fstat", "lstat", "ioctl", "lseek", "readlink",
    "readlinkat", "access", "faccessat", "getcwd", "uname", "mprotect", "madvise",
)  # fmt: skip

X86_64: Final[Mapping[str, int]] = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7,
    "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "ioctl": 16, "access": 21,
    "mremap": 25, "madvise": 28, "getpid": 39, "uname": 63, "getcwd": 79, "readlink": 89,
    "futex": 202, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "openat": 257, "newfstatat": 262, "readlinkat": 267,
    "faccessat": 269, "getrandom": 318,
}  # fmt: skip

AARCH64: Final[Mapping[str, int]] = {
    "getcwd": 17, "ioctl": 29, "faccessat": 48, "openat": 56, "close": 57, "lseek": 62, "read": 63,
    "write": 64, "ppoll": 73, "readlinkat": 78, "newfstatat": 79, "fstat": 80, "exit_group": 94,
    "futex": 98, "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115,
    "restart_syscall": 128, "uname": 160, "getpid": 172, "brk": 214, "munmap": 215, "mremap": 216,
    "mmap": 222, "mprotect": 226, "madvise": 233, "getrandom": 278,
}  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """What the filter must know of a processor: its audit number (linux/audit.h) and its calls."""

    audit: int
    numbers: Mapping[str, int]
    x32_from: int | None = None  # from this number on, calls of the 32-bit ABI with 64-bit registers
    has_poll: bool = False


ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "x86_64": Architecture(0xC000_003E, X86_64, x32_from=0x4000_0000, has_poll=True),
    "aarch64": Architecture(0xC000_00B7, AARCH64),
}

KILL: Final = 0x8000_0000  # SECCOMP_RET_KILL_PROCESS
ALLOW: Final = 0x7FFF_0000  # SECCOMP_RET_ALLOW
REFUSE: Final = 0x0005_0000 | errno.EPERM  # SECCOMP_RET_ERRNO

# Instructions of classic BPF (linux/bpf_common.h), on struct seccomp_data: nr 0, arch 4, arguments from 16.
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_JUMP_EQUAL, _JUMP_AT_LEAST = 0x15, 0x35
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def here() -> Architecture:
    """The architecture of this machine, or an error that names those we know."""
    machine = platform.machine()
    if machine not in ARCHITECTURES or struct.calcsize("P") != 8:
        known = ", ".join(ARCHITECTURES)
        raise NotImplementedError(f"no system-call table for {machine}; there is one for {known}")
    return ARCHITECTURES[machine]


def allowed_on(architecture: Architecture) -> tuple[Allowed, ...]:
    """The allowed calls that exist there; aarch64 has no poll, x86-64 does not need ppoll."""
    unneeded = "ppoll" if architecture.has_poll else "poll"
    return tuple(call for call in ALLOWED if call.name != unneeded)


def denied_on(architecture: Architecture) -> tuple[str, ...]:
    """The softly denied calls that exist there."""
    return tuple(name for name in DENIED_SOFTLY if name in architecture.numbers)


def assemble(architecture: Architecture) -> bytes:
    """The filter as packed struct sock_filter, ready for the kernel."""
    return b"".join(struct.pack("=HBBI", *i) for i in _instructions(architecture))


def _instructions(architecture: Architecture) -> Iterator[Instruction]:
    numbers = architecture.numbers
    yield (_LOAD, 0, 0, _ARCHITECTURE_AT)
    yield (_JUMP_EQUAL, 1, 0, architecture.audit)
    yield (_RETURN, 0, 0, KILL)
    yield (_LOAD, 0, 0, _NUMBER_AT)
    if architecture.x32_from is not None:
        yield (_JUMP_AT_LEAST, 0, 1, architecture.x32_from)
        yield (_RETURN, 0, 0, KILL)
    for call in allowed_on(architecture):
        block = [i for check in call.checks for i in _check(check)] + [(_RETURN, 0, 0, ALLOW)]
        yield (_JUMP_EQUAL, 0, len(block), numbers[call.name])
        yield from block
    for name in denied_on(architecture):
        yield (_JUMP_EQUAL, 0, 1, numbers[name])
        yield (_RETURN, 0, 0, REFUSE)
    yield (_RETURN, 0, 0, KILL)


def _check(check: Check) -> Iterator[Instruction]:
    """Falls through when the argument is right, returns KILL when not. Both machines are little-endian."""
    low = _ARGUMENTS_AT + 8 * check.argument
    if check.whole:
        yield (_LOAD, 0, 0, low + 4)
        yield (_JUMP_EQUAL, 1, 0, 0)
        yield (_RETURN, 0, 0, KILL)
    yield (_LOAD, 0, 0, low)
    yield (_AND, 0, 0, check.mask)
    for position, value in enumerate(check.values):
        yield (_JUMP_EQUAL, len(check.values) - position, 0, value)
    yield (_RETURN, 0, 0, KILL)


def describe(architecture: Architecture) -> str:
    """The table for people: each allowed call with its reason, then the softly denied ones."""
    lines = [f"{call.name:16} {call.reason}" for call in allowed_on(architecture)]
    lines.append(f"EPERM for: {', '.join(denied_on(architecture))}")
    lines.append("everything else ends the process (SIGSYS)")
    return "\n".join(lines)
