"""responses(), poll(), synchronous calls and callbacks: who gets what, when, and when it ends."""

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from onvp.sandbox.wire import calls
from tests.worker.parts import CYCLE, LIST, PING, Site, accepted, granted, refused, result

Make = Callable[..., Site]
AWARE = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)


def naive_now() -> datetime.datetime:
    """As scripts say ``datetime.now()``."""
    return datetime.datetime.now(datetime.UTC).astimezone().replace(tzinfo=None)


def silent(submit: calls.Submit) -> list[calls.ToWorker]:
    """Accepted, and never a result."""
    return [accepted(submit)]


def failed(submit: calls.Submit) -> list[calls.ToWorker]:
    """Accepted, and then the prober dies."""
    return [accepted(submit), calls.Failed(task=submit.task, message="scamper is gone", code="prober-lost")]


# ---- responses ----


def test_responses_ends_when_no_task_is_outstanding(site: Make) -> None:
    """Tasks that are added while it is read are included."""
    ctrl = site().scamper.ScamperCtrl()
    ctrl.do_ping("192.0.2.1", userid=1)
    seen = 0
    for _ in ctrl.responses():
        seen += 1
        if seen < 5:
            ctrl.do_ping("192.0.2.1")
    assert seen == 5
    assert list(ctrl.responses()) == []


def test_nothing_happens_before_the_first_next(site: Make) -> None:
    """It is a generator: wrong arguments are told at the first next, too."""
    ctrl = site().scamper.ScamperCtrl()
    now = naive_now()

    for how, kind, says in [
        ({"timeout": 1, "until": now}, ValueError, "cannot provide both timeout and until parameters"),
        ({"timeout": "1"}, TypeError, "timeout"),
        ({"until": 5}, TypeError, "until is not a datetime"),
        ({"until": AWARE}, TypeError, "offset"),
    ]:
        waiting = ctrl.responses(**how)
        with pytest.raises(kind, match=says):
            next(waiting)


@pytest.mark.parametrize("timeout", [datetime.timedelta(milliseconds=30), 0.03, 0, -5, datetime.timedelta(0)])
def test_a_deadline_leaves_tasks_outstanding(site: Make, timeout: Any) -> None:
    """After the deadline the tasks go on; a later call has their results."""
    s = site(answer=silent)
    ctrl = s.scamper.ScamperCtrl()
    ctrl.do_ping("192.0.2.1")

    assert list(ctrl.responses(timeout=timeout)) == []
    assert ctrl.taskc == 1
    s.broker.say(result(s.broker.submits[0]))
    assert len(list(ctrl.responses())) == 1


def test_until_is_a_naive_local_time(site: Make) -> None:
    """A moment that has passed hands out what is queued, and ends."""
    s = site()
    ctrl = s.scamper.ScamperCtrl()
    ctrl.do_ping("192.0.2.1")
    s.drain()
    s.broker.answer = silent
    ctrl.do_ping("192.0.2.1")
    past = naive_now() - datetime.timedelta(seconds=1)

    assert len(list(ctrl.responses(until=past))) == 1
    assert ctrl.taskc == 1


def test_responses_never_raises_what_a_task_ended_with(site: Make) -> None:
    """A task that fails is no longer waited for; its exception stays to be read."""
    s = site(answer=failed)
    ctrl = s.scamper.ScamperCtrl()
    ctrl.do_ping("192.0.2.1")

    assert list(ctrl.responses()) == []
    errors = list(ctrl.exceptions())
    assert [type(error) for error in errors] == [s.scamper.ScamperInstError]
    assert "scamper is gone" in str(errors[0])
    assert list(ctrl.exceptions()) == []


def test_results_know_their_instance_by_identity(site: Make) -> None:
    """result.inst is the object of instances(), so that it finds its entry in a dict."""
    s = site(vps=2)
    ctrl = s.scamper.ScamperCtrl()
    count = dict.fromkeys(ctrl.instances(), 0)
    for inst in count:
        for _ in range(2):
            ctrl.do_ping("192.0.2.1", inst=inst)
    for o in ctrl.responses():
        count[o.inst] += 1
    assert list(count.values()) == [2, 2]


# ---- poll ----


def test_poll_gives_an_object_an_exception_or_none(site: Make) -> None:
    """A queued exception comes first; then objects; None at the deadline; None when all is done."""
    s = site(answer=failed)
    ctrl = s.scamper.ScamperCtrl()
    ctrl.do_ping("192.0.2.1")
    s.broker.answer = granted
    ctrl.do_ping("192.0.2.1")
    s.drain()

    with pytest.raises(s.scamper.ScamperInstError):
        ctrl.poll()
    assert ctrl.poll().nreplies == 1
    assert ctrl.poll(timeout=0.01) is None
    assert ctrl.poll(until=naive_now()) is None
    ctrl.done()
    assert ctrl.poll() is None
    assert ctrl.is_done()


