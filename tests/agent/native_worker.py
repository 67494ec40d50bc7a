"""A worker without a language: whatever Python a job holds is run natively, with the channel to the broker in hand."""

import ctypes
import os
import signal
import socket
import time

from onvp.sandbox.wire import calls, frames

_libc = ctypes.CDLL(None, use_errno=True)


def preload() -> None:
    """Touch what is otherwise set up at first use."""
    calls.encode(calls.Finished(status=0))
    _libc.getppid()


def run(channel: int) -> int:
    """Read the job, run it."""
    deframer = frames.Deframer(limit_bytes=calls.TO_WORKER_LIMIT_BYTES)
    bodies: list[bytes] = []
    while not bodies:
        bodies = deframer.feed(os.read(channel, 1 << 16))
    job = calls.decode_to_worker(bodies[0])
    assert isinstance(job, calls.Job)

    def send(message: calls.FromWorker) -> None:
        os.write(channel, frames.pack(calls.encode(message), limit_bytes=calls.FROM_WORKER_LIMIT_BYTES))

    names = {
        "calls": calls, "channel": channel, "libc": _libc, "os": os, "send": send, "signal": signal,
        "socket": socket, "time": time,
    }  # fmt: skip
    exec(compile(job.source, "<native>", "exec"), names)
    return 0
