"""Full, standard, refused: what each level needs, and which one a set of verified facts reaches.

full      seccomp, no_new_privs, rlimits, Landlock (files and TCP) and all six namespaces with an empty root:
          two independent kernel mechanisms stand before files and before the network
standard  seccomp, no_new_privs, rlimits: one mechanism, the same allowed calls
refused   anything less, or a worker that is uid 0: scripts do not run
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec


class Level(enum.IntEnum):
    """How strong the walls are; compares in the natural order."""

    REFUSED = 0
    STANDARD = 1
    FULL = 2

    @classmethod
    def named(cls, name: str) -> Level:
        """The level of a policy file's word."""
        try:
            return cls[name.upper()]
        except KeyError:
            raise ValueError(f"a level is full, standard or refused, not {name!r}") from None

    def __str__(self) -> str:
        return self.name.lower()


class Layer(msgspec.Struct, frozen=True):
    """One layer and whether it holds; `detail` is the fact seen, or the reason why not."""

    name: str
    works: bool
    detail: str


NAMESPACES: Final = ("user", "pid", "mount", "net", "ipc", "uts")

NEEDED: Final = {
    Level.STANDARD: ("seccomp", "no_new_privs", "rlimits", "descriptors", "identity"),
    Level.FULL: ("landlock files", "landlock tcp", *(f"{name} namespace" for name in NAMESPACES)),
}


class LevelReport(msgspec.Struct, frozen=True):
    """The level reached, the facts it rests on, and why it is not higher ("" at full)."""

    level: Level
    layers: tuple[Layer, ...]
    why_not_higher: str


def judge(layers: Iterable[Layer]) -> LevelReport:
    """The level that these facts reach. A layer that nobody reported does not hold."""
    facts = {layer.name: layer for layer in layers}
    level = Level.REFUSED
    for higher in (Level.STANDARD, Level.FULL):
        missing = [name for name in NEEDED[higher] if name not in facts or not facts[name].works]
        if missing:
            return LevelReport(level, tuple(facts.values()), _reasons(facts, missing))
        level = higher
    return LevelReport(level, tuple(facts.values()), "")


def _reasons(facts: Mapping[str, Layer], missing: Iterable[str]) -> str:
    """Each reason once, after the layers that it explains."""
    names: dict[str, list[str]] = {}
    for name in missing:
        detail = facts[name].detail if name in facts else "not verified"
        names.setdefault(detail, []).append(name)
    return "; ".join(f"{', '.join(these)}: {detail}" for detail, these in names.items())
