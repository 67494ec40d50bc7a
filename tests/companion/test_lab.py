"""The companion on a vantage point of the lab: real BIND, nginx, snmpd and routers, and the hostile hosts."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onvp.native import _warts
from tests.companion.dialogue import Dialogue, companion
from tests.lab import hostile, hostile_dns, plan
from tests.lab.lab import Lab

ENGINE_ID_QUERY = (
    "303a020103300f02024a69020300ffe30401040201030410300e0400020100020100040004000400"
    "301204000400a00c020237f00201000201003000"
)
"""An SNMPv3 request that an agent answers with its engine id (RFC 3414)."""


@pytest.fixture(scope="module")
def sock(lab: Lab, shared_folder: Path) -> Iterator[Path]:
    """A companion on vp1 that trusts the lab's authority."""
    trust = shared_folder / "trust.pem"
    trust.write_bytes(lab.authority.read_bytes())
    prefix = lab.command("vp1", ["env", f"SSL_CERT_FILE={trust}"])
    with companion(shared_folder, "--name", "vp1", prefix=prefix) as path:
        yield path


def measure(sock: Path, *commands: str) -> dict[int, Any]:
    """Run commands at the same time; the results by userid, which is the command's place from 1."""
    numbered = []
    for i, command in enumerate(commands, 1):
        word, rest = command.split(" ", 1)
        numbered.append(f"{word} -U {i} {rest}")
    with Dialogue(sock, 60) as c:
        stream = c.measure(*numbered)
    found = {o.userid: o for o in _warts.Decoder().feed(stream) if hasattr(o, "userid")}
    assert sorted(found) == list(range(1, len(commands) + 1))
    return found


def test_dns_of_every_kind(sock: Path) -> None:
    """Real name servers: each type, CHAOS, TCP, NSID, ECS, IPv6 servers, the default resolver."""
    ns1, domain = plan.NS1.v4, plan.DOMAIN
    r = measure(
        sock,
        f"host -s {ns1} -t A {plan.WEB.fqdn}",
        f"host -s {plan.NS1.v6} -t AAAA {plan.WEB.fqdn}",
        f"host -s {ns1} -t NS {domain}",
        f"host -s {ns1} -t MX {domain}",
        f"host -s {ns1} -t SOA {domain}",
        f"host -s {ns1} -t TXT {domain}",
        f"host -s {ns1} -t HTTPS {domain}",
        f"host -s {ns1} -t SVCB _dns.{domain}",
        f"host -s {ns1} -t PTR {plan.WEB.v4}",
        f"host -s {ns1} -t PTR {plan.WEB.v6}",
        f"host -s {ns1} -c CH -t TXT hostname.bind",
        f"host -s {ns1} -T -t TXT long.{domain}",
        f"host -s {ns1} -t TXT long.{domain}",
        f"host -s {ns1} -O nsid -t SOA {domain}",
        f"host -s {ns1} -O subnet=192.0.2.0/24 -r {plan.WEB.fqdn}",
        f"host {plan.WEB.fqdn}",
        f"host -s {ns1} nowhere.{domain}",
        f"host -s {plan.NS1.v6} -T -t A large.{domain}",
    )

    assert {x.stop_reason_str for x in r.values()} == {"done"}
    assert [str(a) for a in r[1].ans_addrs()] == [plan.WEB.v4]
    assert [str(a) for a in r[2].ans_addrs()] == [plan.WEB.v6]
    assert set(r[3].ans_nses()) == {h.fqdn for h in plan.NAMESERVERS}
    assert sorted((m.pref, m.exch) for m in r[4].ans_mxes()) == [(10, f"mx1.{domain}"), (20, f"mx2.{domain}")]
    assert next(r[5].ans()).soa.mname == plan.NS1.fqdn
    assert sorted(list(t) for t in r[6].ans_txts()) == [
        ["two strings", "in one record"],
        ["v=spf1 ip4:203.0.113.0/24 -all"],
    ]
    https = next(r[7].ans()).https
    assert (https.priority, https.target) == (1, "")
    assert {p.key_num for p in https} == {1, 4, 6}
    assert {x.svcb.priority for x in r[8].ans()} == {1, 2}
    assert plan.WEB.fqdn in r[9].ans_ptrs()
    assert plan.WEB.fqdn in r[10].ans_ptrs()
    assert (r[11].qclass, next(r[11].ans()).rclass) == ("CH", 3)
    assert (r[12].ancount, r[13].ancount) == (1, 0), "a long answer needs TCP"
    assert any(x.opt and any(e.code == "NSID" and e.data for e in x.opt) for x in r[14].ars())
    assert r[15].ecs == "192.0.2.0/24"
    assert str(r[16].dst) == plan.RESOLVER.v4
    assert r[17].rcode == "NXDomain"
    assert r[18].ancount == 100
    assert all(x.rtt.total_seconds() > 0.002 for x in r.values()), "the link alone takes 2 ms"


def test_hostile_dns(sock: Path) -> None:
    """Every trick of the hostile name server, over UDP and TCP, ends in time, and the next query works."""
    names = list(hostile_dns.TRICKS)
    commands = [f"host -W 1 -s {plan.EVIL.v4} {name}.x" for name in names]
    commands += [f"host -T -W 1 -s {plan.EVIL.v4} {name}.x" for name in names]
    found = measure(sock, *commands)

    by_name = {r.qname.removesuffix(".x"): r.stop_reason_str for i, r in found.items() if i <= len(names)}
    for name in ("wrongid", "wrongq", "badrdlen", "ptrloop", "ptrpair", "ptrpast", "fewer", "silent"):
        assert by_name[name] == "timeout", name
    for name in ("truncated", "refused", "svcb", "odd", "bytes"):
        assert by_name[name] == "done", name
    assert measure(sock, f"host -s {plan.NS1.v4} {plan.WEB.fqdn}")[1].stop_reason_str == "done"


