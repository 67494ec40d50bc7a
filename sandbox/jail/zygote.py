"""The warm fork server: started once, confined once, then a worker in milliseconds for each run.

Theory of operation
    start     `python -I -m onvp.sandbox.jail.zygote FD`: a fresh program with an empty
              environment. FD is the socket to the agent; its first message is `Configure`. The
              zygote never holds a secret, for each worker inherits its memory.
    warm      the preload function runs while files are in reach; nothing can be imported later
    confine   namespaces (with a guard process outside, see namespaces.py), user, capabilities
    try       a trial worker goes through the whole plan; what held is the level in `Ready`
    serve     Fork -> a child that confines itself and calls the entry point; Kill; and for each
              end `Ended`

    FORK -> child: plan (descriptors .. seccomp) -> run(3) -> exit
                     | a step fails: its text goes to the report pipe, run is never called

    The loop sleeps in poll(2) until a message, a dead child, or the moment at which some worker
    could at the earliest have used up its CPU time (one thread burns at most one second a second),
    so the limit is exact and idle workers cost nothing.

    When the agent closes the socket, or dies, the zygote ends; as process 1 of the pid namespace
    it takes every worker with it.

House rule: single-threaded, no logging, no state about a worker beyond its `Row`.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import heapq
import importlib
import os
import resource
import select
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NoReturn

from onvp.sandbox.jail import _confine, filter, messages, namespaces, selftest, steps
from onvp.sandbox.jail.errors import ConfinementError
from onvp.sandbox.jail.levels import NAMESPACES, Layer, LevelReport, judge
from onvp.sandbox.jail.limits import EXIT_CRASHED, EXIT_MEMORY, EXIT_UNCONFINED, RESERVED, Limits
from onvp.sandbox.jail.plan import Ground, worker_plan

Entry = Callable[[int], int | None]

TICK_S: Final = 0.002  # no worker's CPU clock is read more often than this
TRIAL: Final = 0  # the worker number of the trial; the agent's begin at 1


# The kernel ended it when memory ran out, or the interpreter used an allocation that had failed.
_ENDS_FOR_WANT_OF_MEMORY: Final = {-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGBUS}


@dataclass
class Row:
    """One living worker."""

    worker: int
    pid: int
    limits: Limits
    limit: str = ""  # the one for which we ended it
    asked: bool = False  # whether the agent wanted its end


class Server:
    """The loop: messages in, children out, their ends reported."""

    def __init__(self, agent: socket.socket, ground: Ground, entry: Entry, reports: int) -> None:
        self._agent, self._ground, self._reports = agent, ground, reports
        self._entries: dict[str, Entry] = {"run": entry, "selftest": selftest.run}
        self._rows: dict[int, Row] = {}  # by worker
        self._by_pid: dict[int, Row] = {}
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
            wanted = select.POLLIN | (select.POLLOUT if self._outbox else 0)
            poll.register(self._agent, wanted)
            wait_s = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            ready = poll.poll(None if wait_s is None else wait_s * 1000 + 0.5)
            for descriptor, event in ready:
                if descriptor == hear.fileno():
                    with contextlib.suppress(BlockingIOError):
                        hear.recv(4096)
                elif event & ~select.POLLOUT and not self._receive():
                    self._end()
            self._reap()
            self._enforce()
            self._flush()

    def say(self, message: messages.ZygoteMessage) -> None:
        """Queue a message and send what the socket takes."""
        self._outbox.append(messages.encode(message))
        self._flush()

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
        """One message.

        False when the agent is gone or talks nonsense, for then nothing should run.
        """
        channels: list[int] = []
        try:
            data, channels, _, _ = socket.recv_fds(self._agent, messages.LARGEST, 4)
            message = messages.decode_agent(data)
            if isinstance(message, messages.Fork) and len(channels) == 1:
                self._fork(message, channels[0])
            elif isinstance(message, messages.Kill) and not channels:
                row = self._rows.get(message.worker)
                if row:
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

    def _fork(self, message: messages.Fork, channel: int) -> None:
        if message.worker in self._rows:
            raise ValueError(f"worker {message.worker} exists")
        try:
            pid = os.fork()
        except OSError as error:
            problem = f"no process for it: {error.strerror}"
            self.say(messages.Ended(message.worker, failed=problem))
            return
        if pid == 0:
            become_worker(self._ground, message.limits, message.worker, channel, self._entries[message.entry])
        row = Row(message.worker, pid, message.limits)
        self._rows[row.worker] = self._by_pid[pid] = row
        heapq.heappush(self._due, (time.monotonic() + row.limits.cpu_s, row.worker))
        self.say(messages.Started(row.worker))

    def _enforce(self) -> None:
        """End whoever has used up its CPU time; look again when the others could have."""
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _, worker = heapq.heappop(self._due)
            row = self._rows.get(worker)
            if row is None:
                continue
            left = row.limits.cpu_s - cpu_used(row.pid)
            if left <= 0:
                row.limit = "cpu"
                os.kill(row.pid, signal.SIGKILL)
            else:
                heapq.heappush(self._due, (now + max(left, TICK_S), worker))

    def _reap(self) -> None:
        while self._by_pid:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            row = self._by_pid.pop(pid)
            del self._rows[row.worker]
            self.say(self._account(row, status, usage))

    def _account(self, row: Row, status: int, usage: resource.struct_rusage) -> messages.Ended:
        code = os.waitstatus_to_exitcode(status)
        peak, cpu_s = usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime
        full = peak - self._ground.base_resident > 0.9 * row.limits.memory_bytes
        limit, failed = row.limit, ""
        if code == EXIT_UNCONFINED:
            failed = failures(self._reports).get(row.worker, "the filter could not be installed")
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
            cpu_s=cpu_s,
            peak_bytes=peak,
        )

    def _end(self) -> NoReturn:
        """Take every worker along; inside a pid namespace the kernel would do it for us."""
        for row in self._rows.values():
            os.kill(row.pid, signal.SIGKILL)
        os._exit(0)


def become_worker(ground: Ground, limits: Limits, worker: int, channel: int, entry: Entry) -> NoReturn:
    """The child's side of the fork: give up everything, then call the entry point. Never returns."""
    status = EXIT_UNCONFINED
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.stdin = sys.stdout = sys.stderr = None
        steps.run(worker_plan(ground, limits, channel))
    except BaseException as error:  # noqa: BLE001 - whatever it is, this process must not go on
        with contextlib.suppress(OSError):
            line = f"{worker} {error}".replace("\n", " ")[:500]
            os.write(steps.REPORT, f"{line}\n".encode()[:1000])
        os._exit(status)
    try:
        gc.enable()
        status = entry(filter.CHANNEL) or 0
        status = EXIT_CRASHED if status in RESERVED else status
    except MemoryError:
        status = EXIT_MEMORY
    except BaseException:  # noqa: BLE001 - there is nobody left to tell but the exit status
        status = EXIT_CRASHED
    finally:
        os._exit(status)


