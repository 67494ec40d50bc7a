"""The socket loop of one run: frames in, effects out. The only file of the broker with I/O on a connection.

Theory of operation
-------------------
One non-blocking socket to one worker, on the agent's event loop. What can be read is cut into frames and
given to the `Session`; its effects are carried out in order. Four things keep a hostile worker from
hurting anybody else:

* a turn of the loop serves one worker for at most `TURN_S`, then the others have theirs;
* every turn costs the worker the processor time that it took. A granted measurement earns some, for the
  policy's rates already bound how many of those there are; the rest (refused and invalid calls, questions,
  output, fragments of frames) may take `SHARE` of a processor, for all such workers together. Who is in debt
  while another worker wants to be served is left unread for as long as the debt takes to be paid: its socket
  fills, and it blocks. Nobody waits while nobody else is there (`Turns`);
* what a worker does not read is kept for it up to `UNREAD_LIMIT_BYTES`, then the run ends;
* whatever goes wrong in here ends this run with a reason, and no other.

Descriptors that a worker attaches to its bytes are dropped by the kernel, as this side reads without room
for them (unix(7)).
"""

import asyncio
import functools
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import structlog

from onvp.policies.grant import Grant
from onvp.sandbox.broker import session as effects
from onvp.sandbox.broker.session import End, Halt, Probe, Send, Session, Tell
from onvp.sandbox.prober.errors import Inexpressible, ProberUnavailable
from onvp.sandbox.wire import calls, frames, link
from onvp.sandbox.wire.errors import Code, WireError

log = structlog.get_logger("onvp.broker")

TURN_S = 0.001
"""How long one worker is served before the others have their turn."""
TURN_COST_S = 20e-6
"""What a turn costs besides the time measured: waking up, asking the kernel what is readable."""
SHARE = 0.05
"""Of a processor: what those workers may take together that do not measure, while others want to be served."""
EARNED_S = 300e-6
"""What a granted measurement earns: enough for itself, and for the output that comes with it."""
BURST_S = 0.005
"""The most that a worker can have saved up."""
LATELY_S = 0.1
"""Who was served within this time wants to be served again."""
LOOK_S = 0.02
"""How often a worker that waits is looked at: it may be alone by now."""
PAUSE_LEAST_S = 0.005
"""A pause is not shorter: what arrives byte by byte is read in pieces, for the price of one turn."""
PAUSE_LIMIT_S = 2.0
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


class Turns:
    """Who was served lately, among the connections of one event loop."""

    def __init__(self) -> None:
        self._served: dict[object, float] = {}

    def note(self, who: object, now: float) -> None:
        """It was served."""
        self._served[who] = now

    def forget(self, who: object) -> None:
        """It has ended."""
        self._served.pop(who, None)

    def others(self, who: object, now: float) -> int:
        """How many others were served lately."""
        return sum(now - at < LATELY_S for other, at in self._served.items() if other is not who)


Method = TypeVar("Method", bound=Callable[..., None])


def _contained(method: Method) -> Method:
    """What goes wrong in an entry point of a connection ends its run, with a line in the log, and nothing else."""

    @functools.wraps(method)
    def contain(self: "Connection", *args: Any) -> None:
        try:
            method(self, *args)
        except Exception as error:  # noqa: BLE001 - the border: other runs are served by the same loop
            self._broken(error)

    return contain  # type: ignore[return-value]


