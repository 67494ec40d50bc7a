# Times, durations, texts and JSON as the results show them.
#
# Facts: warts(5), EMBEDDING OTHER TYPES (a time is seconds and microseconds, a round-trip time is
# microseconds); how sc_warts2json 20260420 prints them.

cdef enum:
    MAGIC = 0x1205
    IPV4 = 1
    IPV6 = 2
    ETHERNET = 3
    FIREWIRE = 4

cdef struct Stamp:
    uint32_t sec
    uint32_t usec


cdef inline bint is_zero(Stamp t) noexcept:
    return t.sec == 0 and t.usec == 0


cdef object make_datetime(int64_t sec, int64_t usec):
    """A moment as an aware datetime; a microsecond count of a second or more (bad data) carries over."""
    # Days to civil date after Howard Hinnant's published algorithm (chrono-compatible low-level dates).
    cdef int64_t days, rest, era, doe, yoe, doy, mp
    cdef int year, month, day
    sec += usec // 1000000
    usec = usec % 1000000
    days = sec // 86400
    rest = sec % 86400
    days += 719468
    era = days // 146097
    doe = days - era * 146097
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    day = <int>(doy - (153 * mp + 2) // 5 + 1)
    month = <int>(mp + 3 if mp < 10 else mp - 9)
    year = <int>(yoe + era * 400 + (1 if month <= 2 else 0))
    return datetime_new(
        year, month, day, <int>(rest // 3600), <int>(rest // 60 % 60), <int>(rest % 60), <int>usec, UTC
    )


cdef inline object as_datetime(Stamp t):
    return make_datetime(t.sec, t.usec)


cdef inline object as_datetime_or_none(Stamp t):
    return None if is_zero(t) else make_datetime(t.sec, t.usec)


cdef inline object as_delta(int64_t usec):
    return timedelta_new(0, <int>(usec // 1000000), <int>(usec % 1000000))


cdef int64_t usec_between(Stamp a, Stamp b) noexcept:
    return (<int64_t>b.sec - <int64_t>a.sec) * 1000000 + <int64_t>b.usec - <int64_t>a.usec


cdef object as_text(bytes raw):
    """Text for a script: UTF-8 where it is that, `\\xff` for bytes that are not."""
    if raw is None:
        return None
    return raw.decode("utf-8", "backslashreplace")


cdef str json_text(bytes raw):
    """Text as sc_warts2json writes it: up to the first byte that is not printable ASCII."""
    cdef Py_ssize_t n = PyBytes_GET_SIZE(raw), i = 0
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(raw)
    while i < n and 0x20 <= p[i] < 0x7F:
        i += 1
    return PyUnicode_DecodeASCII(<const char *>p, i, NULL)


cdef dict json_time(Stamp t):
    return {"sec": t.sec, "usec": t.usec}


cdef double json_ms(int64_t usec) noexcept:
    """Milliseconds with three digits, of a count of microseconds (which upstream keeps in 32 bits)."""
    return <double>(<uint32_t>usec) / 1000.0


cdef dict json_between(Stamp a, Stamp b):
    """The time between two moments as upstream subtracts them: one borrow, and unsigned 32-bit numbers."""
    cdef int64_t sec = <int64_t>b.sec - a.sec, usec = <int64_t>b.usec - a.usec
    if usec < 0:
        sec -= 1
        usec += 1000000
    return {"sec": <uint32_t>sec, "usec": <uint32_t>usec}


cdef str json_done(object value):
    return _dumps(value, separators=(",", ":"))


cdef list flag_words(uint32_t flags, tuple words):
    """The words of the bits that are set, lowest bit first; None stands for a bit without a word."""
    return [word for bit, word in enumerate(words) if (flags >> bit) & 1 and word is not None]


cdef object word_of(tuple words, unsigned int number):
    """The word of a number, or its decimal digits."""
    if number < <unsigned int>len(words) and words[number] is not None:
        return words[number]
    return str(number)


cdef str ms_text(int64_t usec):
    """`12.034`: milliseconds for people."""
    return "%d.%03d" % (usec // 1000, usec % 1000)
