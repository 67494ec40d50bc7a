# cython: language_level=3, binding=False, boundscheck=True, wraparound=False, cdivision=True
"""Timed raw probes: wait until a moment, send an IPv4 packet, read what came back.

Used by one process only, which does nothing else. Nothing here decides what is sent or when.
All reading of received bytes goes through `byte` and `word`, which check the bounds; a packet that is too
short for what it claims to be is passed over.

Facts: ip(7), raw(7), packet layouts of RFC 791, 792, 768 and 9293; struct sock_filter of
linux/filter.h. Deadlines are CLOCK_MONOTONIC, time stamps CLOCK_REALTIME, both in nanoseconds.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINTR, ENOBUFS, errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset, strerror

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC, CLOCK_REALTIME, TIMER_ABSTIME
    int clock_gettime(int clock, timespec *t)
    int clock_nanosleep(int clock, int flags, const timespec *t, timespec *rest)

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass

cdef extern from "<poll.h>" nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <poll.h>
    extern int ppoll(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
    """
    struct pollfd:
        int fd
        short events
        short revents
    int POLLIN, POLLERR, POLLHUP
    int ppoll(pollfd *fds, unsigned long n, const timespec *timeout, const sigset_t *mask)

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    struct sockaddr:
        pass
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        socklen_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    int SOL_SOCKET, MSG_DONTWAIT, MSG_TRUNC, AF_INET
    ssize_t sendmsg(int fd, const msghdr *msg, int flags)
    ssize_t recvmsg(int fd, msghdr *msg, int flags)
    int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
    cmsghdr *CMSG_FIRSTHDR(msghdr *msg)
    cmsghdr *CMSG_NXTHDR(msghdr *msg, cmsghdr *c)
    unsigned char *CMSG_DATA(cmsghdr *c)

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr
    uint32_t htonl(uint32_t v)

cdef extern from "<linux/filter.h>" nogil:
    struct sock_filter:
        uint16_t code
        uint8_t jt
        uint8_t jf
        uint32_t k
    struct sock_fprog:
        unsigned short len
        sock_filter *filter

cdef extern from * nogil:
    """
    #include <linux/capability.h>
    #include <sys/syscall.h>
    #include <sys/prctl.h>
    #include <unistd.h>
    static int onvp_drop_capabilities(void) {
        struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
            return -1;
        return syscall(SYS_capset, &head, none);
    }
    """
    int onvp_drop_capabilities()

cdef enum:
    NS = 1000000000
    MOST_FDS = 8
    SHARP_NS = 200000             # the last stretch before a deadline is slept with clock_nanosleep
    KEPT = 256                    # bytes of a received packet that are looked at
    SO_TIMESTAMPNS_ = 35
    SO_ATTACH_FILTER_ = 26

ICMP_ECHO, TCP_ACK, UDP, TCP_ACK_SPORT, UDP_DPORT, TCP_SYN_SPORT = range(1, 7)
"""Probe methods, by the numbers that warts records use."""


cdef inline int64_t clock_ns(int clock) noexcept nogil:
    cdef timespec t
    clock_gettime(clock, &t)
    return <int64_t>t.tv_sec * NS + t.tv_nsec


def monotonic_ns():
    """The clock that deadlines are told in."""
    return clock_ns(CLOCK_MONOTONIC)


def realtime_ns():
    """The clock that time stamps are told in."""
    return clock_ns(CLOCK_REALTIME)


def wait(fds, int64_t deadline_ns):
    """Wait until a descriptor can be read or the deadline has come.

    Returns: the bits of the descriptors that can be read, in the order of `fds`; 0 at the deadline.
    """
    cdef pollfd p[MOST_FDS]
    cdef timespec t
    cdef int n = len(fds), i, rc, ready = 0
    cdef int64_t left
    if n > MOST_FDS:
        raise ValueError(f"{n} descriptors, and {MOST_FDS} is the most")
    for i in range(n):
        p[i].fd = fds[i]
        p[i].events = POLLIN
        p[i].revents = 0
    with nogil:
        left = deadline_ns - clock_ns(CLOCK_MONOTONIC) - SHARP_NS
        if left < 0:
            left = 0
        t.tv_sec = left // NS
        t.tv_nsec = left % NS
        rc = ppoll(p, n, &t, NULL)
        if rc == 0:
            t.tv_sec = deadline_ns // NS
            t.tv_nsec = deadline_ns % NS
            while clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR:
                pass
    if rc < 0 and errno != EINTR:
        raise OSError(errno, strerror(errno).decode())
    if rc > 0:
        for i in range(n):
            if p[i].revents:
                ready |= 1 << i
    return ready


# ---- probes ----


