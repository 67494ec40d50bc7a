# Traceroute records (type 6). Facts: warts(5), TRACEROUTE STRUCTURE (with the numbers of the optional data
# as scamper 20260420 has them: 1 path MTU discovery, 2 last ditch, 3 doubletree); flag 34, methods and
# reply flags from the tables of scamper 20260420.

cdef enum:
    TRACE_FLAG_ICMPCSUMDP = 0x20
    TRACE_FLAG_RXERR = 0x80
    HOP_FLAG_TTL = 0x10
    HOP_FLAG_TCP = 0x20
    HOP_FLAG_UDP = 0x40
    NOTE_SILENCE = 3

cdef tuple TRACE_METHODS = (
    None, "icmp-echo", "udp", "tcp", "icmp-echo-paris", "udp-paris", "tcp-ack",
)
cdef tuple TRACE_FLAGS = (
    "all-attempts", "pmtud", "dl", "ignorettldst", "doubletree", "icmp-csum-dport", "const-payload",
    "rxerr", "ptr", "raw", "back",
)
cdef tuple NOTE_TYPES = (None, "ptb", "ptb-bad", "silence")


@cython.final
@cython.no_gc
cdef class ScamperTraceHop(Params):
    """One reply to a traceroute probe."""

    cdef readonly ScamperAddr src
    cdef ScamperIcmpExts exts
    cdef bytes raw_name
    cdef Stamp sent
    cdef uint32_t delay
    cdef readonly uint16_t probe_size
    cdef uint16_t size, ipid, nhmtu, q_ipl
    cdef readonly uint8_t probe_ttl
    cdef uint8_t ttl, flags, probe_id, type, code, tos, q_ttl, tcp, q_tos
    cdef bint rxerr               # taken from the socket's error queue, which holds no packet
    cdef bint again               # a further reply to the probe of the hop before

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.src = c.global_addr()
            self.mark(18)
            return 0
        elif flag == 2:
            self.probe_ttl = c.u8()
        elif flag == 3:
            self.ttl = c.u8()
        elif flag == 4:
            self.flags = c.u8()
        elif flag == 5:
            self.probe_id = c.u8() + 1
        elif flag == 6:
            self.delay = c.u32()
        elif flag == 7:
            self.type = c.u8()
            self.code = c.u8()
        elif flag == 8:
            self.probe_size = c.u16()
        elif flag == 9:
            self.size = c.u16()
        elif flag == 10:
            self.ipid = c.u16()
        elif flag == 11:
            self.tos = c.u8()
        elif flag == 12:
            self.nhmtu = c.u16()
        elif flag == 13:
            self.q_ipl = c.u16()
        elif flag == 14:
            self.q_ttl = c.u8()
        elif flag == 15:
            self.tcp = c.u8()
        elif flag == 16:
            self.q_tos = c.u8()
        elif flag == 17:
            self.exts = read_icmpexts(c)
        elif flag == 18:
            self.src = c.addr()
        elif flag == 19:
            c.stamp(&self.sent)
        elif flag == 20:
            self.raw_name = c.text()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 2:
            w.u8(self.probe_ttl)
        elif flag == 3:
            w.u8(self.ttl)
        elif flag == 4:
            w.u8(self.flags)
        elif flag == 5:
            w.u8((self.probe_id - 1) & 0xFF)
        elif flag == 6:
            w.u32(self.delay)
        elif flag == 7:
            w.u8(self.type)
            w.u8(self.code)
        elif flag == 8:
            w.u16(self.probe_size)
        elif flag == 9:
            w.u16(self.size)
        elif flag == 10:
            w.u16(self.ipid)
        elif flag == 11:
            w.u8(self.tos)
        elif flag == 12:
            w.u16(self.nhmtu)
        elif flag == 13:
            w.u16(self.q_ipl)
        elif flag == 14:
            w.u8(self.q_ttl)
        elif flag == 15:
            w.u8(self.tcp)
        elif flag == 16:
            w.u8(self.q_tos)
        elif flag == 17:
            write_icmpexts(w, self.exts)
        elif flag == 18:
            w.addr(self.src)
        elif flag == 19:
            w.stamp(self.sent)
        elif flag == 20:
            w.text(self.raw_name)
        return 0

    cdef inline bint icmp(self) noexcept:
        return self.flags & (HOP_FLAG_TCP | HOP_FLAG_UDP) == 0

    cdef bint icmp_is(self, int type4, int code4, int type6, int code6):
        """An ICMP message of this type (and code, unless -1) for its address family."""
        if not self.icmp():
            return False
        if v4(self.src):
            return self.type == type4 and (code4 < 0 or self.code == code4)
        return v6(self.src) and self.type == type6 and (code6 < 0 or self.code == code6)

    cdef bint quotes(self):
        """An ICMP error, which quotes the probe."""
        if not self.icmp():
            return False
        if v4(self.src):
            return self.type == 3 or self.type == 11
        return v6(self.src) and 1 <= self.type <= 3

    cdef bint ptb(self):
        return self.icmp_is(3, 4, 2, -1)

    @property
    def name(self):
        """The name of the address, where it was looked up, or None."""
        return as_text(self.raw_name)

    @property
    def tx(self):
        """When the probe was sent, or None."""
        return as_datetime_or_none(self.sent)

    @property
    def rtt(self):
        """From probe to reply."""
        return as_delta(self.delay)

    @property
    def attempt(self):
        """Which of the probes with this TTL, counting from 1."""
        return self.probe_id

    @property
    def probe_ipid(self):
        """The probe's IP-ID: no recording that we know carries it, so None."""
        return None

    @property
    def reply_ttl(self):
        """The reply's TTL, or None."""
        return self.ttl if self.flags & HOP_FLAG_TTL else None

    @property
    def reply_tos(self):
        """The reply's type-of-service byte (IPv4), or None."""
        return self.tos if v4(self.src) else None

    @property
    def reply_size(self):
        """The reply's size in bytes, or None."""
        return None if self.rxerr else self.size

    @property
    def reply_ipid(self):
        """The reply's IP-ID (IPv4), or None."""
        return self.ipid if v4(self.src) and not self.rxerr else None

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
        return self.nhmtu if self.ptb() else None

    @property
    def icmp_q_ttl(self):
        """TTL in the quoted packet, or None."""
        return self.q_ttl if self.quotes() else None

    @property
    def icmp_q_tos(self):
        """Type-of-service byte in the quoted packet (IPv4), or None."""
        return self.q_tos if self.quotes() and v4(self.src) else None

    @property
    def icmp_q_ipl(self):
        """Length in the quoted packet, or None."""
        return self.q_ipl if self.quotes() else None

    @property
    def icmp_q_ipid(self):
        """IP-ID in the quoted packet: no recording that we know carries it, so None."""
        return None

    @property
    def tcp_flags(self):
        """TCP flags, or None."""
        return self.tcp if self.flags & HOP_FLAG_TCP else None

    @property
    def icmp_exts(self):
        """ICMP extensions, or None."""
        return self.exts

    def is_tcp(self):
        """A TCP segment."""
        return self.flags & HOP_FLAG_TCP != 0

    def is_icmp(self):
        """An ICMP message."""
        return self.icmp()

    def is_icmp_q(self):
        """An ICMP message that quotes the probe."""
        return self.quotes()

    def is_icmp_unreach_port(self):
        """An ICMP port unreachable."""
        return self.icmp_is(3, 3, 1, 4)

    def is_icmp_echo_reply(self):
        """An ICMP echo reply."""
        return self.icmp_is(0, -1, 129, -1)

    def is_icmp_ttl_exp(self):
        """An ICMP time exceeded."""
        return self.icmp_is(11, -1, 3, -1)

    def is_icmp_ptb(self):
        """An ICMP fragmentation needed or packet too big."""
        return self.ptb()

    def __str__(self):
        name = "" if self.raw_name is None else as_text(self.raw_name) + " "
        return f"{name}{self.src} {ms_text(self.delay)} ms"


