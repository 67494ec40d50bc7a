"""The only SQL: every question that the controller asks its database, and every change that it makes.

`Store` wraps one SQLite connection and knows neither threads nor the network; `database` decides who
may call it when. A method that changes something expects to be inside a transaction of its caller's.

Theory of operation
-------------------
``events`` is append-only and the only copy of what a run left; output, results, measurements and
artifacts are read out of it. So an event, the vantage point's ``acked`` number and the state of the run
change in one transaction, and no file can disagree with the database after a crash.

A placement (one run on one vantage point) is alive while its ``outcome`` is NULL. The vantage point's
own `End` is final. An outcome that the controller gave in its absence (lost, cancelled before delivery) is
not: if events arrive after all, the placement comes to life again.
"""

import sqlite3
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from onvp.controller.auth import User
from onvp.controller.errors import EnrolmentError, NameTakenError, NotFoundError
from onvp.sandbox.wire import link
from onvp.sandbox.wire.errors import Outcome

COUNTED = ("output", "result", "measurement", "artifact", "refusal", "clamped", "note")
"""What counts against the limit of a run; how it went (states and its end) is always kept."""

LONGEST_NAME = 1000
_SCHEMAS = ("0001.sql",)
_PIECES_BYTES = 1 << 20


class NewRun(NamedTuple):
    """A run as it is stored. ``args``, ``limits`` and ``inputs`` are encoded by `messages`."""

    id: str
    user: str
    role: str
    filename: str
    sha256: str
    args: bytes
    limits: bytes
    submitted: float
    source: bytes
    inputs: bytes


class RunRow(NamedTuple):
    """A run without its bulk."""

    id: str
    user: str
    role: str
    filename: str
    sha256: str
    args: bytes
    limits: bytes
    submitted: float
    ended: float | None
    cancelled_by: str | None


class PlacementRow(NamedTuple):
    """A run on one vantage point."""

    run: str
    vp: str
    state: str
    outcome: str | None
    started: float | None
    ended: float | None
    bytes: int
    dropped: int
    results: int
    refused: int


class VpRow(NamedTuple):
    """An enrolled vantage point."""

    name: str
    enrolled: float
    acked: int
    hello: bytes | None
    seen: float | None


class EventRow(NamedTuple):
    """An event; ``body`` is empty for measurements and artifacts."""

    id: int
    run: str
    vp: str
    time: float
    type: str
    part: str
    size: int
    body: bytes


class FileRow(NamedTuple):
    """What one kind of event adds up to: ``part`` tells files of the same kind apart."""

    type: str
    part: str
    pieces: int
    bytes: int


