"""The process that stays root, with real probers: what it starts, whom it lets in, how all of it ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from onvp.sandbox.agent import keeper
from onvp.sandbox.agent.keeper import Down, Plan, Run, Service, Stop, Up
from onvp.sandbox.agent.kept import KeeperError, Kept, companion_service, scamper_service, start_keeper
from onvp.sandbox.prober.driver import Prober
from tests.prober.tools import PATIENCE_S

AGENT = 64990
STRANGER = 64991


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine, but not for ever."""
    asyncio.run(asyncio.wait_for(test, PATIENCE_S))


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose path is short enough for a socket's address."""
    with tempfile.TemporaryDirectory(prefix="onvp-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def scamper(place: Path, program: str = "scamper", folder: str = "run") -> Service:
    """The service as the agent would plan it."""
    return scamper_service(program, place / folder, monitor="vp", pps=1000, uid=AGENT, gid=AGENT)


class Kit:
    """A keeper, its client, and what it said."""

    def __init__(self, *services: Service) -> None:
        sock, self.process = start_keeper(list(services))
        self.said: list[Up | Down] = []
        self.lost = asyncio.Event()
        self._news = asyncio.Event()
        self.kept = Kept(sock, self._note, self.lost.set)

    def _note(self, message: Up | Down) -> None:
        self.said.append(message)
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; judged after each message."""
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def __aenter__(self) -> "Kit":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kept.close()
        await asyncio.to_thread(self.process.wait)


async def readable(descriptor: int) -> None:
    """Return when it is; for a process's descriptor: when the process has ended."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, lambda: future.done() or future.set_result(None))
    await future
    loop.remove_reader(descriptor)


async def ended(pid: int) -> None:
    """Return when no process has this number any more."""
    while True:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        await readable(descriptor)
        os.close(descriptor)
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            await asyncio.sleep(0)  # its parent reaps it


def connects_as(uid: int, path: Path) -> bool:
    """Whether that user reaches the socket."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def test_scamper_is_started_and_only_the_agent_reaches_its_socket(place: Path) -> None:
    """The agent's user connects and learns the version; another user does not even get to the socket."""

    async def play() -> None:
        service = scamper(place)
        async with Kit(service) as kit:
            pid = await kit.kept.start("scamper")
            assert Path(f"/proc/{pid}/comm").read_text().strip() == "scamper"
            assert connects_as(AGENT, service.path)
            assert not connects_as(STRANGER, service.path)
            prober = Prober(service.path)
            await prober.start()
            assert prober.pps == 1000
            assert await kit.kept.start("scamper") == pid, "asking again changes nothing"
        await ended(pid)

    run(play())


def test_a_killed_scamper_comes_back(place: Path) -> None:
    """SIGKILL: told with the signal, restarted, listening again at the same path."""

    async def play() -> None:
        async with Kit(scamper(place)) as kit:
            pid = await kit.kept.start("scamper")
            os.kill(pid, signal.SIGKILL)
            await kit.until(lambda: len(kit.said) == 3)
            down, up = kit.said[1:]
            assert isinstance(down, Down)
            assert "signal 9" in down.reason
            assert isinstance(up, Up)
            assert up.pid != pid
            await Prober(place / "run/scamper.sock").start()

    run(play())


def test_a_stopped_service_stays_stopped_until_it_is_started_again(place: Path) -> None:
    """Stop is not a death: no restart."""

    async def play() -> None:
        async with Kit(scamper(place)) as kit:
            pid = await kit.kept.start("scamper")
            await kit.kept.stop("scamper")
            await ended(pid)
            assert kit.said[-1] == Down("scamper", "stopped")
            assert await kit.kept.start("scamper") != pid

    run(play())


def test_a_missing_scamper_is_told_with_what_to_install(place: Path) -> None:
    """The sentence names the program and the package."""

    async def play() -> None:
        async with Kit(scamper(place, "no-such-scamper")) as kit:
            with pytest.raises(KeeperError, match=r"no-such-scamper.*apt install scamper"):
                await kit.kept.start("scamper")

    run(play())


def test_a_scamper_that_dies_at_start_is_told_with_its_last_words_and_tried_again(place: Path) -> None:
    """Its stderr is in the sentence; the pauses between the tries grow."""
    program = place / "scamper"
    program.write_text("#!/bin/sh\necho 'cannot open raw socket' >&2\nexit 3\n")
    program.chmod(0o755)

    async def play() -> None:
        async with Kit(scamper(place, str(program))) as kit:
            with pytest.raises(KeeperError, match=r"did not start.*status 3.*cannot open raw socket"):
                await kit.kept.start("scamper")
            await kit.until(lambda: len(kit.said) >= 2)
            pauses = [message.again_s for message in kit.said if isinstance(message, Down)]
            assert pauses == list(keeper.BACK_OFF_S[: len(pauses)])
            program.unlink()
            program.symlink_to("/usr/bin/scamper")
            await kit.until(lambda: isinstance(kit.said[-1], Up))

    run(play())


def test_a_socket_that_somebody_else_serves_is_left_alone(place: Path) -> None:
    """Another agent's prober is not pushed aside."""

    async def play() -> None:
        service = scamper(place)
        (place / "run").mkdir()
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.bind(str(service.path))
            stranger.listen()
            async with Kit(service) as kit:
                with pytest.raises(KeeperError, match="something listens"):
                    await kit.kept.start("scamper")
            assert service.path.exists()

    run(play())


def test_a_folder_that_is_not_ours_is_refused(place: Path) -> None:
    """Neither a link nor another user's folder is used for a root process's socket."""

    async def play() -> None:
        (place / "foreign").mkdir()
        os.chown(place / "foreign", STRANGER, STRANGER)
        (place / "link").symlink_to(place)
        for folder in ("foreign", "link"):
            async with Kit(scamper(place, folder=folder)) as kit:
                with pytest.raises(KeeperError, match="somebody else"):
                    await kit.kept.start("scamper")
        async with Kit(scamper(place, folder="x" * 120)) as kit:
            with pytest.raises(KeeperError, match="too long"):
                await kit.kept.start("scamper")

    run(play())


def test_nothing_outlives_the_agent(place: Path) -> None:
    """The agent's end closes, as it does when the agent is killed: scamper and keeper end."""

    async def play() -> None:
        kit = Kit(scamper(place))
        pid = await kit.kept.start("scamper")
        kit.kept.close()
        await ended(pid)
        assert await asyncio.to_thread(kit.process.wait) == 0

    run(play())


def test_nothing_outlives_a_killed_keeper(place: Path) -> None:
    """SIGKILL to the keeper itself: its guard ends scamper, and the agent learns of the loss."""

    async def play() -> None:
        kit = Kit(scamper(place))
        pid = await kit.kept.start("scamper")
        kit.process.kill()
        await kit.lost.wait()
        await ended(pid)
        with pytest.raises(KeeperError):
            await kit.kept.start("scamper")
        await asyncio.to_thread(kit.process.wait)

    run(play())


def test_the_companion_is_started_too(place: Path) -> None:
    """It answers on its socket to the agent's user."""

    async def play() -> None:
        service = companion_service(place / "run", monitor="vp", uid=AGENT, gid=AGENT)
        async with Kit(scamper(place), service) as kit:
            await kit.kept.start("companion")
            assert connects_as(AGENT, service.path)
            assert not connects_as(STRANGER, service.path)
            prober = Prober(service.path)
            await prober.start()
            assert "dns" in prober.primitives()

    run(play())


def test_a_zygote_comes_with_its_socket(place: Path) -> None:
    """The agent gets the other end; closing it ends the zygote."""

    async def play() -> None:
        async with Kit(scamper(place)) as kit:
            first, second = await asyncio.gather(kit.kept.zygote(), kit.kept.zygote())
            with first, second:
                assert first.type == socket.SOCK_SEQPACKET
                children = Path(f"/proc/{kit.process.pid}/task/{kit.process.pid}/children")
                alive = [int(pid) for pid in children.read_text().split()]
                zygotes = [pid for pid in alive if b"zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()]
                assert len(zygotes) == 2
                descriptors = [os.pidfd_open(pid) for pid in zygotes]
            for descriptor in descriptors:
                await readable(descriptor)
                os.close(descriptor)

    run(play())


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff" * 100,
        b"\x80",
        msgspec.msgpack.encode({"type": "run", "name": "sh"}),
        msgspec.msgpack.encode({"type": "run", "name": "scamper", "argv": ["/bin/sh"]}),
        msgspec.msgpack.encode(Plan([])),
        msgspec.msgpack.encode(Run("x" * 10000)),
        msgspec.msgpack.encode(Stop("")),
    ],
)
def test_the_vocabulary_is_closed(place: Path, message: bytes) -> None:
    """Another program, another plan, garbage: refused, and the keeper goes on."""
    sock, process = start_keeper([scamper(place)])
    with sock:
        sock.settimeout(PATIENCE_S)
        if message:
            sock.send(message)
            assert b"refused" in sock.recv(keeper.LIMIT_BYTES)
            sock.send(msgspec.msgpack.encode(Run("scamper")))
            assert b"up" in sock.recv(keeper.LIMIT_BYTES)
    assert process.wait(PATIENCE_S) == 0


