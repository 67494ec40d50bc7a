"""A facade as a script meets it, and a broker that says what a test tells it to.

The broker is a thread at the other end of a socket pair: it speaks real frames with real records, and its
answer to each measurement is the test's own function.
"""

import socket
import threading
import types
from collections.abc import Callable, Sequence
from pathlib import Path

from onvp.sandbox.wire import calls, frames
from onvp.sandbox.worker.artifacts import Shelf
from onvp.sandbox.worker.client import Client
from onvp.sandbox.worker.facade import onvp, scamper
from onvp.sandbox.worker.facade.hub import Hub

CORPUS = Path(__file__).parents[1] / "golden" / "corpus" / "new"


def records(name: str) -> list[bytes]:
    """The records of a recording."""
    data, found = (CORPUS / name).read_bytes(), []
    while data:
        end = 8 + int.from_bytes(data[4:8], "big")
        found.append(data[:end])
        data = data[end:]
    return found


def kind(record: bytes) -> int:
    """A record's type."""
    return int.from_bytes(record[2:4], "big")


LIST, CYCLE, PING, *_ = records("cmdline-ping.warts")
TRACE = next(record for record in records("cmdline-trace.warts") if kind(record) == 6)
LIST_TYPE, CYCLE_START, PING_TYPE = 1, 2, 7
assert (kind(LIST), kind(CYCLE), kind(PING)) == (LIST_TYPE, CYCLE_START, PING_TYPE)

Answer = Callable[[calls.Submit], Sequence[calls.ToWorker]]


def granted(submit: calls.Submit, record: bytes = PING) -> list[calls.ToWorker]:
    """The usual answer: accepted, and a result at once."""
    return [accepted(submit), result(submit, record)]


def accepted(submit: calls.Submit, *clamps: calls.Clamp) -> calls.Accepted:
    """It is under way."""
    return calls.Accepted(task=submit.task, clamps=list(clamps), prober="scamper 20260420")


def result(submit: calls.Submit, record: bytes = PING) -> calls.Record:
    """It has ended."""
    return calls.Record(task=submit.task, data=record, instance=submit.instance, connection=submit.instance + 1)


def refused(submit: calls.Submit) -> calls.Refused:
    """A rule says no."""
    return calls.Refused(
        task=submit.task, code="policy", sentence="no such thing here", rule="primitives.ping.allow", where="h.yaml:7"
    )


class Broker(threading.Thread):
    """The other end of a worker's descriptor."""

    def __init__(self, sock: socket.socket, vps: int, answer: Answer) -> None:
        super().__init__(daemon=True)
        self.answer = answer
        self.seen: list[calls.FromWorker] = []
        self._sock = sock
        for index in range(vps):
            for record in (LIST, CYCLE):
                self.say(calls.Record(task=0, data=record, instance=index, connection=index + 1))
        self.start()

    @property
    def submits(self) -> list[calls.Submit]:
        """The measurements that were asked for."""
        return [message for message in self.seen if isinstance(message, calls.Submit)]

    def artifact(self, name: str) -> bytes:
        """What was written under a name."""
        return b"".join(m.data for m in self.seen if isinstance(m, calls.Write) and m.name == name)

    def say(self, *messages: calls.ToWorker) -> None:
        """Send to the worker."""
        for message in messages:
            self._sock.sendall(frames.pack(calls.encode(message), limit_bytes=calls.TO_WORKER_LIMIT_BYTES))

    def run(self) -> None:
        """Note and answer what the worker says, until it hangs up."""
        deframer = frames.Deframer(limit_bytes=calls.FROM_WORKER_LIMIT_BYTES)
        with self._sock:
            while data := self._sock.recv(1 << 16):
                for body in deframer.feed(data):
                    self._take(calls.decode_from_worker(body))

    def _take(self, message: calls.FromWorker) -> None:
        self.seen.append(message)
        if isinstance(message, calls.Submit):
            self.say(*self.answer(message))
        elif isinstance(message, calls.AskBudget):
            self.say(calls.Budget(seq=message.seq, left={"script.calls": 7.0}))


class Site:
    """What a script can import, and the broker behind it."""

    def __init__(self, vps: int = 1, answer: Answer = granted, inputs: dict[str, bytes] | None = None) -> None:
        ours, theirs = socket.socketpair()
        self._ours = ours
        self.broker = Broker(theirs, vps, answer)
        client = Client(ours.fileno())
        instances = [
            calls.Instance(
                name=f"vp{n}", asn4=64500 + n, cc="nz", iata="akl", loc=(-36.8, 174.7), tags=("campus", "wired")
            )
            for n in range(1, vps + 1)
        ]
        hub = Hub(client, instances)
        self.shelf = Shelf(client.send, inputs or {})
        self.scamper = types.SimpleNamespace(**scamper.exported(hub, self.shelf))
        self.onvp = types.SimpleNamespace(**onvp.exported(client, hub, self.shelf))

    def drain(self) -> None:
        """Return once the broker has seen all that was sent so far."""
        self.onvp.budget()

    def close(self) -> None:
        """Hang up."""
        self._ours.shutdown(socket.SHUT_RDWR)
        self.broker.join(5)
        self._ours.close()
