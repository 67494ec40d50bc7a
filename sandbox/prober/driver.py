"""Probers: what each daemon is, whether it is there, and the sessions that runs have with it.

Theory of operation
-------------------
A `Prober` is one daemon behind one control socket. It knows whether the daemon is there, and what grammar it
speaks; a lost daemon is looked for again with growing pauses, and every session is told when it is back, or
once when it has been away for `RETURN_S`. It holds what all sessions share: the claims that keep tasks
apart which scamper could confuse, and the count of packets sent, for deadlines.
"""

import asyncio
import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from onvp.policies.action import Action
from onvp.sandbox.prober import control
from onvp.sandbox.prober.claims import Claims, Ticket
from onvp.sandbox.prober.command import render
from onvp.sandbox.prober.control import Control
from onvp.sandbox.prober.dialect import Dialect, dialect_of
from onvp.sandbox.prober.errors import ProberProtocolError, ProberUnavailable
from onvp.sandbox.prober.link import Link, connect
from onvp.sandbox.prober.session import Session, Sink

RETURN_S = 10.0
"""How long tasks wait for a lost prober."""

ANSWER_S = 5.0
"""How long a prober may take to say its version."""


class Prober:
    """One daemon.

    Args:
        path: its control socket.
        role: what it is here for: ``scamper`` or ``companion``.
    """

    def __init__(self, path: Path, *, role: str = "scamper") -> None:
        self.path = path
        self.role = role
        self.up = False
        self.absent = False  # gone for longer than RETURN_S
        self.sent_packets = 0  # worst case, of all tasks ever
        self.open_packets = 0  # of the tasks in flight
        self.claims = Claims()
        self._lingering: set[Link] = set()
        self.pps = 0  # its packet rate; 0: no limit
        self._dialect: Dialect | None = None
        self._line: tuple[Action | None, Dialect | None, str] = (None, None, "")
        self._sessions: set[Session] = set()
        self._search: asyncio.Task[None] | None = None
        self._found_at = 0.0

    @property
    def dialect(self) -> Dialect:
        """Its grammar, as of when it was last seen."""
        if self._dialect is None:
            raise ProberUnavailable(f"the prober at {self.path} has never answered")
        return self._dialect

    async def start(self, *, wait_s: float = 0.0) -> None:
        """Learn what the prober is, waiting up to ``wait_s`` for it to come up.

        Raises:
            ProberUnavailable: it does not come, or is no prober.
        """
        give_up = time.monotonic() + wait_s
        while True:
            try:
                await self._learn()
            except ProberUnavailable:
                if time.monotonic() >= give_up:
                    raise
                await asyncio.sleep(0.02)
            else:
                return

    async def close(self) -> None:
        """Stop looking for the daemon and close every session's connections."""
        for session in list(self._sessions):
            session.close()
        for link in list(self._lingering):
            link.close()
        self._lingering.clear()
        if self._search is not None:
            self._search.cancel()
            with suppress(asyncio.CancelledError):
                await self._search

    def primitives(self) -> dict[str, str]:
        """Each primitive that it serves, with its name."""
        return dict.fromkeys(sorted(self.dialect.primitives), self.dialect.name)

    def render(self, action: Action) -> str:
        """The command line for ``action``; asking twice in a row costs once.

        Raises:
            Inexpressible: this prober cannot do exactly that.
        """
        if self._line[0] is not action or self._line[1] is not self._dialect:
            self._line = (action, self._dialect, render(action, self.dialect))
        return self._line[2]

    def open_session(self, sink: Sink, connections: Iterator[int] | None = None) -> Session:
        """A run's use of this prober.

        Args:
            sink: where results go.
            connections: numbers for its connections, shared when a run uses several probers.
        """
        session = Session(self, sink, connections if connections is not None else itertools.count(1))
        self._sessions.add(session)
        return session

    def forget(self, session: Session) -> None:
        """The session has closed."""
        self._sessions.discard(session)

    def linger(self, link: Link, ticket: Ticket) -> None:
        """Keep a closed session's link until the one task on it has ended, and its claims with it."""

        def end(*_: object) -> None:
            if link in self._lingering:
                self._lingering.remove(link)
                link.close()
                self.claims.release(ticket)

        def on_event(_: Link, event: control.Event) -> None:
            over = isinstance(event, control.Refused | control.Oversized)
            if over or (isinstance(event, control.Record) and not event.envelope):
                end()

        self._lingering.add(link)
        link.redirect(on_event, end)

    def paced_s(self, before: int) -> float:
        """How long its packet rate holds up what was sent since the count was ``before``, at worst."""
        return (self.sent_packets - before) / self.pps if self.pps else 0.0

    def check(self) -> None:
        """A connection was lost or refused: find out whether the daemon is still there."""
        self.up = False
        if self._search is None:
            self._search = asyncio.create_task(self._find())

    async def _find(self) -> None:
        lost_at = time.monotonic()
        # A prober that comes and goes is not asked in a tight loop.
        pause = 0.01 if lost_at - self._found_at > 1.0 else 0.2
        while not self.up:
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.5)
            try:
                await self._learn()
            except ProberUnavailable as error:
                if not self.absent and time.monotonic() - lost_at > RETURN_S:
                    self.absent = True
                    for session in list(self._sessions):
                        session.prober_absent(str(error))
        self._found_at = time.monotonic()
        self._search = None
        for session in list(self._sessions):
            session.prober_back()

    async def _learn(self) -> None:
        sock = connect(self.path)
        if sock is None:
            raise ProberUnavailable(f"the prober at {self.path} is too busy to answer")
        try:
            async with asyncio.timeout(ANSWER_S):
                said = await _ask(sock, "version", "pps", "primitives")
        except TimeoutError:
            raise ProberUnavailable(
                f"what listens at {self.path} does not answer within {ANSWER_S:g} s; is it a prober?"
            ) from None
        except ProberProtocolError as error:
            raise ProberUnavailable(
                f"what listens at {self.path} is not a prober: {error}; stop it, or give another socket"
            ) from None
        except OSError as error:
            raise ProberUnavailable(f"the prober at {self.path} went away: {error}") from None
        finally:
            sock.close()
        self._dialect = dialect_of(said["version"], said["primitives"])
        pps = said["pps"]
        self.pps = int(pps) if pps.isascii() and pps.isdigit() and len(pps) < 8 else 0
        self.up, self.absent = True, False


async def _ask(sock: socket.socket, *names: str) -> dict[str, str]:
    """The daemon's values of ``names``; empty where it has none."""
    loop, dialogue = asyncio.get_running_loop(), Control()
    await loop.sock_sendall(sock, b"".join(dialogue.get(name) for name in names))
    said: dict[str, str] = {}
    while len(said) < len(names):
        data = await loop.sock_recv(sock, 4096)
        if not data:
            raise ProberProtocolError("it closes without an answer")
        said.update(event for event in dialogue.receive_data(data) if isinstance(event, control.Value))
    return said
