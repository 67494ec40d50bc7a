"""Coming up, going down, and what is left behind: nothing, whatever was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, LabError, LabUnavailableError, checks, netns, plan
from tests.lab.lab import ETC_NETNS
from tests.lab.servers import PROJECT


def call(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command line of the lab."""
    return subprocess.run(
        [sys.executable, "-m", "tests.lab", *arguments],
        cwd=PROJECT, env=os.environ | more, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip


def remains(instance: Lab) -> list[str]:
    """What can be found of an instance."""
    found = [*netns.list_namespaces(instance.prefix)]
    found += [str(path) for path in ETC_NETNS.glob(instance.prefix + "*")]
    found += [str(path) for path in (instance.state, instance.state.with_suffix(".lock")) if path.exists()]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes()
        except OSError:
            continue
        if str(instance.state).encode() + b"/" in words:
            found.append(words.decode())
    return found


@pytest.fixture
def instance() -> Iterator[Lab]:
    """A name that only this run of the tests uses; cleared afterwards."""
    mine = Lab(f"t{os.getpid()}")
    yield mine
    mine.down()


def test_up_exec_down_by_hand(instance: Lab) -> None:
    """The commands bring a lab up, run something in it, show it, and leave nothing behind."""
    name = instance.instance
    assert call("--instance", name, "up").returncode == 0
    inside = call("--instance", name, "exec", "vp1", "--", "sh", "-c", "cat /etc/resolv.conf; exit 7")
    assert (inside.returncode, inside.stdout.splitlines()[0]) == (7, f"nameserver {plan.NS1.v4}")
    status = call("--instance", name, "status").stdout
    assert all(f"\n{node} " in status for node in plan.NODES)
    assert all(f"\n{wire} " in status for wire in plan.wires())
    assert "DEAD" not in status
    assert call("--instance", name, "down").returncode == 0
    assert remains(instance) == []
    assert "is down" in call("--instance", name, "status").stdout


def test_nothing_is_left_of_a_killed_up(instance: Lab) -> None:
    """After kill -9 in the middle of coming up, `down` finds and removes every piece."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.lab", "--instance", instance.instance, "up"], cwd=PROJECT
    ) as going_up:
        while not netns.processes(netns.list_namespaces(instance.prefix)):
            assert going_up.poll() is None, "it ended before any server was started"
        going_up.send_signal(signal.SIGKILL)
    assert netns.list_namespaces(instance.prefix)
    instance.down()
    assert remains(instance) == []


def test_up_clears_what_a_kill_left_and_down_takes_strangers(instance: Lab) -> None:
    """Killed servers show as dead, `up` starts afresh, `down` ends what others left running."""
    instance.up()
    for entry in instance.servers():
        os.kill(entry["pid"], signal.SIGKILL)
    instance._children[0].process.wait()
    assert not instance.servers()[0]["alive"]
    assert "DEAD" in call("--instance", instance.instance, "status").stdout
    instance.up()
    assert all(entry["alive"] for entry in instance.servers())
    stranger = instance.exec("vp2", ["sleep", "1000"])
    instance.down()
    assert stranger.wait() == -signal.SIGKILL
    assert remains(instance) == []


def test_two_labs_do_not_meet(lab: Lab, instance: Lab) -> None:
    """A second lab has the same addresses; what changes in it leaves the first as it was."""
    before = lab.links()["far"].delay_ms
    instance.up()
    instance.set_link("far", delay_ms=7.0)
    assert instance.links()["far"].delay_ms == 7.0
    assert lab.links()["far"].delay_ms == before


def test_one_instance_has_one_user(lab: Lab) -> None:
    """Somebody else's `up` or `down` is refused while the lab is in use."""
    with pytest.raises(LabError, match="in use"):
        Lab(lab.instance).down()
    assert not Lab(lab.instance).try_lock()


def test_without_root_it_says_so() -> None:
    """Without root there is one sentence, and it names sudo."""
    os.seteuid(65534)
    try:
        [sentence] = Lab.missing()
        with pytest.raises(LabUnavailableError, match="sudo"):
            Lab("nobody").up()
    finally:
        os.seteuid(0)
    assert "root" in sentence


def test_without_a_tool_it_names_the_package(tmp_path: Path) -> None:
    """With a program missing, `up` ends with status 3 and the package to install."""
    done = call("--instance", "never", "up", PATH=str(tmp_path))
    assert done.returncode == 3
    assert "apt install openssl" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_tool_is_in_the_package_list() -> None:
    """Whatever the lab asks for is in packages.txt, which the Makefile installs."""
    lines = (PROJECT / "tests/lab/packages.txt").read_text().splitlines()
    listed = {line.split()[0] for line in lines if line and not line.startswith("#")}
    assert set(checks.TOOLS.values()) <= listed


@pytest.mark.parametrize("name", ["", "Lab", "a-b", "x" * 13, "../x", "1lab"])
def test_bad_names_are_refused(name: str) -> None:
    """A name that could reach another instance's namespaces or folders is refused."""
    with pytest.raises(LabError, match="no name for a lab"):
        Lab(name)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["exec", "vp9", "--", "true"], "vp9"),
        (["delay", "ctl", "soon"], "50ms"),
        (["loss", "far", "120%"], "10%"),
    ],
)
def test_bad_arguments_are_usage_errors(arguments: list[str], word: str) -> None:
    """A wrong node, delay or share ends with status 2 and says what is right."""
    done = call(*arguments)
    assert done.returncode == 2
    assert word in done.stderr
