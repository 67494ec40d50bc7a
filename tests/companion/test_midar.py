"""midarest and midardisc: commands, schedules, and probes over loopback by the raw worker."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onvp.native import _warts
from onvp.sandbox.companion.commands import read_command
from onvp.sandbox.companion.errors import CommandRefused
from onvp.sandbox.companion.midarcommands import MidardiscRequest, MidarestRequest, dealias
from onvp.sandbox.companion.results import ProbeMethod, Round
from onvp.sandbox.companion.schedules import midardisc, midarest
from tests.companion.dialogue import Data, Dialogue, companion, until

TWO = "-p '-P udp -i 192.0.2.1' -p '-P udp -i 192.0.2.2'"
MANY = " ".join(f"127.0.1.{k}" for k in range(1, 102))
ALL_METHODS = " ".join(f"-p '-P {m.name.lower().replace('_', '-')}'" for m in ProbeMethod)


@pytest.fixture(scope="module")
def sock(shared_folder: Path) -> Iterator[Path]:
    """A companion that has a raw worker."""
    with companion(shared_folder, "--name", "vp") as path:
        yield path


def worker_of(sock: Path) -> int:
    """The raw worker's process."""
    with Dialogue(sock) as c:
        pid = int(c.ask("get pid").split()[2])
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def dealiases(stream: bytes) -> list[Any]:
    """The dealias results of a conversation."""
    return [o for o in _warts.Decoder().feed(stream) if type(o).__name__ == "ScamperDealias"]


# ---- commands ----


def test_midarest_command() -> None:
    """All parameters of midarest arrive, with upstream's units and defaults."""
    r = dealias(
        "-m midarest -q 3 -U 9 -W 20 -w 2 -r 200 "
        "-p '-P udp -d 53 -F 5000' -p '-P icmp-echo -c 7 -s 60 -t 9' 192.0.2.1 192.0.2.2"
    )
    assert isinstance(r, MidarestRequest)
    assert (r.rounds, r.userid, r.wait_probe_us, r.wait_round_us, r.wait_timeout_us) == (
        3, 9, 20_000, 200_000, 2_000_000,
    )  # fmt: skip
    udp, icmp = r.probedefs
    assert (udp.method, udp.sport, udp.dport, udp.size, udp.ttl) == (ProbeMethod.UDP, 5000, 53, 30, 64)
    assert (icmp.method, icmp.icmp_sum, icmp.size, icmp.ttl) == (ProbeMethod.ICMP_ECHO, 7, 60, 9)
    plain = dealias("-m midarest -p '-P udp' -p '-P tcp-ack' 192.0.2.1")
    assert isinstance(plain, MidarestRequest)
    assert (plain.rounds, plain.wait_round_us, plain.wait_probe_us) == (30, 10_000_000, 5_000_000)
    assert plain.wait_timeout_us == 1_000_000


