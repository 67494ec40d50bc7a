# Addresses. Facts: warts(5), ADDRESSES (kinds 1 to 4); special-purpose prefixes as upstream's module
# 20260420 lists them (it follows the IANA special-purpose registries of RFC 6890).

cdef extern from "<sys/socket.h>" nogil:
    int AF_INET, AF_INET6

cdef extern from "<arpa/inet.h>" nogil:
    const char *inet_ntop(int family, const void *src, char *dst, unsigned int size)
    int inet_pton(int family, const char *src, void *dst)

cdef int[5] LENGTHS = [0, 4, 16, 6, 8]


cdef inline int addr_length(unsigned int kind) noexcept:
    """Bytes of an address of this kind; 0: there is no such kind."""
    return LENGTHS[kind] if kind <= FIREWIRE else 0


cdef inline ScamperAddr make_addr(int kind, const uint8_t *p):
    cdef ScamperAddr a = ScamperAddr.__new__(ScamperAddr)
    a.kind = <uint8_t>kind
    a.size = <uint8_t>LENGTHS[kind]
    memcpy(a.b, p, a.size)
    return a


cdef ScamperAddr parse_addr(str text):
    """A numeric IPv4 or IPv6 address, else None. Nothing is ever resolved."""
    cdef uint8_t[16] b
    cdef bytes raw
    try:
        raw = text.encode("ascii")
    except UnicodeEncodeError:
        return None
    if b"\0" in raw:
        return None
    if inet_pton(AF_INET, PyBytes_AS_STRING(raw), b) == 1:
        return make_addr(IPV4, b)
    if inet_pton(AF_INET6, PyBytes_AS_STRING(raw), b) == 1:
        return make_addr(IPV6, b)
    return None


cdef struct Prefix:
    uint8_t[16] b
    int length


cdef Prefix prefix(str text, int length):
    cdef Prefix out
    cdef ScamperAddr a = parse_addr(text)
    memset(&out, 0, sizeof(out))
    memcpy(out.b, a.b, a.size)
    out.length = length
    return out


cdef inline bint within(const uint8_t *b, const Prefix *net) noexcept:
    cdef int whole = net.length // 8, rest = net.length % 8
    if whole and memcmp(b, net.b, whole) != 0:
        return False
    return rest == 0 or ((b[whole] ^ net.b[whole]) >> (8 - rest)) == 0


cdef Prefix[15] RESERVED4
cdef Prefix[8] RESERVED6
cdef Prefix[3] RFC1918
cdef Prefix LINKLOCAL4 = prefix("169.254.0.0", 16)
cdef Prefix LINKLOCAL6 = prefix("fe80::", 10)
cdef Prefix UNICAST6 = prefix("2000::", 3)
cdef Prefix SIXTOFOUR = prefix("2002::", 16)


cdef void fill_prefixes() except *:
    cdef int i
    for i, (net, length) in enumerate((
        ("0.0.0.0", 8), ("10.0.0.0", 8), ("100.64.0.0", 10), ("127.0.0.0", 8), ("169.254.0.0", 16),
        ("172.16.0.0", 12), ("192.0.0.0", 24), ("192.0.2.0", 24), ("192.88.99.0", 24),
        ("192.168.0.0", 16), ("198.18.0.0", 15), ("198.51.100.0", 24), ("203.0.113.0", 24),
        ("224.0.0.0", 4), ("240.0.0.0", 4),
    )):
        RESERVED4[i] = prefix(net, length)
    for i, (net, length) in enumerate((
        ("2002::", 16), ("2001::", 32), ("2001:2::", 48), ("2001:3::", 32), ("2001:4:112::", 48),
        ("2001:10::", 28), ("2001:20::", 28), ("2001:db8::", 32),
    )):
        RESERVED6[i] = prefix(net, length)
    for i, (net, length) in enumerate((("10.0.0.0", 8), ("172.16.0.0", 12), ("192.168.0.0", 16))):
        RFC1918[i] = prefix(net, length)


fill_prefixes()


