"""What the companion and its raw worker say to each other: bounded schedules, and what became of them.

Frames of the shared framing carry msgpack of these structs. The worker checks every number against its
bounds while it decodes: it can be made to send exactly the probes that are described here and nothing else.
"""

from typing import Annotated, Final, Union

import msgspec
from msgspec import Meta

TO_WORKER_BYTES: Final = 8 << 20
FROM_WORKER_BYTES: Final = 8 << 20

MOST_DEFS: Final = 20_000
MOST_PROBES: Final = 100_000
MOST_OFFSET_US: Final = 86_400 * 1_000_000
"""A measurement lasts a day at most."""

PORTS_VARIED: Final = 500
"""Methods that vary a port count up from the probe's, at most this far, and begin again."""

U8 = Annotated[int, Meta(ge=0, le=255)]
U16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
U32 = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
Micros = Annotated[int, Meta(ge=0, le=1 << 52)]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True, array_like=True, gc=False):
    pass


class Def(_Message, frozen=True, tag="def"):
    """How a probe looks. Ports that a method varies count up from here."""

    method: Annotated[int, Meta(ge=1, le=6)]
    src: U32
    dst: U32
    ttl: Annotated[int, Meta(ge=1, le=255)]
    tos: U8
    size: Annotated[int, Meta(ge=30, le=0xFFFF)]
    sport: U16
    dport: U16
    icmp_id: U16
    checksum: U16


class Slot(_Message, frozen=True, tag="slot"):
    """When which probe leaves: `offset_us` after the start."""

    offset_us: Annotated[int, Meta(ge=0, le=MOST_OFFSET_US)]
    which: U32


class Job(_Message, frozen=True, tag="job"):
    """A schedule. `start_us` 0 means now; otherwise the time of day when it starts."""

    number: U32
    start_us: Micros
    defs: Annotated[list[Def], Meta(min_length=1, max_length=MOST_DEFS)]
    plan: Annotated[list[Slot], Meta(min_length=1, max_length=MOST_PROBES)]


class Stop(_Message, frozen=True, tag="stop"):
    """No more probes of this job; it is not mentioned again."""

    number: U32


class Sent(_Message, frozen=True, tag="sent"):
    """Probe `index` of the plan has left, `late_us` after its time."""

    number: U32
    index: U32
    tx_us: Micros
    late_us: int
    ipid: U16


class Got(_Message, frozen=True, tag="got"):
    """A reply to probe `index`."""

    number: U32
    index: U32
    rx_us: Micros
    src: U32
    ipid: U16
    ttl: U8
    size: U16
    proto: U8
    icmp_type: U8
    icmp_code: U8
    q_ttl: U8
    tcp_flags: U8


class Failed(_Message, frozen=True, tag="failed"):
    """A probe could not be sent; the job is over."""

    number: U32
    reason: Annotated[str, Meta(max_length=500)]


class Ready(_Message, frozen=True, tag="ready"):
    """The worker's first word: it can probe, or why it cannot."""

    reason: Annotated[str, Meta(max_length=500)]


ToWorker = Union[Job, Stop]  # noqa: UP007
FromWorker = Union[Sent, Got, Failed, Ready]  # noqa: UP007

to_worker = msgspec.msgpack.Decoder(ToWorker)
from_worker = msgspec.msgpack.Decoder(list[FromWorker])
encode = msgspec.msgpack.Encoder().encode
