# HTTP records (type 15). Facts: the field tables of scamper 20260420; the syntax of status lines, header
# fields and chunks from RFC 9112. Addresses do not enter the record's table here.
#
# What was sent and received is kept in buffers as it came; headers and body are put together from them when
# asked for.

cdef enum:
    HTTPS = 0
    HTTP_DATA = 0
    HTTP_HDR = 1
    HTTP_TLS = 2
    ECH_CONFIG_LIST = 1
    ECH_RETRY_CONFIG = 2

cdef tuple HTTP_SCHEMES = ("https", "http")
cdef tuple HTTP_BUF_TYPES = ("data", "hdr", "tls")


@cython.final
@cython.no_gc
cdef class ScamperHttpBuf(Params):
    """Bytes that were sent or received at one moment."""

    cdef Stamp when
    cdef uint8_t type
    cdef bint tx
    cdef uint16_t length
    cdef bytes data

    cdef int take(self, Cursor c, int flag) except -1:
        cdef uint8_t word
        if flag == 1:
            word = c.u8()
            self.tx = word >> 7
            self.type = word & 0x7F
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
            w.u8((self.tx << 7) | self.type)
        elif flag == 2:
            w.stamp(self.when)
        elif flag == 3:
            w.u16(self.length)
        else:
            w.raw(self.data)
        return 0

    @property
    def timestamp(self):
        """When it was sent or received."""
        return as_datetime(self.when)

    @property
    def dir_str(self):
        """`tx` or `rx`."""
        return "tx" if self.tx else "rx"

    @property
    def type_str(self):
        """`data`, `hdr` or `tls`."""
        return word_of(HTTP_BUF_TYPES, self.type)

    @property
    def payload(self):
        """The bytes, or None."""
        return self.data or None

    def is_tx(self):
        """It was sent."""
        return self.tx

    def is_rx(self):
        """It was received."""
        return not self.tx

    def is_tls(self):
        """TLS handshake."""
        return self.type == HTTP_TLS

    def is_hdr(self):
        """Header."""
        return self.type == HTTP_HDR

    def is_data(self):
        """Body."""
        return self.type == HTTP_DATA


