"""All the ways to a destination (tracelb): which nodes have more than one way on?"""

import sys

from scamper import ScamperCtrl

ctrl = ScamperCtrl(unix=sys.argv[1])
o = ctrl.do_tracelb(
    sys.argv[2], confidence=99, method="udp-sport", firsthop=6, wait_probe=0.15, wait_timeout=1, sync=True
)
print("nodes", o.node_count, "links", o.link_count, "udp", o.is_udp())
for node in o.nodes():
    nexts = sorted(link.far.src for link in node.links() if link.far is not None)
    if len(nexts) > 1:
        print(node.src, "->", " ".join(str(addr) for addr in nexts))
