"""What a rule is held against: prefixes, ports, names, hours. Built once, asked often.

Prefix sets are two sorted lists of integers and one bisection: 100,000 prefixes cost what ten do.
"""

import datetime
from bisect import bisect_right
from collections.abc import Iterable
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from onvp.policies.special import Span

L = TypeVar("L")

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_PER_DAY = 24 * 60


class PrefixSet(Generic[L]):
    """Spans of addresses, each with a label; overlaps go to the wider span, then to the earlier one."""

    __slots__ = ("_ends4", "_ends6", "_labels4", "_labels6", "_starts4", "_starts6")

    def __init__(self, spans: Iterable[tuple[Span, L]]) -> None:
        rows: dict[int, list[tuple[int, int, int, L]]] = {4: [], 6: []}
        for order, ((family, first, last), label) in enumerate(spans):
            rows[family].append((first, -last, order, label))
        self._starts4, self._ends4, self._labels4 = _flatten(rows[4])
        self._starts6, self._ends6, self._labels6 = _flatten(rows[6])

    def find(self, family: int, address: int) -> L | None:
        """The label of the span that holds ``address``, or ``None``."""
        if family == 4:
            i = bisect_right(self._starts4, address) - 1
            return self._labels4[i] if i >= 0 and address <= self._ends4[i] else None
        i = bisect_right(self._starts6, address) - 1
        return self._labels6[i] if i >= 0 and address <= self._ends6[i] else None

    def __len__(self) -> int:
        return len(self._starts4) + len(self._starts6)


def _flatten(rows: list[tuple[int, int, int, L]]) -> tuple[list[int], list[int], list[L]]:
    """Disjoint spans in order: what an earlier row covers is cut from the later ones."""
    starts: list[int] = []
    ends: list[int] = []
    labels: list[L] = []
    rows.sort(key=lambda row: row[:3])
    covered = -1
    for first, negated_last, _, label in rows:
        if -negated_last > covered:
            starts.append(max(first, covered + 1))
            ends.append(-negated_last)
            labels.append(label)
            covered = -negated_last
    return starts, ends, labels


class PortSet(msgspec.Struct, frozen=True):
    """Ports, as sorted, disjoint, not adjoining spans."""

    spans: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, spans: Iterable[tuple[int, int]]) -> "PortSet":
        """The union of ``spans``."""
        merged: list[tuple[int, int]] = []
        for low, high in sorted(spans):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return cls(tuple(merged))

    def covers(self, low: int, high: int) -> bool:
        """Is every port from ``low`` to ``high`` in the set?"""
        return any(first <= low and high <= last for first, last in self.spans)

    def __str__(self) -> str:
        return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in self.spans)


def name_matches(pattern: str, name: str) -> bool:
    """``example.net`` is that name only; ``*.example.net`` that name and every one below it."""
    name = name.rstrip(".").lower()
    if pattern.startswith("*."):
        return name == pattern[2:] or name.endswith(pattern[1:])
    return name == pattern


class Hours(msgspec.Struct, frozen=True):
    """Hours of some weekdays on the clock of a place.

    The clock on the wall decides. An hour that a time change leaves out never comes; one that it
    repeats comes twice. Hours that cross midnight belong to the day on which they begin.

    Attributes:
        days: 0 for Monday.
        begin: minutes after midnight, within.
        end: minutes after midnight, no longer within; not after ``begin`` when midnight is crossed.
        zone: an IANA name.
    """

    days: frozenset[int]
    begin: int
    end: int
    zone: str

    def contain(self, now_s: float) -> bool:
        """Is ``now_s`` (seconds since the epoch) within?"""
        local = datetime.datetime.fromtimestamp(now_s, ZoneInfo(self.zone))
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        return (minute >= self.begin and day in self.days) or (minute < self.end and (day - 1) % 7 in self.days)

    def edges(self, now_s: float) -> list[float]:
        """When it begins or ends within the next eight days, and where the zone's clock jumps."""
        zone = ZoneInfo(self.zone)
        today = datetime.datetime.fromtimestamp(now_s, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        edges = []
        for ahead in range(9):
            day = today + datetime.timedelta(days=ahead)
            for minute in (self.begin, self.end % MINUTES_PER_DAY):
                at = day.replace(hour=minute // 60, minute=minute % 60)
                edges += [at.timestamp(), at.replace(fold=1).timestamp()]
        return [edge for edge in edges if edge > now_s]


class Period(msgspec.Struct, frozen=True):
    """When a rule holds: hours of the week, a span of time, or both at once. Without either: always.

    Attributes:
        hours: ``None`` for every hour.
        from_s: seconds since the epoch, within.
        until_s: seconds since the epoch, no longer within.
    """

    hours: Hours | None = None
    from_s: float | None = None
    until_s: float | None = None

    def contains(self, now_s: float) -> bool:
        """Is ``now_s`` (seconds since the epoch) within?"""
        if self.from_s is not None and now_s < self.from_s:
            return False
        if self.until_s is not None and now_s >= self.until_s:
            return False
        return self.hours is None or self.hours.contain(now_s)

    def edges(self, now_s: float) -> list[float]:
        """The next moments at which `contains` may change."""
        edges = [e for e in (self.from_s, self.until_s) if e is not None and e > now_s]
        return edges + (self.hours.edges(now_s) if self.hours else [])
