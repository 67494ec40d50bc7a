"""A policy's own tests: each ``call`` is decided, and must be answered as its author expects.

They run whenever the file is loaded; one that fails blocks the load. The layer is judged together with
the platform's, without facts of a machine and with nothing used up.
"""

import ipaddress
import re
from typing import Any, Final

from onvp.policies.action import ACTIONS, Action, parse
from onvp.policies.combine import combine
from onvp.policies.decide import Usage, decide
from onvp.policies.errors import BadParameter, Problem
from onvp.policies.grant import Grant, Refusal
from onvp.policies.model import Layer, PolicyTest
from onvp.policies.parameters import PARAMETERS, Kind
from onvp.policies.units import parse_time

_PLACES: Final = {
    "dns": ("qname", "server"), "ally": ("dst1", "dst2"), "prefixscan": ("near", "far"), "sniff": ("src",),
    "radargun": ("addrs",), "midarest": ("addrs",), "http": ("url",), "tbit": ("url",),
}  # fmt: skip
"""The parameters that a call's words without ``=`` give; ``dst`` elsewhere."""

_FILLED: Final[dict[str, dict[str, Any]]] = {
    "udpprobe": {"dport": 33435, "payload": b"test"}, "sniff": {"icmp_id": 1}, "tbit": {"method": "null"},
    "owamp": {"direction": "tx"}, "prefixscan": {"prefixlen": 30},
    "radargun": {"probedefs": [{"method": "udp"}, {"method": "icmp-echo"}]},
    "midarest": {"probedefs": [{"method": "udp"}, {"method": "icmp-echo"}]},
}  # fmt: skip
"""What a call needs but a test seldom cares about."""


def parse_call(text: str) -> Action:
    """The action of ``ping 192.0.2.1 attempts=50 wait_probe=20ms``.

    Raises:
        ValueError: the text is no call, or not one that the vocabulary has.
    """
    primitive, *words = text.split()
    if primitive not in ACTIONS:
        raise ValueError(f"there is no primitive {primitive!r}")
    params: dict[str, Any] = dict(_FILLED.get(primitive, {}))
    places = list(_PLACES.get(primitive, ("dst",)))
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or "://" in name:
            if not places:
                raise ValueError(f"{word!r} is one word too many")
            place = places[0]
            if place == "addrs":
                params.setdefault("addrs", []).append(word)
                continue
            params[places.pop(0)] = word
        else:
            params[name] = _value(primitive, name, value)
    if primitive in {"http", "tbit"} and "dst" not in params:
        params["dst"] = _host_address(params.get("url", ""))
    try:
        return parse(primitive, params)
    except BadParameter as error:
        raise ValueError(str(error)) from error


def _value(primitive: str, name: str, value: str) -> Any:
    parameter = PARAMETERS[primitive].get(name)
    if parameter is not None and parameter.kind is Kind.TIME:
        return parse_time(value)
    if value in {"true", "false"}:
        return value == "true"
    if name == "payload":
        return value.encode()
    if name == "mqtypes":
        return value.split(",")
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else value


def _host_address(url: str) -> str:
    host = re.sub(r"^\w+://", "", url).partition("/")[0]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise ValueError(f"give the address that {host!r} stands for: dst=ADDRESS") from None


def run(layer: Layer) -> list[Problem]:
    """The tests of ``layer`` that fail, as problems."""
    policy = combine([layer])
    problems = []
    for test in layer.tests:
        said = _failure(test, policy)
        if said:
            problems.append(
                Problem(
                    layer.file,
                    test.line,
                    test.column,
                    f"the test {test.name!r} fails: {said}",
                    "correct the rule or the test",
                )
            )
    return problems


def _failure(test: PolicyTest, policy: Any) -> str:
    try:
        action = parse_call(test.call)
    except ValueError as error:
        return f"{test.call!r} is no call: {error}"
    answer = decide(policy, action, Usage(user=test.user, role=test.role), test.at_s, decision="test")
    got = _word(answer)
    if got != test.expect:
        detail = f" ({answer.rule}: {answer.sentence})" if isinstance(answer, Refusal) else ""
        return f"expected {test.expect}, got {got}{detail}"
    rules = {answer.rule}
    if isinstance(answer, Grant) and answer.clamps:
        rules = {clamp.rule for clamp in answer.clamps}
    if test.rule is not None and test.rule not in rules:
        return f"expected the rule {test.rule}, it was {', '.join(sorted(rules))}"
    for name, text in test.value.items():
        if not isinstance(answer, Grant):
            return f"a refused call has no {name}"
        if name not in answer.action.__struct_fields__:
            return f"{test.call.split()[0]} has no parameter {name!r}"
        try:
            wanted = _value(action.primitive, name, text)
        except ValueError as error:
            return f"value.{name}: {error}"
        found = getattr(answer.action, name)
        if found != wanted and str(found) != str(wanted):
            return f"expected {name} {text}, got {found}"
    return ""


def _word(answer: Grant | Refusal) -> str:
    if isinstance(answer, Refusal):
        return "deny"
    return "clamp" if answer.clamps else "allow"
