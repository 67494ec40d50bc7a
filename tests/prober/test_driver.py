"""Sessions with real scampers: results, halts, deaths, deadlines; and with peers that are no probers."""

import asyncio
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from onvp.policies.action import MS, S
from onvp.sandbox.prober import driver
from onvp.sandbox.prober import session as sessions
from onvp.sandbox.prober.driver import Prober
from onvp.sandbox.prober.errors import Inexpressible, ProberUnavailable
from onvp.sandbox.prober.session import Session
from onvp.sandbox.wire.errors import Code
from tests.prober.tools import Daemon, Notes, grant, record_type, run

PING, TRACE = 7, 6
QUICK = {"attempts": 1, "stop_count": 1}


async def session_with(daemon: Daemon) -> tuple[Prober, Session, Notes]:
    """A session of a run, and what it delivers."""
    prober, notes = Prober(daemon.path), Notes()
    await prober.start(wait_s=10)
    return prober, prober.open_session(notes), notes


def test_a_ping_comes_back_as_its_record(daemon: Daemon) -> None:
    """One command, one record of its type, after the connection's list and cycle."""

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        assert session.submit(grant("ping", dst="127.0.0.1", **QUICK), 5) == prober.dialect.name
        await notes.ended(5)
        assert record_type(notes.results[5]) == PING
        assert [record_type(raw) for _, raw in notes.envelopes] == [1, 2]
        assert {number for number, _ in notes.envelopes} == {notes.connections[5]}
        assert session.outstanding == 0
        await prober.close()

    run(play())


def test_hundreds_of_concurrent_tasks_each_get_their_own_result(daemon: Daemon) -> None:
    """With and without ids in the dialogue, result and task are never mixed up."""

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        targets = {task: f"127.9.{task // 200}.{task % 200 + 1}" for task in range(1, 401)}
        for task, target in targets.items():
            session.submit(grant("ping", dst=target, userid=task, **QUICK), task)
        await notes.ended(*targets)
        assert not notes.failures
        for task, target in targets.items():
            assert socket.inet_aton(target) in notes.results[task]
            # The user id stands in a ping's record as 32 bits.
            assert task.to_bytes(4, "big") in notes.results[task]
        connections = set(notes.connections.values())
        assert len(connections) == (1 if prober.dialect.tells_ids else sessions.POOL)
        await prober.close()

    run(play())


def test_results_come_as_they_are_ready(daemon: Daemon) -> None:
    """A long task does not hold up a short one that was asked for later."""

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        session.submit(grant("ping", dst="127.0.0.2", attempts=2, wait_probe=5 * S), 1)
        session.submit(grant("ping", dst="127.0.0.3", **QUICK), 2)
        await notes.ended(2)
        assert 1 not in notes.results
        session.halt(1)
        await notes.ended(1)
        assert record_type(notes.results[1]) == PING
        await prober.close()

    run(play())


def test_a_halt_brings_the_partial_result(daemon: Daemon) -> None:
    """Also when it is asked for before the prober has accepted the task."""

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        session.submit(grant("ping", dst="127.0.0.2", attempts=1000), 1)
        session.submit(grant("ping", dst="127.0.0.3", attempts=1000), 2)
        await notes.until(lambda: bool(notes.envelopes))
        assert session.halt(1)
        assert session.halt(2)
        await notes.ended(1, 2)
        assert {record_type(raw) for raw in notes.results.values()} == {PING}
        assert not session.halt(1)
        await prober.close()

    run(play())


# The last three cannot be halted on 20211212 and take their time: they are asked for more rarely.
SIMILAR = [
    {"primitive": "ping", "attempts": 50},
    {"primitive": "ping", "method": "udp-dport", "attempts": 50},
    {"primitive": "trace", "firsthop": 5, "method": "icmp-paris"},
    {"primitive": "mercator"},
    {"primitive": "radargun", "dst": None, "addrs": ["127.0.0.1", "127.0.0.2"], "probedefs": [{}]},
    {"primitive": "ally", "dst": None, "dst1": "127.0.0.2", "dst2": "127.0.0.1", "method": "icmp-echo"},
    {"primitive": "prefixscan", "dst": None, "near": "127.0.0.1", "far": "127.0.0.2", "prefixlen": 30},
    {"primitive": "dns", "dst": None, "qname": "a.example", "server": "127.0.0.1", "wait_timeout": S},
    {"primitive": "dns", "dst": None, "qname": "127.0.0.1", "server": "127.0.0.1", "wait_timeout": S},
    {"primitive": "trace", "ptr": True, "wait_timeout": S},
]


