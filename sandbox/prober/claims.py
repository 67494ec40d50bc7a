"""Which tasks may be with one scamper at the same time: those whose probes it can tell apart.

scamper holds back a task whose answers it could not tell from those of a task under way: same target and,
in current releases, overlapping ports or identifiers. Its holding back is fragile: halting a task and then
one that was held back by it makes both generations touch freed memory and die, with everybody's tasks in
flight. So no task is sent that scamper would hold back: the driver holds it back itself, at no cost in
concurrency that scamper would not have had.

A `Ticket` makes claims; two tickets that claim one thing follow each other in the order in which they came,
unless both claim it for the same group. A ticket takes its claims one by one in sorted order, which rules out
deadlock, and waits its turn at each, which rules out starvation.

Source: both generations driven; `sig_tx_ip_overlap`, `host_cmp` and `scamper_task_free` of upstream.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from onvp.policies import action as act
from onvp.policies.action import Action
from onvp.sandbox.prober.dialect import Dialect, Generation


class Claim(NamedTuple):
    """One thing that a task needs for itself, or together with others of its ``group``."""

    kind: str
    name: str
    number: int
    group: str = ""

    @property
    def thing(self) -> tuple[str, str, int]:
        """What is claimed."""
        return self[:3]


class Ticket:
    """A task's claims.

    Args:
        claims: what it needs; duplicates are fine.
        granted: called when all keys are there, if that was not so at once.
    """

    __slots__ = ("claims", "granted", "held", "queued")

    def __init__(self, claims: list[Claim], *, granted: Callable[[], None]) -> None:
        self.claims = claims if len(claims) < 2 else sorted(set(claims))
        self.held = 0  # how many of the claims it has
        self.queued = False  # whether it waits for the next one
        self.granted = granted


class _Lock:
    __slots__ = ("group", "holders", "queue")

    def __init__(self) -> None:
        self.holders = 0
        self.group = ""
        self.queue: deque[Ticket] = deque()

    def admits(self, claim: Claim) -> bool:
        return not self.holders or (claim.group == self.group != "")


class Claims:
    """Who has what, at one prober."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str, int], _Lock] = {}

    def request(self, ticket: Ticket) -> bool:
        """Take what the ticket claims as far as it is free; True when it has all of it."""
        while ticket.held < len(ticket.claims):
            claim = ticket.claims[ticket.held]
            lock = self._locks.get(claim.thing)
            if lock is None:
                lock = self._locks[claim.thing] = _Lock()
            if lock.queue or not lock.admits(claim):
                lock.queue.append(ticket)
                ticket.queued = True
                return False
            self._take(lock, ticket)
        return True

    def release(self, ticket: Ticket) -> None:
        """Give everything back, waiting or not, and tell those whose turn it is."""
        claims, held = ticket.claims, ticket.held
        ticket.claims, ticket.held = [], 0
        if ticket.queued:
            ticket.queued = False
            waiting = self._locks[claims[held].thing]
            waiting.queue.remove(ticket)
            self._advance(claims[held], waiting)
        for claim in claims[:held]:
            lock = self._locks[claim.thing]
            lock.holders -= 1
            self._advance(claim, lock)

    def _take(self, lock: _Lock, ticket: Ticket) -> None:
        lock.holders += 1
        lock.group = ticket.claims[ticket.held].group
        ticket.held += 1

    def _advance(self, claim: Claim, lock: _Lock) -> None:
        """Let in whoever is next."""
        while lock.queue and lock.admits(lock.queue[0].claims[lock.queue[0].held]):
            ticket = lock.queue.popleft()
            ticket.queued = False
            self._take(lock, ticket)
            if self.request(ticket):
                ticket.granted()
        if not lock.holders and not lock.queue:
            self._locks.pop(claim.thing, None)


_ROUNDS = (act.Radargun, act.Midarest, act.Midardisc)
_OVER_TCP = (act.Tbit, act.Owamp)
_UNCONFUSED = (act.Sniff, act.Http)


def claims_of(action: Action, dialect: Dialect) -> list[Claim]:
    """What a task claims at this prober."""
    generation = dialect.generation
    if generation is Generation.COMPANION or isinstance(action, _UNCONFUSED):
        return []
    old = generation is Generation.OLD
    if isinstance(action, act.Dns):
        # 20211212 compares name and type alone.
        server = 0 if old or action.server is None else int(action.server)
        kind = action.question_type()
        claims = [Claim(f"dns {kind}", action.qname.lower().rstrip("."), server)]
        # 20211212 takes a question under way for a lookup of its own when a trace meets the same address.
        return [*claims, Claim("ptr", "", 0, "question")] if old and kind == "PTR" else claims
    # Each attempt of a udpprobe has a port of its own, given out by the kernel.
    group = "udpprobe" if isinstance(action, act.Udpprobe) else ""
    protocols = ("ip",) if old else _protocols(action)
    claims = [Claim("ip", p, int(target), group) for target in action.targets() for p in protocols]
    if old and getattr(action, "ptr", False):
        claims.append(Claim("ptr", "", 0, "lookup"))
    return claims


def _protocols(action: Action) -> tuple[str, ...]:
    """The protocols that its probes use."""
    if isinstance(action, _ROUNDS):
        return tuple(sorted({definition.method[:3] for definition in action.probedefs}))
    if isinstance(action, _OVER_TCP):
        return ("tcp",)
    method: str | None = getattr(action, "method", None)
    if method is None:
        method = "icmp-echo" if getattr(action, "icmp_sum", None) is not None else "udp"
    return (method[:3],)
