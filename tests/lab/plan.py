r"""The lab on paper: every node, network, address and name. Nothing here touches the system.

Tests and demonstrations say `plan.WEB.v4`, never a literal address. Everything else in this folder
(interfaces, routes, zones, server configurations, the documentation's table) follows from this file.

    vp1 ~ 1 ms ~ \                      / r3a \                        /-- LAN: ns1 ns2 web box evil mute
    vp2 ~ 4 ms ~  r1 ------------- r2 ==       == r4 --(mtu 1400)-- r5 --- ~ 30 ms ~ far (with ns3)
    vp3 ~ 10 ms ~/                      \ r3b /                        |-- ~ 1 ms, 20 % loss ~ lossy
     |                                                                 \-- sim (a stage of many actors)
     +~~ ctl (management links, not routed)

Delays are one way. All addresses come from the blocks set aside for documentation and benchmarks
(RFC 5737, RFC 3849, RFC 2544), so nothing in the lab can be mistaken for somebody's network.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cached_property
from typing import Final

DOMAIN: Final = "lab.example"
LAB_PREFIXES_4: Final = ("198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
LAB_PREFIXES_6: Final = ("2001:db8::/32",)


@dataclass(frozen=True)
class Wire:
    """What a link served by the forwarder does to frames, in each direction alike."""

    delay_ms: float
    jitter_ms: float = 0.0
    loss: float = 0.0


@dataclass(frozen=True)
class Port:
    """A node's interface on a net; its first number is its own address, the others are extra."""

    node: str
    iface: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Net:
    """A network: a link of two ports, or a LAN around a bridge in its first port's node."""

    name: str
    prefix4: str
    prefix6: str
    ports: tuple[Port, ...]
    mtu: int = 1500
    wire: Wire | None = None
    routed: bool = True

    @cached_property
    def _base(self) -> tuple[int, int]:
        return (
            int(ipaddress.IPv4Network(self.prefix4).network_address),
            int(ipaddress.IPv6Network(self.prefix6).network_address),
        )

    def v4(self, number: int) -> str:
        """The IPv4 address with this number; IPv4 blocks smaller than /24 count from their start."""
        return str(ipaddress.IPv4Address(self._base[0] + number))

    def v6(self, number: int) -> str:
        """The IPv6 address whose last group reads as the same decimal digits as the number."""
        return str(ipaddress.IPv6Address(self._base[1] + int(str(number), 16)))

    @property
    def length4(self) -> int:
        """Prefix length of the IPv4 block."""
        return ipaddress.IPv4Network(self.prefix4).prefixlen

    @property
    def length6(self) -> int:
        """Prefix length of the IPv6 block."""
        return ipaddress.IPv6Network(self.prefix6).prefixlen

    def mac(self, port: Port) -> str:
        """The hardware address of a port, so that neighbours can be known beforehand."""
        return f"02:00:{NETS.index(self):02x}:00:00:{self.ports.index(port):02x}"

    def host(self, name: str, number: int, about: str, node: str | None = None) -> Host:
        """Give an address on this net a name."""
        return Host(name, node or name, self.v4(number), self.v6(number), about, number)


@dataclass(frozen=True)
class Host:
    """A name with its two addresses; `node` is the namespace that holds them."""

    name: str
    node: str
    v4: str
    v6: str
    about: str
    number: int

    @property
    def fqdn(self) -> str:
        """The name in the lab's DNS, without a final dot."""
        return f"{self.name}.{DOMAIN}"

    @property
    def addresses(self) -> tuple[str, str]:
        """Both addresses, IPv4 first."""
        return (self.v4, self.v6)


# ---------------------------------------------------------------------------------------------
# Networks

VP_WIRES: Final = {"vp1": Wire(1.0), "vp2": Wire(4.0), "vp3": Wire(10.0)}
VP_NAMES: Final = tuple(VP_WIRES)

ACCESS: Final = tuple(
    Net(
        name,
        f"198.18.{i}.0/24",
        f"2001:db8:{i}::/64",
        (Port("r1", name, (1,)), Port(name, "e0", (10,))),
        wire=wire,
    )
    for i, (name, wire) in enumerate(VP_WIRES.items(), 1)
)


def _link(index: int, a: str, b: str, mtu: int = 1500) -> Net:
    """A link between routers: the index-th /30 of 192.0.2.0/24; `a` has the lower address."""
    return Net(
        f"{a}-{b}",
        f"192.0.2.{4 * index}/30",
        f"2001:db8:e:{index}::/64",
        (Port(a, b, (1,)), Port(b, a, (2,))),
        mtu=mtu,
    )


