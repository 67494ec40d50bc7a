"""Builders: a prober's plain values become records that upstream's programs read."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from onvp.native import _warts
from onvp.native._warts import Decoder, Encoder, build_host, build_http, build_udpprobe

CORPUS = Path(__file__).parents[1] / "golden" / "corpus"
FLAGS = ("CD", "AD", "Z", "RA", "RD", "TC", "AA", "0x80")
NOW = datetime.datetime(2026, 11, 23, 8, 0, 0, 250000, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(milliseconds=12.5)
BATCH = _warts.make_list(0, "companion", monitor="vp1")
CYCLE = _warts.make_cycle(BATCH, 1, NOW, hostname="vm")

HOST: dict[str, Any] = {
    "list": BATCH, "cycle": CYCLE, "userid": 7, "src": "192.0.2.1", "dst": "192.0.2.53", "start": NOW,
    "flags": ["tcp", "nsid"], "wait_timeout": 2.5, "stop_reason": "done", "retries": 1, "qtype": 65,
    "qname": "www.lab.example", "ecs": "198.51.100.0/24",
    "queries": [
        {"tx": NOW, "id": 1},
        {
            "tx": NOW, "rx": LATER, "id": 4660, "rcode": 3, "flags": 0x19,
            "an": [
                {"name": "www.lab.example", "rtype": 1, "ttl": 60, "data": "203.0.113.80"},
                {"name": "www.lab.example", "rtype": 28, "ttl": 60, "data": "2001:db8::80"},
                {"name": "www.lab.example", "rtype": 5, "ttl": 60, "data": "web.lab.example"},
                {"name": "lab.example", "rtype": 15, "ttl": 60, "data": (10, "mx.lab.example")},
                {"name": "lab.example", "rtype": 16, "ttl": 60, "data": ["one", b"two \xff", ""]},
                {"name": "id.server", "rclass": 3, "rtype": 16, "data": ["r4.site"]},
                {"name": "lab.example", "rtype": 65, "data": (1, "", [(1, b"\2h2"), (3, b"\1\xbb")])},
                {"name": "lab.example", "rtype": 46, "ttl": 60},
            ],
            "ns": [
                {
                    "name": "lab.example", "rtype": 6, "ttl": 60,
                    "data": ("ns.lab.example", "host.lab.example", 5, 4, 3, 2, 0),
                },
                {"name": "lab.example", "rtype": 2, "ttl": 60, "data": "ns.lab.example"},
            ],
            "ar": [{"name": "", "rclass": 1232, "rtype": 41, "ttl": 0x8000, "data": [(3, b"site-1")]}],
        },
    ],
}  # fmt: skip
HTTP: dict[str, Any] = {
    "list": BATCH, "cycle": CYCLE, "dst": "203.0.113.80", "src": "192.0.2.1", "sport": 40000, "dport": 8443,
    "start": NOW, "stop_reason": 3, "scheme": "https", "host": "www.lab.example", "file": "/a?b=c",
    "headers": ["X-Test: 1"], "hsrtt": 0.0125, "insecure": True, "maxtime": 60,
    "bufs": [
        ("tx", "tls", NOW, b"\x16\x03"),
        ("tx", "hdr", NOW, b"GET /a?b=c HTTP/1.1\r\nHost: www.lab.example\r\n\r\n\0"),
        ("rx", "hdr", LATER, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nX-Empty:\r\n\r\n"),
        ("rx", "data", LATER, b"5\r\nhello\r\n0\r\n\r\n"),
    ],
}  # fmt: skip
UDPPROBE: dict[str, Any] = {
    "list": BATCH, "cycle": CYCLE, "userid": 9, "dst": "2001:db8::161", "src": "2001:db8::1", "sport": 33000,
    "dport": 161, "wait_timeout": 2, "wait_probe": 0.5, "stop_reason": "done", "payload": b"\x30\x00",
    "attempts": 3, "stop_count": 1,
    "probes": [
        {"tx": NOW, "sport": 33000, "replies": [{"rx": LATER, "payload": b"abc", "ifname": "eth0"}]},
        {"tx": LATER, "sport": 33001},
        {
            "tx": LATER, "sport": 33002,
            "replies": [{"rx": LATER, "payload": b"d", "ifname": "eth0"}, {"rx": LATER}],
        },
    ],
}  # fmt: skip


def round_trip(result: Any) -> Any:
    """A result as it reads back."""
    return Decoder().feed(Encoder().encode(result))[2]


def test_host() -> None:
    """A DNS result reads back as it was built."""
    got = round_trip(build_host(HOST))  # type: ignore[arg-type]

    assert (str(got.src), str(got.dst), got.userid, got.start) == ("192.0.2.1", "192.0.2.53", 7, NOW)
    assert (got.list, got.cycle) == (BATCH, CYCLE)
    assert (got.qname, got.qtype, got.qclass, got.ecs) == (
        "www.lab.example", "HTTPS", "IN", "198.51.100.0/24",
    )  # fmt: skip
    assert (got.stop_reason, got.wait_timeout) == (
        _warts.ScamperHostStop.Completed,
        datetime.timedelta(seconds=2.5),
    )
    assert (got.rcode, got.tx, got.rx, got.rtt) == ("NXDomain", NOW, LATER, LATER - NOW)
    assert [str(rr) for rr in got.ans()] == [
        "www.lab.example 60 IN A 203.0.113.80",
        "www.lab.example 60 IN AAAA 2001:db8::80",
        "www.lab.example 60 IN CNAME web.lab.example",
        "lab.example 60 IN MX 10 mx.lab.example",
        'lab.example 60 IN TXT "one" "two \\xff" ""',
        'id.server 0 CH TXT "r4.site"',
        "lab.example 0 IN HTTPS not implemented",
        "lab.example 60 IN RRSIG not implemented",
    ]
    https = got.an(6).https
    assert (https.priority, https.target, [(p.key, p.val) for p in https]) == (
        1, "", [("alpn", b"\2h2"), ("port", b"\1\xbb")],
    )  # fmt: skip
    assert str(got.ns(0)) == "lab.example 60 IN SOA ns.lab.example host.lab.example 5 4 3 2 0"
    assert (got.udpsize, got.edns_version, got.edns_do) == (1232, 0, True)
    assert [(e.code, e.data) for e in next(got.ars()).opt] == [("NSID", b"site-1")]


def recorded(pattern: str) -> list[tuple[Any, bytes]]:
    """The results of recordings with their records, list and cycle as they were."""
    out = []
    for path in sorted(CORPUS.glob(pattern)):
        data, decoder = path.read_bytes(), Decoder()
        while data:
            length = 8 + int.from_bytes(data[4:8], "big")
            item = decoder.feed_record(data[:length])
            if isinstance(item, _warts.Result):
                out.append((item, data[:length]))
            data = data[length:]
    assert out
    return out


def rebuilt(result: Any) -> bytes:
    """The record of a result in a stream that has its list and cycle already."""
    encoder = Encoder()
    encoder.encode(result.list)
    encoder.encode(result.cycle)
    return encoder.encode(result)


def test_udpprobe_as_recorded() -> None:
    """Built from the values of a recording, a UDP probe result is the recording's record."""
    for got, record in recorded("new/udpprobe-*.warts"):
        spec = {
            "list": got.list, "cycle": got.cycle, "userid": got.userid, "src": got.src, "dst": got.dst,
            "sport": got.sport, "dport": got.dport, "start": got.start, "errmsg": got.errmsg,
            "wait_timeout": got.wait_timeout, "wait_probe": got.wait_probe, "payload": got.payload,
            "stop_reason": got.stop_reason, "attempts": got.attempts, "stop_count": got.stop_count,
            "exitfirst": "flags" in json.loads(got.to_json()),
            "probes": [
                {
                    "tx": p.tx, "sport": p.sport,
                    "replies": [{"rx": r.rx, "payload": r.payload, "ifname": r.ifname} for r in p],
                }
                for p in got
            ],
        }  # fmt: skip

        assert rebuilt(build_udpprobe(spec)) == record  # type: ignore[arg-type]


