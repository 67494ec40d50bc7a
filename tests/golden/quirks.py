"""Where the oracles differ from what a decoder should hold, and why: the one table of known exceptions.

Each quirk names the oracle (`attrs`, `json` or `dump`), a path (as `differences` prints it, list positions left out),
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


def _only(ours: Any, theirs: Any, extra: set[str]) -> bool:
    """We list what they list, and nothing more but `extra`."""
    lists = isinstance(ours, list) and isinstance(theirs, list)
    return lists and set(theirs) <= set(ours) and set(ours) - set(theirs) <= extra


# Attributes that upstream's module got after 20260420, whose oracles these are.
NEWER = """
    Host.mqtypes Host.wait_timeout IcmpExt.c_type IcmpExt.class_num IcmpExt.data IcmpExt.data_len
    Ping.probe_tsaddrs PingReply.icmp_tso PingReply.icmp_tsr PingReply.icmp_tst PingReply.ip_rr
    PingReply.ip_ts PingReply.probe_sport PingReply.reply_tos Udpprobe.attempts Udpprobe.stop_count
    Udpprobe.wait_probe
""".split()  # noqa: SIM905  (a table reads better as words)

QUIRKS = (
    Quirk("attrs", "*", _raised, "getting it raises or crashes in upstream's module"),
    Quirk(
        "attrs",
        "HostRR.opt",
        lambda ours, theirs: ours is MISSING and theirs == {"_": "HostOPT", "elemc": 0, "elems": []},
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
        lambda ours, theirs: isinstance(ours, int) and isinstance(theirs, int) and ours > theirs,
        "the module counts only probes that an error answered; nloss is promised for all without an answer",
    ),
    Quirk(
        "attrs",
        "Host.extended_rcode",
        lambda ours, theirs: isinstance(ours, str) and ours in {"BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE"},
        "a comma is missing in upstream's table of extended response codes",
    ),
    Quirk(
        "attrs",
        "Trace.true()",
        lambda ours, theirs: _only(ours, theirs, {"is_stop_gaplimit", "is_stop_icmp"}),
        "is_stop_gaplimit() and is_stop_icmp() raise in the module of 20260420",
    ),
    Quirk(
        "attrs",
        "Http.response_hdrs",
        lambda ours, theirs: isinstance(ours, str) and ours.lower() == theirs,
        "the module of 20260420 lower-cases header values",
    ),
    Quirk(
        "json",
        "lines",
        lambda ours, theirs: ours[1] and ours[0] > theirs,
        "sc_warts2json ends at a midarest or midardisc record",
    ),
    *(
        Quirk("attrs", f"{kind}.{name}", _absent, "upstream's module shows nothing of this type")
        for kind in ("Neighbourdisc", "Sting")
        for name in ("cycle", "list", "start", "userid", "errmsg")
    ),
    *(
        Quirk("dump", f"sting.{name}", lambda ours, theirs: ours is MISSING, "no result shows a sting's addresses")
        for name in ("src", "dst")
    ),
    *(Quirk("attrs", name, _absent, "not in the module of 20260420") for name in NEWER),
)

STALE_DUMPS = {"tracelb-gap.dump"}
"""Dumps of another run of the same command than the recording beside them (its list and times differ)."""
