"""A token bucket never gives more than its rate."""

from hypothesis import given
from hypothesis import strategies as st

from onvp.sandbox.broker.bucket import Bucket

STEPS = st.lists(st.tuples(st.floats(0, 5), st.integers(1, 60)), max_size=60)


@given(st.integers(1, 100), st.integers(1, 200), STEPS)
def test_never_above_rate(rate: int, burst: int, steps: list[tuple[float, int]]) -> None:
    """By any time, at most burst + rate x time has begun, however callers come, if each waits as it is told."""
    bucket, now, begun = Bucket(rate, burst, 0.0), 0.0, []
    for pause, wanted in steps:
        now += pause
        tokens = min(wanted, burst)
        delay = bucket.delay(tokens, now)
        assert delay >= 0.0
        bucket.take(tokens, now)
        begun.append((now + delay, tokens))
        assert bucket.level(now) <= burst

    for moment, _ in begun:
        total = sum(tokens for start, tokens in begun if start <= moment)
        assert total <= burst + rate * moment + 1e-6


@given(st.integers(1, 100), st.integers(1, 200), st.floats(0.1, 50), st.floats(0, 30))
def test_delay_is_long_enough_and_no_longer(rate: int, burst: int, pace: float, debt: float) -> None:
    """After the delay the tokens are there, also while others drain; a little before they are not."""
    bucket = Bucket(rate, burst, 0.0)
    bucket.drain(1, 40.0, pace, 0.0)
    bucket.take(burst + debt, 0.0)

    delay = bucket.delay(burst, 0.0)

    assert bucket.level(delay * 0.98) < burst
    assert bucket.level(delay + 1e-6) >= burst - 1e-3


def test_drain_is_exact() -> None:
    """A drain takes exactly its tokens at its pace, and nothing more after it was stopped."""
    bucket = Bucket(10.0, 100.0, 0.0)
    bucket.take(100.0, 0.0)
    bucket.drain(1, 20.0, 4.0, 0.0)

    assert bucket.level(5.0) == 5.0 * (10 - 4)
    assert bucket.level(6.0) == 5.0 * (10 - 4) + 10.0

    bucket.drain(2, 20.0, 4.0, 6.0)
    bucket.stop_drain(2, 7.0)
    bucket.stop_drain(2, 7.0)
    assert bucket.level(8.0) == 40.0 + 6.0 + 10.0


def test_not_full_of_refunds() -> None:
    """What is given back never fills a bucket above its burst, and a clock that stands still gives nothing."""
    bucket = Bucket(10.0, 20.0, 0.0)
    bucket.take(5.0, 0.0)
    bucket.give_back(50.0)

    assert bucket.level(0.0) == 20.0
    bucket.take(20.0, 1.0)
    assert bucket.level(0.5) == 0.0
    assert not bucket.idle(2.0)
    assert bucket.idle(3.0)
