"""The oracle `.dump` (sc_wartsdump): what it says of every object, also of those that the others leave out.

Of the text for people only this is read: which objects there are, in order, with list, cycle, source,
destination, user id, start and error message; and for sniff the captured packets. All else that it says of
an object is in `.json` or `.attrs.json`, but for the packets of a sting, which no result shows.
"""

from __future__ import annotations

import datetime
import re
from typing import Any

from onvp.native import _warts

Facts = dict[str, Any]

HEADS = (
    (re.compile(r'list id (?P<id>-?\d+), name (?P<name>[^,]*)(, descr "(?P<descr>.*)")?'), "list"),
    (re.compile(r"cycle (start|def), list .* -?\d+, cycle (?P<id>-?\d+), time (?P<start>.*)"), "cycle"),
    (re.compile(r"cycle stop, list .* -?\d+, cycle (?P<id>-?\d+), time (?P<stop>.*)"), "cycle"),
    (re.compile(r"(?P<kind>[a-z]+)( from (?P<src>\S+))?( to (?P<dst>\S+))?"), ""),
    (re.compile(r"sniff (?P<src>\S+)"), "sniff"),
)
LINES = (
    re.compile(r" list id: -?\d+, name: (?P<list>[^,]*)(, .*)?"),
    re.compile(r" cycle id: (?P<cycle>-?\d+)"),
    re.compile(r" user-id: (?P<userid>\d+)"),
    re.compile(r" start: (?P<start>.*)"),
    re.compile(r' errmsg: "?(?P<errmsg>[^"]*)"?'),
)
PACKET = re.compile(r"     0x[0-9a-f]{4}:  ([0-9a-f ]+)")
NUMBERS = ("id", "cycle", "userid")


def _moment(text: str) -> str:
    """`Mon Nov 23 08:15:06 2026[ 974620]` in UTC, as ISO 8601."""
    words = text.split()
    when = datetime.datetime.strptime(" ".join(words[:5]) + " +0000", "%a %b %d %H:%M:%S %Y %z")
    usec = int(words[5]) if len(words) > 5 else 0
    return when.replace(microsecond=usec).isoformat()


def _value(name: str, text: str) -> Any:
    if name in NUMBERS:
        return int(text) & 0xFFFFFFFF
    return _moment(text) if name in {"start", "stop"} else text


def said(text: str) -> list[Facts]:
    """The facts of a dump, object by object."""
    out: list[Facts] = []
    for line in text.splitlines():
        for pattern, kind in HEADS:
            head = pattern.fullmatch(line)
            if head:
                found = {"kind": kind} | {k: _value(k, v) for k, v in head.groupdict().items() if v is not None}
                out.append(found)
                break
        for pattern in LINES:
            match = pattern.fullmatch(line)
            if match:
                out[-1] |= {k: _value(k, v) for k, v in match.groupdict().items()}
        packet = PACKET.fullmatch(line)
        if packet and out[-1]["kind"] == "sniff":
            out[-1]["data"] = out[-1].get("data", "") + packet[1].replace(" ", "")
    return out


def _time(when: datetime.datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def seen(item: Any) -> Facts:
    """The same facts of an object of ours."""
    if isinstance(item, _warts.ScamperList):
        return {"kind": "list", "id": item.id, "name": item.name, "descr": item.descr}
    if isinstance(item, _warts.ScamperCycle):
        ended = _warts.cycle_kind(item) == "stop"
        moment = {"stop": _time(item.stop.replace(microsecond=0))} if ended else {"start": _time(item.start)}
        return {"kind": "cycle", "id": item.id, **moment}
    out = {
        "kind": type(item).__name__.removeprefix("Scamper").lower(),
        "userid": item.userid, "start": _time(item.start), "errmsg": item.errmsg,
        "list": item.list and item.list.name, "cycle": item.cycle and item.cycle.id,
    }  # fmt: skip
    for name in ("src", "dst"):
        if hasattr(item, name):
            address = getattr(item, name)
            out[name] = None if address is None else str(address)
    if isinstance(item, _warts.ScamperSniff):
        out["data"] = b"".join(packet.data for packet in item).hex()
    return out
