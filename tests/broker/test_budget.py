"""The ledger: charged before sending, refunded exactly, never above a limit, never forgotten."""

import contextlib
import itertools
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from onvp.policies.combine import combine, platform_layer
from onvp.policies.decide import Usage, decide
from onvp.policies.grant import Grant, Refusal
from onvp.policies.load import load_bytes
from onvp.policies.policy import Policy
from onvp.policies.selftest import parse_call
from onvp.sandbox.broker.budget import Ledger, LedgerError, Now, Reservation

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC).timestamp()
HEAD = "onvp-policy: 1\nlayer: host\nprimitives: {ping: {allow: true}, trace: {allow: true}, sniff: {allow: true}}\n"


def policy(text: str, destinations: str = "allow: [global-unicast]") -> Policy:
    """A host's policy with these rules."""
    return combine([load_bytes(f"{HEAD}destinations: {{{destinations}}}\n{text}".encode(), "site.yaml")])


def grant(site: Policy, call: str = "ping 1.1.1.1", user: str = "ann", run: str = "r1") -> Grant:
    """What the policy grants."""
    answer = decide(site, parse_call(call), Usage(user=user, run=run), NOON)
    assert isinstance(answer, Grant), answer
    return answer


def at(monotonic_s: float, epoch_s: float = NOON) -> Now:
    """A moment of both clocks."""
    return Now(monotonic_s, epoch_s)


def reserve(ledger: Ledger, granted: Grant, now: Now) -> Reservation:
    """A reservation that must succeed."""
    answer = ledger.reserve(granted, now)
    assert isinstance(answer, Reservation), answer
    return answer


def refuse(ledger: Ledger, granted: Grant, now: Now) -> Refusal:
    """A reservation that must not."""
    answer = ledger.reserve(granted, now)
    assert isinstance(answer, Refusal), answer
    assert answer.decision == granted.decision
    return answer


DAY = (
    "rates: {vp: {pps: 1000}}\n"
    "budgets: {user: {day: {packets: 10, bytes: 100kB, targets: 2}}, zone: Pacific/Auckland}\n"
)


def test_charged_before_sending() -> None:
    """A reservation takes the worst case at once; a second one that does not fit takes nothing."""
    site = policy(DAY)
    ledger = Ledger(lambda: site)

    reserve(ledger, grant(site, "ping 1.1.1.1 attempts=7"), at(0))
    answer = refuse(ledger, grant(site, "ping 1.1.1.1 attempts=4"), at(0))

    assert (answer.code, answer.rule, answer.where) == ("budget", "budgets.user.day.packets", "site.yaml:6")
    assert answer.sentence.endswith("gives 10 packets for each user and day; 7 are used, and ping may need 4")
    assert ledger.left("ann", "r1", at(0))["user.day.packets"] == 3
    assert ledger.left("bob", "r2", at(0))["user.day.packets"] == 10
    reserve(ledger, grant(site, "ping 1.1.1.1 attempts=3"), at(0))


def test_refund_is_what_cannot_have_been_sent() -> None:
    """After half a second a ping of one probe a second has sent at most one; the rest comes back, once."""
    site = policy(DAY)
    ledger = Ledger(lambda: site)
    charge = reserve(ledger, grant(site, "ping 1.1.1.1 attempts=7"), at(0)).charge

    assert ledger.settle(charge, 500_000, at(0.5)) == 1
    assert ledger.settle(charge, 500_000, at(0.5)) == 0
    left = ledger.left("ann", "r1", at(1))
    assert left["user.day.packets"] == 9
    assert left["user.day.targets"] == 1


def test_never_started() -> None:
    """What was never handed to a prober comes back in full."""
    site = policy(DAY)
    ledger = Ledger(lambda: site)

    assert ledger.settle(reserve(ledger, grant(site), at(0)).charge, None, at(9)) == 0
    assert ledger.left("ann", "r1", at(9))["user.day.packets"] == 10


