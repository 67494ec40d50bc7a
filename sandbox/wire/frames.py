"""Length-prefixed frames: a u32 (big-endian) count of bytes, then that many bytes.

The size limit is an argument without a default, so that no reader can forget it. The limit is judged
on the four length bytes alone: a peer that announces a gigabyte is refused before a byte is buffered.
"""

import struct

from onvp.sandbox.wire.errors import WireError

_LENGTH = struct.Struct("!I")
HEADER_SIZE = _LENGTH.size


def pack(body: bytes, *, limit_bytes: int) -> bytes:
    """The frame that carries ``body``.

    Raises:
        WireError: the body is larger than ``limit_bytes``.
    """
    if len(body) > limit_bytes:
        raise WireError(f"a message of {len(body)} bytes is over the limit of {limit_bytes} bytes")
    return _LENGTH.pack(len(body)) + body


class Deframer:
    """Cuts what arrived into frame bodies; keeps what is not complete.

    Holds at most one incomplete frame, hence at most ``limit_bytes`` and one read beyond it.
    """

    __slots__ = ("_buffer", "_limit")

    def __init__(self, *, limit_bytes: int) -> None:
        self._buffer = bytearray()
        self._limit = limit_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, give the bodies that are complete now, in order.

        Raises:
            WireError: a frame announces more than the limit.
        """
        buffer = self._buffer
        buffer += data
        bodies: list[bytes] = []
        at = 0
        while len(buffer) - at >= HEADER_SIZE:
            (size,) = _LENGTH.unpack_from(buffer, at)
            if size > self._limit:
                raise WireError(f"a frame announces {size} bytes, over the limit of {self._limit} bytes")
            end = at + HEADER_SIZE + size
            if end > len(buffer):
                break
            bodies.append(bytes(buffer[at + HEADER_SIZE : end]))
            at = end
        if at:
            del buffer[:at]
        return bodies

    @property
    def pending_bytes(self) -> int:
        """How many bytes of an incomplete frame are held."""
        return len(self._buffer)
