"""http and https: the request, the record of the exchange, and servers that mean no good."""

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from onvp.native import _warts
from onvp.sandbox.companion.commands import http
from onvp.sandbox.companion.errors import CommandRefused
from onvp.sandbox.companion.http import RECORD_BYTES, HttpGet
from onvp.sandbox.companion.results import BufKind, Http
from onvp.sandbox.companion.room import Room
from tests.companion import tcp_server as ts
from tests.companion.alone import carry_out, read_back
from tests.companion.dialogue import Data, Dialogue, companion, resident_kib

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
BARE = b"HTTP/1.1 200 OK\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
CHUNKED = BARE + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Fetched:
    """What a fetch left: its result as it was, and the record as scripts see it."""

    def __init__(self, job: HttpGet, room: Room) -> None:
        self.result: Http = job.result
        self.bufs = list(job.result.bufs)
        self.record = job.encode()
        self.seen: Any = read_back(self.record)
        job.close()
        assert room.try_take(room._limit), "all room was given back"

    @property
    def stop(self) -> str:
        return self.result.stop.name.lower()

    def joined(self, kind: BufKind) -> bytes:
        return b"".join(b.data for b in self.bufs if b.kind is kind)


def fetch(command: str, room: Room | None = None, halt_after_s: float | None = None) -> Fetched:
    """Run an http command."""
    room = room or Room()

    async def run() -> HttpGet:
        job = HttpGet(http(command), room)
        await carry_out(job, halt_after_s)
        return job

    return Fetched(asyncio.run(run()), room)


