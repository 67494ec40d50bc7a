"""Stand-ins for library functions that read or write attributes, or make classes, for their caller.

Each has the original's signature as far as scripts use it, accepts the script's own functions and classes
only, and takes no attribute name that the script could not have written itself. `TABLE` is merged into the
views by `modules.py`.
"""

import abc
import collections
import dataclasses
import enum
import functools
import hashlib
import keyword
import sys
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Final

from onvp.native import _guards
from onvp.sandbox.lang import zones
from onvp.sandbox.lang.names import ASKED

_RECURSION_LIMIT: Final = 20_000
# Made and called at run time, with what the script says: nothing for a type checker.
_namedtuple: Any = collections.namedtuple
_enum_call: Any = enum.EnumMeta.__call__


def plain_text(text: str) -> str:
    """An exact str: a subclass may lie about itself."""
    return str.__str__(text)


def plain_name(text: Any, what: str) -> str:
    """A name that a script could have written: an identifier, no keyword, no underscores at both ends.

    Raises:
        ValueError: it is not one.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, not {type(text).__name__}")
    name = plain_text(text)
    if not name.isidentifier() or keyword.iskeyword(name) or (name.startswith("_") and name.endswith("_")):
        raise ValueError(f"{what} {name!r} cannot be used: write a plain identifier")
    return name


def own_class(cls: Any, who: str) -> Any:
    """A class that the script made.

    Raises:
        TypeError: it is something else.
    """
    if not _guards.is_script_class(cls):
        raise TypeError(f"{who} works on classes that the script defines, not on {_called(cls)}")
    return cls


def _called(value: Any) -> str:
    return f"class {value.__name__!r}" if isinstance(value, type) else f"a {type(value).__name__!r} object"


# ---- abc, typing ----


def abstractmethod(function: Any) -> Any:
    """As `abc.abstractmethod`, for the script's own functions and descriptors."""
    if _guards.is_script_function(function):
        return abc.abstractmethod(function)
    if isinstance(function, property | classmethod | staticmethod):
        return function  # they ask the function inside
    raise TypeError(f"abstractmethod marks functions that the script defines, not {_called(function)}")


def identity(thing: Any) -> Any:
    """What decorators that only speak to type checkers do here: nothing."""
    return thing


# ---- collections, dataclasses ----


def namedtuple(
    typename: str,
    field_names: Any,
    *,
    rename: bool = False,
    defaults: Iterable[Any] | None = None,
    module: Any = None,
) -> Any:
    """As `collections.namedtuple`."""
    name = plain_name(typename, "a namedtuple's name")
    made = _namedtuple(name, field_names, rename=rename, defaults=defaults, module="__main__")
    return _guards.adopt(made)


class NamedTupleBase:
    """`typing.NamedTuple`: a base for a class statement, or called with a name and fields."""

    __slots__ = ()

    def __call__(self, typename: str, fields: Any = None, /, **kwargs: Any) -> Any:
        """Make a class; the types of its fields are not kept."""
        pairs = list(kwargs.items()) if fields is None else list(fields)
        made = collections.namedtuple(  # type: ignore[misc]
            plain_name(typename, "a NamedTuple's name"), [name for name, _ in pairs], module="__main__"
        )
        return _guards.adopt(made)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(typing.NamedTuple.__mro_entries__((typing.NamedTuple,)))  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return "<function NamedTuple>"


def dataclass(cls: Any = None, /, **options: Any) -> Any:
    """As `dataclasses.dataclass`, for classes that the script defines."""

    def decorate(target: Any) -> Any:
        made: Any = dataclasses.dataclass(**options)(own_class(target, "dataclass"))
        for name in ASKED.intersection(getattr(made, "__match_args__", ())):
            # A class pattern would read the name without asking.
            if issubclass(made, str | AttributeError):
                raise TypeError(f"a dataclass that is a str or an AttributeError cannot have a field called {name!r}")
        return _guards.adopt(made)  # slots=True makes a new class

    return decorate if cls is None else decorate(cls)


def make_dataclass(cls_name: str, fields: Iterable[Any], *, bases: tuple[Any, ...] = (), **options: Any) -> Any:
    """As `dataclasses.make_dataclass`, without a namespace: methods belong into a class statement."""
    if "namespace" in options:
        raise TypeError("make_dataclass(namespace=...) is not in scripts: write a class statement with @dataclass")
    for base in bases:
        own_class(base, "make_dataclass(bases=...)")
    specs: list[Any] = []
    for item in fields:
        spec = (item,) if isinstance(item, str) else tuple(item)
        name = plain_name(spec[0], "a field's name")
        default = spec[2:] if len(spec) == 3 else ()
        specs.append((name, object, *default))
    made = dataclasses.make_dataclass(plain_name(cls_name, "a dataclass's name"), specs, bases=bases, **options)
    made.__module__ = "__main__"
    return _guards.adopt(made)


