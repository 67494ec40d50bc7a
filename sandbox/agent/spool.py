"""Every event of this vantage point lies on disk until the controller has acknowledged it.

Theory of operation
-------------------
One thread owns the SQLite file. The event loop only puts jobs into a queue (`Spool.append`,
`Spool.acknowledge`, reads), so no fsync ever stalls a run. The thread takes whatever has gathered and
makes one transaction of it: new events get the next numbers, acknowledged ones are deleted, and the
commit is durable (WAL, ``synchronous=FULL``) before anybody hears of it. An event is numbered only when
it is written, therefore numbers have no gaps, whatever fails in between; it is sent only after it is
written, therefore the controller never knows more than this disk does.

A full disk, or more waiting events than ``max_bytes``, is said once, through ``failed`` and
``on_failure``. From then on, per run: what tells how a run went (`State`, `Note`, `End`) is held in
memory and written as soon as that is possible; bulk (output, results, measurements, artifacts) is
dropped up to the run's `End`, with a `Note` at the place where it was cut. What was on disk before stays
there. When there is room again ``failed`` goes back to None.
"""

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onvp.sandbox.wire import link

PENDING_LIMIT_BYTES = 64 << 20
"""What may wait in memory for the disk."""

ROOM_BYTES = 4 << 20
"""`Spool.room` waits until less than this waits for the disk."""

RETRY_S = 1.0

