"""The evil host does what its tables say; asked in the lab, over real sockets."""

from __future__ import annotations

import socket
import ssl

import dns.exception
import dns.message
import dns.query
import pytest

from tests.lab import Lab, hostile, hostile_dns, plan


def query(trick: str) -> bytes:
    """A query whose first label asks for a trick."""
    return dns.message.make_query(f"{trick}.evil.example", "A", id=4711).to_wire()


@pytest.mark.parametrize("trick", sorted(hostile_dns.TRICKS))
def test_each_dns_trick_is_played_over_udp(lab: Lab, trick: str) -> None:
    """What the table makes of a query is what arrives."""
    wire = query(trick)
    expected = hostile_dns.answers(wire)
    with lab.inside("vp1"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        handle.settimeout(10.0)
        handle.connect((plan.EVIL.v4, 53))
        handle.send(wire)
        handle.send(query("marker"))
        got = [handle.recv(4096) for _ in range(len(expected) + 1)]
    assert got[:-1] == expected
    assert got[-1] == hostile_dns.answers(query("marker"))[0]


@pytest.mark.parametrize("trick", ["badrdlen", "ptrloop", "ptrpair", "ptrpast", "fewer", "cutsoa", "longname"])
def test_malformed_means_malformed(trick: str) -> None:
    """The answers that are meant to be malformed are, by dnspython's judgement."""
    [message] = hostile_dns.answers(query(trick))
    with pytest.raises(dns.exception.DNSException):
        dns.message.from_wire(message)


def test_no_question_no_answer() -> None:
    """Bytes without a question are met with silence, not with a crash."""
    for junk in (b"", b"x" * 5, bytes(12), bytes(11) + b"\xff" * 40):
        assert hostile_dns.answers(junk) == []


def _get(lab: Lab, path: str, limit: int = 200_000) -> bytes:
    """The first bytes of what port 80 says to a request; the connection is cut after `limit`."""
    with lab.inside("vp1"), socket.create_connection((plan.EVIL.v4, 80), 10.0) as handle:
        handle.sendall(f"GET {path} HTTP/1.1\r\nHost: evil\r\n\r\n".encode())
        got = b""
        while len(got) < limit:
            try:
                piece = handle.recv(65536)
            except ConnectionResetError:
                return got + b"<reset>"
            if not piece:
                return got
            got += piece
        return got


@pytest.mark.parametrize("path", [p for p in hostile.TRICKS if p.startswith("/endless")])
def test_endless_things_go_on(lab: Lab, path: str) -> None:
    """Each endless trick delivers as much as the client is willing to read."""
    assert len(_get(lab, path)) >= 200_000


def test_drip_starts_and_goes_on_by_bytes(lab: Lab) -> None:
    """The first bytes of a drip arrive, and they are the beginning of a lawful answer."""
    assert _get(lab, "/drip", limit=3) == b"HTT"


def test_reset_breaks_off(lab: Lab) -> None:
    """A reset connection ends in the middle of the body it had announced."""
    assert _get(lab, "/reset").endswith(b"<reset>")


def test_tls_garbage_is_no_handshake(lab: Lab) -> None:
    """Port 443 ends a TLS handshake with an error; port 8443 completes one."""
    context = ssl.create_default_context(cafile=str(lab.authority))
    with lab.inside("vp1"):
        with socket.create_connection((plan.EVIL.v4, 443), 10.0) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname=plan.EVIL.fqdn)
        with (
            socket.create_connection((plan.EVIL.v6, 8443), 10.0) as plain,
            context.wrap_socket(plain, server_hostname=plan.EVIL.fqdn) as secure,
        ):
            secure.sendall(b"GET /cut HTTP/1.1\r\n\r\n")
            assert secure.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_dns_over_tcp_comes_in_pieces(lab: Lab) -> None:
    """Over TCP the messages have their length in front, however they are cut up."""
    with lab.inside("vp1"):
        answer = dns.query.tcp(dns.message.make_query("odd.evil.example", "A"), plan.EVIL.v4, 10.0)
    assert len(answer.answer) == 4
