"""The worker's life: warmed up in the zygote, forked, confined, given one job, and gone.

`preload` runs once in the zygote, while files are in reach: whatever a script or this code will ever need
is imported there. `run` is called in each worker behind its walls, with the one descriptor it has.
"""

import contextlib

from onvp.sandbox.lang import environment
from onvp.sandbox.wire import calls
from onvp.sandbox.wire.errors import Code
from onvp.sandbox.worker import runtime
from onvp.sandbox.worker.client import BrokerLost, Client


def preload() -> None:
    """Import, build and warm everything; nothing can be loaded later."""
    environment.preload()
    # The first decode of a message builds its decoder's tables: do that once, here.
    job = calls.Job(run="", filename="", source=b"", args=[], instances=[calls.Instance(name="")])
    calls.decode_to_worker(calls.encode(job))
    calls.encode(calls.Submit(task=1, primitive="ping", params={"dst": "192.0.2.1"}))


def run(descriptor: int) -> None:
    """Serve one job and end."""
    with contextlib.suppress(BrokerLost):
        client = Client(descriptor)
        job = client.receive()
        if not isinstance(job, calls.Job):
            return
        try:
            ending = runtime.execute(client, job)
        except MemoryError:
            ending = calls.Finished(status=1, error="MemoryError: out of memory", code=Code.LIMIT)
        client.send(ending)
