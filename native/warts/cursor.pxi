# The bounds-checked reader and its mirror, the writer. Nothing else touches a buffer.
#
# Facts: warts(5), sections FLAGS AND PARAMETERS, ADDRESSES, EMBEDDING OTHER TYPES; the corner cases (a
# parameter length shorter or longer than its fields, an address whose size and type disagree) are
# scamper 20260420's, so that what it reads, we read.
#
# The safety argument is `Cursor.need`: every read calls it before the pointer is used.


cdef class Params:
    """A thing stored as flags and parameters. `has` bit n-1: flag n was recorded."""

    cdef uint64_t has

    cdef int take(self, Cursor c, int flag) except -1:
        """Read the field of `flag`; 1: it counts as recorded.

        0: it was translated to another flag, or it is data of no bytes (which could not be read back from
        the end of a record).
        """
        raise NotImplementedError

    cdef int give(self, Writer w, int flag) except -1:
        """Write the field of `flag`."""
        raise NotImplementedError

    cdef inline bint got(self, int flag) noexcept:
        return (self.has >> (flag - 1)) & 1

    cdef inline void mark(self, int flag) noexcept:
        self.has |= (<uint64_t>1) << (flag - 1)


cdef inline void put(tuple into, Py_ssize_t i, object item) noexcept:
    """Fill a place of a tuple that `Cursor.room` made, once."""
    Py_INCREF(item)
    PyTuple_SET_ITEM(into, i, item)


@cython.final
@cython.no_gc
cdef class Cursor:
    """A reading position in one record's body.

    `base` is where the body starts in the stream (for error messages), `addrs` and `ifnames` are the
    tables that the record builds up as it defines addresses and interface names.
    """

    cdef bytes data               # keeps the buffer alive
    cdef const uint8_t *p
    cdef Py_ssize_t off, end      # off may pass end: then every further read fails
    cdef int64_t base
    cdef Tables tables            # lists, cycles and addresses that the stream has defined
    cdef list addrs
    cdef list ifnames

    cdef int fail(self, str why) except -1:
        raise WartsError(why, self.base + self.off)

    cdef inline int need(self, Py_ssize_t n) except -1:
        """n more bytes are there, and the position is before the end (even for n = 0), or WartsError."""
        if self.off >= self.end or self.end - self.off < n:
            self.fail("the record ends too early")
        return 0

    cdef inline uint8_t u8(self) except? 255:
        self.need(1)
        cdef uint8_t v = self.p[self.off]
        self.off += 1
        return v

    cdef inline uint16_t u16(self) except? 65535:
        self.need(2)
        cdef const uint8_t *q = self.p + self.off
        self.off += 2
        return <uint16_t>((q[0] << 8) | q[1])

    cdef inline uint32_t u32(self) except? 4294967295:
        self.need(4)
        cdef const uint8_t *q = self.p + self.off
        self.off += 4
        return ((<uint32_t>q[0]) << 24) | ((<uint32_t>q[1]) << 16) | ((<uint32_t>q[2]) << 8) | q[3]

    cdef inline int stamp(self, Stamp *t) except -1:
        """A point in time: seconds and microseconds, 32 bits each."""
        t.sec = self.u32()
        t.usec = self.u32()
        return 0

    cdef bytes raw(self, Py_ssize_t n):
        """The next n bytes."""
        self.need(n)
        cdef bytes out = PyBytes_FromStringAndSize(<const char *>self.p + self.off, n)
        self.off += n
        return out

    cdef bytes text(self):
        """Bytes up to a NUL, which is consumed and not returned."""
        self.need(0)
        cdef const uint8_t *q = self.p + self.off
        cdef const void *nul = memchr(q, 0, <size_t>(self.end - self.off))
        if nul == NULL:
            self.fail("a string without an end")
        cdef Py_ssize_t n = <const uint8_t *>nul - q
        self.off += n + 1
        return PyBytes_FromStringAndSize(<const char *>q, n)

    cdef ScamperAddr addr(self):
        """An address: defined here (size, type, bytes) or, size 0, the number of an earlier one."""
        cdef uint8_t size = self.u8()
        cdef uint32_t number
        cdef ScamperAddr a
        if size == 0:
            number = self.u32()
            if self.addrs is None or number >= <uint32_t>len(self.addrs):
                self.fail("an address that was not defined")
            return <ScamperAddr>self.addrs[number]
        a = self.bare_addr(size)
        if self.addrs is None:
            self.addrs = [a]
        else:
            self.addrs.append(a)
        return a

    cdef ScamperAddr static_addr(self):
        """An address that does not enter the record's table."""
        return self.bare_addr(self.u8())

    cdef ScamperAddr bare_addr(self, uint8_t size):
        cdef uint8_t kind = self.u8()
        cdef int natural = addr_length(kind)
        if natural == 0:
            self.fail("an address of unknown type")
        self.need(natural)
        cdef ScamperAddr a = make_addr(kind, self.p + self.off)
        self.off += size
        return a

    cdef ScamperAddr global_addr(self):
        """An address by the number of its own record (type 5; nobody writes them any more)."""
        cdef uint32_t number = self.u32()
        if number >= <uint32_t>len(self.tables.addrs):
            self.fail("an address record that was not there")
        return self.tables.addrs[number]

    cdef bytes ifname(self):
        """An interface name: number 0 stands alone, the others enter the record's table in order."""
        cdef uint8_t number = self.u8()
        cdef bytes name
        if self.ifnames is None:
            self.ifnames = []
        if number > 0:
            if number <= len(self.ifnames):
                return self.ifnames[number - 1]
            if number != len(self.ifnames) + 1:
                self.fail("an interface name that was not defined")
        name = self.text()
        if number > 0:
            self.ifnames.append(name)
        return name

    cdef tuple room(self, Py_ssize_t count):
        """A tuple for the `count` things that follow, each of a byte or more; `put` fills it."""
        if count > 0 and count > self.end - self.off:
            self.fail("the record ends too early")
        return PyTuple_New(count)

    cdef int params(self, Params into, int known) except -1:
        """A block of flags and parameters: `into.take` for each flag up to `known`, skip the rest."""
        cdef Py_ssize_t start = self.off, final, count = 1, i
        cdef unsigned int bits
        cdef int flag
        self.need(1)
        if self.p[start] == 0:
            self.off += 1
            return 0
        while self.p[self.off] & 0x80:
            self.off += 1
            count += 1
            self.need(1)
        self.off += 1
        final = self.u16()
        final += self.off
        for i in range(count):
            bits = self.p[start + i] & 0x7F
            flag = <int>min(i, 1000) * 7
            while bits:
                flag += 1
                if bits & 1:
                    if flag > known:
                        self.off = final
                        return 0
                    if into.take(self, flag):
                        into.mark(flag)
                bits >>= 1
        self.off = final
        return 0


