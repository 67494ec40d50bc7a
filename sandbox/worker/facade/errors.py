"""What a script can catch: upstream's ScamperInstError, and what onvp adds below it."""

from typing import Any

from onvp.sandbox.wire import calls
from onvp.sandbox.wire.errors import Code


class ScamperInstError(Exception):
    """An instance could not do what was asked.

    Attributes:
        inst: the ScamperInst, or None.
    """

    def __init__(self, message: str = "", inst: Any = None) -> None:
        super().__init__(message)
        self.inst = inst


class Refused(ScamperInstError):
    """A rule of the site host's or the operator's policy refused a call.

    Attributes:
        sentence: what is forbidden, in plain words.
        rule: the rule's path, such as ``primitives.sniff.allow``.
        where: file and line of the rule.
        code: ``policy``, ``budget`` or ``rate``.
        retry_after: seconds until it may work, or None.
    """

    def __init__(
        self,
        sentence: str = "",
        inst: Any = None,
        *,
        rule: str = "",
        where: str = "",
        code: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{sentence} (rule {rule}, {where})" if rule else sentence, inst)
        self.sentence = sentence
        self.rule = rule
        self.where = where
        self.code = code
        self.retry_after = retry_after


def refused(message: calls.Refused, inst: Any) -> Refused:
    """The exception for a refusal."""
    return Refused(
        message.sentence,
        inst,
        rule=message.rule,
        where=message.where,
        code=message.code,
        retry_after=message.retry_after_s,
    )


def lost(message: calls.Gone, inst: Any) -> ScamperInstError:
    """The exception for what was under way when an instance ended."""
    why = f": {message.reason}" if message.reason else ""
    return ScamperInstError(f"ScamperInst {inst} has signalled EOF{why}", inst)


def invalid(message: calls.Invalid, inst: Any) -> Exception:
    """The exception for parameters that cannot be sent."""
    if message.code == Code.BAD_TYPE:
        return TypeError(message.message)
    if message.code == Code.BAD_VALUE:
        return ValueError(message.message)
    return ScamperInstError(message.message, inst)
