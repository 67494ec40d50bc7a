"""Ping a set of targets, and at once trace the one whose RTT stands out."""

import statistics
import sys

import onvp
from scamper import ScamperCtrl

targets = sys.argv[1:]
ctrl = ScamperCtrl()

rtts = {}
for target in targets:
    ctrl.do_ping(target, attempts=3, wait_probe=0.1 if len(targets) < 3 else 0.2, stop_count=3)
for ping in ctrl.responses(timeout=20):
    if ping.min_rtt is not None:
        rtts[ping.dst] = ping.min_rtt.total_seconds() * 1000

if not rtts:
    sys.exit("no target answered")

middle = statistics.median(rtts.values())
slowest = max(rtts, key=rtts.get)
print(
    f"{len(rtts)} of {len(targets)} answered, median {middle:.1f} ms; {slowest} stands out with {rtts[slowest]:.1f} ms"
)

trace = ctrl.do_trace(slowest, wait_timeout=1, method="icmp-paris", sync=True)
path = [str(hop.src) if hop else "*" for hop in trace.hops()]
onvp.emit(target=slowest, rtt_ms=round(rtts[slowest], 1), over_median_ms=round(rtts[slowest] - middle, 1), path=path)