def test_midardisc_command() -> None:
    """All parameters of midardisc arrive."""
    r = dealias("-m midardisc -@ 1795422066.25 -w 3s -S 0:0:1 -S 2.500000:1:1 -p '-P udp -i 192.0.2.1' "
                "-p '-P tcp-syn-sport -i 192.0.2.2'")  # fmt: skip
    assert isinstance(r, MidardiscRequest)
    assert r.schedule == (Round(0, 0, 1), Round(2_500_000, 1, 1))
    assert (r.startat_us, r.wait_timeout_us) == (1_795_422_066_250_000, 3_000_000)
    assert [str(d.dst) for d in r.probedefs] == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("-m ally 192.0.2.1 192.0.2.2", "unsupported dealias method"),
        ("192.0.2.1 192.0.2.2", "other methods are not served"),
        ("-m midarest -p '-P udp' 192.0.2.1", "two probedefs"),
        ("-m midarest -p '-P udp' -p '-P udp'", "IPv4 addresses"),
        ("-m midarest -p '-P udp' -p '-P udp' 2001:db8::1", "IPv4 addresses"),
        ("-m midarest -p '-P udp' -p '-P udp' 192.0.2.1 192.0.2.1", "differ"),
        ("-m midarest -p '-P udp -i 192.0.2.1' -p '-P udp' 192.0.2.1", "unexpected dst"),
        ("-m midarest -p '-P udp' -p '-P udp' -S 0:0:1 192.0.2.1", "invalid parameters"),
        ("-m midarest -W 20 -r 30 -p '-P udp' -p '-P udp' 192.0.2.1", "invalid wait_round"),
        ("-m midarest -q 501 -p '-P udp' -p '-P udp' 192.0.2.1", "attempts"),
        ("-m midarest -w 0.5s -p '-P udp' -p '-P udp' 192.0.2.1", "timeout"),
        ("-m midarest -p '-P tcp-rst' -p '-P udp' 192.0.2.1", "unsupported probedef method"),
        ("-m midarest -p '-d 5' -p '-P udp' 192.0.2.1", "needs a method"),
        ("-m midarest -p '-P udp x' -p '-P udp' 192.0.2.1", "nothing after"),
        ("-m midarest -p '-P icmp-echo -d 5' -p '-P udp' 192.0.2.1", "not permitted for icmp"),
        ("-m midarest -p '-P udp -c 5' -p '-P udp' 192.0.2.1", "icmp only"),
        ("-m midarest -p '-P tcp-ack -s 39' -p '-P udp' 192.0.2.1", "too small"),
        ("-m midarest -p '-P udp -t 0' -p '-P udp' 192.0.2.1", "ttl"),
        (f"-m midardisc -S 0:0:1 {TWO}", "two rounds"),
        (
            f"-m midardisc -S 0:0:1 -S 1:0:2 {TWO}",
            "malformed .* round 1",
        ),
        (
            "-m midardisc -S 0:0:1 -S 0:0:1 -p '-P udp -i 192.0.2.1' -p '-P udp -i 192.0.2.2'",
            "invalid round given",
        ),
        (
            "-m midardisc -S 0:1:1 -S 1:0:1 -p '-P udp -i 192.0.2.1' -p '-P udp -i 192.0.2.2'",
            "invalid round given",
        ),
        (f"-m midardisc -S 0:0 -S 1:0:1 {TWO}", "malformed round"),
        ("-m midardisc -S 0:0:1 -S 1:0:1 -p '-P udp' -p '-P udp -i 192.0.2.2'", "expected dst"),
        ("-m midardisc -S 0:0:1 -S 1:0:1 -p '-P udp -i ::1' -p '-P udp -i 192.0.2.2'", "IPv4 only"),
        (
            "-m midardisc -W 5 -S 0:0:1 -S 1:0:1 -p '-P udp -i 192.0.2.1' -p '-P udp -i 192.0.2.2'",
            "invalid param",
        ),
    ],
)
def test_refused(options: str, reason: str) -> None:
    """What upstream refuses, and what makes no sense, is refused with the reason."""
    with pytest.raises(CommandRefused, match=reason):
        read_command(f"dealias {options}")


# ---- schedules ----


def test_midarest_schedule() -> None:
    """Each round has every address with every method once, evenly spaced, in an order that changes."""
    plan = midarest(3, 4, 5, 10_000, 200_000, random.Random(1))

    assert len(plan) == 60
    for r in range(5):
        ours = [p for p in plan if p.round == r]
        assert [p.offset_us for p in ours] == [r * 200_000 + k * 10_000 for k in range(12)]
        assert sorted(p.which for p in ours) == list(range(12))
        assert [p.which % 4 for p in ours] == [0, 1, 2, 3] * 3, "an address' probes are evenly apart"
    assert len({tuple(p.which for p in plan if p.round == r) for r in range(5)}) > 1


