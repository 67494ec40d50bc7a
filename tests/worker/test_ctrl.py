"""ScamperCtrl as upstream's module has it: constructing, instances, choosing one, what is handed out."""

import datetime
from collections.abc import Callable

import pytest

from onvp.sandbox.wire import calls
from tests.worker.parts import PING, TRACE, Site, accepted, granted, refused, result

Make = Callable[..., Site]


# ---- constructor ----


def test_parameters_have_upstreams_order(site: Make) -> None:
    """meta, morecb, eofcb, param, unix, remote, remote_dir, mux, outfile may be given by position."""
    s = site()
    seen = []

    ctrl = s.scamper.ScamperCtrl(True, None, lambda *_: seen.append("eof"), 7, "/run/a", None, None, None, None)

    assert (ctrl.param, len(ctrl.instances())) == (7, 1)
    assert ctrl.eofcb is not None
    assert ctrl.morecb is None


def test_an_outfile_must_be_a_file_open_for_writing(site: Make) -> None:
    """Anything but a ScamperFile is a ValueError, and one for reading a RuntimeError."""
    s = site(inputs={"in.warts": PING})

    with pytest.raises(ValueError, match=r"^outfile not ScamperFile$"):
        s.scamper.ScamperCtrl(outfile="out.warts")
    with pytest.raises(RuntimeError, match=r"^outfile not opened in write mode$"):
        s.scamper.ScamperCtrl(outfile=s.scamper.ScamperFile("in.warts"))


@pytest.mark.parametrize("how", [{"unix": "/run/s"}, {"remote": "/r/vp1-1234"}, {"remote_dir": "/r"}, {}])
def test_whatever_names_a_socket_gives_the_vp_of_the_run(site: Make, how: dict[str, str]) -> None:
    """Constructor arguments that name sockets or directories resolve to the run's VP; none does, too."""
    ctrl = site().scamper.ScamperCtrl(**how)

    assert [inst.name for inst in ctrl.instances()] == ["vp1"]
    assert ctrl.instc == 1


def test_a_mux_gives_vps_and_no_instance(site: Make) -> None:
    """After mux= there are VPs to choose from, and no instance until add_vps."""
    ctrl = site(vps=3).scamper.ScamperCtrl(mux="/run/mux")

    assert ctrl.instances() == []
    assert ctrl.is_done()
    assert [vp.name for vp in ctrl.vps()] == ["vp1", "vp2", "vp3"]
    assert ctrl.poll() is None
    with pytest.raises(RuntimeError, match=r"^no connected ScamperInst$"):
        ctrl.do_ping("192.0.2.1")
    insts = ctrl.add_vps(ctrl.vps()[:2])
    assert [inst.name for inst in insts] == ["vp1", "vp2"]
    assert set(ctrl.instances()) == set(insts)


def test_the_with_statement_leaves_everything_usable(site: Make) -> None:
    """Leaving the block does nothing."""
    s = site()
    with s.scamper.ScamperCtrl(unix="/x") as ctrl:
        pass
    assert ctrl.do_ping("192.0.2.1", sync=True).nreplies == 1


# ---- add_* ----


def test_add_methods_return_what_upstreams_return(site: Make) -> None:
    """add_unix, add_inet and add_remote give an instance, add_remote_dir and add_mux give None."""
    ctrl = site(vps=3).scamper.ScamperCtrl(mux="/m")

    assert ctrl.add_unix("/run/one").name == "vp1"
    assert ctrl.add_inet(31337).name == "vp2"
    assert ctrl.add_inet(31337, "::1").name == "vp3"
    assert ctrl.add_remote("/remote/vp2-abcdef").name == "vp2"
    assert ctrl.add_remote_dir("/remote") is None
    assert ctrl.add_mux("/m") is None
    assert ctrl.instc == 7


def test_add_vps_takes_a_list_a_set_or_one(site: Make) -> None:
    """Other containers and elements are TypeErrors, raised before any is added; a second time gives a second one."""
    ctrl = site(vps=2).scamper.ScamperCtrl(mux="/m")
    one, two = ctrl.vps()

    for wrong in ((one, two), {one: two}, (vp for vp in (one,)), [one, "vp2"], "vp1", None):
        with pytest.raises(TypeError):
            ctrl.add_vps(wrong)
    assert ctrl.instances() == []
    assert len(ctrl.add_vps({one, two})) == 2
    first, (second,) = ctrl.instances()[0], ctrl.add_vps(one)
    assert first != second


