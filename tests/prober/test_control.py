"""The control dialogue: recorded conversations of both generations, and whatever else a socket may say."""

import binascii
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.sandbox.prober import control
from onvp.sandbox.prober.control import Control, State, uudecode
from onvp.sandbox.prober.errors import ProberProtocolError

RECORDED = Path(__file__).parents[1] / "golden" / "ctl"
NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in RECORDED.glob("*/*.jsonl"))


def uuencode(data: bytes) -> bytes:
    """What `uudecode` undoes, by the standard library."""
    lines = [binascii.b2a_uu(data[at : at + 45], backtick=True) for at in range(0, len(data), 45)]
    return b"".join(lines) + b"`\n"


def warts(kind: int, payload: bytes = b"") -> bytes:
    """A record."""
    return b"\x12\x05" + kind.to_bytes(2, "big") + len(payload).to_bytes(4, "big") + payload


def data(record: bytes, id_: int | None = None) -> bytes:
    """How a prober sends a record."""
    body = uuencode(record)
    return b"DATA %d%b\n" % (len(body), b"" if id_ is None else b" id-%d" % id_) + body


def attached() -> Control:
    """A dialogue that has attached."""
    dialogue = Control()
    dialogue.attach()
    assert dialogue.receive_data(b"OK\n") == [control.Attached()]
    return dialogue


def replay(name: str, step: int) -> Iterator[control.Event]:
    """The events of a recorded conversation whose bytes arrive ``step`` at a time."""
    dialogue = Control()
    for number, line in enumerate((RECORDED / f"{name}.jsonl").read_text().splitlines()):
        direction, text = json.loads(line)
        if direction == "<":
            said = text.encode("latin-1")
            for at in range(0, len(said), step):
                yield from dialogue.receive_data(said[at : at + step])
        elif text.startswith("attach"):
            dialogue.attach()
        elif text.startswith("halt "):
            dialogue.halt(int(text[5:]))
        elif text.startswith("done"):
            dialogue.done()
        else:
            dialogue.command(number, text.rstrip("\n"))
    dialogue.receive_eof()
    assert dialogue.state is State.CLOSED


def recorded_bodies(name: str) -> Iterator[bytes]:
    """What was recorded, decoded line by line with the standard library, without the machine under test."""
    header = ""
    for line in (RECORDED / f"{name}.jsonl").read_text().splitlines():
        direction, text = json.loads(line)
        if direction == "<" and header.startswith("DATA ") and "inprog" not in header:
            yield b"".join(binascii.a2b_uu(row) for row in text.encode("latin-1").split(b"\n")[:-2])
        header = text if direction == "<" else ""


def test_there_are_recordings_of_both_generations() -> None:
    """The tests below have something to chew on."""
    assert {name.partition("/")[0] for name in NAMES} == {"old", "new"}


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_conversation_gives_its_records_byte_for_byte(name: str) -> None:
    """Every DATA that is a result is a record, and nothing else is; views of running tasks are dropped."""
    records = [event.data for event in replay(name, 1 << 20) if isinstance(event, control.Record)]
    assert records == list(recorded_bodies(name))
    assert records


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", [1, 7])
def test_a_conversation_means_the_same_however_it_is_cut(name: str, step: int) -> None:
    """Events do not depend on how the bytes were split on the way."""
    assert list(replay(name, step)) == list(replay(name, 1 << 20))


def test_a_new_prober_names_the_task_of_each_result() -> None:
    """Records of current releases carry the id that the acceptance gave."""
    events = list(replay("new/mixed", 1 << 20))
    accepted = {event.id for event in events if isinstance(event, control.Accepted)}
    results = [event for event in events if isinstance(event, control.Record) and not event.envelope]
    assert {event.id for event in results} == accepted
    assert all(event.id is None for event in events if isinstance(event, control.Record) and event.envelope)


def test_an_old_prober_names_no_task() -> None:
    """Records of 20211212 carry no id."""
    results = [event for event in replay("old/ping-halted", 1 << 20) if isinstance(event, control.Record)]
    assert results
    assert all(event.id is None for event in results)


def test_questions_are_answered_before_attaching() -> None:
    """`get` gives a value, an empty one when the prober has none."""
    dialogue = Control()
    assert dialogue.get("version") + dialogue.get("monitorname") == b"get version\nget monitorname\n"
    dialogue.get("primitives")
    assert dialogue.receive_data(b"OK version 20211212\nOK null monitorname\nERR nothing\n") == [
        control.Value("version", "20211212"),
        control.Value("monitorname", ""),
        control.Value("primitives", ""),
    ]


def test_answers_belong_to_commands_in_order() -> None:
    """OK and ERR are paired with what was sent by position alone."""
    dialogue = attached()
    for token in (7, 8, 9):
        dialogue.command(token, "ping 192.0.2.1")
    dialogue.halt(3)
    said = b"OK id-1\nMORE\nERR command not accepted: no reason\nERR command not accepted\nERR no task id-3\n"
    assert dialogue.receive_data(said) == [
        control.Accepted(7, 1),
        control.More(),
        control.Refused(8, "no reason"),
        control.Refused(9, ""),
        control.Halted(3, known=False),
    ]


