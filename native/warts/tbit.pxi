# TCP behaviour records (type 11). Facts: the field tables of scamper 20260420; the packets from RFC 791 and
# RFC 8200 (IP), RFC 9293 (TCP and its options), RFC 2018 (SACK), RFC 7413 (fast open).
#
# After the packets stand optional blocks, each u16 kind, u32 length: 1 what the test found, 2 the application.

cdef enum:
    TBIT_PMTUD = 1
    TBIT_NULL = 3
    TBIT_ICW = 5
    TBIT_BLIND_DATA = 7
    TBIT_BLIND_FIN = 10
    TBIT_APP_HTTP = 1
    TBIT_APP_BGP = 5
    # What a field of a block is.
    B_U8 = 1
    B_U16 = 2
    B_U32 = 3
    B_I32 = 4
    B_TEXT = 5
    B_ADDR = 6

cdef tuple TBIT_TYPES = (
    None, "pmtud", "ecn", "null", "sack-rcvr", "icw", "abc", "blind-data", "blind-rst", "blind-syn",
    "blind-fin",
)
cdef dict TBIT_RESULTS = {
    first + i: word
    for first, words in (
        (0, "none tcp-noconn tcp-rst tcp-error sys-error aborted tcp-noconn-rst halted tcp-badopt tcp-fin "
            "tcp-zerowin"),
        (20, "pmtud-noack pmtud-nodata pmtud-toosmall pmtud-nodf pmtud-fail pmtud-success pmtud-cleardf"),
        (30, "ecn-success ecn-incapable ecn-badsynack ecn-noece ecn-noack ecn-nodata"),
        (40, "null-success null-nodata"),
        (50, "sack-incapable sack-rcvr-success sack-rcvr-shifted sack-rcvr-timeout sack-rcvr-nosack"),
        (60, "icw-success icw-tooshort"),
        (70, "abc-success abc-tooshort abc-badicw"),
        (80, "blind-accepted blind-challenge blind-ignored blind-rst blind-synnew"),
    )
    for i, word in enumerate(words.split())
}
cdef tuple TBIT_OPTIONS = ("tcpts", "sack")
cdef tuple TBIT_PMTUD_OPTIONS = ("blackhole",)
cdef tuple TBIT_NULL_OPTIONS = ("tcpts", "ipts-syn", "iprr-syn", "ipqs-syn", "sack", "fo", "fo-exp")
cdef tuple TBIT_NULL_RESULTS = ("tcpts-ok", "sack-ok", "fo-ok")
cdef tuple TCP_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")


@cython.final
@cython.no_gc
cdef class ScamperTbitPkt(Params):
    """One packet of the connection."""

    cdef uint8_t direction        # 1 sent, 2 received
    cdef Stamp when
    cdef uint16_t length
    cdef readonly bytes data      # from the IP header on

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.direction = c.u8()
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
            return w.u8(self.direction)
        elif flag == 2:
            return w.stamp(self.when)
        elif flag == 3:
            return w.u16(self.length)
        return w.raw(self.data)

    @property
    def timestamp(self):
        """When it was sent or received."""
        return as_datetime(self.when)

    def is_tx(self):
        """It was sent."""
        return self.direction == 1

    def is_rx(self):
        """It was received."""
        return self.direction == 2


@cython.final
@cython.no_gc
cdef class TbitBlock(Params):
    """An optional block: its fields in a table, by flag."""

    cdef tuple kinds              # what each field is
    cdef dict fields              # flag -> value

    cdef int take(self, Cursor c, int flag) except -1:
        cdef int kind = self.kinds[flag - 1]
        if kind == B_U8:
            self.fields[flag] = c.u8()
        elif kind == B_U16:
            self.fields[flag] = c.u16()
        elif kind == B_U32:
            self.fields[flag] = c.u32()
        elif kind == B_I32:
            self.fields[flag] = <int32_t>c.u32()
        elif kind == B_TEXT:
            self.fields[flag] = c.text()
        else:
            self.fields[flag] = c.addr()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        cdef int kind = self.kinds[flag - 1]
        cdef object value = self.fields[flag]
        if kind == B_U8:
            return w.u8(value)
        elif kind == B_U16:
            return w.u16(value)
        elif kind == B_U32:
            return w.u32(value)
        elif kind == B_I32:
            return w.u32(<uint32_t><int32_t>value)
        elif kind == B_TEXT:
            return w.text(value)
        return w.addr(value)

    cdef object field(self, int flag):
        return self.fields.get(flag, 0)


cdef tuple block_kinds(int number, int type, int app):
    """The fields of a block; None: it is skipped."""
    if number == 1:
        if type == TBIT_PMTUD:
            return (B_U16, B_U8, B_U8, B_ADDR)
        if type == TBIT_NULL:
            return (B_U16, B_U16)
        if type == TBIT_ICW:
            return (B_U32,)
        if TBIT_BLIND_DATA <= type <= TBIT_BLIND_FIN:
            return (B_I32, B_U8)
    elif app == TBIT_APP_HTTP:
        return (B_TEXT, B_TEXT, B_U8)
    elif app == TBIT_APP_BGP:
        return (B_U32,)
    return None


