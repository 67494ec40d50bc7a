"""A policy file loads completely or not at all."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from onvp.policies.combine import combine
from onvp.policies.decide import decide
from onvp.policies.errors import PolicyErrors
from onvp.policies.grant import Grant
from onvp.policies.load import load_bytes, load_file
from onvp.policies.model import Layer
from onvp.policies.selftest import parse_call

EXAMPLES = sorted(Path("policies/examples").glob("*.yaml"))

HEAD = "onvp-policy: 1\nlayer: host\n"
OPEN = HEAD + "primitives: {ping: {allow: true}}\ndestinations: {allow: [global-unicast]}\n"


def load(text: str, *, now: float | None = None, loader: object = None) -> Layer:
    """The layer that a text is."""
    return load_bytes(text.encode(), "site.yaml", now=now, loader=loader)


def problems(text: str | bytes, **options: object) -> list[str]:
    """What is wrong with it."""
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(PolicyErrors) as caught:
        load_bytes(data, "site.yaml", **options)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example(path: Path) -> None:
    """Every example loads, its own tests pass, and it means what it says: nothing warns."""
    layer = load_file(path, now=1_795_000_000.0)

    assert layer.tests
    assert layer.summary
    assert layer.warnings == ()


BROKEN = [
    pytest.param(
        OPEN + "rates: {vp: {pps: 5}}\nrates: {vp: {pps: 9}}\n",
        "site.yaml:6:1: 'rates' is here a second time (the first is in line 5; keep one)",
        id="duplicate key",
    ),
    pytest.param(
        "onvp-policy: 1\nlayer: host\nprimitives:\n\tping: {allow: true}\n",
        "site.yaml:4:1: a tab in the indentation (YAML takes blanks only)",
        id="tab",
    ),
    pytest.param(
        OPEN + "scripts: {memory: 32}\n",
        "site.yaml:5:19: scripts.memory: '32' has no unit: write a size like 256B, 64KiB or 50MB",
        id="no unit",
    ),
    pytest.param(
        OPEN + "scripts: {memory: 32s}\n",
        "site.yaml:5:19: scripts.memory: 's' in '32s' is not a unit of size; "
        "there are B, kB, MB, GB, TB, KiB, MiB, GiB, TiB",
        id="wrong unit",
    ),
    pytest.param(
        OPEN + "rates: {vp: {pps: 5, bytes: 64KiB}}\n",
        "site.yaml:5:29: rates.vp.bytes: '64KiB' is not a rate: write a size for each second, like 64KiB/s",
        id="size for a rate",
    ),
    pytest.param(
        OPEN + "destinations: {}\n".replace("destinations", "destinatons"),
        "site.yaml:5:1: unknown key 'destinatons' (did you mean 'destinations'?)",
        id="near miss",
    ),
    pytest.param(
        HEAD + "primitives: {pnig: {allow: true}}\n",
        "site.yaml:3:14: unknown primitive 'pnig' (did you mean 'ping'?)",
        id="unknown primitive",
    ),
    pytest.param(
        HEAD + "primitives: {ping: {allow: true, attempt: {max: 3}}}\n",
        "site.yaml:3:34: unknown key 'attempt' in primitives.ping (did you mean 'attempts'?)",
        id="unknown parameter",
    ),
    pytest.param(
        HEAD + "primitives: {ping: {allow: true, methods: [icmp-ecko]}}\n",
        "site.yaml:3:44: unknown word 'icmp-ecko' for primitives.ping.methods (did you mean 'icmp-echo'?)",
        id="unknown method",
    ),
    pytest.param(
        HEAD + "primitives: {ping: {allow: true, attempts: {max: 3, over: clmap}}}\n",
        "site.yaml:3:59: unknown word 'clmap' for primitives.ping.attempts.over (did you mean 'clamp'?)",
        id="unknown over",
    ),
    pytest.param(
        HEAD + "primitives: {ping: {allow: yes}}\n",
        "site.yaml:3:28: primitives.ping.allow is 'yes' (write true or false)",
        id="yes is not true",
    ),
    pytest.param(
        HEAD + "primitives: {ping: {}}\n",
        "site.yaml:3:14: primitives.ping does not say allow (write allow: true or allow: false)",
        id="allow is not implied",
    ),
    pytest.param(
        HEAD + "primitives: {ping: true}\n",
        "site.yaml:3:20: primitives.ping is a value (it takes a mapping (key: value))",
        id="wrong type",
    ),
    pytest.param(
        HEAD + "primitives: {ping: {allow: true, attempts: {max: 0}}}\n",
        "site.yaml:3:50: primitives.ping.attempts.max is out of the parameter's range (attempts takes 1 to 65535)",
        id="bound out of range",
    ),
    pytest.param(
        HEAD + "primitives: {ping: {allow: true, attempts: {max: 3, min: 5}}}\n",
        "site.yaml:3:34: primitives.ping.attempts.min is larger than its max (no value is left)",
        id="empty bound",
    ),
    pytest.param(
        HEAD + "primitives: {ping: {allow: true, payload: {max: 5B, over: clamp}}}\n",
        "site.yaml:3:59: primitives.ping.payload cannot be clamped "
        "(its length in bytes cannot be narrowed; use over: deny)",
        id="clamp of a payload",
    ),
    pytest.param(
        HEAD + "primitives: {ping: {allow: true, ports: [80-70]}}\n",
        "site.yaml:3:42: primitives.ping.ports: '80-70' is no port (write 443, or a span like 33434-33690)",
        id="bad ports",
    ),
    pytest.param(
        HEAD + "destinations: {deny: [192.0.2.1/24]}\n",
        "site.yaml:3:23: destinations.deny: '192.0.2.1/24' has bits after the prefix (did you mean 192.0.2.0/24?)",
        id="bad prefix",
    ),
    pytest.param(
        HEAD + "destinations: {deny: [300.0.2.0/24]}\n",
        "site.yaml:3:23: destinations.deny: '300.0.2.0/24' is no prefix (write 192.0.2.0/24, 2001:db8::/32 or a group)",
        id="no prefix",
    ),
    pytest.param(
        HEAD + "destinations: {deny: [privat]}\n",
        "site.yaml:3:23: unknown group 'privat' in destinations.deny (did you mean 'private'?)",
        id="unknown group",
    ),
    pytest.param(
        HEAD + "destinations: {reopen: [127.0.0.0/8]}\n",
        "site.yaml:3:25: destinations.reopen: 127.0.0.0/8 stays closed to everybody (it is loopback: RFC 1122)",
        id="reopen loopback",
    ),
    pytest.param(
        HEAD + "destinations: {reopen: [private]}\n",
        "site.yaml:3:25: destinations.reopen: private is a group (name each prefix exactly: "
        "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7, fec0::/10)",
        id="reopen a group",
    ),
    pytest.param(
        "onvp-policy: 1\nlayer: operator\ndestinations: {reopen: [198.18.0.0/15]}\n",
        "site.yaml:3:16: destinations.reopen in the operator layer (only a site host's policy can reopen a prefix)",
        id="reopen by the operator",
    ),
    pytest.param(
        "onvp-policy: 2\nlayer: host\nnovelty: {}\n",
        "site.yaml:1:14: this policy is of version 2; this engine knows versions up to 1 "
        "(upgrade the VP; until then nothing is allowed)",
        id="newer than the engine",
    ),
    pytest.param(
        "layer: host\n", "site.yaml:1:1: onvp-policy is missing (the first line is onvp-policy: 1)", id="no version"
    ),
    pytest.param(
        HEAD + "default: allow\n",
        "site.yaml:3:10: unknown word 'allow' for default (there are: deny)",
        id="default allow",
    ),
    pytest.param(
        HEAD + "transparency: {}\n",
        "site.yaml:3:1: transparency is not supported yet (remove it: this version would not enforce it)",
        id="not enforced yet",
    ),
    pytest.param(
        HEAD + "rates: {user: {pps: 5, share: fair}}\n",
        "site.yaml:3:24: rates.user.share is not supported yet (remove it: this version would not enforce it)",
        id="not enforced yet, deep",
    ),
    pytest.param(
        HEAD + "destinations: {deny: ['as:64500']}\n",
        "site.yaml:3:23: destinations.deny: as:64500 is not supported yet "
        "(write prefixes; this version has no such lists)",
        id="as numbers",
    ),
    pytest.param(
        HEAD + "windows: [{allow: all, hours: '19:00-07:00'}]\n",
        "site.yaml:3:11: windows[0] has no zone (say on whose clock: zone: Pacific/Auckland)",
        id="window without a zone",
    ),
    pytest.param(
        HEAD + "windows: [{allow: all, hours: '07:00-07:00', zone: UTC}]\n",
        "site.yaml:3:31: windows[0].hours: '07:00-07:00' is an empty window; leave hours out for the whole day",
        id="empty window",
    ),
    pytest.param(
        HEAD + "windows: [{allow: all, days: mon-fri, zone: Pacific/Aukland}]\n",
        "site.yaml:3:45: unknown time zone 'Pacific/Aukland' (did you mean 'Pacific/Auckland'?)",
        id="unknown zone",
    ),
    pytest.param(
        HEAD + "budgets: {user: {day: {packets: 5}}}\n",
        "site.yaml:3:23: budgets.user.day needs budgets.zone (say on whose clock it begins: zone: UTC)",
        id="a day of no place",
    ),
    pytest.param(
        OPEN + "tests: [{name: t, call: 'ping 1.1.1.1', expect: deny}]\n",
        "site.yaml:5:9: the test 't' fails: expected deny, got allow (correct the rule or the test)",
        id="its own test fails",
    ),
    pytest.param(
        OPEN + "tests: [{name: t, call: 'ping 1.1.1.1 atempts=3', expect: deny}]\n",
        "site.yaml:5:9: the test 't' fails: 'ping 1.1.1.1 atempts=3' is no call: ping has no parameter 'atempts'",
        id="its own test is no call",
    ),
]


@pytest.mark.parametrize(("text", "expected"), BROKEN)
@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_broken(text: str, expected: str, loader: object) -> None:
    """What is wrong is said with file, line, column and a way out, whichever parser PyYAML was built with."""
    found = problems(text, loader=loader)

    assert any(problem.startswith(expected) for problem in found), found


TRICKS = [
    pytest.param("a: &a [1]\nb: *a\n", ["an anchor (&a)", "an alias (*a)"], id="alias"),
    pytest.param("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n", ["an alias (*c)"], id="bomb"),
    pytest.param("a: !!python/object/apply:os.system [id]\n", ["a tag (tag:yaml.org,2002:python"], id="python tag"),
    pytest.param("a: !secret x\n", ["a tag (!secret)"], id="own tag"),
    pytest.param(OPEN + "---\n" + OPEN, ["a second document begins here"], id="two documents"),
    pytest.param("<<: {layer: host}\n", ["unknown key '<<'"], id="merge key"),
    pytest.param("? [a, b]\n: c\n", ["a list or mapping as a key"], id="list as key"),
    pytest.param("a: " + "[" * 60 + "]" * 60, ["more than 16 levels of nesting"], id="deep"),
    pytest.param("a: [1\n", ["this is not YAML"], id="open bracket"),
    pytest.param("a: b: c\n", ["this is not YAML"], id="two colons"),
    pytest.param("", ["the file is empty"], id="empty"),
    pytest.param("# only a comment\n", ["the file is empty"], id="comment"),
    pytest.param("- a\n", ["the policy is a list"], id="list"),
    pytest.param("\x00", ["this is not YAML"], id="zero byte"),
    pytest.param(b"a: \xff\n", ["byte 0xff is not UTF-8"], id="not UTF-8"),
    pytest.param(b"a" * (1 << 20) + b"b", ["the file has 1048577 bytes"], id="too large"),
]


@pytest.mark.parametrize(("text", "expected"), TRICKS)
@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_yaml_trick(text: str | bytes, expected: list[str], loader: object) -> None:
    """What YAML can do beyond plain values is refused, not interpreted."""
    found = problems(text, loader=loader)

    for sentence in expected:
        assert any(sentence in problem for problem in found), found


def test_every_problem_at_once() -> None:
    """All problems of a file come together, in the order of its lines."""
    found = problems(
        HEAD
        + "primitives:\n  pign: {allow: true}\n  ping: {allow: maybe, attempts: {max: 5s}}\n"
        + "scripts: {memory: 5}\nrates: {vp: {pps: x}}\nnonsense: 1\n"
    )

    assert [problem.split(":")[1] for problem in found] == ["4", "5", "5", "6", "7", "8"]


def test_expired(tmp_path: Path) -> None:
    """A policy that has expired does not load where the time is known, and warns before."""
    text = OPEN + "valid: {from: 2026-01-01, until: 2026-02-01}\n"

    assert "this policy has expired" in problems(text, now=1_780_000_000.0)[0]
    assert "expires in 5 days" in str(load(text, now=1_769_900_000.0 - 4 * 86400 - 47_000).warnings[0])
    assert load(text).warnings == ()


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is a problem that says so, never a policy."""
    with pytest.raises(PolicyErrors) as caught:
        load_file(tmp_path / "none.yaml")

    (problem,) = caught.value.problems
    assert "cannot be read: No such file or directory" in str(problem)


