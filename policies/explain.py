"""A policy in plain words: one sentence for each rule, and what it means at worst in a day."""

import datetime
from collections.abc import Iterator
from typing import Final, Literal

from onvp.policies.model import Bound, Layer, Origin, PrimitiveRules, Rate
from onvp.policies.parameters import PARAMETERS, Kind
from onvp.policies.policy import Policy
from onvp.policies.units import show_size, show_time

Audience = Literal["host", "researcher"]
DAY_S: Final = 86400
_UNBOUNDED_SIZE: Final = 1500  # bytes: an Ethernet frame's worth, where no rule bounds the size


def statement(policy: Policy, audience: Audience = "host") -> str:
    """The page about a policy: a title, its sentences, and the digest of what it speaks of."""
    layer = next((x for x in policy.layers if x.kind == "host"), None)
    title = "What this vantage point may do" if audience == "host" else "What your scripts may do here"
    by = f" under the policy of {layer.owner}" if layer is not None and layer.owner else ""
    parts = [f"{title}{by}", ""]
    if policy.summary:
        parts += [policy.summary, ""]
    parts += [f"* {sentence}" for sentence in explain_policy(policy, audience)]
    return "\n".join([*parts, "", f"Policy digest: {policy.digest}", ""])


def explain_policy(policy: Policy, audience: Audience = "host") -> list[str]:
    """One sentence for each rule, the general ones first, each with its place in the file."""
    sentences: list[str] = []
    if audience == "host":
        sentences += _worst_case(policy)
    for layer in policy.layers:
        if layer.kind != "platform":
            sentences += _layer(layer)
    sentences += _always(policy)
    return sentences


def _at(origin: Origin) -> str:
    return f" [{origin.where}]"


def _worst_case(policy: Policy) -> Iterator[str]:
    names = policy.allowed_primitives()
    if not names:
        yield "Nothing is allowed: no measurement will be sent from here."
        return
    pps = policy.rates.vp.pps
    assert pps is not None  # combine gives a default
    packets = pps.value * DAY_S
    sizes = [
        policy.rates.vp.bytes_s.value * DAY_S if policy.rates.vp.bytes_s else packets * _UNBOUNDED_SIZE,
        packets * _UNBOUNDED_SIZE,
    ]
    for budget in policy.budgets.values():
        if budget.scope == "vp" and budget.period in {"day", "month"}:
            # A month's budget may be used up in one day.
            if budget.quantity == "packets":
                packets = min(packets, budget.value)
            elif budget.quantity == "bytes":
                sizes.append(budget.value)
    size = min(*sizes, packets * _UNBOUNDED_SIZE)
    yield (
        f"At worst, {packets:,} packets and {_approximate(size)} a day leave this network for all users together; "
        f"never more than {pps.value} packets a second over any longer time{_at(pps.origin)}."
    )
    yield f"The measurements that may be asked for are {_listed(sorted(names))}; every other one is refused."


def _approximate(size: int) -> str:
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} B"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"


def _layer(layer: Layer) -> Iterator[str]:
    yield from _validity(layer)
    for name, rules in (layer.primitives or {}).items():
        yield from _primitive(name, rules)
    yield from _destinations(layer)
    yield from _rates(layer)
    for budget in layer.budgets:
        limit = show_size(budget.value) if budget.quantity == "bytes" else f"{budget.value:,} {budget.quantity}"
        whose = {"vp": "All users together", "user": "Each user", "script": "Each run"}[budget.scope]
        when = {"run": "in all", "hour": "an hour"}.get(
            budget.period, f"a {budget.period}, on the clock of {budget.zone}"
        )
        yield f"{whose} may use {limit} {when}{_at(budget.origin)}."
    yield from _scripts(layer)
    for window in layer.windows:
        what = "All measurements" if window.primitives is None else _listed(sorted(window.primitives))
        verb = "allowed only" if window.effect == "allow" else "refused"
        yield f"{what}: {verb} {window.text}{_why(window.why)}{_at(window.origin)}."
    for role in (layer.roles or {}).values():
        yield f"The role {role.name} may use {_listed(sorted(role.primitives))}{_at(role.origin)}."
    if layer.roles is not None:
        yield "Whoever has none of these roles may do nothing."


def _why(why: str) -> str:
    return f" ({why})" if why else ""


def _validity(layer: Layer) -> Iterator[str]:
    if layer.valid_origin is None:
        return
    words = []
    for word, moment in (("from", layer.valid.from_s), ("until", layer.valid.until_s)):
        if moment is not None:
            words.append(f"{word} {datetime.datetime.fromtimestamp(moment, datetime.UTC):%Y-%m-%d %H:%M} UTC")
    yield f"This holds {' '.join(words)}; outside, everything is refused{_at(layer.valid_origin)}."


