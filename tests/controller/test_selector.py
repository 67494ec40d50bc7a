"""Which vantage points a selector fits."""

import pytest

from onvp.controller.errors import BadSelectorError
from onvp.controller.selector import KEYS, Selector
from onvp.sandbox.wire.calls import Instance
from tests.controller.world import hello

VP = hello(
    "akl-nz",
    vp=Instance(name="akl-nz", cc="nz", asn4=64500, asn6=64501, place="Auckland", tags=("campus", "ipv6")),
)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        pytest.param("all", True, id="all"),
        pytest.param("*", True, id="star"),
        pytest.param("cc=nz", True, id="equal"),
        pytest.param("cc=NZ", True, id="without case"),
        pytest.param("cc=au", False, id="not equal"),
        pytest.param("cc=au,nz", True, id="one of"),
        pytest.param("cc!=nz", False, id="negated"),
        pytest.param("cc!=au,us", True, id="none of"),
        pytest.param("cc=nz tag=campus", True, id="all must hold"),
        pytest.param("cc=nz tag=residential", False, id="one does not hold"),
        pytest.param("tag=ipv6 tag=campus", True, id="two tags"),
        pytest.param("tag!=campus", False, id="any tag counts against a negation"),
        pytest.param("name=akl-*", True, id="pattern"),
        pytest.param("name=[a]kl-nz", False, id="brackets are not special"),
        pytest.param("asn=64501", True, id="either asn"),
        pytest.param("asn=6450", False, id="numbers match whole"),
        pytest.param("iata=akl", False, id="what is unknown is not equal"),
        pytest.param("iata!=akl", True, id="what is unknown is different"),
        pytest.param("primitive=ping level=standard prober=scamper", True, id="what it can do"),
    ],
)
def test_fit(text: str, fits: bool) -> None:
    """A selector fits by its conditions, all of them."""
    assert fits is Selector(text).holds(VP)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("   ", "empty", id="blank"),
        pytest.param("nz", "'nz' is not a condition", id="no condition"),
        pytest.param("cc=", "not a condition", id="no value"),
        pytest.param("cc>nz", "not a condition", id="unknown sign"),
        pytest.param("country=nz", "no key 'country'", id="unknown key"),
    ],
)
def test_bad_selector(text: str, words: str) -> None:
    """What cannot be read is refused with a sentence."""
    with pytest.raises(BadSelectorError, match=words):
        Selector(text)


def test_a_typing_error_is_recognised() -> None:
    """A key that is nearly right is told from what was meant, and all keys are listed."""
    with pytest.raises(BadSelectorError) as caught:
        Selector("tags=campus")

    assert "Did you mean 'tag'?" in caught.value.hint
    assert all(key in caught.value.hint for key in KEYS)