def test_polls_arguments_are_checked_when_nothing_is_queued(site: Make) -> None:
    """As with responses(), but only if there is nothing to hand out."""
    s = site()
    ctrl = s.scamper.ScamperCtrl()
    ctrl.do_ping("192.0.2.1")
    s.drain()

    assert ctrl.poll(until=AWARE) is not None
    for how in ({"until": AWARE}, {"until": 1}, {"timeout": "x"}):
        with pytest.raises(TypeError):
            ctrl.poll(**how)
    with pytest.raises(ValueError, match="both"):
        ctrl.poll(timeout=1, until=naive_now())


def test_poll_does_not_wait_for_what_cannot_come(site: Make) -> None:
    """Without a deadline, and with nothing under way, upstream's waits for ever; here it returns None."""
    ctrl = site().scamper.ScamperCtrl()
    assert ctrl.poll() is None
    ctrl.do_ping("192.0.2.1")
    assert ctrl.poll() is not None
    assert ctrl.poll() is None
    assert not ctrl.is_done()


# ---- meta ----


def test_meta_gives_list_cycle_results_and_the_cycles_end(site: Make) -> None:
    """With meta=True the list and the cycle come first, and the end of the cycle last."""
    s = site()
    ctrl = s.scamper.ScamperCtrl(meta=True)
    ctrl.do_ping("192.0.2.1")
    ctrl.done()

    got = list(ctrl.responses())

    assert [type(o).__name__ for o in got] == ["ScamperList", "ScamperCycle", "ScamperPing", "ScamperCycle"]
    start, stop = got[1], got[3]
    assert start.stop is None
    assert stop.stop >= start.start
    assert ctrl.instances() == []


def test_without_meta_lists_and_cycles_are_swallowed(site: Make) -> None:
    """Neither responses nor poll nor a synchronous call hands them out."""
    ctrl = site().scamper.ScamperCtrl()
    assert type(ctrl.do_ping("192.0.2.1", sync=True)).__name__ == "ScamperPing"
    ctrl.done()
    assert ctrl.poll() is None
    assert list(ctrl.responses()) == []


# ---- synchronous calls ----


def test_a_synchronous_call_returns_its_own_result(site: Make) -> None:
    """What else arrives meanwhile stays queued; a synchronous task is not counted."""
    s = site(answer=silent)
    ctrl = s.scamper.ScamperCtrl()
    ctrl.do_ping("192.0.2.1")

    def both(submit: calls.Submit) -> list[calls.ToWorker]:
        return [result(s.broker.submits[0]), result(submit)]

    s.broker.answer = both
    ping = ctrl.do_ping("192.0.2.2", sync=True)

    assert isinstance(ping, s.scamper.ScamperPing)
    assert ctrl.taskc == 0
    assert len(list(ctrl.responses())) == 1


@pytest.mark.parametrize(
    "end",
    [
        lambda submit: calls.Failed(task=submit.task, message="scamper is gone", code="prober-lost"),
        lambda submit: calls.Gone(instance=submit.instance, reason="the VP is lost"),
        lambda submit: calls.Record(task=submit.task, data=PING[:20], connection=1),
        lambda submit: calls.Record(task=submit.task, data=b"\x12\x05\x00\x63\x00\x00\x00\x00", connection=1),
    ],
    ids=["the prober dies", "the VP is lost", "half a record", "a record of unknown type"],
)
def test_a_synchronous_call_never_hangs(site: Make, end: Callable[[calls.Submit], calls.ToWorker]) -> None:
    """Where upstream waits for ever, ScamperInstError is raised."""
    s = site(answer=lambda submit: [end(submit)])
    ctrl = s.scamper.ScamperCtrl()

    with pytest.raises(s.scamper.ScamperInstError):
        ctrl.do_ping("192.0.2.1", sync=True)


def test_a_synchronous_call_raises_the_first_queued_exception(site: Make) -> None:
    """An earlier task's failure is raised first; the new task's result comes later."""
    s = site(answer=failed)
    ctrl = s.scamper.ScamperCtrl()
    ctrl.do_ping("192.0.2.1")
    s.drain()
    s.broker.answer = granted

    with pytest.raises(s.scamper.ScamperInstError, match="gone"):
        ctrl.do_ping("192.0.2.2", sync=True)

    assert len(list(ctrl.responses())) == 1
    assert ctrl.do_ping("192.0.2.2", sync=True) is not None


def test_an_exception_of_a_callback_ends_the_wait_of_a_synchronous_call(site: Make) -> None:
    """What morecb raises is raised from the call; the measurement's result comes later."""
    s = site(answer=silent)

    def more(_ctrl: Any, _inst: Any, _param: Any) -> None:
        raise KeyError("mine")

    ctrl = s.scamper.ScamperCtrl(morecb=more)
    with pytest.raises(KeyError, match="mine"):
        ctrl.do_ping("192.0.2.1", sync=True)
    ctrl.morecb = None
    s.drain()
    s.broker.say(result(s.broker.submits[0]))
    assert len(list(ctrl.responses())) == 1


