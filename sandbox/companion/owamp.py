"""owamp: one-way delays by test packets, RFC 4656 in unauthenticated mode.

Theory of operation
    CONNECT --> greeting --> set-up --> request-session --> start-sessions
        tx --> we send by the schedule --> the target's stop --> ours, and fetch-session --> what arrived
        rx --> the target sends, we receive --> the target's stop (with what it did not send)

    Each reply of the target has a fixed size or announces its own, which is bounded. Saying no at any step
    is "notaccepted"; not offering our mode "nomode". A session must stand within `CONTROL_S`; then it has the
    time of its schedule, the command's timeout, and `CONTROL_S` again.
"""

import asyncio
import secrets
import struct
from typing import ClassVar, Final

from onvp.sandbox.companion import warts
from onvp.sandbox.companion.commands import OWAMP_HEADERS, OwampRequest
from onvp.sandbox.companion.errors import CannotMeasure, CommandRefused
from onvp.sandbox.companion.net import Connection, Datagram, Datagrams, now_us, why
from onvp.sandbox.companion.results import Owamp, OwampResult, OwampRx, OwampTx

PORT: Final = 861
CONTROL_S: Final = 10

_EPOCH_S: Final = 2_208_988_800
"""From 1900, where the protocol's time begins, to 1970."""

_UNAUTHENTICATED: Final = 1
_REQUEST, _START, _STOP, _FETCH = 1, 2, 3, 4
_MOST_COPIES: Final = 255
_MOST_BYTES: Final = 4 << 20
_ERROR_ESTIMATE: Final = b"\x01\x40"  # not synchronised as far as we know; 2^1 * 64 / 2^32 s
_STARTAT_PAST_US, _STARTAT_AHEAD_US = 1_000_000, 10_000_000


class _Ended(Exception):
    """The measurement is over, for this reason."""

    def __init__(self, result: OwampResult) -> None:
        super().__init__(result.name)
        self.result = result


