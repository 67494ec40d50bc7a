"""The time zones of the tzdata package, in memory: behind the walls there are no files to read.

`load` reads every zone's bytes once, in the zygote (about 350 KB with aliases shared); `ZoneInfo` makes
zones out of them when they are asked for.
"""

import importlib.resources
import io
import zoneinfo
from typing import Any

_data: dict[str, bytes] = {}
_made: dict[str, "ZoneInfo"] = {}


def load() -> None:
    """Read all zones; does nothing the second time."""
    if _data:
        return
    root = importlib.resources.files("tzdata")
    shared: dict[bytes, bytes] = {}
    for key in (root / "zones").read_text(encoding="utf-8").split():
        raw = (root / "zoneinfo").joinpath(*key.split("/")).read_bytes()
        _data[key] = shared.setdefault(raw, raw)


def available_timezones() -> set[str]:
    """The keys of all zones."""
    return set(_data)


class ZoneInfo(zoneinfo.ZoneInfo):
    """As `zoneinfo.ZoneInfo`; the same key gives the same object."""

    def __new__(cls, key: str) -> "ZoneInfo":
        """Find a zone."""
        if not isinstance(key, str):
            raise TypeError(f"a zone's key must be a str, not {type(key).__name__}")
        key = str.__str__(key)
        found = _made.get(key)
        if found is None:
            raw = _data.get(key)
            if raw is None:
                raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
            found = _made[key] = super().from_file(io.BytesIO(raw), key=key)
        return found

    @classmethod
    def no_cache(cls, key: str) -> "ZoneInfo":
        """The same as calling the class: zones are immutable."""
        return cls(key)

    @classmethod
    def clear_cache(cls, *, only_keys: Any = None) -> None:
        """Nothing: zones are immutable."""

    @classmethod
    def from_file(cls, fobj: Any, /, key: str | None = None) -> "ZoneInfo":
        """Not in scripts."""
        raise ValueError("ZoneInfo.from_file is not in scripts: use ZoneInfo(key)")

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (ZoneInfo, (self.key,))

    def __deepcopy__(self, memo: Any) -> "ZoneInfo":
        return self

    def __copy__(self) -> "ZoneInfo":
        return self


ZoneInfo.__module__ = "zoneinfo"