@cython.final
@cython.no_gc
cdef class ScamperTracePmtudNote(Params):
    """Something that path MTU discovery learnt."""

    cdef readonly uint16_t nhmtu
    cdef uint8_t type
    cdef uint16_t index           # of the reply, among those of the discovery
    cdef ScamperTraceHop reply
    cdef int dist                 # hops from the prober, -1 where it cannot be told

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.type = c.u8()
        elif flag == 2:
            self.nhmtu = c.u16()
        else:
            self.index = c.u16()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.u8(self.type)
        elif flag == 2:
            w.u16(self.nhmtu)
        else:
            w.u16(self.index)
        return 0

    @property
    def type_str(self):
        """ptb, ptb-bad or silence."""
        return word_of(NOTE_TYPES, self.type)

    @property
    def distance(self):
        """Hops from the prober."""
        return self.dist & 0xFF

    def hop(self):
        """The reply that told, or None."""
        return self.reply


@cython.final
@cython.no_gc
cdef class ScamperTracePmtud(Params):
    """What path MTU discovery found."""

    cdef readonly uint16_t path_mtu, if_mtu
    cdef uint16_t first_mtu
    cdef uint8_t version, note_count
    cdef tuple hops, all_notes

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.if_mtu = c.u16()
        elif flag == 2:
            self.path_mtu = c.u16()
        elif flag == 3:
            self.first_mtu = c.u16()
        elif flag == 4:
            self.version = c.u8()
        else:
            self.note_count = c.u8()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.u16(self.if_mtu)
        elif flag == 2:
            w.u16(self.path_mtu)
        elif flag == 3:
            w.u16(self.first_mtu)
        elif flag == 4:
            w.u8(self.version)
        else:
            w.u8(self.note_count)
        return 0

    @property
    def out_mtu(self):
        """MTU towards the first hop."""
        return self.first_mtu or self.if_mtu

    def notes(self):
        """An iterator over what was learnt, in order."""
        return iter(self.all_notes)


