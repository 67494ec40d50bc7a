"""What a worker and its broker say to each other over the one descriptor that the worker has.

Theory of operation
-------------------
The broker speaks first: one `Job`. The worker compiles and runs the script; everything it says is one
of the messages in `FromWorker`. A measurement is a `Submit` with a task number that the worker chose
(strictly increasing from 1) and parameters of plain types only. The broker answers a `Submit` with
exactly one of

* `Accepted`, followed later by exactly one `Record` or `Failed` with that task number, or
* `Refused` (a policy's word) or `Invalid` (a parameter's type or value).

For ``sync`` submits the `Accepted` is left out when it would say nothing: one message less to wake for.
`Record` with task 0 is a list or cycle record of the prober connection. `Gone` says that an instance
ended. The worker's last word is `Finished`.

Neither side trusts a type that the other sends: msgspec decodes into these structs strictly, unknown
tags and fields are errors, and what a parameter map holds is judged again when it becomes an action.
"""

from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta

from onvp.sandbox.wire.errors import WireError

FROM_WORKER_LIMIT_BYTES = 1 << 20
"""The largest frame that a broker reads from a worker."""

TO_WORKER_LIMIT_BYTES = 64 << 20
"""The largest frame that a worker reads from its broker (an http record can hold a long body)."""

MAX_CHUNK_BYTES = 64 << 10
"""Output and artifacts travel in pieces of at most this size."""


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True, gc=False):
    pass


Scalar = None | bool | int | float | str
Map = Annotated[dict[str, Scalar], Meta(max_length=256)]
Value = Scalar | Map | Annotated[list[Scalar | Map], Meta(max_length=4096)]
"""What a parameter can be: the shapes and sizes that primitives have (256: http's headers; 4096: midardisc's
schedule). Keys of maps are text alone: a worker can craft other keys that all hash alike, and keep the
decoder busy for minutes with one frame."""
PARAMS_LIMIT = 40


# ---- worker → broker ----


class Refusals(_Message, frozen=True, tag="refusals"):
    """The script is not in the language: every problem at once. Followed by `Finished`."""

    problems: list["Problem"]


class Problem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that the language refuses, where it stands, and what to write instead."""

    line: int
    column: int
    message: str


class Started(_Message, frozen=True, tag="started"):
    """The script compiled; its first line runs next."""


class Submit(_Message, frozen=True, tag="submit"):
    """Ask for one measurement on one instance. Parameters that are bytes travel apart, in ``octets``."""

    task: int
    primitive: str
    params: Annotated[dict[str, Value], Meta(max_length=PARAMS_LIMIT)]
    octets: Annotated[dict[str, bytes], Meta(max_length=PARAMS_LIMIT)] = {}
    instance: int = 0
    sync: bool = False

    @classmethod
    def ask(cls, task: int, primitive: str, params: dict[str, Any], *, instance: int = 0, sync: bool = False) -> Self:
        """A submit of plain parameters, bytes among them or not."""
        octets = {name: value for name, value in params.items() if type(value) is bytes}
        if octets:
            params = {name: value for name, value in params.items() if name not in octets}
        return cls(task, primitive, params, octets, instance, sync)


class Halt(_Message, frozen=True, tag="halt"):
    """Ask the prober to end a task early; its partial result still arrives."""

    task: int


class Done(_Message, frozen=True, tag="done"):
    """No more submits for this instance; it ends with `Gone` when its tasks have."""

    instance: int


class Output(_Message, frozen=True, tag="output"):
    """Text that the script wrote to stdout (``err=False``) or stderr."""

    text: str
    err: bool = False


class Emit(_Message, frozen=True, tag="emit"):
    """One result object, as JSON text."""

    json: bytes


class Write(_Message, frozen=True, tag="write"):
    """A piece of an artifact. The first piece of a name creates it; ``last`` closes it."""

    name: str
    data: bytes
    last: bool = False
    truncate: bool = False


class AskBudget(_Message, frozen=True, tag="budget?"):
    """What is left? Answered by `Budget`."""

    seq: int


class Finished(_Message, frozen=True, tag="finished"):
    """The script's end. ``status`` is its exit status; ``error`` a traceback or a reason, if any."""

    status: int
    error: str | None = None
    code: str | None = None


FromWorker = Refusals | Started | Submit | Halt | Done | Output | Emit | Write | AskBudget | Finished


# ---- broker → worker ----


class Instance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A VP as the script sees it: upstream's ScamperVp and ScamperInst attributes."""

    name: str
    shortname: str | None = None
    asn4: int | None = None
    asn6: int | None = None
    ipv4: str | None = None
    ipv6: str | None = None
    loc: tuple[float, float] | None = None
    iata: str | None = None
    cc: str | None = None
    st: str | None = None
    place: str | None = None
    tags: tuple[str, ...] = ()


class Job(_Message, frozen=True, tag="job"):
    """What to run. The first message, sent once."""

    run: str
    filename: str
    source: bytes
    args: list[str]
    instances: list[Instance]
    inputs: dict[str, bytes] = {}
    guards: str = "static"
    modules: list[str] | None = None
    output_bytes: int = 20 << 20


class Clamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parameter that a rule narrowed: never silent."""

    parameter: str
    asked: Value
    given: Value
    rule: str
    where: str


class Accepted(_Message, frozen=True, tag="accepted"):
    """The measurement was granted, perhaps clamped, and handed to the prober."""

    task: int
    clamps: list[Clamp] = []
    delayed_s: float = 0.0
    prober: str = ""


class Refused(_Message, frozen=True, tag="refused"):
    """A rule said no."""

    task: int
    code: str
    sentence: str
    rule: str
    where: str
    retry_after_s: float | None = None


class Invalid(_Message, frozen=True, tag="invalid"):
    """A parameter has a wrong type or value, or no prober here can express it; nothing was judged."""

    task: int
    code: str
    message: str


class Record(_Message, frozen=True, tag="record"):
    """One raw warts record from the prober; task 0 for the connection's list and cycle records.

    ``connection`` numbers the prober connections of the instance: a decoder keeps one state for each.
    """

    task: int
    data: bytes
    instance: int = 0
    connection: int = 0


class Failed(_Message, frozen=True, tag="failed"):
    """The task ended without a result."""

    task: int
    message: str
    code: str
    instance: int = 0


class Gone(_Message, frozen=True, tag="gone"):
    """An instance ended: after `Done`, or because its prober or VP is lost."""

    instance: int
    reason: str = ""


class Budget(_Message, frozen=True, tag="budget"):
    """What is left of each budget and limit, by name (``script.wall_s``, ``user.day.packets`` …)."""

    seq: int
    left: dict[str, float]


ToWorker = Job | Accepted | Refused | Invalid | Record | Failed | Gone | Budget

_encoder = msgspec.msgpack.Encoder()
_from_worker = msgspec.msgpack.Decoder(FromWorker)
_to_worker = msgspec.msgpack.Decoder(ToWorker)


def encode(message: FromWorker | ToWorker) -> bytes:
    """The body of the frame that carries ``message``."""
    return _encoder.encode(message)


def decode_from_worker(body: bytes) -> FromWorker:
    """A worker's message.

    Raises:
        WireError: anything but exactly one well-formed message.
    """
    try:
        return _from_worker.decode(body)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise WireError(f"not a message of a worker: {error}") from error


def decode_to_worker(body: bytes) -> ToWorker:
    """A broker's message.

    Raises:
        WireError: anything but exactly one well-formed message.
    """
    try:
        return _to_worker.decode(body)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise WireError(f"not a message of a broker: {error}") from error
