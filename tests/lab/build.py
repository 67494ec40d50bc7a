"""Namespaces, links, addresses and routes: the plan made real, one `ip -batch` per node.

Order matters: kernel settings first (so that interfaces are born with duplicate address detection
off), then the forwarder's devices (its process makes them), then links, addresses, routes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from tests.lab import configs, netns, plan, routes
from tests.lab.errors import LabError
from tests.lab.plan import Net, Port

QUEUE_PACKETS = 5000
"""What a forwarder's device may hold while the process waits for the processor."""

_EVERYWHERE = {
    # Probing is what the lab is for: answer everything, at any rate.
    "ipv4/icmp_ratelimit": "0",
    "ipv4/icmp_msgs_per_sec": "1000000",
    "ipv4/icmp_msgs_burst": "100000",
    "ipv6/icmp/ratelimit": "0",
    # Addresses work at once; nothing is learned from router advertisements.
    "ipv6/conf/all/accept_dad": "0",
    "ipv6/conf/default/accept_dad": "0",
    "ipv6/conf/all/accept_ra": "0",
    "ipv6/conf/default/accept_ra": "0",
    "ipv6/conf/default/router_solicitations": "0",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
}
_ROUTER = {
    "ipv4/ip_forward": "1",
    "ipv6/conf/all/forwarding": "1",
    # Balance by ports, as routers do, so that tracelb has something to find.
    "ipv4/fib_multipath_hash_policy": "1",
    "ipv6/fib_multipath_hash_policy": "1",
}


def make_namespaces(prefix: str) -> None:
    """Make one namespace for each node, with its kernel settings."""
    netns.run_ip([], [f"netns add {prefix}{node}" for node in plan.NODES])
    for node in plan.NODES:
        netns.write_settings(prefix + node, _EVERYWHERE | (_ROUTER if node in plan.ROUTERS else {}))


def connect(prefix: str) -> None:
    """Make the links, give addresses and routes; the forwarder's devices are there already."""
    for node in plan.NODES:
        netns.run_ip(["-n", prefix + node], ["link set lo up", *_links(prefix, node)])
    for node in plan.NODES:
        lines = [*_addresses(node)]
        if lines:
            netns.run_ip(["-n", prefix + node], lines)
    for node in plan.NODES:
        lines = [*routes.routes(node)]
        if node == "sim":
            lines.append(f"route add {plan.STAGE.prefix4} dev tun0")
            lines.append(f"route add {plan.STAGE.prefix6} dev tun0")
        if lines:
            netns.run_ip(["-n", prefix + node], lines)
    for node in plan.NODES:
        netns.switch_offloads_off(prefix + node)
    _load_rules(prefix + "mute", configs.MUTE_RULES)
    _load_rules(prefix + "r4", configs.R4_RULES)
    for vp in plan.VP_NAMES:
        _load_rules(prefix + vp, configs.VP_RULES)


def _links(prefix: str, node: str) -> Iterator[str]:
    """Lines that make the links whose first port is on this node."""
    for net in plan.NETS:
        first, *others = net.ports
        if first.node != node or net.wire is not None or not others:
            continue
        if len(others) == 1:
            far = others[0]
            yield (
                f"link add {first.iface} mtu {net.mtu} address {net.mac(first)} type veth peer "
                f"name {far.iface} mtu {net.mtu} address {net.mac(far)} netns {prefix}{far.node}"
            )
            continue
        yield f"link add {first.iface} address {net.mac(first)} type bridge"
        for port in others:
            yield (
                f"link add lan-{port.node} type veth peer name {port.iface} "
                f"address {net.mac(port)} netns {prefix}{port.node}"
            )
            yield f"link set lan-{port.node} master {first.iface} up"


def _addresses(node: str) -> Iterator[str]:
    for net in plan.NETS:
        for port in net.ports:
            if port.node == node:
                yield from _port_addresses(net, port)


def _port_addresses(net: Net, port: Port) -> Iterator[str]:
    if net.wire is not None:
        yield f"link set {port.iface} txqueuelen {QUEUE_PACKETS} address {net.mac(port)}"
    yield f"link set {port.iface} up"
    for number in port.numbers:
        if net.routed:
            yield f"addr add {net.v4(number)}/{net.length4} dev {port.iface}"
            yield f"addr add {net.v6(number)}/{net.length6} dev {port.iface} nodad"
        else:  # many links share the controller's address: each leads to one peer only
            peer = next(other for other in net.ports if other is not port).numbers[0]
            yield f"addr add {net.v4(number)} peer {net.v4(peer)} dev {port.iface}"
            yield f"addr add {net.v6(number)} peer {net.v6(peer)} dev {port.iface} nodad"
    for other in net.ports:  # no first packet waits for an answer to ARP
        for number in other.numbers if other is not port else ():
            for address in (net.v4(number), net.v6(number)):
                yield f"neigh add {address} lladdr {net.mac(other)} dev {port.iface} nud permanent"


def _load_rules(namespace: str, rules: str) -> None:
    with netns.inside(namespace):
        done = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"nft in {namespace} failed: {done.stderr.strip()}")
