"""How far are a zone's nameservers? Ask for their names, their A and AAAA, and ping every answer."""

import sys

import onvp
from scamper import ScamperCtrl

zone, names = sys.argv[1], sys.argv[2:]
ctrl = ScamperCtrl()

owner = {}
for name in names:
    for qtype in ("A", "AAAA"):
        answer = ctrl.do_dns(name, qtype=qtype, wait_timeout=2, sync=True)
        for addr in answer.ans_addrs():
            owner[addr] = name

for addr in owner:
    ctrl.do_ping(addr, attempts=2, wait_probe=0.2, stop_count=1)

best = {}
for ping in ctrl.responses(timeout=20):
    if ping.min_rtt is None:
        continue
    name, rtt = owner[ping.dst], ping.min_rtt.total_seconds() * 1000
    if name not in best or rtt < best[name]:
        best[name] = rtt

for name, rtt in sorted(best.items(), key=lambda item: item[1]):
    print(f"{zone} {name} {rtt:.1f} ms")
onvp.emit(zone=zone, nameservers={name: round(rtt, 1) for name, rtt in best.items()})
