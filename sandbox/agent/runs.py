"""The life of a run on this VP, from its offer to its last event.

Theory of operation
-------------------
::

    offered ──admission──▶ accepted ──worker forked──▶ running ──▶ ended
       └────── refused ──────┴───────────┴──────────────┘

Every run ends in exactly one `link.End`, whatever happens. Five things can end it, and the first one
counts: the worker's last word, a limit or a breach seen by its session, the wall clock, a cancel (by the
researcher, the site host's stop, or the agent's own end), and the death of the worker. Then the worker is
killed if it still lives, its measurements are dropped, what was not sent is refunded, and the end is told.

Everything a run does is told to one sink, in order; the sink keeps it on disk until the controller has it.
"""

import asyncio
import datetime
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import structlog

from onvp.policies.grant import Refusal
from onvp.policies.model import ScriptLimits
from onvp.sandbox.agent.site import Site
from onvp.sandbox.broker.judge import Judge
from onvp.sandbox.broker.serve import Connection, Turns
from onvp.sandbox.broker.session import End, Quota, Session
from onvp.sandbox.jail.errors import JailError
from onvp.sandbox.jail.limits import MIB, Limits
from onvp.sandbox.jail.spawn import Cause, Worker
from onvp.sandbox.jail.spawn import End as WorkerEnd
from onvp.sandbox.wire import calls, link
from onvp.sandbox.wire.errors import Code, Outcome

log = structlog.get_logger("onvp.runs")

LAST_WORDS_S = 2.0
"""How long the last words of a worker that ended by itself may take to be read."""
LAST_WORDS_OF_KILLED_S = 0.1
"""The same for one that was ended: what it delivered before is kept, and the end is told soon."""

LEAST = {"cpu_s": 0.001, "wall_s": 0.001, "memory_bytes": MIB, "output_bytes": 0, "artifact_bytes": 0, "calls": 0}
"""The limits that an offer may lower, and the least that the jail takes for each."""


class Sink(Protocol):
    """Where a run's events go."""

    def append(self, run: str, body: link.Body) -> None:
        """Keep an event; never blocks."""

    def room(self) -> Awaitable[None]:
        """Returns when more may be told."""


@dataclass
class _Run:
    offer: link.Offer
    limits: ScriptLimits
    task: asyncio.Task[None] | None = None
    cancelled: asyncio.Future[str] | None = None


