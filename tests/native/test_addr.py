"""`ScamperAddr`: what it is made from, how it compares, which blocks it knows."""

from __future__ import annotations

import copy
import ipaddress
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.native._warts import ScamperAddr


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_round_trip(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Text and bytes make the same address, and give it back; so do pickle and copy."""
    made = ScamperAddr(address.packed)

    assert made == ScamperAddr(str(address)) == str(address)
    assert made.packed == address.packed
    assert ipaddress.ip_address(str(made)) == address
    assert pickle.loads(pickle.dumps(made)) == made
    assert copy.deepcopy(made) == made
    assert hash(made) == hash(ScamperAddr(str(address)))
    assert (made.is_ipv4(), made.is_ipv6()) == (address.version == 4, address.version == 6)


@pytest.mark.parametrize("wrong", ["localhost", "", "192.0.2.1\0", "192.0.2.256", "::g", "é", 5, None, bytearray(4)])
def test_no_address(wrong: object) -> None:
    """What is no numeric address is a ValueError, and nothing is resolved."""
    with pytest.raises(ValueError, match="invalid address"):
        ScamperAddr(wrong)


@pytest.mark.parametrize("length", [0, 3, 5, 8, 17])
def test_bytes_of_wrong_length(length: int) -> None:
    """Bytes make an address only if there are 4, 6 or 16."""
    with pytest.raises(ValueError, match="expected bytes array of 4/6/16 bytes"):
        ScamperAddr(b"\1" * length)


def test_comparison() -> None:
    """IPv4 sorts by number before IPv6; text compares, too; other types are unequal."""
    addresses = [ScamperAddr(x) for x in ("2001:db8::1", "192.0.2.10", "9.0.0.1", "::1", "192.0.2.9")]

    assert [str(a) for a in sorted(addresses)] == [
        "9.0.0.1",
        "192.0.2.9",
        "192.0.2.10",
        "::1",
        "2001:db8::1",
    ]
    assert ScamperAddr("192.0.2.1") < "192.0.2.2"
    assert ScamperAddr("192.0.2.1") != "not an address"
    assert ScamperAddr("192.0.2.1") != 5
    assert "192.0.2.1" not in {ScamperAddr("192.0.2.1")}
    with pytest.raises(TypeError):
        assert ScamperAddr("192.0.2.1") < "not an address"
    with pytest.raises(TypeError):
        assert ScamperAddr("192.0.2.1") < 5


def test_text() -> None:
    """The forms of an address as text."""
    assert str(ScamperAddr("2001:0DB8::0:1")) == "2001:db8::1"
    assert repr(ScamperAddr("192.0.2.1")) == "ScamperAddr('192.0.2.1')"
    assert f"{ScamperAddr('192.0.2.1'):>12}" == "   192.0.2.1"
    assert str(ScamperAddr(b"\0\1\2\xfa\xfb\xfc")) == "00:01:02:fa:fb:fc"


@pytest.mark.parametrize(
    ("text", "predicates"),
    [
        ("192.0.2.1", {"is_ipv4", "is_reserved"}),
        ("192.0.3.1", {"is_ipv4"}),
        ("10.255.0.1", {"is_ipv4", "is_rfc1918", "is_reserved"}),
        ("172.31.255.255", {"is_ipv4", "is_rfc1918", "is_reserved"}),
        ("172.32.0.0", {"is_ipv4"}),
        ("169.254.3.4", {"is_ipv4", "is_linklocal", "is_reserved"}),
        ("198.19.255.255", {"is_ipv4", "is_reserved"}),
        ("198.20.0.0", {"is_ipv4"}),
        ("100.127.255.255", {"is_ipv4", "is_reserved"}),
        ("100.128.0.0", {"is_ipv4"}),
        ("239.0.0.1", {"is_ipv4", "is_reserved"}),
        ("8.8.8.8", {"is_ipv4"}),
        ("fe80::1", {"is_ipv6", "is_linklocal", "is_reserved"}),
        ("febf::1", {"is_ipv6", "is_linklocal", "is_reserved"}),
        ("fec0::1", {"is_ipv6", "is_reserved"}),
        ("2002::1", {"is_ipv6", "is_unicast", "is_6to4", "is_reserved"}),
        ("2001:db8::1", {"is_ipv6", "is_unicast", "is_reserved"}),
        ("2001::1", {"is_ipv6", "is_unicast", "is_reserved"}),
        ("2001:1::1", {"is_ipv6", "is_unicast"}),
        ("2001:2f:ffff::", {"is_ipv6", "is_unicast", "is_reserved"}),
        ("2001:30::", {"is_ipv6", "is_unicast"}),
        ("2600::1", {"is_ipv6", "is_unicast"}),
        ("4000::1", {"is_ipv6", "is_reserved"}),
        ("::1", {"is_ipv6", "is_reserved"}),
    ],
)
def test_predicates(text: str, predicates: set[str]) -> None:
    """An address is in the blocks that upstream's module lists, edges included."""
    address = ScamperAddr(text)
    names = [name for name in dir(address) if name.startswith("is_")]

    assert {name for name in names if getattr(address, name)()} == predicates
