"""What the broker's tests share: a policy with real books, a judge that says what it is told, an instant prober."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

from onvp.policies.action import Action
from onvp.policies.combine import combine, platform_layer
from onvp.policies.decide import Usage, decide
from onvp.policies.grant import Grant, Refusal
from onvp.policies.load import load_bytes
from onvp.policies.policy import Policy
from onvp.sandbox.broker.audit import AuditLog
from onvp.sandbox.broker.budget import Ledger
from onvp.sandbox.broker.judge import Judge
from onvp.sandbox.prober.command import render
from onvp.sandbox.prober.dialect import Dialect, dialect_of
from onvp.sandbox.wire import calls, frames
from onvp.sandbox.wire.errors import Code

TARGET = "198.18.0.1"
CLOSED = "203.0.113.9"
OWN = "198.18.0.77"

_PRIMITIVES = (
    "ping trace tracelb dns http udpprobe sniff tbit ally mercator prefixscan radargun midarest midardisc owamp"
)

OPEN = f"""
onvp-policy: 1
layer: host
id: open
owner: {{name: the tests, contact: tests@example.net}}
summary: "everything, towards the benchmarking addresses"
default: deny
primitives:
  ping: {{allow: true, attempts: {{max: 10, over: clamp}}}}
{"".join(f"  {name}: {{allow: true}}{chr(10)}" for name in _PRIMITIVES.split()[1:])}
destinations:
  reopen: [198.18.0.0/15]
  allow: [198.18.0.0/15]
"""

PACED = (
    OPEN
    + """
rates:
  script: {pps: 100, burst: 20}
  on_excess: delay
  max_delay: 600s
"""
)
"""The same, with rates that hold a flood up."""

FAST = (
    OPEN
    + """  per_target: {pps: 10000, concurrent: 10000}
rates:
  vp: {pps: 10000, burst: 10000}
  user: {pps: 10000, burst: 10000}
  script: {pps: 10000, burst: 10000}
"""
)
"""The same, with rates that nobody feels."""


def policy(text: str = OPEN) -> Policy:
    """The policy that a host file makes with the built-in layer."""
    return combine([platform_layer(own_addresses=[OWN]), load_bytes(text.encode(), "test.yaml")])


class Books:
    """A policy in force with its ledger and audit log: what the runs of a vantage point share."""

    def __init__(self, folder: Path, text: str = OPEN) -> None:
        self.policy = policy(text)
        self.ledger = Ledger.load(folder / "budgets.json", lambda: self.policy, prober_pps=10_000)
        self.audit = AuditLog(folder / "audit.jsonl")

    def judge(self, run: str = "run-1", user: str = "ana") -> Judge:
        """The judge of one run."""
        return Judge(lambda: self.policy, self.ledger, self.audit, run, user, "researcher")

    def close(self) -> None:
        self.audit.close()


def granted(action: Action) -> Grant:
    """A grant of an open policy."""
    answer = decide(policy(), action, Usage(user="ana", role="", run="run-1"), 0.0)
    assert isinstance(answer, Grant), answer
    return answer


@dataclasses.dataclass(frozen=True)
class Word:
    """What `Told` hands out: a verdict as the session sees it."""

    grant: Any
    clamps: tuple[calls.Clamp, ...] = ()
    delay_s: float = 0.0
    reservation: Any = None


REFUSAL = Refusal(Code.POLICY, "no", "primitives.ping.allow", "host", "test.yaml:9")
CLAMPS = (calls.Clamp("attempts", 99, 10, "primitives.ping.attempts", "test.yaml:9"),)


class Told:
    """A judge that decides by the ping's size, and keeps what it was told at the end of each verdict.

    Size 1 is refused, 2 clamped, 1000 and more delayed by as many seconds as it is above 1000.
    """

    def __init__(self) -> None:
        self.verdicts: list[Word] = []
        self.settled: list[tuple[Word, int | None]] = []
        self.closed = 0

    def judge(self, action: Any, now: float) -> Word | Refusal:
        if action.size == 1:
            return REFUSAL
        delay_s = max(0.0, (action.size or 0) - 1000)
        word = Word(action, CLAMPS if action.size == 2 else (), delay_s, object())
        self.verdicts.append(word)
        return word

    def settle(self, verdict: Word, elapsed_us: int | None, now: float) -> int:
        self.settled.append((verdict, elapsed_us))
        return 0 if elapsed_us is None else 4

    def left(self, now: float) -> dict[str, float]:
        return {"user.day.packets": 10.0}

    def close(self) -> None:
        self.closed += 1


OLD, NEW = dialect_of("20211212"), dialect_of("20260420")


class Instant:
    """A prober session that renders what it is given and answers in the next turn of the loop."""

    def __init__(self, sink: Any, *, answer: bytes = b"warts", dialect: Dialect = NEW, silent: bool = False) -> None:
        self.lines: list[str] = []
        self.actions: list[Action] = []
        self.halted: list[int] = []
        self.tasks: list[int] = []
        self._sink = sink
        self._answer = answer
        self._dialect = dialect
        self._silent = silent

    def submit(self, grant: Any, task: int) -> str:
        self.lines.append(render(grant.action, self._dialect))
        self.actions.append(grant.action)
        self.tasks.append(task)
        if not self._silent:
            asyncio.get_running_loop().call_soon(self._sink.on_record, task, 1, self._answer)
        return self._dialect.name

    def halt(self, task: int) -> bool:
        self.halted.append(task)
        return True


def body(message: Any) -> bytes:
    """The body of the frame of a message."""
    return calls.encode(message)


def frame(message: Any) -> bytes:
    """The frame of a message."""
    return frames.pack(calls.encode(message), limit_bytes=calls.TO_WORKER_LIMIT_BYTES)


def ping(task: int, dst: str = TARGET, *, sync: bool = False, **params: Any) -> calls.Submit:
    """A submit of a ping."""
    return calls.Submit.ask(task, "ping", {"dst": dst, "attempts": 1, **params}, sync=sync)
