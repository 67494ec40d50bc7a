"""What a script cannot get by importing."""

# ruff: noqa: E501 - scripts and sentences stand as they are

import pytest

from tests.lang.running import is_told, run

# promise ("a script cannot ..."), source, the exact refusal
ATTACKS = [
    (
        "import the operating system's module",
        "import posix",
        "ImportError: module 'posix' is not in scripts: scripts have abc, argparse, …",
    ),
    (
        "import the module of sockets",
        "import socket",
        "ImportError: module 'socket' is not in scripts: scripts have no sockets: do_* methods send probes, do_dns asks name servers, ipaddress converts",
    ),
    (
        "import what starts processes",
        "import subprocess",
        "ImportError: module 'subprocess' is not in scripts: scripts start no processes: scamper's do_* methods measure",
    ),
    (
        "import what starts threads",
        "import threading",
        "ImportError: module 'threading' is not in scripts: scripts have one thread; do_* without sync=True run in parallel, ctrl.responses() gives the results",
    ),
    (
        "import the importing machinery",
        "import importlib",
        "ImportError: module 'importlib' is not in scripts: write import statements",
    ),
    (
        "import the builtins",
        "import builtins",
        "ImportError: module 'builtins' is not in scripts: the builtins are there without an import",
    ),
    (
        "import foreign functions",
        "import ctypes",
        "ImportError: module 'ctypes' is not in scripts: scripts do not call native code",
    ),
    (
        "import what looks into frames",
        "import inspect",
        "ImportError: module 'inspect' is not in scripts: scripts do not look into the interpreter",
    ),
    (
        "import what compiles text",
        "import ast",
        "ImportError: module 'ast' is not in scripts: scripts do not make code; json.loads() reads data",
    ),
    (
        "import what unpickles objects",
        "import pickle",
        "ImportError: module 'pickle' is not in scripts: use json, or csv",
    ),
    (
        "import what holds references to everything",
        "import gc",
        "ImportError: module 'gc' is not in scripts: scripts do not look into the interpreter",
    ),
    (
        "import a part of a listed package that is not listed",
        "import urllib.request",
        "ImportError: module 'urllib.request' is not in scripts: scripts have no sockets: do_http measures HTTP where the site allows it",
    ),
    (
        "import a submodule that the interpreter has loaded",
        "import json.decoder",
        "ImportError: module 'json.decoder' is not in scripts: scripts have abc, argparse, …",
    ),
    (
        "take a loaded submodule through from-import, which asks sys.modules",
        "from json import decoder",
        "ImportError: cannot import name 'decoder' from 'json': scripts see JSONDecodeError, JSONDecoder, JSONEncoder, dump, dumps, load, loads",
    ),
    (
        "take a loaded submodule under another name",
        "import json.decoder as d",
        "ImportError: module 'json.decoder' is not in scripts: scripts have abc, argparse, …",
    ),
    (
        "take the module that a listed module has imported",
        "from dataclasses import sys",
        "ImportError: cannot import name 'sys' from 'dataclasses': scripts see Field, FrozenInstanceError, InitVar, KW_ONLY, MISSING, asdict, astuple, dataclass, field, fields, is_dataclass, make_dataclass, replace",
    ),
    (
        "take a private module of a listed module",
        "from random import _os",
        "refused: _os is private and cannot be imported in scripts",
    ),
    (
        "take the spec or loader of a module",
        "from json import __loader__",
        "refused: __loader__ is private and cannot be imported in scripts",
    ),
    ("import relatively", "from . import json", "refused: a script is one file: there is nothing to import from '.'"),
    (
        "import by calling __import__",
        "__import__('os')",
        "refused: the name __import__ belongs to the language and is not in scripts",
    ),
    (
        "import by the getattr of a view",
        "import json\ngetattr(json, 'codecs')",
        "AttributeError: module 'json' has no name 'codecs' in scripts: see dir(json) for those it has",
    ),
    (
        "read the table of modules",
        "import sys\nsys.modules",
        "AttributeError: module 'sys' has no name 'modules' in scripts: see dir(sys) for those it has",
    ),
    (
        "read frames through sys",
        "import sys\ngetattr(sys, '_getframe')",
        "AttributeError: _getframe of a 'module' object is private: scripts see names with a leading underscore only on their own classes",
    ),
    (
        "read hooks of the interpreter",
        "import sys\nsys.settrace",
        "AttributeError: module 'sys' has no name 'settrace' in scripts: see dir(sys) for those it has",
    ),
    (
        "change a view",
        "import json\njson.dumps = len",
        "TypeError: attributes of a 'module' cannot be set: scripts change objects of their own classes only",
    ),
    (
        "change a view with setattr",
        "import json\nsetattr(json, 'dumps', len)",
        "TypeError: attributes of a 'module' cannot be set: scripts change objects of their own classes only",
    ),
    (
        "delete from a view",
        "import json\ndel json.dumps",
        "TypeError: attributes of a 'module' cannot be set: scripts change objects of their own classes only",
    ),
    (
        "copy a view",
        "import copy, json\ncopy.copy(json)",
        "Error: un(shallow)copyable object of type <class 'onvp.native._guards.ModuleView'>",
    ),
    (
        "read the dict of a view",
        "import json\nvars(json)",
        "TypeError: vars() works on objects of the script's own classes, not on a 'module'",
    ),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("promise", "source", "refusal"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_a_script_cannot(promise, source, refusal, guards):
    """A script cannot do it, and is told so in these words."""
    outcome = run(source, guards=guards)
    assert is_told(outcome, refusal), outcome
