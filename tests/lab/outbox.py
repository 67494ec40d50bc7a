"""Packets that wait for their moment, shared by the forwarder and the responder."""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import struct

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_TAP, _IFF_NO_PI = 1, 2, 0x1000


class Outbox:
    """A heap of (moment, descriptor, bytes); equal moments leave in the order they came."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, bytes]] = []
        self._count = 0

    def put(self, due_s: float, descriptor: int, data: bytes) -> None:
        """Keep data until `due_s` (on the monotonic clock)."""
        self._count += 1
        heapq.heappush(self._heap, (due_s, self._count, descriptor, data))

    def wait_s(self, now_s: float) -> float | None:
        """How long until something is due; None when nothing waits."""
        return max(0.0, self._heap[0][0] - now_s) if self._heap else None

    def send_due(self, now_s: float) -> None:
        """Write what is due. A device that is down or full loses it, as a cable would."""
        heap = self._heap
        while heap and heap[0][0] <= now_s:
            _, _, descriptor, data = heapq.heappop(heap)
            with contextlib.suppress(OSError):
                os.write(descriptor, data)


def open_device(name: str, *, ethernet: bool) -> int:
    """Make a TAP (Ethernet) or TUN (IP) device in the thread's namespace; it lives while open."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    flags = (_IFF_TAP if ethernet else _IFF_TUN) | _IFF_NO_PI
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def report_ready() -> None:
    """Tell the lab, through the descriptor it handed over, that this server is ready."""
    descriptor = int(os.environ["ONVP_LAB_READY_FD"])
    os.write(descriptor, b"ready\n")
    os.close(descriptor)


def hurry() -> None:
    """Ask for a better place in the scheduler, so that delays are kept on a busy machine."""
    with contextlib.suppress(PermissionError):
        os.nice(-15)