@pytest.mark.parametrize(
    ("handler", "stop", "header", "data"),
    [
        pytest.param(ts.answering(OK + b"hello"), "done", OK, b"hello", id="in one piece"),
        pytest.param(ts.answering(OK, b"he", b"llo"), "done", OK, b"hello", id="in pieces"),
        pytest.param(ts.answering(*map(bytes, zip(OK + b"hello", strict=True))), "done", OK, b"hello", id="bytes"),
        pytest.param(ts.answering(NO_CONTENT), "done", NO_CONTENT, b"", id="no body"),
        pytest.param(
            ts.answering(CHUNKED, b"3\r\nabc\r\n0\r\n\r\n"),
            "done",
            CHUNKED,
            b"3\r\nabc\r\n0\r\n\r\n",
            id="chunked",
        ),
        pytest.param(ts.closing(b"HTTP/1.0 200 OK\r\n\r\n", b"to the end"), "done", None, b"to the end", id="1.0"),
        pytest.param(ts.closing(OK + b"he"), "done", OK, b"he", id="closed early"),
        pytest.param(ts.closing(), "done", b"", b"", id="closed at once"),
        pytest.param(ts.resetting(), "error", b"", b"", id="reset at once"),
        pytest.param(ts.answering(b"\xff\x00garbage\r\n\r\n"), "error", None, b"", id="garbage"),
        pytest.param(ts.answering(b"SSH-2.0-OpenSSH_9.2\r\n"), "timeout", None, b"", id="another protocol"),
        pytest.param(ts.answering(b"HTTP/1.1 999999 x\r\n\r\n"), "error", None, b"", id="bad status"),
        pytest.param(ts.answering(BARE + b"Content-Length: 1, 2\r\n\r\n"), "error", None, b"", id="two lengths"),
        pytest.param(ts.answering(CHUNKED, b"f" * 22 + b"\r\n"), "error", None, None, id="endless chunk"),
        pytest.param(ts.answering(OK[:20]), "timeout", OK[:20], b"", id="stops in the header"),
        pytest.param(ts.forever(BARE, b"X-Header: more\r\n"), "error", None, b"", id="endless headers"),
        pytest.param(ts.forever(BARE + b"X: ", b"x" * 1000), "error", None, b"", id="endless header line"),
        pytest.param(ts.forever(BARE + b"\r\n", b"x", 0.02), "timeout", None, None, id="slow drip"),
        pytest.param(
            ts.answering(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
            "error",
            None,
            b"",
            id="unasked upgrade",
        ),
        pytest.param(ts.answering(CONTINUE + OK + b"hello"), "done", CONTINUE, OK + b"hello", id="informational first"),
    ],
)
def test_servers(handler: ts.Handler, stop: str, header: bytes | None, data: bytes | None) -> None:
    """Each server, good or bad, ends in the right stop reason with what it sent, in time."""
    with ts.tcp_server(handler) as port:
        found = fetch(f"-m 1 -u http://www.example.com:{port}/ 127.0.0.1")

    assert stop == found.stop, found.result.errmsg
    if header is not None:
        assert header == found.joined(BufKind.RX_HEADER)
    if data is not None:
        assert data == found.joined(BufKind.RX_DATA)
    assert found.seen.stop_reason_str == stop
    assert found.seen.errmsg == (found.result.errmsg or None)


def test_request_and_record() -> None:
    """The request is upstream's; the record tells the whole exchange with times in order."""
    with ts.tcp_server(ts.answering(OK + b"hello")) as port:
        found = fetch(f"-U 31337 -m 5 -u http://www.example.com:{port}/a?b=c%20d 127.0.0.1")
    seen = found.seen

    lines = found.joined(BufKind.TX_HEADER).decode().split("\r\n")
    assert lines[0:2] == ["GET /a?b=c%20d HTTP/1.1", "Host: www.example.com"]
    assert lines[2].startswith("User-Agent: onvp/")
    assert lines[3:] == ["Accept: */*", "", "\0"]
    assert (seen.userid, seen.dport, seen.status_code) == (31337, port, 200)
    assert (str(seen.src), str(seen.dst), seen.response) == ("127.0.0.1", "127.0.0.1", b"hello")
    assert seen.url == f"http://www.example.com:{port}/a?b=c%20d"
    assert seen.hsrtt.total_seconds() > 0
    assert seen.maxtime.total_seconds() == 5
    stamps = [b.timestamp for b in seen.bufs()]
    assert stamps == sorted(stamps)
    assert [b.type_str for b in seen.bufs()] == ["hdr", "hdr", "data"]
    assert seen.sport > 0


def test_headers() -> None:
    """Headers of the client's replace the usual ones or follow them."""
    with ts.tcp_server(ts.answering(OK + b"hello")) as port:
        found = fetch(f"-H 'X-One: it\\'s 1' -H \"user-agent: lab probe\" -H 'Accept:a/b' -u http://x:{port} 127.0.0.1")

    assert found.joined(BufKind.TX_HEADER) == (
        b"GET / HTTP/1.1\r\nHost: x\r\nuser-agent: lab probe\r\nAccept: a/b\r\nX-One: it's 1\r\n\r\n\0"
    )
    assert found.seen.transmit_hdr_byname("x-one") == "it's 1"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("http 127.0.0.1", "missing URL"),
        ("http -u ftp://x/ 127.0.0.1", "could not parse URL"),
        ("http -u http://x:0/ 127.0.0.1", "could not parse URL"),
        ("http -u http://x:65536/ 127.0.0.1", "could not parse URL"),
        ("http -u http:// 127.0.0.1", "could not parse URL"),
        ("http -u http://u@x/ 127.0.0.1", "could not parse URL"),
        ("http -u 'http://x/a b' 127.0.0.1", "could not parse URL"),
        ("http -u http://x/ x.example", "destination"),
        ("http -u http://x/", "destination"),
        ("http -H 'Host: y' -u http://x/ 127.0.0.1", "invalid HTTP header"),
        ("http -H 'X' -u http://x/ 127.0.0.1", "invalid HTTP header"),
        ("http -H 'X: ' -u http://x/ 127.0.0.1", "invalid HTTP header"),
        ("http -H ': y' -u http://x/ 127.0.0.1", "invalid HTTP header"),
        ("http -m 0.5 -u http://x/ 127.0.0.1", "maximum runtime"),
        ("http -m 61 -u http://x/ 127.0.0.1", "maximum runtime"),
        ("http -O grease -u https://x/ 127.0.0.1", "ech"),
        ("http -O ecl=AAAA -u https://x/ 127.0.0.1", "ech"),
        ("http -O fast -u https://x/ 127.0.0.1", "unknown option"),
        ("http " + "-H a:b " * 256 + "-u http://x/ 127.0.0.1", "255 headers"),
    ],
)
def test_refused(command: str, reason: str) -> None:
    """What upstream refuses is refused, with its reason."""
    with pytest.raises(CommandRefused, match=reason):
        http(command.removeprefix("http").strip())


