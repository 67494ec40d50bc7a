# UDP probe records (type 16). Facts: the field tables of scamper 20260420. The first probe's source port
# and reply count stand among the flags of the record itself, and its replies come first; then all the
# other probes, then all their replies.


@cython.final
@cython.no_gc
cdef class ScamperUdpprobeReply(Params):
    """One datagram that came back."""

    cdef Stamp received
    cdef uint16_t length
    cdef bytes data, raw_ifname

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            c.stamp(&self.received)
        elif flag == 2:
            self.length = c.u16()
        elif flag == 3:
            self.data = c.raw(self.length)
            return self.length != 0
        else:
            self.raw_ifname = c.ifname()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.stamp(self.received)
        elif flag == 2:
            w.u16(self.length)
        elif flag == 3:
            w.raw(self.data)
        else:
            w.ifname(self.raw_ifname)
        return 0

    @property
    def rx(self):
        """When it came."""
        return as_datetime(self.received)

    @property
    def payload(self):
        """What it carried, or None."""
        return self.data or None

    @property
    def ifname(self):
        """Name of the interface that it came in on, or None."""
        return as_text(self.raw_ifname)


@cython.final
@cython.no_gc
cdef class ScamperUdpprobeProbe(Params):
    """One datagram that was sent."""

    cdef Stamp sent
    cdef readonly uint16_t sport
    cdef readonly uint8_t reply_count
    cdef tuple replies

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            c.stamp(&self.sent)
        elif flag == 2:
            self.sport = c.u16()
        else:
            self.reply_count = c.u8()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.stamp(self.sent)
        elif flag == 2:
            w.u16(self.sport)
        else:
            w.u8(self.reply_count)
        return 0

    @property
    def tx(self):
        """When it was sent."""
        return as_datetime(self.sent)

    def reply(self, i):
        """Reply i, or None."""
        return item_of(self.replies, i)

    def __iter__(self):
        return iter(self.replies)


@cython.final
cdef class ScamperUdpprobe(Result):
    """UDP datagrams sent to one port, and what came back."""

    cdef readonly ScamperAddr src, dst
    cdef bytes data
    cdef tuple probes
    cdef uint32_t timeout_usec, wait_usec
    cdef uint16_t first_sport, length
    cdef readonly uint16_t sport, dport
    cdef uint8_t flags, stop, first_replies
    cdef readonly uint8_t attempts, probe_sent, stop_count

    cdef int kind(self) noexcept:
        return 16

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
            self.first_sport = c.u16()
        elif flag == 7:
            self.dport = c.u16()
        elif flag == 8:
            c.stamp(&self.started)
        elif flag == 9:
            self.timeout_usec = c.u32()
        elif flag == 10:
            self.flags = c.u8()
        elif flag == 11:
            self.stop = c.u8()
        elif flag == 12:
            self.length = c.u16()
        elif flag == 13:
            self.data = c.raw(self.length)
            return self.length != 0
        elif flag == 14:
            self.first_replies = c.u8()
        elif flag == 15:
            self.attempts = c.u8()
        elif flag == 16:
            self.probe_sent = c.u8()
        elif flag == 17:
            self.stop_count = c.u8()
        elif flag == 18:
            self.sport = c.u16()
        elif flag == 19:
            self.wait_usec = c.u32()
        elif flag == 20:
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
            w.static_addr(self.src)
        elif flag == 5:
            w.static_addr(self.dst)
        elif flag == 6:
            w.u16(self.first_sport)
        elif flag == 7:
            w.u16(self.dport)
        elif flag == 8:
            w.stamp(self.started)
        elif flag == 9:
            w.u32(self.timeout_usec)
        elif flag == 10:
            w.u8(self.flags)
        elif flag == 11:
            w.u8(self.stop)
        elif flag == 12:
            w.u16(self.length)
        elif flag == 13:
            w.raw(self.data)
        elif flag == 14:
            w.u8(self.first_replies)
        elif flag == 15:
            w.u8(self.attempts)
        elif flag == 16:
            w.u8(self.probe_sent)
        elif flag == 17:
            w.u8(self.stop_count)
        elif flag == 18:
            w.u16(self.sport)
        elif flag == 19:
            w.u32(self.wait_usec)
        elif flag == 20:
            w.text(self.raw_errmsg)
        return 0

    cdef int write(self, Writer w) except -1:
        w.params(self)
        for probe in self.probes[:1]:
            for reply in (<ScamperUdpprobeProbe>probe).replies:
                w.params(<ScamperUdpprobeReply>reply)
        for probe in self.probes[1:]:
            w.params(<ScamperUdpprobeProbe>probe)
        for probe in self.probes[1:]:
            for reply in (<ScamperUdpprobeProbe>probe).replies:
                w.params(<ScamperUdpprobeReply>reply)
        return 0

    @property
    def stop_reason(self):
        """Why it ended."""
        return UDPPROBE_STOPS.get(self.stop, self.stop)

    @property
    def stop_reason_str(self):
        """Why it ended, in a word."""
        return word_of(UDPPROBE_STOP, self.stop)

    @property
    def wait_probe(self):
        """Time between probes."""
        return as_delta(self.wait_usec)

    @property
    def wait_timeout(self):
        """How long replies were waited for."""
        return as_delta(self.timeout_usec)

    @property
    def payload(self):
        """What the probes carried, or None."""
        return self.data or None

    def probe(self, i):
        """Probe i, or None."""
        return item_of(self.probes, i)

    def __iter__(self):
        return iter(self.probes)

    def replies(self):
        """An iterator over all replies to all probes."""
        return iter(tuple([
            reply for probe in self.probes for reply in (<ScamperUdpprobeProbe>probe).replies
        ]))

    def to_json(self):
        """One JSON object, as sc_warts2json writes it."""
        return json_udpprobe(self)


