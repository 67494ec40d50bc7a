# DNS records (type 14). Facts: the field tables of scamper 20260420 (there is no section in warts(5));
# names of types, classes, codes and keys from the IANA registries of DNS parameters and SVCB.
#
# The answer that the shortcuts of ScamperHost show is the first query with a receive time.

cdef enum:
    RR_ADDR = 1
    RR_STR = 2
    RR_SOA = 3
    RR_MX = 4
    RR_TXT = 5
    RR_OPT = 6
    RR_SVCB = 7
    CLASS_IN = 1
    CLASS_CH = 3
    TYPE_NS = 2
    TYPE_CNAME = 5
    TYPE_SOA = 6
    TYPE_PTR = 12
    TYPE_MX = 15
    TYPE_TXT = 16
    TYPE_OPT = 41
    TYPE_SVCB = 64
    TYPE_HTTPS = 65

cdef dict RR_NAMES = {int(member): member.name for member in ScamperHostType}
cdef dict RR_FILTERS = {
    name.lower(): int(ScamperHostType[name])
    for name in ("A", "AAAA", "PTR", "MX", "NS", "SOA", "TXT", "OPT", "SVCB", "HTTPS")
}
cdef tuple RCODES = (
    "NoError", "FormErr", "ServFail", "NXDomain", "NotImp", "Refused", "YXDomain", "YXRRSet", "NXRRSet",
    "NotAuth", "NotZone", "DSOTYPENI", None, None, None, None, "BADVERS", "BADKEY", "BADTIME",
    "BADMODE", "BADNAME", "BADALG", "BADTRUNC", "BADCOOKIE",
)
cdef tuple OPT_CODES = (
    None, "LLQ", None, "NSID", None, "DAU", "DHU", "N3U", "edns-client-subnet", "EDNS-EXPIRE", "COOKIE",
    "edns-tcp-keepalive", "Padding", "CHAIN", "edns-key-tag", "Extended DNS Error", "EDNS-Client-Tag",
    "EDNS-Server-Tag", "Report-Channel", "ZONEVERSION",
)
cdef tuple SVCB_KEYS = (
    "mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp",
    "tls-supported-groups",
)
cdef tuple HOST_FLAGS = ("norecurse", "tcp", "nsid")
cdef tuple QUERY_FLAGS = ("CD", "AD", "Z", "RA", "RD", "TC", "AA", "0x80")


cdef int rr_data_kind(unsigned int rclass, unsigned int rtype) noexcept:
    """How the data of an RR is stored; -1: not at all."""
    if rclass == CLASS_IN:
        if rtype == 1 or rtype == 28:
            return RR_ADDR
        if rtype == TYPE_NS or rtype == TYPE_CNAME or rtype == TYPE_PTR:
            return RR_STR
        if rtype == TYPE_SOA:
            return RR_SOA
        if rtype == TYPE_MX:
            return RR_MX
        if rtype == TYPE_TXT:
            return RR_TXT
        if rtype == TYPE_SVCB or rtype == TYPE_HTTPS:
            return RR_SVCB
    elif rclass == CLASS_CH and rtype == TYPE_TXT:
        return RR_TXT
    return RR_OPT if rtype == TYPE_OPT else -1


cdef str rclass_text(unsigned int n):
    return "IN" if n == CLASS_IN else "CH" if n == CLASS_CH else str(n)


cdef str rtype_text(unsigned int n):
    return RR_NAMES.get(n) or str(n)


@cython.final
@cython.no_gc
cdef class ScamperHostMX(Params):
    """Data of an MX record."""

    cdef readonly uint16_t pref
    cdef bytes raw_exch

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.pref = c.u16()
        else:
            self.raw_exch = c.text()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        return w.u16(self.pref) if flag == 1 else w.text(self.raw_exch)

    @property
    def exch(self):
        """The mail exchange."""
        return as_text(self.raw_exch)


