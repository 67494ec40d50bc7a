"""The one process that stays root: it starts probers and zygotes, and does nothing else.

Theory of operation
-------------------
The agent starts the keeper while it is still root itself, and tells it once what may ever be started (`Plan`).
Then the agent drops root for good. From there on the two share a SOCK_SEQPACKET pair and a closed vocabulary:
`Run` and `Stop` name a service of the plan, `Zygote` asks for a fork server; no message carries a
program, an argument or a path. The keeper answers with `Up`, `Down` and `Zygote`'s socket (SCM_RIGHTS).

    OFF ──Run──▶ STARTING ──socket listens──▶ UP ──dies──▶ WAITING ──back-off──▶ STARTING
                    └──────dies, or too slow──────────────────▲
    any ──Stop──▶ STOPPING (TERM, then KILL) ──▶ OFF

A service's socket lies in a folder that only root can write and only the agent's group can enter; once the
service listens, the socket becomes the agent's own.

Nothing outlives the keeper, and the keeper does not outlive the agent: when the agent's end of the pair
closes, everything is ended. Should the keeper itself be killed, a guard that it forked at the start sees its
pipe close and kills what is left (a parent-death signal would not do: scamper changes its user, which clears
it).

Single-threaded; sleeps in poll(2) until a message, a death, a line of stderr or a moment comes.
"""

import contextlib
import enum
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import ClassVar, NoReturn

import msgspec

from onvp.sandbox.jail.spawn import start_zygote

LIMIT_BYTES = 64 << 10
START_S = 10.0
"""How long a service may take until it listens."""

STOP_S = 2.0
"""How long a service may take to end when asked."""

BACK_OFF_S = (0.1, 0.5, 2.0, 10.0, 30.0)
"""Pauses before a restart; a service that was up for the longest of them begins anew."""

ZYGOTES_PER_MINUTE = 60
_LOOK_S = 0.01
_TAIL_BYTES = 2048


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that may be started.

    Attributes:
        name: what the agent calls it.
        argv: the program and all its arguments.
        folder: where it runs, and where its socket lies; made if it is not there.
        socket: the socket's name in the folder.
        uid: who may connect.
        gid: that user's group.
        hint: what to do when it cannot be started.
        needs_root: whether it cannot do its work otherwise.
    """

    name: str
    argv: list[str]
    folder: str
    socket: str
    uid: int
    gid: int
    hint: str = ""
    needs_root: bool = True

    @property
    def path(self) -> Path:
        """Where it will listen."""
        return Path(self.folder) / self.socket


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    pass


class Plan(_Message, frozen=True, tag="plan"):
    """All that may ever be started. The first message, and the only one of its kind."""

    services: list[Service]


class Run(_Message, frozen=True, tag="run"):
    """Start a service, and keep it running."""

    name: str


class Stop(_Message, frozen=True, tag="stop"):
    """End a service."""

    name: str


class Zygote(_Message, frozen=True, tag="zygote"):
    """Start a zygote. The answer has the same name, and carries the socket to it."""


class Up(_Message, frozen=True, tag="up"):
    """The service listens."""

    name: str
    pid: int


class Down(_Message, frozen=True, tag="down"):
    """The service is not there; ``again_s`` is the pause before the next try, None after `Stop`."""

    name: str
    reason: str
    again_s: float | None = None


class Refused(_Message, frozen=True, tag="refused"):
    """The keeper does not do that."""

    reason: str


ToKeeper = Plan | Run | Stop | Zygote
FromKeeper = Up | Down | Zygote | Refused

_encode = msgspec.msgpack.Encoder().encode
_to_keeper = msgspec.msgpack.Decoder(ToKeeper)


class _State(enum.Enum):
    OFF = enum.auto()
    STARTING = enum.auto()
    UP = enum.auto()
    WAITING = enum.auto()
    STOPPING = enum.auto()


class _Kept:
    """A service and how it stands."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.state = _State.OFF
        self.process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        self.tail = b""  # the last of its stderr
        self.since = 0.0
        self.due = 0.0  # when the state is left at the latest
        self.failures = 0
        self.wanted = False
        self.was_up = False
        self.made = False  # its folder is ours


