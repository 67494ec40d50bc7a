# List and cycle records (types 1 to 4). Facts: warts(5), LIST STRUCTURE and CYCLE STRUCTURE; ids are
# checked as scamper 20260420 does (each the next number, counting from 1).

cdef enum:
    KIND_LIST = 1
    KIND_CYCLE_START = 2
    KIND_CYCLE_DEF = 3
    KIND_CYCLE_STOP = 4
    KIND_ADDR = 5


@cython.final
@cython.no_gc
cdef class Tables:
    """What a stream has defined so far. Entry 0 is "none"; a cycle that stopped leaves None."""

    cdef list lists, cycles, addrs
    cdef object inst


@cython.final
@cython.no_gc
cdef class ScamperList(Params):
    """The list (a name that a prober gives to a batch of work) that a result belongs to."""

    cdef readonly uint32_t id
    cdef bytes raw_name, raw_descr, raw_monitor

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.raw_descr = c.text()
        else:
            self.raw_monitor = c.text()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        return w.text(self.raw_descr if flag == 1 else self.raw_monitor)

    cdef tuple key(self):
        return (self.id, self.raw_name, self.raw_descr, self.raw_monitor)

    @property
    def name(self):
        """The list's name."""
        return as_text(self.raw_name)

    @property
    def descr(self):
        """The list's description."""
        return as_text(self.raw_descr)

    @property
    def monitor(self):
        """The prober's name for itself."""
        return as_text(self.raw_monitor)

    def __hash__(self):
        return hash(self.key())

    def __richcmp__(self, other, int op):
        if not isinstance(other, ScamperList):
            return NotImplemented
        return compare(sortable(self.key()), sortable((<ScamperList>other).key()), op)


@cython.final
@cython.no_gc
cdef class ScamperCycle(Params):
    """One pass over a list, with its beginning and end."""

    cdef readonly uint32_t id
    cdef uint32_t start_sec, stop_sec
    cdef bytes raw_hostname
    cdef ScamperList of
    cdef int kind                 # the record type it came from: start, definition or stop

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.stop_sec = c.u32()
        else:
            self.raw_hostname = c.text()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            return w.u32(self.stop_sec)
        return w.text(self.raw_hostname)

    cdef tuple key(self):
        """What makes it this cycle; when it stopped is learnt later and is no part of it."""
        return (None if self.of is None else self.of.key(), self.id, self.start_sec, self.raw_hostname)

    @property
    def start(self):
        """When the cycle began (whole seconds), or None."""
        return make_datetime(self.start_sec, 0) if self.start_sec else None

    @property
    def stop(self):
        """When the cycle ended, or None. Microseconds are .999999, as upstream has them."""
        return make_datetime(self.stop_sec, 999999) if self.stop_sec else None

    @property
    def hostname(self):
        """Name of the machine that began the cycle, or None."""
        return as_text(self.raw_hostname)

    def __hash__(self):
        return hash(self.key())

    def __richcmp__(self, other, int op):
        if not isinstance(other, ScamperCycle):
            return NotImplemented
        return compare(cycle_order(self), cycle_order(<ScamperCycle>other), op)


cdef tuple sortable(tuple key):
    """A key whose parts can be ordered although some are None."""
    return tuple([(part is not None, part) for part in key])


cdef tuple cycle_order(ScamperCycle c):
    return (
        (c.of is not None, () if c.of is None else sortable(c.of.key())),
        c.id, c.start_sec, c.raw_hostname is not None, c.raw_hostname,
    )


cdef object compare(object a, object b, int op):
    if op == Py_EQ:
        return a == b
    if op == Py_NE:
        return a != b
    if op == Py_LT:
        return a < b
    if op == Py_LE:
        return a <= b
    if op == Py_GT:
        return a > b
    return a >= b


cdef ScamperList read_list(Cursor c):
    cdef Tables t = c.tables
    cdef ScamperList x = ScamperList.__new__(ScamperList)
    if c.end < 11:
        c.fail("a list record of less than 11 bytes")
    if c.u32() != <uint32_t>len(t.lists):
        c.fail(f"a list record that is not number {len(t.lists)}")
    x.id = c.u32()
    x.raw_name = c.text()
    c.params(x, 2)
    t.lists.append(x)
    return x


cdef ScamperCycle read_cycle(Cursor c, int kind):
    cdef Tables t = c.tables
    cdef ScamperCycle x = ScamperCycle.__new__(ScamperCycle)
    cdef uint32_t number
    if c.end < 17:
        c.fail("a cycle record of less than 17 bytes")
    if c.u32() != <uint32_t>len(t.cycles):
        c.fail(f"a cycle record that is not number {len(t.cycles)}")
    number = c.u32()
    if number >= <uint32_t>len(t.lists):
        c.fail("a cycle of a list that was not defined")
    x.of = t.lists[number]
    x.id = c.u32()
    x.start_sec = c.u32()
    c.params(x, 2)
    x.kind = kind
    t.cycles.append(x)
    return x


cdef ScamperCycle read_cycle_stop(Cursor c):
    """A stop record ends a cycle: later results cannot refer to it."""
    cdef Tables t = c.tables
    cdef ScamperCycle x, old
    cdef uint32_t number
    if c.end < 9:
        c.fail("a cycle-stop record of less than 9 bytes")
    number = c.u32()
    if number == 0 or number >= <uint32_t>len(t.cycles) or t.cycles[number] is None:
        c.fail("the end of a cycle that is not running")
    old = t.cycles[number]
    x = ScamperCycle.__new__(ScamperCycle)
    x.id = old.id
    x.start_sec = old.start_sec
    x.raw_hostname = old.raw_hostname
    x.of = old.of
    x.has = old.has
    x.kind = KIND_CYCLE_STOP
    x.stop_sec = c.u32()
    t.cycles[number] = None
    return x


cdef ScamperAddr read_addr(Cursor c):
    """A global address (deprecated): number modulo 255, kind, bytes."""
    cdef Tables t = c.tables
    cdef ScamperAddr a
    if c.end < 3:
        c.fail("an address record of less than 3 bytes")
    if c.u8() != len(t.addrs) % 255:
        c.fail("an address record out of order")
    a = c.bare_addr(0)
    t.addrs.append(a)
    return a


cdef object json_cycle(ScamperCycle x):
    """A cycle as sc_warts2json prints it, or None for a definition record."""
    cdef dict out
    if x.kind == KIND_CYCLE_START:
        out = {"type": "cycle-start"}
    elif x.kind == KIND_CYCLE_STOP:
        out = {"type": "cycle-stop"}
    else:
        return None
    if x.of is not None:
        out["list_name"] = json_text(x.of.raw_name)
    out["id"] = x.id
    if x.raw_hostname is not None:
        out["hostname"] = json_text(x.raw_hostname)
    if x.kind == KIND_CYCLE_START:
        out["start_time"] = x.start_sec
    else:
        out["stop_time"] = x.stop_sec
    return json_done(out)


def cycle_kind(ScamperCycle cycle not None):
    """Which record a cycle came from: "start", "definition" or "stop"."""
    return {KIND_CYCLE_START: "start", KIND_CYCLE_STOP: "stop"}.get(cycle.kind, "definition")