def test_http_as_recorded() -> None:
    """Built from the values of a recording, an HTTP result is the recording's record."""
    for got, record in recorded("new/http-[gs]*.warts") + recorded("new/https-get.warts"):
        scheme, _, rest = got.url.partition("://")
        host, _, file = rest.partition("/")
        spec = {
            "list": got.list, "cycle": got.cycle, "userid": got.userid, "src": got.src, "dst": got.dst,
            "sport": got.sport, "dport": got.dport, "start": got.start, "errmsg": got.errmsg,
            "stop_reason": got.stop_reason, "hsrtt": got.hsrtt, "maxtime": got.maxtime,
            "scheme": scheme, "host": host.partition(":")[0], "file": "/" + file,
            "bufs": [(b.dir_str, b.type_str, b.timestamp, b.payload) for b in got],
        }  # fmt: skip
        built = build_http(spec)  # type: ignore[arg-type]
        built_insecure = build_http({**spec, "insecure": True})  # type: ignore[typeddict-item]

        assert record in {rebuilt(built), rebuilt(built_insecure)}


def rr_spec(rr: Any) -> dict[str, Any]:
    """The values of an RR."""
    data: Any = rr.addr or rr.ns or rr.cname or rr.ptr
    if rr.mx is not None:
        data = (rr.mx.pref, rr.mx.exch)
    elif rr.soa is not None:
        s = rr.soa
        data = (s.mname, s.rname, s.serial, s.refresh, s.retry, s.expire, s.minimum)
    elif rr.txt is not None:
        data = list(rr.txt)
    elif rr.opt is not None:
        data = [(e.code_num, e.data or b"") for e in rr.opt]
    elif rr.https or rr.svcb:
        s = rr.https or rr.svcb
        data = (s.priority, s.target, [(p.key_num, p.val or b"") for p in s])
    return {"name": rr.name, "rclass": rr.rclass, "rtype": rr.rtype, "ttl": rr.ttl, "data": data}


