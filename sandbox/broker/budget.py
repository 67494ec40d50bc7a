"""The ledger of a vantage point: what has been used, and when the next packet may leave.

Theory of operation
-------------------
Nothing is sent that was not charged before. `Ledger.reserve` charges a `Grant` at its worst case to every
budget (per user, script and VP, by hour, day, month or run) and books tokens in every bucket above it
(script below user below VP, and each target's own); all or nothing. `Ledger.settle` gives back what the
measurement cannot have sent in the time that it took, and no more: the trusted side does not read results.

* Budgets are charged with all packets at once. They begin anew when the hour, day or month of their zone
  does; never when a clock steps back, a connection is made or the agent starts again (`snapshot`).
* Buckets give at once what can leave within the first second, at most a burst. The rest of a measurement
  with a pace of its own (``gap_us``) is drained at that pace; a pace above a bucket's rate is refused. A
  trace is paced by its answers: the bucket bounds how often one starts, the prober's own limit how fast
  it sends.
* A wait is part of the answer and bounded by the policy; beyond it the answer is a refusal that says when
  to try again, and nothing is charged.

No I/O except `load` and `save`; no clock: ``now`` is an argument. Refunds go to the period that was charged.
"""

import datetime
import itertools
import math
import os
import time
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from onvp.policies.action import Cost
from onvp.policies.decide import Usage
from onvp.policies.grant import Grant, Refusal
from onvp.policies.model import Budget, Limit, Origin, Rate
from onvp.policies.policy import Policy
from onvp.sandbox.broker.bucket import Bucket
from onvp.sandbox.broker.errors import LedgerError

__all__ = ["Charge", "Ledger", "LedgerError", "Now", "Reservation"]

TARGETS_KEPT = 20_000
"""Targets whose buckets are remembered; idle ones are forgotten beyond that."""


class Now(NamedTuple):
    """The two clocks: one that never jumps for rates, one that people know for days and months."""

    monotonic_s: float
    epoch_s: float


@dataclass(slots=True)
class _Use:
    """What was used of one budget by one subject in one period."""

    period: str
    value: int = 0
    seen: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Charge:
    """What a reservation took, so that it can be given back."""

    cost: Cost
    uses: list[tuple[_Use, str, int]]  # quantity, amount
    books: list[tuple[Bucket, int, float, bool]]  # bucket, drain key, tokens at once, counted in bytes
    targets: list[str]
    open: bool = True


@dataclass(frozen=True, slots=True)
class Reservation:
    """Send after ``delay_s`` seconds, then `Ledger.settle` the charge."""

    delay_s: float
    charge: Charge


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """The form in which the counters survive a restart."""

    version: int
    uses: list[tuple[str, str, str, int, list[str]]]  # budget, subject, period, used, targets seen
    levels: list[tuple[str, str, float]]  # scope, subject, level of a bucket that was not full


