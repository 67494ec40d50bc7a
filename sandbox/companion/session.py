"""The control protocol's server side for one client: bytes in, instructions out. No I/O, no clock.

Theory of operation
    INTERACTIVE --attach--> ATTACHED --done--> DRAINING --last task ends--> CLOSED

    `receive` cuts the input into lines and answers each with instructions, in order: text to send, a
    request to start under a task number, a task to halt, or the end. `finished` turns a task's record into
    the instruction that sends it. Task numbers count from 1; a line is answered in the order of the
    lines, records go out in the order in which tasks end. ``MORE`` follows an accepted command as long as
    fewer than `window` tasks run; what was owed is sent when one ends. A client that does not wait for it
    is served all the same; `crowded` tells the shell to stop reading for a while.

House rule: a line that is not understood is refused with its reason. It is never guessed.
"""

import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Union

from onvp.sandbox.companion import warts
from onvp.sandbox.companion.errors import CommandRefused
from onvp.sandbox.companion.options import number, text_of

LINE_BYTES: Final = 256 << 10
"""The longest line: a midardisc schedule of thousands of rounds fits."""

_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]*\Z")


class State(Enum):
    """Where a connection is in its life."""

    INTERACTIVE = "interactive"
    ATTACHED = "attached"
    DRAINING = "draining"
    CLOSED = "closed"


@dataclass(frozen=True)
class Send:
    """Send this text."""

    data: bytes


@dataclass(frozen=True)
class SendRecord:
    """Send this record as DATA, marked with the task's number if it has one."""

    record: bytes
    task: int | None = None


@dataclass(frozen=True)
class Start:
    """Run this as task number `task`."""

    task: int
    job: Any


@dataclass(frozen=True)
class Halt:
    """Stop this task; its record is still wanted."""

    task: int


@dataclass(frozen=True)
class Close:
    """The conversation is over."""


Instruction = Union[Send, SendRecord, Start, Halt, Close]  # noqa: UP007


@dataclass(frozen=True)
class Facts:
    """What is the same for all connections."""

    version: str
    monitor: str | None
    hostname: str
    answers: Mapping[str, str | None]
    """What ``get NAME`` says besides version and monitorname; None is ``OK null NAME``."""
    prepare: Callable[[str], Any]
    """Command line -> job to start, or CommandRefused."""
    window: int


@dataclass
class _Attachment:
    list_id: int = 0
    cycle_id: int = 1
    name: str = ""
    monitor: str | None = None
    descr: str | None = None


_ATTACH: Final = {
    "priority": number("priority", 1, 100_000),
    "format": text_of("format", 16),
    "list_id": number("list_id", 0, 0xFFFFFFFF),
    "cycle_id": number("cycle_id", 0, 0xFFFFFFFF),
    "name": text_of("name", 255),
    "monitor": text_of("monitor", 255),
    "descr": text_of("descr", 1024),
}


