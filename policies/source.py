"""YAML text → a tree in which every node knows its line and column. Nothing is constructed, nothing is run.

Only what a policy needs of YAML is taken: mappings, lists and scalars. Anchors and aliases (a few lines
of which can stand for gigabytes), tags (which can name code), merge keys and several documents are
refused. A scalar stays the text that was written; what it means is decided where it is used, so that
`NO` can be a country.
"""

import re
from typing import Any, Final, TypeAlias

import msgspec
import yaml

from onvp.policies.errors import Problem

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 16

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is 10 times faster, where it is built


class Scalar(msgspec.Struct, frozen=True):
    """A text; ``plain`` when it stands without quotes."""

    line: int
    column: int
    text: str
    plain: bool


class Items(msgspec.Struct, frozen=True):
    """A list."""

    line: int
    column: int
    items: list["Node"]


class Mapping(msgspec.Struct, frozen=True):
    """Keys and values in the order of the file; a key may occur twice here."""

    line: int
    column: int
    items: list[tuple[Scalar, "Node"]]


class Broken(msgspec.Struct, frozen=True):
    """Something that has been reported already."""

    line: int
    column: int


Node: TypeAlias = Scalar | Items | Mapping | Broken


def read(file: str, data: bytes, *, loader: Any = _Loader) -> tuple[Node | None, list[Problem]]:
    """The tree of a file, and what is wrong with it as YAML.

    Args:
        file: its name, for the problems.
        data: its content.
        loader: the class of PyYAML whose parser is used.

    Returns:
        The root (``None`` where there is none that could be judged further) and the problems.
    """
    if len(data) > MAX_BYTES:
        return None, [Problem(file, 0, 0, f"the file has {len(data)} bytes", f"a policy has at most {MAX_BYTES}")]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        return None, [
            Problem(
                file,
                line,
                column,
                f"byte 0x{data[error.start]:02x} is not UTF-8",
                "save the file as UTF-8 text",
            )
        ]
    tabs = [
        Problem(file, number, len(match[1]) + 1, "a tab in the indentation", "YAML takes blanks only")
        for number, line in enumerate(text.split("\n"), 1)
        if (match := re.match(r"( *)\t\s*\S", line))
    ]
    if tabs:
        return None, tabs
    tree = _Tree(file)
    try:
        for event in yaml.parse(text, Loader=loader):
            if not tree.take(event):
                break
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(str(part) for part in (error.context, error.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        tree.problems.append(Problem(file, line, column, f"this is not YAML: {said}", _hint(said)))
        return None, tree.problems
    except yaml.YAMLError as error:  # an unprintable character
        first = str(error).partition("\n")[0]
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        tree.problems.append(Problem(file, line, 1, f"this is not YAML: {first}", "remove the character"))
        return None, tree.problems
    return tree.root, tree.problems


def _hint(said: str) -> str:
    if "mapping values are not allowed" in said:
        return "a value with ': ' in it needs quotes; else check the indentation"
    if "cannot start any token" in said:
        return "put a value that begins with this character into quotes"
    return "check indentation, quotes and brackets here and in the line above"


class _Tree:
    """Events of the parser → nodes, without recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self._documents = 0
        self._open: list[Mapping | Items] = []
        self._keys: list[Scalar | Broken | None] = []  # of each open mapping: the key that waits for its value

    def _say(self, event: Any, message: str, hint: str) -> None:
        mark = event.start_mark
        self.problems.append(Problem(self.file, mark.line + 1, mark.column + 1, message, hint))

    def take(self, event: Any) -> bool:
        """Take one event; False when there is no point in going on."""
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if event.tags:
                self._say(event, "a %TAG directive", "a policy has no tags")
            if self._documents > 1:
                self._say(event, "a second document begins here", "a policy is one document: one file each")
                return False
        elif isinstance(event, yaml.AliasEvent):
            self._say(event, f"an alias (*{event.anchor})", "write the value out; aliases are not taken")
            self._put(Broken(line, column))
        elif isinstance(event, yaml.NodeEvent):
            if event.anchor is not None:
                self._say(event, f"an anchor (&{event.anchor})", "remove it; anchors and aliases are not taken")
            tag = getattr(event, "tag", None)
            if tag is not None:
                self._say(event, f"a tag ({tag})", "remove it; a policy has plain values only")
            if isinstance(event, yaml.ScalarEvent):
                self._put(Scalar(line, column, event.value, not event.style))
            else:
                if len(self._open) >= MAX_DEPTH:
                    self._say(event, f"more than {MAX_DEPTH} levels of nesting", "nothing in a policy is so deep")
                    return False
                node: Items | Mapping = (
                    Mapping(line, column, []) if isinstance(event, yaml.MappingStartEvent) else Items(line, column, [])
                )
                self._put(node)
                self._open.append(node)
                self._keys.append(None)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()
            self._keys.pop()
        return True

    def _put(self, node: Node) -> None:
        if not self._open:
            if self._documents == 1:
                self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent, Items):
            parent.items.append(node)
            return
        key = self._keys[-1]
        if key is None:
            if not isinstance(node, Scalar):
                if not isinstance(node, Broken):
                    self.problems.append(
                        Problem(
                            self.file,
                            node.line,
                            node.column,
                            "a list or mapping as a key",
                            "a key is a plain word",
                        )
                    )
                self._keys[-1] = Broken(node.line, node.column)
            else:
                self._keys[-1] = node
            return
        self._keys[-1] = None
        if isinstance(key, Scalar):
            parent.items.append((key, node))


def canonical(node: Node) -> Any:
    """The tree in plain types, for a digest: without comments, order of keys and layout."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Items):
        return [canonical(item) for item in node.items]
    if isinstance(node, Mapping):
        return {key.text: canonical(value) for key, value in node.items}
    return None
