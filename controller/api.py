"""The researcher's HTTP API: JSON in, JSON out, one error shape. docs/reference/http-api.md describes it.

A researcher sees her own runs, an operator sees all. A run that is not hers does not exist for her: the
answer is 404, never 403.
"""

import asyncio
import hashlib
import math
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from difflib import get_close_matches
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from onvp.controller import auth, messages
from onvp.controller.errors import (
    BadRequestError,
    EndedError,
    NameTakenError,
    NotFoundError,
    NotTextError,
    NoVpError,
    TooLargeError,
    UnauthorizedError,
    UnknownVpError,
    VpOfflineError,
)
from onvp.controller.selector import Selector
from onvp.controller.store import NewRun, PlacementRow, RunRow
from onvp.sandbox.wire import link, records

if TYPE_CHECKING:
    from onvp.controller.app import Controller

Endpoint = Callable[[Request], Awaitable[Response]]

KEEPALIVE_S = 15.0
"""A stream with nothing to say sends an empty line this often, so that both sides notice a dead peer."""

REQUEST_LIMIT_BYTES = 2 * link.LIMIT_BYTES
OFFER_LIMIT_BYTES = link.LIMIT_BYTES - (1 << 16)

_FILENAME = re.compile(r"[^/\x00-\x1f\x7f]{1,200}")
_MEASUREMENTS = "measurements"
_KINDS = {records.OUTPUT: "output", records.RESULTS: "result"}
_log = structlog.get_logger("onvp.api")


# ---- runs ----


async def submit(request: Request) -> Response:
    """``POST /v1/runs``."""
    controller, user = await _authenticate(request)
    wanted = messages.decode(messages.RunRequest, await _body(request))
    _check_script(controller, wanted)
    names = await _select(controller, wanted.select)
    now = time.time()
    run = NewRun(
        id=_new_id(now),
        user=user.name,
        role=user.role,
        filename=wanted.filename,
        sha256=hashlib.sha256(wanted.source).hexdigest(),
        args=messages.pack(wanted.args),
        limits=messages.pack(wanted.limits),
        submitted=now,
        source=wanted.source,
        inputs=messages.pack(wanted.inputs),
    )
    announcement = messages.announce("submitted", vps=names, user=user.name, script=wanted.filename)
    await controller.database.write(lambda store: store.add_run(run, names, announcement))
    _log.info("run-submitted", run=run.id, user=user.name, vps=names, sha256=run.sha256)
    await controller.submitted(run.id, names)
    return _json({"run": run.id, "vps": names}, 201)


async def list_runs(request: Request) -> Response:
    """``GET /v1/runs``."""
    controller, user = await _authenticate(request)
    limit = min(_number(request, "limit", 50), 1000)
    whose = None if user.is_operator else user.name
    rows = await controller.database.read(
        lambda store: [(row, store.placements(row.id)) for row in store.runs(whose, limit)]
    )
    return _json({"runs": [messages.run_view(row, placements) for row, placements in rows]})


async def show_run(request: Request) -> Response:
    """``GET /v1/runs/{run}``."""
    controller, row = await _visible_run(request)
    placements, ends = await controller.database.read(
        lambda store: (
            (placements := store.placements(row.id)),
            {placement.vp: store.last_end(row.id, placement.vp) for placement in placements},
        )
    )
    view = messages.run_view(row, placements)
    for vp, end in ends.items():
        view["vps"][vp]["end"] = messages.end_view(end)
    return _json(view)


async def show_script(request: Request) -> Response:
    """``GET /v1/runs/{run}/script``."""
    controller, row = await _visible_run(request)
    source, _ = await controller.database.read(lambda store: store.source(row.id))
    return Response(source, media_type="application/octet-stream")