def failures(reports: int) -> dict[int, str]:
    """What failing steps wrote into the report pipe since the last look, by worker."""
    found = {}
    with contextlib.suppress(BlockingIOError):
        for line in os.read(reports, 65_536).decode(errors="replace").splitlines():
            worker, _, problem = line.partition(" ")
            found[int(worker)] = problem
    return found


def cpu_used(pid: int) -> float:
    """CPU seconds of a child that is not reaped yet, by its own clock (clock_getcpuclockid(3))."""
    return time.clock_gettime(~pid << 3 | 2)


# Start ------------------------------------------------------------------------------------------


def main() -> NoReturn:
    """Start, confine, try, serve. Ends with the agent's socket."""
    agent, reports = lay_out_descriptors(int(sys.argv[1]))
    sys.argv[:] = [""]
    os.environ.clear()
    os.putenv("TZ", "UTC")  # for the C library alone, which would look for /etc/localtime otherwise
    time.tzset()
    try:
        config = messages.decode_agent(agent.recv(messages.LARGEST))
        if not isinstance(config, messages.Configure):
            raise ConfinementError("start", "the first message is not 'configure'")
        server, report = start(agent, config, reports)
    except Exception as error:  # noqa: BLE001 - the agent is told, and nothing runs
        with contextlib.suppress(OSError):
            problem = f"{type(error).__name__}: {error}"
            agent.send(messages.encode(messages.Broken(problem[:4000])))
        os._exit(1)
    server.say(messages.Ready(report))
    if report.level < config.least:
        os._exit(1)
    server.serve()


def lay_out_descriptors(given: int) -> tuple[socket.socket, int]:
    """The agent's socket and the reading end of the report pipe, both out of the way.

    3 and 4 are taken here for good, so that a descriptor that arrives never lies where a worker
    needs its own two.
    """
    agent = socket.socket(fileno=fcntl.fcntl(given, fcntl.F_DUPFD_CLOEXEC, 10))
    os.close(given)
    hear, say = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    reports = fcntl.fcntl(hear, fcntl.F_DUPFD_CLOEXEC, 10)
    writing = fcntl.fcntl(say, fcntl.F_DUPFD_CLOEXEC, 10)
    for end in (hear, say):
        os.close(end)
    os.dup2(writing, steps.REPORT, inheritable=False)
    os.dup2(0, filter.CHANNEL, inheritable=False)  # /dev/null
    os.close(writing)
    return agent, reports


