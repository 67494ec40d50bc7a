"""The world of one script: its builtins, its modules, its streams.

Theory of operation
-------------------
`preload` runs once, in the zygote, while files are in reach: it imports every listed module, builds the views,
reads the time zones, warms what the interpreter loads lazily, and sets the zone to UTC. `build` runs in the
worker, opens nothing, and lays over the shared views what belongs to one run. One run per process: argparse,
logging and the stand-ins' surroundings are bound to the latest `build`.
"""

import builtins
import codecs
import dataclasses
import io
import os
import pprint
import random
import sys
import time
import typing
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from onvp.native import _guards
from onvp.sandbox.lang import arguments, logs, modules, names, report, standins, zones
from onvp.sandbox.lang.guards import ENTRY, LEAN

__all__ = ["build", "preload"]

# Codecs that scripts may ask for by name; others would be looked for among files.
_CODECS: Final = (
    "ascii big5 cp437 cp850 cp1250 cp1251 cp1252 euc_jp gb18030 gbk hex idna iso8859_1 iso8859_2 iso8859_15 koi8_r "
    "latin_1 mac_roman punycode raw_unicode_escape rot_13 shift_jis unicode_escape utf_7 utf_8 utf_8_sig utf_16 "
    "utf_16_be utf_16_le utf_32 utf_32_be utf_32_le base64 zlib"
)

_ANNOTATIONS: Final[dict[str, Any]] = {
    "_ClassVar_": typing.ClassVar, "_InitVar_": dataclasses.InitVar, "_KW_ONLY_": dataclasses.KW_ONLY,
    "_int_": int, "_str_": str, "_float_": float, "_bool_": bool, "_bytes_": bytes, "_list_": list, "_dict_": dict,
    "_set_": set, "_tuple_": tuple,
}  # fmt: skip

_static_builtins: dict[str, Any] = {}
_shared_views: dict[str, Any] = {}