@cython.final
@cython.no_gc
cdef class Doubletree(Params):
    """Doubletree's stop sets. Upstream's module shows none of it; it is kept for re-encoding."""

    cdef ScamperAddr lss_stop, gss_stop
    cdef bytes lss
    cdef uint8_t firsthop, flags

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.lss_stop = c.global_addr()
            if self.lss_stop is not None:
                self.mark(4)
            return 0
        elif flag == 2:
            self.gss_stop = c.global_addr()
            if self.gss_stop is not None:
                self.mark(5)
            return 0
        elif flag == 3:
            self.firsthop = c.u8()
        elif flag == 4:
            self.lss_stop = c.addr()
        elif flag == 5:
            self.gss_stop = c.addr()
        elif flag == 6:
            self.lss = c.text()
        else:
            self.flags = c.u8()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 3:
            w.u8(self.firsthop)
        elif flag == 4:
            w.addr(self.lss_stop)
        elif flag == 5:
            w.addr(self.gss_stop)
        elif flag == 6:
            w.text(self.lss)
        else:
            w.u8(self.flags)
        return 0


@cython.final
@cython.no_gc
cdef class Nothing(Params):
    """A block of which no flag is known: it is skipped."""

    cdef int take(self, Cursor c, int flag) except -1:
        return 0


