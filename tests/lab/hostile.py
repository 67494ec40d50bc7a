"""The evil host: DNS that lies, HTTP that never ends, TLS that is none.

Run as `python -m tests.lab.hostile CERTIFICATE KEY` inside the evil namespace. Ports:

    53    UDP and TCP  hostile_dns.answers, one message in dribs over TCP; `drip` names are slower
    80    HTTP         the path chooses from TRICKS
    443   TLS          random bytes in place of a handshake
    444   TCP          accepts and says nothing
    445   TCP          resets each connection at once
    8443  HTTPS        the tricks of port 80 behind honest TLS

Whatever a client does, each connection ends: after `LIFE_S`, or after `BODY_BYTES`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import Final, cast

from tests.lab import hostile_dns, plan
from tests.lab.outbox import report_ready

LIFE_S: Final = 120.0
BODY_BYTES: Final = 1 << 30
DRIP_S: Final = 0.2
_OK: Final = b"HTTP/1.1 200 OK\r\n"

Writer = asyncio.StreamWriter
Trick = Callable[[Writer], Awaitable[None]]


async def _send(writer: Writer, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def _drip(writer: Writer) -> None:
    """A lawful answer, one byte at a time."""
    for byte in _OK + b"Content-Length: 600\r\n\r\n" + b"d" * 600:
        await _send(writer, bytes([byte]))
        await asyncio.sleep(DRIP_S)


async def _endless_headers(writer: Writer) -> None:
    await _send(writer, _OK)
    for number in range(BODY_BYTES >> 10):
        await _send(writer, b"X-%d: %s\r\n" % (number, b"h" * 1000))


async def _endless_line(writer: Writer) -> None:
    await _send(writer, _OK + b"X-Long: ")
    for _ in range(BODY_BYTES >> 14):
        await _send(writer, b"l" * (1 << 14))


async def _endless_body(writer: Writer) -> None:
    await _send(writer, _OK + b"Content-Length: %d\r\n\r\n" % BODY_BYTES)
    for _ in range(BODY_BYTES >> 16):
        await _send(writer, b"b" * (1 << 16))


async def _endless_chunks(writer: Writer) -> None:
    await _send(writer, _OK + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(BODY_BYTES):
        await _send(writer, b"1\r\nc\r\n")


async def _endless_continue(writer: Writer) -> None:
    for _ in range(BODY_BYTES >> 5):
        await _send(writer, b"HTTP/1.1 100 Continue\r\n\r\n")


async def _reset(writer: Writer) -> None:
    await _send(writer, _OK + b"Content-Length: 100\r\n\r\nhalf of")
    _abort(writer)


def _abort(writer: Writer) -> None:
    """Close with a reset: linger time zero."""
    handle = writer.get_extra_info("socket")
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _say(data: bytes) -> Trick:
    async def trick(writer: Writer) -> None:
        await _send(writer, data)

    return trick


_GARBAGE: Final = random.Random(7).randbytes(4096)
TRICKS: Final[dict[str, Trick]] = {
    "/drip": _drip,
    "/endless-headers": _endless_headers,
    "/endless-line": _endless_line,
    "/endless-body": _endless_body,
    "/endless-chunks": _endless_chunks,
    "/endless-continue": _endless_continue,
    "/reset": _reset,
    "/garbage": _say(_GARBAGE),
    "/nothing": _say(b""),
    "/nul": _say(b"HTTP/1.1 200 O\0K\r\nX-\0: \0\r\nContent-Length: 2\r\n\r\n\0\0"),
    "/cut": _say(_OK + b"Content-Length: 1000\r\n\r\nonly this"),
    "/two-lengths": _say(_OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
    "/minus": _say(_OK + b"Content-Length: -1\r\n\r\nabc"),
    "/bad-chunk": _say(_OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc"),
    "/folded": _say(_OK + b"X-A: one\r\n two\r\nContent-Length: 2\r\n\r\nok"),
    "/status": _say(b"HTTP/1.1 99999 no\r\nContent-Length: 2\r\n\r\nok"),
    "/old": _say(b"HTTP/0.9\r\n\r\nhello"),
    "/many-headers": _say(_OK + b"X: y\r\n" * 5000 + b"Content-Length: 2\r\n\r\nok"),
    "/elsewhere": _say(b"HTTP/1.1 302 Found\r\nLocation: http://192.168.1.1/\r\n\r\n"),
    "/round": _say(b"HTTP/1.1 302 Found\r\nLocation: /round\r\n\r\n"),
    "/file": _say(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"),
}


async def _serve_http(reader: asyncio.StreamReader, writer: Writer) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        try:
            async with asyncio.timeout(LIFE_S):
                request = await reader.readuntil(b"\r\n\r\n")
                words = request.decode("latin-1").split(" ", 2)
                path = words[1].split("?")[0] if len(words) == 3 else ""
                lost = _say(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
                await TRICKS.get(path, lost)(writer)
        except TimeoutError:
            _abort(writer)
        finally:
            writer.close()


async def _serve_tls_garbage(reader: asyncio.StreamReader, writer: Writer) -> None:
    with contextlib.suppress(OSError):
        await _send(writer, _GARBAGE)
        writer.close()


async def _serve_silence(reader: asyncio.StreamReader, writer: Writer) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LIFE_S):
            while await reader.read(65536):
                pass
    writer.close()


async def _serve_reset(reader: asyncio.StreamReader, writer: Writer) -> None:
    _abort(writer)


async def _serve_dns_tcp(reader: asyncio.StreamReader, writer: Writer) -> None:
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(LIFE_S):
            size = struct.unpack("!H", await reader.readexactly(2))[0]
            query = await reader.readexactly(size)
            slow = b"\x04drip" in query.lower()
            for message in hostile_dns.answers(query):
                data = struct.pack("!H", len(message)) + message
                for piece in [bytes([b]) for b in data] if slow else [data[:1], data[1:9], data[9:]]:
                    await _send(writer, piece)
                    await asyncio.sleep(DRIP_S if slow else 0.005)
    writer.close()


class _DnsUdp(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: the selector loop's transport does not derive from this class in 3.11.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        for message in hostile_dns.answers(data):
            self._transport.sendto(message, addr)


async def serve(certificate: str, key: str) -> None:
    """Bind everything, say so, go on for ever."""
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    for address in plan.EVIL.addresses:
        await loop.create_datagram_endpoint(_DnsUdp, local_addr=(address, 53))
        for port, handler, tls in (
            (53, _serve_dns_tcp, None),
            (80, _serve_http, None),
            (443, _serve_tls_garbage, None),
            (444, _serve_silence, None),
            (445, _serve_reset, None),
            (8443, _serve_http, context),
        ):
            await asyncio.start_server(handler, address, port, ssl=tls)
    report_ready()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:3]))
