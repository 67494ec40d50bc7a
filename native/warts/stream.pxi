# Streams of records: the decoder, the encoder and the joiner.
#
# Facts: warts(5), WARTS OBJECT HEADER (magic 0x1205, type, length); list and cycle ids count from 1 in
# each stream (so two streams end to end are not one: see `Joiner`).

cdef extern from "Python.h":
    int PyGC_Disable()
    int PyGC_Enable()

cdef enum:
    HEADER = 8


cdef Tables new_tables(object inst):
    cdef Tables t = Tables.__new__(Tables)
    t.lists = [None]
    t.cycles = [None]
    t.addrs = [None]
    t.inst = inst
    return t


cdef object decode_body(Tables t, int kind, bytes data, Py_ssize_t start, Py_ssize_t length, int64_t base):
    """One record's body as an object; `base`: where it starts in the stream.

    None for an address record (it is only noted) and for a type that is newer than this codec.
    """
    cdef Cursor c = Cursor.__new__(Cursor)
    cdef Result result = None
    c.data = data
    c.p = <const uint8_t *>PyBytes_AS_STRING(data) + start
    c.end = length
    c.base = base
    c.tables = t
    if kind == 7:
        result = read_ping(c)
    elif kind == 6:
        result = read_trace(c)
    elif kind == 14:
        result = read_host(c)
    elif kind == 8:
        result = read_tracelb(c)
    elif kind == 9:
        result = read_dealias(c)
    elif kind == 10:
        result = read_neighbourdisc(c)
    elif kind == 11:
        result = read_tbit(c)
    elif kind == 12:
        result = read_sting(c)
    elif kind == 13:
        result = read_sniff(c)
    elif kind == 15:
        result = read_http(c)
    elif kind == 16:
        result = read_udpprobe(c)
    elif kind == 17:
        result = read_owamp(c)
    elif kind == KIND_LIST:
        return read_list(c)
    elif kind == KIND_CYCLE_START or kind == KIND_CYCLE_DEF:
        return read_cycle(c, kind)
    elif kind == KIND_CYCLE_STOP:
        return read_cycle_stop(c)
    elif kind == KIND_ADDR:
        read_addr(c)
        return None
    else:
        return None
    result.inst = t.inst
    return result


