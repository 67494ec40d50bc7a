"""The worker owned, and its calls: nothing that a parameter holds reaches a prober but as the value that was judged."""

import functools
import ipaddress
import itertools
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvp.policies.action import ACTIONS, Action, parse
from onvp.policies.errors import BadParameter
from onvp.sandbox.prober.command import render
from onvp.sandbox.prober.dialect import Dialect
from onvp.sandbox.prober.errors import Inexpressible
from onvp.sandbox.prober.line import cut
from onvp.sandbox.wire import calls
from tests.broker.parts import FAST, NEW, OLD, OWN, TARGET, Instant, frame
from tests.escape.broker.owned import Scene, attack

OTHER = "198.18.0.2"
PROBES = [{"method": "udp", "dport": 53}, {"method": "icmp-echo"}]
AIMED = [{"method": "udp", "dst": TARGET}, {"method": "udp", "dst": OTHER}]

CALLS: dict[str, dict[str, Any]] = {
    "ping": {"dst": TARGET},
    "trace": {"dst": TARGET},
    "tracelb": {"dst": TARGET},
    "dns": {"qname": "example.net", "server": TARGET},
    "http": {"dst": TARGET, "url": "http://example.net/"},
    "udpprobe": {"dst": TARGET, "dport": 53, "payload": b"x"},
    "sniff": {"src": OWN, "icmp_id": 5, "limit_pkt_count": 5, "limit_time": 5_000_000},
    "tbit": {"dst": TARGET, "method": "ecn", "url": "http://example.net/"},
    "ally": {"dst1": TARGET, "dst2": OTHER},
    "mercator": {"dst": TARGET},
    "prefixscan": {"near": TARGET, "far": OTHER, "prefixlen": 30},
    "radargun": {"addrs": [TARGET, OTHER], "probedefs": PROBES},
    "midarest": {"addrs": [TARGET, OTHER], "probedefs": PROBES},
    "midardisc": {
        "probedefs": AIMED,
        "schedule": [{"start": 0, "begin": 0, "end": 1}, {"start": 1_000_000, "begin": 0, "end": 1}],
    },
    "owamp": {"dst": TARGET, "direction": "tx"},
}
"""One call of each primitive that is fine."""

MARK = "INJECTED"
HOSTILE = [
    f"{TARGET} -O {MARK}", f"{TARGET}\n-O {MARK}", f"{TARGET}\r\nhalt 1 {MARK}", f"-O {MARK}", f"--{MARK}",
    f"' -O {MARK} '", f'" -O {MARK} "', f"\\' -O {MARK}", f"{TARGET};{MARK}", f"$({MARK})", f"`{MARK}`",
    f"{TARGET}%{MARK}", f"{TARGET}\0{MARK}", f"\t-O\t{MARK}", f"\u00a0-O\u00a0{MARK}", f"\u2028-O {MARK}",
    f"\x85{MARK}", f"\x1b]0;{MARK}\x07", f"http://a/ -O {MARK}", f"http://a/' -O '{MARK}", f"http://a/\\{MARK}",
    f"a\\' -O {MARK} \\'", f"{MARK}: x\r\nHost: y", f"0 -O {MARK}", f"-{MARK}.example.net", f"{MARK}'.example.net",
]  # fmt: skip


def named(primitive: str) -> list[str]:
    """The parameters of a primitive."""
    return [field.name for field in msgspec.structs.fields(ACTIONS[primitive])]


def hostile_calls() -> list[tuple[str, dict[str, Any]]]:
    """Every parameter of every primitive holding every hostile text: alone, in a list, as key and value of a map."""
    made = []
    for primitive, params in CALLS.items():
        for name in named(primitive):
            for text in HOSTILE:
                for value in (
                    text,
                    [text],
                    [TARGET, text],
                    {text: "x"},
                    {"x": text},
                    [{"method": text}],
                    [{"dst": text}],
                ):
                    made.append((primitive, {**params, name: value}))
        for text in HOSTILE:
            made.append((primitive, {**params, text: "x"}))
            made.append((text, params))
    return made


@pytest.mark.parametrize("dialect", [OLD, NEW], ids=["20211212", "20260420"])
def test_no_text_in_any_parameter_adds_an_option_a_word_or_a_line(tmp_path: Path, dialect: Dialect) -> None:
    """What hostile texts make of a call is a refusal, or one line in which the text is one value."""
    all_calls = hostile_calls()
    random.Random(1).shuffle(all_calls)

    async def scene() -> None:
        async with Scene(tmp_path, FAST, prober=functools.partial(Instant, dialect=dialect)) as it:
            for task, (primitive, params) in enumerate(all_calls[:4000], 1):
                await it.owned.send(frame(calls.Submit.ask(task, primitive, params, sync=True)))
                answer = await it.owned.answer(task)
                assert isinstance(answer, calls.Invalid | calls.Refused | calls.Record), answer
            assert not it.owned.ended.done()
            for line in it.owned.prober.lines:
                assert line.isprintable()
                assert line.isascii()
                words = cut(line, escapes=dialect is NEW)
                # A header stands in quotes behind its option, whatever it begins with.
                plain = [word for before, word in itertools.pairwise(words) if before != "-H"]
                assert not [word for word in plain if word.startswith("-") and MARK in word]
                assert all(MARK not in word or word in HOSTILE or ": " in word for word in words), words

    attack(scene())


