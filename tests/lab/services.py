"""Small UDP services of the box: echo and its variations, and SNTP (RFC 4330).

Run as `python -m tests.lab.services` inside the box namespace. Each socket is bound to one
address, so that answers leave from the address that was asked.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Final

from tests.lab import plan
from tests.lab.outbox import report_ready

ECHO, THREE, QUIET, EMPTY, LARGE, NTP = 7, 7001, 7002, 7003, 7004, 123
NTP_EPOCH_S: Final = 2208988800
"""Seconds from 1900, where NTP counts from, to 1970."""


def ntp_answer(request: bytes, now_s: float) -> list[bytes]:
    """A stratum 1 server's answer to a client (mode 3); nothing for anything else."""
    if len(request) < 48 or request[0] & 7 != 3:
        return []
    version = request[0] >> 3 & 7
    seconds = int(now_s)
    stamp = struct.pack("!II", seconds + NTP_EPOCH_S & 0xFFFFFFFF, int((now_s - seconds) * 2**32))
    head = struct.pack("!BBbb", version << 3 | 4, 1, 6, -20)
    return [head + b"\0" * 8 + b"LAB\0" + stamp + request[40:48] + stamp + stamp]


SERVICES: Final[dict[int, Callable[[bytes], list[bytes]]]] = {
    ECHO: lambda data: [data],
    THREE: lambda data: [bytes([n]) + data for n in range(3)],
    QUIET: lambda _: [],
    EMPTY: lambda _: [b""],
    LARGE: lambda _: [bytes(range(256)) * 5],
    NTP: lambda data: ntp_answer(data, time.time()),
}


def main() -> None:
    """Bind, say so, answer."""
    serving: dict[int, tuple[socket.socket, Callable[[bytes], list[bytes]]]] = {}
    for host in (plan.BOX, plan.BOX_2):
        for family, address in zip((socket.AF_INET, socket.AF_INET6), host.addresses, strict=True):
            for port, service in SERVICES.items():
                handle = socket.socket(family, socket.SOCK_DGRAM)
                handle.bind((address, port))
                serving[handle.fileno()] = (handle, service)
    report_ready()
    while True:
        for descriptor in select.select(list(serving), [], [])[0]:
            handle, service = serving[descriptor]
            data, caller = handle.recvfrom(65535)
            for answer in service(data):
                handle.sendto(answer, caller)


if __name__ == "__main__":
    main()
