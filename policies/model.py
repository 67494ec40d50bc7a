"""What a policy is: layers as their authors wrote them.

Every rule carries its `Origin`, so that whatever is refused or narrowed can say by whom and in which line.
Sizes are bytes, times microseconds unless a name says otherwise, moments seconds since the epoch.
"""

from typing import Final, Literal

import msgspec

from onvp.policies.errors import Problem
from onvp.policies.match import Period, PortSet
from onvp.policies.special import Span

Kind = Literal["platform", "optout", "host", "operator", "grant", "script"]
LAYERS: Final[tuple[Kind, ...]] = ("platform", "optout", "host", "operator", "grant", "script")
"""In order of precedence for reports; the decision itself does not depend on an order."""

Level = Literal["full", "standard"]
Scope = Literal["vp", "user", "script"]
Reset = Literal["hour", "day", "month", "run"]


class Origin(msgspec.Struct, frozen=True):
    """Where a rule stands.

    Attributes:
        rule: its dotted path, such as ``primitives.ping.attempts``.
        layer: the layer that holds it.
        where: ``file:line``, or ``built in``.
        owner: who wrote the layer; may be empty.
    """

    rule: str
    layer: str
    where: str
    owner: str = ""

    def says(self) -> str:
        """The subject of a sentence about the rule."""
        if self.layer == "platform":
            return "the platform"
        return f"the {self.layer} policy" + (f" of {self.owner}" if self.owner else "")


class Bound(msgspec.Struct, frozen=True):
    """A parameter's least and largest value, and what becomes of a call that is beyond them."""

    parameter: str
    low: int | None
    high: int | None
    over: Literal["deny", "clamp"]
    why: str
    origin: Origin


class Choice(msgspec.Struct, frozen=True):
    """The values that a call may choose from. ``word`` is the policy's, such as ``methods``."""

    word: str
    values: frozenset[str]
    origin: Origin


class Ports(msgspec.Struct, frozen=True):
    """The destination ports that a call may use."""

    ports: PortSet
    origin: Origin


class Forbidden(msgspec.Struct, frozen=True):
    """A parameter that a call must leave out."""

    parameter: str
    origin: Origin