class Ledger:
    """What is used and what is left, for all runs of this VP.

    Args:
        policy: gives the policy in force, or ``None`` while there is none: then everything is refused.
        prober_pps: the packets a second to which the probers limit themselves; ``None`` for the VP's rate.
        kept: what `snapshot` gave before.

    Raises:
        LedgerError: ``kept`` is damaged.
    """

    def __init__(
        self, policy: Callable[[], Policy | None], *, prober_pps: int | None = None, kept: bytes = b""
    ) -> None:
        self._policy = policy
        self._prober_pps = prober_pps
        self._uses: dict[tuple[str, str], _Use] = {}
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._running: dict[str, int] = {}
        self._levels: dict[tuple[str, str], float] = {}
        self._digest = ""
        self._keys = itertools.count(1)
        self._path: Path | None = None
        if kept:
            self._restore(kept)

    # ---- charging ----

    def reserve(self, grant: Grant, now: Now) -> Reservation | Refusal:
        """Charge a granted action, or say why it cannot be paid. A refusal has charged nothing."""
        policy = self._current(now)
        if policy is None:
            return _refusal(grant, "policy", "there is no policy in force", _NO_POLICY, None)
        cost = grant.cost
        targets = {str(a): n for a, n in grant.action.target_packets().items()} if cost.packets else {}
        refusal = self._over_budget(grant, policy, targets, now) or self._busy(grant, policy, targets, now)
        if refusal is not None:
            return refusal
        delay, worst, bookings = 0.0, _NO_POLICY, []
        for bucket, tokens, rest, pace, origin, in_bytes in self._bookings(grant, policy, targets, now):
            if rest and pace > bucket.rate * 1.001:
                return _too_fast(grant, bucket, pace, in_bytes, origin)
            wait = bucket.delay(tokens, now.monotonic_s)
            if wait > delay:
                delay, worst = wait, origin
            bookings.append((bucket, tokens, rest, pace, in_bytes))
        if delay > policy.rates.max_delay_s:
            return _refusal(
                grant,
                "rate",
                f"{worst.says()} limits the rate: {grant.action.primitive} would wait {delay:.1f} s for its turn; "
                f"it may wait {policy.rates.max_delay_s:g} s",
                worst,
                delay,
            )
        return Reservation(delay, self._charge(grant, policy, targets, bookings, now))

    def _charge(
        self,
        grant: Grant,
        policy: Policy,
        targets: dict[str, int],
        bookings: list[tuple[Bucket, float, float, float, bool]],
        now: Now,
    ) -> Charge:
        charge = Charge(grant.cost, [], [], list(targets))
        for name, budget in policy.budgets.items():
            use = self._use(name, budget, grant, now)
            if budget.quantity == "targets":
                use.seen.update(targets)
            else:
                amount = getattr(grant.cost, budget.quantity)
                use.value += amount
                charge.uses.append((use, budget.quantity, amount))
        if policy.per_target.per_day is not None:
            for target, packets in targets.items():
                use = self._target_use(target, policy, now)
                use.value += packets
                charge.uses.append((use, "target", packets))
        for bucket, tokens, rest, pace, in_bytes in bookings:
            key = next(self._keys)
            bucket.take(tokens, now.monotonic_s)
            if rest:
                bucket.drain(key, rest, pace, now.monotonic_s)
            charge.books.append((bucket, key, tokens, in_bytes))
        for target in targets:
            self._running[target] = self._running.get(target, 0) + 1
        return charge

    def settle(self, charge: Charge, elapsed_us: int | None, now: Now) -> int:
        """The measurement is over: give back what it cannot have sent.

        Args:
            charge: of its reservation; settling it again does nothing.
            elapsed_us: from its start at the prober to its end; ``None`` when it was never started.
            now: both clocks.

        Returns:
            The packets that remain charged.
        """
        if not charge.open:
            return 0
        charge.open = False
        cost = charge.cost
        sent = 0 if elapsed_us is None else cost.packets_within(max(elapsed_us, 0), self._pps())
        unsent = cost.packets - sent
        for use, quantity, amount in charge.uses:
            if quantity == "target":
                back = max(0, amount - sent)  # any of the packets may have gone to this target
            else:
                back = unsent * (cost.packet_bytes if quantity == "bytes" else 1)
            use.value -= min(back, amount)
        for bucket, key, tokens, in_bytes in charge.books:
            bucket.stop_drain(key, now.monotonic_s)
            bucket.give_back(max(0.0, tokens - sent * (cost.packet_bytes if in_bytes else 1)))
        for target in charge.targets:
            left = self._running.get(target, 0) - 1
            if left > 0:
                self._running[target] = left
            else:
                self._running.pop(target, None)
        return sent

    def close_run(self, run: str) -> None:
        """A run is over: forget what was counted for it alone."""
        for key in [k for k in self._uses if k[1] == f"run:{run}"]:
            del self._uses[key]
        for bucket in ("script/packets", "script/bytes"):
            self._buckets.pop((bucket, run), None)

    # ---- asking ----

    def left(self, user: str, run: str, now: Now) -> dict[str, float]:
        """What is left of each budget of ``user`` and ``run``, by its name in the policy."""
        policy = self._current(now)
        if policy is None:
            return {}
        left: dict[str, float] = {}
        for name, budget in policy.budgets.items():
            use = self._find(name, budget, user, run, now)
            used = (len(use.seen) if budget.quantity == "targets" else use.value) if use else 0
            left[name] = max(0, budget.value - used)
        return left

    def usage(self, user: str, role: str, run: str, now: Now, clock_error_s: float = 0.0) -> Usage:
        """What `onvp.policies.decide.decide` wants to know."""
        return Usage(user, role, run, self.left(user, run, now), clock_error_s)

    # ---- surviving ----

    def snapshot(self, now: Now) -> bytes:
        """The counters, to be kept while the agent is not running. Open charges stay charged in full."""
        uses = [(name, subject, use.period, use.value, sorted(use.seen)) for (name, subject), use in self._uses.items()]
        levels = [
            (scope, subject, level)
            for (scope, subject), bucket in self._buckets.items()
            if (level := bucket.level(now.monotonic_s)) < bucket.burst
        ]
        levels += [(*key, level) for key, level in self._levels.items() if key not in self._buckets]
        return msgspec.json.encode(_Kept(1, uses, levels))

    def _restore(self, kept: bytes) -> None:
        try:
            found = msgspec.json.decode(kept, type=_Kept)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise LedgerError(f"what was kept of the budgets is damaged: {error}") from error
        if found.version != 1 or any(value < 0 for _, _, _, value, _ in found.uses):
            raise LedgerError("what was kept of the budgets is damaged: a version or a number that cannot be")
        for name, subject, period, value, seen in found.uses:
            self._uses[name, subject] = _Use(period, value, set(seen))
        self._levels = {(scope, subject): level for scope, subject, level in found.levels}

    @classmethod
    def load(cls, path: Path, policy: Callable[[], Policy | None], *, prober_pps: int | None = None) -> "Ledger":
        """The ledger that a file keeps; an empty one where there is no file yet.

        Raises:
            LedgerError: the file cannot be read or is damaged. Remove it to begin at zero.
        """
        try:
            kept = path.read_bytes()
        except FileNotFoundError:
            kept = b""
        except OSError as error:
            raise LedgerError(f"{path}: what was kept of the budgets cannot be read: {error}") from error
        try:
            ledger = cls(policy, prober_pps=prober_pps, kept=kept)
        except LedgerError as error:
            raise LedgerError(f"{path}: {error}; remove the file to begin at zero") from error
        ledger._path = path
        return ledger

    def save(self, now: Now | None = None) -> None:
        """Write the file that `load` read, whole or not at all. Without ``now`` the clocks are read.

        Raises:
            LedgerError: it cannot be written.
        """
        self.write(self.snapshot(now or Now(time.monotonic(), time.time())))

    def write(self, kept: bytes) -> None:
        """Write a snapshot to the file that `load` read; touches no counter, so a thread may do it.

        Raises:
            LedgerError: it cannot be written.
        """
        if self._path is None:
            return
        beside = self._path.with_name(self._path.name + ".new")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            with os.fdopen(descriptor, "wb") as file:
                file.write(kept)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise LedgerError(f"{self._path}: what was used cannot be kept: {error.strerror or error}") from error

    # ---- budgets ----

    def _over_budget(self, grant: Grant, policy: Policy, targets: dict[str, int], now: Now) -> Refusal | None:
        for name, budget in policy.budgets.items():
            use = self._use(name, budget, grant, now)
            if budget.quantity == "targets":
                used, more = len(use.seen), sum(1 for t in targets if t not in use.seen)
            else:
                used, more = use.value, getattr(grant.cost, budget.quantity)
            if more and used + more > budget.value:
                sentence = (
                    f"{budget.origin.says()} gives {budget.value} {budget.quantity} for each {budget.scope} and "
                    f"{budget.period}; {used} are used, and {grant.action.primitive} may need {more}"
                )
                return _refusal(grant, "budget", sentence, budget.origin, _until_next(budget, now.epoch_s))
        return None

    def _busy(self, grant: Grant, policy: Policy, targets: dict[str, int], now: Now) -> Refusal | None:
        per_target = policy.per_target
        for target, packets in targets.items():
            most = per_target.concurrent
            if most is not None and self._running.get(target, 0) >= most.value:
                sentence = f"{most.origin.says()} lets {most.value} measurements at a time go to {target}"
                return _refusal(grant, "rate", sentence, most.origin, 1.0)
            daily = per_target.per_day
            if daily is not None:
                used = self._target_use(target, policy, now).value
                if used + packets > daily.value:
                    sentence = (
                        f"{daily.origin.says()} lets {daily.value} packets a day go to {target}; "
                        f"{used} are used, and {grant.action.primitive} may need {packets}"
                    )
                    budget = _daily(policy, daily)
                    return _refusal(grant, "budget", sentence, daily.origin, _until_next(budget, now.epoch_s))
        return None

    def _find(self, name: str, budget: Budget, user: str, run: str, now: Now) -> _Use | None:
        use = self._uses.get((name, _subject(budget, user, run)))
        return use if use is not None and _period(budget, now.epoch_s) <= use.period else None

    def _use(self, name: str, budget: Budget, grant: Grant, now: Now) -> _Use:
        return self._renewed((name, _subject(budget, grant.user, grant.run)), _period(budget, now.epoch_s))

    def _target_use(self, target: str, policy: Policy, now: Now) -> _Use:
        assert policy.per_target.per_day is not None
        budget = _daily(policy, policy.per_target.per_day)
        return self._renewed((budget.name, f"target:{target}"), _period(budget, now.epoch_s))

    def _renewed(self, key: tuple[str, str], period: str) -> _Use:
        use = self._uses.get(key)
        if use is None or period > use.period:  # a clock that steps back does not begin a period again
            use = self._uses[key] = _Use(period)
        return use

    # ---- buckets ----

    def _bookings(
        self, grant: Grant, policy: Policy, targets: dict[str, int], now: Now
    ) -> Iterator[tuple[Bucket, float, float, float, Origin, bool]]:
        """Per bucket above the grant: tokens at once, tokens later, their pace, and whose rule it is."""
        cost = grant.cost
        if not cost.packets:
            return
        first = cost.packets_within(1_000_000, self._pps())
        pace = min(1e6 / cost.gap_us, self._pps()) if cost.gap_us else 0.0
        rates = policy.rates
        for scope, subject, rate in (
            ("vp", "", rates.vp),
            ("user", grant.user, rates.user),
            ("script", grant.run, rates.script),
        ):
            if rate.pps is not None:
                bucket = self._bucket(f"{scope}/packets", subject, rate.pps.value, _burst(rate), now)
                at_once = min(first, bucket.burst)
                yield bucket, at_once, (cost.packets - at_once) if pace else 0, pace, rate.pps.origin, False
            if rate.bytes_s is not None:
                size = cost.packet_bytes
                bucket = self._bucket(f"{scope}/bytes", subject, rate.bytes_s.value, rate.bytes_s.value, now)
                at_once = min(first * size, bucket.burst)
                rest = (cost.bytes - at_once) if pace else 0
                yield bucket, at_once, rest, pace * size, rate.bytes_s.origin, True
        most = policy.per_target.pps
        if most is not None:
            for target, packets in targets.items():
                share = packets / cost.packets
                bucket = self._bucket("target/packets", target, most.value, most.value, now)
                at_once = min(math.ceil(first * share), bucket.burst)
                rest = max(0, packets - at_once) if pace else 0
                yield bucket, at_once, rest, pace * share, most.origin, False

    def _bucket(self, scope: str, subject: str, rate: float, burst: float, now: Now) -> Bucket:
        key = (scope, subject)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(rate, burst, now.monotonic_s)
            kept = self._levels.pop(key, None)
            if kept is not None:
                bucket.take(max(0.0, burst - kept), now.monotonic_s)
            if len(self._buckets) > TARGETS_KEPT:
                self._tidy(now)
        return bucket

    def _tidy(self, now: Now) -> None:
        """Forget targets of which nothing needs to be known any more."""
        for key in [k for k, b in self._buckets.items() if k[0] == "target/packets" and b.idle(now.monotonic_s)]:
            del self._buckets[key]
        policy = self._policy()
        if policy is not None and policy.per_target.per_day is not None:
            today = _period(_daily(policy, policy.per_target.per_day), now.epoch_s)
            for use_key in [k for k, u in self._uses.items() if k[0] == _PER_DAY and u.period < today]:
                del self._uses[use_key]

    def _pps(self) -> int:
        if self._prober_pps is not None:
            return self._prober_pps
        policy = self._policy()
        return policy.rates.vp.pps.value if policy is not None and policy.rates.vp.pps is not None else 1_000_000

    def _current(self, now: Now) -> Policy | None:
        """The policy in force; buckets take its rates when it has changed."""
        policy = self._policy()
        if policy is not None and policy.digest != self._digest:
            self._digest = policy.digest
            rates: dict[str, Rate] = {scope: getattr(policy.rates, scope) for scope in ("vp", "user", "script")}
            per_target = policy.per_target.pps
            for (name, _), bucket in self._buckets.items():
                scope, _, unit = name.partition("/")
                if scope == "target":
                    if per_target is not None:
                        bucket.resize(per_target.value, per_target.value, now.monotonic_s)
                    continue
                rate = rates[scope]
                if unit == "packets" and rate.pps is not None:
                    bucket.resize(rate.pps.value, _burst(rate), now.monotonic_s)
                elif unit == "bytes" and rate.bytes_s is not None:
                    bucket.resize(rate.bytes_s.value, rate.bytes_s.value, now.monotonic_s)
        return policy


