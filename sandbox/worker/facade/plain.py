"""A script's values, made plain: what crosses the wire is a fresh int, str, bytes, bool, list or dict.

Subclasses lose their overridden methods here: the base type's own slot reads the value, so what is
judged later is what was passed, and cannot change afterwards. Range checks are the other side's.
"""

import datetime
import ipaddress
import math
import reprlib
from collections.abc import Callable, Iterable
from typing import Any

from onvp.native import _warts

MICROSECONDS = 1_000_000
NUMBER_LIMIT = 2**63 - 1
"""What an integer on the wire can be."""


def integer(name: str, value: Any) -> int:
    """A plain int. A bool is not one: ``attempts=True`` is a mistake, not a count."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {_kind(value)}")
    return _sendable(name, int.__int__(value))


def text(name: str, value: Any) -> str:
    """A plain str."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {_kind(value)}")
    plain = str.__str__(value)
    if type(plain) is not str:
        plain = str.__getitem__(value, slice(None))
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds a lone surrogate, which cannot be sent") from None
    return plain


def boolean(name: str, value: Any) -> bool:
    """A plain bool; 0 and 1 will do."""
    if isinstance(value, bool):
        return value
    if type(value) is int and value in {0, 1}:
        return bool(value)
    raise TypeError(f"{name} must be a bool, not {_kind(value)}")


def octets(name: str, value: Any) -> bytes:
    """Plain bytes."""
    if isinstance(value, bytes):
        return bytes.__getitem__(value, slice(None)) if type(value) is not bytes else value
    if isinstance(value, bytearray | memoryview):
        return bytes(memoryview(value))
    raise TypeError(f"{name} must be bytes, not {_kind(value)}")


def address(name: str, value: Any) -> str:
    """An address as text: from a str, a ScamperAddr or an `ipaddress` address."""
    if isinstance(value, str):
        return text(name, value)
    if isinstance(value, _warts.ScamperAddr):
        return str(value)
    if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return str(ipaddress.ip_address(value.packed))
    raise TypeError(f"{name} must be an address (str or ScamperAddr), not {_kind(value)}")


def network(name: str, value: Any) -> str:
    """A prefix as text."""
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return str(value)
    return text(name, value)


def duration(name: str, value: Any) -> int:
    """A time span (timedelta, or seconds as int or float) in whole microseconds."""
    if isinstance(value, datetime.timedelta):
        days, seconds, micros = (
            getattr(datetime.timedelta, x).__get__(value) for x in ("days", "seconds", "microseconds")
        )
        return _sendable(name, int((days * 86400 + seconds) * MICROSECONDS + micros), " µs")
    if isinstance(value, float):
        seconds = float.__float__(value)
        if not math.isfinite(seconds):
            raise ValueError(f"{name}={seconds} is not a time span")
        # The product of a huge float is infinite: then whole seconds will do, they are refused anyway.
        micros = seconds * MICROSECONDS
        return _sendable(name, round(micros) if math.isfinite(micros) else int(seconds), " µs")
    if isinstance(value, int) and not isinstance(value, bool):
        return _sendable(name, int.__int__(value) * MICROSECONDS, " µs")
    raise TypeError(f"{name} must be a timedelta or seconds, not {_kind(value)}")


def moment(name: str, value: Any) -> int:
    """A datetime as microseconds since the epoch; a naive one is UTC here, where the clock is UTC."""
    if not isinstance(value, datetime.datetime):
        raise TypeError(f"{name} must be a datetime, not {_kind(value)}")
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    span = value - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return duration(name, span)


def several(item: Callable[[str, Any], Any]) -> Callable[[str, Any], list[Any]]:
    """A converter for a list, tuple or set of what ``item`` converts."""

    def convert(name: str, value: Any) -> list[Any]:
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            raise TypeError(f"{name} must be a list, not {_kind(value)}")
        return [item(f"{name}[{i}]", x) for i, x in enumerate(value)]

    return convert


def headers(name: str, value: Any) -> dict[str, str]:
    """HTTP headers, as upstream takes them: a dict of str."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a dict of str, not {_kind(value)}")
    try:
        return {text(f"a name in {name}", k): text(f"{name}[{k!r}]", v) for k, v in dict.items(value)}
    except TypeError as error:
        # Upstream documents ValueError for headers of wrong types.
        raise ValueError(str(error)) from None


def timestamps(name: str, value: Any) -> str | list[str]:
    """The IP timestamp option: a word, or up to four addresses."""
    if isinstance(value, str):
        return text(name, value)
    try:
        return several(address)(name, value)
    except TypeError as error:
        raise ValueError(str(error)) from None


def probedef(name: str, value: Any) -> dict[str, Any]:
    """A ScamperDealiasProbedef as a map of what is set."""
    if not isinstance(value, _warts.ScamperDealiasProbedef):
        raise TypeError(f"{name} must be a ScamperDealiasProbedef, not {_kind(value)}")
    flags = {
        "-P": "method",
        "-c": "icmp_sum",
        "-d": "dport",
        "-F": "sport",
        "-i": "dst",
        "-s": "size",
        "-t": "ttl",
    }
    words = str(value).strip("'").split()
    made: dict[str, Any] = {}
    for flag, word in zip(words[::2], words[1::2], strict=True):
        key = flags[flag]
        made[key] = word if key in {"method", "dst"} else int(word)
    return made


def midar_round(name: str, value: Any) -> dict[str, int]:
    """A ScamperDealiasMidardiscRound as a map."""
    if not isinstance(value, _warts.ScamperDealiasMidardiscRound):
        raise TypeError(f"{name} must be a ScamperDealiasMidardiscRound, not {_kind(value)}")
    start, begin, end = str(value).split(":")
    seconds, _, micros = start.partition(".")
    return {
        "start": int(seconds) * MICROSECONDS + int(micros.ljust(6, "0")),
        "begin": int(begin),
        "end": int(end),
    }


def intervals(name: str, value: Any) -> list[int]:
    """An OWAMP schedule: comma-separated seconds, as upstream takes it."""
    words = text(name, value).split(",")
    try:
        return [duration(name, float(word)) for word in words]
    except ValueError:
        raise ValueError(f"{name}={value!r} must be seconds separated by commas, such as '0.1,0.2'") from None


def _sendable(name: str, number: int, unit: str = "") -> int:
    """A number as it is, if the wire has room for it: no parameter takes one that is larger by far."""
    if not -NUMBER_LIMIT <= number <= NUMBER_LIMIT:
        raise ValueError(f"{name}={reprlib.repr(number)}{unit}: no parameter takes numbers beyond {NUMBER_LIMIT}{unit}")
    return number


def _kind(value: Any) -> str:
    return type(value).__name__
