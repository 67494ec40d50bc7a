"""How long each action can take: measured rules, and bounds that do not cut a good task short."""

from typing import Any

import pytest

from onvp.policies.action import ACTIONS, MS, S, parse
from onvp.sandbox.prober import patience
from onvp.sandbox.prober.patience import longest_s

A, B = "192.0.2.1", "192.0.2.2"
NOW = 1_800_000_000.0
DEFS = [{"method": "udp", "dst": A}, {"method": "udp", "dst": B}]


@pytest.mark.parametrize(
    ("primitive", "params", "seconds"),
    [
        ("ping", {"dst": A}, 4.0),
        ("ping", {"dst": A, "attempts": 1}, 1.0),
        ("ping", {"dst": A, "attempts": 1, "wait_probe": 3 * S}, 3.0),
        ("ping", {"dst": A, "attempts": 3, "wait_probe": 20 * MS, "wait_timeout": 500 * MS}, 0.54),
        ("dns", {"qname": "a.example", "attempts": 3, "wait_timeout": 2 * S}, 6.0),
        ("http", {"dst": A, "url": "http://a/x", "limit_time": 7 * S}, 7.0),
        ("udpprobe", {"dst": A, "dport": 53, "payload": b"x"}, 2.0),
        ("udpprobe", {"dst": A, "dport": 53, "payload": b"x", "attempts": 3}, 4.0),
        ("sniff", {"src": A, "icmp_id": 1, "limit_time": 9 * S}, 9.0),
        ("mercator", {"dst": A}, 15.0),
        ("radargun", {"probedefs": DEFS, "rounds": 2, "wait_round": S}, 7.0),
        ("radargun", {"addrs": [A, B], "probedefs": [{}], "rounds": 10, "wait_probe": S}, 25.0),
        ("midarest", {"addrs": [A], "probedefs": [{}, {}], "rounds": 3, "wait_round": S}, 4.0),
        ("midardisc", {"probedefs": DEFS, "startat": int((NOW + 10) * S), "schedule": [
            {"start": 0, "begin": 0, "end": 1}, {"start": 2 * S, "begin": 0, "end": 1}]}, 15.0),
    ],
)  # fmt: skip
def test_a_bound_follows_from_the_parameters(primitive: str, params: dict[str, Any], seconds: float) -> None:
    """The documented completion rules, in seconds."""
    assert longest_s(parse(primitive, params), NOW) == pytest.approx(seconds)


def test_a_trace_has_time_for_silent_hops() -> None:
    """A silent path of the default gap limit takes 50 s; the bound lies above that."""
    assert longest_s(parse("trace", {"dst": A}), NOW) > 50
    assert longest_s(parse("trace", {"dst": A, "hoplimit": 3, "wait_timeout": S}), NOW) == 6


def test_every_primitive_has_a_bound() -> None:
    """No action can be sent without a deadline."""
    assert set(patience._BOUNDS) == set(ACTIONS)