@cython.final
cdef class Decoder:
    """The reading end of one warts stream: a prober's connection, or a file.

    Args:
        inst: what `inst` of each result shall be.
        max_record: bytes that a record's body may have; a longer one is a `WartsError`.
            Its object takes less than 130 times as much, which is the bound on memory.
        only: record types to decode (numbers); others but lists and cycles are skipped. None: all.
    """

    cdef Tables tables
    cdef bytes rest               # of the stream, not yet a whole record
    cdef int64_t offset           # in the stream, of the first byte of `rest`
    cdef int64_t max_record
    cdef frozenset only

    def __init__(self, inst=None, *, max_record=64 << 20, only=None):
        self.tables = new_tables(inst)
        self.rest = b""
        self.max_record = max_record
        self.only = None if only is None else frozenset(only) | {1, 2, 3, 4, 5}

    cdef int64_t header(self, bytes data, Py_ssize_t at, int *kind) except -1:
        """Check the 8 bytes at `at` and return the length of the body."""
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data) + at
        cdef int64_t length
        if ((p[0] << 8) | p[1]) != MAGIC:
            raise WartsError("no record starts here", self.offset + at)
        kind[0] = (p[2] << 8) | p[3]
        if kind[0] == 0:
            raise WartsError("a record of type 0", self.offset + at)
        length = ((<int64_t>p[4]) << 24) | (p[5] << 16) | (p[6] << 8) | p[7]
        if length == 0:
            raise WartsError("an empty record", self.offset + at)
        if length > self.max_record:
            raise WartsError(
                f"a record of {length} bytes, and {self.max_record} is the most", self.offset + at
            )
        return length

    def feed_record(self, bytes record not None):
        """Decode one whole record, header included.

        Returns: a result, a `ScamperList` or a `ScamperCycle`; None for an address record, for a type that is
            newer than this codec, and for what `only` leaves out.
        Raises: WartsError. The stream may go on: lists and cycles are as they were before.
        """
        cdef int kind = 0
        cdef int64_t length
        cdef Py_ssize_t size = PyBytes_GET_SIZE(record)
        if size < HEADER:
            raise WartsError("less than a header", self.offset)
        length = self.header(record, 0, &kind)
        if length != size - HEADER:
            raise WartsError(
                f"a record whose header says {length} bytes and that has {size - HEADER}", self.offset
            )
        try:
            if self.only is not None and kind not in self.only:
                return None
            return decode_body(self.tables, kind, record, HEADER, length, self.offset + HEADER)
        finally:
            self.offset += size

    def feed(self, bytes data not None):
        """Decode what the next bytes of the stream complete, in order.

        Returns: a list of objects as from `feed_record`.
        Raises: WartsError at the first bad record; its attribute `done` has the objects before it. The
            stream has ended then.
        """
        cdef list out = []
        cdef Py_ssize_t at = 0, size
        cdef int64_t length
        cdef int kind = 0, collecting
        if self.rest is None:
            raise WartsError("the stream ended at a bad record", self.offset)
        if self.rest:
            data = self.rest + data
        size = PyBytes_GET_SIZE(data)
        # Decoding makes objects that are all still needed: collections in between find nothing, and would
        # make the time per record grow with the file.
        collecting = PyGC_Disable()
        try:
            while size - at >= HEADER:
                length = self.header(data, at, &kind)
                if size - at - HEADER < length:
                    break
                if self.only is None or kind in self.only:
                    item = decode_body(
                        self.tables, kind, data, at + HEADER, length, self.offset + at + HEADER
                    )
                    if item is not None:
                        out.append(item)
                at += HEADER + length
        except WartsError as error:
            self.rest = None
            self.offset += at
            error.done = out
            raise
        finally:
            if collecting:
                PyGC_Enable()
        self.offset += at
        self.rest = data[at:] if at < size else b""
        return out

    @property
    def pending(self):
        """Bytes of the stream that are not yet a whole record."""
        return 0 if self.rest is None else len(self.rest)

    def close(self):
        """The stream has ended: WartsError if that is in the middle of a record."""
        # A header with nothing after it is an end, for upstream and here.
        if self.rest is not None and self.rest and len(self.rest) != HEADER:
            raise WartsError("the stream ends within a record", self.offset)


cdef bytes encode_list(ScamperList x, uint32_t number):
    cdef Writer w = new_writer()
    w.u32(number)
    w.u32(x.id)
    w.text(x.raw_name)
    w.params(x)
    return w.done(KIND_LIST)


cdef bytes encode_cycle(ScamperCycle x, uint32_t number, uint32_t list_number, int kind):
    cdef Writer w = new_writer()
    w.u32(number)
    w.u32(list_number)
    w.u32(x.id)
    w.u32(x.start_sec)
    w.params(x)
    return w.done(kind)


