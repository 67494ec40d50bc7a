"""Read a recording, count what it holds, and write the traces to files of other kinds."""

import sys

from scamper import ScamperCycle, ScamperFile, ScamperHost, ScamperHttp, ScamperList, ScamperTrace

infile = ScamperFile(sys.argv[1])
counts = {}
for o in infile:
    counts[type(o).__name__] = counts.get(type(o).__name__, 0) + 1
    if isinstance(o, (ScamperList, ScamperCycle)):
        continue
    assert o.inst is None
infile.close()
for name in sorted(counts):
    print(name, counts[name])

with ScamperFile(sys.argv[1], filter_types=[ScamperTrace]) as infile:
    with ScamperFile("traces.json", "w") as js, ScamperFile("traces.txt", "w") as text:
        with ScamperFile("traces.warts.xz", mode="w") as warts:
            for trace in infile:
                js.write(trace)
                text.write(trace)
                warts.write(trace)
                tail = [hop for hop in trace.hops() if hop is not None][-1]
                print("last", trace.dst, tail.src == trace.dst, tail.is_tcp(), tail.rtt.total_seconds() > 0)

again = ScamperFile(sys.argv[1])
again.filter_types(ScamperHost, ScamperHttp)
o = again.read()
while o is not None:
    print("seen", type(o).__name__, o.userid)
    o = again.read()