def test_a_vp_that_is_gone_is_left_out(site: Make) -> None:
    """add_vps leaves out what cannot be opened; add_unix says that it could not connect."""
    s = site(vps=2)
    ctrl = s.scamper.ScamperCtrl(mux="/m")
    s.broker.say(calls.Gone(instance=0, reason="the VP is lost"))
    s.drain()

    assert [inst.name for inst in ctrl.add_vps(ctrl.vps())] == ["vp2"]
    with pytest.raises(RuntimeError, match="could not connect: the VP is lost"):
        ctrl.add_remote("/r/vp1-0")


def test_remove_drops_an_instance_with_its_tasks(site: Make) -> None:
    """remove() takes only its own instances; what was outstanding or queued is dropped."""
    s = site(vps=2, answer=lambda submit: [accepted(submit)])
    ctrl, other = s.scamper.ScamperCtrl(), s.scamper.ScamperCtrl()
    one, two = ctrl.instances()
    ctrl.do_ping("192.0.2.1", inst=one)

    with pytest.raises(TypeError):
        ctrl.remove("vp1")
    with pytest.raises(ValueError, match=r"^instance not in this ctrl$"):
        other.remove(one)
    ctrl.remove(one)

    assert ctrl.instances() == [two]
    assert ctrl.taskc == 0
    assert list(ctrl.responses()) == []
    s.broker.say(result(s.broker.submits[0]))
    s.drain()
    assert list(ctrl.responses()) == []
    with pytest.raises(RuntimeError, match=r"^ScamperInst removed from ctrl$"):
        ctrl.do_ping("192.0.2.1", inst=one)
    with pytest.raises(ValueError, match="removed"):
        one.is_done()


# ---- choosing the instance ----


def test_the_instance_may_be_left_out_when_there_is_exactly_one(site: Make) -> None:
    """More than one: say which. The connected set shrinks when one ends."""
    s = site(vps=2)
    ctrl = s.scamper.ScamperCtrl()
    one, two = ctrl.instances()

    with pytest.raises(RuntimeError, match=r"^specify a ScamperInst$"):
        ctrl.do_ping("192.0.2.1")
    one.done()
    assert [o.inst for o in ctrl.responses(timeout=0)] == []
    assert ctrl.instances() == [two]
    assert ctrl.do_ping("192.0.2.1", sync=True).inst is two
    with pytest.raises(RuntimeError, match=r"^ScamperInst vp1 has signalled EOF$"):
        ctrl.do_ping("192.0.2.1", inst=one)


def test_an_instance_that_is_done_takes_no_more(site: Make) -> None:
    """After done() a do_* says that it could not schedule; done() may be repeated."""
    s = site(answer=lambda submit: [accepted(submit)])
    ctrl = s.scamper.ScamperCtrl()
    (inst,) = ctrl.instances()
    ctrl.do_ping("192.0.2.1")
    assert not inst.is_done()
    inst.done()
    inst.done()

    assert inst.is_done()
    assert not inst.is_eof()
    with pytest.raises(RuntimeError, match="could not schedule command"):
        ctrl.do_ping("192.0.2.1")


@pytest.mark.parametrize("wrong", ["vp1", 5, object(), {}])
def test_other_types_are_no_instance(site: Make, wrong: object) -> None:
    """A str, a tuple or anything else as inst is a TypeError."""
    ctrl = site().scamper.ScamperCtrl()
    with pytest.raises(TypeError, match=r"^inst not ScamperInst type$"):
        ctrl.do_ping("192.0.2.1", inst=wrong)
    with pytest.raises(TypeError, match=r"^inst not ScamperInst type$"):
        ctrl.do_ping("192.0.2.1", inst=tuple(ctrl.instances()))


def test_lists_and_sets_of_instances(site: Make) -> None:
    """A list gives a list of tasks, each instance once; what has ended or is done is left out."""
    s = site(vps=3)
    ctrl = s.scamper.ScamperCtrl()
    one, two, three = ctrl.instances()
    ctrl.remove(three)

    tasks = ctrl.do_ping("192.0.2.1", inst=[one, two, one, three])
    assert len(tasks) == 2
    assert {o.inst for o in ctrl.responses()} == {one, two}
    two.done()
    assert len(ctrl.do_ping("192.0.2.1", inst={one, two})) == 1
    with pytest.raises(RuntimeError, match=r"^no usable ScamperInst$"):
        ctrl.do_ping("192.0.2.1", inst=[three])
    with pytest.raises(RuntimeError, match=r"^no usable ScamperInst$"):
        ctrl.do_ping("192.0.2.1", inst=[])
    with pytest.raises(TypeError, match=r"^inst list contains non ScamperInst$"):
        ctrl.do_ping("192.0.2.1", inst=[one, "vp2"])
    with pytest.raises(RuntimeError, match=r"^cannot run synchronous measurements with list$"):
        ctrl.do_ping("192.0.2.1", inst=[one], sync=True)


