"""The sections of a policy file, one function each."""

import ipaddress
import re
from typing import Any, Final, Literal

from onvp.policies.action import ACTIONS
from onvp.policies.match import DAYS, Hours, Period, PortSet
from onvp.policies.model import (
    Bound,
    Budget,
    Choice,
    Destinations,
    Entry,
    Forbidden,
    Limit,
    NameRule,
    Origin,
    PerTarget,
    PolicyTest,
    Ports,
    PrimitiveRules,
    Rate,
    Rates,
    Role,
    ScriptRules,
    Window,
)
from onvp.policies.parameters import CHOICES, HAVE_PORTS, PARAMETERS, Kind, Parameter
from onvp.policies.reader import Reader
from onvp.policies.source import Items, Mapping, Node, Scalar
from onvp.policies.special import GROUPS, NEVER, REOPENABLE, span
from onvp.policies.units import parse_count, parse_packets, parse_rate, parse_size, parse_time

Pair = tuple[Scalar, Node]

_PARSERS: Final = {
    Kind.TIME: parse_time, Kind.SIZE: parse_size, Kind.BYTES: parse_size, Kind.COUNT: parse_count,
    Kind.ITEMS: parse_count,
}  # fmt: skip


# ---- primitives ----


def read_primitives(reader: Reader, pair: Pair | None) -> dict[str, PrimitiveRules] | None:
    """The primitives that a layer names, each with its rules."""
    if pair is None:
        return None
    rules = {}
    for key, node in reader.pairs(pair[1], "primitives"):
        if key.text not in ACTIONS:
            reader.unknown(key, key.text, list(ACTIONS), f"primitive {key.text!r}")
        else:
            rules[key.text] = _primitive(reader, key, node)
    return rules


def _primitive(reader: Reader, key: Scalar, node: Node) -> PrimitiveRules:
    name = key.text
    path = f"primitives.{name}"
    parameters, choices = PARAMETERS[name], CHOICES.get(name, {})
    ports = ["ports"] if name in HAVE_PORTS else []
    known = ["allow", "why", *choices, *ports, *parameters]
    later = ["body"] if name == "http" else []
    fields = reader.mapping(node, path, known, later)
    allow = reader.flag(fields["allow"][1], f"{path}.allow") if "allow" in fields else None
    if "allow" not in fields and isinstance(node, Mapping):
        reader.say(key, f"{path} does not say allow", "write allow: true or allow: false")
    why = (reader.text(fields["why"][1], f"{path}.why") or "") if "why" in fields else ""
    bounds: list[Bound] = []
    forbidden: list[Forbidden] = []
    for word, parameter in parameters.items():
        if word in fields:
            rule = _parameter(reader, *fields[word], f"{path}.{word}", parameter)
            if isinstance(rule, Bound):
                bounds.append(rule)
            elif rule is not None:
                forbidden.append(rule)
    return PrimitiveRules(
        allow=bool(allow),
        why=why,
        origin=reader.origin(f"{path}.allow", fields["allow"][0] if "allow" in fields else key),
        bounds=tuple(bounds),
        choices=tuple(
            Choice(
                word,
                reader.words(fields[word][1], f"{path}.{word}", values),
                reader.origin(f"{path}.{word}", fields[word][0]),
            )
            for word, values in choices.items()
            if word in fields
        ),
        ports=_ports(reader, fields.get("ports"), f"{path}.ports"),
        forbidden=tuple(forbidden),
    )