def test_targets() -> None:
    """Different addresses count once each; what is used again is free."""
    site = policy(DAY)
    ledger = Ledger(lambda: site)
    for address in ("1.1.1.1", "1.1.1.2", "1.1.1.1"):
        reserve(ledger, grant(site, f"ping {address} attempts=1"), at(0))

    assert refuse(ledger, grant(site, "ping 1.1.1.3 attempts=1"), at(0)).rule == "budgets.user.day.targets"


def test_nothing_sent_costs_nothing() -> None:
    """A capture sends nothing, so it needs no tokens and no budget."""
    none = "rates: {vp: {pps: 1}}\nbudgets: {user: {day: {packets: 0}}, zone: UTC}\n"
    site = combine([platform_layer(own_addresses=["8.8.8.8"]), *policy(none).layers[1:]])
    ledger = Ledger(lambda: site)

    for _ in range(3):
        assert reserve(ledger, grant(site, "sniff 8.8.8.8"), at(0)).delay_s == 0.0
    assert refuse(ledger, grant(site), at(0)).code == "budget"


def test_day_begins_on_the_zones_clock() -> None:
    """A day begins at midnight of the policy's zone, and the refusal says when; a clock set back gives nothing."""
    site = policy(DAY)
    ledger = Ledger(lambda: site)
    evening = datetime(2026, 5, 5, 23, 59, tzinfo=ZoneInfo("Pacific/Auckland")).timestamp()
    reserve(ledger, grant(site, "ping 1.1.1.1 attempts=10"), at(0, evening))

    answer = refuse(ledger, grant(site), at(1, evening + 30))
    assert answer.retry_after_s == pytest.approx(30)
    reserve(ledger, grant(site, "ping 1.1.1.1 attempts=10"), at(60, evening + 60))
    refuse(ledger, grant(site), at(61, evening))
    assert ledger.left("ann", "r1", at(61, evening))["user.day.packets"] == 0


@pytest.mark.parametrize(
    ("period", "first", "last", "following"),
    [
        ("month", "2026-02-01T00:00", "2026-02-28T23:59", "2026-03-01T00:00"),
        ("month", "2026-12-31T23:00", "2026-12-31T23:59", "2027-01-01T00:00"),
        ("hour", "2026-05-05T10:00", "2026-05-05T10:59", "2026-05-05T11:00"),
        ("day", "2026-10-25T00:00", "2026-10-25T23:59", "2026-10-26T00:00"),
    ],
)
def test_periods(period: str, first: str, last: str, following: str) -> None:
    """Hours, days (one of 25 hours, too) and months begin anew when they begin, and not before."""
    site = policy(f"rates: {{vp: {{pps: 1000}}}}\nbudgets: {{vp: {{{period}: {{packets: 4}}}}, zone: Europe/Berlin}}\n")
    ledger = Ledger(lambda: site)
    moments = [
        datetime.fromisoformat(t).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
        for t in (first, last, following)
    ]
    reserve(ledger, grant(site), at(0, moments[0]))

    assert refuse(ledger, grant(site, user="bob"), at(9, moments[1])).retry_after_s == pytest.approx(60)
    reserve(ledger, grant(site, user="bob"), at(19, moments[2]))


def test_run_budget() -> None:
    """What one run may use is its own, and forgotten with it."""
    site = policy("rates: {vp: {pps: 1000}}\nbudgets: {script: {run: {packets: 4}}}\n")
    ledger = Ledger(lambda: site)
    reserve(ledger, grant(site), at(0))

    assert refuse(ledger, grant(site), at(1)).retry_after_s is None
    reserve(ledger, grant(site, run="r2"), at(1))
    ledger.close_run("r1")
    reserve(ledger, grant(site), at(2))


