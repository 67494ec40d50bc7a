"""The commands of midarest and midardisc: ``dealias -m ...``, text in, a frozen request out.

Probe definitions (``-p '-P udp -i ADDRESS ...'``) and rounds (``-S START:BEGIN:END``) are small languages
of their own inside quoted values. Over IPv4 only; the other dealias methods are scamper's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from onvp.sandbox.companion.errors import CommandRefused
from onvp.sandbox.companion.options import (
    SECOND,
    USERID,
    Option,
    Reader,
    address,
    choice,
    duration_us,
    moment_us,
    number,
    parse,
    to_address,
)
from onvp.sandbox.companion.results import Probedef, ProbeMethod, Round


@dataclass(frozen=True)
class MidarestRequest:
    """Estimation: all methods to all addresses, round after round. The probedefs have no destination."""

    probedefs: tuple[Probedef, ...]
    addresses: tuple[IPv4Address, ...]
    rounds: int
    wait_probe_us: int
    wait_round_us: int
    wait_timeout_us: int
    userid: int


@dataclass(frozen=True)
class MidardiscRequest:
    """Discovery: a window over the probedefs moves on with each round. `startat_us` 0 means at once."""

    probedefs: tuple[Probedef, ...]
    schedule: tuple[Round, ...]
    startat_us: int
    wait_timeout_us: int
    userid: int


def _hex16(what: str) -> Reader:
    """A checksum: a number, decimal or as 0x..."""

    def read(text: str) -> int:
        found = re.fullmatch(r"0x([0-9a-f]{1,4})|([0-9]{1,5})", text, re.IGNORECASE)
        value = int(found[1], 16) if found and found[1] else int(found[2]) if found else -1
        if not 0 <= value <= 0xFFFF:
            raise CommandRefused(f"{what} must be within 0-65535")
        return value

    return read


_METHODS: Final = {m.name.lower().replace("_", "-"): m for m in ProbeMethod}
_MOST_PROBEDEFS: Final = 0xFFFF
_DEFAULT_DPORT: Final = 33435

PROBEDEF: Final[Mapping[str, Option]] = {
    "c": Option("icmp_sum", _hex16("csum")),
    "d": Option("dport", number("dport", 1, 65535)),
    "F": Option("sport", number("sport", 1, 65535)),
    "i": Option("dst", address("destination")),
    "P": Option("method", choice("probedef method", _METHODS)),
    "s": Option("size", number("probe size", 28, 65535)),
    "t": Option("ttl", number("ttl", 1, 255)),
    "M": Option("mtu", number("mtu size", 100, 65535)),
}


def _probedef(text: str) -> Probedef:
    parsed, words = parse("probedef", text, PROBEDEF)
    v = dict(parsed)
    if words or "method" not in v:
        raise CommandRefused("probedef needs a method and nothing after its options")
    method: ProbeMethod = v["method"]
    if (method.is_tcp and "icmp_sum" in v) or (method.is_udp and "icmp_sum" in v):
        raise CommandRefused("csum option is for icmp only")
    if not (method.is_tcp or method.is_udp) and ("sport" in v or "dport" in v):
        raise CommandRefused("port options not permitted for icmp")
    least = 40 if method.is_tcp else 30
    if v.setdefault("size", least) < least:
        raise CommandRefused(f"probedef size {v['size']} too small")
    if isinstance(v.get("dst"), IPv6Address):
        raise CommandRefused("this prober does midarest and midardisc over IPv4 only")
    if method.is_tcp or method.is_udp:
        v.setdefault("dport", _DEFAULT_DPORT)
    return Probedef(**{"dst": None, **v})


def _round(text: str) -> Round:
    start, *window = text.split(":")
    if len(window) != 2:
        raise CommandRefused("malformed round")
    begin, end = (number("index of a probedef", 0, _MOST_PROBEDEFS)(w) for w in window)
    start_us = duration_us("start of a round", "s", 0, 86_400 * SECOND, step_us=1)(start)
    return Round(start_us, begin, end)


DEALIAS: Final[Mapping[str, Option]] = {
    "m": Option("method", choice("dealias method", {m: m for m in ("midarest", "midardisc")})),
    "p": Option("probedefs", _probedef, repeats=True),
    "q": Option("attempts", number("attempts", 1, 500)),
    "r": Option("wait_round", duration_us("round time", "ms", 1000, 180 * SECOND)),
    "S": Option("schedule", _round, repeats=True),
    "U": USERID,
    "w": Option("wait_timeout", duration_us("timeout", "s", 1 * SECOND, 255 * SECOND, step_us=SECOND)),
    "W": Option("wait_probe", duration_us("inter-probe delay", "ms", 1000, 65_535_000)),
    "@": Option("startat", moment_us("startat time")),
}


def dealias(text: str) -> MidarestRequest | MidardiscRequest:
    """Read ``dealias -m midarest|midardisc ...``; the other methods are scamper's."""
    v, words = parse("dealias", text, DEALIAS)
    method = v.get("method")
    if method is None:
        raise CommandRefused("-m midarest or -m midardisc expected; other methods are not served here")
    if not 2 <= len(v["probedefs"]) <= _MOST_PROBEDEFS:
        raise CommandRefused(f"invalid parameters for {method}: two probedefs or more are needed")
    return _midarest(v, words) if method == "midarest" else _midardisc(v, words)


