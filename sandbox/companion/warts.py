"""The records that the companion sends: plain values in, warts bytes out.

A record is a header (magic, type, length) and a body. Nearly everything in a body is a *block*: one bit
per field that is present (seven to a byte, the high bit says that another byte follows), the length of
the fields, the fields in the order of their numbers. `block` writes that; each record type below is
its table of fields, by number. Facts: the manual page warts(5) and scamper's field tables of 2026; the
decoder in ``onvp.native`` is the other direction, and the tests hold both against upstream's tools.
"""

import struct
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeVar

from onvp.sandbox.companion.options import Address
from onvp.sandbox.companion.results import (
    Buf,
    Dealias,
    DealiasMethod,
    DealiasProbe,
    DealiasReply,
    Host,
    Http,
    Mx,
    Opt,
    Owamp,
    OwampRx,
    OwampTx,
    Probedef,
    Query,
    Rr,
    RrData,
    Soa,
    Txt,
    Udpprobe,
    UdpReply,
)

T = TypeVar("T")

MAGIC: Final = 0x1205
LIST, CYCLE_START, CYCLE_STOP = 1, 2, 4
DEALIAS, HOST, HTTP, UDPPROBE, OWAMP = 9, 14, 15, 16, 17

LIST_NUMBER: Final = 1
"""Each control connection has one list and one cycle; a decoder numbers both from 1."""

_MOST_PARAMETERS: Final = 0xFFFF


def record(kind: int, *parts: bytes) -> bytes:
    """A whole record out of the parts of its body (a large one is copied once)."""
    return b"".join((struct.pack("!HHI", MAGIC, kind, sum(map(len, parts))), *parts))


def block(*fields: bytes | None) -> bytes:
    """The fields numbered from 1 in their order; a field that is None is left out."""
    bits = 0
    for i, data in enumerate(fields):
        if data is not None:
            bits |= 1 << i
    if not bits:
        return b"\0"
    flags = bytearray()
    while bits:
        flags.append(bits & 0x7F | (0x80 if bits >> 7 else 0))
        bits >>= 7
    data = b"".join(f for f in fields if f is not None)
    if len(data) > _MOST_PARAMETERS:
        raise ValueError(f"the fields of a block take {len(data)} bytes, and {_MOST_PARAMETERS} is the most")
    return bytes(flags) + struct.pack("!H", len(data)) + data


# ---- values; `*_or_none` leaves out what upstream leaves out: zeros and what is not there ----


def u8(v: int) -> bytes:
    """One byte."""
    return struct.pack("!B", v)


def u16(v: int) -> bytes:
    """Two bytes."""
    return struct.pack("!H", v)


def u32(v: int) -> bytes:
    """Four bytes."""
    return struct.pack("!I", v)


def stamp(us: int) -> bytes:
    """A time since the epoch in microseconds."""
    return struct.pack("!II", *divmod(us, 1_000_000))


def text(v: bytes) -> bytes:
    """A string that ends with NUL; what follows an embedded NUL is lost, as it is in scamper."""
    return v.split(b"\0", 1)[0] + b"\0"


def some(put: Callable[[T], bytes], v: T | None) -> bytes | None:
    """What `put` writes for `v`, or None where `v` is None, zero or empty."""
    return put(v) if v else None


class Addresses:
    """The addresses of one record: the first time in full, then by number."""

    def __init__(self) -> None:
        self._numbers: dict[Address, int] = {}

    def __call__(self, a: Address) -> bytes:
        """Write `a`: length, kind (1 IPv4, 2 IPv6) and bytes, or a zero and its number."""
        number = self._numbers.get(a)
        if number is not None:
            return struct.pack("!BI", 0, number)
        self._numbers[a] = len(self._numbers)
        return bytes((len(a.packed), 1 if isinstance(a, IPv4Address) else 2)) + a.packed

    def or_none(self, a: Address | None) -> bytes | None:
        """The same, or None where there is no address."""
        return None if a is None else self(a)


def address(a: Address) -> bytes:
    """An address in full, for the records that have no numbered ones."""
    return Addresses()(a)


# ---- list and cycle ----


