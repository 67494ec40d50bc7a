"""Layers → the one policy that decides.

Order-free: denied lists unite, allowed lists intersect, limits take the least, windows must all agree.
So no layer can give what another one withholds. The one exception is named: a host may reopen a
prefix that the platform closes, by writing it exactly; loopback, multicast, broadcast, the controller
and the VP's own addresses stay closed to everybody.
"""

import hashlib
import ipaddress
import json
from collections.abc import Callable, Iterable
from typing import Final

from onvp.policies.action import ACTIONS
from onvp.policies.admission import DEFAULT
from onvp.policies.errors import Problem
from onvp.policies.match import PrefixSet
from onvp.policies.model import (
    LAYERS,
    Budget,
    Destinations,
    Entry,
    Layer,
    Limit,
    Origin,
    PerTarget,
    Rate,
    Rates,
    ScriptLimits,
    Window,
)
from onvp.policies.policy import Allowed, Compiled, Policy
from onvp.policies.special import NEVER, REOPENABLE, UNASSIGNED, Network, Span, span

ENGINE_VERSION: Final = 1
"""The newest ``onvp-policy`` that this engine understands."""

Addressable = str | ipaddress.IPv4Address | ipaddress.IPv6Address
Networkable = str | Network

_NETWORKS: Final = (ipaddress.IPv4Network, ipaddress.IPv6Network)
_BUILT_IN: Final = "built in"


def _built_in(rule: str) -> Origin:
    return Origin(rule, "platform", _BUILT_IN)


DEFAULT_RATES: Final = Rates(
    vp=Rate(pps=Limit(50, _built_in("rates.vp.pps"))),
    max_delay_us=Limit(30_000_000, _built_in("rates.max_delay")),
)
"""What holds where no layer says otherwise: never "as much as you like"."""


