"""What the zygote gives up once, for itself and all workers: namespaces, files, user, capabilities.

Theory of operation
    A process cannot enter a new pid namespace itself, only its children can, and the map of users
    of a new user namespace can be written freely only from outside. So two processes take part:

        guard   the process that was started; stays outside, writes the map when asked, gives up
                its own privileges, then only waits for the zygote and ends with it
        zygote  process 1 of the new pid namespace: when it ends, the kernel kills every worker

    Started by root, the namespaces are made with root's privileges and owned by a user namespace
    that maps one user, `uid`, to itself: uid 0 does not exist inside. Started by another user, the
    same is done by way of an unprivileged user namespace.

    Some hosts forbid this, or half of it. Therefore it is rehearsed in a process that is thrown
    away: the namespaces are taken whole or not at all, and the reason is kept for the report.
    Without them the zygote only changes its user.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from onvp.sandbox.jail import _confine
from onvp.sandbox.jail.errors import ConfinementError
from onvp.sandbox.jail.levels import NAMESPACES
from onvp.sandbox.jail.steps import DieWithParent, NoNewPrivileges, Step, Undumpable, run

# linux/sched.h
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x0002_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
)  # fmt: skip
# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 0x4000, 0x4_0000
MNT_DETACH: Final = 2
# linux/prctl.h
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 23, 24, 47, 4
CAP_SETPCAP: Final = 8

_PLACE: Final = b"/usr"  # a directory that every system has, to mount the empty root over for a moment
_LINKS: Final = {"mount": "mnt"}  # where /proc's word is not ours

MAP_USERS, STAND_DOWN, DONE = b"map", b"down", b"done"  # what the zygote asks of its guard, and the answer


def links() -> Mapping[str, str]:
    """Which namespaces this process is in, as /proc names them."""
    return {n: str(Path(f"/proc/self/ns/{_LINKS.get(n, n)}").readlink()) for n in NAMESPACES}


@dataclass(frozen=True)
class Unshare:
    """New namespaces for this process; `map_users` gets the map written where the guard has to."""

    flags: int
    outside: Mapping[str, str]
    map_users: Callable[[], None]
    name = "namespaces"

    def describe(self) -> str:
        """What will be given up, for people."""
        return "own user, pid, mount, net, ipc and uts namespaces"

    def apply(self) -> None:
        """Leave the old ones."""
        _confine.unshare(self.flags)
        self.map_users()

    def verify(self) -> None:
        """Each differs from the host's, this is process 1, and the network is a lone dead loopback."""
        same = [name for name, link in links().items() if link == self.outside[name]]
        if same:
            raise ConfinementError(self.name, f"still the host's: {', '.join(same)}")
        if os.getpid() != 1:
            raise ConfinementError(self.name, f"process {os.getpid()} of its pid namespace, not 1")
        interfaces = [name for _, name in socket.if_nameindex()]
        if interfaces not in ([], ["lo"]):
            raise ConfinementError(self.name, f"network interfaces are in view: {interfaces}")


@dataclass(frozen=True)
class BecomeUser:
    """The user and group of the workers, with no other groups."""

    uid: int
    gid: int
    name = "user"

    def describe(self) -> str:
        """What will be given up, for people."""
        return f"become user {self.uid}, group {self.gid}"

    def apply(self) -> None:
        """Groups first.

        Afterwards the right to change them is gone. Nothing to do for who is that user already.
        """
        if os.geteuid() == 0 and os.getgroups():
            os.setgroups([])
        if set(os.getresgid()) != {self.gid}:
            os.setresgid(self.gid, self.gid, self.gid)
        if set(os.getresuid()) != {self.uid}:
            os.setresuid(self.uid, self.uid, self.uid)

    def verify(self) -> None:
        """All three ids of each kind, and none of them 0."""
        ids = {*os.getresuid(), *os.getresgid()}
        if ids != {self.uid, self.gid} or 0 in ids:
            raise ConfinementError(self.name, f"runs with user and group ids {sorted(ids)}")


@dataclass(frozen=True)
class HostName:
    """A name that says nothing, in the own uts namespace."""

    name = "host name"

    def describe(self) -> str:
        """What will be given up, for people."""
        return "host name 'onvp' instead of the machine's"

    def apply(self) -> None:
        """Set it."""
        socket.sethostname("onvp")

    def verify(self) -> None:
        """Read it back."""
        if socket.gethostname() != "onvp":
            raise ConfinementError(self.name, "the machine's name is still seen")


@dataclass(frozen=True)
class EmptyRoot:
    """The file system is one empty directory that nobody can write to."""

    name = "empty root"

    def describe(self) -> str:
        """What will be given up, for people."""
        return "an empty read-only file system in place of the machine's"

    def apply(self) -> None:
        """Mount it, swap it with the root, and let the old root go.

        Both at ".", see pivot_root(2).
        """
        _confine.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
        flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
        _confine.mount(b"none", _PLACE, b"tmpfs", flags, b"size=4k,nr_inodes=2,mode=555")
        os.chdir(_PLACE)
        _confine.pivot_root(b".", b".")
        _confine.unmount(b".", MNT_DETACH)
        os.chdir("/")

    def verify(self) -> None:
        """Nothing is in /, and it takes nothing."""
        if os.listdir("/") or os.listdir("/.."):  # noqa: PTH208 - pathlib would import more
            raise ConfinementError(self.name, "the root directory is not empty")
        if not os.statvfs("/").f_flag & os.ST_RDONLY:
            raise ConfinementError(self.name, "the root directory is writable")


