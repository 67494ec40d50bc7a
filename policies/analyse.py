"""What a policy probably does not mean: rules that never match, grants that lead nowhere. Warnings only."""

import ipaddress
from typing import TYPE_CHECKING

from onvp.policies.match import PrefixSet
from onvp.policies.model import Entry, Layer, Origin, Window
from onvp.policies.reader import Reader
from onvp.policies.source import Scalar
from onvp.policies.special import REOPENABLE, Span

if TYPE_CHECKING:
    from collections.abc import Iterable

_NO_TARGET = {"sniff", "dns"}


def examine(reader: Reader, layer: Layer) -> None:
    """Note as warnings what cannot have an effect."""
    if layer.kind == "host":
        _grants(reader, layer)
    _destinations(reader, layer)
    _windows(reader, layer)
    _primitives(reader, layer)


def _at(origin: Origin) -> Scalar:
    return Scalar(int(origin.where.rpartition(":")[2]), 1, "", True)


def _grants(reader: Reader, layer: Layer) -> None:
    top = Scalar(1, 1, "", True)
    if layer.primitives is None:
        reader.warn(top, "no primitives: nothing is allowed", "add primitives: {ping: {allow: true}}")
        return
    allowed = [name for name, rules in layer.primitives.items() if rules.allow]
    if not allowed:
        reader.warn(top, "every primitive is refused: nothing is allowed")
    reaching = [name for name in allowed if name not in _NO_TARGET]
    if reaching and not layer.destinations.allow:
        reader.warn(
            top,
            f"{', '.join(reaching)} allowed, but no destinations: every call will be refused",
            "add destinations: {allow: [global-unicast]}",
        )
    for name, rules in layer.primitives.items():
        for choice in rules.choices:
            if rules.allow and not choice.values:
                reader.warn(_at(choice.origin), f"{choice.origin.rule} is empty: every {name} will be refused")
        if not rules.allow and (rules.bounds or rules.choices or rules.ports):
            reader.warn(_at(rules.origin), f"{name} is refused, so its bounds never matter")


def _destinations(reader: Reader, layer: Layer) -> None:
    d = layer.destinations
    seen: dict[str, Entry] = {}
    for entry in d.deny:
        wider = next((other for other in seen.values() if _within(entry.spans, other.spans)), None)
        if wider is not None:
            reader.warn(_at(entry.origin), f"{entry.origin.rule} has no effect: {wider.text} covers it")
        seen[entry.text] = entry
    denied = PrefixSet((s, e) for e in d.deny for s in e.spans)
    for reopened in d.reopen:
        cover = next((e for e in d.deny if _within(reopened.spans, e.spans)), None)
        if cover is not None:
            reader.warn(
                _at(reopened.origin),
                f"reopen {reopened.text} has no effect: destinations.deny names {cover.text}",
                "a deny always wins",
            )
        elif d.allow is not None and not any(_touch(reopened.spans, e.spans) for e in d.allow):
            reader.warn(
                _at(reopened.origin),
                f"reopen {reopened.text} has no effect: destinations.allow does not name it",
            )
    reopened_texts = {e.text for e in d.reopen}
    for entry in d.allow or ():
        if len(entry.spans) == 1 and entry.spans[0][1:] and _fully(denied, entry.spans[0]):
            reader.warn(_at(entry.origin), f"{entry.origin.rule} never matches: destinations.deny covers it")
            continue
        closed = next((s for s in REOPENABLE if _in_prefix(entry, s.prefix)), None)
        if closed is not None and closed.prefix not in reopened_texts:
            reader.warn(
                _at(entry.origin),
                f"{entry.origin.rule} never matches: the platform closes {closed.prefix} ({closed.group})",
                f"add destinations.reopen: [{closed.prefix}] if it is meant",
            )


def _in_prefix(entry: Entry, prefix: str) -> bool:
    try:
        inner, outer = ipaddress.ip_network(entry.text), ipaddress.ip_network(prefix)
    except ValueError:
        return False
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _within(inner: "Iterable[Span]", outer: "Iterable[Span]") -> bool:
    inner, outer = list(inner), list(outer)
    return bool(inner) and all(any(i[0] == o[0] and o[1] <= i[1] and i[2] <= o[2] for o in outer) for i in inner)


def _touch(one: "Iterable[Span]", other: "Iterable[Span]") -> bool:
    others = list(other)
    return any(a[0] == b[0] and a[1] <= b[2] and b[1] <= a[2] for a in one for b in others)


def _fully(denied: PrefixSet[Entry], span: Span) -> bool:
    found = denied.find(span[0], span[1])
    return found is not None and _within([span], found.spans)


def _windows(reader: Reader, layer: Layer) -> None:
    for window in layer.windows:
        names = window.primitives
        if names is not None and layer.primitives is not None:
            for name in sorted(names):
                rules = layer.primitives.get(name)
                if rules is None or not rules.allow:
                    reader.warn(_at(window.origin), f"{window.origin.rule} names {name}, which is refused anyway")
        if _outside(window, layer):
            reader.warn(
                _at(window.origin),
                f"{window.origin.rule} lies outside the time for which the policy is valid",
            )


def _outside(window: Window, layer: Layer) -> bool:
    start, end = layer.valid.from_s, layer.valid.until_s
    p = window.period
    return (p.until_s is not None and start is not None and p.until_s <= start) or (
        p.from_s is not None and end is not None and p.from_s >= end
    )


def _primitives(reader: Reader, layer: Layer) -> None:
    for role in (layer.roles or {}).values():
        for name in sorted(role.primitives):
            rules = (layer.primitives or {}).get(name)
            if layer.primitives is not None and (rules is None or not rules.allow):
                reader.warn(_at(role.origin), f"{role.origin.rule} names {name}, which the policy does not allow")
