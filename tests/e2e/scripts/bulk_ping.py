"""Ping a list of addresses from all instances as fast as the probers take them, driven by morecb."""

import random
import sys

from scamper import ScamperCtrl


class Work:
    """What every instance has still to ping."""

    def __init__(self, addrs):
        self.todo = {}
        self.addrs = addrs
        self.calls = 0
        self.ended = []

    def next(self, inst):
        """One address, or None."""
        if inst not in self.todo:
            self.todo[inst] = list(self.addrs)
            random.shuffle(self.todo[inst])
        return self.todo[inst].pop() if self.todo[inst] else None


def feed_me(ctrl, inst, work):
    work.calls += 1
    addr = work.next(inst)
    if addr is None:
        inst.done()
    else:
        ctrl.do_ping(addr, attempts=1, stop_count=1, inst=inst)


def eof(ctrl, inst, work):
    work.ended.append(inst.name)


work = Work([line.strip() for line in open(sys.argv[2]) if line.strip()])
ctrl = ScamperCtrl(morecb=feed_me, eofcb=eof, param=work, remote_dir=sys.argv[1])
answered = {inst: 0 for inst in ctrl.instances()}
while not ctrl.is_done():
    o = ctrl.poll()
    if o is None:
        break
    if o.nreplies == 1:
        answered[o.inst] += 1

for inst, count in sorted(answered.items(), key=lambda item: item[0].name):
    print(inst.name, count, inst.is_eof())
print("ended", " ".join(sorted(work.ended)), work.calls)
