"""Helpers of the jail's tests: one worker's whole life as a value."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

from onvp.sandbox.jail.levels import Level
from onvp.sandbox.jail.limits import Limits
from onvp.sandbox.jail.messages import Configure, Switch
from onvp.sandbox.jail.spawn import End, Jail, JailClient, Worker


@dataclass(frozen=True)
class Life:
    """What a worker wrote and how it ended."""

    text: str
    end: End

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def native(*, least: Level = Level.FULL, without: tuple[Switch, ...] = ()) -> Jail:
    """A jail whose workers run native test code."""
    return Jail(
        Configure(
            run="tests.jail.native_entry:run",
            preload="tests.jail.native_entry:preload",
            least=least,
            path=(str(Path(__file__).parents[2]),),
            without=without,
        )
    )


async def read_all(worker: Worker) -> bytes:
    """What it writes until its end of the channel closes."""
    loop, data = asyncio.get_running_loop(), b""
    try:
        while part := await loop.sock_recv(worker.socket, 65_536):
            data += part
    except ConnectionResetError:  # it ended with something of ours unread
        pass
    return data


async def live(jail: Jail, source: str, limits: Limits | None = None) -> Life:
    """Run native source in a new worker until it ends."""
    return await live_with(jail.client, source, limits)


async def live_with(client: JailClient, source: str, limits: Limits | None = None) -> Life:
    """The same, with the client of a zygote that somebody else started."""
    worker = await client.spawn(limits or Limits(cpu_s=10, wall_s=20))
    with worker.socket:
        with contextlib.suppress(OSError):  # it may be gone already
            await asyncio.get_running_loop().sock_sendall(worker.socket, source.encode() + b"\0")
        text = (await read_all(worker)).decode()
    return Life(text, await worker.wait())


class Cell:
    """A jail and the loop that it lives on, for tests that are not async."""

    def __init__(self, jail: Jail) -> None:
        self.jail = jail
        self.loop = asyncio.new_event_loop()
        self.report = self.loop.run_until_complete(jail.start())

    def run(self, source: str, limits: Limits | None = None) -> Life:
        """One worker's whole life."""
        return self.loop.run_until_complete(live(self.jail, source, limits))

    def close(self) -> None:
        """End the zygote."""
        self.loop.run_until_complete(self.jail.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


def children(pid: int) -> list[int]:
    """The processes whose parent this is, as the host sees them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def own_number(pid: int) -> int:
    """Its number inside its own pid namespace (proc(5), NSpid)."""
    (line,) = (x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("NSpid"))
    return int(line.split()[-1])


def zygote_of(cell: Cell) -> int:
    """The zygote's process: the only child of the guard that the jail started."""
    assert cell.jail._process is not None
    (zygote,) = children(cell.jail._process.pid)
    return zygote
