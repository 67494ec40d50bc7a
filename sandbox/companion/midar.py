"""midarest and midardisc: IP id series of many addresses, on a schedule that the raw worker keeps.

Theory of operation
    A command becomes a plan (`schedules`): which probe leaves when, all fixed beforehand. `RawLine` hands
    the plan to the raw worker, the only process with raw sockets, and what the worker tells comes back into
    the measurement's result: each probe with its time and IP id, each reply with its own. The measurement
    ends `wait_timeout` after the last probe. Without a worker the two primitives are not offered.
"""

import asyncio
import random
import secrets
import socket
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address
from typing import ClassVar, Final

import msgspec

from onvp.sandbox.companion import rawjob, schedules, warts
from onvp.sandbox.companion.errors import CannotMeasure, CommandRefused
from onvp.sandbox.companion.midarcommands import MidardiscRequest, MidarestRequest
from onvp.sandbox.companion.net import now_us, source_to
from onvp.sandbox.companion.options import Address
from onvp.sandbox.companion.rawjob import Def, Failed, Got, Job, Ready, Sent, Slot, Stop
from onvp.sandbox.companion.results import (
    Dealias,
    DealiasMethod,
    DealiasProbe,
    DealiasReply,
    DealiasResult,
    Probedef,
)
from onvp.sandbox.companion.schedules import Planned
from onvp.sandbox.wire.errors import WireError
from onvp.sandbox.wire.frames import Deframer, pack

AT_A_TIME: Final = 8
"""Measurements that probe at the same time; the others wait for their turn."""

_PORTS: Final = (61_000, 65_000)
"""Where our source ports come from: above what the system gives to connections (ip_local_port_range)."""

_PAST_US: Final = 1_000_000
_FUTURE_US: Final = 86_400 * 1_000_000


class RawLine:
    """Our end of the line to the raw worker."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._measurements: dict[int, Midar] = {}
        self._blocks = list(range(_PORTS[0], _PORTS[1], rawjob.PORTS_VARIED))
        self._writer: asyncio.StreamWriter | None = None
        self._listener: asyncio.Task[None] | None = None
        self._dead = ""

    async def open(self) -> None:
        """Begin to listen; call it once the event loop runs."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._sock)
        self._listener = asyncio.create_task(self._listen(reader))

    async def close(self) -> None:
        """Let the worker go."""
        if self._listener is not None and self._writer is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
            self._writer.close()

    @property
    def dead(self) -> str:
        """Why there is no worker any more, or ""."""
        return self._dead

    async def probe(self, measurement: "Midar", start_us: int, defs: list[Def], plan: list[Slot]) -> None:
        """Have a plan carried out; returns when the last probe has left.

        Raises:
            CannotMeasure: the worker could not.
        """
        async with self._turns:
            number = next(n for n in iter(lambda: secrets.randbits(31), -1) if n not in self._measurements)
            block = self._blocks.pop(0)
            self._measurements[number] = measurement
            try:
                measured = [replace(d, sport=d.sport or block) for d in measurement.result.probedefs]
                measurement.result.probedefs = tuple(
                    d if d.method.is_tcp or d.method.is_udp else replace(d, sport=0) for d in measured
                )
                defs = [msgspec.structs.replace(d, sport=d.sport or block) for d in defs]
                await self._say(Job(number, start_us, defs, plan))
                await measurement.finished
                await asyncio.sleep(measurement.result.wait_timeout_us / 1e6)
            finally:
                del self._measurements[number]
                self._blocks.append(block)
                with suppress(CannotMeasure):
                    await self._say(Stop(number))

    async def _say(self, message: rawjob.ToWorker) -> None:
        if self._dead or self._writer is None:
            raise CannotMeasure(self._dead or "no raw worker")
        self._writer.write(pack(rawjob.encode(message), limit_bytes=rawjob.TO_WORKER_BYTES))
        try:
            await self._writer.drain()
        except OSError:
            raise CannotMeasure("the raw worker is gone") from None

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        deframer = Deframer(limit_bytes=rawjob.FROM_WORKER_BYTES)
        with suppress(OSError, WireError, msgspec.MsgspecError):
            while data := await reader.read(1 << 16):
                for body in deframer.feed(data):
                    for news in rawjob.from_worker.decode(body):
                        if not isinstance(news, Ready) and (m := self._measurements.get(news.number)):
                            m.take(news)
        self._dead = "the raw worker has ended; start the companion again"
        for m in self._measurements.values():
            m.take(Failed(0, self._dead))


