"""Modules as scripts see them: views with listed names, and the import statement that hands them out.

`load` imports every listed module and builds its view, once, in the zygote. What belongs to one run (streams,
arguments, a random generator) is laid over the views by `environment.py`.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from onvp.native import _guards
from onvp.sandbox.lang import advice, arguments, names, safe_copy, standins

# Modules that are made anew for each run, because they hold its streams or its state.
PER_RUN: Final = frozenset({"sys", "logging", "argparse", "pprint", "random", "traceback", "warnings"})

# What a site cannot take away: a script could not even read its arguments.
ALWAYS: Final = frozenset({"sys", "scamper", "onvp"})

_FEW: Final = 24  # names that fit into a sentence

_shared: dict[str, dict[str, Any]] = {}


def view(name: str, mapping: Mapping[str, Any]) -> Any:
    """A read-only module with these names and nothing else.

    Args:
        name: the module's name, for messages.
        mapping: what it holds. Values are handed to scripts as they are.
    """
    return _guards.make_view(name, mapping)


def load() -> Mapping[str, dict[str, Any]]:
    """Import everything that is listed; the second call costs nothing."""
    if not _shared:
        standin = {**standins.TABLE, **safe_copy.TABLE}
        standin["dataclasses"] = standins.TABLE["dataclasses"] | safe_copy.TABLE["dataclasses"]
        for module in names.MODULES:
            if module in PER_RUN:
                importlib.import_module(module)
                continue
            real = importlib.import_module(module)
            own = standin.get(module, {})
            _shared[module] = {
                name: own[name] if name in own else _value(real, module, name) for name in names.listed(module)
            }
        _shared["collections"]["abc"] = view("collections.abc", _shared["collections.abc"])
        _shared["urllib"]["parse"] = view("urllib.parse", _shared["urllib.parse"])
        arguments.load()
    return _shared


def _value(real: Any, module: str, name: str) -> Any:
    if f"{module}.{name}" in names.MODULES:
        return None  # a view; set above
    return getattr(real, name)


def importer(views: Mapping[str, Any], allowed: Iterable[str] | None) -> Callable[..., Any]:
    """The script's ``__import__``.

    Args:
        views: by full name.
        allowed: the modules that the policy leaves; ``None`` for all.
    """
    chosen = None if allowed is None else frozenset(allowed) | ALWAYS
    nothing = view("", {})

    def is_allowed(name: str) -> bool:
        return chosen is None or name in chosen or any(name == c.partition(".")[0] for c in chosen)

    def script_import(name: Any, scope: Any = None, local: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if type(name) is not str or level:
            raise ImportError("relative imports are not in scripts")
        found = views.get(name)
        if found is None:
            if name in names.C_IMPORTS:
                return nothing
            raise ImportError(_unlisted(name, views), name=name)
        if not is_allowed(name):
            if name in names.C_IMPORTS:
                return nothing
            raise ImportError(f"module {name!r} is not in this site's list of modules for scripts", name=name)
        if not fromlist:
            return found if "." not in name else views[name.partition(".")[0]]
        held = _guards.view_names(found)
        for wanted in fromlist:
            if wanted not in held:
                seen = ", ".join(sorted(held)) if len(held) <= _FEW else f"the names that dir({name}) lists"
                raise ImportError(f"cannot import name {wanted!r} from {name!r}: scripts see {seen}", name=name)
        return found

    return script_import


def _unlisted(name: str, views: Mapping[str, Any]) -> str:
    top = name.partition(".")[0]
    hint = advice.MODULES.get(name) or advice.MODULES.get(top)
    if hint is None:
        hint = f"scripts have {', '.join(sorted(v for v in views if '.' not in v))}"
    return f"module {name!r} is not in scripts: {hint}"