def _primitive(name: str, rules: PrimitiveRules) -> Iterator[str]:
    if not rules.allow:
        yield f"{name} is refused{_why(rules.why)}{_at(rules.origin)}."
        return
    yield f"{name} is allowed{_why(rules.why)}{_at(rules.origin)}."
    for bound in rules.bounds:
        yield _bound(name, bound)
    for choice in rules.choices:
        yield f"{name}: of {choice.word}, only {_listed(sorted(choice.values))}{_at(choice.origin)}."
    for ports in rules.ports:
        yield f"{name}: only to ports {ports.ports}{_at(ports.origin)}."
    for forbidden in rules.forbidden:
        yield f"{name}: {forbidden.parameter} must not be used{_at(forbidden.origin)}."


def _bound(name: str, bound: Bound) -> str:
    kind = PARAMETERS[name][bound.parameter].kind
    show = show_time if kind is Kind.TIME else show_size if kind in {Kind.SIZE, Kind.BYTES} else str
    span = " and ".join(
        f"at {word} {show(value)}" for word, value in (("least", bound.low), ("most", bound.high)) if value is not None
    )
    beyond = "what is beyond is narrowed, and the script is told" if bound.over == "clamp" else "else it is refused"
    return f"{name}: {bound.parameter} is {span}; {beyond}{_why(bound.why)}{_at(bound.origin)}."


def _destinations(layer: Layer) -> Iterator[str]:
    d = layer.destinations
    if d.allow is not None and d.allow_origin is not None:
        yield f"Packets go only to {_listed([e.text for e in d.allow])}{_at(d.allow_origin)}."
    for entry in d.deny:
        yield f"No packet goes to {entry.text}{_at(entry.origin)}."
    for rule in d.names:
        yield f"No web request names {rule.pattern}{_at(rule.origin)}."
    for entry in d.reopen:
        yield f"{entry.text}, closed by default, is open here{_at(entry.origin)}."
    per = d.per_target
    for limit, words in (
        (per.pps, "packets a second"),
        (per.concurrent, "measurements at a time"),
        (per.per_day, "packets a day"),
    ):
        if limit is not None:
            yield f"One target gets at most {limit.value} {words} from all users together{_at(limit.origin)}."


def _rates(layer: Layer) -> Iterator[str]:
    whose = (
        ("All users together send", layer.rates.vp),
        ("Each user sends", layer.rates.user),
        ("Each run sends", layer.rates.script),
    )
    for who, rate in whose:
        yield from _rate(who, rate)
    wait = layer.rates.max_delay_us
    if layer.rates.on_excess == "deny":
        yield "A measurement that finds its rate used up is refused."
    elif wait is not None:
        yield (
            f"A measurement that finds its rate used up waits at most {show_time(wait.value)}, "
            f"else it is refused{_at(wait.origin)}."
        )


def _rate(who: str, rate: Rate) -> Iterator[str]:
    if rate.pps is not None:
        burst = f", {rate.burst.value} at once after a pause" if rate.burst is not None else ""
        yield f"{who} at most {rate.pps.value} packets a second{burst}{_at(rate.pps.origin)}."
    if rate.bytes_s is not None:
        yield f"{who} at most {show_size(rate.bytes_s.value)} a second{_at(rate.bytes_s.origin)}."


_SCRIPT_WORDS: Final = {
    "cpu_s": "A run uses at most {} of processor time", "wall_s": "A run lasts at most {}",
    "memory_bytes": "A run has at most {} of memory", "output_bytes": "A run prints and emits at most {}",
    "artifact_bytes": "A run leaves at most {} of files", "calls": "A run asks for at most {} measurements",
    "concurrent_user": "Each user has at most {} runs here at a time",
    "concurrent_vp": "At most {} runs are here at a time",
}  # fmt: skip


def _scripts(layer: Layer) -> Iterator[str]:
    for name, limit in layer.scripts.limits.items():
        value = str(limit.value)
        if name.endswith("_s"):
            value = show_time(limit.value)
        elif name.endswith("_bytes"):
            value = show_size(limit.value)
        yield f"{_SCRIPT_WORDS[name].format(value)}{_at(limit.origin)}."
    origins = layer.scripts.origins
    if layer.scripts.modules is not None:
        modules = _listed(sorted(layer.scripts.modules))
        yield f"Scripts may import {modules}{_at(origins['modules'])}."
    if layer.scripts.level is not None:
        yield f"Scripts run only where confinement is at least {layer.scripts.level}{_at(origins['level'])}."


def _always(policy: Policy) -> Iterator[str]:
    yield "No packet goes to this machine, to loopback, multicast, broadcast or the controller, whatever is written."
    yield "No packet carries a source address that is not this machine's."
    kept = {entry.text for layer in policy.layers for entry in layer.destinations.reopen}
    if kept:
        yield "Every other private or special-purpose address is closed, also where an IPv6 address stands for it."
    else:
        yield "Every private or special-purpose address is closed, also where an IPv6 address stands for it."
    yield "Nothing else is allowed."