class Midar:
    """One midarest or midardisc measurement."""

    primitive: ClassVar[str] = "midar"

    def __init__(self, request: MidarestRequest | MidardiscRequest, line: RawLine) -> None:
        self._request = request
        self._line = line
        self._plan: list[Planned] = []
        self._probes: dict[int, DealiasProbe] = {}

    def prepare(self) -> None:
        """Make the plan. Raises CommandRefused if it cannot be carried out from here."""
        if self._line.dead:
            raise CommandRefused(self._line.dead)
        r, now = self._request, now_us()
        sources: dict[Address, Address] = {}
        icmp_id = secrets.randbits(16)
        if isinstance(r, MidarestRequest):
            bare = [replace(d, dst=a) for d in r.probedefs for a in r.addresses]
            if len(bare) * r.rounds > rawjob.MOST_PROBES:
                raise CommandRefused(f"more than {rawjob.MOST_PROBES} probes")
            plan = schedules.midarest(
                len(r.probedefs),
                len(r.addresses),
                r.rounds,
                r.wait_probe_us,
                r.wait_round_us,
                random.Random(),
            )
        else:
            bare = list(r.probedefs)
            if sum(x.end - x.begin + 1 for x in r.schedule) > rawjob.MOST_PROBES:
                raise CommandRefused(f"more than {rawjob.MOST_PROBES} probes")
            if r.startat_us and not now - _PAST_US <= r.startat_us <= now + _FUTURE_US:
                raise CommandRefused("startat must be now or within a day")
            plan = schedules.midardisc(r.schedule)
        if len(bare) > rawjob.MOST_DEFS:
            raise CommandRefused(f"more than {rawjob.MOST_DEFS} probes to define")
        if plan[-1].offset_us > rawjob.MOST_OFFSET_US:
            raise CommandRefused("a schedule of more than a day")
        for d in bare:
            if d.dst is not None and d.dst not in sources:
                sources[d.dst] = source_to(d.dst, d.dport or 9)
        defs = tuple(self._completed(d, sources, icmp_id) for d in bare)
        self._plan = plan
        self.result = self._empty(r, now, defs)

    @staticmethod
    def _completed(d: Probedef, sources: dict[Address, Address], icmp_id: int) -> Probedef:
        is_icmp = not (d.method.is_tcp or d.method.is_udp)
        src = sources[d.dst] if d.dst is not None else None
        return replace(d, src=src, icmp_id=icmp_id if is_icmp else 0)

    @staticmethod
    def _empty(r: MidarestRequest | MidardiscRequest, now: int, defs: tuple[Probedef, ...]) -> Dealias:
        if isinstance(r, MidarestRequest):
            return Dealias(
                userid=r.userid,
                method=DealiasMethod.MIDAREST,
                start_us=now,
                probedefs=defs,
                wait_timeout_us=r.wait_timeout_us,
                rounds=r.rounds,
                wait_probe_us=r.wait_probe_us,
                wait_round_us=r.wait_round_us,
            )
        return Dealias(
            userid=r.userid,
            method=DealiasMethod.MIDARDISC,
            start_us=now,
            probedefs=defs,
            wait_timeout_us=r.wait_timeout_us,
            schedule=r.schedule,
            startat_us=r.startat_us,
        )

    async def run(self) -> None:
        """Have the plan carried out."""
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        defs = [_def(d) for d in self.result.probedefs]
        plan = [Slot(p.offset_us, p.which) for p in self._plan]
        self.result.start_us = now_us()
        try:
            await self._line.probe(self, self.result.startat_us, defs, plan)
        except CannotMeasure as e:
            self.fail(e.reason)

    def take(self, news: Sent | Got | Failed) -> None:
        """What the worker tells about this measurement."""
        if isinstance(news, Failed):
            if not self.finished.done():
                self.finished.set_exception(CannotMeasure(news.reason))
        elif isinstance(news, Sent):
            planned = self._plan[news.index]
            probe = DealiasProbe(planned.which, planned.round, news.tx_us, news.ipid)
            if not self.result.probes:
                self.result.start_us = news.tx_us
            self._probes[news.index] = probe
            self.result.probes.append(probe)
            if len(self.result.probes) == len(self._plan) and not self.finished.done():
                self.finished.set_result(None)
        elif (sent := self._probes.get(news.index)) is not None:
            sent.replies.append(_reply(news))

    def halt(self) -> None:
        """End as halted."""
        self.result.result = DealiasResult.HALTED

    def fail(self, reason: str) -> None:
        """End as an error."""
        self.result.result, self.result.errmsg = DealiasResult.ERROR, reason

    def encode(self) -> bytes:
        """The dealias record."""
        return warts.dealias(self.result)

    def close(self) -> None:
        """Nothing is held here."""


def _def(d: Probedef) -> Def:
    assert d.src is not None and d.dst is not None
    return Def(
        method=d.method,
        src=int(d.src),
        dst=int(d.dst),
        ttl=d.ttl,
        tos=d.tos,
        size=d.size,
        sport=d.sport,
        dport=d.dport,
        icmp_id=d.icmp_id,
        checksum=d.icmp_sum,
    )


def _reply(g: Got) -> DealiasReply:
    return DealiasReply(
        rx_us=g.rx_us,
        src=IPv4Address(g.src),
        ipid=g.ipid,
        ttl=g.ttl,
        size=g.size,
        proto=g.proto,
        icmp_type=g.icmp_type,
        icmp_code=g.icmp_code,
        q_ttl=g.q_ttl,
        tcp_flags=g.tcp_flags,
    )
