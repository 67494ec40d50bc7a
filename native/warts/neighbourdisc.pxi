# Neighbour discovery records (type 10). Facts: the field tables of scamper 20260420. Upstream's module shows
# the JSON only.

cdef tuple NEIGHBOURDISC_METHODS = (None, "arp", "nd-nsol")
cdef tuple NEIGHBOURDISC_FLAGS = ("allattempts", "firstresponse")


@cython.final
@cython.no_gc
cdef class NeighbourReply(Params):
    """One answer."""

    cdef Stamp when
    cdef ScamperAddr mac

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            c.stamp(&self.when)
        else:
            self.mac = c.addr()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        return w.stamp(self.when) if flag == 1 else w.addr(self.mac)


@cython.final
@cython.no_gc
cdef class NeighbourProbe(Params):
    """One question."""

    cdef Stamp when
    cdef uint16_t count
    cdef tuple replies

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            c.stamp(&self.when)
        else:
            self.count = c.u16()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        return w.stamp(self.when) if flag == 1 else w.u16(self.count)


@cython.final
cdef class ScamperNeighbourdisc(Result):
    """Which link-layer address an address has."""

    cdef ScamperAddr src_ip, src_mac, dst_ip, dst_mac
    cdef bytes raw_ifname
    cdef tuple probes
    cdef uint16_t wait_ms, attempts, stop_count, probe_count
    cdef uint8_t method, flags

    cdef int kind(self) noexcept:
        return 10

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            return self.take_list(c)
        elif flag == 2:
            return self.take_cycle(c)
        elif flag == 3:
            self.userid = c.u32()
        elif flag == 4:
            self.raw_ifname = c.text()
        elif flag == 5:
            c.stamp(&self.started)
        elif flag == 6:
            self.method = c.u8()
        elif flag == 7:
            self.wait_ms = c.u16()
        elif flag == 8:
            self.flags = c.u8()
        elif flag == 9:
            self.attempts = c.u16()
        elif flag == 10:
            self.stop_count = c.u16()
        elif flag == 11:
            self.src_ip = c.addr()
        elif flag == 12:
            self.src_mac = c.addr()
        elif flag == 13:
            self.dst_ip = c.addr()
        elif flag == 14:
            self.dst_mac = c.addr()
        elif flag == 15:
            self.probe_count = c.u16()
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
            w.text(self.raw_ifname)
        elif flag == 5:
            w.stamp(self.started)
        elif flag == 6:
            w.u8(self.method)
        elif flag == 7:
            w.u16(self.wait_ms)
        elif flag == 8:
            w.u8(self.flags)
        elif flag == 9:
            w.u16(self.attempts)
        elif flag == 10:
            w.u16(self.stop_count)
        elif flag == 11:
            w.addr(self.src_ip)
        elif flag == 12:
            w.addr(self.src_mac)
        elif flag == 13:
            w.addr(self.dst_ip)
        elif flag == 14:
            w.addr(self.dst_mac)
        elif flag == 15:
            w.u16(self.probe_count)
        else:
            w.text(self.raw_errmsg)
        return 0

    cdef int write(self, Writer w) except -1:
        w.params(self)
        for item in self.probes:
            w.params(<NeighbourProbe>item)
            for reply in (<NeighbourProbe>item).replies:
                w.params(<NeighbourReply>reply)
        return 0

    def to_json(self):
        """One JSON object, as sc_warts2json writes it."""
        return json_neighbourdisc(self)


cdef ScamperNeighbourdisc read_neighbourdisc(Cursor c):
    cdef ScamperNeighbourdisc r = ScamperNeighbourdisc.__new__(ScamperNeighbourdisc)
    cdef NeighbourProbe probe
    cdef NeighbourReply reply
    cdef tuple replies
    cdef int i, j
    c.params(r, 16)
    r.probes = c.room(r.probe_count)
    for i in range(r.probe_count):
        probe = NeighbourProbe.__new__(NeighbourProbe)
        c.params(probe, 2)
        replies = c.room(probe.count)
        for j in range(probe.count):
            reply = NeighbourReply.__new__(NeighbourReply)
            c.params(reply, 2)
            if reply.mac is None:
                c.fail("an answer without a link-layer address")
            put(replies, j, reply)
        probe.replies = replies
        put(r.probes, i, probe)
    return r


cdef str json_neighbourdisc(ScamperNeighbourdisc r):
    cdef dict out = {
        "type": "neighbourdisc", "version": "0.1", "method": word_of(NEIGHBOURDISC_METHODS, r.method),
    }
    cdef NeighbourProbe probe
    cdef list probes = []
    for name, a in (
        ("src_ip", r.src_ip), ("src_mac", r.src_mac), ("dst_ip", r.dst_ip), ("dst_mac", r.dst_mac),
    ):
        if a is not None:
            out[name] = str(a)
    if r.raw_ifname is not None:
        out["ifname"] = json_text(r.raw_ifname)
    out["userid"] = r.userid
    out["attempts"] = r.attempts
    out["stop_count"] = r.stop_count
    out["start"] = json_time(r.started)
    out["wait_timeout"] = {"sec": r.wait_ms // 1000, "usec": r.wait_ms % 1000 * 1000}
    if r.raw_errmsg is not None:
        out["errmsg"] = json_text(r.raw_errmsg)
    if r.flags:
        out["flags"] = flag_words(r.flags, NEIGHBOURDISC_FLAGS)
    r.json_monitor(out)
    for item in r.probes:
        probe = <NeighbourProbe>item
        probes.append({
            "tx": json_time(probe.when), "replyc": probe.count,
            "replies": [
                {"rx": json_time((<NeighbourReply>x).when), "mac": str((<NeighbourReply>x).mac)}
                for x in probe.replies
            ],
        })
    out["probes"] = probes
    return json_done(out)
