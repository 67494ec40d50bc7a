"""The calls that remain are enough for ordinary Python: nothing here ends a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from onvp.sandbox.jail.limits import MIB, Limits
from tests.jail.cell import Cell, children, own_number, read_all, zygote_of

ORDINARY = {
    "wall and cpu clocks": "say([time.time() > 0, time.monotonic() > 0, time.process_time() > 0])",
    "every clock's resolution": "say([time.get_clock_info(n) for n in ('time', 'perf_counter')])",
    "clocks by system call": "say([time.clock_gettime(n) > 0 for n in range(8)])",
    "local time": "say((time.localtime().tm_gmtoff, time.tzname, time.strftime('%Z')))",
    "sleep": "time.sleep(0.01)",
    "random bytes": "say(len(os.urandom(1000)))",
    "random numbers": "say(random.randrange(10) < 10)",
    "a lock with a time limit": "l = threading.Lock(); l.acquire(); say(l.acquire(timeout=0.01))",
    "a condition with a time limit": "c = threading.Condition()\nwith c: say(c.wait(0.01))",
    "poll with a time limit": "p = select.poll(); p.register(3, 1); say(p.poll(10))",
    "large lists": "keep = list(range(3_000_000)); keep += keep; say(len(keep))",
    "a list that grows": "keep = []\nfor n in range(2_000_000): keep.append(n)\nsay(len(keep))",
    "a buffer that grows and shrinks": "b = bytearray()\nfor n in range(60): b += bytes(n << 12); b = b[n:]",
    "many objects and their end": "for _ in range(3): keep = [[n] for n in range(300_000)]; del keep",
    "a large sort": "say(sorted(random.random() for _ in range(200_000))[0] >= 0)",
    "deep recursion": "def f(n): return n and f(n - 1)\nsay(f(900))",
    "a caught endless recursion": "def f(): f()\ntry: f()\nexcept RecursionError: say('caught')",
    "a caught huge allocation": "try: bytearray(1 << 40)\nexcept MemoryError: say('caught')",
    "a formatted traceback": "import traceback\ntry: 1 / 0\nexcept ZeroDivisionError: traceback.format_exc()",
    "its process number": "say(os.getpid())",
    "a large number": "say(len(str(3 ** 5000)))",
    "closing the channel": "os.close(3)",
}


@pytest.mark.parametrize("what", ORDINARY)
def test_ordinary_code_runs(cell: Cell, what: str) -> None:
    """It ends by itself with status 0: no call that it needs is missing."""
    life = cell.run(ORDINARY[what], Limits(memory_bytes=512 * MIB, cpu_s=20, wall_s=60))

    assert life.end.status == 0, life


def test_local_time_is_utc(cell: Cell) -> None:
    """Local time in a worker is UTC, whatever the machine's zone."""
    assert cell.run(ORDINARY["local time"]).lines == ["(0, ('UTC', 'UTC'), 'UTC')"]


def test_writing_to_a_closed_broker_is_an_exception(cell: Cell) -> None:
    """A worker whose broker has gone meets BrokenPipeError, not a signal."""

    async def scenario() -> int | None:
        worker = await cell.jail.spawn(Limits())
        loop = asyncio.get_running_loop()
        source = "os.read(3, 1)\ntry: say('x')\nexcept BrokenPipeError: raise SystemExit(9)"
        await loop.sock_sendall(worker.socket, source.encode() + b"\0")
        worker.socket.close()
        return (await worker.wait()).status

    assert cell.loop.run_until_complete(scenario()) == 9


SLEEPER = """
say('up'); say(os.getpid())
p = select.poll(); p.register(3, 1)
say(p.poll(200))
time.sleep(0.2)
say('on')
os.read(3, 1)
"""


def test_stopped_worker_goes_on(cell: Cell) -> None:
    """A worker that is stopped and continued, as a suspended machine does, sleeps on and lives."""
    zygote = zygote_of(cell)

    async def scenario() -> bytes:
        worker = await cell.jail.spawn(Limits())
        with worker.socket:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(worker.socket, SLEEPER.encode() + b"\0")
            first = await loop.sock_recv(worker.socket, 3)
            inner, _, rest = (await loop.sock_recv(worker.socket, 99)).partition(b"\n")
            first += rest
            (pid,) = (p for p in children(zygote) if own_number(p) == int(inner))
            stat = Path(f"/proc/{pid}/stat")
            for _ in range(3):
                os.kill(pid, signal.SIGSTOP)
                while " T " not in stat.read_text():
                    await asyncio.sleep(0)
                os.kill(pid, signal.SIGCONT)
                while " T " in stat.read_text():
                    await asyncio.sleep(0)
            while first.count(b"\n") < 3:
                first += await loop.sock_recv(worker.socket, 99)
            worker.socket.shutdown(socket.SHUT_WR)
            return first + await read_all(worker)

    assert cell.loop.run_until_complete(scenario()) == b"up\n[]\non\n"
