"""Sites for the tests of this room."""

from collections.abc import Callable, Iterator

import pytest

from tests.worker.parts import Site


@pytest.fixture
def site() -> Iterator[Callable[..., Site]]:
    """Makes sites; they are closed afterwards."""
    made: list[Site] = []

    def make(**how: object) -> Site:
        made.append(Site(**how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        each.close()
