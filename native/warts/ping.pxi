# Ping records (type 7). Facts: warts(5), PING STRUCTURE; flags 33 and 34 of the ping and the meaning of
# methods, flag bits and reply flags from the tables of scamper 20260420.
#
# A ping keeps its replies sorted by the probe that they answer; the second and later replies to a probe
# are duplicates and share the first one's probe (`first`).

cdef enum:
    PING_ICMP_ECHO = 0
    PING_TCP_ACK = 1
    PING_TCP_ACK_SPORT = 2
    PING_UDP = 3
    PING_UDP_DPORT = 4
    PING_ICMP_TIME = 5
    PING_TCP_SYN_SPORT = 9
    PING_UDP_SPORT = 10
    PING_FLAG_PAYLOAD = 0x04
    PING_FLAG_TSONLY = 0x08
    PING_FLAG_ICMPSUM = 0x20
    PING_REPLY_TTL = 0x01
    PING_REPLY_IPID = 0x02
    PING_PROBE_IPID = 0x04
    PING_REPLY_DLTX = 0x08
    PING_REPLY_DLRX = 0x10
    PING_REPLY_TOS = 0x20
    PING_REPLY_PENDING = 0x40

cdef tuple PING_METHODS = (
    "icmp-echo", "tcp-ack", "tcp-ack-sport", "udp", "udp-dport", "icmp-time", "tcp-syn", "tcp-synack",
    "tcp-rst", "tcp-syn-sport", "udp-sport",
)
cdef tuple PING_FLAGS = (
    "v4rr", "spoof", "payload", "tsonly", "tsandaddr", "icmpsum", "dl", "tbt", "nosrc", "raw",
    "sockrx", "dltx",
)


cdef inline bint ping_is_icmp(int method) noexcept:
    return method == PING_ICMP_ECHO or method == PING_ICMP_TIME


cdef inline bint ping_is_udp(int method) noexcept:
    return method == PING_UDP or method == PING_UDP_DPORT or method == PING_UDP_SPORT


cdef inline bint ping_is_tcp(int method) noexcept:
    return method in (1, 2, 6, 7, 8, 9)


cdef tuple read_addrs(Cursor c, int n):
    cdef list out = []
    cdef int i
    for i in range(n):
        out.append(c.addr())
    return tuple(out)


@cython.final
@cython.no_gc
cdef class ScamperPingReplyIPTS:
    """The IP timestamp option of a reply: times since midnight UTC, with or without addresses."""

    cdef tuple ips                # () or as many as there are times
    cdef tuple times              # milliseconds

    def __len__(self):
        return len(self.times)

    def __iter__(self):
        ips = self.ips or (None,) * len(self.times)
        return iter(tuple(zip(ips, self.timestamps())))

    def has_addrs(self):
        """The hosts gave their addresses."""
        return len(self.ips) > 0

    def addrs(self):
        """The addresses, or None."""
        return list(self.ips) if self.ips else None

    def timestamps(self):
        """The times."""
        return [as_delta(<int64_t>(<uint32_t>ms) * 1000) for ms in self.times]


