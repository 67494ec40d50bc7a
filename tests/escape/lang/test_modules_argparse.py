"""What a script cannot make argparse do, which sets attributes by the names of options and opens files."""

# ruff: noqa: E501 - scripts and sentences stand as they are

import pytest

from tests.lang.running import is_told, run

ATTACKS = [
    (
        "write to the library's functions by calling an action",
        """
import argparse, json
action = argparse.ArgumentParser().add_argument('--x', dest='__kwdefaults__')
action(None, json.dumps, {'sort_keys': True})""",
        "AttributeError: __kwdefaults__ of a 'function' object is not in scripts",
    ),
    (
        "write to the library's classes by calling an action",
        """
import argparse, json
action = argparse.ArgumentParser().add_argument('--x', dest='__init__')
action(None, json.JSONEncoder, lambda self, **options: None)""",
        "AttributeError: __init__ of class 'JSONEncoder' is not in scripts",
    ),
    (
        "write plain names of the library's classes by calling an action",
        """
import argparse, json
action = argparse.ArgumentParser().add_argument('--x', dest='item_separator', action='store_true')
action(None, json.JSONEncoder, None)""",
        "TypeError: class 'JSONEncoder' is not the script's own: its attributes cannot be set",
    ),
    (
        "give its own class a special method by calling an action",
        """
import argparse
class Mine: pass
action = argparse.ArgumentParser().add_argument('--x', dest='__reduce_ex__')
action(None, Mine, lambda self, protocol: (print, ('called',)))""",
        "AttributeError: __reduce_ex__ of class 'Mine' is not in scripts",
    ),
    (
        "read private attributes by calling an action",
        """
import argparse, json
action = argparse.ArgumentParser().add_argument('--x', dest='__globals__', action='append')
action(None, json.dumps, 1)""",
        "AttributeError: __globals__ of a 'function' object is not in scripts",
    ),
    (
        "count a private attribute up by calling an action",
        """
import argparse, json
action = argparse.ArgumentParser().add_argument('--x', dest='__flags__', action='count')
action(None, json.JSONEncoder, None)""",
        "AttributeError: __flags__ of class 'JSONEncoder' is not in scripts",
    ),
    (
        "write to the library's classes by a pair of options",
        """
import argparse, json
argparse.BooleanOptionalAction(['--x'], '__doc__')(None, json.JSONEncoder, None, '--x')""",
        "AttributeError: __doc__ of class 'JSONEncoder' is not in scripts",
    ),
    (
        "write to the library's functions through subcommands",
        """
import argparse, json
p = argparse.ArgumentParser()
action = p.add_subparsers(dest='__kwdefaults__')
action.add_parser('ping')
action(p, json.dumps, ['ping'])""",
        "AttributeError: __kwdefaults__ of a 'function' object is not in scripts",
    ),
    (
        "fill what is not its own with what a subcommand parsed",
        """
import argparse, json
class Fake:
    def parse_known_args(self, args, namespace):
        return Values(), []
class Values:
    def __init__(self):
        self.item_separator = 'x'
p = argparse.ArgumentParser()
action = p.add_subparsers(parser_class=lambda **options: Fake())
action.add_parser('ping')
action(p, json.JSONEncoder, ['ping'])""",
        "TypeError: class 'JSONEncoder' is not the script's own: its attributes cannot be set",
    ),
    (
        "delete attributes of what is not its own",
        """
import argparse, json
p = argparse.ArgumentParser()
p.add_argument('item_separator', nargs='*')
p.parse_intermixed_args([], namespace=json.JSONEncoder)""",
        "TypeError: vars() works on objects of the script's own classes, not on a 'type'",
    ),
    (
        "choose a private method of the parser by its conflict handler",
        "import argparse\nargparse.ArgumentParser(conflict_handler='x__class__')",
        "ValueError: invalid conflict_resolution value: 'x__class__'",
    ),
    (
        "read private attributes of a namespace",
        "import argparse\ngetattr(argparse.Namespace(), '_get_kwargs')",
        "AttributeError: _get_kwargs of a 'Namespace' object is private: scripts see names with a leading underscore only on their own classes",
    ),
    (
        "reach the library through the formatter of its own making",
        """
import argparse
class Mine(argparse.HelpFormatter):
    def look(self):
        return self._whitespace_matcher.sub
    def add_usage(self, usage, actions, groups, prefix=None):
        actions[0].container._registries
argparse.ArgumentParser(formatter_class=Mine).format_help()""",
        "AttributeError: _registries of a '_ArgumentGroup' object is private: scripts see names with a leading underscore only on their own classes",
    ),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("promise", "source", "refusal"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_a_script_cannot(promise, source, refusal, guards):
    """A script cannot do it, and is told so in these words."""
    outcome = run(source, guards=guards)
    assert is_told(outcome, refusal), outcome


def test_a_file_of_arguments_is_not_read():
    """With fromfile_prefix_chars, a parser says that it opens no files and ends as for any bad argument."""
    source = "import argparse\np = argparse.ArgumentParser(fromfile_prefix_chars='@')\np.add_argument('x')\np.parse_args(['@/etc/hostname'])"
    outcome = run(source)
    assert outcome.last_word == "SystemExit: 2"
    assert "argparse opens no files in scripts" in outcome.err
