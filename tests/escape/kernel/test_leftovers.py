"""Nothing of the agent, of other runs or of the machine is left in a worker."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator

import pytest

from onvp.sandbox.jail.levels import Level
from onvp.sandbox.jail.limits import Limits
from tests.jail.cell import Cell, live, native

SECRET = f"secret-{secrets.token_hex(24)}"

# The two halves stand apart, so that the scan does not find its own words; memory is read where
# /proc/self/maps says that there is some.
SCAN = """
half, rest = {half!r}, {rest!r}
found = 0
for line in open('/proc/self/maps').read().splitlines():
    span, rights, *_ = line.split()
    if rights[0] != 'r' or '[v' in line:
        continue
    start, end = (int(x, 16) for x in span.split('-'))
    content = ctypes.string_at(start, end - start)
    at = content.find(half)
    while at >= 0:
        found += content[at + len(half):at + len(half) + len(rest)] == rest
        at = content.find(half, at + 1)
    del content
say(found)
"""


def scan(secret: str) -> str:
    """Source that counts how often the secret is in the worker's memory."""
    data = secret.encode()
    return SCAN.format(half=data[:16], rest=data[16:])


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    """All walls."""
    cell = Cell(native())
    yield cell
    cell.close()


@pytest.fixture(scope="module")
def open_cell() -> Iterator[Cell]:
    """Workers that can read their own map of memory: the content is the same with and without walls."""
    os.environ["ONVP_TEST_SECRET"] = SECRET
    cell = Cell(native(least=Level.REFUSED, without=("seccomp", "namespaces", "landlock", "rlimits")))
    del os.environ["ONVP_TEST_SECRET"]
    yield cell
    cell.close()


def test_no_descriptor_but_the_channel(cell: Cell) -> None:
    """In a confined worker 3 is an open descriptor, every other number is none (POLLNVAL)."""
    source = "p = select.poll(); p.register({n}); say(p.poll(0))"

    assert cell.run(source.format(n=3)).lines == ["[(3, 4)]"]  # ready to take writes
    for number in (0, 1, 2, 4, 5, 9, 10, 11, 12, 30, 255):
        assert cell.run(source.format(n=number)).lines == [f"[({number}, 32)]"]


def test_no_environment_and_no_arguments(cell: Cell) -> None:
    """Environment and arguments are empty, for Python and for the C library."""
    life = cell.run("libc.getenv.restype = ctypes.c_char_p; say((dict(os.environ), sys.argv, libc.getenv(b'PATH')))")

    assert life.lines == ["({}, [''], None)"]


def test_scan_finds_what_is_there(open_cell: Cell) -> None:
    """The search of memory finds a word that the worker does hold."""
    life = open_cell.run(f"keep = {SECRET!r}\n" + scan(SECRET))

    assert int(life.text) > 0


def test_no_secret_of_the_agent(open_cell: Cell) -> None:
    """A word in the agent's environment and memory is nowhere in a worker's memory."""
    assert open_cell.run(scan(SECRET)).lines == ["0"]


def test_nothing_of_an_earlier_run(open_cell: Cell) -> None:
    """What an earlier worker held is nowhere in a later one's memory."""
    other = f"earlier-{secrets.token_hex(24)}"
    assert open_cell.run(f"keep = {other!r} * 1000; say(len(keep))").end.status == 0

    assert open_cell.run(scan(other)).lines == ["0"]


def test_nothing_of_a_neighbour(open_cell: Cell) -> None:
    """What a worker holds that lives at the same time is nowhere in another's memory."""
    other = f"neighbour-{secrets.token_hex(24)}"

    async def scenario() -> None:
        neighbour = await open_cell.jail.spawn(Limits())
        with neighbour.socket:
            loop = asyncio.get_running_loop()
            source = f"keep = {other!r} * 1000; say('holding'); os.read(3, 1)\0"
            await loop.sock_sendall(neighbour.socket, source.encode())
            assert await loop.sock_recv(neighbour.socket, 99) == b"holding\n"
            assert (await live(open_cell.jail, scan(other))).lines == ["0"]
        await neighbour.wait()

    open_cell.loop.run_until_complete(scenario())


def test_random_numbers_differ_between_workers(cell: Cell) -> None:
    """Two workers of one zygote do not draw the same random numbers."""
    source = "say(random.random())"

    assert cell.run(source).text != cell.run(source).text


def test_machine_has_no_name() -> None:
    """The empty namespaces show process 1 as parent and a name that says nothing."""
    jail = Cell(native(least=Level.REFUSED, without=("seccomp",)))
    try:
        life = jail.run("say((socket.gethostname(), os.getppid()))")
    finally:
        jail.close()

    assert life.lines == ["('onvp', 1)"]
