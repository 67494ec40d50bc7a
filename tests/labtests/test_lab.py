"""The lab that is up behaves as the plan says; measured with a real scamper and real clients."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import dns.edns
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.reversename
import pytest

from tests.lab import Lab, LabError, netns, plan, servers, services

CUT = (plan.MUTE, plan.SILENT, plan.ELSEWHERE)
"""Hosts that leave a ping without a matching answer."""
REFUSE = (plan.HOST_UNREACHABLE, plan.NET_UNREACHABLE, plan.ADMIN_PROHIBITED, plan.NEEDS_FRAGMENTS)


def scamper(lab: Lab, folder: Path, commands: list[str], node: str = "vp1") -> list[dict[str, Any]]:
    """Run commands with the system's scamper on a node; the results as sc_warts2json gives them."""
    tasks, results = folder / "commands", folder / "results.warts"
    tasks.write_text("".join(f"{command}\n" for command in commands))
    options = ["-p", "1000", "-w", "200", "-O", "cmdfile", "-O", "warts", "-o", str(results)]
    lab.run(node, ["scamper", *options, "-f", str(tasks)])
    text = subprocess.run(["sc_warts2json", str(results)], capture_output=True, text=True, check=True).stdout
    return [record for record in map(json.loads, text.splitlines()) if "cycle" not in record["type"]]


def test_every_host_answers_pings_as_planned(lab: Lab, tmp_path: Path) -> None:
    """From a vantage point every host answers on both families, save those that are made not to."""
    commands = [f"ping -c 2 -i 0.1 {a}" for host in plan.HOSTS.values() for a in host.addresses]
    answered = {r["dst"]: r["statistics"]["replies"] for r in scamper(lab, tmp_path, commands)}
    assert set(answered) == {a for host in plan.HOSTS.values() for a in host.addresses}
    for host in plan.HOSTS.values():
        if host in CUT or host in REFUSE:
            assert [answered[a] for a in host.addresses] != [2, 2] or host in REFUSE
        elif host not in {plan.LOSSY, plan.HALF}:
            assert [answered[a] for a in host.addresses] == [2, 2], host.name


@pytest.mark.parametrize("vp", plan.VP_NAMES)
def test_delays_are_at_least_what_the_plan_says(lab: Lab, tmp_path: Path, vp: str) -> None:
    """No answer is faster than the links on its way allow, and the far host's RTT stands out."""
    hosts = (plan.WEB, plan.FAR, plan.SLOW)
    commands = [f"ping -c 3 -i 0.1 {a}" for host in hosts for a in host.addresses]
    fastest = {r["dst"]: r["statistics"]["min"] for r in scamper(lab, tmp_path, commands, vp)}
    access = 2 * plan.VP_WIRES[vp].delay_ms
    for family in (0, 1):
        web, far, slow = (fastest[host.addresses[family]] for host in hosts)
        assert web >= access
        assert far >= access + 60
        assert slow >= access + 80
        assert web < min(far, slow)


def test_losses_are_counted_and_bounded(lab: Lab) -> None:
    """What the lossy host does not answer is what the forwarder says it lost; the rest comes back."""
    before = lab.links()["lossy"].lost
    sent, got = 300, set()
    with lab.inside("vp1"), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as handle:
        handle.connect((plan.LOSSY.v4, 0))
        handle.settimeout(0.5)
        for number in range(sent):
            message = struct.pack("!BBHHH", 8, 0, 0, 99, number)
            total = sum(struct.unpack("!4H", message))
            check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
            handle.send(message[:2] + struct.pack("!H", check) + message[4:])
            if number % 150 == 149:
                got |= _drain(handle)
    lost = lab.links()["lossy"].lost - before
    assert 0 < sent - len(got) <= lost
    assert lost < sent / 2


def _drain(handle: socket.socket) -> set[int]:
    """The sequence numbers of the echo replies that have come in; ends when none comes any more."""
    got = set()
    while True:
        try:
            packet = handle.recv(2048)
        except TimeoutError:
            return got
        if packet[20] == 0:
            got.add(struct.unpack("!H", packet[26:28])[0])


