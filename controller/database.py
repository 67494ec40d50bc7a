"""One thread writes, a few threads read; the event loop waits for neither.

Theory of operation
-------------------
The writer takes every change that has gathered and makes one transaction of them, so that many vantage
points share one fsync. Each change stands behind a savepoint: one that fails is undone alone and its
caller gets the exception. Callers hear of success only after the commit, therefore whatever was
acknowledged survives ``kill -9`` and a power cut.

When the disk is full, or about to be, or the database has reached its configured size, every change fails
with `StorageError`; nothing is acknowledged that is not on disk, and reading goes on.
"""

import asyncio
import contextlib
import queue
import shutil
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from onvp.controller.errors import ControllerError, StorageError
from onvp.controller.store import Store

T = TypeVar("T")

_READERS = 3
_BATCH = 256

_Job = tuple[Callable[[Store], Any], "asyncio.Future[Any]"]


class Database:
    """The database file, from the event loop.

    Args:
        path: the file; it is made if it does not exist.
        most_bytes: its largest size, 0 for no limit.
        least_free_bytes: what the file system must have left for a change to be taken.
    """

    def __init__(self, path: Path, *, most_bytes: int = 0, least_free_bytes: int = 0) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._least_free_bytes = least_free_bytes
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="reader")
        self._local = threading.local()
        self._stores: list[Store] = []
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop

    async def open(self) -> None:
        """Open or make the file and start the writer."""
        self._loop = asyncio.get_running_loop()
        store = await asyncio.to_thread(Store, self.path)
        self._thread = threading.Thread(target=self._write_all, args=(store,), name="writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Finish what was asked for, then close every connection."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)
        self._readers.shutdown()
        for store in self._stores:
            store.close()

    async def write(self, change: Callable[[Store], T]) -> T:
        """Make a change; returns when it is durable.

        Raises:
            StorageError: it is not; the disk is full or broken.
            ControllerError: what the change itself raises.
        """
        if self._thread is None:
            raise StorageError("the controller is stopping", "Try again in a moment.")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((change, future))
        return await future

    async def read(self, question: Callable[[Store], T]) -> T:
        """Ask something; sees everything that `write` returned for."""
        try:
            return await self._loop.run_in_executor(self._readers, self._read, question)
        except sqlite3.Error as error:
            raise StorageError(f"the controller's database cannot be read: {error}") from error

    def _read(self, question: Callable[[Store], T]) -> T:
        store: Store | None = getattr(self._local, "store", None)
        if store is None:
            store = self._local.store = Store(self.path, read_only=True)
            self._stores.append(store)
        return question(store)

    # ---- the writer thread ----

    def _write_all(self, store: Store) -> None:
        stopping = False
        while not stopping:
            jobs: list[_Job] = []
            with contextlib.suppress(queue.Empty):
                job = self._jobs.get()
                while job is not None:
                    jobs.append(job)
                    if len(jobs) == _BATCH:
                        break
                    job = self._jobs.get_nowait()
                stopping = job is None
            if jobs:
                self._write(store, jobs)
        store.close()

    def _write(self, store: Store, jobs: list[_Job]) -> None:
        outcomes: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        try:
            self._check_room(store)
            store.begin()
            for change, future in jobs:
                outcomes.append((future, *_attempt(store, change)))
            store.commit()
        except (sqlite3.Error, OSError, StorageError) as error:
            with contextlib.suppress(sqlite3.Error):
                store.rollback()
            problem = error if isinstance(error, StorageError) else _storage_error(error)
            outcomes = [(future, None, problem) for _, future in jobs]
        with contextlib.suppress(RuntimeError):  # the loop may be gone at the very end
            self._loop.call_soon_threadsafe(_settle, outcomes)

    def _check_room(self, store: Store) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if free < self._least_free_bytes:
            raise StorageError(
                f"the controller's disk is full: {free >> 20} MiB are left, it keeps "
                f"{self._least_free_bytes >> 20} MiB free",
                "Nothing acknowledged is lost. The operator has to make room; vantage points deliver then.",
            )
        if self._most_bytes and store.size_bytes() > self._most_bytes:
            raise StorageError(
                f"the controller's database has reached its limit of {self._most_bytes >> 20} MiB",
                "Nothing acknowledged is lost. The operator has to raise `most_bytes` in controller.toml.",
            )


def _attempt(store: Store, change: Callable[[Store], Any]) -> tuple[Any, BaseException | None]:
    """One change behind a savepoint.

    Raises:
        sqlite3.Error: the whole transaction is lost.
    """
    store.mark()
    try:
        result = change(store)
    except ControllerError as error:
        store.undo()
        return None, error
    except sqlite3.OperationalError:
        # Disk full and I/O errors concern everybody in this transaction.
        raise
    except Exception as error:
        # A bug in one change goes to its caller and must not end the writer.
        if not store.undo():
            raise sqlite3.OperationalError(f"the transaction was lost: {error}") from error
        return None, error
    store.keep()
    return result, None


def _storage_error(error: Exception) -> StorageError:
    return StorageError(
        f"the controller cannot write its database: {error}",
        "Nothing acknowledged is lost. The operator has to look at the disk; vantage points deliver then.",
    )


def _settle(outcomes: list[tuple["asyncio.Future[Any]", Any, BaseException | None]]) -> None:
    for future, result, error in outcomes:
        if future.done():
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
