"""`python reach.py MODE [planted]`: walks from all that a script can name, and prints what it must not reach.

Theory of operation
-------------------
The walk is the script's own view: a name is read only if a script that says ``x.NAME`` compiles, and as its
emitted code would read it (through the guard or directly). Classes, functions and methods are called
without arguments, containers opened, a few values of iterators taken. Each object that is found is held
against `FORBIDDEN`. Runs in a process of its own: some of those calls change it.
"""

import abc
import contextlib
import enum
import io
import json
import os
import socket
import string
import sys
import types
import warnings
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onvp.native import _guards
from onvp.sandbox.lang import environment
from onvp.sandbox.lang import names as tables
from onvp.sandbox.lang.check import ScriptRefused, compile_script
from onvp.sandbox.wire import calls
from onvp.sandbox.worker.artifacts import Shelf
from onvp.sandbox.worker.client import Client
from onvp.sandbox.worker.facade import onvp, scamper
from onvp.sandbox.worker.facade.hub import Hub
from onvp.sandbox.worker.streams import Stream

RECORDINGS = Path(__file__).parents[1] / "golden" / "corpus" / "new"

LIMIT = 400_000
PER_CONTAINER = 400
NEVER_CALLED = {"sleep", "input", "exit", "quit", "copyright", "credits"}
RESERVED = """
    __class__ __dict__ __members__ __cause__ __context__ __name__ __doc__ __module__ __qualname__ __self__ __func__
    __wrapped__ __globals__ __code__ __closure__ __builtins__ __defaults__ __kwdefaults__ __annotations__ __base__
    __bases__ __mro__ __subclasses__ __traceback__ __loader__ __spec__ __init__ __reduce__ __reduce_ex__
    __getattribute__ __objclass__ __origin__ __args__ __dataclass_fields__ __dataclass_params__
"""


class Sink:
    """A stream of a script."""

    __slots__ = ()

    def write(self, text: str) -> int:
        """Drop it."""
        return len(text)

    def flush(self) -> None:
        """Nothing is held."""


_read: dict[str, str | None] = {}


def how_read(name: str, mode: str) -> str | None:
    """How a script's ``x.NAME`` is read: 'plain', 'guarded', or None when it does not compile."""
    if name not in _read:
        try:
            code = compile_script(f"x.{name}".encode(), "walk.py", guards=mode)
            used = {n for n in code.co_names if n.startswith("_") and n.endswith("_")}
            _read[name] = "guarded" if used else "plain"
        except ScriptRefused:
            _read[name] = None
    return _read[name]


def is_forbidden(found: Any, module_dicts: set[int]) -> str:
    """Why a script must not hold this; empty when it may."""
    kind = type(found)
    if isinstance(found, types.ModuleType):
        return "a module"
    if kind in (types.CodeType, types.FrameType, types.TracebackType, types.CellType):
        return kind.__name__
    if isinstance(found, io.IOBase) and not isinstance(found, (io.StringIO, io.BytesIO)):
        return "a file"
    if isinstance(found, type):
        if issubclass(found, type) and found is not _guards.type_face:
            return "a metaclass"
        if issubclass(found, types.ModuleType) or found in (types.CodeType, types.FrameType, string.Formatter):
            return "a class that makes such things"
        if issubclass(found, io.IOBase) and found not in (io.StringIO, io.BytesIO):
            return "a class of files"
        if found in (enum.Enum, enum.Flag, enum.IntEnum, enum.IntFlag, enum.StrEnum):
            return "the library's own enum base, whose functional form takes any name"
    elif hasattr(kind, "exec_module") or hasattr(kind, "find_spec"):
        return "a loader"
    if id(found) in module_dicts:
        return "a module's globals"
    if found is sys.modules or found is sys.path or found is os.environ:
        return "the interpreter's own table"
    if (
        kind in (types.BuiltinFunctionType, types.FunctionType)
        and getattr(found, "__module__", None) in POWERFUL.split()
    ):
        return f"a function of {found.__module__}"
    if any(found is power for power in POWERS):
        return "a builtin that asks no guard"
    return ""


POWERFUL = """
    posix os subprocess _socket socket importlib _imp gc inspect ctypes marshal pickle _pickle codecs shutil tempfile
    signal _thread threading runpy linecache
"""
POWERS = (
    *(eval, exec, compile, open, __import__, getattr, setattr, delattr, vars, dir, globals, locals, input, breakpoint),
    *(sys._getframe, sys.settrace, object.__getattribute__, type.__getattribute__, object.__reduce_ex__),
)


def attributes(found: Any, mode: str) -> Iterator[tuple[str, Any]]:
    """What a script reads from an object, by attribute."""
    if _guards.is_view(found):
        yield from ((f".{name}", value) for name, value in _guards.view_names(found).items())
        return
    for name in [n for n in dir(found) if not n.startswith("_")] + RESERVED.split() + private(found):
        how = how_read(name, mode)
        if how is None:
            continue
        with contextlib.suppress(Exception):
            yield f".{name}", (getattr(found, name) if how == "plain" else _guards._getattr_(found, name))


def private(found: Any) -> list[str]:
    """Its private names: the guard must keep them."""
    return [n for n in dir(found) if n.startswith("_") and not n.startswith("__")]