class Keeper:
    """The process's loop.

    Args:
        agent: the keeper's end of the pair.
        plan: what may be started.
        guard: where the pids of services are written, for the guard.
    """

    def __init__(self, agent: socket.socket, plan: Plan, guard: int) -> None:
        self._agent = agent
        self._guard = guard
        self._kept = {service.name: _Kept(service) for service in plan.services}
        self._zygotes: list[subprocess.Popen[bytes]] = []
        self._zygote_times: list[float] = []
        self._poll = select.poll()
        self._poll.register(agent, select.POLLIN)

    def serve(self) -> None:
        """Serve until the agent closes its end."""
        try:
            while self._turn():
                pass
        finally:
            self._end_all()

    def _turn(self) -> bool:
        now = time.monotonic()
        moments = [kept.due for kept in self._kept.values() if kept.due]
        timeout = max(0.0, min(moments) - now) if moments else None
        ready = {fd for fd, _ in self._poll.poll(None if timeout is None else timeout * 1000 + 1)}
        if self._agent.fileno() in ready and not self._hear():
            return False
        now = time.monotonic()
        for kept in self._kept.values():
            self._look(kept, now)
        self._zygotes = [zygote for zygote in self._zygotes if zygote.poll() is None]
        return True

    def _hear(self) -> bool:
        try:
            data = self._agent.recv(LIMIT_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            return False
        try:
            message = _to_keeper.decode(data)
        except msgspec.MsgspecError as error:
            self._tell(Refused(f"not a message to the keeper: {error}"))
            return True
        match message:
            case Run(name) if name in self._kept:
                self._run(self._kept[name])
            case Stop(name) if name in self._kept:
                self._stop(self._kept[name])
            case Zygote():
                self._start_zygote()
            case Plan():
                self._tell(Refused("the plan is made once"))
            case _:
                self._tell(Refused("there is no such service in the plan"))
        return True

    def _tell(self, message: FromKeeper, *descriptors: int) -> None:
        with contextlib.suppress(OSError):
            socket.send_fds(self._agent, [_encode(message)], list(descriptors))

    # ---- services ----

    def _run(self, kept: _Kept) -> None:
        kept.wanted = True
        if kept.state is _State.UP and kept.process is not None:
            self._tell(Up(kept.service.name, kept.process.pid))
        elif kept.state in {_State.OFF, _State.WAITING}:
            kept.failures = 0
            self._start(kept)

    def _stop(self, kept: _Kept) -> None:
        kept.wanted = False
        if kept.process is not None:
            kept.process.terminate()
            kept.state, kept.due = _State.STOPPING, time.monotonic() + STOP_S
        else:
            kept.state, kept.due = _State.OFF, 0.0
            self._tell(Down(kept.service.name, "stopped"))

    def _start(self, kept: _Kept) -> None:
        service = kept.service
        try:
            if service.needs_root and os.geteuid() != 0:
                raise OSError("it needs root for raw sockets, and the agent was not started as root")
            prepare_folder(service)
            kept.made = True
            if listens(service.path):
                raise OSError(f"something listens at {service.path} already: is another agent running?")
            service.path.unlink(missing_ok=True)
            kept.process = subprocess.Popen(
                service.argv,
                cwd=service.folder,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            self._down(kept, f"{service.name} cannot be started: {error}")
            return
        os.write(self._guard, b"+%d\n" % kept.process.pid)
        assert kept.process.stderr is not None
        os.set_blocking(kept.process.stderr.fileno(), False)
        kept.pidfd = os.pidfd_open(kept.process.pid)
        self._poll.register(kept.pidfd, select.POLLIN)
        self._poll.register(kept.process.stderr, select.POLLIN)
        kept.tail = b""
        kept.since = time.monotonic()
        kept.state, kept.due = _State.STARTING, kept.since + _LOOK_S

    def _look(self, kept: _Kept, now: float) -> None:
        """What has become of it since the last turn."""
        if kept.process is not None:
            self._read_tail(kept)
            if kept.process.poll() is not None:
                self._died(kept, now)
                return
        if now < kept.due or not kept.due:
            return
        if kept.state is _State.STARTING:
            if listens(kept.service.path):
                self._hand_over(kept)
            elif now - kept.since > START_S:
                assert kept.process is not None
                kept.process.kill()
                kept.tail += b"it did not listen in time"
                kept.due = now + STOP_S
            else:
                kept.due = now + _LOOK_S
        elif kept.state is _State.WAITING:
            self._start(kept)
        elif kept.state is _State.STOPPING and kept.process is not None:
            kept.process.kill()
            kept.due = now + STOP_S

    def _hand_over(self, kept: _Kept) -> None:
        """It listens: the socket becomes the agent's."""
        assert kept.process is not None
        service = kept.service
        if os.geteuid() == 0:
            os.chown(service.path, service.uid, service.gid, follow_symlinks=False)
            service.path.chmod(0o600)
        kept.state, kept.due, kept.was_up = _State.UP, 0.0, True
        self._tell(Up(service.name, kept.process.pid))

    def _read_tail(self, kept: _Kept) -> None:
        assert kept.process is not None
        assert kept.process.stderr is not None
        with contextlib.suppress(BlockingIOError):
            data = os.read(kept.process.stderr.fileno(), 65536)
            if data:
                kept.tail = (kept.tail + data)[-_TAIL_BYTES:]
            else:
                # All its writers have gone; poll would report that for ever.
                with contextlib.suppress(KeyError):
                    self._poll.unregister(kept.process.stderr)

    def _died(self, kept: _Kept, now: float) -> None:
        process, was = kept.process, kept.state
        assert process is not None
        assert process.stderr is not None
        self._poll.unregister(kept.pidfd)
        with contextlib.suppress(KeyError):
            self._poll.unregister(process.stderr)
        process.stderr.close()
        os.close(kept.pidfd)
        kept.process = None
        os.write(self._guard, b"-%d\n" % process.pid)
        if was is _State.UP and now - kept.since > BACK_OFF_S[-1]:
            kept.failures = 0
        status = process.returncode
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        if was is _State.STARTING:
            how = "did not start: it " + how
        last = kept.tail.decode("utf-8", "replace").strip()
        self._down(kept, f"{kept.service.name} {how}" + (f"; it said: {last}" if last else ""))

    def _down(self, kept: _Kept, reason: str) -> None:
        name = kept.service.name
        if not kept.wanted:
            kept.state, kept.due = _State.OFF, 0.0
            self._tell(Down(name, "stopped"))
            return
        pause = BACK_OFF_S[min(kept.failures, len(BACK_OFF_S) - 1)]
        kept.failures += 1
        kept.state, kept.due = _State.WAITING, time.monotonic() + pause
        hint = f". {kept.service.hint}" if kept.service.hint and not kept.was_up else ""
        self._tell(Down(name, reason + hint, pause))

    # ---- zygotes ----

    def _start_zygote(self) -> None:
        now = time.monotonic()
        self._zygote_times = [t for t in self._zygote_times if now - t < 60]
        if len(self._zygote_times) >= ZYGOTES_PER_MINUTE:
            self._tell(Refused(f"more than {ZYGOTES_PER_MINUTE} zygotes a minute"))
            return
        self._zygote_times.append(now)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            try:
                self._zygotes.append(start_zygote(theirs))
            except OSError as error:
                self._tell(Refused(f"the zygote cannot be started: {error}"))
                return
            self._tell(Zygote(), ours.fileno())

    # ---- the end ----

    def _end_all(self) -> None:
        # Zygotes end by themselves, as the agent's ends of their sockets are closed.
        running = [kept.process for kept in self._kept.values() if kept.process is not None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for kept in self._kept.values():
            # Only what we made goes, and only when it is empty: what somebody else uses stays.
            folder = Path(kept.service.folder)
            with contextlib.suppress(OSError):
                if kept.made and not listens(kept.service.path):
                    kept.service.path.unlink(missing_ok=True)
                    folder.rmdir()
                folder.parent.rmdir()


def prepare_folder(service: Service) -> None:
    """A folder that only root can write and only the agent's group can enter.

    Raises:
        OSError: it is somebody else's, or its path is too long for a socket's address.
    """
    folder = Path(service.folder)
    if len(os.fsencode(service.path)) > 107:
        raise OSError(f"{service.path} is too long for a socket; give a folder with a shorter path")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise OSError(f"{folder} belongs to somebody else; remove it")
    if os.geteuid() == 0:
        os.chown(folder, 0, service.gid)
        folder.chmod(0o710)


def listens(path: Path) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        try:
            sock.connect(str(path))
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


class _Ended(Exception):
    """Somebody asked the keeper to end."""

    signals: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise _Ended


def start_guard(close: socket.socket) -> int:
    """Fork the process that kills what a killed keeper leaves; returns the pipe to tell it pids."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(writer)
        close.close()
        _guard(reader)
    os.close(reader)
    return writer


def _guard(reader: int) -> NoReturn:
    for number in _Ended.signals:
        signal.signal(number, signal.SIG_IGN)
    pids: set[int] = set()
    rest = b""
    while data := os.read(reader, 4096):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            (pids.add if line[:1] == b"+" else pids.discard)(int(line[1:]))
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    os._exit(0)


def main(argv: list[str]) -> int:
    """`python -m onvp.sandbox.agent.keeper FD`: the process itself."""
    os.chdir("/")
    os.umask(0o022)
    agent = socket.socket(fileno=int(argv[1]))
    agent.set_inheritable(False)
    data = agent.recv(LIMIT_BYTES)
    if not data:
        return 0
    plan = _to_keeper.decode(data)
    if not isinstance(plan, Plan):
        return 2
    guard = start_guard(agent)
    for number in _Ended.signals:
        signal.signal(number, _end)
    with contextlib.suppress(_Ended):
        Keeper(agent, plan, guard).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
