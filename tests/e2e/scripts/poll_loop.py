"""Watch targets for a while: an event loop of callbacks and poll(until=) that follows losses with a traceroute."""

import sys
from datetime import datetime, timedelta

from scamper import ScamperCtrl, ScamperPing, ScamperTrace

targets = sys.argv[2:]
finish = datetime.now() + timedelta(seconds=4)
state = {"eof": 0, "more": 0}


def more(c, inst, param):
    param["more"] += 1


def ended(c, inst, param):
    param["eof"] += 1


c = ScamperCtrl(unix=sys.argv[1], morecb=more, eofcb=ended, param=state, meta=True)
for target in targets:
    c.do_ping(target, attempts=1, wait_timeout=1)

kinds = []
pings = 0
traced = {}
while datetime.now() < finish:
    o = c.poll(until=finish)
    if o is None:
        break
    if isinstance(o, ScamperPing):
        pings += 1
        if o.nreplies == 0:
            c.do_trace(o.dst, method="icmp-paris", gaplimit=1, attempts=1, wait_timeout=1)
        elif o.dst not in traced:
            c.do_ping(o.dst, attempts=1, stop_count=1)
            traced[o.dst] = None
    elif isinstance(o, ScamperTrace):
        traced[o.dst] = o
        print("trace", o.dst, o.stop_reason_str, [str(hop.src) if hop is not None else "*" for hop in o.hops()])
    else:
        kinds.append(type(o).__name__)
    if c.taskc == 0 and pings > len(targets):
        c.done()
print("pings", pings, "meta", " ".join(kinds), "eof", state["eof"], "more", state["more"] >= pings)
