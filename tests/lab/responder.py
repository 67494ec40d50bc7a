"""The stage: one process plays some thirty hosts and routers, each with habits of its own.

Theory of operation
    The kernel of the sim node routes the stage's prefixes into a TUN device. `Stage.answers` takes a
    packet and says what is to be sent and when; it does no I/O. The loop at the end reads, asks, and
    lets an `Outbox` send. Linux gives echo replies IPIDs that no alias test can use, so hosts with
    shared, random or constant IPIDs are played here.

    A virtual path is a list of levels. A packet that comes in with TTL n expires at level n; beyond the
    last level it reaches the host. A level has several routers where a balancer splits the path.

Run as `python -m tests.lab.responder` inside the sim namespace.
"""

from __future__ import annotations

import os
import random
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.lab import packets, plan
from tests.lab.outbox import Outbox, hurry, open_device, report_ready
from tests.lab.packets import ACK, ICMP4, ICMP6, RST, SYN, TCP, UDP, Packet

Answer = tuple[float, bytes]
"""Seconds to wait, packet to send."""
Code = tuple[int, int]
"""ICMP type and code."""


class Counter:
    """An IPID that advances with each packet; shared by the addresses of one router."""

    def __init__(self, start: int, step: int = 1, *, swapped: bool = False) -> None:
        self._value, self._step, self._swapped = start, step, swapped

    def __call__(self) -> int:
        self._value = (self._value + self._step) & 0xFFFF or self._step
        if self._swapped:
            return (self._value & 0xFF) << 8 | self._value >> 8
        return self._value


@dataclass(frozen=True)
class Hop:
    """A router on a virtual path: the number of its address, and what its errors carry."""

    number: int
    objects: bytes = b""
    quoted_ttl: int = 1


Level = tuple[Hop | None, ...]
"""The routers at one distance, None for a silent one; the flow (or the packet) chooses."""


@dataclass(frozen=True)
class Path:
    """The routers between the sim node and a host of the stage."""

    levels: tuple[Level, ...]
    per_packet: bool = False
    endless: bool = False
    mtu: int = 65535
    mtu_level: int = 0
    mtu_silent: bool = False


@dataclass(frozen=True)
class Refusal:
    """The ICMP error that a router sends in place of a host's answer."""

    code4: Code
    code6: Code
    rest: bytes = b"\0\0\0\0"


@dataclass(frozen=True)
class Actor:
    """The habits of one address."""

    ident: Callable[[], int] | None = None
    delays_s: tuple[float, ...] = (0.0,)
    jitter_s: float = 0.0
    one_in: int = 1
    echo_from: int | None = None
    udp_error_from: int | None = None
    tos: int = 0
    ttl: int = 64
    silent: bool = False
    accepts_tcp: bool = False
    udp_copies: int = 0
    refusal: Refusal | None = None
    path: Path | None = None


def _path(*numbers: int | None) -> tuple[Level, ...]:
    return tuple((None if n is None else Hop(n),) for n in numbers)


_MPLS_ONE = packets.mpls_object((1000, 0, 1, 1))
_MPLS_TWO = packets.mpls_object((24001, 5, 0, 254), (1048575, 7, 1, 1))
_MPLS_THREE = packets.mpls_object((3, 1, 0, 9), (16, 2, 0, 8), (17, 3, 1, 7))
_INTERFACE = packets.interface_object(17, "eth0/0/1")
GATEWAY = 130
"""The router that reports the stage's unreachable hosts."""


