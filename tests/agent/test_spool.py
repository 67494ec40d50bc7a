"""The spool: nothing that was appended is lost, numbered twice or out of order."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onvp.sandbox.agent.spool import Spool, SpoolError
from onvp.sandbox.wire import link


@contextlib.asynccontextmanager
async def opened(path: Path, **options: object) -> AsyncIterator[Spool]:
    """An open spool."""
    spool = Spool(path, **options)  # type: ignore[arg-type]
    await spool.open()
    try:
        yield spool
    finally:
        await spool.close()


async def waiting(spool: Spool) -> list[link.Event]:
    """Everything that is in the spool."""
    found: list[link.Event] = []
    after = 0
    while rows := await spool.read(after):
        for seq, message in rows:
            event = link.decode_from_agent(message)
            assert isinstance(event, link.Event)
            assert event.seq == seq
            found.append(event)
            after = seq
    return found


def text(number: int) -> link.Output:
    """A line that can be told from the others."""
    return link.Output(f"line {number}\n")


def test_order_and_numbers(tmp_path: Path) -> None:
    """Events come out in the order in which they went in, numbered from 1 without gaps."""

    async def go() -> None:
        async with opened(tmp_path / "s") as spool:
            for number in range(2000):
                spool.append(f"r{number % 3}", text(number))
            await spool.flush()
            events = await waiting(spool)

            assert [text(number) for number in range(2000)] == [event.body for event in events]
            assert list(range(1, 2001)) == [event.seq for event in events]

    asyncio.run(go())


def test_restart_keeps_and_counts_on(tmp_path: Path) -> None:
    """After a restart the unacknowledged events are there, and numbers go on, even behind no event."""

    async def go() -> None:
        async with opened(tmp_path / "s") as spool:
            for number in range(10):
                spool.append("r", text(number))
            await spool.flush()
            spool.acknowledge(4)
        async with opened(tmp_path / "s") as spool:
            assert list(range(5, 11)) == [event.seq for event in await waiting(spool)]
            spool.acknowledge(10)
        async with opened(tmp_path / "s") as spool:
            assert await waiting(spool) == []
            spool.append("r", text(0))
            await spool.flush()
            assert [event.seq for event in await waiting(spool)] == [11]

    asyncio.run(go())


def test_killed_process_loses_nothing_flushed(tmp_path: Path) -> None:
    """What flush() returned for survives kill -9 at any moment."""
    program = """
        import asyncio, sys
        from pathlib import Path
        from onvp.sandbox.agent.spool import Spool
        from onvp.sandbox.wire import link

        async def go():
            spool = Spool(Path(sys.argv[1]))
            await spool.open()
            number = 0
            while True:
                for _ in range(7):
                    number += 1
                    spool.append("r", link.Output(str(number)))
                await spool.flush()
                print(number, flush=True)
        asyncio.run(go())
    """
    child = subprocess.Popen(
        (sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "s")),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) > 300:
            child.send_signal(signal.SIGKILL)
            break
    flushed = int(line)
    rest = child.stdout.read().split()
    flushed = int(rest[-1]) if rest else flushed
    child.stdout.close()
    child.wait()

    async def go() -> None:
        async with opened(tmp_path / "s") as spool:
            events = await waiting(spool)
            assert len(events) >= flushed
            assert [str(number) for number in range(1, len(events) + 1)] == [
                event.body.text for event in events if isinstance(event.body, link.Output)
            ]

    asyncio.run(go())


def test_cap_is_said_once_and_the_end_still_gets_through(tmp_path: Path) -> None:
    """A full spool is told once; bulk is dropped with a note, the run's end is kept, room heals it."""

    async def go() -> None:
        told: list[str] = []
        async with opened(tmp_path / "s", max_bytes=100_000, on_failure=told.append) as spool:
            for _ in range(50):
                spool.append("r", link.Measurement(0, b"x" * 10_000))
            spool.append("r", link.End(outcome="killed", limit="spool"))
            await spool.flush()
            events = await waiting(spool)

            assert len(told) == 1
            assert "full" in told[0]
            assert spool.failed == told[0]
            kinds = [type(event.body) for event in events]
            assert kinds == [link.Measurement] * kinds.count(link.Measurement) + [link.Note, link.End]
            assert 0 < kinds.count(link.Measurement) < 11
            assert kinds.count(link.Measurement) + spool.dropped == 50

            spool.acknowledge(events[-1].seq)
            spool.append("r2", link.State("accepted"))
            await spool.flush()
            assert spool.failed is None
            spool.append("r2", link.Output("again"))
            await spool.flush()
            assert link.Output("again") == (await waiting(spool))[-1].body

    asyncio.run(go())