async def cancel(request: Request) -> Response:
    """``POST /v1/runs/{run}/cancel``."""
    controller, row = await _visible_run(request)
    _, user = await _authenticate(request)
    if row.ended is not None:
        raise EndedError(f"the run {row.id} has ended already", f"See `onvp show {row.id}`.")
    announcement = messages.announce("cancelling", by=user.name)
    now = time.time()
    await controller.database.write(lambda store: store.cancel(row.id, user.name, now, announcement))
    await controller.cancelled(row.id, user.name)
    return _json({"run": row.id})


async def stream_events(request: Request) -> Response:
    """``GET /v1/runs/{run}/events``."""
    controller, row = await _visible_run(request)
    after = _number(request, "after", 0)
    follow = request.query_params.get("follow", "0") not in ("", "0")
    lines = _event_lines(controller, row.id, after, follow)
    return StreamingResponse(lines, media_type="application/x-ndjson")


async def _event_lines(controller: "Controller", run: str, after: int, follow: bool) -> AsyncIterator[bytes]:
    with controller.notices.listen(run) as news:
        while True:
            news.clear()
            # Asked before the events: what ended it is then among them.
            head = await controller.database.read(lambda store: store.run(run))
            rows = await controller.database.read(lambda store, after=after: store.events(run, after))  # type: ignore[misc]
            if rows:
                yield b"".join(messages.event_line(row) for row in rows)
                after = rows[-1].id
                continue
            if not follow or head is None or head.ended is not None or controller.notices.closed:
                return
            try:
                async with asyncio.timeout(KEEPALIVE_S):
                    await news.wait()
            except TimeoutError:
                yield b"\n"


# ---- files ----


async def list_files(request: Request) -> Response:
    """``GET /v1/runs/{run}/vps/{vp}/files``."""
    controller, row, placement = await _placement(request)
    found = await controller.database.read(lambda store: store.files(row.id, placement.vp))
    names = {"output": records.OUTPUT, "result": records.RESULTS}
    files = []
    for file in found:
        match file.type:
            case "measurement":
                name = f"{_MEASUREMENTS}/{file.part}"
            case "artifact":
                name = f"{records.ARTIFACTS}/{file.part}"
            case kind:
                name = names[kind]
        files.append({"name": name, "bytes": file.bytes, "pieces": file.pieces})
    return _json({"files": [*files, {"name": records.RUN}]})


async def get_file(request: Request) -> Response:
    """``GET /v1/runs/{run}/vps/{vp}/file?name=NAME``; not in the path, for scripts choose names freely."""
    controller, row, placement = await _placement(request)
    name = request.query_params.get("name", "")
    folder, _, part = name.partition("/")
    if name == records.RUN:
        return await _run_file(controller, row, placement)
    if name in _KINDS:
        kind, part = _KINDS[name], ""
    elif folder == _MEASUREMENTS:
        kind = "measurement"
    elif folder == records.ARTIFACTS:
        kind = "artifact"
    else:
        raise _no_file(name)
    found = await controller.database.read(lambda store: store.files(row.id, placement.vp))
    if not any((file.type, file.part) == (kind, part) for file in found):
        raise _no_file(name)
    content = _file_content(controller, row.id, placement.vp, kind, part)
    return StreamingResponse(content, media_type="application/octet-stream")


async def _run_file(controller: "Controller", row: RunRow, placement: PlacementRow) -> Response:
    end = await controller.database.read(lambda store: store.last_end(row.id, placement.vp))
    views = {view["name"]: view for view in await _vp_views(controller)}
    vp = views.get(placement.vp, {}).get("vp") or {"name": placement.vp}
    content = messages.run_file(row, placement, vp, messages.end_view(end))
    return Response(content, media_type="application/json")


async def _file_content(controller: "Controller", run: str, vp: str, kind: str, part: str) -> AsyncIterator[bytes]:
    after = 0
    while True:
        after, bodies = await controller.database.read(
            lambda store, after=after: store.pieces(run, vp, kind, part, after)  # type: ignore[misc]
        )
        if not bodies:
            return
        for data in messages.file_content(kind, bodies):
            yield data


# ---- everything else ----