class Runs:
    """The runs of this VP.

    Args:
        site: what they share.
        sink: where their events go.
        known: runs that must not start again, because an earlier life of this agent had them.
    """

    def __init__(self, site: Site, sink: Sink, known: set[str] | None = None) -> None:
        self._site = site
        self._sink = sink
        self._runs: dict[str, _Run] = {}
        self._known = set(known or ())
        self._turns = Turns()
        self._unwanted: set[asyncio.Future[Worker]] = set()

    @property
    def running(self) -> list[str]:
        """The ids of the runs that have not ended."""
        return list(self._runs)

    def offer(self, offer: link.Offer) -> None:
        """Start a run, or refuse it. An offer that was seen before is not started again."""
        if offer.run in self._known:
            return
        self._known.add(offer.run)
        refusal = self._admit(offer)
        if refusal is not None:
            log.info("run-refused", run=offer.run, user=offer.user, why=refusal.sentence)
            self._sink.append(offer.run, self._refused(offer, refusal))
            return
        self._sink.append(offer.run, link.State(state="accepted"))
        policy = self._site.policy.current
        assert policy is not None, "admitted without a policy"
        run = _Run(offer, narrowed(policy.scripts, offer.limits))
        run.cancelled = asyncio.get_running_loop().create_future()
        self._runs[offer.run] = run
        run.task = asyncio.create_task(self._live(run), name=f"run {offer.run}")

    def cancel(self, run: str, by: str) -> None:
        """Stop a run; what it delivered is kept. One that has ended, or never was, is no error."""
        found = self._runs.get(run)
        if found is not None and found.cancelled is not None and not found.cancelled.done():
            found.cancelled.set_result(by)

    async def stop(self, by: str) -> None:
        """Stop all runs and wait until each has told its end."""
        for run in list(self._runs):
            self.cancel(run, by)
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        if tasks:
            await asyncio.wait(tasks)

    # ---- admission ----

    def _admit(self, offer: link.Offer) -> Refusal | None:
        site = self._site
        if site.look_for_pause():
            return _platform(Code.PAUSED, f"the site host of {site.vp.name} has paused it", "pause")
        policy = site.policy.current
        if policy is None or site.why_not():
            return _platform(Code.LEVEL if site.trouble else Code.POLICY, site.why_not(), "site")
        refusal = policy.admits(offer.user, offer.role, datetime.datetime.now(datetime.UTC))
        if refusal is not None:
            return refusal
        limits = policy.scripts
        of_user = sum(run.offer.user == offer.user for run in self._runs.values())
        for name, have, most, whose in (
            ("concurrent_vp", len(self._runs), limits.concurrent_vp, "on this vantage point"),
            ("concurrent_user", of_user, limits.concurrent_user, f"of {offer.user}"),
        ):
            if have >= most:
                origin = limits.origins.get(name)
                return Refusal(
                    code=Code.POLICY,
                    sentence=f"{have} scripts {whose} run already; the policy allows {most} at a time",
                    rule=origin.rule if origin else f"scripts.{name.replace('_', '.')}",
                    layer=origin.layer if origin else "platform",
                    where=origin.where if origin else "built in",
                )
        return None

    def _refused(self, offer: link.Offer, refusal: Refusal) -> link.End:
        return link.End(
            outcome=Outcome.REFUSED,
            code=refusal.code,
            reason=f"{refusal.sentence} (rule {refusal.rule}{', ' + refusal.where if refusal.where else ''})",
            facts=self._facts(offer),
        )

    # ---- one life ----

    async def _live(self, run: _Run) -> None:
        began = time.monotonic()
        offer = run.offer
        tell = self._teller(offer.run)
        try:
            end = await self._execute(run, tell)
        except (JailError, OSError) as error:
            log.error("run-not-started", run=offer.run, why=str(error))
            end = link.End(outcome=Outcome.LOST, code=Code.INTERNAL, reason=f"the run could not start: {error}")
        except Exception as error:
            log.exception("run-broken", run=offer.run)
            end = link.End(outcome=Outcome.LOST, code=Code.INTERNAL, reason=f"the agent failed: {error!r}")
        counters = {**end.counters, "wall_s": round(time.monotonic() - began, 6)}
        del self._runs[offer.run]
        tell(_with(end, counters=counters, facts={**self._facts(offer), **end.facts}))
        log.info("run-ended", run=offer.run, outcome=end.outcome, reason=end.reason)

    async def _execute(self, run: _Run, tell: Callable[[link.Body], None]) -> link.End:
        site, offer, limits = self._site, run.offer, run.limits
        assert run.cancelled is not None
        tell(link.State(state="starting"))
        worker = await self._spawn(run)
        if worker is None:
            return link.End(outcome=Outcome.CANCELLED, reason=f"cancelled by {run.cancelled.result()}")
        judge = Judge(
            lambda: None if site.paused else site.policy.current,
            site.ledger,
            site.audit,
            offer.run,
            offer.user,
            offer.role,
        )
        quota = Quota(limits.output_bytes, limits.artifact_bytes, limits.calls)
        session = Session(judge, quota)
        ended: asyncio.Future[End | None] = asyncio.get_running_loop().create_future()
        connection = Connection(worker.socket, session, tell, ended.set_result, self._sink.room, self._turns)
        died = asyncio.ensure_future(worker.wait())
        prober = None
        try:
            prober = connection.prober = site.probers.open_session(connection)
            connection.start(self._job(run))
            waiting: set[asyncio.Future[Any]] = {ended, died, run.cancelled}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if died.done() and not ended.done():
                # Its last words may still be in the socket: the end of the connection comes behind them.
                by_itself = died.result().cause is Cause.EXITED
                await asyncio.wait({ended}, timeout=LAST_WORDS_S if by_itself else LAST_WORDS_OF_KILLED_S)
            said = ended.result() if ended.done() else None
            cancelled_by = run.cancelled.result() if run.cancelled.done() else None
        finally:
            connection.close()
            if prober is not None:
                prober.close()
            worker.kill("its channel was closed")
        how = await died
        end = conclude(said, how, cancelled_by, limits)
        counters = {
            **session.counters.as_dict(),
            "cpu_s": round(how.cpu_s, 6),
            "memory_bytes": how.peak_bytes,
        }
        return _with(end, counters=counters)

    async def _spawn(self, run: _Run) -> Worker | None:
        """A worker; None when the run was cancelled before there was one."""
        limits = run.limits
        assert run.cancelled is not None
        spawning = asyncio.ensure_future(
            self._site.jail.spawn(Limits(memory_bytes=limits.memory_bytes, cpu_s=limits.cpu_s, wall_s=limits.wall_s))
        )
        waiting: set[asyncio.Future[Any]] = {spawning, run.cancelled}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if spawning.done():
            return spawning.result()
        # A zygote that is being started is for the next run, too: it is not disturbed.
        self._unwanted.add(spawning)
        spawning.add_done_callback(self._let_go)
        return None

    def _let_go(self, spawning: "asyncio.Future[Worker]") -> None:
        """A worker came when nobody wanted it any more."""
        self._unwanted.discard(spawning)
        if not spawning.cancelled() and spawning.exception() is None:
            worker = spawning.result()
            worker.socket.close()
            worker.kill("the run was cancelled")

    def _job(self, run: _Run) -> calls.Job:
        offer = run.offer
        return calls.Job(
            run=offer.run,
            filename=offer.filename,
            source=offer.source,
            args=offer.args,
            instances=[self._site.vp],
            inputs=offer.inputs,
            modules=None if run.limits.modules is None else list(run.limits.modules),
            guards=self._site.guards,
        )

    def _teller(self, run: str) -> Callable[[link.Body], None]:
        def tell(body: link.Body) -> None:
            self._sink.append(run, body)

        return tell

    def _facts(self, offer: link.Offer) -> dict[str, Any]:
        return {
            **self._site.facts(),
            "script_sha256": hashlib.sha256(offer.source).hexdigest(),
            "filename": offer.filename,
            "args": offer.args,
            "user": offer.user,
        }