@cython.final
cdef class ScamperTrace(Result):
    """A traceroute: how it was asked for, and which hops answered."""

    cdef readonly ScamperAddr src, dst, rtr
    cdef readonly ScamperTracePmtud pmtud
    cdef Doubletree dtree
    cdef tuple all                # every reply, by TTL
    cdef tuple lastditch          # replies to the last-ditch probes, or None
    cdef tuple firsts             # per TTL the first reply or None; built when first asked for
    cdef uint32_t flags
    cdef readonly uint16_t hop_count, probe_size, probe_count, offset
    cdef uint16_t sport, dport
    cdef uint8_t stop, stop_data, method, wait, wait_probe_cs, stop_hop_number, loops, loopaction
    cdef readonly uint8_t attempts, hoplimit, squeries, gaplimit, gapaction, firsthop, tos, confidence

    cdef int kind(self) noexcept:
        return 6

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            return self.take_list(c)
        elif flag == 2:
            return self.take_cycle(c)
        elif flag == 3:
            self.src = c.global_addr()
            if self.src is not None:
                self.mark(26)
            return 0
        elif flag == 4:
            self.dst = c.global_addr()
            self.mark(27)
            return 0
        elif flag == 5:
            c.stamp(&self.started)
        elif flag == 6:
            self.stop = c.u8()
        elif flag == 7:
            self.stop_data = c.u8()
        elif flag == 8:
            self.flags |= c.u8()
        elif flag == 9:
            self.attempts = c.u8()
        elif flag == 10:
            self.hoplimit = c.u8()
        elif flag == 11:
            self.method = c.u8()
        elif flag == 12:
            self.probe_size = c.u16()
        elif flag == 13:
            self.sport = c.u16()
        elif flag == 14:
            self.dport = c.u16()
        elif flag == 15:
            self.firsthop = c.u8()
        elif flag == 16:
            self.tos = c.u8()
        elif flag == 17:
            self.wait = c.u8()
        elif flag == 18:
            self.loops = c.u8()
        elif flag == 19:
            self.hop_count = c.u16()
        elif flag == 20:
            self.gaplimit = c.u8()
        elif flag == 21:
            self.gapaction = c.u8()
        elif flag == 22:
            self.loopaction = c.u8()
        elif flag == 23:
            self.probe_count = c.u16()
        elif flag == 24:
            self.wait_probe_cs = c.u8()
        elif flag == 25:
            self.confidence = c.u8()
        elif flag == 26:
            self.src = c.addr()
        elif flag == 27:
            self.dst = c.addr()
        elif flag == 28:
            self.userid = c.u32()
        elif flag == 29:
            self.offset = c.u16()
        elif flag == 30:
            self.rtr = c.static_addr()
        elif flag == 31:
            self.squeries = c.u8()
        elif flag == 32:
            self.flags = c.u32()
        elif flag == 33:
            self.stop_hop_number = c.u8()
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
            w.u8(self.flags & 0xFF)
        elif flag == 9:
            w.u8(self.attempts)
        elif flag == 10:
            w.u8(self.hoplimit)
        elif flag == 11:
            w.u8(self.method)
        elif flag == 12:
            w.u16(self.probe_size)
        elif flag == 13:
            w.u16(self.sport)
        elif flag == 14:
            w.u16(self.dport)
        elif flag == 15:
            w.u8(self.firsthop)
        elif flag == 16:
            w.u8(self.tos)
        elif flag == 17:
            w.u8(self.wait)
        elif flag == 18:
            w.u8(self.loops)
        elif flag == 19:
            w.u16(self.hop_count)
        elif flag == 20:
            w.u8(self.gaplimit)
        elif flag == 21:
            w.u8(self.gapaction)
        elif flag == 22:
            w.u8(self.loopaction)
        elif flag == 23:
            w.u16(self.probe_count)
        elif flag == 24:
            w.u8(self.wait_probe_cs)
        elif flag == 25:
            w.u8(self.confidence)
        elif flag == 26:
            w.addr(self.src)
        elif flag == 27:
            w.addr(self.dst)
        elif flag == 28:
            w.u32(self.userid)
        elif flag == 29:
            w.u16(self.offset)
        elif flag == 30:
            w.static_addr(self.rtr)
        elif flag == 31:
            w.u8(self.squeries)
        elif flag == 32:
            w.u32(self.flags)
        elif flag == 33:
            w.u8(self.stop_hop_number)
        elif flag == 34:
            w.text(self.raw_errmsg)
        return 0

    cdef int write(self, Writer w) except -1:
        cdef Py_ssize_t at
        w.params(self)
        write_hops(w, self.all)
        if self.pmtud is not None:
            at = begin_extra(w)
            w.params(self.pmtud)
            write_hops(w, self.pmtud.hops)
            for note in self.pmtud.all_notes:
                w.params(<ScamperTracePmtudNote>note)
            end_extra(w, at, 1)
        if self.lastditch is not None:
            at = begin_extra(w)
            w.u8(0)
            write_hops(w, self.lastditch)
            end_extra(w, at, 2)
        if self.dtree is not None:
            at = begin_extra(w)
            w.params(self.dtree)
            end_extra(w, at, 3)
        return w.u16(0)

    cdef tuple by_ttl(self):
        """The first reply of each TTL up to `hop_count`, or None."""
        cdef list out
        cdef ScamperTraceHop hop
        if self.firsts is None:
            out = [None] * self.hop_count
            for item in self.all:
                hop = <ScamperTraceHop>item
                if out[hop.probe_ttl - 1] is None:
                    out[hop.probe_ttl - 1] = hop
            self.firsts = tuple(out)
        return self.firsts

    cdef unsigned int last_hop(self) noexcept:
        """Up to which TTL the path goes."""
        if self.stop_hop_number == 0 or self.stop_hop_number > self.hop_count:
            return self.hop_count
        return self.stop_hop_number

    @property
    def stop_reason(self):
        """Why it ended."""
        return TRACE_STOPS.get(self.stop, self.stop)

    @property
    def stop_reason_str(self):
        """Why it ended, in a word."""
        return word_of(TRACE_STOP, self.stop)

    def is_stop_noreason(self):
        """It ended without a reason."""
        return self.stop == 0

    def is_stop_completed(self):
        """It reached the destination."""
        return self.stop == 1

    def is_stop_unreach(self):
        """It met an ICMP unreachable."""
        return self.stop == 2

    def is_stop_icmp(self):
        """It met another ICMP message."""
        return self.stop == 3

    def is_stop_loop(self):
        """It met a loop."""
        return self.stop == 4

    def is_stop_gaplimit(self):
        """Too many hops in a row were silent."""
        return self.stop == 5

    def is_stop_error(self):
        """It failed."""
        return self.stop == 6

    def is_stop_hoplimit(self):
        """It reached the highest TTL allowed."""
        return self.stop == 7

    def is_stop_gss(self):
        """It met an address of the global stop set."""
        return self.stop == 8

    def is_stop_halted(self):
        """It was halted."""
        return self.stop == 9

    @property
    def stop_hop(self):
        """TTL at which the trace stopped."""
        return self.stop_hop_number or self.hop_count

    @property
    def wait_probe(self):
        """Time between probes."""
        return as_delta(<int64_t>self.wait_probe_cs * 10000)

    @property
    def wait_timeout(self):
        """How long a probe's reply was waited for."""
        return as_delta(<int64_t>self.wait * 1000000)

    @property
    def payload(self):
        """What the probes carried: no recording that we know tells, so None."""
        return None

    @property
    def probe_sport(self):
        """Source port, or None for ICMP."""
        return None if self.is_icmp() else self.sport

    @property
    def probe_dport(self):
        """Destination port, or None for ICMP."""
        return None if self.is_icmp() else self.dport

    @property
    def probe_icmp_sum(self):
        """The ICMP checksum of Paris traceroute, or None."""
        return self.dport if self.flags & TRACE_FLAG_ICMPCSUMDP and self.is_icmp() else None

    def is_udp(self):
        """UDP probes."""
        return self.method == 2 or self.method == 5

    def is_tcp(self):
        """TCP probes."""
        return self.method == 3 or self.method == 6

    def is_icmp(self):
        """ICMP probes."""
        return self.method == 1 or self.method == 4

    def hop(self, i):
        """The first reply to a probe with TTL i + 1, or None."""
        cdef tuple hops
        if not 0 <= i < 255:
            raise ValueError(f"invalid hop index: {i}")
        hops = self.by_ttl()
        return hops[i] if i < len(hops) else None

    def hops(self):
        """An iterator over TTL 1 to `stop_hop`: the first reply to each, None where there is none."""
        cdef tuple hops = self.by_ttl()
        cdef Py_ssize_t n = self.stop_hop_number or self.hop_count
        if n <= len(hops):
            return iter(hops[:n])
        return iter(hops + (None,) * (n - len(hops)))

    def addrs(self, reserved=True):
        """The addresses that replied, each once, in the order of the path.

        Args:
            reserved: False leaves out those for which `is_reserved()` holds.
        """
        cdef dict seen = {}
        for hop in self.hops():
            if hop is not None and (reserved or not hop.src.is_reserved()):
                seen[hop.src] = None
        return list(seen)

    def to_json(self):
        """One JSON object, as sc_warts2json writes it."""
        return json_trace(self)

    def to_text(self):
        """Lines for people, as sc_warts2text writes them."""
        return text_trace(self)

    def __str__(self):
        return text_trace(self)


