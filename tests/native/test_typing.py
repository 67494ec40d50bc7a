"""The stub beside the codec says what the codec has: every class, attribute and method, and no more."""

from __future__ import annotations

import ast
import enum
from pathlib import Path

from onvp.native import _warts

STUB = ast.parse((Path(__file__).parents[2] / "native" / "_warts.pyi").read_text("utf-8"))


def public(names: list[str]) -> set[str]:
    """Names without an underscore in front."""
    return {name for name in names if not name.startswith("_")}


def declared(node: ast.ClassDef) -> set[str]:
    """What a class in the stub declares, its bases included."""
    names = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    for base in node.bases:
        for other in STUB.body:
            if isinstance(other, ast.ClassDef) and isinstance(base, ast.Name) and other.name == base.id:
                names |= declared(other)
    return names


def test_classes_have_what_the_stub_says() -> None:
    """Attributes and methods of every result and helper class agree with the stub."""
    wrong = {}
    for node in STUB.body:
        if not isinstance(node, ast.ClassDef) or node.name.endswith("Spec") or node.name == "_Common":
            continue
        cls = getattr(_warts, node.name)
        if issubclass(cls, enum.Enum):
            members = {t.id for a in node.body if isinstance(a, ast.Assign) for t in a.targets}  # type: ignore[attr-defined]
            have = {member.name for member in cls}
        else:
            members, have = public(list(declared(node))), public(dir(cls))
        if members != have:
            wrong[node.name] = members ^ have

    assert wrong == {}


def test_stub_lists_every_public_class() -> None:
    """No class with upstream's name prefix is missing in the stub."""
    stub = {node.name for node in STUB.body if isinstance(node, ast.ClassDef)}

    assert {name for name in dir(_warts) if name.startswith("Scamper")} - stub == set()
