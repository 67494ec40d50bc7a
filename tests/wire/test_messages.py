"""Messages: both vocabularies survive the wire, and nothing else is one of them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.sandbox.wire import calls, link
from onvp.sandbox.wire.errors import WireError

_INSTANCE = calls.Instance(name="akl-nz", asn4=64500, loc=(-36.8, 174.7), tags=("pi",))

_FROM_WORKER: list[Any] = [
    calls.Refusals(problems=[calls.Problem(3, 1, "no imports of os")]),
    calls.Started(),
    calls.Submit(task=1, primitive="ping", params={"dst": "192.0.2.1", "attempts": 2}, octets={"payload": b"\x00"}),
    calls.Halt(task=1),
    calls.Done(instance=0),
    calls.Output(text="a\n", err=True),
    calls.Emit(json=b'{"a":1}'),
    calls.Write(name="a.csv", data=b"1,2\n", last=True),
    calls.AskBudget(seq=2),
    calls.Finished(status=0),
]
_TO_WORKER: list[Any] = [
    calls.Job(run="r", filename="s.py", source=b"", args=["a\nb"], instances=[_INSTANCE]),
    calls.Accepted(task=1, clamps=[calls.Clamp("attempts", 50, 10, "r", "f:1")]),
    calls.Refused(task=1, code="policy", sentence="no", rule="r", where="f:1"),
    calls.Invalid(task=1, code="bad-value", message="no"),
    calls.Record(task=1, data=b"\x12\x05"),
    calls.Failed(task=1, message="gone", code="prober-lost"),
    calls.Gone(instance=0),
    calls.Budget(seq=2, left={"script.wall_s": 1.5}),
]
_FROM_AGENT: list[Any] = [
    link.Hello(protocol=1, version="1", vp=_INSTANCE, primitives={}, probers={}, level="full", policy_digest="d"),
    link.Event(seq=1, run="r", time=1.5, body=link.Output(text="x")),
    link.Event(seq=2, run="r", time=1.5, body=link.End(outcome="finished", facts={"a": [1]})),
    link.Status(paused=True, level="full", policy_digest="d", primitives={}, probers={}),
]
_FROM_CONTROLLER: list[Any] = [
    link.Welcome(protocol=1, vp="akl-nz", acked=7),
    link.Offer(run="r", user="u", role="researcher", filename="s.py", source=b"x", args=[]),
    link.Cancel(run="r", by="u"),
    link.Ack(seq=9),
]


@pytest.mark.parametrize("message", _FROM_WORKER, ids=lambda m: type(m).__name__)
def test_a_workers_message_survives(message: Any) -> None:
    """What a worker says is what its broker hears."""
    assert calls.decode_from_worker(calls.encode(message)) == message


@pytest.mark.parametrize("message", _TO_WORKER, ids=lambda m: type(m).__name__)
def test_a_brokers_message_survives(message: Any) -> None:
    """What a broker says is what its worker hears."""
    assert calls.decode_to_worker(calls.encode(message)) == message


@pytest.mark.parametrize("message", _FROM_AGENT, ids=lambda m: type(m).__name__)
def test_an_agents_message_survives(message: Any) -> None:
    """What an agent says is what the controller hears."""
    assert link.decode_from_agent(link.encode(message)) == message


@pytest.mark.parametrize("message", _FROM_CONTROLLER, ids=lambda m: type(m).__name__)
def test_a_controllers_message_survives(message: Any) -> None:
    """What the controller says is what an agent hears."""
    assert link.decode_from_controller(link.encode(message)) == message


@pytest.mark.parametrize("message", _TO_WORKER, ids=lambda m: type(m).__name__)
def test_a_worker_cannot_speak_as_its_broker(message: Any) -> None:
    """A broker's words are no words of a worker."""
    with pytest.raises(WireError):
        calls.decode_from_worker(calls.encode(message))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc0",
        msgspec.msgpack.encode({"type": "submit", "task": "1", "primitive": "ping", "params": {}}),
        msgspec.msgpack.encode({"type": "submit", "task": 1, "primitive": "ping", "params": {}, "more": 1}),
        msgspec.msgpack.encode({"type": "shutdown"}),
        calls.encode(calls.Started()) + b"\x00",
        b"\x81" * 100_000,
    ],
    ids=["empty", "nil", "wrong type", "unknown field", "unknown tag", "trailing byte", "deep nesting"],
)
def test_what_is_not_exactly_one_message_is_a_wire_error(body: bytes) -> None:
    """What is not exactly one well-formed message is a WireError."""
    with pytest.raises(WireError):
        calls.decode_from_worker(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_wire_error(body: bytes) -> None:
    """Any bytes are a message or a WireError, for all four readers."""
    for decode in (
        calls.decode_from_worker,
        calls.decode_to_worker,
        link.decode_from_agent,
        link.decode_from_controller,
    ):
        try:
            decode(body)
        except WireError:
            continue


def test_keys_that_hash_alike_cannot_be_sent_up_the_link() -> None:
    """A VP cannot keep the controller busy with a map whose keys all hash alike: keys are text alone."""
    crafted = {n * (2**61 - 1): 0 for n in range(7)}
    event = {"type": "event", "seq": 1, "run": "r", "time": 0.0, "body": {"type": "end", "outcome": "finished"}}

    for facts in (crafted, {"a": crafted}):
        event["body"] = {"type": "end", "outcome": "finished", "facts": facts}
        with pytest.raises(WireError):
            link.decode_from_agent(msgspec.msgpack.encode(event))
