"""What stands in a script's globals, and what its imports, prints and streams do."""

import pytest

from onvp.sandbox.lang import environment
from tests.lang.running import Sink, no_file, run


def test_a_script_is_main():
    """__name__ is "__main__"."""
    assert run("if __name__ == '__main__':\n    print('main')").out == "main\n"


def test_print_writes_to_the_runs_output():
    """print() with its parameters writes as Python's does."""
    assert run("print(1, 'a', sep='-', end='!')\nprint()\nprint(None, flush=True)").out == "1-a!\nNone\n"


def test_print_can_write_to_stderr():
    """print(file=sys.stderr) writes to the run's stderr, and file=None to its output."""
    outcome = run("import sys\nprint('e', file=sys.stderr)\nprint('o', file=None)\nprint('p', file=sys.stdout)")
    assert (outcome.out, outcome.err) == ("o\np\n", "e\n")


def test_print_can_write_to_the_scripts_own_object():
    """print(file=...) takes anything with write()."""
    source = "class W:\n    def write(self, s): got.append(s)\ngot = []\nprint('x', 1, file=W())\nprint(got)"
    assert run(source).out == "['x', ' ', '1', '\\n']\n"


def test_arguments_reach_the_script():
    """sys.argv is the script's name and its arguments, and the script may change its own list."""
    assert run("import sys\nprint(sys.argv)\nsys.argv.append('z')", args=("a", "b")).out == "['script.py', 'a', 'b']\n"


def test_facades_are_modules():
    """The modules of the platform are imported like any other, by all three forms."""
    facades: dict[str, dict[str, object]] = {"scamper": {"ScamperCtrl": int, "answer": 42}}
    source = (
        "import scamper\nfrom scamper import answer\nimport scamper as s\n"
        "print(scamper.answer, answer, s.ScamperCtrl('7'))"
    )
    assert run(source, facades=facades).out == "42 42 7\n"


def test_a_name_that_a_facade_lacks_is_told():
    """from-import of an unlisted name names it, and the module."""
    word = run("from scamper import nothing", facades={"scamper": {"answer": 42}}).last_word
    assert word.startswith("ImportError: cannot import name 'nothing' from 'scamper'")


def test_facades_cannot_be_changed():
    """A script cannot write into the platform's modules."""
    assert run("import scamper\nscamper.answer = 1", facades={"scamper": {"answer": 42}}).error is not None


def test_a_site_can_narrow_the_modules():
    """With a list of modules, others are refused with the site's reason, and listed ones work."""
    assert run("import json\nprint(json.dumps(1))", modules=["json"]).out == "1\n"
    word = run("import random", modules=["json"]).last_word
    assert word.startswith("ImportError: module 'random' is not in this site's list")


def test_narrowing_keeps_what_every_script_needs():
    """The platform's own modules, sys and the future stay, whatever a site lists."""
    source = "from __future__ import annotations\nimport sys\nimport scamper\nprint(len(sys.argv))"
    assert run(source, modules=[], facades={"scamper": {}}).out == "1\n"


def test_what_the_interpreter_imports_for_itself_works_under_a_narrow_list():
    """datetime.strptime, strftime and re.sub need modules that a site need not list."""
    source = (
        "import datetime, re\n"
        "print(datetime.datetime.strptime('2026', '%Y').year, datetime.date(2026, 1, 2).strftime('%d'), "
        "re.compile('(a)').sub(r'\\1b', 'a'))"
    )
    outcome = run(source, modules=["datetime", "re"])
    assert (outcome.last_word, outcome.out) == ("", "2026 02 ab\n")


@pytest.mark.parametrize(
    ("source", "instead"),
    [
        ("import socket", "do_"),
        ("import requests", "do_http"),
        ("import threading", "responses"),
        ("import os", "open"),
    ],
)
def test_a_refused_module_comes_with_what_to_use(source, instead):
    """The refusal of a well-known module says what to use in its place."""
    assert instead in run(source).last_word


def test_each_run_has_its_own_random_numbers():
    """Two runs of one process do not give the same numbers."""
    source = "import random\nprint([random.random() for _ in range(4)])"
    assert run(source).out != run(source).out


def test_loggers_of_one_run_are_not_those_of_another():
    """What a script configures in logging is gone with it."""
    run("import logging, sys\nlogging.basicConfig(level=logging.DEBUG, stream=sys.stdout)\nlogging.debug('x')")
    outcome = run("import logging\nlogging.debug('hidden')\nlogging.warning('shown')")
    assert (outcome.out, outcome.err) == ("", "WARNING:root:shown\n")


def test_open_is_the_runs_own():
    """open() is the one that was given."""
    asked = []
    names = environment.build(
        argv=["s"],
        stdout=Sink(),
        stderr=Sink(),
        open=lambda *a: asked.append(a),
        facades={},
        modules=None,
        guards="static",
    )
    names["__builtins__"]["open"]("x", "w")  # type: ignore[index]
    assert asked == [("x", "w")]


def test_builtins_that_are_missing_on_purpose():
    """No builtin that evaluates text or lists scopes is in a script's builtins."""
    names = environment.build(
        argv=["s"], stdout=Sink(), stderr=Sink(), open=no_file, facades={}, modules=None, guards="static"
    )
    builtins = names["__builtins__"]
    assert isinstance(builtins, dict)
    assert not {"eval", "exec", "compile", "globals", "locals", "input", "breakpoint", "help"} & set(builtins)
