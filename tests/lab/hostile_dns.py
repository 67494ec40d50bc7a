"""DNS answers that no honest server gives, chosen by the first label of the question's name.

`answers(query)` is pure; hostile.py puts it on UDP and TCP port 53 of the evil host. Ask it for
`badrdlen.evil.example` and the like: any name whose first label is a key of `TRICKS`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.lab import plan

_POINTER: Final = b"\xc0\x0c"
"""A compressed name that points at the question."""
_AA, _TC, _QR, _RD, _RA = 0x0400, 0x0200, 0x8000, 0x0100, 0x0080
_FINE = _QR | _AA | _RD | _RA


def encode_name(text: str) -> bytes:
    """A name in wire form, uncompressed."""
    labels = [label for label in text.split(".") if label]
    return b"".join(bytes([len(x)]) + x.encode() for x in labels) + b"\0"


def record(name: bytes, kind: int, data: bytes, ttl_s: int = 300, cls: int = 1) -> bytes:
    """A resource record."""
    return name + struct.pack("!HHIH", kind, cls, ttl_s, len(data)) + data


def _opt(options: bytes = b"", *, extended: int = 0, version: int = 0) -> bytes:
    return b"\0" + struct.pack("!HHBBHH", 41, 1232, extended, version, 0, len(options)) + options


def _option(code: int, data: bytes) -> bytes:
    return struct.pack("!HH", code, len(data)) + data


_A: Final = record(_POINTER, 1, bytes(map(int, plan.WEB.v4.split("."))))


@dataclass(frozen=True)
class Query:
    """What matters of a query: its id, its question as sent, the labels."""

    raw: bytes
    ident: bytes
    question: bytes
    labels: tuple[str, ...]

    def message(
        self, flags: int = _FINE, answers: Sequence[bytes] = (), extra: Sequence[bytes] = (),
        authority: Sequence[bytes] = (), *, ident: bytes | None = None,
        question: bytes | None = None, counts: tuple[int, int, int, int] | None = None,
    ) -> bytes:  # fmt: skip
        """A response with the given parts, counted right unless `counts` says otherwise."""
        asked = self.question if question is None else question
        real = (1 if asked else 0, len(answers), len(authority), len(extra))
        head = (ident or self.ident) + struct.pack("!HHHHH", flags, *(counts or real))
        return head + asked + b"".join((*answers, *authority, *extra))


def parse(raw: bytes) -> Query | None:
    """The first question of a query; None if there is none to be read."""
    at, labels = 12, []
    while at < len(raw) and 0 < raw[at] < 64:
        labels.append(raw[at + 1 : at + 1 + raw[at]].decode("latin-1").lower())
        at += 1 + raw[at]
    if at + 5 > len(raw) or raw[at] != 0:
        return None
    return Query(raw, raw[:2], raw[12 : at + 5], tuple(labels))


def _pointer_loop(q: Query) -> list[bytes]:
    """The answer's name points at itself."""
    here = 12 + len(q.question)
    data = struct.pack("!HHIH", 1, 1, 60, 4) + b"\1\2\3\4"
    return [q.message(answers=[struct.pack("!H", 0xC000 | here) + data])]


def _pointer_pair(q: Query) -> list[bytes]:
    """Two pointers that point at each other, inside the data of a CNAME."""
    here = 12 + len(q.question) + 12
    loop = struct.pack("!HH", 0xC000 | here + 2, 0xC000 | here)
    return [q.message(answers=[_POINTER + struct.pack("!HHIH", 5, 1, 60, 4) + loop])]


_EDE = _option(15, struct.pack("!H", 22) + b"no reachable authority")
_SVCB_KEYS = struct.pack("!HH", 5, 8) + b"\0\x06ABCDEF" + struct.pack("!HH", 2, 0)