def test_a_cut_run_stays_cut(tmp_path: Path) -> None:
    """What is delivered of a run's bulk is a prefix: room that comes back leaves no hole in the middle."""

    async def go() -> None:
        async with opened(tmp_path / "s", max_bytes=20_000) as spool:
            for _ in range(5):
                spool.append("r", link.Measurement(0, b"x" * 10_000))
            await spool.flush()
            spool.acknowledge(spool.newest)
            spool.append("other", link.Note("room again"))
            await spool.flush()
            assert spool.failed is None
            spool.append("r", link.Measurement(0, b"late"))
            spool.append("other", link.Measurement(0, b"fine"))
            await spool.flush()
            bodies = [event.body for event in await waiting(spool)]

            assert link.Measurement(0, b"late") not in bodies
            assert link.Measurement(0, b"fine") in bodies

    asyncio.run(go())


FULL_DISK = """
    import asyncio, sys
    from pathlib import Path
    from onvp.sandbox.agent.spool import Spool, SpoolError
    from onvp.sandbox.wire import link

    async def go():
        folder = Path(sys.argv[1])
        told = []
        spool = Spool(folder / "spool", on_failure=told.append)
        await spool.open()
        spool.append("r", link.Output("first"))
        await spool.flush()
        (folder / "ballast").write_bytes(b"")
        with (folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        try:
            for _ in range(100):
                spool.append("r", link.Measurement(0, b"x" * 100_000))
                await spool.flush()
        except SpoolError as error:
            print("flush:", error)
        assert len(told) == 1 and told[0] == spool.failed, told
        spool.append("r", link.End(outcome="killed", limit="spool"))
        (folder / "ballast").unlink()
        while spool.failed is not None:
            try:
                await spool.flush()
            except SpoolError:
                continue  # an attempt from before there was room
        assert spool.failed is None, spool.failed
        rows = await spool.read(0)
        events = [link.decode_from_agent(message) for _, message in rows]
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert events[0].body == link.Output("first")
        assert isinstance(events[-1].body, link.End)
        print("kept", len(events))
        await spool.close()

    asyncio.run(go())
"""


