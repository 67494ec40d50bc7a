"""udpprobe: a payload to a UDP port, several times if asked, and all that comes back.

Theory of operation
    Each probe leaves from a socket of its own, connected to the target, `wait_probe` after the one before.
    All sockets are listened to until `wait_timeout` after the last probe; the measurement always takes
    that long, unless it was told to end with the first reply. What other hosts send is not a reply, and
    ICMP errors end nothing. A probe keeps at most `REPLIES` replies: the record has no room for more.
"""

import asyncio
from typing import ClassVar, Final

from onvp.sandbox.companion import warts
from onvp.sandbox.companion.commands import UdpprobeRequest
from onvp.sandbox.companion.errors import CannotMeasure
from onvp.sandbox.companion.net import Datagrams, interface_name, now_us, source_to
from onvp.sandbox.companion.results import UdpProbe, Udpprobe, UdpprobeStop, UdpReply
from onvp.sandbox.companion.room import Room

REPLIES: Final = 255
_REPLY_COST_BYTES: Final = 256


class Udp:
    """One udpprobe measurement."""

    primitive: ClassVar[str] = "udpprobe"

    def __init__(self, request: UdpprobeRequest, room: Room) -> None:
        self._request = request
        self._room = room
        self._kept = 0
        self._sockets: list[Datagrams] = []

    def prepare(self) -> None:
        """Find a source address. Raises CommandRefused without a route."""
        r = self._request
        self.result = Udpprobe(
            userid=r.userid,
            src=r.src or source_to(r.dst, r.dport),
            dst=r.dst,
            dport=r.dport,
            payload=r.payload,
            attempts=r.attempts,
            stop_count=r.stop_count,
            exit_first=r.exit_first,
            wait_timeout_us=r.wait_timeout_us,
            wait_probe_us=r.wait_probe_us,
            start_us=now_us(),
        )

    async def run(self) -> None:
        """Send the probes and collect the replies."""
        try:
            await self._probe()
        except CannotMeasure as e:
            self.fail(e.reason)

    def halt(self) -> None:
        """End as halted."""
        self.result.stop = UdpprobeStop.HALTED

    def fail(self, reason: str) -> None:
        """End as an error."""
        self.result.stop, self.result.errmsg = UdpprobeStop.ERROR, reason

    def encode(self) -> bytes:
        """The udpprobe record."""
        return warts.udpprobe(self.result)

    def close(self) -> None:
        """Close the sockets and give back the room."""
        for sock in self._sockets:
            sock.close()
        self._room.give(self._kept)
        self._kept = 0

    async def _probe(self) -> None:
        r, loop = self._request, asyncio.get_running_loop()
        listeners: list[asyncio.Task[None]] = []
        answered = asyncio.Event()
        next_at = loop.time()
        try:
            for i in range(r.attempts):
                sock = Datagrams(r.dst, r.dport, r.src)
                self._sockets.append(sock)
                probe = UdpProbe(sock.send(r.payload), sock.sport)
                if i == 0:
                    self.result.start_us = probe.tx_us
                self.result.probes.append(probe)
                last = i == r.attempts - 1
                next_at += (r.wait_timeout_us if last else r.wait_probe_us) / 1e6
                listeners.append(asyncio.create_task(self._listen(sock, probe, answered)))
                if await _set_before(answered if r.exit_first else asyncio.Event(), next_at):
                    break
        finally:
            for listener in listeners:
                listener.cancel()
            ends = await asyncio.gather(*listeners, return_exceptions=True)
        for end in ends:
            if isinstance(end, CannotMeasure):
                raise end
        self.result.stop = UdpprobeStop.DONE

    async def _listen(self, sock: Datagrams, probe: UdpProbe, answered: asyncio.Event) -> None:
        while True:
            got = await sock.receive(float("inf"))
            if got is None or len(probe.replies) == REPLIES:
                continue
            cost = len(got.data) + _REPLY_COST_BYTES
            if not self._room.try_take(cost):
                raise CannotMeasure("no memory left for replies; try again with fewer at a time")
            self._kept += cost
            probe.replies.append(UdpReply(got.rx_us, got.data, interface_name(got.ifindex)))
            answered.set()


async def _set_before(event: asyncio.Event, deadline: float) -> bool:
    try:
        async with asyncio.timeout_at(deadline):
            return await event.wait()
    except TimeoutError:
        return False
