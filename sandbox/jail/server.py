"""The zygote's loop: messages in, children out, their ends reported.

Theory of operation
    The loop sleeps in poll(2) until a message, a dead child, the moment at which some worker could at the
    earliest have used up its CPU time (one thread burns at most one second a second), or the moment to fork
    another child in reserve. So the CPU limit is exact and idle workers cost nothing.

    Fork message -> a waiting child, or a new one -> assignment + channel -> Started -> ... -> Ended

House rule: single-threaded, no logging, no state about a worker beyond its `Row`.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import os
import resource
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from onvp.sandbox.jail import child, messages
from onvp.sandbox.jail.child import Entry
from onvp.sandbox.jail.limits import EXIT_MEMORY, EXIT_UNCONFINED, Limits
from onvp.sandbox.jail.plan import Ground

TICK_S: Final = 0.002  # no worker's CPU clock is read more often than this
RESERVE: Final = 2  # children that wait for an assignment
REFILL_S: Final = 0.02  # the worker that has just been given out goes first

# The kernel ended it when memory ran out, or the interpreter used an allocation that had failed.
_ENDS_FOR_WANT_OF_MEMORY: Final = {-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGBUS}


@dataclass(frozen=True)
class Waiting:
    """A child without an assignment, and the line to it."""

    pid: int
    line: socket.socket


@dataclass
class Row:
    """One living worker."""

    worker: int
    pid: int
    limits: Limits
    cpu_before_s: float  # what it had used before it became this worker
    limit: str = ""  # the one for which we ended it
    asked: bool = False  # whether the agent wanted its end


class Server:
    """The loop and what it knows.

    Args:
        agent: The socket to the agent.
        ground: What every worker's plan stands on.
        entries: The entry points by name.
        warm: What a waiting child runs before it is needed, or None.
        reports: The reading end of the report pipe.
    """

    def __init__(
        self,
        agent: socket.socket,
        ground: Ground,
        entries: Mapping[str, Entry],
        warm: Callable[[], object] | None,
        reports: int,
    ) -> None:
        self._agent, self._ground, self._entries = agent, ground, entries
        self._warm, self._reports = warm, reports
        self._rows: dict[int, Row] = {}  # by worker
        self._by_pid: dict[int, Row] = {}
        self._waiting: deque[Waiting] = deque()
        self._refill_at = 0.0
        self._due: list[tuple[float, int]] = []  # when whose CPU clock is looked at, a heap
        self._outbox: deque[bytes] = deque()

    def serve(self) -> NoReturn:
        """Until the agent closes its socket."""
        hear, say = socket.socketpair()
        for end in (hear, say):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(say.fileno(), warn_on_full_buffer=False)
        self._agent.setblocking(False)
        poll = select.poll()
        poll.register(hear, select.POLLIN)
        gc.collect()
        gc.freeze()
        gc.disable()
        while True:
            poll.register(self._agent, select.POLLIN | (select.POLLOUT if self._outbox else 0))
            for descriptor, event in poll.poll(self._patience_ms()):
                if descriptor == hear.fileno():
                    with contextlib.suppress(BlockingIOError):
                        hear.recv(4096)
                elif event & ~select.POLLOUT and not self._receive():
                    self._end()
            self._reap()
            self._enforce()
            self._refill()
            self._flush()

    def say(self, message: messages.ZygoteMessage) -> None:
        """Queue a message and send what the socket takes."""
        self._outbox.append(messages.encode(message))
        self._flush()

    def _patience_ms(self) -> float | None:
        moments = [self._due[0][0]] if self._due else []
        if len(self._waiting) < RESERVE:
            moments.append(self._refill_at)
        return max(0.0, min(moments) - time.monotonic()) * 1000 + 0.5 if moments else None

    def _flush(self) -> None:
        try:
            while self._outbox:
                self._agent.send(self._outbox[0])
                self._outbox.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._end()

    def _receive(self) -> bool:
        """One message; False when the agent is gone or talks nonsense, for then nothing should run."""
        channels: list[int] = []
        try:
            data, channels, _, _ = socket.recv_fds(self._agent, messages.LARGEST, 4)
            message = messages.decode_agent(data)
            if isinstance(message, messages.Fork) and len(channels) == 1:
                self._assign(message, channels[0])
            elif isinstance(message, messages.Kill) and not channels:
                if row := self._rows.get(message.worker):
                    row.asked = True
                    os.kill(row.pid, signal.SIGKILL)  # not reaped yet: the number is still its own
            else:
                return False
        except BlockingIOError:
            return True
        except (OSError, ValueError):  # a message that does not decode is a ValueError
            return False
        finally:
            for channel in channels:
                os.close(channel)
        return True

    # Children -----------------------------------------------------------------------------------

    def fork(self) -> Waiting:
        """A child that waits for its assignment."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            child.live(self._ground, theirs.fileno(), self._entries, self._warm)
        theirs.close()
        return Waiting(pid, ours)

    def _assign(self, message: messages.Fork, channel: int) -> None:
        """Make a waiting child this worker. One that has died meanwhile is passed over."""
        if message.worker in self._rows:
            raise ValueError(f"worker {message.worker} exists")
        while True:
            try:
                chosen = self._waiting.popleft() if self._waiting else self.fork()
            except OSError as error:
                problem = f"no process for it: {error.strerror}"
                self.say(messages.Ended(message.worker, failed=problem))
                return
            row = Row(message.worker, chosen.pid, message.limits, cpu_used(chosen.pid))
            with chosen.line as line, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(line, [messages.encode(message)], [channel])
                break
        self._rows[row.worker] = self._by_pid[row.pid] = row
        heapq.heappush(self._due, (time.monotonic() + row.limits.cpu_s, row.worker))
        self._refill_at = time.monotonic() + REFILL_S
        self.say(messages.Started(row.worker))

    def _refill(self) -> None:
        """Fork one child in reserve when its moment has come; one at a time, messages come first."""
        now = time.monotonic()
        if len(self._waiting) < RESERVE and now >= self._refill_at:
            self._refill_at = now + REFILL_S
            with contextlib.suppress(OSError):  # no process to be had: the next run will say so
                self._waiting.append(self.fork())

    def _enforce(self) -> None:
        """End whoever has used up its CPU time; look again when the others could have."""
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _, worker = heapq.heappop(self._due)
            row = self._rows.get(worker)
            if row is None:
                continue
            left = row.limits.cpu_s + row.cpu_before_s - cpu_used(row.pid)
            if left <= 0:
                row.limit = "cpu"
                os.kill(row.pid, signal.SIGKILL)
            else:
                heapq.heappush(self._due, (now + max(left, TICK_S), worker))

    def _reap(self) -> None:
        while self._by_pid or self._waiting:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            if row := self._by_pid.pop(pid, None):
                del self._rows[row.worker]
                self.say(self._account(row, status, usage))
            for waiting in [w for w in self._waiting if w.pid == pid]:
                self._waiting.remove(waiting)
                waiting.line.close()

    def _account(self, row: Row, status: int, usage: resource.struct_rusage) -> messages.Ended:
        code = os.waitstatus_to_exitcode(status)
        peak, cpu_s = usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime - row.cpu_before_s
        full = peak - self._ground.base_resident > 0.9 * row.limits.memory_bytes
        limit, failed = row.limit, ""
        if code == EXIT_UNCONFINED:
            failed = failures(self._reports).get(row.pid, "the filter could not be installed")
        elif code == EXIT_MEMORY:
            limit = "memory"
        elif not row.asked and not limit:
            if code in {-signal.SIGXCPU, -signal.SIGKILL} and cpu_s >= row.limits.cpu_s:
                limit = "cpu"  # RLIMIT_CPU was faster
            elif code in _ENDS_FOR_WANT_OF_MEMORY and full:
                limit = "memory"
        return messages.Ended(
            worker=row.worker,
            status=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            limit=limit,
            failed=failed,
            cpu_s=max(cpu_s, 0.0),
            peak_bytes=peak,
        )

    def _end(self) -> NoReturn:
        """Take every child along; inside a pid namespace the kernel would do it for us."""
        for pid in [*self._by_pid, *(waiting.pid for waiting in self._waiting)]:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def failures(reports: int) -> dict[int, str]:
    """What failing steps wrote into the report pipe since the last look, by process."""
    found = {}
    with contextlib.suppress(BlockingIOError):
        for line in os.read(reports, 65_536).decode(errors="replace").splitlines():
            pid, _, problem = line.partition(" ")
            found[int(pid)] = problem
    return found


def cpu_used(pid: int) -> float:
    """CPU seconds of a child that is not reaped yet, by its own clock (clock_getcpuclockid(3))."""
    return time.clock_gettime(~pid << 3 | 2)