def test_host_as_recorded() -> None:
    """Built from the values of a recording, an answered DNS question is the recording's record."""
    same = 0
    for got, record in recorded("new/host-*.warts"):
        shown = json.loads(got.to_json())
        if shown["qcount"] != 1 or got.rx is None or any("\\x" in rr.name for rr in got.ans()):
            continue
        query = shown["queries"][0]
        spec = {
            "list": got.list, "cycle": got.cycle, "userid": got.userid, "src": got.src, "dst": got.dst,
            "start": got.start, "errmsg": got.errmsg, "stop_reason": got.stop_reason,
            "flags": shown.get("flags", ()), "wait_timeout": got.wait_timeout, "ecs": got.ecs,
            "retries": shown["retries"], "qtype": got.qtype_num, "qname": got.qname,
            "qclass": {"IN": 1, "CH": 3}[got.qclass],
            "queries": [
                {
                    "tx": got.tx, "rx": got.rx, "id": query["id"], "rcode": got.rcode_num,
                    "flags": sum(1 << FLAGS.index(word) for word in query["flags"]),
                    "an": map(rr_spec, got.ans()), "ns": map(rr_spec, got.nss()),
                    "ar": map(rr_spec, got.ars()),
                }
            ],
        }  # fmt: skip
        built = rebuilt(build_host(spec))  # type: ignore[arg-type]
        if any("\\x" in text for rr in got.ans() if rr.txt for text in rr.txt):
            continue  # text that is no UTF-8 does not come back through its attribute
        same += 1

        assert built == record
    assert same > 50


def test_http() -> None:
    """An HTTP result reads back as it was built, header and chunked body understood."""
    got = round_trip(build_http(HTTP))  # type: ignore[arg-type]

    assert got.url == "https://www.lab.example:8443/a?b=c"
    assert (got.stop_reason_str, got.status_code, got.response) == ("done", 200, b"hello")
    assert got.response_hdrs == {"transfer-encoding": "Chunked"}
    assert got.response_hdr_byname("TRANSFER-Encoding") == "Chunked"
    assert got.transmit_hdr.endswith("\r\n\r\n")
    assert (got.hsrtt, got.maxtime) == (LATER - NOW, datetime.timedelta(minutes=1))
    assert [(b.dir_str, b.type_str, b.timestamp, b.payload) for b in got.bufs()] == HTTP["bufs"]
    with pytest.raises(ValueError, match="name must be a string"):
        got.response_hdr_byname(5)


def test_http_long_body() -> None:
    """A body longer than a record's field holds is cut into several buffers, and comes back whole."""
    body = bytes(range(256)) * 1000
    spec = {**HTTP, "bufs": [("rx", "hdr", NOW, b"HTTP/1.1 200 OK\r\n\r\n"), ("rx", "data", NOW, body)]}
    got = round_trip(build_http(spec))  # type: ignore[arg-type]

    assert got.response == body
    assert got.buf_count == 5


def test_udpprobe() -> None:
    """A UDP probe result reads back as it was built."""
    got = round_trip(build_udpprobe(UDPPROBE))  # type: ignore[arg-type]

    assert (got.start, got.attempts, got.probe_sent, got.stop_count) == (NOW, 3, 3, 1)
    assert (got.sport, got.dport, got.payload) == (33000, 161, b"\x30\x00")
    assert [[(r.rx, r.payload, r.ifname) for r in probe] for probe in got] == [
        [(LATER, b"abc", "eth0")],
        [],
        [(LATER, b"d", "eth0"), (LATER, None, None)],
    ]
    assert [probe.sport for probe in got] == [33000, 33001, 33002]
    assert len(list(got.replies())) == 3


def test_wrong_specs() -> None:
    """A key that is not known, or a value that no record can hold, is refused by name."""
    with pytest.raises(ValueError, match="http: unknown hots; known are list"):
        build_http({**HTTP, "hots": "x"})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(ValueError, match="stop_reason: 'finished' is none of"):
        build_host({**HOST, "stop_reason": "finished"})  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match=r"wait_timeout: 66 is outside of 0 to 65\.535 s"):
        build_host({**HOST, "wait_timeout": 66})  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match="qname: a NUL cannot be recorded"):
        build_host({**HOST, "qname": "a\0b"})  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match="without a time zone"):
        build_udpprobe({**UDPPROBE, "probes": [{"tx": NOW.replace(tzinfo=None)}]})  # type: ignore[typeddict-item]
    with pytest.raises(OverflowError):
        build_udpprobe({**UDPPROBE, "dport": 65536})  # type: ignore[typeddict-item]
    with pytest.raises(KeyError, match="dst"):
        build_udpprobe({"dport": 1})  # type: ignore[typeddict-item]
