"""The two answers to "may this be done?". Holding a `Grant` proves that a policy was asked.

Only `onvp.policies.decide.decide` makes a `Grant`; a driver that takes nothing else cannot be made to
send what nobody allowed. A narrowed parameter is in ``clamps``: never silent.
"""

from dataclasses import dataclass, fields
from typing import Any, NoReturn, TypeVar

import msgspec

from onvp.policies.action import Action, Cost

T = TypeVar("T")


class MadeByDecide(type):
    """A class whose call raises: instances come from `decide` alone."""

    def __call__(cls, *args: object, **kwargs: object) -> NoReturn:
        """Refuse."""
        raise TypeError(f"{cls.__name__} is made by onvp.policies.decide.decide only")

    def _make(cls: type[T], *args: Any) -> T:
        """An instance; for `decide` only."""
        made = cls.__new__(cls)
        # Slot by slot: a frozen dataclass's own constructor takes three times as long.
        for put, value in zip(_PUT, args, strict=True):
            put(made, value)
        return made


class Clamp(msgspec.Struct, frozen=True):
    """A parameter that a rule narrowed. Times are seconds, as scripts give them; sizes bytes."""

    parameter: str
    asked: Any
    given: Any
    rule: str
    where: str


@dataclass(frozen=True, slots=True)
class Grant(metaclass=MadeByDecide):
    """A measurement that the policy allows.

    Attributes:
        decision: the id under which the audit log knows it.
        action: what may be done: as asked, or narrowed as ``clamps`` say.
        clamps: every parameter that was narrowed.
        cost: the worst case of ``action``.
        user: who asked.
        run: the run in which it was asked.
        rule: the rule that allowed it, as a dotted path.
        layer: the layer that holds that rule.
        where: ``file:line`` of that rule.
        digest: of the policy that decided.
    """

    decision: str
    action: Action
    clamps: tuple[Clamp, ...]
    cost: Cost
    user: str
    run: str
    rule: str
    layer: str
    where: str
    digest: str


_PUT = tuple(Grant.__dict__[slot.name].__set__ for slot in fields(Grant))


class Refusal(msgspec.Struct, frozen=True):
    """A measurement, or a run, that the policy does not allow now.

    Attributes:
        code: ``policy`` (a rule forbids it), ``budget`` (used up) or ``rate`` (it would wait too long).
        sentence: what is forbidden and by whom, for people.
        rule: the rule as a dotted path, such as ``primitives.sniff.allow``.
        layer: the layer that holds the rule.
        where: ``file:line`` of the rule, or ``built in``.
        retry_after_s: after how many seconds it may be allowed; ``None`` when time alone does not help.
        decision: the id under which the audit log knows it.
        digest: of the policy that decided.
    """

    code: str
    sentence: str
    rule: str
    layer: str
    where: str
    retry_after_s: float | None = None
    decision: str = ""
    digest: str = ""
