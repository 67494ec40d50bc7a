"""A CDN seen by a local resolver and by a public one's JSON API: DNS both ways, and the path to every answer.

Everything that was measured lies in one warts file in the end.
"""

import json
import sys
from datetime import datetime, timedelta

from scamper import ScamperCtrl, ScamperFile, ScamperTrace

unix, outname, cdn, api_name = sys.argv[1:5]

with ScamperFile(outname, "w") as out:
    ctrl = ScamperCtrl(unix=unix, outfile=out)
    begin = datetime.now()
    local = ctrl.do_dns(cdn, qtype="A", wait_timeout=2, sync=True)
    addrs = set(local.ans_addrs())

    api = ctrl.do_dns(api_name, qtype="A", wait_timeout=2, sync=True)
    edges = set()
    for dst in api.ans_addrs():
        o = ctrl.do_http(
            dst,
            f"https://{api_name}/dns-json?name={cdn}&type=A",
            headers={"Accept": "application/dns-json"},
            limit_time=10,
            sync=True,
        )
        if o.status_code != 200 or o.response is None:
            print(f"{dst}: {o.stop_reason_str} {o.status_code}")
            continue
        answer = json.loads(o.response)
        edges.update(rr["data"] for rr in answer["Answer"] if rr["type"] == 1)

    print("same answers", sorted(str(a) for a in addrs) == sorted(edges))
    for addr in sorted(addrs):
        ctrl.do_dns(str(addr), qtype="PTR", wait_timeout=2, userid=7)
        ctrl.do_trace(addr, method="tcp", dport=443, wait_timeout=1, wait_probe=timedelta(milliseconds=20))

    names = {}
    hops = {}
    for o in ctrl.responses(timeout=timedelta(seconds=40)):
        if isinstance(o, ScamperTrace):
            hops[o.dst] = (o.stop_reason_str, o.hop_count)
        else:
            names[o.qname] = o.ans_ptrs()
    for addr in sorted(hops):
        reason, count = hops[addr]
        print(addr, reason, count, " ".join(names.get(str(addr), [])))
    print("took", datetime.now() - begin > timedelta(0))
