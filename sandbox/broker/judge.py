"""One call judged: decided by the policy, charged to the budgets, written down. In that order, always.

The judge of a run joins the four parts that must agree before anything is sent: the policy in force, the
ledger, the audit log, and who asks. What it returns is already in the audit log. What cannot be written
there is refused: nothing takes effect that nobody can look up.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from onvp.policies.action import Action
from onvp.policies.decide import Usage, decide
from onvp.policies.grant import Grant, Refusal
from onvp.policies.policy import Policy
from onvp.sandbox.broker.audit import AuditError, AuditLog
from onvp.sandbox.broker.budget import Ledger, Now, Reservation
from onvp.sandbox.wire import calls
from onvp.sandbox.wire.errors import Code


@dataclass(frozen=True, slots=True)
class Verdict:
    """A grant with its place in the queue.

    Attributes:
        grant: what may be sent.
        clamps: what was narrowed, in the wire's words.
        delay_s: how long it waits for its rate tokens.
        reservation: what was charged for it.
    """

    grant: Grant
    clamps: tuple[calls.Clamp, ...]
    delay_s: float
    reservation: Reservation


class Judge:
    """The judge of one run.

    Args:
        policy: gives the policy in force, or None when there is none that can be used.
        ledger: of the vantage point, shared by all runs.
        audit: likewise.
        run: the run's id.
        user: who asks.
        role: the user's role.
    """

    def __init__(
        self, policy: Callable[[], Policy | None], ledger: Ledger, audit: AuditLog, run: str, user: str, role: str
    ) -> None:
        self._policy = policy
        self._ledger = ledger
        self._audit = audit
        self._run = run
        self._user = user
        self._usage = Usage(user=user, role=role, run=run)

    def judge(self, action: Action, now: float) -> Verdict | Refusal:
        """The answer to one call, written down.

        Args:
            action: what is asked for.
            now: monotonic seconds.
        """
        moment = time.time()
        policy = self._policy()
        if policy is None:
            return Refusal(Code.POLICY, "no policy is in force on this vantage point", "site", "host", "")
        answer = decide(policy, action, self._usage, moment)
        reserved: Reservation | Refusal | None = None
        if isinstance(answer, Grant):
            reserved = self._ledger.reserve(answer, Now(now, moment))
            if isinstance(reserved, Refusal):
                answer = reserved
        try:
            delay_s = reserved.delay_s if isinstance(reserved, Reservation) else 0.0
            self._audit.record(answer, action, run=self._run, user=self._user, now=moment, delay_s=delay_s)
        except AuditError as error:
            if isinstance(reserved, Reservation):
                self._ledger.settle(reserved.charge, None, Now(now, moment))
            return Refusal(Code.INTERNAL, str(error), "audit", "platform", "")
        if isinstance(answer, Refusal):
            return answer
        assert isinstance(reserved, Reservation)
        clamps = tuple(calls.Clamp(c.parameter, c.asked, c.given, c.rule, c.where) for c in answer.clamps)
        return Verdict(answer, clamps, reserved.delay_s, reserved)

    def settle(self, verdict: Verdict, elapsed_us: int | None, now: float) -> int:
        """A call is over: give back what it cannot have sent; gives the packets that stay charged."""
        return self._ledger.settle(verdict.reservation.charge, elapsed_us, Now(now, time.time()))

    def left(self, now: float) -> dict[str, float]:
        """What is left of each budget, by name."""
        return self._ledger.left(self._user, self._run, Now(now, time.time()))

    def close(self) -> None:
        """The run is over: what was counted for it alone is forgotten."""
        self._ledger.close_run(self._run)