@cython.final
cdef class ScamperTbit(Result):
    """A test of how a host's TCP behaves, with the packets of its connection."""

    cdef readonly ScamperAddr src, dst
    cdef bytes cookie
    cdef tuple all
    cdef TbitBlock found, app_block
    cdef uint32_t count32, options
    cdef uint16_t sport, dport, outcome, server_mss, count16
    cdef uint8_t type, app, synretx, dataretx
    cdef readonly uint16_t client_mss
    cdef readonly uint8_t client_wscale, client_ipttl

    cdef int kind(self) noexcept:
        return 11

    cdef int take(self, Cursor c, int flag) except -1:
        cdef uint8_t n
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
            c.stamp(&self.started)
        elif flag == 9:
            self.outcome = c.u16()
        elif flag == 10:
            self.type = c.u8()
        elif flag == 11:
            self.app = c.u8()
        elif flag == 12:
            self.client_mss = c.u16()
        elif flag == 13:
            self.server_mss = c.u16()
        elif flag == 14:
            self.synretx = c.u8()
        elif flag == 15:
            self.dataretx = c.u8()
        elif flag == 16:
            self.count16 = c.u16()
        elif flag == 17:
            self.count32 = c.u32()
        elif flag == 18:
            n = c.u8()
            if n > 16:
                c.fail("a fast-open cookie of more than 16 bytes")
            self.cookie = c.raw(n) if n else b""
        elif flag == 19:
            self.client_wscale = c.u8()
        elif flag == 20:
            self.options = c.u32()
        elif flag == 21:
            self.client_ipttl = c.u8()
        elif flag == 22:
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
            w.stamp(self.started)
        elif flag == 9:
            w.u16(self.outcome)
        elif flag == 10:
            w.u8(self.type)
        elif flag == 11:
            w.u8(self.app)
        elif flag == 12:
            w.u16(self.client_mss)
        elif flag == 13:
            w.u16(self.server_mss)
        elif flag == 14:
            w.u8(self.synretx)
        elif flag == 15:
            w.u8(self.dataretx)
        elif flag == 16:
            w.u16(self.count16)
        elif flag == 17:
            w.u32(self.count32)
        elif flag == 18:
            w.u8(<unsigned int>len(self.cookie))
            w.raw(self.cookie)
        elif flag == 19:
            w.u8(self.client_wscale)
        elif flag == 20:
            w.u32(self.options)
        elif flag == 21:
            w.u8(self.client_ipttl)
        elif flag == 22:
            w.text(self.raw_errmsg)
        return 0

    cdef int write(self, Writer w) except -1:
        cdef Py_ssize_t at, length
        w.params(self)
        for item in self.all:
            w.params(<ScamperTbitPkt>item)
        for number, block in ((1, self.found), (2, self.app_block)):
            if block is not None:
                w.u16(number)
                at = w.size
                w.u32(0)
                w.params(<TbitBlock>block)
                length = w.size - at - 4
                w.poke16(at, <unsigned int>(length >> 16))
                w.poke16(at + 2, <unsigned int>(length & 0xFFFF))
        return w.u16(0)

    @property
    def result(self):
        """What the test found."""
        return TBIT_RESULTS.get(self.outcome) or str(self.outcome)

    @property
    def pkt_count(self):
        """How many packets there are."""
        return len(self.all)

    def __len__(self):
        return len(self.all)

    def __iter__(self):
        return iter(self.all)

    def to_json(self):
        """One JSON object, as sc_warts2json writes it."""
        return json_tbit(self)

    def to_text(self):
        """Lines for people, as sc_warts2text writes them."""
        return text_tbit(self)


cdef ScamperTbit read_tbit(Cursor c):
    cdef ScamperTbit r = ScamperTbit.__new__(ScamperTbit)
    cdef ScamperTbitPkt pkt
    cdef TbitBlock block
    cdef uint32_t i, length
    cdef int number
    cdef Py_ssize_t after
    cdef tuple kinds
    r.client_ipttl = 255
    c.params(r, 22)
    if r.src is None or r.dst is None:
        c.fail("a tbit without its addresses")
    r.all = c.room(r.count32 or r.count16)
    for i in range(r.count32 or r.count16):
        pkt = ScamperTbitPkt.__new__(ScamperTbitPkt)
        c.params(pkt, 4)
        if not pkt.data:
            c.fail("a packet without data")
        put(r.all, i, pkt)
    while True:
        number = c.u16()
        if number == 0:
            break
        length = c.u32()
        if number > 2:
            c.fail("a block of unknown kind")
        if c.end - c.off < length:
            c.fail("a block that goes past the record")
        after = c.off + length
        kinds = block_kinds(number, r.type, r.app)
        if kinds is not None:
            if (r.found if number == 1 else r.app_block) is not None:
                c.fail("the same block twice")
            block = TbitBlock.__new__(TbitBlock)
            block.kinds = kinds
            block.fields = {}
            c.params(block, <int>len(kinds))
            if number == 1:
                r.found = block
            else:
                r.app_block = block
        c.off = after
    return r