def digest_of(content: object) -> str:
    """The sha256, in hex, of ``content`` (plain types) written in one canonical way."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def platform_layer(
    *,
    own_addresses: Iterable[Addressable] = (),
    own_networks: Iterable[Networkable] = (),
    controllers: Iterable[Addressable] = (),
) -> Layer:
    """The built-in layer, with the facts of the running machine.

    Args:
        own_addresses: this VP's addresses. They may be a ``src``, and are nobody's destination.
        own_networks: the networks that this VP is on. A host may reopen one by naming it exactly.
        controllers: the addresses of the platform's controllers.
    """
    addresses = sorted({str(ipaddress.ip_address(a)) for a in own_addresses})
    networks = sorted({str(ipaddress.ip_network(n, strict=False)) for n in own_networks})
    central = sorted({str(ipaddress.ip_address(a)) for a in controllers})
    deny = [_entry(s.prefix, f"destinations.deny.{s.group}", False, s.source) for s in NEVER]
    deny.append(Entry("unassigned", tuple(UNASSIGNED), _built_in("destinations.deny.unassigned"), False, "RFC 4291"))
    deny += [_entry(s.prefix, f"destinations.deny.{s.group}", True, s.source) for s in REOPENABLE]
    deny += [_entry(a, "destinations.deny.this-vp", False, "an address of this VP") for a in addresses]
    deny += [_entry(a, "destinations.deny.controller", False, "a controller's address") for a in central]
    for text in networks:
        network = ipaddress.ip_network(text)
        if network.version == 4 and network.prefixlen < 31:
            last = str(network.broadcast_address)
            deny.append(_entry(last, "destinations.deny.broadcast", False, f"the broadcast of {text}"))
        deny.append(_entry(text, "destinations.deny.this-site", True, "a network of this VP"))
    facts = [ENGINE_VERSION, addresses, networks, central, [(e.text, e.reopenable) for e in deny]]
    return Layer("platform", _BUILT_IN, digest_of(facts), destinations=Destinations(deny=tuple(deny)))


def optout_layer(prefixes: Iterable[Networkable], *, source: str = "opt-out list") -> Layer:
    """The layer of those who do not want to be probed.

    Args:
        prefixes: theirs; a list of 100,000 is usual.
        source: where the list comes from, for the sentence of a refusal.
    """
    spans = [span(p if isinstance(p, _NETWORKS) else ipaddress.ip_network(p)) for p in prefixes]
    origin = Origin("destinations.deny.list:optout", "optout", source)
    entry = Entry("list:optout", tuple(spans), origin, False, "asked not to be probed")
    digest = digest_of(sorted(spans))
    return Layer("optout", source, digest, destinations=Destinations(deny=(entry,)))


def _entry(text: str, rule: str, reopenable: bool, source: str) -> Entry:
    return Entry(text, (span(ipaddress.ip_network(text)),), _built_in(rule), reopenable, source)


def combine(layers: Iterable[Layer]) -> Policy:
    """The policy that all ``layers`` make together; their order does not matter.

    Without a platform layer the built-in one is added, without runtime facts. Without a host layer
    nothing is allowed.
    """
    held = sorted(layers, key=lambda layer: (LAYERS.index(layer.kind), layer.file, layer.digest))
    if not any(layer.kind == "platform" for layer in held):
        held.insert(0, platform_layer())
    own_networks = [
        e
        for layer in held
        if layer.kind == "platform"
        for e in layer.destinations.deny
        if e.origin.rule == "destinations.deny.this-site"
    ]
    windows = tuple(layer.windows for layer in held if layer.windows)
    return Policy(
        layers=tuple(held),
        digest=digest_of([[layer.kind, layer.digest] for layer in held]),
        primitives={name: _primitive(name, held, windows) for name in ACTIONS},
        denied=_denied(held, own_networks),
        allowed=_allowed(held, own_networks),
        own=frozenset(
            (s[0], s[1])
            for layer in held
            for e in layer.destinations.deny
            if e.origin.rule == "destinations.deny.this-vp"
            for s in e.spans
        ),
        own_networks=PrefixSet((s, e) for e in own_networks for s in e.spans),
        names=tuple(rule for layer in held for rule in layer.destinations.names),
        per_target=_per_target(held),
        rates=_rates(held),
        budgets=_budgets(held),
        scripts=_scripts(held),
        windows=windows,
        warnings=tuple(w for layer in held for w in layer.warnings) + _reopen_warnings(held, own_networks),
    )


def _primitive(name: str, layers: list[Layer], windows: tuple[tuple[Window, ...], ...]) -> Compiled:
    stated = [layer.primitives for layer in layers if layer.primitives is not None]
    rules = [primitives[name] for primitives in stated if name in primitives]
    refused, why = None, ""
    if not any(layer.kind == "host" and layer.primitives is not None for layer in layers):
        refused, why = DEFAULT, "no host policy is loaded that allows any measurement"
    for layer in layers:
        if refused is None and layer.primitives is not None and name not in layer.primitives:
            refused = Origin("default", layer.kind, layer.file.rpartition("/")[2], layer.owner)
    for rule in rules:
        if not rule.allow:  # a rule that says so tells more than one that is missing
            refused, why = rule.origin, rule.why
            break
    bounds = [b for rule in rules for b in rule.bounds]
    return Compiled(
        allowed_by=rules[0].origin if refused is None and rules else None,
        refused_by=refused,
        why=why,
        deny=tuple(b for b in bounds if b.over == "deny"),
        clamp=tuple(b for b in bounds if b.over == "clamp"),
        choices=tuple(c for rule in rules for c in rule.choices),
        ports=tuple(p for rule in rules for p in rule.ports),
        forbidden=tuple(f for rule in rules for f in rule.forbidden),
        windows=tuple(w for w in (tuple(w for w in layer if w.names(name)) for layer in windows) if w),
    )


def _spans(entry: Entry, own_networks: list[Entry]) -> tuple[Span, ...]:
    if entry.text == "this-site":
        return tuple(s for e in own_networks for s in e.spans)
    return entry.spans


def _denied(layers: list[Layer], own_networks: list[Entry]) -> PrefixSet[Entry]:
    reopened = {e.text for layer in layers if layer.kind == "host" for e in layer.destinations.reopen}
    entries = [
        entry
        # Where two layers deny the same prefix, the one with a file and a line explains more.
        for layer in sorted(layers, key=lambda layer: layer.kind == "platform")
        for entry in layer.destinations.deny
        if not (layer.kind == "platform" and entry.reopenable and entry.text in reopened)
    ]
    return PrefixSet((s, e) for e in entries for s in _spans(e, own_networks))


def _allowed(layers: list[Layer], own_networks: list[Entry]) -> tuple[Allowed, ...]:
    return tuple(
        Allowed(PrefixSet((s, e) for e in d.allow for s in _spans(e, own_networks)), d.allow_origin)
        for d in (layer.destinations for layer in layers)
        if d.allow is not None and d.allow_origin is not None
    )


def _least(limits: Iterable[Limit | None]) -> Limit | None:
    return min((limit for limit in limits if limit is not None), key=lambda x: x.value, default=None)


def _per_target(layers: list[Layer]) -> PerTarget:
    held = [layer.destinations.per_target for layer in layers]
    return PerTarget(_least(p.pps for p in held), _least(p.concurrent for p in held), _least(p.per_day for p in held))


def _rates(layers: list[Layer]) -> Rates:
    held = [layer.rates for layer in layers]

    def rate(of: Callable[[Rates], Rate], default: Rate) -> Rate:
        return Rate(
            _least(of(r).pps for r in held) or default.pps,
            _least(of(r).burst for r in held),
            _least(of(r).bytes_s for r in held),
        )

    return Rates(
        vp=rate(lambda r: r.vp, DEFAULT_RATES.vp),
        user=rate(lambda r: r.user, Rate()),
        script=rate(lambda r: r.script, Rate()),
        on_excess="deny" if any(r.on_excess == "deny" for r in held) else "delay",
        max_delay_us=_least(r.max_delay_us for r in held) or DEFAULT_RATES.max_delay_us,
    )


def _budgets(layers: list[Layer]) -> dict[str, Budget]:
    # Two zones cannot be combined by minimum, so budgets with different zones are kept side by side.
    least: dict[str, Budget] = {}
    for layer in layers:
        for budget in layer.budgets:
            name = budget.name
            if name in least and least[name].zone != budget.zone:
                name = f"{budget.name}@{budget.zone}"
            if name not in least or budget.value < least[name].value:
                least[name] = budget
    return least


def _scripts(layers: list[Layer]) -> ScriptLimits:
    default = ScriptLimits()
    limits: dict[str, Limit] = {}
    modules, level, origins = default.modules, default.level, {}
    stated_levels = []
    for layer in layers:
        for name, limit in layer.scripts.limits.items():
            if name not in limits or limit.value < limits[name].value:
                limits[name] = limit
        if layer.scripts.modules is not None:
            modules = layer.scripts.modules if modules is None else modules & layer.scripts.modules
            origins["modules"] = layer.scripts.origins["modules"]
        if layer.scripts.level is not None:
            stated_levels.append((layer.scripts.level, layer.scripts.origins["level"]))
    if stated_levels:
        # "full" asks for more than "standard", so it is the narrower of the two.
        level, origins["level"] = min(stated_levels, key=lambda stated: stated[0] != "full")
    values = {name: limit.value for name, limit in limits.items()}
    origins |= {name: limit.origin for name, limit in limits.items()}
    return ScriptLimits(
        cpu_s=values["cpu_s"] / 1e6 if "cpu_s" in values else default.cpu_s,
        wall_s=values["wall_s"] / 1e6 if "wall_s" in values else default.wall_s,
        memory_bytes=values.get("memory_bytes", default.memory_bytes),
        output_bytes=values.get("output_bytes", default.output_bytes),
        artifact_bytes=values.get("artifact_bytes", default.artifact_bytes),
        concurrent_user=values.get("concurrent_user", default.concurrent_user),
        concurrent_vp=values.get("concurrent_vp", default.concurrent_vp),
        calls=values.get("calls", default.calls),
        modules=modules,
        level=level,
        origins=origins,
    )


def _reopen_warnings(layers: list[Layer], own_networks: list[Entry]) -> tuple[Problem, ...]:
    known = {s.prefix for s in REOPENABLE} | {e.text for e in own_networks}
    if not own_networks:  # not on the VP itself: nothing can be said about its networks
        return ()
    return tuple(
        Problem(
            layer.file,
            int(entry.origin.where.rpartition(":")[2]),
            1,
            f"reopen {entry.text} has no effect here",
            "it is neither a special-purpose prefix nor exactly a network of this VP",
        )
        for layer in layers
        for entry in layer.destinations.reopen
        if entry.text not in known
    )
