"""What native code in a worker might try: one idea each, with the filter's answer that it must meet.

Each attack is Python source for tests/jail/native_entry.py, which runs it with the language wall off.
`call(name, *arguments)` is a raw system call. Pointers are bad wherever the call allows it (BAD): had the
filter let it through, the kernel would answer EFAULT or worse, so EPERM can only be the filter's word.
Everything else must end the process by SIGSYS: then nothing after the call has run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tests.escape.kernel.numbers import NUMBERS

PRELUDE: Final = f"""
NUMBERS = {NUMBERS!r}
BAD, HERE = 1, -100
def call(name, *arguments):
    return syscall(NUMBERS[name], *arguments)
gate = ctypes.CFUNCTYPE(*[ctypes.c_long] * 5)(CODE_AT)
say('ready')
"""


@dataclass(frozen=True)
class Attack:
    """One attempt. `promise` completes "a worker cannot"."""

    group: str
    promise: str
    source: str
    answer: Literal["killed", "EPERM"] = "killed"

    @property
    def name(self) -> str:
        return f"{self.group}: {self.promise}"


def _calls(group: str, *rows: tuple[str, str], answer: Literal["killed", "EPERM"] = "killed") -> list[Attack]:
    """Attacks of one call each, from (promise, "name, arguments"), without calls this machine lacks."""
    attacks = []
    for promise, text in rows:
        name, _, arguments = text.partition(",")
        if name in NUMBERS:
            attacks.append(Attack(group, promise, f"say(call({name!r},{arguments}))", answer))
    return attacks


_X86_ONLY: Final = [
    Attack("other conventions", f"make {what} through int 0x80", source)
    for what, source in (
        ("a 32-bit call", "say(gate(20, 0, 0, 0))"),
        ("a 32-bit open", "say(gate(5, 1, 0, 0))"),
        ("a 32-bit call whose number is an allowed one's", "say(gate(231, 0, 0, 0))"),
        ("a 32-bit write to descriptor 3", "say(gate(4, 3, 1, 1))"),
    )
] + [
    Attack("other conventions", "make an x32 call", "say(syscall(0x40000000 | 39))"),
    Attack("other conventions", "write through the x32 table", "say(syscall(0x40000001, 3, BAD, 1))"),
    Attack("other conventions", "use x32's own numbers", "say(syscall(0x40000000 | 520, BAD, BAD, BAD))"),
]

ATTACKS: Final[tuple[Attack, ...]] = (
    *_calls(
        "files",
        ("open a file by path", "openat, HERE, BAD, 0"),
        ("create a file", "openat, HERE, BAD, 0o101, 0o600"),
        ("open a directory relative to its channel", "openat, 3, BAD, 0"),
        ("make an unnamed temporary file", "openat, HERE, BAD, 0o20200002, 0o600"),
        ("look at a file", "newfstatat, HERE, BAD, BAD, 0"),
        ("learn about a descriptor", "fstat, 3, BAD"),
        ("open by the old call", "open, BAD, 0"),
        ("look by the old call", "stat, BAD, BAD"),
        ("ask whether a file exists", "access, BAD, 0"),
        ("ask whether a file exists, by directory", "faccessat, HERE, BAD, 0"),
        ("read a link", "readlinkat, HERE, BAD, BAD, 10"),
        ("learn its directory", "getcwd, BAD, 10"),
        ("control a device", "ioctl, 3, 0x5401, BAD"),
        ("learn the kernel's version", "uname, BAD"),
        ("move in a file", "lseek, 3, 0, 0"),
        answer="EPERM",
    ),
    *_calls(
        "files",
        ("open with rules of its own", "openat2, HERE, BAD, BAD, 24"),
        ("open by a handle", "open_by_handle_at, HERE, BAD, 0"),
        ("make a handle", "name_to_handle_at, HERE, BAD, BAD, BAD, 0"),
        ("create by the old call", "creat, BAD, 0o600"),
        ("look by statx", "statx, HERE, BAD, 0, 0, BAD"),
        ("ask for access by the new call", "faccessat2, HERE, BAD, 0, 0"),
        ("make a directory", "mkdirat, HERE, BAD, 0o700"),
        ("make a device", "mknodat, HERE, BAD, 0o60600, 0x800"),
        ("remove a file", "unlinkat, HERE, BAD, 0"),
        ("rename a file", "renameat2, HERE, BAD, HERE, BAD, 0"),
        ("make a link", "linkat, HERE, BAD, HERE, BAD, 0"),
        ("make a symbolic link", "symlinkat, BAD, HERE, BAD"),
        ("truncate a file", "truncate, BAD, 0"),
        ("change a mode", "chmod, BAD, 0o777"),
        ("change times", "utimensat, HERE, BAD, 0, 0"),
        ("set an extended attribute", "setxattr, BAD, BAD, BAD, 1, 0"),
        ("list a directory", "getdents64, 3, BAD, 100"),
        ("change its directory", "fchdir, 3"),
        ("watch files", "inotify_init1, 0"),
        ("watch a whole mount", "fanotify_init, 0, 0"),
        ("make a file in memory", "memfd_create, BAD, 0"),
        ("make secret memory", "memfd_secret, 0"),
        ("learn about a file system", "lookup_dcookie, 0, BAD, 10"),
    ),
    *_calls(
        "network",
        ("make a TCP socket", "socket, 2, 1, 0"),
        ("make a UDP socket", "socket, 2, 2, 0"),
        ("make an IPv6 socket", "socket, 10, 1, 0"),
        ("make a Unix socket, for abstract names too", "socket, 1, 1, 0"),
        ("make a raw socket", "socket, 2, 3, 1"),
        ("make a packet socket", "socket, 17, 3, 0"),
        ("make a netlink socket", "socket, 16, 3, 0"),
        ("make a vsock socket", "socket, 40, 1, 0"),
        ("make a socket to the kernel's cryptography", "socket, 38, 5, 0"),
        ("make a pair of sockets", "socketpair, 1, 1, 0, BAD"),
        ("connect its channel elsewhere", "connect, 3, BAD, 16"),
        ("bind its channel", "bind, 3, BAD, 16"),
        ("listen on its channel", "listen, 3, 1"),
        ("accept on its channel", "accept4, 3, 0, 0, 0"),
        ("send with an address", "sendto, 3, BAD, 1, 0, BAD, 16"),
        ("send descriptors", "sendmsg, 3, BAD, 0"),
        ("send many messages", "sendmmsg, 3, BAD, 1, 0"),
        ("receive with an address", "recvfrom, 3, BAD, 1, 0, 0, 0"),
        ("receive descriptors", "recvmsg, 3, BAD, 0"),
        ("receive many messages", "recvmmsg, 3, BAD, 1, 0, 0"),
        ("change options of its channel", "setsockopt, 3, 1, 1, BAD, 4"),
        ("ask who its broker is", "getsockopt, 3, 1, 17, BAD, BAD"),
        ("shut its channel down by halves", "shutdown, 3, 1"),
    ),
    *_calls(
        "processes",
        ("fork by the old call", "fork"),
        ("vfork", "vfork"),
        ("clone a process", "clone, 17, 0, 0, 0, 0"),
        ("clone a thread", "clone, 0x50f00, 0, 0, 0, 0"),
        ("clone by the new call", "clone3, BAD, 88"),
        ("run a program", "execve, BAD, 0, 0"),
        ("run a program by descriptor", "execveat, 3, BAD, 0, 0, 0x1000"),
        ("signal its parent", "kill, 1, 0"),
        ("signal everybody", "kill, -1, 9"),
        ("signal itself by thread", "tgkill, 2, 2, 0"),
        ("signal a thread by the old call", "tkill, 1, 0"),
        ("queue a signal", "rt_sigqueueinfo, 1, 9, BAD"),
        ("hold another process", "pidfd_open, 1, 0"),
        ("signal by a process descriptor", "pidfd_send_signal, 3, 9, 0, 0"),
        ("take another's descriptor", "pidfd_getfd, 3, 0, 0"),
        ("trace its parent", "ptrace, 16, 1, 0, 0"),
        ("be traced", "ptrace, 0, 0, 0, 0"),
        ("read another's memory", "process_vm_readv, 1, BAD, 1, BAD, 1, 0"),
        ("write another's memory", "process_vm_writev, 1, BAD, 1, BAD, 1, 0"),
        ("compare itself with others", "kcmp, 1, 2, 0, 0, 0"),
        ("advise another's memory", "process_madvise, 3, BAD, 1, 4, 0"),
        ("learn its parent", "getppid"),
        ("wait for a process", "wait4, -1, 0, 1, 0"),
        ("leave its session", "setsid"),
        ("change its group of processes", "setpgid, 0, 0"),
        ("move memory of others", "move_pages, 1, 0, 0, 0, 0, 0"),
        ("read another's CPU clock", "clock_gettime, ~1 << 3 | 2, BAD"),
        ("sleep on another's CPU clock", "clock_nanosleep, ~1 << 3 | 2, 0, BAD, 0"),
        ("arm a timer that signals", "timer_create, 0, BAD, BAD"),
        ("set an alarm", "setitimer, 0, BAD, 0"),
    ),
    *_calls(
        "privileges",
        ("become root", "setuid, 0"),
        ("become any user", "setresuid, 0, 0, 0"),
        ("change its group", "setgid, 0"),
        ("change its groups", "setgroups, 1, BAD"),
        ("open files as another", "setfsuid, 0"),
        ("take capabilities", "capset, BAD, BAD"),
        ("change its own attributes", "prctl, 4, 1, 0, 0, 0"),
        ("ask to keep capabilities", "prctl, 8, 1, 0, 0, 0"),
        ("make namespaces", "unshare, 0x10000000"),
        ("enter a namespace", "setns, 3, 0"),
        ("mount", "mount, 0, BAD, 0, 0, 0"),
        ("unmount", "umount2, BAD, 2"),
        ("swap its root", "pivot_root, BAD, BAD"),
        ("change its root", "chroot, BAD"),
        ("open a file system", "fsopen, BAD, 0"),
        ("take a tree of mounts", "open_tree, HERE, BAD, 1"),
        ("move a mount", "move_mount, HERE, BAD, HERE, BAD, 0"),
        ("change a mount", "mount_setattr, HERE, BAD, 0, BAD, 32"),
        ("rename the machine", "sethostname, BAD, 4"),
        ("set the clock", "clock_settime, 0, BAD"),
        ("load a kernel module", "init_module, BAD, 0, BAD"),
        ("load a kernel module from a file", "finit_module, 3, BAD, 0"),
        ("start another kernel", "kexec_load, 0, 0, BAD, 0"),
        ("restart the machine", "reboot, 0, 0, 0, 0"),
        ("read the kernel's log", "syslog, 3, BAD, 10"),
        ("use I/O ports", "ioperm, 0, 1, 1"),
        ("raise its I/O level", "iopl, 3"),
        ("change its personality", "personality, 0x0400000"),
        ("change its descriptor tables", "modify_ldt, 1, BAD, 16"),
        ("move its segment registers", "arch_prctl, 0x1002, BAD"),
        ("raise its limits", "prlimit64, 0, 7, BAD, 0"),
        ("raise its limits by the old call", "setrlimit, 7, BAD"),
        ("raise its priority", "setpriority, 0, 0, -20"),
        ("become a real-time process", "sched_setscheduler, 0, 1, BAD"),
    ),
    *_calls(
        "kernel surface",
        ("load a bpf program", "bpf, 5, BAD, 120"),
        ("set up io_uring", "io_uring_setup, 8, BAD"),
        ("enter io_uring", "io_uring_enter, 3, 1, 0, 0, 0, 0"),
        ("register with io_uring", "io_uring_register, 3, 0, BAD, 1"),
        ("set up asynchronous I/O", "io_setup, 8, BAD"),
        ("use the keyring", "keyctl, 0, -3, 1"),
        ("add a key", "add_key, BAD, BAD, BAD, 1, -3"),
        ("ask for a key", "request_key, BAD, BAD, BAD, -3"),
        ("handle page faults", "userfaultfd, 1"),
        ("watch by performance counters", "perf_event_open, BAD, 0, -1, -1, 0"),
        ("replace its filter", "seccomp, 1, 0, BAD"),
        ("take a listener for filters", "seccomp, 1, 8, BAD"),
        ("make a Landlock ruleset", "landlock_create_ruleset, BAD, 8, 0"),
        ("change its signal handlers", "rt_sigaction, 11, BAD, BAD, 8"),
        ("jump by a forged signal frame", "rt_sigreturn"),
        ("set another signal stack", "sigaltstack, BAD, BAD"),
        ("register a restartable sequence", "rseq, BAD, 32, 0, 0"),
        ("share memory by System V", "shmget, 0, 4096, 0o1600"),
        ("attach shared memory", "shmat, 0, 0, 0"),
        ("make a message queue by System V", "msgget, 0, 0o1600"),
        ("make semaphores by System V", "semget, 0, 1, 0o1600"),
        ("open a POSIX message queue", "mq_open, BAD, 0o102, 0o600, 0"),
        ("lock a priority-inheriting futex", "futex, BAD, 6, 0, 0, 0, 0"),
        ("requeue a futex", "futex, BAD, 3, 1, 1, BAD, 0"),
        ("wait on many futexes", "futex_waitv, BAD, 1, 0, 0, 0"),
        ("receive signals by descriptor", "signalfd4, -1, BAD, 8, 0"),
        ("make an event descriptor", "eventfd2, 0, 0"),
        ("make a timer descriptor", "timerfd_create, 1, 0"),
        ("make an epoll descriptor", "epoll_create1, 0"),
        ("make a pipe", "pipe2, BAD, 0"),
        ("splice", "splice, 3, 0, 3, 0, 1, 0"),
        ("map pages into a pipe", "vmsplice, 3, BAD, 1, 0"),
        ("copy between files inside the kernel", "copy_file_range, 3, 0, 3, 0, 1, 0"),
        ("send a file", "sendfile, 3, 3, 0, 1"),
        ("change quotas", "quotactl, 0, BAD, 0, 0"),
    ),
    *_calls(
        "memory",
        ("turn data into code", "mprotect, 0, 4096, 5"),
        ("make its own memory unreadable", "mprotect, 0, 4096, 0"),
        ("have the kernel merge its pages with others'", "madvise, 0, 4096, 12"),
        answer="EPERM",
    ),
    *_calls(
        "memory",
        ("map memory as code", "mmap, 0, 4096, 7, 0x22, -1, 0"),
        ("map read-only code", "mmap, 0, 4096, 5, 0x22, -1, 0"),
        ("map code with high bits set", "mmap, 0, 4096, 4 | 1 << 40, 0x22, -1, 0"),
        ("map shared memory", "mmap, 0, 4096, 3, 0x21, -1, 0"),
        ("map its channel", "mmap, 0, 4096, 3, 0x02, 3, 0"),
        ("map huge pages", "mmap, 0, 4096, 3, 0x40022, -1, 0"),
        ("turn data into code by a protection key", "pkey_mprotect, 0, 4096, 5, -1"),
        ("lock memory", "mlock, 0, 4096"),
        ("rearrange pages of a mapping", "remap_file_pages, 0, 4096, 0, 0, 0"),
        ("seal its memory", "mseal, 0, 4096, 0"),
        ("make a shadow stack", "map_shadow_stack, 0, 4096, 0"),
        ("bind memory to a node", "mbind, 0, 4096, 0, 0, 0, 0"),
    ),
    *_calls(
        "descriptors",
        ("write to standard output", "write, 1, BAD, 1"),
        ("write to standard error", "write, 2, BAD, 1"),
        ("write to the report pipe of the jail", "write, 4, BAD, 1"),
        ("read from standard input", "read, 0, BAD, 1"),
        ("read from a negative descriptor", "read, -1, BAD, 1"),
        ("close another descriptor", "close, 2"),
        ("copy its channel", "dup, 3"),
        ("copy its channel to a place", "dup3, 3, 9, 0"),
        ("copy its channel to a place, the old way", "dup2, 3, 9"),
        ("copy its channel by fcntl", "fcntl, 3, 0, 9"),
        ("make its channel signal it", "fcntl, 3, 4, 0x2000"),
        ("write pieces", "writev, 3, BAD, 1"),
        ("write pieces with flags", "pwritev2, 3, BAD, 1, 0, 0, 0"),
        ("read pieces", "readv, 3, BAD, 1"),
        ("poll many descriptors", "poll, BAD, 2, 0"),
        ("poll many descriptors with a mask", "ppoll, BAD, 1024, 0, 0, 0"),
        ("select", "pselect6, 4, BAD, 0, 0, 0, 0"),
        ("sleep by the old call", "nanosleep, BAD, 0"),
    ),
    *(_X86_ONLY if "arch_prctl" in NUMBERS else []),
    Attack("other conventions", "use a number beyond the table", "say(syscall(9999))"),
    Attack("other conventions", "use a negative number", "say(syscall(-1))"),
    Attack("python", "start a thread", "threading.Thread(target=print).start(); say('alive')"),
    Attack("python", "fork", "os.fork(); say('alive')"),
    Attack("python", "run a shell", "os.system('true'); say('alive')"),
    Attack("python", "spawn a program", "os.posix_spawn('/bin/true', ['true'], {}); say('alive')"),
    Attack("python", "connect", "socket.create_connection(('127.0.0.1', 80)); say('alive')"),
    Attack("python", "kill its parent", "os.kill(1, 9); say('alive')"),
    Attack("python", "leave a core file", "os.abort(); say('alive')"),
    Attack("python", "install a signal handler", "signal.signal(signal.SIGTERM, print); say('alive')"),
    Attack("python", "raise its limits", "os.nice(-5); say('alive')"),
    Attack("python", "make memory executable", "mmap.mmap(-1, 4096, flags=0x22, prot=7); say('alive')"),
    Attack("python", "open a file", "\ntry: open('/etc/passwd')\nexcept OSError as e: say(-e.errno)", "EPERM"),
    Attack("python", "create a file", "\ntry: open('/x', 'w')\nexcept OSError as e: say(-e.errno)", "EPERM"),
    Attack("python", "see processes", "\ntry: os.stat('/proc')\nexcept OSError as e: say(-e.errno)", "EPERM"),
    Attack(
        "python",
        "load a library",
        "\ntry: ctypes.CDLL('/none.so')\nexcept OSError as e: say(-1 if 'not permitted' in str(e) else e)",
        "EPERM",
    ),
)
