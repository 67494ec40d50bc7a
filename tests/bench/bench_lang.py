"""`python -m tests.bench.bench_lang`: what the language wall costs, as ratios to plain CPython.

Each workload is one function; the same source is compiled plainly and as a script (static and full guards) and
the three are run in turn, round after round, so that a busy machine slows all of them. Printed are medians of CPU
time: what other processes take does not count.
"""

import gc
import io
import statistics
import sys
import time
from collections.abc import Callable

from onvp.sandbox.lang import environment
from onvp.sandbox.lang.check import compile_script

ROUNDS = 31

WORKLOADS = {
    "parse JSON and tally": """
import json
from collections import Counter, defaultdict
hops = [{"ttl": n, "addr": f"10.0.0.{n}"} for n in range(8)]
line = json.dumps({"dst": "192.0.2.7", "rtts": [1.5, 2.5, 9.0], "proto": "icmp", "hops": hops})
lines = [line] * 150
def work():
    protos, addrs, total = Counter(), defaultdict(int), 0.0
    for text in lines:
        record = json.loads(text)
        protos[record["proto"]] += 1
        for hop in record["hops"]:
            addrs[hop["addr"]] += 1
            if hop["ttl"] > 5:
                total += min(record["rtts"])
    return protos, sorted(addrs.items(), key=lambda item: item[1])[-3:], total
""",
    "RTT statistics": """
import math
import statistics
class Reply:
    def __init__(self, ttl, rtt):
        self.ttl = ttl
        self.rtt = rtt
replies = [Reply(n % 30, 1.0 + (n * 7919 % 1000) / 100) for n in range(2000)]
def work():
    by_ttl = {}
    low, high, total, squares = math.inf, 0.0, 0.0, 0.0
    for reply in replies:
        rtt = reply.rtt
        by_ttl.setdefault(reply.ttl, []).append(rtt)
        low, high = min(low, rtt), max(high, rtt)
        total += rtt
        squares += rtt * rtt
    mean = total / len(replies)
    medians = {ttl: sorted(rtts)[len(rtts) // 2] for ttl, rtts in by_ttl.items()}
    return low, high, mean, math.sqrt(squares / len(replies) - mean * mean), medians, statistics.median(by_ttl[3])
""",
    "prefix arithmetic": """
import ipaddress
nets = [ipaddress.ip_network(f"10.{n}.0.0/16") for n in range(20)]
def work():
    found = 0
    for n in range(150):
        address = ipaddress.ip_address((10 << 24) + (n * 65537) % (1 << 22))
        for net in nets:
            if address in net:
                found += 1
                break
        value = int(address)
        octets = [(value >> shift) & 255 for shift in (24, 16, 8, 0)]
        found += sum(octets) % 3
        mask = (0xFFFFFFFF << (32 - 20)) & 0xFFFFFFFF
        found += (value & mask) >> 12 & 1
    return found
""",
    "string building": """
rows = [("vp%d" % n, "192.0.2.%d" % (n % 256), n / 7) for n in range(600)]
def work():
    out = []
    for name, addr, rtt in rows:
        out.append(f"{name:<8} {addr:>15} {rtt:8.3f} ms")
        out.append("{} {:.1f}".format(name.upper(), rtt))
        out.append("%s,%s,%.2f" % (name, addr, rtt))
        parts = out[-1].split(",")
        out.append("|".join(part.strip() for part in parts))
    return "\\n".join(out)
""",
    "class-heavy state machine": """
from dataclasses import dataclass
from enum import Enum
class State(Enum):
    IDLE = 1
    SENT = 2
    DONE = 3
@dataclass
class Probe:
    ttl: int
    tries: int = 0
class Tracer:
    def __init__(self, limit):
        self._limit = limit
        self._state = State.IDLE
        self._log = []
        self.sent = 0
    def _send(self, probe):
        probe.tries += 1
        self.sent += 1
        self._state = State.SENT
        self._log.append(probe.ttl)
    def _answer(self, probe):
        if probe.ttl >= self._limit:
            self._state = State.DONE
        elif probe.tries > 1:
            self._state = State.IDLE
    def step(self, ttl):
        probe = Probe(ttl)
        while self._state is not State.DONE and probe.tries < 3:
            self._send(probe)
            self._answer(probe)
        return self._state
    @property
    def done(self):
        return self._state is State.DONE
def work():
    last = None
    for _ in range(20):
        tracer = Tracer(25)
        for ttl in range(1, 30):
            last = tracer.step(ttl)
            if tracer.done:
                break
    return last, tracer.sent
""",
    "pure attribute stores": """
class Hop:
    pass
hops = [Hop() for _ in range(1000)]
def work():
    for hop in hops:
        hop.ttl = 1
        hop.addr = "a"
        hop.rtt = 2.0
""",
    "attribute stores by self": """
class Counter:
    def set(self, a, b, c):
        self.a = a
        self.b = b
        self.c = c
counter = Counter()
def work():
    for n in range(1000):
        counter.set(n, n, n)
""",
}
LIMITS = {"pure attribute stores": 3.0, "attribute stores by self": 3.0}


def functions(source: str) -> dict[str, Callable[[], object]]:
    """The same workload three ways."""
    sink = io.StringIO()
    found: dict[str, Callable[[], object]] = {}
    for way in ("plain", "static", "full"):
        if way == "plain":
            scope: dict[str, object] = {"__name__": "__main__"}
            exec(compile(source, "work.py", "exec", dont_inherit=True), scope)
        else:
            scope = environment.build(argv=["work.py"], stdout=sink, stderr=sink)
            exec(compile_script(source, "work.py", way), scope)
        found[way] = scope["work"]  # type: ignore[assignment]
    return found


def measure(source: str, rounds: int = ROUNDS) -> dict[str, float]:
    """Median CPU seconds of each way, interleaved."""
    ways = functions(source)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for work in ways.values():
        work()
    gc.disable()
    for _ in range(rounds):
        for way, work in ways.items():
            start = time.process_time()
            work()
            times[way].append(time.process_time() - start)
    gc.enable()
    return {way: statistics.median(taken) for way, taken in times.items()}


def main() -> None:
    """Print the table."""
    environment.preload()
    print(f"{'workload':<28} {'plain ms':>9} {'static':>7} {'full':>7} {'budget':>7}")
    for name, source in WORKLOADS.items():
        taken = measure(source)
        plain = taken["plain"]
        print(
            f"{name:<28} {plain * 1000:9.3f} {taken['static'] / plain:7.2f} {taken['full'] / plain:7.2f} "
            f"{LIMITS.get(name, 1.5):7.1f}"
        )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
