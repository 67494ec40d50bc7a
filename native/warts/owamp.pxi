# One-way delay records (type 17; warts(5) says 32, but scamper 20260420 writes 17). Facts: the field tables
# of scamper 20260420, which also says what a field is when it is not recorded.

cdef enum:
    OWAMP_PORT = 861
    OWAMP_SIZE = 42
    TX_NOT_SENT = 1
    TX_ERREST = 2
    RX_DSCP = 1
    RX_TTL = 2
    RX_ERREST = 4


@cython.final
@cython.no_gc
cdef class ScamperOwampSched(Params):
    """One slot of the sending schedule."""

    cdef Stamp span
    cdef uint8_t number

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            c.stamp(&self.span)
        else:
            self.number = c.u8()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        return w.stamp(self.span) if flag == 1 else w.u8(self.number)

    @property
    def value(self):
        """How long it is, or its mean."""
        return stamp_delta(self.span)

    @property
    def type(self):
        """Fixed or exponential."""
        return OWAMP_SCHEDS.get(self.number, self.number)

    @property
    def type_str(self):
        """Fixed or exponential, as a word."""
        return word_of(OWAMP_SCHED, self.number)


@cython.final
@cython.no_gc
cdef class ScamperOwampRx(Params):
    """One copy of a packet that arrived."""

    cdef Stamp when
    cdef uint16_t error
    cdef uint8_t flags, dscp_seen, ttl_seen

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            c.stamp(&self.when)
        elif flag == 2:
            self.error = c.u16()
        elif flag == 3:
            self.flags = c.u8()
        elif flag == 4:
            self.dscp_seen = c.u8()
        else:
            self.ttl_seen = c.u8()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            return w.stamp(self.when)
        elif flag == 2:
            return w.u16(self.error)
        elif flag == 3:
            return w.u8(self.flags)
        elif flag == 4:
            return w.u8(self.dscp_seen)
        return w.u8(self.ttl_seen)

    @property
    def stamp(self):
        """When it arrived, by the receiver's clock."""
        return as_datetime(self.when)

    @property
    def ttl(self):
        """Its TTL, or None."""
        return self.ttl_seen if self.flags & RX_TTL else None

    @property
    def dscp(self):
        """Its DSCP, or None."""
        return self.dscp_seen if self.flags & RX_DSCP else None


@cython.final
@cython.no_gc
cdef class ScamperOwampTx(Params):
    """One packet that was to be sent."""

    cdef Stamp due, when
    cdef readonly uint32_t seq
    cdef uint16_t error
    cdef uint8_t flags
    cdef readonly uint8_t rx_count
    cdef tuple all

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            c.stamp(&self.due)
        elif flag == 2:
            c.stamp(&self.when)
        elif flag == 3:
            self.seq = c.u32()
        elif flag == 4:
            self.error = c.u16()
        elif flag == 5:
            self.flags = c.u8()
        else:
            self.rx_count = c.u8()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            return w.stamp(self.due)
        elif flag == 2:
            return w.stamp(self.when)
        elif flag == 3:
            return w.u32(self.seq)
        elif flag == 4:
            return w.u16(self.error)
        elif flag == 5:
            return w.u8(self.flags)
        return w.u8(self.rx_count)

    @property
    def sched(self):
        """When it was due."""
        return as_datetime(self.due)

    @property
    def stamp(self):
        """When it was sent, by the sender's clock."""
        return as_datetime(self.when)

    def rx(self, i):
        """Arrival i, or None."""
        return item_of(self.all, i)

    def rxs(self):
        """An iterator over the arrivals."""
        return iter(self.all)


