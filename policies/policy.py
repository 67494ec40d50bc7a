"""The one policy that all layers make together, compiled for quick answers."""

import datetime
from dataclasses import dataclass, field

import msgspec

from onvp.policies import admission
from onvp.policies.errors import Problem
from onvp.policies.grant import Refusal
from onvp.policies.match import PrefixSet
from onvp.policies.model import (
    Bound,
    Budget,
    Choice,
    Entry,
    Forbidden,
    Layer,
    NameRule,
    Origin,
    PerTarget,
    Ports,
    Rates,
    ScriptLimits,
    Window,
)


class Allowed(msgspec.Struct, frozen=True):
    """The destinations of one layer; an address must be among those of every layer that has any."""

    prefixes: PrefixSet[Entry]
    origin: Origin


class Compiled(msgspec.Struct, frozen=True):
    """All layers' rules for one primitive.

    Attributes:
        allowed_by: the rule that allows it; ``None`` when it is refused.
        refused_by: the rule that forbids it.
        why: that rule's reason.
        deny: bounds that refuse.
        clamp: bounds that narrow.
    """

    allowed_by: Origin | None
    refused_by: Origin | None
    why: str
    deny: tuple[Bound, ...]
    clamp: tuple[Bound, ...]
    choices: tuple[Choice, ...]
    ports: tuple[Ports, ...]
    forbidden: tuple[Forbidden, ...]
    windows: tuple[tuple[Window, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All layers as one. Made by `onvp.policies.combine.combine`.

    Attributes:
        layers: what it was made of, in the order of `LAYERS`.
        digest: sha256 over the layers' digests, in hex.
        primitives: the rules of each primitive that a layer names.
        denied: every address that a layer denies.
        allowed: one set for each layer that lists allowed destinations.
        own: the VP's own addresses, as integers with their family: what ``src`` may be.
        own_networks: where a ``rtr`` may be.
        names: names that no URL may have.
        per_target: what one address may get.
        rates: the token buckets.
        budgets: the least limit of each name.
        scripts: what a run may use.
        windows: of all layers, per layer.
        warnings: what is probably not meant, in the layers and in their combination.
    """

    layers: tuple[Layer, ...]
    digest: str
    primitives: dict[str, Compiled]
    denied: PrefixSet[Entry]
    allowed: tuple[Allowed, ...]
    own: frozenset[tuple[int, int]]
    own_networks: PrefixSet[Entry]
    names: tuple[NameRule, ...]
    per_target: PerTarget
    rates: Rates
    budgets: dict[str, Budget]
    scripts: ScriptLimits
    windows: tuple[tuple[Window, ...], ...]
    warnings: tuple[Problem, ...] = field(default=())

    @property
    def summary(self) -> str:
        """The host's own words, else those of the first layer that has any."""
        ordered = sorted(self.layers, key=lambda layer: layer.kind != "host")
        return next((layer.summary for layer in ordered if layer.summary), "")

    def allowed_primitives(self, role: str | None = None) -> frozenset[str]:
        """The primitives that may be asked for at all, in ``role`` if one is given."""
        names = frozenset(name for name, rules in self.primitives.items() if rules.allowed_by is not None)
        if role is not None:
            for layer in self.layers:
                if layer.roles is not None:
                    held = layer.roles.get(role)
                    names &= held.primitives if held else frozenset()
        return names

    def admits(
        self, user: str, role: str, now: float | datetime.datetime | None, *, clock_error_s: float = 0.0
    ) -> Refusal | None:
        """May ``user``, in ``role`` (empty for none), start a run now? ``None`` says yes."""
        return admission.admit(self, role, now, clock_error_s)
