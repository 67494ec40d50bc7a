"""Which vantage points a run is for: ``cc=nz tag=residential``.

Conditions are separated by blanks and must all hold. ``key=a,b`` holds if one of the values does,
``key!=a`` if none does; a value may hold ``*`` and ``?``; letters compare without case. The words ``all``
and ``*`` stand for every vantage point.
"""

import re
from collections.abc import Callable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from onvp.controller.errors import BadSelectorError
from onvp.sandbox.wire import link

_VALUES: Final[dict[str, Callable[[link.Hello], list[object]]]] = {
    "name": lambda hello: [hello.vp.name],
    "cc": lambda hello: [hello.vp.cc],
    "st": lambda hello: [hello.vp.st],
    "place": lambda hello: [hello.vp.place],
    "iata": lambda hello: [hello.vp.iata],
    "asn": lambda hello: [hello.vp.asn4, hello.vp.asn6],
    "tag": lambda hello: list(hello.vp.tags),
    "primitive": lambda hello: list(hello.primitives),
    "prober": lambda hello: list(hello.probers),
    "level": lambda hello: [hello.level],
}

KEYS: Final = tuple(_VALUES)

_CONDITION = re.compile(r"([a-z]+)(!?=)(\S+)")


class _Condition(NamedTuple):
    key: str
    negated: bool
    patterns: tuple[str, ...]

    def holds(self, hello: link.Hello) -> bool:
        values = [str(value).lower() for value in _VALUES[self.key](hello) if value is not None]
        found = any(fnmatchcase(value, pattern) for value in values for pattern in self.patterns)
        return found is not self.negated


class Selector:
    """A parsed selector.

    Raises:
        BadSelectorError: the text is empty, or holds something that is not a condition.
    """

    def __init__(self, text: str) -> None:
        words = text.split()
        if not words:
            raise BadSelectorError("the selector is empty", "Write `all` for every vantage point.")
        self._conditions = [_parse(word) for word in words if word not in ("all", "*")]

    def holds(self, hello: link.Hello) -> bool:
        """Whether a vantage point fits."""
        return all(condition.holds(hello) for condition in self._conditions)


def _parse(word: str) -> _Condition:
    match = _CONDITION.fullmatch(word)
    if match is None:
        raise BadSelectorError(
            f"{word!r} is not a condition", "Conditions look like cc=nz, tag=residential,campus or name!=vp7."
        )
    key, sign, values = match.groups()
    if key not in _VALUES:
        near = get_close_matches(key, KEYS, 1)
        raise BadSelectorError(
            f"the selector has no key {key!r}",
            (f"Did you mean {near[0]!r}? " if near else "") + f"The keys are {', '.join(KEYS)}.",
        )
    # fnmatch's [sets] would surprise: only * and ? are special.
    patterns = tuple(value.lower().replace("[", "[[]") for value in values.split(",") if value)
    return _Condition(key, sign == "!=", patterns)
