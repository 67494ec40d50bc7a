"""IPv4, IPv6, ICMP, UDP and TCP packets as the responder needs them: parse and build, no I/O.

Layouts: RFC 791, 8200, 792, 4443, 768, 9293; ICMP extensions: RFC 4884; MPLS object: RFC 4950.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

ICMP4: Final = 1
TCP: Final = 6
UDP: Final = 17
FRAGMENT: Final = 44
ICMP6: Final = 58

RST, SYN, ACK = 0x04, 0x02, 0x10


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as it came in; `payload` starts at the transport header."""

    version: int
    raw: bytes
    source: bytes
    target: bytes
    protocol: int
    ttl: int
    payload: bytes

    @property
    def is_echo(self) -> bool:
        """Whether this is an ICMP echo request."""
        if self.version == 4:
            return self.protocol == ICMP4 and self.payload[:1] == b"\x08"
        return self.protocol == ICMP6 and self.payload[:1] == b"\x80"

    @property
    def is_timestamp(self) -> bool:
        """Whether this is an ICMP timestamp request (IPv4 only)."""
        return self.version == 4 and self.protocol == ICMP4 and self.payload[:1] == b"\x0d"

    @property
    def flow(self) -> int:
        """A number that per-flow balancers would go by: addresses, protocol, first four bytes."""
        key = self.source + self.target + bytes([self.protocol]) + self.payload[:4]
        number = 2166136261  # FNV-1a
        for byte in key:
            number = (number ^ byte) * 16777619 & 0xFFFFFFFF
        return number ^ number >> 15


def parse(raw: bytes) -> Packet | None:
    """A whole IP packet; None for what is not one or too short to have a transport header."""
    if len(raw) >= 28 and raw[0] >> 4 == 4:
        header = (raw[0] & 15) * 4
        if len(raw) < header + 8:
            return None
        return Packet(4, raw, raw[12:16], raw[16:20], raw[9], raw[8], raw[header:])
    if len(raw) >= 48 and raw[0] >> 4 == 6:
        protocol, payload = raw[6], raw[40:]
        if protocol == FRAGMENT:
            protocol, payload = payload[0], payload[8:]
        return Packet(6, raw, raw[8:24], raw[24:40], protocol, raw[7], payload)
    return None


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) & 1:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _pseudo(source: bytes, target: bytes, protocol: int, length: int) -> bytes:
    if len(source) == 4:
        return source + target + struct.pack("!BBH", 0, protocol, length)
    return source + target + struct.pack("!II", length, protocol)


def _with_checksum(data: bytes, at: int, prefix: bytes = b"") -> bytes:
    return data[:at] + struct.pack("!H", checksum(prefix + data)) + data[at + 2 :]


def ip_packet(
    source: bytes, target: bytes, protocol: int, payload: bytes, *,
    ident: int = 0, ttl: int = 64, tos: int = 0, dont_fragment: bool = False,
) -> bytes:  # fmt: skip
    """An IP packet of the version that the addresses have."""
    if len(source) == 4:
        flags = 0x4000 if dont_fragment else 0
        header = struct.pack("!BBHHHBBH", 0x45, tos, 20 + len(payload), ident & 0xFFFF, flags, ttl, protocol, 0)
        return _with_checksum(header + source + target, 10) + payload
    head = struct.pack("!IHBB", 0x60000000 | tos << 20, len(payload), protocol, ttl)
    return head + source + target + payload


def icmp_message(source: bytes, target: bytes, kind: int, code: int, rest: bytes, body: bytes) -> bytes:
    """An ICMP or ICMPv6 message (no IP header); `rest` is the second word."""
    message = struct.pack("!BBH", kind, code, 0) + rest + body
    if len(source) == 4:
        return _with_checksum(message, 2)
    return _with_checksum(message, 2, _pseudo(source, target, ICMP6, len(message)))


def udp_message(source: bytes, target: bytes, ports: tuple[int, int], data: bytes) -> bytes:
    """A UDP datagram from the first port to the second."""
    message = struct.pack("!HHHH", *ports, 8 + len(data), 0) + data
    return _with_checksum(message, 6, _pseudo(source, target, UDP, len(message)))


def tcp_message(
    source: bytes, target: bytes, ports: tuple[int, int], flags: int, seq: int, ack: int,
    options: bytes = b"",
) -> bytes:  # fmt: skip
    """A TCP segment without data."""
    offset = (5 + len(options) // 4) << 4
    message = struct.pack("!HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, offset, flags, 65535, 0, 0)
    message += options
    return _with_checksum(message, 16, _pseudo(source, target, TCP, len(message)))


def icmp_error(
    packet: Packet, source: bytes, kind: int, code: int, *,
    rest: bytes = b"\0\0\0\0", objects: bytes = b"", quoted_ttl: int = 1,
) -> bytes:  # fmt: skip
    """An ICMP error that quotes a packet, with RFC 4884 extension objects if there are any."""
    quote = bytearray(packet.raw)
    if packet.version == 4:
        quote[8] = quoted_ttl
        quote[:20] = _with_checksum(bytes(quote[:10]) + b"\0\0" + bytes(quote[12:20]), 10)
        size, unit, field = 548, 4, 1
    else:
        quote[7] = quoted_ttl
        size, unit, field = 1232, 8, 0
    if not objects:
        return icmp_message(source, packet.source, kind, code, rest, bytes(quote[:size]))
    body = bytes(quote[:128]).ljust(128, b"\0")
    rest = rest[:field] + bytes([128 // unit]) + rest[field + 1 :]
    body += _with_checksum(b"\x20\0\0\0" + objects, 2)
    return icmp_message(source, packet.source, kind, code, rest, body)


def mpls_object(*entries: tuple[int, int, int, int]) -> bytes:
    """An RFC 4950 object: entries of (label, traffic class, bottom of stack, TTL)."""
    stack = b"".join(
        struct.pack("!I", label << 12 | cls << 9 | bottom << 8 | ttl) for label, cls, bottom, ttl in entries
    )
    return struct.pack("!HBB", 4 + len(stack), 1, 1) + stack


def interface_object(index: int, name: str) -> bytes:
    """An RFC 5837 object: the incoming interface, by index and name."""
    label = name.encode()
    padded = bytes([4 * ((len(label) + 4) // 4)]) + label
    padded = padded.ljust(padded[0], b"\0")
    return struct.pack("!HBBI", 8 + len(padded), 2, 0x0A, index) + padded
