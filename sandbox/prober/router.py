"""Several probers behind one face: who serves what.

scamper does the measuring where it can; the companion what scamper lacks. One exception: 20211212 dies
on some malformed DNS answers, so there the companion, when it is present, asks DNS. Where the first choice
cannot express an action and the second can, the second gets it.
"""

import itertools
from collections.abc import Iterator, Sequence

from onvp.policies.action import Action
from onvp.sandbox.prober.dialect import Generation
from onvp.sandbox.prober.driver import Prober
from onvp.sandbox.prober.errors import Inexpressible, ProberUnavailable
from onvp.sandbox.prober.session import Granted, Session, Sink
from onvp.sandbox.wire.errors import Code


class ProberSet:
    """The probers of this vantage point, most preferred first (scamper, then the companion)."""

    def __init__(self, probers: Sequence[Prober]) -> None:
        self.members = tuple(probers)

    async def start(self, *, wait_s: float = 0.0) -> None:
        """Learn what each one is.

        Raises:
            ProberUnavailable: one of them does not answer; the sentence says which.
        """
        for prober in self.members:
            await prober.start(wait_s=wait_s)

    async def close(self) -> None:
        """Close every session's connections."""
        for prober in self.members:
            await prober.close()

    def primitives(self) -> dict[str, str]:
        """Each primitive that is served here, with the name of the prober that serves it."""
        served: dict[str, str] = {}
        for prober in self.members:
            for primitive in prober.dialect.primitives:
                if primitive not in served:
                    served[primitive] = self.choices(primitive)[0].dialect.name
        return dict(sorted(served.items()))

    def probers(self) -> dict[str, str]:
        """Each prober's role, with its name and whether it is there at the moment."""
        return {p.role: p.dialect.name if p.up else f"{p.dialect.name} (down)" for p in self.members}

    def choices(self, primitive: str) -> list[Prober]:
        """The probers that have ``primitive``, best first."""
        able = [prober for prober in self.members if primitive in prober.dialect.primitives]
        if primitive == "dns":
            able.sort(key=lambda prober: prober.dialect.generation is Generation.OLD)
        return able

    def supports(self, action: Action) -> Inexpressible | None:
        """None when some prober here can do exactly this; else why the best one cannot."""
        refusal: Inexpressible | None = None
        for prober in self.choices(action.primitive):
            try:
                prober.render(action)
            except Inexpressible as error:
                refusal = refusal or error
            else:
                return None
        return refusal or _nobody(action.primitive)

    def open_session(self, sink: Sink) -> "SetSession":
        """A run's use of all of them."""
        if not self.members:
            raise ProberUnavailable("this vantage point has no prober")
        return SetSession(self, sink)


def _nobody(primitive: str) -> Inexpressible:
    return Inexpressible(primitive, f"no prober of this vantage point has {primitive}")


class SetSession:
    """One run's use of all probers: the face of a `Session`."""

    def __init__(self, probers: ProberSet, sink: Sink) -> None:
        self._probers = probers
        self._sink = sink
        self._connections: Iterator[int] = itertools.count(1)
        self._sessions: dict[Prober, Session] = {}
        self._gone: set[Prober] = set()

    @property
    def outstanding(self) -> int:
        """Tasks that have not ended."""
        return sum(session.outstanding for session in self._sessions.values())

    def submit(self, grant: Granted, task: int) -> str:
        """As `Session.submit`: the best prober that can do exactly this gets it.

        Raises:
            Inexpressible: none can; the sentence is the best one's.
        """
        primitive = grant.action.primitive
        refusal: Inexpressible | None = None
        for prober in self._probers.choices(primitive):
            try:
                return self._session(prober).submit(grant, task)
            except Inexpressible as error:
                refusal = refusal or error
        raise refusal or _nobody(primitive)

    def halt(self, task: int) -> bool:
        """As `Session.halt`."""
        return any(session.halt(task) for session in self._sessions.values())

    def done(self) -> None:
        """As `Session.done`; one `on_gone` follows when all have ended."""
        if not self._sessions:
            self._session(self._probers.members[0])
        for session in self._sessions.values():
            session.done()

    def close(self) -> None:
        """As `Session.close`."""
        for session in self._sessions.values():
            session.close()

    def _session(self, prober: Prober) -> Session:
        session = self._sessions.get(prober)
        if session is None:
            session = prober.open_session(_Part(self, prober, self._sink), self._connections)
            self._sessions[prober] = session
        return session

    def part_gone(self, prober: Prober, reason: str) -> None:
        """One of the sessions has ended."""
        self._gone.add(prober)
        if len(self._gone) == len(self._sessions):
            self._sink.on_gone(reason)


class _Part:
    """A session's sink: the run's own, but for the end."""

    def __init__(self, whole: SetSession, prober: Prober, sink: Sink) -> None:
        self._whole = whole
        self._prober = prober
        self._sink = sink

    def on_record(self, task: int, connection: int, raw: bytes) -> None:
        self._sink.on_record(task, connection, raw)

    def on_failed(self, task: int, message: str, code: Code) -> None:
        self._sink.on_failed(task, message, code)

    def on_gone(self, reason: str) -> None:
        self._whole.part_gone(self._prober, reason)
