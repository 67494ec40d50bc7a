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


class DealiasMethod(IntEnum):
    """Which alias resolution technique."""

    MIDAREST = 6
    MIDARDISC = 7


class DealiasResult(IntEnum):
    """How an alias resolution measurement ended."""

    NONE = 0
    HALTED = 3
    ERROR = 5


class ProbeMethod(IntEnum):
    """How a probe looks."""

    ICMP_ECHO = 1
    TCP_ACK = 2
    UDP = 3
    TCP_ACK_SPORT = 4
    UDP_DPORT = 5
    TCP_SYN_SPORT = 6

    @property
    def is_udp(self) -> bool:
        """Whether the probe is a UDP datagram."""
        return self in (ProbeMethod.UDP, ProbeMethod.UDP_DPORT)

    @property
    def is_tcp(self) -> bool:
        """Whether the probe is a TCP segment."""
        return self in (ProbeMethod.TCP_ACK, ProbeMethod.TCP_ACK_SPORT, ProbeMethod.TCP_SYN_SPORT)


@dataclass(frozen=True)
class Probedef:
    """What is sent to one address. Ports are 0 for ICMP, `icmp_id` and `icmp_sum` for the others."""

    method: ProbeMethod
    dst: Address | None
    src: Address | None = None
    ttl: int = 64
    tos: int = 0
    size: int = 0
    mtu: int = 0
    sport: int = 0
    dport: int = 0
    icmp_id: int = 0
    icmp_sum: int = 0


@dataclass(frozen=True)
class DealiasReply:
    """A reply to a probe."""

    rx_us: int
    src: Address
    ipid: int
    ttl: int
    size: int
    proto: int
    icmp_type: int
    icmp_code: int
    q_ttl: int
    tcp_flags: int


@dataclass
class DealiasProbe:
    """A probe that was sent: which definition, in which round."""

    which: int
    round: int
    tx_us: int
    ipid: int
    replies: list[DealiasReply] = field(default_factory=list)


@dataclass(frozen=True)
class Round:
    """A round of midardisc: when it starts, and the first and last definition that it probes."""

    start_us: int
    begin: int
    end: int


@dataclass
class Dealias:
    """A midarest or midardisc measurement."""

    userid: int
    method: DealiasMethod
    start_us: int
    probedefs: tuple[Probedef, ...]
    wait_timeout_us: int
    rounds: int = 0
    wait_probe_us: int = 0
    wait_round_us: int = 0
    schedule: tuple[Round, ...] = ()
    startat_us: int = 0
    result: DealiasResult = DealiasResult.NONE
    errmsg: str = ""
    probes: list[DealiasProbe] = field(default_factory=list)


class OwampResult(IntEnum):
    """How an owamp measurement ended."""

    DONE = 1
    HALTED = 2
    ERROR = 3
    NOCONN = 4
    NOTACCEPTED = 5
    NOMODE = 6
    TIMEOUT = 7


@dataclass(frozen=True)
class OwampRx:
    """A test packet that arrived; `errest` is the receiver's error estimate, as the protocol has it."""

    stamp_us: int
    errest: int | None
    dscp: int | None
    ttl: int | None


@dataclass
class OwampTx:
    """A test packet that was sent (`sent` False: the sender says that it was not)."""

    seq: int
    sched_us: int
    stamp_us: int
    errest: int | None = None
    sent: bool = True
    rxs: list[OwampRx] = field(default_factory=list)


@dataclass
class Owamp:
    """An owamp measurement. `receives`: the target sends, and we receive."""

    userid: int
    dst: Address
    receives: bool
    schedule_us: tuple[int, ...]
    attempts: int
    size: int
    dscp: int
    ttl: int
    zero: bool
    wait_timeout_us: int
    start_us: int
    startat_us: int = 0
    src: Address | None = None
    hsrtt_us: int = 0
    udp_sport: int = 0
    udp_dport: int = 0
    result: OwampResult = OwampResult.ERROR
    errmsg: str = ""
    txs: list[OwampTx] = field(default_factory=list)
