"""What a script can do with the objects it is handed: read them, and nothing else."""

from __future__ import annotations

import contextlib
import copy
import datetime
import enum
import gc
import json
import pickle
import sys
import time
import tracemalloc
import types
from pathlib import Path
from typing import Any

import pytest

from onvp.native import _warts
from onvp.native._warts import Decoder, ScamperAddr
from onvp.native.errors import WartsError

CORPUS = Path(__file__).parents[1] / "golden" / "corpus"
CONSTRUCTIBLE = {
    "ScamperAddr",
    "ScamperDealiasProbedef",
    "ScamperDealiasMidardiscRound",
    "ScamperIcmpMplsLabelStackEntry",
}
CLASSES = [
    cls
    for name, cls in vars(_warts).items()
    if isinstance(cls, type) and not issubclass(cls, enum.Enum) and cls.__module__ == _warts.__name__
]
PLAIN = (
    type(None), bool, int, float, str, bytes, enum.Enum, datetime.datetime, datetime.timedelta, datetime.timezone,
)  # fmt: skip


def sample() -> list[Any]:
    """One decoded object of every kind of recording."""
    out = []
    for path in sorted(CORPUS.glob("new/*.warts")):
        out += Decoder().feed(path.read_bytes())
    return out


def call(method: Any) -> Any:
    """What a method gives: without arguments, for item 0, or for a header's name."""
    for arguments in ((), (0,), ("server",)):
        try:
            return method(*arguments)
        except (TypeError, ValueError):
            continue
    raise AssertionError(method)


def reachable(start: list[Any]) -> dict[type, Any]:
    """Everything that plain names, calls and iteration lead to: one object of each type."""
    seen: dict[type, Any] = {}
    todo = list(start)
    while todo:
        item = todo.pop()
        known = type(item) in seen
        seen.setdefault(type(item), item)
        if isinstance(item, PLAIN):
            continue
        if isinstance(item, dict):
            todo += [*item, *item.values()]
        elif hasattr(type(item), "__iter__"):
            todo += list(item)[:5]
        if known or type(item).__module__ == "builtins":
            continue
        for name in dir(item):
            if not name.startswith("_"):
                value = getattr(item, name)
                if callable(value):
                    assert isinstance(value, types.BuiltinMethodType), (item, name)
                    value = call(value)
                todo.append(value)
    return seen


def test_nothing_but_values_can_be_reached() -> None:
    """Plain names lead from any result to results' own parts and plain values only."""
    found = reachable(sample())
    ours = {cls for cls in found if cls.__module__ == _warts.__name__ and not issubclass(cls, enum.Enum)}
    others = {cls for cls in found if cls not in ours and not issubclass(cls, PLAIN)}

    assert len(ours) > 30
    assert {cls.__name__ for cls in others} <= {
        "dict", "list", "tuple", "tuple_iterator", "list_iterator",
    }  # fmt: skip


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_no_class_can_be_made_extended_or_changed(cls: type) -> None:
    """Result classes cannot be instantiated, subclassed or given attributes; methods are builtin."""
    if cls.__name__ not in CONSTRUCTIBLE | {"Decoder", "Encoder", "Joiner"}:
        with pytest.raises(TypeError, match=r"This class cannot be instantiated directly\."):
            cls()
        with pytest.raises(TypeError):
            cls.__new__(cls)
    if cls.__name__ not in {"Params", "Result"}:
        with pytest.raises(TypeError, match="not an acceptable base type"):
            type("Extended", (cls,), {})
    with pytest.raises(TypeError, match="immutable type"):
        cls.extra = 1  # type: ignore[attr-defined]
    assert all(not isinstance(value, types.FunctionType) for value in vars(cls).values())


def test_instances_cannot_be_changed() -> None:
    """No attribute of a decoded object can be set, deleted or added; there is no dictionary."""
    for cls, item in reachable(sample()).items():
        if cls.__module__ != _warts.__name__ or issubclass(cls, enum.Enum):
            continue
        assert not hasattr(item, "__dict__")
        for name in [*dir(cls), "anything"]:
            if name.startswith("_"):
                continue
            with pytest.raises(AttributeError):
                setattr(item, name, 1)
            with pytest.raises(AttributeError):
                delattr(item, name)


def test_results_do_not_pickle() -> None:
    """Results cannot be pickled or copied into half-made objects; addresses can."""
    for item in sample()[:50]:
        if isinstance(item, _warts.Result):
            with pytest.raises(TypeError):
                pickle.loads(pickle.dumps(item))
            with pytest.raises(TypeError):
                copy.copy(item)
    assert copy.copy(ScamperAddr("192.0.2.1")) == "192.0.2.1"


def test_getters_refuse_negative_numbers() -> None:
    """Indexed getters give None past the end and OverflowError for negative numbers; hop() a ValueError."""
    for item in sample():
        for name in ("reply", "an", "buf", "probeset", "tx", "sched", "pkt", "probe", "ext"):
            getter = getattr(item, name, None)
            if getter is None or isinstance(item, _warts.ScamperDealias) or not callable(getter):
                continue
            assert getter(1 << 30) is None
            if not isinstance(item, _warts.ScamperHost) or item.ancount:
                with pytest.raises(OverflowError):
                    getter(-1)
        if isinstance(item, _warts.ScamperTrace):
            assert item.hop(254) is None or item.hop_count == 255
            for wrong in (-1, 255):
                with pytest.raises(ValueError, match="invalid hop index"):
                    item.hop(wrong)


