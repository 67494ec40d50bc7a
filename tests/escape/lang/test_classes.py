# ruff: noqa: E501 - a refusal is one line
"""What classes a script cannot make."""

import pytest

from tests.lang.running import run

ATTACKS = [
    (
        "make __match_args__ up at run time",
        "class C:\n    __match_args__ = tuple('ab')",
        "refused: __match_args__ must be a literal tuple of plain names in scripts",
    ),
    (
        "make a class with type",
        "type('X', (), {})",
        "refused: type() with three arguments makes classes and is not in scripts: write a class statement",
    ),
    (
        "make a class with type given as a value",
        "t = type\nt('X', (), {})",
        "TypeError: type() with three arguments makes classes and is not in scripts: write a class statement",
    ),
    (
        "make a class with the type of a class",
        "type(int)('X', (), {})",
        "TypeError: type() with three arguments makes classes and is not in scripts: write a class statement",
    ),
    (
        "make a class with an object's class's class",
        "(1).__class__.__class__('X', (), {})",
        "TypeError: type() with three arguments makes classes and is not in scripts: write a class statement",
    ),
    ("inherit from type", "class M(type): pass", "TypeError: class M: type cannot be extended by scripts"),
    (
        "use a metaclass",
        "class C(metaclass=type): pass",
        "refused: metaclasses are not in scripts: inherit from abc.ABC, or use a class decorator",
    ),
    (
        "use a function as a metaclass",
        "class C(metaclass=lambda *a: 1): pass",
        "refused: metaclasses are not in scripts: inherit from abc.ABC, or use a class decorator",
    ),
    (
        "smuggle class keywords",
        "class C(**{'metaclass': print}): pass",
        "refused: keywords in a class statement are not in scripts: set class attributes",
    ),
    (
        "inherit from a stand-in for the bases",
        "class B:\n    def __mro_entries__(self, bases): return (int,)",
        "refused: a function called __mro_entries__ is not in scripts",
    ),
    ("inherit from an object", "class C(5): pass", "TypeError: class C: a base must be a class, not a 'int' object"),
    (
        "inherit from a class that cannot be extended",
        "import zoneinfo\nclass Z(zoneinfo.ZoneInfo): pass",
        "TypeError: class Z: ZoneInfo cannot be extended by scripts",
    ),
    (
        "define __getattribute__",
        "class C:\n    def __getattribute__(self, n): return 1",
        "refused: a function called __getattribute__ is not in scripts: write a method such as get(name), or properties",
    ),
    (
        "define __index__",
        "class C:\n    def __index__(self): return 1",
        "refused: a function called __index__ is not in scripts: write __int__ and call int()",
    ),
    (
        "define __del__",
        "class C:\n    def __del__(self): pass",
        "refused: a function called __del__ is not in scripts: use a with statement and __exit__",
    ),
    (
        "define __reduce_ex__",
        "class C:\n    def __reduce_ex__(self, p): return eval, ('1',)",
        "refused: a function called __reduce_ex__ is not in scripts",
    ),
    (
        "define __init_subclass__",
        "class C:\n    def __init_subclass__(cls): pass",
        "refused: a function called __init_subclass__ is not in scripts: register classes with a decorator",
    ),
    (
        "define __instancecheck__",
        "class C:\n    def __instancecheck__(self, o): return True",
        "refused: a function called __instancecheck__ is not in scripts: metaclasses are not in scripts",
    ),
    (
        "define __set_name__",
        "class C:\n    def __set_name__(self, o, n): pass",
        "refused: a function called __set_name__ is not in scripts: give the name as an argument",
    ),
    (
        "define __format__",
        "class C:\n    def __format__(self, s): return s",
        "refused: a function called __format__ is not in scripts: write a method that returns the text, or __str__",
    ),
    (
        "name a slot like a special method",
        "class C:\n    __slots__ = ('__class__',)",
        "refused: __slots__ must be a literal tuple of plain names in scripts",
    ),
    (
        "define a module-level special function",
        "def __getattr__(n): return 1",
        "refused: a function called __getattr__ is not in scripts",
    ),
    (
        "make a class by an enum's functional form",
        "import enum\nenum.Enum('X', {'__getattr__': print})",
        "ValueError: a member's name '__getattr__' cannot be used: write a plain identifier",
    ),
    (
        "make a class by an enum's functional form with a text that lies",
        "import enum\nclass N(str):\n    def isidentifier(self): return True\n    def startswith(self, *a): return False\n    def __str__(self): return 'ok'\nenum.Enum('X', [N('__getattr__')])",
        "ValueError: a member's name '__getattr__' cannot be used: write a plain identifier",
    ),
    (
        "make a dataclass out of a library's class",
        "import dataclasses, json\ndataclasses.dataclass(json.JSONEncoder)",
        "TypeError: dataclass works on classes that the script defines, not on class 'JSONEncoder'",
    ),
    (
        "order a library's class",
        "import functools, json\nfunctools.total_ordering(json.JSONEncoder)",
        "TypeError: total_ordering works on classes that the script defines, not on class 'JSONEncoder'",
    ),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("promise", "source", "refusal"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_a_script_cannot(promise, source, refusal, guards):
    """A script cannot do it, and is told so in these words."""
    assert run(source, guards=guards).last_word == refusal
