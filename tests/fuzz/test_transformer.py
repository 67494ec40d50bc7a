"""Generated programs: whatever compiles keeps every guard.

The generator writes random programs with hostile names mixed in. A second, independent reading of the transformed
tree then looks for any access that no guard, no constant and no rule stands behind.
"""

import ast
import random
import re
import string

import pytest

from onvp.sandbox.lang import names
from onvp.sandbox.lang.check import ScriptRefused, compile_script, transformed
from onvp.sandbox.lang.guards import ENTRY, INSPECTED
from onvp.sandbox.lang.transformer import KEPT_ANNOTATIONS

PLAIN = sorted(names.words("a b self x data format obj mro register print _ __ _p __q items super"))
HOSTILE = sorted(
    names.words(
        "_getattr_ _write_ _self_ _me1_ _x_ __class__ __builtins__ __dict__ gi_frame __init__ __globals__ tb_frame "
        "__import__ _missing_ __x_ eval type __name__ f_back"
    )
)
ME = re.compile(r"_me\d+_\Z")
OURS = re.compile(r"_(me|tmp)\d+_\Z")
WRITERS = {"_write_", "_writepriv_", "_writetext_"}


class Writer:
    """Writes one random program."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.hostility = self.random.choice([0.0, 0.0, 0.0, 0.01, 0.05])

    def name(self) -> str:
        pool = HOSTILE if self.random.random() < self.hostility else PLAIN
        return self.random.choice(pool)

    def expression(self, depth: int = 3) -> str:
        e, n = self.expression, self.name
        if depth <= 0:
            return self.random.choice([n(), n(), "(1)", "'{0.x} {y}'", "'t'"])
        forms = [
            lambda: f"{e(depth - 1)}.{n()}",
            lambda: f"{e(depth - 1)}.{n()}",
            lambda: f"{e(depth - 1)}[{e(depth - 1)}]",
            lambda: f"{e(depth - 1)}[{e(0)}:{e(0)}]",
            lambda: f"{e(depth - 1)}({e(depth - 1)}, *{e(0)}, {n()}={e(0)}, **{e(0)})",
            lambda: f"{e(depth - 1)}.{n()}({e(depth - 1)})",
            lambda: f"({e(depth - 1)} + {e(depth - 1)})",
            lambda: f"(lambda {n()}, *{n()}: {e(depth - 1)})",
            lambda: f"[{e(depth - 1)} for {self.target(1)} in {e(depth - 1)} if {e(0)}]",
            lambda: f"{{{e(0)}: {e(depth - 1)} for {n()} in {e(0)}}}",
            lambda: f"({n()} := {e(depth - 1)})",
            lambda: f"f'{{{n()}!r:>{{{n()}}}}}'",
            lambda: f"super().{n()}({e(0)})",
            lambda: f"({e(0)} if {e(0)} else {e(depth - 1)})",
            lambda: f"'{{0.{n()}}}'.format({e(0)})",
            lambda: "(yield)",
        ]
        return self.random.choice(forms)()

    def target(self, depth: int = 2) -> str:
        n = self.name
        forms = [
            n,
            n,
            lambda: f"{n()}.{n()}",
            lambda: f"{self.expression(1)}.{n()}",
            lambda: f"{n()}[{self.expression(1)}]",
        ]
        if depth > 0:
            forms += [lambda: f"({self.target(depth - 1)}, *{self.target(0)})", lambda: f"[{self.target(depth - 1)}]"]
        return self.random.choice(forms)()

    def pattern(self) -> str:
        n = self.name
        return self.random.choice(
            [
                n(),
                f"{n()}.{n()}",
                f"[{n()}, *{n()}]",
                f"{{'k': {n()}, **{n()}}}",
                f"{n()}({n()}={n()})",
                f"{n()}() as {n()}",
                "_",
            ]
        )

    def block(self, depth: int, indent: str) -> str:
        return "".join(self.statement(depth, indent) for _ in range(self.random.randint(1, 3)))

    def statement(self, depth: int, indent: str) -> str:
        e, n, t, deeper = self.expression, self.name, self.target, indent + "    "
        simple = [
            lambda: f"{t()} = {e()}",
            lambda: f"{t()} = {t()} = {e()}",
            lambda: f"{n()}.{n()} += {e()}",
            lambda: f"{n()}[{e(1)}] -= {e(1)}",
            lambda: f"{n()} *= {e(1)}",
            lambda: f"{n()}: {e(1)} = {e()}",
            lambda: f"{n()}.{n()}: int",
            lambda: f"del {n()}.{n()}, {n()}[0]",
            e,
            lambda: f"import json as {n()}",
            lambda: f"from json import {n()} as {n()}",
            lambda: f"global {n()}",
            lambda: f"assert {e()}, {e(0)}",
            lambda: "pass",
        ]
        if depth <= 0 or self.random.random() < 0.5:
            return f"{indent}{self.random.choice(simple)()}\n"
        body = self.block(depth - 1, deeper)
        compound = [
            lambda: f"{indent}if {e()}:\n{body}",
            lambda: f"{indent}for {t()} in {e()}:\n{body}",
            lambda: f"{indent}with {e()} as {t()}:\n{body}",
            lambda: f"{indent}try:\n{body}{indent}except {e(0)} as {n()}:\n{body}",
            lambda: (
                f"{indent}@{e(1)}\n{indent}def {n()}({n()}, {n()}_2: {e(0)} = {e(0)}, *, {n()}_3=1) -> {e(0)}:\n{body}"
            ),
            lambda: f"{indent}def {n()}(self, /, {n()}_4=1):\n{body}",
            lambda: f"{indent}class {n()}({n()}):\n{body}",
            lambda: f"{indent}class {n()}:\n{deeper}def {n()}(self):\n{self.block(depth - 1, deeper + '    ')}",
            lambda: self.method(indent),
            lambda: self.method(indent),
            lambda: f"{indent}match {e()}:\n{deeper}case {self.pattern()}:\n{self.block(0, deeper + '    ')}",
        ]
        return self.random.choice(compound)()

    def method(self, indent: str) -> str:
        """A class whose method uses its first parameter; sometimes something inside rebinds it."""
        n, e, inner = self.name, self.expression, f"{indent}        "
        uses = [
            f"self.{n()} = {e(1)}",
            f"self._p += self.__q({e(1)})",
            f"del self.{n()}",
            f"{n()} = [self._{n()} for {n()} in self.{n()}]",
            f"{n()} = lambda {n()}: self._p",
            f"for self.{n()}, [{n()}] in {e(1)}: pass",
            f"def {n()}({n()}): self.{n()} = {n()}",
            f"with {e(1)} as self._p: pass",
            f"if (self.{n()}): return self._p.{n()}",
            f"class {n()}: self.{n()} = 1",
            f"{n()} = {e(2)}",
        ]
        body = "".join(f"{inner}{line}\n" for line in self.random.sample(uses, 4))
        return f"{indent}class {n()}:\n{indent}    def {n()}(self, {n()}_5=1):\n{body}"


def unguarded(tree: ast.Module, full: bool) -> list[str]:
    """Accesses in a transformed tree that nothing stands behind."""
    found = []
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    matched = [node for node in ast.walk(tree) if isinstance(node, ast.MatchClass | ast.MatchValue | ast.MatchMapping)]
    patterns = {id(part) for node in matched for part in ast.walk(node)}
    in_class = {id(part) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for part in ast.walk(node)}
    answers: dict[str, int] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=attr, value=value, ctx=ast.Load()):
                plain = not attr.startswith("_") and attr not in INSPECTED
                me = isinstance(value, ast.Name) and ME.match(value.id)
                text = isinstance(value, ast.Constant) and isinstance(value.value, str)
                upper = (
                    attr in names.SPECIAL_METHODS and isinstance(value, ast.Call) and isinstance(value.func, ast.Name)
                )
                if id(node) in patterns:
                    good = plain and attr not in names.ASKED
                elif full:
                    good = False
                elif attr in names.ASKED:
                    good = bool(attr == "format" and text and simple(value.value))
                else:
                    good = plain or bool(me and attr not in INSPECTED) or bool(upper and value.func.id == "super")
                if not good:
                    found.append(f"reads .{attr}")
            case ast.Attribute(attr=attr, value=value):
                guard = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
                me = isinstance(value, ast.Name) and ME.match(value.id)
                if attr in INSPECTED or not (guard in WRITERS or me) or (full and me):
                    found.append(f"writes .{attr}")
            case ast.Name(id=name, ctx=ast.Load()) if reserved(name):
                good = (name in ENTRY and id(node) in called) or OURS.match(name) or name in names.MODULE_DUNDERS
                in_class_too = id(node) in in_class and (name in names.SPECIAL_METHODS or name in KINDS)
                if not (good or in_class_too or name in {"__debug__", "_getiter_"}):
                    found.append(f"names {name}")
            case ast.Name(id=name) if reserved(name):
                if ME.match(name):
                    answers[name] = answers.get(name, 0) + 1
                elif not (
                    OURS.match(name) or name in names.MODULE_DUNDERS or name in names.ENUM_HOOKS or id(node) in in_class
                ):
                    found.append(f"binds {name}")
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.keyword(arg=str(name)):
                if reserved(name) and name not in names.SPECIAL_METHODS | names.ENUM_HOOKS | names.MODULE_DUNDERS:
                    found.append(f"defines {name}")
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                found.extend(
                    f"imports {a.name} as {a.asname}"
                    for a in aliases
                    if reserved(a.asname or "") or a.name.startswith("_")
                )
            case ast.Subscript(value=value, ctx=context) if full:
                writes = (
                    isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "_writeitem_"
                )
                if isinstance(context, ast.Load) or not writes:
                    found.append("an item without a guard")
            case ast.AugAssign() if full:
                found.append("an in-place operator without a guard")
            case ast.AsyncFunctionDef() | ast.Await() | ast.TryStar():
                found.append(type(node).__name__)
            case ast.arg(annotation=ast.expr()) | ast.FunctionDef(returns=ast.expr()):
                found.append("an annotation")
    found.extend(f"binds {name} twice" for name, times in answers.items() if times != 1)
    return found


KINDS = {f"_{kind}_" for kind in KEPT_ANNOTATIONS}


def simple(text: str) -> bool:
    """Does a format string read no attribute and no item? As the standard library parses it."""
    return all(
        "." not in (field or "") and "[" not in (field or "") for _, field, _, _ in string.Formatter().parse(text)
    )


def reserved(name: str) -> bool:
    """Do both ends have an underscore?"""
    return name.startswith("_") and name.endswith("_") and bool(name.strip("_"))


@pytest.mark.parametrize("guards", ["static", "full"])
def test_whatever_compiles_keeps_every_guard(guards):
    """A generated program is refused, or nothing in its tree goes around the guards; and it compiles."""
    kept = 0
    for seed in range(400):
        writer = Writer(seed)
        source = "".join(writer.statement(3, "") for _ in range(4))
        try:
            tree = transformed(source, guards=guards)
        except ScriptRefused:
            continue
        assert unguarded(tree, guards == "full") == [], source
        try:
            compile_script(source, guards=guards)
        except ScriptRefused as refused:
            assert all(p.construct == "syntax" for p in refused.problems), source
        kept += 1
    assert kept > 60


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x.__class__", "reads .__class__"),
        ("x.gi_frame", "reads .gi_frame"),
        ("x.y = 1", "writes .y"),
        ("_write_ = 1", "binds _write_"),
        ("'{0.x}'.format(1)", "reads .format"),
        ("def f(_self_): pass", "defines _self_"),
    ],
)
def test_the_reader_would_see_a_missing_guard(source, complaint):
    """The independent reading is not blind: it complains about plain Python trees."""
    assert complaint in unguarded(ast.parse(source), False)
