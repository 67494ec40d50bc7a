"""The line that a person carries: read back as it was written, refused in a sentence otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.sandbox.wire.invite import Invitation, check_url, is_loopback, parse_invitation

SECRET = "enr_" + "x" * 43


@given(
    st.text(alphabet="abcXYZ019-_", min_size=8, max_size=60),
    st.one_of(st.none(), st.text(alphabet="0123456789abcdef", min_size=64, max_size=64)),
    st.sampled_from(["https://onvp.example:8440", "http://127.0.0.1:1", "https://[2001:db8::1]:8440/under"]),
)
def test_round_trip(secret: str, fingerprint: str | None, url: str) -> None:
    """What was written is read, also when a mail program broke the line."""
    invitation = Invitation(secret, fingerprint, url)
    line = str(invitation)

    assert parse_invitation(line) == invitation
    assert parse_invitation(f"  {line[:20]}\n {line[20:]}\n") == invitation


@given(st.text())
def test_anything_else_is_refused_in_a_sentence(text: str) -> None:
    """Any other text is a ValueError, never something else."""
    with pytest.raises(ValueError, match="onvp token"):
        parse_invitation(text)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("http://192.0.2.1:8440", "in the clear", id="plain http to another machine"),
        pytest.param("http://localhost.evil.example", "in the clear", id="a name that begins like loopback"),
        pytest.param("ftp://onvp.example", "form", id="another scheme"),
        pytest.param("https://", "form", id="no host"),
        pytest.param("https://a@b", "form", id="user in the URL"),
        pytest.param("https://a?x=1", "form", id="query"),
        pytest.param("https://a:port", "broken", id="port is no number"),
        pytest.param("onvp.example", "form", id="no scheme"),
    ],
)
def test_urls(url: str, words: str) -> None:
    """A URL that would leak a secret or leads nowhere is refused."""
    with pytest.raises(ValueError, match=words):
        check_url(url)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("localhost", True),
        ("128.0.0.1", False),
        ("127.0.0.1.example", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    """Only addresses that stay on this machine may do without TLS."""
    assert is_loopback(host) is expected
