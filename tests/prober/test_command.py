"""Command lines: exact, portable where both generations can, and never more than was meant."""

import ipaddress
import re
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvp.policies.action import ACTIONS, MS, Action, S, parse
from onvp.policies.errors import BadParameter
from onvp.sandbox.prober.command import fields, render, supports
from onvp.sandbox.prober.dialect import Dialect, Generation, dialect_of
from onvp.sandbox.prober.errors import Inexpressible, ProberUnavailable, UnsafeLine

OLD = dialect_of("20211212")
NEW = dialect_of("20260420")
COMPANION = dialect_of("onvp-0.1.0", ",".join(ACTIONS))
BOTH = pytest.mark.parametrize("dialect", [OLD, NEW], ids=["old", "new"])
V4, V6 = "192.0.2.1", "2001:db8::1"
PROBES = [{"method": "udp", "dport": 53}, {"method": "icmp-echo", "icmp_sum": 5, "ttl": 9}]
AIMED = [{"method": "udp", "dst": V4}, {"method": "tcp-ack", "dst": "192.0.2.2", "sport": 99}]
ROUNDS = [{"start": 0, "begin": 0, "end": 1}, {"start": 1500 * MS, "begin": 0, "end": 1}]


def line(dialect: Dialect, primitive: str, **params: Any) -> str:
    """The command line of a call."""
    return render(parse(primitive, params), dialect)


# ---- what is written ----