def list_record(list_id: int, name: bytes, descr: bytes | None, monitor: bytes | None) -> bytes:
    """The list that the results of a connection belong to."""
    fixed = u32(LIST_NUMBER) + u32(list_id) + text(name)
    return record(LIST, fixed + block(some(text, descr), some(text, monitor)))


def cycle_start(cycle_id: int, start_s: int, hostname: bytes | None) -> bytes:
    """The beginning of the connection's cycle."""
    fixed = u32(LIST_NUMBER) + u32(LIST_NUMBER) + u32(cycle_id) + u32(start_s)
    return record(CYCLE_START, fixed + block(None, some(text, hostname)))


def cycle_stop(stop_s: int) -> bytes:
    """The end of the connection's cycle."""
    return record(CYCLE_STOP, u32(LIST_NUMBER) + u32(stop_s) + block())


# ---- host (dns) ----


def host(r: Host) -> bytes:
    """A dns measurement (type 14)."""
    addr = Addresses()
    head = block(
        u32(LIST_NUMBER),
        u32(LIST_NUMBER),
        some(u32, r.userid),
        addr.or_none(r.src),
        addr(r.dst),
        stamp(r.start_us),
        some(u16, r.flags),
        some(u16, r.wait_ms),
        some(u8, r.stop),
        some(u8, r.retries),
        some(u16, r.qtype),
        some(u16, r.qclass),
        text(r.qname),
        some(u8, len(r.queries)),
        some(text, r.ecs),
        some(text, r.errmsg.encode("ascii", "replace")),
    )
    return record(HOST, head, *(_query(q, addr) for q in r.queries))


def _query(q: Query, addr: Addresses) -> bytes:
    head = block(
        some(stamp, q.tx_us),
        some(stamp, q.rx_us),
        some(u16, q.ident),
        *(some(u16, len(section)) for section in q.sections),
        some(u8, q.rcode),
        some(u8, q.flags),
    )
    return head + b"".join(_rr(rr, addr) for section in q.sections for rr in section)


def _rr(rr: Rr, addr: Addresses) -> bytes:
    head = some(u16, rr.rclass), some(u16, rr.rtype), text(rr.name), some(u32, rr.ttl)
    if rr.data is None:
        return block(*head)
    try:
        return block(*head, _rr_data(rr.data, addr))
    except ValueError:  # more data than a block holds (a TXT of nearly 64 KiB): shown without its data
        return block(*head)


def _rr_data(data: RrData, addr: Addresses) -> bytes:
    if isinstance(data, IPv4Address | IPv6Address):
        return u16(1) + addr(data)
    if isinstance(data, bytes):
        return u16(2) + text(data)
    if isinstance(data, Soa):
        times = (data.serial, data.refresh, data.retry, data.expire, data.minimum)
        return u16(3) + block(text(data.mname), text(data.rname), *(some(u32, t) for t in times))
    if isinstance(data, Mx):
        return u16(4) + block(some(u16, data.preference), text(data.exchange))
    if isinstance(data, Txt):
        strings = b"".join(u8(len(s)) + s for s in data.strings)
        return u16(5) + _counted(len(data.strings), strings)
    if isinstance(data, Opt):
        return u16(6) + _counted(len(data.elements), _pairs(data.elements))
    params = (some(u16, len(data.params)), some(bytes, _pairs(data.params)))
    return u16(7) + block(some(u16, data.priority), text(data.target), *params)


def _counted(count: int, data: bytes) -> bytes:
    return block(some(u16, count), some(bytes, data))


def _pairs(pairs: tuple[tuple[int, bytes], ...]) -> bytes:
    return b"".join(u16(key) + u16(len(value)) + value for key, value in pairs)


# ---- http ----


