"""``import onvp``: what upstream's module has no word for.

`exported` makes the names that a script sees; nothing else of this module is visible to it.
"""

import base64
import datetime
import enum
import ipaddress
import json
import time
from typing import Any

from onvp.native import _warts
from onvp.sandbox.wire import calls
from onvp.sandbox.worker.artifacts import Shelf
from onvp.sandbox.worker.client import Client
from onvp.sandbox.worker.facade import control, instance
from onvp.sandbox.worker.facade.errors import Refused
from onvp.sandbox.worker.facade.hub import Hub

EMIT_LIMIT_BYTES = calls.FROM_WORKER_LIMIT_BYTES - 1024


class Vp:
    """Where this script runs. Attributes that are not known are None.

    Attributes:
        name: the VP's name.
        asn: the AS number of its address.
        country: the two-letter country code, upper case.
        tags: a set of str.
    """

    __slots__ = ("_vp",)

    def __init__(self, vp: instance.ScamperVp) -> None:
        self._vp = vp

    name = property(lambda self: self._vp.name)
    shortname = property(lambda self: self._vp.shortname)
    asn = property(lambda self: self._vp.asn4 or self._vp.asn6)
    country = property(lambda self: self._vp.cc)
    state = property(lambda self: self._vp.st)
    place = property(lambda self: self._vp.place)
    location = property(lambda self: self._vp.loc)
    airport = property(lambda self: self._vp.iata)
    ipv4 = property(lambda self: self._vp.ipv4)
    ipv6 = property(lambda self: self._vp.ipv6)
    tags = property(lambda self: self._vp.tags)

    def __str__(self) -> str:
        return str(self.name)

    def __repr__(self) -> str:
        return f"<Vp {self.name}>"


def to_json(value: Any) -> Any:
    """What JSON has no word for, in JSON's words: the ``default`` of emitted objects."""
    match value:
        case _warts.ScamperAddr() | ipaddress.IPv4Address() | ipaddress.IPv6Address():
            return str(value)
        case ipaddress.IPv4Network() | ipaddress.IPv6Network():
            return str(value)
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            return value.total_seconds()
        case enum.Enum():
            return value.value
        case set() | frozenset():
            return sorted(value, key=str)
        case bytes():
            return base64.b64encode(value).decode()
        case instance.ScamperVp() | instance.ScamperInst() | Vp():
            return value.name
        case _:
            text = getattr(value, "to_json", None)
            if callable(text):
                return json.loads(text() or "null")
    kind = type(value).__name__
    raise TypeError(f"onvp.emit cannot turn {kind} into JSON: give it dicts, lists, str, numbers, addresses or times")


def exported(client: Client, hub: Hub, shelf: Shelf) -> dict[str, Any]:
    """The names of the module."""

    def emit(obj: Any = None, **fields: Any) -> None:
        """Give the researcher a result at once: any JSON-like object, or fields by name."""
        if fields:
            if obj is not None:
                raise TypeError("emit() takes one object, or fields by name, not both")
            obj = fields
        body = json.dumps(obj, default=to_json, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        if len(body) > EMIT_LIMIT_BYTES:
            raise ValueError(f"a result of {len(body)} bytes is over {EMIT_LIMIT_BYTES}; write an artifact instead")
        client.send(calls.Emit(json=body))

    def budget() -> dict[str, float]:
        """What is left of each budget and limit, by name."""
        return hub.budget()

    def sleep_until(moment: Any) -> None:
        """Sleep until a time: a datetime (naive ones are UTC) or seconds since the epoch."""
        if isinstance(moment, datetime.datetime):
            aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
            moment = aware.timestamp()
        time.sleep(max(0.0, moment - time.time()))

    def clamps() -> list[dict[str, Any]]:
        """Every parameter that a rule narrowed so far: parameter, asked, given, rule, where."""
        return [
            {"parameter": c.parameter, "asked": c.asked, "given": c.given, "rule": c.rule, "where": c.where}
            for c in hub.clamps
        ]

    vps = [Vp(vp) for vp in control.ScamperCtrl._vps]
    return {
        "vp": vps[0] if len(vps) == 1 else None,
        "vps": tuple(vps),
        "emit": emit,
        "budget": budget,
        "clamps": clamps,
        "sleep_until": sleep_until,
        "open": shelf.open,
        "Refused": Refused,
    }