def preload() -> None:
    """Load everything that scripts will ever need; call it once, in the zygote, before the walls go up."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    warnings.simplefilter("ignore")
    zones.load()
    _prepare()
    for codec in _CODECS.split():
        codecs.lookup(codec)
    "bücher.example".encode("idna").decode("idna")
    unicodedata.normalize("NFC", "é")
    io.StringIO("warm").read()
    # The first compile and the first report make tables of their own.
    from onvp.sandbox.lang.check import compile_script  # noqa: PLC0415 - only the zygote needs it here

    scope = build(argv=["warm.py"], stdout=io.StringIO(), stderr=io.StringIO(), open=_nothing_to_open)
    source = 'import json\nprint("{:.1f}".format(1.0), f"{1:>3}")\nraise ValueError("warm")\n'
    try:
        exec(compile_script(source, "warm.py"), scope)  # noqa: S102 - our own three lines
    except ValueError as error:
        report.format_exception(error, source, "warm.py")


def _nothing_to_open(*args: Any, **kwargs: Any) -> Any:
    raise OSError("this run has no files: open(name, 'w') writes an artifact where the run has a place for it")


def _prepare() -> None:
    """The parts that all runs share, made once."""
    if _static_builtins:
        return
    zones.load()
    time.strptime("2000-01-01", "%Y-%m-%d")  # loads _strptime, which C code fetches by itself
    shared = modules.load()
    _shared_views.update({name: modules.view(name, held) for name, held in shared.items()})
    special: dict[str, Any] = {
        "type": _guards.type_face,
        "getattr": _guards.getattr_,
        "setattr": _guards.setattr_,
        "hasattr": _guards.hasattr_,
        "delattr": _guards.delattr_,
        "vars": _guards._vars_,
        "dir": _guards._dir_,
        "exit": standins.exit_script,
        "quit": standins.exit_script,
        "__build_class__": _guards._build_class_,
    }
    per_run = {"__import__", "open", "print"}
    for name in names.builtin_names():
        if name not in per_run:
            _static_builtins[name] = special[name] if name in special else getattr(builtins, name)
    _static_builtins.update(ENTRY)
    _static_builtins.update(_ANNOTATIONS)


def build(
    *,
    argv: Sequence[str] = ("script.py",),
    stdout: Any = None,
    stderr: Any = None,
    open: Callable[..., Any] | None = None,
    facades: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    modules: Iterable[str] | None = None,
    guards: str = LEAN,
    source: bytes | str = "",
) -> dict[str, Any]:
    """Make the globals in which a script's code is executed.

    Args:
        argv: what ``sys.argv`` holds.
        stdout: a text stream; the interpreter's own when not given.
        stderr: likewise.
        open: the builtin; without one, nothing can be opened.
        facades: modules of ours by name, each as its names (``{"scamper": {"ScamperCtrl": …}}``).
        modules: the standard modules that the policy leaves; ``None`` for all that are listed.
        guards: as for `compile_script`; the guards of both modes are always there.
        source: the script's text, for the tracebacks that it prints itself; the one compiled last when not given.
    """
    _prepare()
    stdout = sys.stdout if stdout is None else stdout
    stderr = sys.stderr if stderr is None else stderr
    opener = _nothing_to_open if open is None else open
    arguments_list = [str(a) for a in argv]
    filename = arguments_list[0] if arguments_list else "script.py"

    def formatted(exc: BaseException) -> str:
        return report.format_exception(exc, source or report.source_of(filename), filename)

    scope = dict(_static_builtins)
    scope["print"] = _guards.make_print(stdout)
    scope["open"] = opener
    stdin = io.StringIO("")
    # Made when they are imported: most scripts need few of them, and each costs time and private memory.
    own: dict[str, Callable[[], Any]] = {
        "sys": lambda: _sys(arguments_list, stdin, stdout, stderr),
        "contextlib": lambda: {
            **_guards.view_names(_shared_views["contextlib"]), "redirect_stdout": _redirection(scope)
        },
        "argparse": lambda: arguments.bind(arguments_list, stdin, stdout, stderr, standins.exit_script),
        "logging": lambda: logs.bind(stderr, opener, formatted),
        "pprint": lambda: _pprint(stdout),
        "random": _random,
        "traceback": lambda: _traceback(stderr, formatted),
        "warnings": lambda: _warnings(stderr),
    }  # fmt: skip
    views = _Views(_shared_views, {**own, **{name: partial(_given, content) for name, content in facades.items()}})
    for content in facades.values():
        _admit(content)
    scope["__import__"] = _importer(views, modules)
    return {"__builtins__": scope, "__name__": "__main__"}


class _Views(Mapping[str, Any]):
    """The modules of one run by name: the shared ones, and its own, each made when first asked for."""

    def __init__(self, shared: Mapping[str, Any], own: Mapping[str, Callable[[], Any]]) -> None:
        self._made: dict[str, Any] = {}
        self._shared = shared
        self._own = own

    def __getitem__(self, name: str) -> Any:
        made = self._made.get(name)
        if made is None:
            maker = self._own.get(name)
            if maker is None:
                return self._shared[name]
            made = self._made[name] = _module_view(name, maker())
        return made

    def __iter__(self) -> Iterator[str]:
        return iter({**self._shared, **self._own})

    def __len__(self) -> int:
        return len({**self._shared, **self._own})


def _given(content: Any) -> Any:
    return content


def _module_view(name: str, content: Mapping[str, Any]) -> Any:
    return content if _guards.is_view(content) else modules.view(name, content)


def _importer(views: Mapping[str, Any], allowed: Iterable[str] | None) -> Callable[..., Any]:
    return modules.importer(views, allowed)


def _admit(content: Any) -> None:
    """Facade classes say themselves what scripts may do with them."""
    if _guards.is_view(content):
        content = _guards.view_names(content)
    for value in content.values():
        if isinstance(value, type):
            if getattr(value, "_guarded_writes", False):
                _guards.allow_writes(value)
            if getattr(value, "_guarded_base", False):
                _guards.allow_base(value)


def _sys(argv: list[str], stdin: Any, stdout: Any, stderr: Any) -> dict[str, Any]:
    made = {
        "argv": argv, "stdin": stdin, "stdout": stdout, "stderr": stderr, "exit": standins.exit_script,
        "exc_info": standins.exc_info, "setrecursionlimit": standins.setrecursionlimit,
        "implementation": standins.SimpleConstant(name=sys.implementation.name, version=sys.implementation.version),
    }  # fmt: skip
    return {name: made[name] if name in made else getattr(sys, name) for name in names.listed("sys")}


def _redirection(scope: dict[str, Any]) -> type:
    """`contextlib.redirect_stdout` for one run: while it is entered, the script's print writes elsewhere."""

    class redirect_stdout:  # noqa: N801 - the library's name
        """As the library's, for print; sys.stdout stays as it is."""

        __slots__ = ("_before", "_target")

        def __init__(self, new_target: Any) -> None:
            self._target = new_target
            self._before: list[Any] = []

        def __enter__(self) -> Any:
            """Print into the target."""
            before, target = scope["print"], self._target

            def print(*values: Any, file: Any = None, **options: Any) -> None:
                before(*values, file=target if file is None else file, **options)

            self._before.append(before)
            scope["print"] = print
            return target

        def __exit__(self, *exc: object) -> None:
            """Print as before."""
            scope["print"] = self._before.pop()

    redirect_stdout.__module__, redirect_stdout.__qualname__ = "contextlib", "redirect_stdout"
    return redirect_stdout


