"""A small OWAMP server (RFC 4656, unauthenticated) that keeps to the protocol, or breaks it as told."""

import socket
import struct
import time
from contextlib import suppress

from tests.companion.tcp_server import Handler

EPOCH_S = 2_208_988_800


def stamp(t: float) -> bytes:
    """A time of day in the protocol's form."""
    return struct.pack("!II", int(t) + EPOCH_S, int((t % 1) * 2**32))


def exactly(conn: socket.socket, size: int) -> bytes:
    """The next `size` bytes."""
    data = b""
    while len(data) < size:
        more = conn.recv(size - len(data))
        if not more:
            raise OSError("closed")
        data += more
    return data


def padded(data: bytes) -> bytes:
    """To a multiple of 16 bytes."""
    return data.ljust((len(data) + 15) // 16 * 16, b"\0")


def owamp_server(mood: str = "") -> Handler:
    """What the server does wrong: nomode, busy, refuse, portless, drop, twice, skip, bigstop, bigfetch, badstop."""

    def handle(conn: socket.socket) -> None:
        conn.sendall(bytes(12) + struct.pack("!I", 4 if mood == "nomode" else 7) + bytes(48))
        exactly(conn, 164)
        conn.sendall(bytes(15) + (b"\1" if mood == "busy" else b"\0") + bytes(16) + stamp(time.time()) + bytes(8))
        request = exactly(conn, 112)
        slots, packets, _, their_port = struct.unpack("!IIHH", request[4:16])
        schedule = exactly(conn, 16 * slots + 16)
        if mood == "refuse":
            conn.sendall(b"\5" + bytes(47))
            return
        family = conn.family
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.bind((conn.getsockname()[0], 0))
            session = bytes(range(16))
            port = 0 if mood == "portless" else udp.getsockname()[1]
            conn.sendall(struct.pack("!BBH", 0, 0, port) + session + bytes(28))
            exactly(conn, 32)
            conn.sendall(bytes(32))
            if request[2]:
                send(conn, udp, (conn.getpeername()[0], their_port), packets, session)
            else:
                receive(conn, udp, packets, request + schedule)

    def stop(block: bytes) -> bytes:
        kind = 9 if mood == "badstop" else 3
        return struct.pack("!BBHI", kind, 0, 0, 1 if block else 0) + bytes(8) + padded(block) + bytes(16)

    def send(conn: socket.socket, udp: socket.socket, to: tuple[str, int], packets: int, session: bytes) -> None:
        for seq in range(packets):
            if mood == "skip" and seq == 1:
                continue
            data = struct.pack("!I", seq) + stamp(time.time()) + b"\x80\x01" + bytes(20)
            for _ in range(2 if mood == "twice" else 1):
                udp.sendto(data, to)
            udp.sendto(struct.pack("!I", 0xFFFFFFFF) + data[4:], to)
            udp.sendto(b"short", to)
        ranges = struct.pack("!II", 1, 2) if mood == "skip" else b""
        count = 0x10000000 if mood == "bigstop" else len(ranges) // 8
        conn.sendall(stop(session + struct.pack("!II", packets, count) + ranges))
        conn.recv(1)

    def receive(conn: socket.socket, udp: socket.socket, packets: int, request: bytes) -> None:
        records = b""
        udp.settimeout(5)
        for _ in range(packets):
            data = udp.recv(2048)
            seq = data[:4]
            record = seq + data[12:14] + b"\x80\x02" + data[4:12] + stamp(time.time()) + b"\xfe"
            if mood != "drop" or seq[3] != 1:
                records += record * (2 if mood == "twice" else 1)
        conn.sendall(stop(b""))
        exactly(conn, 64 + 48)
        count = 0x10000000 if mood == "bigfetch" else len(records) // 25
        head = struct.pack("!BBHIII", 0, 1, 0, packets, 0, count) + bytes(16)
        with suppress(OSError):
            conn.sendall(head + request + bytes(16) + padded(records) + bytes(16))
            conn.recv(1)

    return handle