def test_a_trace_that_begins_later_is_not_halted_to_death(daemon: Daemon, place: Path) -> None:
    """Scamper dies when such a trace is halted before its first probe; it ends by itself instead."""

    async def play(slow: Daemon) -> None:
        prober, session, notes = await session_with(slow)
        for task in range(1, 4):
            session.submit(grant("trace", dst=f"127.3.0.{task}", firsthop=2), task)
        while jobs := [job for job in session._jobs.values() if job.id is None]:
            assert jobs
            await asyncio.sleep(0)
        for task in range(1, 4):
            session.halt(task)
        await notes.ended(1, 2, 3)
        assert {record_type(raw) for raw in notes.results.values()} == {TRACE}
        assert not notes.failures
        await prober.close()

    # At this pace the halts come before the first probes.
    with Daemon(daemon.program, place / "slow.sock", pps=5) as slow:
        run(play(slow))


def test_a_lookup_is_not_dropped_under_the_old_generation(debian: Daemon) -> None:
    """A question outlives its session, holds its name meanwhile, and then lets it go."""
    ask = grant("dns", qname="a.example", server="127.0.0.1", wait_timeout=S)

    async def play() -> None:
        prober, session, notes = await session_with(debian)
        session.submit(ask, 1)
        await notes.until(lambda: bool(notes.envelopes))
        session.halt(1)
        session.close()
        assert len(prober._lingering) == 1
        others = Notes()
        other = prober.open_session(others)
        other.submit(ask, 1)
        await others.ended(1)
        assert 1 in others.results
        assert not notes.results
        assert not prober._lingering
        await prober.close()

    run(play())


@pytest.mark.parametrize("seed", range(3))
def test_no_order_of_halts_and_ends_kills_the_prober(daemon: Daemon, seed: int) -> None:
    """Tasks at one target, halted and dropped in any order: it would die of those that it held back."""
    dice = random.Random(seed)

    async def play() -> None:
        prober, notes, others = Prober(daemon.path), Notes(), Notes()
        await prober.start()
        mine, other = prober.open_session(notes), prober.open_session(others)
        for task in range(1, 61):
            for session in (mine, other):
                kind = dice.choice(SIMILAR if dice.random() < 0.1 else SIMILAR[:-3])
                call = {"dst": "127.0.0.1", **kind}
                session.submit(grant(**call), task)
            if dice.random() < 0.3:
                await asyncio.sleep(0)
        tasks = list(range(1, 61))
        dice.shuffle(tasks)
        for task in tasks:
            mine.halt(task)
            if dice.random() < 0.3:
                await asyncio.sleep(dice.random() / 500)
        await notes.ended(*tasks)
        other.close()
        last = prober.open_session(others)
        last.submit(grant("ping", dst="127.0.0.1", **QUICK), 99)
        await others.ended(99)
        assert 99 in others.results
        lost = [why for why, code in notes.failures.values() if code == Code.PROBER_LOST]
        assert not lost
        await prober.close()

    run(play())


def test_a_task_that_is_halted_before_it_is_sent_fails(daemon: Daemon) -> None:
    """There is no partial result of nothing."""

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        session.submit(grant("ping", dst="127.0.0.2"), 1)
        assert session.halt(1)
        await notes.ended(1)
        assert "before it was sent" in notes.failures[1][0]
        await prober.close()

    run(play())


def test_a_refused_command_fails_its_task_only(daemon: Daemon) -> None:
    """ERR goes to the command that it answers."""

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        session.submit(grant("ping", dst="127.0.0.2", **QUICK), 1)
        session.submit(grant("ping", dst="127.0.0.2", size=20), 2)  # smaller than its own headers
        session.submit(grant("ping", dst="127.0.0.3", **QUICK), 3)
        await notes.ended(1, 2, 3)
        assert set(notes.results) == {1, 3}
        message, code = notes.failures[2]
        assert code == Code.PROBER
        assert prober.dialect.name in message
        await prober.close()

    run(play())