def test_midardisc_schedule() -> None:
    """The offsets are those that upstream's prober showed for the same rounds."""
    plan = midardisc([Round(0, 0, 1), Round(1_000_000, 1, 2), Round(2_500_000, 2, 2)])
    assert [tuple(p) for p in plan] == [
        (0, 0, 0), (500_000, 1, 0), (1_000_000, 1, 1), (1_750_000, 2, 1), (2_500_000, 2, 2),
    ]  # fmt: skip
    again = midardisc([Round(0, 0, 1), Round(500_000, 0, 1)])
    assert [p.offset_us for p in again] == [0, 250_000, 500_000, 750_000]


# ---- over loopback ----


def test_every_method_is_answered(sock: Path) -> None:
    """Each method's probes go out with their IP ids and their replies are found, with IP id and times."""
    with Dialogue(sock) as c:
        (seen,) = dealiases(c.measure(f"dealias -m midarest -U 3 -q 3 -r 300 -w 1 {ALL_METHODS} 127.0.0.1 127.0.0.2"))

    assert seen.is_midarest() and seen.userid == 3
    assert (seen.probedef_count, seen.probe_count) == (12, 36)
    assert seen.wait_round.total_seconds() == 0.3
    sent = list(seen.probes())
    assert [p.ipid for p in sent] == [(255 - k) * 257 for k in range(36)]
    assert Counter(p.seq for p in sent) == {0: 12, 1: 12, 2: 12}
    for p in sent:
        (reply,) = p.replies()
        assert reply.is_from_target() and str(reply.src) == str(p.probedef.dst)
        assert reply.rx >= p.tx
        if p.probedef.is_udp():
            assert reply.is_icmp_unreach_port()
        elif p.probedef.is_icmp():
            assert reply.is_icmp_echo_reply()
        else:
            assert reply.is_tcp() and reply.tcp_flags & 4
    unreachable = [r.ipid for p in sent for r in p.replies() if r.is_icmp()]
    assert len(set(unreachable)) > 1, "the IP ids of the replies are recorded"


def test_a_later_start(sock: Path) -> None:
    """Startat is kept, and the offsets count from it."""
    begin = round(time.time() + 0.7, 3)
    with Dialogue(sock) as c:
        (seen,) = dealiases(
            c.measure(
                f"dealias -m midardisc -@ {begin} -w 1 -S 0:0:1 -S 0.2:1:1 "
                "-p '-P icmp-echo -i 127.0.0.1' -p '-P udp-dport -i 127.0.0.3'"
            )
        )

    assert seen.is_midardisc()
    assert abs(seen.startat.timestamp() - begin) < 1e-3
    offsets = [p.tx.timestamp() - begin for p in seen.probes()]
    assert all(got >= want - 1e-3 for got, want in zip(offsets, (0, 0.1, 0.2), strict=True))
    assert [p.reply_count for p in seen.probes()] == [1, 1, 1]


def test_several_at_a_time(sock: Path) -> None:
    """Measurements run side by side, and the replies of one are not those of another."""
    command = "dealias -m midarest -U {} -q 5 -W 4 -w 1 -p '-P icmp-echo' -p '-P tcp-ack-sport' 127.0.0.1 127.0.0.2"
    with Dialogue(sock) as c:
        began = time.monotonic()
        found = dealiases(c.measure(*(command.format(n) for n in range(1, 13))))
        took = time.monotonic() - began

    assert {d.userid for d in found} == set(range(1, 13))
    assert all([p.reply_count for p in d.probes()] == [1] * 20 for d in found)
    assert took < 12, "one after the other they would take that long"


