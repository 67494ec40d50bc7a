"""The Python face of the compiled guards: their tables are filled here, once, on import.

The sets say which of the host's classes a script may extend, which of those hide no private names, and
whose objects it may change; `onvp.native._guards` adds the script's own classes as they are made.
"""

import abc
import array
import builtins
import calendar
import collections
import contextlib
import csv
import datetime
import decimal
import enum
import fractions
import io
import json
import pprint
import random
import string
import textwrap
import types
import typing
from typing import Any, Final

from RestrictedPython.transformer import INSPECT_ATTRIBUTES

from onvp.native import _guards
from onvp.sandbox.lang import names

__all__ = ["ENTRY", "FULL", "INSPECTED", "LEAN", "_guards"]

# Attribute names that lead into the interpreter: frames, code, suspended generators.
INSPECTED: Final = frozenset(INSPECT_ATTRIBUTES) | names.words(
    "ag_running ag_suspended co_consts co_filename co_linetable co_exceptiontable co_positions co_lines "
    "co_names co_varnames f_lasti f_lineno f_trace_lines f_trace_opcodes cr_running cr_suspended"
)

_CLEAN: Final[tuple[Any, ...]] = (
    object, bool, bytearray, bytes, complex, dict, float, frozenset, int, list, set, str, tuple,
    abc.ABC, typing.Generic, typing.Protocol,
    enum.Enum, enum.Flag, enum.IntEnum, enum.IntFlag, enum.StrEnum, enum.ReprEnum,
    collections.Counter, collections.OrderedDict, collections.defaultdict, collections.deque,
    collections.UserDict, collections.UserList,
    *(t for t in vars(builtins).values() if isinstance(t, type) and issubclass(t, BaseException)),
    *(getattr(collections.abc, n) for n in collections.abc.__all__),
)  # fmt: skip

_BASES: Final[tuple[type, ...]] = (
    *(t for t in _CLEAN if t is not bool),
    array.array, calendar.Calendar, calendar.TextCalendar,
    contextlib.AbstractContextManager, contextlib.ContextDecorator,
    csv.Dialect, csv.DictReader, csv.DictWriter, csv.excel, csv.excel_tab, csv.unix_dialect,
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.tzinfo,
    decimal.Decimal, fractions.Fraction, io.BytesIO, io.StringIO, json.JSONDecoder, json.JSONEncoder,
    pprint.PrettyPrinter, random.Random, string.Template, textwrap.TextWrapper, types.SimpleNamespace,
    collections.ChainMap,
)  # fmt: skip

_WRITABLE: Final[tuple[type, ...]] = (decimal.Context, types.SimpleNamespace)

_ITEMS: Final[tuple[type, ...]] = (
    dict, list, bytearray, memoryview, array.array, collections.deque, collections.ChainMap,
    collections.UserDict, collections.UserList, type(decimal.Context().traps),
)  # fmt: skip

# What may stand among a class's bases without being a class: the standard library's own stand-ins.
_ALIASES: Final[tuple[type, ...]] = (
    types.GenericAlias,
    type(typing.List[int]),  # noqa: UP006 - the alias's own type is wanted
    type(typing.List),  # noqa: UP006
    type(typing.Tuple),  # noqa: UP006
    type(typing.Callable),
)

_guards.configure(
    bases=_BASES,
    clean=_CLEAN,
    aliases=_ALIASES,
    writable=_WRITABLE,
    items=_ITEMS,
    inspect_names=INSPECTED,
    special_names=names.SPECIAL_METHODS,
)

# The names of the guards in a script's builtins, and what they are.
ENTRY: Final[dict[str, Any]] = {
    name: getattr(_guards, name)
    for name in (
        "_getattr_", "_getpriv_", "_dunder_", "_special_", "_write_", "_writepriv_", "_writetext_", "_writeitem_",
        "_osetattr_", "_updatevars_", "_self_", "_format_", "_getitem_", "_getiter_", "_apply_",
        "_unpack_sequence_", "_iter_unpack_sequence_", "_inplacevar_", "_augattr_", "_augitem_",
    )
}  # fmt: skip

LEAN: Final = "static"
FULL: Final = "full"