def test_a_killed_prober_fails_what_was_under_way_and_serves_again_when_it_is_back(daemon: Daemon) -> None:
    """SIGKILL mid-task: the tasks fail; later ones wait for its return and work."""

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        for task in (1, 2, 3):
            session.submit(grant("ping", dst=f"127.0.0.{task}", attempts=100), task)
        await notes.until(lambda: len(notes.envelopes) >= 2)
        daemon.kill()
        await notes.ended(1, 2, 3)
        assert {code for _, code in notes.failures.values()} == {Code.PROBER_LOST}
        session.submit(grant("ping", dst="127.0.0.4", **QUICK), 4)
        assert session.outstanding == 1
        await asyncio.to_thread(daemon.start)
        await notes.ended(4)
        assert 4 in notes.results
        other = Notes()
        prober.open_session(other).submit(grant("ping", dst="127.0.0.5", **QUICK), 1)
        await other.ended(1)
        assert 1 in other.results
        await prober.close()

    run(play())


def test_a_prober_that_stays_away_fails_what_waits(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for ever: after the bound, waiting and new tasks fail, until it is back."""
    monkeypatch.setattr(driver, "RETURN_S", 0.2)

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        session.submit(grant("ping", dst="127.0.0.1", **QUICK), 1)
        await notes.ended(1)
        daemon.kill()
        session.submit(grant("ping", dst="127.0.0.1", **QUICK), 2)
        await notes.ended(2)
        session.submit(grant("ping", dst="127.0.0.1", **QUICK), 3)
        assert 3 not in notes.failures, "never from inside submit"
        await notes.ended(3)
        assert {notes.failures[task][1] for task in (2, 3)} == {Code.PROBER_LOST}
        await asyncio.to_thread(daemon.start)
        while not prober.up:
            await asyncio.sleep(0.01)
        session.submit(grant("ping", dst="127.0.0.1", **QUICK), 4)
        await notes.ended(4)
        assert 4 in notes.results
        await prober.close()

    run(play())


def test_an_overdue_task_is_halted_and_fails(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prober that stops working, but not listening, cannot hold a task."""
    monkeypatch.setattr(sessions, "SLACK_S", 0.2)
    monkeypatch.setattr(sessions, "_SWEEP_S", 0.05)

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        session.submit(grant("ping", dst="127.0.0.1", **QUICK), 1)
        await notes.ended(1)
        daemon.freeze()
        session.submit(grant("ping", dst="127.0.0.1", **QUICK), 2)
        await notes.ended(2)
        message, code = notes.failures[2]
        assert code == Code.PROBER
        assert "did not deliver" in message
        daemon.thaw()
        session.submit(grant("ping", dst="127.0.0.1", **QUICK), 3)
        await notes.ended(3)
        assert 3 in notes.results
        await prober.close()

    run(play())


def test_done_ends_in_good_order(daemon: Daemon) -> None:
    """After the last task each connection gets its cycle-stop record, then the session is gone."""

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        for task in (1, 2):
            session.submit(grant("ping", dst="127.0.0.1", wait_probe=S, attempts=1), task)
        session.done()
        with pytest.raises(RuntimeError):
            session.submit(grant("ping", dst="127.0.0.1"), 3)
        await notes.until(lambda: bool(notes.gone))
        assert set(notes.results) == {1, 2}
        types = [record_type(raw) for _, raw in notes.envelopes]
        connections = len({number for number, _ in notes.envelopes})
        assert sorted(types) == sorted([1, 2, 4] * connections)
        assert notes.gone == [""]
        await prober.close()

    run(play())


def test_done_without_a_task_is_gone_at_once(daemon: Daemon) -> None:
    """A session that never sent anything has nothing to wait for."""

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        session.done()
        await notes.until(lambda: bool(notes.gone))
        await prober.close()

    run(play())


def test_closing_a_session_ends_its_tasks_and_nobody_elses(daemon: Daemon) -> None:
    """Two runs on one prober: one closes with tasks under way, the other does not notice."""

    async def play() -> None:
        prober, mine, notes = await session_with(daemon)
        others = Notes()
        other = prober.open_session(others)
        for task in range(1, 21):
            mine.submit(grant("ping", dst=f"127.1.0.{task}", attempts=50), task)
            other.submit(grant("ping", dst=f"127.1.1.{task}", wait_probe=200 * MS, attempts=3), task)
        await others.until(lambda: bool(others.envelopes))
        mine.close()
        await others.ended(*range(1, 21))
        assert len(others.results) == 20
        assert not notes.results
        assert not notes.failures
        assert prober.open_packets == 0
        await prober.close()

    run(play())


def test_sessions_leave_no_descriptor_behind(daemon: Daemon) -> None:
    """As many descriptors after fifty sessions as before."""

    async def play() -> None:
        prober, session, notes = await session_with(daemon)
        session.close()
        before = sum(1 for _ in Path("/proc/self/fd").iterdir())
        for _ in range(50):
            notes = Notes()
            session = prober.open_session(notes)
            session.submit(grant("ping", dst="127.0.0.1", **QUICK), 1)
            await notes.ended(1)
            session.close()
        assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before
        await prober.close()

    run(play())


def test_what_the_prober_cannot_express_is_refused_before_it_is_sent(debian: Daemon) -> None:
    """The refusal comes from `submit` itself, and the task number stays free."""

    async def play() -> None:
        prober, session, notes = await session_with(debian)
        with pytest.raises(Inexpressible, match="wait_probe"):
            session.submit(grant("ping", dst="127.0.0.1", wait_probe=20 * MS), 1)
        session.submit(grant("ping", dst="127.0.0.1", **QUICK), 1)
        await notes.ended(1)
        assert 1 in notes.results
        await prober.close()

    run(play())


def test_a_task_number_is_used_once(daemon: Daemon) -> None:
    """Two tasks in flight cannot share a number."""

    async def play() -> None:
        prober, session, _ = await session_with(daemon)
        session.submit(grant("ping", dst="127.0.0.1"), 1)
        with pytest.raises(ValueError, match="in use"):
            session.submit(grant("ping", dst="127.0.0.1"), 1)
        await prober.close()

    run(play())


# ---- peers that are no probers ----


@contextmanager
def peer(path: Path, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """Something that listens at ``path`` and treats each connection with ``answer``."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                with suppress(OSError):
                    answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def until_closed(connection: socket.socket) -> None:
    """Read and say nothing."""
    while connection.recv(4096):
        pass


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "is not a prober"),
        (b"OK version 19990101\nOK pps 10\nERR x\n", "too old|no scamper release"),
        (b"OK version vsftpd\nOK pps 10\nERR x\n", "no scamper release"),
        (b"\x00\xff" * 100 + b"\n", "is not a prober"),
        (b"", "closes without an answer"),
    ],
)
def test_a_stranger_on_the_socket_is_recognised(place: Path, said: bytes, sentence: str) -> None:
    """Something else listens there: a sentence that says so, with the path."""

    def answer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(said)

    async def play() -> None:
        with pytest.raises(ProberUnavailable, match=sentence):
            await Prober(place / "x.sock").start()

    with peer(place / "x.sock", answer):
        run(play())


def test_a_silent_peer_is_given_up(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that accepts and never answers does not hold the agent."""
    monkeypatch.setattr(driver, "ANSWER_S", 0.1)

    async def play() -> None:
        with pytest.raises(ProberUnavailable, match="does not answer"):
            await Prober(place / "x.sock").start()

    with peer(place / "x.sock", until_closed):
        run(play())


def test_nothing_at_the_path_is_said_so(place: Path) -> None:
    """No socket, or one that nobody listens on."""
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(place / "dead.sock"))
    dead.close()

    async def play() -> None:
        with pytest.raises(ProberUnavailable, match="no such socket"):
            await Prober(place / "none.sock").start()
        with pytest.raises(ProberUnavailable, match="nothing listens"):
            await Prober(place / "dead.sock").start()

    run(play())


@pytest.mark.parametrize("said", [b"\xff\xfe\n", b"DATA 9\nabc", b"OK id-1\nOK id-2\n", b"DATA 2 id-9\n`\n"])
def test_garbage_in_the_middle_fails_the_tasks_not_the_agent(place: Path, said: bytes) -> None:
    """A prober that loses its mind after attaching costs its tasks; nothing else breaks."""

    def answer(connection: socket.socket) -> None:
        while data := connection.recv(4096):
            if b"get version" in data:
                connection.sendall(b"OK version 20260420\nOK pps 100\nERR no\n")
            elif b"attach" in data:
                connection.sendall(b"OK\nMORE\n")
            else:
                connection.sendall(said)
                return

    async def play() -> None:
        prober, notes = Prober(place / "x.sock"), Notes()
        await prober.start()
        session = prober.open_session(notes)
        session.submit(grant("ping", dst="192.0.2.1"), 1)
        await notes.ended(1)
        assert notes.failures[1][1] == Code.PROBER_LOST
        await prober.close()

    with peer(place / "x.sock", answer):
        run(play())