_NO_POLICY = Origin("default", "platform", "built in")
_PER_DAY = "target.day.packets"


def _burst(rate: Rate) -> float:
    assert rate.pps is not None
    return rate.burst.value if rate.burst is not None else rate.pps.value


def _daily(policy: Policy, limit: Limit) -> Budget:
    zone = next((budget.zone for budget in policy.budgets.values()), "UTC")
    return Budget(_PER_DAY, "vp", "day", "packets", limit.value, zone, limit.origin)


def _subject(budget: Budget, user: str, run: str) -> str:
    return {"vp": "", "user": f"user:{user}", "script": f"run:{run}"}[budget.scope]


def _period(budget: Budget, epoch_s: float) -> str:
    """The hour, day or month on the clock of the budget's zone; texts that sort like time."""
    if budget.period == "run":
        return ""
    if budget.period == "hour":  # an hour has no zone: one that is repeated counts again
        return f"{int(epoch_s // 3600):010d}"
    local = datetime.datetime.fromtimestamp(epoch_s, zoneinfo.ZoneInfo(budget.zone))
    return f"{local:%Y-%m-%d}" if budget.period == "day" else f"{local:%Y-%m}"


def _until_next(budget: Budget, epoch_s: float) -> float | None:
    """Seconds until the budget begins anew."""
    if budget.period == "run":
        return None
    if budget.period == "hour":
        return 3600 - epoch_s % 3600
    zone = zoneinfo.ZoneInfo(budget.zone)
    today = datetime.datetime.fromtimestamp(epoch_s, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if budget.period == "day":
        following = today + datetime.timedelta(days=1)
    else:
        following = (today.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)
    return max(0.0, following.timestamp() - epoch_s)


def _refusal(grant: Grant, code: str, sentence: str, origin: Origin, retry_after_s: float | None) -> Refusal:
    sentence = sentence[0].upper() + sentence[1:]
    return Refusal(code, sentence, origin.rule, origin.layer, origin.where, retry_after_s, grant.decision, grant.digest)


def _too_fast(grant: Grant, bucket: Bucket, pace: float, in_bytes: bool, origin: Origin) -> Refusal:
    unit = "bytes" if in_bytes else "packets"
    slower = math.ceil(grant.cost.gap_us * pace / bucket.rate / 1000) / 1000
    sentence = (
        f"{origin.says()} allows {bucket.rate:g} {unit} a second; this {grant.action.primitive} would send "
        f"{pace:.0f} a second for longer than the burst lasts: leave at least {slower:g} s between its probes"
    )
    return _refusal(grant, "rate", sentence, origin, None)
