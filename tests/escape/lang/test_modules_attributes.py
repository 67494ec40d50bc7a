"""What a script cannot make the standard library read or write for it."""

# ruff: noqa: E501 - scripts and sentences stand as they are

import pytest

from tests.lang.running import is_told, run

ATTACKS = [
    (
        "read a private attribute with attrgetter",
        "import operator, json\noperator.attrgetter('__globals__')(json.dumps)",
        "AttributeError: __globals__ of a 'function' object is not in scripts",
    ),
    (
        "read a private attribute at the end of a dotted attrgetter",
        "import operator\noperator.attrgetter('real.__class__.__base__')(1)",
        "AttributeError: __base__ of class 'int' is not in scripts",
    ),
    (
        "read an inspecting attribute with attrgetter",
        "import operator\noperator.attrgetter('gi_frame')(x for x in 'a')",
        "AttributeError: gi_frame leads into the interpreter and is not in scripts",
    ),
    (
        "hand attrgetter a text that changes after the check",
        """
import operator
class Name(str):
    def startswith(self, *args):
        return False
    def split(self, *args):
        return ['__class__']
raise ValueError(operator.attrgetter(Name('real'))(1))""",
        "ValueError: 1",
    ),
    (
        "call a private method with methodcaller",
        "import operator\noperator.methodcaller('__reduce_ex__', 4)([])",
        "AttributeError: __reduce_ex__ of a 'list' object is not in scripts",
    ),
    (
        "format through methodcaller with private attributes",
        "import operator\nprint(operator.methodcaller('format', len)('{0.__self__}'))",
        "AttributeError: __self__ of a 'builtin_function_or_method' object is not in scripts",
    ),
    (
        "write items of what is not its own with operator.setitem",
        "import operator, json\noperator.setitem(json, 'dumps', 1)",
        "TypeError: 'onvp.native._guards.ModuleView' object does not support item assignment",
    ),
    (
        "copy chosen private names with functools.wraps",
        "import functools, json\n@functools.wraps(json.dumps, assigned=('__globals__',))\ndef f(): pass\nf.__globals__",
        "refused: __globals__ leads into the interpreter and is not in scripts",
    ),
    (
        "copy chosen private names and read them elsewhere",
        """
import functools, json
def f(): pass
functools.update_wrapper(f, json.dumps, assigned=('__code__', '__globals__'), updated=())
print(getattr(f, '__globals__'))""",
        "TypeError: wraps() and update_wrapper() choose the names themselves in scripts: leave them out",
    ),
    (
        "write to the library's own functions with update_wrapper",
        "import functools, json\ndef f(): pass\nfunctools.update_wrapper(json.dumps, f)\nraise ValueError(json.dumps.__name__)",
        "ValueError: dumps",
    ),
    (
        "write to the library's own classes with update_wrapper",
        "import functools, json\ndef f(): pass\nfunctools.update_wrapper(json.JSONEncoder, f)\nraise ValueError(json.JSONEncoder.__name__)",
        "ValueError: JSONEncoder",
    ),
    (
        "evaluate text through singledispatch's annotations",
        """
import functools
@functools.singledispatch
def f(x): pass
def g(x: '__import__("os")'): pass
f.register(g)""",
        "TypeError: register() of f needs a class: write @f.register(int) above the function",
    ),
    (
        "add methods to the library's classes with total_ordering",
        "import functools, json\nfunctools.total_ordering(json.JSONEncoder)",
        "TypeError: total_ordering works on classes that the script defines, not on class 'JSONEncoder'",
    ),
    (
        "reach attributes by reducing getattr",
        "import functools\nfunctools.reduce(getattr, ['__class__', '__base__'], 1)",
        "AttributeError: __base__ of class 'int' is not in scripts",
    ),
    (
        "read what a cached function wraps through getattr",
        "import functools, json\ngetattr(functools.lru_cache(json.dumps), '__wrapped__')",
        "AttributeError: __wrapped__ of a '_lru_cache_wrapper' object is not in scripts",
    ),
    (
        "call str.format unbound through partial",
        "import functools\nfunctools.partial(str.format, '{0.__class__}')(1)",
        "AttributeError: str.format is not in scripts as a function: call it on a text, 'text'.format(...)",
    ),
    (
        "change the registry of a generic function through a comparison",
        """
import functools
@functools.singledispatch
def f(x): return 'ours'
class Evil:
    def __eq__(self, other):
        other.clear()
        return True
f.registry == Evil()
print(f(1))""",
        "AttributeError: 'singledispatch' object has no attribute 'registry'",
    ),
    (
        "format with string.Formatter",
        "import string\nstring.Formatter().format('{0.__class__}', 1)",
        "AttributeError: module 'string' has no name 'Formatter' in scripts: see dir(string) for those it has",
    ),
    (
        "format with collections.UserString",
        "import collections\ncollections.UserString('{0.__class__}').format(1)",
        "AttributeError: module 'collections' has no name 'UserString' in scripts: see dir(collections) for those it has",
    ),
    (
        "format private attributes with logging's braces",
        """
import logging
logging.basicConfig(format='{message.__class__.__base__}', style='{')
logging.warning('x')""",
        "AttributeError: __base__ of class 'str' is not in scripts",
    ),
    (
        "format private attributes with logging's percents",
        """
import logging
logging.basicConfig(format='%(__class__)s')
logging.warning('x')""",
        "KeyError: '__class__'",
    ),
    (
        "set private attributes of any object by argparse's dest",
        """
import argparse, json
p = argparse.ArgumentParser()
p.add_argument('--x', dest='__kwdefaults__', type=len)
p.parse_args(['--x', 'a'], namespace=json.dumps)""",
        "TypeError: vars() works on objects of the script's own classes, not on a 'function'",
    ),
    (
        "let argparse write into what is not its own",
        """
import argparse, json
p = argparse.ArgumentParser()
p.add_argument('--x', dest='item_separator')
p.parse_args(['--x', 'a'], namespace=json.JSONEncoder)""",
        "TypeError: vars() works on objects of the script's own classes, not on a 'type'",
    ),
    (
        "name an option's destination privately",
        """
import argparse
p = argparse.ArgumentParser()
p.add_argument('--x', dest='__class__')
p.parse_args(['--x', 'a'])""",
        "AttributeError: dest '__class__' cannot be used: names with a leading underscore are not in scripts",
    ),
    (
        "set a private default in argparse",
        """
import argparse
p = argparse.ArgumentParser()
p.set_defaults(**{'_x': int})
p.parse_args([])""",
        "AttributeError: dest '_x' cannot be used: names with a leading underscore are not in scripts",
    ),
    (
        "let argparse read files of arguments",
        """
import argparse
p = argparse.ArgumentParser(fromfile_prefix_chars='@')
p.add_argument('x')
print(p.parse_args(['@/etc/hostname']))""",
        "SystemExit: 2",
    ),
    (
        "open files through argparse's types",
        "import argparse\nargparse.FileType('r')('/etc/hostname')",
        "AttributeError: module 'argparse' has no name 'FileType' in scripts: see dir(argparse) for those it has",
    ),
    (
        "open files through a registered type of argparse",
        """
import argparse
p = argparse.ArgumentParser()
print(p._registry_get('type', None))""",
        "AttributeError: _registry_get of a 'ArgumentParser' object is private: scripts see names with a leading underscore only on their own classes",
    ),
    (
        "read the frame of a generator in a context manager",
        """
import contextlib
@contextlib.contextmanager
def f(): yield
getattr(f().gen, 'gi_frame')""",
        "AttributeError: gi_frame leads into the interpreter and is not in scripts",
    ),
    (
        "read the private callbacks of an ExitStack",
        "import contextlib\ncontextlib.ExitStack()._exit_callbacks",
        "AttributeError: _exit_callbacks of a 'ExitStack' object is private: scripts see names with a leading underscore only on their own classes",
    ),
    (
        "read the private callbacks of its own kind of ExitStack",
        """
import contextlib
class Mine(contextlib.ExitStack):
    def look(self):
        return self._exit_callbacks
Mine().look()""",
        "TypeError: class Mine: ExitStack cannot be extended by scripts",
    ),
    (
        "read the private table of pprint",
        "import pprint\npprint.PrettyPrinter._dispatch",
        "AttributeError: _dispatch of class 'PrettyPrinter' is private: scripts see names with a leading underscore only on their own classes",
    ),
    (
        "take a traceback from an exception",
        """
try:
    1/0
except ZeroDivisionError as e:
    getattr(e, '__traceback__')""",
        "AttributeError: __traceback__ of a 'ZeroDivisionError' object is not in scripts",
    ),
    (
        "take a traceback or frame from sys.exc_info",
        """
import sys
try:
    1/0
except ZeroDivisionError:
    print(sys.exc_info()[2])
    getattr(sys.exc_info()[2], 'tb_frame')""",
        "AttributeError: tb_frame leads into the interpreter and is not in scripts",
    ),
    (
        "take frames from the traceback module",
        "import traceback\ntraceback.walk_stack(None)",
        "AttributeError: module 'traceback' has no name 'walk_stack' in scripts: see dir(traceback) for those it has",
    ),
    (
        "take stack summaries from the traceback module",
        "import traceback\ntraceback.extract_stack()",
        "AttributeError: module 'traceback' has no name 'extract_stack' in scripts: see dir(traceback) for those it has",
    ),
    (
        "copy with a special method that chooses the call",
        """
import copy
class C:
    def __reduce_ex__(self, protocol):
        return eval, ('1',)
copy.copy(C())""",
        "refused: a function called __reduce_ex__ is not in scripts",
    ),
    ("copy a generator", "import copy\ncopy.copy(x for x in 'a')", "TypeError: cannot pickle 'generator' object"),
    (
        "read an object of the host from an AttributeError",
        """
import json
try:
    json.nothing
except AttributeError as e:
    print(e.obj)""",
        "AttributeError: obj of an AttributeError is not in scripts: it may be any object of the host",
    ),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("promise", "source", "refusal"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_a_script_cannot(promise, source, refusal, guards):
    """A script cannot do it, and is told so in these words."""
    outcome = run(source, guards=guards)
    assert is_told(outcome, refusal), outcome