cdef tuple read_hops(Cursor c, bint rxerr):
    """u16 count, then the hop records."""
    cdef int i, count = c.u16()
    cdef tuple out = c.room(count)
    cdef ScamperTraceHop hop, last = None
    for i in range(count):
        hop = ScamperTraceHop.__new__(ScamperTraceHop)
        hop.rxerr = rxerr
        c.params(hop, 20)
        if hop.src is None:
            c.fail("a hop without an address")
        if hop.probe_ttl == 0:
            c.fail("a hop with TTL 0")
        if (
            last is not None and last.probe_ttl == hop.probe_ttl and last.probe_id == hop.probe_id
            and last.probe_size == hop.probe_size
        ):
            hop.again = True
        if hop.quotes():
            if not hop.got(14):
                hop.q_ttl = 1
            if not hop.got(13):
                hop.q_ipl = hop.probe_size
        last = hop
        put(out, i, hop)
    return out


cdef int write_hops(Writer w, tuple hops) except -1:
    w.u16(<unsigned int>len(hops))
    for hop in hops:
        w.params(<ScamperTraceHop>hop)
    return 0


cdef Py_ssize_t begin_extra(Writer w) except -1:
    w.u16(0)
    return w.size


cdef int end_extra(Writer w, Py_ssize_t at, int kind) except -1:
    """The 16-bit header in front of optional data: 4 bits of kind, 12 of length (which may wrap)."""
    w.poke16(at - 2, (kind << 12) | <unsigned int>((w.size - at) & 0xFFF))
    return 0