@cython.final
cdef class Encoder:
    """The writing end of one warts stream: it numbers the lists and cycles that results refer to."""

    cdef dict lists, cycles       # what makes a list or cycle this one -> its number
    cdef uint32_t next_cycle

    def __init__(self):
        self.lists = {}
        self.cycles = {}
        self.next_cycle = 1

    cdef uint32_t list_number(self, ScamperList x, list out) except? 0:
        cdef tuple key
        if x is None:
            return 0
        key = x.key()
        number = self.lists.get(key)
        if number is None:
            number = self.lists[key] = len(self.lists) + 1
            out.append(encode_list(x, number))
        return number

    cdef uint32_t cycle_number(self, ScamperCycle x, list out, int kind) except? 0:
        cdef tuple key
        cdef uint32_t list_number
        if x is None:
            return 0
        key = x.key()
        number = self.cycles.get(key)
        if number is None:
            list_number = self.list_number(x.of, out)
            number = self.cycles[key] = self.next_cycle
            self.next_cycle += 1
            out.append(encode_cycle(x, number, list_number, kind))
        return number

    def encode(self, obj not None):
        """The bytes that append `obj` to the stream.

        Lists and cycles that it refers to and that the stream does not have yet come first, so this is one
        record or a few; nothing (b"") for a list or cycle that is there already.

        Raises: TypeError if this is no object that a stream can hold, WartsError if a field does not fit.
        """
        cdef list out = []
        cdef Writer w
        cdef ScamperCycle cycle
        cdef Result result
        if isinstance(obj, Result):
            result = <Result>obj
            w = new_writer()
            w.list_id = self.list_number(result.list, out)
            w.cycle_id = self.cycle_number(result.cycle, out, KIND_CYCLE_DEF)
            result.write(w)
            out.append(w.done(result.kind()))
        elif isinstance(obj, ScamperList):
            self.list_number(<ScamperList>obj, out)
        elif isinstance(obj, ScamperCycle):
            cycle = <ScamperCycle>obj
            if cycle.kind == KIND_CYCLE_STOP:
                w = new_writer()
                w.u32(self.cycle_number(cycle, out, KIND_CYCLE_DEF))
                w.u32(cycle.stop_sec)
                w.u8(0)
                out.append(w.done(KIND_CYCLE_STOP))
                del self.cycles[cycle.key()]
            else:
                self.cycle_number(cycle, out, cycle.kind)
        else:
            raise TypeError(f"a warts stream holds no {type(obj).__name__}")
        return b"".join(out)


def json_of(obj):
    """One JSON object for a result, a cycle's start or stop; None for what sc_warts2json does not print."""
    if isinstance(obj, ScamperCycle):
        return json_cycle(<ScamperCycle>obj)
    if isinstance(obj, Result) and hasattr(obj, "to_json"):
        return obj.to_json()
    return None


