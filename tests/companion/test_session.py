"""The control protocol's server side, line by line, without a socket."""

import binascii
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.sandbox.companion.errors import CommandRefused
from onvp.sandbox.companion.session import (
    Close,
    Facts,
    Halt,
    Instruction,
    Send,
    SendRecord,
    Session,
    Start,
    data_body,
    data_header,
)

NOW = 0x6B03F636


def prepare(line: str) -> Any:
    """Accept host commands only."""
    if not line.startswith("host "):
        raise CommandRefused("could not determine command type")
    return line


def new(window: int = 8, monitor: str | None = "lab1") -> Session:
    """A new connection."""
    facts = Facts("onvp-0", monitor, "vm", {"pid": "7", "command": None}, prepare, window)
    return Session(facts, "vp.sock:0")


def attached(window: int = 8) -> Session:
    """A connection that is attached."""
    session = new(window)
    list(session.receive(b"attach\n", NOW))
    return session


def shown(instructions: Iterable[Instruction]) -> list[str]:
    """Instructions in short: text as it is, the others by name and number."""
    out = []
    for i in instructions:
        if isinstance(i, Send):
            out.append(i.data.decode("ascii").rstrip("\n").replace("\n", "|"))
        elif isinstance(i, SendRecord):
            out.append(f"record {int.from_bytes(i.record[2:4], 'big')} {i.task}")
        elif isinstance(i, Start | Halt):
            out.append(f"{type(i).__name__} {i.task}")
        else:
            out.append("Close")
    return out


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("get version", ["OK version onvp-0"]),
        ("GET Version\r", ["OK version onvp-0"]),
        ("get monitorname", ["OK monitorname lab1"]),
        ("get pid", ["OK pid 7"]),
        ("get command", ["OK null command"]),
        ("get holdtime", ["ERR unknown get parameter 'holdtime'"]),
        ("", []),
        ("   ", []),
        ("frobnicate", ["ERR unhandled command 'frobnicate'"]),
        ("set window 3", ["ERR unhandled command 'set window 3'"]),
        ("shutdown now", ["ERR unhandled command 'shutdown now'"]),
        ("host www.example.com", ["ERR unhandled command 'host www.example.com'"]),
        ("exit", ["Close"]),
        ("a\tb", ["ERR invalid character in line", "Close"]),
        ("attach", ["OK|MORE", "record 1 None", "record 2 None"]),
        ("attach priority 5 format warts", ["OK|MORE", "record 1 None", "record 2 None"]),
        ("attach format json", ["ERR format must be warts"]),
        ("attach colour red", ["ERR command attach param 'colour' failed"]),
        ("attach priority", ["ERR could not params_get"]),
        ("attach priority 0", ["ERR priority must be within 1 - 100000"]),
    ],
)
def test_before_attach(said: str, heard: list[str]) -> None:
    """Before attach a client can ask for facts and attach; nobody can stop or change the process."""
    assert heard == shown(new().receive(said.encode() + b"\n", NOW))


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("host x", ["OK id-1", "MORE", "Start 1"]),
        ("ping 127.0.0.1", ["ERR command not accepted: could not determine command type"]),
        ("attach", ["ERR command not accepted: could not determine command type"]),
        ("halt 1", ["ERR no task id-1"]),
        ("halt x", ["ERR usage: halt [id]"]),
        ("halt", ["ERR usage: halt [id]"]),
        ("done", ["OK", "record 4 None", "Close"]),
        ("\x00", ["ERR invalid character in line", "record 4 None", "Close"]),
        ("é", ["ERR invalid character in line", "record 4 None", "Close"]),
    ],
)
def test_attached(said: str, heard: list[str]) -> None:
    """Once attached every line is a command, halt or done."""
    assert heard == shown(attached().receive(said.encode() + b"\n", NOW))


def test_list_and_cycle_records() -> None:
    """The first records are the list and the cycle, byte for byte as upstream writes them."""
    records = [i.record for i in new().receive(b"attach\n", NOW) if isinstance(i, SendRecord)]

    assert records[0].hex() == "120500010000001a000000010000000076702e736f636b3a30000200056c61623100"
    assert records[1].hex() == "12050002000000160000000100000001000000016b03f636020003766d00"


def test_attach_names() -> None:
    """A client may name its list, cycle and monitor."""
    line = b'attach list_id 5 cycle_id 9 name mine monitor me descr "two words"\n'
    records = [i.record for i in new().receive(line, NOW) if isinstance(i, SendRecord)]

    assert b"\0\0\0\5mine\0\3\0\rtwo words\0me\0" in records[0]
    assert records[1][16:20] == b"\0\0\0\x09"


def test_a_life() -> None:
    """Tasks are numbered from 1, can be halted while they run, and the cycle ends after the last."""
    session = attached()
    assert shown(session.receive(b"host a\nhost b\n", NOW))[::3] == ["OK id-1", "OK id-2"]
    assert shown(session.receive(b"halt 2\n", NOW)) == ["OK halted 2", "Halt 2"]
    assert shown(session.finished(2, b"\x12\x05\0\x0e", NOW)) == ["record 14 2"]
    assert shown(session.receive(b"halt 2\ndone\n", NOW)) == ["ERR no task id-2", "OK"]
    assert shown(session.receive(b"host c\n", NOW)) == ["OK id-3", "MORE", "Start 3"]
    assert shown(session.finished(1, b"\x12\x05\0\x0e", NOW)) == ["record 14 1"]
    assert shown(session.finished(3, b"\x12\x05\0\x0e", NOW)) == ["record 14 3", "record 4 None", "Close"]
    assert shown(session.receive(b"host d\n", NOW)) == []


def test_more_waits_for_room() -> None:
    """MORE comes with an accepted command while there is room, and later when room appears."""
    session = attached(window=2)
    assert "MORE" in shown(session.receive(b"host a\n", NOW))
    assert "MORE" not in shown(session.receive(b"host b\n", NOW))
    assert not session.crowded
    list(session.receive(b"host c\nhost d\n", NOW))
    assert session.crowded
    assert shown(session.finished(1, b"\x12\x05\0\x0e", NOW)) == ["record 14 1"]
    list(session.finished(2, None, NOW))
    assert shown(session.finished(3, None, NOW)) == ["MORE"]


def test_endless_line() -> None:
    """A line that never ends is cut off instead of being kept."""
    session = attached()
    heard: list[str] = []
    for _ in range(300):
        heard += shown(session.receive(b"x" * 1024, NOW))
    assert heard == ["ERR line too long", "record 4 None", "Close"]


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes(pieces: list[bytes]) -> None:
    """Any bytes, cut anywhere, are answered with lines of text, and no answer follows Close."""
    session = new()
    heard = [i for piece in pieces for i in session.receive(piece, NOW)]

    assert all(i.data.endswith(b"\n") for i in heard if isinstance(i, Send))
    assert Close() not in heard[:-1]


@given(st.binary(min_size=1, max_size=70_000))
def test_data_encoding(record: bytes) -> None:
    """DATA announces exactly the characters that follow, and they decode to the record."""
    body = b"".join(data_body(record))

    assert data_header(record, 7) == f"DATA {len(body)} id-7\n".encode()
    assert b" " not in body
    rows = body.splitlines()
    assert rows[-1] == b"`"
    assert b"".join(binascii.a2b_uu(row) for row in rows[:-1]) == record