BACKBONE: Final = (
    _link(1, "r1", "r2"),
    _link(2, "r2", "r3a"),
    _link(3, "r2", "r3b"),
    _link(4, "r3a", "r4"),
    _link(5, "r3b", "r4"),
    _link(6, "r4", "r5", mtu=1400),
    _link(7, "r5", "sim"),
)
LAN: Final = Net(
    "lan",
    "203.0.113.0/25",
    "2001:db8:113::/64",
    (
        Port("r5", "br0", (1,)),
        Port("ns1", "e0", (53,)),
        Port("ns2", "e0", (54,)),
        Port("web", "e0", (80, 81, 83, 84)),
        Port("box", "e0", (61, 62)),
        Port("evil", "e0", (66,)),
        Port("mute", "e0", (99,)),
    ),
)
FAR_NET: Final = Net(
    "far",
    "203.0.113.128/28",
    "2001:db8:114::/64",
    (Port("r5", "far", (1,)), Port("far", "e0", (2, 3, 4))),
    wire=Wire(30.0),
)
LOSSY_NET: Final = Net(
    "lossy",
    "203.0.113.144/28",
    "2001:db8:115::/64",
    (Port("r5", "lossy", (1,)), Port("lossy", "e0", (2,))),
    wire=Wire(1.0, loss=0.2),
)
STAGE: Final = Net("stage", "198.51.100.0/24", "2001:db8:51::/64", (Port("sim", "tun0", ()),))
MANAGEMENT: Final = tuple(
    Net(
        f"ctl-{name}",
        "198.18.100.0/24",
        "2001:db8:100::/64",
        (Port("ctl", name, (1,)), Port(name, "ctl", (100 + i,))),
        wire=Wire(0.0),
        routed=False,
    )
    for i, name in enumerate(VP_NAMES, 1)
)
NETS: Final = (*ACCESS, *BACKBONE, LAN, FAR_NET, LOSSY_NET, STAGE, *MANAGEMENT)

# ---------------------------------------------------------------------------------------------
# Nodes: one namespace each. `wire` has no interface: the forwarder lives there.

ROUTERS: Final = ("r1", "r2", "r3a", "r3b", "r4", "r5", "sim")
NODES: Final = (
    "ctl", *VP_NAMES, *ROUTERS, "ns1", "ns2", "web", "box", "evil", "mute", "far", "lossy", "wire",
)  # fmt: skip

# Destinations that r4 treats badly, for the errors a VP can meet.
BLACKHOLE_4, BLACKHOLE_6 = "198.19.1.1", "2001:db8:dead:1::1"
UNREACHABLE_4, UNREACHABLE_6 = "198.19.2.1", "2001:db8:dead:2::1"
PROHIBITED_4, PROHIBITED_6 = "198.19.3.1", "2001:db8:dead:3::1"
LOOP_4, LOOP_6 = "198.19.5.1", "2001:db8:dead:5::1"
NO_ROUTE_4, NO_ROUTE_6 = "198.19.255.1", "2001:db8:dead:ff::1"
"""Unreachable in the VP itself: sending fails with EHOSTUNREACH."""

# ---------------------------------------------------------------------------------------------
# Named hosts

VP1, VP2, VP3 = (net.host(net.name, 10, "a vantage point") for net in ACCESS)
VPS: Final = (VP1, VP2, VP3)
CTL: Final = MANAGEMENT[0].host("ctl", 1, "the controller's host; every VP reaches it directly")

NS1: Final = LAN.host("ns1", 53, "DNS: authoritative, and the resolver of every VP")
NS2: Final = LAN.host("ns2", 54, "DNS: authoritative, recursive")
NS3: Final = FAR_NET.host("ns3", 3, "DNS behind the far link", node="far")
WEB: Final = LAN.host("www", 80, "HTTP 80, HTTPS 443, TLS 1.2 only 8443, untrusted 8444", node="web")
WEB_RAW: Final = LAN.host("raw", 81, "the same web server; the VPs' kernels do not see its TCP (for tbit)", node="web")
CDN1: Final = LAN.host("cdn1", 83, "the same web server: an edge of cdn.lab.example", node="web")
CDN2: Final = LAN.host("cdn2", 84, "the same web server: an edge of cdn.lab.example", node="web")
CDN3: Final = FAR_NET.host("cdn3", 4, "a far edge of cdn.lab.example", node="far")
BOX: Final = LAN.host("box", 61, "SNMP 161, NTP 123, UDP echo 7; first address")
BOX_2: Final = LAN.host("box2", 62, "second address of box: the same SNMP engine", node="box")
EVIL: Final = LAN.host("evil", 66, "hostile DNS 53, HTTP 80, TLS 443 (see hostile.py)")
MUTE: Final = LAN.host("mute", 99, "drops whatever it gets")
FAR: Final = FAR_NET.host("far", 2, "its RTT stands out by 60 ms; SNMP with an engine of its own")
LOSSY: Final = LOSSY_NET.host("lossy", 2, "loses 20 % in each direction")

