"""The plan, and what is computed from it, on paper: no namespace is made here."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from tests.lab import configs, plan, routes, servers, zones

LAB_BLOCKS = [ipaddress.ip_network(p) for p in (*plan.LAB_PREFIXES_4, *plan.LAB_PREFIXES_6)]


def test_every_address_is_a_documentation_address() -> None:
    """No address in the lab belongs to anybody."""
    addresses = [a for host in plan.HOSTS.values() for a in host.addresses]
    addresses += [
        address for net in plan.NETS for port in net.ports for n in port.numbers for address in (net.v4(n), net.v6(n))
    ]
    for address in map(ipaddress.ip_address, addresses):
        assert any(address in block for block in LAB_BLOCKS if block.version == address.version)


def test_names_and_addresses_are_unique() -> None:
    """One name, one pair of addresses; and every host's node exists."""
    addresses = [a for host in plan.HOSTS.values() for a in host.addresses]
    assert len(set(addresses)) == len(addresses)
    assert len(plan.HOSTS) == 1 + len(plan.VPS) + len(plan.SERVERS) + len(plan.ACTORS)
    assert {host.node for host in plan.HOSTS.values()} <= set(plan.NODES)


def test_every_host_is_on_an_interface_of_its_node() -> None:
    """A host's address is configured on its node, or played on the stage."""
    configured = {(port.node, net.v4(n)) for net in plan.NETS for port in net.ports for n in port.numbers}
    for host in plan.HOSTS.values():
        assert host in plan.ACTORS or (host.node, host.v4) in configured


def test_there_is_no_default_route() -> None:
    """Every route leads to a prefix of the lab."""
    for node in plan.NODES:
        for line in routes.routes(node):
            prefix = next(word for word in line.split() if "/" in word)
            network = ipaddress.ip_network(prefix)
            assert any(
                network.subnet_of(block)  # type: ignore[arg-type]
                for block in LAB_BLOCKS
                if block.version == network.version
            ), line


def test_the_diamond_has_two_ways_in_both_directions() -> None:
    """r2 and r4 each see two next hops across the diamond."""
    assert {port.node for _, port in routes.next_hops("r2", plan.LAN)} == {"r3a", "r3b"}
    assert {port.node for _, port in routes.next_hops("r4", plan.ACCESS[0])} == {"r3a", "r3b"}


@pytest.mark.parametrize("node", plan.ROUTERS)
def test_routes_reach_every_net(node: str) -> None:
    """A router is on each routed net, or has a next hop toward it."""
    for net in plan.NETS:
        if net.routed:
            on_it = any(port.node == node for port in net.ports)
            assert on_it or routes.next_hops(node, net)


def test_management_links_are_not_routed() -> None:
    """No router knows the way to the controller: measurement traffic cannot reach it."""
    management = ipaddress.ip_network(plan.MANAGEMENT[0].prefix4)
    for node in plan.ROUTERS:
        for line in routes.routes(node):
            if "198.18." in line:
                prefix = next(word for word in line.split() if "/" in word)
                assert not ipaddress.ip_network(prefix).overlaps(management)


def test_reverse_zones_cover_every_address() -> None:
    """Each host's address, of both families, has a PTR record that names it."""
    text = "\n".join(zones.reverse_zones().values())
    for host in plan.HOSTS.values():
        for address in host.addresses:
            pointer = ipaddress.ip_address(address).reverse_pointer
            assert f"{pointer}. {zones.TTL_S} IN PTR {host.fqdn}." in text


def test_configurations_stay_below_the_state_directory() -> None:
    """No server reads or writes the machine's own configuration."""
    state = Path("/run/onvp-lab/x")
    for text in (configs.named(state, plan.NS1), configs.nginx(state)):
        for word in text.replace(";", " ").replace('"', " ").split():
            if word.startswith(("/etc", "/var")):
                pytest.fail(f"{word} is outside of the lab")


def test_servers_run_on_nodes_of_the_plan() -> None:
    """Every server has a node, and is either probed or reports by itself."""
    for server in servers.application_servers(Path("/run/onvp-lab/x")):
        assert server.node in plan.NODES
        assert server.probes or server.argv[1] == "-m"


def test_the_page_lists_every_host_and_wire() -> None:
    """docs/reference/lab.md names every host with both addresses, and every link with a delay."""
    page = (servers.PROJECT / "docs/reference/lab.md").read_text()
    for host in plan.HOSTS.values():
        assert f"| `{host.name}` | {host.v4} | {host.v6} | {host.about} |" in page
    for name in plan.wires():
        assert f"`{name}`" in page
