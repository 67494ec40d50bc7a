# ruff: noqa: E501 - a refusal is one line
"""Which builtins and modules a script cannot get."""

import pytest

from tests.lang.running import run

ATTACKS = [
    (
        "call eval",
        "eval('1')",
        "refused: eval() runs text as code and is not in scripts: use json.loads() for data, float() or int() for numbers",
    ),
    (
        "call exec",
        "exec('1')",
        "refused: exec() runs text as code and is not in scripts: write the code into the script",
    ),
    (
        "call compile",
        "compile('1', 'x', 'eval')",
        "refused: compile() makes code and is not in scripts: write the code into the script; re.compile() is there",
    ),
    ("call globals", "globals()", "refused: globals() is not in scripts: keep values in a dict of your own"),
    (
        "call locals",
        "locals()",
        "refused: locals() is not in scripts: keep values in a dict of your own, or name them one by one",
    ),
    (
        "call input",
        "input()",
        "refused: input() has nobody to ask here: take values from sys.argv (onvp run SCRIPT -- ARGS)",
    ),
    ("call breakpoint", "breakpoint()", "refused: breakpoint() has no terminal here: print() what you need to see"),
    ("call help", "help()", "refused: help() has no terminal here: see the reference pages"),
    (
        "pass eval as a value",
        "list(map(eval, ['1']))",
        "refused: eval() runs text as code and is not in scripts: use json.loads() for data, float() or int() for numbers",
    ),
    (
        "import os",
        "import os",
        "ImportError: module 'os' is not in scripts: scripts see no files or processes: sys.argv has the arguments, open(name, 'w') writes an artifact",
    ),
    (
        "import sys's modules",
        "from sys import modules",
        "ImportError: cannot import name 'modules' from 'sys': scripts see argv, byteorder, copyright, exc_info, exit, float_info, getdefaultencoding, getrecursionlimit, getsizeof, hash_info, hexversion, implementation, int_info, intern, maxsize, maxunicode, platform, setrecursionlimit, stderr, stdin, stdout, version, version_info",
    ),
    (
        "read sys.modules",
        "import sys\nsys.modules",
        "AttributeError: module 'sys' has no name 'modules' in scripts: see dir(sys) for those it has",
    ),
    (
        "read sys._getframe",
        "import sys\nsys._getframe()",
        "AttributeError: _getframe of a 'module' object is private: scripts see names with a leading underscore only on their own classes",
    ),
    ("import a private module", "import _io", "refused: _io is private and cannot be imported in scripts"),
    (
        "import a module by a dotted path into the private",
        "import json._x",
        "refused: json._x is private and cannot be imported in scripts",
    ),
    (
        "import a submodule that is not listed",
        "import json.decoder",
        "ImportError: module 'json.decoder' is not in scripts: scripts have abc, argparse, array, base64, binascii, bisect, calendar, cmath, collections, contextlib, copy, csv, dataclasses, datetime, decimal, enum, fractions, functools, hashlib, heapq, hmac, html, io, ipaddress, itertools, json, logging, math, numbers, operator, pprint, random, re, secrets, statistics, string, struct, sys, textwrap, time, traceback, types, typing, unicodedata, urllib, uuid, warnings, zlib, zoneinfo",
    ),
    (
        "import a submodule by from",
        "from json import decoder",
        "ImportError: cannot import name 'decoder' from 'json': scripts see JSONDecodeError, JSONDecoder, JSONEncoder, dump, dumps, load, loads",
    ),
    (
        "import everything",
        "from json import *",
        "refused: import * is not in scripts: name what you need, from json import ...",
    ),
    ("import relatively", "from . import x", "refused: a script is one file: there is nothing to import from '.'"),
    (
        "import the interpreter's importlib",
        "import importlib",
        "ImportError: module 'importlib' is not in scripts: write import statements",
    ),
    (
        "import builtins",
        "import builtins",
        "ImportError: module 'builtins' is not in scripts: the builtins are there without an import",
    ),
    (
        "import ctypes",
        "import ctypes",
        "ImportError: module 'ctypes' is not in scripts: scripts do not call native code",
    ),
    (
        "import gc",
        "from gc import get_objects",
        "ImportError: module 'gc' is not in scripts: scripts do not look into the interpreter",
    ),
    (
        "import inspect",
        "import inspect",
        "ImportError: module 'inspect' is not in scripts: scripts do not look into the interpreter",
    ),
    (
        "copy a module view",
        "import copy, json\ncopy.copy(json)",
        "Error: un(shallow)copyable object of type <class 'onvp.native._guards.ModuleView'>",
    ),
    ("unpickle", "import pickle", "ImportError: module 'pickle' is not in scripts: use json, or csv"),
    (
        "evaluate with typing.get_type_hints",
        "from typing import get_type_hints",
        "ImportError: cannot import name 'get_type_hints' from 'typing': scripts see the names that dir(typing) lists",
    ),
    (
        "evaluate a forward reference",
        "from typing import ForwardRef",
        "ImportError: cannot import name 'ForwardRef' from 'typing': scripts see the names that dir(typing) lists",
    ),
    (
        "call str.format through an alias",
        "type(list[int])(str, ()).format('{0.__base__}', int)",
        "AttributeError: str.format is not in scripts as a function: call it on a text, 'text'.format(...)",
    ),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("promise", "source", "refusal"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_a_script_cannot(promise, source, refusal, guards):
    """A script cannot do it, and is told so in these words."""
    assert run(source, guards=guards).last_word == refusal