@cython.final
cdef class ScamperOwamp(Result):
    """A one-way delay measurement (RFC 4656)."""

    cdef readonly ScamperAddr src, dst
    cdef tuple all_scheds, all_txs
    cdef Stamp at, wait
    cdef readonly uint32_t attempts, sched_count, tx_count
    cdef uint32_t shake
    cdef uint16_t flags
    cdef readonly uint16_t dport, probe_size, udp_sport, udp_dport
    cdef uint8_t direction, outcome
    cdef readonly uint8_t dscp, ttl

    cdef int kind(self) noexcept:
        return 17

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            return self.take_list(c)
        elif flag == 2:
            return self.take_cycle(c)
        elif flag == 3:
            self.userid = c.u32()
        elif flag == 4:
            self.src = c.static_addr()
        elif flag == 5:
            self.dst = c.static_addr()
        elif flag == 6:
            self.dport = c.u16()
        elif flag == 7:
            self.flags = c.u16()
        elif flag == 8:
            c.stamp(&self.started)
        elif flag == 9:
            c.stamp(&self.at)
        elif flag == 10:
            c.stamp(&self.wait)
        elif flag == 11:
            self.sched_count = c.u32()
        elif flag == 12:
            self.attempts = c.u32()
        elif flag == 13:
            self.probe_size = c.u16()
        elif flag == 14:
            self.direction = c.u8()
        elif flag == 15:
            self.dscp = c.u8()
        elif flag == 16:
            self.ttl = c.u8()
        elif flag == 17:
            self.shake = c.u32()
        elif flag == 18:
            self.outcome = c.u8()
        elif flag == 19:
            self.raw_errmsg = c.text()
        elif flag == 20:
            self.udp_sport = c.u16()
        elif flag == 21:
            self.udp_dport = c.u16()
        elif flag == 22:
            self.tx_count = c.u32()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.u32(w.list_id)
        elif flag == 2:
            w.u32(w.cycle_id)
        elif flag == 3:
            w.u32(self.userid)
        elif flag == 4:
            w.static_addr(self.src)
        elif flag == 5:
            w.static_addr(self.dst)
        elif flag == 6:
            w.u16(self.dport)
        elif flag == 7:
            w.u16(self.flags)
        elif flag == 8:
            w.stamp(self.started)
        elif flag == 9:
            w.stamp(self.at)
        elif flag == 10:
            w.stamp(self.wait)
        elif flag == 11:
            w.u32(self.sched_count)
        elif flag == 12:
            w.u32(self.attempts)
        elif flag == 13:
            w.u16(self.probe_size)
        elif flag == 14:
            w.u8(self.direction)
        elif flag == 15:
            w.u8(self.dscp)
        elif flag == 16:
            w.u8(self.ttl)
        elif flag == 17:
            w.u32(self.shake)
        elif flag == 18:
            w.u8(self.outcome)
        elif flag == 19:
            w.text(self.raw_errmsg)
        elif flag == 20:
            w.u16(self.udp_sport)
        elif flag == 21:
            w.u16(self.udp_dport)
        elif flag == 22:
            w.u32(self.tx_count)
        return 0

    cdef int write(self, Writer w) except -1:
        w.params(self)
        for item in self.all_scheds:
            w.params(<ScamperOwampSched>item)
        for item in self.all_txs:
            w.params(<ScamperOwampTx>item)
            for rx in (<ScamperOwampTx>item).all:
                w.params(<ScamperOwampRx>rx)
        return 0

    @property
    def startat(self):
        """When it should begin; the epoch when unset."""
        return as_datetime(self.at)

    @property
    def result(self):
        """How it ended."""
        return OWAMP_RESULTS.get(self.outcome, self.outcome)

    @property
    def result_str(self):
        """How it ended, in a word."""
        return word_of(OWAMP_RESULT, self.outcome)

    @property
    def direction_str(self):
        """`tx`: from here; `rx`: to here."""
        return word_of(("tx", "rx"), self.direction)

    @property
    def wait_timeout(self):
        """How long a packet was waited for."""
        return stamp_delta(self.wait)

    def sched(self, i):
        """Slot i of the schedule, or None."""
        return item_of(self.all_scheds, i)

    def scheds(self):
        """An iterator over the schedule."""
        return iter(self.all_scheds)

    def tx(self, i):
        """Packet i, or None."""
        return item_of(self.all_txs, i)

    def txs(self):
        """An iterator over the packets."""
        return iter(self.all_txs)

    def to_json(self):
        """One JSON object, as sc_warts2json writes it."""
        return json_owamp(self)


