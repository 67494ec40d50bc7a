"""Network namespaces, close to the kernel: enter, configure, list and end them.

Theory of operation
    `inside` moves the calling thread into a namespace and back. Whatever is made in between
    (a socket, a TUN device, a child process) belongs to that namespace for good, so one program
    can hold sockets in many of them, and no helper process per namespace is needed.
    /proc/sys/net shows the settings of the thread's namespace: `write_settings` refuses to run
    anywhere but inside a lab namespace, so the host's settings cannot be touched by a slip.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.lab.errors import LabError

RUN_NETNS = Path("/run/netns")
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

# linux/ethtool.h: rx and tx checksums, scatter-gather, tso, gso, gro, each switched by one command
_SIOCETHTOOL = 0x8946
_OFFLOADS = (0x15, 0x17, 0x19, 0x1F, 0x24, 0x2C)


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise LabError(f"cannot enter a network namespace: {os.strerror(code)}")


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Run a block of code in a namespace; the thread comes back whatever happens."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            there = os.open(RUN_NETNS / namespace, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise LabError(f"there is no namespace {namespace}: is the lab up?") from None
        try:
            _setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


def run_ip(arguments: list[str], lines: Iterable[str] = ()) -> str:
    """Run `ip`, with a batch on its standard input if lines are given.

    Raises:
        LabError: with what `ip` said and the line it said it about.
    """
    batch = list(lines)
    argv = ["ip", *arguments, *(["-batch", "-"] if batch else [])]
    done = subprocess.run(argv, input="\n".join(batch), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        what = done.stderr.strip()
        number = what.rpartition("-:")[2]
        line = f" (line: {batch[int(number) - 1]})" if number.isdigit() and batch else ""
        raise LabError(f"`{' '.join(argv)}` failed: {what}{line}")
    return done.stdout


def write_settings(namespace: str, settings: Mapping[str, str]) -> None:
    """Write kernel settings (below /proc/sys/net) in a namespace; absent ones are passed over."""
    with inside(namespace):
        for name, value in settings.items():
            # Older kernels keep some of these for the whole machine: then they are absent here.
            with contextlib.suppress(FileNotFoundError):
                Path("/proc/sys/net", name).write_text(value)


def switch_offloads_off(namespace: str) -> None:
    """Make every interface send the lengths and checksums that a cable would carry."""
    with inside(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        for _, iface in socket.if_nameindex():
            for command in _OFFLOADS:
                value = ctypes.create_string_buffer(struct.pack("=II", command, 0), 8)
                request = struct.pack("16sP", iface.encode(), ctypes.addressof(value))
                try:
                    fcntl.ioctl(handle, _SIOCETHTOOL, request.ljust(40, b"\0"))
                except OSError as problem:
                    if problem.errno not in {errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV}:
                        raise


def list_namespaces(prefix: str) -> list[str]:
    """The namespaces whose name starts with the prefix."""
    try:
        return sorted(p.name for p in RUN_NETNS.iterdir() if p.name.startswith(prefix))
    except FileNotFoundError:
        return []


def start_time(pid: int) -> int | None:
    """When a process started (clock ticks since boot), to tell it from a later one; None if gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def processes(namespaces: Iterable[str]) -> dict[int, str]:
    """Every live process in the namespaces, by pid, with the name of its namespace."""
    inodes: dict[tuple[int, int], str] = {}
    for name in namespaces:
        with contextlib.suppress(OSError):
            about = (RUN_NETNS / name).stat()
            inodes[about.st_dev, about.st_ino] = name
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            about = (entry / "ns/net").stat()
            home = inodes.get((about.st_dev, about.st_ino))
            if home is not None and start_time(int(entry.name)) is not None:
                found[int(entry.name)] = home
    found.pop(os.getpid(), None)
    return found


def end_processes(namespaces: list[str], deadline_s: float = 10.0) -> None:
    """Kill what runs in the namespaces and wait until it is gone.

    Nothing in the lab has anything worth saving, so there is no polite round first. A pid is looked
    at again through a pidfd before the signal, so a number that was reused is never hit.
    """
    until = time.monotonic() + deadline_s
    while victims := processes(namespaces):
        if time.monotonic() > until:
            raise LabError(f"processes that do not die: {sorted(victims)}; look at them with ps")
        handles = []
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                handles.append((pid, os.pidfd_open(pid)))
        still = processes(namespaces)
        for pid, handle in handles:
            if still.get(pid) == victims[pid]:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
        for _, handle in handles:
            _wait_for_exit(handle, until)
            os.close(handle)


def _wait_for_exit(handle: int, until: float) -> None:
    """A pidfd becomes readable when its process has ended."""
    select.select([handle], [], [], max(0.0, until - time.monotonic()))


def delete_namespaces(namespaces: Iterable[str]) -> None:
    """Delete namespaces; a leftover file that is no longer a mount is removed as well."""
    for name in namespaces:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        with contextlib.suppress(FileNotFoundError):
            (RUN_NETNS / name).unlink()