@BOTH
@pytest.mark.parametrize(
    ("primitive", "params", "expected"),
    [
        ("ping", {"dst": V4}, "ping -c 4 -i 1 192.0.2.1"),
        ("ping", {"dst": V6, "attempts": 1, "stop_count": 1, "wait_timeout": 2 * S, "ttl": 9, "tos": 8,
                  "size": 100, "userid": 7}, "ping -c 1 -o 1 -i 1 -W 2 -m 9 -z 8 -s 100 -U 7 2001:db8::1"),
        ("ping", {"dst": V4, "wait_probe": 1500 * MS // 5, "payload": b"\x00\xff", "icmp_id": 0,
                  "icmp_seq": 9, "icmp_sum": 1}, None),
        ("ping", {"dst": V4, "method": "tcp-ack", "sport": 80, "dport": 443, "tcp_ack": 5, "rtr": V4,
                  "src": "192.0.2.9", "mtu": 1280},
         "ping -c 4 -i 1 -P tcp-ack -F 80 -d 443 -A 5 -M 1280 -r 192.0.2.1 -S 192.0.2.9 192.0.2.1"),
        ("ping", {"dst": V4, "ip_rr": True}, "ping -c 4 -i 1 -R 192.0.2.1"),
        ("ping", {"dst": V4, "ip_ts": "tsonly"}, "ping -c 4 -i 1 -T tsonly 192.0.2.1"),
        ("ping", {"dst": V4, "ip_ts": [V4, "192.0.2.2"]},
         "ping -c 4 -i 1 -T tsprespec=192.0.2.1,192.0.2.2 192.0.2.1"),
        ("trace", {"dst": V4}, "trace -g 5 -q 2 -w 5 192.0.2.1"),
        ("trace", {"dst": V4, "confidence": 95, "wait_probe": 20 * MS, "pmtud": True, "ptr": True,
                   "method": "icmp-paris", "icmp_sum": 5, "icmp_id": 6, "payload": b"ab"},
         "trace -c 95 -P icmp-paris -d 5 -s 6 -g 5 -M -O ptr -p 6162 -q 2 -w 5 -W 2 192.0.2.1"),
        ("trace", {"dst": V4, "all_attempts": True, "firsthop": 2, "hoplimit": 9, "loops": 0, "squeries": 2},
         "trace -f 2 -g 5 -l 0 -m 9 -N 2 -q 2 -Q -w 5 192.0.2.1"),
        ("tracelb", {"dst": V6, "dport": 80, "sport": 90, "rtr": V6},
         "tracelb -c 95 -d 80 -s 90 -g 3 -q 2 -r 2001:db8::1 -w 5 -W 25 2001:db8::1"),
        ("dns", {"qname": "www.example."}, "host -W 5 www.example."),
        ("dns", {"qname": V4, "server": V4, "attempts": 3, "rd": False, "wait_timeout": 2 * S},
         "host -s 192.0.2.1 -R 2 -r -W 2 192.0.2.1"),
        ("dns", {"qname": "_a.example", "qtype": "MX"}, "host -t MX -W 5 _a.example"),
        ("sniff", {"src": V4, "icmp_id": 99, "limit_pkt_count": 5, "limit_time": 2 * S},
         "sniff -S 192.0.2.1 -c 5 -G 2 icmp[icmpid] == 99"),
        ("tbit", {"dst": V4, "method": "null", "url": "http://a.example/x?y"},
         "tbit -t null -u 'http://a.example/x?y' 192.0.2.1"),
        ("ally", {"dst1": V4, "dst2": "192.0.2.2"}, "dealias -q 5 -W 150 -w 5 -m ally 192.0.2.1 192.0.2.2"),
        ("ally", {"dst1": V4, "dst2": "192.0.2.2", "fudge": 0, "method": "udp", "sport": 9, "dport": 8},
         "dealias -q 5 -W 150 -w 5 -m ally -O inseq -p '-P udp -d 8 -F 9' 192.0.2.1 192.0.2.2"),
        ("ally", {"dst1": V4, "dst2": "192.0.2.2", "icmp_sum": 3, "fudge": 9},
         "dealias -q 5 -f 9 -W 150 -w 5 -m ally -p '-P icmp-echo -c 3' 192.0.2.1 192.0.2.2"),
        ("mercator", {"dst": V4, "userid": 4}, "dealias -U 4 -m mercator 192.0.2.1"),
        ("prefixscan", {"near": V4, "far": "192.0.2.9", "prefixlen": 30},
         "dealias -q 2 -W 1000 -w 5 -m prefixscan -p '-P udp' 192.0.2.1 192.0.2.9/30"),
        ("radargun", {"addrs": [V4, "192.0.2.2"], "probedefs": PROBES[:1], "wait_round": 5 * S},
         "dealias -q 30 -r 5000 -W 150 -w 5 -m radargun -p '-P udp -d 53' 192.0.2.1 192.0.2.2"),
        ("radargun", {"probedefs": AIMED},
         ("dealias -q 30 -W 150 -w 5 -m radargun -p '-P udp -i 192.0.2.1' "
         "-p '-P tcp-ack -F 99 -i 192.0.2.2'")),
    ],
)  # fmt: skip
def test_both_generations_get_the_portable_form(
    dialect: Dialect, primitive: str, params: dict[str, Any], expected: str | None
) -> None:
    """What both generations understand is written once, alike for both."""
    if expected is None:
        expected = "ping -c 4 -i 0.3 -B 00ff -F 0 -d 9 -C 1 192.0.2.1" if dialect is OLD else (
            "ping -c 4 -i 300ms -B 00ff -F 0 -d 9 -C 1 192.0.2.1")  # fmt: skip
    assert line(dialect, primitive, **params) == expected