def cast(chance: random.Random) -> dict[int, Actor]:
    """Who plays whom: habits by the number of the address."""
    router_a, router_s = Counter(1000), Counter(300, swapped=True)
    of_a = Actor(router_a, udp_error_from=plan.ALIAS_A1.number)
    casting: dict[plan.Host, Actor] = {
        plan.ALIAS_A1: of_a,
        plan.ALIAS_A2: of_a,
        plan.ALIAS_A3: of_a,
        plan.ALIAS_A4: of_a,
        plan.ALIAS_A18: of_a,
        plan.ALIAS_S1: Actor(router_s),
        plan.ALIAS_S2: Actor(router_s),
        plan.IPID_RANDOM: Actor(lambda: chance.randrange(65536)),
        plan.IPID_ZERO: Actor(lambda: 0),
        plan.IPID_FAST: Actor(Counter(5000, 900)),
        plan.TWICE: Actor(delays_s=(0.0, 0.003)),
        plan.SLOW: Actor(delays_s=(0.080,)),
        plan.ELSEWHERE: Actor(echo_from=122),
        plan.JITTERY: Actor(jitter_s=0.040),
        plan.HALF: Actor(one_in=2),
        plan.MARKED: Actor(tos=0xB8, ttl=200),
        plan.HOST_UNREACHABLE: Actor(refusal=Refusal((3, 1), (1, 3))),
        plan.NET_UNREACHABLE: Actor(refusal=Refusal((3, 0), (1, 0))),
        plan.ADMIN_PROHIBITED: Actor(refusal=Refusal((3, 13), (1, 1))),
        plan.NEEDS_FRAGMENTS: Actor(refusal=Refusal((3, 4), (2, 0), struct.pack("!I", 1280))),
        plan.ACCEPTING: Actor(accepts_tcp=True),
        plan.THREE_ANSWERS: Actor(udp_copies=3),
        plan.SILENT: Actor(silent=True),
        plan.MPLS: Actor(
            path=Path((
                (Hop(151),),
                (Hop(152, _MPLS_ONE),),
                (Hop(153, _MPLS_TWO, quoted_ttl=0),),
                (Hop(154, _INTERFACE),),
                (Hop(155, _MPLS_THREE),),
                    (Hop(156, _MPLS_ONE + _INTERFACE),),
            ))
        ),
        plan.CIRCLE: Actor(path=Path(_path(161, 162), endless=True)),
        plan.GAPS: Actor(path=Path(_path(164, None, None, 167))),
        plan.PER_PACKET: Actor(
            path=Path((*_path(174), (Hop(176), Hop(177), Hop(178)), *_path(179)), per_packet=True)
        ),
        plan.NARROW: Actor(path=Path(_path(190, 191, 192, 193), mtu=1300, mtu_level=2)),
        plan.MTU_HOLE: Actor(
            path=Path(_path(195, 196, 197, 198), mtu=1290, mtu_level=3, mtu_silent=True)
        ),
        plan.WIDE: Actor(
            path=Path((
                *_path(201),
                (Hop(202), Hop(203, _MPLS_ONE), Hop(204)),
                (Hop(206), Hop(207)),
                *_path(208),
            ))
        ),
    }  # fmt: skip
    return {host.number: actor for host, actor in casting.items()}


