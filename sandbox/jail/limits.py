"""What one run may use. Each figure is enforced from outside the script and reported by name."""

from __future__ import annotations

from typing import Final

import msgspec

MIB: Final = 1 << 20

EXIT_CRASHED: Final = 70  # the entry point raised: a bug in the worker, not in the script (sysexits.h)
EXIT_MEMORY: Final = 71  # the entry point could go on no further for want of memory
EXIT_UNCONFINED: Final = 72  # a layer failed; the entry point was never called
RESERVED: Final = frozenset({EXIT_CRASHED, EXIT_MEMORY, EXIT_UNCONFINED})  # not the entry point's


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits of one worker.

    Attributes:
        memory_bytes: What it may allocate on top of the interpreter that it inherits.
        cpu_s: Processor time; the zygote ends the worker when it is used up.
        wall_s: Time from start to end; None for no limit of the jail's own.
        stack_bytes: The C stack.
    """

    memory_bytes: int = 256 * MIB
    cpu_s: float = 60.0
    wall_s: float | None = None
    stack_bytes: int = 8 * MIB

    def __post_init__(self) -> None:
        """Refuse what would be no limit at all."""
        if not MIB <= self.memory_bytes <= 1 << 46:
            raise ValueError(f"memory_bytes is 1 MiB to 64 TiB, not {self.memory_bytes}")
        if not 0.001 <= self.cpu_s <= 1e9:  # written so that NaN is refused
            raise ValueError(f"cpu_s is 0.001 to 1e9 seconds, not {self.cpu_s}")
        if self.wall_s is not None and not 0.001 <= self.wall_s <= 1e9:
            raise ValueError(f"wall_s is 0.001 to 1e9 seconds or None, not {self.wall_s}")
        if not MIB // 4 <= self.stack_bytes <= 1 << 30:
            raise ValueError(f"stack_bytes is 256 KiB to 1 GiB, not {self.stack_bytes}")
