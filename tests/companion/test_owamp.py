"""owamp: sessions in both directions, and targets that say no or talk nonsense."""

import asyncio
import socket
import time

import pytest

from onvp.sandbox.companion.commands import owamp
from onvp.sandbox.companion.errors import CommandRefused
from onvp.sandbox.companion.owamp import OneWay
from onvp.sandbox.companion.results import Owamp
from tests.companion.alone import carry_out, read_back
from tests.companion.owamp_server import owamp_server
from tests.companion.tcp_server import Handler, closing, tcp_server


def measure(command: str, handler: Handler, address: str = "127.0.0.1") -> Owamp:
    """Run an owamp command against a server; what was measured."""

    async def run(port: int) -> OneWay:
        job = OneWay(owamp(f"{command} {address}"), port)
        await carry_out(job)
        job.close()
        seen = read_back(job.encode())
        assert (seen.result_str, seen.errmsg) == (job.result.result.name.lower(), job.result.errmsg or None)
        assert [t.rx_count for t in seen.txs()] == [len(t.rxs) for t in job.result.txs]
        return job

    with tcp_server(handler, address) as port:
        return asyncio.run(run(port)).result


def soon() -> str:
    """A start that is kept without a second of waiting."""
    return f"-@ {time.time() + 0.05:.6f}"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_we_send(address: str) -> None:
    """Packets leave by the schedule with what was asked for, and what arrived is told by the target."""
    r = measure(f"{soon()} -d tx -c 4 -i 0.02,0.05 -s 90 -D 46 -m 77 -U 3 -w 1", owamp_server(), address)

    assert r.result.name == "DONE", r.errmsg
    assert [t.seq for t in r.txs] == [0, 1, 2, 3]
    assert [t.sched_us - r.startat_us for t in r.txs] == [20_000, 70_000, 90_000, 140_000]
    for t in r.txs:
        assert t.stamp_us >= t.sched_us
        (rx,) = t.rxs
        assert rx.stamp_us + 1000 >= t.stamp_us
        assert (rx.ttl, rx.errest) == (254, 0x8002)
    assert (str(r.src), r.userid, r.size) == (address, 3, 90)
    assert r.hsrtt_us > 0
    assert r.udp_sport > 0
    assert r.udp_dport > 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_we_receive(address: str) -> None:
    """What the target sends is stamped by the kernel, with TTL and DSCP; strays and nonsense do not count."""
    r = measure(f"{soon()} -d rx -c 3 -w 1", owamp_server(), address)

    assert r.result.name == "DONE", r.errmsg
    assert [t.seq for t in r.txs] == [0, 1, 2]
    for t in r.txs:
        (rx,) = t.rxs
        assert rx.stamp_us + 1000 >= t.stamp_us
        assert (rx.ttl, rx.dscp) == (64, 0)
        assert t.errest == 0x8001


def test_loss_duplicates_and_what_was_not_sent() -> None:
    """Lost, doubled and unsent packets are told apart."""
    lost = measure(f"{soon()} -d tx -c 3 -i 0.01 -w 1", owamp_server("drop"))
    assert [len(t.rxs) for t in lost.txs] == [1, 0, 1]
    double = measure(f"{soon()} -d tx -c 2 -i 0.01 -w 1", owamp_server("twice"))
    assert [len(t.rxs) for t in double.txs] == [2, 2]
    double = measure(f"{soon()} -d rx -c 2 -w 1", owamp_server("twice"))
    assert [len(t.rxs) for t in double.txs] == [2, 2]
    skipped = measure(f"{soon()} -d rx -c 3 -w 1", owamp_server("skip"))
    assert [(t.seq, t.sent, len(t.rxs)) for t in skipped.txs] == [(0, True, 1), (1, False, 0), (2, True, 1)]


@pytest.mark.parametrize(
    ("direction", "handler", "result"),
    [
        ("tx", owamp_server("nomode"), "NOMODE"),
        ("tx", owamp_server("busy"), "NOTACCEPTED"),
        ("rx", owamp_server("refuse"), "NOTACCEPTED"),
        ("tx", owamp_server("portless"), "ERROR"),
        ("rx", owamp_server("bigstop"), "ERROR"),
        ("rx", owamp_server("badstop"), "ERROR"),
        ("tx", owamp_server("bigfetch"), "ERROR"),
        ("tx", closing(b""), "TIMEOUT"),
        ("tx", lambda conn: None, "ERROR"),
        ("tx", lambda conn: conn.sendall(b"\xff" * 4096), "NOTACCEPTED"),
    ],
    ids=["nomode", "busy", "refuse", "portless", "bigstop", "badstop", "bigfetch", "silent", "closed", "garbage"],
)
def test_failures(direction: str, handler: Handler, result: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the target does, the measurement ends with the right result."""
    monkeypatch.setattr("onvp.sandbox.companion.owamp.CONTROL_S", 1)

    r = measure(f"{soon()} -d {direction} -c 2 -i 0.01 -w 1", handler)

    assert (result, bool(r.errmsg)) == (r.result.name, result == "ERROR"), r.errmsg


def test_nobody_there() -> None:
    """A refused connection is told at once."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]

    async def run() -> OneWay:
        job = OneWay(owamp("-d tx 127.0.0.1"), port)
        await carry_out(job)
        job.close()
        return job

    assert asyncio.run(run()).result.result.name == "NOCONN"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("", "destination"),
        ("-c 0 127.0.0.1", "attempts"),
        ("-D 64 127.0.0.1", "dscp"),
        ("-m 0 127.0.0.1", "ttl"),
        ("-s 41 127.0.0.1", "too small"),
        ("-s 61 ::1", "too small"),
        ("-i 0 127.0.0.1", "schedule"),
        ("-i e0.1 127.0.0.1", "schedule"),
        ("-i 3600 -c 65535 127.0.0.1", "more than a day"),
        ("-w 0.5 127.0.0.1", "timeout"),
        ("-w 21 127.0.0.1", "timeout"),
        ("-d up 127.0.0.1", "direction"),
    ],
)
def test_refused(command: str, reason: str) -> None:
    """What is out of range is refused with the reason."""
    with pytest.raises(CommandRefused, match=reason):
        owamp(command)


@pytest.mark.parametrize(("ahead_s", "reason"), [(-2, "passed"), (11, "away")])
def test_start_out_of_reach(ahead_s: int, reason: str) -> None:
    """A start that is past or far is refused."""
    with pytest.raises(CommandRefused, match=reason):
        OneWay(owamp(f"-@ {time.time() + ahead_s:.3f} 127.0.0.1")).prepare()