def http(r: Http) -> bytes:
    """An http measurement (type 15)."""
    usual_port = 443 if r.https else 80
    headers = u8(len(r.headers)) + b"".join(text(h) for h in r.headers)
    head = block(
        u32(LIST_NUMBER),
        u32(LIST_NUMBER),
        some(u32, r.userid),
        None if r.src is None else address(r.src),
        address(r.dst),
        some(u16, r.sport),
        None if r.dport == usual_port else u16(r.dport),
        stamp(r.start_us),
        some(u8, r.stop),
        None if r.https else u8(1),
        text(r.host),
        text(r.file),
        headers if r.headers else None,
        some(u32, len(r.bufs)),
        some(u32, r.hsrtt_us),
        some(u32, int(r.insecure)),
        some(stamp, r.maxtime_us),
        some(text, r.errmsg.encode("ascii", "replace")),
    )
    return record(HTTP, head, *map(_buf, r.bufs))


def _buf(b: Buf) -> bytes:
    return block(some(u8, b.kind), some(stamp, b.at_us), some(u16, len(b.data)), some(bytes, b.data))


# ---- udpprobe ----


class _Interfaces:
    """The interface names of one record: the first time in full, then by number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __call__(self, name: str) -> bytes:
        number = self._numbers.get(name)
        if number is not None:
            return u8(number)
        number = len(self._numbers) + 1
        if number > _MOST_INTERFACES:
            return u8(0) + text(name.encode())
        self._numbers[name] = number
        return u8(number) + text(name.encode())


_MOST_INTERFACES: Final = 254


def udpprobe(r: Udpprobe) -> bytes:
    """A udpprobe measurement (type 16). The first probe's port and count stand among the fields."""
    first = r.probes[0] if r.probes else None
    names = _Interfaces()
    head = block(
        u32(LIST_NUMBER),
        u32(LIST_NUMBER),
        some(u32, r.userid),
        None if r.src is None else address(r.src),
        address(r.dst),
        u16(first.sport) if first else None,
        some(u16, r.dport),
        stamp(r.start_us),
        some(u32, r.wait_timeout_us),
        some(u8, int(r.exit_first)),
        some(u8, r.stop),
        some(u16, len(r.payload)),
        some(bytes, r.payload),
        some(u8, len(first.replies)) if first else None,
        None if r.attempts == 1 else u8(r.attempts),
        None if len(r.probes) == 1 else u8(len(r.probes)),
        some(u8, r.stop_count),
        u16(first.sport) if first and r.attempts == 1 else None,
        some(u32, r.wait_probe_us),
        some(text, r.errmsg.encode("ascii", "replace")),
    )
    rest = []
    for probe in r.probes:
        if probe is not first:
            rest.append(block(stamp(probe.tx_us), u16(probe.sport), some(u8, len(probe.replies))))
        rest += [_udp_reply(reply, names) for reply in probe.replies]
    return record(UDPPROBE, head, *rest)


def _udp_reply(r: UdpReply, names: _Interfaces) -> bytes:
    return block(
        some(stamp, r.rx_us),
        some(u16, len(r.data)),
        some(bytes, r.data),
        names(r.ifname) if r.ifname else None,
    )


# ---- dealias (midarest, midardisc) ----

_MOST_ROUNDS: Final = 255
_PROTO_ICMP, _PROTO_TCP = 1, 6
_TCP_SYN, _TCP_ACK = 0x02, 0x10


def dealias(r: Dealias) -> bytes:
    """A midarest or midardisc measurement (type 9)."""
    addr = Addresses()
    head = block(
        u32(LIST_NUMBER),
        u32(LIST_NUMBER),
        stamp(r.start_us),
        u8(r.method),
        some(u8, r.result),
        some(u32, len(r.probes)),
        some(u32, r.userid),
        some(text, r.errmsg.encode("ascii", "replace")),
    )
    if r.method is DealiasMethod.MIDAREST:
        method = block(
            u16(len(r.probedefs)),
            u8(min(r.rounds, _MOST_ROUNDS)),
            u32(r.wait_probe_us),
            u32(r.wait_round_us),
            u32(r.wait_timeout_us),
        )
    else:
        rounds = b"".join(stamp(x.start_us) + u32(x.begin) + u32(x.end) for x in r.schedule)
        method = block(
            u32(len(r.probedefs)),
            u32(r.wait_timeout_us),
            u32(len(r.schedule)) + rounds,
            some(stamp, r.startat_us),
        )
    probedefs = [_probedef(i, d, addr) for i, d in enumerate(r.probedefs)]
    return record(DEALIAS, head, method, *probedefs, *(_probe(p, addr) for p in r.probes))


