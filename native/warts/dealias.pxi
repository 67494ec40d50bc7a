# Alias resolution records (type 9). Facts: the field tables of scamper 20260420; which of them a method
# records, and as what, stands in PLAN below.
#
# A record is: what all methods share, the method's own plan, the probe definitions, then the probes in the
# order sent, each with its replies. A probe names its definition by number.

cdef enum:
    MERCATOR = 1
    ALLY = 2
    RADARGUN = 3
    PREFIXSCAN = 4
    BUMP = 5
    MIDAREST = 6
    MIDARDISC = 7
    # What a field of a plan is, and how it is stored.
    P_ATTEMPTS = 1       # u8
    P_TIMEOUT_S = 2      # u8, seconds
    P_TIMEOUT_US = 3     # u32, microseconds
    P_WAIT_MS = 4        # u16, milliseconds
    P_WAIT_US = 5        # u32, microseconds
    P_ROUND_MS = 6       # u32, milliseconds
    P_ROUND_US = 7       # u32, microseconds
    P_FUDGE = 8          # u16
    P_FLAGS = 9          # u8
    P_COUNT16 = 10       # u16: how many probe definitions follow
    P_COUNT32 = 11       # u32, likewise
    P_ROUNDS8 = 12
    P_ROUNDS16 = 13
    P_A = 14             # address
    P_B = 15             # address
    P_AB = 16            # address
    P_XS = 17            # u16 count, addresses
    P_PREFIX = 18        # u8
    P_REPLYC = 19        # u8
    P_LIMIT = 20         # u16
    P_SCHEDULE = 21      # u32 count, rounds
    P_STARTAT = 22       # time

