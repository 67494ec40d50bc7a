"""What the sandbox costs a run: reaction time, warm start, memory.

    python -m tests.bench.bench_run

*Reaction*: a jailed script pings loopback in a loop, through language, jail, broker, policy, ledger and audit
log; a bare control-socket loop sends the same command to the same scamper, in turns within one run.
*Warm start*: from a run's acceptance to the first line of its script, against `bwrap … python3` with the same
imports. *Memory*: private pages of idle scripts.

The policy here reopens loopback's neighbour by name; loopback itself is closed to everybody, so the target is an
address of a namespace of its own.
"""

import asyncio
import contextlib
import ctypes
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from onvp.policies.combine import combine, platform_layer
from onvp.policies.load import load_file
from onvp.sandbox.agent.runs import Runs
from onvp.sandbox.agent.site import PolicyInForce, Site
from onvp.sandbox.agent.station import ENTRY, PRELOAD, WARM
from onvp.sandbox.agent.warm import Warm
from onvp.sandbox.broker.audit import AuditLog
from onvp.sandbox.broker.budget import Ledger
from onvp.sandbox.jail.messages import Configure
from onvp.sandbox.jail.spawn import JailClient, start_zygote
from onvp.sandbox.prober.driver import Prober
from onvp.sandbox.prober.router import ProberSet
from onvp.sandbox.wire import calls, link
from tests.bench.bench_prober import Bare
from tests.prober.tools import Daemon

ROUNDS = 12
PER_ROUND = 50
STARTS = 60
APART_S = 0.05
IDLE = 20
TARGET = "198.18.255.1"

POLICY = """\
onvp-policy: 1
layer: host
id: bench
summary: "For benchmarks, on one machine."
default: deny
primitives: {ping: {allow: true}}
destinations: {reopen: [198.18.0.0/15], allow: [198.18.0.0/15]}
rates: {vp: {pps: 10000, burst: 10000}, on_excess: delay, max_delay: 10s}
scripts: {cpu: {total: 10min}, memory: 256MiB, wall: 1h, concurrent: {user: 200, vp: 200}, calls: 1M, level: standard}
"""

PINGS = f"""\
import sys, time
from scamper import ScamperCtrl
ctrl = ScamperCtrl()
times = []
for n in range(int(sys.argv[1])):
    began = time.perf_counter()
    ctrl.do_ping("{TARGET}", attempts=1, stop_count=1, sync=True)
    times.append(time.perf_counter() - began)
print(*times)
"""
FIRST_LINE = "print('here')\n"
IMPORTS = "import json, math, statistics, datetime, ipaddress, re, collections, random\n"
IDLE_SCRIPT = IMPORTS + "import time\nprint('idle')\ntime.sleep(600)\n"


class Listener:
    """A sink that lets a run be waited for."""

    def __init__(self) -> None:
        self.output: dict[str, str] = {}
        self.first: dict[str, float] = {}
        self.ends: dict[str, link.End] = {}
        self._news = asyncio.Event()

    def append(self, run: str, body: link.Body) -> None:
        """One event."""
        if isinstance(body, link.Output):
            self.first.setdefault(run, time.perf_counter())
            self.output[run] = self.output.get(run, "") + body.text
        elif isinstance(body, link.End):
            self.ends[run] = body
        self._news.set()

    async def room(self) -> None:
        """Always."""

    async def until_first(self, run: str) -> None:
        """Until the run has printed something or ended."""
        while run not in self.first and run not in self.ends:
            self._news.clear()
            await self._news.wait()

    async def until_end(self, run: str) -> str:
        """Until the run has ended; gives its output."""
        while run not in self.ends:
            self._news.clear()
            await self._news.wait()
        end = self.ends[run]
        if end.outcome not in {"finished", "cancelled"}:
            raise RuntimeError(f"{end.outcome}: {end.reason}\n{end.error}")
        return self.output.get(run, "")


