"""The doctor names each layer, what forbids it and what to do, and its self-test is able to fail."""

from __future__ import annotations

import asyncio
import json

import pytest

from onvp.sandbox.jail import doctor, selftest
from onvp.sandbox.jail.doctor import Problem, Report
from onvp.sandbox.jail.levels import Level
from onvp.sandbox.jail.messages import Configure
from tests.escape.kernel.numbers import BOTH
from tests.jail import hosts
from tests.jail.cell import Cell, native

ENTRY = "onvp.sandbox.jail.selftest:run"


@pytest.fixture(scope="module")
def report() -> Report:
    """What the doctor finds here."""
    return asyncio.run(doctor.examine(Configure(run=ENTRY)))


def test_full_host_is_reported_as_such(report: Report) -> None:
    """Where everything holds the report says full, all attempts blocked, and gives latency and memory."""
    text = doctor.render(report)

    assert report.good_for(Level.FULL)
    assert text.startswith("confinement: full\nself-test: ")
    assert f"{len(selftest.ATTEMPTS)} forbidden operations tried in real workers, all blocked" in text
    assert report.first_p50_ms and report.first_p99_ms and report.worker_bytes
    assert 0 < report.first_p50_ms <= report.first_p99_ms


def test_json_says_the_same(report: Report) -> None:
    """The report for machines has the level by name, every layer and every finding."""
    tree = json.loads(doctor.to_json(report))

    assert tree["level"]["level"] == "full"
    assert {x["name"] for x in tree["findings"]} >= {"kernel", "seccomp", "landlock", "net namespace"}
    assert tree["problems"] == [] and tree["attempts"] == len(selftest.ATTEMPTS)


def test_self_test_finds_a_missing_filter() -> None:
    """Without the filter the self-test names the operations that reached the kernel."""
    cell = Cell(native(least=Level.REFUSED, without=("seccomp",)))
    try:
        problems = cell.loop.run_until_complete(doctor.self_test(cell.jail.client))
    finally:
        cell.close()

    found = {p.name for p in problems}
    assert found == set(selftest.ATTEMPTS)
    assert all("instead of the filter" in p.verdict or "reached the kernel" in p.verdict for p in problems)


def test_self_test_passes_with_the_filter_alone() -> None:
    """The filter alone blocks every operation of the self-test."""
    cell = Cell(native(least=Level.REFUSED, without=("namespaces", "landlock", "rlimits")))
    try:
        assert cell.loop.run_until_complete(doctor.self_test(cell.jail.client)) == ()
    finally:
        cell.close()


def test_problem_is_the_first_thing_shown(report: Report) -> None:
    """An operation that was not blocked makes the host unfit for any level and is shown at the top."""
    broken = Report(
        level=report.level,
        failure="",
        findings=report.findings,
        attempts=43,
        problems=(Problem("socket", "make a socket", "worked: the call reached the kernel"),),
    )

    assert not broken.good_for(Level.STANDARD)
    assert "1 of 43 FORBIDDEN OPERATIONS NOT BLOCKED" in doctor.render(broken).splitlines()[1]


def test_zygote_that_cannot_start_is_reported() -> None:
    """A doctor that cannot start a zygote reports why instead of failing itself."""
    report = asyncio.run(doctor.examine(Configure(run="no.such.module:run")))

    assert not report.good_for(Level.REFUSED)
    assert "no.such.module" in report.failure or "No module named 'no'" in report.failure
    assert "no worker could be started" in doctor.render(report)


@pytest.mark.parametrize(
    ("host", "finding", "advice"),
    [
        ("kernel without landlock", "landlock", "not built into this kernel"),
        ("landlock switched off", "landlock", "add landlock to lsm="),
        ("container", "net namespace", "forbid"),
        ("container of old without seccomp", "seccomp", "CONFIG_SECCOMP_FILTER"),
    ],
)
def test_missing_layer_comes_with_advice(host: str, finding: str, advice: str) -> None:
    """Each way in which a host withholds a layer is told apart, with what to do about it."""
    found = {f["name"]: f for f in hosts.probe(host)}

    assert found[finding]["status"] == "missing"
    assert advice in found[finding]["advice"]


def test_attempts_mean_the_same_call_everywhere() -> None:
    """The two numbers of each attempt are those of one and the same call."""
    for name, attempt in selftest.ATTEMPTS.items():
        assert (attempt.x86_64, attempt.aarch64) in BOTH.values(), name


@pytest.mark.parametrize(
    ("answer", "signal", "wrong"),
    [
        ("", 31, ""),
        ("", 9, "ended by signal 9"),
        ("", None, "ended by signal None"),
        ("0", None, "worked"),
        ("-14", None, "EFAULT"),
        ("-1", None, "EPERM"),
    ],
)
def test_verdict_on_a_hard_denial(answer: str, signal: int | None, wrong: str) -> None:
    """Only SIGSYS counts as blocked where the filter kills; EPERM of the kernel does not."""
    verdict = selftest.verdict(selftest.ATTEMPTS["socket"], answer, signal)

    assert verdict == "" if not wrong else wrong in verdict