class Connection:
    """Serves one worker until its run ends.

    Args:
        sock: the broker's end of the socket pair.
        session: the run's state machine.
        tell: takes every event of the run, in order.
        ended: called once, when the worker's last word or a breach or limit ends the run, or with None
            when the worker closed its end without a last word.
        room: returns when more events may be told; a run that tells much is slowed, not cut.
        turns: shared by the connections of one event loop.
    """

    def __init__(
        self,
        sock: socket.socket,
        session: Session,
        tell: Callable[[link.Body], None],
        ended: Callable[[End | None], None],
        room: Callable[[], Awaitable[None]],
        turns: Turns | None = None,
    ) -> None:
        self._sock = sock
        self._session = session
        self._tell = tell
        self._ended = ended
        self._room = room
        self._since_room = 0
        self._loop = asyncio.get_running_loop()
        self._deframer = frames.Deframer(limit_bytes=calls.FROM_WORKER_LIMIT_BYTES)
        self._bodies: deque[bytes] = deque()
        self._unsent = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._turns = turns if turns is not None else Turns()
        self._credit_s = BURST_S
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
        self._turns.forget(self)
        try:
            self._session.close(time.monotonic())
        except Exception:
            log.exception("session-not-closed")
        if self._timer is not None:
            self._timer.cancel()
        if self._waiting is not None:
            self._waiting.cancel()
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()

    # ---- what the prober session calls ----

    @_contained
    def on_record(self, task: int, connection: int, raw: bytes) -> None:
        """A raw record arrived."""
        self._carry_out(self._session.take_record(task, connection, raw, time.monotonic()))

    @_contained
    def on_failed(self, task: int, message: str, code: Code) -> None:
        """A task failed."""
        self._carry_out(self._session.take_failure(task, message, code, time.monotonic()))

    @_contained
    def on_gone(self, reason: str) -> None:
        """The prober is gone for good."""
        self._carry_out(self._session.take_gone(reason))

    # ---- reading ----

    @_contained
    def _readable(self) -> None:
        began = time.thread_time()
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
            self._bodies.extend(self._deframer.feed(data))
        except WireError as error:
            self._finish(End(Code.PROTOCOL, f"the worker broke its protocol: {error}"))
            return
        self._serve(began)

    def _serve(self, began: float) -> None:
        """Serve a turn's worth of frames; come back for the rest.

        Args:
            began: when the turn did, by this thread's processor time.
        """
        session, bodies = self._session, self._bodies
        granted = session.counters.granted
        until = time.monotonic() + TURN_S
        while bodies and (now := time.monotonic()) < until:
            body = bodies.popleft()
            self._since_room += len(body)
            self._carry_out(session.receive(body, now))
            if self._closed:
                return
        pause = self._pay(time.thread_time() - began + TURN_COST_S, session.counters.granted - granted)
        if self._since_room > ROOM_EVERY_BYTES:
            self._since_room = 0
            self._listen(False)
            self._waiting = asyncio.ensure_future(self._wait_for_room(time.monotonic() + pause))
        elif bodies or pause:
            # Not reading is what slows the worker down: its socket fills, and it blocks.
            self._listen(False)
            self._rest(time.monotonic() + pause)
        else:
            self._listen(True)

    @_contained
    def _rest(self, until: float) -> None:
        """Leave the worker unread until then, or until nobody else wants to be served."""
        if self._closed:
            return
        now = time.monotonic()
        if now < until and self._turns.others(self, now):
            self._loop.call_later(min(until - now, LOOK_S), self._rest, until)
        else:
            self._loop.call_soon(self._resume)

    @_contained
    def _resume(self) -> None:
        if not self._closed:
            self._serve(time.thread_time())

    def _listen(self, wanted: bool) -> None:
        """Read from the worker, or leave it unread."""
        if wanted != self._listening:
            self._listening = wanted
            if wanted:
                self._loop.add_reader(self._sock, self._readable)
            else:
                self._loop.remove_reader(self._sock)

    async def _wait_for_room(self, until: float) -> None:
        try:
            await self._room()
        except Exception as error:  # noqa: BLE001 - as in `_contained`
            self._broken(error)
        self._rest(until)

    def _pay(self, cost_s: float, granted: int) -> float:
        """Take a turn's cost from the worker's credit; how long to leave it unread, in seconds."""
        now = time.monotonic()
        self._turns.note(self, now)
        earned = (now - self._credited) * SHARE + granted * EARNED_S
        self._credit_s = min(BURST_S, self._credit_s + earned) - cost_s
        self._credited = now
        if self._credit_s >= 0:
            return 0.0
        others = self._turns.others(self, now)
        pause = min(max(-self._credit_s * others / SHARE, PAUSE_LEAST_S), PAUSE_LIMIT_S) if others else 0.0
        # The pause pays the debt; where there is none to wait for, it is forgiven.
        self._credit_s = 0.0
        self._credited += pause
        return pause

    # ---- effects ----

    def _carry_out(self, todo: list[effects.Effect]) -> None:
        # What an effect leads to is carried out next, and without recursion: a worker chooses how long that gets.
        stack = todo[::-1]
        while stack and not self._closed:
            effect = stack.pop()
            match effect:
                case Send(message):
                    self._send(message)
                case Probe(task, grant):
                    stack.extend(reversed(self._probe(task, grant)))
                case Tell(body):
                    self._tell(body)
                case Halt(task):
                    assert self.prober is not None
                    self.prober.halt(task)
                case End():
                    self._finish(effect)
                    return
        self._set_timer()

    def _probe(self, task: int, grant: Grant) -> list[effects.Effect]:
        assert self.prober is not None
        try:
            name = self.prober.submit(grant, task)
        except Inexpressible as error:
            return self._session.take_inexpressible(task, str(error), time.monotonic())
        except ProberUnavailable as error:
            return self._session.take_failure(task, str(error), Code.PROBER_LOST, time.monotonic())
        return self._session.take_submitted(task, name)

    def _set_timer(self) -> None:
        due = self._session.due()
        if due is None or self._closed:
            return
        if self._timer is not None:
            if (
                self._timer.when() <= self._loop.time() + max(0.0, due - time.monotonic())
                and not self._timer.cancelled()
            ):
                return
            self._timer.cancel()
        self._timer = self._loop.call_later(max(0.0, due - time.monotonic()), self._tick)

    @_contained
    def _tick(self) -> None:
        self._timer = None
        if not self._closed:
            self._carry_out(self._session.tick(time.monotonic()))

    def _finish(self, end: End | None) -> None:
        if not self._closed:
            self.close()
            self._ended(end)

    def _broken(self, error: Exception) -> None:
        log.error("broker-failed", exc_info=error)
        self._finish(End(Code.INTERNAL, f"the broker failed: {type(error).__name__}: {error}"))

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

    @_contained
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
