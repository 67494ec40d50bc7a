"""What the lab's name servers know, as zone files written from the plan.

All three name servers hold the same zones (the root included, so that every name has an answer
or an NXDOMAIN at once) and differ in their identity: hostname.bind, id.server, NSID.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from tests.lab import plan
from tests.lab.plan import DOMAIN

TTL_S = 300
LONG_TXT = " ".join(f'"{character * 200}"' for character in "abcdef")
"""1200 bytes and more: does not fit into a plain UDP answer of 512 bytes."""


def _soa(primary: str) -> str:
    return f"@ {TTL_S} IN SOA {primary} hostmaster.{DOMAIN}. 2026112301 7200 900 1209600 60"


def root_zone() -> str:
    """The lab's own root."""
    return "\n".join((
        _soa(f"{plan.NS1.fqdn}."),
        *(f". {TTL_S} IN NS {host.fqdn}." for host in plan.NAMESERVERS),
        *_pairs(plan.NAMESERVERS),
        "",
    ))  # fmt: skip


def _pairs(hosts: tuple[plan.Host, ...]) -> Iterator[str]:
    for host in hosts:
        yield f"{host.fqdn}. {TTL_S} IN A {host.v4}"
        yield f"{host.fqdn}. {TTL_S} IN AAAA {host.v6}"


def lab_zone() -> str:
    """`lab.example`: every host of the plan, and a record of each type that scripts ask for."""
    www, lines = plan.WEB, [f"$ORIGIN {DOMAIN}.", f"$TTL {TTL_S}", _soa("ns1")]
    lines += [f"@ IN NS {host.name}" for host in plan.NAMESERVERS]
    lines += _pairs(tuple(plan.HOSTS.values()))
    lines += [f"{name}. IN {kind} {address}" for name, kind, address in _router_names()]
    lines += [
        "@ IN MX 10 mx1",
        "@ IN MX 20 mx2",
        f"mx1 IN A {plan.BOX.v4}",
        f"mx1 IN AAAA {plan.BOX.v6}",
        f"mx2 IN A {plan.FAR.v4}",
        '@ IN TXT "v=spf1 ip4:203.0.113.0/24 -all"',
        '@ IN TXT "two strings" "in one record"',
        '@ IN CAA 0 issue "ca.lab.example"',
        f'@ IN HTTPS 1 . alpn="h2,http/1.1" ipv4hint={www.v4} ipv6hint={www.v6}',
        "svc IN HTTPS 0 www",
        "_dns IN SVCB 1 ns1 alpn=dot port=853",
        '_dns IN SVCB 2 ns2 key7="/dns-query{?dns}"',
        "_sip._tcp IN SRV 10 60 5060 www",
        *(f"cdn 60 IN A {host.v4}" for host in (plan.CDN1, plan.CDN2, plan.CDN3)),
        *(f"cdn 60 IN AAAA {host.v6}" for host in (plan.CDN1, plan.CDN2, plan.CDN3)),
        "dns IN CNAME www",
        "alias IN CNAME www",
        "alias2 IN CNAME alias",
        "dangling IN CNAME nowhere",
        f"v4only IN A {www.v4}",
        f"v6only IN AAAA {www.v6}",
        f"long IN TXT {LONG_TXT}",
        'empty IN TXT ""',
        r'quoted IN TXT "quote \" back \\ and \200\255 bytes"',
        f"*.wild IN A {www.v4}",
        *(f"many IN A {plan.STAGE.v4(n)}" for n in range(1, 7)),
        *(f"large IN A {plan.STAGE.v4(n)}" for n in range(1, 101)),
    ]
    return "\n".join([*lines, ""])


def _router_names() -> Iterator[tuple[str, str, str]]:
    """Names of router interfaces: node-interface, such as r2-r3a.lab.example."""
    for net in plan.NETS:
        for port in net.ports:
            if port.node in plan.ROUTERS and port.numbers:
                name = f"{port.node}-{port.iface}.{DOMAIN}"
                yield name, "A", net.v4(port.numbers[0])
                yield name, "AAAA", net.v6(port.numbers[0])


def _names_by_address() -> Iterator[tuple[str, str]]:
    for host in plan.HOSTS.values():
        for address in host.addresses:
            yield address, host.fqdn
    for name, _, address in _router_names():
        yield address, name


def reverse_zones() -> dict[str, str]:
    """The reverse zones by name: one for each IPv4 block, one for 2001:db8::/32."""
    apexes = {
        f"{'.'.join(reversed(prefix.split('/')[0].split('.')[:3]))}.in-addr.arpa": ""
        for prefix in plan.LAB_PREFIXES_4
        if prefix.endswith("/24")
    }
    apexes |= {"18.198.in-addr.arpa": "", "8.b.d.0.1.0.0.2.ip6.arpa": ""}
    pointers = [(ipaddress.ip_address(a).reverse_pointer, n) for a, n in _names_by_address()]
    for apex in apexes:
        apexes[apex] = "\n".join((
            _soa(f"{plan.NS1.fqdn}."),
            *(f"@ {TTL_S} IN NS {host.fqdn}." for host in plan.NAMESERVERS),
            *(f"{p}. {TTL_S} IN PTR {n}." for p, n in pointers if p.endswith("." + apex)),
            "",
        ))  # fmt: skip
    return apexes


def zones() -> dict[str, str]:
    """All zone files, by zone name."""
    return {".": root_zone(), DOMAIN: lab_zone(), **reverse_zones()}