def test_http_and_https(sock: Path) -> None:
    """Real nginx: pages, a large file, status codes, both families, good and bad certificates."""
    name, v4, v6 = plan.WEB.fqdn, plan.WEB.v4, plan.WEB.v6
    r = measure(
        sock,
        f"http -u http://{name}/ {v4}",
        f"http -u http://{name}/ {v6}",
        f"http -u https://{name}/ {v4}",
        f"http -u https://{name}/ {v6}",
        f"http -u https://{name}:{plan.HTTPS_TLS12_PORT}/ {v4}",
        f"http -u https://{name}:{plan.HTTPS_UNTRUSTED_PORT}/ {v4}",
        f"http -O insecure -u https://{name}:{plan.HTTPS_UNTRUSTED_PORT}/ {v4}",
        f"http -u https://elsewhere.example/ {v4}",
        f"http -u http://{name}/no-such-page {v4}",
        f"http -m 2 -u http://{name}/ {plan.MUTE.v4}",
        f"http -m 2 -u http://{name}/ {plan.NO_ROUTE_4}",
        f"http -u http://{name}:81/ {v4}",
    )

    stops = [r[i].stop_reason_str for i in range(1, 13)]
    assert stops[:5] == ["done"] * 5
    assert stops[5:] == ["insecure", "done", "insecure", "done", "timeout", "error", "noconn"]
    assert [r[i].status_code for i in (1, 2, 3, 4, 5, 7, 9)] == [200] * 6 + [404]
    assert r[1].response == r[2].response == r[3].response
    assert len(r[1].response) > 0
    assert all(r[i].hsrtt.total_seconds() > 0.002 for i in range(1, 10))
    assert [b.type_str for b in r[1].bufs()][:2] == ["hdr", "hdr"]
    assert [b.type_str for b in r[3].bufs()][:2] == ["tls", "tls"]


def test_hostile_http(sock: Path) -> None:
    """Every trick of the hostile web server ends in time, and the next request works."""
    endless = [path for path in hostile.TRICKS if path.startswith("/endless") or path == "/drip"]
    finite = [path for path in hostile.TRICKS if path not in endless]
    by_path: dict[str, str] = {}
    for limit_s, paths in ((2, endless), (10, finite)):
        found = measure(sock, *(f"http -m {limit_s} -u http://{plan.EVIL.fqdn}{path} {plan.EVIL.v4}" for path in paths))
        by_path |= {path: found[i].stop_reason_str for i, path in enumerate(paths, 1)}

    assert by_path["/drip"] == "timeout"
    assert by_path["/reset"] == "error"
    assert {by_path[p] for p in endless} <= {"error", "timeout"}, "a bound of size or of time"
    assert by_path["/cut"] == by_path["/folded"] == by_path["/round"] == "done"
    garbage = measure(sock, f"http -m 2 -u https://{plan.EVIL.fqdn}/ {plan.EVIL.v4}")[1]
    assert garbage.stop_reason_str in ("error", "timeout")
    assert measure(sock, f"http -u http://{plan.WEB.fqdn}/ {plan.WEB.v4}")[1].status_code == 200


def test_udpprobe(sock: Path) -> None:
    """Real snmpd tells its engine id: one for both addresses of a box, another for another machine."""
    probe = f"udpprobe -w 0.5 -d 161 -p {ENGINE_ID_QUERY}"
    r = measure(
        sock,
        *(f"{probe} {a}" for a in (plan.BOX.v4, plan.BOX_2.v4, plan.FAR.v4, plan.BOX.v6)),
        f"udpprobe -w 0.5 -d 9 -p 7878 {plan.THREE_ANSWERS.v4}",
        f"udpprobe -w 0.5 -d 9 -p 7878 {plan.MUTE.v4}",
    )

    def engine(i: int) -> bytes:
        (reply,) = r[i].replies()
        data = bytes(reply.payload)
        at = data.index(b"\x04", data.index(b"\x02\x01\x03\x04") + 4)  # the engine id opens the parameters
        return data[at : at + 2 + data[at + 1]]

    assert engine(1) == engine(2) == engine(4) != engine(3)
    assert len(list(r[5].replies())) == 3
    assert len(list(r[6].replies())) == 0


def test_midar(sock: Path) -> None:
    """IP id series tell a router's addresses, whose ids interleave, from a counter of its own."""
    a1, a2, own = plan.ALIAS_A1.v4, plan.ALIAS_A2.v4, plan.IPID_OWN.v4
    r = measure(
        sock,
        f"dealias -m midarest -q 10 -r 60 -w 1 -p '-P icmp-echo' -p '-P tcp-ack' {a1} {a2} {own}",
    )[1]

    series: dict[str, list[tuple[float, int]]] = {a: [] for a in (a1, a2, own)}
    for p in r.probes():
        for reply in p.replies():
            series[str(p.probedef.dst)].append((p.tx.timestamp(), reply.ipid))
    assert {a: len(s) for a, s in series.items()} == {a1: 20, a2: 20, own: 20}

    def wraps(*addresses: str) -> int:
        ids = [ipid for _, ipid in sorted(x for a in addresses for x in series[a])]
        return sum(b <= a for a, b in itertools.pairwise(ids))

    assert wraps(a1) <= 1
    assert wraps(own) <= 1
    assert wraps(a1, a2) <= 1, "one counter"
    assert wraps(a1, own) > 5, "two counters"
