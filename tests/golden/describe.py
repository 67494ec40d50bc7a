"""A decoded object in the form of the `.attrs.json` oracles.

Every public attribute of every object, through replies, hops, RRs and so on. Attributes that are None are
left out; `"true()"` lists the predicates that hold; `name()` is a method that yields things; names without
parentheses that are no attribute stand for iteration (`pkts`, `elems`, ...).
"""

from __future__ import annotations

import datetime
import enum
import json
import types
from typing import Any

from onvp.native import _warts

# Methods without arguments that yield things, by class.
METHODS = {
    "Ping": ("replies",),
    "Trace": ("hops", "addrs"),
    "Host": ("ans", "nss", "ars", "ans_addrs", "ans_nses", "ans_ptrs", "ans_txts", "ans_mxes"),
    "IcmpExts": ("exts",),
    "IcmpExt": ("mpls_lses",),
    "TracePmtud": ("notes",),
    "TracePmtudNote": ("hop",),
    "Tracelb": ("nodes", "links"),
    "Dealias": ("aliases", "probedefs", "probes"),
    "DealiasProbe": ("replies",),
    "Http": ("bufs",),
    "Udpprobe": ("replies",),
    "Owamp": ("scheds", "txs"),
    "OwampTx": ("rxs",),
}
# What iteration yields, by class, under the name that the oracles give it.
ITERATED = {
    "HostOPT": "elems",
    "HostSVCB": "params",
    "HostTXT": "strs",
    "Sniff": "pkts",
    "Tbit": "pkts",
    "TracelbProbeset": "probes",
    "Udpprobe": "probes",
    "UdpprobeProbe": "replies_",
}


def describe(value: Any) -> Any:
    """`value` in the oracles' form."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, _warts.ScamperAddr):
        return str(value)
    if isinstance(value, dict):
        return {name: describe(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if type(value).__name__.startswith("Scamper"):
        return _describe_object(value)
    return [describe(item) for item in value]


def _describe_object(value: Any) -> dict[str, Any]:
    cls = type(value)
    name = cls.__name__.removeprefix("Scamper")
    out: dict[str, Any] = {"_": name}
    true = []
    for attribute in dir(cls):
        if attribute.startswith("_"):
            continue
        kind = getattr(cls, attribute)
        if isinstance(kind, types.GetSetDescriptorType | types.MemberDescriptorType):
            if attribute == "inst":
                continue
            if (name, attribute) in {("TracelbLink", "near"), ("TracelbLink", "far")}:
                continue  # these lead back to the whole: shown in short below
            item = getattr(value, attribute)
            if item is not None:
                out[attribute] = describe(item)
        elif attribute.startswith(("is_", "has_")) and getattr(value, attribute)():
            true.append(attribute)
    if true:
        out["true()"] = true
    for method in METHODS.get(name, ()):
        out[f"{method}()"] = describe(getattr(value, method)())
    if name in ITERATED:
        out[ITERATED[name]] = [describe(item) for item in value]
    if name == "Neighbourdisc":
        out["to_json()"] = json.loads(value.to_json())
    if name == "TracelbProbe":
        out["replies_"] = [describe(value.reply(i)) for i in range(value.reply_count)]
    if name == "TracelbNode":
        out["links()"] = [f"{_node(link.near)}>{_node(link.far)}" for link in value.links()]
    if name == "TracelbLink":
        out["near"] = _node(value.near)
        out["far"] = _node(value.far)
        probesets = (value.probeset(i) for i in range(value.length))
        out["probesets"] = [describe(item) for item in probesets]
    if name == "Trace" and value.stop_hop != value.hop_count:
        hops = (value.hop(i) for i in range(value.hop_count))
        out["hop(i).src"] = [None if hop is None else str(hop.src) for hop in hops]
    if name == "Dealias":
        _number_probedefs(value, out)
    return out


def _node(node: Any) -> str | None:
    """A node of a tracelb in short."""
    return None if node is None or node.src is None else str(node.src)


def _number_probedefs(value: Any, out: dict[str, Any]) -> None:
    """A probe's definition becomes its index, where the result has an equal one."""
    for probe in out["probes()"]:
        if probe.get("probedef") in out["probedefs()"]:
            probe["probedef"] = out["probedefs()"].index(probe["probedef"])