@pytest.mark.parametrize(
    ("primitive", "params", "expected"),
    [
        ("ping", {"dst": V4, "wait_probe": 1234567, "wait_timeout": 1500 * MS},
         "ping -c 4 -i 1234567us -W 1500ms 192.0.2.1"),
        ("ping", {"dst": V4, "method": "tcp-syn", "tcp_mss": 1400, "dltx": True, "tcp_seq": 2**32 - 1},
         "ping -c 4 -i 1 -P tcp-syn -A 4294967295 -O mss=1400 -O dltx 192.0.2.1"),
        ("trace", {"dst": V4, "icmp_id": 0, "method": "icmp"}, "trace -P icmp -s 0 -g 5 -q 2 -w 5 192.0.2.1"),
        ("dns", {"qname": "id.server", "qclass": "CH", "qtype": "TXT", "tcp": True, "nsid": True,
                 "ecs": "192.0.2.0/24", "server": V6, "wait_timeout": 1001 * MS, "userid": 9},
         "host -s 2001:db8::1 -c CH -t TXT -W 1001ms -T -O nsid -O subnet=192.0.2.0/24 -U 9 id.server"),
        ("http", {"dst": V4, "url": "https://a.example:8443/", "limit_time": 2500 * MS, "insecure": True,
                  "headers": {"X-A": "it's a \\ \"thing\"", "X-B": "-O insecure"}, "userid": 1},
         ("http -m 2500ms -O insecure -U 1 -u 'https://a.example:8443/' "
         r"""-H 'X-A: it\'s a \\ "thing"' -H 'X-B: -O insecure' 192.0.2.1""")),
        ("http", {"dst": V4, "url": "https://a.example/", "ech_config_list": b"\xff\xfe\xfd"},
         None),
        ("udpprobe", {"dst": V4, "dport": 53, "payload": b"\x00", "attempts": 3, "stop_count": 2,
                      "src": "192.0.2.9"}, "udpprobe -d 53 -p 00 -c 3 -o 2 -S 192.0.2.9 192.0.2.1"),
        ("midarest", {"addrs": [V4], "probedefs": PROBES},
         ("dealias -q 30 -r 10000 -W 150 -w 1 -m midarest -p '-P udp -d 53' "
         "-p '-P icmp-echo -c 5 -t 9' 192.0.2.1")),
        ("midardisc", {"probedefs": AIMED, "schedule": ROUNDS, "startat": 1_800_000_000_050_000},
         ("dealias -w 1 -@ 1800000000.050000 -m midardisc -p '-P udp -i 192.0.2.1' "
         "-p '-P tcp-ack -F 99 -i 192.0.2.2' -S 0.000000:0:1 -S 1.500000:0:1")),
        ("owamp", {"dst": V4, "direction": "rx", "schedule": [100 * MS, S, 1500], "dscp": 9},
         "owamp -d rx -c 10 -D 9 -i 100ms,1,1500us -w 2 192.0.2.1"),
        ("ally", {"dst1": V4, "dst2": "192.0.2.2", "attempts": 500},
         "dealias -q 500 -W 150 -w 5 -m ally 192.0.2.1 192.0.2.2"),
    ],
)  # fmt: skip
def test_current_releases_get_what_only_they_know(primitive: str, params: dict[str, Any], expected: str | None) -> None:
    """Newer options, fractions of legacy units, escaped quotes."""
    if expected is None:
        with pytest.raises(Inexpressible):
            line(dialect_of("20260204"), primitive, **params)
        expected = "http -m 60 -O ecl=//79 -u 'https://a.example/' 192.0.2.1"
    assert line(NEW, primitive, **params) == expected


def test_radargun_with_addresses_and_several_probedefs_is_spelled_out_for_the_old_generation() -> None:
    """The cross product, in the order in which current releases make it themselves."""
    call = {"addrs": [V4, "192.0.2.2"], "probedefs": PROBES}
    assert line(NEW, "radargun", **call).endswith(
        "-m radargun -p '-P udp -d 53' -p '-P icmp-echo -c 5 -t 9' 192.0.2.1 192.0.2.2"
    )
    assert line(OLD, "radargun", **call).endswith(
        "-m radargun -p '-P udp -d 53 -i 192.0.2.1' -p '-P udp -d 53 -i 192.0.2.2' "
        "-p '-P icmp-echo -c 5 -t 9 -i 192.0.2.1' -p '-P icmp-echo -c 5 -t 9 -i 192.0.2.2'"
    )


# ---- what cannot be written ----