@dataclass(frozen=True)
class LoseCapabilities:
    """No capability in any set, and none to be had from a file."""

    name = "capabilities"

    def describe(self) -> str:
        """What will be given up, for people."""
        return "every capability, and the bounding set where we are allowed to"

    def apply(self) -> None:
        """The bounding set first, as that needs CAP_SETPCAP.

        Without it no_new_privs does the same service.
        """
        if _confine.capabilities()[0] >> CAP_SETPCAP & 1:
            for capability in range(64):
                try:
                    _confine.prctl(PR_CAPBSET_DROP, capability)
                except OSError as error:
                    if error.errno != errno.EINVAL:  # one that this kernel does not know
                        raise
        _confine.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        _confine.drop_capabilities()

    def verify(self) -> None:
        """Read the sets back."""
        if any(_confine.capabilities()):
            raise ConfinementError(self.name, "capabilities are left")


# The two processes ------------------------------------------------------------------------------


def fork_inside(uid: int, gid: int) -> tuple[socket.socket, Mapping[str, str]]:
    """Fork the zygote into a new pid namespace; only the child returns, the caller stays as its guard.

    Args:
        uid: Who the zygote will be. When not started by root, who it already is.
        gid: Likewise.

    Returns:
        The line to the guard, and the namespaces outside.
    """
    outside = links()
    if os.geteuid() == 0:
        os.setgroups([])
        _confine.unshare(NEWPID)
    else:
        _confine.unshare(NEWUSER | NEWPID)
        _write_map("self", uid, gid)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child:
        theirs.close()
        _stand_guard(child, ours, uid, gid)
    ours.close()
    return theirs, outside


def inner_steps(uid: int, gid: int, line: socket.socket, outside: Mapping[str, str]) -> tuple[Step, ...]:
    """What the zygote does once it is inside and has loaded all that it needs from files."""
    flags = NEWNS | NEWNET | NEWIPC | NEWUTS
    by_root = os.geteuid() == 0
    return (
        Unshare(
            flags | (NEWUSER if by_root else 0),
            outside,
            (lambda: _ask(line, MAP_USERS)) if by_root else (lambda: None),
        ),
        BecomeUser(uid, gid),
        HostName(),
        EmptyRoot(),
        LoseCapabilities(),
        NoNewPrivileges(),
        Undumpable(),
        DieWithParent(0),
    )


def outer_steps(uid: int, gid: int) -> tuple[Step, ...]:
    """What remains where namespaces cannot be had."""
    return (BecomeUser(uid, gid), LoseCapabilities(), NoNewPrivileges(), Undumpable())


def stand_down(line: socket.socket) -> None:
    """Tell the guard to give up its own privileges.

    Its answer shows that it lived until after DieWithParent.
    """
    _ask(line, STAND_DOWN)
    line.close()


def rehearse(uid: int, gid: int) -> str:
    """Take the namespaces in a process that is thrown away.

    Returns:
        "" when everything held, else what did not.
    """
    hear, say = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            line, outside = fork_inside(uid, gid)
            run(inner_steps(uid, gid, line, outside))
            stand_down(line)
            os.write(say, b"+")
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
            os.write(say, _words(error).encode()[:4096])
        finally:
            os._exit(0)
    os.close(say)
    with os.fdopen(hear, "rb") as stream:
        answer = stream.read().decode(errors="replace")
    os.waitpid(child, 0)
    return "" if answer == "+" else answer or "the rehearsal ended without a word"


def _words(error: BaseException) -> str:
    """What went wrong, without the number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)


def _ask(line: socket.socket, request: bytes) -> None:
    line.send(request)
    answer = line.recv(256)
    if answer != DONE:
        problem = answer.decode(errors="replace") or "the guard process has ended"
        raise ConfinementError("namespaces", problem)


def _write_map(process: int | str, uid: int, gid: int) -> None:
    """One user and one group, each itself.

    Setgroups must be off before an unprivileged gid map (user_namespaces(7)).
    """
    own = Path(f"/proc/{process}")
    if process == "self":
        (own / "setgroups").write_text("deny")
    (own / "gid_map").write_text(f"{gid} {gid} 1")
    (own / "uid_map").write_text(f"{uid} {uid} 1")


def _stand_guard(zygote: int, line: socket.socket, uid: int, gid: int) -> NoReturn:
    """Answer the zygote's requests, then wait for its end and end alike. Never returns."""
    try:
        for descriptor in _confine.open_descriptors():
            if descriptor > 2 and descriptor != line.fileno():
                os.close(descriptor)  # above all the agent's socket: its end must be seen inside
        while request := line.recv(256):
            if request == MAP_USERS:
                _write_map(zygote, uid, gid)
                line.send(DONE)
            elif request == STAND_DOWN:
                run(outer_steps(uid, gid))
                line.send(DONE)
                break
        line.close()
        _, status = os.waitpid(zygote, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    except BaseException as error:  # noqa: BLE001 - the zygote dies with us, saying why
        try:
            line.send(_words(error).encode()[:250])
            os.waitpid(zygote, 0)
        finally:
            os._exit(1)