@cython.final
@cython.no_gc
cdef class ScamperHostSOA(Params):
    """Data of an SOA record."""

    cdef bytes raw_mname, raw_rname
    cdef readonly uint32_t serial, refresh, retry, expire, minimum

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.raw_mname = c.text()
        elif flag == 2:
            self.raw_rname = c.text()
        elif flag == 3:
            self.serial = c.u32()
        elif flag == 4:
            self.refresh = c.u32()
        elif flag == 5:
            self.retry = c.u32()
        elif flag == 6:
            self.expire = c.u32()
        else:
            self.minimum = c.u32()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            return w.text(self.raw_mname)
        elif flag == 2:
            return w.text(self.raw_rname)
        elif flag == 3:
            return w.u32(self.serial)
        elif flag == 4:
            return w.u32(self.refresh)
        elif flag == 5:
            return w.u32(self.retry)
        elif flag == 6:
            return w.u32(self.expire)
        return w.u32(self.minimum)

    @property
    def mname(self):
        """The primary name server."""
        return as_text(self.raw_mname)

    @property
    def rname(self):
        """The mailbox of who is responsible, as a name."""
        return as_text(self.raw_rname)


@cython.final
@cython.no_gc
cdef class ScamperHostTXT(Params):
    """Data of a TXT record: one or more strings."""

    cdef uint16_t count
    cdef tuple strings            # bytes

    cdef int take(self, Cursor c, int flag) except -1:
        cdef list out
        cdef int i
        if flag == 1:
            self.count = c.u16()
            return 1
        c.need(0)
        out = []
        for i in range(self.count):
            # A string stops at a NUL, as it does in the C string that upstream keeps.
            out.append(rr_string(c, c.u8()))
        self.strings = tuple(out)
        return self.count != 0

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            return w.u16(self.count)
        for s in self.strings:
            w.u8(<unsigned int>len(s))
            w.raw(s)
        return 0

    @property
    def strc(self):
        """How many strings there are."""
        return self.count

    def str(self, i):
        """String i, or None."""
        return as_text(item_of(self.strings, i))

    def __iter__(self):
        return iter(tuple([as_text(s) for s in self.strings]))


cdef bytes rr_string(Cursor c, unsigned int n):
    return c.raw(n) if n else b""


@cython.final
@cython.no_gc
cdef class ScamperHostOPTElem:
    """One option of an OPT record."""

    cdef readonly uint16_t code_num
    cdef bytes raw

    @property
    def code(self):
        """The option's name, or its number as text."""
        return word_of(OPT_CODES, self.code_num)

    @property
    def data(self):
        """The option's data, or None."""
        return self.raw or None

    def __len__(self):
        return len(self.raw)


@cython.final
@cython.no_gc
cdef class ScamperHostOPT(Params):
    """Data of an OPT record."""

    cdef uint16_t count
    cdef tuple elems

    cdef int take(self, Cursor c, int flag) except -1:
        cdef ScamperHostOPTElem e
        cdef list out
        cdef int i
        if flag == 1:
            self.count = c.u16()
            return 1
        c.need(0)
        out = []
        for i in range(self.count):
            e = ScamperHostOPTElem.__new__(ScamperHostOPTElem)
            e.code_num = c.u16()
            e.raw = rr_string(c, c.u16())
            out.append(e)
        self.elems = tuple(out)
        return self.count != 0

    cdef int give(self, Writer w, int flag) except -1:
        cdef ScamperHostOPTElem e
        if flag == 1:
            return w.u16(self.count)
        for item in self.elems:
            e = <ScamperHostOPTElem>item
            w.u16(e.code_num)
            w.u16(<unsigned int>len(e.raw))
            w.raw(e.raw)
        return 0

    @property
    def elemc(self):
        """How many options there are."""
        return self.count

    def elem(self, i):
        """Option i, or None."""
        return item_of(self.elems, i)

    def __iter__(self):
        return iter(self.elems)


@cython.final
@cython.no_gc
cdef class ScamperHostSVCBParam:
    """One parameter of an SVCB or HTTPS record."""

    cdef readonly uint16_t key_num
    cdef bytes raw

    @property
    def key(self):
        """The parameter's name, or its number as text."""
        return word_of(SVCB_KEYS, self.key_num)

    @property
    def val(self):
        """The parameter's value, or None."""
        return self.raw or None

    def __len__(self):
        return len(self.raw)


