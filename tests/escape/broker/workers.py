"""Workers in processes of their own, for `test_fairness`: an honest one, and those that flood.

``python -m tests.escape.broker.workers DESCRIPTOR KIND``
"""

import itertools
import os
import sys
import threading
from collections.abc import Iterator

from onvp.sandbox.wire import calls, frames
from tests.broker.parts import CLOSED, TARGET, frame, ping

FLOODS = ("invalid calls", "refused calls", "questions", "halts", "goodbyes", "drips", "scans")


def be_honest(descriptor: int) -> None:
    """One synchronous ping after the other."""
    deframer = frames.Deframer(limit_bytes=calls.TO_WORKER_LIMIT_BYTES)
    for task in itertools.count(1):
        os.write(descriptor, frame(ping(task, sync=True)))
        answered = False
        while not answered:
            data = os.read(descriptor, 1 << 18)
            if not data:
                return
            messages = map(calls.decode_to_worker, deframer.feed(data))
            answered = any(isinstance(m, calls.Record) and m.task == task for m in messages)


def flood(kind: str) -> Iterator[bytes]:
    """What a flood is made of."""
    if kind in {"halts", "goodbyes"}:  # made once: what the flood costs its own process is not the question
        message = calls.Halt(task=7) if kind == "halts" else calls.Done(instance=0)
        yield from itertools.repeat(frame(message) * 5000)
    for task in itertools.count(1):
        match kind:
            case "invalid calls":
                yield frame(ping(task, "x"))
            case "refused calls":
                yield frame(ping(task, CLOSED))
            case "questions":
                yield frame(calls.AskBudget(seq=task))
            case "drips":
                yield from (bytes([byte]) for byte in frame(calls.Done(instance=0)))
            case "scans":
                params = {"near": TARGET, "far": CLOSED, "prefixlen": 20}
                yield frame(calls.Submit(task, "prefixscan", params))


def read_all(descriptor: int) -> None:
    """Read and forget."""
    while os.read(descriptor, 1 << 20):
        pass


def main(descriptor: int, kind: str) -> None:
    """Be a worker until the broker hangs up."""
    if kind == "honest":
        be_honest(descriptor)
        return
    threading.Thread(target=read_all, args=(descriptor,), daemon=True).start()
    pieces = flood(kind)
    while True:
        data = next(pieces) if kind in {"drips", "halts", "goodbyes"} else b"".join(itertools.islice(pieces, 200))
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2])
    except (BrokenPipeError, ConnectionResetError):
        sys.exit(0)
