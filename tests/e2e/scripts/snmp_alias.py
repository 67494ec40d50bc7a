"""Addresses of one box, by the engine id that its SNMPv3 agent tells to anybody (RFC 3414)."""

import argparse
import re

from scamper import ScamperAddr, ScamperCtrl

PROBE = bytes.fromhex(
    "303a020103300f02024a69020300ffe30401040201030410300e0400020100020100040004000400301204000400a00c02024a6902010002010030"
    "00"
)


def engine_id(data):
    """The octet string that opens the security parameters."""
    m = re.search(rb"\x04.\x30.\x04(.)", data[10:], re.DOTALL)
    if m is None:
        return None
    length = m.group(1)[0]
    begin = 10 + m.end()
    return data[begin : begin + length].hex() if 0 < length <= 32 else None


parser = argparse.ArgumentParser(description="SNMPv3 alias resolution")
parser.add_argument("remote", help="the remote controller's socket")
parser.add_argument("addrs", nargs="+", help="addresses to ask")
parser.add_argument("-a", "--attempts", type=int, default=1)
args = parser.parse_args()

ctrl = ScamperCtrl(remote=args.remote)
for addr in args.addrs:
    ctrl.do_udpprobe(ScamperAddr(addr), 161, PROBE, attempts=args.attempts)

engines = {}
for o in ctrl.responses():
    for probe in o:
        for reply in probe:
            rtt = reply.rx - probe.tx
            eid = engine_id(reply.payload)
            if eid is not None and rtt.total_seconds() > 0:
                engines.setdefault(eid, set()).add(o.dst)

for _, members in sorted(engines.items(), key=lambda item: min(item[1])):
    print(" ".join(str(a) for a in sorted(members)))
