"""One run's state machine: every message, every ending, every reply, without a socket and without a clock."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvp.sandbox.broker.session import (
    ARTIFACTS_LIMIT,
    HELD_LIMIT,
    OUTSTANDING_LIMIT,
    PIECE_COST_BYTES,
    TOLD_LIMIT,
    Effect,
    End,
    Halt,
    Probe,
    Quota,
    Send,
    Session,
    Tell,
    artifact_name_fits,
)
from onvp.sandbox.wire import calls, link
from onvp.sandbox.wire.errors import Code
from tests.broker.parts import CLAMPS, TARGET, Books, Told, body, ping


def make(output: int = 1 << 20, artifacts: int = 1 << 20, most: int | None = None) -> tuple[Session, Told]:
    """A session, and the judge that it asks."""
    judge = Told()
    return Session(judge, Quota(output, artifacts, most)), judge  # type: ignore[arg-type]


def say(session: Session, *messages: Any, now: float = 0.0) -> list[Effect]:
    """The effects of messages of the worker, in order."""
    return [effect for message in messages for effect in session.receive(body(message), now)]


def sent(effects: list[Effect], kind: type | None = None) -> list[Any]:
    """The messages to the worker."""
    return [e.message for e in effects if isinstance(e, Send) and (kind is None or isinstance(e.message, kind))]


def told(effects: list[Effect], kind: type | None = None) -> list[Any]:
    """The events."""
    return [e.body for e in effects if isinstance(e, Tell) and (kind is None or isinstance(e.body, kind))]


def ends(effects: list[Effect]) -> list[End]:
    """The ends: never more than one."""
    return [e for e in effects if isinstance(e, End)]


def only_end(effects: list[Effect]) -> End:
    """The one end, which is the last effect."""
    (end,) = ends(effects)
    assert effects[-1] is end
    return end


# ---- a submit's way ----


def test_a_granted_call_is_probed_accepted_and_answered_with_its_record() -> None:
    """A granted call goes to the prober, is accepted by name, and its record reaches worker and researcher."""
    session, judge = make()

    (probe,) = say(session, ping(1), now=5.0)
    assert isinstance(probe, Probe)
    assert probe.task == 1
    assert sent(session.take_submitted(1, "scamper 20211212")) == [calls.Accepted(task=1, prober="scamper 20211212")]
    effects = session.take_record(1, 3, b"raw", 5.5)

    assert sent(effects) == [calls.Record(task=1, data=b"raw", connection=3)]
    assert told(effects) == [link.Measurement(connection=3, data=b"raw")]
    assert [elapsed for _, elapsed in judge.settled] == [500_000]
    assert session.counters.as_dict() | {"packets": 4} == session.counters.as_dict()
    assert (session.counters.calls, session.counters.granted, session.counters.results) == (1, 1, 1)


def test_a_synchronous_call_without_clamps_is_not_accepted_in_words() -> None:
    """A synchronous call gets one message less, unless something was clamped."""
    session, _ = make()
    say(session, ping(1, sync=True), ping(2, sync=True, size=2))

    assert session.take_submitted(1, "scamper") == []
    assert sent(session.take_submitted(2, "scamper"))[0].clamps == list(CLAMPS)


def test_a_refusal_reaches_worker_and_researcher_and_nothing_is_probed() -> None:
    """A refused call is answered with sentence, rule and place, and told."""
    session, judge = make()

    effects = say(session, ping(1, size=1))

    (refused,) = sent(effects)
    assert isinstance(refused, calls.Refused)
    assert (refused.sentence, refused.rule, refused.where) == ("no", "primitives.ping.allow", "test.yaml:9")
    assert told(effects)[0].target == TARGET
    assert not judge.settled
    assert session.counters.refused == 1


@pytest.mark.parametrize(
    ("submit", "code"),
    [
        (calls.Submit(1, "ping", {"dst": 5}), Code.BAD_VALUE),
        (calls.Submit(1, "ping", {"dst": TARGET, "attempts": "4"}), Code.BAD_TYPE),
        (calls.Submit(1, "ping", {"dst": TARGET, "attempts": 0}), Code.BAD_VALUE),
        (calls.Submit(1, "ping", {"dst": TARGET, "nothing": 0}), Code.BAD_TYPE),
        (calls.Submit(1, "pong", {"dst": TARGET}), Code.BAD_VALUE),
        (calls.Submit(1, "ping", {"dst": TARGET}, instance=1), Code.BAD_VALUE),
    ],
)
def test_a_call_that_cannot_be_is_answered_and_goes_no_further(submit: calls.Submit, code: str) -> None:
    """A wrong type, value, name or instance is told to the worker; the judge is not asked."""
    session, judge = make()

    (answer,) = sent(say(session, submit))

    assert isinstance(answer, calls.Invalid)
    assert answer.code == code
    assert not judge.verdicts
    assert session.counters.invalid == 1


def test_what_no_prober_can_express_is_refunded_in_full() -> None:
    """Nothing was sent, so nothing is charged, and the call ends with Invalid."""
    session, judge = make()
    say(session, ping(1))

    (answer,) = sent(session.take_inexpressible(1, "not with this scamper", 1.0))

    assert (answer.code, answer.message) == (Code.UNSUPPORTED, "not with this scamper")
    assert [elapsed for _, elapsed in judge.settled] == [None]


def test_a_failure_ends_the_task_and_is_settled() -> None:
    """A task that the prober could not do is told with its code."""
    session, judge = make()
    say(session, ping(1), now=1.0)

    (answer,) = sent(session.take_failure(1, "gone", Code.PROBER_LOST, 2.0))

    assert (answer.message, answer.code) == ("gone", Code.PROBER_LOST)
    assert len(judge.settled) == 1


@pytest.mark.parametrize("task", [0, 2, 99])
def test_answers_for_unknown_tasks_change_nothing(task: int) -> None:
    """A record, failure or acceptance for a task that the prober does not have is dropped."""
    session, judge = make()
    say(session, ping(1), ping(2, size=1005))

    if task:
        assert session.take_record(task, 1, b"x", 1.0) == []
    assert session.take_failure(task, "x", Code.PROBER, 1.0) == []
    assert session.take_submitted(task, "scamper") == []
    assert session.take_inexpressible(task, "x", 1.0) == []
    assert not judge.settled


def test_a_task_ends_once() -> None:
    """A second record of a task, or a failure after it, is dropped."""
    session, judge = make()
    say(session, ping(1))
    session.take_record(1, 1, b"x", 1.0)

    assert session.take_record(1, 1, b"x", 1.0) == []
    assert session.take_failure(1, "x", Code.PROBER, 1.0) == []
    assert len(judge.settled) == 1


def test_records_of_the_connection_itself_are_passed_on() -> None:
    """A list or cycle record (task 0) goes to worker and researcher, and settles nothing."""
    session, judge = make()

    effects = session.take_record(0, 2, b"list", 0.0)

    assert sent(effects) == [calls.Record(task=0, data=b"list", connection=2)]
    assert not judge.settled


# ---- task numbers ----


@pytest.mark.parametrize("task", [0, -1, -(1 << 63), 5, 4, 1 << 53, (1 << 64) - 1])
def test_task_numbers_must_rise_and_stay_in_bounds(task: int) -> None:
    """A replayed, falling, negative or huge task number ends the run as a breach."""
    session, judge = make()
    say(session, ping(5))

    end = only_end(say(session, ping(task)))

    assert end.code == Code.PROTOCOL
    assert "task numbers must rise" in end.reason
    assert len(judge.verdicts) == 1


def test_task_numbers_may_leave_gaps() -> None:
    """A gap in the numbers is no breach."""
    session, _ = make()

    assert not ends(say(session, ping(1), ping(1000), ping((1 << 53) - 1)))


# ---- held calls ----


def test_a_delayed_call_waits_for_its_time_in_silence() -> None:
    """Until its rate tokens are there nothing is sent to anybody; then it is probed."""
    session, _ = make()

    assert say(session, ping(1, size=1003), now=10.0) == []
    assert session.due() == 13.0
    assert session.tick(12.9) == []
    (probe,) = session.tick(13.0)

    assert isinstance(probe, Probe)
    assert session.due() is None
    assert session.counters.delayed_s == 3


def test_calls_overtake_those_that_wait_longer() -> None:
    """A call without delay does not queue behind one that waits for its tokens."""
    session, _ = make()
    say(session, ping(1, size=1060))

    assert [e.task for e in say(session, ping(2)) if isinstance(e, Probe)] == [2]


def test_more_than_the_outstanding_limit_waits_for_an_end() -> None:
    """At most OUTSTANDING_LIMIT tasks are with the prober; the next goes when one has ended."""
    session, _ = make()
    for task in range(1, OUTSTANDING_LIMIT + 1):
        assert isinstance(say(session, ping(task))[0], Probe)
    last = OUTSTANDING_LIMIT + 1
    assert say(session, ping(last)) == []
    assert session.due() is None

    effects = session.take_record(7, 1, b"x", 1.0)

    assert [e.task for e in effects if isinstance(e, Probe)] == [last]


def test_a_flood_of_waiting_calls_ends_the_run() -> None:
    """More than HELD_LIMIT calls that wait are a breach."""
    session, judge = make()
    for task in range(1, HELD_LIMIT + 1):
        assert say(session, ping(task, size=1060)) == []

    end = only_end(say(session, ping(HELD_LIMIT + 1, size=1060)))
    session.close(1.0)

    assert end.code == Code.PROTOCOL
    assert "wait at once" in end.reason
    assert len(judge.settled) == HELD_LIMIT


# ---- halts ----


def test_a_running_task_is_halted_at_the_prober_once() -> None:
    """A halt of a running task goes to the prober; asking again says nothing new."""
    session, _ = make()
    say(session, ping(1))

    assert say(session, calls.Halt(task=1)) == [Halt(1)]
    assert say(session, calls.Halt(task=1)) == []
    assert sent(session.take_record(1, 1, b"partial", 1.0), calls.Record)


def test_a_held_task_is_halted_without_the_prober() -> None:
    """A halt of a call that waits ends it at once, with a full refund, and frees its place."""
    session, judge = make()
    say(session, ping(1, size=1060))

    effects = say(session, calls.Halt(task=1))

    assert [type(message) for message in sent(effects)] == [calls.Accepted, calls.Failed]
    assert [elapsed for _, elapsed in judge.settled] == [None]
    assert session.due() is None
    assert session.tick(1e9) == []


def test_submitting_and_halting_for_ever_leaves_nothing_behind() -> None:
    """Calls that are halted while they wait do not fill the queue."""
    session, judge = make()
    for task in range(1, 2 * HELD_LIMIT):
        assert not ends(say(session, ping(task, size=1060), calls.Halt(task=task)))

    assert len(session._held) == len(session._tasks) == 0
    assert len(judge.settled) == len(judge.verdicts)


@pytest.mark.parametrize("task", [0, -5, 77, (1 << 64) - 1])
def test_a_halt_of_no_task_does_nothing(task: int) -> None:
    """Halting what is not there has no effect."""
    session, _ = make()

    assert say(session, calls.Halt(task=task)) == []


# ---- what is delivered ----


def test_output_is_told_until_the_quota_and_cut_at_it_by_bytes() -> None:
    """Text is delivered up to the limit, to the byte and without half a character; then the run ends."""
    session, _ = make(output=10)

    assert told(say(session, calls.Output(text="abcd", err=True))) == [link.Output(text="abcd", err=True)]
    effects = say(session, calls.Output(text="éééé"))

    assert told(effects) == [link.Output(text="ééé", err=False)]
    end = only_end(effects)
    assert (end.code, end.limit) == (Code.LIMIT, "output")
    assert "10 bytes" in end.reason


def test_output_up_to_the_very_quota_is_fine() -> None:
    """What meets the limit exactly is within it."""
    session, _ = make(output=4)

    assert not ends(say(session, calls.Output(text="abcd")))
    assert only_end(say(session, calls.Output(text="e"))).limit == "output"


def test_results_count_as_output_and_the_one_over_the_limit_is_not_told() -> None:
    """A result that passes the quota ends the run and is not delivered by halves."""
    session, _ = make(output=8)

    assert told(say(session, calls.Emit(json=b'{"a":1}'))) == [link.Result(json=b'{"a":1}')]
    effects = say(session, calls.Emit(json=b'{"a":2}'))

    assert told(effects) == []
    assert only_end(effects).limit == "output"


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[1,]", b"nan", b"NaN", b"1 2", b"{}\n", b'{"a":\r1}', b'"\xff"', b'"\\ud800"', b"'a'",
        b"\x00", b"01", b"[" * 200_000, b'{"a" 1}', b"\xef\xbb\xbf1",
    ],
)  # fmt: skip
def test_a_result_that_is_not_one_line_of_json_is_a_breach(text: bytes) -> None:
    """What is told as a result is JSON, in UTF-8, on one line."""
    session, _ = make()

    end = only_end(say(session, calls.Emit(json=text)))

    assert end.code == Code.PROTOCOL


def test_empty_messages_are_no_events() -> None:
    """Text of no length and a second start make no event that anybody would have to keep."""
    session, _ = make()

    assert told(say(session, calls.Started())) == [link.State(state="running")]
    assert say(session, calls.Started(), calls.Output(text=""), calls.Done(instance=0)) == []


def test_artifacts_are_told_piece_by_piece_and_each_piece_counts() -> None:
    """Pieces of artifacts count with their data and a little more, until the quota."""
    session, _ = make(artifacts=2 * PIECE_COST_BYTES + 4)

    first = say(session, calls.Write(name="a.csv", data=b"abcd", truncate=True))
    last = say(session, calls.Write(name="a.csv", data=b"", last=True))

    assert told(first) == [link.Artifact(name="a.csv", data=b"abcd", truncate=True)]
    assert told(last) == [link.Artifact(name="a.csv", data=b"", last=True)]
    assert only_end(say(session, calls.Write(name="a.csv", data=b""))).limit == "artifacts"


def test_measurements_count_as_artifacts_and_the_worker_gets_the_last_one_still() -> None:
    """A record that passes the quota ends the run, and nothing that waits is probed after it."""
    session, _ = make(artifacts=10)
    say(session, ping(1), ping(2, size=1001))

    effects = session.take_record(1, 1, b"x" * 11, 5.0)

    assert sent(effects, calls.Record)
    assert only_end(effects).limit == "artifacts"
    assert not [e for e in effects if isinstance(e, Probe)]


def test_the_number_of_artifacts_is_bounded() -> None:
    """One name more than the limit ends the run."""
    session, _ = make()
    for number in range(ARTIFACTS_LIMIT):
        assert not ends(say(session, calls.Write(name=f"a{number}", data=b"")))

    assert only_end(say(session, calls.Write(name="one-more", data=b""))).limit == "artifacts"


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", ".hidden", "a/b", "/etc/passwd", "../a", "a\\b", "..\\a", "a\0b", "a\nb", "a\rb", "a\x7fb",
        "a\x85b", "a\u2028b", "a\u202eb", "a\u200bb", "x" * 129, "\U0001f980" * 61, "\x1b[2J",
    ],
)  # fmt: skip
def test_an_artifact_name_that_is_a_path_hidden_unprintable_or_long_is_a_breach(name: str) -> None:
    """Names of artifacts are one printable, visible part of a path that every file system takes."""
    session, _ = make()

    assert not artifact_name_fits(name)
    assert only_end(say(session, calls.Write(name=name, data=b""))).code == Code.PROTOCOL


@pytest.mark.parametrize("name", ["a", "a.warts.gz", "x" * 128, "Ergebnis für Köln.csv", "-rf", "\U0001f980" * 60])
def test_ordinary_artifact_names_are_taken(name: str) -> None:
    """Names as people write them pass, and fit into a directory entry."""
    session, _ = make()

    assert not ends(say(session, calls.Write(name=name, data=b"")))
    assert len(name.encode()) <= 255


# ---- counting, telling, asking ----


def test_the_number_of_calls_is_bounded_and_the_limit_is_named() -> None:
    """One call more than the quota ends the run."""
    session, _ = make(most=2)
    say(session, ping(1), ping(2, size=1))

    end = only_end(say(session, ping(3)))

    assert (end.code, end.limit) == (Code.LIMIT, "calls")
    assert "2 calls" in end.reason


def test_a_quota_of_no_calls_allows_none() -> None:
    """Zero is a number of calls, not the absence of a limit."""
    session, _ = make(most=0)

    assert only_end(say(session, ping(1))).limit == "calls"


def test_refusals_and_clamps_are_told_up_to_a_number_and_counted_beyond() -> None:
    """A script that is refused for ever does not fill the disk with it."""
    session, _ = make()
    effects = [e for task in range(1, TOLD_LIMIT + 100) for e in say(session, ping(task, size=1 + task % 2))]

    assert len(told(effects)) == TOLD_LIMIT
    assert session.counters.refused + session.counters.clamped == TOLD_LIMIT + 99
    assert len(sent(effects, calls.Refused)) == session.counters.refused


def test_language_problems_are_told_up_to_a_number() -> None:
    """The end carries the problems, and not more than a person could want."""
    session, _ = make()
    problems = [calls.Problem(line, 1, "no") for line in range(TOLD_LIMIT + 5)]

    end = only_end(say(session, calls.Refusals(problems), calls.Finished(1, "no", Code.LANGUAGE)))

    assert (end.code, len(end.problems)) == (Code.LANGUAGE, TOLD_LIMIT)


def test_the_budget_is_what_the_judge_says_and_what_the_quotas_leave() -> None:
    """A question about the budget is answered with every figure, and never with a negative one."""
    session, _ = make(output=10, artifacts=100, most=5)
    say(session, calls.Output(text="abc"), ping(1))

    (budget,) = sent(say(session, calls.AskBudget(seq=7)))

    assert budget == calls.Budget(
        seq=7,
        left={
            "user.day.packets": 10.0, "script.output_bytes": 7, "script.artifact_bytes": 100, "script.calls": 4,
        },
    )  # fmt: skip


def test_a_prober_that_is_gone_is_told() -> None:
    """The loss of the prober reaches the worker."""
    session, _ = make()

    assert sent(session.take_gone("it is gone")) == [calls.Gone(instance=0, reason="it is gone")]


# ---- the end ----


@pytest.mark.parametrize(
    ("code", "before", "believed"),
    [
        (None, [], ""),
        (Code.SCRIPT_ERROR, [calls.Started()], Code.SCRIPT_ERROR),
        (Code.LIMIT, [calls.Started()], Code.LIMIT),
        (Code.LANGUAGE, [], Code.LANGUAGE),
        (Code.LANGUAGE, [calls.Started()], Code.SCRIPT_ERROR),
        (Code.LANGUAGE, [ping(1)], Code.SCRIPT_ERROR),
        (Code.POLICY, [ping(1, size=1)], Code.POLICY),
        (Code.POLICY, [ping(1)], Code.SCRIPT_ERROR),
        (Code.BUDGET, [], Code.SCRIPT_ERROR),
        (Code.RATE, [], Code.SCRIPT_ERROR),
        (Code.INTERNAL, [], Code.SCRIPT_ERROR),
        (Code.PAUSED, [], Code.SCRIPT_ERROR),
        ("x" * 1000, [], Code.SCRIPT_ERROR),
    ],
)
def test_a_last_word_is_believed_where_the_session_saw_the_same(
    code: str | None, before: list[Any], believed: str
) -> None:
    """A worker cannot claim a refusal that nobody gave, nor an ending that is not its own to tell."""
    session, _ = make()
    say(session, *before)

    assert only_end(say(session, calls.Finished(status=1, error="e", code=code))).code == believed


@pytest.mark.parametrize(("status", "kept"), [(0, 0), (1, 1), (255, 255), (256, 255), (-1, 0), (1 << 60, 255)])
def test_an_exit_status_fits_into_one_byte(status: int, kept: int) -> None:
    """Whatever a worker calls its status, the run has one from 0 to 255."""
    session, _ = make()

    assert only_end(say(session, calls.Finished(status=status))).status == kept


def test_a_last_word_is_cut_to_what_a_person_reads() -> None:
    """A traceback of a megabyte is not kept."""
    session, _ = make()

    assert len(only_end(say(session, calls.Finished(status=1, error="x" * (1 << 19)))).error) == 64 << 10


def test_nothing_happens_after_the_end() -> None:
    """After its last word a worker is not heard, nor is the prober."""
    session, judge = make()
    say(session, ping(1), ping(2, size=1060), calls.Finished(status=0))

    assert say(session, ping(3), calls.Output(text="x"), calls.Finished(status=1), calls.Halt(task=1)) == []
    assert session.receive(b"\xff", 0.0) == []
    assert session.take_record(1, 1, b"x", 1.0) == []
    assert session.take_failure(1, "x", Code.PROBER, 1.0) == []
    assert session.take_submitted(1, "x") == []
    assert session.take_inexpressible(1, "x", 1.0) == []
    assert session.take_gone("x") == []
    assert session.tick(1e9) == []
    assert not judge.settled


def test_closing_settles_what_is_under_way_once_and_refunds_what_was_not_sent() -> None:
    """At the end every verdict is settled exactly once: held ones with nothing sent."""
    session, judge = make()
    say(session, ping(1), ping(2, size=1060), now=1.0)

    session.close(3.0)
    session.close(4.0)

    assert [elapsed for _, elapsed in judge.settled] == [2_000_000, None]
    assert session.ended


@pytest.mark.parametrize(
    "text", [b"", b"\xc1", b"\x80", b"\x81\xa4type\xa3job", b"\x93\x01\x02\x03", b"GET / HTTP/1.1"]
)
def test_what_is_no_message_is_a_breach(text: bytes) -> None:
    """Bytes outside of the vocabulary end the run with a reason."""
    session, _ = make()

    end = only_end(session.receive(text, 0.0))

    assert end.code == Code.PROTOCOL
    assert "broke its protocol" in end.reason


# ---- whatever comes, in whatever order ----

_NUMBERS = st.integers(-3, 40)
_OPS = st.one_of(
    st.tuples(st.just("submit"), st.integers(0, 3), st.sampled_from([0, 1, 2, 500, 1001, 1003]), st.booleans()),
    st.tuples(st.just("wrong"), st.sampled_from([{}, {"dst": "x"}, {"dst": TARGET, "ttl": 0}]), st.integers(0, 1)),
    st.tuples(st.just("halt"), _NUMBERS),
    st.tuples(st.just("record"), _NUMBERS, st.binary(max_size=8)),
    st.tuples(st.just("failure"), _NUMBERS),
    st.tuples(st.just("refuse-to-express"), _NUMBERS),
    st.tuples(st.just("time"), st.floats(0, 5)),
    st.tuples(st.just("output"), st.text(max_size=12)),
    st.tuples(st.just("emit"), st.sampled_from([b"1", b"{}", b'{"a":[1,2]}', b"{}\n", b"x"])),
    st.tuples(st.just("write"), st.sampled_from(["a", "b", ".."]), st.binary(max_size=8)),
    st.tuples(st.just("budget"), _NUMBERS),
    st.tuples(st.just("started")),
    st.tuples(st.just("bytes"), st.binary(max_size=30)),
    st.tuples(st.just("finished"), _NUMBERS, st.sampled_from([None, Code.POLICY, Code.LANGUAGE, "x"])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_OPS, max_size=60), st.sampled_from([0, 30, 1 << 20]), st.sampled_from([None, 0, 5]))
def test_any_sequence_keeps_every_promise(ops: list[tuple[Any, ...]], quota: int, most: int | None) -> None:
    """Nothing raises, each submit gets its one answer, each verdict is settled once, the counters agree."""
    session, judge = make(output=quota, artifacts=quota, most=most)
    now, task = 100.0, 0
    submitted: set[int] = set()
    answers: dict[int, list[str]] = {}
    delivered = 0
    over = False

    def carry_out(effects: list[Effect]) -> None:
        nonlocal delivered, over
        for effect in effects:
            assert not over, "an effect after the end"
            match effect:
                case Probe(number, _):
                    answers.setdefault(number, []).append("Probe")
                    carry_out(session.take_submitted(number, "scamper"))
                case Send(calls.Record(task=0) | calls.Budget() | calls.Gone()):
                    pass
                case Send(message):
                    answers.setdefault(message.task, []).append(type(message).__name__)  # type: ignore[union-attr]
                case Tell(link.Output(text=text)):
                    delivered += len(text.encode())
                case Tell(link.Result(json=json)):
                    delivered += len(json)
                case End():
                    over = True

    for op in ops:
        match op:
            case ("submit", step, size, sync):
                task += step
                if step and not session.ended:
                    submitted.add(task)
                carry_out(say(session, ping(task, size=size, sync=sync), now=now))
            case ("wrong", params, instance):
                task += 1
                if not session.ended:
                    submitted.add(task)
                carry_out(say(session, calls.Submit(task, "ping", params, instance=instance), now=now))
            case ("halt", number):
                carry_out(say(session, calls.Halt(task=number), now=now))
            case ("record", number, data):
                carry_out(session.take_record(max(0, number), 1, data, now))
            case ("failure", number):
                carry_out(session.take_failure(number, "no", Code.PROBER, now))
            case ("refuse-to-express", number):
                carry_out(session.take_inexpressible(number, "no", now))
            case ("time", seconds):
                now += seconds
                carry_out(session.tick(now))
            case ("output", text):
                carry_out(say(session, calls.Output(text=text), now=now))
            case ("emit", text):
                carry_out(say(session, calls.Emit(json=text), now=now))
            case ("write", name, data):
                carry_out(say(session, calls.Write(name=name, data=data), now=now))
            case ("budget", seq):
                carry_out(say(session, calls.AskBudget(seq=seq), now=now))
            case ("started",):
                carry_out(say(session, calls.Started(), now=now))
            case ("bytes", data):
                carry_out(session.receive(data, now))
            case ("finished", status, code):
                carry_out(say(session, calls.Finished(status=status, code=code), now=now))
        assert session._probing == sum(entry.started is not None for entry in session._tasks.values())
        assert len(session._held) == sum(entry.started is None for entry in session._tasks.values())
    counters = session.counters
    under_way = len(session._tasks)
    session.close(now)

    assert delivered <= quota
    assert set(answers) <= submitted
    for number, seen in answers.items():
        words = [word for word in seen if word != "Probe"]
        assert words in (
            [], ["Refused"], ["Invalid"], ["Accepted"], ["Record"], ["Failed"], ["Accepted", "Record"],
            ["Accepted", "Failed"], ["Accepted", "Invalid"],
        ), (number, seen)  # fmt: skip
        assert seen.count("Probe") <= 1
    assert len(judge.settled) == len(judge.verdicts)
    assert len({id(word.reservation) for word, _ in judge.settled}) == len(judge.verdicts)
    assert judge.closed == 1
    assert counters.granted == len(judge.verdicts)
    halted_while_held = sum(seen == ["Accepted", "Failed"] for seen in answers.values())
    unexpressed = sum("Probe" in seen and "Invalid" in seen for seen in answers.values())
    assert counters.granted == counters.results + counters.failed + halted_while_held + unexpressed + under_way
    assert counters.calls >= counters.granted + counters.refused + counters.invalid - unexpressed


def test_with_the_real_judge_what_a_run_used_and_left_is_in_the_books(tmp_path: Any) -> None:
    """A refused, a clamped and a granted call, judged by a real policy, leave exactly what they may have sent."""
    books = Books(tmp_path)
    session = Session(books.judge(), Quota(1 << 20, 1 << 20))

    refused = sent(say(session, ping(1, dst="203.0.113.9"), now=1.0))
    clamped = say(session, ping(2, attempts=99), now=1.0)
    session.take_record(2, 1, b"raw", 100.0)
    books.close()

    assert isinstance(refused[0], calls.Refused)
    assert "203.0.113" in refused[0].sentence
    assert told(clamped, link.Clamped)[0].clamps[0].given == 10
    assert session.counters.packets == 10
    assert (tmp_path / "audit.jsonl").read_text().count('"decision"') == 2
