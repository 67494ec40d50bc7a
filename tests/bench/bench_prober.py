"""What the prober driver costs: one ping through it, against the same command over a bare control socket.

    python -m tests.bench.bench_prober [SCAMPER...]

Both sides talk to one scamper on loopback, in turns within one run, so that a noisy machine meets both alike.
The bare loop blocks in recv(2) and looks for the end of the record, nothing else; the driver runs on an event
loop, renders the command from its action and checks the record. At 10,000 packets a second the prober's own
pace is out of the picture; at 1000 (a generous site policy) it is most of the time.
"""

import asyncio
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from onvp.sandbox.prober.driver import Prober
from onvp.sandbox.prober.session import Session
from onvp.sandbox.wire.errors import Code
from tests.prober.tools import Daemon, grant

ROUNDS = 20
PER_ROUND = 50
BULK = 500
ONE_PING = {"dst": "127.0.0.1", "attempts": 1, "stop_count": 1}


class Bare:
    """A control socket and nothing else."""

    def __init__(self, path: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.connect(str(path))
        self._sock.sendall(b"attach\n")
        while b"OK" not in self._sock.recv(65536):
            pass
        self.ping()

    def ping(self, command: str = "ping -c 1 -o 1 127.0.0.1") -> float:
        """Seconds from the command to the end of its record."""
        began = time.perf_counter()
        self._sock.sendall(command.encode() + b"\n")
        said = b""
        while b"id-" not in said or b"`\n" not in said.partition(b"id-")[2]:
            said += self._sock.recv(65536)
        return time.perf_counter() - began


class Loop:
    """A session that submits the next ping when the last has ended, as a reactive script does."""

    def __init__(self, prober: Prober) -> None:
        self.session: Session = prober.open_session(self)
        self.times: list[float] = []
        self._grant = grant("ping", **ONE_PING)
        self._left = 0
        self._task = 0
        self._began = 0.0
        self._over: asyncio.Future[None] | None = None

    async def run(self, count: int) -> list[float]:
        """The seconds that each of ``count`` pings took."""
        self.times, self._left = [], count
        self._over = asyncio.get_running_loop().create_future()
        self._next()
        await self._over
        return self.times

    def _next(self) -> None:
        self._task += 1
        self._left -= 1
        self._began = time.perf_counter()
        self.session.submit(self._grant, self._task)

    def on_record(self, task: int, connection: int, raw: bytes) -> None:
        """A result, or a list or cycle record."""
        if task == 0:
            return
        self.times.append(time.perf_counter() - self._began)
        if self._left:
            self._next()
        elif self._over is not None:
            self._over.set_result(None)

    def on_failed(self, task: int, message: str, code: Code) -> None:
        """Nothing fails here."""
        raise RuntimeError(message)

    def on_gone(self, reason: str) -> None:
        """Nothing goes here."""


class Bulk:
    """Many tasks at once."""

    def __init__(self) -> None:
        self.left = BULK
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_record(self, task: int, connection: int, raw: bytes) -> None:
        """One of the results."""
        self.left -= task != 0
        if not self.left and not self.over.done():
            self.over.set_result(None)

    def on_failed(self, task: int, message: str, code: Code) -> None:
        """Nothing fails here."""
        raise RuntimeError(message)

    def on_gone(self, reason: str) -> None:
        """Nothing goes here."""


async def measure(program: str, pps: int) -> str:
    """One line of the table."""
    with tempfile.TemporaryDirectory(prefix="onvp-") as place:
        Path(place).chmod(0o755)
        with Daemon(program, Path(place) / "s", pps) as daemon:
            prober = Prober(daemon.path)
            await prober.start()
            bare, loop = Bare(daemon.path), Loop(prober)
            await loop.run(PER_ROUND)
            plain: list[float] = []
            driven: list[float] = []
            for _ in range(ROUNDS):
                plain += [bare.ping() for _ in range(PER_ROUND)]
                driven += await loop.run(PER_ROUND)
            bulk = Bulk()
            session = prober.open_session(bulk)
            began = time.perf_counter()
            for task in range(1, BULK + 1):
                target = f"127.0.{task // 250 + 1}.{task % 250 + 1}"
                session.submit(grant("ping", **{**ONE_PING, "dst": target}), task)
            await bulk.over
            rate = BULK / (time.perf_counter() - began)
            await prober.close()
            ours, theirs = statistics.median(driven) * 1e6, statistics.median(plain) * 1e6
            p90 = statistics.quantiles(driven, n=10)[-1] * 1e6
            name = prober.dialect.name
            return f"{name:18} {pps:6} {theirs:8.0f} {ours:8.0f} {p90:8.0f} {ours / theirs:6.2f} {rate:9.0f}"


def main() -> None:
    """Print the table."""
    print(f"{'prober':18} {'pps':>6} {'bare us':>8} {'ours us':>8} {'p90 us':>8} {'ratio':>6} {'bulk/s':>9}")
    for program in sys.argv[1:] or ["scamper"]:
        for pps in (10_000, 1_000):
            print(asyncio.run(measure(program, pps)))


if __name__ == "__main__":
    main()
