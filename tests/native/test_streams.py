"""Decoder, encoder and joiner: streams cut, numbered and put together."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from pathlib import Path

import pytest

from onvp.native import _warts
from onvp.native._warts import Decoder, Encoder, Joiner, ScamperCycle, ScamperList, concat
from onvp.native.errors import WartsError

CORPUS = Path(__file__).parents[1] / "golden" / "corpus"
PING = (CORPUS / "new" / "ping-duplicates.warts").read_bytes()
TRACE = (CORPUS / "new" / "trace-udp.warts").read_bytes()
GLOBAL_ADDRESS = (CORPUS / "bad" / "100-addr-global.warts").read_bytes()


def decode(data: bytes) -> list[object]:
    """All objects of a whole stream."""
    decoder = Decoder()
    objects = decoder.feed(data)
    decoder.close()
    return objects


def as_json(objects: list[object]) -> list[str | None]:
    """Objects in a form that can be compared."""
    return [_warts.json_of(item) for item in objects]


def test_feed_cut_anywhere() -> None:
    """It does not matter how a stream is cut into pieces."""
    whole = as_json(decode(PING))
    for size in (1, 7, 100, 1000):
        decoder = Decoder()
        objects = []
        for at in range(0, len(PING), size):
            objects += decoder.feed(PING[at : at + size])
        decoder.close()

        assert as_json(objects) == whole


def test_end_within_a_record() -> None:
    """A stream that ends within a record says so when it is closed, and where."""
    decoder = Decoder()
    decoder.feed(PING[:-1])

    assert decoder.pending > 0
    with pytest.raises(WartsError, match="ends within a record"):
        decoder.close()


def test_bad_record_keeps_what_came_before() -> None:
    """An error carries the objects before it, its place, and is the end of the stream."""
    decoder = Decoder()
    with pytest.raises(WartsError) as caught:
        decoder.feed(PING + b"rubbish!")

    assert as_json(caught.value.done) == as_json(decode(PING))
    assert caught.value.offset == len(PING)
    with pytest.raises(WartsError, match="ended at a bad record"):
        decoder.feed(PING)


def test_record_limit() -> None:
    """A record longer than allowed is refused by its header, before any of it is kept."""
    decoder = Decoder(max_record=1000)
    with pytest.raises(WartsError, match="2147483647 bytes, and 1000 is the most"):
        decoder.feed(bytes.fromhex("120500077fffffff"))


def test_inst_is_what_the_caller_gave() -> None:
    """Results of a decoder carry its `inst`; lists and cycles have none."""
    marker = object()
    results = [item for item in Decoder(marker).feed(PING) if hasattr(item, "inst")]

    assert results
    assert all(item.inst is marker for item in results)


def test_feed_record_wants_one_record() -> None:
    """`feed_record` refuses less and more than one record, and survives a bad one."""
    decoder = Decoder()
    for wrong in (b"", PING[:7], PING, b"\0" * 8):
        with pytest.raises(WartsError):
            decoder.feed_record(wrong)
    first = PING[: 8 + int.from_bytes(PING[4:8], "big")]

    assert isinstance(decoder.feed_record(first), ScamperList)


def test_newer_types_are_skipped() -> None:
    """A record of a type that this codec does not know yet is passed over."""
    assert decode(bytes.fromhex("1205 00ff 00000001 00") + PING)
    assert Decoder().feed_record(bytes.fromhex("1205 00ff 00000001 00")) is None


def test_only_some_types() -> None:
    """`only` leaves out other results, but never lists and cycles, which later records refer to."""
    kinds = {type(item).__name__ for item in Decoder(only=[6]).feed(concat([PING, TRACE]))}

    assert kinds == {"ScamperTrace", "ScamperList", "ScamperCycle"}


def test_list_and_cycle_of_a_result() -> None:
    """A result leads to its list and cycle, which compare by content."""
    objects = decode(PING)
    results = [item for item in objects if hasattr(item, "cycle")]

    assert isinstance(objects[0], ScamperList)
    assert isinstance(objects[1], ScamperCycle)
    assert all(item.list == objects[0] and item.cycle == objects[1] for item in results)
    assert hash(objects[0]) == hash(results[0].list)


def test_made_lists_and_cycles() -> None:
    """A list and a cycle made here read back as they were made, start and stop."""
    encoder = Encoder()
    batch = _warts.make_list(7, "nightly", descr="all targets", monitor="vp1")
    start = datetime.datetime(2026, 11, 23, 8, 0, 0, 5, tzinfo=datetime.UTC)
    begun = _warts.make_cycle(batch, 3, start, hostname="vm")
    ended = _warts.make_cycle(batch, 3, start, stop=start.timestamp() + 9, hostname="vm", kind="stop")
    data = encoder.encode(batch) + encoder.encode(begun) + encoder.encode(ended)
    objects = decode(data)

    assert objects[0] == batch
    assert (objects[0].name, objects[0].descr, objects[0].monitor) == ("nightly", "all targets", "vp1")
    assert objects[1] == begun
    assert objects[1].start == start.replace(microsecond=0)
    assert objects[1].stop is None
    assert objects[2].stop == start.replace(second=9, microsecond=999999)
    assert [_warts.cycle_kind(c) for c in objects[1:]] == ["start", "stop"]


def test_unwritable_lists_and_cycles() -> None:
    """What no record can hold is refused by name."""
    batch = _warts.make_list(7, "nightly")

    with pytest.raises(ValueError, match="monitor: a NUL cannot be recorded"):
        _warts.make_list(7, "nightly", monitor="a\0b")
    with pytest.raises(ValueError, match="start: a datetime without a time zone"):
        _warts.make_cycle(batch, 1, datetime.datetime(2026, 11, 23))  # noqa: DTZ001
    with pytest.raises(ValueError, match="stop: -1 is outside of 1970 to 2106"):
        _warts.make_cycle(batch, 1, 1, stop=-1)
    with pytest.raises(ValueError, match="kind: 'end' is none of start, definition, stop"):
        _warts.make_cycle(batch, 1, 1, kind="end")  # type: ignore[arg-type]


def test_encoder_defines_what_a_result_needs() -> None:
    """A result alone brings its list and cycle definition along, once."""
    results = [item for item in decode(PING) if hasattr(item, "cycle")]
    encoder = Encoder()
    first = encoder.encode(results[0])
    again = encoder.encode(results[0])

    assert [type(x).__name__ for x in decode(first)] == ["ScamperList", "ScamperCycle", "ScamperPing"]
    assert _warts.cycle_kind(decode(first)[1]) == "definition"
    assert first.endswith(again)


def test_concat() -> None:
    """Streams put together decode to what each held, in order."""
    parts = [PING, TRACE, PING]
    expected = [line for part in parts for line in as_json(decode(part)) if line is not None]

    assert [x for x in as_json(decode(concat(parts))) if x is not None] == expected


def test_concat_is_read_by_upstream(tmp_path: Path) -> None:
    """Upstream's own reader finds every object of a joined stream."""
    tool = shutil.which("sc_warts2json")
    assert tool is not None, "sc_warts2json is part of Debian's scamper package: apt install scamper"
    joined = tmp_path / "joined.warts"
    joined.write_bytes(concat([PING, TRACE, PING]))
    lines = subprocess.run([tool, joined], capture_output=True, text=True, check=True).stdout.splitlines()

    assert len(lines) == 2 * sum(x is not None for x in as_json(decode(PING))) + sum(
        x is not None for x in as_json(decode(TRACE))
    )