WARNINGS = [
    pytest.param(HEAD, "no primitives: nothing is allowed", id="nothing allowed"),
    pytest.param(HEAD + "primitives: {ping: {allow: true}}\n", "ping allowed, but no destinations", id="nowhere"),
    pytest.param(
        OPEN.replace("[global-unicast]", "[10.0.0.0/8]"),
        "never matches: the platform closes 10.0.0.0/8",
        id="allowed but closed",
    ),
    pytest.param(
        OPEN.replace("{allow: [g", "{deny: [8.0.0.0/8, 8.8.8.0/24], allow: [g"),
        "8.0.0.0/8 covers it",
        id="shadowed deny",
    ),
    pytest.param(
        OPEN.replace("{allow: [g", "{reopen: [10.0.0.0/8], deny: [private], allow: [g"),
        "reopen 10.0.0.0/8 has no effect: destinations.deny names private",
        id="reopened and denied",
    ),
    pytest.param(
        OPEN.replace("{allow: [g", "{reopen: [10.1.0.0/16], allow: [g"),
        "10.1.0.0/16 is not exactly a special-purpose prefix",
        id="reopen of a part",
    ),
    pytest.param(
        OPEN + "windows: [{deny: [http], days: mon, zone: UTC}]\n",
        "names http, which is refused anyway",
        id="window of nothing",
    ),
    pytest.param(
        OPEN.replace("allow: true", "allow: false, attempts: {max: 3}"),
        "its bounds never matter",
        id="bounds of nothing",
    ),
    pytest.param(
        OPEN.replace("allow: true", "allow: true, methods: []"),
        "primitives.ping.methods is empty",
        id="empty list is nothing, not everything",
    ),
]