class Stage:
    """All the actors. `answers` is pure but for counters and the seeded generator."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._actors = cast(self._chance)
        self._counters: dict[int, Counter] = {}
        self._seen: dict[tuple[bytes, bytes], int] = {}
        self._fragmenting: set[int] = set()
        self._numbers: dict[bytes, int] = {}
        self._addresses: dict[tuple[int, int], bytes] = {}
        for number in range(1, 255):
            for version, family, text in (
                (4, socket.AF_INET, plan.STAGE.v4(number)),
                (6, socket.AF_INET6, plan.STAGE.v6(number)),
            ):
                packed = socket.inet_pton(family, text)
                self._numbers[packed] = number
                self._addresses[version, number] = packed

    def answers(self, packet: Packet) -> list[Answer]:
        """What a packet brings about."""
        number = self._numbers.get(packet.target)
        if number is None or self._note_too_big(packet, number) or self._is_no_probe(packet):
            return []
        actor = self._actors.get(number, Actor())
        who = (packet.source, packet.target)
        seen = self._seen[who] = self._seen.get(who, 0) + 1
        if actor.path is not None:
            on_the_way = self._travel(packet, actor.path, seen)
            if on_the_way is not None:
                return on_the_way
        if actor.silent or seen % actor.one_in:
            return []
        if actor.refusal is not None:
            return [(0.0, self._refuse(packet, actor.refusal))]
        return list(self._perform(packet, number, actor))

    def _note_too_big(self, packet: Packet, number: int) -> bool:
        """A Packet Too Big (RFC 8201) makes the address fragment large IPv6 replies from now on."""
        told = packet.protocol == ICMP6 and packet.payload[0] == 2
        if told:
            self._fragmenting.add(number)
        return told

    @staticmethod
    def _is_no_probe(packet: Packet) -> bool:
        """Errors and replies are never answered (RFC 1122, 3.2.2), nor are bare resets."""
        if packet.protocol in {ICMP4, ICMP6}:
            return not (packet.is_echo or packet.is_timestamp)
        return packet.protocol == TCP and bool(packet.payload[13:14] and packet.payload[13] & RST)

    def _ident(self, number: int) -> int:
        actor = self._actors.get(number)
        if actor is not None and actor.ident is not None:
            return actor.ident()
        counter = self._counters.setdefault(number, Counter(number * 256))
        return counter()

    def _error(self, packet: Packet, number: int, code: Code, rest: bytes, hop: Hop | None = None) -> bytes:
        source = self._addresses[packet.version, number]
        message = packets.icmp_error(
            packet, source, *code, rest=rest,
            objects=hop.objects if hop else b"",
            quoted_ttl=hop.quoted_ttl if hop else packet.ttl,
        )  # fmt: skip
        protocol = ICMP4 if packet.version == 4 else ICMP6
        return packets.ip_packet(source, packet.source, protocol, message, ident=self._ident(number), ttl=255)

    def _refuse(self, packet: Packet, refusal: Refusal) -> bytes:
        code = refusal.code4 if packet.version == 4 else refusal.code6
        return self._error(packet, GATEWAY, code, refusal.rest)

    def _travel(self, packet: Packet, path: Path, seen: int) -> list[Answer] | None:
        """What happens on a virtual path; None if the packet arrives at its end."""
        levels = len(path.levels)
        if path.mtu_level and packet.ttl >= path.mtu_level and len(packet.raw) > path.mtu:
            if path.mtu_silent:
                return []
            hop = path.levels[path.mtu_level - 1][0]
            assert hop is not None
            code = (3, 4) if packet.version == 4 else (2, 0)
            return [(0.0, self._error(packet, hop.number, code, struct.pack("!I", path.mtu)))]
        if packet.ttl > levels and not path.endless:
            return None
        level = path.levels[(packet.ttl - 1) % levels]
        chooser = seen if path.per_packet else packet.flow
        hop = level[chooser % len(level)]
        if hop is None:
            return []
        code = (11, 0) if packet.version == 4 else (3, 0)
        return [(0.0005, self._error(packet, hop.number, code, b"\0\0\0\0", hop))]

    def _perform(self, packet: Packet, number: int, actor: Actor) -> Iterator[Answer]:
        """The answers of a host, late and in copies as its habits have it."""
        for delay in actor.delays_s:
            late = delay + (self._chance.uniform(0.0, actor.jitter_s) if actor.jitter_s else 0.0)
            for reply in self._reply(packet, number, actor):
                yield late, reply

    def _reply(self, packet: Packet, number: int, actor: Actor) -> Iterator[bytes]:
        here, there = packet.target, packet.source
        protocol = packet.protocol
        if packet.is_echo and actor.echo_from is not None:
            here = self._addresses[packet.version, actor.echo_from]
        if packet.is_echo:
            kind = 0 if packet.version == 4 else 129
            body = packets.icmp_message(here, there, kind, 0, packet.payload[4:8], packet.payload[8:])
            if packet.version == 6 and len(body) > 1240 and number in self._fragmenting:
                yield from self._fragments(number, here, there, body)
                return
        elif packet.is_timestamp:
            now = struct.pack("!I", int(time.time() % 86400 * 1000))
            rest = packet.payload[8:12] + now + now
            body = packets.icmp_message(here, there, 14, 0, packet.payload[4:8], rest)
        elif protocol == UDP:
            yield from self._reply_udp(packet, number, actor)
            return
        elif protocol == TCP and len(packet.payload) >= 20:
            body = self._reply_tcp(packet, actor)
        else:
            return
        yield packets.ip_packet(here, there, protocol, body, ident=self._ident(number), tos=actor.tos, ttl=actor.ttl)

    def _reply_udp(self, packet: Packet, number: int, actor: Actor) -> Iterator[bytes]:
        if not actor.udp_copies:
            code = (3, 3) if packet.version == 4 else (1, 4)
            # Addresses of one router share the counter, so it does not matter whose is drawn from.
            yield self._error(packet, actor.udp_error_from or number, code, b"\0\0\0\0")
            return
        source_port, target_port = struct.unpack("!HH", packet.payload[:4])
        for copy in range(actor.udp_copies):
            data = b"answer %d of " % copy + packet.payload[8:]
            body = packets.udp_message(packet.target, packet.source, (target_port, source_port), data)
            yield packets.ip_packet(packet.target, packet.source, UDP, body, ident=self._ident(number))

    @staticmethod
    def _reply_tcp(packet: Packet, actor: Actor) -> bytes:
        source_port, target_port, seq, ack = struct.unpack("!HHII", packet.payload[:12])
        flags = packet.payload[13]
        ports = (target_port, source_port)
        here, there = packet.target, packet.source
        if flags & SYN and not flags & ACK:
            if actor.accepts_tcp:
                mss = b"\x02\x04\x05\xb4"
                return packets.tcp_message(here, there, ports, SYN | ACK, 0x01020304, seq + 1, mss)
            return packets.tcp_message(here, there, ports, RST | ACK, 0, seq + 1)
        return packets.tcp_message(here, there, ports, RST, ack, 0)

    def _fragments(self, number: int, here: bytes, there: bytes, body: bytes) -> Iterator[bytes]:
        """Two IPv6 fragments with an identification from the router's counter (speedtrap)."""
        ident = self._ident(number)
        half = 1208
        for offset, chunk, more in ((0, body[:half], 1), (half, body[half:], 0)):
            header = struct.pack("!BBHI", ICMP6, 0, offset | more, ident)
            yield packets.ip_packet(here, there, packets.FRAGMENT, header + chunk)


def main() -> None:
    """Open the device, say so, play."""
    hurry()
    device = open_device("tun0", ethernet=False)
    report_ready()
    stage, outbox = Stage(), Outbox()
    while True:
        readable, _, _ = select.select([device], [], [], outbox.wait_s(time.monotonic()))
        if readable:
            for _ in range(64):
                try:
                    raw = os.read(device, 65536)
                except BlockingIOError:
                    break  # any other error: the device is gone with its namespace, and so are we
                packet = packets.parse(raw)
                if packet is not None:
                    now = time.monotonic()
                    for delay, answer in stage.answers(packet):
                        outbox.put(now + delay, device, answer)
        outbox.send_due(time.monotonic())


if __name__ == "__main__":
    main()
