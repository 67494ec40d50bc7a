"""The option grammar that all commands share: ``-x VALUE``, quoting, and the types of values.

The grammar is that of current scamper's commands: options first, flags may be bundled (``-rT``), a
value is always the next word, a value may be quoted with ``'`` or ``"``, and inside quotes a backslash
stands only before a backslash or the same quote. The first word that does not start with ``-`` ends the
options. Each reader takes the value's text and returns a typed, bounded value or raises `CommandRefused`
with the reason that the client sees.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, Final, NamedTuple

from onvp.sandbox.companion.errors import CommandRefused

SECOND: Final = 1_000_000
"""In microseconds, in which all times here are told."""

Address = IPv4Address | IPv6Address
Reader = Callable[[str], Any]

_TIME: Final = re.compile(r"(\d{1,10})(?:\.(\d{1,9}))?(s|ms|us)?\Z", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,12}\Z", re.ASCII)
_UNIT_US: Final = {"s": 1_000_000, "ms": 1000, "us": 1}


@dataclass(frozen=True)
class Option:
    """One option of a command. A `read` of None is a flag without a value."""

    name: str
    read: Reader | None = None
    repeats: bool = False


class Parsed(NamedTuple):
    """The values of the options by `Option.name` (a list where one repeats), and the words after them."""

    values: Mapping[str, Any]
    words: tuple[str, ...]


def parse(command: str, text: str, table: Mapping[str, Option]) -> Parsed:
    """Read the options of `text` by `table` (letter -> option); what remains are the targets."""
    values: dict[str, Any] = {o.name: [] for o in table.values() if o.repeats}
    at = 0
    while (at := _skip_blanks(text, at)) < len(text) and text[at] == "-":
        word, at = _word(text, at)
        for i, letter in enumerate(word[1:], 1):
            option = table.get(letter)
            if option is None or len(word) == 1:
                raise CommandRefused(f"could not parse {command} command: unknown option -{letter}")
            if option.read is None:
                value: Any = True
            else:
                at = _skip_blanks(text, at)
                if i != len(word) - 1 or at == len(text):
                    raise CommandRefused(f"could not parse {command} command: -{letter} needs a value")
                raw, at = _value(command, text, at)
                try:
                    value = option.read(raw)
                except CommandRefused as e:
                    raise CommandRefused(f"-{letter} failed: {e.reason}") from None
            if option.repeats:
                values[option.name].append(value)
            elif option.name in values:
                raise CommandRefused(f"repeated option -{letter}")
            else:
                values[option.name] = value
        if len(word) == 1:
            raise CommandRefused(f"could not parse {command} command: a lone -")
    return Parsed(values, tuple(text[at:].split(" ")) if at < len(text) else ())


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] == " ":
        at += 1
    return at


def _word(text: str, at: int) -> tuple[str, int]:
    end = text.find(" ", at)
    end = len(text) if end < 0 else end
    return text[at:end], end


def _value(command: str, text: str, at: int) -> tuple[str, int]:
    quote = text[at]
    if quote not in "'\"":
        return _word(text, at)
    out: list[str] = []
    at += 1
    while at < len(text) and text[at] != quote:
        if text[at] == "\\":
            at += 1
            if at == len(text) or text[at] not in ("\\", quote):
                raise CommandRefused(f"could not parse {command} command: a backslash that escapes nothing")
        out.append(text[at])
        at += 1
    if at == len(text):
        raise CommandRefused(f"could not parse {command} command: a quote that does not end")
    if at + 1 < len(text) and text[at + 1] != " ":
        raise CommandRefused(f"could not parse {command} command: no blank after a quoted value")
    return "".join(out), at + 1


# ---- readers of values ----


def number(what: str, low: int, high: int) -> Reader:
    """A whole decimal number within [low, high]."""

    def read(text: str) -> int:
        if not _NUMBER.match(text) or not low <= int(text) <= high:
            raise CommandRefused(f"{what} must be within {low} - {high}")
        return int(text)

    return read


def duration_us(what: str, unit: str, low_us: int, high_us: int, step_us: int = 1000) -> Reader:
    """A time as microseconds: ``1.5s``, ``20ms``, ``500us``, or a number in the option's `unit`."""

    def read(text: str) -> int:
        found = _TIME.match(text)
        if found is None:
            raise CommandRefused(f"malformed {what}")
        whole, fraction, suffix = found[1], found[2] or "", found[3]
        scale = _UNIT_US[suffix or unit]
        value, rest = divmod(int(whole + fraction) * scale, int(10 ** len(fraction)))
        if rest:
            raise CommandRefused(f"malformed {what}")
        if value % step_us:
            raise CommandRefused(f"{what} granularity limited to {_shown(step_us)}")
        if not low_us <= value <= high_us:
            raise CommandRefused(f"{what} must be within {_shown(low_us)} - {_shown(high_us)}")
        return value

    return read


def _shown(us: int) -> str:
    return f"{us // 1_000_000}s" if us % 1_000_000 == 0 else f"{us / 1000:g}ms"


def moment_us(what: str) -> Reader:
    """A time since the epoch, ``SECONDS[.FRACTION]``, as microseconds."""

    def read(text: str) -> int:
        found = _TIME.match(text)
        if found is None or found[3]:
            raise CommandRefused(f"malformed {what}")
        fraction = (found[2] or "")[:6].ljust(6, "0")
        return int(found[1]) * 1_000_000 + int(fraction)

    return read


def address(what: str) -> Reader:
    """An IPv4 or IPv6 address as a literal without a zone."""

    def read(text: str) -> Address:
        found = to_address(text)
        if found is None:
            raise CommandRefused(f"{what} must be an IP address")
        return found

    return read


def to_address(text: str) -> Address | None:
    """The address that `text` is, by the system's own reading of literals, or None."""
    for family, make in ((AF_INET, IPv4Address), (AF_INET6, IPv6Address)):
        try:
            return make(inet_pton(family, text))
        except OSError:
            continue
    return None


def octets(what: str, low: int, high: int) -> Reader:
    """Bytes in hexadecimal, between `low` and `high` of them."""

    def read(text: str) -> bytes:
        try:
            value = bytes.fromhex(text)
        except ValueError:
            raise CommandRefused(f"{what} must be hexadecimal") from None
        if " " in text or not low <= len(value) <= high:
            raise CommandRefused(f"{what} must be {low} - {high} bytes long")
        return value

    return read


def choice(what: str, table: Mapping[str, Any]) -> Reader:
    """One of the keys of `table`, whatever their case; the value is what the table says."""

    def read(text: str) -> Any:
        value = table.get(text.lower())
        if value is None:
            raise CommandRefused(f"unsupported {what}")
        return value

    return read


def text_of(what: str, longest: int) -> Reader:
    """Any text that is not empty, of at most `longest` characters."""

    def read(text: str) -> str:
        if not 1 <= len(text) <= longest:
            raise CommandRefused(f"{what} must be 1 - {longest} characters long")
        return text

    return read


USERID: Final = Option("userid", number("userid", 0, 0xFFFFFFFF))


def one_address(command: str, words: tuple[str, ...]) -> Address:
    """The single target of a command."""
    found = to_address(words[0]) if len(words) == 1 else None
    if found is None:
        raise CommandRefused(f"{command}: expected one IP address as the destination")
    return found
