"""The worker owned, and its bytes: what is no message of the vocabulary ends that run, with a reason, and no other."""

import os
import random
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

from onvp.sandbox.wire import calls, frames
from onvp.sandbox.wire.errors import Code
from tests.broker.parts import TARGET, frame, ping
from tests.escape.broker.owned import Scene, attack, framed, raw

LIMIT = calls.FROM_WORKER_LIMIT_BYTES
HEAD = b"\x84\xa4type\xa6submit\xa4task\x01\xa9primitive\xa4ping\xa6params"
"""A submit up to its parameters."""


def submit(**fields: Any) -> bytes:
    """A submit of a ping with some fields as they should not be; None leaves a field out."""
    given = {"type": "submit", "task": 1, "primitive": "ping", "params": {"dst": TARGET}, **fields}
    return raw({name: value for name, value in given.items() if value is not None})


def colliding(count: int) -> bytes:
    """A parameter that is a map whose keys, pairs of ints, all have one hash in CPython 3.8 and later.

    A pair's hash is two rounds of xxHash without a secret, and a round can be turned back.
    """
    size, p1, p2, p5 = 1 << 64, 11400714785074694791, 14029467366897019727, 2870177450012600261

    def rotate(x: int, by: int) -> int:
        return ((x << by) | (x >> (64 - by))) & (size - 1)

    wanted = rotate(12345 * pow(p1, -1, size) % size, 33)
    pairs: list[tuple[int, int]] = []
    first = 0
    while len(pairs) < count:
        first += 1
        between = rotate((p5 + first * p2) % size, 31) * p1 % size
        second = (wanted - between) * pow(p2, -1, size) % size
        if second < (1 << 61) - 1:
            pairs.append((first, second))
    assert len({hash(pair) for pair in pairs}) == 1
    keys = b"".join(msgspec.msgpack.encode(list(pair)) + b"\x00" for pair in pairs)
    return framed(HEAD + b"\x81\xa1a\xdf" + struct.pack("!I", count) + keys)


BREACHES: dict[str, bytes] = {
    "an empty frame": framed(b""),
    "random bytes": random.Random(4).randbytes(5000),
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
    "a frame announced one byte over the limit": struct.pack("!I", LIMIT + 1),
    "a frame announced with four gigabytes": b"\xff\xff\xff\xff",
    "a full frame of zeros": framed(bytes(LIMIT)),
    "a full frame of noise": framed(random.Random(5).randbytes(LIMIT)),
    "nil as a message": raw(None),
    "a number as a message": raw(7),
    "a list as a message": raw(["submit", 1, "ping", {}]),
    "a text as a message": raw("submit"),
    "a message without a type": raw({"task": 1}),
    "a type that is not text": raw({"type": 3}),
    "an unknown type": raw({"type": "shell", "argv": ["id"]}),
    "a job, which is the broker's to send": frame(
        calls.Job(run="x", filename="x", source=b"", args=[], instances=[])
    ),
    "a record, which is the broker's to send": frame(calls.Record(task=1, data=b"x")),
    "an acceptance, which is the broker's to send": frame(calls.Accepted(task=1)),
    "an unknown field": raw({"type": "started", "as": "root"}),
    "a missing field": submit(primitive=None),
    "two messages in one frame": framed(msgspec.msgpack.encode({"type": "started"}) * 2),
    "a message cut off inside its frame": framed(HEAD),
    "a list announced with four billion items": framed(HEAD + b"\x81\xa1a\xdd\xff\xff\xff\xff"),
    "a map announced with four billion items": framed(HEAD + b"\x81\xa1a\xdf\xff\xff\xff\xff"),
    "a text announced with four gigabytes": framed(HEAD + b"\x81\xa1a\xdb\xff\xff\xff\xff"),
    "a million empty maps": framed(HEAD + b"\x81\xa1a\xdd\x00\x0f\xff\x00" + b"\x80" * 0xFFF00),
    "lists nested to the end of the stack": framed(HEAD + b"\x81\xa1a" + b"\x91" * 500_000),
    "maps nested to the end of the stack": framed(HEAD + (b"\x81\xa1a" * 300_000)),
    "a map whose keys all hash alike": colliding(30_000),
    "a map as the key of a map": framed(HEAD + b"\x81\xa1a\x81\x80\x01"),
    "numbers as names of parameters": framed(HEAD + b"\x81\x01\x02"),
    "an extension type": framed(HEAD + b"\x81\xa1a\xd4\x05\x00"),
    "a timestamp": framed(HEAD + b"\x81\xa1a\xd6\xff\x00\x00\x00\x00"),
    "a timestamp beyond all time": framed(HEAD + b"\x81\xa1a\xd7\xff" + b"\xff" * 8),
    "bytes where text belongs": framed(HEAD + b"\x81\xa3dst\xc4\x01a"),
    "text that is not UTF-8": framed(HEAD + b"\x81\xa3dst\xa2\xff\xfe"),
    "half of a surrogate pair": framed(HEAD + b"\x81\xa3dst\xa3\xed\xa0\x80"),
    "an overlong encoding": framed(HEAD + b"\x81\xa3dst\xa2\xc0\xaf"),
    "more parameters than any primitive has": submit(params={f"p{n}": 0 for n in range(50_000)}),
    "a task number of zero": submit(task=0),
    "a negative task number": submit(task=-1),
    "the least task number there is": submit(task=-(1 << 63)),
    "a task number that no float holds": submit(task=1 << 53),
    "the largest task number there is": submit(task=(1 << 64) - 1),
    "a replayed task number": frame(ping(1)) + frame(ping(1)),
    "task numbers out of order": frame(ping(9)) + frame(ping(8)),
    "a text as a task number": submit(task="1"),
    "a float as a task number": submit(task=1.5),
    "truth as a task number": submit(task=True),
    "a list as parameters": submit(params=[TARGET]),
    "a number as a primitive": submit(primitive=1),
    "a text as an instance": submit(instance="0"),
    "a number as a flag": submit(sync=1),
    "a text as a halt": raw({"type": "halt", "task": "all"}),
    "bytes as output": raw({"type": "output", "text": b"x"}),
    "text as a result": raw({"type": "emit", "json": "{}"}),
    "a result of two lines": frame(calls.Emit(json=b"{}\n{}")),
    "a result with a carriage return": frame(calls.Emit(json=b'{"a":\r1}')),
    "a result that is no JSON": frame(calls.Emit(json=b"{'a': 1}")),
    "a result that is not a number": frame(calls.Emit(json=b"NaN")),
    "a result that is not UTF-8": frame(calls.Emit(json=b'"\xff"')),
    "a result with half a surrogate pair": frame(calls.Emit(json=b'"\\ud800"')),
    "a result nested to the end of the stack": frame(calls.Emit(json=b"[" * 500_000)),
    "an artifact up the tree": frame(calls.Write(name="../../etc/cron.d/x", data=b"")),
    "an artifact at an absolute path": frame(calls.Write(name="/etc/passwd", data=b"")),
    "an artifact in a folder": frame(calls.Write(name="a/b", data=b"")),
    "an artifact behind a backslash": frame(calls.Write(name="..\\x", data=b"")),
    "an artifact that is the folder": frame(calls.Write(name=".", data=b"")),
    "an artifact without a name": frame(calls.Write(name="", data=b"")),
    "an artifact that hides": frame(calls.Write(name=".bashrc", data=b"")),
    "an artifact with a NUL in its name": frame(calls.Write(name="a\0b", data=b"")),
    "an artifact with a newline in its name": frame(calls.Write(name="a\nb", data=b"")),
    "an artifact that turns the terminal around": frame(calls.Write(name="a\u202ecod.exe", data=b"")),
    "an artifact longer than a file name": frame(calls.Write(name="\U0001f980" * 100, data=b"")),
    "language problems that are none": raw({"type": "refusals", "problems": [{"line": "x"}]}),
    "a last word without a status": raw({"type": "finished"}),
    "a status that is text": raw({"type": "finished", "status": "0"}),
    "a field given twice as different things": framed(
        b"\x83\xa4type\xa4halt\xa4task\x01\xa4task\xa11"
    ),
}  # fmt: skip


