# Packet capture records (type 13). Facts: the field tables of scamper 20260420.


@cython.final
@cython.no_gc
cdef class ScamperSniffPkt(Params):
    """One packet that was seen."""

    cdef Stamp when
    cdef uint16_t length
    cdef readonly bytes data      # from the IP header on

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            c.stamp(&self.when)
        elif flag == 2:
            self.length = c.u16()
        else:
            self.data = c.raw(self.length)
            return self.length != 0
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            return w.stamp(self.when)
        elif flag == 2:
            return w.u16(self.length)
        return w.raw(self.data)

    @property
    def rx(self):
        """When it was seen."""
        return as_datetime(self.when)


@cython.final
cdef class ScamperSniff(Result):
    """ICMP packets with one identifier, as they came in."""

    cdef readonly ScamperAddr src
    cdef tuple all
    cdef Stamp ended
    cdef readonly uint32_t limit_pkt_count, pkt_count
    cdef uint16_t limit_s
    cdef readonly uint16_t icmp_id
    cdef uint8_t stop

    cdef int kind(self) noexcept:
        return 13

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
            c.stamp(&self.started)
        elif flag == 6:
            c.stamp(&self.ended)
        elif flag == 7:
            self.stop = c.u8()
        elif flag == 8:
            self.limit_pkt_count = c.u32()
        elif flag == 9:
            self.limit_s = c.u16()
        elif flag == 10:
            self.pkt_count = c.u32()
        elif flag == 11:
            self.icmp_id = c.u16()
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
            w.stamp(self.started)
        elif flag == 6:
            w.stamp(self.ended)
        elif flag == 7:
            w.u8(self.stop)
        elif flag == 8:
            w.u32(self.limit_pkt_count)
        elif flag == 9:
            w.u16(self.limit_s)
        elif flag == 10:
            w.u32(self.pkt_count)
        elif flag == 11:
            w.u16(self.icmp_id)
        else:
            w.text(self.raw_errmsg)
        return 0

    cdef int write(self, Writer w) except -1:
        w.params(self)
        for item in self.all:
            w.params(<ScamperSniffPkt>item)
        return 0

    @property
    def stop_reason(self):
        """Why it ended."""
        return SNIFF_STOPS.get(self.stop, self.stop)

    @property
    def finish(self):
        """When it ended."""
        return as_datetime(self.ended)

    @property
    def limit_time(self):
        """How long it might take."""
        return as_delta(<int64_t>self.limit_s * 1000000)

    def pkt(self, i=0):
        """Packet i, or None."""
        return item_of(self.all, i)

    def __len__(self):
        return len(self.all)

    def __iter__(self):
        return iter(self.all)


cdef ScamperSniff read_sniff(Cursor c):
    cdef ScamperSniff r = ScamperSniff.__new__(ScamperSniff)
    cdef ScamperSniffPkt pkt
    cdef uint32_t i
    c.params(r, 12)
    if r.src is None:
        c.fail("a sniff without an address")
    r.all = c.room(r.pkt_count)
    for i in range(r.pkt_count):
        pkt = ScamperSniffPkt.__new__(ScamperSniffPkt)
        c.params(pkt, 3)
        if not pkt.data:
            c.fail("a packet without data")
        put(r.all, i, pkt)
    return r
