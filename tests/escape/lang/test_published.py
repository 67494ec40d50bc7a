# ruff: noqa: E501 - a refusal is one line
"""The published weaknesses of restricted Python, and their neighbours: each stays closed."""

import pytest

from tests.lang.running import run

ATTACKS = [
    (
        "read a generator's frame (CVE-2023-37271)",
        "g = (x for x in 'a')\ng.gi_frame",
        "refused: gi_frame leads into the interpreter and is not in scripts",
    ),
    (
        "read the frame of a generator inside a comprehension (CVE-2023-37271)",
        "q = []\nq.append(([x.gi_frame for x in q] for _ in 'a'))",
        "refused: gi_frame leads into the interpreter and is not in scripts",
    ),
    (
        "read a generator's code",
        "(x for x in 'a').gi_code",
        "refused: gi_code leads into the interpreter and is not in scripts",
    ),
    (
        "read what a generator delegates to",
        "def f(): yield from []\nf().gi_yieldfrom",
        "refused: gi_yieldfrom leads into the interpreter and is not in scripts",
    ),
    (
        "read attributes with str.format (CVE-2023-41039)",
        "'{0.__class__.__base__}'.format(1)",
        "AttributeError: __base__ of class 'int' is not in scripts",
    ),
    (
        "read attributes with str.format called unbound (CVE-2023-41039)",
        "str.format('{0.__class__}', 1)",
        "AttributeError: str.format is not in scripts as a function: call it on a text, 'text'.format(...)",
    ),
    (
        "reach the host through AttributeError.obj (CVE-2024-47532)",
        "try:\n    (1).nothing\nexcept AttributeError as e:\n    e.obj",
        "AttributeError: obj of an AttributeError is not in scripts: it may be any object of the host",
    ),
    (
        "reach the host through getattr of AttributeError.obj (CVE-2024-47532)",
        "try:\n    (1).nothing\nexcept AttributeError as e:\n    getattr(e, 'obj')",
        "AttributeError: obj of an AttributeError is not in scripts: it may be any object of the host",
    ),
    (
        "import string.Formatter (CVE-2026-76825)",
        "from string import Formatter",
        "ImportError: cannot import name 'Formatter' from 'string': scripts see Template, ascii_letters, ascii_lowercase, ascii_uppercase, capwords, digits, hexdigits, octdigits, printable, punctuation, whitespace",
    ),
    (
        "take string.Formatter from the view (CVE-2026-76825)",
        "import string\nstring.Formatter",
        "AttributeError: module 'string' has no name 'Formatter' in scripts: see dir(string) for those it has",
    ),
    (
        "catch exception groups with except* (CVE-2025-22153)",
        "try:\n    pass\nexcept* ValueError:\n    pass",
        "refused: except* is not in scripts: write except and handle one exception at a time",
    ),
    (
        "name a positional-only parameter like a guard (CVE-2026-55830)",
        "def f(_getattr_, /): pass",
        "refused: names that begin and end with an underscore are reserved: call _getattr_ something else",
    ),
    (
        "use an async comprehension",
        "async def f(): return [x async for x in y]",
        "refused: async functions are not in scripts: write a plain def; do_* without sync=True run in parallel already",
    ),
    (
        "read attributes with format_map (CVE-2023-41039)",
        "'{x.__base__}'.format_map({'x': int})",
        "AttributeError: __base__ of class 'int' is not in scripts",
    ),
    (
        "write an async generator (8.5)",
        "async def f():\n    yield 1",
        "refused: async functions are not in scripts: write a plain def; do_* without sync=True run in parallel already",
    ),
    ("await outside of a function", "await f()", "refused: await is not in scripts: call the function directly"),
    (
        "read a coroutine's frame",
        "x = 1\nx.cr_frame",
        "refused: cr_frame leads into the interpreter and is not in scripts",
    ),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("promise", "source", "refusal"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_a_script_cannot(promise, source, refusal, guards):
    """A script cannot do it, and is told so in these words."""
    assert run(source, guards=guards).last_word == refusal