def test_without_root_scamper_is_not_tried(place: Path) -> None:
    """The sentence says that root is missing, and that a running scamper's socket will do."""
    sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with sock, theirs:
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setuid(AGENT)
            sock.close()
            _, writer = os.pipe()
            keeper.Keeper(theirs, Plan([scamper(place)]), writer).serve()
            os._exit(0)
        theirs.close()
        sock.settimeout(PATIENCE_S)
        sock.send(msgspec.msgpack.encode(Run("scamper")))
        answer = sock.recv(keeper.LIMIT_BYTES)
        assert b"needs root" in answer
        assert b"socket of a scamper that is already running" in answer
    assert os.waitpid(child, 0)[1] == 0


def test_the_keeper_does_not_load_the_agent() -> None:
    """What stays root is small: no broker, policy, uplink, worker or codec in its memory."""
    show = "import sys, onvp.sandbox.agent.keeper; print([m for m in sys.modules if m.startswith('onvp.')])"
    found = subprocess.run([sys.executable, "-I", "-c", show], capture_output=True, text=True, check=True)
    loaded = found.stdout
    assert "onvp.sandbox.agent.keeper" in loaded
    for foreign in ("broker", "policies", "uplink", "worker", "native", "lang", "prober", "companion"):
        assert foreign not in loaded