def test_interleaved_parts() -> None:
    """Parts may be fed in turns, in pieces of any size; what comes out is one stream."""
    whole = Joiner()
    parts = [(whole.part(), PING), (whole.part(), TRACE)]
    out = b""
    for at in range(0, max(len(PING), len(TRACE)), 50):
        for part, data in parts:
            out += part.feed(data[at : at + 50])

    assert all(part.pending == 0 for part, _ in parts)
    expected = as_json(decode(PING)) + as_json(decode(TRACE))
    assert sorted(filter(None, as_json(decode(out)))) == sorted(filter(None, expected))


def test_concat_translates_global_addresses() -> None:
    """Addresses by global number become part of the records: the joined stream has none of its own."""
    joined = concat([PING, GLOBAL_ADDRESS])
    expected = [x for x in as_json(decode(PING) + decode(GLOBAL_ADDRESS)) if x is not None]

    assert [x for x in as_json(decode(joined)) if x is not None] == expected


def test_concat_refuses_half_a_stream() -> None:
    """A part that ends within a record is an error, not a shorter result."""
    with pytest.raises(WartsError, match="ends within a record"):
        concat([PING[:-3]])


def test_decoder_is_linear() -> None:
    """Feeding a stream byte by byte, or in one piece, keeps no more than one record waiting."""
    decoder = Decoder()
    longest = 0
    for at in range(len(PING)):
        decoder.feed(PING[at : at + 1])
        longest = max(longest, decoder.pending)

    assert longest < max(8 + int.from_bytes(PING[i + 4 : i + 8], "big") for i in starts(PING))


def starts(data: bytes) -> list[int]:
    """Where the records of a stream start."""
    out, at = [], 0
    while at < len(data):
        out.append(at)
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "big")
    return out