class OneWay:
    """One owamp measurement."""

    primitive: ClassVar[str] = "owamp"

    def __init__(self, request: OwampRequest, port: int = PORT) -> None:
        self._request = request
        self._port = port
        self._tcp: Connection | None = None
        self._udp: Datagrams | None = None
        self._arrivals: dict[int, OwampTx] = {}

    def prepare(self) -> None:
        """Check the start. Raises CommandRefused if it is past or far."""
        r, now = self._request, now_us()
        if r.startat_us and r.startat_us <= now - _STARTAT_PAST_US:
            raise CommandRefused("startat passed > 1 second ago")
        if r.startat_us >= now + _STARTAT_AHEAD_US:
            raise CommandRefused("startat > 10 seconds away")
        self.result = Owamp(
            userid=r.userid,
            dst=r.dst,
            receives=r.receives,
            schedule_us=r.schedule_us,
            attempts=r.attempts,
            size=r.size,
            dscp=r.dscp,
            ttl=r.ttl,
            zero=r.zero,
            wait_timeout_us=r.wait_timeout_us,
            start_us=now,
            startat_us=r.startat_us,
        )

    async def run(self) -> None:
        """Negotiate, send or receive, and collect."""
        self.result.start_us = now_us()
        try:
            await self._measure()
            self.result.result = OwampResult.DONE
        except TimeoutError:
            self.result.result = OwampResult.TIMEOUT
        except _Ended as e:
            self.result.result = e.result
        except CannotMeasure as e:
            self.fail(e.reason)
        except OSError as e:
            self.fail(f"could not recv: {why(e)}")

    def halt(self) -> None:
        """End as halted."""
        self.result.result = OwampResult.HALTED

    def fail(self, reason: str) -> None:
        """End as an error."""
        self.result.result, self.result.errmsg = OwampResult.ERROR, reason

    def encode(self) -> bytes:
        """The owamp record."""
        return warts.owamp(self.result)

    def close(self) -> None:
        """Close both sockets."""
        for sock in (self._tcp, self._udp):
            if sock is not None:
                sock.close()

    async def _measure(self) -> None:
        r, result = self._request, self.result
        async with asyncio.timeout(CONTROL_S):
            self._tcp = tcp = Connection(r.dst, self._port)
            result.src = tcp.src
            self._udp = udp = Datagrams(r.dst, self._port, tcp.src)
            result.udp_sport = udp.sport
            try:
                await tcp.established()
            except OSError as e:
                raise _Ended(OwampResult.TIMEOUT if e.errno == 110 else OwampResult.NOCONN) from None
            result.hsrtt_us = max(now_us() - result.start_us, 1)
            session = await self._negotiate(tcp, udp)
        runtime_us = sum(self._offsets_us()[-1:])
        left_s = (result.startat_us - now_us() + runtime_us + r.wait_timeout_us) / 1e6 + CONTROL_S
        async with asyncio.timeout(left_s):
            if r.receives:
                await self._receive(tcp, udp)
            else:
                await self._send(udp)
                await self._fetch(tcp, session)

    # ---- control ----

    async def _negotiate(self, tcp: Connection, udp: Datagrams) -> bytes:
        """Set a session up; its id. The names are those of RFC 4656, section 3."""
        r, result = self._request, self.result
        greeting = await tcp.receive_exactly(64)
        if not int.from_bytes(greeting[12:16], "big") & _UNAUTHENTICATED:
            raise _Ended(OwampResult.NOMODE)
        await tcp.send(struct.pack("!I", _UNAUTHENTICATED) + bytes(160))
        server_start = await tcp.receive_exactly(48)
        _accepted(server_start[15])
        result.startat_us = result.startat_us or now_us() + 1_000_000
        await tcp.send(self._session_request())
        accept = await tcp.receive_exactly(48)
        _accepted(accept[0])
        result.udp_dport = int.from_bytes(accept[2:4], "big")
        if not result.udp_dport:
            raise CannotMeasure("the target offers no port for test packets")
        udp.aim(r.dst, result.udp_dport, r.ttl, r.dscp)
        await tcp.send(bytes((_START,)) + bytes(31))
        ack = await tcp.receive_exactly(32)
        _accepted(ack[0])
        return accept[4:20]

    def _session_request(self) -> bytes:
        r, result = self._request, self.result
        assert result.src is not None
        ours, theirs = result.src.packed.ljust(16, b"\0"), r.dst.packed.ljust(16, b"\0")
        ports = (0, result.udp_sport) if r.receives else (result.udp_sport, 0)
        slots = b"".join(b"\x01" + bytes(7) + _span(us) for us in r.schedule_us)
        return b"".join(
            (
                bytes((_REQUEST, r.dst.version, int(r.receives), int(not r.receives))),
                struct.pack("!IIHH", len(r.schedule_us), r.attempts, *ports),
                theirs + ours if r.receives else ours + theirs,
                bytes(16),
                struct.pack("!I", r.size - OWAMP_HEADERS[r.dst.version]),
                _moment(result.startat_us),
                _span(r.wait_timeout_us),
                bytes((r.dscp, 0, 0, 0)),
                bytes(8 + 16),
                slots,
                bytes(16),
            )
        )

    async def _stopped(self, tcp: Connection) -> None:
        """Read the target's Stop-Sessions, and note which packets it did not send."""
        head = await tcp.receive_exactly(16)
        sessions = int.from_bytes(head[4:8], "big")
        if head[0] != _STOP or sessions > 1:
            raise CannotMeasure("the target said something else than stop")
        if sessions:
            block = await tcp.receive_exactly(32)
            (ranges,) = struct.unpack("!I", block[20:24])
            rest = _rounded(24 + 8 * ranges) - 32
            if not 0 <= rest <= _MOST_BYTES:
                raise CannotMeasure("the target's stop has too much to say")
            block += await tcp.receive_exactly(rest)
            if self._request.receives:
                for first, last in struct.iter_unpack("!II", block[24 : 24 + 8 * ranges]):
                    self._not_sent(first, last)
        await tcp.receive_exactly(16)

    def _not_sent(self, first: int, last: int) -> None:
        for seq in range(first, min(last, self._request.attempts)):
            if seq not in self._arrivals:
                self._arrivals[seq] = OwampTx(seq, 0, 0, sent=False)
                self.result.txs.append(self._arrivals[seq])

    # ---- we send ----

    def _offsets_us(self) -> list[int]:
        """When each packet leaves, after the start."""
        slots = self.result.schedule_us
        offsets, at = [], 0
        for i in range(self._request.attempts):
            at += slots[i % len(slots)]
            offsets.append(at)
        return offsets

    async def _send(self, udp: Datagrams) -> None:
        r, result = self._request, self.result
        padding = r.size - OWAMP_HEADERS[r.dst.version]
        for seq, offset_us in enumerate(self._offsets_us()):
            sched_us = result.startat_us + offset_us
            await asyncio.sleep(max(sched_us - now_us(), 0) / 1e6)
            fill = bytes(padding) if r.zero else secrets.token_bytes(padding)
            stamp_us = now_us()
            udp.send(struct.pack("!I", seq) + _moment(stamp_us) + _ERROR_ESTIMATE + fill)
            result.txs.append(OwampTx(seq, sched_us, stamp_us))

    async def _fetch(self, tcp: Connection, session: bytes) -> None:
        """After the target's stop, say ours and ask what it received."""
        await self._stopped(tcp)
        result = self.result
        stop = struct.pack("!B3xI8x", _STOP, 1) + session + struct.pack("!II8x", len(result.txs), 0) + bytes(16)
        fetch = struct.pack("!B7xII", _FETCH, 0, 0xFFFFFFFF) + session + bytes(16)
        await tcp.send(stop + fetch)
        head = await tcp.receive_exactly(32)
        _accepted(head[0])
        ranges, records = struct.unpack("!II", head[8:16])
        request = await tcp.receive_exactly(112)
        (slots,) = struct.unpack("!I", request[4:8])
        before = 16 * slots + 16 + _rounded(8 * ranges) + 16
        size = _rounded(25 * records)
        if before + size > _MOST_BYTES:
            raise CannotMeasure("the target has too much to tell")
        data = (await tcp.receive_exactly(before + size))[before:]
        for at in range(0, 25 * records, 25):
            seq, errest = struct.unpack("!I2xH", data[at : at + 8])
            if seq < len(result.txs) and len(result.txs[seq].rxs) < _MOST_COPIES:
                ttl = data[at + 24]
                rx_us = _to_us(data[at + 16 : at + 24])
                result.txs[seq].rxs.append(OwampRx(rx_us, errest, None, ttl))

    # ---- we receive ----

    async def _receive(self, tcp: Connection, udp: Datagrams) -> None:
        listener = asyncio.create_task(self._listen(udp))
        try:
            await self._stopped(tcp)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
            while (got := udp.take()) is not None:
                self._arrived(got)
            self.result.txs.sort(key=lambda t: t.seq)

    async def _listen(self, udp: Datagrams) -> None:
        while (got := await udp.receive(float("inf"))) is not None:
            self._arrived(got)

    def _arrived(self, got: Datagram) -> None:
        if len(got.data) < 14:
            return
        seq, errest = struct.unpack("!I8xH", got.data[:14])
        if seq >= self._request.attempts:
            return
        tx = self._arrivals.get(seq)
        if tx is None:
            tx = self._arrivals[seq] = OwampTx(seq, 0, _to_us(got.data[4:12]), errest)
            self.result.txs.append(tx)
        if len(tx.rxs) < _MOST_COPIES:
            dscp = None if got.tos is None else got.tos >> 2
            tx.rxs.append(OwampRx(got.rx_us, None, dscp, got.ttl))


def _accepted(code: int) -> None:
    if code != 0:
        raise _Ended(OwampResult.NOTACCEPTED)


def _rounded(size: int) -> int:
    return (size + 15) // 16 * 16


def _span(us: int) -> bytes:
    """A length of time: seconds and their fraction, 32 bits each."""
    seconds, rest = divmod(us, 1_000_000)
    return struct.pack("!II", seconds, (rest << 32) // 1_000_000)


def _moment(us: int) -> bytes:
    """A time of day, counted from 1900."""
    return _span(us + _EPOCH_S * 1_000_000)


def _to_us(data: bytes) -> int:
    """A time of day out of the protocol's; nonsense before 1970 is 1970."""
    seconds, fraction = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    return max(seconds - _EPOCH_S, 0) * 1_000_000 + (fraction * 1_000_000 >> 32)