_VITAL = (link.State, link.Note, link.End)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, run TEXT NOT NULL, message BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, ended INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS newest (seq INTEGER NOT NULL) STRICT;
INSERT INTO newest SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM newest);
"""

_Append = tuple[str, float, link.Body, int]
_Call = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]


class SpoolError(Exception):
    """The spool cannot be opened or used; the sentence says what to do."""


class Spool:
    """The queue on disk between the runs and the uplink.

    All methods belong to the event loop's thread.

    Attributes:
        failed: the sentence that says why bulk events are dropped at the moment, or None.
        newest: the number of the last event that is on disk.
        stored_bytes: what waits on disk for the controller.
    """

    def __init__(
        self, path: Path, *, max_bytes: int = 1 << 30, on_failure: Callable[[str], None] | None = None
    ) -> None:
        self.path = Path(path)
        self.max_bytes = max_bytes
        self.on_failure = on_failure
        self.failed: str | None = None
        self.newest = 0
        self.stored_bytes = 0
        self.dropped = 0
        self._pending_bytes = 0
        self._cut: set[str] = set()
        self._jobs: queue.SimpleQueue[_Append | _Call | int | None] = queue.SimpleQueue()
        self._changed = asyncio.Event()
        self._disk_problem: str | None = None
        self._attempts = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop

    async def open(self) -> None:
        """Open the file, or make it, and start the writer thread.

        Raises:
            SpoolError: no such folder, no permission, damaged file, or another agent has it open.
        """
        self._loop = asyncio.get_running_loop()
        connection = await asyncio.to_thread(self._connect)
        self._thread = threading.Thread(target=self._write_all, args=(connection,), name="spool", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Write what can be written, then stop the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)

    # ---- the runs' side ----

    def append(self, run: str, body: link.Body) -> None:
        """Keep an event. Never blocks; events come out in the order in which they went in."""
        size = _size(body)
        if not isinstance(body, _VITAL):
            if self.failed is None and self.stored_bytes + self._pending_bytes + size > self.max_bytes:
                self._fail(
                    f"the spool of this vantage point is full: {self.stored_bytes >> 20} MiB wait for the "
                    f"controller, the limit is {self.max_bytes >> 20} MiB"
                )
            elif self.failed is None and self._pending_bytes > PENDING_LIMIT_BYTES:
                self._fail("the disk under the spool of this vantage point is slower than the run's output")
            if self.failed is not None and run not in self._cut:
                self._cut.add(run)
                self._put(run, link.Note(f"output is not kept from here on: {self.failed}"))
            if run in self._cut:
                self.dropped += 1
                return
        self._put(run, body)
        if isinstance(body, link.End):
            self._cut.discard(run)

    async def room(self) -> None:
        """Wait until the disk has caught up; a run that awaits this is slowed instead of cut."""
        while self._pending_bytes > ROOM_BYTES and self.failed is None:
            await self._change()

    async def flush(self) -> None:
        """Return when everything appended so far is on disk.

        Raises:
            SpoolError: the disk is full or broken.
        """
        attempts = self._attempts
        while self._pending_bytes:
            if self._disk_problem is not None and self._attempts > attempts:
                raise SpoolError(self._disk_problem)
            await self._change()

    async def runs(self) -> dict[str, bool]:
        """The runs of which the controller does not hold the end yet: True for those that have ended.

        None of them may be started again. After a restart, those with False were cut off by the agent's
        own death, and the agent owes them an `End`.
        """
        rows = await self._call(lambda db: db.execute("SELECT run, ended IS NOT NULL FROM runs").fetchall())
        return {run: bool(ended) for run, ended in rows}

    # ---- the uplink's side ----

    def acknowledge(self, seq: int) -> None:
        """The controller holds every event up to ``seq``: forget them."""
        self._jobs.put(seq)

    async def read(self, after: int, *, most_bytes: int = 1 << 20) -> list[tuple[int, bytes]]:
        """The next events after a number, as messages ready to send; at least one if there is one."""

        def fetch(db: sqlite3.Connection) -> list[tuple[int, bytes]]:
            rows: list[tuple[int, bytes]] = []
            total = 0
            for seq, message in db.execute(
                "SELECT seq, message FROM events WHERE seq > ? ORDER BY seq LIMIT 512", (after,)
            ):
                rows.append((seq, message))
                total += len(message)
                if total >= most_bytes:
                    break
            return rows

        found: list[tuple[int, bytes]] = await self._call(fetch)
        return found

    async def wait_beyond(self, seq: int) -> None:
        """Return when an event with a higher number is on disk."""
        while self.newest <= seq:
            await self._change()

    async def resume(self, acked: int) -> None:
        """Agree with the controller about the numbers when a link comes up.

        If the controller remembers more than was ever numbered here, this spool is a new one under an
        old name: what waits is numbered anew behind what the controller has, so that it is not taken
        for a repetition.
        """

        def renumber(db: sqlite3.Connection) -> int:
            (newest,) = db.execute("SELECT seq FROM newest").fetchone()
            if acked <= newest:
                return int(newest)
            rows = db.execute("SELECT run, message FROM events ORDER BY seq").fetchall()
            db.execute("DELETE FROM events")
            seq = acked
            for run, message in rows:
                event = link.decode_from_agent(message)
                assert isinstance(event, link.Event)
                seq += 1
                again = link.Event(seq, event.run, event.time, event.body)
                db.execute("INSERT INTO events VALUES (?, ?, ?)", (seq, run, link.encode(again)))
                if isinstance(event.body, link.End):
                    db.execute("UPDATE runs SET ended = ? WHERE run = ?", (seq, run))
            db.execute("UPDATE newest SET seq = ?", (seq,))
            return seq

        self.newest = await self._call(renumber)
        self.acknowledge(acked)
        self._wake()

    # ---- between loop and thread ----

    def _put(self, run: str, body: link.Body) -> None:
        size = _size(body)
        self._pending_bytes += size
        self._jobs.put((run, time.time(), body, size))

    async def _call(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        if self._thread is None:
            raise SpoolError("the spool is closed")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._jobs.put((work, future))
        return await future

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()

    def _fail(self, sentence: str) -> None:
        self.failed = sentence
        self._wake()
        if self.on_failure is not None:
            self.on_failure(sentence)

    def _written(self, newest: int, stored_bytes: int, size: int) -> None:
        self.newest = newest
        self.stored_bytes = stored_bytes
        self._pending_bytes -= size
        self._disk_problem = None
        self._attempts += 1
        if self.failed is not None and stored_bytes + self._pending_bytes < self.max_bytes * 0.9:
            self.failed = None
        self._wake()

    def _broken(self, problem: str) -> None:
        self._disk_problem = f"the spool {self.path} of this vantage point cannot be written: {problem}"
        self._attempts += 1
        self._wake()
        if self.failed is None:
            self._fail(self._disk_problem)

    def _tell(self, callback: Callable[..., None], *args: Any) -> None:
        # The loop may be gone when the thread drains its queue at the very end.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    # ---- the writer thread ----

    def _connect(self) -> sqlite3.Connection:
        connection = None
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(self.path, timeout=0.5, isolation_level=None, check_same_thread=False)
            # One process owns the file: the lock keeps a second agent out, and the WAL index in heap
            # memory means that a full disk can never become a bus error.
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(_SCHEMA)
            (self.newest,) = connection.execute("SELECT seq FROM newest").fetchone()
            (self.stored_bytes,) = connection.execute("SELECT coalesce(sum(length(message)), 0) FROM events").fetchone()
        except (OSError, sqlite3.Error) as error:
            if connection is not None:
                connection.close()
            why = (
                "another agent has it open"
                if "locked" in str(error)
                else f"{error}. Make it writable, or move it away to start with an empty one"
            )
            raise SpoolError(f"cannot open the spool {self.path}: {why}") from error
        return connection

    def _write_all(self, db: sqlite3.Connection) -> None:
        newest, stored = self.newest, self.stored_bytes
        waiting: list[_Append] = []
        acked = forgotten = 0
        stopping = False
        while not stopping:
            calls: list[_Call] = []
            for job in self._take(RETRY_S if waiting or acked > forgotten else None):
                if job is None:
                    stopping = True
                elif isinstance(job, int):
                    acked = max(acked, job)
                elif len(job) == 2:
                    calls.append(job)
                else:
                    waiting.append(job)
            size = sum(entry[3] for entry in waiting)
            try:
                if waiting or acked > forgotten:
                    newest, stored = _commit(db, waiting, acked, stored)
                    waiting.clear()
                    forgotten = acked
                    self._tell(self._written, newest, stored, size)
            except sqlite3.Error as error:
                _rollback(db)
                self._tell(self._broken, str(error))
            for work, future in calls:
                self._answer(db, work, future)
        db.close()

    def _take(self, timeout_s: float | None) -> list[_Append | _Call | int | None]:
        """Everything that has gathered, and at least one job unless the time runs out."""
        jobs: list[_Append | _Call | int | None] = []
        with contextlib.suppress(queue.Empty):
            jobs.append(self._jobs.get(timeout=timeout_s))
            while len(jobs) < 4096:
                jobs.append(self._jobs.get_nowait())
        return jobs

    def _answer(
        self, db: sqlite3.Connection, work: Callable[[sqlite3.Connection], Any], future: "asyncio.Future[Any]"
    ) -> None:
        try:
            db.execute("BEGIN")
            result = work(db)
            db.execute("COMMIT")
        except sqlite3.Error as error:
            _rollback(db)
            self._tell(_settle, future, None, SpoolError(f"the spool {self.path} cannot be read: {error}"))
        else:
            self._tell(_settle, future, result, None)


def _commit(db: sqlite3.Connection, waiting: list[_Append], acked: int, stored: int) -> tuple[int, int]:
    db.execute("BEGIN IMMEDIATE")
    (gone,) = db.execute("SELECT coalesce(sum(length(message)), 0) FROM events WHERE seq <= ?", (acked,)).fetchone()
    db.execute("DELETE FROM events WHERE seq <= ?", (acked,))
    db.execute("DELETE FROM runs WHERE ended <= ?", (acked,))
    stored -= gone
    (seq,) = db.execute("SELECT seq FROM newest").fetchone()
    for run, when, body, _ in waiting:
        seq += 1
        message = _encode(seq, run, when, body)
        db.execute("INSERT INTO events VALUES (?, ?, ?)", (seq, run, message))
        db.execute("INSERT OR IGNORE INTO runs VALUES (?, NULL)", (run,))
        if isinstance(body, link.End):
            db.execute("UPDATE runs SET ended = ? WHERE run = ?", (seq, run))
        stored += len(message)
    if waiting:
        db.execute("UPDATE newest SET seq = ?", (seq,))
    db.execute("COMMIT")
    if gone and not stored:
        # Give the room of a long outage back to the file system.
        with contextlib.suppress(sqlite3.Error):
            db.execute("PRAGMA incremental_vacuum").fetchall()
    return seq, stored


def _encode(seq: int, run: str, when: float, body: link.Body) -> bytes:
    """The message, or a note in its place: nothing that a run says may stop the spool."""
    try:
        message = link.encode(link.Event(seq, run, when, body))
        if isinstance(body, link.End | link.Clamped):
            # The bodies with fields of many shapes: what the controller could not read would block the link.
            link.decode_from_agent(message)
        if len(message) <= link.LIMIT_BYTES:
            return message
        problem = f"is too large to be delivered: {len(message)} bytes, the limit is {link.LIMIT_BYTES}"
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        problem = f"cannot be delivered: {error}"
    note = link.Note(f"a piece of {type(body).__name__.lower()} {problem}")
    if isinstance(body, link.End):
        return link.encode(link.Event(seq, run, when, link.End(outcome=body.outcome, reason=note.text)))
    return link.encode(link.Event(seq, run, when, note))


def _rollback(db: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute("ROLLBACK")
    with contextlib.suppress(sqlite3.Error):
        # The log may hold room that deletions could use.
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _settle(future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if not future.done():
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


def _size(body: link.Body) -> int:
    """About what the event takes on disk, without encoding it twice."""
    match body:
        case link.Measurement() | link.Artifact():
            return len(body.data) + 256
        case link.Result():
            return len(body.json) + 256
        case link.Output():
            return len(body.text) + 256
        case _:
            return 1024
