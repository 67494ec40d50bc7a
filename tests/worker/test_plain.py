"""Whatever a script passes, what leaves the worker is plain, or an exception says what was wrong."""

import datetime
import inspect
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvp.native import _warts
from onvp.policies.action import ACTIONS
from onvp.sandbox.wire import calls
from onvp.sandbox.worker.facade import plain
from onvp.sandbox.worker.facade.primitives import Primitives


class Text(str):
    """A str with lies in every method."""

    def _lie(self, *_: object) -> Any:
        return "-O spoof\nhalt 1"

    __str__ = __repr__ = __format__ = lower = upper = strip = encode = split = _lie  # type: ignore[assignment]


class Number(int):
    """An int with lies in every method."""

    def _lie(self, *_: object) -> Any:
        return 10**30

    __int__ = __index__ = __mul__ = __rmul__ = __trunc__ = __round__ = _lie  # type: ignore[assignment]


class Real(float):
    """A float with lies in every method."""

    def _lie(self, *_: object) -> Any:
        return "1 -O spoof"

    __float__ = __mul__ = __rmul__ = __round__ = __str__ = __repr__ = __int__ = _lie  # type: ignore[assignment]


HOSTILE = st.one_of(
    st.text(max_size=30),
    st.text(max_size=10).map(Text),
    st.sampled_from(["-c 1", "192.0.2.1", "192.0.2.1\n", "'", '"', "\\", "\0", "\ud800", "é", "a b", "tcp-syn"]),
    st.integers(),
    st.integers().map(Number),
    st.sampled_from([2**63, -(2**64), 10**400, True, False]),
    st.floats(),
    st.floats().map(Real),
    st.binary(max_size=20),
    st.binary(max_size=20).map(bytearray),
    st.timedeltas(),
    st.datetimes(timezones=st.sampled_from([None, datetime.UTC])),
    st.sampled_from(
        [object(), len, _warts.ScamperAddr("192.0.2.1"), _warts.ScamperDealiasProbedef("udp"), 1j, ..., int]
    ),
    st.lists(st.one_of(st.text(max_size=5), st.integers(), st.none()), max_size=3),
    st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=5), st.integers()), max_size=3),
)


class Caught(Primitives):
    """Primitives that end where a request would be sent."""

    def _measure(self, primitive: str, params: dict[str, Any], inst: Any, sync: Any) -> Any:
        return primitive, params


def assert_plain(value: Any) -> None:
    """Exactly the base types, all the way down."""
    assert type(value) in {int, str, bytes, bool, list, dict, type(None)}, type(value)
    for part in value if type(value) is list else [*value, *value.values()] if type(value) is dict else ():
        assert_plain(part)


@pytest.mark.parametrize("name", ACTIONS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_hostile_values_leave_plain_or_not_at_all(name: str, data: st.DataObject) -> None:
    """For every parameter of every primitive: a plain request that the wire takes, or ValueError or TypeError."""
    method = getattr(Caught(), f"do_{name}")
    parameters = [p for p in inspect.signature(method).parameters if p not in {"inst", "sync"}]
    given_ = {p: data.draw(HOSTILE, label=p) for p in data.draw(st.lists(st.sampled_from(parameters), unique=True))}
    try:
        primitive, params = method(**given_)
    except (ValueError, TypeError):
        return
    for value in params.values():
        assert_plain(value)
    submit = calls.Submit.ask(1, primitive, params)
    assert calls.decode_from_worker(calls.encode(submit)) == submit


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e300, 10**400, datetime.timedelta.max])
def test_times_without_end_are_value_errors(value: Any) -> None:
    """No time is infinite, and none is longer than the wire can say."""
    with pytest.raises(ValueError, match="wait"):
        plain.duration("wait", value)


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        (1, 10**6),
        (0.05, 50_000),
        (1e-5, 10),
        (datetime.timedelta(days=1, microseconds=1), 86_400_000_001),
        (-2, -2_000_000),
    ],
)
def test_times_are_whole_microseconds(value: Any, micros: int) -> None:
    """Seconds and spans become microseconds without loss."""
    assert plain.duration("wait", value) == micros
