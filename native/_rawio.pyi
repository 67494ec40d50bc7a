"""Timed raw probes: wait until a moment, send an IPv4 packet, read what came back. See _rawio.pyx."""

from collections.abc import Sequence
from typing import Final, Literal, final

ICMP_ECHO: Final[int]
TCP_ACK: Final[int]
UDP: Final[int]
TCP_ACK_SPORT: Final[int]
UDP_DPORT: Final[int]
TCP_SYN_SPORT: Final[int]

@final
class Packet:
    rx_ns: Final[int]
    src: Final[int]
    ipid: Final[int]
    ttl: Final[int]
    size: Final[int]
    proto: Final[int]
    a: Final[int]
    b: Final[int]
    tcp_flags: Final[int]
    icmp_type: Final[int]
    icmp_code: Final[int]
    q_dst: Final[int]
    q_ipid: Final[int]
    q_ttl: Final[int]
    q_proto: Final[int]
    q_a: Final[int]
    q_b: Final[int]

def monotonic_ns() -> int: ...
def realtime_ns() -> int: ...
def wait(fds: Sequence[int], deadline_ns: int) -> int: ...
def probe(
    method: int,
    src: int,
    dst: int,
    *,
    ttl: int,
    tos: int,
    size: int,
    ipid: int,
    a: int,
    b: int,
    checksum: int = 0,
    seq: int = 0,
    ack: int = 0,
) -> bytes: ...
def send(fd: int, packet: bytes, dst: int) -> int: ...
def parse(packet: bytes, rx_ns: int = 0) -> Packet | None: ...
def receive(fd: int) -> Packet | Literal[False] | None: ...
def attach_filter(fd: int, program: bytes) -> None: ...
def drop_capabilities() -> None: ...
