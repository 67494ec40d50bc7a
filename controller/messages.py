"""The JSON of the HTTP API: requests are decoded strictly into types, answers are built here.

The only file of the controller that knows msgspec.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from onvp.controller.errors import BadRequestError
from onvp.controller.store import EventRow, PlacementRow, RunRow
from onvp.sandbox.wire import link
from onvp.sandbox.wire.records import EventLine, RunFile

T = TypeVar("T")


class Select(msgspec.Struct, forbid_unknown_fields=True):
    """Which vantage points: by name, or by a selector."""

    names: list[str] | None = None
    selector: str | None = None


class RunRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /v1/runs``; bytes are base64 in JSON."""

    filename: str
    source: bytes
    select: Select
    args: list[str] = []
    inputs: dict[str, bytes] = {}
    limits: dict[str, float] = {}


class EnrolRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /v1/enrol``."""

    secret: str
    name: str


def decode(kind: type[T], data: bytes) -> T:
    """A request's body.

    Raises:
        BadRequestError: it is not JSON, or has another shape.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(
            f"the request's body cannot be read: {error}", "See docs/reference/http-api.md."
        ) from error


def encode(value: Any) -> bytes:
    """An answer's body."""
    return msgspec.json.encode(value)


def pack(value: Any) -> bytes:
    """Arguments, limits and inputs, for a column of the database."""
    return msgspec.msgpack.encode(value)


def unpack_args(data: bytes) -> list[str]:
    """Arguments from the database."""
    return msgspec.msgpack.decode(data, type=list[str])


def unpack_limits(data: bytes) -> dict[str, float]:
    """Limits from the database."""
    return msgspec.msgpack.decode(data, type=dict[str, float])


def unpack_inputs(data: bytes) -> dict[str, bytes]:
    """Inputs from the database."""
    return msgspec.msgpack.decode(data, type=dict[str, bytes])


def announce(state: str, **fields: Any) -> bytes:
    """The body of an event of the run as a whole."""
    return encode({"state": state, **fields})


def event_line(row: EventRow) -> bytes:
    """One line of the event stream, with its newline."""
    match row.type:
        case "run":
            data = msgspec.json.decode(row.body)
        case "measurement":
            data = {"connection": int(row.part), "bytes": row.size}
        case "artifact":
            data = {"name": row.part, "bytes": row.size}
        case "result":
            body = link.decode_body(row.body)
            assert isinstance(body, link.Result)
            data = _result(body.json)
        case _:
            data = _plain(link.decode_body(row.body))
    return encode(EventLine(row.id, row.run, row.vp, row.time, row.type, data)) + b"\n"


def _result(text: bytes) -> dict[str, Any]:
    """What the script emitted. It wrote it, so it may be anything."""
    try:
        value = msgspec.json.decode(text)
        msgspec.json.encode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        return {"text": text.decode("utf-8", "replace")}
    return {"value": value}


def result_line(text: bytes) -> bytes:
    """One line of ``results.jsonl``: the script's JSON on one line, or its text as a JSON string."""
    found = _result(text)
    return encode(found["value"] if "value" in found else found["text"]) + b"\n"


def placement_view(row: PlacementRow) -> dict[str, Any]:
    """How a run stands on one vantage point."""
    return {
        "state": row.state,
        "outcome": row.outcome,
        "started": stamp(row.started),
        "ended": stamp(row.ended),
        "results": row.results,
        "refused": row.refused,
        "bytes": row.bytes,
        "dropped": row.dropped,
    }


def run_view(row: RunRow, placements: list[PlacementRow]) -> dict[str, Any]:
    """A run, as ``GET /v1/runs`` shows it."""
    return {
        "run": row.id,
        "user": row.user,
        "script": row.filename,
        "script_sha256": row.sha256,
        "args": unpack_args(row.args),
        "limits": unpack_limits(row.limits),
        "submitted": stamp(row.submitted),
        "ended": stamp(row.ended),
        "state": "running" if row.ended is None else "done",
        "cancelled_by": row.cancelled_by,
        "vps": {placement.vp: placement_view(placement) for placement in placements},
    }


def end_view(body: bytes | None) -> dict[str, Any] | None:
    """How a run ended on a vantage point, in the vantage point's words."""
    if body is None:
        return None
    return _plain(link.decode_body(body))


def _plain(body: link.Body) -> dict[str, Any]:
    """An event's fields. What a vantage point put into `Any` fields may be no JSON; it is left out then."""
    if isinstance(body, link.End):
        body = msgspec.structs.replace(body, facts=_json_or_nothing(body.facts))
    elif isinstance(body, link.Clamped):
        clamps = [
            msgspec.structs.replace(each, asked=_json_or_text(each.asked), given=_json_or_text(each.given))
            for each in body.clamps
        ]
        body = msgspec.structs.replace(body, clamps=clamps)
    data: dict[str, Any] = msgspec.to_builtins(body)
    del data["type"]
    return data


def _json_or_nothing(facts: dict[str, Any]) -> dict[str, Any]:
    return facts if _is_json(facts) else {"unreadable": True}


def _json_or_text(value: Any) -> Any:
    return value if _is_json(value) else repr(value)[:200]


def _is_json(value: Any) -> bool:
    try:
        msgspec.json.encode(msgspec.to_builtins(value, str_keys=True))
        msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return False
    return True


def vp_view(name: str, enrolled: float, seen: float | None, hello: link.Hello | None) -> dict[str, Any]:
    """A vantage point, as ``GET /v1/vps`` shows it."""
    view: dict[str, Any] = {"name": name, "enrolled": stamp(enrolled), "seen": stamp(seen)}
    if hello is not None:
        fields = msgspec.to_builtins(hello)
        for key in ("type", "protocol", "running", "last_seq"):
            fields.pop(key, None)
        view |= fields
    return view


def run_file(row: RunRow, placement: PlacementRow, vp: dict[str, Any], end: dict[str, Any] | None) -> bytes:
    """``run.json`` of one vantage point."""
    end = end or {}
    facts = dict(end.get("facts", {}))
    about = facts.pop("vp", None) or vp
    for known in ("user", "filename", "script_sha256", "args"):
        facts.pop(known, None)
    record = RunFile(
        run=row.id,
        vp=about,
        user=row.user,
        script=row.filename,
        script_sha256=row.sha256,
        args=unpack_args(row.args),
        started=stamp(placement.started) or "",
        ended=stamp(placement.ended) or "",
        outcome=placement.outcome or "",
        status=end.get("status"),
        reason=end.get("reason", ""),
        limit=end.get("limit", ""),
        counters=end.get("counters", {}),
        facts=facts,
    )
    return msgspec.json.format(encode(record), indent=2) + b"\n"


def file_content(kind: str, bodies: list[bytes]) -> Iterator[bytes]:
    """What pieces of a file add to it."""
    for encoded in bodies:
        match link.decode_body(encoded):
            case link.Output(text):
                yield text.encode()
            case link.Result(text):
                yield result_line(text)
            case link.Measurement(_, data) | link.Artifact(_, data):
                yield data
            case other:
                raise AssertionError(f"{type(other).__name__} among the pieces of {kind}")


def stamp(when: float | None) -> str | None:
    """A time in ISO 8601, UTC, with milliseconds."""
    if when is None:
        return None
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")


def named(hello: link.Hello, name: str) -> link.Hello:
    """The greeting under the name that the token belongs to: a vantage point does not choose it anew."""
    return msgspec.structs.replace(hello, vp=msgspec.structs.replace(hello.vp, name=name))