cdef uint32_t add_words(const uint8_t *p, Py_ssize_t size, uint32_t total) noexcept:
    """The Internet checksum's running sum (RFC 1071)."""
    cdef Py_ssize_t i
    for i in range(0, size - 1, 2):
        total += (p[i] << 8) | p[i + 1]
    if size & 1:
        total += p[size - 1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


cdef inline void put16(uint8_t *p, unsigned int v) noexcept:
    p[0] = <uint8_t>(v >> 8)
    p[1] = <uint8_t>v


cdef inline void put32(uint8_t *p, uint32_t v) noexcept:
    put16(p, v >> 16)
    put16(p + 2, v & 0xFFFF)


def probe(int method, uint32_t src, uint32_t dst, *, int ttl, int tos, int size, int ipid, uint32_t a,
          uint32_t b, int checksum=0, uint32_t seq=0, uint32_t ack=0):
    """An IPv4 packet with DF set.

    Args:
        method: one of the six above.
        size: of the whole packet in bytes; ICMP and UDP need 30, TCP 40.
        a, b: ports (source, destination), or for ICMP identifier and sequence number.
        checksum: what the checksum of ICMP and UDP shall be; the first two bytes of payload make it so.
    """
    cdef uint8_t *p
    cdef uint8_t *q
    cdef uint8_t pseudo[12]
    cdef uint32_t total
    cdef bint is_tcp = method in (TCP_ACK, TCP_ACK_SPORT, TCP_SYN_SPORT)
    cdef bint is_icmp = method == ICMP_ECHO
    cdef int rest = size - 20
    if not 1 <= method <= 6 or not (20 if is_tcp else 10) <= rest <= 65515 or a > 0xFFFF or b > 0xFFFF:
        raise ValueError("no such probe")
    if not (0 < ttl < 256 and 0 <= tos < 256 and 0 <= ipid < 65536 and 0 <= checksum < 65536):
        raise ValueError("no such IP header")
    packet = PyBytes_FromStringAndSize(NULL, size)
    p = <uint8_t *>PyBytes_AS_STRING(packet)
    memset(p, 0, size)
    p[0] = 0x45
    p[1] = <uint8_t>tos
    put16(p + 2, size)
    put16(p + 4, ipid)
    p[6] = 0x40
    p[8] = <uint8_t>ttl
    p[9] = 1 if is_icmp else 6 if is_tcp else 17
    put32(p + 12, src)
    put32(p + 16, dst)
    put16(p + 10, 0xFFFF ^ add_words(p, 20, 0))
    q = p + 20
    memcpy(pseudo, p + 12, 8)
    put16(pseudo + 8, p[9])
    put16(pseudo + 10, rest)
    if is_icmp:
        q[0] = 8
        put16(q + 4, a)
        put16(q + 6, b)
        put16(q + 2, checksum)
        put16(q + 8, 0xFFFF ^ add_words(q, rest, 0))
        return packet
    put16(q, a)
    put16(q + 2, b)
    total = add_words(pseudo, 12, 0)
    if is_tcp:
        put32(q + 4, seq)
        put32(q + 8, ack)
        q[12] = 0x50
        q[13] = 0x02 if method == TCP_SYN_SPORT else 0x10
        put16(q + 14, 65535)
        put16(q + 16, 0xFFFF ^ add_words(q, rest, total))
        return packet
    put16(q + 4, rest)
    put16(q + 6, checksum)
    put16(q + 8, 0xFFFF ^ add_words(q, rest, total))
    return packet


def send(int fd, bytes packet not None, uint32_t dst):
    """Send a packet with its IP header over a raw socket.

    Returns: when, in nanoseconds since the epoch.
    Raises: OSError, but not for errors that are about an earlier packet.
    """
    cdef sockaddr_in to
    cdef msghdr msg
    cdef iovec vec
    cdef int64_t now
    cdef ssize_t rc
    cdef int tries
    memset(&to, 0, sizeof(to))
    memset(&msg, 0, sizeof(msg))
    to.sin_family = AF_INET
    to.sin_addr.s_addr = htonl(dst)
    vec.iov_base = PyBytes_AS_STRING(packet)
    vec.iov_len = len(packet)
    msg.msg_name = &to
    msg.msg_namelen = sizeof(to)
    msg.msg_iov = &vec
    msg.msg_iovlen = 1
    for tries in range(3):
        now = clock_ns(CLOCK_REALTIME)
        rc = sendmsg(fd, &msg, MSG_DONTWAIT)
        if rc >= 0:
            return now
        if errno not in (EINTR, ECONNREFUSED, EHOSTUNREACH, EAGAIN, ENOBUFS):
            break
    raise OSError(errno, strerror(errno).decode())


# ---- replies ----


cdef int byte(const uint8_t *p, Py_ssize_t size, Py_ssize_t at) except? -1:
    if at < 0 or at >= size:
        raise IndexError
    return p[at]


cdef int word(const uint8_t *p, Py_ssize_t size, Py_ssize_t at) except? -1:
    return (byte(p, size, at) << 8) | byte(p, size, at + 1)


cdef uint32_t quad(const uint8_t *p, Py_ssize_t size, Py_ssize_t at) except? 1:
    return (<uint32_t>word(p, size, at) << 16) | <uint32_t>word(p, size, at + 2)


@cython.final
@cython.freelist(64)
cdef class Packet:
    """What a received packet says, as far as matching a probe needs it.

    `q_*` tell about the packet that an ICMP error quotes. `a` and `b` are ports (source, destination), or
    identifier and sequence number of an echo reply; `q_a` and `q_b` the same of the quoted packet.
    """

    cdef readonly int64_t rx_ns
    cdef readonly uint32_t src, q_dst
    cdef readonly int ipid, ttl, size, proto
    cdef readonly int a, b, tcp_flags, icmp_type, icmp_code
    cdef readonly int q_ipid, q_ttl, q_proto, q_a, q_b


cdef int read_packet(Packet r, const uint8_t *p, Py_ssize_t size) except -1:
    """Fill `r`; 0 for a packet that is of no interest."""
    cdef Py_ssize_t at = (byte(p, size, 0) & 0xF) * 4, inner
    if byte(p, size, 0) >> 4 != 4 or at < 20 or word(p, size, 6) & 0x1FFF:
        return 0
    r.size = word(p, size, 2)
    r.ipid = word(p, size, 4)
    r.ttl = byte(p, size, 8)
    r.proto = byte(p, size, 9)
    r.src = quad(p, size, 12)
    if r.proto == 6:
        r.a = word(p, size, at)
        r.b = word(p, size, at + 2)
        r.tcp_flags = byte(p, size, at + 13)
        return 1
    if r.proto != 1:
        return 0
    r.icmp_type = byte(p, size, at)
    r.icmp_code = byte(p, size, at + 1)
    if r.icmp_type == 0:
        r.a = word(p, size, at + 4)
        r.b = word(p, size, at + 6)
        return 1
    if r.icmp_type not in (3, 11):
        return 0
    at += 8
    inner = at + (byte(p, size, at) & 0xF) * 4
    if byte(p, size, at) >> 4 != 4 or inner < at + 20 or word(p, size, at + 6) & 0x1FFF:
        return 0
    r.q_ipid = word(p, size, at + 4)
    r.q_ttl = byte(p, size, at + 8)
    r.q_proto = byte(p, size, at + 9)
    r.q_dst = quad(p, size, at + 16)
    if r.q_proto == 1:
        if byte(p, size, inner) != 8:
            return 0
        inner += 4
    r.q_a = word(p, size, inner)
    r.q_b = word(p, size, inner + 2)
    return 1


def parse(bytes packet not None, int64_t rx_ns=0):
    """What a packet says, or None if it is nothing that a probe could have caused."""
    cdef Packet r = Packet.__new__(Packet)
    r.rx_ns = rx_ns
    try:
        if read_packet(r, <const uint8_t *>PyBytes_AS_STRING(packet), len(packet)):
            return r
    except IndexError:
        pass
    return None


def receive(int fd):
    """The next packet that is there already.

    Returns: a `Packet`; None if nothing is there; False for a packet of no interest.
    """
    cdef uint8_t buf[KEPT]
    cdef uint8_t control[256]
    cdef msghdr msg
    cdef iovec vec
    cdef cmsghdr *c
    cdef timespec *t
    cdef ssize_t n
    cdef Packet r
    memset(&msg, 0, sizeof(msg))
    vec.iov_base = buf
    vec.iov_len = KEPT
    msg.msg_iov = &vec
    msg.msg_iovlen = 1
    msg.msg_control = control
    msg.msg_controllen = sizeof(control)
    n = recvmsg(fd, &msg, MSG_DONTWAIT)
    if n < 0:
        if errno in (EAGAIN, EINTR):
            return None
        return False
    r = Packet.__new__(Packet)
    r.rx_ns = clock_ns(CLOCK_REALTIME)
    c = CMSG_FIRSTHDR(&msg)
    while c != NULL:
        if c.cmsg_level == SOL_SOCKET and c.cmsg_type == SO_TIMESTAMPNS_:
            t = <timespec *>CMSG_DATA(c)
            r.rx_ns = <int64_t>t.tv_sec * NS + t.tv_nsec
        c = CMSG_NXTHDR(&msg, c)
    try:
        return r if read_packet(r, buf, n) else False
    except IndexError:
        return False


def attach_filter(int fd, bytes program not None):
    """Have the kernel judge what `fd` receives: a classic BPF program, an array of struct sock_filter."""
    cdef sock_fprog p
    if len(program) % sizeof(sock_filter) or not 1 <= len(program) // sizeof(sock_filter) <= 4096:
        raise ValueError("no filter program")
    p.len = len(program) // sizeof(sock_filter)
    p.filter = <sock_filter *>PyBytes_AS_STRING(program)
    if setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER_, &p, sizeof(p)) != 0:
        raise OSError(errno, strerror(errno).decode())


def drop_capabilities():
    """Give up all capabilities of this process, for good."""
    if onvp_drop_capabilities() != 0:
        raise OSError(errno, strerror(errno).decode())
