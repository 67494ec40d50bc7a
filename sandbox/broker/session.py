"""The broker's side of one run: every call the script makes ends in exactly one reply.

Theory of operation
-------------------
Bodies of frames come in (`Session.receive`), and so do the prober's answers (`Session.take_record`,
`take_failure`) and the passing of time (`Session.tick`); effects come out, for somebody else to carry
out, in order. There is no I/O here and no clock: ``now`` is an argument (monotonic seconds).

A submit goes ``parsed → judged → (held) → probing → answered``:

* *parsed*: a wrong type or value is answered with `Invalid` and goes no further;
* *judged*: decided by the policy, charged and written to the audit log by the judge. A refusal is
  answered with `Refused`;
* *held*: granted, but its rate tokens are not there yet, or too many tasks are under way. Nothing is said
  to the script, which waits: that is how a script feels a rate limit;
* *probing*: with the prober, which may still say that it cannot express it; a halt can be asked for;
* *answered*: the record or the failure went to the worker, what was not sent was refunded.

The worker is hostile. Task numbers must rise by themselves, every message counts against a limit, and
whatever does not fit the vocabulary ends the run with a reason. Nothing that a worker says makes the
session raise: `receive` returns an `End` instead.
"""

import heapq
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from onvp.policies.action import Action, parse
from onvp.policies.errors import BadParameter
from onvp.policies.grant import Grant, Refusal
from onvp.sandbox.broker.judge import Judge, Verdict
from onvp.sandbox.wire import calls, link
from onvp.sandbox.wire.errors import Code, WireError

ARTIFACT_NAME = re.compile(r"[^./\\][^/\\]{0,127}")
ARTIFACT_NAME_BYTES = 240
"""Of a name as UTF-8: file systems take 255 (limits.h, NAME_MAX)."""
PIECE_COST_BYTES = 64
"""What a piece of an artifact counts besides its data: an event without data takes room, too."""
OUTSTANDING_LIMIT = 2000
"""Tasks with the prober; more wait until some have ended."""
HELD_LIMIT = 4096
"""Submits that wait. A worker of ours has at most a few; more is a flood."""
TOLD_LIMIT = 1000
"""Refusals, clamps and language problems of a run that are reported one by one; later ones are counted."""
ARTIFACTS_LIMIT = 256
ACTIONS_KEPT = 256
"""Calls of a run whose parsing is remembered."""
LAST_WORDS = frozenset({Code.LANGUAGE, Code.SCRIPT_ERROR, Code.POLICY, Code.BUDGET, Code.RATE, Code.LIMIT})
"""The codes with which a worker can end; anything else that it says there is a failure of the script."""


# ---- effects ----


@dataclass(frozen=True, slots=True)
class Send:
    """Say this to the worker."""

    message: calls.ToWorker


@dataclass(frozen=True, slots=True)
class Probe:
    """Hand a granted action to the prober."""

    task: int
    grant: Grant


@dataclass(frozen=True, slots=True)
class Halt:
    """Ask the prober to end a task early."""

    task: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Something happened that the researcher will see."""

    body: link.Body


@dataclass(frozen=True, slots=True)
class End:
    """The run is over: the worker's own last word (``status`` is set), or a limit or breach that ends it."""

    code: str
    reason: str = ""
    status: int | None = None
    limit: str = ""
    error: str = ""
    problems: tuple[calls.Problem, ...] = ()


Effect: TypeAlias = Send | Probe | Halt | Tell | End


@dataclass(frozen=True, slots=True)
class Quota:
    """What one run may deliver and ask for.

    Attributes:
        output_bytes: text and results together.
        artifact_bytes: artifacts and measurements together.
        calls: how many submits; None for no limit.
    """

    output_bytes: int
    artifact_bytes: int
    calls: int | None = None


@dataclass(slots=True)
class _Task:
    verdict: Verdict
    sync: bool
    started: float | None = None
    halted: bool = False


