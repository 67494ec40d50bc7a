"""No name that the guards or the language use can be bound, read or called by a script."""

import pytest

from tests.lang.running import run

ATTACKS = [
    (
        "define a guard",
        "def _getattr_(o, n): return o",
        "refused: names that begin and end with an underscore are reserved: call _getattr_ something else",
    ),
    (
        "assign a guard",
        "_write_ = lambda o: o",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "rebind a guard in a class body",
        "class C:\n    _getattr_ = 1",
        "refused: names that begin and end with an underscore are reserved: call _getattr_ something else",
    ),
    (
        "define a guard as a method",
        "class C:\n    def _self_(self): pass",
        "refused: names that begin and end with an underscore are reserved: call _self_ something else",
    ),
    (
        "name a parameter like a guard",
        "def f(_write_): pass",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "name a lambda's parameter like a guard",
        "f = lambda _getattr_: 1",
        "refused: names that begin and end with an underscore are reserved: call _getattr_ something else",
    ),
    (
        "name *args like a guard",
        "def f(*_apply_): pass",
        "refused: names that begin and end with an underscore are reserved: call _apply_ something else",
    ),
    (
        "name **kwargs like a guard",
        "def f(**_apply_): pass",
        "refused: names that begin and end with an underscore are reserved: call _apply_ something else",
    ),
    (
        "name a keyword-only parameter like a guard",
        "def f(*, _getitem_): pass",
        "refused: names that begin and end with an underscore are reserved: call _getitem_ something else",
    ),
    (
        "import something under a guard's name",
        "import json as _getattr_",
        "refused: names that begin and end with an underscore are reserved: call _getattr_ something else",
    ),
    (
        "import from a module under a guard's name",
        "from json import dumps as _write_",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "bind a guard with the walrus",
        "(_write_ := 1)",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "bind a guard in a comprehension",
        "[_write_ for _write_ in 'a']",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "bind a guard with the walrus in a comprehension",
        "[(_self_ := x) for x in 'a']",
        "refused: names that begin and end with an underscore are reserved: call _self_ something else",
    ),
    (
        "bind a guard with for",
        "for _write_ in 'a': pass",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "bind a guard with with",
        "with open('x') as _write_: pass",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "bind a guard with except",
        "try:\n    pass\nexcept ValueError as _write_:\n    pass",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "bind a guard with a pattern",
        "match 1:\n    case _write_: pass",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "bind a guard with a starred pattern",
        "match [1]:\n    case [*_write_]: pass",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "bind a guard with a mapping pattern's rest",
        "match {}:\n    case {**_write_}: pass",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "bind a guard with an as pattern",
        "match 1:\n    case int() as _write_: pass",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "declare a guard global",
        "def f():\n    global _write_\n    _write_ = 1",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "declare the builtins global",
        "def f():\n    global __builtins__\n    __builtins__ = {}",
        "refused: the name __builtins__ belongs to the language and is not in scripts",
    ),
    (
        "declare a guard nonlocal",
        "def f():\n    x = 1\n    def g():\n        nonlocal _write_",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "delete a guard",
        "del _write_",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "call a guard",
        "_getattr_(1, '__class__')",
        "refused: names that begin and end with an underscore are reserved: call _getattr_ something else",
    ),
    (
        "read the annotation helpers",
        "_ClassVar_",
        "refused: names that begin and end with an underscore are reserved: call _ClassVar_ something else",
    ),
    (
        "name a class like a guard",
        "class _write_: pass",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "read the temporary of a method",
        "class C:\n    def f(self):\n        self.x = 1\n        return _me1_",
        "refused: names that begin and end with an underscore are reserved: call _me1_ something else",
    ),
    (
        "read __builtins__",
        "__builtins__",
        "refused: the name __builtins__ belongs to the language and is not in scripts",
    ),
    (
        "rebind __import__",
        "__import__ = print",
        "refused: the name __import__ belongs to the language and is not in scripts",
    ),
    (
        "call __import__",
        "__import__('os')",
        "refused: the name __import__ belongs to the language and is not in scripts",
    ),
    (
        "rebind __build_class__",
        "__build_class__ = print",
        "refused: the name __build_class__ belongs to the language and is not in scripts",
    ),
    (
        "change what the module is called",
        "__name__ = 'x'",
        "refused: the name __name__ belongs to the language and is not in scripts",
    ),
    ("read the loader", "__loader__", "refused: the name __loader__ belongs to the language and is not in scripts"),
    ("read the spec", "__spec__", "refused: the name __spec__ belongs to the language and is not in scripts"),
    (
        "spell a guard's name with other letters",
        "_ｗrite_ = 1",
        "refused: names that begin and end with an underscore are reserved: call _write_ something else",
    ),
    (
        "pass a reserved keyword argument",
        "dict(__class__=1)",
        "refused: the name __class__ belongs to the language and is not in scripts",
    ),
    (
        "change an object's class by updating its dictionary",
        "class A: pass\na = A()\na.__dict__.update(__class__=int)",
        "refused: the name __class__ belongs to the language and is not in scripts",
    ),
    (
        "define __class__",
        "class C:\n    __class__ = int",
        "refused: the name __class__ belongs to the language and is not in scripts",
    ),
    (
        "define a special method with a lambda",
        "class C:\n    __getattr__ = lambda s, n: 1",
        "refused: the name __getattr__ belongs to the language and is not in scripts",
    ),
    (
        "annotate a special name",
        "class C:\n    __getattr__: int = 1",
        "refused: the name __getattr__ belongs to the language and is not in scripts",
    ),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("promise", "source", "refusal"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_a_script_cannot(promise, source, refusal, guards):
    """A script cannot do it, and is told so in these words."""
    assert run(source, guards=guards).last_word == refusal