@pytest.mark.parametrize(
    ("primitive", "params", "parameter"),
    [
        ("ping", {"dst": V4, "wait_probe": 50 * MS}, "wait_probe"),
        ("ping", {"dst": V4, "wait_probe": 1050 * MS}, "wait_probe"),
        ("ping", {"dst": V4, "wait_timeout": 500 * MS}, "wait_timeout"),
        ("ping", {"dst": V4, "method": "udp-sport"}, "method"),
        ("ping", {"dst": V4, "method": "tcp-syn-sport"}, "method"),
        ("ping", {"dst": V4, "method": "tcp-syn", "tcp_mss": 1400}, "tcp_mss"),
        ("ping", {"dst": V4, "dltx": True}, "dltx"),
        ("trace", {"dst": V4, "method": "icmp", "icmp_id": 0}, "icmp_id"),
        ("trace", {"dst": V4, "sport": 0}, "sport"),
        ("dns", {"qname": "a.example", "qtype": "TXT"}, "qtype"),
        ("dns", {"qname": "a.example", "server": V6}, "server"),
        ("dns", {"qname": "a.example", "tcp": True}, "tcp"),
        ("dns", {"qname": "a.example", "nsid": True}, "nsid"),
        ("dns", {"qname": "a.example", "qclass": "CH"}, "qclass"),
        ("dns", {"qname": "a.example", "ecs": "192.0.2.0/24"}, "ecs"),
        ("dns", {"qname": "a.example", "mqtypes": ["A"]}, "mqtypes"),
        ("dns", {"qname": "a.example", "userid": 1}, "userid"),
        ("dns", {"qname": "a.example", "wait_timeout": 1500 * MS}, "wait_timeout"),
        ("ally", {"dst1": V4, "dst2": "192.0.2.2", "attempts": 256}, "attempts"),
        ("radargun", {"addrs": [V4, "192.0.2.2"], "probedefs": PROBES, "rounds": 256}, "rounds"),
        ("radargun", {"addrs": [V4, "192.0.2.2"], "probedefs": [{"size": 100}]}, "probedefs"),
        ("radargun", {"addrs": [V4, "192.0.2.2"], "probedefs": [{"method": "icmp-echo", "size": 99}]},
         "probedefs"),
        ("radargun", {"addrs": [V4, "192.0.2.2"], "probedefs": [{"method": "icmp-echo", "icmp_id": 1}]},
         "probedefs"),
        ("http", {"dst": V4, "url": "http://a.example/"}, "http"),
        ("udpprobe", {"dst": V4, "dport": 53, "payload": b"x"}, "udpprobe"),
        ("owamp", {"dst": V4, "direction": "tx"}, "owamp"),
        ("midarest", {"addrs": [V4], "probedefs": PROBES}, "midarest"),
        ("midardisc", {"probedefs": AIMED, "schedule": ROUNDS}, "midardisc"),
    ],
)  # fmt: skip
def test_what_the_old_generation_cannot_say_is_refused_with_its_parameter(
    primitive: str, params: dict[str, Any], parameter: str
) -> None:
    """No rounding and no silence: the sentence names the prober, the parameter and what to do."""
    refusal = supports(parse(primitive, params), OLD)
    assert refusal is not None
    assert refusal.parameter == parameter
    assert "scamper 20211212" in str(refusal)
    assert parameter in str(refusal) or parameter == "probedefs"


@pytest.mark.parametrize("tenths", range(1, 10))
def test_the_old_ping_waits_every_tenth_of_a_second_exactly(tenths: int) -> None:
    """From a tenth of a second up, fractions are written so that the old parser reads them right."""
    assert f" -i 0.{tenths} " in line(OLD, "ping", dst=V4, wait_probe=tenths * 100 * MS)


