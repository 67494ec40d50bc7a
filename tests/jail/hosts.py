"""Other hosts than this one: a zygote started as on a machine that gives us less.

Run as a program by `start`: it loads everything first (an unprivileged user may not be able to read the
interpreter's own files), takes from itself what such a host would not give, then becomes the zygote, or
asks the doctor's probes.
Container profiles are imitated by what they are, a seccomp filter with an errno.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNPRIVILEGED = 61_234
# Of the capabilities that Docker's default profile leaves, those that matter here: SETGID, SETUID, SETPCAP.
CONTAINER_CAPABILITIES = {6, 7, 8}

# Numbers on x86-64 and aarch64.
UNSHARE, MOUNT, SECCOMP = (272, 97), (165, 40), (317, 277)
LANDLOCK = (444, 444)


def start(host: str) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """A zygote on that host, and the socket to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, host, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env={"TZ": "UTC", "LC_ALL": "C.UTF-8"},
        )
    return ours, process


def probe(host: str) -> list[dict[str, str]]:
    """The findings of the doctor's probes on that host."""
    done = subprocess.run([sys.executable, __file__, host], check=True, capture_output=True)
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def deny(calls: dict[tuple[int, int], int]) -> None:
    """A filter that answers these calls with an errno and allows the rest."""
    from onvp.sandbox.jail import _confine

    column = 0 if os.uname().machine == "x86_64" else 1
    program = [(0x20, 0, 0, 0)]
    for numbers, code in calls.items():
        program += [(0x15, 0, 1, numbers[column]), (0x06, 0, 0, 0x0005_0000 | code)]
    program.append((0x06, 0, 0, 0x7FFF_0000))
    _confine.prctl(38, 1)
    _confine.install_filter(b"".join(struct.pack("=HBBI", *i) for i in program))


def become_unprivileged() -> None:
    """An ordinary user without capabilities."""
    from onvp.sandbox.jail import _confine

    os.setgroups([])
    os.setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
    os.setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
    _confine.prctl(4, 1)  # dumpable again, as after the exec that an ordinary user's process has behind it


def keep_capabilities(kept: set[int]) -> None:
    """Root with these capabilities only, as in a container: the rest leaves all sets (capset(2))."""
    import ctypes

    mask = sum(1 << capability for capability in kept)
    header = struct.pack("=Ii", 0x2008_0522, 0)
    data = struct.pack("=6I", mask, mask, 0, 0, 0, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, data):
        raise OSError(ctypes.get_errno(), "capset")


def main() -> None:
    """Take away, then be the zygote."""
    sys.path.insert(0, str(ROOT))
    host, *control = sys.argv[1:]
    from onvp.sandbox.jail import probes, zygote
    from tests.jail import native_entry  # noqa: F401 - loaded while it can be

    match host:
        case "unprivileged":
            become_unprivileged()
        case "unprivileged without user namespaces":
            become_unprivileged()
            deny({UNSHARE: errno.EPERM})
        case "container":
            keep_capabilities(CONTAINER_CAPABILITIES)
            deny({UNSHARE: errno.EPERM, MOUNT: errno.EPERM})
        case "namespaces without mounts":
            deny({MOUNT: errno.EPERM})
        case "kernel without landlock":
            deny({LANDLOCK: errno.ENOSYS})
        case "landlock switched off":
            deny({LANDLOCK: errno.EOPNOTSUPP})
        case "container of old without seccomp":
            deny({SECCOMP: errno.ENOSYS})
        case "root without capabilities":
            keep_capabilities(set())
            deny({UNSHARE: errno.EPERM})
        case _:
            raise ValueError(host)
    if control:
        sys.argv = ["", *control]
        zygote.main()
    found = [*probes.seccomp(), probes.landlock(), *probes.each_namespace(), *probes.limits()]
    print(json.dumps([{"name": f.name, "status": f.status, "advice": f.advice} for f in found]))


if __name__ == "__main__":
    main()