def test_some_primitives_take_no_lists(site: Make) -> None:
    """Ally, prefixscan, midarest and midardisc take one instance."""
    s = site()
    ctrl, pd = s.scamper.ScamperCtrl(), s.scamper.ScamperDealiasProbedef("icmp-echo")
    insts = ctrl.instances()

    with pytest.raises(RuntimeError, match=r"^list of ScamperInst not allowed with ally$"):
        ctrl.do_ally("192.0.2.1", "192.0.2.2", inst=insts)
    with pytest.raises(RuntimeError, match=r"^set of ScamperInst not allowed with prefixscan$"):
        ctrl.do_prefixscan("192.0.2.1", "192.0.2.2", 30, inst=set(insts))
    with pytest.raises(RuntimeError, match=r"^list of ScamperInst not allowed with midarest$"):
        ctrl.do_midarest(probedefs=[pd, pd], addrs=["192.0.2.1"], inst=insts)
    with pytest.raises(RuntimeError, match=r"^list of ScamperInst not allowed with midardisc$"):
        ctrl.do_midardisc(probedefs=[pd, pd], schedule=[], inst=insts)
    assert len(ctrl.do_owamp("192.0.2.1", "tx", inst=insts)) == 1


def test_one_refusal_in_a_list_does_not_stop_the_others(site: Make) -> None:
    """A list's refused instance is skipped; the refusal waits to be read."""
    s = site(vps=2, answer=lambda submit: [refused(submit)] if submit.instance == 0 else granted(submit))
    ctrl = s.scamper.ScamperCtrl()

    assert len(ctrl.do_ping("192.0.2.1", inst=ctrl.instances())) == 1
    assert [o.inst.name for o in ctrl.responses()] == ["vp2"]
    (error,) = ctrl.exceptions()
    assert isinstance(error, s.scamper.ScamperInstError)
    assert error.inst.name == "vp1"


# ---- what is handed out ----


def test_vps_and_instances_have_the_vps_attributes(site: Make) -> None:
    """Names, numbers, place and tags; two calls of vps() give equal ones; both can be keys."""
    ctrl = site(vps=2).scamper.ScamperCtrl(mux="/m")
    vp, inst = ctrl.vps()[0], ctrl.add_vps(ctrl.vps())[0]

    for thing in (vp, inst):
        assert str(thing) == thing.name == thing.shortname == "vp1"
        assert (thing.asn4, thing.asn6, thing.ipv4, thing.cc, thing.iata) == (64501, None, None, "NZ", "AKL")
        assert thing.loc == (-36.8, 174.7)
        assert thing.tags == {"campus", "wired"}
    assert {vp: 1}[ctrl.vps()[0]] == 1
    assert {inst: 1}[ctrl.instances()[0]] == 1
    assert len({*ctrl.vps(), *ctrl.vps()}) == 2


def test_counts_of_tasks_and_results(site: Make) -> None:
    """The counters taskc and resultc of the instance, and taskc of ctrl, tell what is outstanding and queued."""
    s = site(answer=lambda submit: [accepted(submit)])
    ctrl = s.scamper.ScamperCtrl()
    (inst,) = ctrl.instances()
    for _ in range(2):
        ctrl.do_ping("192.0.2.1")
    assert (inst.taskc, ctrl.taskc, inst.resultc) == (2, 2, 2)  # the list and the cycle are queued

    s.broker.say(*map(result, s.broker.submits))
    s.drain()

    assert (inst.taskc, ctrl.taskc, inst.resultc) == (0, 0, 4)
    assert len(list(ctrl.responses())) == 2
    assert inst.resultc == 0