@dataclass(slots=True)
class Counters:
    """What the run did, for its report."""

    calls: int = 0
    granted: int = 0
    refused: int = 0
    clamped: int = 0
    invalid: int = 0
    results: int = 0
    failed: int = 0
    packets: int = 0
    output_bytes: int = 0
    artifact_bytes: int = 0
    emitted: int = 0
    delayed_s: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """By name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Session:
    """One run's calls. See the module's docstring."""

    judge: Judge
    quota: Quota
    counters: Counters = field(default_factory=Counters)
    ended: bool = False
    _last_task: int = 0
    _tasks: dict[int, _Task] = field(default_factory=dict)
    _held: list[tuple[float, int]] = field(default_factory=list)
    _probing: int = 0
    _told: int = 0
    _running: bool = False
    _problems: tuple[calls.Problem, ...] = ()
    _artifacts: set[str] = field(default_factory=set)
    _actions: dict[tuple[Any, ...], Action] = field(default_factory=dict)

    # ---- what comes in ----

    def receive(self, body: bytes, now: float) -> list[Effect]:
        """One frame body from the worker."""
        if self.ended:
            return []
        try:
            message = calls.decode_from_worker(body)
        except WireError as error:
            return [self._breach(str(error))]
        match message:
            case calls.Submit():
                return self._submit(message, now)
            case calls.Output():
                return self._output(message)
            case calls.Emit():
                return self._emit(message)
            case calls.Write():
                return self._write(message)
            case calls.Halt():
                return self._halt(message, now)
            case calls.AskBudget():
                return [Send(calls.Budget(seq=message.seq, left=self.left(now)))]
            case calls.Started():
                return self._start()
            case calls.Refusals():
                if not self._running:
                    self._problems = tuple(message.problems[:TOLD_LIMIT])
                return []
            case calls.Done():
                return []
            case calls.Finished():
                return [self._finish(message)]

    def take_record(self, task: int, connection: int, data: bytes, now: float) -> list[Effect]:
        """A raw record from the prober; task 0 for those of the connection itself."""
        if self.ended:
            return []
        effects: list[Effect] = []
        if task:
            entry = self._answered(task, now)
            if entry is None:
                return []
            self.counters.results += 1
        effects.append(Send(calls.Record(task=task, data=data, connection=connection)))
        effects += self._deliver(len(data), Tell(link.Measurement(connection=connection, data=data)))
        if task:
            effects += self.tick(now)  # nothing, when the record was the one that passed the quota
        return effects

    def take_failure(self, task: int, message: str, code: str, now: float) -> list[Effect]:
        """The prober could not do a task."""
        if self.ended:
            return []
        if self._answered(task, now) is None:
            return []
        self.counters.failed += 1
        return [Send(calls.Failed(task=task, message=message, code=code)), *self.tick(now)]

    def take_submitted(self, task: int, prober: str) -> list[Effect]:
        """A prober has taken a task."""
        entry = self._tasks.get(task)
        if self.ended or entry is None or entry.started is None or (entry.sync and not entry.verdict.clamps):
            return []
        verdict = entry.verdict
        accepted = calls.Accepted(task=task, clamps=list(verdict.clamps), delayed_s=verdict.delay_s, prober=prober)
        return [Send(accepted)]

    def take_inexpressible(self, task: int, sentence: str, now: float) -> list[Effect]:
        """No prober here can do exactly that; nothing was sent."""
        if self.ended or self._answered(task, None) is None:
            return []
        return [*self._invalid(task, Code.UNSUPPORTED, sentence), *self.tick(now)]

    def take_gone(self, reason: str) -> list[Effect]:
        """The prober is gone for good."""
        return [] if self.ended else [Send(calls.Gone(instance=0, reason=reason))]

    def tick(self, now: float) -> list[Effect]:
        """Let go what was held and is due."""
        effects: list[Effect] = []
        while self._held and self._probing < OUTSTANDING_LIMIT and self._held[0][0] <= now and not self.ended:
            _, task = heapq.heappop(self._held)
            entry = self._tasks.get(task)
            if entry is not None:
                effects += self._probe(task, entry, now)
        return effects

    def due(self) -> float | None:
        """When `tick` is worth calling next; None when nothing waits for time to pass."""
        return self._held[0][0] if self._held and self._probing < OUTSTANDING_LIMIT else None

    def close(self, now: float) -> None:
        """The run is over for another reason: give back what was not sent."""
        self.ended = True
        entries = list(self._tasks.values())
        self._tasks.clear()
        self._held.clear()
        self._probing = 0
        for entry in entries:
            self._settle(entry, now)
        self.judge.close()

    def left(self, now: float) -> dict[str, float]:
        """What is left of budgets and quotas, by name."""
        left = self.judge.left(now)
        left["script.output_bytes"] = max(0, self.quota.output_bytes - self.counters.output_bytes)
        left["script.artifact_bytes"] = max(0, self.quota.artifact_bytes - self.counters.artifact_bytes)
        if self.quota.calls is not None:
            left["script.calls"] = max(0, self.quota.calls - self.counters.calls)
        return left

    # ---- a submit's way ----

    def _submit(self, message: calls.Submit, now: float) -> list[Effect]:
        task = message.task
        if not self._last_task < task < 1 << 53:
            return [self._breach(f"task {task} after task {self._last_task}: task numbers must rise")]
        self._last_task = task
        if len(self._held) >= HELD_LIMIT:
            return [self._breach(f"more than {HELD_LIMIT} calls wait at once")]
        self.counters.calls += 1
        if self.quota.calls is not None and self.counters.calls > self.quota.calls:
            return [self._limit("calls", f"the run made more than the {self.quota.calls} calls that the policy allows")]
        if message.instance != 0:
            return self._invalid(task, Code.BAD_VALUE, f"there is no instance {message.instance} here")
        try:
            action = self._action(message)
        except BadParameter as error:
            code = Code.BAD_TYPE if error.wrong_type else Code.BAD_VALUE
            return self._invalid(task, code, str(error))
        verdict = self.judge.judge(action, now)
        if isinstance(verdict, Refusal):
            return self._refuse(task, action, verdict)
        return self._grant(message, action, verdict, now)

    def _action(self, message: calls.Submit) -> Action:
        """The action that a call asks for. The same call again is the same action: loops repeat their calls.

        Raises:
            BadParameter: there is no such action.
        """
        given = message.params | message.octets
        # Types are part of the key: True and 1 are equal, and only one of them is a count.
        key = (message.primitive, *((name, type(value), value) for name, value in given.items()))
        try:
            known = self._actions.get(key)
        except TypeError:  # lists and maps are not remembered
            return parse(message.primitive, given)
        if known is None:
            known = parse(message.primitive, given)
            if len(self._actions) < ACTIONS_KEPT:
                self._actions[key] = known
        return known

    def _grant(self, message: calls.Submit, action: Action, verdict: Verdict, now: float) -> list[Effect]:
        self.counters.granted += 1
        self.counters.delayed_s += verdict.delay_s
        entry = self._tasks[message.task] = _Task(verdict, message.sync)
        effects: list[Effect] = []
        if verdict.clamps:
            self.counters.clamped += 1
            if self._may_tell():
                effects.append(
                    Tell(link.Clamped(primitive=action.primitive, target=_target(action), clamps=list(verdict.clamps)))
                )
        if verdict.delay_s > 0 or self._probing >= OUTSTANDING_LIMIT or self._held:
            heapq.heappush(self._held, (now + verdict.delay_s, message.task))
            return [*effects, *self.tick(now)]
        return effects + self._probe(message.task, entry, now)

    def _probe(self, task: int, entry: _Task, now: float) -> list[Effect]:
        self._probing += 1
        entry.started = now
        return [Probe(task, entry.verdict.grant)]

    def _refuse(self, task: int, action: Action, refusal: Refusal) -> list[Effect]:
        self.counters.refused += 1
        effects: list[Effect] = [
            Send(
                calls.Refused(
                    task=task,
                    code=refusal.code,
                    sentence=refusal.sentence,
                    rule=refusal.rule,
                    where=refusal.where,
                    retry_after_s=refusal.retry_after_s,
                )
            )
        ]
        if self._may_tell():
            told = link.Refusal(
                primitive=action.primitive,
                target=_target(action),
                code=refusal.code,
                sentence=refusal.sentence,
                rule=refusal.rule,
                where=refusal.where,
            )
            effects.append(Tell(told))
        return effects

    def _invalid(self, task: int, code: str, sentence: str) -> list[Effect]:
        self.counters.invalid += 1
        return [Send(calls.Invalid(task=task, code=code, message=sentence))]

    def _answered(self, task: int, now: float | None) -> _Task | None:
        """The prober is through with a task: settle it. None when the prober does not have that task.

        Args:
            task: its number.
            now: until when it may have sent; None when it sent nothing.
        """
        entry = self._tasks.get(task)
        if entry is None or entry.started is None:
            return None
        del self._tasks[task]
        self._probing -= 1
        until = entry.started if now is None else now
        if now is None:
            entry.started = None
        self._settle(entry, until)
        return entry

    def _settle(self, entry: _Task, now: float) -> None:
        """Charge what was sent at most, and give the rest back."""
        elapsed_us = None if entry.started is None else max(0, int((now - entry.started) * 1e6))
        self.counters.packets += self.judge.settle(entry.verdict, elapsed_us, now)

    # ---- the other messages ----

    def _halt(self, message: calls.Halt, now: float) -> list[Effect]:
        entry = self._tasks.get(message.task)
        if entry is None or entry.halted:
            return []
        entry.halted = True
        if entry.started is not None:
            return [Halt(message.task)]
        del self._tasks[message.task]
        self._held = [held for held in self._held if held[1] != message.task]
        heapq.heapify(self._held)
        self._settle(entry, now)
        failed = calls.Failed(task=message.task, message="halted before it was sent", code=Code.PROBER)
        return [Send(calls.Accepted(task=message.task)), Send(failed)]

    def _start(self) -> list[Effect]:
        if self._running:
            return []
        self._running = True
        return [Tell(link.State(state="running"))]

    def _output(self, message: calls.Output) -> list[Effect]:
        text = message.text
        data = text.encode()
        if not data:
            return []
        room = self.quota.output_bytes - self.counters.output_bytes
        if len(data) > room:
            text = data[: max(0, room)].decode(errors="ignore")
        return self._deliver(len(data), Tell(link.Output(text=text, err=message.err)))

    def _emit(self, message: calls.Emit) -> list[Effect]:
        try:
            if b"\n" in message.json or b"\r" in message.json:
                raise ValueError("a result must be one line")
            msgspec.json.decode(message.json)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            return [self._breach(f"a result that is not JSON: {error}")]
        self.counters.emitted += 1
        return self._deliver(len(message.json), Tell(link.Result(json=message.json)))

    def _write(self, message: calls.Write) -> list[Effect]:
        name = message.name
        if not artifact_name_fits(name):
            return [self._breach(f"an artifact cannot be named {name[:200]!r}")]
        self._artifacts.add(name)
        if len(self._artifacts) > ARTIFACTS_LIMIT:
            return [self._limit("artifacts", f"the run wrote more than {ARTIFACTS_LIMIT} artifacts")]
        artifact = link.Artifact(name=name, data=message.data, last=message.last, truncate=message.truncate)
        return self._deliver(len(message.data) + PIECE_COST_BYTES, Tell(artifact))

    def _deliver(self, size: int, tell: Tell) -> list[Effect]:
        """Count what is delivered against its quota; what passes the limit ends the run."""
        counters, quota = self.counters, self.quota
        if isinstance(tell.body, link.Output | link.Result):
            counters.output_bytes += size
            name, used, most = "output", counters.output_bytes, quota.output_bytes
        else:
            counters.artifact_bytes += size
            name, used, most = "artifacts", counters.artifact_bytes, quota.artifact_bytes
        if used <= most:
            return [tell]
        end = self._limit(name, f"the run delivered more than the {most} bytes of {name} that the policy allows")
        # Text is cut at the limit, so that it can be delivered; anything else would be over it.
        return [tell, end] if isinstance(tell.body, link.Output) else [end]

    def _finish(self, message: calls.Finished) -> End:
        self.ended = True
        code = self._believed(message.code or "")
        return End(
            code,
            status=max(0, min(255, message.status)),
            error=(message.error or "")[: 64 << 10],
            problems=self._problems if code == Code.LANGUAGE else (),
        )

    def _believed(self, code: str) -> str:
        """A worker cannot claim a refusal that was not given, nor that the language refuses what has run."""
        match code:
            case Code.POLICY | Code.BUDGET | Code.RATE:
                believed = self.counters.refused > 0
            case Code.LANGUAGE:
                believed = not self._running and not self.counters.calls
            case _:
                believed = not code or code in LAST_WORDS
        return code if believed else Code.SCRIPT_ERROR

    def _limit(self, name: str, sentence: str) -> End:
        self.ended = True
        return End(Code.LIMIT, sentence, limit=name)

    def _breach(self, sentence: str) -> End:
        self.ended = True
        return End(Code.PROTOCOL, f"the worker broke its protocol: {sentence}")

    def _may_tell(self) -> bool:
        self._told += 1
        return self._told <= TOLD_LIMIT


def artifact_name_fits(name: str) -> bool:
    """Can this be the name of a file on any machine: one part of a path, printable, not hidden, not too long?"""
    return (
        ARTIFACT_NAME.fullmatch(name) is not None
        and name.isprintable()
        and len(name.encode(errors="replace")) <= ARTIFACT_NAME_BYTES
    )


def _target(action: Action) -> str:
    if action.primitive == "dns":
        question: Any = action
        return f"{question.qname} {question.question_type()}"
    return _some(str(address) for address in action.targets())


def _some(words: Iterable[str], most: int = 4) -> str:
    listed = list(words)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "")
