"""The controller: one process that wires database, fleet, links and routes together.

Theory of operation
-------------------
Facts come in from two sides (researchers through `api`, vantage points through `vps`). Each is first made
durable in the database, then told to `fleet`, whose instructions `Controller.apply` carries out; whoever
follows a run is woken after that. A clock ticks for what time alone brings about. If the process dies at
any point, the database holds a consistent picture, and `Controller.start` rebuilds the rest from it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from onvp.controller import api, fleet, messages, settings, vps
from onvp.controller.database import Database
from onvp.controller.errors import (
    BadRequestError,
    ControllerError,
    InternalError,
    MethodNotAllowedError,
    NotFoundError,
    StorageError,
)
from onvp.sandbox.wire import link
from onvp.sandbox.wire.errors import Code, Outcome

TICK_S = 1.0

_DONE = messages.announce("done")
_log = structlog.get_logger("onvp.controller")


class Notices:
    """Wakes those who follow a run."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self.closed = False

    @contextlib.contextmanager
    def listen(self, run: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something of the run is new on disk."""
        news = asyncio.Event()
        self._listeners.setdefault(run, set()).add(news)
        try:
            yield news
        finally:
            listeners = self._listeners[run]
            listeners.discard(news)
            if not listeners:
                del self._listeners[run]

    def tell(self, run: str) -> None:
        """Something of this run is new."""
        for news in self._listeners.get(run, ()):
            news.set()

    def close(self) -> None:
        """Wake everybody for the last time."""
        self.closed = True
        for run in list(self._listeners):
            self.tell(run)


class Controller:
    """What the routes share.

    Args:
        data: the data folder, made by `settings.initialise`.
        config: its settings.
    """

    def __init__(self, data: Path, config: settings.Settings) -> None:
        self.settings = config
        self.fleet = fleet.Fleet(config.grace_s)
        self.notices = Notices()
        self.database = Database(
            data / settings.DATABASE, most_bytes=config.most_bytes, least_free_bytes=config.least_free_bytes
        )
        self._links: dict[str, vps.Link] = {}
        self._clock: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the database and take up what was going on."""
        await self.database.open()
        alive = await self.database.read(lambda store: store.alive())
        self.fleet.restore(alive, time.monotonic())
        self._clock = asyncio.create_task(self._tick())
        _log.info("controller-started", runs_alive=len({run for run, *_ in alive}))

    async def stop(self) -> None:
        """End the streams and links, then close the database."""
        self.notices.close()
        for each in list(self._links.values()):
            each.end(1001, "the controller stops")
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.wait((self._clock,))
        await self.database.close()

    # ---- facts ----

    async def submitted(self, run: str, names: list[str]) -> None:
        """A run is in the database."""
        await self.apply(self.fleet.submitted(run, names, time.monotonic()))

    async def cancelled(self, run: str, by: str) -> None:
        """The wish to stop a run is in the database."""
        await self.apply(self.fleet.cancelled(run, by))
        self.notices.tell(run)

    async def linked(self, new: vps.Link, hello: link.Hello, acked: int) -> None:
        """A vantage point greeted; an older link of the same one is dead or a mistake."""
        old = self._links.get(new.name)
        self._links[new.name] = new
        if old is not None:
            _log.warning("vp-linked-twice", vp=new.name)
            old.end(vps.CLOSE_REPLACED, "another connection of this vantage point took its place")
        await self.apply(self.fleet.greeted(new.name, hello, acked, time.monotonic()))

    def unlink(self, old: vps.Link) -> None:
        """A link ended."""
        if self._links.get(old.name) is old:
            del self._links[old.name]
            self.fleet.gone(old.name, time.monotonic())

    async def stored(self, vp: str, events: list[link.Event], acked: int) -> None:
        """Events of a vantage point are on disk."""
        now = time.monotonic()
        instructions: list[fleet.Instruction] = []
        for event in events:
            instructions += self.fleet.happened(vp, event.run, event.body, now)
        instructions += self.fleet.acknowledged(vp, acked)
        for run in {event.run for event in events}:
            self.notices.tell(run)
        await self.apply(instructions)

    # ---- instructions ----

    async def apply(self, instructions: list[fleet.Instruction]) -> None:
        """Carry out what the fleet says."""
        for instruction in instructions:
            match instruction:
                case fleet.SendOffer(run, vp):
                    await self._offer(run, vp)
                case fleet.SendCancel(run, vp, by):
                    if vp in self._links:
                        self._links[vp].send(link.Cancel(run, by))
                case fleet.Lost(run, vp, reason):
                    end = link.End(outcome=Outcome.LOST, reason=reason, code=Code.PROBER_LOST)
                    await self._end(run, vp, end)
                case fleet.Abandoned(run, vp, by):
                    reason = f"cancelled by {by} before the vantage point {vp} heard of it"
                    await self._end(run, vp, link.End(outcome=Outcome.CANCELLED, reason=reason))

    async def _offer(self, run: str, vp: str) -> None:
        head = await self.database.read(lambda store: store.run(run))
        source, inputs = await self.database.read(lambda store: store.source(run))
        assert head is not None
        target = self._links.get(vp)
        if target is not None:
            offer = link.Offer(
                run=run,
                user=head.user,
                role=head.role,
                filename=head.filename,
                source=source,
                args=messages.unpack_args(head.args),
                inputs=messages.unpack_inputs(inputs),
                limits=messages.unpack_limits(head.limits),
            )
            target.send(offer)

    async def _end(self, run: str, vp: str, end: link.End) -> None:
        now = time.time()
        try:
            await self.database.write(lambda store: store.end_for(run, vp, end, now, _DONE))
        except StorageError as error:
            _log.error("end-not-stored", run=run, vp=vp, why=error.message)
            return  # the next tick tries again
        self.fleet.ended(run, vp)
        self.notices.tell(run)
        _log.info("run-ended-by-controller", run=run, vp=vp, outcome=end.outcome, reason=end.reason)

    async def _end_revoked(self) -> None:
        """Close the links of vantage points that were removed or enrolled anew since they called."""
        tokens = await self.database.read(lambda store: store.vp_tokens())
        for each in list(self._links.values()):
            if tokens.get(each.name) != each.token:
                each.end(vps.CLOSE_REFUSED, "this vantage point was removed, or enrolled anew")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self.apply(self.fleet.tick(time.monotonic()))
                await self._end_revoked()
            except Exception:  # noqa: BLE001
                # The clock goes on: a fault at one tick must not keep later losses from being seen.
                _log.exception("tick-failed")


def make_app(controller: Controller) -> Starlette:
    """The ASGI application."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await controller.start()
        try:
            yield
        finally:
            await controller.stop()

    app = Starlette(
        routes=[*(_route(*entry) for entry in api.ROUTES), WebSocketRoute("/v1/vp", vps.serve)],
        lifespan=lifespan,
        exception_handlers={
            ControllerError: _refuse,
            HTTPException: _refuse_http,
            Exception: _confess,
        },
    )
    app.state.controller = controller
    return app


def _route(method: str, path: str, endpoint: api.Endpoint) -> Route:
    return Route(path, endpoint, methods=[method])


def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, ControllerError)
    return JSONResponse(error.body(), error.status)


def _refuse_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path}"
    problem: ControllerError
    if error.status_code == 404:
        problem = NotFoundError(f"there is nothing at {where}", "See docs/reference/http-api.md.")
    elif error.status_code == 405:
        problem = MethodNotAllowedError(f"{where} is not possible", "See docs/reference/http-api.md.")
    else:
        problem = BadRequestError(error.detail)
    return JSONResponse(problem.body(), error.status_code, error.headers)


def _confess(request: Request, error: Exception) -> Response:
    _log.error("request-failed", path=request.url.path, exc_info=error)
    problem = InternalError("the controller has a bug here", "The controller's log has the details.")
    return JSONResponse(problem.body(), problem.status)