def test_wait_is_bounded() -> None:
    """Calls wait for their turn, each behind the last, until the wait would be too long; that is refused, and free."""
    site = policy("rates: {vp: {pps: 10, burst: 10}, max_delay: 2s}\n")
    ledger = Ledger(lambda: site)
    one = grant(site, "ping 1.1.1.1 attempts=5 wait_probe=100ms")

    delays = [reserve(ledger, one, at(0)).delay_s for _ in range(6)]
    assert delays == pytest.approx([0, 0, 0.5, 1.0, 1.5, 2.0])
    for _ in range(3):
        answer = refuse(ledger, one, at(0))
        assert (answer.code, answer.rule) == ("rate", "rates.vp.pps")
        assert answer.retry_after_s == pytest.approx(2.5)


def test_deny_on_excess() -> None:
    """With on_excess: deny, what would have to wait is refused."""
    site = policy("rates: {vp: {pps: 10, burst: 10}, on_excess: deny}\n")
    ledger = Ledger(lambda: site)
    one = grant(site, "ping 1.1.1.1 attempts=10 wait_probe=10ms")
    reserve(ledger, one, at(0))

    assert refuse(ledger, one, at(0)).retry_after_s == pytest.approx(1.0)


def test_hierarchy() -> None:
    """A user's bucket is below the VP's: one user's excess leaves the others what is theirs."""
    site = policy("rates: {vp: {pps: 100, burst: 100}, user: {pps: 10, burst: 10}, script: {pps: 5}, max_delay: 0s}\n")
    ledger = Ledger(lambda: site)
    five = "ping 1.1.1.1 attempts=5 wait_probe=1ms"
    reserve(ledger, grant(site, five), at(0))

    assert refuse(ledger, grant(site, five), at(0)).rule == "rates.script.pps"
    reserve(ledger, grant(site, five, run="r2"), at(0))
    assert refuse(ledger, grant(site, five, run="r3"), at(0)).rule == "rates.user.pps"
    reserve(ledger, grant(site, five, user="bob", run="r4"), at(0))


def test_only_the_first_second_at_once() -> None:
    """A slow ping needs two tokens to start; the rest is drained at its pace, and stops when it does."""
    site = policy("rates: {vp: {pps: 10, burst: 10}, max_delay: 0s}\n")
    ledger = Ledger(lambda: site)
    slow = grant(site, "ping 1.1.1.1 attempts=100")
    charges = [reserve(ledger, slow, at(0)).charge for _ in range(5)]

    assert refuse(ledger, slow, at(0)).retry_after_s == pytest.approx(2 / (10 - 5))
    for charge in charges:
        ledger.settle(charge, 200_000, at(0.2))
    reserve(ledger, slow, at(0.2))


def test_too_fast_for_too_long() -> None:
    """A pace above the rate for longer than a burst is refused, with the pace that would do."""
    site = policy("rates: {vp: {pps: 100}, user: {pps: 5, burst: 20}}\n")
    ledger = Ledger(lambda: site)

    reserve(ledger, grant(site, "ping 1.1.1.1 attempts=20 wait_probe=10ms"), at(0))
    answer = refuse(ledger, grant(site, "ping 1.1.1.1 attempts=21 wait_probe=10ms"), at(99))
    assert (answer.rule, answer.retry_after_s) == ("rates.user.pps", None)
    assert answer.sentence.endswith("leave at least 0.2 s between its probes")
    reserve(ledger, grant(site, "ping 1.1.1.1 attempts=999 wait_probe=200ms"), at(199))


def test_trace_then_ping() -> None:
    """After a short trace its tokens are back: a script that reacts does not wait for what was not sent."""
    site = policy("rates: {vp: {pps: 50, burst: 50}}\n")
    ledger = Ledger(lambda: site)
    trace = reserve(ledger, grant(site, "trace 1.1.1.1"), at(0))
    assert trace.delay_s == 0.0

    ledger.settle(trace.charge, 100_000, at(0.1))

    assert reserve(ledger, grant(site, "ping 1.1.1.1"), at(0.1)).delay_s == 0.0


