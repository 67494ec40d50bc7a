"""Several probers behind one face, with a real scamper and the real companion."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from onvp.sandbox.prober.driver import Prober
from onvp.sandbox.prober.errors import Inexpressible, ProberUnavailable
from onvp.sandbox.prober.router import ProberSet
from tests.prober.tools import Daemon, Notes, grant, record_type, run

QUICK = {"attempts": 1, "stop_count": 1}
HOST = 14


@contextmanager
def companion(path: Path) -> Iterator[Path]:
    """A running companion; it ends with its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-m", "onvp.sandbox.companion.serve", "--socket", str(path), "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), "the companion did not start"
        yield path
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


def test_dns_goes_to_the_companion_where_scamper_is_old(debian: Daemon, place: Path) -> None:
    """20211212 dies on malformed answers; ping stays with scamper; one `on_gone` for both."""

    async def play() -> None:
        probers = ProberSet([Prober(debian.path), Prober(place / "c.sock", role="companion")])
        await probers.start()
        served = probers.primitives()
        assert served["dns"].startswith("companion ")
        assert served["ping"] == "scamper 20211212"
        assert probers.probers() == {"scamper": "scamper 20211212", "companion": served["dns"]}
        notes = Notes()
        session = probers.open_session(notes)
        assert session.submit(grant("ping", dst="127.0.0.1", **QUICK), 1) == "scamper 20211212"
        ask = grant("dns", qname="a.example", server="127.0.0.1", qtype="TXT", wait_timeout=1_000_000)
        assert session.submit(ask, 2) == served["dns"]
        await notes.ended(1, 2)
        assert record_type(notes.results[2]) == HOST
        assert notes.connections[1] != notes.connections[2], "a decoder keeps one state per connection"
        assert {number for number, _ in notes.envelopes} == set(notes.connections.values())
        session.done()
        await notes.until(lambda: bool(notes.gone))
        assert notes.gone == [""]
        await probers.close()

    with companion(place / "c.sock"):
        run(play())


def test_a_scamper_alone_serves_what_it_can(debian: Daemon) -> None:
    """Without a companion dns is scamper's, as far as it goes; the rest is refused with a sentence."""

    async def play() -> None:
        probers = ProberSet([Prober(debian.path)])
        await probers.start()
        assert probers.primitives()["dns"] == "scamper 20211212"
        assert "http" not in probers.primitives()
        session = probers.open_session(Notes())
        for call in (
            grant("http", dst="127.0.0.1", url="http://a.example/"),
            grant("dns", qname="a.example", qtype="TXT"),
        ):
            with pytest.raises(Inexpressible):
                session.submit(call, 1)
            refusal = probers.supports(call.action)
            assert refusal is not None
            assert str(refusal)
        assert probers.supports(grant("ping", dst="127.0.0.1").action) is None
        session.close()
        await probers.close()

    run(play())


def test_a_halt_finds_its_session_and_done_without_tasks_ends(debian: Daemon) -> None:
    """The set has the face of a single session."""

    async def play() -> None:
        probers, notes, idle = ProberSet([Prober(debian.path)]), Notes(), Notes()
        await probers.start()
        session = probers.open_session(notes)
        session.submit(grant("ping", dst="127.0.0.1", attempts=100), 1)
        assert session.outstanding == 1
        await notes.until(lambda: bool(notes.envelopes))
        assert session.halt(1)
        await notes.ended(1)
        assert not session.halt(1)
        session.close()
        other = probers.open_session(idle)
        other.done()
        await idle.until(lambda: bool(idle.gone))
        await probers.close()

    run(play())


def test_a_vantage_point_without_probers_says_so() -> None:
    """No session can be opened, and no primitive is promised."""
    assert ProberSet([]).primitives() == {}
    with pytest.raises(ProberUnavailable, match="no prober"):
        ProberSet([]).open_session(Notes())