@cython.final
@cython.no_gc
cdef class ScamperPingReply(Params):
    """One reply to one probe."""

    cdef readonly ScamperAddr src
    cdef ScamperPingReply first   # the first reply to the same probe, if that is not this one
    cdef bytes raw_ifname
    cdef tuple rr
    cdef ScamperPingReplyIPTS ts
    cdef readonly uint8_t reply_proto
    cdef readonly uint16_t reply_size
    cdef Stamp sent
    cdef uint32_t delay, ipid32, tso, tsr, tst
    cdef uint16_t ipid16, probe_id, probe_ip, sport, nhmtu
    cdef uint8_t flags, ttl, type, code, tcp, tos, method
    cdef bint dst4                # the ping's destination is IPv4

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.src = c.global_addr()
            self.mark(12)
            return 0
        elif flag == 2:
            self.flags = c.u8()
        elif flag == 3:
            self.ttl = c.u8()
        elif flag == 4:
            self.reply_size = c.u16()
        elif flag == 5:
            self.type = c.u8()
            self.code = c.u8()
        elif flag == 6:
            self.delay = c.u32()
        elif flag == 7:
            self.probe_id = c.u16()
        elif flag == 8:
            self.ipid16 = c.u16()
        elif flag == 9:
            self.probe_ip = c.u16()
        elif flag == 10:
            self.reply_proto = c.u8()
        elif flag == 11:
            self.tcp = c.u8()
        elif flag == 12:
            self.src = c.addr()
        elif flag == 13:
            self.rr = read_addrs(c, c.u8())
        elif flag == 14:
            self.ts = read_ipts(c)
        elif flag == 15:
            self.ipid32 = c.u32()
        elif flag == 16:
            c.stamp(&self.sent)
        elif flag == 17:
            self.tso = c.u32()
            self.tsr = c.u32()
            self.tst = c.u32()
        elif flag == 18:
            self.sport = c.u16()
        elif flag == 19:
            self.tos = c.u8()
        elif flag == 20:
            self.raw_ifname = c.ifname()
        elif flag == 21:
            self.nhmtu = c.u16()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 2:
            w.u8(self.flags)
        elif flag == 3:
            w.u8(self.ttl)
        elif flag == 4:
            w.u16(self.reply_size)
        elif flag == 5:
            w.u8(self.type)
            w.u8(self.code)
        elif flag == 6:
            w.u32(self.delay)
        elif flag == 7:
            w.u16(self.probe_id)
        elif flag == 8:
            w.u16(self.ipid16)
        elif flag == 9:
            w.u16(self.probe_ip)
        elif flag == 10:
            w.u8(self.reply_proto)
        elif flag == 11:
            w.u8(self.tcp)
        elif flag == 12:
            w.addr(self.src)
        elif flag == 13:
            w.u8(<unsigned int>len(self.rr))
            for a in self.rr:
                w.addr(a)
        elif flag == 14:
            write_ipts(w, self.ts)
        elif flag == 15:
            w.u32(self.ipid32)
        elif flag == 16:
            w.stamp(self.sent)
        elif flag == 17:
            w.u32(self.tso)
            w.u32(self.tsr)
            w.u32(self.tst)
        elif flag == 18:
            w.u16(self.sport)
        elif flag == 19:
            w.u8(self.tos)
        elif flag == 20:
            w.ifname(self.raw_ifname)
        elif flag == 21:
            w.u16(self.nhmtu)
        return 0

    cdef inline ScamperPingReply probe(self):
        """The reply that holds what is known of the probe."""
        return self if self.first is None else self.first

    cdef uint32_t ipid(self):
        """The reply's IP-ID. 20211212 records both widths for IPv4, and zero for the wide one."""
        return self.ipid16 if self.got(8) and self.dst4 else self.ipid32

    cdef bint icmp(self):
        return (v4(self.src) and self.reply_proto == 1) or (v6(self.src) and self.reply_proto == 58)

    cdef bint icmp_is(self, int type4, int code4, int type6, int code6):
        """An ICMP message of this type (and code, unless -1) for its address family."""
        if not self.icmp():
            return False
        if v4(self.src):
            return self.type == type4 and (code4 < 0 or self.code == code4)
        return self.type == type6 and (code6 < 0 or self.code == code6)

    cdef bint from_target(self):
        if self.method == PING_ICMP_ECHO:
            return self.icmp_is(0, -1, 129, -1)
        if self.method == PING_ICMP_TIME:
            return self.icmp_is(14, -1, -1, -1)
        if ping_is_tcp(self.method):
            return self.reply_proto == 6
        if ping_is_udp(self.method):
            return self.reply_proto == 17 or self.icmp_is(3, 3, 1, 4)
        return False

    @property
    def tx(self):
        """When the probe was sent, or None."""
        return as_datetime_or_none(self.probe().sent)

    @property
    def rtt(self):
        """From probe to reply."""
        return as_delta(self.delay)

    @property
    def rx(self):
        """When the reply came, or None."""
        cdef Stamp t = self.probe().sent
        return None if is_zero(t) else make_datetime(t.sec, <int64_t>t.usec + self.delay)

    @property
    def attempt(self):
        """Which probe this answers, counting from 1."""
        return <int>self.probe_id + 1

    @property
    def probe_ipid(self):
        """The probe's IP-ID (IPv4), or None."""
        cdef ScamperPingReply p = self.probe()
        return p.probe_ip if p.flags & PING_PROBE_IPID else None

    @property
    def probe_sport(self):
        """The probe's source port, where it was recorded, or None."""
        cdef ScamperPingReply p = self.probe()
        return p.sport or None

    @property
    def reply_ttl(self):
        """The reply's TTL, or None."""
        return self.ttl if self.flags & PING_REPLY_TTL else None

    @property
    def reply_tos(self):
        """The reply's type-of-service byte, or None."""
        return self.tos if self.flags & PING_REPLY_TOS else None

    @property
    def reply_ipid(self):
        """The reply's IP-ID (IPv6: of its fragment header), or None."""
        return self.ipid() if self.flags & PING_REPLY_IPID else None

    @property
    def icmp_type(self):
        """ICMP type, or None."""
        return self.type if self.icmp() else None

    @property
    def icmp_code(self):
        """ICMP code, or None."""
        return self.code if self.icmp() else None

    @property
    def icmp_nhmtu(self):
        """MTU in a packet-too-big message, or None."""
        return self.nhmtu if self.is_icmp_ptb() else None

    @property
    def icmp_tso(self):
        """Originate time of a timestamp reply since midnight UTC, or None."""
        return as_delta(<int64_t>self.tso * 1000) if self.got(17) else None

    @property
    def icmp_tsr(self):
        """Receive time of a timestamp reply since midnight UTC, or None."""
        return as_delta(<int64_t>self.tsr * 1000) if self.got(17) else None

    @property
    def icmp_tst(self):
        """Transmit time of a timestamp reply since midnight UTC, or None."""
        return as_delta(<int64_t>self.tst * 1000) if self.got(17) else None

    @property
    def tcp_flags(self):
        """TCP flags, or None."""
        return self.tcp if self.reply_proto == 6 else None

    @property
    def tcp_mss(self):
        """TCP maximum segment size: no recording that we know carries it, so None."""
        return None

    @property
    def ifname(self):
        """Name of the interface that the reply came in on, or None."""
        return as_text(self.raw_ifname)

    @property
    def ip_rr(self):
        """Addresses of the record-route option, or None."""
        return None if self.rr is None else list(self.rr)

    @property
    def ip_ts(self):
        """The IP timestamp option, or None."""
        return self.ts

    def is_icmp(self):
        """An ICMP message."""
        return self.icmp()

    def is_tcp(self):
        """A TCP segment."""
        return self.reply_proto == 6

    def is_udp(self):
        """A UDP datagram."""
        return self.reply_proto == 17

    def is_icmp_echo_reply(self):
        """An ICMP echo reply."""
        return self.icmp_is(0, -1, 129, -1)

    def is_icmp_unreach(self):
        """An ICMP destination unreachable."""
        return self.icmp_is(3, -1, 1, -1)

    def is_icmp_unreach_port(self):
        """An ICMP port unreachable."""
        return self.icmp_is(3, 3, 1, 4)

    def is_icmp_ttl_exp(self):
        """An ICMP time exceeded."""
        return self.icmp_is(11, -1, 3, -1)

    def is_icmp_tsreply(self):
        """An ICMP timestamp reply."""
        return self.icmp_is(14, -1, -1, -1)

    def is_icmp_ptb(self):
        """An ICMP fragmentation needed or packet too big."""
        return self.icmp_is(3, 4, 2, -1)

    def is_from_target(self):
        """The kind of reply that the probed host itself gives to this method."""
        return self.from_target()

    def __str__(self):
        return (
            f"{self.reply_size} bytes from {self.src}, seq={self.probe_id} ttl={self.ttl} "
            f"time={ms_text(self.delay)} ms"
        )


