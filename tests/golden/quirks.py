"""Where the oracles differ from what a decoder should hold, and why: the one table of known exceptions.

Each quirk names the oracle (`attrs` or `json`), a path (as `differences` prints it, list positions left out),
and a test on (ours, theirs). A difference that no quirk explains is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MISSING = object()


@dataclass(frozen=True)
class Quirk:
    """One known difference."""

    oracle: str
    path: str
    holds: Callable[[Any, Any], bool]
    why: str


def _raised(ours: Any, theirs: Any) -> bool:
    return isinstance(theirs, dict) and "!error" in theirs


def _absent(ours: Any, theirs: Any) -> bool:
    """An attribute that upstream's module of 20260420 did not have yet."""
    return theirs is MISSING


def _ours_absent(ours: Any, theirs: Any) -> bool:
    return ours is MISSING


QUIRKS = (
    Quirk("attrs", "*", _raised, "getting it raises or crashes in upstream's module"),
    Quirk("attrs", "Host.wait_timeout", _absent, "not in the module of 20260420"),
    Quirk("attrs", "Host.mqtypes", _absent, "not in the module of 20260420"),
    Quirk(
        "attrs",
        "HostRR.opt",
        lambda ours, theirs: ours is MISSING and theirs["elemc"] == 0,
        "the module of 20260420 gives an empty OPT for every type of RR",
    ),
    Quirk(
        "attrs",
        "HostRR.svcb",
        lambda ours, theirs: ours is MISSING,
        "an empty object where the record holds no data",
    ),
    Quirk(
        "attrs",
        "HostRR.https",
        lambda ours, theirs: ours is MISSING,
        "an empty object where the record holds no data",
    ),
    Quirk(
        "attrs",
        "Ping.nloss",
        lambda ours, theirs: ours > theirs,
        "the module counts only probes that an error answered; nloss is promised for all without an answer",
    ),
    Quirk(
        "attrs",
        "Host.extended_rcode",
        lambda ours, theirs: ours in {"BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE"},
        "a comma is missing in upstream's table of extended response codes",
    ),
    Quirk(
        "attrs",
        "Trace.true()",
        lambda ours, theirs: set(ours) - set(theirs) <= {"is_stop_gaplimit", "is_stop_icmp"},
        "is_stop_gaplimit() and is_stop_icmp() raise in the module of 20260420",
    ),
    Quirk("attrs", "Ping.probe_tsaddrs", _absent, "not in the module of 20260420"),
    Quirk("attrs", "PingReply.probe_sport", _absent, "not in the module of 20260420"),
    Quirk("attrs", "PingReply.reply_tos", _absent, "not in the module of 20260420"),
    Quirk("attrs", "PingReply.icmp_tso", _absent, "not in the module of 20260420"),
    Quirk("attrs", "PingReply.icmp_tsr", _absent, "not in the module of 20260420"),
    Quirk("attrs", "PingReply.icmp_tst", _absent, "not in the module of 20260420"),
    Quirk("attrs", "PingReply.ip_rr", _absent, "not in the module of 20260420"),
    Quirk("attrs", "PingReply.ip_ts", _absent, "not in the module of 20260420"),
    Quirk("attrs", "IcmpExt.class_num", _absent, "not in the module of 20260420"),
    Quirk("attrs", "IcmpExt.c_type", _absent, "not in the module of 20260420"),
    Quirk("attrs", "IcmpExt.data_len", _absent, "not in the module of 20260420"),
    Quirk("attrs", "IcmpExt.data", _absent, "not in the module of 20260420"),
)