@dataclass
class Session:
    """One control connection."""

    facts: Facts
    name: str
    """What the list of this connection is called unless the client says otherwise."""
    state: State = State.INTERACTIVE
    tasks: set[int] = field(default_factory=set)
    _input: bytearray = field(default_factory=bytearray)
    _started: int = 0
    _owes_more: bool = False

    @property
    def crowded(self) -> bool:
        """Whether the client has commands enough for now."""
        return len(self.tasks) >= 2 * self.facts.window

    def receive(self, data: bytes, now_s: int) -> Iterator[Instruction]:
        """Answer what the client sent. Iterate to the end, even after `Close`."""
        self._input += data
        while self.state is not State.CLOSED and (end := self._input.find(b"\n")) >= 0:
            line = bytes(self._input[:end]).removesuffix(b"\r")
            del self._input[: end + 1]
            yield from self._line(line, now_s)
        if self.state is not State.CLOSED and len(self._input) > LINE_BYTES:
            yield from self._reject("line too long", now_s)

    def finished(self, task: int, record: bytes | None, now_s: int) -> Iterator[Instruction]:
        """A task has ended; `record` None means that nothing is to be told."""
        self.tasks.discard(task)
        if record is not None:
            yield SendRecord(record, task)
        if self._owes_more and self.state is State.ATTACHED and len(self.tasks) < self.facts.window:
            self._owes_more = False
            yield Send(b"MORE\n")
        if self.state is State.DRAINING and not self.tasks:
            yield from self._end(now_s)

    def _line(self, line: bytes, now_s: int) -> Iterator[Instruction]:
        if not line:
            return
        if not _PRINTABLE.match(line):
            yield from self._reject("invalid character in line", now_s)
            return
        text = line.decode("ascii").strip(" ")
        word, _, rest = text.partition(" ")
        if not word:
            return
        answer = self._attached if self.state is not State.INTERACTIVE else self._interactive
        yield from answer(word.lower(), rest.strip(" "), text, now_s)

    def _reject(self, why: str, now_s: int) -> Iterator[Instruction]:
        """Say why, and end: after such input nothing that follows can be trusted to be a line."""
        yield Send(b"ERR " + why.encode("ascii") + b"\n")
        if self.state is State.INTERACTIVE:
            self.state = State.CLOSED
            yield Close()
        else:
            yield from self._end(now_s)

    def _end(self, now_s: int) -> Iterator[Instruction]:
        self.state = State.CLOSED
        yield SendRecord(warts.cycle_stop(now_s))
        yield Close()

    # ---- before attach ----

    def _interactive(self, word: str, rest: str, text: str, now_s: int) -> Iterator[Instruction]:
        if word == "attach":
            yield from self._attach(rest, now_s)
        elif word == "get":
            yield Send(self._get(rest.lower()).encode("ascii", "replace") + b"\n")
        elif word == "exit":
            self.state = State.CLOSED
            yield Close()
        else:
            yield Send(f"ERR unhandled command '{text[:64]}'\n".encode("ascii"))

    def _get(self, what: str) -> str:
        if what == "version":
            return f"OK version {self.facts.version}"
        known = {**self.facts.answers, "monitorname": self.facts.monitor}
        if what not in known:
            return f"ERR unknown get parameter '{what[:64]}'"
        value = known[what]
        return f"OK null {what}" if value is None else f"OK {what} {value}"

    def _attach(self, rest: str, now_s: int) -> Iterator[Instruction]:
        try:
            a = self._read_attach(rest)
        except CommandRefused as e:
            yield Send(f"ERR {e.reason}\n".encode("ascii"))
            return
        self.state = State.ATTACHED
        yield Send(b"OK\nMORE\n")
        monitor = a.monitor or self.facts.monitor
        yield SendRecord(
            warts.list_record(
                a.list_id,
                a.name.encode("ascii"),
                a.descr.encode("ascii") if a.descr else None,
                monitor.encode("utf-8") if monitor else None,
            )
        )
        hostname = self.facts.hostname.encode("utf-8", "replace")
        yield SendRecord(warts.cycle_start(a.cycle_id, now_s, hostname or None))

    def _read_attach(self, rest: str) -> _Attachment:
        a = _Attachment(name=self.name)
        for key, value in _pairs(rest):
            reader = _ATTACH.get(key)
            if reader is None:
                raise CommandRefused(f"command attach param '{key[:64]}' failed")
            read = reader(value)
            if key == "format" and read.lower() != "warts":
                raise CommandRefused("format must be warts")
            if hasattr(a, key):
                setattr(a, key, read)
        return a

    # ---- attached ----

    def _attached(self, word: str, rest: str, text: str, now_s: int) -> Iterator[Instruction]:
        if word == "halt":
            yield from self._halt(rest)
        elif word == "done" and not rest:
            yield Send(b"OK\n")
            self.state = State.DRAINING
            if not self.tasks:
                yield from self._end(now_s)
        else:
            try:
                job = self.facts.prepare(text)
            except CommandRefused as e:
                reason = e.reason.encode("ascii", "replace")
                yield Send(b"ERR command not accepted: " + reason + b"\n")
                return
            self._started += 1
            self.tasks.add(self._started)
            yield Send(f"OK id-{self._started}\n".encode("ascii"))
            if len(self.tasks) < self.facts.window:
                yield Send(b"MORE\n")
            else:
                self._owes_more = True
            yield Start(self._started, job)

    def _halt(self, rest: str) -> Iterator[Instruction]:
        try:
            task: int = number("task", 0, 0xFFFFFFFF)(rest)
        except CommandRefused:
            yield Send(b"ERR usage: halt [id]\n")
            return
        if task in self.tasks:
            yield Send(f"OK halted {task}\n".encode("ascii"))
            yield Halt(task)
        else:
            yield Send(f"ERR no task id-{task}\n".encode("ascii"))


_PAIR: Final = re.compile(r"""\s*([a-z_]+)\s+(?:"([^"]*)"|'([^']*)'|(\S+))(?=\s|\Z)""", re.IGNORECASE)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _PAIR.match(text, at)
        if found is None:
            raise CommandRefused("could not params_get")
        at = found.end()
        yield found[1].lower(), next(g for g in found.groups()[1:] if g is not None)


# ---- DATA ----

_LINE_DATA_BYTES: Final = 45
_CHUNK_BYTES: Final = _LINE_DATA_BYTES * 1024


def data_header(record: bytes, task: int | None) -> bytes:
    """``DATA n[ id-N]``: n counts the characters that follow, the last line with its backquote included."""
    full, rest = divmod(len(record), _LINE_DATA_BYTES)
    size = full * 62 + (2 + (rest + 2) // 3 * 4 if rest else 0) + 2
    return f"DATA {size}{'' if task is None else f' id-{task}'}\n".encode("ascii")


def data_body(record: bytes) -> Iterator[bytes]:
    """The record uuencoded, in pieces that a slow client can take one by one."""
    view = memoryview(record)
    for start in range(0, len(view), _CHUNK_BYTES):
        piece = view[start : start + _CHUNK_BYTES]
        lines = range(0, len(piece), _LINE_DATA_BYTES)
        yield b"".join(binascii.b2a_uu(piece[i : i + _LINE_DATA_BYTES], backtick=True) for i in lines)
    yield b"`\n"