def test_a_lost_vp_ends_everything_that_waits_for_it(site: Make) -> None:
    """EOF: the instance is gone, its tasks end with exceptions that can be read, eofcb is called."""
    s = site(answer=silent)
    ended = []
    ctrl = s.scamper.ScamperCtrl(eofcb=lambda _ctrl, inst, _param: ended.append(inst))
    (inst,) = ctrl.instances()
    ctrl.do_ping("192.0.2.1")
    s.broker.say(calls.Gone(instance=0, reason="the prober died"))

    assert list(ctrl.responses()) == []

    assert inst.is_eof()
    assert ended == [inst]
    assert ctrl.is_done()
    assert ["the prober died" in str(error) for error in ctrl.exceptions()] == [True]


# ---- callbacks ----


def test_morecb_comes_after_attach_and_after_each_command(site: Make) -> None:
    """Three pings with done() in the fourth call: more, more, more, more, eof."""
    s = site()
    said = []

    def more(ctrl: Any, inst: Any, param: Any) -> None:
        said.append("more")
        if len(said) > 3:
            inst.done()
        else:
            ctrl.do_ping("192.0.2.1", inst=inst)
        assert param == "mine"

    ctrl = s.scamper.ScamperCtrl(morecb=more, eofcb=lambda *_: said.append("eof"), param="mine")
    results = []
    while not ctrl.is_done():
        o = ctrl.poll()
        if o is not None:
            results.append(o)

    assert said == ["more", "more", "more", "more", "eof"]
    assert len(results) == 3


def test_morecb_comes_after_a_refused_command_too(site: Make) -> None:
    """The refusal is raised in the callback, queued from there, and the next call comes."""
    s = site(answer=lambda submit: [refused(submit)])
    said = []

    def more(ctrl: Any, inst: Any, _param: Any) -> None:
        said.append("more")
        if len(said) == 3:
            inst.done()
        else:
            ctrl.do_ping("192.0.2.1", inst=inst)

    ctrl = s.scamper.ScamperCtrl(morecb=more)
    assert list(ctrl.responses()) == []
    assert said == ["more"] * 3
    assert len(list(ctrl.exceptions())) == 2


def test_eofcb_waits_until_all_objects_were_consumed(site: Make) -> None:
    """It is called once, after the last of the instance's queued objects."""
    s = site()
    ended = []
    ctrl = s.scamper.ScamperCtrl(eofcb=lambda _c, _i, _p: ended.append(len(seen)))
    seen: list[Any] = []
    ctrl.do_ping("192.0.2.1")
    ctrl.do_ping("192.0.2.1")
    ctrl.done()
    for o in ctrl.responses():
        seen.append(o)
    assert ended == [2]
    assert list(ctrl.responses()) == []
    assert ended == [2]


def test_exceptions_of_callbacks_are_delivered_by_poll(site: Make) -> None:
    """What a callback raises is raised by the poll that ran it."""
    s = site()

    def more(_ctrl: Any, _inst: Any, _param: Any) -> None:
        raise ZeroDivisionError

    ctrl = s.scamper.ScamperCtrl(morecb=more)
    with pytest.raises(ZeroDivisionError):
        ctrl.poll(timeout=1)
    assert ctrl.poll(timeout=0) is None


# ---- the outfile ----


def test_the_outfile_has_everything_at_arrival(site: Make) -> None:
    """List, cycle, results of both kinds of calls in arrival order, the cycle's end; read or not."""
    s = site()
    out = s.scamper.ScamperFile("out.warts", "w")
    ctrl = s.scamper.ScamperCtrl(outfile=out)
    synchronous = ctrl.do_ping("192.0.2.1", sync=True)
    ctrl.do_ping("192.0.2.1")
    s.drain()
    ctrl.done()
    ctrl.poll(timeout=0)
    ctrl.poll(timeout=0)
    out.close()
    s.drain()

    data = s.broker.artifact("out.warts")
    again = site(inputs={"out.warts": data})
    got = list(again.scamper.ScamperFile("folder/out.warts"))

    assert data.startswith(LIST[:8])
    assert CYCLE[12:] in data
    names = [type(o).__name__ for o in got]
    assert names == ["ScamperList", "ScamperCycle", "ScamperPing", "ScamperPing", "ScamperCycle"]
    assert got[2].to_json() == synchronous.to_json()
    assert got[2].inst is None
    assert got[4].stop is not None


def test_errors_of_the_outfile_do_not_touch_results(site: Make) -> None:
    """A closed outfile records nothing more, and the results still come."""
    s = site()
    out = s.scamper.ScamperFile("out.json", "w")
    ctrl = s.scamper.ScamperCtrl(outfile=out)
    out.close()
    assert ctrl.do_ping("192.0.2.1", sync=True).nreplies == 1
    ctrl.outfile = None
    assert ctrl.do_ping("192.0.2.1", sync=True).nreplies == 1