def test_many_packets_pass_unharmed(lab: Lab) -> None:
    """Four thousand datagrams, hundreds at a time, all come back through two user-space devices."""
    with lab.inside("vp3"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        handle.connect((plan.BOX.v4, services.ECHO))
        handle.settimeout(10.0)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for batch in range(20):
            sent = {struct.pack("!II", batch, n) for n in range(200)}
            for data in sent:
                handle.send(data)
            assert {handle.recv(100) for _ in sent} == sent


ALLY = "dealias -m ally -W 10 -p '-P icmp-echo'"


BALANCED = (plan.CDN1, plan.CDN2, plan.BOX, plan.NS2)
"""tracelb misses a way with a chance of 1 % (its -c 99); all four together, hardly ever."""


@pytest.fixture(scope="module")
def survey(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What takes scamper seconds, all at once: traces, diamonds, aliases."""
    commands = [
        f"{ALLY} {plan.ALIAS_PAIR[0].v4} {plan.ALIAS_PAIR[1].v4}",
        f"{ALLY} {plan.IPID_ZERO.v4} {plan.IPID_RANDOM.v4}",
        f"dealias -m mercator {plan.ALIAS_A3.v4}",
        f"dealias -m prefixscan -p '-P udp' {plan.ALIAS_A4.v4} {plan.ALIAS_MATE.v4}/30",
        f"trace {plan.MPLS.v4}",
    ]
    bad = (plan.PROHIBITED_4, plan.UNREACHABLE_4, plan.LOOP_4, plan.PROHIBITED_6)
    commands += [f"trace {address}" for address in bad]
    commands += [f"trace -P udp-paris {address}" for address in plan.WEB.addresses]
    commands += [f"tracelb -c 99 -W 15 {address}" for host in BALANCED for address in host.addresses]
    return scamper(lab, tmp_path_factory.mktemp("survey"), commands)


@pytest.mark.parametrize("family", [4, 6])
def test_trace_and_tracelb_see_the_diamond(survey: list[dict[str, Any]], family: int) -> None:
    """A trace passes the routers of the plan; tracelb finds both ways between r2 and r4."""
    target = plan.WEB.addresses[family == 6]
    [trace] = [record for record in survey if (record["type"], record.get("dst")) == ("trace", target)]
    hops = [hop["addr"] for hop in trace["hops"]]
    both = {plan.router_address("r3a", "r2", family), plan.router_address("r3b", "r2", family)}
    assert hops[0] == plan.router_address("r1", "vp1", family)
    assert hops[2] in both
    assert hops[-1] == target
    edges = {host.addresses[family == 6] for host in BALANCED}
    balanced = [r for r in survey if r["type"] == "tracelb" and r["dst"] in edges]
    assert len(balanced) == len(BALANCED)
    assert both <= {node["addr"] for record in balanced for node in record["nodes"]}


def test_mpls_labels_are_seen(survey: list[dict[str, Any]]) -> None:
    """The played path reports its label stacks, of one, two and three entries."""
    [trace] = [record for record in survey if record.get("dst") == plan.MPLS.v4]
    stacks = [
        [entry["mpls_label"] for entry in extension["mpls_labels"]]
        for hop in trace["hops"]
        for extension in hop.get("icmpext", [])
        if "mpls_labels" in extension
    ]
    assert stacks == [[1000], [24001, 1048575], [3, 16, 17]]


@pytest.mark.parametrize(
    ("family", "level", "discover", "mtu"),
    # linux/in.h: IP_MTU_DISCOVER, IP_MTU; linux/in6.h: IPV6_MTU_DISCOVER, IPV6_MTU
    [(socket.AF_INET, socket.IPPROTO_IP, 10, 14), (socket.AF_INET6, socket.IPPROTO_IPV6, 23, 24)],
    ids=["v4", "v6"],
)
def test_the_path_mtu_is_1400(lab: Lab, family: int, level: int, discover: int, mtu: int) -> None:
    """A datagram of 1500 bytes that may not be fragmented is refused with the MTU of r4's link."""
    with lab.inside("vp1"), socket.socket(family, socket.SOCK_DGRAM) as handle:
        handle.settimeout(10.0)
        handle.setsockopt(level, discover, 2)
        handle.connect((plan.MUTE.addresses[family == socket.AF_INET6], 9))
        with pytest.raises(OSError, match="too long"):
            handle.send(bytes(1450))
            handle.recv(1)
        assert handle.getsockopt(level, mtu) == 1400


def test_bad_destinations_fail_as_planned(lab: Lab, survey: list[dict[str, Any]]) -> None:
    """r4 prohibits, refuses, loops; what the vantage point has no route to fails there."""
    ends = {record["dst"]: record["stop_reason"] for record in survey if record["type"] == "trace"}
    assert ends[plan.PROHIBITED_4] == ends[plan.PROHIBITED_6] == ends[plan.UNREACHABLE_4] == "UNREACH"
    assert ends[plan.LOOP_4] == "LOOP"
    with lab.inside("vp1"), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as handle:
        with pytest.raises(OSError, match="No route to host"):
            handle.connect((plan.NO_ROUTE_6, 9))


def test_aliases_are_found_and_not_invented(survey: list[dict[str, Any]]) -> None:
    """ally, mercator and prefixscan join router A's addresses; ally keeps others apart."""
    results = defaultdict(list)
    for record in survey:
        if record["type"] == "dealias":
            results[record["method"]].append(record["result"])
    assert sorted(results["ally"])[0] == "aliases"
    assert len(results["ally"]) == 2
    assert results["ally"][0] != results["ally"][1]
    assert results["mercator"] == results["prefixscan"] == ["aliases"]


def ask(lab: Lab, name: str, kind: str, server: str, cls: str = "IN") -> dns.message.Message:
    """A DNS answer as the first vantage point gets it, over TCP if need be."""
    query = dns.message.make_query(name, kind, cls, use_edns=0, options=[dns.edns.GenericOption(3, b"")])
    with lab.inside("vp1"):
        return dns.query.udp_with_fallback(query, server, timeout=10.0)[0]


@pytest.mark.parametrize("kind", ["A", "AAAA", "NS", "MX", "TXT", "SOA", "CAA", "HTTPS"])
def test_dns_has_every_type(lab: Lab, kind: str) -> None:
    """The zone has records of each type that scripts ask for."""
    name = plan.WEB.fqdn if kind in {"A", "AAAA"} else plan.DOMAIN
    answer = ask(lab, name, kind, plan.NS1.v4)
    assert answer.answer[0].rdtype == dns.rdatatype.from_text(kind)


@pytest.mark.parametrize("host", plan.NAMESERVERS, ids=lambda host: host.name)
def test_name_servers_say_who_they_are(lab: Lab, host: plan.Host) -> None:
    """hostname.bind, id.server and NSID tell the name servers apart, over both families."""
    for address in host.addresses:
        assert host.fqdn in str(ask(lab, "hostname.bind", "TXT", address, "CH").answer[0])
        answer = ask(lab, "id.server", "TXT", address, "CH")
        assert f"{host.name}.lab" in str(answer.answer[0])
        assert f"{host.name}.lab".encode() in answer.options[0].to_wire()


def test_dns_names_lead_both_ways(lab: Lab) -> None:
    """Every name server's name has both addresses, PTR leads back, strangers get NXDOMAIN."""
    names = {str(rdata.target).rstrip(".") for rdata in ask(lab, plan.DOMAIN, "NS", plan.NS2.v6).answer[0]}
    assert names == {host.fqdn for host in plan.NAMESERVERS}
    for address in plan.NS3.addresses:
        pointer = dns.reversename.from_address(address).to_text()
        assert plan.NS3.fqdn in str(ask(lab, pointer, "PTR", plan.NS1.v4).answer[0])
    assert ask(lab, "www.example.com", "A", plan.NS1.v4).rcode() == dns.rcode.NXDOMAIN
    assert [str(rrset.name) for rrset in ask(lab, "alias2.lab.example", "A", plan.NS1.v4).answer] == [
        "alias2.lab.example.", "alias.lab.example.", "www.lab.example.",
    ]  # fmt: skip


CLIENT = """
import json, ssl, sys, urllib.request
for url in sys.argv[1:]:
    try:
        with urllib.request.urlopen(url, timeout=20) as reply:
            print(json.dumps([reply.status, reply.read().decode()]))
    except OSError as problem:
        print(json.dumps([0, str(problem)]))
"""


def test_web_serves_unmodified_clients(lab: Lab) -> None:
    """A plain client on a vantage point resolves, verifies, follows redirects; strangers are refused."""
    www = plan.WEB.fqdn
    urls = [
        f"http://{www}/", f"https://{www}/secure", f"http://{www}/chain3",
        f"https://dns.{plan.DOMAIN}/dns-json?name=cdn.{plan.DOMAIN}&type=AAAA",
        f"https://{www}:{plan.HTTPS_TLS12_PORT}/", f"http://{plan.CDN3.fqdn}/files/big",
        f"https://[{plan.WEB.v6}]/json", f"https://{www}:{plan.HTTPS_UNTRUSTED_PORT}/",
    ]  # fmt: skip
    done = lab.run("vp2", [sys.executable, "-c", CLIENT, *urls])
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [status for status, _ in replies] == [200] * 7 + [0]
    assert [entry["data"] for entry in json.loads(replies[3][1])["Answer"]] == [
        host.v6 for host in (plan.CDN1, plan.CDN2, plan.CDN3)
    ]
    assert len(replies[5][1]) == plan.BIG_FILE_BYTES
    assert "CERTIFICATE_VERIFY_FAILED" in replies[7][1]


def exchange(lab: Lab, address: str, port: int, data: bytes) -> bytes:
    """One datagram from the first vantage point, and the answer from the address that was asked."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with lab.inside("vp1"), socket.socket(family, socket.SOCK_DGRAM) as handle:
        handle.settimeout(10.0)
        handle.connect((address, port))
        handle.send(data)
        return handle.recv(4096)


def test_snmp_engines_show_which_addresses_are_one_box(lab: Lab) -> None:
    """All four addresses of the box name one SNMPv3 engine; the far host's is another."""
    box = [exchange(lab, a, 161, servers.SNMP_PROBE) for h in (plan.BOX, plan.BOX_2) for a in h.addresses]
    far = [exchange(lab, a, 161, servers.SNMP_PROBE) for a in plan.FAR.addresses]
    assert all(b"onvp-lab-box" in reply for reply in box)
    assert all(b"onvp-lab-far" in reply for reply in far)


def test_small_services_answer(lab: Lab) -> None:
    """UDP echo repeats what it got; SNTP answers as stratum 1 with the client's own stamp."""
    for address in (*plan.BOX.addresses, *plan.BOX_2.addresses):
        assert exchange(lab, address, services.ECHO, b"repeat") == b"repeat"
        reply = exchange(lab, address, services.NTP, b"\x23" + bytes(39) + b"mystamp!")
        assert (reply[0] & 7, reply[1], reply[24:32]) == (4, 1, b"mystamp!")


def test_the_controller_link_can_be_slowed_and_cut(lab: Lab) -> None:
    """Agents reach the controller's host; its link's delay and loss change while the lab runs."""
    with lab.inside("ctl"), socket.create_server((plan.CTL.v4, 4444)) as listener:
        with lab.inside("vp1"):
            socket.create_connection((plan.CTL.v4, 4444), 10.0).close()
        listener.accept()[0].close()
        lab.set_link("ctl", delay_ms=50.0)
        assert {link.delay_ms for name, link in lab.links().items() if name.startswith("ctl-")} == {50.0}
        lab.set_link("ctl", delay_ms=0.0)
        lab.set_link("ctl-vp1", loss=1.0)
        with lab.inside("vp1"), pytest.raises(TimeoutError):
            socket.create_connection((plan.CTL.v4, 4444), 0.3)
        with lab.inside("vp2"):
            socket.create_connection((plan.CTL.v4, 4444), 10.0).close()
        lab.set_link("ctl-vp1", loss=0.0)
        with lab.inside("vp1"):
            socket.create_connection((plan.CTL.v4, 4444), 10.0).close()


@pytest.mark.parametrize("node", plan.NODES)
def test_there_is_no_way_out(lab: Lab, node: str) -> None:
    """No node has a default route or a link that the plan does not know."""
    routes = netns.run_ip(["-n", lab.netns(node), "route"]) + netns.run_ip(["-n", lab.netns(node), "-6", "route"])
    assert not any(line.split()[0] in {"default", "0.0.0.0/0", "::/0"} for line in routes.splitlines())
    with lab.inside(node):
        present = {name for _, name in socket.if_nameindex()}
    planned = {port.iface for net in plan.NETS for port in net.ports if port.node == node}
    bridge_ports = {f"lan-{port.node}" for port in plan.LAN.ports[1:]} if node == "r5" else set()
    assert present == {"lo"} | planned | bridge_ports


def test_the_server_certificate_is_the_authoritys(lab: Lab) -> None:
    """A client that is given the authority's certificate verifies the server by name and by address."""
    context = ssl.create_default_context(cafile=str(lab.authority))
    for name in (plan.WEB.fqdn, plan.WEB.v4, plan.WEB.v6):
        with (
            lab.inside("vp1"),
            socket.create_connection((plan.WEB.v4, 443), 10.0) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            assert secure.version() == "TLSv1.3"


def test_unknown_names_are_refused(lab: Lab) -> None:
    """A node or link that is not in the plan is refused with the list of those that are."""
    with pytest.raises(LabError, match="vp1"):
        lab.netns("vp9")
    with pytest.raises(LabError, match="ctl-vp1"):
        lab.set_link("vp9", delay_ms=1.0)
