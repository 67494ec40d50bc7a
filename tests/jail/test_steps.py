"""Each step takes its layer away, and its verification notices when it did not."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from onvp.sandbox.jail import filter as calls
from onvp.sandbox.jail import namespaces, plan, steps
from onvp.sandbox.jail.errors import ConfinementError
from onvp.sandbox.jail.limits import MIB, Limits


def in_child(work: Callable[[], object]) -> str:
    """Do this in a process that is thrown away: "" when it went well, else the error."""
    hear, say = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            os.write(say, b"+")
        except BaseException as error:  # noqa: BLE001 - the answer
            os.write(say, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(say)
    with os.fdopen(hear, "rb") as stream:
        answer = stream.read().decode()
    os.waitpid(child, 0)
    return answer.removeprefix("+")


def nobody() -> None:
    """Not root any more, with nothing to fall back on."""
    os.setgroups([])
    os.setresgid(65533, 65533, 65533)
    os.setresuid(65533, 65533, 65533)


def dumpable() -> None:
    """A process whose user changed on the way is not dumpable any more (prctl(2), PR_SET_DUMPABLE)."""
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)


STEPS = {
    "no_new_privs": (steps.NoNewPrivileges(), lambda: None),
    "undumpable": (steps.Undumpable(), dumpable),
    "death with parent": (steps.DieWithParent(os.getpid()), lambda: None),
    "landlock": (steps.Landlock(7, thorough=True), lambda: steps.NoNewPrivileges().apply()),
    "rlimits": (steps.ResourceLimits(Limits(), 1 << 30, 1 << 40), lambda: None),
    "user": (namespaces.BecomeUser(65533, 65533), lambda: None),
    "capabilities": (namespaces.LoseCapabilities(), lambda: None),
    "identity": (steps.Identity(65533, 65533), lambda: None),
}
# What has to happen besides `apply` before the layer can hold.
BEFORE_APPLY = {"identity": nobody}


@pytest.mark.parametrize("name", STEPS)
def test_step_is_noticed_when_it_is_missing(name: str) -> None:
    """Without the step its verification fails, with it the verification passes."""
    step, prepare = STEPS[name]

    def without() -> None:
        prepare()
        step.verify()

    def with_it() -> None:
        prepare()
        BEFORE_APPLY.get(name, lambda: None)()
        steps.run([step])

    assert in_child(without).startswith(f"ConfinementError: {name}: ")
    assert in_child(with_it) == ""


def test_filter_is_noticed_when_it_is_missing() -> None:
    """A worker whose filter was not installed is found out; one whose filter is there passes."""
    step = steps.SystemCallFilter(calls.assemble(calls.here()))

    def with_it(report: int) -> None:
        os.dup2(report, calls.CHANNEL)
        steps.NoNewPrivileges().apply()
        steps.run([step])
        os.write(calls.CHANNEL, b"holds")

    hear, say = os.pipe()
    if (child := os.fork()) == 0:
        with_it(say)
        os._exit(0)
    os.close(say)
    os.waitpid(child, 0)
    with os.fdopen(hear, "rb") as stream:
        assert stream.read() == b"holds"

    with pytest.raises(ConfinementError, match="uname"):
        step.verify()


def test_open_descriptors_are_noticed() -> None:
    """A descriptor that stayed open is named."""

    def work() -> None:
        steps.Descriptors(0).verify()

    assert in_child(work).startswith("ConfinementError: descriptors: still open: [0, 1, 2")


def test_descriptors_leave_the_channel_alone() -> None:
    """Of many open descriptors the channel and the report pipe stay, wherever the channel was before."""

    def work() -> None:
        null = os.open("/dev/null", os.O_RDWR)
        for number in (steps.REPORT, 5, 700, 1000):
            os.dup2(null, number)
        ours, theirs = socket.socketpair()
        channel = os.dup2(theirs.detach(), 999)
        report = os.dup2(null, 998)
        steps.run([steps.Descriptors(channel)])
        os.dup2(calls.CHANNEL, 800)
        steps.run([steps.Channel(800)])
        assert report and ours
        os._exit(7)

    child = os.fork()
    if child == 0:
        work()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_report_pipe_that_stays_is_noticed() -> None:
    """A report pipe that is still open when the filter goes in is found out."""

    def work() -> None:
        os.dup2(0, steps.REPORT)
        steps.LastDescriptor().verify()

    assert in_child(work) == "ConfinementError: last descriptor: the report pipe is still open"


def test_orphan_is_noticed() -> None:
    """A worker whose parent is another one than expected does not start."""
    assert "the parent has already ended" in in_child(lambda: steps.run([steps.DieWithParent(1)]))


def test_namespaces_are_noticed_when_missing() -> None:
    """Each namespace that is still the host's is named, and a root with files in it is not empty."""
    step = namespaces.Unshare(0, namespaces.links(), lambda: None)

    assert in_child(step.verify) == ("ConfinementError: namespaces: still the host's: user, pid, mount, net, ipc, uts")
    assert "is not empty" in in_child(namespaces.EmptyRoot().verify)
    assert "machine's name" in in_child(namespaces.HostName().verify)


def children_of_this_process() -> set[str]:
    """The pids of its children, zombies too; other tests' servers may be among them (proc(5), children)."""
    return {pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


def test_rehearsal_changes_nothing() -> None:
    """After a rehearsal this process is where it was, and it has no child left."""
    before, children = namespaces.links(), children_of_this_process()

    assert namespaces.rehearse(65533, 65533) == ""
    assert namespaces.links() == before
    assert children_of_this_process() == children


def test_kernel_refusal_names_the_step() -> None:
    """When the kernel refuses a step, the error names the step and what was tried."""

    class Refused(steps.NoNewPrivileges):
        def apply(self) -> None:
            raise PermissionError(1, "prctl(38): Operation not permitted")

    with pytest.raises(ConfinementError, match=r"^no_new_privs: prctl\(38\): Operation not permitted$"):
        steps.run([Refused()])


def test_stricter_limits_from_outside_stay() -> None:
    """A limit that is already lower than the plan's is left as it is."""

    def work() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_NOFILE, (2, 2))
        steps.run([steps.ResourceLimits(Limits(), 1 << 30, 1 << 40)])
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (2, 2)

    assert in_child(work) == ""


def test_plan_keeps_its_order() -> None:
    """Descriptors go first, no_new_privs before Landlock and filter, the filter last."""
    ground = plan.Ground(65533, 65533, 1, landlock=7, program=b"\0" * 8)
    both = (*plan.early_plan(ground, 9), *plan.late_plan(ground, Limits(), 9))
    names = [step.name for step in both]

    assert names[0] == "descriptors" and names[-1] == "seccomp"
    assert names.index("no_new_privs") < names.index("landlock") < names.index("rlimits")
    assert names.index("landlock") < names.index("channel") < names.index("rlimits")
    assert names.index("rlimits") < names.index("last descriptor")


def test_plan_is_printed_with_its_limits() -> None:
    """The printed plan numbers each step, shows the limits and lists the calls with reasons."""
    text = plan.example(Limits(memory_bytes=64 * MIB, cpu_s=3))

    assert " 1. descriptors: close every descriptor but the line" in text
    assert "64 MiB of memory, 3 s of CPU" in text
    assert "EPERM for: openat" in text
