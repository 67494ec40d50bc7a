"""The messages between the agent and the zygote: a closed vocabulary over one SOCK_SEQPACKET
socket.

One packet is one message, JSON with a tag. `Fork` travels with exactly one descriptor, the
worker's end of its channel to the broker. Workers are named by numbers that the agent chose, never
by process ids. The agent decodes the zygote's messages strictly, for the zygote is on the weaker
side.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from onvp.sandbox.jail.levels import Level, LevelReport
from onvp.sandbox.jail.limits import Limits

LARGEST: Final = 65_536  # bytes of one packet

Switch = Literal["namespaces", "landlock", "rlimits", "seccomp"]


class Configure(msgspec.Struct, tag="configure", frozen=True, forbid_unknown_fields=True):
    """Agent: what this zygote is for. The first message, sent once.

    Attributes:
        run: "module:function", called as `function(3)` in each worker.
        preload: "module:function" called once with files still in reach, or "".
        warm: "module:function" called in children that wait for an assignment, to have touched beforehand
            the memory that a script will need; or "".
        uid: The user to become when the zygote is started by root; workers are never uid 0.
        gid: The group that goes with it.
        least: Below this level the zygote reports and ends.
        path: Folders to import from besides those of the interpreter, which runs isolated.
        without: Layers to leave out, for tests of the others. Leaving one out lowers the level.
    """

    run: str
    preload: str = ""
    warm: str = ""
    uid: int = 65533
    gid: int = 65533
    least: Level = Level.FULL
    path: tuple[str, ...] = ()
    without: tuple[Switch, ...] = ()

    def __post_init__(self) -> None:
        """Refuse the one user that a worker must not be."""
        if self.uid <= 0 or self.gid <= 0:
            raise ValueError(f"workers are never root: uid {self.uid}, gid {self.gid}")


class Fork(msgspec.Struct, tag="fork", frozen=True, forbid_unknown_fields=True):
    """Agent: start a worker on the descriptor that comes along."""

    worker: int
    limits: Limits
    entry: Literal["run", "selftest"] = "run"


class Kill(msgspec.Struct, tag="kill", frozen=True, forbid_unknown_fields=True):
    """Agent: end this worker now. One that has already ended is no error."""

    worker: int


class Ready(msgspec.Struct, tag="ready", frozen=True, forbid_unknown_fields=True):
    """Zygote: warm, confined, and what a trial worker found to hold."""

    report: LevelReport


class Broken(msgspec.Struct, tag="broken", frozen=True, forbid_unknown_fields=True):
    """Zygote: it could not start and ends."""

    problem: str


class Started(msgspec.Struct, tag="started", frozen=True, forbid_unknown_fields=True):
    """Zygote: the worker's process exists (it confines itself next)."""

    worker: int


class Ended(msgspec.Struct, tag="ended", frozen=True, forbid_unknown_fields=True):
    """Zygote: the worker is gone and reaped.

    Attributes:
        worker: Whose end this is.
        status: Exit status, None when a signal ended it.
        signal: The signal's number, None when it exited.
        limit: "cpu" or "memory" when that limit ended it, else "".
        failed: Why it never ran (a step of the plan that failed, no process left), else "".
        cpu_s: Processor time used.
        peak_bytes: Largest resident size, shared pages included.
    """

    worker: int
    status: int | None = None
    signal: int | None = None
    limit: str = ""
    failed: str = ""
    cpu_s: float = 0.0
    peak_bytes: int = 0


AgentMessage = Configure | Fork | Kill
ZygoteMessage = Ready | Broken | Started | Ended

encode: Final = msgspec.json.Encoder().encode
decode_agent: Final = msgspec.json.Decoder(AgentMessage).decode
decode_zygote: Final = msgspec.json.Decoder(ZygoteMessage).decode
