"""The packet filter in front of the raw worker: only what can be a reply leaves the kernel.

A classic BPF program (linux/filter.h, packet(7)) over IPv4 packets. It passes packets for this host that are an
ICMP echo reply, unreachable or time exceeded, or a TCP segment to one of our probes' ports. A busy host's
other traffic costs the worker nothing.
"""

import struct
from collections.abc import Sequence
from typing import Final

_LOAD_BYTE, _LOAD_BYTE_X, _LOAD_HALF_X, _LOAD_HEADER = 0x30, 0x50, 0x48, 0xB1
_IF_EQUAL, _IF_ABOVE, _IF_LEAST, _RETURN = 0x15, 0x25, 0x35, 0x06
_PACKET_TYPE: Final = 0xFFFFF000 + 4  # SKF_AD_OFF + SKF_AD_PKTTYPE
_TO_US: Final = 0  # PACKET_HOST
_ICMP, _TCP = 1, 6
_ICMP_TYPES: Final = (0, 3, 11)
_KEPT_BYTES: Final = 256
_MOST_RANGES: Final = 64

NOTHING: Final = struct.pack("@HBBI", _RETURN, 0, 0, 0)
"""The filter that drops everything."""


def replies(ports: Sequence[tuple[int, int]]) -> bytes:
    """The filter for ICMP replies and for TCP to these ranges of ports (lowest, highest)."""
    if len(ports) > _MOST_RANGES:
        ports = [(min(low for low, _ in ports), max(high for _, high in ports))]
    # (code, operand, where to if true, where to if false); None is the next instruction
    code: list[tuple[int, int, str | None, str | None]] = [
        (_LOAD_BYTE, _PACKET_TYPE, None, None),
        (_IF_EQUAL, _TO_US, None, "drop"),
        (_LOAD_BYTE, 9, None, None),
        (_LOAD_HEADER, 0, None, None),
        (_IF_EQUAL, _TCP, "tcp", None),
        (_IF_EQUAL, _ICMP, None, "drop"),
        (_LOAD_BYTE_X, 0, None, None),
        *((_IF_EQUAL, kind, "pass", None) for kind in _ICMP_TYPES),
        (_RETURN, 0, None, None),
    ]
    labels = {"tcp": len(code)}
    code.append((_LOAD_HALF_X, 2, None, None))
    for i, (low, high) in enumerate(ports):
        after = f"range {i + 1}"
        code += [(_IF_LEAST, low, None, after), (_IF_ABOVE, high, after, "pass")]
        labels[after] = len(code)
    labels |= {"drop": len(code), "pass": len(code) + 1}
    code += [(_RETURN, 0, None, None), (_RETURN, _KEPT_BYTES, None, None)]

    def jump(at: int, label: str | None) -> int:
        return 0 if label is None else labels[label] - at - 1

    return b"".join(struct.pack("@HBBI", c, jump(i, yes), jump(i, no), k) for i, (c, k, yes, no) in enumerate(code))
