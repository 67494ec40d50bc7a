"""Quantities carry their units, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.policies.units import (
    parse_count,
    parse_packets,
    parse_rate,
    parse_size,
    parse_time,
    show_size,
    show_time,
)


@given(st.integers(0, 10**14))
def test_round_trip(value: int) -> None:
    """What is shown as a size or a duration is read as the same one."""
    assert parse_size(show_size(value)) == value
    assert parse_time(show_time(value)) == value


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_size, "64KiB", 65536), (parse_size, "1.5kB", 1500), (parse_size, "0B", 0),
        (parse_time, "250ms", 250_000), (parse_time, "5min", 300_000_000), (parse_time, "0.5s", 500_000),
        (parse_rate, "64KiB/s", 65536), (parse_count, "200k", 200_000), (parse_packets, "500 packets", 500),
    ],
)  # fmt: skip
def test_value(parse: object, text: str, value: int) -> None:
    """A quantity with its unit is a whole number of the smallest unit."""
    assert parse(text) == value  # type: ignore[operator]


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_size, "64"), (parse_size, "64kb"), (parse_size, "-1B"), (parse_size, "1.5B"), (parse_size, "64KiB/s"),
        (parse_size, ""), (parse_size, "1e3B"), (parse_time, "20"), (parse_time, "PT20S"), (parse_time, "20S"),
        (parse_rate, "64KiB"), (parse_rate, "5/s"), (parse_count, "5.5"), (parse_count, "-5"), (parse_count, "5B"),
        (parse_count, "٥"), (parse_packets, "500"), (parse_packets, "500 bytes"),
    ],
)  # fmt: skip
def test_no_value(parse: object, text: str) -> None:
    """Without its unit, or with another one, it is a ValueError that quotes it."""
    with pytest.raises(ValueError, match=r"'.*'"):
        parse(text)  # type: ignore[operator]
