"""What every measurement looks like to the server that runs it."""

from typing import ClassVar, Protocol


class Measurement(Protocol):
    """One measurement, from an accepted command to its record.

    The server calls `prepare` while it reads the command, then awaits `run`, then calls `encode`
    exactly once. It cancels `run` to halt; `halt` or `fail` then tell how the record shall end. The
    record is complete at any moment: a measurement fills its result as it goes.
    """

    primitive: ClassVar[str]

    def prepare(self) -> None:
        """Check what only this host can know (a route, a default resolver).

        Raises:
            CommandRefused: the client gets the reason and no record.
        """

    async def run(self) -> None:
        """Measure, within the command's own time limits."""

    def halt(self) -> None:
        """The client asked to stop; `run` has been cancelled."""

    def fail(self, reason: str) -> None:
        """`run` raised: end the record as an error."""

    def encode(self) -> bytes:
        """The warts record."""

    def close(self) -> None:
        """Give back sockets, whatever happened."""
