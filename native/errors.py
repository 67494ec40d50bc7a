"""What `onvp.native` raises. The only family: bytes that are not what they claim to be.

A `WartsError` is the peer's fault (or the disk's), never the script's and never ours.
"""

from __future__ import annotations


class WartsError(ValueError):
    """Bytes that are not a warts stream, or a value that no warts record can hold.

    Attributes:
        reason: what was wrong, in words.
        offset: where in the stream, in bytes from its start (None when encoding).
        done: objects of the same bytes that came before (see `Decoder.feed`).
    """

    code = "warts-invalid"

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason, offset)
        self.reason = reason
        self.offset = offset
        self.done: list[object] = []

    def __str__(self) -> str:
        if self.offset is None:
            return self.reason
        return f"warts, byte {self.offset}: {self.reason}"
