"""What a script's author reads when a value cannot be sent: parameter, value and bounds, in her units."""

import pytest

from onvp.policies.action import parse
from onvp.policies.errors import BadParameter


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"ttl": 0}, "ping: ttl=0: it must be 1 to 255"),
        ({"wait_timeout": 300_000_000}, "ping: wait_timeout=300 s: it must be 0.001 to 255 s"),
        ({"ip_ts": ["192.0.2.1", "nope"]}, "ping: ip_ts=['192.0.2.1', 'nope']: expected 4 octets in 'nope'"),
        ({"icmp_id": 1 << 70}, f"ping: icmp_id={1 << 70}: it must be 0 to 65535"),
    ],
)
def test_a_value_out_of_bounds_is_named_in_the_callers_units(params: dict[str, object], sentence: str) -> None:
    """Times are in seconds although they travel as microseconds; a wrong item is not blamed on the list's length."""
    with pytest.raises(BadParameter) as caught:
        parse("ping", {"dst": "192.0.2.1", **params})
    assert str(caught.value).startswith(sentence)
    assert not caught.value.wrong_type