@given(st.integers(MS, 20 * S))
def test_a_wait_is_exact_or_refused(microseconds: int) -> None:
    """The word, read by a model of each generation's parser, is the very same time."""
    action = parse("ping", {"dst": V4, "wait_probe": microseconds})
    word = render(action, NEW).split(" ")[4]
    match = re.fullmatch(r"(\d+)(ms|us|)", word)
    assert match is not None
    assert int(match[1]) * {"": S, "ms": MS, "us": 1}[match[2]] == microseconds
    if supports(action, OLD) is None:
        whole, _, digits = render(action, OLD).split(" ")[4].partition(".")
        # 20211212 reads the digits as an integer and scales it up to six digits.
        fraction = int(digits or "0", 8 if digits.startswith("0") else 10)
        while 0 < fraction < 100_000:
            fraction *= 10
        assert int(whole) * S + fraction == microseconds


def test_what_a_prober_does_not_survive_is_not_written() -> None:
    """Its parser would take it: a timestamp with a payload, a socket for each of thousands of attempts."""
    stamp = parse("ping", {"dst": V4, "method": "icmp-time", "payload": b"x"})
    for dialect in (OLD, NEW):
        refusal = supports(stamp, dialect)
        assert refusal is not None
        assert refusal.parameter == "payload"
        for size, more in ((40, {}), (80, {"ip_rr": True}), (52, {"ip_ts": [V4]}), (76, {"ip_ts": "tsandaddr"})):
            call = {"dst": V4, "method": "icmp-time", **more}
            refusal = supports(parse("ping", {**call, "size": size}), dialect)
            assert refusal is not None
            assert refusal.parameter == "size"
            assert supports(parse("ping", {**call, "size": size + 1}), dialect) is None
    for method in ("tcp-syn-sport", "tcp-ack-sport", "udp-sport"):
        assert supports(parse("ping", {"dst": V4, "method": method, "attempts": 500}), NEW) is None
        refusal = supports(parse("ping", {"dst": V4, "method": method, "attempts": 501}), NEW)
        assert refusal is not None
        assert refusal.parameter == "attempts"


def test_releases_between_the_generations_get_what_they_had() -> None:
    """Each difference is bound to the release that first had it."""
    between = dialect_of("20230614")
    assert between.generation is Generation.OLD
    assert between.tells_ids
    assert line(between, "dns", qname="a.example", qtype="NS") == "host -t NS -W 5 a.example"
    assert supports(parse("dns", {"qname": "a.example", "qtype": "TXT"}), between) is not None
    assert supports(parse("http", {"dst": V4, "url": "http://a.example/"}), between) is not None
    assert supports(parse("http", {"dst": V4, "url": "http://a.example/"}), dialect_of("20240122")) is None


@pytest.mark.parametrize("version", ["20210324", "", "vsFTPd 3.0.3", "onvp-", "onvp-1", "9" * 50])
def test_what_is_no_prober_is_refused(version: str) -> None:
    """Neither too old a scamper, nor something that is none."""
    with pytest.raises(ProberUnavailable):
        dialect_of(version)


def test_every_parameter_is_rendered() -> None:
    """Each field of each action is in the table, or written at the line's end."""
    ends = {"dst", "qname", "url", "headers", "dst1", "dst2", "near", "far", "prefixlen", "probedefs",
            "addrs", "schedule"}  # fmt: skip
    of_probes = {"ally": {"method", "sport", "dport", "icmp_sum"}}
    of_probes["prefixscan"] = of_probes["ally"]
    rows = set(fields())
    for primitive, kind in ACTIONS.items():
        for field in msgspec.structs.fields(kind):
            assert (
                (primitive, field.name) in rows
                or field.name in ends
                or field.name in of_probes.get(primitive, ())
                or (primitive, field.name) == ("sniff", "icmp_id")
            ), f"{primitive}: {field.name} never reaches a command"


# ---- nothing but what was meant ----

DEADLY = {"sting", "-x", "spoof", "raw", "-y"}


