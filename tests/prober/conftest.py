"""Real probers for the tests: Debian's scamper, and a current one when ONVP_SCAMPER names it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.prober.tools import Daemon

_CURRENT = os.environ.get("ONVP_SCAMPER", "")
PROGRAMS = {"debian": "scamper"} | ({"current": _CURRENT} if _CURRENT else {})


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket's address."""
    folder = Path(tempfile.mkdtemp(prefix="onvp-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=PROGRAMS.values(), ids=PROGRAMS.keys())
def daemon(request: pytest.FixtureRequest, place: Path) -> Iterator[Daemon]:
    """A running scamper."""
    with Daemon(request.param, place / "scamper.sock") as daemon:
        yield daemon


@pytest.fixture
def debian(place: Path) -> Iterator[Daemon]:
    """A running scamper 20211212."""
    with Daemon("scamper", place / "scamper.sock") as daemon:
        yield daemon