@cython.final
@cython.no_gc
cdef class ScamperHostSVCB(Params):
    """Data of an SVCB or HTTPS record."""

    cdef readonly uint16_t priority
    cdef bytes raw_target
    cdef uint16_t count
    cdef tuple params

    cdef int take(self, Cursor c, int flag) except -1:
        cdef ScamperHostSVCBParam p
        cdef list out
        cdef int i
        if flag == 1:
            self.priority = c.u16()
        elif flag == 2:
            self.raw_target = c.text()
        elif flag == 3:
            self.count = c.u16()
        else:
            c.need(0)
            out = []
            for i in range(self.count):
                p = ScamperHostSVCBParam.__new__(ScamperHostSVCBParam)
                p.key_num = c.u16()
                p.raw = rr_string(c, c.u16())
                out.append(p)
            self.params = tuple(out)
            return self.count != 0
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        cdef ScamperHostSVCBParam p
        if flag == 1:
            return w.u16(self.priority)
        elif flag == 2:
            return w.text(self.raw_target)
        elif flag == 3:
            return w.u16(self.count)
        for item in self.params:
            p = <ScamperHostSVCBParam>item
            w.u16(p.key_num)
            w.u16(<unsigned int>len(p.raw))
            w.raw(p.raw)
        return 0

    @property
    def target(self):
        """The target's name; '' stands for the owner's own name."""
        return as_text(self.raw_target)

    @property
    def paramc(self):
        """How many parameters there are."""
        return self.count

    def param(self, i):
        """Parameter i, or None."""
        return item_of(self.params, i)

    def __iter__(self):
        return iter(self.params)


@cython.final
@cython.no_gc
cdef class ScamperHostRR(Params):
    """A resource record."""

    cdef readonly uint16_t rclass, rtype
    cdef readonly uint32_t ttl
    cdef bytes raw_name
    cdef object data              # ScamperAddr, bytes or one of the classes above; None: not recorded

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.rclass = c.u16()
        elif flag == 2:
            self.rtype = c.u16()
        elif flag == 3:
            self.raw_name = c.text()
        elif flag == 4:
            self.ttl = c.u32()
        else:
            self.data = read_rr_data(c, self)
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.u16(self.rclass)
        elif flag == 2:
            w.u16(self.rtype)
        elif flag == 3:
            w.text(self.raw_name)
        elif flag == 4:
            w.u32(self.ttl)
        else:
            w.u16(rr_data_kind(self.rclass, self.rtype))
            if isinstance(self.data, ScamperAddr):
                w.addr(<ScamperAddr>self.data)
            elif isinstance(self.data, bytes):
                w.text(<bytes>self.data)
            else:
                w.params(<Params?>self.data)
        return 0

    cdef object data_if(self, int rtype):
        """The data if this is that type of RR, in class IN."""
        return self.data if self.rclass == CLASS_IN and self.rtype == rtype else None

    cdef ScamperHostOPT options(self):
        return <ScamperHostOPT>self.data if isinstance(self.data, ScamperHostOPT) else None

    @property
    def name(self):
        """The owner's name; '' for the root."""
        return as_text(self.raw_name)

    @property
    def addr(self):
        """The address of an A or AAAA record, or None."""
        return self.data if isinstance(self.data, ScamperAddr) else None

    @property
    def ns(self):
        """The name of an NS record, or None."""
        return as_text(self.data_if(TYPE_NS))

    @property
    def cname(self):
        """The name of a CNAME record, or None."""
        return as_text(self.data_if(TYPE_CNAME))

    @property
    def ptr(self):
        """The name of a PTR record, or None."""
        return as_text(self.data_if(TYPE_PTR))

    @property
    def mx(self):
        """The data of an MX record, or None."""
        return self.data_if(TYPE_MX)

    @property
    def soa(self):
        """The data of an SOA record, or None."""
        return self.data_if(TYPE_SOA)

    @property
    def txt(self):
        """The data of a TXT record (class IN or CH), or None."""
        return self.data if isinstance(self.data, ScamperHostTXT) else None

    @property
    def opt(self):
        """The data of an OPT record, or None."""
        return self.options()

    @property
    def svcb(self):
        """The data of an SVCB record, or None."""
        return self.data_if(TYPE_SVCB)

    @property
    def https(self):
        """The data of an HTTPS record, or None."""
        return self.data_if(TYPE_HTTPS)

    @property
    def udpsize(self):
        """UDP payload size in an OPT record, or None."""
        return self.rclass if self.options() is not None else None

    @property
    def edns_version(self):
        """EDNS version in an OPT record, or None."""
        return (self.ttl >> 16) & 0xFF if self.options() is not None else None

    @property
    def edns_do(self):
        """The DNSSEC OK bit of an OPT record, or None."""
        return bool((self.ttl >> 15) & 1) if self.options() is not None else None

    def __str__(self):
        return text_rr(self)