async def _zygote() -> JailClient:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        start_zygote(theirs)
    return JailClient(ours)


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """A network namespace with the target's address, for this process and its children."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET, unshare(2)
        raise OSError(ctypes.get_errno(), "unshare: run this as root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "addr", "add", f"{TARGET}/32", "dev", "lo"], check=True)
    yield


async def measure() -> None:
    """Print the three tables."""
    with tempfile.TemporaryDirectory(prefix="onvp-bench-") as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "policy.yaml").write_text(POLICY)
        with Daemon("scamper", place / "s", 10_000) as daemon:
            policy = PolicyInForce(place / "policy.yaml")
            # The target is an address of this machine, which the platform closes: leave that layer's facts out.
            policy.current = combine([platform_layer(), load_file(policy.path)])
            probers = ProberSet([Prober(daemon.path)])
            await probers.start()
            jail = Warm(_zygote, Configure(run=ENTRY, preload=PRELOAD, warm=WARM))
            await jail.start()
            ledger = Ledger.load(place / "budgets.json", lambda: policy.current)
            site = Site(
                calls.Instance(name="bench"), policy, jail, probers, ledger, AuditLog(place / "audit.jsonl"), place
            )
            sink = Listener()
            runs = Runs(site, sink)
            await reaction(runs, sink, Bare(daemon.path))
            await start(runs, sink)
            await memory(runs, sink)
            await runs.stop("the benchmark's end")
            await probers.close()
            jail.close()


def _offer(name: str, source: str, *args: str) -> link.Offer:
    return link.Offer(run=name, user="bench", role="", filename="bench.py", source=source.encode(), args=list(args))


async def reaction(runs: Runs, sink: Listener, bare: Bare) -> None:
    """One sync ping, jailed and bare."""
    plain: list[float] = []
    jailed: list[float] = []
    for number in range(ROUNDS + 1):
        before = [bare.ping(f"ping -c 1 -o 1 {TARGET}") for _ in range(PER_ROUND)]
        name = f"reaction-{number}"
        runs.offer(_offer(name, PINGS, str(PER_ROUND)))
        after = [float(word) for word in (await sink.until_end(name)).split()]
        if number:  # the first round warms both up
            plain += before
            jailed += after[5:]
    ours, theirs = statistics.median(jailed) * 1e6, statistics.median(plain) * 1e6
    print("one sync ping              median us   ratio   budget")
    print(f"bare control socket          {theirs:8.0f}    1.00")
    print(f"jailed script                {ours:8.0f}   {ours / theirs:5.2f}   <= 1.6\n")


async def start(runs: Runs, sink: Listener) -> None:
    """Accepted to first line, against bwrap with the same imports."""
    warm: list[float] = []
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(IMPORTS + FIRST_LINE)
        file.flush()
        cold = []
        for number in range(STARTS):
            # Runs come apart, so that a child waits in reserve; back to back, each one is forked on demand.
            await asyncio.sleep(APART_S)
            name = f"start-{number}"
            began = time.perf_counter()
            runs.offer(_offer(name, IMPORTS + FIRST_LINE))
            await sink.until_first(name)
            warm.append(sink.first[name] - began)
            await sink.until_end(name)
            if number % 4 == 0:
                cold.append(_bwrap(file.name))
    ours, theirs = statistics.median(warm) * 1e3, statistics.median(cold) * 1e3
    p95, p99 = (statistics.quantiles(warm, n=100)[k] * 1e3 for k in (94, 98))
    print("accepted to first line   median ms     p95     p99   ratio   budget")
    print(f"bwrap ... python3          {theirs:8.2f}                    1.00")
    ratio = f"{theirs / ours:5.1f}x"
    print(f"warm start                 {ours:8.2f}  {p95:6.2f}  {p99:6.2f}   {ratio}  p95 <= 10 ms, >= 10x\n")


def _bwrap(script: str) -> float:
    argv = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--", sys.executable, "-I", script]
    began = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - began


async def memory(runs: Runs, sink: Listener) -> None:
    """Private memory of idle scripts, against a fresh interpreter."""
    before = set(_workers())
    for number in range(IDLE):
        runs.offer(_offer(f"idle-{number}", IDLE_SCRIPT))
    for number in range(IDLE):
        await sink.until_first(f"idle-{number}")
    private = [size for pid in set(_workers()) - before if (size := _private(pid))]
    with subprocess.Popen(
        [sys.executable, "-I", "-c", IMPORTS + "print(1, flush=True); import time; time.sleep(600)"],
        stdout=subprocess.PIPE,
    ) as fresh:
        assert fresh.stdout is not None
        fresh.stdout.readline()
        plain = _private(fresh.pid)
        fresh.kill()
    ours = statistics.median(private) / 2**20
    print("private memory, idle          MiB   budget")
    print(f"fresh python3            {plain / 2**20:8.2f}")
    print(f"idle script              {ours:8.2f}   <= 4")
    print(f"100 idle scripts         {ours * 100:8.0f}   <= 512")


def _workers() -> list[int]:
    """The processes below us that run a worker: forks of the zygote."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"onvp.sandbox.jail.zygote" in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def _private(pid: int) -> int:
    """Bytes that only this process has (smaps_rollup, proc(5))."""
    with contextlib.suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return sum(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Private_"))
    return 0


def main() -> None:
    """Print the tables."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with own_network():
        asyncio.run(measure())


if __name__ == "__main__":
    main()