def test_a_record_over_the_limit_is_skipped_and_the_dialogue_goes_on() -> None:
    """A huge record is told, not held, and does not hide what follows."""
    dialogue = Control(record_limit_bytes=1000)
    dialogue.attach()
    huge, small = warts(15, bytes(5000)), warts(7, b"x")
    events = []
    said = b"OK\n" + data(huge, 1) + data(small, 2)
    for at in range(0, len(said), 100):
        events += dialogue.receive_data(said[at : at + 100])
    assert [type(event) for event in events] == [control.Attached, control.Oversized, control.Record]
    assert events[1].id == 1
    assert events[2] == control.Record(2, envelope=False, data=small)


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_list_and_cycle_records_are_told_by_their_header(kind: int) -> None:
    """Types 1 to 4 belong to the connection, not to a task."""
    (event,) = attached().receive_data(data(warts(kind)))
    assert event == control.Record(None, envelope=True, data=warts(kind))


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"OK id-1\n",
        b"\xff\xfe\n",
        b"DATA x\n",
        b"DATA 10 id-1 more\n",
        b"DATA 2\nab",
        b"DATA 2\n`\n",
        b"DATA 14\n(AAAAAAAAAAA\n`\n",
        data(b"\x12\x05" + bytes(6)) [:-2] + b"a\n",
        data(b"\x12\x06\x00\x07" + bytes(4)),
        data(warts(7, b"abc") + b"d"),
        b"x" * (control.MAX_LINE_BYTES + 2),
    ],
)  # fmt: skip
def test_what_is_not_the_protocol_is_an_error(said: bytes) -> None:
    """Garbage, an answer to nothing, broken records: `ProberProtocolError`."""
    with pytest.raises(ProberProtocolError):
        attached().receive_data(said)


@pytest.mark.parametrize("said", [b"MORE\n", data(warts(1)), b"OK\n"])
def test_nothing_comes_before_attaching(said: bytes) -> None:
    """Records and MORE have no place in a dialogue that has not attached."""
    with pytest.raises(ProberProtocolError):
        Control().receive_data(said)


@pytest.mark.parametrize("said", [b"MO", b"DATA 100\nM", b"DATA 9999999999\n"])
def test_an_end_inside_a_message_is_an_error(said: bytes) -> None:
    """A connection that ends in the middle has lost something."""
    dialogue = attached()
    dialogue.receive_data(said)
    with pytest.raises(ProberProtocolError):
        dialogue.receive_eof()


def test_what_does_not_fit_the_state_is_a_bug_of_the_caller() -> None:
    """No command before attaching, none after `done`."""
    with pytest.raises(RuntimeError):
        Control().command(1, "ping 192.0.2.1")
    dialogue = attached()
    dialogue.done()
    with pytest.raises(RuntimeError):
        dialogue.command(1, "ping 192.0.2.1")


@given(st.binary(max_size=600))
def test_uudecode_undoes_uuencode(payload: bytes) -> None:
    """Every byte string survives."""
    assert uudecode(uuencode(payload)) == payload


def test_a_large_record_decodes() -> None:
    """A body of several megabytes, in the pieces in which a socket delivers it."""
    dialogue = attached()
    record = warts(15, bytes(range(256)) * (16 << 10))
    said = data(record, 5)
    events = []
    for at in range(0, len(said), 200_000):
        events += dialogue.receive_data(said[at : at + 200_000])
    assert events == [control.Record(5, envelope=False, data=record)]


@given(st.binary(max_size=300))
def test_any_text_decodes_or_is_refused(body: bytes) -> None:
    """Anything at all gives bytes, or the protocol error."""
    with contextlib.suppress(ProberProtocolError):
        uudecode(body)


_PIECES = st.sampled_from(
    [
        b"OK",
        b" id-1",
        b"\n",
        b"MORE\n",
        b"ERR no\n",
        b"DATA 2\n`\n",
        b"DATA ",
        b"44",
        b" id-2",
        b"`\n",
        data(warts(1)),
        data(warts(7, b"xyz"), 1),
        b"OK id-1\n",
        b"OK\n",
        b"\r\n",
    ]
) | st.binary(max_size=8)


@given(st.lists(_PIECES, max_size=12), st.integers(0, 6))
def test_any_bytes_give_events_or_the_protocol_error(pieces: list[bytes], commands: int) -> None:
    """Whatever the peer says, nothing else escapes, and nothing is held beyond one message."""
    dialogue = attached()
    for token in range(commands):
        dialogue.command(token, "ping 192.0.2.1")
    try:
        for piece in pieces:
            for event in dialogue.receive_data(piece):
                assert isinstance(event, control.Event)
        dialogue.receive_eof()
    except ProberProtocolError:
        pass
