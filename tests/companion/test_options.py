"""The command grammar: what is accepted with which meaning, and what is refused with which reason."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.sandbox.companion.commands import read_command
from onvp.sandbox.companion.errors import CommandRefused
from onvp.sandbox.companion.options import Option, duration_us, moment_us, parse, text_of

TABLE: Mapping[str, Option] = {
    "a": Option("a"),
    "b": Option("b"),
    "v": Option("v", text_of("v", 40)),
    "H": Option("h", text_of("h", 40), repeats=True),
}


@pytest.mark.parametrize(
    ("text", "values", "words"),
    [
        ("", {}, ()),
        ("x", {}, ("x",)),
        ("-ab x y", {"a": True, "b": True}, ("x", "y")),
        ("-a  -v one x", {"a": True, "v": "one"}, ("x",)),
        ("-av one x", {"a": True, "v": "one"}, ("x",)),
        ("-v 'a b' x", {"v": "a b"}, ("x",)),
        ('-v "it\'s" x', {"v": "it's"}, ("x",)),
        (r"-v 'it\'s \\' x", {"v": "it's \\"}, ("x",)),
        ("-v -a x", {"v": "-a"}, ("x",)),
        ("-H 1 -H 2 x", {"h": ["1", "2"]}, ("x",)),
        ("-v '-x' x -v y", {"v": "-x"}, ("x", "-v", "y")),
    ],
)
def test_accepted(text: str, values: dict[str, Any], words: tuple[str, ...]) -> None:
    """Options come before the words, flags may be bundled, values may be quoted."""
    found = parse("test", text, TABLE)

    assert ({"h": []} | values, words) == (dict(found.values), found.words)


@pytest.mark.parametrize(
    "text",
    [
        "-x",
        "-",
        "--a",
        "-v",
        "-vone x",
        "-va x",
        "-v 'open x",
        "-v '' x",
        r"-v 'a\b' x",
        "-v 'a'b x",
        "-a -a x",
        "-v 1 -v 2",
    ],
)
def test_refused(text: str) -> None:
    """What the grammar does not know is refused, not guessed."""
    with pytest.raises(CommandRefused):
        parse("test", text, TABLE)


@pytest.mark.parametrize(
    ("unit", "text", "us"),
    [
        ("s", "1", 1_000_000),
        ("s", "1.0s", 1_000_000),
        ("s", "0.02s", 20_000),
        ("s", "20ms", 20_000),
        ("s", "1.5", 1_500_000),
        ("ms", "20", 20_000),
        ("ms", "20000us", 20_000),
        ("ms", "1s", 1_000_000),
    ],
)
def test_times(unit: str, text: str, us: int) -> None:
    """Times are exact, with a suffix or in the unit that the option had before suffixes."""
    assert us == duration_us("time", unit, 0, 10_000_000)(text)


@pytest.mark.parametrize("text", ["", "1e-3s", "1.", ".5", "-1", "1m", "1 s", "1.0.0", "0.0001s", "11s", "٣", "1s "])
def test_bad_times(text: str) -> None:
    """A malformed time, one finer than the option's step or out of its range is refused."""
    with pytest.raises(CommandRefused):
        duration_us("time", "s", 0, 10_000_000)(text)


def test_moments() -> None:
    """A moment is epoch seconds with a fraction; no float rounds it."""
    assert moment_us("start")("1795422066.000001") == 1795422066000001


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ping -c 1 127.0.0.1", "could not determine command type"),
        ("host", "expected name"),
        ("host a b", "expected name"),
        ("host -t AXFR x", "unsupported query type"),
        ("host -c HS x", "unsupported query class"),
        ("host -R 4 x", "retries must be within 0 - 3"),
        ("host -W 0.5 x", "timeout must be within 1s - 5s"),
        ("host -W 6s x", "timeout must be within 1s - 5s"),
        ("host -W 1.0001s x", "granularity"),
        ("host -s resolver.example x", "server must be an IP address"),
        ("host -s fe80::1%lo x", "server must be an IP address"),
        ("host -O cookie x", "unknown option"),
        ("host -O subnet=192.0.2.0/33 x", "invalid ecs"),
        ("host -O subnet=192.0.2.0 x", "invalid ecs"),
        ("host -T -R 1 x", "no retry with TCP"),
        ("host -t PTR x.example", "must be for an IP address"),
        ("host -t A 192.0.2.1", "cannot be for an IP address"),
        ("host a..b", "invalid name"),
        ("host " + "a" * 64 + ".x", "invalid name"),
        ("host " + "a." * 127 + "x", "invalid name"),
        ("host -U 4294967296 x", "userid"),
        ("host -U -1 x", "userid"),
    ],
)
def test_commands_refused(line: str, reason: str) -> None:
    """Each value out of its range is refused with upstream's reason."""
    with pytest.raises(CommandRefused, match=reason):
        read_command(line)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_any_line(line: str) -> None:
    """Any printable line is a command or refused, with a reason in one line."""
    for text in (line, f"host {line}", f"http {line}", f"udpprobe {line}", f"dealias {line}"):
        try:
            read_command(text)
        except CommandRefused as e:
            assert e.reason.isprintable()