cdef object ADDR_INVALID = "invalid address"


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class ScamperAddr:
    """An address: IPv4 or IPv6 from text; also Ethernet or Firewire in records.

    Args:
        x: numeric text, or 4, 16 or 6 bytes.
    """

    cdef uint8_t kind, size
    cdef uint8_t[16] b

    def __init__(self, x):
        cdef ScamperAddr a
        cdef bytes raw
        if isinstance(x, str):
            a = parse_addr(str(x))
            if a is None:
                raise ValueError(ADDR_INVALID)
            self.kind = a.kind
            self.size = a.size
            memcpy(self.b, a.b, a.size)
        elif isinstance(x, bytes):
            raw = bytes(x)
            self.kind = {4: IPV4, 16: IPV6, 6: ETHERNET}.get(len(raw), 0)
            if self.kind == 0:
                raise ValueError("expected bytes array of 4/6/16 bytes")
            self.size = <uint8_t>len(raw)
            memcpy(self.b, PyBytes_AS_STRING(raw), self.size)
        else:
            raise ValueError(ADDR_INVALID)

    def __reduce__(self):
        return _addr_from_state, (self.kind, self.packed)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __str__(self):
        cdef char[64] out
        if self.kind == IPV4:
            inet_ntop(AF_INET, self.b, out, 64)
        elif self.kind == IPV6:
            inet_ntop(AF_INET6, self.b, out, 64)
        else:
            return ":".join(["%02x" % self.b[i] for i in range(self.size)])
        return (<bytes>out).decode("ascii")

    def __repr__(self):
        return f"ScamperAddr('{self}')"

    def __format__(self, spec):
        return format(str(self), spec)

    def __hash__(self):
        return hash((self.kind, self.packed))

    def __richcmp__(self, other, int op):
        cdef ScamperAddr right
        cdef int order
        if isinstance(other, ScamperAddr):
            right = <ScamperAddr>other
        elif isinstance(other, str):
            right = parse_addr(str(other))
            if right is None:
                if op == Py_EQ or op == Py_NE:
                    return op == Py_NE
                raise TypeError(f"cannot compare an address with {other!r}, which is not one")
        else:
            return NotImplemented
        order = <int>self.kind - <int>right.kind
        if order == 0:
            order = memcmp(self.b, right.b, self.size)
        if op == Py_LT:
            return order < 0
        if op == Py_LE:
            return order <= 0
        if op == Py_EQ:
            return order == 0
        if op == Py_NE:
            return order != 0
        if op == Py_GT:
            return order > 0
        return order >= 0

    @property
    def packed(self):
        """The bytes of the address, in network order."""
        return PyBytes_FromStringAndSize(<const char *>self.b, self.size)

    def is_ipv4(self):
        """An IPv4 address."""
        return self.kind == IPV4

    def is_ipv6(self):
        """An IPv6 address."""
        return self.kind == IPV6

    def is_linklocal(self):
        """In 169.254.0.0/16 or fe80::/10."""
        if self.kind == IPV4:
            return within(self.b, &LINKLOCAL4)
        return self.kind == IPV6 and within(self.b, &LINKLOCAL6)

    def is_rfc1918(self):
        """In one of IPv4's private blocks."""
        cdef int i
        for i in range(3):
            if self.kind == IPV4 and within(self.b, &RFC1918[i]):
                return True
        return False

    def is_unicast(self):
        """In 2000::/3. False for all of IPv4, as upstream has it."""
        return self.kind == IPV6 and within(self.b, &UNICAST6)

    def is_6to4(self):
        """In 2002::/16."""
        return self.kind == IPV6 and within(self.b, &SIXTOFOUR)

    def is_reserved(self):
        """In a special-purpose block (IPv6: or outside 2000::/3)."""
        cdef int i
        if self.kind == IPV4:
            for i in range(15):
                if within(self.b, &RESERVED4[i]):
                    return True
        elif self.kind == IPV6:
            if not within(self.b, &UNICAST6):
                return True
            for i in range(8):
                if within(self.b, &RESERVED6[i]):
                    return True
        return False


def _addr_from_state(int kind, bytes packed):
    """An address out of a pickle."""
    if kind < 0 or addr_length(kind) == 0 or len(packed) != addr_length(kind):
        raise ValueError(ADDR_INVALID)
    return make_addr(kind, <const uint8_t *>PyBytes_AS_STRING(packed))


cdef inline bint v4(ScamperAddr a):
    return a is not None and a.kind == IPV4


cdef inline bint v6(ScamperAddr a):
    return a is not None and a.kind == IPV6


cdef int shared_bits(ScamperAddr a, ScamperAddr b):
    """Length of the longest prefix that two addresses of one kind share, in bits."""
    cdef int i, bits = 0
    cdef unsigned int diff
    for i in range(a.size):
        diff = a.b[i] ^ b.b[i]
        if diff == 0:
            bits += 8
            continue
        while not diff & 0x80:
            diff <<= 1
            bits += 1
        break
    return bits