@cython.final
cdef class ScamperHttp(Result):
    """An HTTP or HTTPS request, and what came back."""

    cdef readonly ScamperAddr src, dst
    cdef bytes host, file, sni
    cdef tuple headers, buffers
    cdef bytes config_list, retry_config
    cdef Stamp most
    cdef uint32_t shake, flags, count
    cdef readonly uint16_t sport, dport
    cdef uint8_t stop, type, ech

    cdef int kind(self) noexcept:
        return 15

    cdef int take(self, Cursor c, int flag) except -1:
        cdef list out
        cdef int i
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
            self.sport = c.u16()
        elif flag == 7:
            self.dport = c.u16()
        elif flag == 8:
            c.stamp(&self.started)
        elif flag == 9:
            self.stop = c.u8()
        elif flag == 10:
            self.type = c.u8()
        elif flag == 11:
            self.host = c.text()
        elif flag == 12:
            self.file = c.text()
        elif flag == 13:
            out = []
            for i in range(c.u8()):
                out.append(c.text())
            self.headers = tuple(out)
        elif flag == 14:
            self.count = c.u32()
        elif flag == 15:
            self.shake = c.u32()
        elif flag == 16:
            self.flags = c.u32()
        elif flag == 17:
            c.stamp(&self.most)
        elif flag == 18:
            self.raw_errmsg = c.text()
        elif flag == 19:
            self.ech = c.u8()
        elif flag == 20:
            self.sni = c.text()
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
            w.u16(self.sport)
        elif flag == 7:
            w.u16(self.dport)
        elif flag == 8:
            w.stamp(self.started)
        elif flag == 9:
            w.u8(self.stop)
        elif flag == 10:
            w.u8(self.type)
        elif flag == 11:
            w.text(self.host)
        elif flag == 12:
            w.text(self.file)
        elif flag == 13:
            w.u8(<unsigned int>len(self.headers))
            for header in self.headers:
                w.text(header)
        elif flag == 14:
            w.u32(self.count)
        elif flag == 15:
            w.u32(self.shake)
        elif flag == 16:
            w.u32(self.flags)
        elif flag == 17:
            w.stamp(self.most)
        elif flag == 18:
            w.text(self.raw_errmsg)
        elif flag == 19:
            w.u8(self.ech)
        elif flag == 20:
            w.text(self.sni)
        return 0

    cdef int write(self, Writer w) except -1:
        w.params(self)
        for buf in self.buffers:
            w.params(<ScamperHttpBuf>buf)
        for number, data in ((ECH_CONFIG_LIST, self.config_list), (ECH_RETRY_CONFIG, self.retry_config)):
            if data:
                w.u8(number)
                w.u32(<uint32_t>len(data))
                w.raw(data)
        return 0

    @property
    def stop_reason(self):
        """Why it ended."""
        return HTTP_STOPS.get(self.stop, self.stop)

    @property
    def stop_reason_str(self):
        """Why it ended, in a word."""
        return word_of(HTTP_STOP, self.stop)

    @property
    def maxtime(self):
        """How long it might take."""
        return stamp_delta(self.most)

    @property
    def hsrtt(self):
        """Round-trip time of the TCP handshake; 0 when there was no connection."""
        return as_delta(self.shake)

    @property
    def url(self):
        """What was asked for, or None where the record does not tell."""
        if self.host is None or self.file is None or self.type >= len(HTTP_SCHEMES):
            return None
        port = "" if self.dport == (443 if self.type == HTTPS else 80) else f":{self.dport}"
        return f"{HTTP_SCHEMES[self.type]}://{as_text(self.host)}{port}{as_text(self.file)}"

    cdef bytes gathered(self, bint tx, int type):
        """The data of all buffers of one direction and type."""
        cdef list out = []
        cdef ScamperHttpBuf b
        for item in self.buffers:
            b = <ScamperHttpBuf>item
            if b.tx == tx and b.type == type:
                out.append(b.data or b"")
        return b"".join(out)

    cdef str header(self, bint tx):
        """The header as text; what was sent ends with a NUL in the record, which is no part of it."""
        return as_text(self.gathered(tx, HTTP_HDR).partition(b"\0")[0])

    @property
    def status_code(self):
        """Three digits as an int, or None."""
        cdef bytes raw = self.gathered(False, HTTP_HDR)
        cdef bytes line
        line, end, _ = raw[:256].partition(b"\r")
        if not end or len(line) < 12 or line[:5] != b"HTTP/" or line[6:7] != b".":
            return None
        if not (line[5:6] + line[7:8] + line[9:12]).isdigit() or line[8:9] != b" ":
            return None
        if line[12:13] not in (b"", b" "):
            return None
        return int(line[9:12])

    @property
    def response(self):
        """The body, chunks joined, or None."""
        cdef dict fields = header_fields(self.header(False))
        cdef bytes raw = self.gathered(False, HTTP_DATA)
        if fields is None:
            return None
        if fields.get("transfer-encoding", "").lower() == "chunked":
            raw = unchunked(raw)
        return raw or None

    @property
    def response_hdr(self):
        """The header received, as it came, or None."""
        return self.header(False)

    @property
    def transmit_hdr(self):
        """The header sent, or None."""
        return self.header(True)

    @property
    def response_hdrs(self):
        """The header received, by lower-cased name, or None."""
        return header_fields(self.header(False))

    @property
    def transmit_hdrs(self):
        """The header sent, by lower-cased name, or None."""
        return header_fields(self.header(True))

    def response_hdr_byname(self, name):
        """One field of the header received, or None. The name's case does not matter."""
        return field_of(self.header(False), name)

    def transmit_hdr_byname(self, name):
        """One field of the header sent, or None. The name's case does not matter."""
        return field_of(self.header(True), name)

    @property
    def buf_count(self):
        """How many buffers there are."""
        return len(self.buffers)

    def buf(self, i):
        """Buffer i, or None."""
        return item_of(self.buffers, i)

    def bufs(self):
        """An iterator over all buffers, both directions, in order."""
        return iter(self.buffers)

    def __iter__(self):
        return iter(self.buffers)

    @property
    def ech_config_list(self):
        """The ECH configuration used, or None."""
        return self.config_list or None

    @property
    def ech_retry_config(self):
        """The ECH configuration that the server offered instead, or None."""
        return self.retry_config or None

    @property
    def ech_status(self):
        """How ECH went."""
        return ECH_STATUSES.get(self.ech, self.ech)

    @property
    def ech_outer_sni(self):
        """The name in the clear, or None."""
        return as_text(self.sni)


