"""The real parsers' word on what is rendered: every parameter of every primitive is accepted."""

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from onvp.policies.action import ACTIONS, MS, S, parse
from onvp.sandbox.prober.command import supports
from onvp.sandbox.prober.dialect import PRIMITIVE_SINCE
from onvp.sandbox.prober.driver import Prober
from onvp.sandbox.prober.session import Session
from tests.prober.tools import Daemon, Grant, Notes, run

A, B = "127.0.0.1", "127.0.0.2"
UDP = {"method": "udp", "dport": 33500, "sport": 40000, "ttl": 5}
ICMP = {"method": "icmp-echo", "icmp_sum": 7, "ttl": 9, "size": 100}

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("ping", {"dst": A, "userid": 2**32 - 1, "tos": 4, "ttl": 3, "size": 84, "mtu": 1280, "rtr": A}),
    ("ping", {"dst": A, "src": A}),
    ("ping", {"dst": "::1", "wait_probe": 20 * S, "wait_timeout": 255 * S, "attempts": 65535}),
    ("ping", {"dst": A, "wait_probe": 100 * MS}),
    ("ping", {"dst": A, "wait_probe": 1123456, "stop_count": 1}),
    ("ping", {"dst": A, "wait_probe": MS, "wait_timeout": 20 * MS}),
    ("ping", {"dst": A, "icmp_id": 0, "icmp_seq": 65535, "icmp_sum": 9, "payload": b"\x00" * 20}),
    *(("ping", {"dst": A, "method": m, "sport": 65000, "dport": 80}) for m in
      ("tcp-syn", "tcp-syn-sport", "tcp-synack", "tcp-ack", "tcp-ack-sport", "tcp-rst", "udp", "udp-dport",
       "udp-sport")),
    ("ping", {"dst": A, "method": "icmp-time"}),
    ("ping", {"dst": A, "method": "tcp-ack", "tcp_ack": 2**32 - 1}),
    ("ping", {"dst": A, "method": "tcp-syn", "tcp_seq": 2**32 - 1}),
    ("ping", {"dst": A, "method": "tcp-syn", "tcp_mss": 1400}),
    ("ping", {"dst": A, "ip_rr": True}),
    ("ping", {"dst": A, "ip_ts": "tsonly"}),
    ("ping", {"dst": A, "ip_ts": "tsandaddr"}),
    ("ping", {"dst": A, "ip_ts": [A, B]}),
    ("ping", {"dst": A, "dltx": True}),
    ("trace", {"dst": A, "confidence": 95, "dport": 80, "sport": 65535, "wait_probe": 2 * S, "userid": 5}),
    ("trace", {"dst": "::1", "firsthop": 2, "hoplimit": 9, "gaplimit": 255, "loops": 0, "squeries": 3}),
    ("trace", {"dst": A, "all_attempts": True, "attempts": 20, "tos": 4, "wait_timeout": 10 * S}),
    ("trace", {"dst": "127.0.0.3", "ptr": True}),
    ("trace", {"dst": A, "method": "icmp-paris", "icmp_id": 5, "icmp_sum": 6, "src": A, "rtr": A}),
    ("trace", {"dst": A, "method": "icmp", "icmp_id": 0}),
    ("trace", {"dst": A, "pmtud": True}),
    ("trace", {"dst": A, "payload": b"\x01\x02"}),
    ("tracelb", {"dst": A, "confidence": 99, "dport": 80, "sport": 90, "firsthop": 1, "gaplimit": 5}),
    ("tracelb", {"dst": A, "tos": 4}),
    ("tracelb", {"dst": A, "method": "icmp-echo", "attempts": 5, "wait_probe": 150 * MS, "wait_timeout": S,
                 "rtr": A, "userid": 3}),
    ("tracelb", {"dst": "127.0.0.4", "ptr": True}),
    ("dns", {"qname": "a.example", "server": A, "attempts": 4, "rd": False, "wait_timeout": S}),
    *(("dns", {"qname": "a.example", "server": A, "qtype": t}) for t in
      ("A", "AAAA", "MX", "NS", "SOA", "TXT", "SVCB", "HTTPS")),
    ("dns", {"qname": A, "server": A, "qtype": "PTR", "userid": 7, "wait_timeout": S}),
    ("dns", {"qname": "id.server", "server": "::1", "qclass": "CH", "qtype": "TXT", "nsid": True, "tcp": True,
             "ecs": "192.0.2.0/24", "wait_timeout": 1234 * MS}),
    ("http", {"dst": A, "url": "http://a.example:1/", "headers": {"X": "it's \\ \"-x"},
              "limit_time": 1500 * MS, "insecure": True, "userid": 1}),
    ("udpprobe", {"dst": A, "dport": 33500, "payload": b"x", "attempts": 3, "stop_count": 2, "src": A,
                  "userid": 4}),
    ("sniff", {"src": A, "icmp_id": 65535, "limit_pkt_count": 5000, "limit_time": 1200 * S, "userid": 9}),
    *(("tbit", {"dst": A, "method": m, "url": "http://a.example/"}) for m in
      ("pmtud", "ecn", "null", "sack-rcvr", "icw", "blind-data", "blind-rst", "blind-syn", "blind-fin")),
    ("tbit", {"dst": A, "method": "null", "url": "http://a.example/", "userid": 5}),
    ("ally", {"dst1": A, "dst2": B, "fudge": 0, "method": "udp", "sport": 9, "dport": 8, "attempts": 3}),
    ("ally", {"dst1": A, "dst2": B, "fudge": 65535, "icmp_sum": 5, "wait_probe": 65535 * MS, "userid": 5,
              "wait_timeout": 255 * S}),
    ("mercator", {"dst": A, "userid": 5}),
    ("prefixscan", {"near": A, "far": B, "prefixlen": 30, "fudge": 5, "method": "tcp-ack", "dport": 80,
                    "sport": 90, "attempts": 3, "wait_probe": 999 * MS, "wait_timeout": S, "userid": 5}),
    ("prefixscan", {"near": A, "far": B, "prefixlen": 30, "fudge": 0, "method": "icmp-echo", "icmp_sum": 5}),
    ("radargun", {"addrs": [A, B], "probedefs": [UDP, ICMP], "rounds": 2, "wait_round": 180 * S,
                  "wait_probe": MS, "wait_timeout": S, "userid": 5}),
    ("radargun", {"probedefs": [{**UDP, "dst": A}, {"method": "tcp-ack-sport", "dst": B}]}),
    ("radargun", {"addrs": [f"127.1.{i // 250}.{i % 250 + 1}" for i in range(512)], "probedefs": [ICMP]}),
    ("midarest", {"addrs": [A, B], "probedefs": [UDP, ICMP], "rounds": 2, "wait_round": S, "userid": 5,
                  "wait_probe": 100 * MS, "wait_timeout": S}),
    ("midardisc", {"probedefs": [{**UDP, "dst": A}, {**ICMP, "dst": B}], "userid": 5, "schedule": [
                   {"start": 0, "begin": 0, "end": 1}, {"start": 50 * MS, "begin": 0, "end": 1}]}),
    ("owamp", {"dst": A, "direction": "tx", "attempts": 2, "dscp": 9, "schedule": [100 * MS, 1500],
               "size": 80, "ttl": 9, "wait_timeout": S, "userid": 5}),
]  # fmt: skip


