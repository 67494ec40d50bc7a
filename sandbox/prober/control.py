"""The control dialogue with a prober, as a state machine without I/O: bytes in, events out.

Theory of operation
-------------------
A connection begins OPEN: questions (``get version``) are answered one line each. ``attach`` makes it
ATTACHED: commands are lines, and three kinds of lines come back in any mixture:

* ``OK …`` and ``ERR …`` answer what was sent, strictly in the order in which it was sent. `Control` keeps
  what it sent in a queue and pairs by position; an answer to nothing is a protocol error.
* ``MORE``: the prober would like another command. Advice only; both generations take commands without.
* ``DATA n[ id-N]``, then n bytes: one record in uuencode, in order of completion. Releases since 20230224
  name the task, 20211212 does not. List and cycle records never have an id. ``inprog`` marks a view of a
  task that goes on (only when asked for, which we do not): it is read and dropped.

``done`` makes it DRAINING: tasks end, a cycle-stop record comes, the prober closes. CLOSED takes nothing.

What comes from the socket is not trusted: a line or a record that does not fit raises
`ProberProtocolError`, and after that the connection must be dropped. A record larger than the limit is
skipped without being held (`Oversized`). Of a record only the eight-byte header is read.

    state     sent            may come
    OPEN      get, attach     OK, ERR
    ATTACHED  command, halt   OK, ERR, MORE, DATA
    DRAINING  halt            the same
    CLOSED    -               nothing

Source: both generations driven over their sockets.
"""

import binascii
import enum
import re
from collections import deque
from typing import NamedTuple

from onvp.sandbox.prober.errors import ProberProtocolError

MAX_LINE_BYTES = 64 << 10
MAX_RECORD_BYTES = 32 << 20

LIST, CYCLE_START, CYCLE_DEFINITION, CYCLE_STOP = 1, 2, 3, 4
_ENVELOPE_TYPES = frozenset({LIST, CYCLE_START, CYCLE_DEFINITION, CYCLE_STOP})
_MAGIC = b"\x12\x05"


class State(enum.Enum):
    """Where the dialogue stands."""

    OPEN = "open"
    ATTACHED = "attached"
    DRAINING = "draining"
    CLOSED = "closed"


class Value(NamedTuple):
    """The answer to ``get``; empty when the prober has none."""

    name: str
    value: str


class Attached(NamedTuple):
    """Commands may be sent."""


class Accepted(NamedTuple):
    """The command with this token became the prober's task ``id``."""

    token: int
    id: int


class Refused(NamedTuple):
    """The command with this token was not accepted; 20211212 gives no reason."""

    token: int
    reason: str


class Record(NamedTuple):
    """One raw warts record: of a task, or (``envelope``) of the connection's list and cycle.

    ``id`` is None where the prober does not tell.
    """

    id: int | None
    envelope: bool
    data: bytes


class Oversized(NamedTuple):
    """A record over the limit was skipped."""

    id: int | None
    size_bytes: int


class More(NamedTuple):
    """The prober would like another command."""


class Halted(NamedTuple):
    """The answer to a halt: whether there was such a task."""

    id: int
    known: bool


Event = Value | Attached | Accepted | Refused | Record | Oversized | More | Halted


class _Sent(NamedTuple):
    """A line whose answer is to come: ``kind`` is get, attach, command, halt or done."""

    kind: str
    number: int
    name: str = ""


