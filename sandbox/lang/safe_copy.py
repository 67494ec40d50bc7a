"""``copy.deepcopy`` for scripts, and what dataclasses make of it.

The library's deepcopy takes every object apart, and hands its memo, with all the parts, to any ``__deepcopy__``
on the way: a script's own would be given the private state of the host's objects. This one takes apart plain
containers and the script's objects. Whatever else it meets is the host's, and stays what it is: results,
functions and types are immutable for scripts anyway.
"""

import array
import collections
import copy
import dataclasses
import decimal
import types
from collections.abc import Callable
from typing import Any, Final

from onvp.native import _guards

_MISSING: Final = object()


def deepcopy(x: Any, memo: Any = None) -> Any:
    """As `copy.deepcopy`; objects of the host's are shared, not copied."""
    if memo is None:
        memo = {}
    elif type(memo) is not dict:
        raise TypeError("deepcopy's memo is the dict that __deepcopy__ was given")
    found = memo.get(id(x), _MISSING)
    if found is not _MISSING:
        return found
    made = _made(x, memo)
    if made is not x:
        memo[id(x)] = made
        memo.setdefault(id(memo), []).append(x)  # kept, or another object could get its id
    return made


def _made(x: Any, memo: dict[int, Any]) -> Any:
    cls = type(x)
    copier = _COPIERS.get(cls)
    if copier is not None:
        return copier(x, memo)
    if not _guards.is_script_class(cls):
        return x
    own = getattr(cls, "__deepcopy__", None)
    if own is not None:
        return own(x, memo)
    return _object(x, memo)


def _object(x: Any, memo: dict[int, Any]) -> Any:
    """An object of a script's class, from the parts that the interpreter names for it."""
    parts = x.__reduce_ex__(4)
    if isinstance(parts, str):  # an enum member, say
        return x
    make, args, state, items, pairs = (*parts, None, None, None)[:5]
    made = make(*(deepcopy(part, memo) for part in args))
    memo[id(x)] = made
    slots = None
    if type(state) is tuple and len(state) == 2:
        state, slots = state
    if state:
        if hasattr(made, "__setstate__"):
            made.__setstate__(deepcopy(state, memo))
        else:
            made.__dict__.update({name: deepcopy(value, memo) for name, value in state.items()})
    for name, value in (slots or {}).items():
        object.__setattr__(made, name, deepcopy(value, memo))
    for item in items or ():
        made.append(deepcopy(item, memo))
    for key, value in pairs or ():
        made[deepcopy(key, memo)] = deepcopy(value, memo)
    return made


def _filled(x: Any, memo: dict[int, Any], made: Any) -> Any:
    """An empty container, filled with copies; noted first, for it may hold itself."""
    memo[id(x)] = made
    if isinstance(x, dict):
        for key, value in x.items():
            made[deepcopy(key, memo)] = deepcopy(value, memo)
    else:
        made.extend(deepcopy(item, memo) for item in list(x))
    return made


def _tuple(x: Any, memo: dict[int, Any]) -> Any:
    made = tuple([deepcopy(item, memo) for item in x])
    held = memo.get(id(x), _MISSING)  # it may hold itself through a list
    if held is not _MISSING:
        return held
    return x if all(new is old for new, old in zip(made, x, strict=True)) else made


def _attributes(x: Any, memo: dict[int, Any]) -> Any:
    made = type(x)()
    memo[id(x)] = made
    for name, value in list(vars(x).items()):
        setattr(made, name, deepcopy(value, memo))
    return made


_COPIERS: Final[dict[type, Callable[[Any, dict[int, Any]], Any]]] = {
    list: lambda x, memo: _filled(x, memo, []),
    dict: lambda x, memo: _filled(x, memo, {}),
    collections.OrderedDict: lambda x, memo: _filled(x, memo, collections.OrderedDict()),
    collections.Counter: lambda x, memo: _filled(x, memo, collections.Counter()),
    collections.defaultdict: lambda x, memo: _filled(x, memo, collections.defaultdict(x.default_factory)),
    collections.deque: lambda x, memo: _filled(x, memo, collections.deque(maxlen=x.maxlen)),
    collections.UserDict: _attributes,
    collections.UserList: _attributes,
    collections.ChainMap: lambda x, memo: collections.ChainMap(*deepcopy(x.maps, memo)),
    tuple: _tuple,
    set: lambda x, memo: {deepcopy(item, memo) for item in x},
    frozenset: lambda x, memo: frozenset([deepcopy(item, memo) for item in x]),
    bytearray: lambda x, memo: bytearray(x),
    array.array: lambda x, memo: x[:],
    types.SimpleNamespace: _attributes,
    decimal.Context: lambda x, memo: x.copy(),
}


def allow(cls: type) -> None:
    """Copy objects of this host's class by their attributes."""
    _COPIERS[cls] = _attributes


def asdict(obj: Any, *, dict_factory: Any = dict) -> Any:
    """As `dataclasses.asdict`."""
    if not _is_own(obj):
        raise TypeError("asdict() should be called on dataclass instances")
    return _inner(obj, lambda pairs, _: dict_factory(pairs))


def astuple(obj: Any, *, tuple_factory: Any = tuple) -> Any:
    """As `dataclasses.astuple`."""
    if not _is_own(obj):
        raise TypeError("astuple() should be called on dataclass instances")
    return _inner(obj, lambda pairs, _: tuple_factory([value for _, value in pairs]))


def _is_own(obj: Any) -> bool:
    return _guards.is_script_class(type(obj)) and dataclasses.is_dataclass(obj)


def _inner(obj: Any, make: Callable[[list[tuple[str, Any]], Any], Any]) -> Any:
    if _is_own(obj):
        return make([(field.name, _inner(getattr(obj, field.name), make)) for field in dataclasses.fields(obj)], obj)
    if isinstance(obj, tuple) and hasattr(obj, "_fields"):
        return type(obj)(*[_inner(item, make) for item in obj])
    if isinstance(obj, list | tuple):
        return type(obj)([_inner(item, make) for item in obj])
    if isinstance(obj, dict):
        pairs = [(_inner(key, make), _inner(value, make)) for key, value in obj.items()]
        if isinstance(obj, collections.defaultdict):
            return collections.defaultdict(obj.default_factory, pairs)
        return type(obj)(pairs)
    return deepcopy(obj)


TABLE: Final[dict[str, dict[str, Any]]] = {
    "copy": {"copy": copy.copy, "deepcopy": deepcopy},
    "dataclasses": {"asdict": asdict, "astuple": astuple},
}
