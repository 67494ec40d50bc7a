"""A child of the zygote: from the fork to the call of the entry point.

Theory of operation
    FORK -> early plan (descriptors, privileges, Landlock) -> warm up, if there is time -> wait for an
         -> assignment (limits, the channel) -> late plan (channel, rlimits, seccomp) -> run(3) -> exit

    The zygote keeps a child or two waiting, so that a run need not pay for the fork, nor for the pages that
    the interpreter touches at first: copying them is most of a start. A waiting child has met no script and
    is given to one run only; the walls that need neither limits nor channel stand already.

    A step that fails: its text goes to the report pipe after this process's number, `run` is never called.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from onvp.sandbox.jail import messages, steps
from onvp.sandbox.jail.errors import ConfinementError
from onvp.sandbox.jail.filter import CHANNEL
from onvp.sandbox.jail.limits import EXIT_CRASHED, EXIT_MEMORY, EXIT_UNCONFINED, RESERVED
from onvp.sandbox.jail.plan import Ground, early_plan, late_plan

Entry = Callable[[int], int | None]


def live(ground: Ground, line: int, entries: Mapping[str, Entry], warm: Callable[[], object] | None) -> NoReturn:
    """The whole life. Never returns.

    Args:
        ground: What the plan stands on.
        line: The socket on which the assignment comes.
        entries: The entry points by name.
        warm: What to run while there is nothing else to do, to have touched what a script will need.
    """
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.stdin = sys.stdout = sys.stderr = None
        steps.run(early_plan(ground, line))
        gc.enable()
        if warm and (ground.trial or not select.select([CHANNEL], [], [], 0)[0]):
            warm_up(warm)
        assignment, channel = await_assignment()
        steps.run(late_plan(ground, assignment.limits, channel))
    except BaseException as error:  # noqa: BLE001 - whatever it is, this process must not go on
        with contextlib.suppress(OSError):
            text = f"{error}".replace("\n", " ")[:500]
            os.write(steps.REPORT, f"{os.getpid()} {text}\n".encode()[:1000])
        os._exit(EXIT_UNCONFINED)
    status = EXIT_CRASHED
    try:
        status = entries[assignment.entry](CHANNEL) or 0
        status = EXIT_CRASHED if status in RESERVED else status
    except MemoryError:
        status = EXIT_MEMORY
    except BaseException:  # noqa: BLE001 - there is nobody left to tell but the exit status
        status = EXIT_CRASHED
    finally:
        os._exit(status)


def warm_up(warm: Callable[[], object]) -> None:
    """Touch what a script will need; an error is our bug, and the trial worker finds it at the start."""
    try:
        warm()
    except Exception as error:
        raise ConfinementError("warm up", f"{type(error).__name__}: {error}") from error


def await_assignment() -> tuple[messages.Fork, int]:
    """Wait for the zygote's word: what to be, and the descriptor of the channel. Ends when it has none."""
    line = socket.socket(fileno=CHANNEL)
    data, channels, _, _ = socket.recv_fds(line, messages.LARGEST, 1)
    line.detach()
    if not data:
        os._exit(0)  # the zygote let this one go
    message = messages.decode_agent(data)
    if not isinstance(message, messages.Fork) or len(channels) != 1:
        raise ConfinementError("assignment", "it is not understood")
    return message, channels[0]
