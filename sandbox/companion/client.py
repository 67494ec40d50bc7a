"""One client of the companion: its session's instructions carried out, its measurements run.

Theory of operation
    Three kinds of coroutine share one `Session`: the reader (this client's lines), the writer (a queue of
    texts and records, sent as fast as the client takes them) and one per measurement. When a measurement
    ends its record is encoded and waits in the queue. The reader pauses while the queue holds more than
    `QUEUE_BYTES` or the session is crowded. Halting cancels the measurement, which then tells what it has.
"""

import asyncio
import sys
from collections import deque
from typing import Final

from onvp.sandbox.companion import session
from onvp.sandbox.companion.measurement import Measurement
from onvp.sandbox.companion.net import now_us, why
from onvp.sandbox.companion.room import Room
from onvp.sandbox.companion.session import Close, Halt, Instruction, Send, SendRecord, Session, Start

QUEUE_BYTES: Final = 4 << 20
_READ_BYTES: Final = 64 << 10
_FLUSH_S: Final = 10
"""How long a client may take for the last bytes that it is sent."""


class Client:
    """A connection and what runs for it."""

    def __init__(self, state: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, room: Room) -> None:
        self._session = state
        self._reader = reader
        self._writer = writer
        self._room = room
        self._queue: deque[Send | SendRecord | Close] = deque()
        self._queued_bytes = 0
        self._changed = asyncio.Event()
        self._stopped = asyncio.Event()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._closing = False

    async def run(self) -> None:
        """Serve until the session ends, or the client closes (then its tasks are dropped)."""
        ways_out = [asyncio.create_task(f()) for f in (self._read, self._write, self._stopped.wait)]
        try:
            done, _ = await asyncio.wait(ways_out, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in ways_out:
                task.cancel()
            await asyncio.gather(*ways_out, return_exceptions=True)

    def stop(self) -> None:
        """Have `run` return: the process ends."""
        self._stopped.set()

    async def close(self) -> None:
        """Drop what still runs and close the connection."""
        self._closing = True
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._room.give(self._queued_bytes)
        if self._stopped.is_set():
            self._writer.transport.abort()
        self._writer.close()
        try:
            async with asyncio.timeout(_FLUSH_S):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    async def _read(self) -> None:
        while data := await self._reader.read(_READ_BYTES):
            for instruction in self._session.receive(data, now_us() // 1_000_000):
                self._carry_out(instruction)
                while self._session.crowded or self._queued_bytes > QUEUE_BYTES:
                    self._changed.clear()
                    await self._changed.wait()
            if self._session.state is session.State.CLOSED:
                await asyncio.Event().wait()  # the writer ends it when all is sent

    def _carry_out(self, instruction: Instruction) -> None:
        if isinstance(instruction, Start):
            number, job = instruction.task, instruction.job
            running = asyncio.create_task(job.run())
            self._running[number] = running
            running.add_done_callback(lambda task: self._ended(number, job, task))
        elif isinstance(instruction, Halt):
            self._running[instruction.task].cancel()
        else:
            self._queue.append(instruction)
            self._queued_bytes += _size(instruction)
            self._room.take(_size(instruction))
            self._changed.set()

    def _ended(self, number: int, job: Measurement, task: asyncio.Task[None]) -> None:
        """Tell how a measurement ended. One measurement's trouble stays its own."""
        del self._running[number]
        record: bytes | None = None
        try:
            if task.cancelled():
                job.halt()
            elif isinstance(error := task.exception(), OSError):
                job.fail(f"this host cannot: {why(error)}")
            elif error is not None:
                complain(f"{job.primitive} failed", error)
                job.fail(f"internal error: {type(error).__name__}")
            if not self._closing:
                record = job.encode()
        except Exception as e:  # noqa: BLE001
            complain(f"{job.primitive} has no record", e)
        finally:
            job.close()
        if not self._closing:
            for instruction in self._session.finished(number, record, now_us() // 1_000_000):
                self._carry_out(instruction)
            self._changed.set()

    async def _write(self) -> None:
        while True:
            while not self._queue:
                self._changed.clear()
                await self._changed.wait()
            item = self._queue.popleft()
            if isinstance(item, Close):
                return
            if isinstance(item, Send):
                self._writer.write(item.data)
            else:
                self._writer.write(session.data_header(item.record, item.task))
                for piece in session.data_body(item.record):
                    self._writer.write(piece)
                    await self._writer.drain()
            await self._writer.drain()
            self._queued_bytes -= _size(item)
            self._room.give(_size(item))
            self._changed.set()


def _size(item: Send | SendRecord | Close) -> int:
    if isinstance(item, Close):
        return 0
    return len(item.data if isinstance(item, Send) else item.record)


def complain(what: str, error: BaseException) -> None:
    """One line about a bug of ours, for whoever reads this process's standard error."""
    print(f"companion: {what}: {error!r}", file=sys.stderr, flush=True)  # noqa: T201
