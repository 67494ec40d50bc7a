"""What a script cannot open, learn about the machine, or set for the process through modules."""

# ruff: noqa: E501 - scripts and sentences stand as they are

import pytest

from tests.lang.running import is_told, run

ATTACKS = [
    (
        "open files through io",
        "import io\nio.open('/etc/hostname')",
        "AttributeError: module 'io' has no name 'open' in scripts: see dir(io) for those it has",
    ),
    (
        "open raw files through io",
        "import io\nio.FileIO(0)",
        "AttributeError: module 'io' has no name 'FileIO' in scripts: see dir(io) for those it has",
    ),
    (
        "wrap a descriptor in a stream",
        "import io\nio.TextIOWrapper",
        "AttributeError: module 'io' has no name 'TextIOWrapper' in scripts: see dir(io) for those it has",
    ),
    (
        "open files through logging",
        "import logging\nlogging.FileHandler('x.log')",
        "FileNotFoundError: there is no input file in this run",
    ),
    (
        "open files through basicConfig",
        "import logging\nlogging.basicConfig(filename='x.log')",
        "FileNotFoundError: there is no input file in this run",
    ),
    (
        "reach the manager of the host's loggers",
        "import logging\nlogging.getLogger().manager",
        "AttributeError: 'Logger' object has no attribute 'manager'",
    ),
    (
        "find the descriptor of its output",
        "import sys\nsys.stdout.fileno()",
        "AttributeError: 'Sink' object has no attribute 'fileno'",
    ),
    ("reach the interpreter's own output", "import sys\nsys.__stdout__", "refused: __stdout__ is not in scripts"),
    (
        "replace its output for the host",
        "import sys\nsys.stdout = None",
        "TypeError: attributes of a 'module' cannot be set: scripts change objects of their own classes only",
    ),
    (
        "read a file as a time zone",
        "import zoneinfo\nzoneinfo.ZoneInfo('/etc/hostname')",
        "ZoneInfoNotFoundError: 'No time zone found with key /etc/hostname'",
    ),
    (
        "climb out of the time zones",
        "import zoneinfo\nzoneinfo.ZoneInfo('../../etc/hostname')",
        "ZoneInfoNotFoundError: 'No time zone found with key ../../etc/hostname'",
    ),
    (
        "move the search path of time zones",
        "import zoneinfo\nzoneinfo.reset_tzpath",
        "AttributeError: module 'zoneinfo' has no name 'reset_tzpath' in scripts: see dir(zoneinfo) for those it has",
    ),
    (
        "load a digest that the process does not have",
        "import hashlib\nhashlib.new('md4')",
        "ValueError: unsupported hash type md4",
    ),
    (
        "digest a file",
        "import hashlib\nhashlib.file_digest",
        "AttributeError: module 'hashlib' has no name 'file_digest' in scripts: see dir(hashlib) for those it has",
    ),
    (
        "learn the machine's hardware address",
        "import uuid\nuuid.getnode()",
        "AttributeError: module 'uuid' has no name 'getnode' in scripts: see dir(uuid) for those it has",
    ),
    (
        "make an identifier out of the machine's hardware address",
        "import uuid\nuuid.uuid1()",
        "AttributeError: module 'uuid' has no name 'uuid1' in scripts: see dir(uuid) for those it has",
    ),
    (
        "set the time zone of the process",
        "import time\ntime.tzset()",
        "AttributeError: module 'time' has no name 'tzset' in scripts: see dir(time) for those it has",
    ),
    (
        "read another process's clock",
        "import time\ntime.clock_gettime(-6)",
        "AttributeError: module 'time' has no name 'clock_gettime' in scripts: see dir(time) for those it has",
    ),
    (
        "read the environment",
        "import os\nos.environ",
        "ImportError: module 'os' is not in scripts: scripts see no files or processes: sys.argv has the arguments, open(name, 'w') writes an artifact",
    ),
    (
        "read stored files through os.path",
        "import os.path\nos.path.exists('/')",
        "ImportError: module 'os.path' is not in scripts: scripts see no files; split a path with str.rpartition('/')",
    ),
    (
        "open files through codecs",
        "import codecs",
        "ImportError: module 'codecs' is not in scripts: use str.encode() and bytes.decode()",
    ),
    (
        "open files through pathlib",
        "import pathlib",
        "ImportError: module 'pathlib' is not in scripts: scripts see no files: open(name, 'w') writes an artifact, open(name) reads an input file",
    ),
    (
        "open a browser's page",
        "import webbrowser",
        "ImportError: module 'webbrowser' is not in scripts: scripts have abc, argparse, …",
    ),
    (
        "raise the recursion limit until the process dies",
        "import sys\nsys.setrecursionlimit(10**9)",
        "ValueError: the recursion limit must be an int from 50 to 20000",
    ),
]


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(("promise", "source", "refusal"), ATTACKS, ids=[attack[0] for attack in ATTACKS])
def test_a_script_cannot(promise, source, refusal, guards):
    """A script cannot do it, and is told so in these words."""
    outcome = run(source, guards=guards)
    assert is_told(outcome, refusal), outcome
