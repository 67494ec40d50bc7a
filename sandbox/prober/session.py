"""A run's use of one prober: submit, halt, deadlines, loss and return.

Theory of operation
-------------------
A `Session`'s connections are its own, so closing them ends everything that the run had under way and nothing
else. A task is in exactly one place:

    held back ──▶ waiting ──▶ in flight on one link ──▶ ended

and its end is told exactly once, by `Sink.on_record` or by `Sink.on_failed`.

Held back: until no task is under way that scamper could confuse it with (`claims`).

Which result belongs to which task: probers since 20230224 say so, and one link carries up to `WINDOW` tasks.
20211212 does not; there, one task at a time on each link is unambiguous without looking into the
record, and a session opens up to `POOL` links as it needs them.

Deadlines: no prober is trusted to finish. A task that is older than the longest it can take (`patience`),
plus the time that the prober's packet rate needs for everything sent meanwhile, plus a slack, is halted; if
that brings no result, it fails, and a link that cannot tell late results apart is dropped with it.

Loss: tasks in flight on a link that ends fail at once. Waiting ones and new ones are kept until the prober is
back, for at most `driver.RETURN_S` from the loss; after that they fail at once until it is back.

Callbacks come from the event loop, never from inside `Session.submit`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from onvp.policies.action import Action, Dns, Trace
from onvp.sandbox.prober import control
from onvp.sandbox.prober.claims import Ticket, claims_of
from onvp.sandbox.prober.control import State
from onvp.sandbox.prober.dialect import Generation
from onvp.sandbox.prober.errors import Inexpressible, ProberProtocolError, ProberUnavailable
from onvp.sandbox.prober.link import BACKLOG_BYTES, Link, connect
from onvp.sandbox.prober.patience import longest_s
from onvp.sandbox.wire.errors import Code

if TYPE_CHECKING:
    from onvp.sandbox.prober.driver import Prober

WINDOW = 1024
"""Tasks in flight on one connection to a prober that tells ids."""

POOL = 64
"""Connections of one session to a prober that does not."""

WAITING_LIMIT = 20_000
"""Tasks that a session has under way or waiting."""

SLACK_S = 5.0
"""Added to every deadline; and how long a halted task may take to deliver."""

FIRST_PROBE_S = 1.0
"""How long an idle prober may take from a command to its first probe."""

_SWEEP_S = 0.5


class Granted(Protocol):
    """What a policy's decision hands over; only its action matters here."""

    @property
    def action(self) -> Action:
        """What may be sent, as it was judged."""


class Sink(Protocol):
    """Where a session's results go."""

    def on_record(self, task: int, connection: int, raw: bytes) -> None:
        """A raw record: the task's result, or (task 0) a list or cycle record of the connection."""

    def on_failed(self, task: int, message: str, code: Code) -> None:
        """The task ended without a result."""

    def on_gone(self, reason: str) -> None:
        """After `Session.done`: everything has ended. Nothing comes after it."""


class _Job:
    """A task on its way."""

    __slots__ = (
        "action", "before", "halted_at", "id", "line", "link", "longest", "packets", "sent_at", "task",
        "ticket",
    )  # fmt: skip

    def __init__(self, task: int, action: Action, line: str, ticket: Ticket) -> None:
        self.task = task
        self.action = action
        self.line = line
        self.ticket = ticket
        self.packets = action.cost().packets
        self.longest = 0.0
        self.link: _Attached | None = None
        self.id: int | None = None  # the prober's number, once accepted
        self.sent_at = 0.0
        self.before = 0  # the prober's count of packets sent, less those that were under way
        self.halted_at: float | None = None


class _Attached(Link):
    """A link with the tasks that it carries."""

    jobs: dict[int, _Job]  # by task, until the prober has accepted
    running: dict[int, _Job]  # by the prober's id
    ready: bool

    @property
    def load(self) -> int:
        return len(self.jobs) + len(self.running)


