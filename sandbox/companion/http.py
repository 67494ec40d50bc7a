"""http and https: one GET, and everything that was sent and received, with times.

Theory of operation
    CONNECT --> [TLS handshake] --> request --> response --> end

    h11 writes the request and tells when the response is complete; `ssl` runs over memory buffers, so that
    each flight of a handshake is recorded as it goes over the wire. Then the plain text is recorded: header
    up to the empty line, data after it, still in its transfer coding. The measurement ends when the
    response is complete or the server closes (done), when there is no connection, when the certificate is
    not good for the name (insecure; unless the client does not mind), or when the time is over.

    What a server can make us keep is bounded: `RECORD_BYTES` for one measurement, a `Room` for all of
    them together. Where a bound is met the measurement ends with an error and keeps what it has.
"""

import asyncio
import importlib.metadata
import ssl
from functools import cache
from typing import ClassVar, Final

import h11

from onvp.sandbox.companion import warts
from onvp.sandbox.companion.commands import HttpRequest
from onvp.sandbox.companion.errors import CannotMeasure, CommandRefused
from onvp.sandbox.companion.net import Connection, now_us, why
from onvp.sandbox.companion.results import Buf, BufKind, Http, HttpStop
from onvp.sandbox.companion.room import Room

RECORD_BYTES: Final = 16 << 20
"""The most that one measurement records; a piece costs `_PIECE_BYTES` beyond its data."""

_PIECE_BYTES: Final = 128
_READ_BYTES: Final = 8192
_HEADER_BYTES: Final = 256 << 10
"""The largest response header; h11 gives up beyond it."""

_END_OF_HEADER: Final = b"\r\n\r\n"


class _Ended(Exception):
    """The measurement is over, for this reason."""

    def __init__(self, stop: HttpStop, errmsg: str = "") -> None:
        super().__init__(errmsg)
        self.stop, self.errmsg = stop, errmsg


