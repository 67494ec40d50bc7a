"""A DNS server on loopback whose answers are made by hand, by the first label of the name."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

POINTER = b"\xc0\x0c"  # to the question's name


def rr(rtype: int, data: bytes, *, owner: bytes = POINTER, rclass: int = 1, ttl: int = 300) -> bytes:
    """A resource record."""
    return owner + struct.pack("!HHIH", rtype, rclass, ttl, len(data)) + data


def name(dotted: str) -> bytes:
    """A name without compression."""
    return b"".join(bytes((len(label),)) + label.encode() for label in dotted.split(".")) + b"\0"


def message(query: bytes, flags: int = 0x8580, *sections: list[bytes], **changed: object) -> bytes:
    """A response to `query`; `changed`: ident, question, questions (how many), counts."""
    question = query[12 : query.index(b"\0", 12) + 5]
    records = [*sections, *([[]] * (3 - len(sections)))]
    counts = changed.get("counts") or tuple(len(s) for s in records)
    return (
        changed.get("ident", query[:2])  # type: ignore[operator]
        + struct.pack("!HHHHH", flags, changed.get("questions", 1), *counts)  # type: ignore[misc]
        + changed.get("question", question)
        + b"".join(b"".join(s) for s in records)
    )


A = rr(1, bytes((192, 0, 2, 80)))


def pointer_chain(query: bytes) -> bytes:
    """64 KiB of legal pointers, each to the one before, and thousands of records that start at the last."""
    head = message(query, 0x8580, counts=(4000, 0, 0))
    chain = bytearray(rr(65280, b""))
    first = len(head) + len(chain)
    body = bytearray(b"\0")
    at = first
    for _ in range(7000):
        body += struct.pack("!H", 0xC000 | at)
        at = first + len(body) - 2
    chain = bytearray(rr(65280, bytes(body)))
    last = struct.pack("!H", 0xC000 | at)
    records = rr(1, bytes(4), owner=last) * 3000
    return head + bytes(chain) + records


ANSWERS: dict[str, Callable[[bytes], list[bytes]]] = {
    "good": lambda q: [message(q, 0x8580, [A])],
    "wrongid": lambda q: [message(q, 0x8580, [A], ident=bytes((q[0] ^ 1, q[1])))],
    "wrongq": lambda q: [message(q, 0x8580, [A], question=name("other.example") + b"\0\1\0\1")],
    "upper": lambda q: [message(q, 0x8580, [A], question=q[12 : q.index(b"\0", 12)].upper() + b"\0\0\1\0\1")],
    "twice": lambda q: [message(q, 0x8580, [A]), message(q, 0x8580, [rr(1, bytes(4))])],
    "badrdlen": lambda q: [message(q, 0x8580, [POINTER + struct.pack("!HHIH", 1, 1, 60, 400) + bytes(4)])],
    "ptrloop": lambda q: [message(q, 0x8580, [rr(1, bytes(4), owner=struct.pack("!H", 0xC000 | len(q)))])],
    "ptrahead": lambda q: [message(q, 0x8580, [rr(1, bytes(4), owner=b"\xff\xff")])],
    "chain": lambda q: [pointer_chain(q)],
    "fewer": lambda q: [message(q, 0x8580, [A], counts=(3, 0, 0))],
    "manymore": lambda q: [message(q, 0x8580, [A], counts=(65535, 65535, 65535))],
    "short": lambda q: [q[:5], b"", bytes(11)],
    "query": lambda q: [q],
    "noq": lambda q: [message(q, 0x8580, [A], question=b"", questions=0)],
    "badaddr": lambda q: [message(q, 0x8580, [rr(1, bytes(5))])],
    "garbage": lambda q: [bytes(range(256)) * 4, b"\xff" * 512],
    "badthengood": lambda q: [message(q, 0x8580, [A], counts=(9, 0, 0)), message(q, 0x8580, [A])],
    "truncated": lambda q: [message(q, 0x8780, [A])],
    "refused": lambda q: [message(q, 0x8585)],
    "hugetxt": lambda q: [message(q, 0x8580, [rr(16, (b"\xff" + b"x" * 255) * 255)])],
    "silent": lambda q: [],
    "types": lambda q: [
        message(
            q,
            0x85B0,
            [
                rr(2, name("ns.example")),
                rr(5, b"\3WwW\xc0\x0c"),
                rr(28, bytes(15) + b"\1"),
                rr(15, struct.pack("!H", 10) + name("mx.example")),
                rr(6, name("m.example") + name("r.example") + struct.pack("!5I", 1, 2, 3, 4, 5)),
                rr(16, b"\3one\3two"),
                rr(16, b"\2ch", rclass=3),
                rr(65, b"\0\1\0" + struct.pack("!HH", 1, 3) + b"\2h2" + struct.pack("!HH", 3, 2) + b"\1\xbb"),
                rr(64, b"\0\0" + name("t.example")),
                rr(65280, b"\1\2\3"),
            ],
            [rr(47, b"rubbish"), rr(46, b"")],
            [rr(41, struct.pack("!HH", 3, 4) + b"ns-x", owner=b"\0", rclass=1232, ttl=0x8000)],
        )
    ],
}


@contextmanager
def dns_server(address: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """Serve `ANSWERS` over UDP and TCP; yields the port and the queries that came (a growing list)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    seen: list[bytes] = []
    with socket.socket(family, socket.SOCK_STREAM) as tcp, socket.socket(family, socket.SOCK_DGRAM) as udp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((address, port))
        port = tcp.getsockname()[1]
        udp.bind((address, port))
        tcp.listen(64)
        stopping = threading.Event()

        def answer(query: bytes) -> list[bytes]:
            seen.append(query)
            label = query[13 : 13 + query[12]].decode("ascii").lower()
            return ANSWERS.get(label, ANSWERS["refused"])(query)

        def datagrams() -> None:
            while True:
                query, who = udp.recvfrom(4096)
                if stopping.is_set():
                    return
                for data in answer(query):
                    udp.sendto(data[:65000], who)

        def streams() -> None:
            while True:
                conn, _ = tcp.accept()
                with conn, suppress(OSError):
                    if stopping.is_set():
                        return
                    conn.settimeout(5)
                    size = int.from_bytes(conn.recv(2), "big")
                    for data in answer(conn.recv(size)):
                        framed = struct.pack("!H", len(data)) + data
                        for piece in (framed[:1], framed[1:9], framed[9:]):
                            conn.sendall(piece)

        threads = [threading.Thread(target=f, daemon=True) for f in (datagrams, streams)]
        for t in threads:
            t.start()
        try:
            yield port, seen
        finally:
            stopping.set()
            with socket.socket(family, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", (address, port))
            socket.create_connection((address, port)).close()
            for t in threads:
                t.join(10)
