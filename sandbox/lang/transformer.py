"""The differences between Python and the Python of scripts: what is refused, and where guards go.

Theory of operation
-------------------
RestrictedPython's transformer visits every node and refuses what it does not know. This subclass allows what
researchers write every day, by guarded forms, and never by dropping a question whose answer can differ:

* names: those that begin and end with an underscore belong to the guards and to the language. All other
  names are the script's.
* attributes: the name in the source is a constant. Names that lead into the interpreter are refused here;
  plain ones need a question at run time only if they are in ASKED (``format`` on a str and its like), private
  ones (``_x``) always, and so do all writes.
* ``self``: a method asks once, at its entry (`_self_`), for all private reads and all writes through its
  first parameter, provided nothing in the method rebinds that parameter.
* items, iteration, calls and in-place operators have guards that return their arguments. They are emitted
  only with full guards.

Annotations are never evaluated and never kept: the standard library evaluates texts among them.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from RestrictedPython.transformer import IOPERATOR_TO_STR, RestrictingNodeTransformer, copy_locations

from onvp.native import _guards
from onvp.sandbox.lang import advice, names
from onvp.sandbox.lang.errors import Problem
from onvp.sandbox.lang.guards import INSPECTED
from onvp.sandbox.lang.names import ASKED

_TEXT_NAMES: Final = frozenset({"__name__", "__qualname__", "__doc__"})
_KEPT_TYPES: Final = frozenset({"int", "str", "float", "bool", "bytes", "list", "dict", "set", "tuple"})
KEPT_ANNOTATIONS: Final = frozenset({"ClassVar", "InitVar", "KW_ONLY"}) | _KEPT_TYPES
_DICT_METHODS: Final = frozenset({"pop", "popitem", "clear", "setdefault"})

_N = TypeVar("_N", bound=ast.AST)


@dataclass
class Scope:
    """Where the transformer is.

    Attributes:
        kind: ``module``, ``class`` or ``function``.
        owner: the innermost class's name, for private names with two underscores; empty outside of classes.
        me: the first parameter of a method that may be asked once, and the name of its answer.
    """

    kind: str
    owner: str = ""
    me: tuple[str, str] | None = None


def is_dunder(name: str) -> bool:
    """Is this one of the language's own names?"""
    return len(name) > 4 and name.startswith("__") and name.endswith("__")


def is_reserved(name: str) -> bool:
    """Does the name begin and end with an underscore? ``_`` and ``__`` are anybody's."""
    return name.startswith("_") and name.endswith("_") and name.strip("_") != ""


