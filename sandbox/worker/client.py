"""The worker's one connection to the world: a descriptor to the broker.

Theory of operation
-------------------
Blocking and single-threaded. `Client.send` writes a frame; `Client.receive` gives the next message, in
order, waiting at most until a deadline; `Client.pump` hands it to the subscriber (the facade's hub), which
only notes what arrived. The broker never blocks on us: it buffers, within bounds.

A broker that closes its end ends the run: `BrokerLost` is not an Exception, so a script cannot swallow it.
"""

import os
import select
import time
from collections.abc import Callable

from onvp.sandbox.wire import calls, frames

_READ_BYTES = 1 << 18


class BrokerLost(BaseException):
    """The broker closed the connection: the run is over, whatever the script does."""


class Client:
    """Frames and messages over one blocking descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._deframer = frames.Deframer(limit_bytes=calls.TO_WORKER_LIMIT_BYTES)
        self._arrived: list[calls.ToWorker] = []
        self._next = 0
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._last_task = 0
        self.subscriber: Callable[[calls.ToWorker], None] = lambda _message: None

    def next_task(self) -> int:
        """A new task number."""
        self._last_task += 1
        return self._last_task

    def send(self, message: calls.FromWorker) -> None:
        """Write one message, all of it."""
        view = memoryview(frames.pack(calls.encode(message), limit_bytes=calls.FROM_WORKER_LIMIT_BYTES))
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise BrokerLost from error

    def receive(self, deadline: float | None = None) -> calls.ToWorker | None:
        """The next message, or None at the deadline (``time.monotonic`` seconds; None waits for ever)."""
        while True:
            if self._next < len(self._arrived):
                message = self._arrived[self._next]
                self._next += 1
                return message
            self._arrived.clear()
            self._next = 0
            if deadline is not None and not self._readable(deadline):
                return None
            try:
                data = os.read(self._fd, _READ_BYTES)
            except OSError as error:
                raise BrokerLost from error
            if not data:
                raise BrokerLost
            self._arrived.extend(map(calls.decode_to_worker, self._deframer.feed(data)))

    def pump(self, deadline: float | None) -> bool:
        """Wait for one message and hand it to the subscriber; False at the deadline."""
        message = self.receive(deadline)
        if message is None:
            return False
        self.subscriber(message)
        return True

    def _readable(self, deadline: float) -> bool:
        wait_ms = max(0.0, deadline - time.monotonic()) * 1000
        # poll() takes whole milliseconds: round up, so that a short wait does not become a busy loop.
        return bool(self._poll.poll(int(wait_ms) + (wait_ms > int(wait_ms))))