def _parameter(reader: Reader, key: Scalar, node: Node, path: str, parameter: Parameter) -> Bound | Forbidden | None:
    if isinstance(node, Scalar) and node.plain and node.text in {"true", "false"} and parameter.forbiddable:
        return Forbidden(key.text, reader.origin(path, key)) if node.text == "false" else None
    if parameter.kind is Kind.PRESENCE:
        reader.flag(node, path)
        return None
    fields = reader.mapping(node, path, ("max", "min", "over", "why"))
    values: dict[str, int | None] = {}
    for end in ("min", "max"):
        if end not in fields:
            continue
        at = fields[end][1]
        value = reader.parsed(at, f"{path}.{end}", _PARSERS[parameter.kind])
        values[end] = value
        if value is None:
            continue
        if not parameter.low <= value <= parameter.high or value % parameter.step:
            step = f" in steps of {parameter.step}" if parameter.step > 1 else ""
            unit = " us" if parameter.kind is Kind.TIME else ""
            reader.say(
                at,
                f"{path}.{end} is out of the parameter's range",
                f"{key.text} takes {parameter.low} to {parameter.high}{unit}{step}",
            )
    over = reader.word(fields["over"][1], f"{path}.over", ("deny", "clamp")) if "over" in fields else "deny"
    if over == "clamp" and not parameter.kind.clampable:
        reader.say(
            fields["over"][1],
            f"{path} cannot be clamped",
            f"its {parameter.kind.value} cannot be narrowed; use over: deny",
        )
    if isinstance(node, Mapping) and not values:
        reader.say(key, f"{path} has neither min nor max", "say at least one of them")
    low, high = values.get("min"), values.get("max")
    if low is not None and high is not None and low > high:
        reader.say(key, f"{path}.min is larger than its max", "no value is left")
    why = (reader.text(fields["why"][1], f"{path}.why") or "") if "why" in fields else ""
    return Bound(key.text, low, high, "clamp" if over == "clamp" else "deny", why, reader.origin(path, key))


def _ports(reader: Reader, pair: Pair | None, path: str) -> tuple[Ports, ...]:
    if pair is None:
        return ()
    spans = []
    for item in reader.items(pair[1], path):
        text = reader.text(item, path)
        if text is None:
            continue
        match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", text)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not 0 <= low <= high <= 65535:
            reader.say(item, f"{path}: {text!r} is no port", "write 443, or a span like 33434-33690")
        else:
            spans.append((low, high))
    return (Ports(PortSet.of(spans), reader.origin(path, pair[0])),)


# ---- destinations ----


def read_destinations(reader: Reader, pair: Pair | None) -> Destinations:
    """Where packets may go."""
    if pair is None:
        return Destinations()
    fields = reader.mapping(pair[1], "destinations", ("deny", "allow", "reopen", "names", "per_target"))
    deny, names = _entries(reader, fields.get("deny"), "destinations.deny")
    allow, allow_names = _entries(reader, fields.get("allow"), "destinations.allow")
    for rule, node in allow_names:
        reader.say(
            node,
            f"destinations.allow: a name ({rule.pattern})",
            "allow its addresses; names can only be denied",
        )
    if "names" in fields:
        checks = reader.mapping(fields["names"][1], "destinations.names", ("resolve", "check"))
        for word, only in (("resolve", "on-vp"), ("check", "every-answer")):
            if word in checks:
                reader.word(checks[word][1], f"destinations.names.{word}", (only,))
    return Destinations(
        deny=deny,
        allow=allow if "allow" in fields else None,
        allow_origin=reader.origin("destinations.allow", fields["allow"][0]) if "allow" in fields else None,
        reopen=_reopen(reader, fields.get("reopen")),
        names=tuple(rule for rule, _ in names),
        per_target=_per_target(reader, fields.get("per_target")),
    )


def _entries(reader: Reader, pair: Pair | None, path: str) -> tuple[tuple[Entry, ...], list[tuple[NameRule, Node]]]:
    entries: list[Entry] = []
    names: list[tuple[NameRule, Node]] = []
    for item in reader.items(pair[1], path) if pair else ():
        text = reader.text(item, path)
        if text is None:
            continue
        origin = reader.origin(f"{path}.{text}", item)
        if text in GROUPS or text == "this-site":
            entries.append(Entry(text, tuple(GROUPS.get(text, ())), origin))
        elif text.startswith("name:"):
            pattern = text.removeprefix("name:").strip().rstrip(".").lower()
            if re.fullmatch(r"(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", pattern) is None:
                reader.say(item, f"{path}: {text!r} is no name", "write name:example.net or name:*.example.net")
            names.append((NameRule(pattern, origin), item))
        elif text.startswith(("as:", "list:")):
            reader.say(item, f"{path}: {text} is not supported yet", "write prefixes; this version has no such lists")
        else:
            entry = _prefix(reader, item, path, text)
            if entry is not None:
                entries.append(entry)
    return tuple(entries), names