class ScriptTransformer(RestrictingNodeTransformer):
    """Turns the tree of a script into one with guards, and notes every problem."""

    def __init__(self, *, full: bool, filename: str, doc: str | None, bound: frozenset[str]) -> None:
        super().__init__()
        self.problems: list[Problem] = []
        self._full = full
        self._filename = filename
        self._doc = doc
        self._bound = bound
        self._scopes = [Scope("module")]
        self._methods = 0

    # ---- problems ----

    def error(self, node: ast.AST, info: str) -> None:
        """Note a problem. RestrictedPython's own sentences come here, too."""
        self._refuse(node, type(node).__name__, info)

    def _refuse(self, node: ast.AST, construct: str, message: str) -> None:
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1
        self.problems.append(Problem(line, column, construct, message))

    def not_allowed(self, node: ast.AST) -> None:
        """Note a construct that scripts do not have."""
        kind = type(node).__name__
        construct, message = advice.SYNTAX.get(kind, (kind, f"{kind} is not in scripts"))
        self._refuse(node, construct, message)

    # ---- small helpers ----

    @property
    def _scope(self) -> Scope:
        return self._scopes[-1]

    def _call(self, like: Any, guard: str, *args: ast.expr, **fields: Any) -> ast.Call:
        call = ast.Call(func=ast.Name(guard, ast.Load()), args=list(args), keywords=fields.get("keywords", []))
        copy_locations(call, like)
        return call

    def _visit(self, node: Any) -> Any:
        return None if node is None else self.visit(node)

    def _visit_all(self, nodes: list[Any]) -> list[Any]:
        found: list[Any] = []
        for node in nodes:
            new = self.visit(node)
            if isinstance(new, list):
                found.extend(new)
            elif new is not None:
                found.append(new)
        return found

    def gen_tmp_name(self) -> str:
        """A name that no script can write."""
        self._tmp_idx += 1
        return f"_tmp{self._tmp_idx}_"

    def _mangled(self, name: str) -> str:
        owner = self._scope.owner.lstrip("_")
        return f"_{owner}{name}" if owner and name.startswith("__") and not name.endswith("__") else name

    def _me(self, node: ast.expr) -> str | None:
        me = self._scope.me
        return me[1] if me and isinstance(node, ast.Name) and node.id == me[0] else None

    # ---- names ----

    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:
        """Refuse the names of the guards and of the language."""
        if name is None or not is_reserved(name):
            return
        in_class = self._scope.kind == "class"
        if is_dunder(name):
            if name in names.MODULE_DUNDERS or (in_class and name in names.SPECIAL_METHODS):
                return
            self._refuse(node, name, f"the name {name} belongs to the language and is not in scripts")
        elif not (in_class and name in names.ENUM_HOOKS):
            self._refuse(
                node, name, f"names that begin and end with an underscore are reserved: call {name} something else"
            )

    def visit_Name(self, node: ast.Name) -> Any:
        """Constants for what the language calls the module; refusals for what scripts do not have."""
        if isinstance(node.ctx, ast.Load):
            fixed = {"__name__": "__main__", "__file__": self._filename, "__doc__": self._doc, "__debug__": True}
            if node.id in fixed:
                return ast.copy_location(ast.Constant(fixed[node.id]), node)
            if node.id in advice.BUILTINS and node.id not in self._bound:
                self._refuse(node, f"{node.id}()", advice.BUILTINS[node.id])
                return node
        elif self._scope.kind == "class" and node.id == "__doc__":
            return node
        self.check_name(node, node.id)
        return node

    def visit_Global(self, node: ast.Global) -> Any:
        """Check the names."""
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> Any:
        """Check the names."""
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_keyword(self, node: ast.keyword) -> Any:
        """Check the name of a keyword argument: it may become an attribute."""
        self.check_name(node, node.arg)
        return self.node_contents_visit(node)

    # ---- attributes ----

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """Refuse by name, or put the guard that the name needs."""
        name = node.attr
        if name in INSPECTED:
            self._refuse(node, name, f"{name} leads into the interpreter and is not in scripts")
            return node
        if is_dunder(name):
            return self._dunder(node)
        if is_reserved(name) and name not in names.ENUM_NAMES:
            self._refuse(
                node, name, f"names that begin and end with an underscore are reserved: {name} is not in scripts"
            )
            return node
        private = name.startswith("_")
        me = self._me(node.value)
        if isinstance(node.ctx, ast.Load):
            if me and private:
                node.value = ast.copy_location(ast.Name(me, ast.Load()), node.value)
                return node
            node.value = self.visit(node.value)
            if private:
                return self._call(node, "_getpriv_", node.value, ast.Constant(self._mangled(name)))
            if self._full or name in ASKED:
                return self._call(node, "_getattr_", node.value, ast.Constant(name))
            return node
        if me:
            node.value = ast.copy_location(ast.Name(me, ast.Load()), node.value)
            return node
        value = self.visit(node.value)
        if private:
            node.value = self._call(node.value, "_writepriv_", value, ast.Constant(self._mangled(name)))
        else:
            node.value = self._call(node.value, "_write_", value)
        return node

    def _dunder(self, node: ast.Attribute) -> Any:
        name, load = node.attr, isinstance(node.ctx, ast.Load)
        if load and name in names.SPECIAL_METHODS:
            direct = not self._full and self._is_super(node.value)
            node.value = self.visit(node.value)
            return node if direct else self._call(node, "_special_", node.value, ast.Constant(name))
        if load and name in names.READABLE_DUNDERS:
            return self._call(node, "_dunder_", self.visit(node.value), ast.Constant(name))
        if isinstance(node.ctx, ast.Store) and name in _TEXT_NAMES:
            node.value = self._call(node.value, "_writetext_", self.visit(node.value))
            return node
        default = f"{name} is not in scripts" if load else f"{name} cannot be set in scripts"
        self._refuse(node, name, advice.ATTRIBUTES.get(name, default))
        return node

    def _is_builtin(self, node: ast.expr, name: str) -> bool:
        return isinstance(node, ast.Name) and node.id == name and name not in self._bound

    def _is_super(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and self._is_builtin(node.func, "super")

    # ---- items, calls, iteration ----

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        """Items are plain Python, except with full guards."""
        if not isinstance(node.ctx, ast.Load) and _is_vars(node.value):
            self._refuse(node, "__dict__", advice.ATTRIBUTES["__dict__"])
            return node
        node = self.node_contents_visit(node)
        if not self._full:
            return node
        if isinstance(node.ctx, ast.Load):
            return self._call(node, "_getitem_", node.value, node.slice)
        node.value = self._call(node.value, "_writeitem_", node.value)
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        """A few calls have forms of their own: text formatting, ``__dict__``, ``object.__setattr__``."""
        func = node.func
        if isinstance(func, ast.Attribute):
            inner = func.value
            if func.attr == "format":
                return self._formatting(node, inner)
            if isinstance(inner, ast.Attribute) and _is_vars(inner):
                if func.attr == "update":
                    return self._guarded_call(node, "_updatevars_", inner.value)
                if func.attr in _DICT_METHODS:
                    self._refuse(node, "__dict__", advice.ATTRIBUTES["__dict__"])
                    return node
            if func.attr == "__setattr__" and self._is_builtin(inner, "object") and len(node.args) == 3:
                return self._guarded_call(node, "_osetattr_")
        elif self._is_builtin(func, "type") and (len(node.args) == 3 or node.keywords):
            self._refuse(
                node,
                "type()",
                "type() with three arguments makes classes and is not in scripts: write a class statement",
            )
        node = self.node_contents_visit(node)
        starred = any(isinstance(arg, ast.Starred) for arg in node.args)
        if self._full and (starred or any(word.arg is None for word in node.keywords)):
            return self._call(node, "_apply_", node.func, *node.args, keywords=node.keywords)
        return node

    def _guarded_call(self, node: ast.Call, guard: str, *first: ast.expr) -> ast.Call:
        args = [self.visit(arg) for arg in (*first, *node.args)]
        return self._call(node, guard, *args, keywords=[self.visit(word) for word in node.keywords])

    def _formatting(self, node: ast.Call, text: ast.expr) -> Any:
        constant = text.value if isinstance(text, ast.Constant) else None
        if not self._full and isinstance(constant, str) and _guards.is_simple_format(constant):
            node.args = [self.visit(arg) for arg in node.args]
            node.keywords = [self.visit(word) for word in node.keywords]
            return node
        return self._guarded_call(node, "_format_", text)

    def guard_iter(self, node: Any) -> Any:
        """Iteration is plain Python, except with full guards."""
        return super().guard_iter(node) if self._full else self.node_contents_visit(node)

    def visit_With(self, node: ast.With) -> Any:
        """Unpacking is plain Python, except with full guards."""
        return super().visit_With(node) if self._full else self.node_contents_visit(node)

    # ---- assignment ----

    def visit_Assign(self, node: ast.Assign) -> Any:
        """Class-level declarations are checked; ``x.__dict__[k] = v`` becomes a guarded write."""
        if len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Attribute) and _is_vars(target.value):
                parts = (target.value.value, target.slice, node.value)
                call = self._call(node, "_osetattr_", *(self.visit(part) for part in parts))
                return ast.copy_location(ast.Expr(call), node)
            declared = target.id if self._scope.kind == "class" and isinstance(target, ast.Name) else ""
            if declared in {"__slots__", "__match_args__"}:
                self._declaration(node, declared)
                return node
        node = self.node_contents_visit(node)
        if not self._full or not any(isinstance(t, ast.Tuple) for t in node.targets):
            return node
        value, before, after = node.value, [], []
        if len(node.targets) > 1:
            held = self.gen_tmp_name()
            before = [ast.Assign(targets=[ast.Name(held, ast.Store())], value=value)]
            after = [self.gen_del_stmt(held)]
            value = ast.Name(held, ast.Load())
        made = [
            ast.Assign(targets=[t], value=self.protect_unpack_sequence(t, value) if isinstance(t, ast.Tuple) else value)
            for t in node.targets
        ]
        steps = [*before, *made, *after]
        for step in steps:
            copy_locations(step, node)
        return steps

    def _declaration(self, node: ast.Assign, name: str) -> None:
        """``__slots__`` and ``__match_args__``: literal tuples of names that the script could write."""
        value = node.value
        parts = value.elts if isinstance(value, ast.Tuple | ast.List | ast.Set) else [value]
        for part in parts:
            text = part.value if isinstance(part, ast.Constant) else None
            plain = isinstance(text, str) and text.isidentifier() and text not in INSPECTED
            if name == "__slots__":
                good = plain and (not is_reserved(str(text)) or text in {"__dict__", "__weakref__"})
            else:
                good = plain and not str(text).startswith("_") and text not in ASKED
            if not good:
                self._refuse(node, name, f"{name} must be a literal tuple of plain names in scripts")
                return

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """Annotations are dropped; in a class a constant stays, because dataclasses look for the name."""
        in_class = self._scope.kind == "class" and isinstance(node.target, ast.Name) and node.simple
        if in_class and not is_dunder(getattr(node.target, "id", "")):
            node.annotation = self._annotation(node.annotation)
            node.target = self.visit(node.target)
            node.value = self._visit(node.value)
            return node
        if node.value is None:
            self.visit(node.target)
            return ast.copy_location(ast.Pass(), node)
        plain = ast.Assign(targets=[node.target], value=node.value)
        copy_locations(plain, node)
        return self.visit(plain)

    def _annotation(self, node: ast.expr) -> ast.expr:
        outer = node.value if isinstance(node, ast.Subscript) else node
        kind = outer.attr if isinstance(outer, ast.Attribute) else getattr(outer, "id", "")
        if isinstance(outer, ast.Constant) and isinstance(outer.value, str):
            kind = outer.value.split("[")[0].strip().rpartition(".")[2]
        kept = kind in KEPT_ANNOTATIONS
        new: ast.expr = ast.Name(f"_{kind}_", ast.Load()) if kept else ast.Constant(None)
        return ast.copy_location(new, node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """``x += v`` for names, items and attributes: each part is evaluated once."""
        target, operator = node.target, ast.Constant(IOPERATOR_TO_STR[type(node.op)])
        asked = isinstance(target, ast.Attribute) and (self._full or target.attr in ASKED)
        if (
            isinstance(target, ast.Attribute)
            and asked
            and target.attr not in INSPECTED
            and not is_reserved(target.attr)
        ):
            parts = (self.visit(target.value), ast.Constant(self._mangled(target.attr)), self.visit(node.value))
            return ast.copy_location(ast.Expr(self._call(node, "_augattr_", operator, *parts)), node)
        if self._full and isinstance(target, ast.Subscript):
            items = (self.visit(target.value), self.visit(target.slice), self.visit(node.value))
            return ast.copy_location(ast.Expr(self._call(node, "_augitem_", operator, *items)), node)
        node = self.node_contents_visit(node)
        if self._full and isinstance(target, ast.Name):
            value = self._call(node, "_inplacevar_", operator, ast.Name(target.id, ast.Load()), node.value)
            return ast.copy_location(ast.Assign(targets=[node.target], value=value), node)
        return node

    # ---- match ----

    def visit_Match(self, node: Any) -> Any:
        """Allowed; the patterns are checked one by one."""
        return self.node_contents_visit(node)

    visit_match_case = visit_MatchOr = visit_MatchSequence = visit_MatchSingleton = visit_Match

    def visit_MatchValue(self, node: Any) -> Any:
        """A literal or a dotted name. The grammar has no room for a guard, so the names must need none."""
        self._pattern_value(node.value)
        return node

    def visit_MatchStar(self, node: Any) -> Any:
        """``*rest``."""
        self.check_name(node, node.name)
        return node

    def visit_MatchAs(self, node: Any) -> Any:
        """A capture."""
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    def visit_MatchMapping(self, node: Any) -> Any:
        """Keys, patterns and ``**rest``."""
        self.check_name(node, node.rest)
        for key in node.keys:
            self._pattern_value(key)
        node.patterns = [self.visit(pattern) for pattern in node.patterns]
        return node

    def visit_MatchClass(self, node: Any) -> Any:
        """A class pattern reads attributes inside the interpreter: only names that need no question."""
        self._pattern_value(node.cls)
        for name in node.kwd_attrs:
            if name.startswith("_") or name in INSPECTED or name in ASKED:
                self._refuse(
                    node, "class pattern", f"a class pattern cannot read {name}: use `case X() if ...` instead"
                )
        node.patterns = [self.visit(pattern) for pattern in node.patterns]
        node.kwd_patterns = [self.visit(pattern) for pattern in node.kwd_patterns]
        return node

    def _pattern_value(self, node: ast.expr) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute):
                if part.attr.startswith("_") or part.attr in INSPECTED or part.attr in ASKED:
                    self._refuse(
                        part, "pattern", f"a pattern cannot read {part.attr}: use `case x if x == ...` instead"
                    )
            elif isinstance(part, ast.Name):
                self.check_name(part, part.id)

    # ---- imports ----

    def check_import_names(self, node: Any) -> Any:
        """Check what is imported and what it is called."""
        if getattr(node, "is_lazy", 0):
            self._refuse(node, "lazy import", "lazy imports are not in scripts: write a plain import")
        if isinstance(node, ast.ImportFrom):
            if node.level:
                self._refuse(node, "relative import", "a script is one file: there is nothing to import from '.'")
            elif node.module == "__future__":
                return ast.copy_location(ast.Pass(), node)
            self._import_path(node, node.module or "")
        for alias in node.names:
            if alias.name == "*":
                self._refuse(
                    node,
                    "star import",
                    f"import * is not in scripts: name what you need, from {node.module} import ...",
                )
                continue
            self._import_path(node, alias.name)
            self.check_name(node, alias.asname)
        return node

    def _import_path(self, node: ast.AST, path: str) -> None:
        if any(part.startswith("_") for part in path.split(".")):
            self._refuse(node, "import", f"{path} is private and cannot be imported in scripts")

    # ---- functions and classes ----

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        """Annotations go, the body is transformed in its own scope."""
        in_class = self._scope.kind == "class"
        if is_dunder(node.name) and not (in_class and node.name in names.SPECIAL_METHODS):
            where = advice.METHODS.get(node.name) if in_class else None
            hint = f": {where}" if where else ""
            self._refuse(node, node.name, f"a function called {node.name} is not in scripts{hint}")
        else:
            self.check_name(node, node.name)
        self._registration(node)
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        self._signature(node.args)
        node.returns = None
        for parameter in getattr(node, "type_params", ()):
            self.visit(parameter)
        me = self._answer_once(node) if in_class and not self._full else None
        self._scopes.append(Scope("function", self._scope.owner, me or self._outer_me(node)))
        node.body = self._visit_all(node.body)
        self._scopes.pop()
        if me:
            ask = ast.Assign(
                targets=[ast.Name(me[1], ast.Store())],
                value=ast.Call(func=ast.Name("_self_", ast.Load()), args=[ast.Name(me[0], ast.Load())], keywords=[]),
            )
            copy_locations(ask, node)
            node.body.insert(1 if ast.get_docstring(node, clean=False) is not None else 0, ask)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        """As a function without a name."""
        self._signature(node.args)
        self._scopes.append(Scope("function", self._scope.owner, self._outer_me(node)))
        node.body = self.visit(node.body)
        self._scopes.pop()
        return node

    def _signature(self, args: ast.arguments) -> None:
        for arg in _parameters(args):
            self.check_name(arg, arg.arg)
            arg.annotation = None
        args.defaults = [self.visit(d) for d in args.defaults]
        args.kw_defaults = [self._visit(d) for d in args.kw_defaults]

    def _registration(self, node: ast.FunctionDef) -> None:
        """``@f.register`` reads the annotation that is dropped: hand it over as an argument."""
        first = next(_parameters(node.args), None)
        if first is None or not isinstance(first.annotation, ast.Name | ast.Attribute | ast.BinOp):
            return
        for index, decorator in enumerate(node.decorator_list):
            if isinstance(decorator, ast.Attribute) and decorator.attr == "register":
                call = ast.Call(func=decorator, args=[first.annotation], keywords=[])
                copy_locations(call, decorator)
                node.decorator_list[index] = call

    def _outer_me(self, node: ast.FunctionDef | ast.Lambda) -> tuple[str, str] | None:
        """A nested function sees the method's first parameter, and so its answer.

        `_answer_once` made sure that nothing inside rebinds it.
        """
        return self._scope.me if self._scope.kind == "function" else None

    def _answer_once(self, node: ast.FunctionDef) -> tuple[str, str] | None:
        """Can this method ask about its first parameter once? Gives the parameter and the answer's name."""
        first = next((a.arg for a in (*node.args.posonlyargs, *node.args.args)), None)
        if first is None or is_reserved(first):
            return None
        uses = 0
        for part in _inside(node.body):
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == first:
                private = part.attr.startswith("_") and not is_dunder(part.attr)
                uses += private or not isinstance(part.ctx, ast.Load)
            elif isinstance(part, ast.ClassDef) or first in binds(part):
                return None
        if not uses:
            return None
        self._methods += 1
        return first, f"_me{self._methods}_"

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        """A class statement; the compiled `__build_class__` guard checks the bases."""
        self.check_name(node, node.name)
        for word in node.keywords:
            if word.arg == "metaclass":
                self._refuse(
                    node, "metaclass", "metaclasses are not in scripts: inherit from abc.ABC, or use a class decorator"
                )
            elif word.arg != "total" or not isinstance(word.value, ast.Constant):
                self._refuse(
                    node, "class keywords", "keywords in a class statement are not in scripts: set class attributes"
                )
        for parameter in getattr(node, "type_params", ()):
            self.visit(parameter)
        node.decorator_list = [self.visit(d) for d in node.decorator_list]
        node.bases = [self.visit(base) for base in node.bases]
        self._scopes.append(Scope("class", node.name))
        node.body = self._visit_all(node.body)
        self._scopes.pop()
        return node

    def visit_Module(self, node: ast.Module) -> Any:
        """The whole script."""
        node.body = self._visit_all(node.body)
        return node


