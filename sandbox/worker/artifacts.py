"""Files that are not files: what a script opens for writing travels to the researcher, piece by piece.

Reading gives the input files that came with the upload, and small artifacts that this run wrote itself.
Nothing here touches a disk: there is none.
"""

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from onvp.sandbox.wire import calls

Send = Callable[[calls.FromWorker], None]
SendPiece = Callable[[calls.Write], None]

READ_BACK_BYTES = 4 << 20
"""How much of its own artifacts a run can read again; what is over it has left, and cannot."""

NAME_LIMIT = 128
NAME_LIMIT_BYTES = 240


class Shelf:
    """The run's artifacts and input files, by name."""

    def __init__(self, send: Send, inputs: dict[str, bytes]) -> None:
        self._send = send
        self._inputs = inputs
        self._open: set[str] = set()
        self._made: set[str] = set()
        self._kept: dict[str, bytearray | None] = {}  # None: too large to be read again
        self._kept_bytes = 0

    def open(
        self, file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None,
        errors: str | None = None, newline: str | None = None,
    ) -> "ArtifactFile | InputFile":  # fmt: skip
        """As the builtin, for this run's own files.

        Args:
            file: a name. Folders in front of it are dropped: artifacts lie in one folder.
            mode: ``w``, ``a`` or ``x`` write an artifact, ``r`` reads an input file, or an artifact of this run;
                ``b`` for bytes.
            buffering: accepted and not used.
            encoding: of text; UTF-8 when not given.
            errors: what to do with characters that the encoding lacks.
            newline: as the builtin's, for reading.

        Raises:
            FileNotFoundError: there is no such input file.
            ValueError: a mode or a name that cannot be.
        """
        if not isinstance(file, str) or not isinstance(mode, str):
            raise TypeError("open() takes a name and a mode, both str")
        kind = mode.replace("b", "").replace("t", "")
        if kind not in {"r", "w", "a", "x"} or (set(mode) & {"b", "t"}) == {"b", "t"} or "+" in mode:
            raise ValueError(f"mode {mode!r} cannot be used here; use 'r', 'w', 'a' or 'x', with 'b' for bytes")
        name = artifact_name(file)
        text = None if "b" in mode else (encoding or "utf-8", errors or "strict")
        if kind == "r":
            return InputFile(name, self._read(name), text, newline)
        if kind == "x" and name in self._made:
            raise FileExistsError(f"this run has written {name!r} already")
        if name in self._open:
            raise ValueError(f"{name!r} is open for writing already; close it first")
        self._open.add(name)
        self._made.add(name)
        self._write(calls.Write(name=name, data=b"", truncate=kind != "a"))
        return ArtifactFile(name, self._write, text, self._open.discard)

    def open_binary(self, file: str, mode: str) -> Any:
        """`open` for code that wants a binary file object."""
        return self.open(file, mode)

    def _write(self, message: calls.Write) -> None:
        self._send(message)
        kept = self._kept.setdefault(message.name, bytearray())
        if message.truncate:
            self._kept_bytes -= len(kept or b"")
            kept = self._kept[message.name] = bytearray()
        if kept is None:
            return
        if self._kept_bytes + len(message.data) > READ_BACK_BYTES:
            self._kept_bytes -= len(kept)
            self._kept[message.name] = None
            return
        self._kept_bytes += len(message.data)
        kept += message.data

    def _read(self, name: str) -> bytes:
        kept = self._kept.get(name)
        if kept is not None:
            return bytes(kept)
        if name in self._made:
            raise OSError(
                f"the artifact {name!r} has left: a run can read again what it wrote up to {READ_BACK_BYTES} bytes"
            )
        try:
            return self._inputs[name]
        except KeyError:
            there = ", ".join(sorted(self._inputs)) or "none"
            raise FileNotFoundError(
                f"there is no input file {name!r} in this run (input files: {there}); "
                "send files along with: onvp run --input FILE"
            ) from None


