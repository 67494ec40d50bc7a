# cython: language_level=3, boundscheck=True
"""The few kernel calls that Python has no name for, each raising OSError with what was tried.

Nothing here decides anything: numbers, flags and programs come from the Python modules beside it, where they
can be read and tested. All pointers handed to the kernel are taken from Python objects that live
until the call returns. Constants come from the kernel's headers; the verbatim block below fills in
what older headers lack (the numbers of new calls are the same on every architecture).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport errno
from libc.string cimport memset, strerror

cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <poll.h>
    #include <sched.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <linux/capability.h>
    #include <linux/filter.h>
    #include <sys/mount.h>
    #include <sys/prctl.h>
    #include <sys/resource.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    #define ONVP_CLOSE_RANGE 436
    #define ONVP_LANDLOCK_CREATE 444
    #define ONVP_LANDLOCK_RESTRICT 446
    /* linux/seccomp.h; spelled out so that old headers do */
    #define ONVP_SECCOMP_SET_MODE_FILTER 1
    #define ONVP_SECCOMP_GET_ACTION_AVAIL 2
    #define ONVP_SECCOMP_FLAG_TSYNC 1

    /* struct landlock_ruleset_attr of ABI 6: older kernels are given the shorter length they know. */
    struct onvp_ruleset { uint64_t fs, net, scoped; };
    """
    ctypedef unsigned int uint32_t
    ctypedef unsigned long long uint64_t
    long c_syscall "syscall"(long number, ...) nogil
    int c_unshare "unshare"(int flags) nogil
    int c_mount "mount"(
        const char *source, const char *target, const char *kind, unsigned long flags, const void *data
    ) nogil
    int c_umount2 "umount2"(const char *target, int flags) nogil
    int c_prctl "prctl"(int option, ...) nogil
    int c_close "close"(int descriptor) nogil
    long SYS_pivot_root, SYS_seccomp, SYS_capget, SYS_capset
    long ONVP_CLOSE_RANGE, ONVP_LANDLOCK_CREATE, ONVP_LANDLOCK_RESTRICT
    int ONVP_SECCOMP_SET_MODE_FILTER, ONVP_SECCOMP_GET_ACTION_AVAIL, ONVP_SECCOMP_FLAG_TSYNC
    uint32_t _LINUX_CAPABILITY_VERSION_3

    struct onvp_ruleset:
        uint64_t fs
        uint64_t net
        uint64_t scoped

    struct pollfd:
        int fd
        short events
        short revents
    int c_poll "poll"(pollfd *entries, unsigned long count, int timeout_ms) nogil
    short POLLNVAL

    struct __user_cap_header_struct:
        uint32_t version
        int pid
    struct __user_cap_data_struct:
        uint32_t effective
        uint32_t permitted
        uint32_t inheritable

    struct sock_filter:
        pass
    struct sock_fprog:
        unsigned short len
        sock_filter *filter


cdef object failure(str what):
    """The OSError of the call that just failed, naming what was tried."""
    cdef int number = errno
    return OSError(number, f"{what}: {strerror(number).decode()}")


cdef const char *text(object value):
    """A C string or NULL, valid while `value` lives."""
    return NULL if value is None else PyBytes_AS_STRING(value)


def close_from(unsigned int first):
    """Close every descriptor from `first` up, however high (close_range(2))."""
    if c_syscall(ONVP_CLOSE_RANGE, first, <unsigned int>0xFFFFFFFF, 0) != 0:
        raise failure(f"close_range({first}, ~0)")


def open_descriptors(int below=1024):
    """The open descriptors under `below`, in one poll(2): no /proc is needed."""
    cdef pollfd entries[1024]
    cdef int number
    if not 0 < below <= 1024:
        raise ValueError(f"below is 1 to 1024, not {below}")
    for number in range(below):
        entries[number].fd = number
        entries[number].events = 0
        entries[number].revents = 0
    if c_poll(entries, below, 0) < 0:
        raise failure(f"poll of {below} descriptors")
    return [number for number in range(below) if not entries[number].revents & POLLNVAL]


def prctl(int option, unsigned long a=0, unsigned long b=0, unsigned long c=0, unsigned long d=0):
    """prctl(2) with plain numbers; returns its result."""
    cdef int result = c_prctl(option, a, b, c, d)
    if result < 0:
        raise failure(f"prctl({option}, {a}, {b})")
    return result


def death_signal():
    """The signal that the death of the parent sends here, 0 for none (PR_GET_PDEATHSIG)."""
    cdef int signal = -1
    if c_prctl(2, &signal, 0, 0, 0) != 0:
        raise failure("prctl(PR_GET_PDEATHSIG)")
    return signal


def unshare(int flags):
    """Move this process (its future children, for a pid namespace) into new namespaces."""
    if c_unshare(flags) != 0:
        raise failure(f"unshare({flags:#x})")


