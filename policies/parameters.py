"""What a policy may say about the parameters of each primitive. Derived from the vocabulary itself.

A bound judges the effective value: where a parameter is not given, the prober's default as far as it
is known (``hoplimit`` 0 means 255 hops, say); else the bound does not apply.
"""

import enum
import types
import typing
from typing import Annotated, Any, Final, Literal

import msgspec

from onvp.policies.action import ACTIONS, Action, Ping, Radargun, S


class Kind(enum.StrEnum):
    """How a parameter is written in a policy, and whether it has an order."""

    COUNT = "count"
    TIME = "time"  # µs
    SIZE = "size"  # bytes
    BYTES = "length in bytes"
    ITEMS = "number of items"
    PRESENCE = "presence"  # it can only be forbidden

    @property
    def clampable(self) -> bool:
        """Can a value be narrowed without making another request of it?"""
        return self in {Kind.COUNT, Kind.TIME, Kind.SIZE}


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of a primitive as a policy may bound it.

    Attributes:
        kind: see `Kind`.
        low: the least value that the vocabulary takes.
        high: the largest.
        step: values are multiples of it.
        forbiddable: ``NAME: false`` is meaningful, because the parameter can be left out.
    """

    kind: Kind
    low: int = 0
    high: int = 2**63
    step: int = 1
    forbiddable: bool = False


_TIMES: Final = {"wait_probe", "wait_timeout", "wait_round", "limit_time"}
_SIZES: Final = {"size", "mtu", "tcp_mss"}
# Identity or place of a call, which other words of the language judge (destinations, ports, qtypes, methods).
_NOT_BOUNDED: Final = {
    "dst", "dst1", "dst2", "near", "far", "url", "qname", "server", "userid", "dport", "startat",
}  # fmt: skip
_BOUNDED_AS: Final = {"dns": {"recursion": "rd"}}
"""Words of the language for parameters whose own name says little."""


def _parts(annotation: Any) -> list[Any]:
    """The members of a union, or the annotation itself."""
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return [part for part in typing.get_args(annotation) if part is not type(None)]
    return [annotation]


def _parameter(name: str, field: msgspec.structs.FieldInfo) -> Parameter | None:
    required = field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT
    forbiddable = not required and field.default in {None, False, True, msgspec.NODEFAULT}
    part = _parts(field.type)[0]
    base, meta = part, None
    if typing.get_origin(part) is Annotated:
        base, *metas = typing.get_args(part)
        meta = next((m for m in metas if isinstance(m, msgspec.Meta)), None)
    if base is int:
        kind = Kind.TIME if name in _TIMES else Kind.SIZE if name in _SIZES else Kind.COUNT
        low = int(meta.ge or 0) if meta else 0
        high = int(meta.le) if meta and meta.le is not None else 2**63
        step = int(meta.multiple_of or 1) if meta else 1
        return Parameter(kind, low, high, step, forbiddable and field.default is None)
    if typing.get_origin(base) is Literal:
        values = typing.get_args(base)
        if all(isinstance(v, int) for v in values):
            return Parameter(Kind.COUNT, min(values), max(values), 1, forbiddable)
        return Parameter(Kind.PRESENCE, forbiddable=True) if field.default is None else None
    if base is bytes:
        return Parameter(Kind.BYTES, 0, meta.max_length or 2**20 if meta else 2**20, 1, forbiddable)
    if typing.get_origin(base) in {list, dict}:
        most = meta.max_length or 2**16 if meta else 2**16
        return Parameter(Kind.ITEMS, 0, most, 1, forbiddable)
    return Parameter(Kind.PRESENCE, forbiddable=True) if forbiddable else None


def _table(kind: type[Action]) -> dict[str, Parameter]:
    table = {}
    for field in msgspec.structs.fields(kind):
        if field.name in _NOT_BOUNDED or field.name in CHOICE_FIELDS.get(kind.primitive, {}).values():
            continue
        parameter = _parameter(field.name, field)
        if parameter is not None:
            table[field.name] = parameter
    return table


def _literals(kind: type[msgspec.Struct], field: str) -> tuple[str, ...]:
    annotation = next(f.type for f in msgspec.structs.fields(kind) if f.name == field)
    for part in _parts(annotation):
        if typing.get_origin(part) is Literal:
            return tuple(str(v) for v in typing.get_args(part))
        for inner in typing.get_args(part):  # a list of literals, or of structs that hold them
            if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
                return _literals(inner, "method")
            for innermost in typing.get_args(inner):
                if isinstance(innermost, type) and issubclass(innermost, msgspec.Struct):
                    return _literals(innermost, "method")
    raise LookupError(field)


CHOICE_FIELDS: Final[dict[str, dict[str, str]]] = {
    "ping": {"methods": "method"},
    "trace": {"methods": "method"},
    "tracelb": {"methods": "method"},
    "tbit": {"methods": "method"},
    "ally": {"methods": "method"},
    "prefixscan": {"methods": "method"},
    "dns": {"qtypes": "qtype", "qclasses": "qclass"},
    "owamp": {"directions": "direction"},
}
"""Words of the language that list the allowed values of a field."""

CHOICES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    primitive: {word: _literals(ACTIONS[primitive], field) for word, field in words.items()}
    for primitive, words in CHOICE_FIELDS.items()
}
for _primitive in ("radargun", "midarest", "midardisc"):
    CHOICES[_primitive] = {"methods": _literals(ACTIONS[_primitive], "probedefs")}
CHOICES["http"] = {"methods": ("GET", "HEAD"), "schemes": ("http", "https")}
CHOICES["tbit"]["schemes"] = ("http", "https")
CHOICES["dns"]["servers"] = ("resolver", "authoritative")
"""Per primitive: the words that take a list, and what may stand in it."""

HAVE_PORTS: Final = frozenset(ACTIONS) - {"sniff", "mercator", "owamp"}
"""Primitives to which ``ports`` applies."""

PARAMETERS: Final[dict[str, dict[str, Parameter]]] = {name: _table(kind) for name, kind in ACTIONS.items()}
"""Per primitive: the parameters that a policy may bound or forbid."""
for _primitive, _words in _BOUNDED_AS.items():
    for _word, _field in _words.items():
        PARAMETERS[_primitive][_word] = PARAMETERS[_primitive].pop(_field)


def field_of(primitive: str, word: str) -> str:
    """The field of the action that a word of the language bounds."""
    return _BOUNDED_AS.get(primitive, {}).get(word, word)


def chosen(action: Action, word: str) -> tuple[str, ...]:
    """What ``action`` holds of the values that the list ``word`` names; all must be allowed."""
    any_action: Any = action
    field = CHOICE_FIELDS.get(action.primitive, {}).get(word)
    if word == "qtypes":
        if any_action.mqtypes and any_action.qtype is None:
            return tuple(any_action.mqtypes)
        return (*(any_action.mqtypes or ()), any_action.question_type())
    if word == "servers":
        return ("resolver",) if any_action.server is None else ("authoritative",)
    if word == "schemes":
        return (any_action.url.partition("://")[0].lower(),)
    if field is not None:
        value = getattr(any_action, field)
        if value is None:  # ally's method
            value = "icmp-echo" if any_action.icmp_sum is not None else "udp"
        return (value,)
    if action.primitive == "http":
        return ("GET",)
    return tuple({definition.method for definition in any_action.probedefs})


_EMPTY: Final = (bool, dict, list)


def given(action: Action, field: str) -> bool:
    """Does ``action`` use the parameter at all?"""
    value = getattr(action, field)
    return bool(value) if isinstance(value, _EMPTY) else value is not None


def effective(action: Action, field: str) -> int | None:
    """The value that a bound judges; ``None`` when it is the prober's own and unknown here."""
    value = getattr(action, field)
    if isinstance(value, int):
        if value == 0:
            if field == "hoplimit":
                return 255
            if field == "stop_count" and isinstance(action, Ping):
                return action.attempts
        return value
    if value is not None:
        return len(value)
    if field == "size":
        return action.cost().packet_bytes
    if field == "wait_timeout" and isinstance(action, Ping):
        return max(S, action.wait_probe)
    if field == "wait_round" and isinstance(action, Radargun):
        return action.wait_probe * len(action.probedefs) * max(1, len(action.addrs))
    return None


FOLLOWS: Final = {
    ("udpprobe", "attempts"): "stop_count",
    ("trace", "gaplimit"): "squeries",
}
"""A parameter that must not exceed another one is narrowed with it."""
