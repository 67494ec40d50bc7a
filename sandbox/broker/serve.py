"""The socket loop of one run: frames in, effects out. The only file of the broker with I/O on a connection.

Theory of operation
-------------------
One non-blocking socket to one worker, on the agent's event loop. What can be read is cut into frames and
given to the `Session`; its effects are carried out in order. Three things keep a hostile worker from
hurting anybody else:

* a turn of the loop serves at most `TURN_FRAMES` frames of one worker, then the others have theirs;
* a worker that sends more than `FRAMES_PER_S` frames a second is not read for a while: it blocks;
* what a worker does not read is kept for it up to `UNREAD_LIMIT_BYTES`, then the run ends.

Descriptors that a worker attaches to its bytes are dropped by the kernel, as this side reads without room
for them.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from onvp.policies.grant import Grant
from onvp.sandbox.broker import session as effects
from onvp.sandbox.broker.session import End, Halt, Probe, Send, Session, Tell
from onvp.sandbox.prober.errors import Inexpressible
from onvp.sandbox.wire import calls, frames, link
from onvp.sandbox.wire.errors import Code, WireError

TURN_FRAMES = 64
FRAMES_PER_S = 20_000
UNREAD_LIMIT_BYTES = 64 << 20
ROOM_EVERY_BYTES = 1 << 20
_READ_BYTES = 64 << 10


class Probing(Protocol):
    """What the loop needs of a prober session."""

    def submit(self, grant: Grant, task: int) -> str:
        """Start a granted action; its end comes to the connection's ``on_*`` methods. Gives the prober's name.

        Raises:
            Inexpressible: no prober here can do exactly that.
        """

    def halt(self, task: int) -> bool:
        """Ask for an early end."""


class Connection:
    """Serves one worker until its run ends.

    Args:
        sock: the broker's end of the socket pair.
        session: the run's state machine.
        tell: takes every event of the run, in order.
        ended: called once, when the worker's last word or a breach or limit ends the run, or with None
            when the worker closed its end without a last word.
        room: returns when more events may be told; a run that tells much is slowed, not cut.
    """

    def __init__(
        self,
        sock: socket.socket,
        session: Session,
        tell: Callable[[link.Body], None],
        ended: Callable[[End | None], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._sock = sock
        self._session = session
        self._tell = tell
        self._ended = ended
        self._room = room
        self._since_room = 0
        self._loop = asyncio.get_running_loop()
        self._deframer = frames.Deframer(limit_bytes=calls.FROM_WORKER_LIMIT_BYTES)
        self._bodies: list[bytes] = []
        self._unsent = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._credit = float(FRAMES_PER_S)
        self._credited = time.monotonic()
        self._closed = False
        self._listening = False
        self.prober: Probing | None = None
        sock.setblocking(False)

    def start(self, job: calls.Job) -> None:
        """Say what to run, and begin to listen."""
        self._send(job)
        self._listen(True)

    def close(self) -> None:
        """Stop; the worker sees the end of the connection. Safe to call again."""
        if self._closed:
            return
        self._closed = True
        self._session.close(time.monotonic())
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting is not None:
            self._waiting.cancel()
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()

    # ---- what the prober session calls ----

    def on_record(self, task: int, connection: int, raw: bytes) -> None:
        """A raw record arrived."""
        self._carry_out(self._session.take_record(task, connection, raw, time.monotonic()))

    def on_failed(self, task: int, message: str, code: Code) -> None:
        """A task failed."""
        self._carry_out(self._session.take_failure(task, message, code, time.monotonic()))

    def on_gone(self, reason: str) -> None:
        """The prober is gone for good."""
        self._carry_out(self._session.take_gone(reason))

    # ---- reading ----

    def _readable(self) -> None:
        try:
            data = self._sock.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._finish(None)
            return
        try:
            self._bodies += self._deframer.feed(data)
        except WireError as error:
            self._finish(End(Code.PROTOCOL, f"the worker broke its protocol: {error}"))
            return
        self._serve()

    def _serve(self) -> None:
        """Serve a turn's worth of frames; come back for the rest."""
        if self._closed:
            return
        turn, self._bodies = self._bodies[:TURN_FRAMES], self._bodies[TURN_FRAMES:]
        for body in turn:
            self._carry_out(self._session.receive(body, time.monotonic()))
            if self._closed:
                return
        pause = self._pay(len(turn))
        self._since_room += sum(map(len, turn))
        if self._since_room > ROOM_EVERY_BYTES:
            self._since_room = 0
            self._listen(False)
            self._waiting = asyncio.ensure_future(self._wait_for_room())
        elif self._bodies or pause:
            # Not reading is what slows the worker down: its socket fills, and it blocks.
            self._listen(False)
            self._loop.call_later(pause, self._serve)
        else:
            self._listen(True)

    def _listen(self, wanted: bool) -> None:
        """Read from the worker, or leave it unread."""
        if wanted != self._listening:
            self._listening = wanted
            if wanted:
                self._loop.add_reader(self._sock, self._readable)
            else:
                self._loop.remove_reader(self._sock)

    async def _wait_for_room(self) -> None:
        await self._room()
        self._serve()

    def _pay(self, count: int) -> float:
        """Take frames from the worker's credit; how long to leave it unread, in seconds."""
        now = time.monotonic()
        self._credit = min(FRAMES_PER_S, self._credit + (now - self._credited) * FRAMES_PER_S)
        self._credited = now
        self._credit -= count
        return 0.0 if self._credit >= 0 else -self._credit / FRAMES_PER_S

    # ---- effects ----

    def _carry_out(self, todo: list[effects.Effect]) -> None:
        for effect in todo:
            if self._closed:
                return
            match effect:
                case Send(message):
                    self._send(message)
                case Probe(task, grant):
                    self._probe(task, grant)
                case Tell(body):
                    self._tell(body)
                case Halt(task):
                    assert self.prober is not None
                    self.prober.halt(task)
                case End():
                    self._finish(effect)
                    return
        self._set_timer()

    def _probe(self, task: int, grant: Grant) -> None:
        assert self.prober is not None
        try:
            name = self.prober.submit(grant, task)
        except Inexpressible as error:
            self._carry_out(self._session.take_inexpressible(task, str(error), time.monotonic()))
        else:
            self._carry_out(self._session.take_submitted(task, name))

    def _set_timer(self) -> None:
        due = self._session.due()
        if due is None:
            return
        if self._timer is not None:
            if (
                self._timer.when() <= self._loop.time() + max(0.0, due - time.monotonic())
                and not self._timer.cancelled()
            ):
                return
            self._timer.cancel()
        self._timer = self._loop.call_later(max(0.0, due - time.monotonic()), self._tick)

    def _tick(self) -> None:
        self._timer = None
        if not self._closed:
            self._carry_out(self._session.tick(time.monotonic()))

    def _finish(self, end: End | None) -> None:
        if not self._closed:
            self.close()
            self._ended(end)

    # ---- writing ----

    def _send(self, message: calls.ToWorker) -> None:
        frame = frames.pack(calls.encode(message), limit_bytes=calls.TO_WORKER_LIMIT_BYTES)
        if not self._unsent:
            try:
                sent = self._sock.send(frame)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                return  # the reader will see the end of the connection
            if sent == len(frame):
                return
            self._unsent += memoryview(frame)[sent:]
            self._loop.add_writer(self._sock, self._writable)
            return
        self._unsent += frame
        if len(self._unsent) > UNREAD_LIMIT_BYTES:
            limit = UNREAD_LIMIT_BYTES >> 20
            self._finish(End(Code.LIMIT, f"the script left more than {limit} MiB of answers unread", limit="unread"))

    def _writable(self) -> None:
        try:
            sent = self._sock.send(memoryview(self._unsent)[: 1 << 20])
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._loop.remove_writer(self._sock)
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._sock)
