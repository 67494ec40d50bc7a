"""One whole onvp in the lab for all end-to-end tests."""

from collections.abc import Iterator

import pytest

from tests.lab import Lab
from tests.world import World


@pytest.fixture(scope="session")
def world(lab: Lab) -> Iterator[World]:
    """A controller and three vantage points that are linked."""
    with World(lab) as made:
        yield made
