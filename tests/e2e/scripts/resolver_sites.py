"""Which site of a resolver answers from here? CHAOS TXT, NSID, and what an authoritative server says."""

import sys

from scamper import ScamperCtrl, ScamperInstError

ctrl = ScamperCtrl(remote_dir=sys.argv[1])
servers = sys.argv[2:]

for server in servers:
    for qname in ("hostname.bind", "id.server"):
        ctrl.do_dns(qname, server=server, qclass="CH", qtype="TXT", wait_timeout=2, inst=ctrl.instances())
    ctrl.do_dns(".", server=server, qtype="NS", nsid=True, wait_timeout=2, inst=ctrl.instances())

sites = {}
for o in ctrl.responses(timeout=10):
    texts = [s.strip('"') for txt in o.ans_txts() for s in txt]
    if not texts and o.arcount:
        for rr in o.ars():
            if rr.opt is None:
                continue
            for elem in rr.opt:
                if elem.code == "NSID":
                    texts.append(elem.data.decode("ascii"))
    for text in texts:
        sites.setdefault((o.dst, o.qname, o.qclass), set()).add(text)

for error in ctrl.exceptions():
    if isinstance(error, ScamperInstError):
        print("error", error.inst.name, error)

for (dst, qname, qclass), texts in sorted(sites.items(), key=str):
    print(dst, qclass, qname or ".", ",".join(sorted(texts)))
