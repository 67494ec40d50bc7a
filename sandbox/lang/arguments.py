"""A private copy of argparse for scripts: same behaviour, no files, no attribute names but plain ones.

The library's module sets attributes by names that its caller chooses, opens files, and writes to the
interpreter's streams. The copy is executed from the library's own source and then changed in four places; the
interpreter's own argparse stays as it is.
"""

import argparse
import importlib.util
import types
from typing import Any

from onvp.native import _guards
from onvp.sandbox.lang import names, safe_copy

_copy: types.ModuleType | None = None
_WIDTH = 78


class Surroundings:
    """What the copy sees as `sys`."""

    __slots__ = ("argv", "exit", "stderr", "stdin", "stdout")

    def __init__(self, argv: list[str], stdin: Any, stdout: Any, stderr: Any, leave: Any) -> None:
        self.argv, self.stdin, self.stdout, self.stderr, self.exit = argv, stdin, stdout, stderr, leave


def load() -> types.ModuleType:
    """Make the copy; the second call costs nothing."""
    global _copy  # noqa: PLW0603 - one copy for the process, made before it is confined
    if _copy is None:
        spec = importlib.util.find_spec(argparse.__name__)
        if spec is None or spec.loader is None:
            raise ImportError("the standard library's argparse cannot be found")
        _copy = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(_copy)
        _change(_copy)
    return _copy


def _change(copy: Any) -> None:
    copy._ = lambda text: text  # gettext looks for files
    copy.ngettext = lambda one, many, n: one if n == 1 else many
    copy.open = _no_files
    # The width of a terminal is asked of the system unless it is given.
    copy.HelpFormatter.__init__.__defaults__ = (2, 24, _WIDTH)
    namespace, parser = copy.Namespace, copy.ArgumentParser

    def set_plain(self: Any, name: Any, value: Any) -> None:
        if type(name) is not str or (name.startswith("_") and name != "_unrecognized_args"):
            raise AttributeError(f"dest {name!r} cannot be used: names with a leading underscore are not in scripts")
        object.__setattr__(self, name, value)

    def get_plain(self: Any, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if name.startswith("_") and name not in {
            "_unrecognized_args",
            "__dict__",
            "__class__",
            "_get_kwargs",
            "_get_args",
        }:
            raise AttributeError(f"{name} of a Namespace is not in scripts")
        return value

    namespace.__setattr__ = set_plain
    namespace.__getattribute__ = get_plain

    # Actions are called with whatever namespace a script hands them, and use these by the names of options.
    def get_attribute(o: Any, name: Any, *default: Any) -> Any:
        ours = type(o) is namespace or (isinstance(o, copy._ActionsContainer) and name.startswith("_handle_conflict_"))
        return getattr(o, name, *default) if ours else _guards.getattr_(o, name, *default)

    def set_attribute(o: Any, name: Any, value: Any) -> None:
        (setattr if type(o) is namespace else _guards.setattr_)(o, name, value)

    def delete_attribute(o: Any, name: Any) -> None:
        (delattr if type(o) is namespace else _guards.delattr_)(o, name)

    def attributes(o: Any) -> Any:
        return vars(o) if type(o) is namespace or isinstance(o, copy.Action) else _guards._vars_(o)

    copy.getattr, copy.setattr, copy.delattr, copy.vars = get_attribute, set_attribute, delete_attribute, attributes
    parse_known_args = parser.parse_known_args

    def parse_into(self: Any, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; values reach a namespace of the script's own through the guards."""
        if namespace is None or type(namespace) is copy.Namespace:
            return parse_known_args(self, args, namespace)
        fresh = copy.Namespace()
        for name, value in _guards._vars_(namespace).items():
            set_plain(fresh, name, value)
        fresh, rest = parse_known_args(self, args, fresh)
        for name, value in vars(fresh).items():
            _guards.setattr_(namespace, name, value)
        return namespace, rest

    parser.parse_known_args = parse_into
    _guards.allow_writes(namespace)
    safe_copy.allow(namespace)
    for name in names.listed("argparse"):
        made = getattr(copy, name)
        if isinstance(made, type):
            _guards.allow_base(made)


def _no_files(*args: Any, **kwargs: Any) -> Any:
    raise OSError("argparse opens no files in scripts: pass open as type=, or open the name yourself")


def bind(argv: list[str], stdin: Any, stdout: Any, stderr: Any, leave: Any) -> dict[str, Any]:
    """The module's names for one run. One run at a time: the copy's surroundings are replaced."""
    copy: Any = load()
    copy._sys = Surroundings(argv, stdin, stdout, stderr, leave)
    return {name: getattr(copy, name) for name in names.listed("argparse")}
