"""The agent's face of the jail: start a zygote, spawn workers, kill them, learn why they ended.

Theory of operation
    start_zygote   synchronous and small: any process may call it, above all one that is still
                   root. It returns at once; all further talk goes over the socket, whose other
                   end may have been handed to another process.
    JailClient     the asyncio side of that socket. Every spawned worker gets exactly one `End`,
                   even when the zygote is lost.
    Jail           both in one, for who needs no split.

    spawn -> Fork + descriptor -> Started -> ... -> Ended -> End
    A worker's wall time is kept here, its CPU time and memory by the zygote and the kernel.
"""

from __future__ import annotations

import asyncio
import enum
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from onvp.sandbox.jail import messages
from onvp.sandbox.jail.errors import LevelTooLow, SpawnError, ZygoteGone
from onvp.sandbox.jail.levels import LevelReport
from onvp.sandbox.jail.limits import Limits
from onvp.sandbox.jail.messages import Configure

# All that a zygote finds around it: nothing of the agent's environment reaches a worker.
_ENVIRONMENT: Final = {"TZ": "UTC", "LC_ALL": "C.UTF-8"}


START_S: Final = 60  # to load everything, on a slow machine
ANSWER_S: Final = 30  # to hand out one worker, on a busy one


class Cause(enum.StrEnum):
    """Why a worker ended."""

    EXITED = "exited"  # by itself; `status` says how
    LIMIT = "limit"  # `limit` names which: cpu, memory, wall
    KILLED = "killed"  # the agent asked; `detail` is the reason it gave
    VIOLATION = "violation"  # a system call that the filter forbids
    CRASHED = "crashed"  # another signal: a fault of the interpreter, or somebody outside
    UNCONFINED = "unconfined"  # a layer failed, the entry point was never called
    LOST = "lost"  # the zygote is gone, and the worker with it


@dataclass(frozen=True)
class End:
    """How a worker ended.

    Attributes:
        cause: Which of the seven.
        status: Exit status, when it exited.
        signal: The signal, when one ended it.
        limit: "cpu", "memory" or "wall" when cause is LIMIT.
        detail: A sentence for people.
        cpu_s: Processor time used.
        peak_bytes: Largest resident size, shared pages included.
    """

    cause: Cause
    status: int | None = None
    signal: int | None = None
    limit: str = ""
    detail: str = ""
    cpu_s: float = 0.0
    peak_bytes: int = 0


def zygote_command(control: int, python: str | None = None) -> list[str]:
    """The command line of a zygote whose socket to the agent is descriptor `control`."""
    return [python or sys.executable, "-I", "-m", "onvp.sandbox.jail.zygote", str(control)]


def start_zygote(control: socket.socket, python: str | None = None) -> subprocess.Popen[bytes]:
    """Start a zygote on one end of a SOCK_SEQPACKET pair; the caller closes its copy of that end
    and waits for the process.

    It ends when the other end of the pair is closed everywhere.
    """
    return subprocess.Popen(
        zygote_command(control.fileno(), python),
        env=_ENVIRONMENT,
        cwd="/",
        pass_fds=(control.fileno(),),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # a terminal's Ctrl-C is the agent's business
    )


