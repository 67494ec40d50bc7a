"""Do addresses share an IPID counter? A series by radargun, then MIDAR's estimation of each counter."""

import sys
from datetime import timedelta

from scamper import ScamperCtrl, ScamperDealiasProbedef

MODULUS = 65536

ctrl = ScamperCtrl(unix=sys.argv[1])
addrs = sys.argv[2:]

echo = ScamperDealiasProbedef("icmp-echo", icmp_sum=1234)
radargun = ctrl.do_radargun(
    probedefs=[echo], addrs=addrs, rounds=6, wait_probe=timedelta(milliseconds=20), wait_timeout=1, sync=True
)
series = {}
for probe in radargun.probes():
    reply = probe.reply()
    if reply is not None and reply.ipid is not None:
        series.setdefault(probe.probedef.dst, []).append((probe.tx, reply.ipid))


def monotonic(samples):
    """Sorted by time, no step is more than a few hundred."""
    ids = [ipid for _, ipid in sorted(samples)]
    return all(0 < (b - a) % MODULUS < 500 for a, b in zip(ids, ids[1:]))


shown = sorted(series)
for i, a in enumerate(shown):
    for b in shown[i + 1 :]:
        print("radargun", a, b, monotonic(series[a] + series[b]))

methods = [
    ScamperDealiasProbedef("icmp-echo", icmp_sum=1),
    ScamperDealiasProbedef("tcp-ack", dport=80),
    ScamperDealiasProbedef("udp", dport=33435),
]
o = ctrl.do_midarest(
    rounds=5,
    wait_probe=timedelta(milliseconds=20),
    wait_round=timedelta(milliseconds=400),
    wait_timeout=timedelta(seconds=1),
    probedefs=methods,
    addrs=addrs,
    sync=True,
)
counts = {}
for probe in o.probes():
    for reply in probe.replies():
        key = (probe.probedef.dst, str(probe.probedef).split()[1])
        counts.setdefault(key, []).append((probe.tx, reply.ipid))
for (dst, method), samples in sorted(counts.items()):
    first, last = min(samples), max(samples)
    elapsed = (last[0] - first[0]).total_seconds()
    velocity = ((last[1] - first[1]) % MODULUS) / elapsed if elapsed > 0 else 0.0
    print("midarest", dst, method, len(samples), f"{velocity:.1f}")