def _prefix(reader: Reader, item: Node, path: str, text: str) -> Entry | None:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        try:
            wider = ipaddress.ip_network(text, strict=False)
        except ValueError:
            if re.fullmatch(r"[a-z][a-z-]*", text):
                reader.unknown(item, text, [*GROUPS, "this-site"], f"group {text!r} in {path}")
            else:
                reader.say(item, f"{path}: {text!r} is no prefix", "write 192.0.2.0/24, 2001:db8::/32 or a group")
        else:
            reader.say(item, f"{path}: {text!r} has bits after the prefix", f"did you mean {wider}?")
        return None
    return Entry(str(network), (span(network),), reader.origin(f"{path}.{network}", item))


def _reopen(reader: Reader, pair: Pair | None) -> tuple[Entry, ...]:
    path = "destinations.reopen"
    if pair is None:
        return ()
    if reader.layer != "host":
        reader.say(pair[0], f"{path} in the {reader.layer} layer", "only a site host's policy can reopen a prefix")
    entries = []
    reopenable = {s.prefix for s in REOPENABLE}
    for item in reader.items(pair[1], path):
        text = reader.text(item, path)
        if text is None:
            continue
        if text in GROUPS or text == "this-site":
            prefixes = ", ".join(s.prefix for s in REOPENABLE if s.group == text)
            reader.say(
                item,
                f"{path}: {text} is a group",
                f"name each prefix exactly{': ' + prefixes if prefixes else ''}",
            )
            continue
        entry = _prefix(reader, item, path, text)
        if entry is None:
            continue
        entries.append(entry)
        network = ipaddress.ip_network(entry.text)
        closed = next((s for s in NEVER if _inside(network, s.prefix)), None)
        around = next((s for s in REOPENABLE if _inside(network, s.prefix)), None)
        if closed is not None:
            reader.say(item, f"{path}: {text} stays closed to everybody", f"it is {closed.group}: {closed.source}")
        elif entry.text not in reopenable:
            reader.warn(
                item,
                f"{path}: {text} is not exactly a special-purpose prefix",
                "it has an effect only where it is exactly a network of the VP"
                + (f"; else name {around.prefix} exactly, and narrow it with destinations.allow" if around else ""),
            )
    return tuple(entries)


def _inside(network: Any, prefix: str) -> bool:
    outer = ipaddress.ip_network(prefix)
    return bool(network.version == outer.version and network.subnet_of(outer))


def _per_target(reader: Reader, pair: Pair | None) -> PerTarget:
    path = "destinations.per_target"
    if pair is None:
        return PerTarget()
    fields = reader.mapping(pair[1], path, ("pps", "concurrent", "per_day"), ("fan_in",))
    return PerTarget(
        reader.limit(fields.get("pps"), f"{path}.pps", parse_count),
        reader.limit(fields.get("concurrent"), f"{path}.concurrent", parse_count),
        reader.limit(fields.get("per_day"), f"{path}.per_day", parse_packets),
    )


# ---- rates and budgets ----


