"""An entry point that runs whatever Python the broker's end sends, ctypes included: the language wall is off.

The whole source comes over the channel, ended by a NUL byte. It is run with `say(text)`, which writes to
the channel, `syscall(number, *arguments)`, the kernel's answer, negative for an errno, and a few modules
that were loaded in the zygote.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import random
import resource
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

# Code that was made before the walls: tests of the other calling conventions need some.
CODE = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
CODE_AT = ctypes.addressof(ctypes.c_char.from_buffer(CODE))
if platform.machine() == "x86_64":
    # push rbx; eax = number; ebx, ecx, edx = three arguments; int 0x80; pop rbx; ret
    CODE[:17] = bytes.fromhex("53 89f8 89f3 4189c9 89d1 4489ca cd80 5b c3")


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """The kernel's answer to a call with numbers and buffers."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *passed)
    return -ctypes.get_errno() if result == -1 else result


def preload() -> None:
    """Touch what is otherwise set up at first use."""
    syscall(39)
    traceback.format_exc()
    "localhost".encode("idna")
    time.localtime()


def run(channel: int) -> int:
    """Read the source, run it, tell an uncaught exception."""
    source = b""
    while not source.endswith(b"\0"):
        part = os.read(channel, 65_536)
        if not part:
            return 0
        source += part

    def say(text: object) -> None:
        os.write(channel, f"{text}\n".encode())

    names = {
        "say": say, "syscall": syscall, "ctypes": ctypes, "errno": errno, "mmap": mmap, "os": os,
        "signal": signal, "socket": socket, "struct": struct, "sys": sys, "threading": threading,
        "time": time, "random": random, "select": select,
        "resource": resource, "libc": _libc, "CODE_AT": CODE_AT,
    }  # fmt: skip
    try:
        exec(compile(source[:-1], "<native>", "exec"), names)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Exception as error:
        say(f"!{type(error).__name__}: {error}")
        if isinstance(error, MemoryError):
            raise
        return 1
    return 0


def fails_to_load() -> None:
    """A preload that goes wrong."""
    raise RuntimeError("the modules are not there")


def warm_for_long() -> None:
    """Use more CPU time than the test's limit."""
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass


def memory_hog(_channel: int) -> int:
    """Raise MemoryError out of the entry point."""
    raise MemoryError


def raises(_channel: int) -> int:
    """An entry point with a bug."""
    raise ValueError("a bug")
