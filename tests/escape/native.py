"""The entry point behind `python -m tests.escape --native`: a file as ordinary CPython code.

Everything of the standard library that can be loaded is loaded before the walls go up, so that an import does
not fail for want of files: what then fails, fails at the wall.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import traceback
import warnings

# They open windows or browsers, print at import, or need what is not there.
_LEFT_OUT = {"antigravity", "this", "idlelib", "turtle", "turtledemo", "tkinter", "lib2to3", "ensurepip"}
_ALSO = (
    "ctypes.util", "concurrent.futures", "concurrent.futures.thread", "concurrent.futures.process",
    "multiprocessing.shared_memory", "multiprocessing.pool", "multiprocessing.popen_fork", "encodings.idna",
    "http.client", "http.server", "urllib.request", "xmlrpc.client", "email.message", "importlib.resources",
    "os.path", "asyncio.subprocess", "logging.handlers", "unittest.mock",
)  # fmt: skip


def preload() -> None:
    """Load the standard library."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for name in sorted(n for n in sys.stdlib_module_names if not n.startswith("_")) + list(_ALSO):
            if name not in _LEFT_OUT:
                with contextlib.suppress(ImportError, OSError):
                    importlib.import_module(name)
    traceback.format_exc()


class Channel(io.TextIOBase):
    """What is printed goes to the channel, at once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        data = memoryview(text.encode(errors="backslashreplace"))
        while data:
            data = data[os.write(self._descriptor, data) :]
        return len(text)


def run(channel: int) -> int:
    """Read "name NUL source NUL", run it as __main__, tell how it ended."""
    received = b""
    while received.count(b"\0") < 2:
        if not (part := os.read(channel, 65_536)):
            return 0
        received += part
    name, source, _ = received.split(b"\0", 2)
    filename = name.decode()
    sys.stdout = sys.stderr = Channel(channel)  # type: ignore[assignment]
    sys.argv = [filename]
    try:
        exec(compile(source, filename, "exec"), {"__name__": "__main__", "__file__": filename})
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            print(end.code)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except MemoryError:
        raise
    except BaseException:  # noqa: BLE001 - shown as the interpreter would
        traceback.print_exc()
        return 1
    return 0
