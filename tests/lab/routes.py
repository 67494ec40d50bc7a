"""Routes of the lab, computed from the plan: for every node, the shortest ways to every net.

Ties are kept as multipath routes: that is how the diamond comes about. End hosts (one routed port)
send all lab prefixes to their router, and nothing has a default route.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from tests.lab import plan
from tests.lab.plan import Net, Port


def _routed_ports(node: str) -> list[tuple[Net, Port]]:
    return [(net, p) for net in plan.NETS if net.routed for p in net.ports if p.node == node]


def _distances(target: Net) -> dict[str, int]:
    """How many hops each node is away from a net; nodes on it are at 0. Only routers forward."""
    distance = {port.node: 0 for port in target.ports}
    waiting = deque(distance)
    while waiting:
        node = waiting.popleft()
        if node not in plan.ROUTERS:
            continue
        for net, _ in _routed_ports(node):
            for port in net.ports:
                if port.node not in distance:
                    distance[port.node] = distance[node] + 1
                    waiting.append(port.node)
    return distance


def next_hops(node: str, target: Net) -> list[tuple[Net, Port]]:
    """The neighbours (with the net on which they are met) that bring a packet nearer to a net."""
    distance = _distances(target)
    if node not in distance or distance[node] == 0:
        return []
    return [
        (net, port)
        for net, _ in _routed_ports(node)
        for port in net.ports
        if port.node in plan.ROUTERS and distance.get(port.node, 99) == distance[node] - 1
    ]


def routes(node: str) -> Iterator[str]:
    """The lines for `ip -batch` that set a node's routes."""
    mine = _routed_ports(node)
    if not mine:
        return
    if node not in plan.ROUTERS:
        net, _ = mine[0]
        router = next(port for port in net.ports if port.node in plan.ROUTERS)
        for prefix in plan.LAB_PREFIXES_4:
            yield f"route add {prefix} via {net.v4(router.numbers[0])}"
        for prefix in plan.LAB_PREFIXES_6:
            yield f"route add {prefix} via {net.v6(router.numbers[0])}"
        if node in plan.VP_NAMES:
            yield "route add unreachable 198.19.255.0/24"
            yield "route add unreachable 2001:db8:dead:ff::/64"
        return
    for target in plan.NETS:
        hops = next_hops(node, target) if target.routed else []
        if hops:
            ways4 = " ".join(f"nexthop via {net.v4(p.numbers[0])}" for net, p in hops)
            ways6 = " ".join(f"nexthop via {net.v6(p.numbers[0])}" for net, p in hops)
            yield f"route add {target.prefix4} {ways4}"
            yield f"route add {target.prefix6} {ways6}"
    yield from _bad_routes(node)


def _bad_routes(node: str) -> Iterator[str]:
    """Destinations that fail in known ways: dropped, refused, prohibited, in a loop, all at r4."""
    toward_r4 = {"r1": ["r2"], "r2": ["r3a", "r3b"], "r3a": ["r4"], "r3b": ["r4"]}.get(node)
    if toward_r4:
        ways4 = " ".join(f"nexthop via {plan.router_address(hop, node)}" for hop in toward_r4)
        ways6 = " ".join(f"nexthop via {plan.router_address(hop, node, 6)}" for hop in toward_r4)
        yield f"route add 198.19.0.0/16 {ways4}"
        yield f"route add 2001:db8:dead::/48 {ways6}"
    elif node == "r4":
        yield "route add blackhole 198.19.1.0/24"
        yield "route add blackhole 2001:db8:dead:1::/64"
        for third in (2, 3, 5):  # packets to the first two are rejected on the way out: configs.R4_RULES
            yield f"route add 198.19.{third}.0/24 via {plan.router_address('r5', 'r4')}"
            yield f"route add 2001:db8:dead:{third}::/64 via {plan.router_address('r5', 'r4', 6)}"
    elif node == "r5":
        yield f"route add 198.19.5.0/24 via {plan.router_address('r4', 'r5')}"
        yield f"route add 2001:db8:dead:5::/64 via {plan.router_address('r4', 'r5', 6)}"