cdef ScamperPingReplyIPTS read_ipts(Cursor c):
    cdef ScamperPingReplyIPTS ts = ScamperPingReplyIPTS.__new__(ScamperPingReplyIPTS)
    cdef list times = []
    cdef int i, n = c.u8(), ips = c.u8()
    if ips != 0 and ips != n:
        c.fail("an IP timestamp option with some addresses missing")
    for i in range(n):
        times.append(c.u32())
    ts.times = tuple(times)
    ts.ips = read_addrs(c, ips)
    return ts


cdef int write_ipts(Writer w, ScamperPingReplyIPTS ts) except -1:
    w.u8(<unsigned int>len(ts.times))
    w.u8(<unsigned int>len(ts.ips))
    for ms in ts.times:
        w.u32(ms)
    for a in ts.ips:
        w.addr(a)
    return 0


@cython.final
cdef class ScamperPing(Result):
    """A ping: how it was asked for, and what came back."""

    cdef readonly ScamperAddr src, dst, rtr
    cdef bytes data
    cdef tuple tsps
    cdef tuple all                # every reply, sorted by probe
    cdef tuple firsts             # the first reply to each probe that has one
    cdef uint32_t wait_usec, timeout_usec, tcp_ack, tcp_seq, flags
    cdef readonly uint16_t attempts, probe_count, probe_size, stop_count, reply_pmtu
    cdef uint16_t datalen, sport, dport, icmp_sum
    cdef uint8_t stop, stop_data, wait_sec, timeout_sec, method
    cdef readonly uint8_t probe_ttl, probe_tos

    cdef int kind(self) noexcept:
        return 7

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            return self.take_list(c)
        elif flag == 2:
            return self.take_cycle(c)
        elif flag == 3:
            self.src = c.global_addr()
            if self.src is not None:
                self.mark(20)
            return 0
        elif flag == 4:
            self.dst = c.global_addr()
            self.mark(21)
            return 0
        elif flag == 5:
            c.stamp(&self.started)
        elif flag == 6:
            self.stop = c.u8()
        elif flag == 7:
            self.stop_data = c.u8()
        elif flag == 8:
            self.datalen = c.u16()
        elif flag == 9:
            self.data = c.raw(self.datalen)
            return self.datalen != 0
        elif flag == 10:
            self.attempts = c.u16()
        elif flag == 11:
            self.probe_size = c.u16()
        elif flag == 12:
            self.wait_sec = c.u8()
        elif flag == 13:
            self.probe_ttl = c.u8()
        elif flag == 14:
            self.stop_count = c.u16()
        elif flag == 15:
            self.probe_count = c.u16()
        elif flag == 16:
            self.method = c.u8()
        elif flag == 17:
            self.sport = c.u16()
        elif flag == 18:
            self.dport = c.u16()
        elif flag == 19:
            self.userid = c.u32()
        elif flag == 20:
            self.src = c.addr()
        elif flag == 21:
            self.dst = c.addr()
        elif flag == 22:
            self.flags |= c.u8()
        elif flag == 23:
            self.probe_tos = c.u8()
        elif flag == 24:
            self.tsps = read_addrs(c, c.u8())
            if not self.tsps:
                c.fail("an empty list of timestamp addresses")
        elif flag == 25:
            self.icmp_sum = c.u16()
        elif flag == 26:
            self.reply_pmtu = c.u16()
        elif flag == 27:
            self.timeout_sec = c.u8()
        elif flag == 28:
            self.wait_usec = c.u32()
        elif flag == 29:
            self.tcp_ack = c.u32()
        elif flag == 30:
            self.flags = c.u32()
        elif flag == 31:
            self.tcp_seq = c.u32()
        elif flag == 32:
            self.rtr = c.static_addr()
        elif flag == 33:
            self.timeout_usec = c.u32()
        elif flag == 34:
            self.raw_errmsg = c.text()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.u32(w.list_id)
        elif flag == 2:
            w.u32(w.cycle_id)
        elif flag == 5:
            w.stamp(self.started)
        elif flag == 6:
            w.u8(self.stop)
        elif flag == 7:
            w.u8(self.stop_data)
        elif flag == 8:
            w.u16(self.datalen)
        elif flag == 9:
            w.raw(self.data)
        elif flag == 10:
            w.u16(self.attempts)
        elif flag == 11:
            w.u16(self.probe_size)
        elif flag == 12:
            w.u8(self.wait_sec)
        elif flag == 13:
            w.u8(self.probe_ttl)
        elif flag == 14:
            w.u16(self.stop_count)
        elif flag == 15:
            w.u16(self.probe_count)
        elif flag == 16:
            w.u8(self.method)
        elif flag == 17:
            w.u16(self.sport)
        elif flag == 18:
            w.u16(self.dport)
        elif flag == 19:
            w.u32(self.userid)
        elif flag == 20:
            w.addr(self.src)
        elif flag == 21:
            w.addr(self.dst)
        elif flag == 22:
            w.u8(self.flags & 0xFF)
        elif flag == 23:
            w.u8(self.probe_tos)
        elif flag == 24:
            w.u8(<unsigned int>len(self.tsps))
            for a in self.tsps:
                w.addr(a)
        elif flag == 25:
            w.u16(self.icmp_sum)
        elif flag == 26:
            w.u16(self.reply_pmtu)
        elif flag == 27:
            w.u8(self.timeout_sec)
        elif flag == 28:
            w.u32(self.wait_usec)
        elif flag == 29:
            w.u32(self.tcp_ack)
        elif flag == 30:
            w.u32(self.flags)
        elif flag == 31:
            w.u32(self.tcp_seq)
        elif flag == 32:
            w.static_addr(self.rtr)
        elif flag == 33:
            w.u32(self.timeout_usec)
        elif flag == 34:
            w.text(self.raw_errmsg)
        return 0

    cdef int write(self, Writer w) except -1:
        w.params(self)
        w.u16(<unsigned int>len(self.all))
        for reply in self.all:
            w.params(<ScamperPingReply>reply)
        return 0

    @property
    def stop_reason(self):
        """Why it ended."""
        return PING_STOPS.get(self.stop, self.stop)

    @property
    def stop_reason_str(self):
        """Why it ended, in a word."""
        return word_of(PING_STOP, self.stop)

    @property
    def payload(self):
        """What the probes carried, or None."""
        return self.data or None

    @property
    def wait_probe(self):
        """Time between probes."""
        return as_delta(<int64_t>self.wait_sec * 1000000 + self.wait_usec)

    @property
    def wait_timeout(self):
        """How long a probe's reply was waited for."""
        return as_delta(<int64_t>self.timeout_sec * 1000000 + self.timeout_usec)

    @property
    def probe_sport(self):
        """Source port, or None for ICMP."""
        return None if not (ping_is_tcp(self.method) or ping_is_udp(self.method)) else self.sport

    @property
    def probe_dport(self):
        """Destination port, or None for ICMP."""
        return None if not (ping_is_tcp(self.method) or ping_is_udp(self.method)) else self.dport

    @property
    def probe_icmp_sum(self):
        """The ICMP checksum that was asked for (0: none), or None if not ICMP."""
        return self.icmp_sum if ping_is_icmp(self.method) else None

    @property
    def probe_tcp_seq(self):
        """TCP sequence number, or None."""
        return self.tcp_seq if ping_is_tcp(self.method) else None

    @property
    def probe_tcp_ack(self):
        """TCP acknowledgement number, or None."""
        return self.tcp_ack if ping_is_tcp(self.method) else None

    @property
    def probe_tcp_mss(self):
        """TCP maximum segment size: no recording that we know carries it, so None."""
        return None

    @property
    def probe_tsaddrs(self):
        """The addresses asked for timestamps, or None."""
        return None if self.tsps is None else list(self.tsps)

    def is_icmp(self):
        """ICMP probes, echo or timestamp."""
        return ping_is_icmp(self.method)

    def is_icmp_time(self):
        """ICMP timestamp probes."""
        return self.method == PING_ICMP_TIME

    def is_tcp(self):
        """TCP probes."""
        return ping_is_tcp(self.method)

    def is_tcp_ack_sport(self):
        """TCP ACK probes that vary the source port."""
        return self.method == PING_TCP_ACK_SPORT

    def is_udp(self):
        """UDP probes."""
        return ping_is_udp(self.method)

    def is_vary_sport(self):
        """Probes that vary the source port."""
        return self.method in (PING_TCP_ACK_SPORT, PING_TCP_SYN_SPORT, PING_UDP_SPORT)

    def is_vary_dport(self):
        """Probes that vary the destination port."""
        return self.method == PING_UDP_DPORT

    def reply(self, i):
        """The first reply to probe i (from 0), or None."""
        cdef unsigned int n = i
        cdef Py_ssize_t low = 0, high = len(self.firsts), mid
        while low < high:
            mid = (low + high) // 2
            if (<ScamperPingReply>self.firsts[mid]).probe_id < n:
                low = mid + 1
            else:
                high = mid
        if low < len(self.firsts) and (<ScamperPingReply>self.firsts[low]).probe_id == n:
            return self.firsts[low]
        return None

    def replies(self):
        """An iterator over the first reply to each probe that has one."""
        return iter(self.firsts)

    def __iter__(self):
        return iter(self.firsts)

    cdef PingStats stats(self):
        return ping_stats(self)

    @property
    def nreplies(self):
        """Probes with a reply from the target."""
        return self.stats().replies

    @property
    def ndups(self):
        """Further replies from the target to the same probe."""
        return self.stats().dups

    @property
    def nloss(self):
        """Probes without a reply from the target."""
        return self.stats().loss

    @property
    def nerrs(self):
        """Replies that are not from the target."""
        return self.stats().errs

    @property
    def min_rtt(self):
        """Shortest round-trip time of the target's replies, or None."""
        cdef PingStats s = self.stats()
        return as_delta(s.low) if s.replies else None

    @property
    def max_rtt(self):
        """Longest round-trip time of the target's replies, or None."""
        cdef PingStats s = self.stats()
        return as_delta(s.high) if s.replies else None

    @property
    def avg_rtt(self):
        """Mean round-trip time of the target's replies, cut to microseconds, or None."""
        cdef PingStats s = self.stats()
        return as_delta(s.mean) if s.replies else None

    @property
    def stddev_rtt(self):
        """Population standard deviation of the round-trip times, cut to microseconds, or None."""
        cdef PingStats s = self.stats()
        return as_delta(s.deviation) if s.replies else None

    def to_json(self):
        """One JSON object, as sc_warts2json writes it."""
        return json_ping(self)

    def to_text(self):
        """Lines for people, as sc_warts2text writes them."""
        return text_ping(self)

    def __str__(self):
        return text_ping(self)


