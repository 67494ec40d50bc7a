"""One connection to a prober's control socket: a socket on the event loop, and the dialogue on it.

The socket is read and written directly from the loop's callbacks, without streams or tasks between: a
reactive script waits for exactly this path.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from pathlib import Path

from onvp.sandbox.prober.control import Control, Event
from onvp.sandbox.prober.errors import ProberProtocolError, ProberUnavailable

_READ_BYTES = 256 << 10
BACKLOG_BYTES = 256 << 10
"""A link with more than this unsent takes no further command."""


def connect(path: Path) -> socket.socket | None:
    """A non-blocking socket that is connected to ``path``; None when the prober's accept queue is full.

    Raises:
        ProberUnavailable: nothing listens there, or it may not be reached.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.connect(str(path))
    except BlockingIOError:
        sock.close()
        return None
    except OSError as error:
        sock.close()
        why = {
            errno.ENOENT: "there is no such socket: is the prober running?",
            errno.ECONNREFUSED: "nothing listens there: the prober has ended",
            errno.EACCES: "permission denied: the socket must belong to the agent's user",
        }.get(error.errno or 0, str(error))
        raise ProberUnavailable(f"cannot reach the prober at {path}: {why}") from None
    return sock


class Link:
    """A connected control socket.

    Args:
        sock: from `connect`.
        on_event: called for each event, in order.
        on_closed: called once, with a reason that is empty when the prober closed in good order.
    """

    def __init__(
        self,
        sock: socket.socket,
        on_event: Callable[["Link", Event], None],
        on_closed: Callable[["Link", str], None],
        *,
        number: int = 0,
    ) -> None:
        self.number = number
        self.control = Control()
        self._sock: socket.socket | None = sock
        self._unsent = bytearray()
        self._on_event = on_event
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable, sock)

    @property
    def unsent_bytes(self) -> int:
        """What the prober has not taken yet."""
        return len(self._unsent)

    def send(self, data: bytes) -> None:
        """Write now what goes, the rest when the prober reads again. Never raises: a loss is reported."""
        sock = self._sock
        if sock is None:
            return
        if not self._unsent:
            try:
                sent = sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                return  # the reader sees the end, after what the prober said before it
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(sock.fileno(), self._writable, sock)
        self._unsent += data

    def redirect(self, on_event: Callable[["Link", Event], None], on_closed: Callable[["Link", str], None]) -> None:
        """From now on tell somebody else."""
        self._on_event, self._on_closed = on_event, on_closed

    def close(self) -> None:
        """Close without a word to anybody; the prober drops what runs here."""
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _writable(self, sock: socket.socket) -> None:
        try:
            del self._unsent[: sock.send(self._unsent)]
        except BlockingIOError:
            return
        except OSError:
            self._unsent.clear()
        if not self._unsent:
            self._loop.remove_writer(sock.fileno())

    def _readable(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(f"reading from the prober failed: {error}")
            return
        try:
            if not data:
                self.control.receive_eof()
                self._end("")
                return
            for event in self.control.receive_data(data):
                self._on_event(self, event)
                if self._sock is None:
                    return
        except ProberProtocolError as error:
            self._end(str(error))

    def _end(self, reason: str) -> None:
        self.close()
        self._on_closed(self, reason)
