"""Values out of the tree: each is what it should be, or its problem is noted and reading goes on."""

import datetime
import difflib
import re
import zoneinfo
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from onvp.policies.errors import Problem
from onvp.policies.model import Limit, Origin
from onvp.policies.source import Broken, Items, Mapping, Node, Scalar

V = TypeVar("V")

_KINDS = {Scalar: "a value", Items: "a list", Mapping: "a mapping", Broken: "nothing"}


class Reader:
    """Collects the problems of one file.

    Attributes:
        problems: what is wrong; nothing loads with any of them.
        warnings: what is probably not meant.
        layer: the layer that the file is, for the origin of rules.
        owner: its owner, likewise.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.layer = "host"
        self.owner = ""

    def say(self, node: Node, message: str, hint: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(self.file, node.line, node.column, message, hint))

    def warn(self, node: Node, message: str, hint: str = "") -> None:
        """Note something that is allowed and probably not meant."""
        self.warnings.append(Problem(self.file, node.line, node.column, message, hint))

    def origin(self, rule: str, node: Node) -> Origin:
        """The origin of a rule that stands at ``node``."""
        return Origin(rule, self.layer, f"{self.file.rpartition('/')[2]}:{node.line}", self.owner)

    # ---- structure ----

    def _wrong_kind(self, node: Node, path: str, expected: str) -> None:
        if isinstance(node, Scalar) and not node.text:
            self.say(node, f"{path} is empty", f"it takes {expected}")
        elif not isinstance(node, Broken):
            self.say(node, f"{path} is {_KINDS[type(node)]}", f"it takes {expected}")

    def mapping(
        self, node: Node | None, path: str, known: Collection[str], unsupported: Collection[str] = ()
    ) -> dict[str, tuple[Scalar, Node]]:
        """The values of a mapping by key; unknown, repeated and not yet supported keys are problems."""
        found: dict[str, tuple[Scalar, Node]] = {}
        for key, value in self.pairs(node, path or "the policy"):
            name = f"{path}.{key.text}" if path else key.text
            if key.text in unsupported:
                self.say(key, f"{name} is not supported yet", "remove it: this version would not enforce it")
            elif key.text not in known:
                self.unknown(key, key.text, [*known], f"key {key.text!r}" + (f" in {path}" if path else ""))
            else:
                found[key.text] = (key, value)
        return found

    def pairs(self, node: Node | None, path: str) -> Iterator[tuple[Scalar, Node]]:
        """Keys and values of a mapping, each key once; a repeated key is a problem."""
        if node is None:
            return
        if not isinstance(node, Mapping):
            self._wrong_kind(node, path, "a mapping (key: value)")
            return
        seen: dict[str, Scalar] = {}
        for key, value in node.items:
            if key.text in seen:
                self.say(
                    key,
                    f"{key.text!r} is here a second time",
                    f"the first is in line {seen[key.text].line}; keep one",
                )
                continue
            seen[key.text] = key
            yield key, value

    def items(self, node: Node | None, path: str) -> list[Node]:
        """The items of a list."""
        if node is None:
            return []
        if not isinstance(node, Items):
            self._wrong_kind(node, path, "a list, like [a, b]")
            return []
        return node.items

    def unknown(self, node: Node, word: str, known: Collection[str], what: str) -> None:
        """Note that ``word`` is not among ``known``, with the nearest of them."""
        near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
        if near:
            self.say(node, f"unknown {what}", f"did you mean {near[0]!r}?")
        else:
            self.say(node, f"unknown {what}", f"there are: {', '.join(known)}")

    # ---- values ----

    def text(self, node: Node, path: str) -> str | None:
        """A text that is not empty."""
        if isinstance(node, Scalar) and node.text.strip():
            return node.text.strip()
        self._wrong_kind(node, path, "a text")
        return None

    def flag(self, node: Node, path: str) -> bool | None:
        """``true`` or ``false``, and no other spelling."""
        if isinstance(node, Scalar) and node.plain and node.text in {"true", "false"}:
            return node.text == "true"
        if isinstance(node, Scalar) and node.text:
            self.say(node, f"{path} is {node.text!r}", "write true or false")
        else:
            self._wrong_kind(node, path, "true or false")
        return None

    def word(self, node: Node, path: str, known: Collection[str]) -> str | None:
        """One of the words ``known``."""
        text = self.text(node, path)
        if text is not None and text not in known:
            self.unknown(node, text, known, f"word {text!r} for {path}")
            return None
        return text

    def words(self, node: Node, path: str, known: Collection[str]) -> frozenset[str]:
        """A list of some of the words ``known``."""
        found: set[str] = set()
        for item in self.items(node, path):
            word = self.word(item, path, known)
            if word is not None:
                if word in found:
                    self.warn(item, f"{word} is in {path} twice")
                found.add(word)
        return frozenset(found)

    def parsed(self, node: Node, path: str, parse: Callable[[str], V]) -> V | None:
        """What ``parse`` makes of the value; its ValueError is the problem."""
        text = self.text(node, path)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.say(node, f"{path}: {error}")
            return None

    def limit(
        self, pair: tuple[Scalar, Node] | None, path: str, parse: Callable[[str], int], *, least: int = 1
    ) -> Limit | None:
        """A number with its origin; ``None`` when it is not there."""
        if pair is None:
            return None
        key, node = pair
        value = self.parsed(node, path, parse)
        if value is None:
            return None
        if value < least:
            self.say(node, f"{path} is {value}", f"the least is {least}")
            return None
        return Limit(value, self.origin(path, key))

    def zone(self, node: Node, path: str) -> str | None:
        """The name of a time zone."""
        text = self.text(node, path)
        if text is None:
            return None
        try:
            zoneinfo.ZoneInfo(text)
        except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
            near = difflib.get_close_matches(text, zoneinfo.available_timezones(), n=1, cutoff=0.6)
            self.say(
                node,
                f"unknown time zone {text!r}",
                f"did you mean {near[0]!r}?" if near else "write an IANA name, like Pacific/Auckland or UTC",
            )
            return None
        return text

    def moment(self, node: Node, path: str, zone: str) -> float | None:
        """Seconds since the epoch, of ``2026-12-24`` (its midnight) or ``2026-12-24T18:00``."""

        def parse(text: str) -> float:
            if re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?", text) is None:
                raise ValueError(f"{text!r} is not a date: write 2026-12-24 or 2026-12-24T18:00")
            moment = datetime.datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=zoneinfo.ZoneInfo(zone))
            return moment.timestamp()

        return self.parsed(node, path, parse)