def test_a_fine_call_of_each_primitive_reaches_the_prober(tmp_path: Path) -> None:
    """The calls that the attacks start from are ones that are done: the refusals above are not for want of a target."""

    async def scene() -> None:
        async with Scene(tmp_path, FAST) as it:
            for task, (primitive, params) in enumerate(CALLS.items(), 1):
                await it.owned.send(frame(calls.Submit.ask(task, primitive, params, sync=True)))
                assert isinstance(await it.owned.answer(task), calls.Record), primitive
            assert {action.primitive for action in it.owned.prober.actions} == set(ACTIONS)

    attack(scene())


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "a primitive that is none": ("shell", {"dst": TARGET}),
    "a primitive with a path": ("../ping", {"dst": TARGET}),
    "a primitive in capitals": ("PING", {"dst": TARGET}),
    "a primitive that is a method": ("__init__", {"dst": TARGET}),
    "a parameter that is a method": ("ping", {"dst": TARGET, "__class__": "x"}),
    "a parameter that is none": ("ping", {"dst": TARGET, "shell": "id"}),
    "a destination as a number": ("ping", {"dst": 3323068417}),
    "a destination as a list": ("ping", {"dst": [TARGET]}),
    "a destination as a map": ("ping", {"dst": {"a": TARGET}}),
    "a destination as truth": ("ping", {"dst": True}),
    "a destination that is a name": ("ping", {"dst": "localhost"}),
    "a destination with a zone": ("ping", {"dst": "fe80::1%eth0"}),
    "a destination with a prefix": ("ping", {"dst": f"{TARGET}/24"}),
    "a destination in octal": ("ping", {"dst": "0306.022.0.1"}),
    "a destination that is short": ("ping", {"dst": "198.18"}),
    "a destination in other digits": ("ping", {"dst": "１９８.18.0.1"}),
    "no destination": ("ping", {}),
    "a negative count": ("ping", {"dst": TARGET, "attempts": -1}),
    "a count of zero": ("ping", {"dst": TARGET, "attempts": 0}),
    "a count of all": ("ping", {"dst": TARGET, "attempts": (1 << 64) - 1}),
    "a count as text": ("ping", {"dst": TARGET, "attempts": "1"}),
    "a count as a float": ("ping", {"dst": TARGET, "attempts": 1.5}),
    "a count that is not a number": ("ping", {"dst": TARGET, "attempts": float("nan")}),
    "a count without an end": ("ping", {"dst": TARGET, "attempts": float("inf")}),
    "a count as truth": ("ping", {"dst": TARGET, "attempts": True}),
    "a wait below the least": ("ping", {"dst": TARGET, "wait_probe": 0}),
    "a negative user id": ("ping", {"dst": TARGET, "userid": -1}),
    "a method that is none": ("ping", {"dst": TARGET, "method": "icmp-echo -O raw"}),
    "a payload beyond a packet": ("ping", {"dst": TARGET, "payload": b"x" * 100_000}),
    "a payload as text": ("ping", {"dst": TARGET, "payload": "x"}),
    "a header with a second line": ("http", {**CALLS["http"], "headers": {"a": "b\r\nc: d"}}),
    "a header as a list": ("http", {**CALLS["http"], "headers": ["a"]}),
    "a header of numbers": ("http", {**CALLS["http"], "headers": {"a": 1}}),
    "an address in a URL": ("http", {**CALLS["http"], "url": "file:///etc/passwd"}),
    "a URL with a blank": ("http", {**CALLS["http"], "url": "http://a/ -O x"}),
    "a URL of a megabyte": ("http", {**CALLS["http"], "url": "http://" + "a" * 900_000}),
    "a probe that is no map": ("radargun", {"addrs": [TARGET, OTHER], "probedefs": ["udp"]}),
    "a probe with a field too many": ("radargun", {"addrs": [TARGET, OTHER], "probedefs": [{"method": "udp", "x": 1}]}),
    "a prefix of half the Internet": ("prefixscan", {**CALLS["prefixscan"], "prefixlen": 1}),
    "a schedule that runs backwards": (
        "midardisc",
        {"probedefs": AIMED, "schedule": [{"start": 5, "begin": 0, "end": 1}, {"start": 1, "begin": 0, "end": 1}]},
    ),
}