cdef int[8][12] PLAN = [
    [0] * 12,
    [P_ATTEMPTS, P_TIMEOUT_S, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [P_WAIT_MS, P_TIMEOUT_S, P_ATTEMPTS, P_FUDGE, P_FLAGS, 0, 0, 0, 0, 0, 0, 0],
    [P_COUNT32, P_ROUNDS16, P_WAIT_MS, P_ROUND_MS, P_TIMEOUT_S, P_FLAGS, 0, 0, 0, 0, 0, 0],
    [
        P_A, P_B, P_AB, P_XS, P_PREFIX, P_ATTEMPTS, P_FUDGE, P_WAIT_MS, P_TIMEOUT_S, P_COUNT16, P_FLAGS,
        P_REPLYC,
    ],
    [P_WAIT_MS, P_LIMIT, P_ATTEMPTS, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [P_COUNT16, P_ROUNDS8, P_WAIT_US, P_ROUND_US, P_TIMEOUT_US, 0, 0, 0, 0, 0, 0, 0],
    [P_COUNT32, P_TIMEOUT_US, P_SCHEDULE, P_STARTAT, 0, 0, 0, 0, 0, 0, 0, 0],
]
cdef int[8] PLAN_FIELDS = [0, 2, 5, 6, 12, 3, 5, 4]

cdef tuple DEALIAS_METHODS = (
    None, "mercator", "ally", "radargun", "prefixscan", "bump", "midarest", "midardisc",
)
cdef tuple DEALIAS_RESULTS = ("none", "aliases", "not-aliases", "halted", "ipid-echo", "error")
cdef tuple PROBEDEF_METHODS = (
    None, "icmp-echo", "tcp-ack", "udp", "tcp-ack-sport", "udp-dport", "tcp-syn-sport",
)


@cython.final
@cython.no_gc
cdef class ScamperDealiasMidardiscRound:
    """One round of a midardisc schedule: which probe definitions are sent from when on.

    Args:
        start: timedelta since the beginning.
        begin, end: the first definition and the one after the last.
    """

    cdef Stamp at
    cdef readonly uint32_t begin, end

    def __init__(self, start, begin, end):
        if not isinstance(start, _timedelta):
            raise TypeError("expected timedelta for start")
        if not isinstance(begin, int):
            raise TypeError("expected int for begin")
        if not isinstance(end, int):
            raise TypeError("expected int for end")
        if start < _timedelta(0):
            raise ValueError("start: a round cannot begin before the beginning")
        self.at.sec = start.days * 86400 + start.seconds
        self.at.usec = start.microseconds
        self.begin = begin
        self.end = end

    @property
    def start(self):
        """When the round begins."""
        return stamp_delta(self.at)

    def __str__(self):
        return "%d.%06d:%d:%d" % (self.at.sec, self.at.usec, self.begin, self.end)


cdef object field_in(object value, int most, str what):
    cdef object n
    if value is None:
        return 0
    n = int(value)
    if not 0 <= n <= most:
        raise ValueError(f"invalid {what}: {n} is outside of 0 to {most}")
    return n


cdef ScamperAddr probedef_addr(object value, str what):
    if value is None or isinstance(value, ScamperAddr):
        return value
    if isinstance(value, str):
        try:
            return ScamperAddr(value)
        except ValueError:
            raise ValueError(f"invalid address {value}") from None
    raise TypeError(f"invalid {what}")


@cython.final
@cython.no_gc
cdef class ScamperDealiasProbedef(Params):
    """What a probe of alias resolution looks like.

    Args:
        method: icmp-echo, udp, udp-dport, tcp-ack, tcp-ack-sport or tcp-syn-sport.
        src, dst: address or numeric text.
        ttl: 0 to 255. size: bytes, 0 to 65535.
        sport, dport: ports, with udp and tcp methods.
        icmp_id, icmp_sum: with icmp-echo.
    """

    cdef readonly ScamperAddr src, dst
    cdef readonly uint8_t ttl
    cdef readonly uint16_t size
    cdef uint8_t method, tos, tcp
    cdef uint16_t first, second   # ports; of ICMP: type and code, checksum
    cdef uint16_t icmp, csum, mtu
    cdef uint32_t id

    def __init__(
        self, method, src=None, dst=None, ttl=None, size=None, sport=None, dport=None, icmp_id=None,
        icmp_sum=None,
    ):
        if not isinstance(method, str):
            raise TypeError("expected string for method")
        if method not in PROBEDEF_METHODS:
            raise ValueError(f"unknown method {method}")
        self.method = PROBEDEF_METHODS.index(method)
        self.src = probedef_addr(src, "src")
        self.dst = probedef_addr(dst, "dst")
        self.ttl = field_in(ttl, 255, "ttl")
        self.size = field_in(size, 65535, "size")
        for name, value in (("dport", dport), ("sport", sport)):
            if value is not None and self.method == 1:
                raise ValueError(f"{name} invalid for method {method}")
        for name, value in (("icmp_id", icmp_id), ("icmp_sum", icmp_sum)):
            if value is not None and self.method != 1:
                raise ValueError(f"{name} invalid for method {method}")
        self.first = field_in(sport, 65535, "sport")
        self.second = field_in(dport, 65535, "dport")
        self.icmp = field_in(icmp_id, 65535, "icmp_id")
        self.csum = field_in(icmp_sum, 65535, "icmp_sum")
        if self.method == 2 or self.method == 4:
            self.tcp = 0x10
        elif self.method == 6:
            self.tcp = 0x02

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.dst = c.global_addr()
            self.mark(10)
            return 0
        elif flag == 2:
            self.src = c.global_addr()
            if self.src is not None:
                self.mark(11)
            return 0
        elif flag == 3:
            self.id = c.u32()
        elif flag == 4:
            self.method = c.u8()
        elif flag == 5:
            self.ttl = c.u8()
        elif flag == 6:
            self.tos = c.u8()
        elif flag == 7:
            self.first = c.u16()
            self.second = c.u16()
        elif flag == 8:
            self.tcp = c.u8()
        elif flag == 9:
            self.icmp = c.u16()
        elif flag == 10:
            self.dst = c.addr()
        elif flag == 11:
            self.src = c.addr()
        elif flag == 12:
            self.size = c.u16()
        elif flag == 13:
            self.mtu = c.u16()
        elif flag == 14:
            self.csum = c.u16()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 3:
            w.u32(self.id)
        elif flag == 4:
            w.u8(self.method)
        elif flag == 5:
            w.u8(self.ttl)
        elif flag == 6:
            w.u8(self.tos)
        elif flag == 7:
            w.u16(self.first)
            w.u16(self.second)
        elif flag == 8:
            w.u8(self.tcp)
        elif flag == 9:
            w.u16(self.icmp)
        elif flag == 10:
            w.addr(self.dst)
        elif flag == 11:
            w.addr(self.src)
        elif flag == 12:
            w.u16(self.size)
        elif flag == 13:
            w.u16(self.mtu)
        elif flag == 14:
            w.u16(self.csum)
        return 0

    cdef bint icmp_echo(self) noexcept:
        return self.method == 1

    cdef uint16_t checksum(self) noexcept:
        """20211212 keeps the checksum where the others keep a port."""
        return self.second if self.got(7) else self.csum

    @property
    def sport(self):
        """Source port, or None for ICMP."""
        return None if self.icmp_echo() else self.first

    @property
    def dport(self):
        """Destination port, or None for ICMP."""
        return None if self.icmp_echo() else self.second

    @property
    def icmp_id(self):
        """ICMP identifier, or None if not ICMP."""
        return self.icmp if self.icmp_echo() else None

    @property
    def icmp_sum(self):
        """ICMP checksum (0: any), or None if not ICMP."""
        return self.checksum() if self.icmp_echo() else None

    def is_udp(self):
        """UDP probes."""
        return self.method == 3 or self.method == 5

    def is_icmp(self):
        """ICMP echo probes."""
        return self.icmp_echo()

    def is_tcp(self):
        """TCP probes."""
        return self.method == 2 or self.method == 4 or self.method == 6

    def __str__(self):
        cdef list out = [f"-P {word_of(PROBEDEF_METHODS, self.method)}"]
        for option, value in (
            ("-c", self.icmp_sum), ("-d", self.dport), ("-F", self.sport), ("-i", self.dst),
            ("-s", self.size), ("-t", self.ttl),
        ):
            if value:
                out.append(f"{option} {value}")
        return " ".join(out)

    def __repr__(self):
        cdef list out = [f"'{word_of(PROBEDEF_METHODS, self.method)}'"]
        for name, value in (
            ("src", self.src), ("dst", self.dst), ("ttl", self.ttl), ("size", self.size),
            ("sport", self.sport), ("dport", self.dport), ("icmp_id", self.icmp_id),
            ("icmp_sum", self.icmp_sum),
        ):
            if value:
                out.append(f"{name}='{value}'" if isinstance(value, ScamperAddr) else f"{name}={value}")
        return f"ScamperDealiasProbedef({', '.join(out)})"


@cython.final
@cython.no_gc
cdef class ScamperDealiasReply(Params):
    """One reply to one probe."""

    cdef readonly ScamperAddr src
    cdef ScamperIcmpExts exts
    cdef ScamperDealiasProbedef probedef
    cdef Stamp received
    cdef uint32_t ipid32
    cdef uint16_t ipid16
    cdef readonly uint16_t size
    cdef readonly uint8_t ttl
    cdef uint8_t type, code, q_ttl, proto, tcp, flags

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.src = c.global_addr()
            self.mark(10)
            return 0
        elif flag == 2:
            c.stamp(&self.received)
        elif flag == 3:
            self.ipid16 = c.u16()
        elif flag == 4:
            self.ttl = c.u8()
        elif flag == 5:
            self.type = c.u8()
            self.code = c.u8()
        elif flag == 6:
            self.q_ttl = c.u8()
        elif flag == 7:
            self.exts = read_icmpexts(c)
        elif flag == 8:
            self.proto = c.u8()
        elif flag == 9:
            self.tcp = c.u8()
        elif flag == 10:
            self.src = c.addr()
        elif flag == 11:
            self.ipid32 = c.u32()
        elif flag == 12:
            self.flags = c.u8()
        elif flag == 13:
            self.size = c.u16()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 2:
            w.stamp(self.received)
        elif flag == 3:
            w.u16(self.ipid16)
        elif flag == 4:
            w.u8(self.ttl)
        elif flag == 5:
            w.u8(self.type)
            w.u8(self.code)
        elif flag == 6:
            w.u8(self.q_ttl)
        elif flag == 7:
            write_icmpexts(w, self.exts)
        elif flag == 8:
            w.u8(self.proto)
        elif flag == 9:
            w.u8(self.tcp)
        elif flag == 10:
            w.addr(self.src)
        elif flag == 11:
            w.u32(self.ipid32)
        elif flag == 12:
            w.u8(self.flags)
        elif flag == 13:
            w.u16(self.size)
        return 0

    cdef bint icmp(self) noexcept:
        return self.proto == 1 or self.proto == 58

    cdef bint icmp_is(self, int type4, int code4, int type6, int code6) noexcept:
        """An ICMP message of this type (and code, unless -1) for its protocol."""
        if self.proto == 1:
            return self.type == type4 and (code4 < 0 or self.code == code4)
        return self.proto == 58 and self.type == type6 and (code6 < 0 or self.code == code6)

    cdef bint quotes(self) noexcept:
        return self.icmp_is(3, -1, 1, -1) or self.icmp_is(11, -1, 3, -1)

    cdef bint from_target(self):
        if self.probedef.is_udp():
            return self.icmp_is(3, 3, 1, 4)
        if self.probedef.icmp_echo():
            return self.icmp_is(0, -1, 129, -1)
        return self.proto == 6

    @property
    def rx(self):
        """When the reply came, or None."""
        return as_datetime_or_none(self.received)

    @property
    def ipid(self):
        """The reply's IP-ID (IPv6: of its fragment header), or None."""
        if v4(self.src):
            return self.ipid16
        return self.ipid32 if self.flags & 1 else None

    @property
    def tcp_flags(self):
        """TCP flags, or None."""
        return self.tcp if self.proto == 6 else None

    @property
    def icmp_type(self):
        """ICMP type, or None."""
        return self.type if self.icmp() else None

    @property
    def icmp_code(self):
        """ICMP code, or None."""
        return self.code if self.icmp() else None

    @property
    def icmp_q_ttl(self):
        """TTL in the quoted packet, or None."""
        return self.q_ttl if self.quotes() else None

    @property
    def icmp_exts(self):
        """ICMP extensions, or None."""
        return self.exts

    def is_tcp(self):
        """A TCP segment."""
        return self.proto == 6

    def is_icmp(self):
        """An ICMP message."""
        return self.icmp()

    def is_icmp_ttl_exp(self):
        """An ICMP time exceeded."""
        return self.icmp_is(11, -1, 3, -1)

    def is_icmp_unreach(self):
        """An ICMP destination unreachable."""
        return self.icmp_is(3, -1, 1, -1)

    def is_icmp_unreach_port(self):
        """An ICMP port unreachable."""
        return self.icmp_is(3, 3, 1, 4)

    def is_icmp_echo_reply(self):
        """An ICMP echo reply."""
        return self.icmp_is(0, -1, 129, -1)

    def is_from_target(self):
        """The kind of reply that the probed host itself gives to this method."""
        return self.from_target()


@cython.final
@cython.no_gc
cdef class ScamperDealiasProbe(Params):
    """One probe that was sent."""

    cdef readonly ScamperDealiasProbedef probedef
    cdef readonly uint32_t seq
    cdef readonly uint16_t ipid, reply_count
    cdef Stamp sent
    cdef uint32_t number
    cdef tuple all

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.number = c.u32()
        elif flag == 2:
            c.stamp(&self.sent)
        elif flag == 3:
            self.reply_count = c.u16()
        elif flag == 4:
            self.ipid = c.u16()
        else:
            self.seq = c.u32()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.u32(self.number)
        elif flag == 2:
            w.stamp(self.sent)
        elif flag == 3:
            w.u16(self.reply_count)
        elif flag == 4:
            w.u16(self.ipid)
        else:
            w.u32(self.seq)
        return 0

    @property
    def tx(self):
        """When it was sent."""
        return as_datetime(self.sent)

    def reply(self, i=0):
        """Reply i, or None."""
        return item_of(self.all, i)

    def replies(self):
        """An iterator over the replies."""
        return iter(self.all)


@cython.final
@cython.no_gc
cdef class DealiasPlan(Params):
    """How a method went about it."""

    cdef uint8_t method, attempts, flags, prefix, replyc
    cdef uint16_t fudge, rounds, limit
    cdef uint32_t count
    cdef int64_t wait_us, round_us, timeout_us
    cdef ScamperAddr a, b, ab
    cdef tuple xs, schedule
    cdef Stamp startat

    cdef int take(self, Cursor c, int flag) except -1:
        cdef int what = PLAN[self.method][flag - 1]
        if what == P_ATTEMPTS:
            self.attempts = c.u8()
        elif what == P_TIMEOUT_S:
            self.timeout_us = <int64_t>c.u8() * 1000000
        elif what == P_TIMEOUT_US:
            self.timeout_us = c.u32()
        elif what == P_WAIT_MS:
            self.wait_us = <int64_t>c.u16() * 1000
        elif what == P_WAIT_US:
            self.wait_us = c.u32()
        elif what == P_ROUND_MS:
            self.round_us = <int64_t>c.u32() * 1000
        elif what == P_ROUND_US:
            self.round_us = c.u32()
        elif what == P_FUDGE:
            self.fudge = c.u16()
        elif what == P_FLAGS:
            self.flags = c.u8()
        elif what == P_COUNT16:
            self.count = c.u16()
        elif what == P_COUNT32:
            self.count = c.u32()
        elif what == P_ROUNDS8:
            self.rounds = c.u8()
        elif what == P_ROUNDS16:
            self.rounds = c.u16()
        elif what == P_A:
            self.a = c.addr()
        elif what == P_B:
            self.b = c.addr()
        elif what == P_AB:
            self.ab = c.addr()
        elif what == P_XS:
            self.xs = read_addrs(c, c.u16())
        elif what == P_PREFIX:
            self.prefix = c.u8()
        elif what == P_REPLYC:
            self.replyc = c.u8()
        elif what == P_LIMIT:
            self.limit = c.u16()
        elif what == P_SCHEDULE:
            self.schedule = read_schedule(c)
        elif what == P_STARTAT:
            c.stamp(&self.startat)
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        cdef int what = PLAN[self.method][flag - 1]
        cdef ScamperDealiasMidardiscRound r
        if what == P_ATTEMPTS:
            w.u8(self.attempts)
        elif what == P_TIMEOUT_S:
            w.u8(<unsigned int>(self.timeout_us // 1000000))
        elif what == P_TIMEOUT_US:
            w.u32(<uint32_t>self.timeout_us)
        elif what == P_WAIT_MS:
            w.u16(<unsigned int>(self.wait_us // 1000))
        elif what == P_WAIT_US:
            w.u32(<uint32_t>self.wait_us)
        elif what == P_ROUND_MS:
            w.u32(<uint32_t>(self.round_us // 1000))
        elif what == P_ROUND_US:
            w.u32(<uint32_t>self.round_us)
        elif what == P_FUDGE:
            w.u16(self.fudge)
        elif what == P_FLAGS:
            w.u8(self.flags)
        elif what == P_COUNT16:
            w.u16(self.count)
        elif what == P_COUNT32:
            w.u32(self.count)
        elif what == P_ROUNDS8:
            w.u8(self.rounds)
        elif what == P_ROUNDS16:
            w.u16(self.rounds)
        elif what == P_A:
            w.addr(self.a)
        elif what == P_B:
            w.addr(self.b)
        elif what == P_AB:
            w.addr(self.ab)
        elif what == P_XS:
            w.u16(<unsigned int>len(self.xs))
            for x in self.xs:
                w.addr(x)
        elif what == P_PREFIX:
            w.u8(self.prefix)
        elif what == P_REPLYC:
            w.u8(self.replyc)
        elif what == P_LIMIT:
            w.u16(self.limit)
        elif what == P_SCHEDULE:
            w.u32(<uint32_t>len(self.schedule))
            for item in self.schedule:
                r = <ScamperDealiasMidardiscRound>item
                w.stamp(r.at)
                w.u32(r.begin)
                w.u32(r.end)
        elif what == P_STARTAT:
            w.stamp(self.startat)
        return 0


cdef tuple read_schedule(Cursor c):
    cdef list out = []
    cdef ScamperDealiasMidardiscRound r
    cdef uint32_t i, count = c.u32()
    for i in range(count):
        r = ScamperDealiasMidardiscRound.__new__(ScamperDealiasMidardiscRound)
        c.stamp(&r.at)
        r.begin = c.u32()
        r.end = c.u32()
        out.append(r)
    return tuple(out)


@cython.final
cdef class ScamperDealias(Result):
    """An alias resolution: its probe definitions, and all probes with their replies."""

    cdef DealiasPlan plan         # None for a method that is newer than this codec
    cdef tuple defs, all
    cdef uint8_t method, outcome
    cdef readonly uint32_t probe_count

    cdef int kind(self) noexcept:
        return 9

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            return self.take_list(c)
        elif flag == 2:
            return self.take_cycle(c)
        elif flag == 3:
            c.stamp(&self.started)
        elif flag == 4:
            self.method = c.u8()
        elif flag == 5:
            self.outcome = c.u8()
        elif flag == 6:
            self.probe_count = c.u32()
        elif flag == 7:
            self.userid = c.u32()
        else:
            self.raw_errmsg = c.text()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.u32(w.list_id)
        elif flag == 2:
            w.u32(w.cycle_id)
        elif flag == 3:
            w.stamp(self.started)
        elif flag == 4:
            w.u8(self.method)
        elif flag == 5:
            w.u8(self.outcome)
        elif flag == 6:
            w.u32(self.probe_count)
        elif flag == 7:
            w.u32(self.userid)
        else:
            w.text(self.raw_errmsg)
        return 0

    cdef int write(self, Writer w) except -1:
        if self.plan is None:
            raise WartsError(f"an alias resolution of the unknown method {self.method}")
        w.params(self)
        w.params(self.plan)
        for item in self.defs:
            w.params(<ScamperDealiasProbedef>item)
        for item in self.all:
            w.params(<ScamperDealiasProbe>item)
            for reply in (<ScamperDealiasProbe>item).all:
                w.params(<ScamperDealiasReply>reply)
        return 0

    def is_mercator(self):
        """The method is mercator."""
        return self.method == MERCATOR

    def is_ally(self):
        """The method is ally."""
        return self.method == ALLY

    def is_radargun(self):
        """The method is radargun."""
        return self.method == RADARGUN

    def is_prefixscan(self):
        """The method is prefixscan."""
        return self.method == PREFIXSCAN

    def is_bump(self):
        """The method is bump."""
        return self.method == BUMP

    def is_midarest(self):
        """The method is midarest."""
        return self.method == MIDAREST

    def is_midardisc(self):
        """The method is midardisc."""
        return self.method == MIDARDISC

    def has_aliases(self):
        """Aliases were found."""
        return self.outcome == 1

    def aliases(self):
        """The two addresses found to be aliases (mercator, ally, prefixscan), or None."""
        cdef ScamperDealiasReply reply
        cdef ScamperAddr target
        if self.outcome != 1 or self.plan is None:
            return None
        if self.method == MERCATOR:
            target = (<ScamperDealiasProbedef>self.defs[0]).dst
            for probe in self.all:
                for item in (<ScamperDealiasProbe>probe).all:
                    reply = <ScamperDealiasReply>item
                    if reply.from_target() and reply.src != target:
                        return (target, reply.src)
            return None
        if self.method == ALLY:
            return ((<ScamperDealiasProbedef>self.defs[0]).dst, (<ScamperDealiasProbedef>self.defs[1]).dst)
        if self.method == PREFIXSCAN:
            return (self.plan.a, self.plan.ab)
        return None

    @property
    def probedef_count(self):
        """How many probe definitions there are."""
        return len(self.defs)

    def probedef(self, i=0):
        """Probe definition i, or None."""
        return self.defs[i] if 0 <= i < len(self.defs) else None

    def probedefs(self):
        """An iterator over the probe definitions."""
        return iter(self.defs)

    def probe(self, i=0):
        """Probe i, or None."""
        return self.all[i] if 0 <= i < len(self.all) else None

    def probes(self):
        """An iterator over the probes, in the order sent."""
        return iter(self.all)

    @property
    def wait_probe(self):
        """Time between probes (mercator: its wait_timeout), or None."""
        if self.plan is None or self.method == MIDARDISC:
            return None
        return as_delta(self.plan.timeout_us if self.method == MERCATOR else self.plan.wait_us)

    @property
    def wait_round(self):
        """Time between rounds (radargun, midarest), or None."""
        if self.plan is None or (self.method != RADARGUN and self.method != MIDAREST):
            return None
        return as_delta(self.plan.round_us)

    @property
    def wait_timeout(self):
        """How long a reply was waited for, or None."""
        if self.plan is None or self.method == BUMP:
            return None
        return as_delta(self.plan.timeout_us)

    @property
    def startat(self):
        """When it should begin (midardisc), or None."""
        if self.plan is None or not (self.method == MIDARDISC and self.plan.got(4)):
            return None
        return as_datetime(self.plan.startat)

    def to_json(self):
        """One JSON object, as sc_warts2json writes it (which it does not for midarest and midardisc)."""
        return None if self.plan is None else json_dealias(self)

    def to_text(self):
        """For ally a line, as sc_warts2text writes it; for other methods nothing."""
        if self.method != ALLY:
            return ""
        verdict = {0: "none", 1: "aliases", 2: "not aliases"}.get(self.outcome, self.outcome)
        a, b = self.defs
        return f"{a.dst} {b.dst} {verdict}\n"


cdef ScamperDealiasProbedef read_probedef(Cursor c):
    cdef ScamperDealiasProbedef d = ScamperDealiasProbedef.__new__(ScamperDealiasProbedef)
    c.params(d, 14)
    if d.dst is None:
        c.fail("a probe definition without a destination")
    if not 1 <= d.method <= 6:
        c.fail("a probe definition of unknown method")
    return d


cdef ScamperDealias read_dealias(Cursor c):
    cdef ScamperDealias r = ScamperDealias.__new__(ScamperDealias)
    cdef DealiasPlan plan
    cdef ScamperDealiasProbe probe
    cdef ScamperDealiasReply reply
    cdef tuple replies
    cdef uint32_t i, j
    r.defs = r.all = ()
    c.params(r, 8)
    if not 1 <= r.method <= 7:
        # Newer than this codec: what the record says of itself is kept, the rest is not read.
        r.probe_count = 0
        return r
    plan = r.plan = DealiasPlan.__new__(DealiasPlan)
    plan.method = r.method
    plan.replyc = 5
    plan.xs = plan.schedule = ()
    c.params(plan, PLAN_FIELDS[r.method])
    if r.method == MERCATOR:
        plan.count = 1
    elif r.method == ALLY or r.method == BUMP:
        plan.count = 2
    elif plan.count == 0 and r.method != PREFIXSCAN:
        c.fail("an alias resolution without probe definitions")
    r.defs = c.room(plan.count)
    for i in range(plan.count):
        put(r.defs, i, read_probedef(c))
    r.all = c.room(r.probe_count)
    for i in range(r.probe_count):
        probe = ScamperDealiasProbe.__new__(ScamperDealiasProbe)
        c.params(probe, 5)
        if probe.number >= plan.count:
            c.fail("a probe of a definition that is not there")
        probe.probedef = r.defs[probe.number]
        replies = c.room(probe.reply_count)
        for j in range(probe.reply_count):
            reply = ScamperDealiasReply.__new__(ScamperDealiasReply)
            c.params(reply, 13)
            if reply.src is None:
                c.fail("a reply without a source")
            if not reply.got(8):
                reply.proto = 1 if reply.src.kind == IPV4 else 58
            reply.probedef = probe.probedef
            put(replies, j, reply)
        probe.all = replies
        put(r.all, i, probe)
    return r


cdef int host_prefix(ScamperAddr a, ScamperAddr b):
    """Longest IPv4 prefix in which both addresses are hosts (not all zeros or ones); -1 for IPv6."""
    cdef int bits
    cdef uint32_t mask, x
    if a.kind != IPV4 or b.kind != IPV4:
        return -1
    bits = shared_bits(a, b)
    while 0 < bits < 31:
        mask = (<uint32_t>0xFFFFFFFF) >> bits
        for addr in (a, b):
            x = int.from_bytes(addr.packed, "big") & mask
            if x == 0 or x == mask:
                break
        else:
            break
        bits -= 1
    return bits


cdef list json_plan_flags(uint8_t flags, tuple words):
    return [
        words[bit] if bit < len(words) else 1 << bit for bit in range(8) if (flags >> bit) & 1
    ]


cdef object json_plan(DealiasPlan p, dict out):
    """What sc_warts2json tells of the method, in its order and units (times in ms, timeouts in s)."""
    cdef dict shown = {
        "attempts": p.attempts, "wait_probe": (p.wait_us // 1000) & 0xFFFF,
        "wait_round": (p.round_us // 1000) & 0xFFFF, "wait_timeout": p.timeout_us // 1000000,
        "fudge": p.fudge, "replyc": p.replyc, "bump_limit": p.limit,
    }
    cdef tuple names = ()
    cdef tuple words = ("nobs",)
    cdef int shared
    if p.method == MERCATOR:
        names = ("attempts", "wait_timeout")
    elif p.method == ALLY:
        names = ("wait_probe", "wait_timeout", "attempts", "fudge")
    elif p.method == RADARGUN or p.method == MIDAREST:
        shown["attempts"] = p.rounds
        names = ("attempts", "wait_probe", "wait_round", "wait_timeout")
    elif p.method == PREFIXSCAN:
        names = ("attempts", "replyc", "fudge", "wait_probe", "wait_timeout")
        words = ("nobs", "csa")
        if p.a is not None:
            out["a"] = str(p.a)
        if p.b is not None:
            out["b"] = f"{p.b}/{p.prefix}"
        if p.b is not None and p.ab is not None:
            shared = host_prefix(p.b, p.ab)
            if shared >= 0:
                out["ab"] = f"{p.ab}/{shared}"
        if p.xs:
            out["xs"] = [str(x) for x in p.xs]
    elif p.method == BUMP:
        names = ("wait_probe", "bump_limit", "attempts")
    elif p.method == MIDARDISC:
        names = ("wait_timeout",)
    for name in names:
        out[name] = shown[name]
    if p.flags and p.method in (ALLY, RADARGUN, PREFIXSCAN):
        out["flags"] = json_plan_flags(p.flags, words)


cdef dict json_probedef(ScamperDealiasProbedef d):
    cdef dict out = {"id": d.id}
    if d.src is not None:
        out["src"] = str(d.src)
    out["dst"] = str(d.dst)
    out["ttl"] = d.ttl
    out["size"] = d.size
    out["method"] = word_of(PROBEDEF_METHODS, d.method)
    if d.icmp_echo():
        out["icmp_id"] = d.icmp
        out["icmp_csum"] = d.checksum()
    elif d.is_udp():
        out["udp_sport"] = d.first
        out["udp_dport"] = d.second
    else:
        out["tcp_sport"] = d.first
        out["tcp_dport"] = d.second
        out["tcp_flags"] = d.tcp
    if d.mtu:
        out["mtu"] = d.mtu
    return out


cdef dict json_dealias_reply(ScamperDealiasReply reply):
    cdef dict out = {"src": str(reply.src), "rx": json_time(reply.received), "ttl": reply.ttl}
    if reply.size:
        out["size"] = reply.size
    if reply.ipid is not None:
        out["ipid"] = reply.ipid
    out["proto"] = reply.proto
    if reply.icmp():
        out["icmp_type"] = reply.type
        out["icmp_code"] = reply.code
        if reply.quotes():
            out["icmp_q_ttl"] = reply.q_ttl
    elif reply.proto == 6:
        out["tcp_flags"] = reply.tcp
    return out


cdef dict json_dealias_probe(ScamperDealiasProbe probe):
    cdef dict out = {"probedef_id": probe.probedef.id, "seq": probe.seq, "tx": json_time(probe.sent)}
    if v4(probe.probedef.dst):
        out["ipid"] = probe.ipid
    out["replies"] = [json_dealias_reply(<ScamperDealiasReply>reply) for reply in probe.all]
    return out


cdef str json_dealias(ScamperDealias r):
    cdef dict out = {
        "type": "dealias", "version": "0.2", "method": word_of(DEALIAS_METHODS, r.method),
        "userid": r.userid, "result": word_of(DEALIAS_RESULTS, r.outcome), "start": json_time(r.started),
    }
    if r.raw_errmsg is not None:
        out["errmsg"] = json_text(r.raw_errmsg)
    json_plan(r.plan, out)
    r.json_monitor(out)
    out["probedefs"] = [json_probedef(<ScamperDealiasProbedef>d) for d in r.defs]
    out["probes"] = [json_dealias_probe(<ScamperDealiasProbe>p) for p in r.all]
    return json_done(out)