class Session:
    """One run's use of one prober; made by `Prober.open_session`."""

    def __init__(self, prober: "Prober", sink: Sink, connections: Iterator[int]) -> None:
        self._prober = prober
        self._sink = sink
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._jobs: dict[int, _Job] = {}
        self._waiting: deque[_Job] = deque()
        self._links: list[_Attached] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._draining = False
        self._closed = False

    @property
    def outstanding(self) -> int:
        """Tasks that have not ended."""
        return len(self._jobs)

    def submit(self, grant: Granted, task: int) -> str:
        """Hand a granted action to the prober; its end is reported to the sink under ``task``.

        Returns:
            The prober's name.

        Raises:
            Inexpressible: this prober cannot do exactly that; nothing was sent and nothing will be reported.
        """
        if self._draining or self._closed:
            raise RuntimeError("the session takes no more tasks")
        if task in self._jobs or task == 0:
            raise ValueError(f"task number {task} is in use")
        prober, action = self._prober, grant.action
        line, dialect = prober.render(action), prober.dialect
        job = _Job(task, action, line, Ticket(claims_of(action, dialect), granted=lambda: self._admit(job)))
        self._jobs[task] = job
        if len(self._jobs) > WAITING_LIMIT:
            self._fail_soon(job, f"more than {WAITING_LIMIT} tasks are under way", Code.PROBER)
        elif prober.absent:
            self._fail_soon(job, f"{dialect.name} is gone", Code.PROBER_LOST)
        elif prober.claims.request(job.ticket):
            self._admit(job)
        return dialect.name

    def halt(self, task: int) -> bool:
        """End a task early: its partial result arrives as its result. False when there is no such task."""
        job = self._jobs.get(task)
        if job is None:
            return False
        if job.link is None:
            with suppress(ValueError):
                self._waiting.remove(job)
            self._fail_soon(job, "the task was halted before it was sent", Code.PROBER)
        elif job.halted_at is None:
            self._halt(job)
        return True

    def done(self) -> None:
        """No more tasks; `Sink.on_gone` follows when those under way have ended."""
        self._draining = True
        if not self._jobs:
            self._loop.call_soon(self._drain)

    def close(self) -> None:
        """End at once: the prober drops what is under way, and the sink hears nothing more."""
        self._closed = True
        # A name lookup that is taken from under 20211212 may kill it: such a link stays until its task has ended.
        for link in self._links:
            late = [job for job in [*link.jobs.values(), *link.running.values()] if self._looks_up(job)]
            if late:
                self._prober.linger(link, late[0].ticket)
                del self._jobs[late[0].task]
                self._prober.open_packets -= late[0].packets
            else:
                link.close()
        self._links.clear()
        jobs = list(self._jobs.values())
        self._prober.open_packets -= sum(job.packets for job in jobs if job.link is not None)
        self._jobs.clear()
        self._waiting.clear()
        for job in jobs:
            self._prober.claims.release(job.ticket)
        for timer in (self._sweeper, self._retry):
            if timer is not None:
                timer.cancel()
        self._prober.forget(self)

    # ---- what the prober's state means here ----

    def prober_back(self) -> None:
        """The daemon is there again, perhaps another release."""
        for job in list(self._waiting):
            try:
                job.line = self._prober.render(job.action)
            except Inexpressible as error:
                self._waiting.remove(job)
                self._fail(job, str(error), Code.UNSUPPORTED)
        self._pump()

    def prober_absent(self, why: str) -> None:
        """The daemon did not come back in time."""
        jobs = list(self._waiting)
        self._waiting.clear()
        for job in jobs:
            self._fail(job, f"{self._prober.dialect.name} did not come back: {why}", Code.PROBER_LOST)

    # ---- sending ----

    def _admit(self, job: _Job) -> None:
        """Nothing is under way that the prober could confuse it with."""
        if job.halted_at is not None or self._closed:
            return
        if self._prober.absent:
            self._fail_soon(job, f"{self._prober.dialect.name} is gone", Code.PROBER_LOST)
            return
        link = self._free_link() if self._prober.up and not self._waiting else None
        if link is not None:
            self._send(job, link)
        else:
            self._waiting.append(job)
            self._pump()

    def _free_link(self) -> "_Attached | None":
        slots = WINDOW if self._prober.dialect.tells_ids else 1
        for link in self._links:
            if link.ready and link.load < slots and link.unsent_bytes < BACKLOG_BYTES:
                return link
        return None

    def _pump(self) -> None:
        """Send what waits, and open links for what cannot be sent."""
        if self._closed or not self._prober.up:
            return
        while self._waiting:
            link = self._free_link()
            if link is None:
                break
            self._send(self._waiting.popleft(), link)
        tells_ids = self._prober.dialect.tells_ids
        most = 1 if tells_ids else POOL
        wanted = 1 if tells_ids else len(self._waiting)
        while self._waiting and len(self._links) < most:
            if sum(not link.ready for link in self._links) >= wanted or not self._open_link():
                break

    def _open_link(self) -> bool:
        try:
            sock = connect(self._prober.path)
        except ProberUnavailable:
            self._prober.check()
            return False
        if sock is None:
            self._retry = self._loop.call_later(0.01, self._pump)
            return False
        link = _Attached(sock, self._on_event, self._on_closed, number=next(self._connections))
        link.jobs, link.running, link.ready = {}, {}, False
        self._links.append(link)
        link.send(link.control.attach())
        return True

    def _send(self, job: _Job, link: "_Attached") -> None:
        prober = self._prober
        job.link = link
        job.sent_at = time.monotonic()
        job.longest = longest_s(job.action, time.time())
        job.before = prober.sent_packets - prober.open_packets
        prober.sent_packets += job.packets
        prober.open_packets += job.packets
        link.jobs[job.task] = job
        link.send(link.control.command(job.task, job.line))
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def _halt(self, job: _Job) -> None:
        """Send a halt, now or as soon as the prober survives it."""
        if self._looks_up(job):
            return  # it goes on to its end: see `close`
        now = time.monotonic()
        job.halted_at = now
        if job.id is None or job.link is None:
            return  # not accepted yet: the halt follows the acceptance
        if isinstance(job.action, Trace) and job.action.firsthop > 1:
            # Both generations die writing out the hops of a trace that is to begin beyond the first hop and
            # is halted before its first probe, which may have to wait for everything sent before it.
            probing = job.sent_at + FIRST_PROBE_S + self._prober.paced_s(job.before)
            if now < probing:
                job.halted_at = probing
                self._loop.call_later(probing - now, self._send_halt, job)
                return
        self._send_halt(job)

    def _looks_up(self, job: _Job) -> bool:
        """Whether 20211212 looks names up for it: it does not reliably survive an interruption of that."""
        old = self._prober.dialect.generation is Generation.OLD
        return old and (isinstance(job.action, Dns) or getattr(job.action, "ptr", False))

    def _send_halt(self, job: _Job) -> None:
        link = job.link
        if link is not None and job.id in link.running and link.control.state is not State.CLOSED:
            link.send(link.control.halt(job.id))

    # ---- what comes ----

    def _on_event(self, link: Link, event: control.Event) -> None:
        assert isinstance(link, _Attached)
        match event:
            case control.Record(_, True, data):
                self._sink.on_record(0, link.number, data)
            case control.Record():
                self._on_result(link, event)
            case control.Accepted(token, task_id):
                job = link.jobs.pop(token)
                job.id = task_id
                link.running[task_id] = job
                if job.halted_at is not None:
                    self._halt(job)
            case control.Refused(token, reason):
                why = f": {reason}" if reason else ""
                message = f"{self._prober.dialect.name} did not accept the command{why}"
                self._fail(link.jobs.pop(token), message, Code.PROBER)
            case control.Attached():
                link.ready = True
                self._pump()
            case control.Oversized(task_id, size) if (late := self._job_of(link, task_id)) is not None:
                self._fail(late, f"its result of about {size} bytes is over the limit", Code.PROBER)

    def _job_of(self, link: "_Attached", task_id: int | None) -> "_Job | None":
        if task_id is not None:
            return link.running.pop(task_id, None)
        if self._prober.dialect.tells_ids or len(link.running) != 1:
            raise ProberProtocolError("a result that belongs to no task")
        return link.running.popitem()[1]

    def _on_result(self, link: "_Attached", record: control.Record) -> None:
        job = self._job_of(link, record.id)
        if job is None:
            return  # late, of a task that was given up
        self._forget(job)
        self._sink.on_record(job.task, link.number, record.data)
        self._go_on()

    def _on_closed(self, link: Link, reason: str) -> None:
        assert isinstance(link, _Attached)
        with suppress(ValueError):
            self._links.remove(link)
        if link.control.state is State.CLOSED and self._draining and not link.load:
            self._gone_when_drained()
            return
        name = self._prober.dialect.name
        what = f"{name} broke the connection ({reason})" if reason else f"{name} ended"
        for job in [*link.jobs.values(), *link.running.values()]:
            self._fail(job, f"{what} while the task was under way", Code.PROBER_LOST)
        if not self._closed:
            self._prober.check()

    # ---- ends ----

    def _fail_soon(self, job: _Job, message: str, code: Code) -> None:
        job.halted_at = time.monotonic()  # it will not be sent any more
        self._loop.call_soon(self._fail, job, message, code)

    def _fail(self, job: _Job, message: str, code: Code) -> None:
        if self._jobs.get(job.task) is not job:
            return
        self._forget(job)
        self._sink.on_failed(job.task, message, code)
        self._go_on()

    def _forget(self, job: _Job) -> None:
        del self._jobs[job.task]
        if job.link is not None:
            self._prober.open_packets -= job.packets
        self._prober.claims.release(job.ticket)

    def _go_on(self) -> None:
        if self._waiting:
            self._pump()
        elif self._draining and not self._jobs:
            self._drain()

    def _drain(self) -> None:
        """Everything has ended: let the prober end each connection in good order (a cycle-stop record)."""
        if self._closed:
            return
        for link in list(self._links):
            if link.ready and link.control.state is State.ATTACHED:
                link.send(link.control.done())
            elif not link.ready:
                link.close()
                self._links.remove(link)
        self._loop.call_later(SLACK_S, self._gone)
        self._gone_when_drained()

    def _gone_when_drained(self) -> None:
        if not self._links and not self._jobs:
            self._gone()

    def _gone(self) -> None:
        if not self._closed:
            self.close()
            self._sink.on_gone("")

    def _sweep(self) -> None:
        """Halt what is overdue, give up what a halt did not end."""
        self._sweeper = None
        now, prober = time.monotonic(), self._prober
        for job in list(self._jobs.values()):
            if job.link is None:
                continue
            if job.halted_at is not None:
                if now - job.halted_at > SLACK_S:
                    self._give_up(job)
            elif now - job.sent_at > job.longest + SLACK_S + prober.paced_s(job.before):
                self._halt(job)
        if any(job.link is not None for job in self._jobs.values()):
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    def _give_up(self, job: _Job) -> None:
        link = job.link
        assert link is not None
        link.jobs.pop(job.task, None)
        if job.id is not None:
            link.running.pop(job.id, None)
        name = self._prober.dialect.name
        drop = job.id is None or not self._prober.dialect.tells_ids
        if drop and link in self._links:
            # What comes late here could not be told from the next task's result.
            self._links.remove(link)
            link.close()
        waited = time.monotonic() - job.sent_at
        self._fail(job, f"{name} did not deliver within {waited:.0f} s, nor when halted", Code.PROBER)
        if drop:
            for other in [*link.jobs.values(), *link.running.values()]:
                self._fail(other, f"{name} stopped answering on this connection", Code.PROBER)
