"""Ordinary Python runs unmodified, under both settings of the guards."""

import contextlib
import io
import linecache

import pytest

from tests.lang.ordinary import SNIPPETS
from tests.lang.running import run


def plainly(source: str) -> tuple[str, str]:
    """What CPython prints: its output and its stderr."""
    out, err = io.StringIO(), io.StringIO()
    linecache.cache["script.py"] = (len(source), None, source.splitlines(keepends=True), "script.py")
    import logging

    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        exec(compile(source, "script.py", "exec", dont_inherit=True), {"__name__": "__main__"})
    logging.getLogger().handlers.clear()
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize("habit", SNIPPETS)
def test_ordinary_python_prints_what_cpython_prints(habit, guards):
    """A snippet of ordinary Python runs as it is and prints what CPython prints."""
    outcome = run(SNIPPETS[habit], guards=guards)

    assert outcome.report == ""
    assert outcome.refusals == ()
    assert (outcome.out, outcome.err) == plainly(SNIPPETS[habit])


def test_the_corpus_is_broad():
    """There are at least sixty habits."""
    assert len(SNIPPETS) >= 60
