"""A script's error reaches its author: always, and with her own lines."""

# ruff: noqa: E501 - scripts and sentences stand as they are

import sys
import traceback

import pytest

from onvp.sandbox.lang import report
from tests.lang.running import run


def lines_of(source: str) -> list[str]:
    """The report of a script's error."""
    outcome = run(source)
    assert outcome.error is not None, outcome
    return [line for line in outcome.report.splitlines() if set(line) - set(" ^~")]


def test_a_report_reads_like_pythons_traceback():
    """The report names file, line and function, shows the script's lines, and ends with the exception."""
    assert lines_of("def f(x):\n    return 1 / x\n\nf(0)\n") == [
        "Traceback (most recent call last):",
        '  File "script.py", line 4, in <module>',
        "    f(0)",
        '  File "script.py", line 2, in f',
        "    return 1 / x",
        "ZeroDivisionError: division by zero",
    ]


def test_a_cause_is_shown_before_what_it_caused():
    """A chained exception shows both, in Python's order and words."""
    shown = lines_of("try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('no k') from e\n")
    assert shown[3] == "KeyError: 'k'"
    assert "The above exception was the direct cause of the following exception:" in shown
    assert shown[-1] == "ValueError: no k"


def test_a_context_is_shown_unless_suppressed():
    """An exception raised while another was handled shows both; 'from None' shows one."""
    source = "try:\n    {}['k']\nexcept KeyError:\n    raise ValueError('no k')"
    assert "During handling of the above exception, another exception occurred:" in lines_of(source)
    assert "KeyError: 'k'" not in lines_of(source + " from None")


def test_lines_of_the_host_are_not_shown():
    """Frames of library code do not appear with their files or source."""
    text = run("import json\njson.loads('{')\n").report
    assert "decoder" not in text.replace("json.decoder.JSONDecodeError", "")
    assert "json.loads('{')" in text
    assert "site-packages" not in text
    assert "/lib" not in text


def test_the_source_is_what_was_given_and_no_file(tmp_path, monkeypatch):
    """A file with the script's name on disk is not read."""
    (tmp_path / "script.py").write_text("SECRET = 'on disk'\n")
    monkeypatch.chdir(tmp_path)
    assert "SECRET" not in run("1 / 0\n").report


HOSTILE = {
    "a __str__ that raises": "class E(Exception):\n    def __str__(self): raise ValueError\nraise E()",
    "a __str__ that is no text": "class E(Exception):\n    def __str__(self): return 5\nraise E()",
    "a __str__ that exits": "class E(Exception):\n    def __str__(self): raise SystemExit(0)\nraise E()",
    "a __str__ that interrupts": "class E(Exception):\n    def __str__(self): raise KeyboardInterrupt\nraise E()",
    "a __str__ that recurses": "class E(Exception):\n    def __str__(self): return str(self)\nraise E()",
    "a __str__ that gives a text that lies": "class S(str):\n    def __len__(self): raise ValueError\n    def __str__(self): raise "
                                              "ValueError\nclass E(Exception):\n    def __str__(self): return S('x')\nraise E()",
    "a __repr__ of an argument that raises": "class R:\n    def __repr__(self): raise ValueError\nraise ValueError(R(), R())",
    "a huge message": "raise ValueError('x' * 5_000_000)",
    "many lines of message": "raise ValueError('x\\n' * 500_000)",
    "half surrogates": "raise ValueError('\\udc80')",
    "deep recursion": "def f(): f()\nf()",
    "mutual recursion": "def f(n): g(n)\ndef g(n): f(n)\nf(1)",
    "a deep chain of causes": "e = None\nfor i in range(5000):\n    try:\n        raise ValueError(i) from e\n    except ValueError as x:\n"
                              "        e = x\nraise e",
    "a circle of causes": "a = ValueError('a'); b = ValueError('b')\ntry:\n    raise a from b\nexcept ValueError:\n    pass\n"
                          "try:\n    raise b from a\nexcept ValueError:\n    pass\nraise a",
    "a note that is no text": "e = ValueError('x')\ne.add_note('n' * 100_000)\nraise e",
    "a name that lies": "class E(Exception): pass\nE.__name__ = 'x' * 100_000\nraise E('y')",
    "a long line": "x = 1; " * 20_000 + "1 / 0",
    "an exception that is a key": "raise KeyError(('a',) * 10_000)",
}  # fmt: skip


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_exception_is_reported_all_the_same(source):
    """Whatever the exception does, there is a report, it is short, and it can be sent."""
    outcome = run(source)
    if outcome.refusals:
        pytest.fail(f"does not compile: {outcome.refusals}")
    assert outcome.report
    assert len(outcome.report) <= 64 << 10
    assert outcome.report.encode("utf-8", "replace")


def test_the_last_line_names_the_exception_even_when_its_text_cannot_be_had():
    """An exception whose text cannot be had is still named."""
    assert (
        run("class E(Exception):\n    def __str__(self): raise ValueError\nraise E()")
        .report.splitlines()[-1]
        .startswith("E:")
    )


def test_repeated_lines_of_a_recursion_are_summed_up():
    """A runaway recursion does not fill the report with one line."""
    text = run("def f():\n    f()\nf()").report
    assert text.count("    f()\n") < 20
    assert "RecursionError" in text.splitlines()[-1]


def test_format_exception_stands_at_the_end_of_the_stack():
    """A report can be made when hardly any stack is left."""

    def deep(n: int, error: Exception) -> str:
        try:
            return deep(n + 1, error)
        except RecursionError:
            return report.format_exception(error, b"1 / 0", "script.py")

    try:
        raise ValueError("x")
    except ValueError as error:
        before = sys.getrecursionlimit()
        assert "ValueError" in deep(0, error)
        assert sys.getrecursionlimit() == before


def test_notes_are_shown():
    """Notes that the script added follow the message, as in Python."""
    assert lines_of("e = ValueError('x')\ne.add_note('look here')\nraise e")[-2:] == ["ValueError: x", "look here"]


def test_plain_python_agrees():
    """For an ordinary error the report is what CPython prints, but for the marks under lines."""
    source = "def f(a):\n    return g(a)\ndef g(a):\n    return a.nothing\nf('x')\n"
    import linecache

    linecache.cache["script.py"] = (len(source), None, source.splitlines(keepends=True), "script.py")
    try:
        exec(compile(source, "script.py", "exec"), {})
    except AttributeError as error:
        assert error.__traceback__ is not None
        told = "".join(traceback.format_exception(type(error), error, error.__traceback__.tb_next))
    finally:
        del linecache.cache["script.py"]
    assert lines_of(source) == [line for line in told.splitlines() if set(line) - set(" ^~")]
