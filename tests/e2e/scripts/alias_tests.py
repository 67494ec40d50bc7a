"""The three classic tests for aliases: Ally, Mercator and a scan of a prefix."""

import sys

from scamper import ScamperCtrl

sock, a, b, other, near, far = sys.argv[1:]
ctrl = ScamperCtrl(unix=sock)

for x, y in ((a, b), (a, other)):
    o = ctrl.do_ally(x, y, method="icmp-echo", attempts=3, wait_probe=0.1, wait_timeout=1, sync=True)
    print("ally", o.has_aliases(), o.aliases() == (x, y))

o = ctrl.do_mercator(b, sync=True)
found = o.aliases()
print("mercator", o.is_mercator(), [str(addr) for addr in found] if found is not None else None)

o = ctrl.do_prefixscan(near, far, 30, method="icmp-echo", attempts=1, wait_probe=0.1, wait_timeout=1, sync=True)
found = o.aliases()
print("prefixscan", o.is_prefixscan(), [str(addr) for addr in found] if found is not None else None)