async def list_vps(request: Request) -> Response:
    """``GET /v1/vps``."""
    controller, _ = await _authenticate(request)
    return _json({"vps": await _vp_views(controller)})


async def _vp_views(controller: "Controller") -> list[dict[str, Any]]:
    connected = controller.fleet.connected()
    views = []
    for row in await controller.database.read(lambda store: store.vps()):
        hello = connected.get(row.name)
        if hello is None and row.hello is not None:
            last = link.decode_from_agent(row.hello)
            hello = last if isinstance(last, link.Hello) else None
        view = messages.vp_view(row.name, row.enrolled, row.seen, hello)
        view["connected"] = row.name in connected
        view["runs"] = controller.fleet.alive(row.name)
        views.append(view)
    return views


async def enrol(request: Request) -> Response:
    """``POST /v1/enrol``; the one-time secret in the body is the authorization."""
    controller: Controller = request.app.state.controller
    wanted = messages.decode(messages.EnrolRequest, await _body(request))
    if not auth.is_name(wanted.name):
        raise NameTakenError(f"{wanted.name!r} cannot be a vantage point's name", f"{auth.NAME_RULE}.")
    token = auth.new_vp_secret()
    now = time.time()
    await controller.database.write(
        lambda store: store.enrol(auth.digest(wanted.secret), wanted.name, auth.digest(token), now)
    )
    _log.info("vp-enrolled", vp=wanted.name)
    return _json({"vp": wanted.name, "token": token}, 201)


async def who(request: Request) -> Response:
    """``GET /v1/me``."""
    _, user = await _authenticate(request)
    return _json({"user": user.name, "role": user.role})


async def health(request: Request) -> Response:
    """``GET /v1/health``; needs no token and tells nothing about runs."""
    controller: Controller = request.app.state.controller
    await controller.database.read(lambda store: store.run(""))
    return _json({"status": "ok", "version": version("onvp")})


ROUTES: Final[tuple[tuple[str, str, Endpoint], ...]] = (
    ("POST", "/v1/runs", submit),
    ("GET", "/v1/runs", list_runs),
    ("GET", "/v1/runs/{run}", show_run),
    ("GET", "/v1/runs/{run}/script", show_script),
    ("GET", "/v1/runs/{run}/events", stream_events),
    ("POST", "/v1/runs/{run}/cancel", cancel),
    ("GET", "/v1/runs/{run}/vps/{vp}/files", list_files),
    ("GET", "/v1/runs/{run}/vps/{vp}/file", get_file),
    ("GET", "/v1/vps", list_vps),
    ("POST", "/v1/enrol", enrol),
    ("GET", "/v1/me", who),
    ("GET", "/v1/health", health),
)


# ---- what handlers share ----


async def _authenticate(request: Request) -> tuple["Controller", auth.User]:
    controller: Controller = request.app.state.controller
    secret = auth.bearer(request.headers.get("authorization"))
    if secret is None:
        raise UnauthorizedError("this needs a token", "Run `onvp login` with the line from your operator.")
    user = await controller.database.read(lambda store: store.user_by_token(auth.digest(secret)))
    if user is None:
        raise UnauthorizedError(
            "the controller does not know this token", "Ask your operator for a new line for `onvp login`."
        )
    return controller, user


async def _visible_run(request: Request) -> tuple["Controller", RunRow]:
    controller, user = await _authenticate(request)
    run: str = request.path_params["run"]
    row = await controller.database.read(lambda store: store.run(run))
    if row is None or not (user.is_operator or row.user == user.name):
        raise NotFoundError(f"there is no run {run!r}", "See `onvp runs`.")
    return controller, row


async def _placement(request: Request) -> tuple["Controller", RunRow, PlacementRow]:
    controller, row = await _visible_run(request)
    vp: str = request.path_params["vp"]
    for placement in await controller.database.read(lambda store: store.placements(row.id)):
        if placement.vp == vp:
            return controller, row, placement
    raise NotFoundError(f"the run {row.id} did not go to {vp!r}", f"See `onvp show {row.id}`.")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > REQUEST_LIMIT_BYTES:
            raise TooLargeError(f"the request is larger than {REQUEST_LIMIT_BYTES >> 20} MiB")
    return bytes(body)


