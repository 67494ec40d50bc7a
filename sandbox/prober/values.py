"""How a typed value is written for a prober: exactly, or not at all.

Each function here takes ``(value, parameter, dialect)`` and gives one word. It raises `Inexpressible` where
that prober cannot say the value exactly, and `UnsafeLine` where the value is not of the plain type that
the vocabulary promises (a subclass could write itself differently the second time it is asked).

Times: every option has a unit of its own in which all releases read an integer; that form is used where
it is exact. Otherwise releases since 20240117 read ``1500us`` or ``20ms``; an exponent is never written.
"""

import base64
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onvp.policies.action import MS, S
from onvp.sandbox.prober.dialect import TIME_SUFFIXES, Dialect, Generation
from onvp.sandbox.prober.errors import Inexpressible, UnsafeLine

Show = Callable[[Any, str, Dialect], str]
"""(value, parameter, dialect) → the word."""


def number(value: Any, field: str, dialect: Dialect) -> str:
    """A count, a port, a size."""
    if type(value) is not int or value < 0:
        raise UnsafeLine(f"{field} is {type(value).__name__}, not a plain number")
    return str(value)


def text(value: Any, field: str, dialect: Dialect) -> str:
    """A word of the vocabulary, or a checked string."""
    if type(value) is not str:
        raise UnsafeLine(f"{field} is {type(value).__name__}, not plain text")
    return value


def address(value: Any, field: str, dialect: Dialect) -> str:
    """An IP address, made anew from its number: a zone cannot ride along."""
    if type(value) not in {ipaddress.IPv4Address, ipaddress.IPv6Address}:
        raise UnsafeLine(f"{field} is {type(value).__name__}, not an address")
    return str(type(value)(int(value)))


def addresses(values: Sequence[Any], field: str, dialect: Dialect) -> str:
    """Addresses with commas between."""
    return ",".join(address(value, field, dialect) for value in values)


def prefix(value: Any, field: str, dialect: Dialect) -> str:
    """A prefix in slash notation."""
    if type(value) not in {ipaddress.IPv4Network, ipaddress.IPv6Network}:
        raise UnsafeLine(f"{field} is {type(value).__name__}, not a prefix")
    return f"{address(value.network_address, field, dialect)}/{int(value.prefixlen)}"


def hexadecimal(value: Any, field: str, dialect: Dialect) -> str:
    """Bytes as hex digits."""
    if type(value) is not bytes:
        raise UnsafeLine(f"{field} is {type(value).__name__}, not bytes")
    return value.hex()


def base64_text(value: Any, field: str, dialect: Dialect) -> str:
    """Bytes in base64."""
    if type(value) is not bytes:
        raise UnsafeLine(f"{field} is {type(value).__name__}, not bytes")
    return base64.b64encode(value).decode()


def time_in(unit_us: int) -> Show:
    """A time whose option counts in ``unit_us`` when its value is a bare integer."""

    def show(value: Any, field: str, dialect: Dialect) -> str:
        number(value, field, dialect)
        if value % unit_us == 0:
            return str(value // unit_us)
        if dialect.release < TIME_SUFFIXES:
            raise Inexpressible(
                field,
                f"{dialect.name} cannot express {field}={value / S:g} s: give a multiple of {unit_us / S:g} s",
            )
        return f"{value // MS}ms" if value % MS == 0 else f"{value}us"

    return show


seconds = time_in(S)


def whole_seconds(value: Any, field: str, dialect: Dialect) -> str:
    """A time that no release takes in fractions of a second."""
    if value % S:
        raise Inexpressible(field, f"{dialect.name} cannot express {field}={value / S:g} s: give whole seconds")
    return seconds(value, field, dialect)


def ping_wait_probe(value: Any, field: str, dialect: Dialect) -> str:
    """Ping's ``-i``: the one time that 20211212 takes with a fraction.

    It reads the digits after the point as an integer and scales by their count, so a zero right after the
    point changes the value (0.05 becomes 0.5 s): only fractions from a tenth of a second up are exact.
    """
    if dialect.release >= TIME_SUFFIXES:
        return seconds(value, field, dialect)
    number(value, field, dialect)
    whole, fraction = divmod(value, S)
    if fraction == 0:
        return str(whole)
    if fraction < 100 * MS:
        raise Inexpressible(
            field,
            f"{dialect.name} cannot express {field}={value / S:g} s: give whole seconds, or a fraction of "
            "at least 0.1 s",
        )
    return f"{whole}.{fraction:06d}".rstrip("0")


def point_in_time(value: Any, field: str, dialect: Dialect) -> str:
    """Microseconds as seconds with all six digits."""
    number(value, field, dialect)
    return f"{value // S}.{value % S:06d}"


def retries(value: Any, field: str, dialect: Dialect) -> str:
    """The option counts what follows the first query; ``attempts`` counts them all."""
    return number(value - 1, field, dialect)


def one_of(later: Mapping[str, int]) -> Show:
    """A word of a list; ``later`` names the words that older releases do not know, and since when."""

    def show(value: Any, field: str, dialect: Dialect) -> str:
        since = later.get(value, 0)
        if dialect.release < since:
            raise Inexpressible(
                field, f"{dialect.name} has no {field} {value!r}: scamper has it since {since}; use another"
            )
        return text(value, field, dialect)

    return show


def prefixed(before: str, show: Show) -> Show:
    """``before`` and a value in one word: ``mss=1400``."""
    return lambda value, field, dialect: before + show(value, field, dialect)


def listed(show: Show) -> Show:
    """Several values with commas between."""
    return lambda values, field, dialect: ",".join(show(value, field, dialect) for value in values)


def timestamps(value: Any, field: str, dialect: Dialect) -> str:
    """Ping's ``-T``: a word, or up to four addresses."""
    return value if type(value) is str else "tsprespec=" + addresses(value, field, dialect)


def within(old_low: int, old_high: int) -> Show:
    """A number whose range is narrower for 20211212."""

    def show(value: Any, field: str, dialect: Dialect) -> str:
        if dialect.generation is Generation.OLD and not old_low <= value <= old_high:
            raise Inexpressible(
                field, f"{dialect.name} cannot express {field}={value}: it must be {old_low} to {old_high}"
            )
        return number(value, field, dialect)

    return show


def dns_server(value: Any, field: str, dialect: Dialect) -> str:
    """20211212 asks over IPv4 only."""
    if dialect.generation is Generation.OLD and value.version != 4:
        raise Inexpressible(field, f"{dialect.name} asks DNS servers over IPv4 only: give an IPv4 {field}")
    return address(value, field, dialect)