def _pprint(stdout: Any) -> dict[str, Any]:
    class PrettyPrinter(pprint.PrettyPrinter):
        """As the library's; prints to the run's output."""

        def __init__(
            self, indent: int = 1, width: int = 80, depth: Any = None, stream: Any = None, **options: Any
        ) -> None:
            super().__init__(indent, width, depth, stdout if stream is None else stream, **options)

    _guards.allow_base(PrettyPrinter)

    def show(obj: Any, stream: Any = None, *args: Any, **options: Any) -> None:
        pprint.pprint(  # noqa: T203 - that is what the script asked for
            obj, stdout if stream is None else stream, *args, **options
        )

    def show_unsorted(obj: Any, *args: Any, sort_dicts: bool = False, **options: Any) -> None:
        show(obj, *args, sort_dicts=sort_dicts, **options)

    made = {"PrettyPrinter": PrettyPrinter, "pprint": show, "pp": show_unsorted}
    return {name: made[name] if name in made else getattr(pprint, name) for name in names.listed("pprint")}


def _random() -> dict[str, Any]:
    """The module's functions, over a generator that no other run has."""
    generator = random.Random()
    own = {"Random": random.Random, "SystemRandom": random.SystemRandom}
    return {name: own[name] if name in own else getattr(generator, name) for name in names.listed("random")}


def _traceback(stderr: Any, formatted: Callable[[BaseException], str]) -> dict[str, Any]:
    def format_exception(exc: Any, value: Any = None, tb: Any = None, **options: Any) -> list[str]:
        found = value if isinstance(value, BaseException) else exc
        return formatted(found).splitlines(keepends=True) if isinstance(found, BaseException) else []

    def format_exception_only(exc: Any, value: Any = None) -> list[str]:
        found = value if isinstance(value, BaseException) else exc
        return [report.only(found)] if isinstance(found, BaseException) else []

    def format_exc(limit: Any = None, chain: bool = True) -> str:
        current = sys.exc_info()[1]
        return formatted(current) if current is not None else "NoneType: None\n"

    def print_exception(
        exc: Any, value: Any = None, tb: Any = None, limit: Any = None, file: Any = None, **o: Any
    ) -> None:
        (stderr if file is None else file).write("".join(format_exception(exc, value)))

    def print_exc(limit: Any = None, file: Any = None, chain: bool = True) -> None:
        (stderr if file is None else file).write(format_exc())

    made = locals()
    return {name: made[name] for name in names.listed("traceback")}


def _warnings(stderr: Any) -> dict[str, Any]:
    def warn(message: Any, category: Any = None, stacklevel: int = 1, source: Any = None) -> None:
        kind = type(message) if isinstance(message, Warning) else (category or UserWarning)
        stderr.write(f"{kind.__name__}: {message}\n")

    def nothing(*args: Any, **kwargs: Any) -> None:
        return None

    made = {"warn": warn, "filterwarnings": nothing, "simplefilter": nothing, "catch_warnings": standins.catch_warnings}
    return {name: made[name] for name in names.listed("warnings")}
