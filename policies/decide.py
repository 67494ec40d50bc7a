"""May this be done? The one function that answers, and the only place where a `Grant` is made.

Theory of operation
    Action ─▶ is the primitive allowed, now, in this role? ─▶ are its parameters? ─▶ its destinations?
           ─▶ is it within the budgets? ─▶ Grant, perhaps with clamps │ Refusal

Every question must be answered with yes; whatever no rule speaks of is refused. The order in which they
are put decides only which of several reasons is reported, never the answer. Nothing here reads a clock or
keeps state.
"""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from onvp.policies.action import Action
from onvp.policies.admission import (
    DEFAULT,
    Moment,
    Refused,
    because,
    check_role,
    check_validity,
    check_windows,
    seconds,
    subject,
)
from onvp.policies.grant import Clamp, Grant, Refusal
from onvp.policies.match import name_matches
from onvp.policies.model import Bound, Entry, Origin
from onvp.policies.parameters import FOLLOWS, PARAMETERS, Kind, chosen, effective, field_of, given
from onvp.policies.policy import Compiled, Policy
from onvp.policies.special import embedded
from onvp.policies.units import show_size, show_time

_NAMED = ("http", "tbit")


class Usage(msgspec.Struct, frozen=True):
    """Who asks, and what is left of the budgets.

    Attributes:
        user: who asks.
        role: the user's role; empty for none.
        run: the run in which it is asked.
        left: what is left, by the names of `Policy.budgets`; a budget that is absent is not judged here
            (the ledger judges it again when it charges).
        clock_error_s: by how much the machine's clock may be wrong.
    """

    user: str = ""
    role: str = ""
    run: str = ""
    left: Mapping[str, float] = {}
    clock_error_s: float = 0.0


NOTHING_USED = Usage()


def decide(
    policy: Policy,
    action: Action,
    usage: Usage = NOTHING_USED,
    now: Moment = None,
    *,
    exact: bool = False,
    decision: str = "",
) -> Grant | Refusal:
    """The policy's answer.

    Args:
        policy: all layers together.
        action: what is asked for.
        usage: who asks, and what is left.
        now: seconds since the epoch, or an aware datetime.
        exact: refuse what would only be allowed with narrowed parameters.
        decision: an id for the audit log; a random one if empty.

    Returns:
        A `Grant` for the action as it may be done, or a `Refusal` that says why not.
    """
    decision = decision or os.urandom(8).hex()
    now_s = seconds(now)
    try:
        rules = policy.primitives.get(action.primitive)
        if rules is None:
            raise Refused(DEFAULT, f"there is no rule for {action.primitive}")
        allowed = _allowed(policy, rules, action.primitive, usage, now_s)
        action, clamps = _narrowed(rules, action)
        if clamps and exact:
            c = clamps[0]
            raise Refused(Origin(c.rule, "", c.where), f"{c.parameter}={c.asked} would be narrowed to {c.given}")
        _judge_destinations(policy, action)
        cost = action.cost()
        for name, left in usage.left.items():
            budget = policy.budgets.get(name)
            if budget is not None and budget.quantity != "targets" and getattr(cost, budget.quantity) > left:
                raise Refused(
                    budget.origin,
                    f"{action.primitive} may send {getattr(cost, budget.quantity)} {budget.quantity}; "
                    f"{left:g} are left of {budget.value} for this {budget.scope} and {budget.period}",
                    code="budget",
                )
    except Refused as refused:
        return refused.refusal(policy.digest, decision)
    return Grant._make(
        decision,
        action,
        clamps,
        cost,
        usage.user,
        usage.run,
        allowed.rule,
        allowed.layer,
        allowed.where,
        policy.digest,
    )


# ---- who, when, what ----


def _allowed(policy: Policy, rules: Compiled, primitive: str, usage: Usage, now: float | None) -> Origin:
    if rules.allowed_by is None:
        origin = rules.refused_by or DEFAULT
        raise Refused(origin, f"{subject(origin)} does not allow {primitive}{because(rules.why)}")
    check_role(policy, primitive, usage.role)
    if now is not None:
        check_validity(policy, now, usage.clock_error_s)
        if rules.windows:
            check_windows(rules.windows, primitive, now, usage.clock_error_s)
    return rules.allowed_by


# ---- parameters ----


def _narrowed(rules: Compiled, action: Action) -> tuple[Action, tuple[Clamp, ...]]:
    primitive = action.primitive
    for forbidden in rules.forbidden:
        if given(action, field_of(primitive, forbidden.parameter)):
            raise Refused(
                forbidden.origin,
                f"{subject(forbidden.origin)} does not allow {forbidden.parameter} in {primitive}",
            )
    for choice in rules.choices:
        for word in chosen(action, choice.word):
            if word not in choice.values:
                raise Refused(
                    choice.origin,
                    f"{subject(choice.origin)} allows as {choice.word} of {primitive} "
                    f"{', '.join(sorted(choice.values)) or 'none'}; asked for {word}",
                )
    for bound in rules.deny:
        value = effective(action, bound.parameter)
        if value is not None and _beyond(bound, value) is not None:
            raise Refused(bound.origin, _beyond_sentence(bound, primitive, value))
    action, clamps = _clamped(rules, action) if rules.clamp else (action, ())
    for ports in rules.ports:
        for low, high in action.port_spans():
            if not ports.ports.covers(low, high):
                asked = f"{low}" if low == high else f"{low}-{high}"
                raise Refused(
                    ports.origin,
                    f"{subject(ports.origin)} allows {primitive} to ports {ports.ports}; asked for {asked}",
                )
    return action, clamps


