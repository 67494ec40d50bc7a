"""A command line is the words that were added, and nothing else can be added."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.sandbox.prober.errors import UnsafeLine
from onvp.sandbox.prober.line import LIMIT_CHARS, Line, cut


@given(st.lists(st.text(max_size=12), max_size=5))
def test_a_word_stays_one_word_or_is_refused(words: list[str]) -> None:
    """Blanks, quotes, hyphens in front, control characters, other alphabets: refused."""
    line = Line("ping", escapes=True)
    kept = []
    for word in words:
        try:
            line.word(word)
        except UnsafeLine:
            continue
        kept.append(word)
    assert line.text().split(" ") == ["ping", *kept]
    assert not any(word.startswith("-") for word in kept)


@given(st.text(st.characters(min_codepoint=0, max_codepoint=300), max_size=20), st.booleans())
def test_a_quoted_value_is_read_back_as_it_was(value: str, escapes: bool) -> None:
    """Any printable text where the prober knows escapes; no quote or backslash where it does not."""
    line = Line("http", escapes=escapes)
    try:
        line.quoted("-H", value)
    except UnsafeLine:
        assert not value or not (value.isascii() and value.isprintable()) or set(value) & {"'", "\\"}
        return
    assert cut(line.text(), escapes=escapes) == ["http", "-H", value]


@pytest.mark.parametrize("flag", ["c", "--c", "-c -x", "-c\n", "-1", "- "])
def test_a_flag_is_a_hyphen_and_a_letter(flag: str) -> None:
    """Even the tables cannot hold anything else."""
    with pytest.raises(UnsafeLine):
        Line("ping", escapes=True).flag(flag)


def test_a_nested_line_holds_no_quote() -> None:
    """What is quoted as a whole must not be able to end the quote."""
    inner = Line(None, escapes=True)
    inner.quoted("-P", "udp")
    with pytest.raises(UnsafeLine):
        Line("dealias", escapes=True).nested("-p", inner)


def test_a_line_has_a_largest_length() -> None:
    """A megabyte is beyond any action."""
    line = Line("ping", escapes=True)
    line.word("a" * (LIMIT_CHARS + 1))
    with pytest.raises(UnsafeLine):
        line.text()


def test_the_last_check_sees_what_the_first_missed() -> None:
    """A word that got in by another way than `Line.word` is noticed in the finished line."""
    line = Line("ping", escapes=True)
    line._words.append("192.0.2.1 -S 192.0.2.9")
    line._parts.append("192.0.2.1 -S 192.0.2.9")
    with pytest.raises(UnsafeLine):
        line.text()


@pytest.mark.parametrize("text", ["ping 'a", "ping '\\x'", 'ping "a'])
def test_a_broken_quote_is_no_line(text: str) -> None:
    """The model of the parser refuses what the parser refuses."""
    with pytest.raises(UnsafeLine):
        cut(text, escapes=True)
