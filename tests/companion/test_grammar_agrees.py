"""What the prober driver renders for a companion, the companion reads, with the same values."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from onvp.policies import action as act
from onvp.sandbox.companion.commands import read_command
from onvp.sandbox.companion.errors import CommandRefused
from onvp.sandbox.companion.results import ProbeMethod
from onvp.sandbox.prober.command import render
from onvp.sandbox.prober.dialect import ACTIONS, dialect_of

COMPANION = dialect_of("onvp-0.1.0", ",".join(ACTIONS))

V4 = st.integers(1 << 24, (224 << 24) - 1).map(IPv4Address)
V6 = st.integers(0x2000 << 112, (0x2001 << 112) - 1).map(IPv6Address)
ADDRESS = V4 | V6
MS = st.integers(1, 4000).map(lambda n: n * 1000)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)
TOKEN = st.text(st.sampled_from("abcXYZ-019"), min_size=1, max_size=12)
USERID = st.integers(0, 0xFFFFFFFF)


def read(action: Any) -> Any:
    """The action through the driver's tables and the companion's."""
    return read_command(render(action, COMPANION))


def built(kind: type, **values: Any) -> Any:
    """The action, or nothing where the vocabulary itself does not allow it."""
    try:
        return kind(**values)
    except (ValueError, TypeError):
        assume(False)


@given(
    st.lists(TOKEN, min_size=1, max_size=4).map(".".join),
    st.none() | ADDRESS,
    st.sampled_from(["A", "AAAA", "MX", "NS", "SOA", "TXT", "SVCB", "HTTPS", None]),
    st.sampled_from(["IN", "CH"]),
    st.integers(1, 4),
    st.integers(1000, 5000),
    st.booleans(),
    st.booleans(),
    st.none() | st.tuples(ADDRESS, st.integers(0, 32)),
    USERID,
)
def test_dns(
    qname: str,
    server: Any,
    qtype: str | None,
    qclass: str,
    attempts: int,
    wait_ms: int,
    rd: bool,
    nsid: bool,
    ecs: Any,
    userid: int,
) -> None:
    """Every dns action arrives: queries count from one in the vocabulary, retries from zero in the command."""
    action = built(
        act.Dns,
        qname=qname,
        server=server,
        qtype=qtype,
        qclass=qclass,
        attempts=attempts,
        wait_timeout=wait_ms * 1000,
        rd=rd,
        nsid=nsid,
        tcp=attempts == 1 and rd,
        ecs=ip_network((ecs[0], ecs[1]), strict=False) if ecs else None,
        userid=userid,
    )
    r = read(action)

    assert (r.qname, r.server, r.retries, r.wait_us) == (qname.removesuffix("."), server, attempts - 1, wait_ms * 1000)
    assert (r.recurse, r.nsid, r.tcp, r.userid) == (rd, nsid, attempts == 1 and rd, userid)
    assert (r.ecs is None) == (ecs is None)
    assert r.ecs is None or ip_network(r.ecs) == action.ecs


@given(
    ADDRESS,
    st.sampled_from(["http", "https"]),
    TOKEN,
    st.none() | st.integers(1, 65535),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
    st.dictionaries(TOKEN, TEXT, max_size=4),
    st.booleans(),
    st.integers(1000, 60_000),
    USERID,
)
def test_http(
    dst: Any,
    scheme: str,
    host: str,
    port: int | None,
    path: str,
    headers: dict[str, str],
    insecure: bool,
    limit_ms: int,
    userid: int,
) -> None:
    """Every http action arrives, whatever quotes and backslashes its URL and headers hold."""
    url = f"{scheme}://{host}{'' if port is None else f':{port}'}/{path}"
    action = built(
        act.Http, dst=dst, url=url, headers=headers, insecure=insecure, limit_time=limit_ms * 1000, userid=userid
    )
    try:
        r = read(action)
    except CommandRefused as e:
        assert "header" in e.reason.lower()
        return

    assert (r.dst, r.https, r.host, r.file) == (dst, scheme == "https", host, f"/{path}")
    assert r.dport == (port or (443 if scheme == "https" else 80))
    assert [h.split(":", 1) for h in r.headers] == [[n, f" {v}"] for n, v in action.headers.items()]
    assert (r.insecure, r.maxtime_us, r.userid) == (insecure, limit_ms * 1000, userid)


@given(ADDRESS, st.integers(1, 65535), st.binary(min_size=1, max_size=1400), st.integers(1, 20), st.integers(1, 20))
def test_udpprobe(dst: Any, dport: int, payload: bytes, attempts: int, stop_count: int) -> None:
    """Every udpprobe action arrives."""
    action = built(act.Udpprobe, dst=dst, dport=dport, payload=payload, attempts=attempts, stop_count=stop_count)
    r = read(action)

    assert (r.dst, r.dport, r.payload, r.attempts, r.stop_count) == (dst, dport, payload, attempts, stop_count)
    assert (r.wait_timeout_us, r.wait_probe_us) == (2_000_000, 1_000_000)


METHOD = st.sampled_from([m.name.lower().replace("_", "-") for m in ProbeMethod])


@st.composite
def probedefs(draw: st.DrawFn, dst: st.SearchStrategy[Any]) -> Any:
    """A probe definition of the vocabulary."""
    method = draw(METHOD)
    icmp = method == "icmp-echo"
    ports = st.none() | st.integers(1, 65535)
    return built(
        act.ProbeDef,
        method=method,
        dst=draw(dst),
        ttl=draw(st.none() | st.integers(1, 255)),
        size=draw(st.none() | st.integers(40, 1500)),
        sport=None if icmp else draw(ports),
        dport=None if icmp else draw(ports),
        icmp_sum=draw(st.none() | st.integers(0, 65535)) if icmp else None,
    )


def agree(ours: Any, theirs: Any) -> None:
    """A probe definition is the same on both sides; what was left out has scamper's default."""
    assert ours.method.name.lower().replace("_", "-") == theirs.method
    assert ours.dst == theirs.dst
    assert ours.ttl == (theirs.ttl or 64)
    assert ours.size == (theirs.size or (40 if ours.method.is_tcp else 30))
    assert ours.sport == (theirs.sport or 0)
    assert ours.icmp_sum == (theirs.icmp_sum or 0)
    assert ours.dport == (theirs.dport or (33435 if theirs.method != "icmp-echo" else 0))