def read_rates(reader: Reader, pair: Pair | None) -> Rates:
    """The token buckets."""
    if pair is None:
        return Rates()
    fields = reader.mapping(pair[1], "rates", ("vp", "user", "script", "on_excess", "max_delay"))
    rates = {}
    for scope in ("vp", "user", "script"):
        inner = reader.mapping(
            fields[scope][1] if scope in fields else None,
            f"rates.{scope}",
            ("pps", "burst", "bytes"),
            ("share",),
        )
        path = f"rates.{scope}"
        rates[scope] = Rate(
            reader.limit(inner.get("pps"), f"{path}.pps", parse_count),
            reader.limit(inner.get("burst"), f"{path}.burst", parse_count),
            reader.limit(inner.get("bytes"), f"{path}.bytes", parse_rate),
        )
        if "burst" in inner and "pps" not in inner:
            reader.say(inner["burst"][0], f"{path}.burst without pps", "a burst is part of a rate")
    excess = None
    if "on_excess" in fields:
        excess = reader.word(fields["on_excess"][1], "rates.on_excess", ("delay", "deny"))
    return Rates(
        rates["vp"],
        rates["user"],
        rates["script"],
        "deny" if excess == "deny" else "delay",
        reader.limit(fields.get("max_delay"), "rates.max_delay", parse_time, least=0),
    )


_PERIODS: Final = {"vp": ("hour", "day", "month"), "user": ("hour", "day", "month"), "script": ("run",)}


def read_budgets(reader: Reader, pair: Pair | None) -> tuple[Budget, ...]:
    """What may be used up."""
    if pair is None:
        return ()
    fields = reader.mapping(pair[1], "budgets", ("vp", "user", "script", "zone"))
    zone = reader.zone(fields["zone"][1], "budgets.zone") if "zone" in fields else None
    budgets: list[Budget] = []
    for scope, periods in _PERIODS.items():
        node = fields[scope][1] if scope in fields else None
        for period, (_, inner) in reader.mapping(node, f"budgets.{scope}", periods).items():
            path = f"budgets.{scope}.{period}"
            if period in {"day", "month"} and "zone" not in fields:
                reader.say(inner, f"{path} needs budgets.zone", "say on whose clock it begins: zone: UTC")
            quantities = reader.mapping(inner, path, ("packets", "bytes", "targets"), ("new_targets",))
            for quantity, parse in (
                ("packets", parse_count),
                ("bytes", parse_size),
                ("targets", parse_count),
            ):
                limit = reader.limit(quantities.get(quantity), f"{path}.{quantity}", parse, least=0)
                if limit is not None:
                    name = f"{scope}.{period}.{quantity}"
                    words: Any = (scope, period, quantity)  # each from its table
                    budgets.append(_budget(name, words, limit, zone or "UTC"))
    return tuple(budgets)


def _budget(name: str, words: tuple[Any, Any, Any], limit: Limit, zone: str) -> Budget:
    scope, period, quantity = words
    return Budget(name, scope, period, quantity, limit.value, zone, limit.origin)


# ---- scripts ----


def read_scripts(reader: Reader, pair: Pair | None) -> ScriptRules:
    """What a run may use."""
    if pair is None:
        return ScriptRules()
    path = "scripts"
    known = ("cpu", "memory", "wall", "output", "artifacts", "concurrent", "modules", "level", "calls")
    fields = reader.mapping(pair[1], path, known)
    cpu = reader.mapping(fields["cpu"][1] if "cpu" in fields else None, "scripts.cpu", ("total",), ("share",))
    both = reader.mapping(
        fields["concurrent"][1] if "concurrent" in fields else None, "scripts.concurrent", ("user", "vp")
    )
    found = {
        "cpu_s": reader.limit(cpu.get("total"), "scripts.cpu.total", parse_time, least=1000),
        "memory_bytes": reader.limit(fields.get("memory"), "scripts.memory", parse_size, least=1 << 20),
        "wall_s": reader.limit(fields.get("wall"), "scripts.wall", parse_time, least=1000),
        "output_bytes": reader.limit(fields.get("output"), "scripts.output", parse_size, least=0),
        "artifact_bytes": reader.limit(fields.get("artifacts"), "scripts.artifacts", parse_size, least=0),
        "concurrent_user": reader.limit(both.get("user"), "scripts.concurrent.user", parse_count, least=0),
        "concurrent_vp": reader.limit(both.get("vp"), "scripts.concurrent.vp", parse_count, least=0),
        "calls": reader.limit(fields.get("calls"), "scripts.calls", parse_count, least=0),
    }
    origins: dict[str, Origin] = {
        word: reader.origin(f"scripts.{word}", fields[word][0]) for word in ("modules", "level") if word in fields
    }
    modules = None
    if "modules" in fields:
        modules = frozenset(_modules(reader, fields["modules"][1]))
    level: Any = None
    if "level" in fields:
        level = reader.word(fields["level"][1], "scripts.level", ("full", "standard"))
    return ScriptRules({k: v for k, v in found.items() if isinstance(v, Limit)}, modules, level, origins)


