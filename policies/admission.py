"""Who, and when: the questions that are put before a run starts, and again before each measurement."""

import datetime
import zoneinfo
from typing import TYPE_CHECKING, Final

from onvp.policies.grant import Refusal
from onvp.policies.model import Origin, Window

if TYPE_CHECKING:
    from onvp.policies.policy import Policy

MAX_CLOCK_ERROR_S: Final = 60.0
"""With a clock that may be wrong by more, what depends on the time is refused."""

DEFAULT: Final = Origin("default", "platform", "built in")
"""The rule that refuses what no other rule speaks of."""

Moment = float | datetime.datetime | None
"""Seconds since the epoch or an aware datetime; ``None`` leaves the time rules out (a policy's own tests)."""


class Refused(Exception):
    """Ends a decision; it never leaves this package."""

    def __init__(self, origin: Origin, sentence: str, retry_after_s: float | None = None, code: str = "policy") -> None:
        super().__init__(sentence)
        self.origin, self.sentence, self.retry_after_s, self.code = origin, sentence, retry_after_s, code

    def refusal(self, digest: str, decision: str = "") -> Refusal:
        """The answer that it stands for."""
        o = self.origin
        return Refusal(self.code, self.sentence, o.rule, o.layer, o.where, self.retry_after_s, decision, digest)


def seconds(moment: Moment) -> float | None:
    """A moment as seconds since the epoch."""
    if isinstance(moment, datetime.datetime):
        if moment.tzinfo is None:
            raise ValueError("a moment without a time zone; give an aware datetime or seconds")
        return moment.timestamp()
    return moment


def subject(origin: Origin) -> str:
    """Who says it, as the first word of a sentence."""
    text = origin.says()
    return text[0].upper() + text[1:]


def because(why: str) -> str:
    """The reason that a rule gives, as the end of a clause."""
    return f": {why}" if why else ""


def admit(policy: "Policy", role: str, now: Moment, clock_error_s: float) -> Refusal | None:
    """May somebody in ``role`` start a run now? ``None`` says yes."""
    now_s = seconds(now)
    try:
        check_role(policy, None, role)
        if not policy.allowed_primitives():
            rules = next((r for r in policy.primitives.values() if r.refused_by), None)
            origin = rules.refused_by if rules and rules.refused_by else DEFAULT
            why = rules.why if rules and origin == DEFAULT else ""
            raise Refused(origin, f"{subject(origin)} allows no measurement at all{because(why)}")
        if now_s is not None:
            check_validity(policy, now_s, clock_error_s)
            layers = tuple(tuple(w for w in layer if w.names(None)) for layer in policy.windows)
            check_windows(tuple(x for x in layers if x), "any measurement", now_s, clock_error_s)
    except Refused as refused:
        return refused.refusal(policy.digest)
    return None


def check_role(policy: "Policy", primitive: str | None, role: str) -> None:
    """Refuse a role that a layer does not know, or that may not use ``primitive`` (``None``: any at all)."""
    for layer in policy.layers:
        if layer.roles is None:
            continue
        held = layer.roles.get(role)
        if held is None:
            origin = Origin("who.roles", layer.kind, layer.file.rpartition("/")[2], layer.owner)
            known = ", ".join(layer.roles) or "none"
            raise Refused(origin, f"{subject(origin)} knows no role {role!r}; it knows {known}")
        if primitive is not None and primitive not in held.primitives:
            raise Refused(held.origin, f"{subject(held.origin)} does not allow {primitive} to the role {role}")


def check_validity(policy: "Policy", now: float, clock_error_s: float) -> None:
    """Refuse outside the time for which each layer is valid."""
    for layer in policy.layers:
        origin = layer.valid_origin
        if origin is None:
            continue
        if clock_error_s > MAX_CLOCK_ERROR_S:
            raise Refused(
                origin,
                f"{subject(origin)} holds for a time, and this machine's clock may be {clock_error_s:.0f} s wrong",
            )
        if not layer.valid.contains(now):
            start = layer.valid.from_s
            if start is not None and now < start:
                raise Refused(origin, f"{subject(origin)} is not valid yet", start - now)
            raise Refused(origin, f"{subject(origin)} has expired; ask {layer.contact or 'its owner'} to renew it")


def check_windows(layers: tuple[tuple[Window, ...], ...], what: str, now: float, clock_error_s: float) -> None:
    """Refuse what the windows of a layer forbid now, and say when they will not.

    Args:
        layers: of each layer, the windows that speak of what is asked.
        what: is asked, in words.
        now: seconds since the epoch.
        clock_error_s: by how much that may be wrong.
    """
    closed = _closing(layers, now)
    if clock_error_s > MAX_CLOCK_ERROR_S and layers:
        origin = layers[0][0].origin
        raise Refused(
            origin,
            f"{subject(origin)} allows {what} at certain times, and this machine's clock "
            f"may be {clock_error_s:.0f} s wrong",
        )
    if closed is not None:
        edges = sorted({e for layer in layers for w in layer for e in w.period.edges(now)})
        opens = next((edge for edge in edges if _closing(layers, edge) is None), None)
        only = "allows {} only" if closed.effect == "allow" else "forbids {}"
        raise Refused(
            closed.origin,
            f"{subject(closed.origin)} {only.format(what)} {closed.text}{because(closed.why)}"
            + (f"; next possible at {_clock(opens, closed)}" if opens is not None else "; not possible within a week"),
            None if opens is None else opens - now,
        )


def _closing(layers: tuple[tuple[Window, ...], ...], now: float) -> Window | None:
    """The window rule that forbids now: a deny that holds, or an allow that nowhere in its layer does."""
    for layer in layers:
        for window in layer:
            if window.effect == "deny" and window.period.contains(now):
                return window
        allowing = [window for window in layer if window.effect == "allow"]
        if allowing and not any(window.period.contains(now) for window in allowing):
            return allowing[0]
    return None


def _clock(moment: float, window: Window) -> str:
    zone: datetime.tzinfo = datetime.UTC
    name = "UTC"
    if window.period.hours is not None:
        name = window.period.hours.zone
        zone = zoneinfo.ZoneInfo(name)
    return f"{datetime.datetime.fromtimestamp(moment, zone):%Y-%m-%d %H:%M} {name}"