cdef struct PingStats:
    unsigned int replies, dups, loss, errs, pending
    int64_t low, high, mean, deviation


cdef PingStats ping_stats(ScamperPing ping):
    cdef PingStats s
    cdef ScamperPingReply r, group = None
    cdef unsigned int here = 0, probes_with = 0, n = 0
    cdef double total = 0, mean, squares = 0
    memset(&s, 0, sizeof(s))
    for item in ping.all:
        r = <ScamperPingReply>item
        if r.first is None:
            group = r
            here = 0
        if group.flags & PING_REPLY_PENDING:
            if r.first is None:
                s.pending += 1
            continue
        if not r.from_target():
            s.errs += 1
            continue
        if n == 0 or r.delay < s.low:
            s.low = r.delay
        if n == 0 or r.delay > s.high:
            s.high = r.delay
        total += r.delay
        n += 1
        here += 1
        if here == 1:
            s.replies += 1
        else:
            s.dups += 1
    s.loss = ping.probe_count - s.replies - s.pending
    if n:
        mean = total / n
        for item in ping.all:
            r = <ScamperPingReply>item
            if r.from_target() and not r.probe().flags & PING_REPLY_PENDING:
                squares += (r.delay - mean) * (r.delay - mean)
        s.mean = <int64_t>mean
        s.deviation = <int64_t>sqrt(squares / n)
    return s


