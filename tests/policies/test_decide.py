"""Deny wins, default deny, fail closed: what may be done and what may not."""

import dataclasses
import ipaddress
import itertools
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.policies.action import ACTIONS, Cost, Ping, parse
from onvp.policies.combine import combine, optout_layer, platform_layer
from onvp.policies.decide import Usage, decide
from onvp.policies.grant import Clamp, Grant, Refusal
from onvp.policies.load import load_bytes
from onvp.policies.model import Layer
from onvp.policies.policy import Policy
from onvp.policies.selftest import parse_call

_ALL = ", ".join(f"{name}: {{allow: true}}" for name in ACTIONS)
OPEN = f"primitives: {{{_ALL}}}\ndestinations: {{allow: [global-unicast]}}\n"
HERE = platform_layer(
    own_addresses=["198.18.1.2", "2001:db8:1::2"],
    own_networks=["198.18.1.0/24", "2001:db8:1::/64"],
    controllers=["9.9.9.9"],
)


def layer(text: str, kind: str = "host") -> Layer:
    """A layer with these rules."""
    return load_bytes(f"onvp-policy: 1\nlayer: {kind}\n{text}".encode(), f"{kind}.yaml")


def host(text: str, *more: Layer) -> Policy:
    """A policy of the platform's and the host's layer, and more."""
    return combine([HERE, layer(text), *more])


def ask(policy: Policy, call: str, now: Any = 0.0, **usage: Any) -> Grant | Refusal:
    """The answer to a call."""
    return decide(policy, parse_call(call), Usage(**usage), now)


def refused(policy: Policy, call: str, now: Any = 0.0, **usage: Any) -> Refusal:
    """The answer, which must be no."""
    answer = ask(policy, call, now, **usage)
    assert isinstance(answer, Refusal), answer
    assert answer.digest == policy.digest
    return answer


def granted(policy: Policy, call: str, now: Any = 0.0, **usage: Any) -> Grant:
    """The answer, which must be yes."""
    answer = ask(policy, call, now, **usage)
    assert isinstance(answer, Grant), answer
    return answer


