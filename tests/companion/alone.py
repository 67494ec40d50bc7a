"""One measurement without the companion around it: carried out, halted, and read as scripts see it."""

import asyncio
from typing import Any

import pytest

from onvp.native import _warts
from onvp.sandbox.companion import warts
from onvp.sandbox.companion.measurement import Measurement

_PREFIX = warts.list_record(0, b"test", None, b"vp") + warts.cycle_start(1, 1, b"host")


async def carry_out(job: Measurement, halt_after_s: float | None = None) -> None:
    """Prepare and run it, as the server does; halt it after a while, if one is given."""
    job.prepare()
    task = asyncio.create_task(job.run())
    if halt_after_s is None:
        await task
        return
    await asyncio.sleep(halt_after_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    job.halt()


def read_back(record: bytes) -> Any:
    """A record of ours as scripts see it."""
    return _warts.Decoder().feed(_PREFIX + record)[2]
