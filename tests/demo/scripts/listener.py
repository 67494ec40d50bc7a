"""Ask for more than some sites permit: a ping of many probes, then a packet capture."""

import sys

import onvp
from scamper import ScamperCtrl

target, own = sys.argv[1], str(onvp.vp.ipv4)
ctrl = ScamperCtrl()

task = ctrl.do_ping(target, attempts=8, wait_probe=0.2, stop_count=1)
print("asked for 8 probes; narrowed:", task.clamped or "nothing")
for ping in ctrl.responses(timeout=10):
    print(f"{ping.dst} answered {ping.nreplies} of {ping.attempts}")

sniff = ctrl.do_sniff(own, icmp_id=4242, limit_time=1, sync=True)
print(f"heard {len(sniff)} packets")