def test_bytes() -> None:
    """Bytes a second are a bucket of their own."""
    site = policy("rates: {vp: {pps: 1000, bytes: 1kB/s}, max_delay: 0s}\n")
    ledger = Ledger(lambda: site)
    reserve(ledger, grant(site, "ping 1.1.1.1 attempts=1 size=900"), at(0))

    assert refuse(ledger, grant(site, "ping 1.1.1.1 attempts=1 size=900"), at(0)).rule == "rates.vp.bytes"
    reserve(ledger, grant(site, "ping 1.1.1.1 attempts=1 size=900"), at(0.8))


def test_per_target() -> None:
    """One address gets only so much, from all users together: at a time, a second, a day."""
    limits = "allow: [global-unicast], per_target: {concurrent: 1}"
    site = policy("", limits)
    ledger = Ledger(lambda: site)
    first = reserve(ledger, grant(site), at(0))
    assert refuse(ledger, grant(site, user="bob"), at(0)).rule == "destinations.per_target.concurrent"
    reserve(ledger, grant(site, "ping 1.1.1.2"), at(0))
    ledger.settle(first.charge, 100, at(0))
    reserve(ledger, grant(site, user="bob"), at(0))

    site = policy("rates: {max_delay: 0s}\n", "allow: [global-unicast], per_target: {pps: 2}")
    ledger = Ledger(lambda: site)
    reserve(ledger, grant(site, "ping 1.1.1.1 attempts=2"), at(0))
    assert refuse(ledger, grant(site, user="bob"), at(0)).rule == "destinations.per_target.pps"

    site = policy("", "allow: [global-unicast], per_target: {per_day: 20 packets}")
    ledger = Ledger(lambda: site)
    for _ in range(2):  # of a trace at most gaplimit x attempts probes arrive
        trace = reserve(ledger, grant(site, "trace 1.1.1.1"), at(0))
        ledger.settle(trace.charge, 60_000_000, at(60))
    answer = refuse(ledger, grant(site, user="bob"), at(90))
    assert (answer.code, answer.rule) == ("budget", "destinations.per_target.per_day")
    assert answer.retry_after_s == pytest.approx(12 * 3600)


def test_survives_a_restart(tmp_path: Path) -> None:
    """What was used is still used after a restart, and a bucket that was empty is not full."""
    site = policy(DAY.replace("pps: 1000", "pps: 2, burst: 2") + "", "allow: [global-unicast]")
    path = tmp_path / "budgets.json"
    ledger = Ledger.load(path, lambda: site)
    reserve(ledger, grant(site, "ping 1.1.1.1 attempts=2"), at(500))
    ledger.save(at(500))

    again = Ledger.load(path, lambda: site)

    assert again.left("ann", "r9", at(3))["user.day.packets"] == 8
    assert reserve(again, grant(site, "ping 1.1.1.1 attempts=2"), at(3)).delay_s == pytest.approx(1.0)
    assert (path.stat().st_mode & 0o777) == 0o640


@pytest.mark.parametrize("kept", [b"{", b"[]", b'{"version":2,"uses":[],"levels":[]}', b"\xff",
                                  b'{"version":1,"uses":[["a","b","c",-1,[]]],"levels":[]}'])  # fmt: skip
def test_damaged(tmp_path: Path, kept: bytes) -> None:
    """Damaged books are not a fresh start: they are an error that names the file and what to do."""
    path = tmp_path / "budgets.json"
    path.write_bytes(kept)

    with pytest.raises(LedgerError, match=r"budgets\.json: .* damaged.*; remove the file to begin at zero"):
        Ledger.load(path, lambda: policy(""))


def test_disk_full(tmp_path: Path) -> None:
    """Books that cannot be written leave the old ones whole."""
    site = policy(DAY)
    path = tmp_path / "deep" / "budgets.json"
    path.parent.mkdir()
    ledger = Ledger.load(path, lambda: site)
    path.parent.rmdir()

    with pytest.raises(LedgerError, match="cannot be kept"):
        ledger.save(at(0))


def test_no_policy() -> None:
    """Without a policy in force nothing can be reserved."""
    site = policy("")
    granted = grant(site)

    assert refuse(Ledger(lambda: None), granted, at(0)).code == "policy"