class Worker:
    """One spawned worker.

    `socket` is the broker's end of its channel, non-blocking, the caller's to close.
    """

    def __init__(self, client: JailClient, number: int, limits: Limits, ours: socket.socket) -> None:
        self.number, self.limits, self.socket = number, limits, ours
        self._client = client
        self._asked = ""  # why we killed it
        self._limit = ""  # which limit of ours it met
        loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = loop.create_future()
        self._end: asyncio.Future[End] = loop.create_future()
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Worker {self.number}>"

    def kill(self, reason: str) -> None:
        """End it now; `wait` then tells this reason, unless it ended before by itself."""
        if not self._end.done() and not self._asked and not self._limit:
            self._asked = reason
            self._client._send(messages.Kill(self.number))

    async def wait(self) -> End:
        """How it ended. Any number of callers may wait."""
        return await asyncio.shield(self._end)

    def _over_time(self) -> None:
        if not self._end.done() and not self._asked:
            self._limit = "wall"
            self._client._send(messages.Kill(self.number))

    def _has_started(self) -> None:
        if not self._started.done():
            self._started.set_result(None)
        if self.limits.wall_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.limits.wall_s, self._over_time)

    def _has_ended(self, end: End) -> None:
        if self._timer:
            self._timer.cancel()
        if not self._started.done():
            self._started.set_result(None)
        if not self._end.done():
            self._end.set_result(end)

    def _explain(self, message: messages.Ended) -> End:
        """What the zygote saw, joined with what was asked for here."""
        status, by, cause, limit = message.status, message.signal, Cause.EXITED, message.limit
        detail = f"exit status {status}"
        if message.failed:
            cause, detail = Cause.UNCONFINED, message.failed
        elif limit:
            cause, detail = Cause.LIMIT, f"the {limit} limit was reached"
        elif by == signal.SIGKILL and self._limit:
            cause, limit, detail = Cause.LIMIT, self._limit, f"the {self._limit} limit was reached"
        elif by == signal.SIGKILL and self._asked:
            cause, detail = Cause.KILLED, self._asked
        elif by == signal.SIGSYS:
            cause = Cause.VIOLATION
            detail = "policy violation: a system call that scripts do not have (SIGSYS)"
        elif by is not None:
            cause, detail = Cause.CRASHED, f"ended by {_signal_name(by)}"
            if by == signal.SIGSEGV:
                detail += ": a fault of the interpreter, or its stack was used up"
        return End(cause, status, by, limit, detail, message.cpu_s, message.peak_bytes)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class JailClient:
    """The agent's end of the socket to one zygote."""

    def __init__(self, control: socket.socket) -> None:
        control.setblocking(False)
        self.forks = 0  # so far; the agent replaces a zygote after so many, for a new address layout
        self.workers: dict[int, Worker] = {}
        self.report: LevelReport | None = None
        self._control = control
        self._ready: asyncio.Future[LevelReport] | None = None
        self._gone = ""
        self._outbox: deque[tuple[bytes, int]] = deque()  # message, descriptor that goes along or -1
        self._writing = False

    async def start(self, config: Configure) -> LevelReport:
        """Configure the zygote and wait until it is warm.

        Raises:
            LevelTooLow: It reached less than `config.least`.
            ZygoteGone: It could not start, and says why.
        """
        loop = asyncio.get_running_loop()
        self._ready = loop.create_future()
        loop.add_reader(self._control, self._receive)
        self._send(config)
        try:
            async with asyncio.timeout(START_S):
                self.report = report = await self._ready
        except TimeoutError:
            self._lose(f"the zygote was not ready within {START_S} s")
            raise ZygoteGone(self._gone) from None
        if report.level < config.least:
            self.close()
            raise LevelTooLow(str(report.level), str(config.least), report.why_not_higher)
        return report

    async def spawn(self, limits: Limits, *, entry: Literal["run", "selftest"] = "run") -> Worker:
        """Fork a worker. It confines itself while we return; a layer that fails ends it as UNCONFINED.

        Raises:
            SpawnError: No socket pair or no process could be had.
            ZygoteGone: There is nobody to fork it.
        """
        if self._gone:
            raise ZygoteGone(self._gone)
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise SpawnError(f"no socket for a worker: {error.strerror}") from error
        ours.setblocking(False)
        self.forks += 1
        worker = Worker(self, self.forks, limits, ours)
        self.workers[worker.number] = worker
        self._send(messages.Fork(worker.number, limits, entry), theirs.detach())
        try:
            async with asyncio.timeout(ANSWER_S):
                await worker._started
        except TimeoutError:
            self._lose(f"the zygote did not answer within {ANSWER_S} s")
        except asyncio.CancelledError:
            worker.kill("the start was cancelled")
            ours.close()
            raise
        if worker._end.done() and (end := worker._end.result()).cause in {
            Cause.LOST,
            Cause.UNCONFINED,
        }:
            ours.close()
            raise (ZygoteGone if end.cause is Cause.LOST else SpawnError)(end.detail)
        return worker

    def close(self) -> None:
        """Let go of the zygote; it ends and takes its workers along."""
        self._lose("the jail was closed")

    # The socket ---------------------------------------------------------------------------------

    def _send(self, message: messages.AgentMessage, descriptor: int = -1) -> None:
        self._outbox.append((messages.encode(message), descriptor))
        self._flush()

    def _flush(self) -> None:
        try:
            while self._outbox and not self._gone:
                data, descriptor = self._outbox[0]
                socket.send_fds(self._control, [data], [descriptor] if descriptor >= 0 else [])
                self._outbox.popleft()
                if descriptor >= 0:
                    os.close(descriptor)
        except BlockingIOError:
            if not self._writing:
                asyncio.get_running_loop().add_writer(self._control, self._flush)
                self._writing = True
            return
        except OSError as error:
            self._lose(f"the zygote does not take messages: {error.strerror}")
        if self._writing and not self._gone:
            asyncio.get_running_loop().remove_writer(self._control)
            self._writing = False

    def _receive(self) -> None:
        for _ in range(64):  # others on this loop want their turn, too
            if self._gone:
                return
            try:
                data = self._control.recv(messages.LARGEST)
                if not data:
                    self._lose("the zygote has ended")
                    return
                self._take(messages.decode_zygote(data))
            except BlockingIOError:
                return
            except OSError:  # it ended with messages of ours unread
                self._lose("the zygote has ended")
            except ValueError as error:  # what does not decode is one
                self._lose(f"the zygote is not understood: {error}")

    def _take(self, message: messages.ZygoteMessage) -> None:
        match message:
            case messages.Ready(report=report):
                if self._ready and not self._ready.done():
                    self._ready.set_result(report)
            case messages.Broken(problem=problem):
                self._lose(f"the zygote could not start: {problem}")
            case messages.Started(worker=number):
                if worker := self.workers.get(number):
                    worker._has_started()
            case messages.Ended(worker=number):
                if worker := self.workers.pop(number, None):
                    worker._has_ended(worker._explain(message))

    def _lose(self, why: str) -> None:
        """Nothing more comes: tell everybody who waits."""
        if self._gone:
            return
        self._gone = why
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._control)
        loop.remove_writer(self._control)
        self._control.close()
        for _, descriptor in self._outbox:
            if descriptor >= 0:
                os.close(descriptor)
        self._outbox.clear()
        if self._ready and not self._ready.done():
            self._ready.set_exception(ZygoteGone(why))
        for worker in list(self.workers.values()):
            worker._has_ended(End(Cause.LOST, detail=why))
        self.workers.clear()


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    """Wait for a zygote that was let go; one that hangs is killed, and the kernel kills what is below it."""
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Jail:
    """A zygote of our own and the client to it."""

    def __init__(self, config: Configure, python: str | None = None) -> None:
        self.config = config
        self._python = python
        self._client: JailClient | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process that was started: the zygote's guard, or the zygote where there are no namespaces."""
        if self._process is None:
            raise ZygoteGone("the jail has not been started")
        return self._process.pid

    @property
    def client(self) -> JailClient:
        """The client, once started."""
        if self._client is None:
            raise ZygoteGone("the jail has not been started")
        return self._client

    async def start(self) -> LevelReport:
        """Start the zygote; see JailClient.start for what it raises."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = start_zygote(theirs, self._python)
        self._client = JailClient(ours)
        try:
            return await self._client.start(self.config)
        except BaseException:
            await self.close()
            raise

    async def spawn(self, limits: Limits, *, entry: Literal["run", "selftest"] = "run") -> Worker:
        """Fork a worker; see JailClient.spawn."""
        return await self.client.spawn(limits, entry=entry)

    async def close(self) -> None:
        """End the zygote and with it every worker; returns when its process is gone."""
        if self._client:
            self._client.close()
        if self._process:
            await asyncio.to_thread(_wait_or_kill, self._process)

    async def __aenter__(self) -> Jail:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
