# ICMP extensions. Facts: RFC 4884 (objects: length, class, type, data), RFC 4950 (MPLS: class 1, type 1,
# four bytes per label stack entry); warts(5), EMBEDDING OTHER TYPES (here the length counts the data only).


@cython.final
@cython.no_gc
cdef class ScamperIcmpExt:
    """One ICMP extension object."""

    cdef readonly uint8_t class_num, c_type
    cdef bytes raw

    @property
    def data_len(self):
        """Bytes of data."""
        return len(self.raw)

    @property
    def data(self):
        """The data, or None."""
        return self.raw or None

    cdef bint mpls(self) noexcept:
        return self.class_num == 1 and self.c_type == 1

    cdef int entries(self) except -1:
        return len(self.raw) // 4 if self.mpls() else 0

    cdef uint32_t entry(self, Py_ssize_t i) except? 4294967295:
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(self.raw) + 4 * i
        if i < 0 or i >= self.entries():
            raise IndexError(i)
        return ((<uint32_t>p[0]) << 24) | ((<uint32_t>p[1]) << 16) | ((<uint32_t>p[2]) << 8) | p[3]

    def is_mpls(self):
        """An MPLS label stack."""
        return self.mpls()

    @property
    def mpls_count(self):
        """Entries in the label stack; 0 if this is none."""
        return self.entries()

    def mpls_lses(self):
        """An iterator over the label stack, or None if this is none."""
        if not self.mpls():
            return None
        return iter(tuple([make_lse(self, i) for i in range(self.entries())]))

    def mpls_lse(self, i):
        """Entry i of the label stack, or None."""
        cdef unsigned int n = i
        return make_lse(self, n) if n < <unsigned int>self.entries() else None

    def mpls_label(self, i):
        """Label of entry i, or None."""
        cdef unsigned int n = i
        return self.entry(n) >> 12 if n < <unsigned int>self.entries() else None

    def mpls_ttl(self, i):
        """TTL of entry i, or None."""
        cdef unsigned int n = i
        return self.entry(n) & 0xFF if n < <unsigned int>self.entries() else None

    def mpls_exp(self, i):
        """Traffic class bits of entry i, or None."""
        cdef unsigned int n = i
        return (self.entry(n) >> 9) & 7 if n < <unsigned int>self.entries() else None

    def mpls_s(self, i):
        """Bottom-of-stack bit of entry i, or None."""
        cdef unsigned int n = i
        return (self.entry(n) >> 8) & 1 if n < <unsigned int>self.entries() else None

    def __hash__(self):
        return hash((self.class_num, self.c_type, self.raw))

    def __richcmp__(self, other, int op):
        cdef ScamperIcmpExt right
        if not isinstance(other, ScamperIcmpExt):
            return NotImplemented
        right = <ScamperIcmpExt>other
        return compare(
            (self.class_num, self.c_type, self.raw), (right.class_num, right.c_type, right.raw), op
        )


@cython.final
@cython.no_gc
cdef class ScamperIcmpExts:
    """The ICMP extensions of one reply."""

    cdef tuple items

    @property
    def ext_count(self):
        """How many there are."""
        return len(self.items)

    def ext(self, i):
        """Extension i, or None."""
        return item_of(self.items, i)

    def exts(self):
        """An iterator over the extensions."""
        return iter(self.items)

    @property
    def mpls(self):
        """The first MPLS label stack, or None."""
        for ext in self.items:
            if (<ScamperIcmpExt>ext).mpls():
                return ext
        return None

    def __hash__(self):
        return hash(self.items)

    def __richcmp__(self, other, int op):
        if not isinstance(other, ScamperIcmpExts):
            return NotImplemented
        return compare(self.items, (<ScamperIcmpExts>other).items, op)


@cython.final
@cython.no_gc
cdef class ScamperIcmpMplsLabelStackEntry:
    """One entry of an MPLS label stack.

    Args:
        ext: the extension that holds the stack.
        i: which entry, from 0.
    """

    cdef readonly uint32_t label
    cdef readonly uint8_t exp, s, ttl

    def __init__(self, ScamperIcmpExt ext not None, i):
        cdef uint32_t word = ext.entry(i)
        self.label = word >> 12
        self.exp = (word >> 9) & 7
        self.s = (word >> 8) & 1
        self.ttl = word & 0xFF

    def __str__(self):
        return f"MPLS Label={self.label} Exp={self.exp} TTL={self.ttl} S={self.s}"


cdef object make_lse(ScamperIcmpExt ext, int i):
    return ScamperIcmpMplsLabelStackEntry(ext, i)


cdef object item_of(tuple items, object i):
    """items[i] for upstream's getters: past the end is None, negative is OverflowError."""
    cdef unsigned int n = i
    return items[n] if n < <unsigned int>len(items) else None


cdef ScamperIcmpExts read_icmpexts(Cursor c):
    """u16 length of all that follows, then the objects."""
    cdef ScamperIcmpExts out = ScamperIcmpExts.__new__(ScamperIcmpExts)
    cdef ScamperIcmpExt ext
    cdef list items = []
    cdef unsigned int rest = c.u16(), n
    if rest == 0:
        c.fail("an empty set of ICMP extensions")
    c.need(rest)
    while rest >= 4:
        n = c.u16()
        ext = ScamperIcmpExt.__new__(ScamperIcmpExt)
        ext.class_num = c.u8()
        ext.c_type = c.u8()
        ext.raw = c.raw(n) if n else b""
        if n + 4 > rest:
            c.fail("an ICMP extension that is longer than its set")
        rest -= n + 4
        items.append(ext)
    if rest != 0:
        c.fail("rubbish after the ICMP extensions")
    out.items = tuple(items)
    return out


cdef int write_icmpexts(Writer w, ScamperIcmpExts exts) except -1:
    cdef Py_ssize_t at = w.size
    cdef ScamperIcmpExt ext
    w.u16(0)
    for item in exts.items:
        ext = <ScamperIcmpExt>item
        w.u16(<unsigned int>len(ext.raw))
        w.u8(ext.class_num)
        w.u8(ext.c_type)
        w.raw(ext.raw)
    w.poke16(at, <unsigned int>(w.size - at - 2))
    return 0


cdef list json_icmpexts(ScamperIcmpExts exts):
    cdef list out = []
    cdef ScamperIcmpExt ext
    cdef dict d
    for item in exts.items:
        ext = <ScamperIcmpExt>item
        d = {"ie_cn": ext.class_num, "ie_ct": ext.c_type, "ie_dl": len(ext.raw)}
        if ext.mpls():
            d["mpls_labels"] = [
                {
                    "mpls_ttl": ext.mpls_ttl(i), "mpls_s": ext.mpls_s(i),
                    "mpls_exp": ext.mpls_exp(i), "mpls_label": ext.mpls_label(i),
                }
                for i in range(ext.entries())
            ]
        out.append(d)
    return out