cdef ScamperPing read_ping(Cursor c):
    cdef ScamperPing ping = ScamperPing.__new__(ScamperPing)
    cdef ScamperPingReply r, last = None
    cdef list replies = [], firsts
    cdef int i, count
    cdef bint sorted_ = True, dups = False
    c.params(ping, 34)
    if ping.dst is None:
        c.fail("a ping without a destination")
    if not ping.got(27):
        ping.timeout_sec = ping.wait_sec
    count = c.u16()
    for i in range(count):
        r = ScamperPingReply.__new__(ScamperPingReply)
        r.method = ping.method
        c.params(r, 21)
        if r.src is None:
            c.fail("a ping reply without a source")
        if r.probe_id >= ping.probe_count:
            c.fail("a reply to a probe that was not sent")
        if not r.got(10):
            r.reply_proto = 1 if ping.dst.kind == IPV4 else 58
        r.dst4 = ping.dst.kind == IPV4
        if last is not None and r.probe_id <= last.probe_id:
            if r.probe_id == last.probe_id:
                dups = True
            else:
                sorted_ = False
        last = r
        replies.append(r)
    if not sorted_:
        replies = sorted(replies, key=_probe_number)
    if dups or not sorted_:
        firsts = []
        last = None
        for item in replies:
            r = <ScamperPingReply>item
            if last is not None and r.probe_id == last.probe_id:
                r.first = last
            else:
                last = r
                firsts.append(r)
        ping.firsts = tuple(firsts)
        ping.all = tuple(replies)
    else:
        ping.all = ping.firsts = tuple(replies)
    return ping


