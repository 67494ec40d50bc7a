"""ScamperCtrl, its instances, tasks and VPs, as upstream's module has them.

Theory of operation
-------------------
A control object has instances (VPs of this run), a queue of what has arrived, a queue of exceptions,
and callbacks that are due. Nothing happens behind the script's back: messages are taken in, and callbacks
run, only while the script waits, that is in ``responses``, in ``poll`` and in synchronous calls.

Constructor arguments and ``add_*`` that name sockets or directories resolve to the VPs of the run: next
to a prober there is one. A control object that was given nothing takes all of them when first used.

Deliberate differences from upstream: where it would wait for ever, a synchronous call raises and `poll` returns
None; and a refused call raises at the call.
"""

import contextlib
import datetime
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from onvp.native.files import ScamperFile
from onvp.sandbox.worker.facade import plain
from onvp.sandbox.worker.facade.errors import ScamperInstError
from onvp.sandbox.worker.facade.hub import Hub, Pending
from onvp.sandbox.worker.facade.instance import ScamperInst, ScamperTask, ScamperVp
from onvp.sandbox.worker.facade.primitives import Primitives

WINDOW = 100
"""Outstanding tasks of an instance from which on ``morecb`` is not called."""

Callback = Callable[["ScamperCtrl", "ScamperInst", Any], Any]