@cython.final
@cython.no_gc
cdef class Writer:
    """A growing record. `addrs` and `ifnames` mirror the cursor's tables."""

    cdef uint8_t *buf
    cdef Py_ssize_t size, room
    cdef uint32_t list_id, cycle_id      # what flags 1 and 2 of a result refer to
    cdef dict addrs
    cdef dict ifnames

    def __dealloc__(self):
        free(self.buf)

    cdef int grow(self, Py_ssize_t n) except -1:
        cdef Py_ssize_t room
        cdef uint8_t *buf
        if self.room - self.size < n:
            room = 2 * self.room + n + 256
            buf = <uint8_t *>realloc(self.buf, room)
            if buf == NULL:
                raise MemoryError
            self.buf = buf
            self.room = room
        return 0

    cdef inline int u8(self, unsigned int v) except -1:
        self.grow(1)
        self.buf[self.size] = <uint8_t>v
        self.size += 1
        return 0

    cdef inline int u16(self, unsigned int v) except -1:
        self.grow(2)
        self.poke16(self.size, v)
        self.size += 2
        return 0

    cdef inline int u32(self, uint32_t v) except -1:
        self.u16(v >> 16)
        return self.u16(v & 0xFFFF)

    cdef inline void poke16(self, Py_ssize_t at, unsigned int v) noexcept:
        """Overwrite two bytes that are already there."""
        self.buf[at] = <uint8_t>(v >> 8)
        self.buf[at + 1] = <uint8_t>v

    cdef int stamp(self, Stamp t) except -1:
        self.u32(t.sec)
        return self.u32(t.usec)

    cdef int raw(self, bytes data) except -1:
        cdef Py_ssize_t n = PyBytes_GET_SIZE(data) if data is not None else 0
        if n:
            self.grow(n)
            memcpy(self.buf + self.size, PyBytes_AS_STRING(data), n)
            self.size += n
        return 0

    cdef int text(self, bytes data) except -1:
        self.raw(data)
        return self.u8(0)

    cdef int addr(self, ScamperAddr a) except -1:
        if self.addrs is None:
            self.addrs = {}
        number = self.addrs.get(a)
        if number is not None:
            self.u8(0)
            return self.u32(number)
        self.addrs[a] = len(self.addrs)
        return self.static_addr(a)

    cdef int static_addr(self, ScamperAddr a) except -1:
        if a is None:
            raise WartsError("an address is missing")
        self.u8(a.size)
        self.u8(a.kind)
        self.grow(a.size)
        memcpy(self.buf + self.size, a.b, a.size)
        self.size += a.size
        return 0

    cdef int ifname(self, bytes name) except -1:
        if self.ifnames is None:
            self.ifnames = {}
        number = self.ifnames.get(name)
        if number is not None:
            return self.u8(number)
        number = 0
        if len(self.ifnames) < 254:
            number = self.ifnames[name] = len(self.ifnames) + 1
        self.u8(number)
        return self.text(name)

    cdef int params(self, Params source) except -1:
        """The block that `Cursor.params` reads, for the flags in `source.has`."""
        cdef uint64_t rest = source.has
        cdef int count = 0, i, flag
        cdef Py_ssize_t at, length
        if rest == 0:
            return self.u8(0)
        while rest:
            self.u8((rest & 0x7F) | (0x80 if rest >> 7 else 0))
            rest >>= 7
        at = self.size
        self.u16(0)
        rest = source.has
        flag = 1
        while rest:
            if rest & 1:
                source.give(self, flag)
            rest >>= 1
            flag += 1
        length = self.size - at - 2
        if length > 65535:
            raise WartsError(f"the parameters of a record take {length} bytes, and 65535 is the most")
        self.poke16(at, <unsigned int>length)
        return 0

    cdef bytes done(self, int kind):
        """The whole record, with its header filled in; the first 8 bytes were kept free for it."""
        cdef Py_ssize_t length = self.size - 8
        if length > 0xFFFFFFFF:
            raise WartsError("a record of more than 4 GiB")
        self.poke16(0, MAGIC)
        self.poke16(2, kind)
        self.poke16(4, <unsigned int>(length >> 16))
        self.poke16(6, <unsigned int>(length & 0xFFFF))
        return PyBytes_FromStringAndSize(<const char *>self.buf, self.size)


cdef Writer new_writer():
    cdef Writer w = Writer.__new__(Writer)
    w.u32(0)
    w.u32(0)
    return w
