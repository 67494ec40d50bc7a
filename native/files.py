"""`ScamperFile`: recordings read and written, with upstream's interface.

Reading tells gzip, bzip2 and xz by content. Writing knows the kinds warts, warts.gz, warts.bz2, warts.xz,
json and text. Nothing here opens a file by itself: the `opener` does, so that a sandbox can pass its own.

Differences from upstream, on purpose: a bad record raises `WartsError` (upstream stops as if the file had
ended), and what comes out of a compressed file is limited (`max_bytes`).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import IO, Any, Final, Self

from onvp.native import _warts
from onvp.native.errors import WartsError

CHUNK_BYTES: Final = 1 << 16
MAX_BYTES: Final = 4 << 30

KINDS: Final = ("warts", "warts.gz", "warts.bz2", "warts.xz", "json", "text")
SUFFIXES: Final = {
    ".gz": "warts.gz",
    ".bz2": "warts.bz2",
    ".xz": "warts.xz",
    ".json": "json",
    ".txt": "text",
}
MAGICS: Final = {b"\x1f\x8b": "warts.gz", b"BZh": "warts.bz2", b"\xfd7zXZ\x00": "warts.xz"}
KIND_NUMBERS: Final = {cls: number for number, cls in _warts.RESULT_KINDS.items()}

Opener = Callable[[str, str], IO[bytes]]


def _open(filename: str, mode: str) -> IO[bytes]:
    return open(filename, mode)  # noqa: PTH123  (the caller closes it)


class _Inflater:
    """Decompresses one member of a compressed stream and ignores what follows it, as upstream does."""

    def __init__(self, kind: str) -> None:
        self._step: Any
        if kind == "warts.gz":
            # 31: a gzip header, the largest window (zlib's manual, inflateInit2).
            self._step = zlib.decompressobj(31)
        elif kind == "warts.bz2":
            self._step = bz2.BZ2Decompressor()
        else:
            self._step = lzma.LZMADecompressor(memlimit=256 << 20)
        self._zlib = kind == "warts.gz"

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decompressed bytes, in pieces of at most `CHUNK_BYTES`.

        Raises:
            WartsError: this is not what it began as.
        """
        try:
            if self._zlib:
                while data and not self._step.eof:
                    yield self._step.decompress(data, CHUNK_BYTES)
                    data = self._step.unconsumed_tail
            elif not self._step.eof:
                yield self._step.decompress(data, CHUNK_BYTES)
                while not self._step.eof and not self._step.needs_input:
                    yield self._step.decompress(b"", CHUNK_BYTES)
        except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
            raise WartsError(f"compressed data that does not decompress: {error}") from None

    @property
    def ended(self) -> bool:
        """The member is complete."""
        return bool(self._step.eof)