# The actors of the stage: played by responder.py on the sim node. Same number, same last byte.
ALIAS_A1 = STAGE.host("alias-a1", 1, "router A: one IPID counter for its five addresses", "sim")
ALIAS_A2 = STAGE.host("alias-a2", 2, "router A; UDP answers come from alias-a1 (mercator)", "sim")
ALIAS_A3 = STAGE.host("alias-a3", 3, "router A", "sim")
ALIAS_A4 = STAGE.host("alias-a4", 4, "router A", "sim")
ALIAS_A18 = STAGE.host("alias-a18", 18, "router A: the /30 mate of 17 (prefixscan)", "sim")
IPID_RANDOM = STAGE.host("ipid-random", 6, "random IPIDs", "sim")
ALIAS_S1 = STAGE.host("alias-s1", 7, "router S: a shared counter in swapped byte order", "sim")
ALIAS_S2 = STAGE.host("alias-s2", 8, "router S", "sim")
IPID_ZERO = STAGE.host("ipid-zero", 9, "IPID always zero", "sim")
IPID_OWN = STAGE.host("ipid-own", 10, "a counter of its own: no alias of anybody", "sim")
ALIAS_MATE = STAGE.host("alias-mate", 17, "a router next to A's alias-a18", "sim")
IPID_FAST = STAGE.host("ipid-fast", 26, "a counter that advances by 900 per packet", "sim")
TWICE = STAGE.host("twice", 20, "answers in two copies, 3 ms apart", "sim")
SLOW = STAGE.host("slow", 21, "answers 80 ms late", "sim")
ELSEWHERE = STAGE.host("elsewhere", 22, "echo replies come from another address", "sim")
JITTERY = STAGE.host("jittery", 23, "answers 0 to 40 ms late", "sim")
HALF = STAGE.host("half", 24, "answers every second probe", "sim")
MARKED = STAGE.host("marked", 25, "answers with DSCP EF and TTL 200", "sim")
HOST_UNREACHABLE = STAGE.host("unreach-host", 30, "ICMP host unreachable", "sim")
NET_UNREACHABLE = STAGE.host("unreach-net", 31, "ICMP network unreachable", "sim")
ADMIN_PROHIBITED = STAGE.host("prohibited", 32, "ICMP administratively prohibited", "sim")
NEEDS_FRAGMENTS = STAGE.host("too-big", 33, "ICMP fragmentation needed, MTU 1280", "sim")
ACCEPTING = STAGE.host("accepting", 40, "answers any TCP SYN with SYN-ACK", "sim")
THREE_ANSWERS = STAGE.host("three", 41, "answers a UDP datagram three times", "sim")
MPLS = STAGE.host("mpls", 50, "a path of routers that report MPLS label stacks", "sim")
CIRCLE = STAGE.host("circle", 51, "a path that ends in a loop of two routers", "sim")
GAPS = STAGE.host("gaps", 52, "a path with two silent routers", "sim")
SILENT = STAGE.host("silent", 53, "never answers", "sim")
PER_PACKET = STAGE.host("per-packet", 54, "a path balanced packet by packet over three", "sim")
NARROW = STAGE.host("narrow", 55, "a path with an MTU of 1300 at its second hop", "sim")
MTU_HOLE = STAGE.host("mtu-hole", 56, "a path that swallows packets above 1290 bytes", "sim")
WIDE = STAGE.host("wide", 57, "a diamond: one, then three, then two, then one", "sim")

ACTORS: Final = (
    ALIAS_A1, ALIAS_A2, ALIAS_A3, ALIAS_A4, ALIAS_A18, ALIAS_MATE, IPID_RANDOM, ALIAS_S1, ALIAS_S2,
    IPID_ZERO, IPID_OWN, IPID_FAST, TWICE, SLOW, ELSEWHERE, JITTERY, HALF, MARKED,
    HOST_UNREACHABLE, NET_UNREACHABLE, ADMIN_PROHIBITED, NEEDS_FRAGMENTS, ACCEPTING,
    THREE_ANSWERS, MPLS, CIRCLE, GAPS, SILENT, PER_PACKET, NARROW, MTU_HOLE, WIDE,
)  # fmt: skip
NAMESERVERS: Final = (NS1, NS2, NS3)
SERVERS: Final = (
    NS1, NS2, NS3, WEB, WEB_RAW, CDN1, CDN2, CDN3, BOX, BOX_2, EVIL, MUTE, FAR, LOSSY,
)  # fmt: skip
HOSTS: Final = {host.name: host for host in (CTL, *VPS, *SERVERS, *ACTORS)}

ALIAS_PAIR: Final = (ALIAS_A1, ALIAS_A2)
"""Two addresses that ally, radargun and MIDAR should join."""
RESOLVER: Final = NS1

HTTPS_TLS12_PORT: Final = 8443
HTTPS_UNTRUSTED_PORT: Final = 8444
BIG_FILE_BYTES: Final = 1 << 20


def router_address(node: str, iface: str, family: int = 4) -> str:
    """The address of a router's interface; interfaces bear the name of the neighbour.

    Args:
        node: the router, such as `r2`.
        iface: the interface, such as `r3a`; `br0` is r5's port on the LAN.
        family: 4 or 6.
    """
    for net in NETS:
        for port in net.ports:
            if (port.node, port.iface) == (node, iface) and port.numbers:
                return net.v4(port.numbers[0]) if family == 4 else net.v6(port.numbers[0])
    raise KeyError(f"no interface {iface!r} with an address on node {node!r}")


def wires() -> dict[str, Net]:
    """The nets that the forwarder serves, by the name with which their delay is set."""
    return {net.name: net for net in NETS if net.wire is not None}
