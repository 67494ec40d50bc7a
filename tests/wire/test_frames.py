"""Frames: whatever the cuts, what goes in comes out, and nothing over the limit does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.sandbox.wire.errors import WireError
from onvp.sandbox.wire.frames import Deframer, pack


@given(st.lists(st.binary(max_size=200), max_size=20), st.integers(1, 17))
def test_bodies_come_out_as_they_went_in_however_the_stream_is_cut(bodies: list[bytes], step: int) -> None:
    """Bodies come out as they went in, however the stream is cut."""
    stream = b"".join(pack(body, limit_bytes=200) for body in bodies)
    deframer = Deframer(limit_bytes=200)

    found = [b for at in range(0, len(stream), step) for b in deframer.feed(stream[at : at + step])]

    assert found == bodies
    assert deframer.pending_bytes == 0


def test_a_frame_that_announces_too_much_is_refused_before_it_arrives() -> None:
    """A frame that announces more than the limit is refused on its four length bytes alone."""
    deframer = Deframer(limit_bytes=100)

    with pytest.raises(WireError, match="101 bytes"):
        deframer.feed((101).to_bytes(4, "big"))


def test_a_body_over_the_limit_cannot_be_packed() -> None:
    """A body over the limit cannot be packed."""
    with pytest.raises(WireError, match="over the limit of 3"):
        pack(b"1234", limit_bytes=3)


@given(st.binary(max_size=400))
def test_any_bytes_are_frames_or_a_wire_error_and_little_is_held(data: bytes) -> None:
    """Any bytes are cut into frames or raise WireError, and at most a frame is held."""
    deframer = Deframer(limit_bytes=64)
    try:
        bodies = deframer.feed(data)
    except WireError:
        return

    assert all(len(body) <= 64 for body in bodies)
    assert deframer.pending_bytes <= 64 + 4
