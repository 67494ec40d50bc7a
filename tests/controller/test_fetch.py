"""Names from scripts become harmless names of files; streams are joined."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onvp.controller.fetch import harmless


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        pytest.param("results.csv", "results.csv", id="plain"),
        pytest.param("a b (1)=x@y,z~.txt", "a b (1)=x@y,z~.txt", id="ordinary punctuation"),
        pytest.param("ŋ.csv", "ŋ.csv", id="letters of any language"),
        pytest.param("../x", "%2E.%2Fx", id="up"),
        pytest.param("/etc/passwd", "%2Fetc%2Fpasswd", id="absolute"),
        pytest.param(".bashrc", "%2Ebashrc", id="hidden"),
        pytest.param(".", "%2E", id="this folder"),
        pytest.param("..", "%2E%2E", id="the folder above"),
        pytest.param("-rf", "-rf", id="a dash is no danger in a file"),
        pytest.param("a\x00b", "a%00b", id="NUL"),
        pytest.param("a\nb", "a%0Ab", id="newline"),
        pytest.param("con.", "con%2E", id="a dot at the end"),
    ],
)
def test_names(name: str, becomes: str) -> None:
    """A plain name stays; every other one is encoded so that a person can still read it."""
    assert harmless(name) == becomes


@given(st.text())
@example("")
@example("\ud800")
@example("." * 300)
def test_any_name_is_one_component(name: str) -> None:
    """Whatever a script calls its artifact, the file is visible, inside its folder, and can be made."""
    safe = harmless(name)

    assert safe
    assert "/" not in safe
    assert "\x00" not in safe
    assert not safe.startswith(".")
    assert len(safe.encode()) <= 200
    assert safe.isprintable()


@given(st.text(max_size=40), st.text(max_size=40))
@example(".", "..")
@example("%2E", ".")
def test_two_names_stay_two(one: str, other: str) -> None:
    """Different artifacts do not overwrite each other."""
    assert (harmless(one) == harmless(other)) is (one == other)
