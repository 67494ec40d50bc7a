"""How much memory answers may take, over all clients together."""

from typing import Final

ROOM_BYTES: Final = 128 << 20


class Room:
    """A count of bytes that are kept for somebody. Whoever takes gives back the same."""

    def __init__(self, limit: int = ROOM_BYTES) -> None:
        self._limit = limit
        self._taken = 0

    def try_take(self, size: int) -> bool:
        """Take `size` bytes if there is room."""
        if self._taken + size > self._limit:
            return False
        self._taken += size
        return True

    def take(self, size: int) -> None:
        """Count `size` bytes that exist in any case; there will be less room for the others."""
        self._taken += size

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self._taken -= size