def artifact_name(path: str) -> str:
    """The artifact's name: the last part of a path, printable, and not hidden."""
    name = str.__str__(path).replace("\\", "/").rstrip("/").rpartition("/")[2]
    short = len(name) <= NAME_LIMIT and len(name.encode(errors="replace")) <= NAME_LIMIT_BYTES
    if not name or name.startswith(".") or not short or not name.isprintable():
        raise ValueError(
            f"{path!r} cannot name an artifact: use 1 to {NAME_LIMIT} printable characters, not beginning with '.'"
        )
    return name


class ArtifactFile:
    """A file open for writing; each piece is sent at once when it is large, else on flush and close."""

    __slots__ = ("_buffer", "_closed", "_forget", "_name", "_send", "_text", "_written")

    def __init__(self, name: str, send: SendPiece, text: tuple[str, str] | None, forget: Callable[[str], None]) -> None:
        self._name = name
        self._send = send
        self._text = text
        self._forget = forget
        self._buffer = bytearray()
        self._written = 0
        self._closed = False

    name = property(lambda self: self._name, doc="The artifact's name.")
    closed = property(lambda self: self._closed, doc="Was it closed?")
    mode = property(lambda self: "wb" if self._text is None else "w", doc="wb or w.")

    def write(self, data: Any) -> int:
        """Add text or bytes; gives how much was added."""
        self._check_open()
        if self._text is None:
            raw = bytes(memoryview(data))
        elif isinstance(data, str):
            raw = data.encode(*self._text)
        else:
            raise TypeError(f"write() argument must be str, not {type(data).__name__}")
        self._buffer += raw
        self._written += len(raw)
        if len(self._buffer) >= calls.MAX_CHUNK_BYTES:
            self.flush()
        return len(data)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Add each of the lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send what was not sent yet."""
        self._check_open()
        for at in range(0, len(self._buffer), calls.MAX_CHUNK_BYTES):
            piece = bytes(self._buffer[at : at + calls.MAX_CHUNK_BYTES])
            self._send(calls.Write(name=self._name, data=piece))
        self._buffer.clear()

    def close(self) -> None:
        """Send the rest; the artifact is complete."""
        if self._closed:
            return
        self.flush()
        self._closed = True
        self._forget(self._name)
        self._send(calls.Write(name=self._name, data=b"", last=True))

    def tell(self) -> int:
        """How many bytes were written."""
        return self._written

    def readable(self) -> bool:
        """Can it be read? No."""
        return False

    def writable(self) -> bool:
        """Can it be written to? Yes."""
        return True

    def seekable(self) -> bool:
        """Can one go back? No."""
        return False

    def __enter__(self) -> "ArtifactFile":
        self._check_open()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("I/O operation on closed file")


class InputFile:
    """An input file open for reading, from memory."""

    __slots__ = ("_closed", "_name", "_stream")

    def __init__(self, name: str, data: bytes, text: tuple[str, str] | None, newline: str | None) -> None:
        self._name = name
        self._closed = False
        self._stream: io.StringIO | io.BytesIO
        self._stream = io.BytesIO(data) if text is None else io.StringIO(data.decode(*text), newline=newline)

    name = property(lambda self: self._name, doc="The input file's name.")
    closed = property(lambda self: self._closed, doc="Was it closed?")

    def read(self, size: int = -1) -> Any:
        """Up to ``size`` characters or bytes; all that is left when negative."""
        return self._checked().read(size)

    def readline(self) -> Any:
        """The next line."""
        return self._checked().readline()

    def readlines(self) -> list[Any]:
        """The lines that are left."""
        return self._checked().readlines()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._checked().seek(offset, whence)

    def tell(self) -> int:
        """Where we are."""
        return self._checked().tell()

    def readable(self) -> bool:
        """Can it be read? Yes."""
        return True

    def writable(self) -> bool:
        """Can it be written to? No."""
        return False

    def seekable(self) -> bool:
        """Can one go back? Yes."""
        return True

    def close(self) -> None:
        """No more reading."""
        self._closed = True

    def __iter__(self) -> Iterator[Any]:
        return iter(self._checked())

    def __enter__(self) -> "InputFile":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _checked(self) -> io.StringIO | io.BytesIO:
        if self._closed:
            raise ValueError("I/O operation on closed file")
        return self._stream
