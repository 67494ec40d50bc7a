"""How long an action can take at worst, once its first packet may leave.

A prober has time limits of its own and mostly keeps them, not always: a dns query over TCP to a silent server
held its task for 130 s with a limit of 1 s. The driver halts what passes the figure given here plus a
slack; so the figures are upper bounds, generous where the prober's algorithm has no simple one.

Source: measured completion rules of 20211212 and 20260420; scamper(1).
"""

import itertools
from collections.abc import Callable
from typing import cast

from onvp.policies import action as act
from onvp.policies.action import Action, S

_TCP_SETUP = 30 * S
"""Connecting and greeting before a measurement over TCP begins."""


def longest_s(action: Action, now_s: float) -> float:
    """Seconds until the result must be there.

    Args:
        action: what was granted.
        now_s: the wall clock (seconds since the epoch), for actions that start at a given time.
    """
    return _BOUNDS[action.primitive](action, int(now_s * S)) / S


def _ping(a: act.Ping, _now: int) -> int:
    wait = a.wait_timeout if a.wait_timeout is not None else max(S, a.wait_probe)
    return (a.attempts - 1) * a.wait_probe + wait


def _trace(a: act.Trace, _now: int) -> int:
    hops = (a.hoplimit or 255) - a.firsthop + 1
    probes = max(a.attempts, 8) if a.confidence else a.attempts
    lookups = hops * 5 * S if a.ptr else 0
    discovery = 64 * a.attempts * a.wait_timeout if a.pmtud else 0
    return hops * probes * (a.wait_timeout + a.wait_probe) + lookups + discovery


def _tracelb(a: act.Tracelb, _now: int) -> int:
    # At most 3000 probes, paced; on top, each hop may be silent.
    return 3000 * a.wait_probe + 255 * a.attempts * a.wait_timeout


def _dns(a: act.Dns, _now: int) -> int:
    return a.attempts * a.wait_timeout


def _http(a: act.Http, _now: int) -> int:
    return a.limit_time


def _udpprobe(a: act.Udpprobe, _now: int) -> int:
    return (a.attempts - 1) * S + 2 * S


def _sniff(a: act.Sniff, _now: int) -> int:
    return a.limit_time


def _tbit(a: act.Tbit, _now: int) -> int:
    return 300 * S


def _ally(a: act.Ally, _now: int) -> int:
    return 2 * a.attempts * (a.wait_probe + a.wait_timeout)


def _mercator(a: act.Mercator, _now: int) -> int:
    return 3 * 5 * S


def _prefixscan(a: act.Prefixscan, _now: int) -> int:
    # Five replies in sequence are wanted per address, from it and from the near one.
    return 2 * 5 * a.attempts * a.scanned().num_addresses * (a.wait_probe + a.wait_timeout)


def _radargun(a: act.Radargun, _now: int) -> int:
    paced = a.wait_probe * len(a.probedefs) * max(1, len(a.addrs))
    return a.rounds * max(paced, a.wait_round or 0) + a.wait_timeout


def _midarest(a: act.Midarest, _now: int) -> int:
    paced = a.wait_probe * len(a.probedefs)
    return a.rounds * max(paced, a.wait_round) + a.wait_timeout


def _midardisc(a: act.Midardisc, now: int) -> int:
    wait = max(0, a.startat - now) if a.startat is not None else S
    starts = [step.start for step in a.schedule]
    last_round = max(later - earlier for earlier, later in itertools.pairwise(starts))
    return wait + starts[-1] + last_round + a.wait_timeout


def _owamp(a: act.Owamp, now: int) -> int:
    wait = max(0, a.startat - now) if a.startat is not None else S
    return _TCP_SETUP + wait + a.attempts * max(a.schedule or [S // 10]) + a.wait_timeout


_BOUNDS = cast(
    dict[str, Callable[[Action, int], int]],
    {
        "ping": _ping,
        "trace": _trace,
        "tracelb": _tracelb,
        "dns": _dns,
        "http": _http,
        "udpprobe": _udpprobe,
        "sniff": _sniff,
        "tbit": _tbit,
        "ally": _ally,
        "mercator": _mercator,
        "prefixscan": _prefixscan,
        "radargun": _radargun,
        "midarest": _midarest,
        "midardisc": _midardisc,
        "owamp": _owamp,
    },
)