def test_narrower_policy() -> None:
    """A policy that is changed while runs go on holds from the next call on, and what was used stays used."""
    held = [policy(DAY)]
    ledger = Ledger(lambda: held[0])
    reserve(ledger, grant(held[0], "ping 1.1.1.1 attempts=7"), at(0))
    held[0] = policy(DAY.replace("packets: 10", "packets: 8").replace("1000", "1"))

    assert ledger.left("ann", "r1", at(0))["user.day.packets"] == 1
    reserve(ledger, grant(held[0], "ping 1.1.1.1 attempts=1"), at(0))
    refuse(ledger, grant(held[0], "ping 1.1.1.1 attempts=1"), at(5))


LIMIT = 120
PROPERTY = policy(
    f"rates: {{vp: {{pps: 30, burst: 40}}, user: {{pps: 20}}, script: {{pps: 10}}, max_delay: 3s}}\n"
    f"budgets: {{user: {{day: {{packets: {LIMIT}, targets: 3}}}}, vp: {{day: {{packets: {2 * LIMIT}}}}}, zone: UTC}}\n",
    "allow: [global-unicast], per_target: {concurrent: 3, pps: 15, per_day: 150 packets}",
)


class Books(RuleBasedStateMachine):
    """Any order of reservations, ends, restarts and passing time keeps the books right."""

    charges = Bundle("charges")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(lambda: PROPERTY, prober_pps=30)
        self.time = 0.0
        self.open: dict[int, int] = {}
        self.sent = 0
        self.number = itertools.count()
        self.started: list[tuple[float, int]] = []

    @property
    def now(self) -> Now:
        return at(self.time, NOON + min(self.time, 10_000))

    @rule(target=charges, attempts=st.integers(1, 30), target_=st.integers(1, 4), user=st.sampled_from(["ann", "bob"]),
          gap=st.sampled_from([10, 100, 500, 1000]))  # fmt: skip
    def reserve(self, attempts: int, target_: int, user: str, gap: int) -> object:
        granted = grant(PROPERTY, f"ping 1.1.1.{target_} attempts={attempts} wait_probe={gap}ms", user, f"run-{user}")
        before = self.ledger.left(user, "r", self.now)
        answer = self.ledger.reserve(granted, self.now)
        if isinstance(answer, Refusal):
            assert self.ledger.left(user, "r", self.now) == before
            return None
        assert 0 <= answer.delay_s <= 3
        key = next(self.number)
        self.open[key] = granted.cost.packets
        self.started.append((self.time + answer.delay_s, 1))
        return key, answer.charge, granted.cost

    @rule(held=consumes(charges), elapsed=st.integers(-5, 10**7) | st.none())
    def settle(self, held: object, elapsed: int | None) -> None:
        if held is None:
            return
        key, charge, cost = held  # type: ignore[misc]
        bound = 0 if elapsed is None else cost.packets_within(max(elapsed, 0), 30)
        assert self.ledger.settle(charge, elapsed, self.now) == bound
        del self.open[key]
        self.sent += bound

    @rule(step=st.floats(0, 20))
    def wait(self, step: float) -> None:
        self.time += step

    @invariant()
    def conserved(self) -> None:
        """What is charged is what may have been sent plus what is under way; never below zero, never above a limit."""
        left = self.ledger.left("ann", "r", self.now)
        assert 0 <= left["user.day.packets"] <= LIMIT
        assert 2 * LIMIT - left["vp.day.packets"] == self.sent + sum(self.open.values())

    @invariant()
    def bounded(self) -> None:
        """Measurements begin no faster than the VP's rate lets them."""
        for moment, _ in self.started:
            assert sum(n for start, n in self.started if start <= moment) <= 40 + 30 * moment + 1e-6


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


@given(st.binary(max_size=120))
def test_any_kept_bytes(kept: bytes) -> None:
    """Any bytes are books or a LedgerError."""
    with contextlib.suppress(LedgerError):
        Ledger(lambda: PROPERTY, kept=kept)
