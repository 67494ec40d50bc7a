"""A vantage point brought up inside a test's process, as `onvp-vp` does it, short of the loss of root."""

import asyncio
import contextlib
import dataclasses
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from onvp.sandbox.agent import station
from onvp.sandbox.agent.runs import Runs
from onvp.sandbox.agent.site import PolicyInForce, Site
from onvp.sandbox.agent.warm import Warm
from onvp.sandbox.broker.audit import AuditLog
from onvp.sandbox.broker.budget import Ledger
from onvp.sandbox.jail.messages import Configure
from onvp.sandbox.jail.spawn import JailClient, start_zygote
from onvp.sandbox.prober.driver import Prober
from onvp.sandbox.prober.router import ProberSet
from onvp.sandbox.wire import calls, link

POLICY = """
onvp-policy: 1
layer: host
id: test
owner: {name: the tests, contact: tests@example.net}
summary: "pings of this machine"
default: deny
primitives:
  ping: {allow: true, attempts: {max: 10, over: clamp}}
destinations:
  reopen: [198.18.0.0/15]
  allow: [198.18.0.0/15]
scripts:
"""
LIMITS = "  concurrent: {vp: 4, user: 3}\n"
TARGET = "198.18.0.1"

SCAMPER = f"""#!/bin/sh
exec unshare --net sh -c 'ip link set lo up && ip addr add {TARGET}/32 dev lo && exec scamper "$@"' scamper "$@"
"""
"""scamper in a network of its own, where the target is the only thing there is."""


def lonely_scamper(folder: Path) -> Path:
    """A program that is scamper, but for the network that it sees."""
    program = folder / "lonely-scamper"
    program.write_text(SCAMPER)
    program.chmod(0o755)
    return program


class Notebook:
    """A sink that keeps everything, and can be waited for."""

    def __init__(self) -> None:
        self.events: dict[str, list[link.Body]] = {}
        self._news = asyncio.Event()

    def append(self, run: str, body: link.Body) -> None:
        self.events.setdefault(run, []).append(body)
        self._news.set()

    async def room(self) -> None:
        """There is always room."""

    def ends(self, run: str) -> list[link.End]:
        """A run's ends."""
        return [body for body in self.events.get(run, []) if isinstance(body, link.End)]

    def text(self, run: str) -> str:
        """What a run printed."""
        return "".join(body.text for body in self.events.get(run, []) if isinstance(body, link.Output))

    async def until_text(self, run: str, text: str) -> None:
        """Return when a run has printed this."""
        while text not in self.text(run):
            assert not self.ends(run), self.ends(run)
            await self._wait()

    async def end(self, run: str) -> link.End:
        """A run's one end, which is its last event."""
        while not self.ends(run):
            await self._wait()
        (end,) = self.ends(run)
        assert self.events[run][-1] is end
        return end

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()


@dataclasses.dataclass
class Vantage:
    """What a test needs of it."""

    site: Site
    runs: Runs
    notes: Notebook
    zygotes: "list[subprocess.Popen[bytes]]"

    async def live(self, source: str, run: str = "r1", **fields: object) -> link.End:
        """A run's whole life."""
        self.runs.offer(offer(source, run, **fields))
        return await self.notes.end(run)


def offer(source: str | bytes, run: str = "r1", **fields: object) -> link.Offer:
    """An offer of a script."""
    data = source if isinstance(source, bytes) else source.encode()
    given: dict[str, object] = {"user": "ana", "role": "researcher", "filename": "s.py", "args": [], **fields}
    return link.Offer(run=run, source=data, **given)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def up(
    folder: Path, prober: Path, *, limits: str = LIMITS, entry: str = station.ENTRY, policy: str = POLICY
) -> AsyncIterator[Vantage]:
    """A vantage point with a real jail and a real prober."""
    file = folder / "policy.yaml"
    file.write_text(policy + limits)
    in_force = PolicyInForce(file)
    in_force.load()
    preload = station.PRELOAD if entry == station.ENTRY else entry.partition(":")[0] + ":preload"
    config = Configure(run=entry, preload=preload, uid=64991, gid=64991, path=(str(Path(__file__).parents[2]),))
    zygotes: list[subprocess.Popen[bytes]] = []

    async def start() -> JailClient:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            zygotes.append(start_zygote(theirs))
        return JailClient(ours)

    warm = Warm(start, config)
    await warm.start()
    probers = ProberSet([Prober(prober)])
    await probers.start(wait_s=5)
    ledger = Ledger.load(folder / "budgets.json", lambda: in_force.current)
    audit = AuditLog(folder / "audit.jsonl")
    site = Site(calls.Instance(name="vp"), in_force, warm, probers, ledger, audit, folder)
    notes = Notebook()
    vantage = Vantage(site, Runs(site, notes), notes, zygotes)
    try:
        yield vantage
        await vantage.runs.stop("the test's end")
        assert vantage.runs.running == []
    finally:
        await probers.close()
        warm.close()
        audit.close()
        for process in zygotes:
            await asyncio.to_thread(process.wait, 10)