class Control:
    """One connection, seen from the client.

    Args:
        record_limit_bytes: larger records are skipped.
    """

    def __init__(self, *, record_limit_bytes: int = MAX_RECORD_BYTES) -> None:
        self.state = State.OPEN
        self._sent: deque[_Sent] = deque()
        self._buffer = bytearray()  # an incomplete line or record
        self._body = -1  # bytes of the record that is being read; -1: a line is next
        self._skip = 0
        self._id: int | None = None
        self._partial = False
        # A record's text is 62 characters for 45 bytes, and two for the end.
        self._limit = record_limit_bytes * 62 // 45 + 64

    # ---- what to send ----

    def get(self, name: str) -> bytes:
        """Ask for a value of the daemon, before attaching."""
        self._demand(State.OPEN)
        self._sent.append(_Sent("get", 0, name))
        return b"get %b\n" % name.encode("ascii")

    def attach(self) -> bytes:
        """Begin to measure. Without options: 20211212 never answers an ``attach`` that has some."""
        self._demand(State.OPEN)
        self._sent.append(_Sent("attach", 0))
        return b"attach\n"

    def command(self, token: int, line: str) -> bytes:
        """Send a rendered command; ``token`` comes back with its `Accepted` or `Refused`."""
        self._demand(State.ATTACHED)
        self._sent.append(_Sent("command", token))
        return line.encode("ascii") + b"\n"

    def halt(self, task_id: int) -> bytes:
        """Ask to end a task early; its partial result comes as usual."""
        self._demand(State.ATTACHED, State.DRAINING)
        self._sent.append(_Sent("halt", task_id))
        return b"halt %d\n" % task_id

    def done(self) -> bytes:
        """No more commands; the prober closes when its tasks have ended."""
        self._demand(State.ATTACHED)
        self.state = State.DRAINING
        self._sent.append(_Sent("done", 0))
        return b"done\n"

    def _demand(self, one: State, other: State | None = None) -> None:
        if self.state is not one and self.state is not other:
            raise RuntimeError(f"not now: the dialogue is {self.state.value}")

    # ---- what comes ----

    def receive_eof(self) -> None:
        """The prober closed; `state` says CLOSED from now on.

        Raises:
            ProberProtocolError: in the middle of a line or of a record.
        """
        self.state, cut = State.CLOSED, bool(self._buffer or self._body >= 0 or self._skip)
        if cut:
            raise ProberProtocolError("the prober closed its socket in the middle of a message")

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes, give the events that are complete now.

        Raises:
            ProberProtocolError: it is not the control protocol. Drop the connection.
        """
        buffer = data
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._body:
                return []
            buffer = bytes(self._buffer)
        events: list[Event] = []
        at, end = 0, len(buffer)
        while at < end:
            if self._skip:
                step = min(self._skip, end - at)
                self._skip -= step
                at += step
                continue
            if self._body >= 0:
                stop = at + self._body
                if stop > end:
                    break
                self._body = -1
                record = self._record(buffer[at:stop])
                if not self._partial:
                    events.append(record)
                at = stop
                continue
            stop = buffer.find(b"\n", at)
            if stop < 0:
                if end - at > MAX_LINE_BYTES:
                    raise ProberProtocolError(f"a line of more than {MAX_LINE_BYTES} bytes")
                break
            event = self._line(buffer[at:stop])
            if event is not None:
                events.append(event)
            at = stop + 1
        self._buffer = bytearray(buffer[at:])
        return events

    def _line(self, raw: bytes) -> Event | None:
        if raw.startswith(b"DATA "):
            return self._data(raw)
        raw = raw.rstrip(b"\r")
        if raw == b"MORE" and (self.state is State.ATTACHED or self.state is State.DRAINING):
            return _MORE
        verdict, _, rest = raw.partition(b" ")
        ok = verdict == b"OK"
        if not ok and verdict != b"ERR":
            raise _garbage(raw)
        if not self._sent:
            raise ProberProtocolError(f"the prober answers what was not asked: {_show(raw)}")
        sent = self._sent.popleft()
        if sent.kind == "command" and ok:
            match = _TASK.fullmatch(rest)
            if match is None:
                raise _garbage(raw)
            return Accepted(sent.number, int(match[1]))
        try:
            return self._answer(sent, ok, rest.decode("ascii"), raw)
        except UnicodeDecodeError:
            raise _garbage(raw) from None

    def _answer(self, sent: _Sent, ok: bool, rest: str, raw: bytes) -> Event | None:
        kind, number, name = sent
        if kind == "command":
            return Refused(number, rest.removeprefix("command not accepted").removeprefix(": "))
        if kind == "halt":
            return Halted(number, ok)
        if kind == "get":
            said, _, value = rest.partition(" ")
            if not ok or said == "null":
                return Value(name, "")
            if said != name:
                raise _garbage(raw)
            return Value(name, value)
        if not ok:
            raise ProberProtocolError(f"the prober refuses {kind!r}: {_show(raw)}")
        if kind == "attach":
            self.state = State.ATTACHED
            return Attached()
        return None  # done

    def _data(self, raw: bytes) -> Event | None:
        match = _DATA.fullmatch(raw)
        if match is None or not (self.state is State.ATTACHED or self.state is State.DRAINING):
            raise _garbage(raw)
        self._id = int(match[2]) if match[2] else None
        self._partial = match[3] is not None
        size = int(match[1])
        if size > self._limit:
            self._skip = size
            return Oversized(self._id, size * 45 // 62)
        self._body = size
        return None

    def _record(self, body: bytes) -> Record:
        data = uudecode(body)
        if len(data) < 8 or data[:2] != _MAGIC or int.from_bytes(data[4:8], "big") != len(data) - 8:
            raise ProberProtocolError("a record without the header of one")
        envelope = int.from_bytes(data[2:4], "big") in _ENVELOPE_TYPES
        return Record(self._id, envelope, data)


_MORE = More()
_TASK = re.compile(rb"id-(\d{1,10})")
_DATA = re.compile(rb"DATA (\d{1,12})(?: id-(\d{1,10}))?( inprog)?\r?")


def _show(raw: bytes) -> str:
    return repr(raw[:80].decode("ascii", "backslashreplace"))


def _garbage(raw: bytes) -> ProberProtocolError:
    return ProberProtocolError(f"{_show(raw)} is not a line of a prober")


_TO_BASE64 = bytes(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[(c - 32) & 63] if 32 <= c <= 96 else 33
    for c in range(256)
)
"""uuencode's alphabet to base64's; what is in neither becomes ``!``."""


def uudecode(body: bytes) -> bytes:
    """The bytes that ``body`` stands for.

    Lines of 45 bytes, one shorter line at most, then a line with a single backquote. The full lines are
    decoded together: cutting off their first and last columns leaves base64 in another alphabet.

    Raises:
        ProberProtocolError: anything else.
    """
    size = len(body)
    if size < 2 or body[-2:] != b"`\n":
        raise ProberProtocolError("a record's text does not end")
    full = 0
    if size >= 64:
        full = (size - 2) // 62
        starts = body[0 : full * 62 : 62]
        full = len(starts) - len(starts.lstrip(b"M"))
    rest = body[full * 62 : -2]
    try:
        decoded = b""
        if full:
            rows = bytearray(body[: full * 62])
            if rows[61::62] != b"\n" * full:
                raise ProberProtocolError("a record's lines have wrong lengths")
            del rows[61::62]
            del rows[0::61]
            decoded = binascii.a2b_base64(rows.translate(_TO_BASE64), strict_mode=True)
        if rest:
            count = rest[0] - 32
            if not 1 <= count <= 45 or len(rest) != 2 + 4 * ((count + 2) // 3) or rest[-1] != 10:
                raise ProberProtocolError("a record's last line has a wrong length")
            decoded += binascii.a2b_base64(rest[1:-1].translate(_TO_BASE64), strict_mode=True)[:count]
    except binascii.Error as error:
        raise ProberProtocolError(f"a record's text is not uuencode: {error}") from None
    return decoded
