"""Source in, code out, or every problem at once."""

import json
import subprocess
import sys

import pytest

from onvp.sandbox.lang.check import ScriptRefused, compile_script, imported, primitives_used


def problems(source: str | bytes, **limits: int) -> list[tuple[int, int, str, str]]:
    """What is wrong with a script, as tuples."""
    with pytest.raises(ScriptRefused) as refused:
        compile_script(source, "script.py", **limits)
    return [(p.line, p.column, p.construct, p.message) for p in refused.value.problems]


CONSTRUCTS = [
    ("async def f(): pass", "async def", "async functions are not in scripts: write a plain def; "),
    ("try:\n    f()\nexcept* ValueError:\n    pass", "except*", "except* is not in scripts: write except "),
    ("class C(metaclass=M): pass", "metaclass", "metaclasses are not in scripts: inherit from abc.ABC"),
    ("class C(B, flag=True): pass", "class keywords", "keywords in a class statement are not in scripts"),
    ("from math import *", "star import", "import * is not in scripts: name what you need, from math import ..."),
    ("from .x import y", "relative import", "a script is one file: there is nothing to import from '.'"),
    ("import _thread", "import", "_thread is private and cannot be imported in scripts"),
    ("n = input('n? ')", "input()", "input() has nobody to ask here: take values from sys.argv"),
    ("eval('1')", "eval()", "eval() runs text as code and is not in scripts: use json.loads()"),
    ("x.__globals__", "__globals__", "__globals__ leads into the interpreter and is not in scripts"),
    ("x._y_", "_y_", "names that begin and end with an underscore are reserved: _y_ is not in scripts"),
    ("_x_ = 1", "_x_", "names that begin and end with an underscore are reserved: call _x_ something else"),
    ("x.gi_frame = 1", "gi_frame", "gi_frame leads into the interpreter and is not in scripts"),
    (
        "class C:\n    def __new__(cls): pass",
        "__new__",
        "a function called __new__ is not in scripts: use __init__, or",
    ),
    ("type('C', (), {})", "type()", "type() with three arguments makes classes and is not in scripts"),
    ("x.__dict__.pop('a')", "__dict__", "__dict__ can be read, updated with .update(...) and set by [name] = value"),
    ("del x.__dict__['a']", "__dict__", "__dict__ can be read, updated with .update(...) and set by [name] = value"),
    (
        "match x:\n    case C(_a=1): pass",
        "class pattern",
        "a class pattern cannot read _a: use `case X() if ...` instead",
    ),
    ("match x:\n    case a.__b__: pass", "pattern", "a pattern cannot read __b__: use `case x if x == ...` instead"),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("source", "construct", "sentence"), CONSTRUCTS, ids=[c[0] for c in CONSTRUCTS])
def test_a_refusal_names_the_construct_and_what_to_write_instead(source, construct, sentence, guards):
    """Each construct that scripts lack is refused once, by name, with advice."""
    with pytest.raises(ScriptRefused) as refused:
        compile_script(source, guards=guards)

    (problem,) = refused.value.problems
    assert problem.construct == construct
    assert problem.message.startswith(sentence)
    assert problem.line in {1, 2, 3}
    assert problem.column >= 1


def test_all_problems_are_told_at_once_in_the_order_of_the_file():
    """One refusal lists everything, with line and column."""
    source = "import json\nx = eval('1')\nasync def f():\n    await g()\nclass C(metaclass=M):\n    y = q.__code__\n"

    assert [p[:3] for p in problems(source)] == [
        (2, 5, "eval()"),
        (3, 1, "async def"),
        (5, 1, "metaclass"),
        (6, 9, "__code__"),
    ]


def test_a_refusal_reads_like_a_compilers():
    """The text of a refusal has one line per problem: file, line, column, sentence."""
    with pytest.raises(ScriptRefused) as refused:
        compile_script("exec('1')\nx = _y_", "ping.py")

    first, second = str(refused.value).splitlines()
    assert first == "ping.py:1:1: exec() runs text as code and is not in scripts: write the code into the script"
    assert second.startswith("ping.py:2:5: ")


def test_the_list_of_problems_is_bounded():
    """A script with thousands of problems is refused with the first hundred."""
    assert len(problems("eval(1)\n" * 5000)) == 100


