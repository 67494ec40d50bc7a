"""udpprobe: all replies of the target to all probes, nothing else, in the time that was asked for."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from onvp.sandbox.companion.commands import udpprobe
from onvp.sandbox.companion.errors import CommandRefused
from onvp.sandbox.companion.results import UdpprobeStop
from onvp.sandbox.companion.room import Room
from onvp.sandbox.companion.udpprobe import REPLIES, Udp
from tests.companion.alone import carry_out, read_back


@contextmanager
def udp_server(replies: int, address: str = "127.0.0.1") -> Iterator[int]:
    """Answers each datagram `replies` times: its own bytes and the number of the reply."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock, socket.socket(family, socket.SOCK_DGRAM) as other:
        sock.bind((address, 0))
        port: int = sock.getsockname()[1]

        def serve() -> None:
            while True:
                data, who = sock.recvfrom(65535)
                if data == b"end":
                    return
                other.sendto(b"spoofed", who)
                for i in range(replies):
                    sock.sendto(data + bytes((i & 0xFF,)), who)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield port
        finally:
            other.sendto(b"end", (address, port))
            thread.join(10)


def probe(command: str, room: Room | None = None, halt_after_s: float | None = None) -> Udp:
    """Run a udpprobe command."""

    async def run() -> Udp:
        job = Udp(udpprobe(command), room or Room())
        await carry_out(job, halt_after_s)
        job.close()
        return job

    return asyncio.run(run())


def decoded(job: Udp) -> Any:
    """The record as scripts see it."""
    return read_back(job.encode())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_replies(address: str) -> None:
    """Each probe has its own port and all replies of the target, duplicates too; a stranger's do not."""
    with udp_server(3, address) as port:
        began = time.monotonic()
        job = probe(f"-U 5 -c 2 -o 2 -W 0.5 -w 0.5 -d {port} -p 6869 {address}")
        took = time.monotonic() - began
    seen = decoded(job)

    assert job.result.stop is UdpprobeStop.DONE
    assert took >= 1.0, "the probes are half a second apart, and replies are waited for to the end"
    assert [[r.payload for r in p] for p in seen] == [[b"hi\0", b"hi\1", b"hi\2"]] * 2
    assert len({p.sport for p in seen}) == 2
    assert {r.ifname for r in seen.replies()} == {"lo"}
    for p in seen:
        assert all(r.rx >= p.tx for r in p)
    first, second = (p.tx for p in seen)
    assert (second - first).total_seconds() >= 0.5
    assert (seen.userid, seen.attempts, seen.stop_count, seen.probe_sent) == (5, 2, 2, 2)
    assert (str(seen.src), seen.dport, seen.sport) == (address, port, 0)
    assert (seen.wait_probe.total_seconds(), seen.wait_timeout.total_seconds()) == (0.5, 0.5)


def test_single_probe() -> None:
    """With one probe the record's source port is that probe's."""
    with udp_server(1) as port:
        seen = decoded(probe(f"-w 0.5 -d {port} -p 00 127.0.0.1"))

    assert seen.sport == seen.probe(0).sport > 0
    assert seen.start == seen.probe(0).tx


def test_exit_first() -> None:
    """With exitfirst the first reply ends the measurement."""
    with udp_server(1) as port:
        began = time.monotonic()
        job = probe(f"-O exitfirst -w 5 -d {port} -p 00 127.0.0.1")
        assert time.monotonic() - began < 5

    assert [len(p.replies) for p in job.result.probes] == [1]


def test_flood() -> None:
    """No more replies are kept than the record has room for."""
    with udp_server(3000) as port:
        job = probe(f"-w 0.5 -d {port} -p 00 127.0.0.1")

    assert len(job.result.probes[0].replies) == REPLIES
    assert decoded(job).probe(0).reply_count == REPLIES


def test_no_memory_left() -> None:
    """Replies of all measurements together have a bound; meeting it is an error with a sentence."""
    with udp_server(20) as port:
        job = probe(f"-w 0.5 -d {port} -p 00 127.0.0.1", Room(1000))

    assert job.result.stop is UdpprobeStop.ERROR
    assert "no memory left" in decoded(job).errmsg


def test_nobody_listens() -> None:
    """A closed port is silence, not an error."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    job = probe(f"-c 2 -W 0.5 -w 0.5 -d {port} -p 00 127.0.0.1")

    assert job.result.stop is UdpprobeStop.DONE
    assert [len(p.replies) for p in job.result.probes] == [0, 0]


def test_halt() -> None:
    """Halted, it keeps the probes and replies so far."""
    with udp_server(1) as port:
        job = probe(f"-c 5 -w 5 -W 5 -d {port} -p 00 127.0.0.1", halt_after_s=0.3)

    assert job.result.stop is UdpprobeStop.HALTED
    assert [len(p.replies) for p in job.result.probes] == [1]
    assert decoded(job).stop_reason_str == "halted"


def test_source_that_is_not_ours() -> None:
    """A source address that this host does not have is an error record with the reason."""
    job = probe("-S 192.0.2.1 -d 9 -p 00 127.0.0.1")

    assert job.result.stop is UdpprobeStop.ERROR
    assert "Cannot assign" in decoded(job).errmsg


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("-d 9 127.0.0.1", "missing payload"),
        ("-p 00 127.0.0.1", "missing destination port"),
        ("-d 0 -p 00 127.0.0.1", "dport"),
        ("-d 9 -p 0 127.0.0.1", "payload"),
        ("-d 9 -p '00 00' 127.0.0.1", "payload"),
        ("-d 9 -p " + "00" * 1401 + " 127.0.0.1", "payload"),
        ("-d 9 -p 00 -c 21 127.0.0.1", "probe-count"),
        ("-d 9 -p 00 -o 2 127.0.0.1", "stop-count"),
        ("-d 9 -p 00 -w 0.4 127.0.0.1", "wait-timeout"),
        ("-d 9 -p 00 -W 6s 127.0.0.1", "wait-probe"),
        ("-d 9 -p 00 -S ::1 127.0.0.1", "one address family"),
        ("-d 9 -p 00 -O never 127.0.0.1", "unsupported option"),
        ("-d 9 -p 00 example.com", "destination"),
    ],
)
def test_refused(command: str, reason: str) -> None:
    """What is out of range is refused with the reason."""
    with pytest.raises(CommandRefused, match=reason):
        udpprobe(command)