@pytest.mark.parametrize("data", BREACHES.values(), ids=BREACHES.keys())
def test_ends_the_run_as_a_breach_of_its_protocol(tmp_path: Path, data: bytes) -> None:
    """The run ends with the reason, nothing is sent to the prober twice, and the run beside it goes on."""

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.others_work()
            await it.owned.send(data)
            end = await it.owned.end()
            assert end is not None
            assert end.code == Code.PROTOCOL
            assert "broke its protocol" in end.reason
            assert len(it.owned.prober.lines) <= 1
            assert it.owned.peer.fileno() >= 0

    attack(scene())


@pytest.mark.parametrize("seed", range(40))
def test_a_message_with_some_bytes_changed_is_a_message_or_a_breach(tmp_path: Path, seed: int) -> None:
    """Mutations of real messages, all the way through the real broker: a reply, an end, and never a fault of ours."""
    chance = random.Random(seed)
    seeds = [
        frame(ping(1, size=100)),
        frame(calls.Submit.ask(2, "http", {"dst": TARGET, "url": "http://a/", "headers": {"a": "b"}})),
        frame(calls.Submit.ask(3, "radargun", {"addrs": [TARGET], "probedefs": [{"method": "udp"}] * 2})),
        frame(calls.Emit(json=b'{"a":[1,2,{"b":null}]}')),
        frame(calls.Write(name="a", data=b"x")),
        frame(calls.Refusals([calls.Problem(1, 2, "x")])),
        frame(calls.Finished(status=1, error="e", code="policy")),
    ]
    stream = bytearray()
    for _ in range(30):
        message = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(3)):
            message[chance.randrange(frames.HEADER_SIZE, len(message))] = chance.randrange(256)
        stream += message

    async def scene() -> None:
        async with Scene(tmp_path) as it:
            await it.owned.send(bytes(stream))
            it.owned.peer.shutdown(1)
            end = await it.owned.end()
            assert end is None or end.code != Code.INTERNAL, end

    attack(scene())


def test_noise_of_any_length_ends_the_run_or_waits_for_more(tmp_path: Path) -> None:
    """Two hundred streams of noise, cut anywhere, end in a breach or in the end of the stream."""

    async def scene(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        async with Scene(folder) as it:
            for _ in range(10):
                await it.owned.send(os.urandom(1 + number))
            it.owned.peer.shutdown(1)
            end = await it.owned.end()
            assert end is None or end.code == Code.PROTOCOL

    for number in range(20):
        attack(scene(number))