@pytest.mark.parametrize(("primitive", "params"), WRONG.values(), ids=WRONG.keys())
def test_is_refused_with_a_sentence_and_the_run_goes_on(tmp_path: Path, primitive: str, params: dict[str, Any]) -> None:
    """The call is answered with what is wrong with it; nothing is sent, and the next call is done."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.send(frame(calls.Submit.ask(1, primitive, params, sync=True)))
            answer = await it.owned.answer(1)
            assert isinstance(answer, calls.Invalid), answer
            assert len(answer.message) < 2000
            assert it.owned.prober.lines == []
            await it.owned.works(2)

    attack(scene())


@pytest.mark.parametrize("instance", [1, -1, 1 << 40, -(1 << 63)])
def test_a_call_on_an_instance_that_is_not_there_is_refused(tmp_path: Path, instance: int) -> None:
    """A worker on a vantage point has one instance, number 0."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.send(frame(calls.Submit(1, "ping", {"dst": TARGET}, instance=instance)))
            assert isinstance(await it.owned.answer(1), calls.Invalid)
            await it.owned.works(2)

    attack(scene())


CLOSED = [
    "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1",
    "203.0.113.9", "8.8.8.8", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::1", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("dst", CLOSED)
def test_an_address_that_no_rule_opens_is_refused_however_it_is_written(tmp_path: Path, dst: str) -> None:
    """Loopback, private, link-local, mapped and embedded addresses are refused by name of the rule."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.send(frame(calls.Submit(1, "ping", {"dst": dst}, sync=True)))
            answer = await it.owned.answer(1)
            assert isinstance(answer, calls.Refused), answer
            assert answer.rule
            assert it.owned.prober.lines == []

    attack(scene())


def test_a_closed_address_among_open_ones_closes_the_whole_call(tmp_path: Path) -> None:
    """Lists, second destinations, probe definitions and scanned prefixes are judged address by address."""
    hidden = "127.0.0.1"
    attempts: list[tuple[str, dict[str, Any]]] = [
        ("ally", {"dst1": TARGET, "dst2": hidden}),
        ("radargun", {"addrs": [TARGET, OTHER, hidden], "probedefs": PROBES}),
        ("radargun", {"probedefs": [*AIMED, {"method": "udp", "dst": hidden}]}),
        ("midarest", {"addrs": [TARGET, hidden], "probedefs": PROBES}),
        ("midardisc", {**CALLS["midardisc"], "probedefs": [*AIMED, {"method": "udp", "dst": hidden}]}),
        ("prefixscan", {"near": TARGET, "far": hidden, "prefixlen": 30}),
        ("ping", {"dst": TARGET, "src": hidden}),
        ("ping", {"dst": TARGET, "rtr": OTHER}),
        ("dns", {"qname": "example.net", "server": hidden}),
    ]

    async def scene() -> None:
        async with Scene(tmp_path, FAST) as it:
            for task, (primitive, params) in enumerate(attempts, 1):
                await it.owned.send(frame(calls.Submit.ask(task, primitive, params, sync=True)))
                assert isinstance(await it.owned.answer(task), calls.Refused), (primitive, params)
            assert it.owned.prober.lines == []

    attack(scene())


# ---- by construction: what is judged is a fresh value of a known type ----

_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(), st.text(max_size=20),
    st.sampled_from([TARGET, OTHER, "udp", "icmp-echo", "2001:db8::1", "A", "IN", "tx", "http://a/"]),
)  # fmt: skip
_MAPS = st.dictionaries(st.sampled_from(["method", "dst", "dport", "start", "begin", "end", "x"]), _SCALARS, max_size=4)
_VALUES = st.one_of(_SCALARS, _MAPS, st.lists(_SCALARS | _MAPS, max_size=4), st.binary(max_size=20))

_FRESH = (int, str, bytes, bool, type(None), ipaddress.IPv4Address, ipaddress.IPv6Address)
_NETWORKS = (ipaddress.IPv4Network, ipaddress.IPv6Network)


def fresh(value: Any) -> bool:
    """Is it, all the way down, of exactly the types that the vocabulary has?"""
    if isinstance(value, msgspec.Struct):
        return type(value).__module__ == Action.__module__ and all(
            fresh(getattr(value, name)) for name in value.__struct_fields__
        )
    if type(value) in (list, tuple):
        return all(fresh(item) for item in value)
    if type(value) is dict:
        return all(type(key) is str and fresh(item) for key, item in value.items())
    return type(value) in _FRESH + _NETWORKS


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(sorted(CALLS)), st.data())
def test_what_is_judged_and_rendered_is_made_of_exact_types_and_cannot_change(primitive: str, data: Any) -> None:
    """Any parameters that cross the wire become an action of plain, frozen values, or a refusal; rendering agrees."""
    name = data.draw(st.sampled_from(named(primitive)))
    params = {**CALLS[primitive], name: data.draw(_VALUES)}
    message = calls.decode_from_worker(calls.encode(calls.Submit.ask(1, primitive, params)))
    assert isinstance(message, calls.Submit)
    try:
        action = parse(message.primitive, message.params | message.octets)
    except BadParameter:
        return
    assert fresh(action)
    with pytest.raises(AttributeError):
        setattr(action, name, None)
    for dialect in (OLD, NEW):
        try:
            line = render(action, dialect)
        except Inexpressible:
            continue
        assert line == render(action, dialect)
        assert line.isascii()
        assert line.isprintable()