class PrimitiveRules(msgspec.Struct, frozen=True):
    """What one layer says about one primitive."""

    allow: bool
    why: str
    origin: Origin
    bounds: tuple[Bound, ...] = ()
    choices: tuple[Choice, ...] = ()
    ports: tuple[Ports, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()


class Entry(msgspec.Struct, frozen=True):
    """An item of a destination list: a prefix or a group of them.

    Attributes:
        text: as written; ``this-site`` gets its addresses when the layers are combined.
        spans: its addresses.
        origin: where it stands.
        reopenable: a host may take it out of the platform's list by naming ``text`` exactly.
        source: why it is in the platform's list.
    """

    text: str
    spans: tuple[Span, ...]
    origin: Origin
    reopenable: bool = False
    source: str = ""


class NameRule(msgspec.Struct, frozen=True):
    """A name that no URL may have as its host; ``*.`` stands for it and everything below it."""

    pattern: str
    origin: Origin


class Limit(msgspec.Struct, frozen=True):
    """A number and where it stands. What it counts is its place's business."""

    value: int
    origin: Origin


class PerTarget(msgspec.Struct, frozen=True):
    """What one address may get, from all users together."""

    pps: Limit | None = None
    concurrent: Limit | None = None
    per_day: Limit | None = None  # packets


class Destinations(msgspec.Struct, frozen=True):
    """Where packets may go."""

    deny: tuple[Entry, ...] = ()
    allow: tuple[Entry, ...] | None = None
    allow_origin: Origin | None = None
    reopen: tuple[Entry, ...] = ()
    names: tuple[NameRule, ...] = ()
    per_target: PerTarget = PerTarget()


class Rate(msgspec.Struct, frozen=True):
    """A token bucket: packets a second, how many at once, and bytes a second."""

    pps: Limit | None = None
    burst: Limit | None = None
    bytes_s: Limit | None = None


class Rates(msgspec.Struct, frozen=True):
    """Token buckets, one below the other, and what becomes of a call that finds one empty."""

    vp: Rate = Rate()
    user: Rate = Rate()
    script: Rate = Rate()
    on_excess: Literal["delay", "deny"] = "delay"
    max_delay_us: Limit | None = None

    @property
    def max_delay_s(self) -> float:
        """The longest that a call may wait for its turn; 0 when it may not wait at all."""
        if self.on_excess == "deny" or self.max_delay_us is None:
            return 0.0
        return self.max_delay_us.value / 1e6


class Budget(msgspec.Struct, frozen=True):
    """How much may be used up in a period.

    Attributes:
        name: ``user.day.packets``, say: scope, period, quantity.
        scope: whose use is added up.
        period: what it is added up over; ``run`` for one run of a script.
        quantity: ``packets``, ``bytes`` or ``targets`` (different addresses).
        value: the limit.
        zone: the place on whose clock a day or month begins.
        origin: where it stands.
    """

    name: str
    scope: Scope
    period: Reset
    quantity: Literal["packets", "bytes", "targets"]
    value: int
    zone: str
    origin: Origin


class ScriptRules(msgspec.Struct, frozen=True):
    """What one layer says about scripts: `ScriptLimits` fields by name."""

    limits: dict[str, Limit] = {}
    modules: frozenset[str] | None = None
    level: Level | None = None
    origins: dict[str, Origin] = {}


class ScriptLimits(msgspec.Struct, frozen=True):
    """What a run may use. The values here hold where no layer says otherwise.

    Attributes:
        cpu_s: processor time of the worker, seconds.
        memory_bytes: of the worker.
        wall_s: from start to end, seconds.
        output_bytes: text on stdout and stderr together, and emitted results.
        artifact_bytes: all files of the run together.
        concurrent_user: runs of one user at a time.
        concurrent_vp: runs on this VP at a time.
        calls: measurements that one run may ask for.
        modules: that may be imported; ``None`` for all that the language has.
        level: the least confinement level at which scripts run.
        origins: where each of these stands, by its name; absent for a built-in value.
    """

    cpu_s: float = 60.0
    memory_bytes: int = 64 << 20
    wall_s: float = 3600.0
    output_bytes: int = 20 << 20
    artifact_bytes: int = 64 << 20
    concurrent_user: int = 2
    concurrent_vp: int = 8
    calls: int = 100_000
    modules: frozenset[str] | None = None
    level: Level = "full"
    origins: dict[str, Origin] = {}


class Window(msgspec.Struct, frozen=True):
    """A time rule: ``allow`` these primitives only within, or ``deny`` them within.

    Attributes:
        effect: which of the two.
        primitives: ``None`` for all.
        period: when.
        why: for people; may be empty.
        text: the period in words.
        origin: where it stands.
    """

    effect: Literal["allow", "deny"]
    primitives: frozenset[str] | None
    period: Period
    why: str
    text: str
    origin: Origin

    def names(self, primitive: str | None) -> bool:
        """Does the rule speak of ``primitive``? ``None`` asks whether it speaks of everything."""
        return self.primitives is None or primitive in self.primitives


class Role(msgspec.Struct, frozen=True):
    """The primitives that people in a role may use."""

    name: str
    primitives: frozenset[str]
    origin: Origin


class PolicyTest(msgspec.Struct, frozen=True):
    """A call with the answer that the policy's author expects. Without ``at``, time rules are left out."""

    name: str
    user: str
    role: str
    call: str
    expect: Literal["allow", "deny", "clamp"]
    rule: str | None
    value: dict[str, str]
    at_s: float | None
    line: int
    column: int


class Layer(msgspec.Struct, frozen=True):
    """One author's policy.

    Attributes:
        kind: which layer it is.
        file: the path as it was given, or ``built in``.
        id: the author's name for it.
        owner: the author.
        contact: how to reach the author.
        summary: the author's words.
        valid: when it holds; outside, everything is denied.
        valid_origin: where that stands.
        primitives: ``None`` when the layer does not speak of primitives; else what is not named is denied.
        roles: ``None`` when the layer does not speak of roles; else who is in no role is denied.
        digest: sha256 of the canonical content, in hex.
        warnings: what is probably not meant.
    """

    kind: Kind
    file: str
    digest: str
    id: str = ""
    owner: str = ""
    contact: str = ""
    summary: str = ""
    valid: Period = Period()
    valid_origin: Origin | None = None
    primitives: dict[str, PrimitiveRules] | None = None
    destinations: Destinations = Destinations()
    rates: Rates = Rates()
    budgets: tuple[Budget, ...] = ()
    scripts: ScriptRules = ScriptRules()
    windows: tuple[Window, ...] = ()
    roles: dict[str, Role] | None = None
    tests: tuple[PolicyTest, ...] = ()
    warnings: tuple[Problem, ...] = ()