def test_only_decide_makes_a_grant() -> None:
    """Nobody else can make a `Grant`: not by calling it, not by changing one."""
    grant = granted(host(OPEN), "ping 1.1.1.1")

    with pytest.raises(TypeError, match=r"decide\.decide only"):
        Grant("d", Ping(dst=ipaddress.ip_address("1.1.1.1")), (), Cost(1, 1), "", "", "", "", "", "")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        dataclasses.replace(grant, action=parse_call("ping 8.8.8.8"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        grant.user = "somebody else"  # type: ignore[misc]


@pytest.mark.parametrize("policy", [combine([platform_layer()]), combine([]), combine([layer(OPEN, "operator")])])
def test_no_host_policy(policy: Policy) -> None:
    """Without a host's policy nothing is allowed, whatever other layers say."""
    assert refused(policy, "ping 1.1.1.1").rule == "default"
    assert policy.allowed_primitives() == frozenset()
    assert policy.admits("ann", "", 0.0) is not None


SPECIAL = [
    ("127.0.0.1", "destinations.deny.loopback"), ("0.0.0.0", "destinations.deny.unspecified"),
    ("10.1.2.3", "destinations.deny.private"), ("172.31.255.255", "destinations.deny.private"),
    ("192.168.0.1", "destinations.deny.private"), ("100.64.0.1", "destinations.deny.shared"),
    ("169.254.169.254", "destinations.deny.link-local"), ("192.0.0.8", "destinations.deny.protocol"),
    ("192.0.2.1", "destinations.deny.documentation"), ("198.19.255.255", "destinations.deny.benchmarking"),
    ("224.0.0.1", "destinations.deny.multicast"), ("240.0.0.1", "destinations.deny.reserved"),
    ("255.255.255.255", "destinations.deny.reserved"), ("::1", "destinations.deny.unspecified"),
    ("::", "destinations.deny.unspecified"), ("::127.0.0.1", "destinations.deny.unspecified"),
    ("::ffff:1.1.1.1", "destinations.deny.v4-mapped"), ("::ffff:127.0.0.1", "destinations.deny.v4-mapped"),
    ("64:ff9b::7f00:1", "destinations.deny.loopback"), ("64:ff9b::a00:1", "destinations.deny.private"),
    ("64:ff9b:1::1", "destinations.deny.protocol"), ("64:ff9b::909:909", "destinations.deny.controller"),
    ("2002:7f00:1::", "destinations.deny.protocol"), ("2001::1", "destinations.deny.protocol"),
    ("2001:db8::1", "destinations.deny.documentation"), ("3fff::1", "destinations.deny.documentation"),
    ("fe80::1", "destinations.deny.link-local"), ("fd00::1", "destinations.deny.private"),
    ("fec0::1", "destinations.deny.private"), ("ff02::1", "destinations.deny.multicast"),
    ("100::1", "destinations.deny.discard"), ("5f00::1", "destinations.deny.protocol"),
    ("4000::1", "destinations.deny.unassigned"), ("1::1", "destinations.deny.unassigned"),
    ("f000::1", "destinations.deny.unassigned"), ("9.9.9.9", "destinations.deny.controller"),
]  # fmt: skip


@pytest.mark.parametrize(("address", "rule"), SPECIAL)
def test_special_address(address: str, rule: str) -> None:
    """What is not an ordinary destination is closed by the platform, in every form in which it can be written."""
    answer = refused(host(OPEN), f"ping {address}")

    assert (answer.layer, answer.rule) == ("platform", rule)
    assert answer.where == "built in"


def test_agrees_with_the_standard_library() -> None:
    """Whatever Python's own tables call not global is refused, at the ends of each of our prefixes and beside them."""
    policy = host(OPEN)
    globals_that_we_close = ipaddress.ip_network("2001::/23"), ipaddress.ip_network("192.0.0.0/24")
    probes = set()
    for entry in HERE.destinations.deny:
        for family, first, last in entry.spans:
            top = 2**32 if family == 4 else 2**128
            make = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
            probes |= {make(n) for n in (first - 1, first, last, last + 1) if 0 <= n < top}
    assert len(probes) > 100
    for address in probes:
        if isinstance(decide(policy, parse("ping", {"dst": str(address)}), now=0.0), Grant):
            assert address.is_global or address in ipaddress.ip_network("64:ff9b::/96"), address
        elif address.is_global and address.version == 4:
            known = (
                *globals_that_we_close,
                ipaddress.ip_network("224.0.0.0/4"),
                ipaddress.ip_network("192.88.99.0/24"),
            )
            assert any(address in net for net in known) or str(address) == "9.9.9.9", address


@pytest.mark.parametrize("address", ["1.1.1.1", "192.0.3.0", "198.17.255.255", "198.20.0.0", "2600::1",
                                     "64:ff9b::101:101", "11.0.0.0", "223.255.255.255"])  # fmt: skip
def test_ordinary_address(address: str) -> None:
    """An ordinary address that the host allows is open, next door to a closed prefix, too."""
    assert granted(host(OPEN), f"ping {address}").rule == "primitives.ping.allow"


LAB = OPEN.replace(
    "{allow: [global-unicast]}",
    "{reopen: [198.18.0.0/15, '2001:db8::/32', 198.18.7.0/24], allow: [198.18.0.0/15, '2001:db8::/32']}",
)


def test_reopen() -> None:
    """A host opens a special-purpose prefix by naming it exactly; its own addresses and networks stay closed."""
    policy = host(LAB)

    granted(policy, "ping 198.18.2.1")
    granted(policy, "ping 2001:db8:2::1")
    assert refused(policy, "ping 198.18.1.1").rule == "destinations.deny.this-site"
    assert refused(policy, "ping 198.18.1.2").rule == "destinations.deny.this-site"
    assert refused(policy, "ping 192.0.2.1").rule == "destinations.deny.documentation"
    assert refused(policy, "ping 1.1.1.1").rule == "destinations.allow"


def test_reopen_own_network() -> None:
    """The VP's own network opens when it is named exactly; the VP, its broadcast address and the controller never."""
    policy = host(LAB.replace("198.18.7.0/24", "198.18.1.0/24"))

    granted(policy, "ping 198.18.1.1")
    assert refused(policy, "ping 198.18.1.2").rule == "destinations.deny.this-vp"
    assert refused(policy, "ping 198.18.1.255").rule == "destinations.deny.broadcast"
    assert "reopen 198.18.7.0/24 has no effect here" in str(host(LAB).warnings)


def test_deny_wins() -> None:
    """A denied destination is denied although another rule allows it, in any order of layers and rules."""
    for order in (
        "deny: [1.1.1.0/24], allow: [global-unicast, 1.1.1.0/24]",
        "allow: [1.1.1.0/24, global-unicast], deny: [1.1.1.0/24]",
    ):
        policy = host(OPEN.replace("allow: [global-unicast]", order))
        answer = refused(policy, "ping 1.1.1.1")
        assert answer.rule == "destinations.deny.1.1.1.0/24"
        assert answer.where == "host.yaml:4"
        granted(policy, "ping 1.1.2.1")
        assert refused(policy, "ping 64:ff9b::101:101").rule == "destinations.deny.1.1.1.0/24"


def test_layers_narrow() -> None:
    """Each layer can only narrow: allowed lists intersect, denied lists unite, bounds take the least."""
    operator = layer(
        "primitives: {ping: {allow: true, attempts: {max: 3, over: clamp}}, dns: {allow: true}}\n"
        "destinations: {allow: [1.0.0.0/8, 8.8.8.0/24], deny: [1.2.0.0/16]}\nscripts: {memory: 1GiB, calls: 5}\n"
        "rates: {vp: {pps: 500}}\n",
        "operator",
    )
    text = OPEN.replace("ping: {allow: true", "ping: {allow: true, attempts: {max: 7, over: clamp}").replace(
        "[global-unicast]", "[1.0.0.0/8]"
    )
    policy = host(text + "scripts: {memory: 32MiB, wall: 5s}\nrates: {vp: {pps: 20}}\n", operator)

    assert granted(policy, "ping 1.1.1.1").clamps == (
        Clamp("attempts", 4, 3, "primitives.ping.attempts", "operator.yaml:3"),
    )
    assert refused(policy, "ping 8.8.8.8").layer == "host"
    assert refused(policy, "ping 1.2.3.4").layer == "operator"
    assert refused(policy, "trace 1.1.1.1").layer == "operator"
    assert policy.scripts.memory_bytes == 32 << 20
    assert policy.scripts.calls == 5
    assert policy.rates.vp.pps is not None
    assert policy.rates.vp.pps.value == 20
    assert policy.allowed_primitives() == {"ping", "dns"}


def test_order_free() -> None:
    """The order of the layers changes neither a decision nor the digest."""
    layers = [HERE, layer(OPEN), optout_layer(["8.8.8.0/24"]), layer("destinations: {deny: [1.2.3.0/24]}", "operator")]
    calls = ["ping 1.1.1.1", "ping 8.8.8.8", "ping 1.2.3.4", "trace 10.0.0.1"]
    answers = {
        tuple(
            (type(a), a.rule, a.layer, a.digest)
            for a in (ask(combine(order), call) for call in calls)
        )
        for order in itertools.permutations(layers)
    }  # fmt: skip

    assert len(answers) == 1


def test_optout() -> None:
    """Who asked not to be probed is not, and neither is his address inside an IPv6 one."""
    policy = host(OPEN, optout_layer(["8.8.8.0/24", "2600::/32"], source="optout.txt"))

    assert refused(policy, "ping 8.8.8.8").layer == "optout"
    assert refused(policy, "ping 2600::1").rule == "destinations.deny.list:optout"
    assert refused(policy, "ping 64:ff9b::808:808").layer == "optout"
    granted(policy, "ping 8.8.9.8")


RULES = "primitives: {ping: {allow: true, %s}, trace: {allow: true}}\ndestinations: {allow: [global-unicast]}\n"

PARAMETERS = [
    ("attempts: {max: 10, over: clamp}", "ping 1.1.1.1 attempts=50", ("attempts", 50, 10)),
    ("attempts: {max: 10, over: clamp}", "ping 1.1.1.1 attempts=10", None),
    ("attempts: {max: 10}", "ping 1.1.1.1 attempts=50", "primitives.ping.attempts"),
    ("wait_probe: {min: 2s, over: clamp}", "ping 1.1.1.1 wait_probe=20ms", ("wait_probe", 0.02, 2.0)),
    ("wait_probe: {min: 2s}", "ping 1.1.1.1", "primitives.ping.wait_probe"),
    ("size: {max: 256B}", "ping 1.1.1.1 size=257", "primitives.ping.size"),
    ("size: {max: 256B}", "ping 1.1.1.1", None),
    ("size: {max: 60B}", "ping 1.1.1.1", "primitives.ping.size"),
    ("stop_count: {max: 3}", "ping 1.1.1.1 attempts=4", "primitives.ping.stop_count"),
    ("wait_timeout: {max: 1s}", "ping 1.1.1.1 wait_probe=3s", "primitives.ping.wait_timeout"),
    ("ip_rr: false", "ping 1.1.1.1 ip_rr=true", "primitives.ping.ip_rr"),
    ("ip_rr: false", "ping 1.1.1.1 ip_rr=false", None),
    ("ip_rr: true", "ping 1.1.1.1 ip_rr=true", None),
    ("payload: {max: 4B}", "ping 1.1.1.1 payload=12345", "primitives.ping.payload"),
    ("payload: false", "ping 1.1.1.1 payload=1", "primitives.ping.payload"),
    ("methods: [icmp-echo]", "ping 1.1.1.1 method=tcp-syn", "primitives.ping.methods"),
    ("methods: []", "ping 1.1.1.1", "primitives.ping.methods"),
    ("ports: [80, 443]", "ping 1.1.1.1 method=tcp-syn dport=443", None),
    ("ports: [80, 443]", "ping 1.1.1.1 method=tcp-syn dport=22", "primitives.ping.ports"),
    ("ports: [80, 443]", "ping 1.1.1.1 method=tcp-syn", "primitives.ping.ports"),
    ("ports: [80, 443]", "ping 1.1.1.1", None),
    ("ports: [80-82]", "ping 1.1.1.1 method=udp-dport dport=80 attempts=3", None),
    ("ports: [80-81, 83]", "ping 1.1.1.1 method=udp-dport dport=80 attempts=4", "primitives.ping.ports"),
    ("ports: [80, 82]", "ping 1.1.1.1 method=udp-dport dport=80 attempts=3", "primitives.ping.ports"),
    ("attempts: {max: 2, over: clamp}, ports: [80-81]", "ping 1.1.1.1 method=udp-dport dport=80 attempts=9",
     ("attempts", 9, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "call", "expected"), PARAMETERS)
def test_parameter(rules: str, call: str, expected: Any) -> None:
    """A parameter beyond its bounds is refused or narrowed, and the answer says what was asked and by which rule."""
    answer = ask(host(RULES % rules), call)

    if isinstance(expected, str):
        assert isinstance(answer, Refusal)
        assert (answer.rule, answer.where, answer.code) == (expected, "host.yaml:3", "policy")
    else:
        assert isinstance(answer, Grant), answer
        assert [(c.parameter, c.asked, c.given) for c in answer.clamps] == ([expected] if expected else [])
        assert answer.cost == answer.action.cost()


def test_exact() -> None:
    """With ``exact`` a call that would be narrowed is refused instead."""
    policy = host(RULES % "attempts: {max: 10, over: clamp}")

    answer = decide(policy, parse_call("ping 1.1.1.1 attempts=50"), now=0.0, exact=True)

    assert isinstance(answer, Refusal)
    assert answer.rule == "primitives.ping.attempts"


OTHERS = [
    ("trace: {allow: true, hoplimit: {max: 32, over: clamp}}", "trace 1.1.1.1", ("hoplimit", 255, 32)),
    ("trace: {allow: true, hoplimit: {max: 32, over: clamp}}", "trace 1.1.1.1 firsthop=40",
     "primitives.trace.hoplimit"),
    ("trace: {allow: true, gaplimit: {max: 2, over: clamp}}", "trace 1.1.1.1 squeries=4", ("gaplimit", 5, 2)),
    ("trace: {allow: true, ports: [33435]}", "trace 1.1.1.1", None),
    ("trace: {allow: true, ports: [33435]}", "trace 1.1.1.1 method=udp", "primitives.trace.ports"),
    ("dns: {allow: true, qtypes: [A]}", "dns example.net qtype=AAAA", "primitives.dns.qtypes"),
    ("dns: {allow: true, qtypes: [A]}", "dns example.net mqtypes=A,MX", "primitives.dns.qtypes"),
    ("dns: {allow: true, qtypes: [A]}", "dns 192.0.2.1", "primitives.dns.qtypes"),
    ("dns: {allow: true, servers: [resolver]}", "dns example.net server=1.1.1.1", "primitives.dns.servers"),
    ("dns: {allow: true, recursion: false}", "dns example.net", "primitives.dns.recursion"),
    ("dns: {allow: true, recursion: false}", "dns example.net rd=false", None),
    ("dns: {allow: true}", "dns example.net server=10.0.0.1", "destinations.deny.private"),
    ("http: {allow: true, schemes: [https]}", "http http://1.1.1.1/", "primitives.http.schemes"),
    ("http: {allow: true, methods: [HEAD]}", "http http://1.1.1.1/", "primitives.http.methods"),
    ("http: {allow: true, ports: [443]}", "http https://1.1.1.1:8443/", "primitives.http.ports"),
    ("udpprobe: {allow: true, attempts: {max: 2, over: clamp}}", "udpprobe 1.1.1.1 attempts=5 stop_count=3",
     ("attempts", 5, 2)),
    ("prefixscan: {allow: true}", "prefixscan 1.1.1.1 10.0.0.1", "destinations.deny.private"),
    ("ally: {allow: true}", "ally 1.1.1.1 10.0.0.1", "destinations.deny.private"),
    ("ally: {allow: true, methods: [icmp-echo]}", "ally 1.1.1.1 1.1.1.2", "primitives.ally.methods"),
    ("radargun: {allow: true, methods: [icmp-echo]}", "radargun 1.1.1.1 1.1.1.2", "primitives.radargun.methods"),
    ("radargun: {allow: true}", "radargun 1.1.1.1 10.0.0.2", "destinations.deny.private"),
    ("sniff: {allow: true}", "sniff 198.18.1.2", None),
    ("sniff: {allow: true}", "sniff 1.1.1.1", "platform.source"),
    ("ping: {allow: true}", "ping 1.1.1.1 src=1.1.1.2", "platform.source"),
    ("ping: {allow: true}", "ping 1.1.1.1 src=198.18.1.2", None),
    ("ping: {allow: true}", "ping 1.1.1.1 rtr=1.1.1.2", "platform.router"),
    ("ping: {allow: true}", "ping 1.1.1.1 rtr=198.18.1.1", None),
    ("owamp: {allow: true, directions: [rx]}", "owamp 1.1.1.1", "primitives.owamp.directions"),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "call", "expected"), OTHERS)
def test_other_primitives(rules: str, call: str, expected: Any) -> None:
    """Every address, port, type, scheme and source that a call would use is judged, whatever the primitive."""
    answer = ask(host(f"primitives: {{{rules}}}\ndestinations: {{allow: [global-unicast]}}\n"), call)

    if isinstance(expected, str):
        assert isinstance(answer, Refusal)
        assert answer.rule == expected
    else:
        assert isinstance(answer, Grant), answer
        first = answer.clamps[0] if answer.clamps else None
        assert (first and (first.parameter, first.asked, first.given)) == expected


def test_names() -> None:
    """A denied name is denied as a URL's host, in any case and below a wildcard, and not when it merely ends alike."""
    policy = host(OPEN.replace("allow: [g", "deny: ['name:*.example.net', 'name:one.test'], allow: [g"))

    for url in (
        "http://example.net/",
        "https://WWW.Example.Net:8443/x",
        "http://a.b.example.net./",
        "http://one.test?q",
    ):
        assert "name:" in refused(policy, f"http {url} dst=1.1.1.1").rule
    for url in ("http://badexample.net/", "http://two.one.test/", "http://example.net.evil.test/"):
        granted(policy, f"http {url} dst=1.1.1.1")


def test_roles() -> None:
    """Where a layer names roles, who has none of them may do nothing, and who has one may use its primitives."""
    policy = host(OPEN + "who: {roles: {student: {primitives: [ping]}}}\n")

    granted(policy, "ping 1.1.1.1", role="student")
    assert refused(policy, "trace 1.1.1.1", role="student").rule == "who.roles.student"
    assert refused(policy, "ping 1.1.1.1").rule == "who.roles"
    assert refused(policy, "ping 1.1.1.1", role="teacher").rule == "who.roles"
    assert policy.admits("ann", "student", 0.0) is None
    assert policy.admits("ann", "", 0.0) is not None
    assert policy.allowed_primitives("student") == {"ping"}
    assert policy.allowed_primitives("nobody") == frozenset()


def test_budget() -> None:
    """What is left is compared with the worst case of the call, not with what it may happen to send."""
    policy = host(OPEN + "budgets: {user: {day: {packets: 100}}, zone: UTC}\n")

    granted(policy, "ping 1.1.1.1 attempts=5", left={"user.day.packets": 5})
    answer = refused(policy, "ping 1.1.1.1 attempts=6", left={"user.day.packets": 5})
    assert (answer.code, answer.rule) == ("budget", "budgets.user.day.packets")


def test_validity() -> None:
    """Before and after the time for which a policy is valid everything is refused; with a wrong clock as well."""
    policy = host(OPEN + "valid: {from: 2026-06-01, until: 2026-07-01}\n")
    start = datetime(2026, 6, 1, tzinfo=UTC).timestamp()

    assert refused(policy, "ping 1.1.1.1", start - 10).retry_after_s == pytest.approx(10)
    granted(policy, "ping 1.1.1.1", start)
    granted(policy, "ping 1.1.1.1", datetime(2026, 6, 30, 23, 59, tzinfo=UTC))
    expired = refused(policy, "ping 1.1.1.1", datetime(2026, 7, 1, tzinfo=UTC))
    assert (expired.rule, expired.retry_after_s) == ("valid", None)
    assert refused(policy, "ping 1.1.1.1", start, clock_error_s=61.0).rule == "valid"
    granted(policy, "ping 1.1.1.1", start, clock_error_s=60.0)
    assert policy.admits("ann", "", start - 1) is not None
    assert policy.admits("ann", "", start) is None


def at(text: str, zone: str = "Pacific/Auckland", fold: int = 0) -> datetime:
    """A moment on the clock of a place."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


NIGHTS = "windows: [{allow: [http], days: mon-fri, hours: '19:00-07:00', zone: Pacific/Auckland, why: customers}]\n"


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-11-16T18:59", False), ("2026-11-16T19:00", True), ("2026-11-17T06:59", True),
        ("2026-11-17T07:00", False), ("2026-11-20T23:00", True), ("2026-11-21T06:00", True),
        ("2026-11-21T20:00", False), ("2026-11-22T20:00", False), ("2026-11-23T06:00", False),
    ],
)  # fmt: skip
def test_window_over_midnight(moment: str, open_: bool) -> None:
    """Hours that cross midnight belong to the day on which they begin."""
    answer = ask(host(OPEN + NIGHTS), "http http://1.1.1.1/", at(moment))

    assert isinstance(answer, Grant) == open_
    granted(host(OPEN + NIGHTS), "ping 1.1.1.1", at(moment))


def test_window_says_when() -> None:
    """A refusal by a window says why, and when it will be possible next, on the clock of the place."""
    answer = refused(host(OPEN + NIGHTS), "http http://1.1.1.1/", at("2026-11-21T12:00"))

    assert answer.rule == "windows[0]"
    assert answer.where == "host.yaml:5"
    assert answer.retry_after_s == pytest.approx((2 * 24 + 7) * 3600)
    assert answer.sentence == (
        "The host policy allows http only mon-fri 19:00-07:00 (Pacific/Auckland): customers; "
        "next possible at 2026-11-23 19:00 Pacific/Auckland"
    )


def test_window_and_time_change() -> None:
    """The clock on the wall decides: a skipped hour never comes, a repeated one comes twice."""
    policy = host(OPEN + "windows: [{allow: [ping], hours: '02:00-03:00', zone: Europe/Berlin}]\n")

    # 2026-03-29: 02:00 → 03:00. 2026-10-25: 03:00 → 02:00.
    skipped = refused(policy, "ping 1.1.1.1", at("2026-03-29T01:59", "Europe/Berlin"))
    assert skipped.retry_after_s == pytest.approx(24 * 3600 - 3600 + 60)
    assert refused(policy, "ping 1.1.1.1", at("2026-03-29T03:00", "Europe/Berlin")).rule == "windows[0]"
    for fold in (0, 1):
        granted(policy, "ping 1.1.1.1", at("2026-10-25T02:30", "Europe/Berlin", fold))
    between = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)  # 02:00 for the second time
    granted(policy, "ping 1.1.1.1", between)
    assert refused(policy, "ping 1.1.1.1", at("2026-10-25T03:00", "Europe/Berlin")).rule == "windows[0]"


def test_deny_window() -> None:
    """A freeze refuses runs and calls while it lasts, and says until when."""
    policy = host(OPEN + "windows: [{deny: all, from: 2026-12-24, until: 2026-12-27, zone: UTC, why: freeze}]\n")
    inside = datetime(2026, 12, 26, 12, tzinfo=UTC)

    answer = refused(policy, "ping 1.1.1.1", inside)
    assert answer.retry_after_s == pytest.approx(12 * 3600)
    assert "freeze" in answer.sentence
    run = policy.admits("ann", "", inside)
    assert run is not None
    assert run.retry_after_s == pytest.approx(12 * 3600)
    granted(policy, "ping 1.1.1.1", datetime(2026, 12, 27, tzinfo=UTC))
    assert refused(policy, "ping 1.1.1.1", datetime(2026, 1, 1, tzinfo=UTC), clock_error_s=100.0).rule == "windows[0]"


def test_windows_intersect() -> None:
    """Each layer's windows must allow it."""
    operator = layer("windows: [{allow: [ping], hours: '10:00-12:00', zone: UTC}]\n", "operator")
    policy = host(OPEN + "windows: [{allow: [ping], hours: '11:00-13:00', zone: UTC}]\n", operator)

    for hour, open_ in ((10, False), (11, True), (12, False)):
        assert isinstance(ask(policy, "ping 1.1.1.1", datetime(2026, 5, 5, hour, tzinfo=UTC)), Grant) == open_


@given(st.integers(0, 2**32 - 1), st.integers(1, 200))
def test_a_narrower_policy_grants_no_more(address: int, attempts: int) -> None:
    """Whatever is granted under two layers is granted under each of them, and no wider."""
    both, first, second = _WITH_BOTH, _WITH_FIRST, _WITH_SECOND
    action = parse("ping", {"dst": str(ipaddress.IPv4Address(address)), "attempts": attempts})

    answer = decide(both, action, now=0.0)

    if isinstance(answer, Grant):
        for alone in (first, second):
            single = decide(alone, action, now=0.0)
            assert isinstance(single, Grant)
            assert answer.cost.packets <= single.cost.packets
            assert isinstance(decide(alone, answer.action, now=0.0), Grant)


_FIRST = layer(RULES % "attempts: {max: 60, over: clamp}" + "")
_SECOND = layer(
    "primitives: {ping: {allow: true, attempts: {max: 90}}}\ndestinations: {allow: [0.0.0.0/1], deny: [64.0.0.0/3]}\n",
    "operator",
)
_SECOND_AS_HOST = layer(
    "primitives: {ping: {allow: true, attempts: {max: 90}}}\ndestinations: {allow: [0.0.0.0/1], deny: [64.0.0.0/3]}\n"
)
_WITH_BOTH, _WITH_FIRST, _WITH_SECOND = combine([_FIRST, _SECOND]), combine([_FIRST]), combine([_SECOND_AS_HOST])


@given(st.sets(st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32)), max_size=30), st.integers(0, 2**32 - 1))
def test_prefixes(prefixes: set[tuple[int, int]], address: int) -> None:
    """The fast set of prefixes agrees with looking at each prefix, nested ones included."""
    networks = [ipaddress.ip_network((number, length), strict=False) for number, length in prefixes]
    policy = host(OPEN, optout_layer(networks))
    probes = [address, *(int(net.network_address) + step for net in networks for step in (-1, 0, 1))]
    for number in probes:
        if 0 <= number < 2**32:
            target = ipaddress.IPv4Address(number)
            found = policy.denied.find(4, number)
            assert (found is not None) == (
                any(target in net for net in networks) or HERE_DENIES.denied.find(4, number) is not None
            )


HERE_DENIES = combine([HERE])


def test_defaults() -> None:
    """Where a host says nothing about rates and scripts, conservative values hold: never as much as one likes."""
    policy = host(OPEN)

    assert policy.rates.vp.pps is not None
    assert policy.rates.vp.pps.value == 50
    assert policy.rates.max_delay_s == 30.0
    limits = policy.scripts
    assert (limits.cpu_s, limits.memory_bytes, limits.wall_s, limits.level) == (60.0, 64 << 20, 3600.0, "full")
    assert (limits.concurrent_user, limits.concurrent_vp, limits.calls, limits.modules) == (2, 8, 100_000, None)


def test_script_limits() -> None:
    """Limits of scripts name their place, times come as seconds, and the stricter level holds."""
    operator = layer("scripts: {level: standard, modules: [json, re]}\n", "operator")
    policy = host(OPEN + "scripts: {cpu: {total: 90s}, wall: 500ms, level: full, modules: [json, math]}\n", operator)
    limits = policy.scripts

    assert (limits.cpu_s, limits.wall_s, limits.level, limits.modules) == (90.0, 0.5, "full", frozenset({"json"}))
    assert limits.origins["cpu_s"].where == "host.yaml:5"