def _parameters(args: ast.arguments) -> Iterator[ast.arg]:
    """All parameters, positional ones first."""
    yield from args.posonlyargs
    yield from args.args
    if args.vararg:
        yield args.vararg
    yield from args.kwonlyargs
    if args.kwarg:
        yield args.kwarg


def _is_vars(node: ast.expr) -> bool:
    """Is this ``x.__dict__``?"""
    return isinstance(node, ast.Attribute) and node.attr == "__dict__"


_LEAVES: Final = (ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below a node, but for contexts and operators: most of a check's time is spent here."""
    found: list[ast.AST] = []
    for field in node._fields:
        value = getattr(node, field, None)
        if value.__class__ is list:
            found += [part for part in value if isinstance(part, ast.AST)]
        elif isinstance(value, ast.AST) and not isinstance(value, _LEAVES):
            found.append(value)
    return found


def _inside(body: list[ast.stmt]) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        waiting += children(node)


_BINDERS: Final[dict[type, Callable[[Any], Iterable[str | None]]]] = {
    ast.Name: lambda n: () if n.ctx.__class__ is ast.Load else (n.id,),
    ast.arg: lambda n: (n.arg,),
    ast.FunctionDef: lambda n: (n.name,),
    ast.AsyncFunctionDef: lambda n: (n.name,),
    ast.ClassDef: lambda n: (n.name,),
    ast.ExceptHandler: lambda n: (n.name,),
    ast.MatchAs: lambda n: (n.name,),
    ast.MatchStar: lambda n: (n.name,),
    ast.MatchMapping: lambda n: (n.rest,),
    ast.Global: lambda n: n.names,
    ast.Nonlocal: lambda n: n.names,
    ast.Import: lambda n: [a.asname or a.name.partition(".")[0] for a in n.names],
    ast.ImportFrom: lambda n: [a.asname or a.name for a in n.names],
}


def binds(node: ast.AST) -> Iterable[str | None]:
    """The names that one node binds."""
    binder = _BINDERS.get(node.__class__)
    return () if binder is None else binder(node)