class ScamperCtrl(Primitives):
    """Upstream's control class; see `docs/reference/` for the differences."""

    # The language's leave: scripts assign param, morecb, eofcb and outfile, and build classes of their own on this.
    _guarded_writes = True
    _guarded_base = True
    _hub: ClassVar[Hub]
    _vps: ClassVar[list[ScamperVp]]

    def __init__(
        self,
        meta: bool = False,
        morecb: Callback | None = None,
        eofcb: Callback | None = None,
        param: Any = None,
        unix: str | None = None,
        remote: str | None = None,
        remote_dir: str | None = None,
        mux: str | None = None,
        outfile: Any = None,
    ) -> None:
        if outfile is not None:
            if not isinstance(outfile, ScamperFile):
                raise ValueError("outfile not ScamperFile")
            if not outfile.is_write():
                raise RuntimeError("outfile not opened in write mode")
        self._meta = bool(meta)
        self.morecb = morecb
        self.eofcb = eofcb
        self.param = param
        self.outfile = outfile
        self._insts: list[ScamperInst] = []
        self._queue: deque[tuple[ScamperInst, Any]] = deque()
        self._exceptions: deque[Exception] = deque()
        self._touched = False
        self._hub.register(self)
        if unix is not None:
            self.add_unix(unix)
        if remote is not None:
            self.add_remote(remote)
        if remote_dir is not None:
            self.add_remote_dir(remote_dir)
        if mux is not None:
            self.add_mux(mux)

    # ---- instances ----

    def add_unix(self, path: str) -> ScamperInst:
        """Take a VP of this run; the path only helps to choose when there are several."""
        return self._attach(self._named(path))

    def add_inet(self, port: int, addr: str | None = None) -> ScamperInst:
        """Take a VP of this run; port and address are not used."""
        return self._attach(self._named(addr or ""))

    def add_remote(self, path: str) -> ScamperInst:
        """Take a VP of this run, by the name in the path when there are several."""
        return self._attach(self._named(path))

    def add_remote_dir(self, path: str) -> None:
        """Take every VP of this run."""
        for vp in self._vps:
            self._attach(vp)

    def add_mux(self, path: str) -> None:
        """Make ``vps()`` list the VPs of this run; none is taken yet."""
        self._touched = True

    def vps(self) -> list[ScamperVp]:
        """The VPs of this run."""
        self._touched = True
        return list(self._vps)

    def add_vps(self, vps: Any) -> list[ScamperInst]:
        """Take these VPs (a list, a set, or one)."""
        chosen = [vps] if isinstance(vps, ScamperVp) else vps
        if not isinstance(chosen, list | set):
            raise TypeError("expected a list or set of ScamperVp, or a ScamperVp")
        if not all(isinstance(vp, ScamperVp) for vp in chosen):
            raise TypeError("list contains something that is not a ScamperVp")
        return [self._attach(vp) for vp in chosen if self._hub.gone(vp._index) is None]

    def instances(self) -> list[ScamperInst]:
        """The connected instances."""
        self._attach_default()
        return [inst for inst in self._insts if not inst._eof]

    @property
    def instc(self) -> int:
        """How many instances are connected."""
        return len(self.instances())

    @property
    def taskc(self) -> int:
        """How many asynchronous tasks are outstanding."""
        return sum(inst._taskc for inst in self._insts)

    def remove(self, inst: ScamperInst) -> None:
        """Let an instance go, and drop its tasks."""
        if not isinstance(inst, ScamperInst):
            raise TypeError("inst not ScamperInst type")
        if inst not in self._insts or inst._ctrl is not self:
            raise ValueError("instance not in this ctrl")
        self._insts.remove(inst)
        inst._removed = inst._eof = True
        inst._taskc = inst._resultc = 0
        self._queue = deque(item for item in self._queue if item[0] is not inst)

    def done(self) -> None:
        """Mark every instance done."""
        for inst in self.instances():
            inst.done()

    def is_done(self) -> bool:
        """Nothing is queued, and no instance is connected."""
        self._attach_default()
        return not self._queue and not any(not inst._eof for inst in self._insts)

    def exceptions(self) -> Iterator[Exception]:
        """Take the queued exceptions, one by one."""
        while self._exceptions:
            yield self._exceptions.popleft()

    # ---- waiting ----

    def responses(
        self, timeout: float | datetime.timedelta | None = None, until: datetime.datetime | None = None
    ) -> Iterator[Any]:
        """What arrives, until no task is outstanding or the deadline has come."""
        deadline = _deadline(timeout, until)
        self._attach_default()
        while True:
            while self._queue:
                inst, thing = self._pop()
                if not inst._removed and self._wanted(thing):
                    yield thing
            self._settle()
            if self._queue:
                continue
            if self.taskc == 0 or (deadline is not None and time.monotonic() >= deadline):
                return
            self._hub.client.pump(deadline)

    def poll(self, timeout: float | datetime.timedelta | None = None, until: datetime.datetime | None = None) -> Any:
        """The next object; None at the deadline, when everything is done, and when nothing can come any more.

        Raises:
            ScamperInstError: an earlier call was refused or failed; or whatever a callback raised.
        """
        deadline: float | None = None
        checked = False
        self._attach_default()
        while True:
            if self._exceptions:
                raise self._exceptions.popleft()
            while self._queue:
                inst, thing = self._pop()
                self._settle_eof(inst)
                if self._wanted(thing):
                    return thing
            if not checked:
                deadline, checked = _deadline(timeout, until), True
            self._settle()
            if self._queue or self._exceptions:
                continue
            if self.is_done() or (deadline is not None and time.monotonic() >= deadline):
                return None
            if deadline is None and not any(inst._busy for inst in self._insts):
                # Nothing is under way and no callback is due: upstream's would wait for ever.
                return None
            self._hub.client.pump(deadline)

    def __enter__(self) -> "ScamperCtrl":
        return self

    def __exit__(self, *_exc: object) -> None:
        # Upstream's leaves connections and instances usable, too.
        return None

    # ---- one measurement ----

    def _measure(self, primitive: str, params: dict[str, Any], inst: Any, sync: Any) -> Any:
        self._attach_default()
        if not isinstance(inst, list | set):
            return self._submit(primitive, params, self._one(inst), sync=bool(sync))
        if sync:
            raise RuntimeError("cannot run synchronous measurements with list")
        tasks = []
        for each in self._several(inst):
            if each._done:
                continue
            try:
                tasks.append(self._submit(primitive, params, each, sync=False))
            except ScamperInstError as error:
                # As upstream: one instance's refusal does not stop the others; it can be read later.
                self._exceptions.append(error)
        return tasks

    def _submit(self, primitive: str, params: dict[str, Any], inst: ScamperInst, *, sync: bool) -> Any:
        if inst._done:
            raise RuntimeError("could not schedule command: instance marked done")
        if not sync:
            return ScamperTask(self._hub, self._submit_task(primitive, params, inst))
        if self._exceptions:
            # Upstream's order: what went wrong before is raised first; the new task's result comes later.
            self._submit_task(primitive, params, inst)
            raise self._exceptions.popleft()
        pending = self._hub.submit(inst._ctrl, inst, inst._vp._index, primitive, params, sync=True)
        inst._busy += 1
        try:
            while pending.result is None and pending.error is None:
                self._settle()
                if self._exceptions:
                    # Of a callback, or of an earlier task: the new one becomes asynchronous.
                    pending.sync, pending.accepted = False, True
                    inst._taskc += 1
                    inst._busy += 1
                    raise self._exceptions.popleft()
                self._hub.client.pump(None)
        finally:
            inst._busy -= 1
            inst._more += 1
        if pending.error is not None:
            raise pending.error
        return pending.result

    def _submit_task(self, primitive: str, params: dict[str, Any], inst: ScamperInst) -> Pending:
        # Counted before it is sent: the result may arrive before the call returns.
        inst._taskc += 1
        inst._busy += 1
        try:
            return self._hub.submit(inst._ctrl, inst, inst._vp._index, primitive, params, sync=False)
        except BaseException:
            inst._taskc -= 1
            inst._busy -= 1
            raise
        finally:
            inst._more += 1

    def _one(self, inst: Any) -> ScamperInst:
        if inst is None:
            connected = [each for each in self._insts if not each._eof]
            if not connected:
                raise RuntimeError("no connected ScamperInst")
            if len(connected) > 1:
                raise RuntimeError("specify a ScamperInst")
            return connected[0]
        if not isinstance(inst, ScamperInst):
            raise TypeError("inst not ScamperInst type")
        if inst._removed:
            raise RuntimeError("ScamperInst removed from ctrl")
        if inst._eof:
            raise RuntimeError(f"ScamperInst {inst.name} has signalled EOF")
        return inst

    def _several(self, insts: Any) -> list[ScamperInst]:
        chosen = list(dict.fromkeys(insts))
        if not all(isinstance(each, ScamperInst) for each in chosen):
            raise TypeError("inst list contains non ScamperInst")
        usable = [each for each in chosen if not each._eof and not each._removed]
        if not usable:
            raise RuntimeError("no usable ScamperInst")
        return usable

    # ---- what the hub calls ----

    def _take_result(self, pending: Pending, result: Any) -> None:
        inst: ScamperInst = pending.inst
        if inst._removed:
            return
        self._record(result)
        if not pending.sync:
            self._uncount(inst)
            self._push(inst, result)

    def _take_failure(self, pending: Pending, error: Exception) -> None:
        if not pending.sync and not pending.inst._removed:
            self._uncount(pending.inst)
            self._exceptions.append(error)

    def _take_meta(self, index: int) -> None:
        for inst in self._insts:
            if inst._vp._index == index and not inst._eof:
                self._queue_meta(inst)

    def _take_gone(self, index: int, _reason: str) -> None:
        for inst in self._insts:
            if inst._vp._index == index:
                inst._eof = True

    # ---- details ----

    def _attach(self, vp: ScamperVp) -> ScamperInst:
        reason = self._hub.gone(vp._index)
        if reason is not None:
            raise RuntimeError(f"could not connect: {reason or 'the VP is gone'}")
        self._touched = True
        inst = ScamperInst(self, vp)
        self._insts.append(inst)
        self._queue_meta(inst)
        return inst

    def _queue_meta(self, inst: ScamperInst) -> None:
        """Queue the list and cycle records that this instance object has not had yet."""
        for thing in self._hub.meta(inst._vp._index, inst)[inst._meta :]:
            inst._meta += 1
            self._record(thing)
            self._push(inst, thing)

    def _queue_end(self, inst: ScamperInst) -> None:
        """Queue the end of the cycle, as the last object of an instance that is done."""
        end = self._hub.cycle_end(inst._vp._index, inst)
        if end is not None:
            self._record(end)
            self._push(inst, end)

    def _attach_default(self) -> None:
        if not self._touched:
            for vp in self._vps:
                self._attach(vp)

    def _named(self, path: str) -> ScamperVp:
        """The VP that a socket's path names: its last part, or that part before the last dash."""
        last = plain.text("path", path).rstrip("/").rpartition("/")[2]
        for name in (last, last.rpartition("-")[0]):
            for vp in self._vps:
                if vp.name == name:
                    return vp
        taken = {inst._vp for inst in self._insts}
        return next((vp for vp in self._vps if vp not in taken), self._vps[0])

    def _uncount(self, inst: ScamperInst) -> None:
        inst._taskc -= 1
        inst._busy -= 1

    def _push(self, inst: ScamperInst, thing: Any) -> None:
        inst._resultc += 1
        self._queue.append((inst, thing))

    def _pop(self) -> tuple[ScamperInst, Any]:
        inst, thing = self._queue.popleft()
        inst._resultc -= 1
        return inst, thing

    def _wanted(self, thing: Any) -> bool:
        return self._meta or type(thing).__name__ not in {"ScamperList", "ScamperCycle"}

    def _record(self, thing: Any) -> None:
        if self.outfile is not None:
            # As upstream: errors while recording are ignored; the results themselves are not touched.
            with contextlib.suppress(RuntimeError, ValueError, OSError):
                self.outfile.write(thing)

    def _settle(self) -> None:
        """Run the callbacks that are due, and end the instances that are."""
        for inst in list(self._insts):
            while (
                self.morecb is not None and inst._more > 0 and not inst._done and not inst._eof and inst._taskc < WINDOW
            ):
                inst._more -= 1
                self._call(self.morecb, inst)
            if inst._done and inst._busy == 0 and not inst._eof:
                inst._eof = True
                self._queue_end(inst)
            self._settle_eof(inst)

    def _settle_eof(self, inst: ScamperInst) -> None:
        if inst._eof and not inst._said_eof and inst._resultc == 0:
            inst._said_eof = True
            if self.eofcb is not None and not inst._removed:
                self._call(self.eofcb, inst)

    def _call(self, callback: Callback, inst: ScamperInst) -> None:
        try:
            callback(self, inst, self.param)
        except Exception as error:  # noqa: BLE001 - a script's own exception, delivered where it waits
            self._exceptions.append(error)


def _deadline(timeout: Any, until: Any) -> float | None:
    if timeout is not None and until is not None:
        raise ValueError("cannot provide both timeout and until parameters")
    if timeout is not None:
        return time.monotonic() + plain.duration("timeout", timeout) / plain.MICROSECONDS
    if until is None:
        return None
    if not isinstance(until, datetime.datetime):
        raise TypeError("until is not a datetime")
    # The clock here is UTC; an aware datetime raises TypeError, as upstream's comparison does.
    return time.monotonic() + (until - datetime.datetime.now()).total_seconds()  # noqa: DTZ005


def bind(hub: Hub) -> None:
    """Tie the classes of this module to the one hub of this process."""
    ScamperCtrl._hub = hub
    ScamperCtrl._vps = [ScamperVp(index, info) for index, info in enumerate(hub.instances)]