cdef object read_rr_data(Cursor c, ScamperHostRR rr):
    cdef int kind = c.u16()
    cdef Params block
    if kind != rr_data_kind(rr.rclass, rr.rtype):
        c.fail("RR data that does not belong to the RR's type")
    if kind == RR_ADDR:
        return c.addr()
    if kind == RR_STR:
        return c.text()
    if kind == RR_SOA:
        block = ScamperHostSOA.__new__(ScamperHostSOA)
        c.params(block, 7)
        if not (block.got(1) and block.got(2)):
            c.fail("an SOA without its names")
    elif kind == RR_MX:
        block = ScamperHostMX.__new__(ScamperHostMX)
        c.params(block, 2)
        if not block.got(2):
            c.fail("an MX without its exchange")
    elif kind == RR_TXT:
        block = ScamperHostTXT.__new__(ScamperHostTXT)
        (<ScamperHostTXT>block).strings = ()
        c.params(block, 2)
    elif kind == RR_OPT:
        block = ScamperHostOPT.__new__(ScamperHostOPT)
        (<ScamperHostOPT>block).elems = ()
        c.params(block, 2)
    else:
        block = ScamperHostSVCB.__new__(ScamperHostSVCB)
        (<ScamperHostSVCB>block).params = ()
        c.params(block, 4)
    return block


cdef str text_rr(ScamperHostRR rr):
    cdef object d = rr.data
    cdef ScamperHostSOA soa
    cdef str data = "not implemented"
    if isinstance(d, ScamperAddr):
        data = str(d)
    elif isinstance(d, bytes):
        data = as_text(d)
    elif isinstance(d, ScamperHostMX):
        data = f"{d.pref} {d.exch}"
    elif isinstance(d, ScamperHostSOA):
        soa = <ScamperHostSOA>d
        data = (
            f"{soa.mname} {soa.rname} {soa.serial} {soa.refresh} {soa.retry} {soa.expire} {soa.minimum}"
        )
    elif isinstance(d, ScamperHostTXT):
        data = " ".join([f'"{s}"' for s in d])
    return f"{rr.name} {rr.ttl} {rclass_text(rr.rclass)} {rtype_text(rr.rtype)} {data}"


@cython.final
@cython.no_gc
cdef class ScamperHostQuery(Params):
    """One query, and the answer if one came."""

    cdef Stamp sent, received
    cdef readonly uint16_t id, ancount, nscount, arcount
    cdef uint8_t code
    cdef readonly uint8_t flags
    cdef tuple answers, authorities, additionals

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            c.stamp(&self.sent)
        elif flag == 2:
            c.stamp(&self.received)
        elif flag == 3:
            self.id = c.u16()
        elif flag == 4:
            self.ancount = c.u16()
        elif flag == 5:
            self.nscount = c.u16()
        elif flag == 6:
            self.arcount = c.u16()
        elif flag == 7:
            self.code = c.u8()
        else:
            self.flags = c.u8()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            return w.stamp(self.sent)
        elif flag == 2:
            return w.stamp(self.received)
        elif flag == 3:
            return w.u16(self.id)
        elif flag == 4:
            return w.u16(self.ancount)
        elif flag == 5:
            return w.u16(self.nscount)
        elif flag == 6:
            return w.u16(self.arcount)
        elif flag == 7:
            return w.u8(self.code)
        return w.u8(self.flags)

    cdef ScamperHostRR opt(self):
        """The first OPT record, or None."""
        for rr in self.additionals:
            if (<ScamperHostRR>rr).rtype == TYPE_OPT:
                return <ScamperHostRR>rr
        return None

    @property
    def tx(self):
        """When the query was sent."""
        return as_datetime(self.sent)

    @property
    def rx(self):
        """When the answer came, or None."""
        return as_datetime_or_none(self.received)

    @property
    def rtt(self):
        """From query to answer, or None."""
        if is_zero(self.received):
            return None
        return _timedelta(microseconds=usec_between(self.sent, self.received))

    @property
    def rcode_num(self):
        """The response code."""
        return self.code

    @property
    def rcode(self):
        """The response code's name, or its number as text."""
        return word_of(RCODES, self.code)

    @property
    def extended_rcode_num(self):
        """The response code with the upper bits that EDNS adds."""
        cdef ScamperHostRR opt = self.opt()
        return self.code if opt is None else ((opt.ttl >> 20) & 0xFF0) | self.code

    @property
    def extended_rcode(self):
        """The extended response code's name, or its number as text."""
        return word_of(RCODES, self.extended_rcode_num)

    @property
    def udpsize(self):
        """UDP payload size of EDNS, or None."""
        cdef ScamperHostRR opt = self.opt()
        return None if opt is None else opt.rclass

    @property
    def edns_version(self):
        """EDNS version, or None."""
        cdef ScamperHostRR opt = self.opt()
        return None if opt is None else (opt.ttl >> 16) & 0xFF

    @property
    def edns_do(self):
        """The DNSSEC OK bit, or None."""
        cdef ScamperHostRR opt = self.opt()
        return None if opt is None else bool((opt.ttl >> 15) & 1)

    def an(self, i):
        """Record i of the answer section, or None."""
        return item_of(self.answers, i)

    def ns(self, i):
        """Record i of the authority section, or None."""
        return item_of(self.authorities, i)

    def ar(self, i):
        """Record i of the additional section, or None."""
        return item_of(self.additionals, i)