def _writer(kind: str, file: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    """The file to write `kind` to: `file` itself, or a compressor in front of it."""
    if kind == "warts.gz":
        return gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
    if kind == "warts.bz2":
        return bz2.BZ2File(file, "wb")
    if kind == "warts.xz":
        return lzma.LZMAFile(file, "wb")
    return file


class ScamperFile:
    """A file of measurements.

    Args:
        filename: its name, handed to `opener`.
        mode: "r" or "w".
        kind: only for "w": warts, warts.gz, warts.bz2, warts.xz, json or text. None: by the name's suffix.
        filter_types: result classes to read; all else is skipped, lists and cycles too.
        opener: opens `filename` with mode "rb" or "wb" as a binary file object. None: the builtin.
        max_bytes: how much may come out of a compressed file; more is a `WartsError`.
    """

    def __init__(
        self,
        filename: str,
        mode: str = "r",
        kind: str | None = None,
        filter_types: Iterable[type] | None = None,
        *,
        opener: Opener | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        if mode not in {"r", "w"}:
            raise ValueError(f"invalid mode: {mode}")
        if mode == "r" and kind is not None:
            raise ValueError("do not specify kind when opening a file for reading")
        if kind is None and mode == "w":
            kind = next((k for end, k in SUFFIXES.items() if str(filename).endswith(end)), None)
        if kind is not None and kind not in KINDS:
            raise RuntimeError(f"could not open file: {kind!r} is none of {', '.join(KINDS)}")
        self._mode = mode
        self._kind = kind or "warts"
        self._filename = filename
        self._only: frozenset[type] | None = None
        self._ready: deque[Any] = deque()
        self._failure: WartsError | None = None
        self._ended = False
        self._left = max_bytes
        self._decoder = _warts.Decoder()
        self._encoder = _warts.Encoder()
        self._inflater: _Inflater | None = None
        if filter_types is not None:
            self.filter_types(*filter_types)
        try:
            self._file: IO[bytes] | None = (opener or _open)(filename, mode + "b")
        except OSError as error:
            raise RuntimeError(f"could not open file: {error}") from None
        self._out: IO[bytes] | gzip.GzipFile | None = self._file
        if mode == "w":
            self._out = _writer(self._kind, self._file)
        else:
            self._begin()

    def _begin(self) -> None:
        """Look at the first bytes to learn how the file is compressed."""
        assert self._file is not None
        head = self._file.read(CHUNK_BYTES) or b""
        for magic, kind in MAGICS.items():
            if head.startswith(magic):
                self._kind = kind
                self._inflater = _Inflater(kind)
        self._take(head)

    def _take(self, data: bytes) -> None:
        """Decode the next bytes of the file; an error waits until the objects before it have been read."""
        try:
            if not data or (self._inflater is not None and self._inflater.ended):
                self._ended = True
                self._decoder.close()
            elif self._inflater is None:
                self._keep(self._decoder.feed(data))
            else:
                for piece in self._inflater.feed(data):
                    self._left -= len(piece)
                    if self._left < 0:
                        raise WartsError("the file decompresses to more bytes than it may")
                    self._keep(self._decoder.feed(piece))
        except WartsError as error:
            self._keep(error.done)
            self._failure = error
            self._ended = True

    def _keep(self, objects: Iterable[Any]) -> None:
        self._ready += (x for x in objects if self._only is None or type(x) in self._only)

    def _check(self) -> None:
        if self._file is None:
            raise ValueError("I/O operation on closed file")

    def read(self) -> Any:
        """The next object, or None at the end.

        Raises:
            WartsError: the bytes that come next are no record. The file has ended there.
        """
        self._check()
        if self._mode != "r":
            raise RuntimeError("file not opened in read mode")
        while not self._ready and not self._ended:
            assert self._file is not None
            self._take(self._file.read(CHUNK_BYTES) or b"")
        if self._ready:
            return self._ready.popleft()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return None

    def __iter__(self) -> ScamperFile:
        self._check()
        if self._mode != "r":
            raise ValueError("not readable")
        return self

    def __next__(self) -> Any:
        item = self.read()
        if item is None:
            raise StopIteration
        return item

    def write(self, obj: Any) -> None:
        """Append a result, or a cycle's start or stop. Lists, cycle definitions and addresses are no-ops.

        Raises:
            RuntimeError: the file is not for writing, or cannot hold `obj`.
        """
        self._check()
        if self._mode != "w":
            raise RuntimeError("file not opened in write mode")
        if isinstance(obj, _warts.ScamperList | _warts.ScamperAddr):
            return
        if isinstance(obj, _warts.ScamperCycle):
            if _warts.cycle_kind(obj) == "definition":
                return
        elif type(obj) not in KIND_NUMBERS:
            raise RuntimeError(f"unhandled object type {type(obj).__name__}")
        data = self._rendered(obj)
        if data is None:
            raise RuntimeError(f"could not write {_number(obj)}: {self._kind} cannot hold it")
        assert self._out is not None
        self._out.write(data)

    def _rendered(self, obj: Any) -> bytes | None:
        """What `obj` is in this kind of file; None: it cannot be said."""
        if self._kind == "json":
            text = _warts.json_of(obj)
        elif self._kind == "text":
            text = obj.to_text() if hasattr(obj, "to_text") else None
        else:
            data: bytes = self._encoder.encode(obj)
            return data
        return None if text is None else text.encode("utf-8", "backslashreplace") + b"\n"

    def filter_types(self, *types: type) -> None:
        """Read only these result classes from here on. It replaces an earlier choice.

        Raises:
            ValueError: one is no result class, there is none, or the file is for writing.
        """
        if self._mode != "r":
            raise ValueError("cannot add filter to non-readable files")
        if any(kind not in KIND_NUMBERS for kind in types):
            raise ValueError("invalid type")
        if not types:
            raise ValueError("nothing to filter")
        self._only = frozenset(types)
        self._ready = deque(x for x in self._ready if type(x) in self._only)

    @property
    def filetype(self) -> str:
        """The kind of file: warts, warts.gz, warts.bz2, warts.xz, json or text."""
        self._check()
        return self._kind

    @property
    def filename(self) -> str | None:
        """The name that the file was opened by."""
        self._check()
        return self._filename

    def is_read(self) -> bool:
        """The file is for reading."""
        return self._mode == "r"

    def is_write(self) -> bool:
        """The file is for writing."""
        return self._mode == "w"

    def close(self) -> None:
        """Write out what is left and close. It may be called again."""
        if self._file is None:
            return
        file, out, self._file, self._out = self._file, self._out, None, None
        try:
            if out is not None and out is not file:
                out.close()
        finally:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.close()


def _number(obj: Any) -> int:
    """The record type of an object."""
    if isinstance(obj, _warts.ScamperCycle):
        return 4 if _warts.cycle_kind(obj) == "stop" else 2
    return KIND_NUMBERS[type(obj)]
