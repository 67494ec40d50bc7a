"""Clock and datagrams: what the measurements share of the operating system.

Receive times are the kernel's (SO_TIMESTAMPNS), so a busy event loop does not make answers look slow.
"""

import asyncio
import os
import socket
import struct
import time
from contextlib import suppress
from ipaddress import ip_address
from typing import Final, NamedTuple

from onvp.sandbox.companion.errors import CannotMeasure, CommandRefused
from onvp.sandbox.companion.options import Address

SO_TIMESTAMPNS: Final = 35
"""socket(7); Python has no name for it. The control message has the same number."""

_IP_PKTINFO: Final = 8
_DATAGRAM_BYTES: Final = 65535


def why(e: OSError) -> str:
    """The system's words for an error; asyncio wraps some of them into its own."""
    return os.strerror(e.errno) if e.errno else str(e)


def now_us() -> int:
    """The time of day in microseconds since the epoch."""
    return time.time_ns() // 1000


def family(a: Address) -> socket.AddressFamily:
    """The socket family of `a`."""
    return socket.AF_INET if a.version == 4 else socket.AF_INET6


def source_to(dst: Address, port: int) -> Address:
    """The address that this host would send from.

    Raises:
        CommandRefused: there is no route.
    """
    with socket.socket(family(dst), socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((str(dst), port))
        except OSError as e:
            raise CommandRefused(f"cannot send to {dst}: {why(e)}") from None
        return ip_address(sock.getsockname()[0])


class Datagram(NamedTuple):
    """One datagram that came in. `ifindex` is 0 where the kernel did not tell."""

    data: bytes
    rx_us: int
    ifindex: int


class Datagrams:
    """A UDP socket connected to one peer: nobody else's datagrams reach it."""

    def __init__(self, dst: Address, port: int, src: Address | None = None) -> None:
        """Open and connect.

        Raises:
            CannotMeasure: this host cannot send there, or not from there.
        """
        self._sock = sock = socket.socket(family(dst), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            if dst.version == 4:
                sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            if src is not None:
                sock.bind((str(src), 0))
            sock.connect((str(dst), port))
        except OSError as e:
            sock.close()
            raise CannotMeasure(f"could not open udp socket to {dst}: {why(e)}") from None
        name = sock.getsockname()
        self.src: Address = ip_address(name[0])
        self.sport: int = name[1]

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()

    def send(self, data: bytes) -> int:
        """Send, and return when (µs). An ICMP error that waits in the socket is somebody else's news.

        Raises:
            CannotMeasure: the kernel would not take it.
        """
        for _ in range(3):
            tx_us = now_us()
            try:
                self._sock.send(data)
            except (ConnectionRefusedError, BlockingIOError):
                continue
            except OSError as e:
                raise CannotMeasure(f"could not send: {why(e)}") from None
            return tx_us
        return tx_us

    def take(self) -> Datagram | None:
        """The next datagram that is there already, or None. ICMP errors are passed over."""
        while True:
            try:
                data, ancillary, _, _ = self._sock.recvmsg(_DATAGRAM_BYTES, 256)
            except BlockingIOError:
                return None
            except OSError:
                continue
            return Datagram(data, *_told(ancillary))

    async def receive(self, deadline: float) -> Datagram | None:
        """The next datagram before `deadline` (the loop's clock), or None."""
        loop = asyncio.get_running_loop()
        while True:
            if (found := self.take()) is not None:
                return found
            left = deadline - loop.time()
            if left <= 0:
                return None
            await readable(self._sock, left)


def _told(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int]:
    rx_us, ifindex = now_us(), 0
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, ns = struct.unpack("@qq", data[:16])
            rx_us = seconds * 1_000_000 + ns // 1000
        elif level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            (ifindex,) = struct.unpack("@i", data[:4])
        elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            (ifindex,) = struct.unpack("@i", data[16:20])
    return rx_us, ifindex


async def readable(sock: socket.socket, timeout_s: float) -> None:
    """Return when `sock` can be read or the time is over."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sock, wake)
    timer = loop.call_later(timeout_s, wake)
    try:
        await ready
    finally:
        timer.cancel()
        loop.remove_reader(sock)


def interface_name(ifindex: int) -> str | None:
    """The name of an interface, or None if it is not known (any more)."""
    with suppress(OSError, OverflowError):
        return socket.if_indextoname(ifindex)
    return None