@cython.final
cdef class ScamperHost(Result):
    """A DNS measurement: the question, and the answer if one came."""

    cdef readonly ScamperAddr src, dst
    cdef bytes raw_qname, raw_ecs
    cdef tuple queries
    cdef ScamperHostQuery answer  # the first query with an answer, or None
    cdef uint16_t flags, wait_ms
    cdef readonly uint16_t qtype_num
    cdef uint16_t class_num
    cdef uint8_t stop, retries, qcount

    cdef int kind(self) noexcept:
        return 14

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
            c.stamp(&self.started)
        elif flag == 7:
            self.flags = c.u16()
        elif flag == 8:
            self.wait_ms = c.u16()
        elif flag == 9:
            self.stop = c.u8()
        elif flag == 10:
            self.retries = c.u8()
        elif flag == 11:
            self.qtype_num = c.u16()
        elif flag == 12:
            self.class_num = c.u16()
        elif flag == 13:
            self.raw_qname = c.text()
        elif flag == 14:
            self.qcount = c.u8()
        elif flag == 15:
            self.raw_ecs = c.text()
        elif flag == 16:
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
            w.stamp(self.started)
        elif flag == 7:
            w.u16(self.flags)
        elif flag == 8:
            w.u16(self.wait_ms)
        elif flag == 9:
            w.u8(self.stop)
        elif flag == 10:
            w.u8(self.retries)
        elif flag == 11:
            w.u16(self.qtype_num)
        elif flag == 12:
            w.u16(self.class_num)
        elif flag == 13:
            w.text(self.raw_qname)
        elif flag == 14:
            w.u8(self.qcount)
        elif flag == 15:
            w.text(self.raw_ecs)
        elif flag == 16:
            w.text(self.raw_errmsg)
        return 0

    cdef int write(self, Writer w) except -1:
        cdef ScamperHostQuery q
        w.params(self)
        for item in self.queries:
            q = <ScamperHostQuery>item
            w.params(q)
            for section in (q.answers, q.authorities, q.additionals):
                for rr in section:
                    w.params(<ScamperHostRR>rr)
        return 0

    @property
    def stop_reason(self):
        """Why it ended."""
        return HOST_STOPS.get(self.stop, self.stop)

    @property
    def stop_reason_str(self):
        """Why it ended, in a word."""
        return word_of(HOST_STOP, self.stop)

    @property
    def wait_timeout(self):
        """How long an answer was waited for."""
        return as_delta(<int64_t>self.wait_ms * 1000)

    @property
    def qname(self):
        """The name asked for."""
        return as_text(self.raw_qname)

    @property
    def qtype(self):
        """The type asked for, by name or number."""
        return rtype_text(self.qtype_num)

    @property
    def qclass(self):
        """The class asked for, by name or number."""
        return rclass_text(self.class_num)

    @property
    def mqtypes(self):
        """Further types asked for in the same query: no recording that we know carries them."""
        return []

    @property
    def ecs(self):
        """The client subnet sent along, or None."""
        return as_text(self.raw_ecs)

    @property
    def rcode(self):
        """The response code's name, or None."""
        return None if self.answer is None else self.answer.rcode

    @property
    def rcode_num(self):
        """The response code, or None."""
        return None if self.answer is None else self.answer.rcode_num

    @property
    def extended_rcode(self):
        """The extended response code's name, or None."""
        return None if self.answer is None else self.answer.extended_rcode

    @property
    def extended_rcode_num(self):
        """The extended response code, or None."""
        return None if self.answer is None else self.answer.extended_rcode_num

    @property
    def tx(self):
        """When the answered query was sent, or None."""
        return None if self.answer is None else self.answer.tx

    @property
    def rx(self):
        """When the answer came, or None."""
        return None if self.answer is None else self.answer.rx

    @property
    def rtt(self):
        """From query to answer, or None."""
        return None if self.answer is None else self.answer.rtt

    @property
    def udpsize(self):
        """UDP payload size of EDNS in the answer, or None."""
        return None if self.answer is None else self.answer.udpsize

    @property
    def edns_version(self):
        """EDNS version of the answer, or None."""
        return None if self.answer is None else self.answer.edns_version

    @property
    def edns_do(self):
        """The DNSSEC OK bit of the answer, or None."""
        return None if self.answer is None else self.answer.edns_do

    @property
    def ancount(self):
        """Records in the answer section."""
        return 0 if self.answer is None else self.answer.ancount

    @property
    def nscount(self):
        """Records in the authority section."""
        return 0 if self.answer is None else self.answer.nscount

    @property
    def arcount(self):
        """Records in the additional section."""
        return 0 if self.answer is None else self.answer.arcount

    def an(self, i):
        """Record i of the answer section, or None."""
        return None if self.answer is None else self.answer.an(i)

    def ns(self, i):
        """Record i of the authority section, or None."""
        return None if self.answer is None else self.answer.ns(i)

    def ar(self, i):
        """Record i of the additional section, or None."""
        return None if self.answer is None else self.answer.ar(i)

    cdef object section(self, tuple records, object rrtypes):
        cdef set wanted
        if rrtypes is None:
            return iter(records)
        wanted = set()
        for name in rrtypes:
            if not isinstance(name, str):
                raise ValueError("expected str in rrtypes")
            number = RR_FILTERS.get(name.lower())
            if number is None:
                raise ValueError(f"cannot filter {name}")
            wanted.add(number)
        return iter(tuple([
            rr for rr in records
            if (<ScamperHostRR>rr).rclass == CLASS_IN and (<ScamperHostRR>rr).rtype in wanted
        ]))

    def ans(self, rrtypes=None):
        """An iterator over the answer section.

        Args:
            rrtypes: only class IN records of these types (a aaaa ptr mx ns soa txt opt svcb https).
        """
        return self.section(() if self.answer is None else self.answer.answers, rrtypes)

    def nss(self, rrtypes=None):
        """An iterator over the authority section. Args: as `ans`."""
        return self.section(() if self.answer is None else self.answer.authorities, rrtypes)

    def ars(self, rrtypes=None):
        """An iterator over the additional section; `rrtypes` is ignored, as upstream does."""
        return self.section(() if self.answer is None else self.answer.additionals, None)

    cdef list distinct(self, str attribute, bint once):
        cdef list out = []
        cdef set seen = set()
        if self.answer is None:
            return out
        for rr in self.answer.answers:
            value = getattr(rr, attribute)
            if value is None or (once and value in seen):
                continue
            if once:
                seen.add(value)
            out.append(value)
        return out

    def ans_addrs(self):
        """The addresses of the answer section, each once."""
        return self.distinct("addr", True)

    def ans_nses(self):
        """The name servers of the answer section, each once."""
        return self.distinct("ns", True)

    def ans_ptrs(self):
        """The PTR names of the answer section, each once."""
        return self.distinct("ptr", True)

    def ans_txts(self):
        """The TXT data of the answer section."""
        return self.distinct("txt", False)

    def ans_mxes(self):
        """The MX data of the answer section."""
        return self.distinct("mx", False)

    def to_json(self):
        """One JSON object, as sc_warts2json writes it."""
        return json_host(self)