cdef ScamperTrace read_trace(Cursor c):
    cdef ScamperTrace trace = ScamperTrace.__new__(ScamperTrace)
    cdef ScamperTraceHop hop
    cdef int highest = 0, header, kind
    cdef Py_ssize_t after
    c.params(trace, 34)
    if trace.dst is None:
        c.fail("a trace without a destination")
    if not trace.got(31):
        trace.squeries = 1
    trace.all = read_hops(c, trace.flags & TRACE_FLAG_RXERR != 0)
    for item in trace.all:
        hop = <ScamperTraceHop>item
        if hop.probe_ttl < highest:
            c.fail("hops that do not ascend")
        highest = hop.probe_ttl
    if trace.hop_count == 0:
        trace.hop_count = highest
    elif trace.hop_count < highest or trace.hop_count > 255:
        c.fail("a hop count that its hops contradict")
    while True:
        header = c.u16()
        if header == 0:
            break
        kind = header >> 12
        after = c.off + (header & 0xFFF)
        if kind == 1:
            if trace.pmtud is not None:
                c.fail("path MTU discovery twice")
            trace.pmtud = read_pmtud(c, trace)
        elif kind == 2:
            if trace.lastditch is not None:
                c.fail("last-ditch probes twice")
            c.params(Nothing.__new__(Nothing), 0)
            trace.lastditch = read_hops(c, trace.flags & TRACE_FLAG_RXERR != 0)
        elif kind == 3:
            if trace.dtree is not None:
                c.fail("doubletree twice")
            trace.dtree = Doubletree.__new__(Doubletree)
            c.params(trace.dtree, 7)
        c.off = after
    return trace