TRICKS: Final[dict[str, Callable[[Query], list[bytes]]]] = {
    # lies about lengths and counts
    "badrdlen": lambda q: [q.message(answers=[_POINTER + struct.pack("!HHIH", 1, 1, 60, 400) + b"\1\2\3\4"])],
    "fewer": lambda q: [q.message(answers=[_A], counts=(1, 3, 0, 0))],
    "manycounts": lambda q: [q.message(counts=(65535, 65535, 65535, 65535))],
    "short": lambda q: [q.raw[:5]],
    "byte": lambda _: [b"\0"],
    "shortaddress": lambda q: [q.message(answers=[record(_POINTER, 1, b"\1\2\3")])],
    "short6": lambda q: [q.message(answers=[record(_POINTER, 28, b"\1" * 4)])],
    "cutsoa": lambda q: [q.message(answers=[record(_POINTER, 6, b"\xc0\x0c\xc0\x0c\0\0")])],
    "longlabel": lambda q: [q.message(answers=[record(b"\x7f" + b"x" * 127 + b"\0", 1, bytes(4))])],
    "longname": lambda q: [q.message(answers=[record((b"\x3f" + b"y" * 63) * 9 + b"\0", 1, bytes(4))])],
    "trailing": lambda q: [q.message(answers=[_A]) + b"\xff" * 300],
    # names that go in circles or out of the message
    "ptrloop": _pointer_loop,
    "ptrpair": _pointer_pair,
    "ptrpast": lambda q: [q.message(answers=[b"\xff\xff" + struct.pack("!HHIH", 1, 1, 60, 4) + b"\1\2\3\4"])],
    # well-formed, but not an answer to the question
    "wrongid": lambda q: [q.message(answers=[_A], ident=bytes([q.ident[0] ^ 1, q.ident[1]]))],
    "wrongq": lambda q: [q.message(answers=[_A], question=encode_name("other.example") + q.question[-4:])],
    "query": lambda q: [q.raw],
    "noq": lambda q: [q.message(answers=[record(encode_name("noq.example"), 1, bytes(4))], question=b"")],
    "twice": lambda q: [q.message(answers=[_A]), q.message(answers=[_A, _A])],
    "silent": lambda _: [],
    # refusals
    "refused": lambda q: [q.message(_FINE | 5)],
    "servfail": lambda q: [q.message(_FINE | 2)],
    "notimp": lambda q: [q.message(_FINE | 4)],
    "formerr": lambda q: [q.message(_FINE | 1)],
    "truncated": lambda q: [q.message(_FINE | _TC, [_A])],
    "badvers": lambda q: [q.message(extra=[_opt(extended=1)])],
    "badcookie": lambda q: [q.message(_FINE | 7, extra=[_opt(extended=1, version=1)])],
    "ede": lambda q: [q.message(_FINE | 2, extra=[_opt(_EDE + _option(3, b"ns-x") + _option(65001, b""))])],
    "badopt": lambda q: [q.message(extra=[_opt(struct.pack("!HH", 3, 500) + b"x")])],
    # odd but lawful
    "odd": lambda q: [
        q.message(answers=[
            record(_POINTER, 65280, b"\1\2\3\4"),
            record(b"\0", 1, b"\1\2\3\4", ttl_s=0xFFFFFFFF),
            record(_POINTER, 16, b"\x03abc", cls=3),
            record(_POINTER, 39, encode_name("dname.example")),
        ])
    ],
    "bytes": lambda q: [q.message(answers=[record(b"\x05a b.c\x04\xc3\xa9\xff\x01\0", 2, b"\x01*\xc0\x0c")])],
    "svcb": lambda q: [q.message(answers=[record(_POINTER, 65, struct.pack("!H", 1) + b"\0" + _SVCB_KEYS)])],
    "badtxt": lambda q: [q.message(answers=[record(_POINTER, 16, b"\xc8abc")])],
    "nultxt": lambda q: [q.message(answers=[record(_POINTER, 16, b"\x05a\0b\n\x1b")])],
}  # fmt: skip


def answers(raw: bytes) -> list[bytes]:
    """The messages that answer a query, in order; NXDOMAIN for a trick nobody has written."""
    query = parse(raw)
    if query is None:
        return []
    trick = TRICKS.get(query.labels[0] if query.labels else "")
    return trick(query) if trick else [query.message(_FINE | 3)]