def test_tasks_compare_by_identity_and_can_be_halted_at_any_time(site: Make) -> None:
    """halt() asks while the task is under way, and is nothing afterwards."""
    s = site(answer=lambda submit: [accepted(submit)])
    ctrl = s.scamper.ScamperCtrl()
    a, b = ctrl.do_ping("192.0.2.1"), ctrl.do_ping("192.0.2.1")
    assert a != b
    assert sorted([b, a]) == [a, b]
    assert len({a, b, a}) == 2
    a.halt()
    a.halt()
    s.drain()
    assert s.broker.seen.count(calls.Halt(task=1)) == 2
    s.broker.say(*map(result, s.broker.submits))
    assert len(list(ctrl.responses())) == 2
    a.halt()
    s.drain()
    assert s.broker.seen.count(calls.Halt(task=1)) == 2


def test_clamps_are_told(site: Make) -> None:
    """What a rule narrowed is in task.clamped and in onvp.clamps(), of synchronous calls too."""
    clamp = calls.Clamp(parameter="attempts", asked=50, given=3, rule="primitives.ping.attempts", where="h.yaml:7")
    s = site(answer=lambda submit: [accepted(submit, clamp), result(submit)])
    ctrl = s.scamper.ScamperCtrl()

    task = ctrl.do_ping("192.0.2.1", attempts=50)
    ctrl.do_ping("192.0.2.1", attempts=50, sync=True)

    assert task.clamped == {"attempts": (50, 3)}
    assert [c["where"] for c in s.onvp.clamps()] == ["h.yaml:7"] * 2


def test_errors_have_upstreams_constructor(site: Make) -> None:
    """A ScamperInstError takes a message and an instance, and a refusal is one with more to say."""
    s = site(answer=lambda submit: [refused(submit)])
    ctrl = s.scamper.ScamperCtrl()
    error = s.scamper.ScamperInstError("text", ctrl.instances()[0])
    assert (str(error), error.inst.name) == ("text", "vp1")

    with pytest.raises(s.scamper.ScamperInstError) as caught:
        ctrl.do_ping("192.0.2.1")

    assert caught.value.inst is ctrl.instances()[0]
    assert isinstance(caught.value, s.onvp.Refused)
    assert (caught.value.rule, caught.value.where) == ("primitives.ping.allow", "h.yaml:7")
    assert ctrl.taskc == 0


@pytest.mark.parametrize(("code", "kind"), [("bad-value", ValueError), ("bad-type", TypeError)])
def test_what_cannot_be_sent_is_raised_at_the_call(site: Make, code: str, kind: type[Exception]) -> None:
    """A value out of bounds is a ValueError and a wrong type a TypeError, with the sentence; nothing is queued."""
    s = site(answer=lambda submit: [calls.Invalid(task=submit.task, code=code, message="ping: ttl=0: 1 to 255")])
    ctrl = s.scamper.ScamperCtrl()

    for sync in (False, True):
        with pytest.raises(kind, match="ping: ttl=0: 1 to 255"):
            ctrl.do_ping("192.0.2.1", ttl=0, sync=sync)
    assert ctrl.taskc == 0
    assert list(ctrl.exceptions()) == []
    assert list(ctrl.responses()) == []


def test_several_control_objects_get_their_own_results(site: Make) -> None:
    """Each control object has its own queue, and its own instances of the same VP."""
    s = site(answer=lambda submit: granted(submit, TRACE if submit.primitive == "trace" else PING))
    a, b = s.scamper.ScamperCtrl(unix="/x"), s.scamper.ScamperCtrl(unix="/x")
    a.do_ping("192.0.2.1")
    b.do_trace("192.0.2.1")

    assert [type(o).__name__ for o in a.responses()] == ["ScamperPing"]
    (trace,) = b.responses()
    assert isinstance(trace, s.scamper.ScamperTrace)
    assert trace.inst is b.instances()[0]
    assert trace.inst != a.instances()[0]


def test_times_may_be_spans_or_seconds(site: Make) -> None:
    """A timedelta, an int and a float mean the same time; it travels as whole microseconds."""
    s = site()
    ctrl = s.scamper.ScamperCtrl()
    for wait in (datetime.timedelta(seconds=2), 2, 2.0):
        ctrl.do_ping("192.0.2.1", wait_probe=wait)
    ctrl.do_ping("192.0.2.1", wait_probe=datetime.timedelta(microseconds=50))

    assert [submit.params["wait_probe"] for submit in s.broker.submits] == [2_000_000] * 3 + [50]