def _probe_number(ScamperPingReply reply not None):
    """Sort key: the probe that a reply answers."""
    return reply.probe_id


cdef object json_ping_probe(ScamperPing ping, ScamperPingReply r, dict out):
    """What a reply tells of its probe."""
    cdef ScamperPingReply p = r.probe()
    cdef str proto
    cdef unsigned int sport
    out["seq"] = r.probe_id
    if p.sent.sec:
        out["tx"] = json_time(p.sent)
    if ping_is_icmp(ping.method):
        out["icmp_id"] = ping.sport
        out["icmp_seq"] = (ping.dport + p.probe_id) & 0xFFFF
    else:
        proto = "udp" if ping_is_udp(ping.method) else "tcp" if ping_is_tcp(ping.method) else "bug"
        sport = p.sport
        if sport == 0:
            sport = ping.sport + (p.probe_id if ping.is_vary_sport() else 0)
        out[proto + "_sport"] = sport & 0xFFFF
        out[proto + "_dport"] = (ping.dport + (p.probe_id if ping.method == PING_UDP_DPORT else 0)) & 0xFFFF
    if p.flags & PING_PROBE_IPID:
        out["probe_ipid"] = p.probe_ip


cdef dict json_ping_reply(ScamperPing ping, ScamperPingReply r):
    cdef dict out = {"from": str(r.src), "reply_size": r.reply_size, "reply_ttl": r.ttl}
    cdef ScamperPingReply p = r.probe()
    cdef list words
    json_ping_probe(ping, r, out)
    out["reply_proto"] = {1: "icmp", 58: "icmp", 6: "tcp", 17: "udp"}.get(r.reply_proto, r.reply_proto)
    if r.raw_ifname is not None:
        out["ifname"] = json_text(r.raw_ifname)
    words = flag_words(r.flags, (None, None, None, "dltxts", "dlrxts"))
    if words:
        out["reply_flags"] = words
    if p.sent.sec:
        out["rx"] = json_time(stamp_after(p.sent, r.delay))
    out["rtt"] = json_ms(r.delay)
    if v4(r.src):
        out["reply_ipid"] = r.ipid() & 0xFFFF
    elif r.flags & PING_REPLY_IPID:
        out["reply_ipid"] = r.ipid()
    if r.flags & PING_REPLY_TOS:
        out["reply_tos"] = r.tos
    if r.icmp():
        out["icmp_type"] = r.type
        out["icmp_code"] = r.code
        if r.is_icmp_ptb():
            out["icmp_nhmtu"] = r.nhmtu
    elif r.reply_proto == 6:
        out["tcp_flags"] = r.tcp
    if r.rr is not None:
        out["RR"] = [str(a) for a in r.rr]
    if r.ts is not None:
        if ping.flags & PING_FLAG_TSONLY:
            out["tsonly"] = list(r.ts.times)
        elif r.ts.ips:
            out["tsandaddr"] = [
                {"ts": ms, "ip": str(a)} for ms, a in zip(r.ts.times, r.ts.ips)
            ]
        else:
            out["tsandaddr"] = [{"ts": ms} for ms in r.ts.times]
    return out


