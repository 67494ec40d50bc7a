"""What an agent and the controller say to each other over the WebSocket that the agent keeps open.

Theory of operation
-------------------
The agent dials, authenticates with its token in the ``Authorization`` header, and says `Hello`. The
controller answers `Welcome` with the number of the last event that it holds on disk; the agent sends
every spooled event after it. From then on events flow up and are acknowledged by number once they are
on the controller's disk; `Offer` and `Cancel` flow down. An offer may arrive twice (after a reconnect);
the agent knows a run by its id and never starts it twice. Every state a run goes through is an event,
so what the controller knows is exactly what it acknowledged.

Binary WebSocket messages, one msgpack message each.
"""

from typing import Any

import msgspec

from onvp.sandbox.wire.calls import Clamp, Instance, Problem, Scalar
from onvp.sandbox.wire.errors import WireError

PROTOCOL = 1
"""Raised when a change is not understood by the other side; both sides name theirs in the greeting."""

LIMIT_BYTES = 16 << 20
"""The largest message either side reads."""


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    pass


Fact = Scalar | list[Scalar] | dict[str, Scalar | list[Scalar]]
"""What a run's record can hold about the run. Keys are text alone, as in `onvp.sandbox.wire.calls`."""


# ---- event bodies (what happened in a run) ----


class State(_Message, frozen=True, tag="state"):
    """The run entered a state: ``accepted``, ``starting``, ``running``."""

    state: str


class Output(_Message, frozen=True, tag="output"):
    """Text from the script."""

    text: str
    err: bool = False


class Result(_Message, frozen=True, tag="result"):
    """One emitted object, as JSON text."""

    json: bytes


class Measurement(_Message, frozen=True, tag="measurement"):
    """One raw warts record; ``connection`` tells the streams apart that are joined at download."""

    connection: int
    data: bytes


class Artifact(_Message, frozen=True, tag="artifact"):
    """A piece of an artifact."""

    name: str
    data: bytes
    last: bool = False
    truncate: bool = False


class Refusal(_Message, frozen=True, tag="refusal"):
    """A call that a rule refused."""

    primitive: str
    target: str
    code: str
    sentence: str
    rule: str
    where: str


class Clamped(_Message, frozen=True, tag="clamped"):
    """A call that went out narrower than asked."""

    primitive: str
    target: str
    clamps: list[Clamp]


class Note(_Message, frozen=True, tag="note"):
    """A sentence about the run from the VP itself (``prober restarted``, say)."""

    text: str


class End(_Message, frozen=True, tag="end"):
    """The run's last event on this VP.

    Attributes:
        outcome: one of `onvp.sandbox.wire.errors.Outcome`.
        status: the script's exit status, None when it did not come to that.
        reason: one sentence for people; empty when there is nothing to add to the outcome.
        code: one of `onvp.sandbox.wire.errors.Code`, empty for a plain finish.
        limit: the limit's name when one ended the run (``cpu``, ``memory``, ``wall``, ``output`` …).
        error: the traceback or the list of problems, as the researcher should see it.
        problems: language problems, when the script was refused for them.
        counters: ``calls``, ``granted``, ``refused``, ``clamped``, ``results``, ``packets``,
            ``output_bytes``, ``cpu_s``, ``wall_s``, ``memory_bytes`` …
        facts: what is needed to repeat the run: versions, policy digest, VP, level.
    """

    outcome: str
    status: int | None = None
    reason: str = ""
    code: str = ""
    limit: str = ""
    error: str = ""
    problems: list[Problem] = []
    counters: dict[str, float] = {}
    facts: dict[str, Fact] = {}


Body = State | Output | Result | Measurement | Artifact | Refusal | Clamped | Note | End


# ---- agent → controller ----


class Hello(_Message, frozen=True, tag="hello"):
    """Who dials. ``primitives`` maps each primitive to the prober that serves it.

    ``last_seq`` is the number of the newest spooled event: once the controller has acknowledged it, a
    run that the controller holds for alive but that is not among ``running`` is lost.
    """

    protocol: int
    version: str
    vp: Instance
    primitives: dict[str, str]
    probers: dict[str, str]
    level: str
    policy_digest: str
    policy_summary: str = ""
    paused: bool = False
    running: list[str] = []
    last_seq: int = 0


class Event(_Message, frozen=True, tag="event"):
    """Something that happened in a run; ``seq`` counts per VP, without gaps, across restarts."""

    seq: int
    run: str
    time: float
    body: Body


class Status(_Message, frozen=True, tag="status"):
    """What changed about the VP since `Hello`."""

    paused: bool
    level: str
    policy_digest: str
    primitives: dict[str, str]
    probers: dict[str, str]


FromAgent = Hello | Event | Status


# ---- controller → agent ----


class Welcome(_Message, frozen=True, tag="welcome"):
    """The VP's name, and the last event of it that is on disk."""

    protocol: int
    vp: str
    acked: int


class Offer(_Message, frozen=True, tag="offer"):
    """Run this. The limits narrow the policy's, they never widen them."""

    run: str
    user: str
    role: str
    filename: str
    source: bytes
    args: list[str]
    inputs: dict[str, bytes] = {}
    limits: dict[str, float] = {}


class Cancel(_Message, frozen=True, tag="cancel"):
    """Stop the run and keep what it delivered."""

    run: str
    by: str


class Ack(_Message, frozen=True, tag="ack"):
    """Every event up to ``seq`` is on disk; the agent may forget them."""

    seq: int


FromController = Welcome | Offer | Cancel | Ack

_encoder = msgspec.msgpack.Encoder()
_from_agent = msgspec.msgpack.Decoder(FromAgent)
_from_controller = msgspec.msgpack.Decoder(FromController)
_body = msgspec.msgpack.Decoder(Body)


def encode(message: FromAgent | FromController | Body) -> bytes:
    """One WebSocket message (or, for a body, one row of a spool)."""
    return _encoder.encode(message)


def decode_from_agent(data: bytes) -> FromAgent:
    """An agent's message.

    Raises:
        WireError: anything but exactly one well-formed message.
    """
    return _decode(_from_agent, data, "an agent")  # type: ignore[no-any-return]


def decode_from_controller(data: bytes) -> FromController:
    """A controller's message.

    Raises:
        WireError: anything but exactly one well-formed message.
    """
    return _decode(_from_controller, data, "a controller")  # type: ignore[no-any-return]


def decode_body(data: bytes) -> Body:
    """An event body that `encode` made.

    Raises:
        WireError: anything but exactly one well-formed body.
    """
    return _decode(_body, data, "an event")  # type: ignore[no-any-return]


def _decode(decoder: Any, data: bytes, whose: str) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise WireError(f"not a message of {whose}: {error}") from error