def test_truth() -> None:
    """Only classes with a length can be false."""
    for cls, item in reachable(sample()).items():
        if cls.__module__ == _warts.__name__ and not issubclass(cls, enum.Enum) and not hasattr(cls, "__len__"):
            assert item


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(9, "28 0005 03 ffffffff 01 0004 ffffffff", id="dealias definitions"),
        pytest.param(13, "8804 000b 0401c0000201 ffffffff", id="sniff packets"),
        pytest.param(15, "8040 0004 ffffffff", id="http buffers"),
        pytest.param(17, "8008 0004 ffffffff", id="owamp schedule"),
    ],
)
def test_counts_do_not_make_memory(kind: int, body: str) -> None:
    """A small record that claims billions of parts is an error, found without the memory for them."""
    raw = bytes.fromhex(body)
    record = b"\x12\x05" + kind.to_bytes(2, "big") + len(raw).to_bytes(4, "big") + raw
    with pytest.raises(WartsError, match="ends too early"):
        Decoder().feed(record)


def block(fields: dict[int, bytes]) -> bytes:
    """Flags and parameters with the fields given by number."""
    flags = [0] * (max(fields) // 7 + 1)
    for number in fields:
        flags[(number - 1) // 7] |= 1 << ((number - 1) % 7)
    while not flags[-1]:
        flags.pop()
    values = b"".join(fields[number] for number in sorted(fields))
    return bytes([bits | 0x80 for bits in flags[:-1]] + flags[-1:]) + len(values).to_bytes(2, "big") + values


MANY = 60000
ADDRESS = bytes.fromhex("04 01 c0000201")
LB = {16: b"\0\1", 17: b"\0\1", 22: ADDRESS}
TINY = {
    "tracelb probes": (8, block(LB) + block({3: b"\0\1"}) + block({3: b"\1"}) + block({1: b"\xea\x60"})),
    "tracelb nodes": (8, block({16: b"\xea\x60", 22: ADDRESS})),
    "dealias probes": (
        9,
        block({4: b"\6", 6: b"\0\0\xea\x60"}) + block({1: b"\0\1"}) + block({4: b"\1", 10: ADDRESS}),
    ),
    "udpprobe replies": (16, block({5: ADDRESS, 7: b"\0\7", 16: b"\xff"}) + block({3: b"\xff"}) * 200),
    "http buffers": (15, block({5: ADDRESS, 11: b"a\0", 12: b"/\0", 14: b"\0\0\xea\x60"})),
    "owamp probes": (17, block({4: ADDRESS, 5: ADDRESS, 22: b"\0\0\xea\x60"})),
}


@pytest.mark.parametrize(("kind", "head"), TINY.values(), ids=TINY)
def test_memory_is_a_multiple_of_the_record(kind: int, head: bytes) -> None:
    """Of parts of which nothing is recorded, one byte each, an object takes about a hundred times as much."""
    body = head + bytes(MANY + 100)
    record = b"\x12\x05" + kind.to_bytes(2, "big") + len(body).to_bytes(4, "big") + body
    tracemalloc.start()
    try:
        with contextlib.suppress(WartsError):
            Decoder().feed_record(record)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert most < 130 * len(body)


def test_showing_a_crowded_hop_is_linear() -> None:
    """A hop with many probes, each answered from another address, is shown in time linear in them."""
    count = 20000
    probes = b"".join(block({5: b"\0\1"}) + block({11: b"\4\1\12" + i.to_bytes(3, "big")}) for i in range(count))
    body = (
        block(LB) + block({3: b"\0\1"}) + block({2: b"\0\0", 3: b"\2"})
        + block({1: count.to_bytes(2, "big")}) + probes + b"\0"
    )  # fmt: skip
    result: Any = Decoder().feed_record(b"\x12\x05\0\x08" + len(body).to_bytes(4, "big") + body)
    began = time.process_time()
    shown = json.loads(result.to_json())
    result.to_text()
    took = time.process_time() - began

    assert len(shown["nodes"][0]["links"][0]) == count
    assert took < 10  # linear: less than one second; with a search for each of them: minutes


def test_nothing_leaks() -> None:
    """Decoding whole and cut records over and over leaves no memory behind."""
    streams = [path.read_bytes() for path in sorted(CORPUS.glob("new/*.warts"))]
    streams += [record[:8] + record[8:-3].ljust(len(record) - 8, b"\xff") for record in streams]

    def decode_all() -> None:
        for stream in streams:
            with contextlib.suppress(WartsError):
                Decoder().feed(stream)

    for _ in range(2):
        decode_all()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(5):
        decode_all()
    gc.collect()

    assert sys.getallocatedblocks() - before < 100