class Store:
    """One connection to the database."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA foreign_keys=ON")
        if read_only:
            self._db.execute("PRAGMA query_only=ON")
        else:
            self._db.execute("PRAGMA journal_mode=WAL")
            # An acknowledgement is a promise: the commit behind it must survive a power cut.
            self._db.execute("PRAGMA synchronous=FULL")
            self._migrate()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _migrate(self) -> None:
        self.begin()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        for number, name in enumerate(_SCHEMAS, start=1):
            if number > version:
                text = files("onvp.controller.schema").joinpath(name).read_text("utf-8")
                for statement in _statements(text):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={number}")
        self.commit()

    # ---- transactions ----

    def begin(self) -> None:
        """Start a transaction that will write."""
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make everything since `begin` durable."""
        self._db.execute("COMMIT")

    def rollback(self) -> None:
        """Undo everything since `begin`."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def mark(self) -> None:
        """A point inside a transaction to which `undo` goes back."""
        self._db.execute("SAVEPOINT one")

    def keep(self) -> None:
        """Forget the last `mark`, keep what came after it."""
        self._db.execute("RELEASE one")

    def undo(self) -> bool:
        """Go back to the last `mark`; False if SQLite has given up the whole transaction."""
        if not self._db.in_transaction:
            return False
        self._db.execute("ROLLBACK TO one")
        self._db.execute("RELEASE one")
        return True

    def size_bytes(self) -> int:
        """How large the database is."""
        (pages,) = self._db.execute("PRAGMA page_count").fetchone()
        (page_bytes,) = self._db.execute("PRAGMA page_size").fetchone()
        return int(pages * page_bytes)

    # ---- researchers ----

    def add_user(self, name: str, role: str, now: float) -> None:
        """Add a researcher.

        Raises:
            NameTakenError: there is one of this name.
        """
        try:
            self._db.execute("INSERT INTO users VALUES (?, ?, ?)", (name, role, now))
        except sqlite3.IntegrityError as error:
            raise NameTakenError(
                f"there is a user {name!r} already", "Choose another name, or make a token for the old one."
            ) from error

    def remove_user(self, name: str) -> None:
        """Take a researcher's access away; the runs stay.

        Raises:
            NotFoundError: no such user.
        """
        if not self._db.execute("DELETE FROM users WHERE name = ?", (name,)).rowcount:
            raise NotFoundError(f"there is no user {name!r}", "See `onvp controller users`.")

    def users(self) -> list[tuple[str, str, float, int]]:
        """Name, role, time of creation and number of tokens of each user."""
        return self._db.execute(
            "SELECT name, role, created, (SELECT count(*) FROM user_tokens WHERE user = name) FROM users ORDER BY name"
        ).fetchall()

    def add_user_token(self, user: str, token: bytes, now: float, *, revoke: bool = False) -> None:
        """Give a user one more token, or one in place of all others.

        Raises:
            NotFoundError: no such user.
        """
        if self._db.execute("SELECT 1 FROM users WHERE name = ?", (user,)).fetchone() is None:
            raise NotFoundError(f"there is no user {user!r}", "See `onvp controller users`.")
        if revoke:
            self._db.execute("DELETE FROM user_tokens WHERE user = ?", (user,))
        self._db.execute("INSERT INTO user_tokens VALUES (?, ?, ?)", (token, user, now))

    def user_by_token(self, token: bytes) -> User | None:
        """Whose token this is."""
        row = self._db.execute(
            "SELECT name, role FROM user_tokens JOIN users ON name = user WHERE hash = ?", (token,)
        ).fetchone()
        return None if row is None else User(*row)

    # ---- vantage points ----

    def add_enrolment(self, token: bytes, vp: str | None, expires: float) -> None:
        """Allow one vantage point to enrol."""
        self._db.execute("INSERT INTO enrolments VALUES (?, ?, ?, NULL)", (token, vp, expires))

    def enrol(self, secret: bytes, name: str, token: bytes, now: float) -> None:
        """Use up a one-time secret: from now on ``token`` is the vantage point's.

        A name that exists is given away only by a secret that was made for this very name.

        Raises:
            EnrolmentError: the secret is unknown, used, expired, or for another name.
            NameTakenError: the name exists.
        """
        row = self._db.execute("SELECT vp, expires, used FROM enrolments WHERE hash = ?", (secret,)).fetchone()
        hint = "Ask the operator for a new line from `onvp controller enrol`."
        if row is None:
            raise EnrolmentError("this enrolment secret is unknown", hint)
        pinned, expires, used = row
        if used is not None:
            raise EnrolmentError("this enrolment secret has been used", hint)
        if expires < now:
            raise EnrolmentError("this enrolment secret has expired", hint)
        if pinned is not None and pinned != name:
            raise EnrolmentError(f"this enrolment secret is for {pinned!r}, not for {name!r}", hint)
        known = self._db.execute("SELECT 1 FROM vps WHERE name = ?", (name,)).fetchone() is not None
        if known and pinned is None:
            raise NameTakenError(
                f"there is a vantage point {name!r} already",
                f"To replace it, use a line from `onvp controller enrol --name {name}`.",
            )
        self._db.execute("UPDATE enrolments SET used = ? WHERE hash = ?", (now, secret))
        self._db.execute(
            "INSERT INTO vps (name, token, enrolled) VALUES (?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET token = excluded.token, enrolled = excluded.enrolled",
            (name, token, now),
        )

    def remove_vp(self, name: str) -> None:
        """Forget a vantage point; what it delivered stays.

        Raises:
            NotFoundError: no such vantage point.
        """
        if not self._db.execute("DELETE FROM vps WHERE name = ?", (name,)).rowcount:
            raise NotFoundError(f"there is no vantage point {name!r}", "See `onvp controller vps`.")

    def vp_by_token(self, token: bytes) -> tuple[str, int] | None:
        """Name and last event of the vantage point whose token this is."""
        row = self._db.execute("SELECT name, acked FROM vps WHERE token = ?", (token,)).fetchone()
        return None if row is None else (row[0], row[1])

    def vp_tokens(self) -> dict[str, bytes]:
        """The hash of each vantage point's token."""
        return dict(self._db.execute("SELECT name, token FROM vps"))

    def vps(self) -> list[VpRow]:
        """Every enrolled vantage point."""
        rows = self._db.execute("SELECT name, enrolled, acked, hello, seen FROM vps ORDER BY name")
        return [VpRow(*row) for row in rows]

    def greet_vp(self, name: str, hello: bytes, now: float) -> None:
        """Remember what a vantage point said about itself."""
        self._db.execute("UPDATE vps SET hello = ?, seen = ? WHERE name = ?", (hello, now, name))

    # ---- runs ----

    def add_run(self, run: NewRun, vps: list[str], announcement: bytes) -> None:
        """Store a run, its placements and its first event."""
        self._db.execute(
            "INSERT INTO runs (id, user, role, filename, sha256, args, limits, submitted, source, inputs)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            run,
        )
        self._db.executemany(
            "INSERT INTO placements (run, vp, state) VALUES (?, ?, 'offered')", [(run.id, vp) for vp in vps]
        )
        self._insert(run.id, "", None, run.submitted, "run", announcement)

    def run(self, run: str) -> RunRow | None:
        """A run, by its id."""
        row = self._db.execute("SELECT * FROM run_heads WHERE id = ?", (run,)).fetchone()
        return None if row is None else RunRow(*row)

    def source(self, run: str) -> tuple[bytes, bytes]:
        """A run's script and its encoded inputs."""
        source, inputs = self._db.execute("SELECT source, inputs FROM runs WHERE id = ?", (run,)).fetchone()
        return source, inputs

    def runs(self, user: str | None, limit: int) -> list[RunRow]:
        """The newest runs first, of one user or of all."""
        rows = self._db.execute(
            "SELECT * FROM run_heads WHERE ?1 IS NULL OR user = ?1 ORDER BY submitted DESC, id DESC LIMIT ?2",
            (user, limit),
        )
        return [RunRow(*row) for row in rows]

    def placements(self, run: str) -> list[PlacementRow]:
        """Where a run went."""
        rows = self._db.execute("SELECT * FROM placements WHERE run = ? ORDER BY vp", (run,))
        return [PlacementRow(*row) for row in rows]

    def alive(self) -> list[tuple[str, str, str, str | None]]:
        """Run, vantage point, state and canceller of every placement that has not ended."""
        return self._db.execute(
            "SELECT run, vp, state, cancelled_by FROM placements JOIN runs ON id = run WHERE outcome IS NULL"
        ).fetchall()

    def cancel(self, run: str, by: str, now: float, announcement: bytes) -> None:
        """Remember who wants a run stopped."""
        self._db.execute("UPDATE runs SET cancelled_by = coalesce(cancelled_by, ?) WHERE id = ?", (by, run))
        self._insert(run, "", None, now, "run", announcement)

    # ---- events ----

    def append(self, vp: str, events: list[link.Event], now: float, most_bytes: int, done: bytes) -> list[link.Event]:
        """Store a vantage point's events and move its ``acked`` number.

        Args:
            vp: whose they are.
            events: in order; those that are stored already are skipped.
            now: the time.
            most_bytes: bulk of one placement beyond this is dropped, with a note.
            done: the body of the event that tells that a run has ended everywhere.

        Returns:
            The events that were new and belong to a run that was given to this vantage point.
        """
        row = self._db.execute("SELECT acked FROM vps WHERE name = ?", (vp,)).fetchone()
        acked = 0 if row is None else row[0]
        stored: list[link.Event] = []
        for event in events:
            if event.seq > acked:
                acked = event.seq
                if self._append_one(vp, event, now, most_bytes, done):
                    stored.append(event)
        self._db.execute("UPDATE vps SET acked = ?, seen = ? WHERE name = ?", (acked, now, vp))
        return stored

    def _append_one(self, vp: str, event: link.Event, now: float, most_bytes: int, done: bytes) -> bool:
        row = self._db.execute("SELECT * FROM placements WHERE run = ? AND vp = ?", (event.run, vp)).fetchone()
        if row is None:
            return False
        placement = PlacementRow(*row)
        if placement.state == "ended":
            return False
        where = (event.run, vp)
        if placement.outcome is not None:
            self._db.execute("UPDATE placements SET outcome = NULL, ended = NULL WHERE run = ? AND vp = ?", where)
            self._db.execute("UPDATE runs SET ended = NULL WHERE id = ?", (event.run,))
        kind, part, fresh, size = describe(event.body)
        if kind in COUNTED:
            if placement.bytes + size > most_bytes or len(part) > LONGEST_NAME:
                self._db.execute("UPDATE placements SET dropped = dropped + 1 WHERE run = ? AND vp = ?", where)
                if placement.dropped == 0:
                    note = f"the controller keeps at most {most_bytes >> 20} MiB of a run; the rest is dropped"
                    self._insert(*where, event.seq, event.time, "note", link.encode(link.Note(note)))
                return True
            self._db.execute("UPDATE placements SET bytes = bytes + ? WHERE run = ? AND vp = ?", (size, *where))
        self._insert(*where, event.seq, event.time, kind, link.encode(event.body), part=part, fresh=fresh, size=size)
        match event.body:
            case link.State(state):
                self._db.execute(
                    "UPDATE placements SET state = ?, started = coalesce(started, ?) WHERE run = ? AND vp = ?",
                    ("running" if state == "ended" else state, event.time, *where),
                )
            case link.Result():
                self._db.execute("UPDATE placements SET results = results + 1 WHERE run = ? AND vp = ?", where)
            case link.Refusal():
                self._db.execute("UPDATE placements SET refused = refused + 1 WHERE run = ? AND vp = ?", where)
            case link.End(outcome):
                self._db.execute("UPDATE placements SET state = 'ended' WHERE run = ? AND vp = ?", where)
                self._end(*where, outcome, event.time, now, done)
        return True

    def end_for(self, run: str, vp: str, end: link.End, now: float, done: bytes) -> bool:
        """Give a placement an outcome in its vantage point's absence; False if it has one."""
        row = self._db.execute("SELECT outcome FROM placements WHERE run = ? AND vp = ?", (run, vp)).fetchone()
        if row is None or row[0] is not None:
            return False
        self._insert(run, vp, None, now, "end", link.encode(end))
        self._end(run, vp, end.outcome, now, now, done)
        return True

    def _end(self, run: str, vp: str, outcome: str, when: float, now: float, done: bytes) -> None:
        if outcome not in set(Outcome):
            outcome = Outcome.FAILED
        self._db.execute(
            "UPDATE placements SET outcome = ?, ended = ? WHERE run = ? AND vp = ?", (outcome, when, run, vp)
        )
        alive = self._db.execute(
            "SELECT 1 FROM placements WHERE run = ? AND outcome IS NULL LIMIT 1", (run,)
        ).fetchone()
        if alive is None:
            self._db.execute("UPDATE runs SET ended = ? WHERE id = ?", (now, run))
            self._insert(run, "", None, now, "run", done)

    def _insert(
        self,
        run: str,
        vp: str,
        seq: int | None,
        when: float,
        kind: str,
        body: bytes,
        *,
        part: str = "",
        fresh: bool = False,
        size: int = 0,
    ) -> None:
        self._db.execute(
            "INSERT INTO events (run, vp, seq, time, type, part, fresh, size, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (run, vp, seq, when, kind, part, fresh, size, body),
        )

    def events(self, run: str, after: int, limit: int = 500) -> list[EventRow]:
        """A run's next events."""
        rows = self._db.execute(
            "SELECT id, run, vp, time, type, part, size,"
            " CASE WHEN type IN ('measurement', 'artifact') THEN x'' ELSE body END"
            " FROM events WHERE run = ? AND id > ? ORDER BY id LIMIT ?",
            (run, after, limit),
        )
        found: list[EventRow] = []
        total = 0
        for row in rows:
            found.append(EventRow(*row))
            total += len(found[-1].body)
            if total > _PIECES_BYTES:
                break
        return found

    def last_end(self, run: str, vp: str) -> bytes | None:
        """The body of the newest `End` of a placement."""
        row = self._db.execute(
            "SELECT body FROM events WHERE run = ? AND vp = ? AND type = 'end' AND part = '' ORDER BY id DESC LIMIT 1",
            (run, vp),
        ).fetchone()
        return None if row is None else row[0]

    def files(self, run: str, vp: str) -> list[FileRow]:
        """What output, results, measurements and artifacts add up to."""
        rows = self._db.execute(
            "WITH starts AS (SELECT part, max(id) AS start FROM events"
            "                WHERE run = ?1 AND vp = ?2 AND type = 'artifact' AND fresh = 1 GROUP BY part)"
            " SELECT type, part, count(*), sum(size) FROM events LEFT JOIN starts USING (part)"
            " WHERE run = ?1 AND vp = ?2 AND type IN ('output', 'result', 'measurement', 'artifact')"
            " AND (type != 'artifact' OR id >= coalesce(start, 0))"
            " GROUP BY type, part ORDER BY type, part",
            (run, vp),
        )
        return [FileRow(*row) for row in rows]

    def pieces(self, run: str, vp: str, kind: str, part: str, after: int) -> tuple[int, list[bytes]]:
        """The next bodies of a file, about a MiB of them, and the id after which to go on."""
        if after == 0 and kind == "artifact":
            (start,) = self._db.execute(
                "SELECT coalesce(max(id), 1) FROM events"
                " WHERE run = ? AND vp = ? AND type = ? AND part = ? AND fresh = 1",
                (run, vp, kind, part),
            ).fetchone()
            after = start - 1
        rows: Iterator[tuple[int, bytes]] = self._db.execute(
            "SELECT id, body FROM events WHERE run = ? AND vp = ? AND type = ? AND part = ? AND id > ? ORDER BY id",
            (run, vp, kind, part, after),
        )
        bodies: list[bytes] = []
        total = 0
        last = after
        for number, body in rows:
            last = number
            bodies.append(body)
            total += len(body)
            if total >= _PIECES_BYTES:
                break
        return last, bodies


def describe(body: link.Body) -> tuple[str, str, bool, int]:
    """An event's type, the part of a file it belongs to, whether it starts that anew, its size in bytes."""
    kind: Any = type(body).__struct_config__.tag
    match body:
        case link.Measurement(connection, data):
            return kind, str(connection), False, len(data)
        case link.Artifact(name, data, _, truncate):
            return kind, name, truncate, len(data)
        case link.Output(text):
            return kind, "", False, len(text.encode())
        case link.Result(json):
            return kind, "", False, len(json)
        case _:
            return kind, "", False, len(link.encode(body))


def _statements(text: str) -> Iterator[str]:
    """The statements of a schema file; comments hold no semicolons at a line's end."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    for statement in "\n".join(lines).split(";"):
        if statement.strip():
            yield statement