@pytest.mark.parametrize(
    ("source", "line", "column", "sentence"),
    [
        pytest.param("x = (1,\ny = 2", 1, 5, "not Python: '(' was never closed", id="a parenthesis"),
        pytest.param("print 'x'", 1, 1, "not Python: Missing parentheses in call to 'print'.", id="Python 2"),
        pytest.param("def f():\npass", 2, 1, "not Python: expected an indented block", id="indentation"),
        pytest.param("if x:\n\ty\n        z", 3, 1, "not Python: inconsistent use of tabs", id="tabs"),
        pytest.param("return 1", 1, 1, "not Python: 'return' outside function", id="found by the compiler"),
        pytest.param("x = '\\N{NO SUCH NAME}'", 1, 23, "not Python: (unicode error)", id="a character's name"),
        pytest.param("x = 1\nx = 'a\0b'", 2, 7, "the script holds a NUL byte", id="NUL"),
        pytest.param(b"x = 1\n# \xff", 2, 3, "byte 0xff is not UTF-8: save the script as UTF-8", id="not UTF-8"),
        pytest.param(b"# coding: latin-1\nx", 1, 1, "the script says it is in latin-1: save it as UTF-8", id="cookie"),
        pytest.param("x = " + "9" * 5000, 1, 0, "not Python: Exceeds the limit (4300 digits)", id="a huge number"),
    ],
)
def test_what_is_not_python_is_refused_with_its_place(source, line, column, sentence):
    """A file that is not a Python text is refused with line, column and reason."""
    ((found_line, found_column, _, message),) = problems(source)

    assert message.startswith(sentence)
    assert (found_line, found_column) == (line, column)


def test_a_script_that_is_too_long_is_refused():
    """The size has a limit, and the refusal says both figures."""
    ((line, _, construct, message),) = problems(b"#" * 101, max_bytes=100)

    assert (line, construct) == (0, "size")
    assert message == "the script has 101 bytes and the limit is 100: move data into input files"


def test_a_byte_order_mark_is_no_problem():
    """Editors that write one do no harm."""
    compile_script(b"\xef\xbb\xbfx = 1")


DEEP = {
    "parentheses": "x = " + "(" * 5000 + "1" + ")" * 5000,
    "lists": "x = " + "[" * 150 + "1" + "]" * 150 + "\ny = " + "[" * 5000,
    "minus signs": "x = " + "-" * 50_000 + "1",
    "not": "x = " + "not " * 50_000 + "1",
    "sums": "x = " + "1+" * 100_000 + "1",
    "powers": "x = " + "2**" * 50_000 + "1",
    "attributes": "x" + ".a" * 100_000,
    "calls": "f" + "()" * 100_000,
    "subscripts": "f" + "[0]" * 100_000,
    "lambdas": "x = " + "lambda: " * 50_000 + "1",
    "conditionals": "x = " + "1 if 2 else " * 50_000 + "3",
    "elif": "if a: pass\n" + "elif b: pass\n" * 50_000,
    "comparisons": "x = " + "(1 <" * 190 + "2" + ")" * 190,
    "indentation": "".join(" " * n + "if x:\n" for n in range(99)) + " " * 99 + "pass",
    "f-strings": 'f"' + "{1:" * 100 + "}" * 100 + '"',
    "patterns": "match x:\n    case " + "[" * 190 + "1" + "]" * 190 + ": pass",
    "decorators": "@f\n" * 50_000 + "def g(): pass",
    "strings": "x = (" + "'a'\n" * 100_000 + ")",
    "comprehensions": "x = " + "[i for i in " * 90 + "y" + "]" * 90,
}


COMPILES_ALL = """
import json, sys
from onvp.sandbox.lang.check import ScriptRefused, compile_script
for kind, source in json.load(sys.stdin).items():
    try:
        compile_script(source, guards=sys.argv[1])
    except ScriptRefused as refused:
        print(kind, "refused", flush=True)
    else:
        print(kind, "compiled", flush=True)
"""


@pytest.mark.parametrize("guards", ["static", "full"])
def test_deep_nesting_ends_in_code_or_a_refusal(guards):
    """Whatever is nested however deep, the check neither crashes nor raises anything else."""
    done = subprocess.run(
        [sys.executable, "-c", COMPILES_ALL, guards],
        input=json.dumps(DEEP),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-100:] + done.stderr[-500:]
    assert len(done.stdout.splitlines()) == len(DEEP)
    assert "minus signs refused" in done.stdout
    assert "strings compiled" in done.stdout


def test_ordinary_depth_is_no_problem():
    """A long chain of elif and a long sum, as people write them, compile."""
    compile_script("if a: pass\n" + "elif b: pass\n" * 90 + "x = " + " + ".join("abcdefghij" * 9))


def test_the_depth_that_is_refused_has_a_place():
    """The refusal of a deep expression names the line."""
    ((line, _, construct, _),) = problems("x = 1\ny = " + "-" * 60 + "1", max_depth=50)

    assert (line, construct) == (2, "nesting")


def test_primitives_are_found_without_running():
    """The check lists the do_ methods that a script names, also those named by text."""
    source = "c.do_ping('a')\ngetattr(c, 'do_trace')\nf = c.do_dns\nx = 'do_ it'\nundo_ping = 1\nc.do_ping('b')"

    assert primitives_used(source) == ["do_dns", "do_ping", "do_trace"]


def test_imports_are_listed_with_their_lines():
    """The check lists the modules that a script imports."""
    source = "from __future__ import annotations\nimport json, os.path\ndef f():\n    from numpy import array"

    assert imported(source) == [("json", 2), ("os.path", 2), ("numpy", 4)]


def test_a_wrong_setting_of_the_guards_is_a_mistake_of_ours():
    """Only static and full exist."""
    with pytest.raises(ValueError, match="guards is static or full, not 'off'"):
        compile_script("x", guards="off")
