"""Who gets which answer: the tasks of a script, the decoders of its instances, the clamps so far.

Theory of operation
-------------------
One `Hub` per worker. Every measurement is a `Pending` from its submit to its end. Whatever arrives is
handed to `Hub.take`, which only notes it: on the pending task, and in the queue of the control object
that asked. Script code (callbacks) never runs here; the control object runs it when the script waits.
"""

import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from onvp.native import _warts
from onvp.native.errors import WartsError
from onvp.sandbox.wire import calls
from onvp.sandbox.wire.errors import WireError
from onvp.sandbox.worker.client import Client
from onvp.sandbox.worker.facade import errors

_MAGIC, _CYCLE_START, _CYCLE_STOP = b"\x12\x05", b"\0\2", b"\0\4"
"""What records begin with, and the types of two of them (warts(5))."""


class Owner(Protocol):
    """What the hub knows of a control object."""

    def _take_result(self, pending: "Pending", result: Any) -> None: ...
    def _take_failure(self, pending: "Pending", error: Exception) -> None: ...
    def _take_meta(self, index: int) -> None: ...
    def _take_gone(self, index: int, reason: str) -> None: ...


class Pending:
    """One measurement that was asked for and has not ended."""

    __slots__ = ("accepted", "clamps", "error", "index", "inst", "owner", "result", "sync", "task")

    def __init__(self, owner: Owner, inst: Any, index: int, task: int, *, sync: bool) -> None:
        self.owner = owner
        self.inst = inst
        self.index = index
        self.task = task
        self.sync = sync
        self.accepted = False
        self.clamps: list[calls.Clamp] = []
        self.error: Exception | None = None
        self.result: Any = None


