"""The warm fork server: started once, confined once, then a worker in milliseconds for each run.

Theory of operation
    start     `python -I -m onvp.sandbox.jail.zygote FD`: a fresh program with an empty environment. FD is the
              socket to the agent; its first message is `Configure`. The zygote never holds a secret, for each
              worker inherits its memory.
    load      the preload function runs while files are in reach; nothing can be imported later
    confine   namespaces (with a guard process outside, see namespaces.py), user, capabilities
    try       a trial worker goes through the whole plan; what held is the level in `Ready`
    serve     server.py: forks children (child.py), gives them out, reports their ends

    When the agent closes the socket, or dies, the zygote ends; as process 1 of the pid namespace it takes
    every worker with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from onvp.sandbox.jail import _confine, child, filter, messages, namespaces, selftest, steps
from onvp.sandbox.jail.errors import ConfinementError
from onvp.sandbox.jail.levels import NAMESPACES, NEEDED, Layer, Level, LevelReport, judge
from onvp.sandbox.jail.limits import EXIT_UNCONFINED, Limits
from onvp.sandbox.jail.plan import Ground, early_plan, late_plan
from onvp.sandbox.jail.server import Server, failures

Warm = Callable[[], object] | None


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
    entries = {"run": load(config.run), "selftest": selftest.run}
    if config.preload:
        load(config.preload)()
    warm = load(config.warm) if config.warm else None
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
    ground, layers = survey(ground, warm, reports)
    return Server(agent, ground, entries, warm, reports), judge([*spaces, *layers])


def survey(ground: Ground, warm: Warm, reports: int) -> tuple[Ground, list[Layer]]:
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
    while failed := trial(ground, warm, reports):
        name, _, problem = failed.partition(": ")
        layers[name] = Layer(name, False, problem)
        if name == "landlock" and ground.landlock:
            ground = replace(ground, landlock=0)
        elif name == "seccomp" and ground.program:
            ground = replace(ground, program=b"")
        elif name in NEEDED[Level.STANDARD]:
            break
        else:
            raise ConfinementError(name, problem)
    else:
        for step in (*early_plan(ground, filter.CHANNEL), *late_plan(ground, Limits(), filter.CHANNEL)):
            layers[step.name] = Layer(step.name, True, step.describe())
    landlock = layers.pop("landlock", None) or Layer("landlock", False, "not tried")
    tcp = landlock.works and ground.landlock >= 4
    too_old = f"ABI {ground.landlock} does not know TCP, ABI 4 of Linux 6.7 does"
    return ground, [
        *layers.values(),
        Layer("landlock files", landlock.works, landlock.detail),
        Layer("landlock tcp", tcp, landlock.detail if tcp or not landlock.works else too_old),
    ]


def trial(ground: Ground, warm: Warm, reports: int) -> str:
    """Put one worker through the whole plan and see its filter kill it.

    Returns:
        The step that failed and why, or "".
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        child.live(replace(ground, trial=True), theirs.fileno(), {"run": selftest.forbidden}, warm)
    with ours, theirs:
        socket.send_fds(ours, [messages.encode(messages.Fork(0, Limits()))], [theirs.fileno()])
        _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == (-signal.SIGSYS if ground.program else 0):
        return ""
    if code == EXIT_UNCONFINED:
        return failures(reports).get(pid) or "seccomp: the filter could not be installed"
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
    """Address space, resident and private data of this process in bytes, by /proc/self/statm (proc(5))."""
    fields = [int(f) * resource.getpagesize() for f in Path("/proc/self/statm").read_text().split()]
    return fields[0], fields[1], fields[5]


if __name__ == "__main__":
    main()