cdef tuple read_rrs(Cursor c, int count):
    cdef tuple out = c.room(count)
    cdef ScamperHostRR rr
    cdef int i
    for i in range(count):
        rr = ScamperHostRR.__new__(ScamperHostRR)
        c.params(rr, 5)
        if rr.raw_name is None:
            c.fail("an RR without a name")
        put(out, i, rr)
    return out


cdef ScamperHost read_host(Cursor c):
    cdef ScamperHost host = ScamperHost.__new__(ScamperHost)
    cdef ScamperHostQuery q
    cdef int i
    c.params(host, 16)
    if host.dst is None:
        c.fail("a DNS measurement without a server")
    host.queries = c.room(host.qcount)
    for i in range(host.qcount):
        q = ScamperHostQuery.__new__(ScamperHostQuery)
        c.params(q, 8)
        q.answers = read_rrs(c, q.ancount)
        q.authorities = read_rrs(c, q.nscount)
        q.additionals = read_rrs(c, q.arcount)
        if host.answer is None and not is_zero(q.received):
            host.answer = q
        put(host.queries, i, q)
    return host


cdef dict json_rr(ScamperHostRR rr):
    cdef dict out = {
        "class": rclass_text(rr.rclass), "type": rtype_text(rr.rtype), "ttl": rr.ttl,
        "name": json_text(rr.raw_name),
    }
    cdef object d = rr.data
    cdef ScamperHostSOA soa
    if isinstance(d, ScamperAddr):
        out["address"] = str(d)
    elif isinstance(d, bytes):
        out[{TYPE_NS: "nsdname", TYPE_CNAME: "cname", TYPE_PTR: "ptrdname"}[rr.rtype]] = json_text(d)
    elif isinstance(d, ScamperHostMX):
        out["preference"] = (<ScamperHostMX>d).pref
        out["exchange"] = json_text((<ScamperHostMX>d).raw_exch)
    elif isinstance(d, ScamperHostSOA):
        soa = <ScamperHostSOA>d
        out["mname"] = json_text(soa.raw_mname)
        out["rname"] = json_text(soa.raw_rname)
        out["serial"] = soa.serial
        out["refresh"] = soa.refresh
        out["retry"] = soa.retry
        out["expire"] = soa.expire
        out["minimum"] = soa.minimum
    elif isinstance(d, ScamperHostTXT):
        out["strc"] = (<ScamperHostTXT>d).count
        out["strs"] = [json_text(s) for s in (<ScamperHostTXT>d).strings]
    return out