def conclude(said: End | None, how: WorkerEnd, cancelled_by: str | None, limits: ScriptLimits) -> link.End:
    """The one way in which a run ended, from what was said and what was seen.

    Args:
        said: the session's word: the worker's last message, a limit or a breach.
        how: how the worker's process ended.
        cancelled_by: who asked for an early end, if anybody did.
        limits: what the run was allowed, for the sentences.
    """
    if said is None and cancelled_by is not None:
        return link.End(outcome=Outcome.CANCELLED, reason=f"cancelled by {cancelled_by}")
    if said is None:
        return _died(how, limits)
    if said.status is None and said.code == Code.INTERNAL:
        return link.End(outcome=Outcome.LOST, code=said.code, reason=said.reason)
    if said.status is None:
        return link.End(outcome=Outcome.KILLED, code=said.code, reason=said.reason, limit=said.limit)
    common: dict[str, Any] = {"status": said.status, "error": said.error, "problems": list(said.problems)}
    if said.code == Code.LANGUAGE:
        reason = "the script is not in the language that runs here"
        return link.End(outcome=Outcome.REFUSED, code=said.code, reason=reason, **common)
    if said.code in {Code.POLICY, Code.BUDGET, Code.RATE}:
        return link.End(outcome=Outcome.REFUSED, code=said.code, reason=_last_line(said.error), **common)
    if said.code == Code.LIMIT:
        reason = f"the script needed more memory than the {limits.memory_bytes >> 20} MiB that the policy allows"
        return link.End(outcome=Outcome.KILLED, code=said.code, limit="memory", reason=reason, **common)
    if said.code or said.status:
        reason = _last_line(said.error) or f"the script ended with status {said.status}"
        return link.End(outcome=Outcome.FAILED, code=said.code or Code.SCRIPT_ERROR, reason=reason, **common)
    return link.End(outcome=Outcome.FINISHED, **common)


_LIMIT_SENTENCES = {
    "cpu": lambda limits: f"the script used up the {limits.cpu_s:g} s of processor time that the policy allows",
    "wall": lambda limits: f"the script ran longer than the {limits.wall_s:g} s that the policy allows",
    "memory": lambda limits: (
        f"the script needed more memory than the {limits.memory_bytes >> 20} MiB that the policy allows"
    ),
}


def _died(how: WorkerEnd, limits: ScriptLimits) -> link.End:
    if how.cause is Cause.LIMIT:
        sentence = _LIMIT_SENTENCES[how.limit](limits)
        outcome = Outcome.TIMED_OUT if how.limit == "wall" else Outcome.KILLED
        return link.End(outcome=outcome, code=Code.LIMIT, limit=how.limit, reason=sentence)
    if how.cause is Cause.VIOLATION:
        return link.End(outcome=Outcome.KILLED, code=Code.LIMIT, limit="system-call", reason=how.detail)
    if how.cause is Cause.LOST:
        return link.End(outcome=Outcome.LOST, code=Code.INTERNAL, reason=how.detail)
    return link.End(outcome=Outcome.KILLED, code=Code.INTERNAL, reason=f"the worker ended without a word: {how.detail}")


def _platform(code: Code, sentence: str, rule: str) -> Refusal:
    return Refusal(code=code, sentence=sentence, rule=rule, layer="platform", where="")


def narrowed(limits: ScriptLimits, asked: dict[str, float]) -> ScriptLimits:
    """The policy's limits, lowered where the offer asks for less; what it cannot lower is left."""
    lower = {}
    for name, value in asked.items():
        if name in LEAST and value > 0:
            have = getattr(limits, name)
            # Never above what the policy gives, whatever the least is.
            lower[name] = type(have)(min(have, max(value, LEAST[name])))
    return msgspec.structs.replace(limits, **lower)


def _with(end: link.End, **fields: Any) -> link.End:
    return msgspec.structs.replace(end, **fields)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""
