# ruff: noqa: E501 - a refusal is one line
"""What a script cannot read."""

import pytest

from tests.lang.running import run

ATTACKS = [
    (
        "read private attributes through format of items",
        "class C: pass\n'{0[k].__globals__}'.format({'k': print})",
        "AttributeError: __globals__ of a 'builtin_function_or_method' object is not in scripts",
    ),
    (
        "read frames with str.format",
        "def g(): yield\n'{0.gi_frame.f_globals}'.format(g())",
        "AttributeError: gi_frame leads into the interpreter and is not in scripts",
    ),
    (
        "spell a reserved attribute with other letters",
        "(1).__ｃlass__.__ｂase__",
        "refused: __base__ is not in scripts",
    ),
    (
        "climb to object's subclasses",
        "().__class__.__base__.__subclasses__()",
        "refused: __subclasses__ lists the host's classes and is not in scripts: keep a list of your own",
    ),
    (
        "climb by __mro__",
        "(1).__class__.__mro__[1]",
        "refused: __mro__ is not in scripts: use isinstance() or issubclass()",
    ),
    (
        "climb by mro()",
        "int.mro()",
        "AttributeError: mro of class 'int' is not in scripts: use isinstance() or issubclass()",
    ),
    (
        "climb by mro() through getattr",
        "getattr(int, 'mro')()",
        "AttributeError: mro of class 'int' is not in scripts: use isinstance() or issubclass()",
    ),
    (
        "list subclasses through getattr",
        "getattr(object, '__subclasses__')()",
        "AttributeError: __subclasses__ of class 'object' is not in scripts",
    ),
    (
        "read a function's globals",
        "(lambda: 1).__globals__",
        "refused: __globals__ leads into the interpreter and is not in scripts",
    ),
    (
        "read a function's globals through getattr",
        "getattr(lambda: 1, '__globals__')",
        "AttributeError: __globals__ of a 'function' object is not in scripts",
    ),
    ("read a function's code", "(lambda: 1).__code__", "refused: __code__ is not in scripts"),
    ("read a function's closure", "(lambda: 1).__closure__", "refused: __closure__ is not in scripts"),
    ("read a function's builtins", "def f(): pass\nf.__builtins__", "refused: __builtins__ is not in scripts"),
    (
        "read the self of a builtin",
        "print.__self__",
        "refused: __self__ is not in scripts: keep the object under a name of your own",
    ),
    (
        "read the function of a method",
        "class C:\n    def f(self): pass\nC().f.__func__",
        "refused: __func__ is not in scripts: keep the function under a name of your own",
    ),
    (
        "read a module's dictionary",
        "import json\njson.__dict__",
        "AttributeError: __dict__ works on objects of the script's own classes, not on a 'module'",
    ),
    (
        "read a module's dictionary through getattr",
        "import json\ngetattr(json, '__dict__')",
        "AttributeError: __dict__ works on objects of the script's own classes, not on a 'module'",
    ),
    (
        "read a module's dictionary with vars",
        "import json\nvars(json)",
        "TypeError: vars() works on objects of the script's own classes, not on a 'module'",
    ),
    (
        "read a class's dictionary",
        "class C: pass\nC.__dict__",
        "AttributeError: __dict__ works on objects of the script's own classes, not on a 'type'",
    ),
    (
        "read vars of the scope",
        "vars()",
        "TypeError: vars() takes one object in scripts: there is no list of the names of a scope",
    ),
    (
        "read dir of the scope",
        "dir()",
        "TypeError: dir() takes one object in scripts: there is no list of the names of a scope",
    ),
    (
        "read an exception's traceback",
        "try:\n    1/0\nexcept Exception as e:\n    e.__traceback__",
        "refused: __traceback__ leads to frames and is not in scripts: traceback.format_exc() gives the text",
    ),
    (
        "read an exception's traceback through getattr",
        "try:\n    1/0\nexcept Exception as e:\n    getattr(e, '__traceback__')",
        "AttributeError: __traceback__ of a 'ZeroDivisionError' object is not in scripts",
    ),
    (
        "read a frame from the traceback given to __exit__",
        "class C:\n    def __enter__(self): pass\n    def __exit__(self, k, v, tb):\n        tb.tb_frame\nwith C():\n    1/0",
        "refused: tb_frame leads into the interpreter and is not in scripts",
    ),
    (
        "read a frame from __exit__'s traceback through getattr",
        "class C:\n    def __enter__(self): pass\n    def __exit__(self, k, v, tb):\n        getattr(tb, 'tb_frame')\nwith C():\n    1/0",
        "AttributeError: tb_frame leads into the interpreter and is not in scripts",
    ),
    (
        "read a frame with a class pattern",
        "match 1:\n    case object(gi_frame=f): pass",
        "refused: a class pattern cannot read gi_frame: use `case X() if ...` instead",
    ),
    (
        "read a reserved attribute with a class pattern",
        "match 1:\n    case object(__class__=c): pass",
        "refused: a class pattern cannot read __class__: use `case X() if ...` instead",
    ),
    (
        "read str.format with a class pattern",
        "match 'x':\n    case str(format=f): pass",
        "refused: a class pattern cannot read format: use `case X() if ...` instead",
    ),
    (
        "read reserved attributes by __match_args__",
        "class C:\n    __match_args__ = ('__dict__',)",
        "refused: __match_args__ must be a literal tuple of plain names in scripts",
    ),
    (
        "read a reserved name in a pattern's value",
        "match 1:\n    case int.__base__: pass",
        "refused: a pattern cannot read __base__: use `case x if x == ...` instead",
    ),
    (
        "read str.format by the match arguments of a dataclass",
        "from dataclasses import dataclass\n@dataclass(init=False)\nclass S(str):\n    format: int\nmatch S('{0.__class__}'):\n    case S(f): print(f(1))",
        "TypeError: a dataclass that is a str or an AttributeError cannot have a field called 'format'",
    ),
    (
        "hand getattr a text that changes",
        "class N(str):\n    def startswith(self, *a): return False\n    def __eq__(self, o): return True\n    def __hash__(self): return 1\ngetattr(1, N('__class__'))",
        "TypeError: an attribute's name must be a str",
    ),
    (
        "hand setattr a text that changes",
        "class N(str): pass\nclass C: pass\nsetattr(C(), N('x'), 1)",
        "TypeError: an attribute's name must be a str",
    ),
    (
        "read a private attribute of a library's object",
        "import argparse\nargparse.ArgumentParser()._actions",
        "AttributeError: _actions of a 'ArgumentParser' object is private: scripts see names with a leading underscore only on their own classes",
    ),
    (
        "read a private attribute of a library's class",
        "import json\njson.JSONEncoder()._x",
        "AttributeError: _x of a 'JSONEncoder' object is private: scripts see names with a leading underscore only on their own classes",
    ),
    (
        "read a private method of a library's base",
        "import argparse\nclass P(argparse.ArgumentParser):\n    def f(self): return self._get_formatter()\nP().f()",
        "AttributeError: _get_formatter of a 'P' object is private: scripts see names with a leading underscore only on their own classes",
    ),
    (
        "read a mangled private attribute",
        "import random\nrandom.Random()._Random__x",
        "AttributeError: _Random__x of a 'Random' object is private: scripts see names with a leading underscore only on their own classes",
    ),
    (
        "read a private attribute through self of a stranger",
        "import argparse\nclass C:\n    def f(self): return self._actions\nC.f(argparse.ArgumentParser())",
        "AttributeError: _actions of a 'ArgumentParser' object is private: scripts see names with a leading underscore only on their own classes",
    ),
    (
        "keep an annotation for evaluation",
        "class C:\n    x: '__import__(\"os\")'\nC.__annotations__",
        "refused: annotations are not kept in scripts: dataclasses.fields() gives the fields of a dataclass",
    ),
    (
        "evaluate a function's annotations",
        "def f(x: 'evil'): pass\nf.__annotations__",
        "refused: annotations are not kept in scripts: dataclasses.fields() gives the fields of a dataclass",
    ),
    (
        "take a metaclass through isinstance tricks",
        "type.__call__(type, 1)",
        "AttributeError: __call__ of class 'type' is not in scripts",
    ),
    ("take the real type by typing", "import typing\ntyping.Type.__origin__", "refused: __origin__ is not in scripts"),
    (
        "read attributes through a nested format specification",
        "'{0:{1.__globals__}}'.format(1, print)",
        "AttributeError: __globals__ of a 'builtin_function_or_method' object is not in scripts",
    ),
    (
        "get str.format by augmented assignment",
        "class R:\n    def __radd__(self, other): return other(int)\nclass S(str): pass\ns = S('{0.__base__}')\ns.format += R()",
        "AttributeError: __base__ of class 'int' is not in scripts",
    ),
    (
        "get str.format through super",
        "class S(str):\n    def f(self): return super().format\nS('{0.__base__}').f()(int)",
        "AttributeError: __base__ of class 'int' is not in scripts",
    ),
    (
        "get str.format as a key function",
        "list(map('{0.__base__}'.format, [int]))",
        "AttributeError: __base__ of class 'int' is not in scripts",
    ),
    (
        "climb by mro() through an alias",
        "A = type(list[int])\nA(int, ()).mro()",
        "AttributeError: mro of class 'int' is not in scripts: use isinstance() or issubclass()",
    ),
    (
        "climb by mro() through typing's alias",
        "import typing\ntyping.List.mro()",
        "AttributeError: mro of class 'list' is not in scripts: use isinstance() or issubclass()",
    ),
    (
        "read AttributeError.obj through an alias",
        "try:\n    (1).nothing\nexcept AttributeError as e:\n    type(list[int])(e, ()).obj",
        "AttributeError: obj of an AttributeError is not in scripts: it may be any object of the host",
    ),
    (
        "reach the library's own Enum through the ancestors",
        "import enum\nenum.Enum.mro()",
        "AttributeError: mro of class 'Enum' is not in scripts: use isinstance() or issubclass()",
    ),
    (
        "reach the library's own Enum through type's mro",
        "import enum\ntype.mro(enum.Enum)",
        "AttributeError: mro of class 'type' is not in scripts: use isinstance() or issubclass()",
    ),
    (
        "read a code object's constants",
        "x = 1\nx.co_consts",
        "refused: co_consts leads into the interpreter and is not in scripts",
    ),
    ("walk a traceback", "x = 1\nx.tb_next", "refused: tb_next leads into the interpreter and is not in scripts"),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("promise", "source", "refusal"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_a_script_cannot(promise, source, refusal, guards):
    """A script cannot do it, and is told so in these words."""
    assert run(source, guards=guards).last_word == refusal
