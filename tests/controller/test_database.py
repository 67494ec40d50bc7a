"""One writer, several readers: what succeeded is durable, what failed is undone alone."""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from onvp.controller.database import Database
from onvp.controller.errors import NameTakenError, NotFoundError, StorageError
from onvp.controller.store import Store

Test = Callable[[Database], Awaitable[None]]


def with_database(path: Path, test: Test, **options: int) -> None:
    """Run a test with an open database."""

    async def go() -> None:
        database = Database(path / "d.db", **options)
        await database.open()
        try:
            await test(database)
        finally:
            await database.close()

    asyncio.run(go())


def add(name: str) -> Callable[[Store], None]:
    """A change."""
    return lambda store: store.add_user(name, "researcher", time.time())


def names(path: Path) -> list[str]:
    """What a new connection sees."""
    store = Store(path / "d.db", read_only=True)
    found = [name for name, *_ in store.users()]
    store.close()
    return found


def test_a_failed_change_does_not_take_others_with_it(tmp_path: Path) -> None:
    """Of many changes made at once, those that fail raise to their callers and the others are durable."""

    def broken(store: Store) -> None:
        add("half")(store)
        raise ZeroDivisionError

    async def test(database: Database) -> None:
        changes = [add("a"), add("b"), add("a"), broken, add("c"), lambda store: store.remove_user("nobody")]
        outcomes = await asyncio.gather(*map(database.write, changes), return_exceptions=True)
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [type(None), type(None), NameTakenError, ZeroDivisionError, type(None), NotFoundError]
        assert names(tmp_path) == ["a", "b", "c"]

    with_database(tmp_path, test)


def test_what_write_returned_for_is_visible(tmp_path: Path) -> None:
    """A read sees every change that was confirmed before it."""

    async def test(database: Database) -> None:
        for number in range(30):
            await database.write(add(f"u{number:02}"))
            found = await database.read(lambda store: store.users())
            assert len(found) == number + 1

    with_database(tmp_path, test)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"most_bytes": 1}, "reached its limit", id="size limit"),
        pytest.param({"least_free_bytes": 1 << 60}, "disk is full", id="reserve"),
    ],
)
def test_no_room(tmp_path: Path, options: dict[str, int], words: str) -> None:
    """Without room a change is refused with a sentence, and reading goes on."""

    async def test(database: Database) -> None:
        with pytest.raises(StorageError, match=words):
            await database.write(add("a"))
        assert await database.read(lambda store: store.users()) == []

    with_database(tmp_path, test, **options)


def test_sqlite_out_of_room(tmp_path: Path) -> None:
    """If SQLite itself runs out of room, nobody in the transaction is told that it succeeded; room heals it."""

    def limit(pages: int) -> Callable[[Store], None]:
        return lambda store: store._db.execute(f"PRAGMA max_page_count={pages}").fetchall() and None  # type: ignore[func-returns-value]

    async def test(database: Database) -> None:
        await database.write(add("a"))
        await database.write(limit(1))  # SQLite takes the present size instead
        grow = [add(f"u{number}" + "x" * 3000) for number in range(50)]
        outcomes = await asyncio.gather(*map(database.write, grow), return_exceptions=True)
        kept = names(tmp_path)
        assert any(isinstance(outcome, StorageError) for outcome in outcomes)
        for number, outcome in enumerate(outcomes):
            assert (outcome is None) is (f"u{number}" + "x" * 3000 in kept)
        await database.write(limit(1 << 20))
        await database.write(add("z"))
        assert "z" in names(tmp_path)

    with_database(tmp_path, test)


def test_another_process_can_write_between(tmp_path: Path) -> None:
    """The operator's commands write to the same file while the controller runs."""

    async def test(database: Database) -> None:
        other = Store(tmp_path / "d.db")
        other.begin()
        waiting = asyncio.create_task(database.write(add("b")))
        other.add_user("a", "operator", 0.0)
        other.commit()
        other.close()
        await waiting
        assert names(tmp_path) == ["a", "b"]

    with_database(tmp_path, test)


def test_commits_are_synchronous(tmp_path: Path) -> None:
    """The connection that writes waits for the disk at each commit (synchronous=FULL in WAL mode)."""
    store = Store(tmp_path / "d.db")

    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    """A connection for reading refuses changes."""
    Store(tmp_path / "d.db").close()
    reader = Store(tmp_path / "d.db", read_only=True)

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.add_user("a", "researcher", 0.0)
    reader.close()


def test_after_the_end(tmp_path: Path) -> None:
    """A change asked for after the close is refused, not lost in silence."""

    async def go() -> None:
        database = Database(tmp_path / "d.db")
        await database.open()
        await database.close()
        with pytest.raises(StorageError, match="stopping"):
            await database.write(add("a"))

    asyncio.run(go())
