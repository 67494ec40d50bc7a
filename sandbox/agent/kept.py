"""The agent's side of the keeper: start it while still root, then ask it for probers and zygotes.

`start_keeper` is synchronous and belongs before the agent drops root; `Kept` is the asyncio face of the
socket that it leaves. When the keeper is lost, everything that waits for it fails and ``on_lost`` is called:
an agent without its keeper cannot restart anything, and should end.
"""

import asyncio
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from onvp.sandbox.agent.keeper import (
    LIMIT_BYTES,
    Down,
    FromKeeper,
    Plan,
    Refused,
    Run,
    Service,
    Stop,
    ToKeeper,
    Up,
    Zygote,
)

PPS_MAX = 10_000
"""scamper(1): -p."""

_encode = msgspec.msgpack.Encoder().encode
_from_keeper = msgspec.msgpack.Decoder(FromKeeper)


class KeeperError(Exception):
    """The keeper could not do it, or is gone; the sentence says why."""


def scamper_service(program: str, folder: Path, *, monitor: str, pps: int, uid: int, gid: int) -> Service:
    """The service that is scamper.

    Args:
        program: its name or path.
        folder: for its socket.
        monitor: this vantage point's name, for the records.
        pps: packets per second, from the site's policy.
        uid: the agent's user.
        gid: the agent's group.
    """
    # A relative socket name: scamper writes it into every list record.
    argv = [program, "-U", "scamper.sock", "-M", monitor, "-p", str(min(max(pps, 1), PPS_MAX))]
    hint = (
        "Install it (Debian: apt install scamper), start the agent as root, or give the socket of a scamper "
        "that is already running"
    )
    return Service("scamper", argv, str(folder), "scamper.sock", uid, gid, hint)


def companion_service(folder: Path, *, monitor: str, uid: int, gid: int) -> Service:
    """The service that is the companion; it drops to ``nobody`` by itself."""
    argv = [sys.executable, "-I", "-m", "onvp.sandbox.companion.serve"]
    argv += ["--socket", str(folder / "companion.sock"), "--name", monitor]
    hint = "Reinstall onvp, or switch the companion off"
    return Service("companion", argv, str(folder), "companion.sock", uid, gid, hint, needs_root=False)


def start_keeper(services: list[Service]) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start the keeper with the rights that this process has now.

    Returns:
        The agent's end of the pair, for `Kept`, and the process, for whoever waits for it.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "onvp.sandbox.agent.keeper", str(theirs.fileno())],
            cwd="/",
            env={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    ours.send(_encode(Plan(services)))
    return ours, process


class Kept:
    """The keeper, as the agent's event loop sees it.

    Args:
        sock: from `start_keeper`.
        on_change: told of every `Up` and `Down`, also those that nobody waits for.
        on_lost: called once when the keeper is gone without `close`.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_change: Callable[[Up | Down], None] | None = None,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self._sock: socket.socket | None = sock
        self._on_change = on_change
        self._on_lost = on_lost
        self._starts: dict[str, list[asyncio.Future[int]]] = {}
        self._stops: dict[str, list[asyncio.Future[int]]] = {}
        self._zygotes: deque[asyncio.Future[socket.socket]] = deque()
        self._loop = asyncio.get_running_loop()
        sock.setblocking(False)
        self._loop.add_reader(sock, self._readable)

    async def start(self, name: str) -> int:
        """Start a service and wait until it listens; it is kept running from then on.

        Returns:
            Its process id.

        Raises:
            KeeperError: it did not start at the first try; the keeper goes on trying.
        """
        return await self._ask(Run(name), self._starts, name)

    async def stop(self, name: str) -> None:
        """End a service and wait until it has ended."""
        await self._ask(Stop(name), self._stops, name)

    async def zygote(self) -> socket.socket:
        """The agent's end of the socket to a new zygote (for `JailClient`).

        Raises:
            KeeperError: refused, or the keeper is gone.
        """
        future: asyncio.Future[socket.socket] = self._loop.create_future()
        self._send(Zygote())
        self._zygotes.append(future)
        return await future

    def close(self) -> None:
        """Let the keeper end everything, and itself."""
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None
            self._fail("the keeper was closed")

    async def _ask(self, message: ToKeeper, waiting: dict[str, list[asyncio.Future[int]]], name: str) -> int:
        future: asyncio.Future[int] = self._loop.create_future()
        self._send(message)
        waiting.setdefault(name, []).append(future)
        return await future

    def _send(self, message: ToKeeper) -> None:
        if self._sock is None:
            raise KeeperError("the keeper is gone")
        try:
            self._sock.send(_encode(message))
        except OSError as error:
            raise KeeperError(f"the keeper cannot be reached: {error}") from error

    def _readable(self) -> None:
        assert self._sock is not None
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, LIMIT_BYTES, 1)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self.close()
            if self._on_lost is not None:
                self._on_lost()
            return
        self._take(_from_keeper.decode(data), descriptors)

    def _take(self, message: FromKeeper, descriptors: list[int]) -> None:
        match message:
            case Up(name, pid):
                for future in self._starts.pop(name, []):
                    _settle(future, pid)
            case Down(name, reason, again_s):
                for future in self._stops.pop(name, []) if again_s is None else []:
                    _settle(future, 0)
                for future in self._starts.pop(name, []):
                    _settle(future, KeeperError(reason))
            case Zygote():
                sock = socket.socket(fileno=descriptors[0])
                future_socket = self._zygotes.popleft()
                if future_socket.done():
                    sock.close()
                else:
                    future_socket.set_result(sock)
            case Refused(reason):
                # Only a bug or a flood is refused; who asked is not told apart, so all who wait are.
                self._fail(f"the keeper refuses: {reason}")
        if isinstance(message, Up | Down) and self._on_change is not None:
            self._on_change(message)

    def _fail(self, why: str) -> None:
        waiting = [f for futures in (*self._starts.values(), *self._stops.values()) for f in futures]
        self._starts.clear()
        self._stops.clear()
        for future in waiting:
            _settle(future, KeeperError(why))
        while self._zygotes:
            zygote = self._zygotes.popleft()
            if not zygote.done():
                zygote.set_exception(KeeperError(why))


def _settle(future: asyncio.Future[int], result: int | KeeperError) -> None:
    if future.done():
        return
    if isinstance(result, KeeperError):
        future.set_exception(result)
    else:
        future.set_result(result)
