"""The command ``onvp-vp``: what it prints where, its exit status, and what it does with senseless arguments."""

import json
import signal
from collections.abc import Iterator

import pytest

from onvp.sandbox.agent import main as module
from tests.agent.command import Desk
from tests.agent.vantage import TARGET

PING = (
    f"from scamper import ScamperCtrl\nping = ScamperCtrl().do_ping('{TARGET}', attempts=1, stop_count=1, sync=True)\n"
)


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A policy, a scamper, a place for temporary files."""
    with Desk() as desk:
        yield desk
        assert desk.leftovers() == []


def test_a_scripts_stdout_is_the_commands_and_all_else_is_on_stderr(desk: Desk) -> None:
    """Output, errors, results and the end go where a pipe wants them; what a run leaves lies in the folder."""
    source = (
        PING + "import sys, onvp\nprint(sys.argv[1:])\nprint('aside', file=sys.stderr)\nonvp.emit(n=ping.nreplies)\n"
    )
    out = desk.folder / "out"

    done = desk.attempt(source, "--out", out, "--", "--policy", "a b", "--")

    assert done.status == 0, done.err
    assert done.out == "['--policy', 'a b', '--']\n"
    assert "aside" in done.err
    assert 'result {"n":1}' in done.err
    assert done.sentences[-1] == "onvp: finished"
    assert json.loads((out / "results.jsonl").read_text()) == {"n": 1}
    assert json.loads((out / "run.json").read_text())["outcome"] == "finished"
    assert (out / "measurements.warts.001").stat().st_size > 0


@pytest.mark.parametrize(
    ("source", "words", "status", "last"),
    [
        ("raise ValueError('no')", (), 1, "onvp: failed: ValueError: no"),
        ("import sys\nsys.exit(9)", (), 1, "onvp: failed: the script ended with status 9"),
        ("x = (", (), 3, "onvp: refused: the script is not in the language that runs here"),
        (PING.replace(TARGET, "203.0.113.9"), (), 3, "onvp: refused: "),
    ],
)
def test_the_exit_status_says_how_a_run_ended(
    desk: Desk, source: str, words: tuple[str, ...], status: int, last: str
) -> None:
    """1 failed, 3 refused; the last line says it in words."""
    done = desk.attempt(source, *words)

    assert done.status == status, done
    assert done.sentences[-1].startswith(last)


def test_a_limit_of_the_policy_is_status_4(desk: Desk) -> None:
    """The limit is named in the last line."""
    policy = desk.write("short.yaml", desk.policy.read_text() + "  cpu: {total: 1s}\n")

    done = desk.attempt("while True:\n    pass\n", "--policy", policy)

    assert done.status == 4
    assert done.sentences[-1].startswith("onvp: killed: the script used up the 1 s of processor time")


def test_an_interrupt_cancels_the_run_and_leaves_nothing(desk: Desk) -> None:
    """Ctrl-C ends the run as cancelled, with everything that it had started."""
    script = desk.write("script.py", "import time\nprint('up')\ntime.sleep(100)\n")
    with desk.start("try", script, "--policy", desk.policy, "--scamper", desk.scamper, "--no-companion") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)

    assert process.returncode == 6
    assert "cancelled by you" in err


def test_a_reader_that_has_left_does_not_break_the_run(desk: Desk) -> None:
    """``onvp-vp try … | head -1`` ends in order."""
    script = desk.write(
        "script.py", "print('x' * 100)\n" * 5 + "import time\nfor _ in range(20000):\n    print('y' * 50)\n"
    )
    with desk.start("try", script, "--policy", desk.policy, "--scamper", desk.scamper, "--no-companion") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(60)

    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert err.endswith("onvp: finished\n")


def test_what_cannot_be_read_is_a_matter_of_usage(desk: Desk) -> None:
    """A script or input that is not there, or a folder, is named; nothing is started."""
    for words in (("none.py",), (str(desk.folder),), (str(desk.policy), "--input", "none.txt")):
        done = desk.run("try", *words, "--policy", desk.policy)
        assert done.status == 2
        assert done.err.startswith("onvp-vp: cannot read ")
        assert len(done.sentences) == 1


def test_a_folder_that_cannot_be_made_is_a_matter_of_usage(desk: Desk) -> None:
    """``--out`` at a file is told."""
    done = desk.attempt("1", "--out", desk.policy)

    assert done.status == 2
    assert str(desk.policy) in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("colour=red", "colour"),
        ("place.country=nz", "country"),
        ("place.asn4=many", "asn4"),
        ("noequals", "give KEY=VALUE"),
        ("policy.x=1", "policy is a value"),
        ("place.cc.x=1", "cc is a value"),
        ("guards=none", "guards is static or full"),
        ("=5", "unknown field"),
    ],
)
def test_a_setting_that_is_none_is_a_sentence(desk: Desk, word: str, sentence: str) -> None:
    """``--set`` with an unknown key, a wrong type or no value says which."""
    done = desk.attempt("1", "--set", "place.cc=nz", "--set", word)

    assert done.status == 3
    assert done.err.startswith("onvp-vp: ")
    assert len(done.sentences) == 1
    assert sentence in done.err


@pytest.mark.parametrize("words", [[], ["fly"], ["try"], ["doctor", "--level", "high"], ["run", "--nothing"]])
def test_a_command_that_is_none_is_a_matter_of_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown commands and flags end with status 2 and the usage."""
    with pytest.raises(SystemExit) as error:
        module.main(words)

    assert error.value.code == 2
    assert "usage: onvp-vp" in capsys.readouterr().err


def test_the_daemon_needs_an_identity_first(desk: Desk) -> None:
    """`onvp-vp run` before `enrol` says what to run."""
    done = desk.run("run", "--policy", desk.policy, "--state", desk.folder / "state")

    assert done.status == 3
    assert "is not enrolled" in done.err
    assert "onvp-vp enrol" in done.err


def test_the_stop_button_works_without_the_daemon(desk: Desk) -> None:
    """Pause and resume are a file in the state folder; without that folder they say so."""
    state = desk.folder / "state"
    missing = desk.run("pause", "--state", state)
    state.mkdir()

    assert missing.status == 3
    assert str(state) in missing.err
    assert "Traceback" not in missing.err
    assert desk.run("pause", "--state", state).status == 0
    assert (state / "paused").exists()
    assert desk.run("resume", "--state", state).status == 0
    assert desk.run("resume", "--state", state).status == 0
    assert not (state / "paused").exists()


def test_the_doctor_shows_each_layer_and_says_whether_it_will_do(desk: Desk) -> None:
    """For people and for programs; its status says whether scripts would run at that level."""
    done = desk.run("doctor")
    as_json = desk.run("doctor", "--json", "--level", "full")

    assert done.status == 0, done
    for word in ("seccomp", "landlock", "namespace"):
        assert word in done.out.lower()
    assert as_json.status == 0
    assert json.loads(as_json.out)