def test_what_a_primitive_needs_must_not_be_none(site: Make) -> None:
    """A target that is None is a ValueError that names it; nothing is sent."""
    s = site()
    ctrl = s.scamper.ScamperCtrl()
    calls_ = {
        "dst": lambda: ctrl.do_ping(None),
        "dst2": lambda: ctrl.do_ally("192.0.2.1", None),
        "qname": lambda: ctrl.do_dns(None),
        "url": lambda: ctrl.do_tbit("192.0.2.1", "null"),
        "payload": lambda: ctrl.do_udpprobe("192.0.2.1", 53, None),
        "probedefs": lambda: ctrl.do_radargun(addrs=["192.0.2.1"]),
    }
    for name, call in calls_.items():
        with pytest.raises(ValueError, match=f"^{name} must be given"):
            call()
    s.drain()
    assert s.broker.submits == []


class Loud(str):
    """A str that lies about itself."""

    def __str__(self) -> str:
        return "-O spoof 192.0.2.9"

    __repr__ = __format__ = __str__


class Sly(int):
    """An int that lies about itself."""

    def __int__(self) -> int:
        return 10**9

    __index__ = __trunc__ = __int__


def test_subclasses_are_sent_as_what_they_are(site: Make) -> None:
    """A str, int or float subclass is sent as the plain value that it holds, whatever its methods say."""
    s = site()
    s.scamper.ScamperCtrl().do_ping(Loud("192.0.2.1"), attempts=Sly(3), method=Loud("UDP"), wait_probe=Sly(1))

    (submit,) = s.broker.submits
    assert submit.params == {"dst": "192.0.2.1", "attempts": 3, "method": "udp", "wait_probe": 1_000_000}


@pytest.mark.parametrize(
    "wrong",
    [{"attempts": True}, {"attempts": 3.0}, {"attempts": "3"}, {"payload": "text"}, {"ip_rr": 2}, {"wait_probe": "1s"}],
)
def test_wrong_types_are_told_before_anything_is_sent(site: Make, wrong: dict[str, object]) -> None:
    """A bool is no count, a str no number, and text no payload: TypeError with the parameter's name."""
    s = site()
    with pytest.raises(TypeError, match=next(iter(wrong))):
        s.scamper.ScamperCtrl().do_ping("192.0.2.1", **wrong)
    s.drain()
    assert s.broker.submits == []


def test_old_names_and_implied_methods(site: Make) -> None:
    """`recordroute` is ip_rr; icmp_sum implies a method where upstream says so; CHAOS is CH."""
    s = site()
    ctrl = s.scamper.ScamperCtrl()
    ctrl.do_ping("192.0.2.1", recordroute=True)
    ctrl.do_trace("192.0.2.1", icmp_sum=7)
    ctrl.do_ally("192.0.2.1", "192.0.2.2", icmp_sum=7)
    ctrl.do_dns("id.server", qclass="chaos", qtype="txt", server=s.scamper.ScamperAddr("192.0.2.53"))

    ping, trace, ally, dns = (submit.params for submit in s.broker.submits)
    assert ping["ip_rr"] is True
    assert trace["method"] == "icmp-paris"
    assert ally["method"] == "icmp-echo"
    assert (dns["qclass"], dns["qtype"], dns["server"]) == ("CH", "TXT", "192.0.2.53")


def test_a_wrong_call_is_told_in_the_scripts_words(site: Make) -> None:
    """An unknown parameter is a TypeError that names the method as the script does."""
    with pytest.raises(TypeError, match=r"^ScamperCtrl\.do_trace\(\) got an unexpected keyword argument 'bogus'$"):
        site().scamper.ScamperCtrl().do_trace("192.0.2.1", bogus=1)


def test_parameters_that_are_too_large_to_be_sent_are_a_value_error(site: Make) -> None:
    """A URL of two megabytes is refused here, and what comes next works."""
    s = site()
    ctrl = s.scamper.ScamperCtrl()
    with pytest.raises(ValueError, match="too large to be sent"):
        ctrl.do_http("192.0.2.1", "http://192.0.2.1/" + "a" * (2 << 20))
    assert ctrl.taskc == 0
    assert ctrl.do_ping("192.0.2.1", sync=True) is not None


def test_another_control_objects_instance_takes_the_task_and_gets_the_result(site: Make) -> None:
    """An instance of another control object is not refused: the result arrives where the instance is."""
    s = site()
    mine, other = s.scamper.ScamperCtrl(unix="/x"), s.scamper.ScamperCtrl(unix="/y")
    (inst,) = other.instances()
    mine.do_ping("192.0.2.1", inst=inst)
    assert list(mine.responses()) == []
    assert [o.inst for o in other.responses()] == [inst]
    assert mine.do_ping("192.0.2.1", inst=inst, sync=True).inst is inst