cdef ScamperTracePmtud read_pmtud(Cursor c, ScamperTrace trace):
    cdef ScamperTracePmtud out = ScamperTracePmtud.__new__(ScamperTracePmtud)
    cdef ScamperTracePmtudNote note
    cdef list notes = []
    cdef int i, reached = 0
    out.version = 1
    c.params(out, 5)
    out.hops = read_hops(c, trace.flags & TRACE_FLAG_RXERR != 0)
    for i in range(out.note_count):
        note = ScamperTracePmtudNote.__new__(ScamperTracePmtudNote)
        c.params(note, 3)
        if note.got(3):
            if note.index >= len(out.hops):
                c.fail("a note about a hop that is not there")
            note.reply = out.hops[note.index]
        note.dist = note_distance(trace, reached, note)
        reached = max(reached, note.dist)
        notes.append(note)
    out.all_notes = tuple(notes)
    return out


cdef int note_distance(ScamperTrace trace, int start, ScamperTracePmtudNote note) except -2:
    """At which hop a note belongs: where its address was seen, else by the quoted TTL, else -1."""
    cdef ScamperTraceHop reply = note.reply, seen
    cdef tuple hops = trace.by_ttl()
    cdef int i, last = trace.last_hop()
    if note.type == NOTE_SILENCE:
        return 0 if reply is None else reply.probe_ttl
    if reply is None:
        return -1
    for i in range(max(start, 1) - 1, last):
        seen = hops[i]
        if seen is not None and seen.src == reply.src:
            return i + 1
    if reply.probe_ttl <= reply.q_ttl:
        return -1
    i = reply.probe_ttl - reply.q_ttl
    if i >= last:
        return -1
    seen = hops[i]
    if (
        seen is not None and seen.src.kind == reply.src.kind
        and shared_bits(seen.src, reply.src) >= 8 * reply.src.size - 2
    ):
        return i
    return i + 1


cdef dict json_hop(ScamperTrace trace, ScamperTraceHop hop, ScamperTraceHop probe):
    cdef dict out = {"addr": str(hop.src)}
    cdef list words
    if hop.raw_name is not None:
        out["name"] = json_text(hop.raw_name)
    out["probe_ttl"] = hop.probe_ttl
    out["probe_id"] = hop.probe_id
    out["probe_size"] = hop.probe_size
    if probe.sent.sec:
        out["tx"] = json_time(probe.sent)
    out["rtt"] = json_ms(hop.delay)
    out["reply_ttl"] = hop.ttl
    out["reply_tos"] = hop.tos
    words = flag_words(hop.flags, (None, "dltxts", "dlrxts")) + flag_words(hop.flags, ("sockrxts",))
    if words:
        out["flags"] = words
    if not trace.flags & TRACE_FLAG_RXERR:
        out["reply_ipid"] = hop.ipid
        out["reply_size"] = hop.size
    if hop.icmp():
        out["icmp_type"] = hop.type
        out["icmp_code"] = hop.code
        if hop.quotes() and not trace.flags & TRACE_FLAG_RXERR:
            out["icmp_q_ttl"] = hop.q_ttl
            out["icmp_q_ipl"] = hop.q_ipl
            out["icmp_q_tos"] = hop.q_tos
        if hop.ptb():
            out["icmp_nhmtu:"] = hop.nhmtu     # the colon is sc_warts2json's
    elif hop.flags & HOP_FLAG_TCP:
        out["tcp_flags"] = hop.tcp
    if hop.exts is not None:
        out["icmpext"] = json_icmpexts(hop.exts)
    return out


