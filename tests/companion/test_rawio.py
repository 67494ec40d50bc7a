"""The compiled part: packets are built right, and whatever comes in is read within its bounds."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.native import _rawio
from onvp.sandbox.companion import rawfilter
from onvp.sandbox.companion.rawworker import open_sockets

SRC, DST = 0xC0000201, 0xC6336401


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.mark.parametrize("size", [40, 60, 1400])
@pytest.mark.parametrize("method", range(1, 7))
def test_probes(method: int, size: int) -> None:
    """Each probe has a right IP header and a right checksum; ICMP and UDP have the one that was asked for."""
    packet = _rawio.probe(
        method, SRC, DST, ttl=9, tos=4, size=size, ipid=0xABAB, a=5000, b=80, checksum=0x1234, seq=7, ack=8
    )

    assert len(packet) == size
    version, tos, total, ipid, flags, ttl, proto, _, src, dst = struct.unpack("!BBHHHBBHII", packet[:20])
    assert (version, tos, total, ipid, flags, ttl, src, dst) == (0x45, 4, size, 0xABAB, 0x4000, 9, SRC, DST)
    assert checksum(packet[:20]) == 0xFFFF
    body = packet[20:]
    pseudo = packet[12:20] + struct.pack("!HH", proto, len(body))
    if method == _rawio.ICMP_ECHO:
        assert struct.unpack("!BBHHH", body[:8]) == (8, 0, 0x1234, 5000, 80)
        assert (proto, checksum(body)) == (1, 0xFFFF)
    elif method in (_rawio.UDP, _rawio.UDP_DPORT):
        assert struct.unpack("!HHHH", body[:8]) == (5000, 80, len(body), 0x1234)
        assert (proto, checksum(pseudo + body)) == (17, 0xFFFF)
    else:
        ports_seq_ack = struct.unpack("!HHII", body[:12])
        assert ports_seq_ack == (5000, 80, 7, 8)
        assert body[13] == (2 if method == _rawio.TCP_SYN_SPORT else 16)
        assert (proto, checksum(pseudo + body)) == (6, 0xFFFF)


@pytest.mark.parametrize(
    "changed",
    [
        {"size": 29},
        {"size": 65536},
        {"ttl": 0},
        {"ttl": 256},
        {"ipid": 65536},
        {"a": 65536},
        {"method": 7},
        {"tos": -1},
    ],
)
def test_no_such_probe(changed: dict[str, int]) -> None:
    """What does not fit into a header is not sent in part."""
    facts = {"method": 1, "ttl": 1, "tos": 0, "size": 30, "ipid": 1, "a": 1, "b": 1} | changed
    method = facts.pop("method")
    with pytest.raises(ValueError, match="no such"):
        _rawio.probe(method, SRC, DST, **facts)


def quoted(probe: bytes, kind: int = 3, keep: int = 28, src: int = DST, dst: int = SRC) -> bytes:
    """An ICMP error about `probe` from its destination."""
    body = struct.pack("!BBHI", kind, 3, 0, 0) + probe[:keep]
    return struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(body), 777, 0, 55, 1, 0, src, dst) + body


def test_replies_are_read() -> None:
    """Errors, echo replies and segments tell what a probe is found by."""
    probe = _rawio.probe(3, SRC, DST, ttl=9, tos=0, size=30, ipid=0xABAB, a=5000, b=33435)
    error = _rawio.parse(quoted(probe), 5)
    assert error is not None
    assert (error.proto, error.icmp_type, error.icmp_code, error.src, error.ipid) == (1, 3, 3, DST, 777)
    assert (error.q_dst, error.q_proto, error.q_ipid, error.q_a, error.q_b) == (DST, 17, 0xABAB, 5000, 33435)
    assert (error.q_ttl, error.ttl, error.size, error.rx_ns) == (9, 55, 56, 5)
    echo = _rawio.probe(1, SRC, DST, ttl=9, tos=0, size=30, ipid=1, a=77, b=3)
    about_echo = _rawio.parse(quoted(echo, kind=11))
    assert about_echo is not None
    assert (about_echo.q_proto, about_echo.q_a, about_echo.q_b) == (1, 77, 3)
    answer = bytearray(echo)
    answer[20] = 0
    reply = _rawio.parse(bytes(answer))
    assert reply is not None
    assert (reply.icmp_type, reply.a, reply.b) == (0, 77, 3)
    segment = _rawio.parse(_rawio.probe(2, DST, SRC, ttl=60, tos=0, size=40, ipid=9, a=80, b=5000))
    assert segment is not None
    assert (segment.proto, segment.src, segment.a, segment.b, segment.tcp_flags) == (6, DST, 80, 5000, 16)


@pytest.mark.parametrize("keep", range(28))
def test_short_quotes(keep: int) -> None:
    """An error that quotes too little is passed over."""
    probe = _rawio.probe(3, SRC, DST, ttl=9, tos=0, size=30, ipid=0xABAB, a=5000, b=33435)
    assert _rawio.parse(quoted(probe, keep=keep)) is None or keep >= 24


@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are a packet or nothing; so is each beginning of a real one with any end."""
    _rawio.parse(data)
    probe = _rawio.probe(3, SRC, DST, ttl=9, tos=0, size=30, ipid=0xABAB, a=5000, b=33435)
    for whole in (probe, quoted(probe)):
        _rawio.parse(whole[: len(data)] + data)


