"""The vocabulary: one frozen, typed, bounded structure per measurement primitive.

An action is parsed once, from the plain parameters of a call (`parse`), and is then the only thing that
is judged, charged and rendered into a command line for a prober. Fields bear the names of the script's
API. Times are whole microseconds; addresses are `ipaddress` objects, so two spellings of one address
are one value. ``None`` means "not given": the prober's default, as the field's comment says.

Bounds are those that current scamper enforces (scamper(1), 20260420) unless noted. What one prober
generation cannot express is the prober driver's business, not the vocabulary's.
"""

import ipaddress
import re
import reprlib
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import Meta

from onvp.policies.errors import BadParameter

if TYPE_CHECKING:
    Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
    Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
else:
    # msgspec takes one custom type in a union, so the two families meet in their common base.
    Address = ipaddress._BaseAddress
    Network = ipaddress._BaseNetwork

MS = 1_000
S = 1_000_000

U8 = Annotated[int, Meta(ge=0, le=255)]
U16 = Annotated[int, Meta(ge=0, le=65535)]
U32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Ttl = Annotated[int, Meta(ge=1, le=255)]

UDP_PORT = 33435
"""scamper's default destination port."""


class Cost(msgspec.Struct, frozen=True):
    """What an action can send at worst.

    Attributes:
        packets: how many packets, all attempts and hops counted.
        packet_bytes: the size of each, IP header included.
        gap_us: the least time between two of them; 0 when only the prober's own rate limit bounds it.
    """

    packets: int
    packet_bytes: int
    gap_us: int = 0

    @property
    def bytes(self) -> int:
        """All of it, in bytes."""
        return self.packets * self.packet_bytes

    def packets_within(self, elapsed_us: int, prober_pps: int) -> int:
        """The most packets that can have left within ``elapsed_us``, at a prober limited to ``prober_pps``.

        The trusted side does not decode results, so this bound is how it learns what was *not* sent.
        """
        gap = max(self.gap_us, S // max(prober_pps, 1))
        return min(self.packets, 1 + elapsed_us // gap) if self.packets else 0


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all primitives share."""

    primitive: ClassVar[str]
    varying: ClassVar[frozenset[str]] = frozenset({"udp-dport"})
    """Methods that add to the destination port from probe to probe."""

    userid: U32 = 0

    def targets(self) -> tuple[Address, ...]:
        """Every address that probes will be sent to."""
        raise NotImplementedError

    def ports(self) -> tuple[int, ...]:
        """Every destination port that probes will be sent to; empty where there are none."""
        return ()

    def port_spans(self) -> tuple[tuple[int, int], ...]:
        """The same as spans, wide enough for what a method adds to a port from probe to probe."""
        methods = {getattr(self, "method", None)} | {d.method for d in getattr(self, "probedefs", ())}
        spread = self.cost().packets if methods & self.varying else 0
        return tuple((port, min(port + spread, 65535)) for port in self.ports())

    def cost(self) -> Cost:
        """The worst case."""
        raise NotImplementedError

    def target_packets(self) -> dict[Address, int]:
        """The most packets that each target can get."""
        targets = self.targets()
        share = -(-self.cost().packets // max(len(targets), 1))
        packets: dict[Address, int] = {}
        for target in targets:
            packets[target] = packets.get(target, 0) + share
        return packets


PingMethod = Literal[
    "icmp-echo", "icmp-time", "tcp-syn", "tcp-syn-sport", "tcp-synack", "tcp-ack", "tcp-ack-sport", "tcp-rst",
    "udp", "udp-dport", "udp-sport",
]  # fmt: skip
TraceMethod = Literal["udp-paris", "udp", "icmp-paris", "icmp", "tcp", "tcp-ack"]
TracelbMethod = Literal["udp-dport", "udp-sport", "icmp-echo", "tcp-sport", "tcp-ack-sport"]
TbitMethod = Literal["pmtud", "ecn", "null", "sack-rcvr", "icw", "blind-data", "blind-rst", "blind-syn", "blind-fin"]
ProbeMethod = Literal["udp", "udp-dport", "tcp-ack", "tcp-ack-sport", "tcp-syn-sport", "icmp-echo"]
QueryType = Literal["A", "AAAA", "PTR", "MX", "NS", "SOA", "TXT", "SVCB", "HTTPS"]


def _needs_ports(method: str) -> bool:
    return method.startswith(("tcp", "udp"))


class Ping(Action, frozen=True, kw_only=True):
    """Echo, timestamp, TCP or UDP probes to one address."""

    primitive = "ping"

    dst: Address
    attempts: Port = 4
    stop_count: U16 = 0  # 0: no early end
    wait_probe: Annotated[int, Meta(ge=MS, le=20 * S)] = S
    wait_timeout: Annotated[int, Meta(ge=MS, le=255 * S)] | None = None  # the larger of 1 s and wait_probe
    method: PingMethod = "icmp-echo"
    ttl: Ttl = 64
    tos: U8 = 0
    size: U16 | None = None  # 84/104 (echo), 40 (tcp, udp) …
    payload: Annotated[bytes, Meta(min_length=1, max_length=1000)] | None = None
    sport: U16 | None = None  # from the prober's process id
    dport: U16 | None = None  # 33435
    icmp_id: U16 | None = None
    icmp_seq: U16 | None = None
    icmp_sum: U16 | None = None
    tcp_seq: U32 | None = None
    tcp_ack: U32 | None = None
    tcp_mss: U16 | None = None
    mtu: U16 = 0
    rtr: Address | None = None
    src: Address | None = None
    ip_rr: bool = False
    ip_ts: Literal["tsonly", "tsandaddr"] | Annotated[list[ipaddress.IPv4Address], Meta(min_length=1, max_length=4)] | None = None  # fmt: skip  # noqa: E501
    dltx: bool = False

    def __post_init__(self) -> None:
        icmp = self.method.startswith("icmp")
        _demand(
            not icmp or (self.sport is None and self.dport is None),
            "sport and dport need a tcp or udp method",
        )
        _demand(icmp or (self.icmp_id is None and self.icmp_seq is None and self.icmp_sum is None),
                "icmp_id, icmp_seq and icmp_sum need an icmp method")  # fmt: skip
        _demand(self.tcp_ack is None or self.method.startswith("tcp-ack"), "tcp_ack needs a tcp-ack method")
        _demand(self.tcp_seq is None or self.method.startswith(("tcp-syn", "tcp-rst")),
                "tcp_seq needs a tcp-syn or tcp-rst method")  # fmt: skip
        _demand(self.tcp_mss is None or self.method.startswith("tcp-syn"), "tcp_mss needs a tcp-syn method")
        _demand(self.tcp_ack is None or self.tcp_seq is None, "tcp_ack and tcp_seq exclude each other")
        _demand(self.icmp_sum is None or self.payload is None or len(self.payload) >= 2,
                "icmp_sum needs a payload of at least 2 bytes")  # fmt: skip
        _demand(not (self.ip_rr and self.ip_ts), "ip_rr and ip_ts exclude each other")
        _demand(not ((self.ip_rr or self.ip_ts) and self.dst.version == 6), "ip_rr and ip_ts need an IPv4 dst")
        if self.method == "udp-dport":
            _demand((self.dport or UDP_PORT) + self.attempts - 1 <= 65535, "dport + attempts - 1 passes 65535")
        _demand_family(self.dst, rtr=self.rtr, src=self.src)

    def targets(self) -> tuple[Address, ...]:
        return (self.dst,)

    def ports(self) -> tuple[int, ...]:
        if not _needs_ports(self.method):
            return ()
        first = self.dport if self.dport is not None else UDP_PORT
        if self.method == "udp-dport":
            # One port per attempt: the ends of the span stand for it.
            return (first,) if self.attempts == 1 else (first, first + self.attempts - 1)
        return (first,)

    def port_spans(self) -> tuple[tuple[int, int], ...]:
        ports = self.ports()
        return ((ports[0], ports[-1]),) if ports else ()

    def cost(self) -> Cost:
        header = 20 if self.dst.version == 4 else 40
        size = self.size or header + 20 + max(56, len(self.payload or b""))
        # A pseudo-MTU makes the prober answer large replies with a packet-too-big each.
        packets = self.attempts * (2 if self.mtu else 1)
        return Cost(packets, size, self.wait_probe // (2 if self.mtu else 1))


class Trace(Action, frozen=True, kw_only=True):
    """A traceroute to one address."""

    primitive = "trace"
    varying = frozenset({"udp"})

    dst: Address
    method: TraceMethod = "udp-paris"
    confidence: Literal[95, 99] | None = None
    dport: Port | None = None  # 33435
    sport: U16 | None = None
    icmp_id: U16 | None = None
    icmp_sum: Port | None = None
    firsthop: Ttl = 1
    gaplimit: Ttl = 5
    loops: U8 = 1
    hoplimit: U8 = 0  # 0: up to 255
    pmtud: bool = False
    squeries: Ttl = 1
    ptr: bool = False
    payload: Annotated[bytes, Meta(min_length=1, max_length=1000)] | None = None
    attempts: Annotated[int, Meta(ge=1, le=20)] = 2
    all_attempts: bool = False
    rtr: Address | None = None
    src: Address | None = None
    tos: U8 = 0
    wait_timeout: Annotated[int, Meta(ge=S, le=10 * S, multiple_of=S)] = 5 * S
    wait_probe: Annotated[int, Meta(ge=0, le=2 * S, multiple_of=10 * MS)] = 0

    def __post_init__(self) -> None:
        tcp = self.method.startswith("tcp")
        _demand(_needs_ports(self.method) or (self.sport is None and self.dport is None),
                "sport and dport need a tcp or udp method")  # fmt: skip
        _demand(self.icmp_sum is None or self.method == "icmp-paris", "icmp_sum needs method icmp-paris")
        _demand(self.icmp_id is None or self.method.startswith("icmp"), "icmp_id needs an icmp method")
        _demand(not (self.confidence and self.all_attempts), "confidence and all_attempts exclude each other")
        _demand(self.hoplimit == 0 or self.firsthop <= self.hoplimit, "firsthop is beyond hoplimit")
        _demand(not (self.pmtud and (self.firsthop > 1 or tcp)), "pmtud excludes firsthop > 1 and tcp methods")
        _demand(self.squeries <= self.gaplimit, "squeries is larger than gaplimit")
        _demand(self.squeries == 1 or not tcp, "squeries must be 1 with a tcp method")
        _demand(self.payload is None or not tcp, "payload excludes tcp methods")
        _demand_family(self.dst, rtr=self.rtr, src=self.src)

    def targets(self) -> tuple[Address, ...]:
        return (self.dst,)

    def ports(self) -> tuple[int, ...]:
        return (self.dport or UDP_PORT,) if _needs_ports(self.method) else ()

    def cost(self) -> Cost:
        hops = (self.hoplimit or 255) - self.firsthop + 1
        per_hop = self._per_hop()
        size = (20 if self.dst.version == 4 else 40) + 8 + max(24, len(self.payload or b""))
        packets = hops * per_hop
        if self.pmtud:
            packets, size = packets + 64, 1500
        return Cost(packets, size, self.wait_probe)

    def _per_hop(self) -> int:
        # confidence 99 sends up to 8 probes a hop (the interface enumeration bound for one more neighbour).
        return max(self.attempts, 8) if self.confidence else self.attempts

    def target_packets(self) -> dict[Address, int]:
        # Only the last hops' probes arrive: the trace ends with an answer, or after gaplimit silent hops.
        arriving = self.gaplimit * self._per_hop() + (64 if self.pmtud else 0)
        return {self.dst: min(arriving, self.cost().packets)}


class Tracelb(Action, frozen=True, kw_only=True):
    """Every load-balanced path to one address (MDA)."""

    primitive = "tracelb"

    dst: Address
    confidence: Literal[95, 99] = 95
    dport: Port | None = None
    sport: Port | None = None
    firsthop: Annotated[int, Meta(ge=1, le=254)] = 1
    gaplimit: Annotated[int, Meta(ge=1, le=5)] = 3
    method: TracelbMethod = "udp-dport"
    attempts: Annotated[int, Meta(ge=1, le=5)] = 2
    ptr: bool = False
    rtr: Address | None = None
    tos: U8 = 0
    wait_timeout: Annotated[int, Meta(ge=S, le=10 * S, multiple_of=S)] = 5 * S
    wait_probe: Annotated[int, Meta(ge=150 * MS, le=2 * S, multiple_of=10 * MS)] = 250 * MS

    def __post_init__(self) -> None:
        _demand(_needs_ports(self.method) or (self.sport is None and self.dport is None),
                "sport and dport need a tcp or udp method")  # fmt: skip
        _demand_family(self.dst, rtr=self.rtr)

    def targets(self) -> tuple[Address, ...]:
        return (self.dst,)

    def ports(self) -> tuple[int, ...]:
        return (self.dport or UDP_PORT,) if _needs_ports(self.method) else ()

    def cost(self) -> Cost:
        # scamper(1): tracelb -Q, at most 3000 probes by default.
        return Cost(3000, 60, self.wait_probe // 4)


class Dns(Action, frozen=True, kw_only=True):
    """One DNS question to one server."""

    primitive = "dns"

    qname: Annotated[str, Meta(min_length=1, max_length=254)]
    server: Address | None = None  # the VP's own resolver
    qclass: Literal["IN", "CH"] = "IN"
    qtype: QueryType | None = None  # PTR for an address, else A
    mqtypes: Annotated[list[QueryType], Meta(min_length=1, max_length=8)] | None = None
    attempts: Annotated[int, Meta(ge=1, le=4)] = 1  # queries in all, as upstream's documentation promises
    rd: bool = True
    wait_timeout: Annotated[int, Meta(ge=S, le=5 * S, multiple_of=MS)] = 5 * S
    tcp: bool = False
    nsid: bool = False
    ecs: Network | None = None

    def __post_init__(self) -> None:
        _demand(self.qname.isascii() and all(33 <= ord(c) <= 126 and c not in "'\"\\" for c in self.qname),
                "qname must be printable ASCII without blanks, quotes or backslashes")  # fmt: skip
        _demand(not self.qname.startswith("-"), "qname must not begin with '-'")
        labels = self.qname.rstrip(".").split(".")
        address = _is_address(self.qname)
        _demand(address or self.qname == "." or all(1 <= len(x) <= 63 for x in labels),
                "each label of qname must have 1 to 63 characters")  # fmt: skip
        _demand(self.qtype != "PTR" or address, "qtype PTR needs an IP address as qname")
        _demand(
            not address or self.qtype in {None, "PTR", "TXT"},
            "this qtype needs a name as qname, not an address",
        )
        _demand(not (self.tcp and self.attempts > 1), "attempts must be 1 with tcp")

    def question_type(self) -> str:
        """The type that will be asked for."""
        return self.qtype or ("PTR" if _is_address(self.qname) else "A")

    def targets(self) -> tuple[Address, ...]:
        return () if self.server is None else (self.server,)

    def ports(self) -> tuple[int, ...]:
        return (53,)

    def cost(self) -> Cost:
        questions = len(self.mqtypes) if self.mqtypes else 1
        if self.tcp:
            return Cost(10, 120)
        return Cost(self.attempts * questions, 20 + 8 + 12 + len(self.qname) + 32, 0)


class Http(Action, frozen=True, kw_only=True):
    """One HTTP(S) GET to one address."""

    primitive = "http"

    dst: Address
    url: Annotated[str, Meta(min_length=8, max_length=4096)]
    headers: Annotated[dict[str, str], Meta(max_length=255)] = {}
    insecure: bool = False
    limit_time: Annotated[int, Meta(ge=S, le=60 * S)] = 60 * S
    ech_grease: bool = False
    ech_config_list: Annotated[bytes, Meta(min_length=1, max_length=4096)] | None = None

    def __post_init__(self) -> None:
        _demand(_printable(self.url) and not set(self.url) & set(" '\"\\"),
                "url must be printable ASCII without blanks, quotes or backslashes")  # fmt: skip
        scheme, _, rest = self.url.partition("://")
        _demand(
            scheme.lower() in {"http", "https"} and bool(rest.split("/", 1)[0]),
            "url must be http:// or https:// and have a host",
        )
        _demand("@" not in rest.split("/", 1)[0], "url must not hold a user name")
        _demand(1 <= self._port() <= 65535, "the port of url must be 1 to 65535")
        for name, value in self.headers.items():
            _demand(bool(name) and all(33 <= ord(c) <= 126 and c not in ":'\"\\" for c in name),
                    f"header name {name!r} has characters that HTTP does not allow")  # fmt: skip
            _demand(
                bool(value) and _printable(value),
                f"the value of header {name!r} must be printable ASCII and not empty",
            )
            _demand(name.lower() != "host", "the Host header is made from url")
        _demand(
            not (self.ech_grease and self.ech_config_list),
            "ech_grease and ech_config_list exclude each other",
        )
        _demand(self.ech_config_list is None or self.scheme() == "https", "ech_config_list needs an https url")

    def scheme(self) -> str:
        """``http`` or ``https``."""
        return self.url.partition("://")[0].lower()

    def host(self) -> str:
        """The host part of the URL, without brackets and port."""
        authority = _authority(self.url)
        if authority.startswith("["):
            return authority[1:].partition("]")[0]
        return authority.partition(":")[0]

    def _port(self) -> int:
        authority = _authority(self.url)
        text = authority.rpartition("]")[2].partition(":")[2]
        if not text:
            return 443 if self.scheme() == "https" else 80
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else -1

    def targets(self) -> tuple[Address, ...]:
        return (self.dst,)

    def ports(self) -> tuple[int, ...]:
        return (self._port(),)

    def cost(self) -> Cost:
        # A connection's own packets: handshakes, a request, and acknowledgements of what comes back.
        return Cost(100 + (len(self.url) + sum(len(k) + len(v) for k, v in self.headers.items())) // 1200, 100)


class Udpprobe(Action, frozen=True, kw_only=True):
    """A UDP payload to one port, and every reply."""

    primitive = "udpprobe"

    dst: Address
    dport: Port
    payload: Annotated[bytes, Meta(min_length=1, max_length=1400)]
    attempts: Annotated[int, Meta(ge=1, le=20)] = 1
    stop_count: Annotated[int, Meta(ge=1, le=20)] = 1
    src: Address | None = None

    def __post_init__(self) -> None:
        _demand(self.stop_count <= self.attempts, "stop_count is larger than attempts")
        _demand_family(self.dst, src=self.src)

    def targets(self) -> tuple[Address, ...]:
        return (self.dst,)

    def ports(self) -> tuple[int, ...]:
        return (self.dport,)

    def cost(self) -> Cost:
        return Cost(self.attempts, (28 if self.dst.version == 4 else 48) + len(self.payload), S)


class Sniff(Action, frozen=True, kw_only=True):
    """Capture ICMP packets with one identifier at one of the VP's own addresses. Sends nothing."""

    primitive = "sniff"

    src: Address
    icmp_id: U16
    limit_pkt_count: Annotated[int, Meta(ge=1, le=5000)] = 100
    limit_time: Annotated[int, Meta(ge=S, le=1200 * S, multiple_of=S)] = 60 * S

    def targets(self) -> tuple[Address, ...]:
        return ()

    def cost(self) -> Cost:
        return Cost(0, 0)


class Tbit(Action, frozen=True, kw_only=True):
    """A TCP behaviour inference test against one web server."""

    primitive = "tbit"

    dst: Address
    method: TbitMethod
    url: Annotated[str, Meta(min_length=8, max_length=4096)]

    def __post_init__(self) -> None:
        _demand(_printable(self.url) and not set(self.url) & set(" '\"\\"),
                "url must be printable ASCII without blanks, quotes or backslashes")  # fmt: skip
        scheme = self.url.partition("://")[0].lower()
        _demand(
            scheme in {"http", "https"} and bool(_authority(self.url)),
            "url must be http:// or https:// and have a host",
        )

    def targets(self) -> tuple[Address, ...]:
        return (self.dst,)

    def ports(self) -> tuple[int, ...]:
        return (443 if self.url.lower().startswith("https") else 80,)

    def cost(self) -> Cost:
        return Cost(300, 100)


class ProbeDef(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one kind of alias-resolution probe looks."""

    method: ProbeMethod = "udp"
    dst: Address | None = None
    ttl: Ttl | None = None
    size: Annotated[int, Meta(ge=28, le=65535)] | None = None
    sport: Port | None = None
    dport: Port | None = None
    icmp_id: U16 | None = None
    icmp_sum: U16 | None = None

    def __post_init__(self) -> None:
        _demand(self.method != "icmp-echo" or (self.sport is None and self.dport is None),
                "the ports of a probedef need a tcp or udp method")  # fmt: skip
        _demand(self.method == "icmp-echo" or (self.icmp_sum is None and self.icmp_id is None),
                "icmp_id and icmp_sum of a probedef need method icmp-echo")  # fmt: skip


def _probedef_ports(defs: list[ProbeDef]) -> tuple[int, ...]:
    return tuple(sorted({d.dport or UDP_PORT for d in defs if d.method != "icmp-echo"}))


_Attempts500 = Annotated[int, Meta(ge=1, le=500)]
_DealiasWait = Annotated[int, Meta(ge=MS, le=65535 * MS, multiple_of=MS)]
_DealiasTimeout = Annotated[int, Meta(ge=S, le=255 * S, multiple_of=S)]
_DealiasRound = Annotated[int, Meta(ge=MS, le=180 * S, multiple_of=MS)]


class Ally(Action, frozen=True, kw_only=True):
    """Do two addresses share one IP-ID counter? (Ally, in time sequence)."""

    primitive = "ally"

    dst1: Address
    dst2: Address
    fudge: U16 | None = None  # 200; 0 demands strictly in-sequence values
    icmp_sum: U16 | None = None
    dport: Port | None = None
    sport: Port | None = None
    method: ProbeMethod | None = None  # udp
    attempts: _Attempts500 = 5
    wait_probe: _DealiasWait = 150 * MS
    wait_timeout: _DealiasTimeout = 5 * S

    def __post_init__(self) -> None:
        _demand(self.icmp_sum is None or self.method in {None, "icmp-echo"}, "icmp_sum needs method icmp-echo")
        ports = self.sport is not None or self.dport is not None
        _demand(
            not ports or (self.method is not None and _needs_ports(self.method)),
            "sport and dport need a tcp or udp method",
        )
        _demand(self.dst1.version == self.dst2.version, "dst1 and dst2 must be of one address family")

    def targets(self) -> tuple[Address, ...]:
        return (self.dst1, self.dst2)

    def ports(self) -> tuple[int, ...]:
        icmp = self.method == "icmp-echo" or self.icmp_sum is not None
        return () if icmp else (self.dport or UDP_PORT,)

    def cost(self) -> Cost:
        return Cost(2 * self.attempts, 84, self.wait_probe)


class Mercator(Action, frozen=True, kw_only=True):
    """Does an address answer from another one? (Mercator, common source address)."""

    primitive = "mercator"

    dst: Address

    def targets(self) -> tuple[Address, ...]:
        return (self.dst,)

    def ports(self) -> tuple[int, ...]:
        return (UDP_PORT,)

    def cost(self) -> Cost:
        return Cost(3, 60, 5 * S)


class Prefixscan(Action, frozen=True, kw_only=True):
    """Which address of the far end's prefix is an alias of the near one?"""

    primitive = "prefixscan"

    near: Address
    far: Address
    prefixlen: Annotated[int, Meta(ge=1, le=127)]
    fudge: U16 | None = None
    icmp_sum: U16 | None = None
    dport: Port | None = None
    sport: Port | None = None
    method: ProbeMethod = "udp"
    attempts: _Attempts500 = 2
    wait_probe: _DealiasWait = S
    wait_timeout: _DealiasTimeout = 5 * S

    def __post_init__(self) -> None:
        _demand(self.near.version == self.far.version, "near and far must be of one address family")
        # A /20 is what a policy can still look at, address by address.
        widest = 20 if self.far.version == 4 else 116
        longest = 31 if self.far.version == 4 else 127
        _demand(widest <= self.prefixlen <= longest, f"prefixlen must be {widest} to {longest} for this family")
        _demand(self.icmp_sum is None or self.method == "icmp-echo", "icmp_sum needs method icmp-echo")
        _demand(
            _needs_ports(self.method) or (self.sport is None and self.dport is None),
            "sport and dport need a tcp or udp method",
        )

    def scanned(self) -> Network:
        """The prefix whose addresses are probed."""
        return ipaddress.ip_network(f"{self.far}/{self.prefixlen}", strict=False)

    def targets(self) -> tuple[Address, ...]:
        return (self.near, *self.scanned())

    def ports(self) -> tuple[int, ...]:
        return (self.dport or UDP_PORT,) if _needs_ports(self.method) else ()

    def cost(self) -> Cost:
        return Cost(2 * 5 * self.attempts * self.scanned().num_addresses, 84, self.wait_probe)

    def target_packets(self) -> dict[Address, int]:
        # Each address is compared with near: half of all packets go there.
        each = 5 * self.attempts
        packets: dict[Address, int] = dict.fromkeys(self.scanned(), each)
        packets[self.near] = packets.get(self.near, 0) + each * self.scanned().num_addresses
        return packets


class Radargun(Action, frozen=True, kw_only=True):
    """Rounds of probes to many addresses, for IP-ID series."""

    primitive = "radargun"

    addrs: Annotated[list[Address], Meta(max_length=512)] = []
    rounds: _Attempts500 = 30
    probedefs: Annotated[list[ProbeDef], Meta(min_length=1, max_length=512)]
    wait_probe: _DealiasWait = 150 * MS
    wait_round: _DealiasRound | None = None  # wait_probe times the number of probes
    wait_timeout: _DealiasTimeout = 5 * S

    def __post_init__(self) -> None:
        _demand_destinations(self.addrs, self.probedefs)
        _demand(
            len(self.addrs) > 1 or len(self.probedefs) > 1,
            "radargun needs at least two addresses or probedefs",
        )

    def targets(self) -> tuple[Address, ...]:
        return tuple(self.addrs) or tuple(d.dst for d in self.probedefs if d.dst is not None)

    def ports(self) -> tuple[int, ...]:
        return _probedef_ports(self.probedefs)

    def cost(self) -> Cost:
        return Cost(self.rounds * len(self.probedefs) * max(1, len(self.addrs)), 84, self.wait_probe)


class Midarest(Action, frozen=True, kw_only=True):
    """MIDAR's estimation stage: rounds over IPv4 addresses with several probe methods."""

    primitive = "midarest"

    addrs: Annotated[list[ipaddress.IPv4Address], Meta(min_length=1, max_length=512)]
    rounds: _Attempts500 = 30
    probedefs: Annotated[list[ProbeDef], Meta(min_length=2, max_length=512)]
    wait_probe: _DealiasWait = 150 * MS
    wait_round: _DealiasRound = 10 * S
    wait_timeout: _DealiasTimeout = S

    def __post_init__(self) -> None:
        _demand(all(d.dst is None for d in self.probedefs), "the probedefs of midarest must have no dst")
        _demand(
            self.wait_probe * len(self.probedefs) <= self.wait_round,
            "wait_probe * probedefs is longer than wait_round",
        )

    def targets(self) -> tuple[Address, ...]:
        return tuple(self.addrs)

    def ports(self) -> tuple[int, ...]:
        return _probedef_ports(self.probedefs)

    def cost(self) -> Cost:
        packets = self.rounds * len(self.probedefs) * len(self.addrs)
        return Cost(packets, 84, self.wait_round * self.rounds // packets)


class MidarRound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One round of a MIDAR discovery schedule: when it starts, and which probedefs it covers."""

    start: Annotated[int, Meta(ge=0, le=86400 * S)]
    begin: U32
    end: U32


class Midardisc(Action, frozen=True, kw_only=True):
    """MIDAR's discovery stage: probes on a schedule."""

    primitive = "midardisc"

    probedefs: Annotated[list[ProbeDef], Meta(min_length=2, max_length=4096)]
    schedule: Annotated[list[MidarRound], Meta(min_length=2, max_length=4096)]
    startat: Annotated[int, Meta(ge=0)] | None = None  # µs since the epoch
    wait_timeout: _DealiasTimeout = S

    def __post_init__(self) -> None:
        _demand(all(d.dst is not None for d in self.probedefs), "each probedef of midardisc needs a dst")
        last = None
        for step in self.schedule:
            _demand(
                step.begin <= step.end < len(self.probedefs),
                "a round's begin and end must be indexes of probedefs, begin first",
            )
            if last is not None:
                _demand(step.start > last.start, "the starts of rounds must increase")
                _demand(
                    step.begin >= last.begin and step.end >= last.end,
                    "begin and end of rounds must not decrease",
                )
            last = step

    def targets(self) -> tuple[Address, ...]:
        return tuple(d.dst for d in self.probedefs if d.dst is not None)

    def ports(self) -> tuple[int, ...]:
        return _probedef_ports(self.probedefs)

    def cost(self) -> Cost:
        packets = sum(step.end - step.begin + 1 for step in self.schedule)
        span = self.schedule[-1].start - self.schedule[0].start
        return Cost(packets, 84, span // max(packets, 1))


class Owamp(Action, frozen=True, kw_only=True):
    """One-way delay to or from an OWAMP server (RFC 4656)."""

    primitive = "owamp"

    dst: Address
    direction: Literal["tx", "rx"]
    attempts: Port = 10
    dscp: Annotated[int, Meta(ge=0, le=63)] = 0
    schedule: Annotated[list[Annotated[int, Meta(ge=MS, le=60 * S)]], Meta(min_length=1, max_length=64)] | None = (
        None  # one every 100 ms
    )
    size: U16 | None = None
    ttl: Ttl = 255
    startat: Annotated[int, Meta(ge=0)] | None = None  # µs since the epoch
    wait_timeout: Annotated[int, Meta(ge=S, le=20 * S)] = 2 * S

    def targets(self) -> tuple[Address, ...]:
        return (self.dst,)

    def ports(self) -> tuple[int, ...]:
        return (861,)

    def cost(self) -> Cost:
        return Cost(self.attempts + 40, self.size or 62, min(self.schedule or [100 * MS]))


ACTIONS: dict[str, type[Action]] = {
    a.primitive: a
    for a in (
        Ping, Trace, Tracelb, Dns, Http, Udpprobe, Sniff, Tbit, Ally, Mercator, Prefixscan, Radargun,
        Midarest, Midardisc, Owamp,
    )
}  # fmt: skip
"""Every primitive there is. A name that is not here is refused."""


def parse(primitive: str, params: Mapping[str, Any]) -> Action:
    """The action that a call asks for.

    Args:
        primitive: a key of `ACTIONS`.
        params: plain values only (int, str, bytes, bool, list, dict), by the script's parameter names;
            times in whole microseconds. A None counts as not given.

    Raises:
        BadParameter: unknown primitive or parameter, wrong type, out of range, or a combination that
            the primitive does not have. The sentence names parameter, value and bounds.
    """
    kind = ACTIONS.get(primitive)
    if kind is None:
        raise BadParameter(
            "primitive", primitive, f"there is no primitive {primitive!r}; there are: {', '.join(ACTIONS)}"
        )
    given = {name: value for name, value in params.items() if value is not None}
    try:
        return msgspec.convert(given, kind, strict=True, dec_hook=_decode_special, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise _explain(kind, given, str(error)) from None
    except UnicodeEncodeError:
        raise BadParameter(primitive, None, f"{primitive}: a text holds half of a surrogate pair") from None


_SPECIAL: dict[Any, Any] = {
    ipaddress.IPv4Address: ipaddress.IPv4Address,
    Address: ipaddress.ip_address,
    Network: ipaddress.ip_network,
}


def _decode_special(kind: Any, value: Any) -> Any:
    make = _SPECIAL[kind]
    if not isinstance(value, str):
        raise TypeError(f"expected an address as text, got {type(value).__name__}")
    if "%" in value:
        raise ValueError("an address must not hold a zone (%)")
    return make(value)


def _explain(kind: type[Action], given: Mapping[str, Any], problem: str) -> BadParameter:
    """The message of msgspec, turned into a sentence with parameter, value and bounds."""
    sentence, _, path = problem.partition(" - at `$")
    name = re.split(r"[.\[`]", path.lstrip("."))[0] if path else ""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    if name not in fields:
        unknown = re.search(r"unknown field `(\w+)`", sentence)
        missing = re.search(r"required field `(\w+)`", sentence)
        if unknown:
            sentence = f"{kind.primitive} has no parameter {unknown[1]!r}; it has: {', '.join(fields)}"
        elif missing:
            sentence = f"{kind.primitive} needs the parameter {missing[1]!r}"
        else:
            sentence = f"{kind.primitive}: {sentence}"
        found = unknown or missing
        return BadParameter(found[1] if found else kind.primitive, None, sentence, wrong_type=bool(found))
    value = given.get(name)
    wrong_type = sentence.startswith("Expected") and ", got" in sentence
    # Within a list or map it is one item that is wrong, not the whole.
    span = "" if "[" in path else _bounds(fields[name].type)
    detail = f"it must be {span}" if span and not wrong_type else sentence[0].lower() + sentence[1:]
    # Times travel as microseconds; whoever reads this gave seconds.
    in_seconds = re.search(r"\d s\b", span) is not None
    shown = f"{value / S:g} s" if in_seconds and isinstance(value, int) else reprlib.repr(value)
    return BadParameter(name, value, f"{kind.primitive}: {name}={shown}: {detail}", wrong_type=wrong_type)


def _bounds(annotation: Any) -> str:
    """The values that a field takes, in words; empty when its type says all there is."""
    for part in typing.get_args(annotation) if typing.get_origin(annotation) is not Annotated else (annotation,):
        text = _bounds(part) if part is not annotation else ""
        if text:
            return text
    if typing.get_origin(annotation) is Literal:
        return "one of " + ", ".join(str(x) for x in typing.get_args(annotation))
    if typing.get_origin(annotation) is not Annotated:
        return ""
    base, *metas = typing.get_args(annotation)
    for meta in metas:
        if not isinstance(meta, Meta):
            continue
        if meta.ge is not None and meta.le is not None:
            if base is int and meta.le >= S and meta.le not in {2**32 - 1}:
                step = f" in steps of {meta.multiple_of / S:g} s" if meta.multiple_of else ""
                return f"{meta.ge / S:g} to {meta.le / S:g} s{step}"
            return f"{meta.ge} to {meta.le}"
        if meta.ge is not None:
            return f"at least {meta.ge}"
        if meta.max_length is not None:
            return f"{meta.min_length or 0} to {meta.max_length} long"
    return ""


def _demand(condition: bool, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence)


def _demand_family(dst: Address, **others: Address | None) -> None:
    for name, other in others.items():
        _demand(other is None or other.version == dst.version, f"{name} must be of dst's address family")


def _demand_destinations(addrs: list[Address], probedefs: list[ProbeDef]) -> None:
    if addrs:
        _demand(all(d.dst is None for d in probedefs), "with addrs, the probedefs must have no dst")
        everything = addrs
    else:
        _demand(all(d.dst is not None for d in probedefs), "without addrs, each probedef needs a dst")
        everything = [d.dst for d in probedefs if d.dst is not None]
    _demand(len({a.version for a in everything}) == 1, "all addresses must be of one family")


def _authority(url: str) -> str:
    rest = url.partition("://")[2]
    for mark in "/?#":
        rest = rest.partition(mark)[0]
    return rest


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