cdef list json_hops(ScamperTrace trace, tuple hops, int low, int high):
    """The hops with low < TTL <= high."""
    cdef list out = []
    cdef ScamperTraceHop hop, probe = None
    for item in hops:
        hop = <ScamperTraceHop>item
        if not hop.again:
            probe = hop
        if low < hop.probe_ttl <= high:
            out.append(json_hop(trace, hop, probe))
    return out


cdef dict json_note(ScamperTracePmtudNote note):
    cdef dict out = {"nhmtu": note.nhmtu}
    if note.reply is not None:
        out["hop_id"] = note.index
    if note.dist >= 0:
        out["dist"] = note.dist
    out["type"] = word_of(NOTE_TYPES, note.type)
    if note.reply is not None:
        if note.reply.ptb():
            out["icmp_nhmtu"] = note.reply.nhmtu
        out["addr"] = str(note.reply.src)
    return out


cdef dict json_pmtud(ScamperTrace trace):
    cdef ScamperTracePmtud p = trace.pmtud
    cdef ScamperTracePmtudNote first
    cdef dict out = {
        "if_mtu": p.if_mtu, "out_mtu": p.first_mtu or p.if_mtu, "path_mtu": p.path_mtu,
        "probec": sum([not (<ScamperTraceHop>hop).again for hop in p.hops]), "notec": p.note_count,
    }
    if p.all_notes:
        first = p.all_notes[0]
        if p.first_mtu == 0 or (first.type == NOTE_SILENCE and first.reply is None):
            out["notes"] = [json_note(<ScamperTracePmtudNote>note) for note in p.all_notes]
    if p.hops:
        out["hops"] = json_hops(trace, p.hops, 0, 255)
    return out


cdef str json_trace(ScamperTrace trace):
    cdef dict out = {
        "type": "trace", "version": "0.1", "userid": trace.userid,
        "method": word_of(TRACE_METHODS, trace.method),
    }
    cdef int last = trace.last_hop()
    for name, a in (("src", trace.src), ("dst", trace.dst), ("rtr", trace.rtr)):
        if a is not None:
            out[name] = str(a)
    if trace.is_udp() or trace.is_tcp():
        out["sport"] = trace.sport
        out["dport"] = trace.dport
    elif trace.flags & TRACE_FLAG_ICMPCSUMDP:
        out["icmp_sum"] = trace.dport
    out["stop_reason"] = word_of(TRACE_STOP, trace.stop).upper()
    out["stop_data"] = trace.stop_data
    if trace.raw_errmsg is not None:
        out["errmsg"] = json_text(trace.raw_errmsg)
    out["start"] = json_time(trace.started)
    out["start"]["ftime"] = make_datetime(trace.started.sec, 0).isoformat(" ")[:19]
    out["hop_count"] = last
    out["attempts"] = trace.attempts
    out["hoplimit"] = trace.hoplimit
    out["firsthop"] = trace.firsthop
    out["wait"] = trace.wait
    out["wait_probe"] = trace.wait_probe_cs
    out["tos"] = trace.tos
    out["probe_size"] = trace.probe_size
    out["probe_count"] = trace.probe_count
    trace.json_monitor(out)
    if trace.flags:
        out["flags"] = [
            TRACE_FLAGS[bit] if bit < len(TRACE_FLAGS) else "0x%08x" % (1 << bit)
            for bit in range(32) if (trace.flags >> bit) & 1
        ]
    low = max(trace.firsthop - 1, 0)
    for name, hops in (
        ("hops", json_hops(trace, trace.all, low, last)),
        ("extra_hops", json_hops(trace, trace.all, max(low, last), trace.hop_count)),
    ):
        if hops:
            out[name] = hops
    if trace.pmtud is not None and trace.pmtud.version == 2:
        out["pmtud"] = json_pmtud(trace)
    return json_done(out)
