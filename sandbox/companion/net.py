"""Clock, datagrams and connections: what the measurements share of the operating system.

Receive times are the kernel's (SO_TIMESTAMPNS), so a busy event loop does not make answers look slow.
"""

import asyncio
import errno
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

_IP_PKTINFO, _IP_RECVTTL, _IP_RECVTOS = 8, 12, 13  # ip(7); Python has no names for the first two
_TOLD_4: Final = socket.IPPROTO_IP, (_IP_PKTINFO, _IP_RECVTTL, _IP_RECVTOS)
_TOLD_6: Final = (
    socket.IPPROTO_IPV6,
    (socket.IPV6_RECVPKTINFO, socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVTCLASS),
)
_TTLS: Final = (socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)
_TOSES: Final = (socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, socket.IPV6_TCLASS)
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
    ttl: int | None
    tos: int | None


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
            level, wanted = _TOLD_4 if dst.version == 4 else _TOLD_6
            for option in wanted:
                sock.setsockopt(level, option, 1)
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

    def aim(self, dst: Address, port: int, ttl: int, dscp: int) -> None:
        """Talk to another port from now on, with this TTL and DSCP."""
        if dst.version == 4:
            self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
            self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
        else:
            self._sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
            self._sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
        self._sock.connect((str(dst), port))

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
            await asyncio.sleep(0)  # a flood must not keep the loop from its other work
            if (found := self.take()) is not None:
                return found
            if loop.time() >= deadline:
                return None
            await readable(self._sock, deadline)


def _told(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, int, int | None, int | None]:
    rx_us, ifindex = now_us(), 0
    ttl = tos = None
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, ns = struct.unpack("@qq", data[:16])
            rx_us = seconds * 1_000_000 + ns // 1000
        elif (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            (ifindex,) = struct.unpack("@i", data[:4])
        elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            (ifindex,) = struct.unpack("@i", data[16:20])
        elif (level, kind) in _TTLS:
            (ttl,) = struct.unpack("@i", data[:4])
        elif (level, kind) in _TOSES:
            tos = data[0]
    return rx_us, ifindex, ttl, tos


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def readable(sock: socket.socket, deadline: float) -> None:
    """Return when `sock` can be read or the time (the loop's clock) has come."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(sock, _settle, ready)
    timer = loop.call_at(deadline, _settle, ready) if deadline < float("inf") else None
    try:
        await ready
    finally:
        if timer is not None:
            timer.cancel()
        loop.remove_reader(sock)


def interface_name(ifindex: int) -> str | None:
    """The name of an interface, or None if it is not known (any more)."""
    with suppress(OSError, OverflowError):
        return socket.if_indextoname(ifindex) if ifindex else None
    return None


class Connection:
    """A TCP connection that is being made; the constructor has sent the SYN."""

    def __init__(self, dst: Address, port: int) -> None:
        """Begin to connect.

        Raises:
            CannotMeasure: this host cannot even try.
        """
        self._sock = sock = socket.socket(family(dst), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        error = sock.connect_ex((str(dst), port))
        self._refused = error if error not in (0, errno.EINPROGRESS) else 0
        if self._refused and self._refused != errno.ECONNREFUSED:
            sock.close()
            raise CannotMeasure(f"could not connect: {os.strerror(error)}")
        name = sock.getsockname()
        self.src: Address = ip_address(name[0])
        self.sport: int = name[1]

    async def established(self) -> None:
        """Wait until the connection stands.

        Raises:
            OSError: it was refused, or nobody answered.
        """
        if not self._refused:
            loop = asyncio.get_running_loop()
            ready = loop.create_future()
            loop.add_writer(self._sock, _settle, ready)
            try:
                await ready
            finally:
                loop.remove_writer(self._sock)
            self._refused = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if self._refused:
            raise OSError(self._refused, os.strerror(self._refused))

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        await asyncio.sleep(0)
        if data:
            await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def receive(self, size: int) -> bytes:
        """What the other side sent, at most `size` bytes; empty at its end."""
        await asyncio.sleep(0)  # data that is there already would be taken without a pause, for ever
        return await asyncio.get_running_loop().sock_recv(self._sock, size)

    async def receive_exactly(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            CannotMeasure: the other side closed before.
        """
        data = bytearray()
        while len(data) < size:
            more = await self.receive(size - len(data))
            if not more:
                raise CannotMeasure("the server closed the connection before its answer was complete")
            data += more
        return bytes(data)

    def close(self) -> None:
        """Close."""
        self._sock.close()