cdef int read_udpprobe_replies(Cursor c, ScamperUdpprobeProbe probe) except -1:
    cdef ScamperUdpprobeReply reply
    cdef int i
    probe.replies = c.room(probe.reply_count)
    for i in range(probe.reply_count):
        reply = ScamperUdpprobeReply.__new__(ScamperUdpprobeReply)
        c.params(reply, 4)
        put(probe.replies, i, reply)
    return 0


cdef ScamperUdpprobe read_udpprobe(Cursor c):
    cdef ScamperUdpprobe up = ScamperUdpprobe.__new__(ScamperUdpprobe)
    cdef ScamperUdpprobeProbe probe
    cdef list probes = []
    cdef int i
    up.attempts = 1
    up.probe_sent = 1
    c.params(up, 20)
    for i in range(up.probe_sent):
        probe = ScamperUdpprobeProbe.__new__(ScamperUdpprobeProbe)
        if i == 0:
            probe.sport = up.first_sport
            probe.reply_count = up.first_replies
            probe.sent = up.started
            read_udpprobe_replies(c, probe)
        else:
            c.params(probe, 3)
        probes.append(probe)
    for item in probes[1:]:
        read_udpprobe_replies(c, <ScamperUdpprobeProbe>item)
    up.probes = tuple(probes)
    return up


cdef dict json_udpprobe_reply(Stamp sent, ScamperUdpprobeReply reply):
    cdef dict out = {"rx": json_time(reply.received)}
    out["rtt"] = json_between(sent, reply.received)
    out["len"] = reply.length
    if reply.data:
        out["data"] = reply.data.hex()
    if reply.raw_ifname is not None:
        out["ifname"] = json_text(reply.raw_ifname)
    return out


cdef dict json_udpprobe_probe(ScamperUdpprobeProbe probe):
    return {
        "tx": json_time(probe.sent), "sport": probe.sport, "replyc": probe.reply_count,
        "replies": [json_udpprobe_reply(probe.sent, <ScamperUdpprobeReply>r) for r in probe.replies],
    }


cdef str json_udpprobe(ScamperUdpprobe up):
    cdef dict out = {"type": "udpprobe", "version": "0.1"}
    for name, a in (("src", up.src), ("dst", up.dst)):
        if a is not None:
            out[name] = str(a)
    out["userid"] = up.userid
    out["start"] = json_time(up.started)
    out["sport"] = up.sport
    out["dport"] = up.dport
    out["wait_timeout"] = {"sec": up.timeout_usec // 1000000, "usec": up.timeout_usec % 1000000}
    if up.flags & 1:
        out["flags"] = ["exitfirst"]
    out["stop_reason"] = word_of(UDPPROBE_STOP, up.stop)
    if up.raw_errmsg is not None:
        out["errmsg"] = json_text(up.raw_errmsg)
    if up.data:
        out["data"] = up.data.hex()
    out["len"] = up.length
    out["probe_count"] = up.attempts
    out["probe_sent"] = up.probe_sent
    out["stop_count"] = up.stop_count
    up.json_monitor(out)
    out["probes"] = [json_udpprobe_probe(<ScamperUdpprobeProbe>p) for p in up.probes]
    return json_done(out)
