"""Source in, code out, or every problem at once.

Theory of operation
-------------------
bytes -> text (UTF-8, no NUL, not too long) -> tree (the parser's own limits) -> depth -> transformed tree ->
code. Each arrow refuses with a line where there is one. The source is hostile: it is parsed and compiled only
inside a worker, or in a child process with limits. The parser and the compiler stop at their own limits; the
transformer, which is Python, is protected by the depth that is measured without recursion before it runs.
"""

import ast
import codecs
import contextlib
import re
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Final

from onvp.sandbox.lang import report
from onvp.sandbox.lang.errors import Problem, ScriptRefused
from onvp.sandbox.lang.guards import FULL, LEAN
from onvp.sandbox.lang.transformer import ScriptTransformer, binds, children

__all__ = [
    "MAX_DEPTH",
    "MAX_SOURCE_BYTES",
    "Problem",
    "ScriptRefused",
    "compile_script",
    "imported",
    "primitives_used",
    "transformed",
]

MAX_SOURCE_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 200  # of expressions and statements inside each other; an elif counts as one
_MAX_PROBLEMS: Final = 100
_FRAMES_PER_LEVEL: Final = 8  # what the transformer, the widest of the recursions, takes for one level
_PRIMITIVE: Final = re.compile(r"do_[a-z][a-z0-9]*\Z")
_COOKIE: Final = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


def compile_script(
    source: bytes | str,
    filename: str = "script.py",
    guards: str = LEAN,
    *,
    max_bytes: int = MAX_SOURCE_BYTES,
    max_depth: int = MAX_DEPTH,
) -> types.CodeType:
    """Compile a script.

    Args:
        source: the file's bytes, or its text.
        filename: what tracebacks call the script.
        guards: ``static`` puts a guard where its answer can differ, ``full`` everywhere.
        max_bytes: the longest source.
        max_depth: how deep expressions and statements may be nested.

    Raises:
        ScriptRefused: with all problems.
    """
    tree = transformed(source, filename, guards, max_bytes=max_bytes, max_depth=max_depth)
    with _room(max_depth), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return compile(tree, filename, "exec", dont_inherit=True)
        except SyntaxError as error:
            raise _syntax(error, filename) from None
        except (RecursionError, MemoryError, OverflowError, ValueError) as error:
            raise _refused(filename, 0, 0, "size", f"too large or too deep to compile ({error})") from None


def transformed(
    source: bytes | str,
    filename: str = "script.py",
    guards: str = LEAN,
    *,
    max_bytes: int = MAX_SOURCE_BYTES,
    max_depth: int = MAX_DEPTH,
) -> ast.Module:
    """The tree of a script with its guards: what `compile_script` compiles. Arguments and errors are the same."""
    if guards not in {LEAN, FULL}:
        raise ValueError(f"guards is {LEAN} or {FULL}, not {guards!r}")
    text = _decoded(source, filename, max_bytes)
    report.remember(filename, text)
    tree = _parsed(text, filename)
    deepest, bound = _survey(tree, max_depth)
    if deepest is not None:
        sentence = f"nested more than {max_depth} levels deep: put parts into variables or functions of their own"
        raise _refused(filename, deepest[0], deepest[1], "nesting", sentence)
    transformer = ScriptTransformer(
        full=guards == FULL,
        filename=filename,
        doc=ast.get_docstring(tree, clean=False),
        bound=bound,
    )
    with _room(max_depth):
        transformer.visit(tree)  # in place
    if transformer.problems:
        raise ScriptRefused(filename, tuple(sorted(set(transformer.problems))[:_MAX_PROBLEMS]))
    return tree


@contextlib.contextmanager
def _room(max_depth: int) -> Iterator[None]:
    """Recursion enough for the depth that was measured, and no more."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 1000 + _FRAMES_PER_LEVEL * max_depth))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _refused(filename: str, line: int, column: int, construct: str, message: str) -> ScriptRefused:
    return ScriptRefused(filename, (Problem(line, column, construct, message),))


def _decoded(source: bytes | str, filename: str, max_bytes: int) -> str:
    raw = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else bytes(source)
    if len(raw) > max_bytes:
        raise _refused(
            filename,
            0,
            0,
            "size",
            f"the script has {len(raw)} bytes and the limit is {max_bytes}: move data into input files",
        )
    raw = raw.removeprefix(codecs.BOM_UTF8)
    for number, head in enumerate(raw.split(b"\n", 2)[:2], 1):
        cookie = _COOKIE.match(head)
        if cookie and cookie[1].lower().replace(b"_", b"-") not in {
            b"utf-8",
            b"utf8",
            b"ascii",
            b"us-ascii",
            b"utf-8-sig",
        }:
            name = cookie[1].decode("ascii", "replace")
            raise _refused(filename, number, 1, "encoding", f"the script says it is in {name}: save it as UTF-8")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise _refused(
            filename, line, column, "encoding", f"byte 0x{raw[error.start]:02x} is not UTF-8: save the script as UTF-8"
        ) from None
    at = text.find("\0")
    if at >= 0:
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        raise _refused(filename, line, column, "NUL", "the script holds a NUL byte: it is not a text file")
    return text


def _parsed(text: str, filename: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text, filename, "exec")
    except SyntaxError as error:
        raise _syntax(error, filename) from None
    except (RecursionError, MemoryError):
        raise _refused(
            filename,
            0,
            0,
            "nesting",
            "nested too deep for the parser: put parts into variables or functions of their own",
        ) from None
    except (ValueError, OverflowError) as error:
        raise _refused(filename, 0, 0, "syntax", f"not Python: {error}") from None


def _syntax(error: SyntaxError, filename: str) -> ScriptRefused:
    return _refused(filename, error.lineno or 0, error.offset or 0, "syntax", f"not Python: {error.msg}")


def _survey(tree: ast.Module, limit: int) -> tuple[tuple[int, int] | None, frozenset[str]]:
    """Where the tree first gets deeper than the limit, and every name that it binds; found without recursion."""
    bound: set[str | None] = set()
    level: list[ast.AST] = [tree]
    for _ in range(limit):
        for node in level:
            bound.update(binds(node))
        level = [child for node in level for child in children(node)]
        if not level:
            return None, frozenset(name for name in bound if name is not None)
    place = next(((n.lineno, n.col_offset + 1) for n in level if isinstance(n, ast.expr | ast.stmt)), (0, 0))
    return place, frozenset()


def primitives_used(source: bytes | str) -> list[str]:
    """The ``do_*`` methods that a script names, in alphabetical order; without running it.

    Names in texts count, too (``getattr(ctrl, "do_ping")``), so the list may be too long, never too short
    for a script that does not build names.

    Raises:
        ScriptRefused: the source is not Python.
    """
    found = set()
    for node in _nodes(source):
        if isinstance(node, ast.Attribute) and _PRIMITIVE.match(node.attr):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _PRIMITIVE.match(node.value):
            found.add(node.value)
    return sorted(found)


def imported(source: bytes | str) -> list[tuple[str, int]]:
    """The modules that a script names in import statements, each with its line.

    Raises:
        ScriptRefused: the source is not Python.
    """
    found: list[tuple[str, int]] = []
    for node in _nodes(source):
        if isinstance(node, ast.Import):
            found.extend((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            found.append((node.module, node.lineno))
    return found


def _nodes(source: bytes | str) -> Iterator[ast.AST]:
    return ast.walk(_parsed(_decoded(source, "script.py", MAX_SOURCE_BYTES), "script.py"))
