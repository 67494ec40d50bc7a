"""Quantities with their units: ``64KiB/s``, ``20s``, ``500 packets``. A bare number is not a quantity.

Sizes become whole bytes, times whole microseconds, rates bytes per second, so that the engine itself
computes with integers only.
"""

import re
from typing import Final

SIZES: Final = {
    "B": 1,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
TIMES: Final = {"us": 1, "ms": 10**3, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
MULTIPLES: Final = {"": 1, "k": 10**3, "M": 10**6}

_QUANTITY = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,6}))?\s*([A-Za-z]*)(/s)?")


def parse_size(text: str) -> int:
    """Bytes, of ``256B``, ``64KiB``, ``1.5MB``."""
    return _quantity(text, SIZES, "a size", "256B, 64KiB or 50MB")


def parse_time(text: str) -> int:
    """Microseconds, of ``250ms``, ``20s``, ``5min``, ``6h``."""
    return _quantity(text, TIMES, "a duration", "250ms, 20s, 5min or 6h")


def parse_rate(text: str) -> int:
    """Bytes a second, of ``64KiB/s``."""
    if not text.endswith("/s"):
        raise ValueError(f"{text!r} is not a rate: write a size for each second, like 64KiB/s")
    return _quantity(text.removesuffix("/s"), SIZES, "a rate", "64KiB/s")


def parse_count(text: str) -> int:
    """A count, of ``500``, ``200k``, ``1M``."""
    match = re.fullmatch(r"([0-9]{1,15})([kM]?)", text)
    if match is None:
        raise ValueError(f"{text!r} is not a count: write a whole number, like 500 or 200k")
    return int(match[1]) * MULTIPLES[match[2]]


def parse_packets(text: str) -> int:
    """A count of packets, of ``500 packets``."""
    match = re.fullmatch(r"(\S+) packets?", text)
    if match is None:
        raise ValueError(f"{text!r} does not say what is counted: write it like 500 packets")
    return parse_count(match[1])


def _quantity(text: str, units: dict[str, int], what: str, example: str) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None or (match[4] and what != "a rate"):
        raise ValueError(f"{text!r} is not {what}: write it like {example}")
    whole, fraction, unit, _ = match.groups()
    if not unit:
        raise ValueError(f"{text!r} has no unit: write {what} like {example}")
    if unit not in units:
        raise ValueError(f"{unit!r} in {text!r} is not a unit of {what[2:]}; there are {', '.join(units)}")
    factor = units[unit]
    value = int(whole) * factor
    if fraction:
        parts, rest = divmod(int(fraction) * factor, 10 ** len(fraction))
        if rest:
            raise ValueError(f"{text!r} is not a whole number of {'bytes' if units is SIZES else 'us'}")
        value += parts
    return value


def show_size(size: int) -> str:
    """``size`` bytes as a policy would write them."""
    for unit in ("TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB"):
        if size and size % SIZES[unit] == 0:
            return f"{size // SIZES[unit]}{unit}"
    return f"{size}B"


def show_time(time_us: int) -> str:
    """``time_us`` microseconds as a policy would write them."""
    for unit in ("d", "h", "min", "s", "ms"):
        if time_us and time_us % TIMES[unit] == 0:
            return f"{time_us // TIMES[unit]}{unit}"
    return f"{time_us}us" if time_us else "0s"