cdef object stamp_delta(Stamp t):
    """A duration that is stored like a point in time."""
    return timedelta_new(0, <int>(t.sec % 86400), 0) + _timedelta(t.sec // 86400, 0, t.usec)


cdef dict header_fields(str text):
    """Header fields by lower-cased name; the first of a name counts. None if there is no header."""
    cdef dict out = {}
    if "\n" not in text:
        return None
    lines = text.split("\n")
    for line in lines[1 : len(lines) - 1]:
        name, colon, value = line.partition(":")
        value = value.rstrip("\r").strip(" \t")
        if colon and name and value:
            out.setdefault(name.lower(), value)
    return out


cdef object field_of(str text, object name):
    cdef dict fields
    if not isinstance(name, str):
        raise ValueError("name must be a string")
    fields = header_fields(text)
    return None if fields is None else fields.get(name.lower())


cdef bytes unchunked(bytes raw):
    """The data of a chunked body, also of one that was cut; None where it is not chunked at all."""
    cdef list out = []
    cdef Py_ssize_t at = 0, end, size
    cdef bytes digits
    while at < len(raw):
        end = raw.find(b"\n", at)
        if end < 0:
            # Cut within a size: digits so far are no error.
            digits = raw[at:].replace(b"\r", b"")
            return b"".join(out) if all([d in HEX_DIGITS for d in digits]) else None
        digits = raw[at:end].replace(b"\r", b"")
        if not digits or not all([d in HEX_DIGITS for d in digits]) or len(digits.lstrip(b"0")) > 15:
            return None
        size = int(digits, 16)
        if size == 0:
            break
        at = end + 1
        out.append(raw[at : min(at + size, len(raw))])
        if size >= len(raw) - at:
            break
        at += size
        if raw[at : at + 2] != b"\r\n"[: len(raw) - at]:
            return None
        at += 2
    return b"".join(out)


cdef bytes HEX_DIGITS = b"0123456789abcdefABCDEF"


cdef ScamperHttp read_http(Cursor c):
    cdef ScamperHttp http = ScamperHttp.__new__(ScamperHttp)
    cdef ScamperHttpBuf b
    cdef uint32_t i, length
    cdef uint8_t number
    c.params(http, 20)
    if not http.got(7):
        if http.type > 1:
            c.fail("an HTTP measurement of unknown type without a port")
        http.dport = 443 if http.type == HTTPS else 80
    http.buffers = c.room(http.count)
    for i in range(http.count):
        b = ScamperHttpBuf.__new__(ScamperHttpBuf)
        c.params(b, 4)
        put(http.buffers, i, b)
    while c.end - c.off >= 5:
        number = c.u8()
        length = c.u32()
        if <uint32_t>(c.end - c.off) < length:
            c.fail("ECH data that goes past the record")
        if number == ECH_CONFIG_LIST:
            http.config_list = c.raw(length)
        elif number == ECH_RETRY_CONFIG:
            http.retry_config = c.raw(length)
        else:
            c.off += length
    return http
