"""One fully confined jail for native test code, shared by a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.jail.cell import Cell, native


@pytest.fixture(scope="module")
def cell() -> Iterator[Cell]:
    """A jail at level full, its workers running whatever they are sent."""
    cell = Cell(native())
    yield cell
    cell.close()