class Hub:
    """The worker's side of all measurements."""

    def __init__(self, client: Client, instances: list[calls.Instance]) -> None:
        self.client = client
        self.instances = instances
        self.clamps: list[calls.Clamp] = []
        self._pending: dict[int, Pending] = {}
        # Weak: control objects come and go, and take their instances and decoders with them.
        self._owners: weakref.WeakSet[Owner] = weakref.WeakSet()
        self._opening: dict[int, list[bytes]] = {}  # by connection: its list and cycle records
        self._first: dict[int, int] = {}  # by instance: its first connection
        self._budgets: dict[int, dict[str, float]] = {}
        self._gone: dict[int, str] = {}
        client.subscriber = self.take

    def register(self, owner: Owner) -> None:
        """A control object that wants to hear of instances."""
        self._owners.add(owner)

    def meta(self, index: int, inst: Any) -> list[Any]:
        """The list and cycle that an instance began with."""
        decoder = _warts.Decoder(inst)
        records = self._opening.get(self._first.get(index, -1), [])
        return [thing for thing in map(decoder.feed_record, records) if thing is not None]

    def cycle_end(self, index: int, inst: Any) -> Any:
        """The end, now, of the cycle that an instance began with; None when there was none.

        The prober's connection outlives an instance object, so its own record would come too late.
        """
        decoder, number = _warts.Decoder(inst), None
        for record in self._opening.get(self._first.get(index, -1), []):
            decoder.feed_record(record)
            if record[2:4] == _CYCLE_START:
                number = record[8:12]
        if number is None:
            return None
        body = number + int(time.time()).to_bytes(4, "big") + b"\0"
        return decoder.feed_record(_MAGIC + _CYCLE_STOP + len(body).to_bytes(4, "big") + body)

    def gone(self, index: int) -> str | None:
        """Why an instance has ended, or None."""
        return self._gone.get(index)

    def submit(
        self, owner: Owner, inst: Any, index: int, primitive: str, params: dict[str, Any], *, sync: bool
    ) -> Pending:
        """Ask for a measurement; returns once it is granted, or (``sync``) at once.

        Raises:
            Refused: a rule said no.
            ValueError, TypeError: a parameter is out of its range, of a wrong type, or too large to be sent.
            ScamperInstError: no prober can do it.
        """
        task = self.client.next_task()
        pending = self._pending[task] = Pending(owner, inst, index, task, sync=sync)
        try:
            self.client.send(calls.Submit.ask(task, primitive, params, instance=index, sync=sync))
        except WireError as error:
            del self._pending[task]
            raise ValueError(f"the parameters of this {primitive} are too large to be sent: {error}") from None
        while not sync and not pending.accepted and pending.error is None:
            self.client.pump(None)
        if pending.error is not None and not pending.accepted:
            raise pending.error
        return pending

    def halt(self, task: int) -> None:
        """Ask for an early end; nothing happens when the task has ended."""
        if task in self._pending:
            self.client.send(calls.Halt(task=task))

    def budget(self) -> dict[str, float]:
        """What is left, by name."""
        seq = self.client.next_task()
        self.client.send(calls.AskBudget(seq=seq))
        while seq not in self._budgets:
            self.client.pump(None)
        return self._budgets.pop(seq)

    def take(self, message: calls.ToWorker) -> None:
        """Note what arrived."""
        match message:
            case calls.Record(task=0):
                self._take_meta(message)
            case calls.Record():
                self._take_record(message)
            case calls.Accepted():
                self._take_accepted(message)
            case calls.Refused():
                self._fail(message.task, lambda pending: errors.refused(message, pending.inst))
            case calls.Invalid():
                self._fail(message.task, lambda pending: errors.invalid(message, pending.inst))
            case calls.Failed():
                self._fail(message.task, lambda pending: errors.ScamperInstError(message.message, pending.inst))
            case calls.Gone():
                self._take_gone(message)
            case calls.Budget():
                self._budgets[message.seq] = message.left
            case calls.Job():
                raise AssertionError("a second job")

    def _take_accepted(self, message: calls.Accepted) -> None:
        pending = self._pending.get(message.task)
        if pending is not None:
            pending.accepted = True
            pending.clamps = message.clamps
            self.clamps.extend(message.clamps)

    def _take_meta(self, message: calls.Record) -> None:
        connection = message.connection
        self._opening.setdefault(connection, []).append(message.data)
        # Later connections of an instance are our own doing; a script sees one list and one cycle.
        if connection == self._first.setdefault(message.instance, connection):
            for owner in list(self._owners):
                owner._take_meta(message.instance)

    def _take_gone(self, message: calls.Gone) -> None:
        self._gone[message.instance] = message.reason
        # Nothing more will come for what is under way: whoever waits for it must hear so.
        for task in [task for task, pending in self._pending.items() if pending.index == message.instance]:
            self._fail(task, lambda pending: errors.lost(message, pending.inst))
        for owner in list(self._owners):
            owner._take_gone(message.instance, message.reason)

    def _take_record(self, message: calls.Record) -> None:
        pending = self._pending.pop(message.task, None)
        if pending is None:
            return
        pending.accepted = True
        try:
            result = self._decoder(message.connection, pending).feed_record(message.data)
        except WartsError as error:
            self._end(pending, errors.ScamperInstError(f"could not read the result: {error}", pending.inst))
            return
        if result is None:
            self._end(pending, errors.ScamperInstError("the result is a record of an unknown type", pending.inst))
            return
        pending.result = result
        pending.owner._take_result(pending, result)

    def _fail(self, task: int, make: Callable[[Pending], Exception]) -> None:
        pending = self._pending.pop(task, None)
        if pending is not None:
            self._end(pending, make(pending))

    def _end(self, pending: Pending, error: Exception) -> None:
        pending.error = error
        if pending.accepted:
            pending.owner._take_failure(pending, error)

    def _decoder(self, connection: int, pending: Pending) -> _warts.Decoder:
        """The decoder of one connection's records for one instance object."""
        decoders = pending.inst._decoders
        decoder: _warts.Decoder | None = decoders.get(connection)
        if decoder is None:
            decoder = decoders[connection] = _warts.Decoder(pending.inst)
            opening = self._opening.get(connection, [])
            first = self._opening.get(self._first.get(pending.index, -1), [])
            # Every connection begins with a list and a cycle that have the same numbers: those of the first
            # stand for all, so that the results of an instance are of one list and one cycle.
            for record in first if len(first) == len(opening) else opening:
                decoder.feed_record(record)
        return decoder