def test_disk_full(tmp_path: Path) -> None:
    """A disk that is really full fails the run with a sentence, keeps what was there, and heals with room."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    done = subprocess.run(
        (
            *("unshare", "--mount", "sh", "-ec"),
            'mount -t tmpfs -o size=1m small "$1"; exec "$2" -c "$3" "$1"',
            *("sh", str(mounted), sys.executable, textwrap.dedent(FULL_DISK)),
        ),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )

    assert done.returncode == 0, done.stderr
    assert "cannot be written" in done.stdout
    assert "kept" in done.stdout


def test_reset_spool_numbers_behind_the_controller(tmp_path: Path) -> None:
    """A new spool under an old name renumbers what waits, so that it is not taken for a repetition."""

    async def go() -> None:
        async with opened(tmp_path / "s") as spool:
            spool.append("r", text(1))
            spool.append("r", link.End(outcome="finished"))
            await spool.flush()
            await spool.resume(500)
            events = await waiting(spool)

            assert [event.seq for event in events] == [501, 502]
            assert [text(1), link.End(outcome="finished")] == [event.body for event in events]
            assert spool.newest == 502
            spool.append("r", text(3))
            await spool.flush()
            assert [event.seq for event in (await waiting(spool))[2:]] == [503]
            assert await spool.runs() == {"r": True}

    asyncio.run(go())


def test_runs_are_known_until_their_end_is_acknowledged(tmp_path: Path) -> None:
    """A run is remembered, and whether it ended, after its events were acknowledged; across restarts."""

    async def go() -> None:
        async with opened(tmp_path / "s") as spool:
            spool.append("cut", link.State("accepted"))
            spool.append("over", link.State("accepted"))
            spool.append("over", link.End(outcome="finished"))
            await spool.flush()
            spool.acknowledge(2)
        async with opened(tmp_path / "s") as spool:
            assert await spool.runs() == {"cut": False, "over": True}
            spool.acknowledge(3)
            await spool.flush()
            assert await spool.runs() == {"cut": False}

    asyncio.run(go())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(link.Output("\ud800"), id="text that is not Unicode"),
        pytest.param(link.Measurement(0, b"x" * (link.LIMIT_BYTES + 1)), id="larger than a message"),
        pytest.param(link.Note(object()), id="not a value"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_sent_becomes_a_note(tmp_path: Path, body: link.Body) -> None:
    """An event that no message can carry is replaced by a note, and the spool goes on."""

    async def go() -> None:
        async with opened(tmp_path / "s") as spool:
            spool.append("r", body)
            spool.append("r", text(1))
            await spool.flush()
            note, after = await waiting(spool)

            assert isinstance(note.body, link.Note)
            assert "deliver" in note.body.text
            assert text(1) == after.body

    asyncio.run(go())


def test_end_with_broken_text_stays_an_end(tmp_path: Path) -> None:
    """The end of a run is told with its outcome even if its traceback cannot be encoded."""

    async def go() -> None:
        async with opened(tmp_path / "s") as spool:
            spool.append("r", link.End(outcome="failed", error="\udcff"))
            await spool.flush()
            (event,) = await waiting(spool)

            assert isinstance(event.body, link.End)
            assert event.body.outcome == "failed"

    asyncio.run(go())


def test_one_agent_only(tmp_path: Path) -> None:
    """A second agent on the same spool is told that the first has it."""

    async def go() -> None:
        async with opened(tmp_path / "s"):
            with pytest.raises(SpoolError, match="another agent"):
                await Spool(tmp_path / "s").open()

    asyncio.run(go())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"\x00garbage" * 999, "move it away", id="damaged"),
        pytest.param(None, "cannot open", id="no folder"),
    ],
)
def test_unusable_file(tmp_path: Path, content: bytes | None, words: str) -> None:
    """A spool that cannot be opened says which file, and what to do."""
    path = tmp_path / "gone" / "s"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)

    with pytest.raises(SpoolError, match=words):
        asyncio.run(Spool(path).open())


def test_private(tmp_path: Path) -> None:
    """The file is readable by its owner only: it holds what scripts measured."""

    async def go() -> None:
        async with opened(tmp_path / "s"):
            assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600

    asyncio.run(go())


operations = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("ack"), st.integers(0, 40)),
        st.tuples(st.just("reopen"), st.just(0)),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(operations)
def test_any_history(tmp_path_factory: pytest.TempPathFactory, history: list[tuple[str, int]]) -> None:
    """Whatever is appended, acknowledged and reopened: what is left is exactly the unacknowledged tail."""
    path = tmp_path_factory.mktemp("spool") / "s"

    async def go() -> None:
        spool = Spool(path)
        await spool.open()
        appended = acked = 0
        for what, number in history:
            if what == "append":
                for _ in range(number):
                    appended += 1
                    spool.append("r", text(appended))
            elif what == "ack":
                await spool.flush()
                acked = max(acked, min(number, appended))
                spool.acknowledge(min(number, appended))
            else:
                await spool.close()
                spool = Spool(path)
                await spool.open()
        await spool.flush()
        events = await waiting(spool)
        await spool.close()

        assert [(seq, text(seq)) for seq in range(acked + 1, appended + 1)] == [
            (event.seq, event.body) for event in events
        ]

    asyncio.run(go())
