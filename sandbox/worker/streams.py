"""stdout and stderr of a script: lines go to the researcher as they are completed."""

from collections.abc import Iterable
from typing import Any

from onvp.sandbox.wire import calls
from onvp.sandbox.worker.artifacts import Send


class Stream:
    """A text stream that ends at the broker.

    A line is sent when it is complete, at once; an incomplete one on ``flush`` and at the end.
    """

    __slots__ = ("_err", "_held", "_send")

    encoding = "utf-8"
    errors = "replace"
    closed = False

    def __init__(self, send: Send, *, err: bool) -> None:
        self._send = send
        self._err = err
        self._held = ""

    name = property(lambda self: "<stderr>" if self._err else "<stdout>")

    def write(self, text: Any) -> int:
        """Add text; gives how many characters."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        held = self._held + str.__str__(text)
        end = held.rfind("\n") + 1
        if end:
            self._say(held[:end])
        self._held = held[end:]
        if len(self._held) > calls.MAX_CHUNK_BYTES:
            self.flush()
        return len(text)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Add each of the lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Send an incomplete line."""
        held, self._held = self._held, ""
        if held:
            self._say(held)

    def isatty(self) -> bool:
        """Is it a terminal? Never."""
        return False

    def readable(self) -> bool:
        """Can it be read? No."""
        return False

    def writable(self) -> bool:
        """Can it be written to? Yes."""
        return True

    def _say(self, text: str) -> None:
        # A character may take four bytes; a lone surrogate cannot be sent at all.
        text = text.encode(errors="replace").decode()
        step = calls.MAX_CHUNK_BYTES // 4
        for at in range(0, len(text), step):
            self._send(calls.Output(text=text[at : at + step], err=self._err))
