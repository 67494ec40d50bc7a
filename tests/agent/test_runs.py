"""Every way in which a run ends, with a real jail and a real scamper: exactly one end, with its name."""

import asyncio
import contextlib
import math
import os
import shutil
import signal
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from onvp.policies.model import ScriptLimits
from onvp.sandbox.agent.runs import Runs, narrowed
from onvp.sandbox.jail.limits import MIB, Limits
from onvp.sandbox.wire import link
from onvp.sandbox.wire.errors import Code, Outcome
from tests.agent.vantage import POLICY, Notebook, lonely_scamper, offer, up
from tests.prober.tools import PATIENCE_S, Daemon

T = TypeVar("T")
PING = (
    "from scamper import ScamperCtrl\n"
    "ping = ScamperCtrl().do_ping('198.18.0.1', attempts=1, stop_count=1, sync=True)\n"
    "print(ping.nreplies)\n"
)
LATE_S = 2.0
"""Ends are promised within 0.2 s of a limit; the tests run beside other things, and print what they saw."""


class Stage:
    """A vantage point on a loop of its own, for the tests of a module."""

    def __init__(self, entry: str | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="onvp-"))
        self._runner = asyncio.Runner()
        self._daemon = Daemon(str(lonely_scamper(self._folder)), self._folder / "scamper.sock")
        self._daemon.start()
        self._up = up(self._folder, self._daemon.path, **({"entry": entry} if entry else {}))
        try:
            self.vantage = self.play(self._up.__aenter__())
        except BaseException:
            self._clear()
            raise
        self._count = 0

    def play(self, part: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine, but not for ever."""

        async def bounded() -> T:
            async with asyncio.timeout(PATIENCE_S):
                return await part

        return self._runner.run(bounded())

    def live(self, source: str | bytes, **fields: Any) -> tuple[link.End, str]:
        """A run's whole life; gives its end and its number."""
        self._count += 1
        run = f"run-{self._count}"

        async def life() -> link.End:
            self.vantage.runs.offer(offer(source, run, **fields))
            end = await self.vantage.notes.end(run)
            assert run not in self.vantage.runs.running
            return end

        return self.play(life()), run

    def close(self) -> None:
        """Take it down."""
        try:
            self.play(self._up.__aexit__(None, None, None))
        finally:
            self._clear()

    def _clear(self) -> None:
        self._daemon.kill()
        self._runner.close()
        shutil.rmtree(self._folder)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A vantage point whose workers run scripts."""
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def native() -> Iterator[Stage]:
    """A vantage point whose workers run whatever they are sent."""
    stage = Stage("tests.agent.native_worker:run")
    yield stage
    stage.close()


# ---- by the script ----


def test_a_script_that_measures_and_ends_is_finished(stage: Stage) -> None:
    """States, output, measurement and end come in order; the counters say what was done."""
    end, run = stage.live(PING)

    assert (end.outcome, end.status, end.code, end.reason) == (Outcome.FINISHED, 0, "", "")
    kinds = [type(body).__name__ for body in stage.vantage.notes.events[run]]
    assert kinds[:3] == ["State", "State", "State"]
    assert kinds[-1] == "End"
    assert "Measurement" in kinds
    assert stage.vantage.notes.text(run) == "1\n"
    assert (end.counters["calls"], end.counters["results"]) == (1, 1)
    assert end.counters["wall_s"] > 0
    assert end.facts["script_sha256"]


@pytest.mark.parametrize(
    ("source", "status", "reason"),
    [
        ("raise KeyError('x')", 1, "KeyError: 'x'"),
        ("import sys\nsys.exit(7)", 7, "the script ended with status 7"),
        ("import sys\nsys.exit('so long')", 1, "so long"),
        ("def f():\n    return f()\nf()", 1, "RecursionError"),
    ],
)
def test_a_script_that_fails_says_how(stage: Stage, source: str, status: int, reason: str) -> None:
    """An exception or a status is the script's failure, with its last line as the reason."""
    end, _ = stage.live(source)

    assert (end.outcome, end.status) == (Outcome.FAILED, status)
    assert reason in end.reason


@pytest.mark.parametrize(
    "source",
    ["import os\n", "async def f():\n    pass\n", "x = (\n", b"# \xff\n", "x = '\0'\n", "#" * (10 << 20)],
    ids=["module", "async", "syntax", "not UTF-8", "NUL", "10 MB"],
)
def test_a_script_outside_of_the_language_is_refused_with_its_problems(stage: Stage, source: str | bytes) -> None:
    """What is no script here is refused before a line of it has run, or fails as any import does."""
    end, run = stage.live(source)

    if end.outcome == Outcome.REFUSED:
        assert end.code == Code.LANGUAGE
        assert end.problems
    else:
        assert end.outcome == Outcome.FAILED
        assert "Error" in end.reason
    assert end.counters["calls"] == 0
    assert stage.vantage.notes.text(run).count("Traceback") <= 1


def test_a_refusal_that_the_script_does_not_catch_ends_it_as_refused(stage: Stage) -> None:
    """The reason is the policy's sentence, the event names rule and place."""
    end, run = stage.live(PING.replace("198.18.0.1", "198.51.100.1"))

    assert (end.outcome, end.code) == (Outcome.REFUSED, Code.POLICY)
    assert "198.51.100.1" in end.reason
    (told,) = [body for body in stage.vantage.notes.events[run] if isinstance(body, link.Refusal)]
    assert told.rule


def test_a_refusal_that_the_script_catches_is_its_own_affair(stage: Stage) -> None:
    """A script that goes on after a refusal is finished."""
    indented = "".join(f"    {line}\n" for line in PING.replace("198.18.0.1", "198.51.100.1").splitlines()[1:])

    end, _ = stage.live(f"from scamper import ScamperCtrl\ntry:\n{indented}except Exception as e:\n    print(e)\n")

    assert end.outcome == Outcome.FINISHED
    assert end.counters["refused"] == 1


def test_arguments_arrive_as_they_were_given(stage: Stage) -> None:
    """Newlines, blanks and quotes in arguments are text."""
    args = ["a b", "c\nd", "'", "-x", "é"]

    _, run = stage.live("import sys\nprint(repr(sys.argv))", args=args)

    assert stage.vantage.notes.text(run).strip() == repr(["s.py", *args])


# ---- by somebody else ----


def test_a_cancelled_run_keeps_what_it_delivered(stage: Stage) -> None:
    """A cancel ends the run soon, and says who asked."""

    async def part() -> link.End:
        vantage = stage.vantage
        vantage.runs.offer(offer("import time\nprint('here')\ntime.sleep(100)\n", "cancelled"))
        await vantage.notes.until_text("cancelled", "here")
        vantage.runs.cancel("cancelled", "ana")
        vantage.runs.cancel("cancelled", "somebody else")
        return await vantage.notes.end("cancelled")

    end = stage.play(part())

    assert (end.outcome, end.reason) == (Outcome.CANCELLED, "cancelled by ana")
    assert stage.vantage.notes.text("cancelled") == "here\n"


def test_a_run_that_is_cancelled_before_it_starts_ends_as_cancelled(stage: Stage) -> None:
    """A cancel that comes right behind the offer is heeded."""

    async def part() -> link.End:
        stage.vantage.runs.offer(offer("while True:\n    pass\n", "early"))
        stage.vantage.runs.cancel("early", "ana")
        return await stage.vantage.notes.end("early")

    assert stage.play(part()).outcome == Outcome.CANCELLED


def test_cancelling_what_is_not_there_is_no_error(stage: Stage) -> None:
    """A run that ended, or never was, stays as it is."""
    end, run = stage.live("print(1)")
    stage.vantage.runs.cancel(run, "ana")
    stage.vantage.runs.cancel("never", "ana")

    assert stage.vantage.notes.ends(run) == [end]
    assert "never" not in stage.vantage.notes.events


def test_an_offer_that_comes_twice_is_started_once(stage: Stage) -> None:
    """A controller that repeats itself after a reconnect starts nothing twice, not even after the end."""
    end, run = stage.live("print(1)")

    async def part() -> None:
        stage.vantage.runs.offer(offer("print(1)", run))
        stage.vantage.runs.offer(offer("print(2)", "twice"))
        stage.vantage.runs.offer(offer("print(2)", "twice"))
        await stage.vantage.notes.end("twice")

    stage.play(part())
    assert stage.vantage.notes.ends(run) == [end]
    assert stage.vantage.notes.text("twice") == "2\n"


def test_a_run_of_an_earlier_life_is_not_started(stage: Stage) -> None:
    """What this agent had before it was restarted does not start again."""

    async def part() -> list[str]:
        notes = Notebook()
        runs = Runs(stage.vantage.site, notes, {"old"})
        runs.offer(offer("print(1)", "old"))
        return runs.running + list(notes.events)

    assert stage.play(part()) == []


def test_while_the_host_has_paused_nothing_starts(stage: Stage) -> None:
    """The stop button refuses offers and says so; taken back, runs start again."""
    site = stage.vantage.site
    site.pause_file.touch()
    site.look_for_pause()
    try:
        end, _ = stage.live("print(1)")
    finally:
        site.pause_file.unlink()
        site.look_for_pause()

    assert (end.outcome, end.code) == (Outcome.REFUSED, Code.PAUSED)
    assert "paused" in end.reason
    assert stage.live("print(1)")[0].outcome == Outcome.FINISHED


def test_a_policy_that_breaks_stops_everything_until_it_is_right_again(stage: Stage) -> None:
    """New runs are refused with file and line, calls of running ones too; a mended file brings all back."""
    site = stage.vantage.site
    good = site.policy.path.read_text()

    async def part() -> link.End:
        source = (
            "import sys, time, onvp\n"
            + PING.splitlines()[0]
            + (
                "\nctrl = ScamperCtrl()\nprint('up')\nfor _ in range(2000):\n"
                "    ctrl.do_ping('198.18.0.1', attempts=1, stop_count=1, sync=True)\n    time.sleep(0.01)\n"
            )
        )
        stage.vantage.runs.offer(offer(source, "surprised"))
        await stage.vantage.notes.until_text("surprised", "up")
        site.policy.path.write_text(good + "\tnonsense: [\n")
        assert site.policy.reload_if_changed()
        return await stage.vantage.notes.end("surprised")

    try:
        running = stage.play(part())
        refused, _ = stage.live("print(1)")
    finally:
        site.policy.path.write_text(good)
        assert site.policy.reload_if_changed()

    assert (running.outcome, running.code) == (Outcome.REFUSED, Code.POLICY)
    assert (refused.outcome, refused.code) == (Outcome.REFUSED, Code.POLICY)
    assert "policy.yaml:" in refused.reason
    assert stage.live("print(1)")[0].outcome == Outcome.FINISHED


def test_more_runs_than_the_policy_allows_are_refused_by_rule(stage: Stage) -> None:
    """The limits per user and per vantage point hold, and a run that ends makes room."""

    async def part() -> list[link.End]:
        vantage = stage.vantage
        users = ["ana", "ana", "ana", "ana", "bo", "cy"]
        for number, user in enumerate(users):
            vantage.runs.offer(offer("import time\ntime.sleep(100)\n", f"many-{number}", user=user))
        assert len(vantage.runs.running) == 4
        refused = [await vantage.notes.end(f"many-{number}") for number in (3, 5)]
        await vantage.runs.stop("the test")
        return refused

    of_user, of_vp = stage.play(part())

    assert of_user.outcome == of_vp.outcome == Outcome.REFUSED
    assert "3 scripts of ana run already" in of_user.reason
    assert "4 scripts on this vantage point run already" in of_vp.reason
    assert "policy.yaml:" in of_vp.reason
    assert stage.live("print(1)")[0].outcome == Outcome.FINISHED


def test_a_zygote_that_dies_loses_its_runs_and_the_next_one_works(stage: Stage) -> None:
    """What ran is told as lost; nobody has to start anything by hand."""

    async def part() -> link.End:
        stage.vantage.runs.offer(offer("import time\nprint('up')\ntime.sleep(100)\n", "orphan"))
        await stage.vantage.notes.until_text("orphan", "up")
        os.kill(stage.vantage.zygotes[-1].pid, signal.SIGKILL)
        return await stage.vantage.notes.end("orphan")

    end = stage.play(part())

    assert end.outcome == Outcome.LOST
    assert "zygote" in end.reason
    assert stage.live(PING)[0].outcome == Outcome.FINISHED


# ---- by a limit ----

HOG = "kept = []\nwhile True:\n    kept.append('x' * 1000000)\n"


@pytest.mark.parametrize(
    ("name", "source", "limits", "outcome"),
    [
        ("cpu", "print('kept')\nwhile True:\n    pass\n", {"cpu_s": 0.3}, Outcome.KILLED),
        ("wall", "import time\nprint('kept')\ntime.sleep(100)\n", {"wall_s": 0.5}, Outcome.TIMED_OUT),
        ("memory", f"print('kept')\n{HOG}", {"memory_bytes": 32 * MIB}, Outcome.KILLED),
        ("output", "print('kept')\nwhile True:\n    print('x' * 100)\n", {"output_bytes": 5000}, Outcome.KILLED),
        (
            "artifacts",
            "print('kept')\nf = open('a', 'w')\nwhile True:\n    f.write('x' * 100000)\n",
            {"artifact_bytes": 300_000},
            Outcome.KILLED,
        ),
        ("calls", f"print('kept')\nwhile True:\n{''.join(f'    {x}{chr(10)}' for x in PING.splitlines())}", {"calls": 3}, Outcome.KILLED),  # noqa: E501
        (
            "cpu",
            "print('kept')\nwhile True:\n    try:\n        int('x')\n    except Exception:\n        pass\n",
            {"cpu_s": 0.3},
            Outcome.KILLED,
        ),
        ("cpu", "print('kept')\nprint(len(str(7 ** 10 ** 8)))\n", {"cpu_s": 0.3}, Outcome.KILLED),
    ],
    ids=["cpu", "wall", "memory", "output", "artifacts", "calls", "swallowed exceptions", "huge integers"],
)  # fmt: skip
def test_a_limit_ends_the_run_by_its_name_and_keeps_what_it_delivered(
    stage: Stage, name: str, source: str, limits: dict[str, float], outcome: Outcome
) -> None:
    """The end names the limit, says how much was allowed, and comes soon after it."""
    end, run = stage.live(source, limits=limits)

    assert (end.outcome, end.limit, end.code) == (outcome, name, Code.LIMIT), end
    assert "policy allows" in end.reason
    assert stage.vantage.notes.text(run).startswith("kept")
    if name in {"cpu", "wall"}:
        allowed = limits[f"{name}_s"]
        late = (end.counters["wall_s"] if name == "wall" else end.counters["cpu_s"]) - allowed
        print(f"{name}: ended {late * 1000:.0f} ms after its limit")
        assert late < LATE_S


@pytest.mark.parametrize(
    "limits",
    [
        {"memory_bytes": 0.5}, {"memory_bytes": 1.0}, {"cpu_s": 1e-12}, {"wall_s": 1e-12}, {"output_bytes": 0.1},
        {"artifact_bytes": 1e-9}, {"calls": 0.5}, {"cpu_s": math.inf, "wall_s": 1e300, "memory_bytes": 1e30},
        {"cpu_s": math.nan, "memory_bytes": math.nan, "calls": math.nan}, {"cpu_s": -1, "calls": -5, "wall_s": 0},
        {"nothing": 5, "level": 0, "concurrent_vp": 1, "origins": 1, "": 1},
    ],
)  # fmt: skip
def test_limits_out_of_any_range_narrow_or_are_left_out_and_never_widen(limits: dict[str, float]) -> None:
    """An offer's limits are numbers from elsewhere: whatever they are, the jail takes what comes of them."""
    allowed = ScriptLimits(calls=7)

    lower = narrowed(allowed, limits)

    Limits(memory_bytes=lower.memory_bytes, cpu_s=lower.cpu_s, wall_s=lower.wall_s)
    for name in ("cpu_s", "wall_s", "memory_bytes", "output_bytes", "artifact_bytes", "calls", "concurrent_vp"):
        assert getattr(lower, name) <= getattr(allowed, name)
        assert type(getattr(lower, name)) is type(getattr(allowed, name))
    assert lower.level == allowed.level


@pytest.mark.parametrize("limits", [{"memory_bytes": 1}, {"cpu_s": 1e-9}, {"wall_s": 1e-9}])
def test_a_run_with_next_to_nothing_ends_by_that_limit(stage: Stage, limits: dict[str, float]) -> None:
    """The least that can be asked for is a run that ends by name, not one that cannot be started."""
    end, _ = stage.live("while True:\n    x = 'x' * 5000000\n", limits=limits)

    assert end.outcome in {Outcome.KILLED, Outcome.TIMED_OUT}
    assert end.limit == next(iter(limits)).partition("_")[0]


# ---- with the worker owned ----


@pytest.mark.parametrize(
    ("source", "outcome", "code", "reason"),
    [
        ("os.write(channel, b'GET / HTTP/1.1\\r\\n')\ntime.sleep(100)", Outcome.KILLED, Code.PROTOCOL, "protocol"),
        ("os.close(channel)\ntime.sleep(100)", Outcome.KILLED, Code.INTERNAL, "channel"),
        ("os._exit(0)", Outcome.KILLED, Code.INTERNAL, "without a word"),
        ("os._exit(70)", Outcome.KILLED, Code.INTERNAL, "without a word"),
        ("os.kill(os.getpid(), 11)", Outcome.KILLED, None, ""),
        ("libc.ptrace(0, 0, 0, 0)", Outcome.KILLED, Code.LIMIT, "system call"),
        ("send(calls.Finished(status=0))\nwhile True: pass", Outcome.FINISHED, "", ""),
        ("send(calls.Finished(status=0))\ntime.sleep(100)", Outcome.FINISHED, "", ""),
        ("send(calls.Finished(status=1, error='no', code='policy'))", Outcome.FAILED, Code.SCRIPT_ERROR, "no"),
        ("send(calls.Finished(status=1, error='no', code='internal'))", Outcome.FAILED, Code.SCRIPT_ERROR, "no"),
        ("send(calls.Started())\nsend(calls.Finished(1, code='language'))", Outcome.FAILED, Code.SCRIPT_ERROR, ""),
        ("while True:\n    send(calls.AskBudget(seq=1))", None, None, ""),
    ],
    ids=[
        "garbage", "hangs up and stays", "leaves without a word", "leaves as if unconfined", "shoots itself",
        "forbidden call", "spins after its last word", "stays after its last word", "claims a refusal",
        "claims our failure", "claims the language", "asks for ever",
    ],
)  # fmt: skip
def test_a_worker_that_breaks_its_word_ends_its_run_and_is_gone(
    native: Stage, source: str, outcome: Outcome | None, code: str | None, reason: str
) -> None:
    """Whatever native code in the worker does, the run has one end with a reason, and its process does not live on."""
    end, _ = native.live(source, limits={"wall_s": 5.0, "cpu_s": 2.0})

    assert outcome is None or end.outcome == outcome, end
    assert code is None or end.code == code, end
    assert reason in end.reason
    assert native.vantage.site.jail.client.workers == {}
    assert native.live("send(calls.Finished(status=0))")[0].outcome == Outcome.FINISHED


def test_a_vantage_point_takes_its_runs_down_with_it(tmp_path: Path) -> None:
    """Stopping ends every run with the reason, and waits for the ends."""

    async def part(prober: Path) -> list[link.End]:
        async with up(tmp_path, prober, policy=POLICY) as vantage:
            for number in range(3):
                vantage.runs.offer(offer("import time\ntime.sleep(100)\n", f"r{number}"))
            await vantage.runs.stop("the vantage point's own end")
            return [end for number in range(3) for end in vantage.notes.ends(f"r{number}")]

    folder = Path(tempfile.mkdtemp(prefix="onvp-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        daemon = stack.enter_context(Daemon(str(lonely_scamper(folder)), folder / "s.sock"))
        ends = asyncio.run(part(daemon.path))

    assert [end.reason for end in ends] == ["cancelled by the vantage point's own end"] * 3