cdef dict json_query(ScamperHostQuery q):
    cdef dict out = {
        "id": q.id, "ancount": q.ancount, "nscount": q.nscount, "arcount": q.arcount,
        "tx": json_time(q.sent),
    }
    if not is_zero(q.received):
        out["rx"] = json_time(q.received)
        out["rcode"] = word_of(RCODES, q.code)
        out["flags"] = flag_words(q.flags, QUERY_FLAGS)
    for name, section in (("an", q.answers), ("ns", q.authorities), ("ar", q.additionals)):
        if section:
            out[name] = [json_rr(<ScamperHostRR>rr) for rr in section]
    return out


cdef str json_host(ScamperHost host):
    cdef dict out = {"type": "host", "version": "0.1"}
    cdef list words
    for name, a in (("src", host.src), ("dst", host.dst)):
        if a is not None:
            out[name] = str(a)
    out["userid"] = host.userid
    out["start"] = json_time(host.started)
    if host.raw_errmsg is not None:
        out["errmsg"] = json_text(host.raw_errmsg)
    words = flag_words(host.flags, HOST_FLAGS)
    if words:
        out["flags"] = words
    out["wait"] = host.wait_ms
    out["retries"] = host.retries
    out["stop"] = word_of(HOST_STOP, host.stop).upper()
    if host.raw_qname is not None:
        out["qname"] = json_text(host.raw_qname)
    out["qclass"] = rclass_text(host.class_num)
    out["qtype"] = rtype_text(host.qtype_num)
    out["qcount"] = host.qcount
    if host.raw_ecs is not None:
        out["ecs"] = as_text(host.raw_ecs)
    host.json_monitor(out)
    out["queries"] = [json_query(<ScamperHostQuery>q) for q in host.queries]
    return json_done(out)