@pytest.mark.parametrize(("text", "expected"), WARNINGS)
def test_warning(text: str, expected: str) -> None:
    """What cannot have an effect loads, with a warning."""
    assert any(expected in str(warning) for warning in load(text).warnings), load(text).warnings


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.binary(max_size=200), st.text(alphabet="ab:-{}[] \n&*!|>'\"?#1,ping", max_size=120).map(str.encode))
)
def test_any_bytes(data: bytes) -> None:
    """Any bytes are a layer or `PolicyErrors` with a place, and never anything else."""
    try:
        load_bytes(data, "any.yaml")
    except PolicyErrors as errors:
        assert errors.problems
        assert all(problem.file == "any.yaml" for problem in errors.problems)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["deny", "clamp", "allow", "reopen", "-", ":", "{", "}", "1", "x", "\n"]))
def test_damaged_example(position: int, piece: str) -> None:
    """An example with one piece of text put anywhere either loads or says what is wrong: nothing else happens."""
    text = EXAMPLES[1].read_text()
    cut = position % len(text)
    try:
        layer = load(text[:cut] + piece + text[cut:])
    except PolicyErrors:
        return
    assert not isinstance(decide(combine([layer]), parse_call("ping 127.0.0.1")), Grant)


def test_digest() -> None:
    """The digest changes with the content, and not with comments or layout."""
    one, same = load(OPEN), load("# words\n" + OPEN.replace("{allow: true}", "{ allow:   true }"))
    other = load(OPEN.replace("true", "false"))

    assert one.digest == same.digest
    assert combine([one]).digest == combine([same]).digest
    assert one.digest != other.digest