def tokens(text: str) -> list[str]:
    """An independent reading of a line, by regular expression: words, quoted words with escapes undone."""
    found = re.findall(r"""'((?:[^'\\]|\\.)*)'(?= |$)|([^ '"]+)(?: |$)""", text)
    return [bare if bare else re.sub(r"\\(.)", r"\1", quoted) for quoted, bare in found]


class Str(str):
    def __str__(self) -> str:
        return "192.0.2.1 -S 198.51.100.9"

    def __eq__(self, other: object) -> bool:
        return True

    def __format__(self, spec: str) -> str:
        return "-x"

    __hash__ = str.__hash__


class Int(int):
    def __str__(self) -> str:
        return "1 -S 198.51.100.9"

    __repr__ = __str__

    def __index__(self) -> int:
        return 10**9

    def __format__(self, spec: str) -> str:
        return "1\nping 198.51.100.9"


HOSTILE_TEXT = st.one_of(
    st.sampled_from([
        "-c 1 -o 1 127.0.0.1", "1 -S 203.0.113.9", "icmp-echo -O dltx", "a\nping 127.0.0.1", "-x", "--",
        "' -x '", '" -x "', "\\", "'", "\\'", "a b", "a\tb", "a\x00b", "192.0.2.1%eth0", "::1%lo -x",
        "http://a/' -O insecure -u 'http://b/", "http://a/\\' -x", "http://a\n", "http://-x/", "１２７.0.0.1",
        "a\u2028b", "\ud800", "a\r\nhalt 1", "@", "$(id)", "`id`", "%s%n", "A" * 300, "tsonly -x", ".", "..",
    ]),
    st.text(max_size=20),
    st.text(" '\"\\-ax\n", max_size=12),
)  # fmt: skip
HOSTILE = st.recursive(
    st.one_of(
        HOSTILE_TEXT,
        HOSTILE_TEXT.map(Str),
        st.integers(),
        st.integers(-5, 300).map(Int),
        st.sampled_from([10**30, -1, 2**32, 2**64, 1e-5, float("nan"), float("inf"), True, b"-x", b"\n"]),
        st.floats(),
        st.binary(max_size=5),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(HOSTILE_TEXT, inner, max_size=2),
    max_leaves=4,
)

SOUND: dict[str, dict[str, Any]] = {
    "ping": {"dst": V4},
    "trace": {"dst": V4},
    "tracelb": {"dst": V4},
    "dns": {"qname": "a.example"},
    "http": {"dst": V4, "url": "https://a.example/"},
    "udpprobe": {"dst": V4, "dport": 53, "payload": b"x"},
    "sniff": {"src": V4, "icmp_id": 5},
    "tbit": {"dst": V4, "method": "null", "url": "http://a.example/"},
    "ally": {"dst1": V4, "dst2": "192.0.2.2"},
    "mercator": {"dst": V4},
    "prefixscan": {"near": V4, "far": "192.0.2.9", "prefixlen": 30},
    "radargun": {"addrs": [V4, "192.0.2.2"], "probedefs": PROBES},
    "midarest": {"addrs": [V4], "probedefs": PROBES},
    "midardisc": {"probedefs": AIMED, "schedule": ROUNDS},
    "owamp": {"dst": V4, "direction": "tx"},
}
PARAMETERS = [(p, f.name) for p, kind in ACTIONS.items() for f in msgspec.structs.fields(kind)]


def assert_sound(action: Action, text: str, dialect: Dialect) -> None:
    """The line has the words that a line of this action may have, read without the renderer's help."""
    assert text.isascii()
    assert text.isprintable()
    words = tokens(text)
    assert words[0] in {"ping", "trace", "tracelb", "host", "http", "udpprobe", "sniff", "tbit", "dealias",
                        "owamp"}  # fmt: skip
    switches = {"ping": "R", "trace": "MQ", "host": "rT"}.get(words[0], "")
    at, values = 1, []
    while at < len(words) and words[at].startswith("-"):
        flag = words[at]
        assert re.fullmatch(r"-[A-Za-z@]", flag), f"{flag!r} in {text!r}"
        at += 1
        if flag[1] not in switches:
            values.append((flag, words[at]))
            at += 1
    # No option twice, but for those that are lists.
    single = [flag for flag, _ in values if flag not in {"-p", "-H", "-S", "-O"}]
    assert len(single) == len(set(single)), text
    for flag, value in values:
        assert (flag, value) != ("-m", "sting")
        if flag == "-O":
            assert re.fullmatch(r"(ptr|dltx|nsid|inseq|insecure|grease|mss=\d+|subnet=[0-9a-f.:/]+|"
                                r"ecl=[A-Za-z0-9+/=]+|mqtypes=[A-Z,]+)", value), text  # fmt: skip
        elif flag not in {"-u", "-H"}:
            assert flag == "-p" or not value.startswith("-"), text
    targets = words[at:]
    if words[0] == "sniff":
        assert targets[:2] == ["icmp[icmpid]", "=="]
        assert len(targets) == 3
    elif words[0] == "host":
        assert len(targets) == 1
    else:
        meant = {str(address) for address in action.targets()}
        found = {str(ipaddress.ip_address(word.partition("/")[0])) for word in targets}
        assert found <= meant, text
    inner = [value for flag, value in values if flag == "-p" and words[0] == "dealias"]
    for definition in inner:
        assert re.fullmatch(r"-P [a-z-]+( -[cdFst] \d+)*( -i [0-9a-f.:]+)?", definition), text


@pytest.mark.parametrize(("primitive", "parameter"), PARAMETERS)
@settings(max_examples=30)
@given(value=HOSTILE)
def test_no_value_adds_an_option_a_line_or_a_command(primitive: str, parameter: str, value: Any) -> None:
    """Whatever a parameter holds, the call is refused, or each prober's line has exactly its words."""
    try:
        action = parse(primitive, {**SOUND[primitive], parameter: value})
    except BadParameter:
        return
    for dialect in (OLD, NEW, COMPANION):
        try:
            text = render(action, dialect)
        except (Inexpressible, UnsafeLine):
            continue
        assert_sound(action, text, dialect)


@pytest.mark.parametrize("primitive", SOUND)
@BOTH
def test_sound_calls_pass_the_same_check(dialect: Dialect, primitive: str) -> None:
    """The check above accepts what it should accept."""
    action = parse(primitive, SOUND[primitive])
    if primitive in dialect.primitives:
        assert_sound(action, render(action, dialect), dialect)


@pytest.mark.parametrize(
    ("field", "value"),
    [("attempts", Int(3)), ("attempts", "4"), ("attempts", True), ("attempts", -1), ("dst", V4),
     ("dst", Str(V4)), ("method", Str("udp")), ("payload", bytearray(b"x")), ("wait_probe", 1.5 * S),
     ("tos", 0.5)],
)  # fmt: skip
def test_an_action_with_foreign_types_is_not_rendered(field: str, value: Any) -> None:
    """Even an action that did not come from `parse` cannot smuggle a value of another type."""
    action = parse("ping", {"dst": V4})
    msgspec.structs.force_setattr(action, field, value)
    with pytest.raises((UnsafeLine, TypeError)):
        render(action, NEW)


def test_no_known_deadly_word_is_in_the_tables() -> None:
    """`sting`, `-x`, `-y`, `spoof` and `raw` are nowhere among what can be written."""
    from onvp.sandbox.prober import command

    for rows in command._ROWS.values():
        for row in rows:
            assert not DEADLY & set(row.flag.split(" "))
    assert "sting" not in ACTIONS


def test_literal_choices_are_plain_words() -> None:
    """Every word that an action's type lists can stand in a line as it is."""
    for kind in ACTIONS.values():
        for field in msgspec.structs.fields(kind):
            for part in typing.get_args(field.type) or ():
                if isinstance(part, str):
                    assert re.fullmatch(r"[A-Za-z][A-Za-z-]*", part)
