"""Send pings with an identifier of our own and look at them on the wire."""

import sys

from scamper import ScamperCtrl

ctrl = ScamperCtrl(unix=sys.argv[1])
inst = ctrl.instances()[0]
source, target = sys.argv[2:]

sniff = ctrl.do_sniff(source, 0x4A69, limit_pkt_count=50, limit_time=30, inst=inst)
ping = ctrl.do_ping(target, icmp_id=0x4A69, attempts=3, wait_probe=0.2, stop_count=3, inst=inst, sync=True)
sniff.halt()
for o in ctrl.responses(timeout=10):
    # An IPv4 header of 20 bytes, then the ICMP type.
    kinds = [pkt.data[20] for pkt in o if len(pkt.data) > 28]
    print("sniffed", o.stop_reason.name, o.icmp_id, kinds.count(0), ping.nreplies)