def test_halt(sock: Path) -> None:
    """A halted measurement tells what it has sent and sends no more."""
    with Dialogue(sock) as c:
        stream = b"".join(c.attach())
        c.start("dealias -m midarest -q 500 -W 10 -p '-P icmp-echo' -p '-P udp' 127.0.0.1")
        c.hear()
        time.sleep(0.3)
        assert c.ask("halt 1") == "OK halted 1"
        heard = c.hear()
    assert isinstance(heard, Data)
    (seen,) = dealiases(stream + heard.record)
    assert 5 < seen.probe_count < 500


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            "-m midarest -q 500 -p '-P udp' -p '-P icmp-echo' " + " ".join(f"127.0.1.{k}" for k in range(1, 102)),
            "100000",
        ),
        ("-m midardisc -@ 1 -S 0:0:1 -S 1:0:1 -p '-P udp -i 127.0.0.1' -p '-P udp -i 127.0.0.2'", "startat"),
        ("-m midarest -q 500 -r 180000 -p '-P udp' -p '-P icmp-echo' 127.0.0.1", "more than a day"),
        ("-m midarest -p '-P udp' -p '-P icmp-echo' 255.255.255.255", "cannot send"),
    ],
)
def test_refused_when_prepared(sock: Path, options: str, reason: str) -> None:
    """A schedule beyond the bounds, or that cannot be sent from here, is refused before it begins."""
    with Dialogue(sock) as c:
        c.attach()
        assert reason in c.ask(f"dealias {options}")


def test_the_raw_worker_has_nothing_else(sock: Path) -> None:
    """The raw worker is not root, has no capability, one line to talk, and two raw sockets."""
    pid = worker_of(sock)
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    facts = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    assert "0" not in facts["Uid"].split()
    assert facts["NoNewPrivs"] == "1"
    assert {int(facts[k], 16) for k in ("CapEff", "CapPrm", "CapAmb")} == {0}
    targets = {int(fd.name): str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    assert targets[0] == targets[1] == "/dev/null"
    assert all(t.startswith("socket:") for fd, t in targets.items() if fd > 2)
    assert len(targets) == 6
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert [line.split()[2] for line in limits.splitlines() if line.startswith("Max processes")] == ["0"]


def test_without_raw_sockets(own_folder: Path) -> None:
    """Switched off, or without the right to raw sockets, midar is not offered, and why can be asked."""
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]
    for options, prefix, why in ((("--raw", "no"), [], "switched off"), ((), as_nobody, "CAP_NET_RAW")):
        with companion(own_folder, *options, prefix=prefix) as path, Dialogue(path) as c:
            assert "midar" not in c.ask("get primitives")
            assert c.ask("get missing").startswith("OK missing midardisc,midarest: ")
            assert why in c.ask("get missing")
            c.attach()
            answer = c.ask("dealias -m midarest -p '-P udp' -p '-P udp' 127.0.0.1")
            assert answer.startswith("ERR command not accepted: midarest is not offered: ")


def test_a_dead_worker(own_folder: Path) -> None:
    """When the raw worker is killed its measurements end as errors, at once, and all else goes on."""
    with companion(own_folder) as path, Dialogue(path) as c:
        stream = b"".join(c.attach())
        c.start("dealias -m midarest -q 500 -W 10 -p '-P icmp-echo' -p '-P udp' 127.0.0.1")
        c.hear()
        os.kill(worker_of(path), signal.SIGKILL)
        heard = c.hear()
        assert isinstance(heard, Data)
        (seen,) = dealiases(stream + heard.record)
        assert "raw worker has ended" in seen.errmsg
        assert "raw worker has ended" in c.ask("dealias -m midarest -p '-P udp' -p '-P udp' 127.0.0.1")
        c.start("udpprobe -d 9 -p 00 -w 0.5 127.0.0.1")


def test_the_worker_ends_with_the_companion(own_folder: Path) -> None:
    """A killed companion leaves no raw worker behind."""
    path = own_folder / "companion.sock"
    command = [sys.executable, "-m", "onvp.sandbox.companion.serve", "--socket", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        pid = worker_of(path)
        process.kill()
        process.wait(10)
    until(10, lambda: not Path(f"/proc/{pid}").exists())