def test_every_parameter_is_tried() -> None:
    """The list below leaves no parameter out but those that no scamper here can express."""
    tried = {(primitive, name) for primitive, params in CALLS for name in params}
    every = {(p, f.name) for p, kind in ACTIONS.items() for f in msgspec.structs.fields(kind)}
    assert every - tried == {
        ("dns", "mqtypes"),  # later than any release there is
        ("http", "ech_grease"),  # needs a TLS library with ECH
        ("http", "ech_config_list"),
        ("midardisc", "startat"),  # a point in time: tried below
        ("owamp", "startat"),
        ("midardisc", "wait_timeout"),
    }


async def accepted(session: Session, notes: Notes, tasks: Iterable[int]) -> None:
    """Halt each task as soon as the prober has accepted it, until it has accepted or refused them all."""
    while left := [job for job in session._jobs.values() if job.task in tasks]:
        for job in left:
            if job.id is not None:
                session.halt(job.task)
        if all(job.id is not None for job in left):
            break
        await asyncio.sleep(0.01)


def test_a_real_scamper_accepts_whatever_is_expressible(daemon: Daemon) -> None:
    """Each call is either refused as inexpressible or accepted by the prober's own parser."""

    async def play() -> None:
        prober, notes = Prober(daemon.path), Notes()
        await prober.start()
        session = prober.open_session(notes)
        sent: dict[int, str] = {}
        for task, (primitive, params) in enumerate(CALLS, 1):
            action = parse(primitive, params)
            refusal = supports(action, prober.dialect)
            if refusal is None:
                sent[task] = prober.render(action)
                session.submit(Grant(action), task)
            else:
                assert prober.dialect.release < 20260420, f"{primitive} {params}: {refusal}"
        await accepted(session, notes, sent)
        refused = {sent[task]: why for task, (why, _) in notes.failures.items()}
        assert not refused
        assert {parse(*CALLS[task - 1]).primitive for task in sent} == {
            primitive for primitive, since in PRIMITIVE_SINCE.items() if since <= prober.dialect.release
        }
        await prober.close()

    run(play())


@pytest.mark.parametrize("primitive", ["sting", "neighbourdisc", "shutdown", "set"])
def test_there_is_no_action_for_what_scripts_must_not_reach(primitive: str) -> None:
    """The daemon's own commands and the deadly ones are not in the vocabulary."""
    assert primitive not in ACTIONS