@pytest.mark.parametrize("header", ["Content-Length: 5", "Transfer-Encoding: gzip"])
def test_framing_headers_are_refused(header: str) -> None:
    """A header that would make the server wait for a body is refused."""
    job = HttpGet(http(f"-H '{header}' -u http://x/ 127.0.0.1"), Room())
    with pytest.raises(CommandRefused, match="invalid HTTP header"):
        job.prepare()


def test_no_connection() -> None:
    """Nobody there: no connection, at once, with the addresses."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    found = fetch(f"-u http://x:{port}/ 127.0.0.1")

    assert (found.stop, found.bufs) == ("noconn", [])
    assert found.result.sport > 0
    assert found.seen.hsrtt is None or found.seen.hsrtt.total_seconds() == 0


def test_cannot_even_try() -> None:
    """Where this host cannot send, the record says so, as upstream's does."""
    found = fetch("-u http://x/ ff02::1")

    assert found.stop == "error"
    assert found.result.errmsg.startswith("could not connect: ")
    assert found.seen.src is None


def test_halt() -> None:
    """A halted fetch keeps what it has."""
    with ts.tcp_server(ts.answering(OK + b"he")) as port:
        found = fetch(f"-u http://x:{port}/ 127.0.0.1", halt_after_s=0.2)

    assert found.stop == "halted"
    assert found.joined(BufKind.RX_DATA) == b"he"


