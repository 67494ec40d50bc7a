"""What a web server's TCP does: a few inference tests."""

import sys

from scamper import ScamperCtrl, ScamperInstError

ctrl = ScamperCtrl(unix=sys.argv[1])
for method in ("null", "icw", "ecn"):
    try:
        o = ctrl.do_tbit(sys.argv[2], method, f"http://{sys.argv[3]}/", sync=True)
    except ScamperInstError as error:
        print(method, "could not:", error)
        continue
    print(method, o.result, o.dst, len(o) == o.pkt_count)
