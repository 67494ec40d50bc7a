"""A classic BPF machine in Python, to ask a filter for its answer about any call on any architecture.

It knows the instructions that seccomp(2) programs of this project use and fails on others, as it fails on a
jump out of the program: then the test does.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence


def answer(program: bytes, architecture: int, number: int, arguments: Sequence[int] = ()) -> int:
    """What the program returns for this system call."""
    padded = [*arguments, *([0] * (6 - len(arguments)))]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *(a & (1 << 64) - 1 for a in padded))
    instructions = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, constant = instructions[at]
        at += 1
        match code:
            case 0x20:  # load a word
                (accumulator,) = struct.unpack_from("<I", data, constant)
            case 0x54:  # and
                accumulator &= constant
            case 0x15:  # jump if equal
                at += if_true if accumulator == constant else if_false
            case 0x35:  # jump if at least
                at += if_true if accumulator >= constant else if_false
            case 0x06:  # return
                return constant
            case _:
                raise AssertionError(f"instruction {code:#x} is not known")