def _modules(reader: Reader, node: Node) -> list[str]:
    names = []
    for item in reader.items(node, "scripts.modules"):
        name = reader.text(item, "scripts.modules")
        if name is not None and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*", name) is None:
            reader.say(item, f"scripts.modules: {name!r} is no module's name", "write json, or urllib.parse")
        elif name is not None:
            names.append(name)
    return names


# ---- time and people ----


def read_windows(reader: Reader, pair: Pair | None) -> tuple[Window, ...]:
    """The time rules."""
    windows = []
    for number, item in enumerate(reader.items(pair[1], "windows") if pair else ()):
        window = _window(reader, item, f"windows[{number}]")
        if window is not None:
            windows.append(window)
    return tuple(windows)


def _window(reader: Reader, node: Node, path: str) -> Window | None:
    known = ("allow", "deny", "days", "hours", "zone", "from", "until", "why", "outside")
    before = len(reader.problems)
    fields = reader.mapping(node, path, known)
    if ("allow" in fields) == ("deny" in fields) and fields:
        reader.say(node, f"{path} needs one of allow and deny", "write allow: [http], or deny: all")
        return None
    effect: Literal["allow", "deny"] = "allow" if "allow" in fields else "deny"
    primitives = _named_primitives(reader, fields[effect][1], f"{path}.{effect}") if effect in fields else None
    zone = reader.zone(fields["zone"][1], f"{path}.zone") if "zone" in fields else None
    if "zone" not in fields and fields:
        reader.say(node, f"{path} has no zone", "say on whose clock: zone: Pacific/Auckland")
    if "outside" in fields:
        text = reader.text(fields["outside"][1], f"{path}.outside")
        if text == "queue":
            reader.say(fields["outside"][1], f"{path}.outside: queue is not supported yet", "use outside: deny")
        elif text is not None:
            reader.word(fields["outside"][1], f"{path}.outside", ("deny",))
    hours = _hours(reader, fields, path, zone or "UTC")
    start, end = (
        reader.moment(fields[k][1], f"{path}.{k}", zone or "UTC") if k in fields else None for k in ("from", "until")
    )
    if start is not None and end is not None and end <= start:
        reader.say(fields["until"][1], f"{path}.until is not after its from", "such a window is empty")
    if not {"days", "hours", "from", "until"} & set(fields) and fields:
        reader.say(node, f"{path} says no time", "give days, hours, from or until")
    if len(reader.problems) > before:
        return None
    words: list[str] = [
        f"{word} {fields[word][1].text}"  # type: ignore[union-attr]  # read as text above
        if word in {"from", "until"}
        else f"{fields[word][1].text}"  # type: ignore[union-attr]
        for word in ("days", "hours", "from", "until")
        if word in fields
    ]
    return Window(
        effect,
        primitives,
        Period(hours, start, end),
        (reader.text(fields["why"][1], f"{path}.why") or "") if "why" in fields else "",
        f"{' '.join(words)} ({zone})",
        reader.origin(path, node),
    )


