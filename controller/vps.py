"""``/v1/vp``: the WebSocket on which a vantage point calls.

Theory of operation
-------------------
A token opens the door; `Hello` is answered by `Welcome` with the number of the last event on disk. Then
three tasks share the link: one reads events into a batch of bounded size (when it is full nothing more is
read, and TCP holds the sender back), one writes batches to the database and acknowledges a batch only
after its commit, one sends what goes down. Whichever ends first ends the link.

A vantage point that breaks the format or the numbering is disconnected with close code 1008 and a
sentence; one that cannot be stored is disconnected with 1013 and keeps its events. It may only write to
runs that it was given: other events are acknowledged and dropped, with a line in the log.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import structlog
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from onvp.controller import auth, messages
from onvp.controller.errors import PeerError, StorageError, UnauthorizedError
from onvp.sandbox.wire import link
from onvp.sandbox.wire.errors import WireError

if TYPE_CHECKING:
    from onvp.controller.app import Controller

GREETING_S = 20.0
BATCH_BYTES = 8 << 20
HELLO_BYTES = 256 << 10
YEAR_9999_S = 253_402_300_800

CLOSE_REFUSED = 1008
CLOSE_LATER = 1013
CLOSE_REPLACED = 4001

_DONE = messages.announce("done")
_log = structlog.get_logger("onvp.vps")


class Link:
    """One connected vantage point."""

    def __init__(self, controller: "Controller", socket: WebSocket, name: str, acked: int, token: bytes) -> None:
        self.name = name
        self.token = token
        self._controller = controller
        self._socket = socket
        self._acked = acked
        self._last: int | None = None
        self._batch: list[link.Event] = []
        self._batch_bytes = 0
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        self._down: asyncio.Queue[link.FromController] = asyncio.Queue()
        self._ending = asyncio.Event()
        self._ending_as = (CLOSE_LATER, "")

    def send(self, message: link.FromController) -> None:
        """Queue a message to the vantage point."""
        self._down.put_nowait(message)

    def end(self, code: int, reason: str) -> None:
        """Close the link from outside."""
        self._ending_as = (code, reason)
        self._ending.set()

    async def serve(self) -> None:
        """Talk until either side ends it."""
        code, reason = 1000, ""
        try:
            await self._greet()
            await _first(self._read(), self._write(), self._send(), self._wait_for_end())
            code, reason = self._ending_as
        except WebSocketDisconnect as gone:
            _log.info("vp-gone", vp=self.name, code=gone.code, reason=gone.reason)
            return
        except (WireError, PeerError) as error:
            code, reason = CLOSE_REFUSED, str(error)
            _log.warning("vp-refused", vp=self.name, why=reason)
        except StorageError as error:
            code, reason = CLOSE_LATER, error.message
            _log.error("vp-not-stored", vp=self.name, why=reason)
        finally:
            self._controller.unlink(self)
        await close(self._socket, code, reason)

    async def _greet(self) -> None:
        try:
            async with asyncio.timeout(GREETING_S):
                hello, size = await self._receive()
        except TimeoutError as error:
            raise PeerError(f"no greeting within {GREETING_S:g} s") from error
        if not isinstance(hello, link.Hello):
            raise PeerError(f"the first message was {type(hello).__name__}, not Hello")
        if size > HELLO_BYTES:
            raise PeerError(f"a greeting of {size} bytes; the limit is {HELLO_BYTES}")
        if hello.protocol != link.PROTOCOL:
            raise PeerError(f"the agent speaks version {hello.protocol} of the link, this controller {link.PROTOCOL}")
        hello = messages.named(hello, self.name)
        now = time.time()
        await self._controller.database.write(lambda store: store.greet_vp(self.name, link.encode(hello), now))
        self.send(link.Welcome(link.PROTOCOL, self.name, self._acked))
        await self._controller.linked(self, hello, self._acked)
        _log.info("vp-linked", vp=self.name, acked=self._acked, last_seq=hello.last_seq, level=hello.level)

    async def _read(self) -> None:
        while True:
            message, size = await self._receive()
            match message:
                case link.Event():
                    self._check(message)
                    self._batch.append(message)
                    self._batch_bytes += size
                    self._arrived.set()
                    while self._batch_bytes > BATCH_BYTES:
                        self._taken.clear()
                        await self._taken.wait()
                case link.Status():
                    self._controller.fleet.changed(self.name, message)
                case _:
                    raise PeerError(f"{type(message).__name__} in the middle of a link")

    def _check(self, event: link.Event) -> None:
        """Refuse what no agent sends; everything else can be stored."""
        seq = event.seq
        if not 0 < seq < 1 << 62 or not 0 <= event.time < YEAR_9999_S or len(event.run) > 100:
            raise PeerError("an event with an impossible number, time or run")
        if self._last is None:
            if seq > self._acked + 1:
                # The controller came back from a backup that is older than its last acknowledgement.
                _log.error("events-missing", vp=self.name, first=self._acked + 1, last=seq - 1)
        elif seq != self._last + 1:
            raise PeerError(f"event {seq} came after event {self._last}: numbers have no gaps")
        self._last = seq

    async def _write(self) -> None:
        controller = self._controller
        most = controller.settings.most_run_bytes
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            batch, self._batch, self._batch_bytes = self._batch, [], 0
            self._taken.set()
            now = time.time()
            stored = await controller.database.write(
                lambda store, batch=batch, now=now: store.append(self.name, batch, now, most, _DONE)  # type: ignore[misc]
            )
            if len(stored) < len(batch):
                _log.warning("events-dropped", vp=self.name, events=len(batch) - len(stored))
            self.send(link.Ack(batch[-1].seq))
            await controller.stored(self.name, stored, batch[-1].seq)

    async def _send(self) -> None:
        while True:
            await self._socket.send_bytes(link.encode(await self._down.get()))

    async def _wait_for_end(self) -> None:
        await self._ending.wait()

    async def _receive(self) -> tuple[link.FromAgent, int]:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1005), received.get("reason"))
        data = received.get("bytes")
        if data is None:
            raise WireError("text on a binary link")
        return link.decode_from_agent(data), len(data)


async def serve(socket: WebSocket) -> None:
    """The endpoint."""
    controller: Controller = socket.app.state.controller
    secret = auth.bearer(socket.headers.get("authorization"))
    token = auth.digest(secret or "")
    found = await controller.database.read(lambda store: store.vp_by_token(token))
    if found is None:
        where = socket.client.host if socket.client else "?"
        _log.warning("vp-unauthorized", address=where, with_token=secret is not None)
        error = UnauthorizedError(
            "this token opens no vantage point's link",
            "Enrol the vantage point again with a line from `onvp controller enrol`.",
        )
        await socket.send_denial_response(JSONResponse(error.body(), error.status))
        return
    await socket.accept()
    await Link(controller, socket, *found, token).serve()


async def close(socket: WebSocket, code: int, reason: str) -> None:
    """Close, with a reason cut to what a close frame holds (RFC 6455 §5.5: 125 bytes with the code)."""
    if socket.client_state is WebSocketState.CONNECTED:
        cut = reason.encode()[:120].decode("utf-8", "ignore")
        try:
            await socket.close(code, cut)
        except (RuntimeError, WebSocketDisconnect):
            return  # it was faster


async def _first(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run all; when one ends, end the others, and raise what it raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()
