"""The ordered lists of steps: the plan that is printed is the very list that runs.

A worker's plan has two halves, because a child may wait for its assignment: what needs neither limits nor
channel is given up before. The order of a worker's plan is part of its safety: descriptors before anything
can be inherited on, no_new_privs before Landlock and seccomp (both ask for it), the filter last because the
other steps need calls that it forbids.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from onvp.sandbox.jail import filter as calls
from onvp.sandbox.jail import steps
from onvp.sandbox.jail.limits import Limits
from onvp.sandbox.jail.messages import Switch


@dataclass(frozen=True)
class Ground:
    """What the zygote knows and each worker's plan stands on.

    Attributes:
        uid: The user that it has become.
        gid: The group that it has become.
        parent: What a worker sees as its parent process.
        base_space: Bytes of address space of the zygote.
        base_data: Bytes of its private writable memory.
        base_resident: Bytes of it that are in memory.
        landlock: The ABI, 0 where there is none.
        program: The filter, empty where there is no seccomp.
        without: Layers switched off for tests.
        trial: Whether this is for the trial worker, which verifies what takes longer, too.
    """

    uid: int
    gid: int
    parent: int
    base_space: int = 0
    base_data: int = 0
    base_resident: int = 0
    landlock: int = 0
    program: bytes = b""
    without: Collection[Switch] = ()
    trial: bool = False


def early_plan(ground: Ground, line: int) -> tuple[steps.Step, ...]:
    """What a child gives up at once, before anybody has said what it will be.

    Args:
        ground: What the zygote knows.
        line: The socket on which its assignment will come.
    """
    plan: list[steps.Step] = [
        steps.Descriptors(line),
        steps.NoNewPrivileges(),
        steps.Undumpable(),
        steps.Identity(ground.uid, ground.gid),
        steps.DieWithParent(ground.parent),
    ]
    if ground.landlock:
        plan.append(steps.Landlock(ground.landlock, ground.trial))
    return tuple(plan)


def late_plan(ground: Ground, limits: Limits, channel: int) -> tuple[steps.Step, ...]:
    """What it gives up as soon as it has its limits and its channel, before it meets the script."""
    plan: list[steps.Step] = [steps.Channel(channel)]
    if "rlimits" not in ground.without:
        plan.append(steps.ResourceLimits(limits, ground.base_data, ground.base_space))
    plan.append(steps.LastDescriptor())
    if ground.program:
        plan.append(steps.SystemCallFilter(ground.program))
    return tuple(plan)


def show(plan: Iterable[steps.Step]) -> str:
    """The plan for people, a numbered line each."""
    return "\n".join(f"{n:2}. {step.name}: {step.describe()}" for n, step in enumerate(plan, 1))


def example(limits: Limits | None = None) -> str:
    """What a worker on a machine with everything gives up, and the calls that it keeps."""
    program = calls.assemble(calls.here())
    ground = Ground(65533, 65533, 1, landlock=7, program=program)
    plan = [*early_plan(ground, calls.CHANNEL), *late_plan(ground, limits or Limits(), calls.CHANNEL)]
    return f"{show(plan)}\n\n{calls.describe(calls.here())}"
