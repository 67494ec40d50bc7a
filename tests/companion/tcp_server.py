"""A TCP server on loopback that does to each connection what the test says, and certificates for it."""

import datetime
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Handler = Callable[[socket.socket], None]


@contextmanager
def tcp_server(handler: Handler, address: str = "127.0.0.1") -> Iterator[int]:
    """Yields the port. At the end all connections are cut and the threads are gone."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((address, 0))
        listener.listen(16)
        port: int = listener.getsockname()[1]
        open_now: list[socket.socket] = []
        threads: list[threading.Thread] = []
        stopping = threading.Event()

        def one(conn: socket.socket) -> None:
            with conn, suppress(OSError):
                conn.settimeout(30)
                handler(conn)

        def accept() -> None:
            while True:
                conn, _ = listener.accept()
                if stopping.is_set():
                    conn.close()
                    return
                open_now.append(conn)
                threads.append(threading.Thread(target=one, args=(conn,), daemon=True))
                threads[-1].start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield port
        finally:
            stopping.set()
            socket.create_connection((address, port)).close()
            acceptor.join(10)
            for conn in open_now:
                with suppress(OSError):
                    conn.shutdown(socket.SHUT_RDWR)
            for t in threads:
                t.join(10)


def request(conn: socket.socket) -> bytes:
    """The request up to its empty line."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        more = conn.recv(65536)
        if not more:
            break
        data += more
    return data


def answering(*pieces: bytes) -> Handler:
    """Answer each request with these pieces, one send each, then wait for the client to close."""

    def handle(conn: socket.socket) -> None:
        request(conn)
        for piece in pieces:
            conn.sendall(piece)
        conn.recv(1)

    return handle


def closing(*pieces: bytes) -> Handler:
    """Answer each request with these pieces and close."""

    def handle(conn: socket.socket) -> None:
        request(conn)
        for piece in pieces:
            conn.sendall(piece)

    return handle


def forever(first: bytes, again: bytes, pause_s: float = 0) -> Handler:
    """Answer with `first`, then repeat `again` as long as the client takes it."""

    def handle(conn: socket.socket) -> None:
        request(conn)
        conn.sendall(first)
        while True:
            conn.sendall(again)
            if pause_s:
                conn.settimeout(pause_s)
                with suppress(TimeoutError):
                    if not conn.recv(1):
                        return

    return handle


def resetting(*pieces: bytes) -> Handler:
    """Answer with these pieces and reset the connection."""

    def handle(conn: socket.socket) -> None:
        request(conn)
        for piece in pieces:
            conn.sendall(piece)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return handle


def tls(inner: Handler, cert: Path) -> Handler:
    """The same behind TLS, with the certificate and key in one file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert)

    def handle(conn: socket.socket) -> None:
        with suppress(ssl.SSLError), context.wrap_socket(conn, server_side=True) as secured:
            inner(secured)

    return handle


def make_certificate(folder: Path, *names: str) -> Path:
    """A self-signed certificate for these names, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    alternatives: list[x509.GeneralName] = [x509.DNSName(n) for n in names if not n[0].isdigit()]
    alternatives += [x509.IPAddress(ipaddress.ip_address(n)) for n in names if n[0].isdigit()]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
