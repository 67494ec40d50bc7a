"""Who is connected, and where each run stands. Sans-I/O: facts in, instructions out, `now` passed in.

Theory of operation
-------------------
A placement is one run on one vantage point::

    OFFERED ──(any event)──▶ DELIVERED ──(End)──▶ forgotten
       │                        │
       │  its VP gone for `grace_s`, or back without the run  ──▶ Lost
       │
       └──(cancelled while its VP is away)──▶ Abandoned

Methods return the instructions that follow from a fact: `SendOffer` and `SendCancel` go out over the
vantage point's link, `Lost` and `Abandoned` become events in the database. An offer is repeated at every
greeting until an event of the run shows that it arrived; the agent starts a run once. A run that was
delivered is lost only if its vantage point stays away, or comes back, has had everything that it spooled
acknowledged, and does not name the run as running.

What is in memory here is a view: after a restart it is rebuilt from the database by `restore`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from onvp.sandbox.wire import link

OFFERED = "offered"


class SendOffer(NamedTuple):
    """Offer the run to the vantage point."""

    run: str
    vp: str


class SendCancel(NamedTuple):
    """Ask the vantage point to stop the run."""

    run: str
    vp: str
    by: str


class Lost(NamedTuple):
    """The vantage point will not end this run."""

    run: str
    vp: str
    reason: str


class Abandoned(NamedTuple):
    """The run was cancelled before the vantage point heard of it."""

    run: str
    vp: str
    by: str


Instruction = SendOffer | SendCancel | Lost | Abandoned


@dataclass
class _Placement:
    delivered: bool
    cancelled_by: str | None = None


@dataclass
class _Vp:
    hello: link.Hello | None = None
    gone_since: float = 0.0
    acked: int = 0
    missing: set[str] = field(default_factory=set)
    given_up: dict[str, str | None] = field(default_factory=dict)
    placements: dict[str, _Placement] = field(default_factory=dict)


class Fleet:
    """The controller's picture of its vantage points.

    Args:
        grace_s: how long a vantage point may be away before its runs count as lost.
    """

    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self._vps: dict[str, _Vp] = {}

    # ---- questions ----

    def connected(self) -> dict[str, link.Hello]:
        """What each connected vantage point says about itself."""
        return {name: vp.hello for name, vp in sorted(self._vps.items()) if vp.hello is not None}

    def alive(self, vp: str) -> list[str]:
        """The runs that a vantage point has not ended."""
        return sorted(self._vps[vp].placements) if vp in self._vps else []

    # ---- facts ----

    def restore(self, alive: list[tuple[str, str, str, str | None]], now: float) -> None:
        """Start from what the database holds: every vantage point is away, since now."""
        for run, name, state, cancelled_by in alive:
            vp = self._vp(name, now)
            vp.placements[run] = _Placement(state != OFFERED, cancelled_by)

    def submitted(self, run: str, vps: list[str], now: float) -> list[Instruction]:
        """A run was stored."""
        out: list[Instruction] = []
        for name in vps:
            vp = self._vp(name, now)
            vp.placements[run] = _Placement(delivered=False)
            if vp.hello is not None:
                out.append(SendOffer(run, name))
        return out

    def greeted(self, name: str, hello: link.Hello, acked: int, now: float) -> list[Instruction]:
        """A vantage point is there; it spooled up to ``hello.last_seq``, we hold up to ``acked``."""
        vp = self._vp(name, now)
        vp.hello = hello
        vp.acked = acked
        vp.missing = set()
        out: list[Instruction] = []
        for run, placement in vp.placements.items():
            running = run in hello.running
            if running:
                placement.delivered = True
            if placement.cancelled_by is not None:
                out.append(SendCancel(run, name, placement.cancelled_by))
            elif not placement.delivered:
                out.append(SendOffer(run, name))
            if not running and (placement.delivered or placement.cancelled_by is not None):
                vp.missing.add(run)
        out += [SendCancel(run, name, by) for run, by in vp.given_up.items() if by is not None and run in hello.running]
        return out + self._lost_missing(name, vp)

    def changed(self, name: str, status: link.Status) -> None:
        """A vantage point says what is different since its greeting."""
        vp = self._vps.get(name)
        if vp is not None and vp.hello is not None:
            old = vp.hello
            vp.hello = link.Hello(
                protocol=old.protocol,
                version=old.version,
                vp=old.vp,
                primitives=status.primitives,
                probers=status.probers,
                level=status.level,
                policy_digest=status.policy_digest,
                policy_summary=old.policy_summary,
                paused=status.paused,
            )

    def happened(self, name: str, run: str, body: link.Body, now: float) -> list[Instruction]:
        """An event of a run is on disk."""
        vp = self._vp(name, now)
        if isinstance(body, link.End):
            vp.placements.pop(run, None)
            vp.given_up.pop(run, None)
            vp.missing.discard(run)
            return []
        placement = vp.placements.get(run)
        if placement is not None:
            placement.delivered = True
            return []
        # A run that was given up is alive after all.
        by = vp.given_up.pop(run, None)
        vp.placements[run] = _Placement(delivered=True, cancelled_by=by)
        return [] if by is None or vp.hello is None else [SendCancel(run, name, by)]

    def acknowledged(self, name: str, acked: int) -> list[Instruction]:
        """Everything up to ``acked`` is on disk."""
        vp = self._vps.get(name)
        if vp is None:
            return []
        vp.acked = acked
        return self._lost_missing(name, vp)

    def gone(self, name: str, now: float) -> None:
        """The link to a vantage point broke."""
        vp = self._vps.get(name)
        if vp is not None and vp.hello is not None:
            vp.hello = None
            vp.gone_since = now
            vp.missing = set()

    def cancelled(self, run: str, by: str) -> list[Instruction]:
        """Somebody wants a run stopped."""
        out: list[Instruction] = []
        for name, vp in self._vps.items():
            placement = vp.placements.get(run)
            if placement is None:
                continue
            placement.cancelled_by = by
            if vp.hello is not None:
                out.append(SendCancel(run, name, by))
            elif not placement.delivered:
                out.append(Abandoned(run, name, by))
        return out

    def ended(self, run: str, name: str) -> None:
        """`Lost` or `Abandoned` is on disk."""
        vp = self._vps.get(name)
        placement = None if vp is None else vp.placements.pop(run, None)
        if vp is not None and placement is not None:
            vp.missing.discard(run)
            vp.given_up[run] = placement.cancelled_by

    def tick(self, now: float) -> list[Instruction]:
        """Time passed."""
        return [
            Lost(run, name, f"the vantage point {name} has been away for {self.grace_s:g} s")
            for name, vp in self._vps.items()
            if vp.hello is None and now - vp.gone_since >= self.grace_s
            for run in vp.placements
        ]

    def _lost_missing(self, name: str, vp: _Vp) -> list[Instruction]:
        if not vp.missing or vp.hello is None or vp.acked < vp.hello.last_seq:
            return []
        missing, vp.missing = vp.missing, set()
        out: list[Instruction] = []
        for run in sorted(missing):
            placement = vp.placements[run]
            if placement.delivered or placement.cancelled_by is None:
                reason = f"the vantage point {name} came back and no longer knows the run"
                out.append(Lost(run, name, reason))
            else:
                out.append(Abandoned(run, name, placement.cancelled_by))
        return out

    def _vp(self, name: str, now: float) -> _Vp:
        return self._vps.setdefault(name, _Vp(gone_since=now))