def _check_script(controller: "Controller", wanted: messages.RunRequest) -> None:
    most = controller.settings.most_source_bytes
    if len(wanted.source) > most:
        raise TooLargeError(
            f"the script has {len(wanted.source)} bytes, the controller takes at most {most}",
            "Give data to the script with --input FILE instead of writing it into the source.",
            bytes=len(wanted.source),
            limit=most,
        )
    inputs = sum(len(data) for data in wanted.inputs.values())
    most = controller.settings.most_inputs_bytes
    arguments = sum(len(argument.encode()) for argument in wanted.args)
    if inputs > most or inputs + arguments + len(wanted.source) > OFFER_LIMIT_BYTES:
        raise TooLargeError(
            f"the inputs and arguments have {inputs + arguments} bytes, the controller takes at most {most}",
            "Split the run, or ask the operator to raise `most_inputs_bytes`.",
            bytes=inputs + arguments,
            limit=most,
        )
    try:
        wanted.source.decode("utf-8")
    except UnicodeDecodeError as error:
        line = wanted.source.count(b"\n", 0, error.start) + 1
        raise NotTextError(
            f"the script is not UTF-8: line {line} holds the byte 0x{wanted.source[error.start]:02x}",
            "Save the script as UTF-8.",
            line=line,
        ) from error
    for name in (wanted.filename, *wanted.inputs):
        if _FILENAME.fullmatch(name) is None or name in (".", ".."):
            raise BadRequestError(f"{name!r} cannot be a file's name", "Use a plain name without folders.")
    for name, value in wanted.limits.items():
        if not (math.isfinite(value) and value > 0):
            raise BadRequestError(f"the limit {name}={value} is not a positive number")


async def _select(controller: "Controller", select: messages.Select) -> list[str]:
    connected = controller.fleet.connected()
    if (select.names is None) == (select.selector is None):
        raise BadRequestError(
            "which vantage points? Give either names or a selector",
            "Use --vp NAME or --on SELECTOR; `--on all` for every one.",
        )
    if select.selector is not None:
        selector = Selector(select.selector)
        names = [name for name, hello in connected.items() if selector.holds(hello)]
        if not names:
            raise NoVpError(
                f"no connected vantage point fits {select.selector!r}",
                f"{len(connected)} are connected; see `onvp vps`.",
                connected=sorted(connected),
            )
        return names
    names = list(dict.fromkeys(select.names or ()))
    if not names:
        raise BadRequestError("the list of vantage points is empty", "Use --vp NAME or --on SELECTOR.")
    known = [row.name for row in await controller.database.read(lambda store: store.vps())]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 3)
            raise UnknownVpError(
                f"there is no vantage point {name!r}",
                f"Did you mean {' or '.join(map(repr, near))}?" if near else "See `onvp vps`.",
                near=near,
            )
    away = [name for name in names if name not in connected]
    if away:
        raise VpOfflineError(
            f"not connected at the moment: {', '.join(away)}",
            "Leave them out, or try again when `onvp vps` shows them connected.",
            offline=away,
        )
    return names


def _new_id(now: float) -> str:
    """Sortable by time, short enough to type, and never the same: 30 random bits within a second."""
    alphabet = "abcdefghjkmnpqrstuvwxyz023456789"
    tail = "".join(secrets.choice(alphabet) for _ in range(6))
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{tail}"


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not re.fullmatch(r"\d{1,18}", text):
        raise BadRequestError(f"{name}={text!r} is not a number")
    return int(text)


def _no_file(name: str) -> NotFoundError:
    return NotFoundError(f"the run left no file {name!r}", "See `onvp show RUN`.")


def _json(value: Any, status: int = 200) -> Response:
    return Response(messages.encode(value), status, media_type="application/json")