@given(
    st.lists(probedefs(st.none()), min_size=2, max_size=4),
    st.lists(V4, min_size=1, max_size=4, unique=True),
    st.integers(1, 500),
    MS,
    st.integers(1, 255),
    USERID,
)
def test_midarest(defs: Any, addrs: Any, rounds: int, wait_us: int, timeout_s: int, userid: int) -> None:
    """Every midarest action arrives."""
    wait_round = wait_us * len(defs) * len(addrs)
    action = built(
        act.Midarest,
        addrs=addrs,
        rounds=rounds,
        probedefs=defs,
        wait_probe=wait_us,
        wait_round=wait_round,
        wait_timeout=timeout_s * 1_000_000,
        userid=userid,
    )
    r = read(action)

    assert (list(r.addresses), r.rounds, r.wait_probe_us, r.wait_round_us) == (addrs, rounds, wait_us, wait_round)
    assert (r.wait_timeout_us, r.userid) == (timeout_s * 1_000_000, userid)
    for ours, theirs in zip(r.probedefs, defs, strict=True):
        agree(ours, theirs)


@given(
    st.lists(probedefs(V4), min_size=2, max_size=4),
    st.lists(st.integers(1, 1 << 24), min_size=2, max_size=5, unique=True).map(sorted),
    st.none() | st.integers(1_700_000_000_000_000, 1_900_000_000_000_000),
)
def test_midardisc(defs: Any, starts: Any, startat: int | None) -> None:
    """Every midardisc action arrives, to the microsecond."""
    last = len(defs) - 1
    rounds = [act.MidarRound(start=s, begin=0, end=last) for s in starts]
    action = built(act.Midardisc, probedefs=defs, schedule=rounds, startat=startat)
    r = read(action)

    assert [(x.start_us, x.begin, x.end) for x in r.schedule] == [(s, 0, last) for s in starts]
    assert r.startat_us == (startat or 0)
    for ours, theirs in zip(r.probedefs, defs, strict=True):
        agree(ours, theirs)


@given(
    ADDRESS,
    st.sampled_from(["tx", "rx"]),
    st.integers(1, 65535),
    st.integers(0, 63),
    st.none() | st.lists(st.integers(1000, 1_000_000), min_size=1, max_size=5),
    st.integers(1, 255),
    st.none() | st.integers(1_700_000_000_000_000, 1_900_000_000_000_000),
)
def test_owamp(
    dst: Any, direction: str, attempts: int, dscp: int, schedule: Any, ttl: int, startat: int | None
) -> None:
    """Every owamp action arrives."""
    action = built(
        act.Owamp,
        dst=dst,
        direction=direction,
        attempts=attempts,
        dscp=dscp,
        schedule=schedule,
        ttl=ttl,
        startat=startat,
    )
    r = read(action)

    assert (r.dst, r.receives, r.attempts, r.dscp, r.ttl) == (dst, direction == "rx", attempts, dscp, ttl)
    assert r.schedule_us == tuple(schedule or [100_000])
    assert r.startat_us == (startat or 0)


def test_ptr() -> None:
    """A reverse lookup keeps the address as its name."""
    r = read(act.Dns(qname="2001:db8::1", qtype="PTR", server=ip_address("192.0.2.1")))
    assert (r.qname, r.qtype) == ("2001:db8::1", 12)


def test_what_the_companion_cannot() -> None:
    """Encrypted ClientHello is refused with a reason, not ignored."""
    with pytest.raises(CommandRefused, match="ech"):
        read(act.Http(dst=ip_address("192.0.2.1"), url="https://x/", ech_grease=True))
