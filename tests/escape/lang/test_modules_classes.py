"""What a script cannot make the standard library's class factories build, or change in its classes."""

import pytest

from tests.lang.running import is_told, run

HOOK = "def hook(self, name): return 1\n"

ATTACKS = [
    (
        "make a class with chosen special methods by Enum's functional form",
        HOOK + "import enum\nenum.Enum('X', {'__getattribute__': hook})",
        "ValueError: a member's name '__getattribute__' cannot be used: write a plain identifier",
    ),
    (
        "make a class by Enum's functional form with pairs",
        HOOK + "import enum\nenum.IntEnum('X', [('__index__', hook)])",
        "ValueError: a member's name '__index__' cannot be used: write a plain identifier",
    ),
    (
        "make a class by the functional form of an enum of its own",
        HOOK + "import enum\nclass E(enum.Enum):\n    pass\nE('X', {'__getattribute__': hook})",
        "ValueError: a member's name '__getattribute__' cannot be used: write a plain identifier",
    ),
    (
        "climb from an enum to the library's own Enum",
        HOOK + "import re\nre.RegexFlag.mro()[-2]('X', {'__getattribute__': hook})",
        "AttributeError: mro of class 'RegexFlag' is not in scripts: use isinstance() or issubclass()",
    ),
    (
        "make a class by calling an enum's metaclass",
        "import enum\ntype(enum.Enum)('X', (), {})",
        "TypeError: type() with three arguments makes classes and is not in scripts: write a class statement",
    ),
    (
        "make a class by calling an abstract class's metaclass",
        "import collections.abc\ntype(collections.abc.Sized)('X', (), {})",
        "TypeError: type() with three arguments makes classes and is not in scripts: write a class statement",
    ),
    (
        "make a class by calling type with three arguments",
        "type('X', (), {})",
        "refused: type() with three arguments makes classes and is not in scripts: write a class statement",
    ),
    (
        "make a class by calling the type of a class",
        "type(int)('X', (), {})",
        "TypeError: type() with three arguments makes classes and is not in scripts: write a class statement",
    ),
    (
        "make a class with types.new_class",
        "import types\ntypes.new_class('X')",
        "AttributeError: module 'types' has no name 'new_class' in scripts: see dir(types) for those it has",
    ),
    (
        "make a function out of code",
        "import types\ntypes.FunctionType((lambda: 1).__code__, {})",
        "refused: __code__ is not in scripts",
    ),
    (
        "make code",
        "import types\ntypes.CodeType",
        "AttributeError: module 'types' has no name 'CodeType' in scripts: see dir(types) for those it has",
    ),
    (
        "make a module",
        "import types\ntypes.ModuleType('x')",
        "AttributeError: module 'types' has no name 'ModuleType' in scripts: see dir(types) for those it has",
    ),
    (
        "make a dataclass with a chosen namespace",
        HOOK + "import dataclasses\ndataclasses.make_dataclass('X', ['a'], namespace={'__getattribute__': hook})",
        "TypeError: make_dataclass(namespace=...) is not in scripts: write a class statement with @dataclass",
    ),
    (
        "make a dataclass with bases that take keywords",
        "import dataclasses\ndataclasses.make_dataclass('X', ['__class__'])",
        "ValueError: a field's name '__class__' cannot be used: write a plain identifier",
    ),
    (
        "turn the library's classes into dataclasses",
        "import dataclasses, json\ndataclasses.dataclass(json.JSONEncoder)",
        "TypeError: dataclass works on classes that the script defines, not on class 'JSONEncoder'",
    ),
    (
        "turn a builtin exception into a dataclass",
        "import dataclasses\ndataclasses.dataclass(ValueError)",
        "TypeError: dataclass works on classes that the script defines, not on class 'ValueError'",
    ),
    (
        "rename a dataclass's field to read a private attribute",
        """
import dataclasses
@dataclasses.dataclass
class C:
    a: int = 1
dataclasses.fields(C)[0].name = '__class__'
print(dataclasses.asdict(C()))""",
        "TypeError: attributes of a 'Field' cannot be set: scripts change objects of their own classes only",
    ),
    (
        "name a field of a namedtuple privately",
        "import collections\ncollections.namedtuple('X', '__class__')",
        "ValueError: Field names cannot start with an underscore: '__class__'",
    ),
    (
        "name a field of a namedtuple with code",
        "import collections\ncollections.namedtuple('X', ['a=exit()'])",
        "ValueError: Type names and field names must be valid identifiers: 'a=exit()'",
    ),
    (
        "name a field of a namedtuple with a text that lies",
        """
import collections
class Name(str):
    def isidentifier(self):
        return True
    def startswith(self, *args):
        return False
    def __str__(self):
        return self
collections.namedtuple('X', [Name('a=exit()')])""",
        "TypeError: Type names and field names must be strings",
    ),
    (
        "name a field of a functional NamedTuple privately",
        "import typing\ntyping.NamedTuple('X', [('__class__', int)])",
        "ValueError: Field names cannot start with an underscore: '__class__'",
    ),
    (
        "evaluate text in annotations",
        "import typing\ntyping.get_type_hints",
        "AttributeError: module 'typing' has no name 'get_type_hints' in scripts: see dir(typing) for those it has",
    ),
    (
        "evaluate text in forward references",
        "import typing\ntyping.ForwardRef('1')",
        "AttributeError: module 'typing' has no name 'ForwardRef' in scripts: see dir(typing) for those it has",
    ),
    (
        "evaluate text that an alias keeps",
        "import typing\ngetattr(typing.List['x'], '__args__')[0]",
        "AttributeError: __args__ of a '_GenericAlias' object is not in scripts",
    ),
    (
        "keep annotation texts for others to evaluate",
        "def f(x: 'exit()'): pass\nf.__annotations__",
        "refused: annotations are not kept in scripts: dataclasses.fields() gives the fields of a dataclass",
    ),
    (
        "register classes with the library's abstract classes",
        "import collections.abc\ncollections.abc.Mapping.register(int)",
        "AttributeError: register of class 'Mapping' is not in scripts: the class is shared",
    ),
    (
        "register classes with abstract classes through getattr",
        "import collections.abc\ngetattr(collections.abc.Mapping, 'register')(int)",
        "AttributeError: register of class 'Mapping' is not in scripts: the class is shared",
    ),
    (
        "register with the abstract classes of numbers",
        "import numbers\nnumbers.Number.register(str)",
        "AttributeError: register of class 'Number' is not in scripts: the class is shared",
    ),
    (
        "change the library's classes",
        "import json\njson.JSONEncoder.item_separator = 'x'",
        "TypeError: class 'JSONEncoder' is not the script's own: its attributes cannot be set",
    ),
    (
        "change the library's classes with setattr",
        "import json\nsetattr(json.JSONEncoder, 'default', len)",
        "TypeError: class 'JSONEncoder' is not the script's own: its attributes cannot be set",
    ),
    (
        "mark the library's functions as abstract",
        "import abc, json\nabc.abstractmethod(json.dumps)\njson.dumps.x = 1",
        "TypeError: abstractmethod marks functions that the script defines, not a 'function' object",
    ),
    (
        "register classes with abstract classes through a parametrised alias",
        "import collections.abc\ncollections.abc.Mapping[int, int].register(int)",
        "AttributeError: register of class 'Mapping' is not in scripts: the class is shared",
    ),
    (
        "register classes with abstract classes through typing's alias",
        "import typing\ntyping.Mapping.register(int)",
        "AttributeError: register of class 'Mapping' is not in scripts: the class is shared",
    ),
    (
        "climb from an enum to the library's own Enum through an alias of its making",
        HOOK + "import re\ntype(list[int])(re.RegexFlag, int).mro()[-2]('X', {'__getattribute__': hook})",
        "AttributeError: mro of class 'RegexFlag' is not in scripts: use isinstance() or issubclass()",
    ),
    (
        "climb to a class's bases through typing's alias",
        "import typing\ntyping.List[int].mro()",
        "AttributeError: mro of class 'list' is not in scripts: use isinstance() or issubclass()",
    ),
    (
        "extend an enum of the library's by its functional form",
        HOOK + "import re\nre.RegexFlag('X', {'__getattribute__': hook})",
        "TypeError: <enum 'X'> cannot extend <flag 'RegexFlag'>",
    ),
    (
        "name a member of an enum with a text that lies",
        HOOK
        + """import enum
class Name(str):
    def isidentifier(self):
        return True
    def startswith(self, *args):
        return False
enum.Enum('X', [(Name('__getattribute__'), hook)])""",
        "ValueError: a member's name '__getattribute__' cannot be used: write a plain identifier",
    ),
    (
        "name members of an enum by a dict that changes",
        """import enum
class Names(dict):
    def items(self):
        return [('__len__', len)]
enum.Enum('X', Names(a=1))""",
        "ValueError: a member's name '__len__' cannot be used: write a plain identifier",
    ),
    (
        "name a field of make_dataclass with a text that lies",
        """import dataclasses
class Name(str):
    def isidentifier(self):
        return True
    def startswith(self, *args):
        return False
dataclasses.make_dataclass('X', [Name('a=exit()')])""",
        "ValueError: a field's name 'a=exit()' cannot be used: write a plain identifier",
    ),
    (
        "give make_dataclass one of the library's classes as a base",
        "import dataclasses, json\ndataclasses.make_dataclass('X', ['a'], bases=(json.JSONEncoder,))",
        "TypeError: make_dataclass(bases=...) works on classes that the script defines, not on class 'JSONEncoder'",
    ),
    (
        "mark the library's classes with no_type_check",
        "import typing, json\ntyping.no_type_check(json.JSONEncoder)\njson.JSONEncoder.default.x = 1",
        "TypeError: attributes of a 'function' cannot be set: scripts change objects of their own classes only",
    ),
    (
        "climb from a class to its bases",
        "import json\njson.JSONDecodeError.mro()",
        "AttributeError: mro of class 'JSONDecodeError' is not in scripts: use isinstance() or issubclass()",
    ),
    (
        "build on a class that answers attributes for the interpreter",
        "import types\nclass X(types.SimpleNamespace):\n    def __getattr__(self, n): return 1",
        "refused: a function called __getattr__ is not in scripts: write a method such as get(name), or a dict",
    ),
    ("build on a metaclass", "class M(type):\n    pass", "TypeError: class M: type cannot be extended by scripts"),
    (
        "build on the class of views",
        "import json\nclass M(type(json)):\n    pass",
        "TypeError: class M: ModuleView cannot be extended by scripts",
    ),
    (
        "make a view of its own",
        "import json\nprint(type(json)().anything)",
        "AttributeError: module '?' has no name 'anything' in scripts: see dir(?) for those it has",
    ),
    (
        "call the class of the parser's namespace with private names",
        "import argparse\nargparse.Namespace(**{'__class__': int}).x = 1",
        "AttributeError: dest '__class__' cannot be used: names with a leading underscore are not in scripts",
    ),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("promise", "source", "refusal"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_a_script_cannot(promise, source, refusal, guards):
    """A script cannot do it, and is told so in these words."""
    outcome = run(source, guards=guards)
    assert is_told(outcome, refusal), outcome
