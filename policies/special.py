"""Addresses that are not ordinary destinations, each with the document that says so.

Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and updates), the IPv6 address
space registry (RFC 4291) and the IPv4 multicast registry. What those registries call globally reachable
inside a block that is not (192.0.0.9/32 in 192.0.0.0/24, say) stays closed with its block.
"""

import ipaddress
from typing import Final, NamedTuple

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Span = tuple[int, int, int]
"""Family (4 or 6), first and last address as integers."""


class Special(NamedTuple):
    """A prefix, the group that it belongs to, and its source."""

    prefix: str
    group: str
    source: str


NEVER: Final = (
    Special("0.0.0.0/8", "unspecified", "RFC 791; Linux takes 0.0.0.0 for the host itself"),
    Special("127.0.0.0/8", "loopback", "RFC 1122"),
    Special("224.0.0.0/4", "multicast", "RFC 5771"),
    Special("255.255.255.255/32", "broadcast", "RFC 919"),
    Special("::/96", "unspecified", "RFC 4291: unspecified, loopback and the deprecated IPv4-compatible form"),
    Special("::1/128", "loopback", "RFC 4291"),
    Special("::ffff:0:0/96", "v4-mapped", "RFC 4291; write the IPv4 address itself"),
    Special("ff00::/8", "multicast", "RFC 4291"),
)
"""Closed to everybody: no layer reopens these."""

REOPENABLE: Final = (
    Special("10.0.0.0/8", "private", "RFC 1918"),
    Special("172.16.0.0/12", "private", "RFC 1918"),
    Special("192.168.0.0/16", "private", "RFC 1918"),
    Special("100.64.0.0/10", "shared", "RFC 6598"),
    Special("169.254.0.0/16", "link-local", "RFC 3927"),
    Special("192.0.0.0/24", "protocol", "RFC 6890"),
    Special("192.0.2.0/24", "documentation", "RFC 5737"),
    Special("198.51.100.0/24", "documentation", "RFC 5737"),
    Special("203.0.113.0/24", "documentation", "RFC 5737"),
    Special("192.88.99.0/24", "protocol", "RFC 7526: deprecated 6to4 relay anycast"),
    Special("198.18.0.0/15", "benchmarking", "RFC 2544"),
    Special("240.0.0.0/4", "reserved", "RFC 1112"),
    Special("::ffff:0:0:0/96", "protocol", "RFC 2765: IPv4-translated"),
    Special("64:ff9b:1::/48", "protocol", "RFC 8215: local-use NAT64"),
    Special("100::/64", "discard", "RFC 6666"),
    Special("100:0:0:1::/64", "discard", "RFC 9780: dummy prefix"),
    Special("2001::/23", "protocol", "RFC 2928; holds Teredo (RFC 4380) and benchmarking (RFC 5180)"),
    Special("2001:db8::/32", "documentation", "RFC 3849"),
    Special("2002::/16", "protocol", "RFC 3056: 6to4"),
    Special("3fff::/20", "documentation", "RFC 9637"),
    Special("5f00::/16", "protocol", "RFC 9602: SRv6 segment identifiers"),
    Special("fc00::/7", "private", "RFC 4193: unique local"),
    Special("fe80::/10", "link-local", "RFC 4291"),
    Special("fec0::/10", "private", "RFC 3879: deprecated site-local"),
)
"""Closed until a host's policy reopens one by naming it exactly."""

_UNICAST: Final = ("0.0.0.0/0", "2000::/3", "64:ff9b::/96")
# RFC 4291 §2.4 and the address space registry: only 2000::/3 is handed out; 64:ff9b::/96 is RFC 6052.

_LAST: Final = {4: 2**32 - 1, 6: 2**128 - 1}


def span(network: Network) -> Span:
    """The addresses of ``network``."""
    return network.version, int(network.network_address), int(network.broadcast_address)


def spans(*prefixes: str) -> list[Span]:
    """The addresses of ``prefixes``, written as text."""
    return [span(ipaddress.ip_network(p)) for p in prefixes]


def without(whole: list[Span], holes: list[Span]) -> list[Span]:
    """What is left of ``whole`` after ``holes`` are cut out."""
    left = []
    for family, first, last in whole:
        start = first
        for _, hole_first, hole_last in sorted(h for h in holes if h[0] == family):
            if hole_last < start or hole_first > last:
                continue
            if hole_first > start:
                left.append((family, start, hole_first - 1))
            start = hole_last + 1
        if start <= last:
            left.append((family, start, last))
    return left


_EVERY = spans(*(s.prefix for s in NEVER + REOPENABLE))
GLOBAL_UNICAST: Final = without(spans(*_UNICAST), _EVERY)
UNASSIGNED: Final = without([(6, 0, _LAST[6])], spans(*_UNICAST[1:]) + _EVERY)
"""IPv6 that nobody has been given; closed to everybody."""


def _groups() -> dict[str, list[Span]]:
    groups: dict[str, list[Span]] = {"unassigned": UNASSIGNED, "special-purpose": [*_EVERY, *UNASSIGNED]}
    for special in NEVER + REOPENABLE:
        groups.setdefault(special.group, []).extend(spans(special.prefix))
    groups["global-unicast"] = GLOBAL_UNICAST
    return groups


GROUPS: Final = _groups()
"""The words for sets of addresses that a policy may use; ``this-site`` comes from the running machine."""

_EMBEDDED: Final = {
    # family-6 prefix → bits to shift the IPv4 address down by, and whether it is stored inverted
    "64:ff9b::/96": ((0, False),),
    "::ffff:0:0/96": ((0, False),),
    "::ffff:0:0:0/96": ((0, False),),
    "::/96": ((0, False),),
    "2002::/16": ((80, False),),
    "2001::/32": ((64, False), (0, True)),  # Teredo, RFC 4380 §4: the server, and the client inverted
}
_FORMS: Final = [(*span(ipaddress.ip_network(p))[1:], how) for p, how in _EMBEDDED.items()]
_HIGH: Final = 0x2003 << 112  # beyond the last form, which is nearly every address


def embedded(address: int) -> tuple[int, ...]:
    """The IPv4 addresses that an IPv6 address stands for: mapped, translated (NAT64), 6to4, Teredo."""
    if address >= _HIGH:
        return ()
    found = []
    for first, last, how in _FORMS:
        if first <= address <= last:
            for shift, inverted in how:
                value = address >> shift & 0xFFFFFFFF
                found.append(value ^ 0xFFFFFFFF if inverted else value)
    return tuple(found)
