"""What was measured, as plain values: one class per record type, filled by one module, encoded by `warts`.

Times are microseconds since the epoch (`*_us`) or lengths of time in microseconds; 0 means "not there",
as it does in the records. Stop reasons are upstream's numbers.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Union

from onvp.sandbox.companion.options import Address


class HostStop(IntEnum):
    """Why a dns measurement ended."""

    DONE = 1
    TIMEOUT = 2
    HALTED = 3
    ERROR = 4


@dataclass(frozen=True)
class Soa:
    """The data of an SOA record."""

    mname: bytes
    rname: bytes
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


@dataclass(frozen=True)
class Mx:
    """The data of an MX record."""

    preference: int
    exchange: bytes


@dataclass(frozen=True)
class Txt:
    """The strings of a TXT record."""

    strings: tuple[bytes, ...]


@dataclass(frozen=True)
class Opt:
    """The options of an OPT record: (code, data)."""

    elements: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True)
class Svcb:
    """The data of an SVCB or HTTPS record; parameters are (key, value)."""

    priority: int
    target: bytes
    params: tuple[tuple[int, bytes], ...]


RrData = Union[Address, bytes, Soa, Mx, Txt, Opt, Svcb]  # noqa: UP007  (a bytes is a name: NS, CNAME, PTR)


@dataclass(frozen=True)
class Rr:
    """A resource record; `data` is None for types that nobody reads."""

    name: bytes
    rclass: int
    rtype: int
    ttl: int
    data: RrData | None


@dataclass
class Query:
    """One query that was sent and what came back."""

    ident: int
    tx_us: int
    rx_us: int = 0
    rcode: int = 0
    flags: int = 0
    sections: tuple[tuple[Rr, ...], tuple[Rr, ...], tuple[Rr, ...]] = ((), (), ())


@dataclass
class Host:
    """A dns measurement."""

    userid: int
    src: Address | None
    dst: Address
    start_us: int
    flags: int
    wait_ms: int
    retries: int
    qtype: int
    qclass: int
    qname: bytes
    ecs: bytes | None
    stop: HostStop = HostStop.ERROR
    errmsg: str = ""
    queries: list[Query] = field(default_factory=list)


class HttpStop(IntEnum):
    """Why an http measurement ended."""

    HALTED = 1
    NOCONN = 2
    DONE = 3
    ERROR = 4
    TIMEOUT = 5
    INSECURE = 6


class BufKind(IntEnum):
    """What a piece of an http exchange is; the high bit tells that we sent it."""

    RX_DATA = 0
    RX_HEADER = 1
    RX_TLS = 2
    TX_HEADER = 0x81
    TX_TLS = 0x82


@dataclass(frozen=True)
class Buf:
    """A piece of an http exchange, as it was sent or received."""

    kind: BufKind
    at_us: int
    data: bytes


@dataclass
class Http:
    """An http or https measurement."""

    userid: int
    dst: Address
    dport: int
    https: bool
    host: bytes
    file: bytes
    headers: tuple[bytes, ...]
    insecure: bool
    maxtime_us: int
    start_us: int
    src: Address | None = None
    sport: int = 0
    hsrtt_us: int = 0
    stop: HttpStop = HttpStop.ERROR
    errmsg: str = ""
    bufs: list[Buf] = field(default_factory=list)


class UdpprobeStop(IntEnum):
    """Why a udpprobe measurement ended."""

    DONE = 1
    HALTED = 2
    ERROR = 3


@dataclass(frozen=True)
class UdpReply:
    """A datagram that answered a probe."""

    rx_us: int
    data: bytes
    ifname: str | None


@dataclass
class UdpProbe:
    """A probe that was sent, each from its own port."""

    tx_us: int
    sport: int
    replies: list[UdpReply] = field(default_factory=list)


@dataclass
class Udpprobe:
    """A udpprobe measurement."""

    userid: int
    src: Address | None
    dst: Address
    dport: int
    payload: bytes
    attempts: int
    stop_count: int
    exit_first: bool
    wait_timeout_us: int
    wait_probe_us: int
    start_us: int
    stop: UdpprobeStop = UdpprobeStop.ERROR
    errmsg: str = ""
    probes: list[UdpProbe] = field(default_factory=list)
