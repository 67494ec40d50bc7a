"""How far away are a zone's nameservers, over IPv4 and IPv6?"""

import sys

from scamper import ScamperCtrl, ScamperHost

if len(sys.argv) != 3:
    print("usage: nameserver_delay.py $mux $zone")
    sys.exit(-1)

ctrl = ScamperCtrl(mux=sys.argv[1])
ctrl.add_vps(ctrl.vps())
for inst in ctrl.instances():
    zone = ctrl.do_dns(sys.argv[2], qtype="NS", wait_timeout=2, attempts=2, inst=inst, sync=True)
    for name in zone.ans_nses():
        ctrl.do_dns(name, qtype="A", wait_timeout=2, attempts=2, inst=inst)
        ctrl.do_dns(name, qtype="AAAA", wait_timeout=2, attempts=2, inst=inst)
    ns = {}
    rtts = {}
    for o in ctrl.responses():
        if isinstance(o, ScamperHost):
            for addr in o.ans_addrs():
                ns[addr] = o.qname
                ctrl.do_ping(addr, attempts=2, wait_probe=0.25, stop_count=1, inst=o.inst)
        elif o.min_rtt is not None:
            rtts[o.dst] = o.min_rtt
    for addr, rtt in sorted(rtts.items(), key=lambda item: item[1]):
        print(f"{inst.name} {ns[addr]} {addr} {rtt.total_seconds() * 1000:.1f}")
