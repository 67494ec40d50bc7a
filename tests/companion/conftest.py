"""What the companion's tests share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def shared_folder() -> Iterator[Path]:
    """A folder that a companion can use after it became another user.

    It does not lie in pytest's own: any other run of pytest closes that to other users again.
    """
    with tempfile.TemporaryDirectory(prefix="onvp-") as name:
        path = Path(name)
        path.chmod(0o777)
        yield path


@pytest.fixture
def own_folder(shared_folder: Path) -> Iterator[Path]:
    """Such a folder for one test alone."""
    with tempfile.TemporaryDirectory(dir=shared_folder) as name:
        path = Path(name)
        path.chmod(0o777)
        yield path