def _probedef(number: int, d: Probedef, addr: Addresses) -> bytes:
    is_icmp = not (d.method.is_tcp or d.method.is_udp)
    flags = _TCP_SYN if d.method.name.startswith("TCP_SYN") else _TCP_ACK
    return block(
        None,
        None,
        some(u32, number),
        u8(d.method),
        u8(d.ttl),
        some(u8, d.tos),
        None if is_icmp else u16(d.sport) + u16(d.dport),
        u8(flags) if d.method.is_tcp else None,
        u16(d.icmp_id) if is_icmp else None,
        addr.or_none(d.dst),
        addr.or_none(d.src),
        some(u16, d.size),
        some(u16, d.mtu),
        some(u16, d.icmp_sum) if is_icmp else None,
    )


def _probe(p: DealiasProbe, addr: Addresses) -> bytes:
    head = block(some(u32, p.which), stamp(p.tx_us), some(u16, len(p.replies)), u16(p.ipid), some(u32, p.round))
    return head + b"".join(_dealias_reply(r, addr) for r in p.replies)


def _dealias_reply(r: DealiasReply, addr: Addresses) -> bytes:
    is_icmp = r.proto == _PROTO_ICMP
    return block(
        None,
        stamp(r.rx_us),
        some(u16, r.ipid),
        u8(r.ttl),
        u8(r.icmp_type) + u8(r.icmp_code) if is_icmp else None,
        u8(r.q_ttl) if is_icmp else None,
        None,
        None if is_icmp else u8(r.proto),
        u8(r.tcp_flags) if r.proto == _PROTO_TCP else None,
        addr(r.src),
        None,
        None,
        some(u16, r.size),
    )


# ---- owamp ----

_TX_NOT_SENT, _TX_ERREST = 0x01, 0x02
_RX_DSCP, _RX_TTL, _RX_ERREST = 0x01, 0x02, 0x04


def owamp(r: Owamp) -> bytes:
    """An owamp measurement (type 17). Defaults are not written: port 861, one slot, ten packets, ..."""
    head = block(
        u32(LIST_NUMBER),
        u32(LIST_NUMBER),
        some(u32, r.userid),
        None if r.src is None else address(r.src),
        address(r.dst),
        None,
        some(u16, int(r.zero)),
        stamp(r.start_us),
        some(stamp, r.startat_us),
        stamp(r.wait_timeout_us),
        None if len(r.schedule_us) == 1 else u32(len(r.schedule_us)),
        None if r.attempts == 10 else u32(r.attempts),
        None if r.size == 42 else u16(r.size),
        some(u8, int(r.receives)),
        some(u8, r.dscp),
        None if r.ttl == 255 else u8(r.ttl),
        some(u32, r.hsrtt_us),
        some(u8, r.result),
        some(text, r.errmsg.encode("ascii", "replace")),
        some(u16, r.udp_sport),
        some(u16, r.udp_dport),
        some(u32, len(r.txs)),
    )
    schedule = [block(stamp(us)) for us in r.schedule_us]
    return record(OWAMP, head, *schedule, *map(_owamp_tx, r.txs))


def _owamp_tx(t: OwampTx) -> bytes:
    flags = (0 if t.sent else _TX_NOT_SENT) | (0 if t.errest is None else _TX_ERREST)
    head = block(
        some(stamp, t.sched_us),
        some(stamp, t.stamp_us),
        some(u32, t.seq),
        some(u16, t.errest),
        some(u8, flags),
        some(u8, len(t.rxs)),
    )
    return head + b"".join(map(_owamp_rx, t.rxs))


def _owamp_rx(x: OwampRx) -> bytes:
    known = ((x.dscp, _RX_DSCP), (x.ttl, _RX_TTL), (x.errest, _RX_ERREST))
    flags = sum(bit for value, bit in known if value is not None)
    return block(stamp(x.stamp_us), some(u16, x.errest), some(u8, flags), some(u8, x.dscp), some(u8, x.ttl))
