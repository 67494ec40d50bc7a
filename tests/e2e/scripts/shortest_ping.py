"""Which vantage point is nearest to each target? The shortest of a few pings from every instance."""

import sys
from datetime import timedelta

from scamper import ScamperCtrl

if len(sys.argv) < 3:
    print("usage: shortest_ping.py $remote-dir $ip ...", file=sys.stderr)
    sys.exit(1)

ctrl = ScamperCtrl(remote_dir=sys.argv[1])
for ip in sys.argv[2:]:
    for i in ctrl.instances():
        ctrl.do_ping(ip, attempts=3, wait_probe=0.2, stop_count=3, inst=i)

min_rtt = {}
for o in ctrl.responses(timeout=timedelta(seconds=20)):
    if o.nreplies > 0 and (o.dst not in min_rtt or o.min_rtt < min_rtt[o.dst].min_rtt):
        min_rtt[o.dst] = o

for dst in sorted(min_rtt):
    o = min_rtt[dst]
    print(f"{dst} {o.inst.name} {o.min_rtt.total_seconds() * 1000:.1f} ms")
