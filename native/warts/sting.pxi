# One-way loss records (type 12). Facts: the field tables of scamper 20260420. Upstream's module shows nothing of
# them; the record is read, checked and kept, so that it can be copied.


@cython.final
@cython.no_gc
cdef class StingPkt(Params):
    """One packet of the connection."""

    cdef uint8_t flags
    cdef Stamp when
    cdef uint16_t length
    cdef bytes data

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.flags = c.u8()
        elif flag == 2:
            c.stamp(&self.when)
        elif flag == 3:
            self.length = c.u16()
        else:
            self.data = c.raw(self.length)
            return self.length != 0
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            return w.u8(self.flags)
        elif flag == 2:
            return w.stamp(self.when)
        elif flag == 3:
            return w.u16(self.length)
        return w.raw(self.data)


@cython.final
cdef class ScamperSting(Result):
    """A one-way loss measurement over TCP; only `inst`, `list`, `cycle`, `userid`, `start`, `errmsg` show."""

    cdef ScamperAddr src, dst
    cdef bytes data
    cdef tuple all
    cdef Stamp shake
    cdef uint32_t pkt_count
    cdef uint16_t sport, dport, probes, mean_ms, inter_ms, length, acks, holes
    cdef uint8_t dist, synretx, dataretx, seqskip, outcome

    cdef int kind(self) noexcept:
        return 12

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            return self.take_list(c)
        elif flag == 2:
            return self.take_cycle(c)
        elif flag == 3:
            self.userid = c.u32()
        elif flag == 4:
            self.src = c.addr()
        elif flag == 5:
            self.dst = c.addr()
        elif flag == 6:
            self.sport = c.u16()
        elif flag == 7:
            self.dport = c.u16()
        elif flag == 8:
            self.probes = c.u16()
        elif flag == 9:
            self.mean_ms = c.u16()
        elif flag == 10:
            self.inter_ms = c.u16()
        elif flag == 11:
            self.dist = c.u8()
        elif flag == 12:
            self.synretx = c.u8()
        elif flag == 13:
            self.dataretx = c.u8()
        elif flag == 14:
            self.seqskip = c.u8()
        elif flag == 15:
            self.length = c.u16()
        elif flag == 16:
            self.data = c.raw(self.length)
            return self.length != 0
        elif flag == 17:
            c.stamp(&self.started)
        elif flag == 18:
            c.stamp(&self.shake)
        elif flag == 19:
            self.acks = c.u16()
        elif flag == 20:
            self.holes = c.u16()
        elif flag == 21:
            self.pkt_count = c.u32()
        elif flag == 22:
            self.outcome = c.u8()
        else:
            self.raw_errmsg = c.text()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.u32(w.list_id)
        elif flag == 2:
            w.u32(w.cycle_id)
        elif flag == 3:
            w.u32(self.userid)
        elif flag == 4:
            w.addr(self.src)
        elif flag == 5:
            w.addr(self.dst)
        elif flag == 6:
            w.u16(self.sport)
        elif flag == 7:
            w.u16(self.dport)
        elif flag == 8:
            w.u16(self.probes)
        elif flag == 9:
            w.u16(self.mean_ms)
        elif flag == 10:
            w.u16(self.inter_ms)
        elif flag == 11:
            w.u8(self.dist)
        elif flag == 12:
            w.u8(self.synretx)
        elif flag == 13:
            w.u8(self.dataretx)
        elif flag == 14:
            w.u8(self.seqskip)
        elif flag == 15:
            w.u16(self.length)
        elif flag == 16:
            w.raw(self.data)
        elif flag == 17:
            w.stamp(self.started)
        elif flag == 18:
            w.stamp(self.shake)
        elif flag == 19:
            w.u16(self.acks)
        elif flag == 20:
            w.u16(self.holes)
        elif flag == 21:
            w.u32(self.pkt_count)
        elif flag == 22:
            w.u8(self.outcome)
        else:
            w.text(self.raw_errmsg)
        return 0

    cdef int write(self, Writer w) except -1:
        w.params(self)
        for item in self.all:
            w.params(<StingPkt>item)
        return 0


cdef ScamperSting read_sting(Cursor c):
    cdef ScamperSting r = ScamperSting.__new__(ScamperSting)
    cdef StingPkt pkt
    cdef uint32_t i
    c.params(r, 23)
    if r.src is None or r.dst is None:
        c.fail("a sting without its addresses")
    r.all = c.room(r.pkt_count)
    for i in range(r.pkt_count):
        pkt = StingPkt.__new__(StingPkt)
        c.params(pkt, 4)
        if not pkt.data:
            c.fail("a packet without data")
        put(r.all, i, pkt)
    return r