cdef ScamperOwamp read_owamp(Cursor c):
    cdef ScamperOwamp r = ScamperOwamp.__new__(ScamperOwamp)
    cdef ScamperOwampSched sched
    cdef ScamperOwampTx tx
    cdef ScamperOwampRx rx
    cdef tuple rxs
    cdef uint32_t i
    cdef int j
    r.dport = OWAMP_PORT
    r.wait.sec = 2
    r.sched_count = 1
    r.attempts = 10
    r.probe_size = OWAMP_SIZE
    r.ttl = 255
    c.params(r, 22)
    r.all_scheds = c.room(r.sched_count)
    for i in range(r.sched_count):
        sched = ScamperOwampSched.__new__(ScamperOwampSched)
        c.params(sched, 2)
        put(r.all_scheds, i, sched)
    r.all_txs = c.room(r.tx_count)
    for i in range(r.tx_count):
        tx = ScamperOwampTx.__new__(ScamperOwampTx)
        c.params(tx, 6)
        rxs = c.room(tx.rx_count)
        for j in range(tx.rx_count):
            rx = ScamperOwampRx.__new__(ScamperOwampRx)
            c.params(rx, 5)
            put(rxs, j, rx)
        tx.all = rxs
        put(r.all_txs, i, tx)
    return r


cdef dict json_owamp_rx(ScamperOwampRx rx):
    cdef dict out = {"stamp": json_time(rx.when)}
    if rx.flags & RX_ERREST:
        out["errest"] = rx.error
    if rx.flags & RX_DSCP:
        out["dscp"] = rx.dscp_seen
    if rx.flags & RX_TTL:
        out["ttl"] = rx.ttl_seen
    return out


cdef dict json_owamp_tx(ScamperOwampTx tx):
    cdef dict out = {"stamp": json_time(tx.when), "seq": tx.seq}
    if tx.flags & TX_ERREST:
        out["errest"] = tx.error
    out["rxc"] = tx.rx_count
    out["sent"] = 0 if tx.flags & TX_NOT_SENT else 1
    out["rxs"] = [json_owamp_rx(<ScamperOwampRx>rx) for rx in tx.all]
    return out


cdef str json_owamp(ScamperOwamp r):
    cdef dict out = {"type": "owamp", "dir": r.direction_str}
    for name, a in (("src", r.src), ("dst", r.dst)):
        if a is not None:
            out[name] = str(a)
    out["dport"] = r.dport
    out["start"] = json_time(r.started)
    out["startat"] = json_time(r.at)
    out["wait_timeout"] = json_time(r.wait)
    out["hsrtt"] = {"sec": r.shake // 1000000, "usec": r.shake % 1000000}
    out["userid"] = r.userid
    out["attempts"] = r.attempts
    out["pktsize"] = r.probe_size
    out["dscp"] = r.dscp
    out["udp_sport"] = r.udp_sport
    out["udp_dport"] = r.udp_dport
    out["result"] = r.result_str
    if r.raw_errmsg is not None:
        out["errmsg"] = json_text(r.raw_errmsg)
    r.json_monitor(out)
    if r.all_scheds:
        out["sched"] = [
            {
                "value": json_time((<ScamperOwampSched>s).span),
                "type": word_of(OWAMP_SCHED, (<ScamperOwampSched>s).number),
            }
            for s in r.all_scheds
        ]
    out["txs"] = [json_owamp_tx(<ScamperOwampTx>tx) for tx in r.all_txs]
    return json_done(out)
