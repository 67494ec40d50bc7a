"""One call judged: policy, ledger and audit log agree before anything is sent."""

import json
import os
from pathlib import Path

import pytest

from onvp.policies.action import parse
from onvp.policies.grant import Refusal
from onvp.sandbox.broker.judge import Judge, Verdict
from onvp.sandbox.wire.errors import Code
from tests.broker.parts import CLOSED, OPEN, PACED, TARGET, Books

BUDGETED = OPEN + "budgets:\n  script: {run: {packets: 10}}\n"


def lines(folder: Path) -> list[dict[str, object]]:
    """What the audit log holds."""
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]


def test_a_grant_is_in_the_audit_log_before_the_judge_has_answered(tmp_path: Path) -> None:
    """What is granted was written down first, with who asked, in which run."""
    books = Books(tmp_path)

    verdict = books.judge().judge(parse("ping", {"dst": TARGET, "attempts": 2}), 1.0)

    assert isinstance(verdict, Verdict)
    (line,) = lines(tmp_path)
    assert (line["run"], line["user"], line["verdict"], line["packets"]) == ("run-1", "ana", "granted", 2)
    books.close()


def test_a_refusal_is_written_down_and_charges_nothing(tmp_path: Path) -> None:
    """A destination that is closed is refused with its rule, and leaves the budget as it was."""
    books = Books(tmp_path, BUDGETED)
    judge = books.judge()
    before = judge.left(1.0)

    refusal = judge.judge(parse("ping", {"dst": CLOSED}), 1.0)

    assert isinstance(refusal, Refusal)
    assert refusal.code == Code.POLICY
    assert lines(tmp_path)[0]["verdict"] == "refused"
    assert judge.left(1.0) == before
    books.close()


def test_a_clamp_is_in_the_verdict_in_the_words_of_the_wire(tmp_path: Path) -> None:
    """A narrowed parameter is told with what was asked, what is given, and the rule."""
    books = Books(tmp_path)

    verdict = books.judge().judge(parse("ping", {"dst": TARGET, "attempts": 50}), 1.0)

    assert isinstance(verdict, Verdict)
    (clamp,) = verdict.clamps
    assert (clamp.parameter, clamp.asked, clamp.given) == ("attempts", 50, 10)
    assert clamp.where.startswith("test.yaml:")
    assert verdict.grant.action.attempts == 10  # type: ignore[attr-defined]
    books.close()


def test_what_cannot_be_written_down_is_refused_and_refunded(tmp_path: Path) -> None:
    """When the audit log takes no line, nothing is granted and nothing stays charged."""
    books = Books(tmp_path, BUDGETED)
    judge = books.judge()
    before = judge.left(1.0)
    broken = os.open("/dev/full", os.O_WRONLY)
    os.dup2(broken, books.audit._descriptor)
    os.close(broken)

    answer = judge.judge(parse("ping", {"dst": TARGET}), 1.0)

    assert isinstance(answer, Refusal)
    assert answer.code == Code.INTERNAL
    assert judge.left(1.0) == before
    books.close()


def test_without_a_policy_in_force_every_call_is_refused(tmp_path: Path) -> None:
    """A policy that was taken away while a script runs stops its calls."""
    books = Books(tmp_path)
    judge = Judge(lambda: None, books.ledger, books.audit, "run-1", "ana", "researcher")

    answer = judge.judge(parse("ping", {"dst": TARGET}), 1.0)

    assert isinstance(answer, Refusal)
    assert answer.code == Code.POLICY
    books.close()


@pytest.mark.parametrize(("elapsed_us", "stays"), [(None, 0), (0, 1), (10**9, 5)])
def test_settling_gives_back_what_cannot_have_been_sent(tmp_path: Path, elapsed_us: int | None, stays: int) -> None:
    """Not sent: all of it; ended at once: all but one packet; ran its time: nothing."""
    books = Books(tmp_path, BUDGETED)
    judge = books.judge()
    verdict = judge.judge(parse("ping", {"dst": TARGET, "attempts": 5}), 1.0)
    assert isinstance(verdict, Verdict)

    assert judge.settle(verdict, elapsed_us, 2.0) == stays

    (left,) = [value for name, value in judge.left(2.0).items() if name.endswith("packets")]
    assert left == 10 - stays
    books.close()


def test_a_used_up_budget_is_a_refusal_of_its_own_kind(tmp_path: Path) -> None:
    """The budget's end says so by its code, and names its rule."""
    books = Books(tmp_path, BUDGETED)
    judge = books.judge()
    judge.judge(parse("ping", {"dst": TARGET, "attempts": 8}), 1.0)

    answer = judge.judge(parse("ping", {"dst": TARGET, "attempts": 8}), 1.0)

    assert isinstance(answer, Refusal)
    assert answer.code == Code.BUDGET
    assert "packets" in answer.sentence
    books.close()


def test_a_rate_delays_and_the_delay_is_in_the_verdict(tmp_path: Path) -> None:
    """Beyond the burst a call waits for its tokens."""
    books = Books(tmp_path, PACED)
    judge = books.judge()
    delays = []
    for _ in range(40):
        verdict = judge.judge(parse("ping", {"dst": TARGET, "attempts": 1}), 1.0)
        assert isinstance(verdict, Verdict)
        delays.append(verdict.delay_s)

    assert delays[0] == 0
    assert delays[-1] == pytest.approx(0.2, abs=0.02)
    assert delays == sorted(delays)
    books.close()
