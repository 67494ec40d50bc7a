"""The forwarder's decisions: when a frame leaves, which are lost, what may be set."""

from __future__ import annotations

import json
import random

import pytest

from tests.lab.outbox import Outbox
from tests.lab.wire import Direction, Link, admit, answer


def make_link(**settings: float) -> Link:
    """A link with two directions, seeded."""
    link = Link("x", settings.get("delay_ms", 10.0), settings.get("jitter_ms", 0.0), settings.get("loss", 0.0))
    link.ways = [Direction(0, random.Random(1)), Direction(1, random.Random(2))]
    return link


def test_a_frame_leaves_after_the_delay() -> None:
    """Ten milliseconds of delay are ten milliseconds."""
    link = make_link()
    assert admit(link, link.ways[0], 100.0) == pytest.approx(100.010)


def test_jitter_keeps_the_order() -> None:
    """Frames of one direction never overtake each other, whatever the jitter."""
    link = make_link(jitter_ms=50.0)
    due = [admit(link, link.ways[0], 100.0 + n / 1000) for n in range(200)]
    assert due == sorted(due, key=lambda moment: moment or 0.0)


def test_loss_is_as_set_and_repeatable() -> None:
    """With 20 % loss about a fifth is lost, the same frames for the same seed."""

    def pattern() -> list[bool]:
        link = make_link(loss=0.2)
        return [admit(link, link.ways[0], 0.0) is None for _ in range(2000)]

    assert pattern() == pattern()
    assert 300 < sum(pattern()) < 500


def test_full_loss_cuts_the_link() -> None:
    """Loss of 1 lets nothing pass, and the counters say so."""
    link = make_link(loss=1.0)
    assert [admit(link, link.ways[1], 0.0) for _ in range(50)] == [None] * 50
    assert link.show()["lost"] == 50


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ({"links": ["y"]}, "no link"),
        ({"links": ["x"], "set": {"speed": 1}}, "speed"),
        ({"links": ["x"], "set": {"loss": 1.5}}, "loss"),
        ({"links": ["x"], "set": {"delay_ms": -1}}, "delay_ms"),
        ({"links": ["x"], "set": {"delay_ms": "soon"}}, "not supported"),
        (["x"], "list"),
    ],
)
def test_bad_requests_are_refused(request_: object, word: str) -> None:
    """A request that makes no sense is answered with an error and changes nothing."""
    link = make_link()
    before = link.show()
    assert word in answer({"x": link}, json.dumps(request_).encode())["error"]
    assert link.show() == before


def test_settings_take_effect() -> None:
    """A changed delay holds for the next frame."""
    link = make_link()
    answer({"x": link}, b'{"links": ["x"], "set": {"delay_ms": 50}}')
    assert admit(link, link.ways[0], 0.0) == pytest.approx(0.050)


def test_the_outbox_waits_for_the_first() -> None:
    """The next wait is until the earliest moment; equal moments keep their order."""
    outbox = Outbox()
    assert outbox.wait_s(0.0) is None
    outbox.put(5.0, -1, b"late")
    outbox.put(2.0, -1, b"soon")
    assert outbox.wait_s(1.5) == pytest.approx(0.5)
    outbox.send_due(3.0)  # writing to descriptor -1 fails, and that loses the packet only
    assert outbox.wait_s(3.0) == pytest.approx(2.0)
