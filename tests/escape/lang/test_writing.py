"""What a script cannot change."""

import pytest

from tests.lang.running import run

ATTACKS = [
    (
        "replace a function's code",
        "def f(): pass\ndef g(): pass\nf.__code__ = g.__code__",
        "refused: __code__ cannot be set in scripts",
    ),
    (
        "replace a function's defaults through setattr",
        "def f(a=1): pass\nsetattr(f, '__defaults__', (2,))",
        "AttributeError: __defaults__ of a 'function' object is not in scripts",
    ),
    (
        "change a library's class",
        "import json\njson.JSONEncoder.default = 1",
        "TypeError: class 'JSONEncoder' is not the script's own: its attributes cannot be set",
    ),
    (
        "change a library's class through setattr",
        "import json\nsetattr(json.JSONEncoder, 'default', 1)",
        "TypeError: class 'JSONEncoder' is not the script's own: its attributes cannot be set",
    ),
    (
        "change a library's class in a for target",
        "import json\nfor json.JSONEncoder.x in 'a': pass",
        "TypeError: class 'JSONEncoder' is not the script's own: its attributes cannot be set",
    ),
    (
        "change a library's class in a with target",
        "import json, contextlib\nwith contextlib.nullcontext(1) as json.JSONEncoder.x: pass",
        "TypeError: class 'JSONEncoder' is not the script's own: its attributes cannot be set",
    ),
    (
        "change a library's class by unpacking",
        "import json\njson.JSONEncoder.x, y = 1, 2",
        "TypeError: class 'JSONEncoder' is not the script's own: its attributes cannot be set",
    ),
    (
        "change a library's class through self",
        "import json\nclass C:\n    def f(self): self.default = 1\nC.f(json.JSONEncoder)",
        "TypeError: class 'JSONEncoder' is not the script's own: its attributes cannot be set",
    ),
    (
        "delete an attribute of a library's class",
        "import json\ndel json.JSONEncoder.default",
        "TypeError: class 'JSONEncoder' is not the script's own: its attributes cannot be set",
    ),
    (
        "change a module",
        "import json\njson.dumps = 1",
        "TypeError: attributes of a 'module' cannot be set: scripts change objects of their own classes only",
    ),
    (
        "change a builtin type",
        "int.x = 1",
        "TypeError: class 'int' is not the script's own: its attributes cannot be set",
    ),
    (
        "change an object's class",
        "class A: pass\nclass B: pass\nA().__class__ = B",
        "refused: __class__ cannot be set in scripts",
    ),
    (
        "change an object's class through setattr",
        "class A: pass\nclass B: pass\nsetattr(A(), '__class__', B)",
        "AttributeError: __class__ of a 'A' object is not in scripts",
    ),
    (
        "change an object's class through its dictionary",
        "class A: pass\na = A()\na.__dict__['__class__'] = int",
        "AttributeError: __class__ of a 'A' object is not in scripts",
    ),
    (
        "change an object's class through object.__setattr__",
        "class A: pass\nobject.__setattr__(A(), '__class__', int)",
        "AttributeError: __class__ of a 'A' object is not in scripts",
    ),
    (
        "change a library's object through object.__setattr__",
        "import argparse\nobject.__setattr__(argparse.ArgumentParser(), 'x', 1)",
        "TypeError: attributes of a 'ArgumentParser' cannot be set: scripts change objects of their own classes only",
    ),
    (
        "change a library's class through type.__setattr__",
        "type.__setattr__(int, 'x', 1)",
        "refused: __setattr__ is not in scripts, except object.__setattr__(self, name, value): use setattr()",
    ),
    (
        "add a special method to a class afterwards",
        "class C: pass\nC.__getattr__ = lambda s, n: 1",
        "refused: __getattr__ is not in scripts: use getattr()",
    ),
    (
        "add a special method to a class through setattr",
        "class C: pass\nsetattr(C, '__getattr__', lambda s, n: 1)",
        "AttributeError: __getattr__ of class 'C' is not in scripts",
    ),
    (
        "register a class with a shared abstract class",
        "from collections.abc import Iterable\nIterable.register(int)",
        "AttributeError: register of class 'Iterable' is not in scripts: the class is shared",
    ),
    (
        "register a class through getattr",
        "from collections.abc import Iterable\ngetattr(Iterable, 'register')(int)",
        "AttributeError: register of class 'Iterable' is not in scripts: the class is shared",
    ),
    (
        "call a library's initialiser on its object again",
        "import argparse\np = argparse.ArgumentParser()\np.__init__()",
        "AttributeError: __init__ of a 'ArgumentParser' object is not in scripts",
    ),
    (
        "set sys.stdout",
        "import sys\nsys.stdout = None",
        "TypeError: attributes of a 'module' cannot be set: scripts change objects of their own classes only",
    ),
    (
        "raise the recursion limit without end",
        "import sys\nsys.setrecursionlimit(10**9)",
        "ValueError: the recursion limit must be an int from 50 to 20000",
    ),
    (
        "change a library's class by augmented assignment",
        "import decimal\ndecimal.Decimal.prec = 1",
        "TypeError: class 'Decimal' is not the script's own: its attributes cannot be set",
    ),
    (
        "register through an alias",
        "from collections.abc import Sized\ntype(list[int])(Sized, ()).register(int)",
        "AttributeError: register of class 'Sized' is not in scripts: the class is shared",
    ),
    (
        "mark a library's function abstract",
        "import abc, json\nabc.abstractmethod(json.dumps)",
        "TypeError: abstractmethod marks functions that the script defines, not a 'function' object",
    ),
    (
        "delete an attribute of a builtin type by delattr",
        "delattr(int, 'real')",
        "TypeError: class 'int' is not the script's own: its attributes cannot be set",
    ),
    (
        "set a private attribute of a library's object",
        "import argparse\nargparse.ArgumentParser()._x = 1",
        "TypeError: attributes of a 'ArgumentParser' cannot be set: scripts change objects of their own classes only",
    ),
    (
        "set an inspected name by setattr",
        "class C: pass\nsetattr(C(), 'gi_frame', 1)",
        "AttributeError: gi_frame leads into the interpreter and is not in scripts",
    ),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("promise", "source", "refusal"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_a_script_cannot(promise, source, refusal, guards):
    """A script cannot do it, and is told so in these words."""
    assert run(source, guards=guards).last_word == refusal
