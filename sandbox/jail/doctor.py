"""The doctor: what holds on this host, shown from inside a real worker, and what to do about the rest.

`self_test` is the line to look at first, and the agent repeats it on its own zygote at every start: it
tries each forbidden operation of selftest.py in a worker of its own and returns those that were not blocked.
`examine` starts a zygote, asks every layer, runs the self-test and measures; `render` is for people,
`to_json` for machines.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import math
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from onvp.sandbox.jail import probes, selftest
from onvp.sandbox.jail.errors import JailError
from onvp.sandbox.jail.levels import Level, LevelReport
from onvp.sandbox.jail.limits import MIB, Limits
from onvp.sandbox.jail.messages import Configure
from onvp.sandbox.jail.probes import Finding
from onvp.sandbox.jail.spawn import Jail, JailClient

RUNS: Final = 20  # workers that the latency is measured over
_TRIAL: Final = Limits(cpu_s=5, wall_s=10)


class Problem(msgspec.Struct, frozen=True):
    """A forbidden operation that was not blocked as it must be."""

    name: str
    what: str
    verdict: str


class Report(msgspec.Struct, frozen=True):
    """Everything the doctor found.

    Attributes:
        level: What a zygote reached here, and each of its layers.
        failure: Why no zygote could be started, else "".
        findings: The host, layer by layer.
        attempts: How many forbidden operations were tried.
        problems: Those that were not blocked.
        first_p50_ms: Fork to first instruction of the entry point, median.
        first_p99_ms: The same, 99th percentile (of 20: the slowest).
        worker_bytes: Private memory of an idle worker; None when we may not look.
    """

    level: LevelReport
    failure: str
    findings: tuple[Finding, ...]
    attempts: int = 0
    problems: tuple[Problem, ...] = ()
    first_p50_ms: float | None = None
    first_p99_ms: float | None = None
    worker_bytes: int | None = None

    def good_for(self, required: Level) -> bool:
        """Whether scripts may run where this level is required."""
        return not self.failure and not self.problems and self.level.level >= max(required, Level.STANDARD)


async def self_test(client: JailClient) -> tuple[Problem, ...]:
    """Try every forbidden operation in a worker of its own; return those that were not blocked."""
    problems = []
    for name, attempt in selftest.ATTEMPTS.items():
        worker = await client.spawn(_TRIAL, entry="selftest")
        loop = asyncio.get_running_loop()
        with worker.socket as channel:
            answer = b""
            try:
                await loop.sock_sendall(channel, name.encode())
                answer = await loop.sock_recv(channel, 64)
            except ConnectionError:  # it died with our word unread: the signal will tell
                pass
        end = await worker.wait()
        if wrong := selftest.verdict(attempt, answer.decode(errors="replace"), end.signal):
            problems.append(Problem(name, attempt.what, wrong))
    return tuple(problems)


async def first_instructions(client: JailClient, runs: int = RUNS) -> list[float]:
    """Milliseconds from the wish for a worker to the first instruction of its entry point, sorted."""
    times = []
    for _ in range(runs):
        await asyncio.sleep(0.05)  # runs come with gaps, in which the zygote fills its reserve
        asked = time.monotonic_ns()
        worker = await client.spawn(_TRIAL, entry="selftest")
        with worker.socket as channel:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(channel, selftest.HELLO.encode())
            began = int(await loop.sock_recv(channel, 64))
        await worker.wait()
        times.append((began - asked) / 1e6)
    return sorted(times)


async def idle_bytes(jail: Jail) -> int | None:
    """Private memory of a worker that waits; None without the right to look at it."""
    worker = await jail.spawn(_TRIAL, entry="selftest")
    try:
        with worker.socket as channel:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(channel, selftest.HELLO.encode())
            await loop.sock_recv(channel, 64)
            own = _descendants(jail.pid)
            return _private_bytes(own[-1]) if own else None
    except OSError:
        return None
    finally:
        await worker.wait()


def versions() -> list[Finding]:
    """The interpreter and RestrictedPython against what is known to be bad."""
    try:
        version = importlib.metadata.version("RestrictedPython")
        files = str(importlib.metadata.distribution("RestrictedPython").locate_file(""))
    except importlib.metadata.PackageNotFoundError:
        return [Finding("RestrictedPython", "missing", "not installed", "install RestrictedPython>=9,<10")]
    major = re.match(r"\d+", version)
    if not major or int(major[0]) != 9:
        return [Finding("RestrictedPython", "missing", version, "needs >=9,<10: older ones have known holes")]
    if "dist-packages" in files:
        advice = "use a virtual environment: distributions ship old versions"
        return [Finding("RestrictedPython", "note", f"{version} of the distribution", advice)]
    return [Finding("RestrictedPython", "works", version)]


async def examine(config: Configure) -> Report:
    """Ask every layer, start a zygote as the agent would, run the self-test, measure: about a second."""
    findings = [
        *probes.host(),
        *probes.seccomp(),
        probes.landlock(),
        *probes.each_namespace(),
        *probes.limits(),
        *versions(),
    ]
    jail = Jail(msgspec.structs.replace(config, least=Level.REFUSED))
    try:
        level = await jail.start()
    except JailError as error:
        nothing = LevelReport(Level.REFUSED, (), str(error))
        return Report(nothing, str(error), tuple(findings))
    try:
        problems = await self_test(jail.client)
        times = await first_instructions(jail.client)
        private = await idle_bytes(jail)
    except JailError as error:
        return Report(level, str(error), tuple(findings))
    finally:
        await jail.close()
    return Report(
        level=level,
        failure="",
        findings=tuple(findings),
        attempts=len(selftest.ATTEMPTS),
        problems=problems,
        first_p50_ms=times[len(times) // 2],
        first_p99_ms=times[math.ceil(len(times) * 0.99) - 1],
        worker_bytes=private,
    )


def to_json(report: Report) -> bytes:
    """The report for machines, one object; the level by its name."""
    tree = msgspec.to_builtins(report)
    tree["level"]["level"] = str(report.level.level)
    return msgspec.json.format(msgspec.json.encode(tree), indent=2)


def render(report: Report) -> str:
    """The report for people: the verdict, the self-test, the layers, the host, the figures."""
    level = report.level
    lines = [f"confinement: {level.level}"]
    if level.why_not_higher:
        lines.append(f"  not higher because of {level.why_not_higher}")
    if report.failure:
        lines.append(f"  no worker could be started: {report.failure}")
    elif report.problems:
        lines.append(f"self-test: {len(report.problems)} of {report.attempts} FORBIDDEN OPERATIONS NOT BLOCKED")
        lines += [f"  a worker could {p.what} ({p.name}): {p.verdict}" for p in report.problems]
    else:
        lines.append(f"self-test: {report.attempts} forbidden operations tried in real workers, all blocked")
    lines += ["", "layers of a worker here:"]
    lines += _table((layer.name, "works" if layer.works else "MISSING", layer.detail) for layer in level.layers)
    lines += ["", "this host:"]
    for finding in report.findings:
        status = {"works": "works", "missing": "MISSING", "note": ""}[finding.status]
        lines += _table([(finding.name, status, finding.detail)])
        if finding.advice:
            lines.append(f"{'':31}-> {finding.advice}")
    if report.first_p50_ms is not None:
        lines += ["", f"fork to first instruction over {RUNS} runs: "]
        lines[-1] += f"p50 {report.first_p50_ms:.1f} ms, p99 {report.first_p99_ms:.1f} ms"
        private = report.worker_bytes
        shown = f"{private / MIB:.1f} MiB" if private is not None else "unknown, looking needs root"
        lines.append(f"private memory of an idle worker: {shown}")
    return "\n".join(lines)


def _table(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    return [f"  {name:20} {status:8}{detail}" for name, status, detail in rows]


def _descendants(pid: int) -> list[int]:
    """The line of youngest children below a process, as this host's /proc has it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended while we looked
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    line: list[int] = []
    while below := parents.get(line[-1] if line else pid):
        line.append(max(below))
    return line


def _private_bytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(int(kb) for kb in re.findall(r"Private_\w+: +(\d+) kB", text))