def _beyond(bound: Bound, value: int) -> int | None:
    """The value that the bound leaves of ``value``; ``None`` when it is within."""
    if bound.high is not None and value > bound.high:
        return bound.high
    if bound.low is not None and value < bound.low:
        return bound.low
    return None


def _beyond_sentence(bound: Bound, primitive: str, value: int) -> str:
    show = _SHOW.get(PARAMETERS[primitive][bound.parameter].kind, str)
    low = f"at least {show(bound.low)}" if bound.low is not None else ""
    high = f"at most {show(bound.high)}" if bound.high is not None else ""
    span = " and ".join(x for x in (low, high) if x)
    who = subject(bound.origin)
    return f"{who} allows {primitive} {bound.parameter} {span}; asked for {show(value)}{because(bound.why)}"


_SHOW: dict[Kind, Any] = {Kind.TIME: show_time, Kind.SIZE: show_size, Kind.BYTES: show_size}


def _clamped(rules: Compiled, action: Action) -> tuple[Action, tuple[Clamp, ...]]:
    primitive = action.primitive
    changes: dict[str, tuple[int, int, Bound]] = {}
    for bound in rules.clamp:
        field = bound.parameter
        asked = effective(action, field)
        if asked is None:
            continue
        left = _beyond(bound, changes[field][1] if field in changes else asked)
        if left is not None:
            changes[field] = (asked, left, bound)
    if not changes:
        return action, ()
    for bound in rules.clamp:  # two layers may leave no value between them
        change = changes.get(bound.parameter)
        if change is not None and _beyond(bound, change[1]) is not None:
            raise Refused(bound.origin, f"the layers leave no value for {bound.parameter} of {primitive} between them")
    for field, (_, value, bound) in list(changes.items()):
        follower = FOLLOWS.get((primitive, field))
        if follower is not None and follower not in changes and getattr(action, follower) > value:
            changes[follower] = (getattr(action, follower), value, bound)
    try:
        narrowed = msgspec.structs.replace(action, **{field: value for field, (_, value, _) in changes.items()})
    except ValueError as error:
        bound = next(iter(changes.values()))[2]
        raise Refused(
            bound.origin,
            f"{subject(bound.origin)} would narrow {bound.parameter} of {primitive}, and then {error}",
        ) from None
    clamps = tuple(
        Clamp(
            field,
            _scripts_unit(primitive, field, asked),
            _scripts_unit(primitive, field, value),
            b.origin.rule,
            b.origin.where,
        )
        for field, (asked, value, b) in changes.items()
    )
    return narrowed, clamps


def _scripts_unit(primitive: str, field: str, value: int) -> float | int:
    parameter = PARAMETERS[primitive].get(field)
    return value / 1e6 if parameter is not None and parameter.kind is Kind.TIME else value


# ---- destinations ----


def _judge_destinations(policy: Policy, action: Action) -> None:
    denied, allowed = policy.denied, policy.allowed
    for target in action.targets():
        family, address = target.version, int(target)
        entry = denied.find(family, address)
        if entry is not None:
            raise Refused(entry.origin, _denied_sentence(entry, str(target)))
        if family == 6:
            for inner in embedded(address):
                entry = denied.find(4, inner)
                if entry is not None:
                    raise Refused(entry.origin, _denied_sentence(entry, f"{target} (it holds an IPv4 address)"))
        if not allowed:
            raise Refused(
                Origin("destinations.allow", "host", _host_file(policy)),
                f"no policy allows any destination, so {target} is none",
            )
        for layer in allowed:
            if layer.prefixes.find(family, address) is None:
                raise Refused(
                    layer.origin,
                    f"{subject(layer.origin)} does not list {target} among the destinations it allows",
                )
    if policy.names and action.primitive in _NAMED:
        _judge_name(policy, action)
    _judge_source(policy, action)


def _host_file(policy: Policy) -> str:
    return next((x.file.rpartition("/")[2] for x in policy.layers if x.kind == "host"), "built in")


def _denied_sentence(entry: Entry, target: str) -> str:
    detail = f" ({entry.source})" if entry.source else ""
    by = "closes" if entry.origin.layer == "platform" else "denies"
    reopen = (
        f"; a host can reopen it with destinations.reopen: [{entry.text}]"
        if entry.origin.layer == "platform" and entry.reopenable
        else ""
    )
    group = entry.origin.rule.rpartition(".deny.")[2]
    return f"{subject(entry.origin)} {by} {_words(entry.text, group)}{detail}: {target} is in it{reopen}"


def _words(text: str, group: str) -> str:
    return text if text == group else f"{text}, {group}"


def _judge_name(policy: Policy, action: Action) -> None:
    any_action: Any = action
    authority = any_action.url.partition("://")[2].partition("/")[0]
    for mark in "?#":
        authority = authority.partition(mark)[0]
    host = (
        authority[1:].partition("]")[0] if authority.startswith("[") else authority.rpartition("@")[2].partition(":")[0]
    )
    for rule in policy.names:
        if name_matches(rule.pattern, host):
            raise Refused(rule.origin, f"{subject(rule.origin)} denies the name {rule.pattern}: {host} is one")


def _judge_source(policy: Policy, action: Action) -> None:
    """Only the VP's own addresses as a source, only its own networks as a way out."""
    source = getattr(action, "src", None)
    if source is not None and (source.version, int(source)) not in policy.own:
        raise Refused(
            Origin("platform.source", "platform", "built in"),
            f"the platform forbids spoofed sources: {source} is no address of this VP",
        )
    router = getattr(action, "rtr", None)
    if router is not None and policy.own_networks.find(router.version, int(router)) is None:
        raise Refused(
            Origin("platform.router", "platform", "built in"),
            f"the platform lets packets leave by its own networks only: the router {router} is in none",
        )
