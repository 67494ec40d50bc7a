"""Numbers of system calls that attacks use, on x86-64 and on aarch64; None where a machine has no such call.

From asm/unistd_64.h and asm-generic/unistd.h of Linux 6.1 and, for the newest, from the kernel's own table.
"""

from __future__ import annotations

import platform
from typing import Final

BOTH: Final[dict[str, tuple[int | None, int | None]]] = {
    "accept4": (288, 242), "access": (21, None), "acct": (163, 89), "add_key": (248, 217),
    "alarm": (37, None), "arch_prctl": (158, None), "bind": (49, 200), "bpf": (321, 280), "brk": (12, 214),
    "cachestat": (451, 451), "capset": (126, 91), "chmod": (90, None), "chroot": (161, 51),
    "clock_gettime": (228, 113), "clock_nanosleep": (230, 115), "clock_settime": (227, 112),
    "clone": (56, 220), "clone3": (435, 435), "close": (3, 57), "connect": (42, 203),
    "copy_file_range": (326, 285), "creat": (85, None), "delete_module": (176, 106), "dup": (32, 23),
    "dup2": (33, None), "dup3": (292, 24), "epoll_create1": (291, 20), "eventfd2": (290, 19),
    "execve": (59, 221), "execveat": (322, 281), "exit": (60, 93), "faccessat": (269, 48),
    "faccessat2": (439, 439), "fanotify_init": (300, 262), "fchdir": (81, 50), "fcntl": (72, 25),
    "finit_module": (313, 273), "fork": (57, None), "fsopen": (430, 430), "fspick": (433, 433),
    "fstat": (5, 80), "futex": (202, 98), "futex_waitv": (449, 449), "getcwd": (79, 17),
    "getdents64": (217, 61), "getppid": (110, 173), "getrandom": (318, 278), "getrlimit": (97, 163),
    "getsockopt": (55, 209), "getuid": (102, 174), "init_module": (175, 105), "inotify_init1": (294, 26),
    "io_setup": (206, 0), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425), "ioctl": (16, 29), "ioperm": (173, None), "iopl": (172, None),
    "ioprio_set": (251, 30), "kcmp": (312, 272), "kexec_file_load": (320, 294), "kexec_load": (246, 104),
    "keyctl": (250, 219), "kill": (62, 129), "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444), "landlock_restrict_self": (446, 446), "linkat": (265, 37),
    "listen": (50, 201), "listmount": (458, 458), "lookup_dcookie": (212, 18), "lseek": (8, 62),
    "lsm_get_self_attr": (459, 459), "madvise": (28, 233), "map_shadow_stack": (453, 453),
    "mbind": (237, 235), "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "migrate_pages": (256, 238), "mkdirat": (258, 34), "mknodat": (259, 33), "mlock": (149, 228),
    "mmap": (9, 222), "modify_ldt": (154, None), "mount": (165, 40), "mount_setattr": (442, 442),
    "move_mount": (429, 429), "move_pages": (279, 239), "mprotect": (10, 226), "mq_open": (240, 180),
    "mremap": (25, 216), "mseal": (462, 462), "msgget": (68, 186), "name_to_handle_at": (303, 264),
    "nanosleep": (35, 101), "newfstatat": (262, 79), "open": (2, None), "open_by_handle_at": (304, 265),
    "open_tree": (428, 428), "openat": (257, 56), "openat2": (437, 437), "perf_event_open": (298, 241),
    "personality": (135, 92), "pidfd_getfd": (438, 438), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pipe2": (293, 59), "pivot_root": (155, 41),
    "pkey_mprotect": (329, 288), "poll": (7, None), "ppoll": (271, 73), "prctl": (157, 167),
    "preadv": (295, 69), "prlimit64": (302, 261), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pselect6": (270, 72), "ptrace": (101, 117), "pwritev2": (328, 287), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "read": (0, 63), "readlink": (89, None), "readlinkat": (267, 78),
    "readv": (19, 65), "reboot": (169, 142), "recvfrom": (45, 207), "recvmmsg": (299, 243),
    "recvmsg": (47, 212), "remap_file_pages": (216, 234), "renameat2": (316, 276),
    "request_key": (249, 218), "rseq": (334, 293), "rt_sigaction": (13, 134),
    "rt_sigqueueinfo": (129, 138), "rt_sigreturn": (15, 139), "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119), "sched_yield": (24, 124), "seccomp": (317, 277),
    "select": (23, None), "semget": (64, 190), "sendfile": (40, 71), "sendmmsg": (307, 269),
    "sendmsg": (46, 211), "sendto": (44, 206), "set_mempolicy": (238, 237), "set_robust_list": (273, 99),
    "set_tid_address": (218, 96), "setdomainname": (171, 162), "setfsuid": (122, 151),
    "setgid": (106, 144), "setgroups": (116, 159), "sethostname": (170, 161), "setitimer": (38, 103),
    "setns": (308, 268), "setpgid": (109, 154), "setpriority": (141, 140), "setresuid": (117, 147),
    "setrlimit": (160, 164), "setsid": (112, 157), "setsockopt": (54, 208), "settimeofday": (164, 170),
    "setuid": (105, 146), "setxattr": (188, 5), "shmat": (30, 196), "shmget": (29, 194),
    "shutdown": (48, 210), "sigaltstack": (131, 132), "signalfd4": (289, 74), "socket": (41, 198),
    "socketpair": (53, 199), "splice": (275, 76), "stat": (4, None), "statmount": (457, 457),
    "statx": (332, 291), "swapon": (167, 224), "symlinkat": (266, 36), "sysinfo": (99, 179),
    "syslog": (103, 116), "tee": (276, 77), "tgkill": (234, 131), "timer_create": (222, 107),
    "timerfd_create": (283, 85), "times": (100, 153), "tkill": (200, 130), "truncate": (76, 45),
    "umount2": (166, 39), "uname": (63, 160), "unlinkat": (263, 35), "unshare": (272, 97),
    "userfaultfd": (323, 282), "utimensat": (280, 88), "vfork": (58, None), "vhangup": (153, 58),
    "vmsplice": (278, 75), "wait4": (61, 260), "waitid": (247, 95), "write": (1, 64), "writev": (20, 66),
}  # fmt: skip

_COLUMN = {"x86_64": 0, "aarch64": 1}[platform.machine()]
NUMBERS: Final[dict[str, int]] = {n: c for n, row in BOTH.items() if (c := row[_COLUMN]) is not None}
