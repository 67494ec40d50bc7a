"""The filter program means what the table says, on both architectures."""

from __future__ import annotations

import errno
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.sandbox.jail import filter as calls
from onvp.sandbox.jail.filter import ALLOW, ARCHITECTURES, KILL, REFUSE, Architecture
from tests.jail.bpf import answer

X86, ARM = ARCHITECTURES["x86_64"], ARCHITECTURES["aarch64"]
BOTH = pytest.mark.parametrize("machine", [pytest.param(X86, id="x86_64"), pytest.param(ARM, id="aarch64")])

# Arguments with which each allowed call that has checks is used, and ones beside them that end the process.
GOOD = {
    "read": [(3, 1, 1), (3 | 7 << 32, 1, 1)],
    "write": [(3, 1, 1)],
    "close": [(3,)],
    "poll": [(1, 0, 5), (1, 1, 5)],
    "ppoll": [(1, 1, 0, 0), (0, 0, 0, 0)],
    "mmap": [(0, 4096, 3, 0x22, -1, 0), (0, 4096, 0, 0x4022, -1, 0), (0, 4096, 1, 0x32, -1, 0)],
    "futex": [(1, 0), (1, 1), (1, 128), (1, 129), (1, 9 | 256), (1, 10 | 128)],
    "clock_gettime": [(n, 1) for n in range(8)],
    "clock_getres": [(1, 1)],
    "clock_nanosleep": [(0, 0, 1, 0), (1, 1, 1, 0)],
}
BAD = {
    "read": [(0, 1, 1), (4, 1, 1), (-1, 1, 1), (2**31 + 3, 1, 1)],
    "write": [(0, 1, 1), (1, 1, 1), (2, 1, 1), (4, 1, 1), (-1, 1, 1)],
    "close": [(0,), (2,), (4,)],
    "poll": [(1, 2, 5), (1, 1024, 5)],
    "ppoll": [(1, 2, 0, 0), (1, 1 | 1 << 32, 0, 0)],
    "mmap": [
        (0, 4096, 4, 0x22, -1, 0), (0, 4096, 5, 0x22, -1, 0), (0, 4096, 7, 0x22, -1, 0),
        (0, 4096, 3 | 1 << 32, 0x22, -1, 0), (0, 4096, 3, 0x21, -1, 0), (0, 4096, 3, 0x02, 3, 0),
        (0, 4096, 3, 0x01, 3, 0), (0, 4096, 3, 0x4_0022, -1, 0), (0, 4096, 3, 0x03, 3, 0),
        (0, 4096, 0x0100_0003, 0x22, -1, 0),
    ],
    "futex": [(1, op | private) for op in (2, 3, 4, 5, 6, 7, 8, 11, 12, 13) for private in (0, 128)],
    "clock_gettime": [(8, 1), (11, 1), (-2, 1), (~1 << 3 | 2, 1), (~1 << 3 | 6, 1), (2**31, 1)],
    "clock_getres": [(-6, 1), (9, 1)],
    "clock_nanosleep": [(-6, 0, 1, 0), (8, 0, 1, 0)],
}  # fmt: skip


@BOTH
def test_unlisted_calls_end_the_process(machine: Architecture) -> None:
    """Every number that is in neither list ends the process, up to far beyond the newest call."""
    program = calls.assemble(machine)
    listed = {machine.numbers[c.name] for c in calls.allowed_on(machine)}
    listed |= {machine.numbers[name] for name in calls.denied_on(machine)}

    for number in itertools.chain(range(2000), (2**31, 2**32 - 1)):
        if number not in listed:
            assert answer(program, machine.audit, number) == KILL, number


@BOTH
def test_allowed_calls_are_allowed(machine: Architecture) -> None:
    """Each allowed call passes with the arguments that an interpreter uses."""
    program = calls.assemble(machine)

    for call in calls.allowed_on(machine):
        for arguments in GOOD.get(call.name, [()]):
            verdict = answer(program, machine.audit, machine.numbers[call.name], arguments)
            assert verdict == ALLOW, (call.name, arguments)