cdef Stamp stamp_after(Stamp t, int64_t usec) noexcept:
    cdef Stamp out
    usec += t.usec
    out.sec = <uint32_t>(t.sec + usec // 1000000)
    out.usec = <uint32_t>(usec % 1000000)
    return out


cdef str json_ping(ScamperPing ping):
    cdef dict out = {"type": "ping", "version": "0.4", "method": word_of(PING_METHODS, ping.method)}
    cdef dict numbers
    cdef PingStats s = ping.stats()
    cdef unsigned int settled
    for name, a in (("src", ping.src), ("dst", ping.dst), ("rtr", ping.rtr)):
        if a is not None:
            out[name] = str(a)
    out["start"] = json_time(ping.started)
    out["stop_reason"] = word_of(PING_STOP, ping.stop)
    out["stop_data"] = ping.stop_data
    if ping.raw_errmsg is not None:
        out["errmsg"] = json_text(ping.raw_errmsg)
    out["ping_sent"] = ping.probe_count
    out["probe_size"] = ping.probe_size
    out["userid"] = ping.userid
    out["ttl"] = ping.probe_ttl
    out["tos"] = ping.probe_tos
    out["wait"] = ping.wait_sec
    if ping.wait_usec:
        out["wait_us"] = ping.wait_usec
    out["timeout"] = ping.timeout_sec
    if ping.timeout_usec:
        out["timeout_us"] = ping.timeout_usec
    if ping_is_udp(ping.method) or ping_is_tcp(ping.method):
        out["sport"] = ping.sport
        out["dport"] = ping.dport
    if ping_is_tcp(ping.method):
        out["tcp_seq"] = ping.tcp_seq
        out["tcp_ack"] = ping.tcp_ack
    if ping.data:
        out["payload" if ping.flags & PING_FLAG_PAYLOAD else "pattern"] = ping.data.hex()
    if ping.flags:
        out["flags"] = flag_words(ping.flags, PING_FLAGS)
    if ping_is_icmp(ping.method) and ping.flags & PING_FLAG_ICMPSUM:
        out["icmp_csum"] = ping.icmp_sum
    if ping.tsps is not None:
        out["probe_tsps"] = [str(a) for a in ping.tsps]
    ping.json_monitor(out)
    out["responses"] = [json_ping_reply(ping, <ScamperPingReply>r) for r in ping.all]
    out["no_responses"] = []
    numbers = out["statistics"] = {"replies": s.replies}
    if ping.probe_count > s.pending:
        settled = ping.probe_count - s.pending
        if s.replies == 0:
            numbers["loss"] = 1
        elif s.replies == settled:
            numbers["loss"] = 0
        else:
            numbers["loss"] = round(<double>(<float>(settled - s.replies) / settled), 2)
    if s.replies:
        numbers["min"] = json_ms(s.low)
        numbers["max"] = json_ms(s.high)
        numbers["avg"] = json_ms(s.mean)
        numbers["stddev"] = json_ms(s.deviation)
    for name, n in (("ndups", s.dups), ("nerrs", s.errs), ("npend", s.pending)):
        if n:
            numbers[name] = n
    return json_done(out)


cdef str clock_text(uint32_t ms):
    """`hh:mm:ss.mmm` of milliseconds since midnight."""
    return "%02d:%02d:%02d.%03d" % (ms // 3600000, ms // 60000 % 60, ms // 1000 % 60, ms % 1000)


cdef str text_ping_reply(ScamperPingReply r):
    cdef list out = [f"{r.reply_size} bytes from {r.src}, seq={r.probe_id} "]
    cdef str state
    if r.icmp() or r.reply_proto == 17:
        out.append(f"ttl={r.ttl} time={ms_text(r.delay)} ms")
    if r.icmp() and r.got(17):
        out.append(f" tso={clock_text(r.tso)} tsr={clock_text(r.tsr)} tst={clock_text(r.tst)}")
    elif r.reply_proto == 6:
        if r.tcp & 0x04:
            state = "closed"
        elif r.tcp & 0x12 == 0x12:
            state = "open,ecn" if r.tcp & 0x40 else "open"
        else:
            state = "0x%02x" % r.tcp
        out.append(f"tcp={state} ttl={r.ttl} time={ms_text(r.delay)} ms")
    out.append("\n")
    if r.rr is not None:
        for i, a in enumerate(r.rr):
            out.append(f"{' RR: ' if i == 0 else '     '}{a}\n")
    if r.ts is not None:
        for i, ms in enumerate(r.ts.times):
            who = "%-15s " % r.ts.ips[i] if r.ts.ips else ""
            out.append(f"{' TS: ' if i == 0 else '     '}{who}{ms}\n")
    return "".join(out)


cdef str text_ping(ScamperPing ping):
    cdef list out
    cdef PingStats s = ping.stats()
    cdef int64_t settled = <int64_t>ping.probe_count - s.pending
    source = f" from {ping.src}" if ping.src is not None else ""
    out = [f"ping{source} to {ping.dst}: {ping.probe_size} byte packets\n"]
    for r in ping.all:
        out.append(text_ping_reply(<ScamperPingReply>r))
    out.append(f"--- {ping.dst} ping statistics ---\n")
    out.append(f"{ping.probe_count} packets transmitted, {s.replies} packets received")
    for n, word in ((s.dups, "duplicates"), (s.errs, "errors"), (s.pending, "pending")):
        if n:
            out.append(f", +{n} {word}")
    if settled > 0:
        out.append(f", {(settled - s.replies) * 100 // settled}% packet loss")
    if s.replies:
        times = "/".join([ms_text(us) for us in (s.low, s.mean, s.high, s.deviation)])
        out.append(f"\nround-trip min/avg/max/stddev = {times} ms")
    return "".join(out)
