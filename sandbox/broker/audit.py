"""One line for every decision, written before the decision takes effect.

Theory of operation
-------------------
A line is one JSON object and one ``write`` to a file opened for appending, so that lines of several
processes or of a crash never mix. Each line carries the sha256 of the line before it: whoever changes,
removes or inserts a line breaks the chain from there on, and `verify` names the place. The first line of
a file carries the last hash of the file before it. Cutting off the end cannot be seen in a file alone;
``AuditLog.head`` is what somebody else can keep for that.

If a line cannot be written, `AuditLog.record` raises, and what was decided must not happen. A part of a
line that a full disk let through is cut off again; a last line that a crash left unfinished is closed
with a mark when the log is opened, so that nothing is lost and nothing is hidden.

Lines are not synced one by one (fsync costs milliseconds, a line about 20 µs): they survive the death of
the agent, not of the machine; `sync` is for the agent's housekeeping. A file is full after a day or
``max_bytes``; it is then renamed by the time of its first line and kept until somebody removes it.
"""

import datetime
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from onvp.policies.action import Action
from onvp.policies.grant import Grant, Refusal
from onvp.sandbox.broker.errors import AuditError

__all__ = ["GENESIS", "AuditError", "AuditLog", "Line", "verify", "verify_all"]

GENESIS: Final = "0" * 64
MAX_TARGETS: Final = 8
MAX_BYTES: Final = 64 << 20
_TAIL_BYTES: Final = 64 << 10
_OPEN: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A decision as it is kept. ``prev`` is the sha256 of the line before, without its newline."""

    time: str
    decision: str
    run: str
    user: str
    primitive: str
    verdict: str  # granted, clamped, refused
    rule: str
    where: str
    digest: str
    prev: str
    targets: list[str] = []
    more_targets: int = 0
    packets: int = 0
    code: str = ""
    sentence: str = ""
    clamps: list[list[Any]] = []
    delay_s: float = 0.0


def _details(answer: Grant | Refusal) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        return {"verdict": "refused", "code": answer.code, "sentence": answer.sentence}
    return {
        "verdict": "clamped" if answer.clamps else "granted",
        "packets": answer.cost.packets,
        "clamps": [[c.parameter, c.asked, c.given, c.rule] for c in answer.clamps],
    }


_encoder = msgspec.json.Encoder()


class AuditLog:
    """The log of a vantage point.

    Args:
        path: of the file that is written; full ones lie beside it.
        max_bytes: after which a file is full.

    Raises:
        AuditError: the file cannot be opened or read.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._descriptor = -1
        self._size = 0
        self._day = ""
        self._second = -1
        self._stamp = ""
        self._head = GENESIS
        self._open()

    @property
    def head(self) -> str:
        """The sha256 of the last line."""
        return self._head

    def record(
        self,
        answer: Grant | Refusal,
        action: Action,
        *,
        run: str,
        user: str,
        now: float,
        delay_s: float = 0.0,
    ) -> None:
        """Write a decision down; only when this returns may it take effect.

        Args:
            answer: what was decided.
            action: what was asked for.
            run: in which run.
            user: by whom.
            now: when, in seconds since the epoch.
            delay_s: how long the measurement waits for its turn.

        Raises:
            AuditError: it could not be written; nothing may be done.
        """
        targets = action.targets()
        line = Line(
            time=self._time(now),
            decision=answer.decision,
            run=run,
            user=user,
            primitive=action.primitive,
            rule=answer.rule,
            where=answer.where,
            digest=answer.digest,
            prev=self._head,
            targets=[str(target) for target in targets[:MAX_TARGETS]],
            more_targets=max(0, len(targets) - MAX_TARGETS),
            delay_s=delay_s,
            **_details(answer),
        )
        if self._size >= self._max_bytes or line.time[:10] != self._day:
            self._turn(line.time)
        self._append(_encoder.encode(line))

    def sync(self) -> None:
        """Bring everything to the disk.

        Raises:
            AuditError: the disk did not take it.
        """
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise AuditError(f"{self._path}: the audit log is not on the disk: {error}") from error

    def close(self) -> None:
        """Write no more. Safe to call again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    # ---- the file ----

    def _append(self, body: bytes) -> None:
        line = body + b"\n"
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            raise AuditError(
                f"{self._path}: the decision cannot be written to the audit log ({error.strerror}), so it is refused"
            ) from error
        if written != len(line):
            try:
                os.ftruncate(self._descriptor, self._size)
            except OSError:
                self.close()  # a part of a line stays; opening the log again marks it
            raise AuditError(f"{self._path}: the disk took a part of a line of the audit log, so it is refused")
        self._size += written
        self._head = hashlib.sha256(body).hexdigest()

    def _time(self, epoch_s: float) -> str:
        """RFC 3339 in UTC with milliseconds; the text of the current second is kept."""
        second, thousandths = divmod(int(epoch_s * 1000), 1000)
        if second != self._second:
            moment = datetime.datetime.fromtimestamp(second, datetime.UTC)
            self._second, self._stamp = second, f"{moment:%Y-%m-%dT%H:%M:%S}"
        return f"{self._stamp}.{thousandths:03d}Z"

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self._path, _OPEN, 0o640)
            self._size = os.fstat(self._descriptor).st_size
            tail = self._tail()
        except OSError as error:
            raise AuditError(f"{self._path}: the audit log cannot be opened: {error.strerror or error}") from error
        if not self._size:
            return
        if not tail.endswith(b"\n"):
            os.write(self._descriptor, b"\n")  # an unfinished line: it stays as evidence, `verify` names it
            self._size += 1
            tail += b"\n"
        last = tail.rstrip(b"\n").rpartition(b"\n")[2]
        self._head = hashlib.sha256(last).hexdigest()
        first = os.pread(self._descriptor, 64, 0)
        self._day = first.partition(b'"time":"')[2][:10].decode("ascii", "replace")

    def _tail(self) -> bytes:
        return os.pread(self._descriptor, _TAIL_BYTES, max(0, self._size - _TAIL_BYTES)) if self._size else b""

    def _turn(self, time: str) -> None:
        """Put a full file aside and begin another, which goes on with the chain."""
        if self._size:
            head = self._head
            aside = self._free_name()
            try:
                self._path.rename(aside)
            except OSError as error:
                raise AuditError(f"{self._path}: a full audit log cannot be put aside: {error.strerror}") from error
            self.close()
            self._size = 0
            self._open()
            self._head = head
        self._day = time[:10]

    def _free_name(self) -> Path:
        number = 1
        while True:
            aside = self._path.with_name(f"{self._path.stem}-{self._day}.{number}{self._path.suffix}")
            if not aside.exists():
                return aside
            number += 1


def verify(path: Path, *, prev: str | None = None) -> str:
    """Check that no line of a log was changed, removed, inserted or left unfinished.

    Args:
        path: of one file.
        prev: the head of the file before it; ``None`` takes the first line at its word.

    Returns:
        The head: what the first line of the next file carries.

    Raises:
        AuditError: the place where the chain breaks, or the file cannot be read.
    """
    head = prev
    decoder = msgspec.json.Decoder(Line)
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    line = decoder.decode(raw)
                except msgspec.MsgspecError as error:
                    raise AuditError(f"{path}:{number}: this is not a line of an audit log: {error}") from error
                if head is not None and line.prev != head:
                    raise AuditError(
                        f"{path}:{number}: the chain breaks here: a line before this one was changed, removed or added"
                    )
                if not raw.endswith(b"\n"):
                    raise AuditError(f"{path}:{number}: the last line is not finished")
                head = hashlib.sha256(raw[:-1]).hexdigest()
    except OSError as error:
        if isinstance(error, AuditError):
            raise
        raise AuditError(f"{path}: the audit log cannot be read: {error.strerror or error}") from error
    return head if head is not None else GENESIS


def verify_all(paths: Iterable[Path]) -> str:
    """`verify` for files that follow each other, oldest first."""
    head: str | None = None
    for path in paths:
        head = verify(path, prev=head)
    return head if head is not None else GENESIS
