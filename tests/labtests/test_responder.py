"""The stage's actors keep their habits; asked with packets, without a network."""

from __future__ import annotations

import socket
import struct

import pytest

from tests.lab import packets, plan
from tests.lab.packets import Packet
from tests.lab.responder import Stage

SOURCE4 = socket.inet_aton(plan.VP1.v4)
SOURCE6 = socket.inet_pton(socket.AF_INET6, plan.VP1.v6)


def probe(host: plan.Host, version: int = 4, *, ttl: int = 60, size: int = 20, ident: int = 7) -> Packet:
    """An echo request as the TUN device would deliver it."""
    if version == 4:
        source, target, kind, protocol = SOURCE4, socket.inet_aton(host.v4), 8, packets.ICMP4
    else:
        target = socket.inet_pton(socket.AF_INET6, host.v6)
        source, kind, protocol = SOURCE6, 128, packets.ICMP6
    body = packets.icmp_message(source, target, kind, 0, struct.pack("!HH", ident, 1), bytes(size))
    parsed = packets.parse(packets.ip_packet(source, target, protocol, body, ttl=ttl))
    assert parsed is not None
    return parsed


def udp_probe(host: plan.Host) -> Packet:
    """A datagram to a high port."""
    target = socket.inet_aton(host.v4)
    body = packets.udp_message(SOURCE4, target, (5000, 33435), b"ask")
    parsed = packets.parse(packets.ip_packet(SOURCE4, target, packets.UDP, body))
    assert parsed is not None
    return parsed


def idents(stage: Stage, *hosts: plan.Host) -> list[int]:
    """The IPIDs of the answers to one probe each."""
    replies = [stage.answers(probe(host))[0][1] for host in hosts]
    return [struct.unpack("!H", reply[4:6])[0] for reply in replies]


def test_router_a_shares_one_counter() -> None:
    """Two addresses of a router answer from one sequence, in the order of the probes."""
    one, two, three = idents(Stage(), plan.ALIAS_A1, plan.ALIAS_A2, plan.ALIAS_A1)
    assert (two, three) == (one + 1, one + 2)


def test_router_s_counts_in_swapped_order() -> None:
    """Router S's numbers advance by one when their bytes are swapped."""
    one, two = idents(Stage(), plan.ALIAS_S1, plan.ALIAS_S2)
    first, second = struct.unpack("<HH", struct.pack(">HH", one, two))
    assert second == first + 1


def test_others_do_not_share() -> None:
    """The zero, fast and own counters are what their names say."""
    stage = Stage()
    assert idents(stage, plan.IPID_ZERO, plan.IPID_ZERO) == [0, 0]
    fast = idents(stage, plan.IPID_FAST, plan.IPID_FAST)
    assert fast[1] - fast[0] == 900
    own, alias, again = idents(stage, plan.IPID_OWN, plan.ALIAS_A1, plan.IPID_OWN)
    assert again == own + 1
    assert alias not in {own, again}


def test_the_seed_makes_chance_repeatable() -> None:
    """Two stages with one seed draw the same random IPIDs, different from a third's."""
    hosts = [plan.IPID_RANDOM] * 8
    assert idents(Stage(1), *hosts) == idents(Stage(1), *hosts) != idents(Stage(2), *hosts)


@pytest.mark.parametrize("version", [4, 6])
def test_habits_of_timing_and_number(version: int) -> None:
    """Slow is slow, twice answers twice, half answers every second time, silent never."""
    stage = Stage()
    assert stage.answers(probe(plan.SLOW, version))[0][0] == pytest.approx(0.080)
    assert len(stage.answers(probe(plan.TWICE, version))) == 2
    assert [len(stage.answers(probe(plan.HALF, version))) for _ in range(4)] == [0, 1, 0, 1]
    assert stage.answers(probe(plan.SILENT, version)) == []


def test_mercator_sees_the_main_address() -> None:
    """A UDP probe to router A's second address is answered from its first."""
    reply = packets.parse(Stage().answers(udp_probe(plan.ALIAS_A2))[0][1])
    assert reply is not None
    assert socket.inet_ntoa(reply.source) == plan.ALIAS_A1.v4
    assert reply.payload[:2] == bytes([3, 3])


def test_three_answers_to_a_datagram() -> None:
    """The udpprobe target answers three times, each with what it was asked."""
    replies = [packets.parse(raw) for _, raw in Stage().answers(udp_probe(plan.THREE_ANSWERS))]
    assert [r.payload[8:] for r in replies if r] == [b"answer %d of ask" % n for n in range(3)]


@pytest.mark.parametrize("version", [4, 6])
def test_mpls_hops_carry_label_stacks(version: int) -> None:
    """The second virtual hop's error has an RFC 4950 object at the length the header gives."""
    reply = packets.parse(Stage().answers(probe(plan.MPLS, version, ttl=2))[0][1])
    assert reply is not None
    units = reply.payload[5] * 4 if version == 4 else reply.payload[4] * 8
    extension = reply.payload[8 + units :]
    assert extension[0] >> 4 == 2
    assert packets.checksum(extension) == 0
    assert extension[4:8] == struct.pack("!HBB", 8, 1, 1)
    assert struct.unpack("!I", extension[8:12])[0] >> 12 == 1000


def test_large_v6_replies_fragment_after_packet_too_big() -> None:
    """Once told that a packet was too big, an address answers in fragments from its counter."""
    stage = Stage()
    assert len(stage.answers(probe(plan.ALIAS_A1, 6, size=1300))) == 1
    target = socket.inet_pton(socket.AF_INET6, plan.ALIAS_A1.v6)
    told = packets.icmp_message(SOURCE6, target, 2, 0, struct.pack("!I", 1280), bytes(48))
    assert stage.answers(packets.parse(packets.ip_packet(SOURCE6, target, 58, told)) or probe(plan.SILENT)) == []
    fragments = [raw for _, raw in stage.answers(probe(plan.ALIAS_A1, 6, size=1300))]
    assert [raw[6] for raw in fragments] == [packets.FRAGMENT, packets.FRAGMENT]
    assert fragments[0][44:48] == fragments[1][44:48]


def test_paths_narrow_and_swallow() -> None:
    """The narrow path says that a packet is too big; the hole says nothing."""
    stage = Stage()
    reply = packets.parse(stage.answers(probe(plan.NARROW, ttl=5, size=1400))[0][1])
    assert reply is not None
    assert (reply.payload[0], reply.payload[1]) == (3, 4)
    assert struct.unpack("!H", reply.payload[6:8])[0] == 1300
    assert stage.answers(probe(plan.MTU_HOLE, ttl=9, size=1400)) == []
    assert len(stage.answers(probe(plan.MTU_HOLE, ttl=9, size=20))) == 1


@pytest.mark.parametrize("version", [4, 6])
def test_errors_and_replies_are_not_answered(version: int) -> None:
    """An echo reply or an ICMP error sent to an actor brings no answer (RFC 1122)."""
    asked = probe(plan.IPID_OWN, version)
    reply = packets.icmp_message(asked.source, asked.target, 0 if version == 4 else 129, 0, bytes(4), b"")
    sent = packets.parse(packets.ip_packet(asked.source, asked.target, asked.protocol, reply + bytes(8)))
    assert sent is not None
    assert Stage().answers(sent) == []


@pytest.mark.parametrize("raw", [b"", b"\x45" + bytes(10), b"\x60" * 41, bytes(100)])
def test_what_is_no_packet_is_none(raw: bytes) -> None:
    """Short or foreign bytes are not taken for a packet."""
    assert packets.parse(raw) is None