def _named_primitives(reader: Reader, node: Node, path: str) -> frozenset[str] | None:
    if isinstance(node, Scalar) and node.text == "all":
        return None
    found = reader.words(node, path, tuple(ACTIONS))
    if isinstance(node, Items) and not node.items:
        reader.say(node, f"{path} is empty", "name primitives, or write all")
    return found


def _hours(reader: Reader, fields: dict[str, Pair], path: str, zone: str) -> Hours | None:
    if "days" not in fields and "hours" not in fields:
        return None
    days, begin, end = frozenset(range(7)), 0, 24 * 60
    if "days" in fields:
        days = reader.parsed(fields["days"][1], f"{path}.days", _parse_days) or days
    if "hours" in fields:
        span_ = reader.parsed(fields["hours"][1], f"{path}.hours", _parse_hours)
        begin, end = span_ or (begin, end)
    return Hours(days, begin, end, zone)


def _parse_days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"{text!r} are no days: write mon-fri, or mon,wed,sun")
        a, b = DAYS.index(first), DAYS.index(last or first)
        days |= {(a + i) % 7 for i in range((b - a) % 7 + 1)}
    return frozenset(days)


def _parse_hours(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)", text)
    if match is None:
        raise ValueError(f"{text!r} are no hours: write 19:00-07:00")
    begin, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if int(match[2]) > 59 or int(match[4]) > 59 or begin >= 1440 or end > 1440:
        raise ValueError(f"{text!r} are no hours of a day (00:00 to 24:00)")
    if begin == end:
        raise ValueError(f"{text!r} is an empty window; leave hours out for the whole day")
    return begin, end


def read_roles(reader: Reader, pair: Pair | None) -> dict[str, Role] | None:
    """Who may do what."""
    if pair is None:
        return None
    fields = reader.mapping(pair[1], "who", ("roles",), ("ceiling", "approval"))
    if "roles" not in fields:
        return None
    roles = {}
    for key, node in reader.pairs(fields["roles"][1], "who.roles"):
        path = f"who.roles.{key.text}"
        inner = reader.mapping(node, path, ("primitives",), ("budgets",))
        if "primitives" not in inner and isinstance(node, Mapping):
            reader.say(key, f"{path} names no primitives", "write primitives: [ping, trace]")
        found = (
            reader.words(inner["primitives"][1], f"{path}.primitives", tuple(ACTIONS))
            if "primitives" in inner
            else frozenset()
        )
        roles[key.text] = Role(key.text, found, reader.origin(path, key))
    return roles


def read_tests(reader: Reader, pair: Pair | None) -> tuple[PolicyTest, ...]:
    """The policy's own tests."""
    tests = []
    for number, node in enumerate(reader.items(pair[1], "tests") if pair else ()):
        path = f"tests[{number}]"
        fields = reader.mapping(node, path, ("name", "user", "role", "call", "expect", "rule", "value", "at"))
        texts = {
            word: (reader.text(fields[word][1], f"{path}.{word}") or "") if word in fields else ""
            for word in ("name", "user", "role", "call", "rule")
        }
        expect: Any = (
            reader.word(fields["expect"][1], f"{path}.expect", ("allow", "deny", "clamp"))
            if "expect" in fields
            else None
        )
        if isinstance(node, Mapping) and not {"call", "expect"} <= set(fields):
            reader.say(node, f"{path} needs call and expect", 'like {call: "ping 192.0.2.1", expect: allow}')
        value = {}
        for key, item in reader.pairs(fields["value"][1], f"{path}.value") if "value" in fields else ():
            value[key.text] = reader.text(item, f"{path}.value.{key.text}") or ""
        at = reader.moment(fields["at"][1], f"{path}.at", "UTC") if "at" in fields else None
        if texts["call"] and expect:
            tests.append(
                PolicyTest(
                    texts["name"] or texts["call"],
                    texts["user"],
                    texts["role"] or texts["user"],
                    texts["call"],
                    expect,
                    texts["rule"] or None,
                    value,
                    at,
                    node.line,
                    node.column,
                )
            )
    return tuple(tests)