def test_huge_body_is_cut() -> None:
    """A body without end is read up to the bound, recorded up to the bound, and no further."""
    with ts.tcp_server(ts.forever(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", bytes(1 << 20))) as port:
        found = fetch(f"-u http://x:{port}/ 127.0.0.1")

    assert found.stop == "error"
    assert "more than" in found.result.errmsg
    assert RECORD_BYTES // 2 < len(found.joined(BufKind.RX_DATA)) <= RECORD_BYTES


def test_a_sender_without_pause() -> None:
    """A server that always has something to say cannot keep the process from looking at the clock."""
    with ts.tcp_server(ts.forever(b"", CONTINUE * 100)) as port:
        found = fetch(f"-m 1 -u http://x:{port}/ 127.0.0.1")

    assert found.stop == "timeout", found.result.errmsg


def test_no_room_left() -> None:
    """All measurements together have one bound as well."""
    with ts.tcp_server(ts.forever(b"HTTP/1.1 200 OK\r\n\r\n", bytes(1 << 16))) as port:
        found = fetch(f"-u http://x:{port}/ 127.0.0.1", Room(100_000))

    assert "no memory left" in found.result.errmsg


def test_insecure_https(tmp_path: Path) -> None:
    """Told not to mind the certificate, a fetch completes; the handshake's flights are in the record."""
    cert = ts.make_certificate(tmp_path, "www.example.com")
    with ts.tcp_server(ts.tls(ts.answering(OK + b"hello"), cert), "::1") as port:
        found = fetch(f"-O insecure -u https://www.example.com:{port}/ ::1")

    assert found.stop == "done", found.result.errmsg
    kinds = [b.kind for b in found.bufs]
    assert kinds[:2] == [BufKind.TX_TLS, BufKind.RX_TLS]
    assert b"www.example.com" in found.bufs[0].data, "the name is asked for"
    assert found.bufs[0].data[0] == 22, "a TLS handshake record"
    assert (found.seen.status_code, found.seen.response) == (200, b"hello")


def test_untrusted_certificate(tmp_path: Path) -> None:
    """A certificate that nobody vouches for ends the measurement before anything is asked."""
    cert = ts.make_certificate(tmp_path, "www.example.com")
    with ts.tcp_server(ts.tls(ts.answering(OK + b"hello"), cert)) as port:
        found = fetch(f"-u https://www.example.com:{port}/ 127.0.0.1")

    assert (found.stop, found.result.errmsg) == ("insecure", "")
    assert {b.kind for b in found.bufs} == {BufKind.TX_TLS, BufKind.RX_TLS}


def garbage_after_hello(conn: socket.socket) -> None:
    """A TLS server that begins well."""
    conn.recv(65536)
    conn.sendall(b"\x16\x03\x03\x00\x10" + b"\xff" * 16)
    conn.recv(1)


def endless_record(conn: socket.socket) -> None:
    """A TLS server whose first record never ends."""
    conn.recv(65536)
    conn.sendall(b"\x16\x03\x03\xff\xff")
    while True:
        conn.sendall(bytes(65536))


@pytest.mark.parametrize(
    ("handler", "stop"),
    [
        pytest.param(ts.answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "timeout", id="server waits for a line"),
        pytest.param(garbage_after_hello, "error", id="garbage"),
        pytest.param(endless_record, "error", id="endless record"),
        pytest.param(lambda conn: conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "error", id="plain http"),
        pytest.param(lambda conn: conn.recv(1), "error", id="reset after a byte"),
        pytest.param(lambda conn: conn.recv(65536) and None, "done", id="closed in the handshake"),
    ],
)
def test_tls_garbage(handler: ts.Handler, stop: str) -> None:
    """Whatever comes instead of TLS ends the measurement with an error, a timeout or the server's end."""
    with ts.tcp_server(handler) as port:
        found = fetch(f"-m 1 -O insecure -u https://x:{port}/ 127.0.0.1")

    assert stop == found.stop, found.result.errmsg


def test_garbage_within_tls(tmp_path: Path) -> None:
    """Bytes that are no TLS records, in the middle of a response, end it with an error."""
    cert = ts.make_certificate(tmp_path, "x")

    def handle(conn: socket.socket) -> None:
        raw = socket.socket(fileno=socket.dup(conn.fileno()))

        def inner(secured: socket.socket) -> None:
            ts.request(secured)
            secured.sendall(OK)
            raw.sendall(b"no tls at all" * 10)
            secured.recv(1)

        with raw:
            ts.tls(inner, cert)(conn)

    with ts.tcp_server(handle) as port:
        found = fetch(f"-m 2 -O insecure -u https://x:{port}/ 127.0.0.1")

    assert found.stop == "error"
    assert "tls-est" in found.result.errmsg
    assert found.joined(BufKind.RX_HEADER) == OK


def test_verified_https(tmp_path: Path, own_folder: Path) -> None:
    """With a certificate authority in the system's store, good names pass and others do not."""
    cert = ts.make_certificate(tmp_path, "www.example.com", "127.0.0.1")
    trust = own_folder / "trust.pem"
    trust.write_bytes(b"-----BEGIN CERT" + cert.read_bytes().split(b"-----BEGIN CERT")[1])
    env = ["env", f"SSL_CERT_FILE={trust}"]
    with (
        ts.tcp_server(ts.tls(ts.answering(OK + b"hello"), cert)) as port,
        companion(own_folder, prefix=env) as sock,
    ):
        with Dialogue(sock) as c:
            stream = c.measure(
                f"http -U 1 -u https://www.example.com:{port}/ 127.0.0.1",
                f"http -U 2 -u https://other.example:{port}/ 127.0.0.1",
                f"http -U 3 -u https://127.0.0.1:{port}/ 127.0.0.1",
                f"http -U 4 -O insecure -u https://other.example:{port}/ 127.0.0.1",
            )
    results = {o.userid: o for o in _warts.Decoder().feed(stream) if type(o).__name__ == "ScamperHttp"}
    stops = {number: r.stop_reason_str for number, r in results.items()}
    assert stops == {1: "done", 2: "insecure", 3: "done", 4: "done"}


def test_many_huge_bodies_cost_bounded_memory(own_folder: Path) -> None:
    """Twenty bodies without end at once, and a client that takes its time: the process stays bounded."""
    handler = ts.forever(b"HTTP/1.1 200 OK\r\n\r\n", bytes(1 << 18))
    with ts.tcp_server(handler) as port, companion(own_folder) as sock, Dialogue(sock, 60) as c:
        with Dialogue(sock) as other:
            pid = int(other.ask("get pid").split()[2])
        before = resident_kib(pid)
        c.attach()
        for _ in range(20):
            c.say(f"http -m 5 -u http://x:{port}/ 127.0.0.1")
        c.say("done")
        most = 0
        kinds = []
        for heard in iter(c.hear, ""):
            most = max(most, resident_kib(pid))
            if isinstance(heard, Data):
                kinds.append(heard.kind)
    assert kinds == [15] * 20 + [4]
    assert most - before < 400 << 10, f"{(most - before) >> 10} MiB"


def test_linger_is_a_reset() -> None:
    """The resetting server of these tests really resets (so that 'reset at once' says something)."""
    with ts.tcp_server(ts.resetting()) as port, socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            while s.recv(1):
                pass
        assert struct.calcsize("ii") == 8