def parts(found: Any) -> Iterator[tuple[str, Any]]:
    """What a script gets out of a container or an iterator."""
    with contextlib.suppress(Exception):
        if isinstance(found, (dict, types.MappingProxyType)):
            for at, (key, value) in enumerate(found.items()):
                if at >= PER_CONTAINER:
                    return
                yield f"[{key!r:.30}]", value
                yield ".keys()", key
        elif not isinstance(found, (str, bytes, bytearray, range, memoryview, type)):
            for at, value in enumerate(found):
                if at >= (PER_CONTAINER if isinstance(found, (list, tuple, set, frozenset)) else 5):
                    return
                yield f"[{at}]", value


def results(found: Any) -> Iterator[tuple[str, Any]]:
    """What a script gets by a call without arguments, or with one."""
    if not callable(found) or getattr(found, "__name__", "") in NEVER_CALLED:
        return
    try:
        yield "()", found()
    except BaseException as error:  # noqa: BLE001 - whatever a call raises is within reach, too
        yield "() raises", error
    if not isinstance(found, types.MethodType) and not isinstance(found, type):
        return
    for argument in (1, "a", [1]):
        with contextlib.suppress(BaseException):
            yield f"({argument!r})", found(argument)


def walk(start: dict[str, Any], mode: str) -> tuple[list[str], int]:
    """Everything within reach: the paths to what is forbidden, and how many objects were seen."""
    module_dicts = {id(vars(module)) for module in list(sys.modules.values()) if isinstance(module, types.ModuleType)}
    waiting = deque(start.items())
    seen: dict[int, Any] = {}
    called: set[Any] = set()
    kinds: dict[type, int] = {}
    bad = []
    while waiting and len(seen) < LIMIT:
        path, found = waiting.popleft()
        if id(found) in seen or path.count("(") > 4:
            continue
        seen[id(found)] = found
        why = is_forbidden(found, module_dicts)
        if why:
            bad.append(f"{path}: {why}: {found!r:.120}")
            continue
        kind = type(found)
        kinds[kind] = kinds.get(kind, 0) + 1
        if kind in (int, float, complex, str, bytes, bool, type(None)) and kinds[kind] > 3:
            continue
        if kinds[kind] > 200 and not isinstance(found, type | types.FunctionType | types.BuiltinFunctionType):
            continue
        mark = method_mark(found)
        steps = [attributes(found, mode), parts(found)]
        if mark not in called:
            called.add(mark)
            steps.append(results(found))
        for step in steps:
            for name, value in step:
                if id(value) not in seen:
                    waiting.append((path + name, value))
    return bad, len(seen)


def method_mark(found: Any) -> Any:
    """The same method of two objects of one class is called once."""
    owner = getattr(found, "__self__", None)
    if owner is not None and not isinstance(owner, (type, types.ModuleType)):
        return type(owner), getattr(found, "__name__", "")
    return id(found)


def facades() -> dict[str, dict[str, Any]]:
    """Our own modules, over a broker that has gone, with recordings as input files."""
    ours, theirs = socket.socketpair()
    theirs.close()
    client = Client(ours.detach())
    recordings = {path.name: path.read_bytes() for path in sorted(RECORDINGS.rglob("*.warts"))}
    shelf = Shelf(lambda message: None, recordings)
    hub = Hub(client, [calls.Instance(name="here", tags=("a",))])
    made = {"scamper": scamper.exported(hub, shelf), "onvp": onvp.exported(client, hub, shelf)}
    made["scamper"]["<results>"] = [list(made["scamper"]["ScamperFile"](name)) for name in recordings]
    files = [shelf.open("x", "w"), shelf.open(min(recordings), "rb")]
    made["scamper"]["<streams>"] = [Stream(client.send, err=False), *files]
    return made


def everything(mode: str) -> dict[str, Any]:
    """What a script can name without having been given it."""
    names = environment.build(
        argv=["script.py"],
        stdout=Sink(),
        stderr=Sink(),
        open=lambda *a: io.StringIO(),
        facades=facades(),
        modules=None,
        guards=mode,
    )
    builtins: Any = names["__builtins__"]
    start = {name: value for name, value in builtins.items() if not (name.startswith("_") and name.endswith("_"))}
    start |= {name: value for name, value in names.items() if not name.startswith("__")}
    for module in (*tables.MODULES, "scamper", "onvp"):
        start[f"<{module}>"] = builtins["__import__"](module, names, names, None, 0)
    return start


class Planted:
    """Has one of each forbidden thing, a few steps away."""

    module = ({"deep": (json,)},)
    code = property(lambda self: compile("1", "x", "exec"))
    enum_base = enum.Enum
    metaclass = abc.ABCMeta
    loader = json.__loader__
    table = (sys.path,)
    scope = ((json.__dict__,),)
    power = (getattr,)

    def frame(self) -> Any:
        """Give a frame when called."""
        return sys._getframe()

    def function(self) -> Any:
        """Give a function of posix when called."""
        return os.getpid

    def file(self) -> Any:
        """Give a file when called."""
        return sys.__stderr__


def main() -> None:
    """Walk and print."""
    mode = sys.argv[1]
    warnings.simplefilter("ignore")
    sys.setrecursionlimit(3000)
    environment.preload()
    planted = {"<planted>": Planted()} if sys.argv[2:] else {}
    bad, count = walk(planted or everything(mode), mode)
    print(json.dumps({"bad": bad, "count": count}), file=sys.__stdout__)


if __name__ == "__main__":
    main()
