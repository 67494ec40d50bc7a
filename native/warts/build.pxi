# Lists and cycles out of plain values, for streams that are written from Python.

cdef object EPOCH = _datetime(1970, 1, 1, tzinfo=UTC)
cdef object MICROSECOND = _timedelta(microseconds=1)


cdef bytes as_bytes(object text, str what):
    """A string for a record: str as UTF-8, or bytes; it cannot hold a NUL."""
    cdef bytes out
    if text is None:
        return None
    if isinstance(text, bytes):
        out = bytes(text)
    elif isinstance(text, str):
        out = str(text).encode("utf-8", "surrogateescape")
    else:
        raise TypeError(f"{what}: expected str or bytes, not {type(text).__name__}")
    if b"\0" in out:
        raise ValueError(f"{what}: a NUL cannot be recorded")
    return out


cdef Stamp as_stamp(object when, str what) except *:
    """A moment from a datetime, epoch seconds, or (seconds, microseconds)."""
    cdef Stamp t
    cdef object usec
    if isinstance(when, _datetime):
        if when.tzinfo is None:
            raise ValueError(f"{what}: a datetime without a time zone")
        usec = (when - EPOCH) // MICROSECOND
    elif isinstance(when, tuple):
        sec, rest = when
        usec = int(sec) * 1000000 + int(rest)
    else:
        usec = round(when * 1000000)
    if not 0 <= usec < (1 << 32) * 1000000:
        raise ValueError(f"{what}: {when!r} is outside of 1970 to 2106")
    t.sec = usec // 1000000
    t.usec = usec % 1000000
    return t


def make_list(uint32_t id, name not None, *, descr=None, monitor=None):
    """A list to begin a stream with."""
    cdef ScamperList x = ScamperList.__new__(ScamperList)
    x.id = id
    x.raw_name = as_bytes(name, "name")
    x.raw_descr = as_bytes(descr, "descr")
    x.raw_monitor = as_bytes(monitor, "monitor")
    if x.raw_descr is not None:
        x.mark(1)
    if x.raw_monitor is not None:
        x.mark(2)
    return x


cdef dict CYCLE_KINDS = {
    "start": KIND_CYCLE_START, "definition": KIND_CYCLE_DEF, "stop": KIND_CYCLE_STOP,
}


def make_cycle(ScamperList list, uint32_t id, start, *, stop=None, hostname=None, kind="start"):
    """A cycle of a list.

    Args:
        start: when it began, epoch seconds or datetime (whole seconds are kept).
        stop: when it ended, likewise.
        kind: which record it becomes: "start", "definition" or "stop".
    """
    cdef ScamperCycle x = ScamperCycle.__new__(ScamperCycle)
    if kind not in CYCLE_KINDS:
        raise ValueError(f"kind: {kind!r} is none of {', '.join(CYCLE_KINDS)}")
    x.of = list
    x.id = id
    x.start_sec = as_stamp(start, "start").sec
    x.stop_sec = 0 if stop is None else as_stamp(stop, "stop").sec
    x.raw_hostname = as_bytes(hostname, "hostname")
    x.kind = CYCLE_KINDS[kind]
    if x.raw_hostname is not None:
        x.mark(2)
    return x