def test_waiting() -> None:
    """A wait ends at its deadline and not before, and at once when something can be read."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        deadline = _rawio.monotonic_ns() + 5_000_000
        assert _rawio.wait([ours.fileno()], deadline) == 0
        assert _rawio.monotonic_ns() >= deadline
        theirs.send(b"x")
        far = _rawio.monotonic_ns() + 3_600_000_000_000
        assert _rawio.wait([theirs.fileno(), ours.fileno()], far) == 2


def seen_ports(receiving: socket.socket) -> list[tuple[int, int]]:
    """(protocol, destination port or ICMP type) of what arrives within a fifth of a second."""
    seen = []
    deadline = _rawio.monotonic_ns() + 200_000_000
    while _rawio.wait([receiving.fileno()], deadline):
        packet = _rawio.receive(receiving.fileno())
        if packet and packet.src == FROM:
            seen.append((packet.proto, packet.b if packet.proto == 6 else packet.icmp_type))
    return seen


FROM, TO = 0x7F63_0002, 0x7F63_0001  # addresses of loopback that nobody else uses


def test_filter() -> None:
    """The kernel passes on only replies to us: TCP to the ports that were asked for, three sorts of ICMP."""
    sending, receiving = open_sockets()
    with sending, receiving:
        packets = [
            _rawio.probe(2, FROM, TO, ttl=1, tos=0, size=40, ipid=1, a=1, b=port)
            for port in (4, 5, 7, 10, 11, 599, 600, 601, 59_999, 60_000, 65_535)
        ]
        probe = _rawio.probe(3, TO, FROM, ttl=1, tos=0, size=30, ipid=1, a=1, b=2)
        packets += [quoted(probe, kind=kind, src=FROM, dst=TO) for kind in (0, 3, 5, 11)]
        packets.append(_rawio.probe(3, FROM, TO, ttl=1, tos=0, size=30, ipid=1, a=1, b=7))
        for program, expected in (
            (rawfilter.NOTHING, []),
            (rawfilter.replies([]), [(1, 0), (1, 3), (1, 11)]),
            (
                rawfilter.replies([(5, 10), (600, 600), (60_000, 65_535)]),
                [*((6, port) for port in (5, 7, 10, 600, 60_000, 65_535)), (1, 0), (1, 3), (1, 11)],
            ),
            (rawfilter.replies([(7, 7)] * 99), [(6, 7), (1, 0), (1, 3), (1, 11)]),
        ):
            _rawio.attach_filter(receiving.fileno(), program)
            for packet in packets:
                _rawio.send(sending.fileno(), packet, TO)
            assert seen_ports(receiving) == expected
        _rawio.attach_filter(receiving.fileno(), rawfilter.NOTHING)
        assert seen_ports(receiving) == []
        assert _rawio.receive(receiving.fileno()) is None


@pytest.mark.parametrize("program", [b"", b"1234567", bytes(8) * 4097])
def test_no_filter(program: bytes) -> None:
    """What is no filter program is refused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, pytest.raises((ValueError, OSError)):
        _rawio.attach_filter(s.fileno(), program)
