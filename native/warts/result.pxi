# What all results share. Facts: flags 1 (list) and 2 (cycle) of every result record, warts(5).


cdef class Result(Params):
    """A measurement's result. `inst` is the prober that answered, None for a result out of a file."""

    cdef readonly object inst
    cdef readonly ScamperList list
    cdef readonly ScamperCycle cycle
    cdef readonly uint32_t userid
    cdef Stamp started
    cdef bytes raw_errmsg

    @property
    def start(self):
        """When the measurement began."""
        return as_datetime(self.started)

    @property
    def errmsg(self):
        """What went wrong, in the prober's words, or None."""
        return as_text(self.raw_errmsg)

    cdef int take_list(self, Cursor c) except -1:
        cdef uint32_t number = c.u32()
        if number >= <uint32_t>len(c.tables.lists):
            c.fail("a list that was not defined")
        self.list = c.tables.lists[number]
        return 1

    cdef int take_cycle(self, Cursor c) except -1:
        cdef uint32_t number = c.u32()
        if number >= <uint32_t>len(c.tables.cycles) or (number and c.tables.cycles[number] is None):
            c.fail("a cycle that was not defined, or has ended")
        self.cycle = c.tables.cycles[number]
        return 1

    cdef int write(self, Writer w) except -1:
        """Write the body of the record."""
        raise NotImplementedError

    cdef int kind(self) noexcept:
        """The record type."""
        return 0

    cdef object json_monitor(self, dict out):
        if self.list is not None and self.list.raw_monitor is not None:
            out["monitor"] = json_text(self.list.raw_monitor)