class TypedDictBase:
    """`typing.TypedDict`: a base for a class statement, or called with a name and fields."""

    __slots__ = ()

    def __call__(self, typename: str, fields: Any = None, /, *, total: bool = True, **kwargs: Any) -> Any:
        """Make a class; the types of its fields are not kept."""
        found = {plain_name(name, "a field's name"): object for name in (kwargs if fields is None else fields)}
        made: Any = typing.TypedDict(plain_name(typename, "a TypedDict's name"), found, total=total)  # type: ignore[misc]
        return _guards.adopt(made)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(typing.TypedDict.__mro_entries__((typing.TypedDict,)))  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return "<function TypedDict>"


# ---- enum ----


class ScriptEnumType(enum.EnumMeta):
    """The metaclass of the script's enums: the functional form takes plain member names only."""

    def __call__(cls, value: Any, names: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Look a member up, or make an enum (``Enum("Colour", "RED GREEN")``)."""
        if names is None and not args and not kwargs:
            return _enum_call(cls, value)
        if args or set(kwargs) - {"start", "module", "qualname"}:
            raise TypeError("the functional form of Enum takes a name, members and start; write a class statement")
        plain_name(value, "an enum's name")
        if isinstance(names, str):
            names = str.__str__(names).replace(",", " ").split()
        pairs: list[Any] = []
        for item in names.items() if isinstance(names, dict) else list(names or ()):
            if isinstance(item, str):
                pairs.append(plain_name(item, "a member's name"))
            else:
                name, member = item
                pairs.append((plain_name(name, "a member's name"), member))
        start = kwargs.get("start", 1)
        made = _enum_call(cls, value, pairs, module="__main__", start=start)
        return _guards.adopt(made)


def _script_enum(base: Any, *mixins: type) -> Any:
    """The stand-in for one of the enum bases; made as a real class statement would."""
    namespace = ScriptEnumType.__prepare__(base.__name__, (*mixins, base))
    namespace["__module__"] = "enum"
    namespace["__qualname__"] = base.__name__
    return ScriptEnumType(base.__name__, (*mixins, base), namespace)


Enum: Final = _script_enum(enum.Enum)
IntEnum: Final = _script_enum(enum.IntEnum)
StrEnum: Final = _script_enum(enum.StrEnum)
Flag: Final = _script_enum(enum.Flag)
IntFlag: Final = _script_enum(enum.IntFlag)


# ---- functools, operator ----


def update_wrapper(wrapper: Any, wrapped: Any, assigned: Any = None, updated: Any = None) -> Any:
    """As `functools.update_wrapper`, for the names that describe a function; nothing else is copied."""
    if assigned is not None or updated is not None:
        raise TypeError("wraps() and update_wrapper() choose the names themselves in scripts: leave them out")
    if _guards.is_script_function(wrapper):
        for name in ("__name__", "__qualname__", "__doc__"):
            try:
                value = _guards._dunder_(wrapped, name)
            except AttributeError:
                continue
            if value is not None:
                setattr(wrapper, name, value)
    return wrapper


def wraps(wrapped: Any, assigned: Any = None, updated: Any = None) -> Callable[[Any], Any]:
    """As `functools.wraps`."""

    def decorate(wrapper: Any) -> Any:
        return update_wrapper(wrapper, wrapped, assigned, updated)

    return decorate


def total_ordering(cls: Any) -> Any:
    """As `functools.total_ordering`, for classes that the script defines."""
    return functools.total_ordering(own_class(cls, "total_ordering"))


class singledispatch:  # noqa: N801 - the library's name
    """As `functools.singledispatch`; `register` needs the class, or the first parameter's annotation."""

    __slots__ = ("_call", "_name")

    def __init__(self, func: Any) -> None:
        def default(*args: Any, **kwargs: Any) -> Any:
            return func(*args, **kwargs)

        self._call = functools.singledispatch(default)
        self._name = str(getattr(func, "__name__", "function"))

    def register(self, cls: Any, func: Any = None) -> Any:
        """Use a function for a class and its subclasses."""
        kinds = typing.get_args(cls) if isinstance(cls, types.UnionType) else (cls,)
        for kind in kinds:
            if not isinstance(kind, type):
                raise TypeError(
                    f"register() of {self._name} needs a class: write @{self._name}.register(int) above the function"
                )
        if func is None:
            return lambda f: self.register(cls, f)
        for kind in kinds:
            self._call.register(kind, func)
        return func

    def dispatch(self, cls: Any) -> Any:
        """The function for a class."""
        return self._call.dispatch(cls)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function for the first argument's class."""
        if not args:
            raise TypeError(f"{self._name} requires at least 1 positional argument")
        return self._call(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)


class attrgetter:  # noqa: N801 - the library's name
    """As `operator.attrgetter`, through the guards."""

    __slots__ = ("_paths",)

    def __init__(self, attr: str, /, *attrs: str) -> None:
        paths = []
        for path in (attr, *attrs):
            if not isinstance(path, str):
                raise TypeError("attribute name must be a string")
            paths.append(tuple(str.__str__(path).split(".")))
        self._paths = tuple(paths)

    def __call__(self, obj: Any) -> Any:
        """Read the attributes."""
        found = []
        for path in self._paths:
            value = obj
            for step in path:
                value = _guards._getattr_(value, step)
            found.append(value)
        return found[0] if len(found) == 1 else tuple(found)


class methodcaller:  # noqa: N801 - the library's name
    """As `operator.methodcaller`, through the guards."""

    __slots__ = ("_args", "_kwargs", "_name")

    def __init__(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        if not isinstance(name, str):
            raise TypeError("method name must be a string")
        self._name, self._args, self._kwargs = str.__str__(name), args, kwargs

    def __call__(self, obj: Any) -> Any:
        """Call the method."""
        return _guards._getattr_(obj, self._name)(*self._args, **self._kwargs)


# ---- sys ----


def exit_script(code: Any = None) -> None:
    """``sys.exit``, ``exit`` and ``quit``."""
    raise SystemExit(code)


def exc_info() -> tuple[Any, Any, None]:
    """As `sys.exc_info`, without the traceback: it leads to frames."""
    kind, value, _ = sys.exc_info()
    return kind, value, None


def setrecursionlimit(limit: int) -> None:
    """As `sys.setrecursionlimit`, up to 20000."""
    if type(limit) is not int or not 50 <= limit <= _RECURSION_LIMIT:
        raise ValueError(f"the recursion limit must be an int from 50 to {_RECURSION_LIMIT}")
    sys.setrecursionlimit(limit)


class SimpleConstant:
    """A few constants under plain names."""

    __slots__ = ("name", "version")

    def __init__(self, name: str, version: Any) -> None:
        self.name, self.version = name, version


class catch_warnings:  # noqa: N801 - the library's name
    """As `warnings.catch_warnings`: there is nothing to restore."""

    def __init__(self, *, record: bool = False, **options: Any) -> None:
        self._record = record

    def __enter__(self) -> Any:
        return [] if self._record else None

    def __exit__(self, *exc: object) -> None:
        return None


NamedTuple: Final = NamedTupleBase()
TypedDict: Final = TypedDictBase()
for _marker in (NamedTupleBase, TypedDictBase):
    _guards.allow_alias(_marker)
for _entry in (*NamedTuple.__mro_entries__(()), *TypedDict.__mro_entries__(())):
    _guards.allow_base(_entry, clean=True)
for _base in (Enum, IntEnum, StrEnum, Flag, IntFlag):
    _guards.allow_base(_base, clean=True)

TABLE: Final[dict[str, dict[str, Any]]] = {
    "abc": {"abstractmethod": abstractmethod},
    "collections": {"namedtuple": namedtuple},
    "dataclasses": {"dataclass": dataclass, "make_dataclass": make_dataclass},
    "enum": {"Enum": Enum, "IntEnum": IntEnum, "StrEnum": StrEnum, "Flag": Flag, "IntFlag": IntFlag},
    "functools": {
        "singledispatch": singledispatch, "total_ordering": total_ordering, "update_wrapper": update_wrapper,
        "wraps": wraps,
    },
    "hashlib": {
        "algorithms_available": frozenset(hashlib.algorithms_available),
        "algorithms_guaranteed": frozenset(hashlib.algorithms_guaranteed),
    },
    "operator": {"attrgetter": attrgetter, "methodcaller": methodcaller},
    "typing": {"NamedTuple": NamedTuple, "TypedDict": TypedDict, "final": identity, "overload": identity,
               "no_type_check": identity},
    "zoneinfo": {"ZoneInfo": zones.ZoneInfo, "available_timezones": zones.available_timezones},
}  # fmt: skip