@cache
def tls_context(insecure: bool) -> ssl.SSLContext:
    """How certificates are judged: by this host's own store, or not at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.set_default_verify_paths()
    return context


def warm_up() -> None:
    """Read the certificate store now: another user may not be able to import what that needs."""
    for insecure in (False, True):
        tls_context(insecure).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="example.com")


class HttpGet:
    """One http or https measurement."""

    primitive: ClassVar[str] = "http"

    def __init__(self, request: HttpRequest, room: Room) -> None:
        self._request = request
        self._room = room
        self._kept = 0
        self._connection: Connection | None = None
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER_BYTES)
        self._header_tail: bytes | None = b""
        """The end of the header so far; None once the header is complete."""

    def prepare(self) -> None:
        """Write the request. Raises CommandRefused for headers that would change how it is framed."""
        r = self._request
        try:
            start = h11.Request(method="GET", target=r.file, headers=_headers(r))
            self._message = self._parser.send(start) + self._parser.send(h11.EndOfMessage())
        except h11.LocalProtocolError as e:
            raise CommandRefused(f"invalid HTTP header: {e}") from None
        self.result = Http(
            userid=r.userid,
            dst=r.dst,
            dport=r.dport,
            https=r.https,
            host=r.host.encode("ascii"),
            file=r.file.encode("ascii"),
            headers=tuple(h.encode("ascii") for h in r.headers),
            insecure=r.insecure,
            maxtime_us=r.maxtime_us,
            start_us=now_us(),
        )

    async def run(self) -> None:
        """Fetch, within the command's time."""
        self.result.start_us = now_us()
        try:
            async with asyncio.timeout(self._request.maxtime_us / 1e6):
                await self._fetch()
        except TimeoutError:
            self.result.stop = HttpStop.TIMEOUT
        except _Ended as e:
            self.result.stop, self.result.errmsg = e.stop, e.errmsg
        except CannotMeasure as e:
            self.fail(e.reason)

    def halt(self) -> None:
        """End as halted."""
        self.result.stop = HttpStop.HALTED

    def fail(self, reason: str) -> None:
        """End as an error."""
        self.result.stop, self.result.errmsg = HttpStop.ERROR, reason

    def encode(self) -> bytes:
        """The http record."""
        return warts.http(self.result)

    def close(self) -> None:
        """Close the connection and give back the room."""
        if self._connection is not None:
            self._connection.close()
        self.result.bufs.clear()
        self._room.give(self._kept)
        self._kept = 0

    def _keep(self, kind: BufKind, data: bytes) -> None:
        cost = len(data) + _PIECE_BYTES
        if self._kept + cost > RECORD_BYTES:
            raise _Ended(HttpStop.ERROR, f"more than {RECORD_BYTES} bytes to record; the rest was not read")
        if not self._room.try_take(cost):
            raise _Ended(HttpStop.ERROR, "no memory left for responses; try again with fewer at a time")
        self._kept += cost
        self.result.bufs.append(Buf(kind, now_us(), data))

    # ---- the phases ----

    async def _fetch(self) -> None:
        r, result = self._request, self.result
        self._connection = connection = Connection(r.dst, r.dport)
        result.src, result.sport = connection.src, connection.sport
        try:
            await connection.established()
        except OSError:
            raise _Ended(HttpStop.NOCONN) from None
        result.hsrtt_us = max(now_us() - result.start_us, 1)
        try:
            if r.https:
                await self._over_tls(connection)
            else:
                self._keep(BufKind.TX_HEADER, self._message + b"\0")
                await connection.send(self._message)
                while data := await connection.receive(_READ_BYTES):
                    self._take(data)
        except OSError as e:
            raise _Ended(HttpStop.ERROR, f"could not recv: {why(e)}") from None
        raise _Ended(HttpStop.DONE)  # the server closed; what it sent is the response

    async def _over_tls(self, connection: Connection) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = tls_context(self._request.insecure)
        tls = context.wrap_bio(incoming, outgoing, server_hostname=self._request.host)
        await self._handshake(connection, tls, incoming, outgoing)
        self._keep(BufKind.TX_HEADER, self._message + b"\0")
        tls.write(self._message)
        await connection.send(outgoing.read())
        while data := await connection.receive(_READ_BYTES):
            incoming.write(data)
            self._decrypt(tls)
            if outgoing.pending:
                await connection.send(outgoing.read())

    async def _handshake(
        self, connection: Connection, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        """Shake hands; our last flight stays in `outgoing` and leaves with the request."""
        while True:
            try:
                tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError:
                await connection.send(outgoing.read())  # the alert
                raise _Ended(HttpStop.INSECURE) from None
            except ssl.SSLError as e:
                await connection.send(outgoing.read())
                raise _Ended(HttpStop.ERROR, f"TLS error mode tls-hs: {e.reason or e}") from None
            if flight := outgoing.read():
                self._keep(BufKind.TX_TLS, flight)
                await connection.send(flight)
            data = await connection.receive(_READ_BYTES)
            if not data:
                raise _Ended(HttpStop.DONE)
            self._keep(BufKind.RX_TLS, data)
            incoming.write(data)

    def _decrypt(self, tls: ssl.SSLObject) -> None:
        while True:
            try:
                data = tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                raise _Ended(HttpStop.DONE) from None
            except ssl.SSLError as e:
                raise _Ended(HttpStop.ERROR, f"TLS error mode tls-est: {e.reason or e}") from None
            if not data:
                raise _Ended(HttpStop.DONE)
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Record plain text from the server, and end when the response is complete."""
        body = data
        if self._header_tail is not None:
            at = (self._header_tail + data).find(_END_OF_HEADER)
            if at < 0:
                self._keep(BufKind.RX_HEADER, data)
                self._header_tail = (self._header_tail + data)[-3:]
                body = b""
            else:
                end = at + len(_END_OF_HEADER) - len(self._header_tail)
                self._keep(BufKind.RX_HEADER, data[:end])
                self._header_tail, body = None, data[end:]
        if body:
            self._keep(BufKind.RX_DATA, body)
        try:
            self._parser.receive_data(data)
            while (event := self._parser.next_event()) is not h11.NEED_DATA:
                if event is h11.PAUSED or isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                    raise _Ended(HttpStop.DONE)
        except h11.RemoteProtocolError as e:
            raise _Ended(HttpStop.ERROR, f"malformed response: {e}") from None


def _headers(r: HttpRequest) -> list[tuple[str, str]]:
    """Host, User-Agent, Accept, then what the client gave, as upstream orders them."""
    given = [(name, value.strip(" ")) for name, _, value in (h.partition(":") for h in r.headers)]
    named = {name.lower(): (name, value) for name, value in reversed(given)}
    agent = ("User-Agent", f"onvp/{importlib.metadata.version('onvp')}")
    return [
        ("Host", r.host),
        named.get("user-agent", agent),
        named.get("accept", ("Accept", "*/*")),
        *((name, value) for name, value in given if name.lower() not in ("user-agent", "accept")),
    ]
