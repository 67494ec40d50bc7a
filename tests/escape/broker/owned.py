"""A run whose worker is the attacker: the real connection, session, judge and books behind a bare socket."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from onvp.sandbox.broker.serve import Connection, Turns
from onvp.sandbox.broker.session import End, Quota, Session
from onvp.sandbox.wire import calls, frames, link
from tests.broker.parts import OPEN, Books, Instant, frame, ping
from tests.prober.tools import run

JOB = calls.Job(run="owned", filename="s.py", source=b"", args=[], instances=[calls.Instance(name="vp")])
QUOTA = Quota(output_bytes=1 << 20, artifact_bytes=1 << 30, calls=None)


class Owned:
    """One run. Its other end, ``peer``, belongs to the test."""

    def __init__(
        self, books: Books, turns: Turns, name: str, quota: Quota = QUOTA, prober: Callable[..., Any] = Instant
    ) -> None:
        ours, self.peer = socket.socketpair()
        self.peer.setblocking(False)
        self.events: list[link.Body] = []
        self.ended: asyncio.Future[End | None] = asyncio.get_running_loop().create_future()
        self.session = Session(books.judge(name), quota)
        self.connection = Connection(ours, self.session, self.events.append, self.ended.set_result, self._room, turns)
        self.prober = self.connection.prober = prober(self.connection)
        self._deframer = frames.Deframer(limit_bytes=calls.TO_WORKER_LIMIT_BYTES)
        self._arrived: list[calls.ToWorker] = []
        self.connection.start(JOB)

    async def _room(self) -> None:
        """There is always room."""

    async def send(self, *data: bytes) -> bool:
        """Write all of it; False when the broker has hung up."""
        try:
            await asyncio.get_running_loop().sock_sendall(self.peer, b"".join(data))
        except OSError:
            return False
        return True

    async def hear(self) -> calls.ToWorker:
        """The broker's next message."""
        while not self._arrived:
            data = await asyncio.get_running_loop().sock_recv(self.peer, 1 << 20)
            if not data:
                raise EOFError("the broker hung up")
            self._arrived += map(calls.decode_to_worker, self._deframer.feed(data))
        return self._arrived.pop(0)

    async def answer(self, task: int) -> calls.ToWorker:
        """What a task ends with."""
        while True:
            message = await self.hear()
            if getattr(message, "task", None) == task and not isinstance(message, calls.Accepted):
                return message

    async def works(self, task: int) -> None:
        """A ping of this run is still done and answered."""
        await self.send(frame(ping(task, sync=True)))
        assert isinstance(await self.answer(task), calls.Record)

    async def end(self) -> End | None:
        """How the run ended."""
        return await asyncio.shield(self.ended)

    def close(self) -> None:
        self.connection.close()
        self.peer.close()


class Scene:
    """Two runs on one loop: one is owned by the attacker, the other is honest."""

    def __init__(self, folder: Path, text: str = OPEN, quota: Quota = QUOTA, prober: Callable[..., Any] = Instant):
        self._books = Books(folder, text)
        turns = Turns()
        self.owned = Owned(self._books, turns, "owned", quota, prober)
        self.honest = Owned(self._books, turns, "honest")
        self._task = 0

    async def others_work(self) -> None:
        """The honest run on the same loop gets its answers."""
        self._task += 1
        await self.honest.works(self._task)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.others_work()
                assert not self.honest.ended.done()
        finally:
            self.owned.close()
            self.honest.close()
            self._books.close()


def attack(test: Coroutine[Any, Any, None]) -> None:
    """Run an attack to its end."""
    before = descriptors()
    run(test)
    assert descriptors() == before, "descriptors were left open"


def descriptors() -> int:
    """How many descriptors this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def resident_bytes() -> int:
    """How much memory this process has resident (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def raw(value: Any) -> bytes:
    """A frame that holds any msgpack value."""
    return framed(msgspec.msgpack.encode(value))


def framed(body: bytes) -> bytes:
    """A frame that holds any bytes, however many."""
    return len(body).to_bytes(4, "big") + body


async def quiet(owned: Owned) -> None:
    """Return when everything that was sent has been served: a question behind it is answered."""
    await owned.send(frame(calls.AskBudget(seq=999_999)))
    while True:
        with contextlib.suppress(EOFError):
            message = await owned.hear()
            if isinstance(message, calls.Budget) and message.seq == 999_999:
                return
