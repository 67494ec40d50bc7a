"""Which tasks may be with one scamper at the same time: those whose probes it can tell apart.

scamper holds back a task whose answers it could not tell from those of a task under way: same target and,
in current releases, overlapping ports or identifiers. Its holding back is fragile: halting a task and then
one that was held back by it makes both generations touch freed memory and die, with everybody's tasks in
flight. So no task is sent that scamper would hold back: the driver holds it back itself, at no cost in
concurrency that scamper would not have had.

A `Ticket` claims keys; two tickets that claim one key follow each other in the order in which they came,
unless both claim it shared. A ticket takes its keys one by one in sorted order, which rules out deadlock, and
waits its turn at each, which rules out starvation.

Source: both generations driven; `sig_tx_ip_overlap`, `host_cmp` and `scamper_task_free` of upstream.
"""

from collections import deque
from collections.abc import Callable

from onvp.policies import action as act
from onvp.policies.action import Action
from onvp.sandbox.prober.dialect import Dialect, Generation

Key = tuple[str, str, int]


class Ticket:
    """A task's claims.

    Args:
        keys: what it needs; duplicates are fine.
        shared: whether others that claim shared may have the same keys at the same time.
        granted: called when all keys are there, if that was not so at once.
    """

    __slots__ = ("granted", "held", "keys", "queued", "shared")

    def __init__(self, keys: list[Key], *, shared: bool, granted: Callable[[], None]) -> None:
        self.keys = keys if len(keys) < 2 else sorted(set(keys))
        self.held = 0  # how many of the keys it has
        self.queued = False  # whether it waits for the next one
        self.shared = shared
        self.granted = granted


class _Lock:
    __slots__ = ("holders", "queue", "shared")

    def __init__(self) -> None:
        self.holders = 0
        self.shared = False
        self.queue: deque[Ticket] = deque()

    def admits(self, ticket: Ticket) -> bool:
        return not self.holders or (self.shared and ticket.shared)


class Claims:
    """Who has what, at one prober."""

    def __init__(self) -> None:
        self._locks: dict[Key, _Lock] = {}

    def request(self, ticket: Ticket) -> bool:
        """Take the ticket's keys as far as they are free; True when it has them all."""
        while ticket.held < len(ticket.keys):
            lock = self._locks.get(ticket.keys[ticket.held])
            if lock is None:
                lock = self._locks[ticket.keys[ticket.held]] = _Lock()
            if lock.queue or not lock.admits(ticket):
                lock.queue.append(ticket)
                ticket.queued = True
                return False
            self._take(lock, ticket)
        return True

    def release(self, ticket: Ticket) -> None:
        """Give everything back, waiting or not, and tell those whose turn it is."""
        keys, held = ticket.keys, ticket.held
        ticket.keys, ticket.held = [], 0
        if ticket.queued:
            ticket.queued = False
            waiting = self._locks[keys[held]]
            waiting.queue.remove(ticket)
            self._advance(keys[held], waiting)
        for key in keys[:held]:
            lock = self._locks[key]
            lock.holders -= 1
            self._advance(key, lock)

    def _take(self, lock: _Lock, ticket: Ticket) -> None:
        lock.holders += 1
        lock.shared = ticket.shared
        ticket.held += 1

    def _advance(self, key: Key, lock: _Lock) -> None:
        """Let in whoever is next."""
        while lock.queue and lock.admits(lock.queue[0]):
            ticket = lock.queue.popleft()
            ticket.queued = False
            self._take(lock, ticket)
            if self.request(ticket):
                ticket.granted()
        if not lock.holders and not lock.queue:
            self._locks.pop(key, None)


_ROUNDS = (act.Radargun, act.Midarest, act.Midardisc)
_OVER_TCP = (act.Tbit, act.Owamp)
_UNCONFUSED = (act.Sniff, act.Http)


def keys_of(action: Action, dialect: Dialect) -> tuple[list[Key], bool]:
    """What a task claims at this prober, and whether shared."""
    generation = dialect.generation
    if generation is Generation.COMPANION or isinstance(action, _UNCONFUSED):
        return [], True
    old = generation is Generation.OLD
    if isinstance(action, act.Dns):
        # 20211212 compares name and type alone.
        server = 0 if old or action.server is None else int(action.server)
        name = action.qname.lower().rstrip(".")
        return [(f"dns {action.question_type()}", name, server)], False
    # Each attempt of a udpprobe has a port of its own, given out by the kernel.
    shared = isinstance(action, act.Udpprobe)
    protocols = ("ip",) if old else _protocols(action)
    return [("ip", p, int(target)) for target in action.targets() for p in protocols], shared


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