def mount(bytes source, bytes target not None, bytes kind, unsigned long flags, bytes data):
    """mount(2); None stands for a null pointer."""
    if c_mount(text(source), text(target), text(kind), flags, <const void *>text(data)) != 0:
        raise failure(f"mount({kind}, {target}, {flags:#x})")


def unmount(bytes target not None, int flags):
    """umount2(2)."""
    if c_umount2(text(target), flags) != 0:
        raise failure(f"umount2({target}, {flags})")


def pivot_root(bytes new not None, bytes old not None):
    """Make the mount at `new` the root and stack the old one at `old`."""
    if c_syscall(SYS_pivot_root, text(new), text(old)) != 0:
        raise failure(f"pivot_root({new}, {old})")


def capabilities():
    """(effective, permitted, inheritable) of this process, each as a 64-bit mask."""
    cdef __user_cap_header_struct header
    cdef __user_cap_data_struct data[2]
    header.version = _LINUX_CAPABILITY_VERSION_3
    header.pid = 0
    if c_syscall(SYS_capget, &header, data) != 0:
        raise failure("capget")
    return (
        data[0].effective | <uint64_t>data[1].effective << 32,
        data[0].permitted | <uint64_t>data[1].permitted << 32,
        data[0].inheritable | <uint64_t>data[1].inheritable << 32,
    )


def drop_capabilities():
    """Empty all three sets for good (capset(2))."""
    cdef __user_cap_header_struct header
    cdef __user_cap_data_struct data[2]
    header.version = _LINUX_CAPABILITY_VERSION_3
    header.pid = 0
    memset(data, 0, sizeof(data))
    if c_syscall(SYS_capset, &header, data) != 0:
        raise failure("capset(nothing)")


def landlock_abi():
    """The kernel's Landlock ABI. ENOSYS: not built in. EOPNOTSUPP: built in, not switched on."""
    cdef long version = c_syscall(ONVP_LANDLOCK_CREATE, NULL, 0, 1)  # LANDLOCK_CREATE_RULESET_VERSION
    if version < 0:
        raise failure("landlock_create_ruleset(version)")
    return version


def landlock_deny(uint64_t fs, uint64_t net, uint64_t scoped):
    """Give up the named rights for good: a ruleset that handles them and allows none.

    Fields that are zero at the end of the structure are left off, because a kernel refuses a structure that
    is longer than its own ABI's, unless the rest is zero.
    """
    cdef onvp_ruleset ruleset
    cdef long descriptor
    cdef long result
    cdef int number
    ruleset.fs, ruleset.net, ruleset.scoped = fs, net, scoped
    size = 24 if scoped else 16 if net else 8
    descriptor = c_syscall(ONVP_LANDLOCK_CREATE, &ruleset, <size_t>size, 0)
    if descriptor < 0:
        raise failure(f"landlock_create_ruleset(fs={fs:#x}, net={net:#x}, scoped={scoped:#x})")
    result = c_syscall(ONVP_LANDLOCK_RESTRICT, <int>descriptor, 0)
    number = errno
    c_close(<int>descriptor)
    if result != 0:
        raise OSError(number, f"landlock_restrict_self: {strerror(number).decode()}")


def seccomp_action_available(uint32_t action):
    """Whether the kernel knows this filter answer (SECCOMP_GET_ACTION_AVAIL)."""
    if c_syscall(SYS_seccomp, ONVP_SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0:
        return True
    if errno == 95:  # EOPNOTSUPP is the documented "no"
        return False
    raise failure(f"seccomp(action {action:#x} available?)")


def install_filter(bytes program not None):
    """Put a seccomp filter (packed struct sock_filter) over this process and all its threads."""
    cdef sock_fprog descriptor
    cdef Py_ssize_t size = PyBytes_GET_SIZE(program)
    cdef long result
    if size == 0 or size % 8 or size // 8 > 4096:
        raise ValueError(f"a filter is 1 to 4096 instructions of 8 bytes, not {size} bytes")
    descriptor.len = <unsigned short>(size // 8)
    descriptor.filter = <sock_filter *>PyBytes_AS_STRING(program)
    result = c_syscall(
        SYS_seccomp, ONVP_SECCOMP_SET_MODE_FILTER, ONVP_SECCOMP_FLAG_TSYNC, &descriptor
    )
    if result < 0:
        raise failure("seccomp(install filter)")
    if result > 0:
        raise OSError(3, f"seccomp(install filter): thread {result} could not be brought under it")


def syscall(long number, long a=0, long b=0, long c=0, long d=0, long e=0, long f=0):
    """Any system call with plain numbers, for the self-test; the result, or minus the errno."""
    cdef long result = c_syscall(number, a, b, c, d, e, f)
    return -errno if result == -1 else result