@BOTH
def test_checked_arguments_are_checked(machine: Architecture) -> None:
    """An allowed call with any other value in a checked argument ends the process."""
    program = calls.assemble(machine)

    for call in calls.allowed_on(machine):
        assert bool(call.checks) == (call.name in BAD), call.name
        for arguments in BAD.get(call.name, []):
            verdict = answer(program, machine.audit, machine.numbers[call.name], arguments)
            assert verdict == KILL, (call.name, arguments)


@given(number=st.integers(0, 2**32 - 1), arguments=st.tuples(*[st.integers(0, 2**64 - 1)] * 6))
def test_every_call_gets_one_of_three_answers(number: int, arguments: tuple[int, ...]) -> None:
    """The program comes to an end with allow, EPERM or kill for whatever it is asked."""
    for machine in (X86, ARM):
        verdict = answer(calls.assemble(machine), machine.audit, number, arguments)
        assert verdict in {ALLOW, KILL, REFUSE}


@given(arguments=st.tuples(*[st.integers(0, 2**64 - 1)] * 6))
def test_no_argument_opens_code_memory(arguments: tuple[int, ...]) -> None:
    """Whatever its other arguments, an mmap that asks for PROT_EXEC is never allowed."""
    address, length, protection, *rest = arguments
    for machine in (X86, ARM):
        wanted = (address, length, protection | 4, *rest)
        verdict = answer(calls.assemble(machine), machine.audit, machine.numbers["mmap"], wanted)
        assert verdict == KILL


@BOTH
def test_soft_denials_are_eperm(machine: Architecture) -> None:
    """What is denied softly answers EPERM whatever the arguments."""
    program = calls.assemble(machine)

    assert REFUSE & 0xFFFF == errno.EPERM
    for name in calls.denied_on(machine):
        assert answer(program, machine.audit, machine.numbers[name], (3, 3, 3)) == REFUSE


@BOTH
def test_other_architectures_end_the_process(machine: Architecture) -> None:
    """Any architecture but the own one is refused before numbers are compared."""
    program = calls.assemble(machine)
    i386, other = 0x4000_0003, (ARM if machine is X86 else X86).audit

    for audit in (i386, other, 0, 0xFFFF_FFFF):
        for number in machine.numbers.values():
            assert answer(program, audit, number, (3,)) == KILL


def test_x32_calls_end_the_process() -> None:
    """On x86-64 every number with the x32 bit is refused, also those of allowed calls."""
    program = calls.assemble(X86)

    for number in range(600):
        assert answer(program, X86.audit, 0x4000_0000 | number, (3,)) == KILL


@BOTH
def test_list_is_short_and_reasoned(machine: Architecture) -> None:
    """At most 25 calls are allowed, each has a reason, a number here, and appears once."""
    allowed = calls.allowed_on(machine)
    names = [call.name for call in allowed]

    assert len(names) == len(set(names)) <= 25
    assert all(call.reason for call in allowed)
    assert set(names) <= set(machine.numbers)
    assert not set(names) & set(calls.denied_on(machine))


def test_numbers_are_those_of_the_kernels_headers() -> None:
    """The tables agree with the headers of this machine's C library, for each architecture that it has."""
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    generic = Path("/usr/include/asm-generic/unistd.h")
    found = [(p, t) for p, t in ((header, X86), (generic, ARM)) if p.exists()]

    assert found
    for path, machine in found:
        lines = re.findall(r"#define (?:__NR|__NR3264)_(\w+)\s+(\d+)", path.read_text())
        real = {name: int(number) for name, number in lines}
        real.setdefault("newfstatat", real.get("fstatat", 0))
        wrong = {n: (v, real.get(n)) for n, v in machine.numbers.items() if real.get(n) != v}
        assert not wrong, path


def test_description_names_every_call() -> None:
    """The printed table has every allowed call and every soft denial."""
    text = calls.describe(X86)

    for name in [call.name for call in calls.allowed_on(X86)] + list(calls.denied_on(X86)):
        assert re.search(rf"\b{name}\b", text)