def start(agent: socket.socket, config: messages.Configure, reports: int) -> tuple[Server, LevelReport]:
    """Warm up, give everything up, and find out what holds."""
    by_root = os.geteuid() == 0
    uid = config.uid if by_root else os.getuid()
    gid = config.gid if by_root else os.getgid()
    why_not = "switched off" if "namespaces" in config.without else namespaces.rehearse(uid, gid)
    inside = None if why_not else namespaces.fork_inside(uid, gid)

    sys.path.extend(config.path)
    entry = load(config.run)
    if config.preload:
        load(config.preload)()
    gc.collect()
    space, resident, data = memory()
    with contextlib.suppress(OSError):  # when memory runs out: workers first, not the agent or its prober
        Path("/proc/self/oom_score_adj").write_text("500")
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    if inside is None:
        steps.run(namespaces.outer_steps(uid, gid))
    else:
        line, outside = inside
        steps.run(namespaces.inner_steps(uid, gid, line, outside))
        namespaces.stand_down(line)
    ground = Ground(
        uid=uid,
        gid=gid,
        parent=os.getpid(),
        base_space=space,
        base_data=data,
        base_resident=resident,
        without=frozenset(config.without),
    )
    spaces = [Layer(f"{n} namespace", not why_not, why_not or "the zygote's own") for n in NAMESPACES]
    ground, layers = survey(ground, reports)
    return Server(agent, ground, entry, reports), judge([*spaces, *layers])


def survey(ground: Ground, reports: int) -> tuple[Ground, list[Layer]]:
    """Try the whole plan in a real worker; what cannot be had is left out of the plan and said.

    Returns:
        The ground that workers stand on, and each layer of theirs with what was found.
    """
    layers: dict[str, Layer] = {}
    if "landlock" in ground.without:
        layers["landlock"] = Layer("landlock", False, "switched off")
    else:
        try:
            ground = replace(ground, landlock=_confine.landlock_abi())
        except OSError as error:
            layers["landlock"] = Layer("landlock", False, str(error.strerror))
    if "seccomp" in ground.without:
        layers["seccomp"] = Layer("seccomp", False, "switched off")
    else:
        try:
            ground = replace(ground, program=filter.assemble(filter.here()))
        except NotImplementedError as error:
            layers["seccomp"] = Layer("seccomp", False, str(error))
    while failed := trial(ground, reports):
        name, _, problem = failed.partition(": ")
        layers[name] = Layer(name, False, problem)
        if name == "landlock" and ground.landlock:
            ground = replace(ground, landlock=0)
        elif name == "seccomp" and ground.program:
            ground = replace(ground, program=b"")
        else:
            break
    else:
        for step in worker_plan(ground, Limits(), filter.CHANNEL):
            layers[step.name] = Layer(step.name, True, step.describe())
    landlock = layers.pop("landlock", None) or Layer("landlock", False, "not tried")
    tcp = landlock.works and ground.landlock >= 4
    too_old = f"ABI {ground.landlock} does not know TCP, ABI 4 of Linux 6.7 does"
    return ground, [
        *layers.values(),
        Layer("landlock files", landlock.works, landlock.detail),
        Layer("landlock tcp", tcp, landlock.detail if tcp or not landlock.works else too_old),
    ]


def trial(ground: Ground, reports: int) -> str:
    """Put one worker through the plan and see its filter kill it.

    Returns the step that failed and why, or "".
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = os.fork()
        if pid == 0:
            ground = replace(ground, trial=True)
            become_worker(ground, Limits(), TRIAL, theirs.fileno(), selftest.forbidden)
        _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == (-signal.SIGSYS if ground.program else 0):
        return ""
    told = failures(reports).get(TRIAL)
    if code == EXIT_UNCONFINED:
        return told or "seccomp: the filter could not be installed"
    return f"seccomp: a forbidden call ended the trial worker with {code}, not with SIGSYS"


def load(name: str) -> Callable[..., int | None]:
    """The function that "module:function" names."""
    module, _, function = name.partition(":")
    found = getattr(importlib.import_module(module), function, None)
    if not callable(found):
        raise TypeError(f"{name!r} names no function; it is written module:function")
    loaded: Callable[..., int | None] = found
    return loaded


def memory() -> tuple[int, int, int]:
    """(address space, resident, private data) of this process in bytes, by /proc/self/statm (proc(5))."""
    fields = [int(f) * resource.getpagesize() for f in Path("/proc/self/statm").read_text().split()]
    return fields[0], fields[1], fields[5]


if __name__ == "__main__":
    main()