def _only(method: str, v: Mapping[str, Any], *names: str) -> None:
    extra = [n for n, value in v.items() if value not in ([], None) and n not in ("method", *names)]
    if extra:
        raise CommandRefused(f"invalid parameters for {method}: {', '.join(extra)}")


def _midarest(v: Mapping[str, Any], words: tuple[str, ...]) -> MidarestRequest:
    _only("midarest", v, "probedefs", "attempts", "wait_round", "wait_probe", "wait_timeout", "userid")
    addresses = tuple(to_address(w) for w in words)
    if not addresses or not all(isinstance(a, IPv4Address) for a in addresses):
        raise CommandRefused("midarest needs one or more IPv4 addresses")
    if len(set(addresses)) != len(addresses):
        raise CommandRefused("midarest needs addresses that differ")
    if any(d.dst is not None for d in v["probedefs"]):
        raise CommandRefused("unexpected dst in midarest probedef")
    count = len(v["probedefs"]) * len(addresses)
    if count > _MOST_PROBEDEFS:
        raise CommandRefused(f"at most {_MOST_PROBEDEFS} probedefs times addresses")
    wait_probe, wait_round = v.get("wait_probe"), v.get("wait_round")
    if wait_probe is None:
        wait_round = wait_round or 10 * SECOND
        wait_probe = wait_round // count
    elif wait_round is None:
        wait_round = wait_probe * count
    elif wait_probe * count > wait_round:
        raise CommandRefused("invalid wait_round given wait_probe")
    return MidarestRequest(
        probedefs=tuple(v["probedefs"]),
        addresses=tuple(a for a in addresses if isinstance(a, IPv4Address)),
        rounds=v.get("attempts", 30),
        wait_probe_us=wait_probe,
        wait_round_us=wait_round,
        wait_timeout_us=v.get("wait_timeout", SECOND),
        userid=v.get("userid", 0),
    )


def _midardisc(v: Mapping[str, Any], words: tuple[str, ...]) -> MidardiscRequest:
    _only("midardisc", v, "probedefs", "schedule", "startat", "wait_timeout", "userid")
    schedule: list[Round] = v["schedule"]
    if words or len(schedule) < 2:
        raise CommandRefused("invalid parameters for midardisc: two rounds or more, and no address")
    if any(d.dst is None for d in v["probedefs"]):
        raise CommandRefused("expected dst in midardisc probedef")
    for i, r in enumerate(schedule):
        if not r.begin <= r.end < len(v["probedefs"]):
            raise CommandRefused(f"malformed midardisc round {i}")
        before = schedule[i - 1] if i else None
        if before and (before.begin > r.begin or before.end > r.end or before.start_us >= r.start_us):
            raise CommandRefused(f"invalid round given round {i}")
    return MidardiscRequest(
        probedefs=tuple(v["probedefs"]),
        schedule=tuple(schedule),
        startat_us=v.get("startat", 0),
        wait_timeout_us=v.get("wait_timeout", SECOND),
        userid=v.get("userid", 0),
    )