@cython.final
cdef class JoinerPart:
    """One of the streams that a `Joiner` puts together."""

    cdef Joiner whole
    cdef Tables tables            # this stream's own lists, cycles and addresses
    cdef list lists, cycles       # this stream's numbers -> the whole's
    cdef bytes rest
    cdef int64_t offset

    def feed(self, bytes data not None):
        """The next bytes of this stream, as the whole's: renumbered records, as far as they are complete."""
        cdef list out = []
        cdef Py_ssize_t at = 0, size
        cdef int64_t length
        cdef const uint8_t *p
        if self.rest:
            data = self.rest + data
        size = PyBytes_GET_SIZE(data)
        while size - at >= HEADER:
            p = <const uint8_t *>PyBytes_AS_STRING(data) + at
            if ((p[0] << 8) | p[1]) != MAGIC:
                raise WartsError("no record starts here", self.offset + at)
            length = ((<int64_t>p[4]) << 24) | (p[5] << 16) | (p[6] << 8) | p[7]
            if size - at - HEADER < length:
                break
            out.append(self.renumber((p[2] << 8) | p[3], data[at : at + HEADER + length], self.offset + at))
            at += HEADER + length
        self.offset += at
        self.rest = data[at:]
        return b"".join(out)

    @property
    def pending(self):
        """Bytes of this stream that are not yet a whole record."""
        return len(self.rest)

    cdef bytes renumber(self, int kind, bytes record, int64_t base):
        cdef Py_ssize_t length = PyBytes_GET_SIZE(record) - HEADER
        cdef object made
        cdef uint32_t number
        cdef ScamperCycle cycle
        cdef Writer w
        cdef Result result
        if 1 <= kind <= 5:
            made = decode_body(self.tables, kind, record, HEADER, length, base + HEADER)
            if kind == KIND_ADDR:
                return b""
            if kind == KIND_LIST:
                return self.add_list(<ScamperList>made)
            cycle = <ScamperCycle>made
            if kind != KIND_CYCLE_STOP:
                number = self.whole.next_cycle
                self.cycles.append(number)
                self.whole.next_cycle = number + 1
                return encode_cycle(
                    cycle, number, self.lists[self.tables.lists.index(cycle.of)], kind
                )
            w = new_writer()
            w.u32(self.cycles[(record[8] << 24) | (record[9] << 16) | (record[10] << 8) | record[11]])
            w.u32(cycle.stop_sec)
            w.u8(0)
            return w.done(KIND_CYCLE_STOP)
        if kind not in RESULT_KINDS:
            return b""
        if len(self.tables.addrs) > 1:
            # Addresses by global number: the whole has none, so the record is written anew.
            result = <Result>decode_body(self.tables, kind, record, HEADER, length, base + HEADER)
            w = new_writer()
            w.list_id = self.lists[self.tables.lists.index(result.list)]
            w.cycle_id = self.cycles[self.tables.cycles.index(result.cycle)]
            result.write(w)
            return w.done(kind)
        return self.patched(record, base)

    cdef bytes add_list(self, ScamperList x):
        """A list that the whole has already, equal in all, is not repeated."""
        cdef tuple key = x.key()
        number = self.whole.lists.get(key)
        if number is not None:
            self.lists.append(number)
            return b""
        number = self.whole.lists[key] = len(self.whole.lists) + 1
        self.lists.append(number)
        return encode_list(x, number)

    cdef bytes patched(self, bytes record, int64_t base):
        """The same record with the whole's numbers in flags 1 and 2 (list, cycle) of the result."""
        cdef Cursor c = Cursor.__new__(Cursor)
        cdef Writer w
        cdef uint8_t flags
        cdef uint32_t number
        cdef int i
        c.data = record
        c.p = <const uint8_t *>PyBytes_AS_STRING(record)
        c.off = HEADER
        c.end = PyBytes_GET_SIZE(record)
        c.base = base
        c.tables = self.tables
        flags = c.u8()
        if flags & 3 == 0:
            return record
        i = flags
        while i & 0x80:
            i = c.u8()
        c.u16()
        w = new_writer()
        w.size = 0
        w.raw(record)
        for i, numbers in ((1, self.lists), (2, self.cycles)):
            if flags & i:
                number = c.u32()
                if number >= <uint32_t>len(numbers):
                    c.fail("a list or cycle that was not defined")
                number = numbers[number]
                w.poke16(c.off - 4, number >> 16)
                w.poke16(c.off - 2, number & 0xFFFF)
        return PyBytes_FromStringAndSize(<const char *>w.buf, w.size)


@cython.final
cdef class Joiner:
    """Puts warts streams together into one, as they come: lists and cycles get numbers of their own.

    Results are not decoded, only renumbered (records of a type newer than this codec are left out). What the parts return, in any order, is one valid stream.
    """

    cdef dict lists
    cdef uint32_t next_cycle

    def __init__(self):
        self.lists = {}
        self.next_cycle = 1

    def part(self):
        """A further stream to take in."""
        cdef JoinerPart p = JoinerPart.__new__(JoinerPart)
        p.whole = self
        p.tables = new_tables(None)
        p.lists = [0]
        p.cycles = [0]
        p.rest = b""
        return p


def concat(parts):
    """Several whole warts streams as one.

    Raises: WartsError if one of them is none, or ends within a record.
    """
    cdef Joiner whole = Joiner()
    cdef list out = []
    for data in parts:
        part = whole.part()
        out.append(part.feed(bytes(data)))
        if part.pending:
            raise WartsError("a stream ends within a record", len(data) - part.pending)
    return b"".join(out)
