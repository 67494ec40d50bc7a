"""The worker's life: warmed up in the zygote, forked, confined, given one job, and gone.

`preload` runs once in the zygote, while files are in reach: whatever a script or this code will ever need
is imported there. `run` is called in each worker behind its walls, with the one descriptor it has.
"""

import contextlib

from onvp.sandbox.lang import check, environment
from onvp.sandbox.wire import calls
from onvp.sandbox.wire.errors import Code
from onvp.sandbox.worker import runtime
from onvp.sandbox.worker.client import BrokerLost, Client
from onvp.sandbox.worker.streams import Stream


def preload() -> None:
    """Import, build and warm everything; nothing can be loaded later."""
    environment.preload()
    # The first decode of a message builds its decoder's tables: do that once, here.
    job = calls.Job(run="", filename="", source=b"", args=[], instances=[calls.Instance(name="")])
    calls.decode_to_worker(calls.encode(job))
    calls.encode(calls.Submit(task=1, primitive="ping", params={"dst": "192.0.2.1"}))


def warm() -> None:
    """Go through the motions once in a child that waits in reserve: its pages are its own before a run is charged."""
    code = check.compile_script(_REHEARSAL, "rehearsal.py")
    out, err = Stream(_discard, err=False), Stream(_discard, err=True)
    names = environment.build(
        argv=[""], stdout=out, stderr=err, open=_discard, facades={}, modules=None, guards="static"
    )
    exec(code, names)  # noqa: S102 - our own source


def _discard(_message: object) -> None:
    """Nobody listens to a rehearsal."""


_REHEARSAL = b"""
import json, statistics
class Thing:
    def __init__(self):
        self.items = {}
        self.items["a"] = [1, 2, 3]
thing = Thing()
text = json.dumps(thing.items) + f"{statistics.mean(thing.items['a']):.1f}"
"""


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
