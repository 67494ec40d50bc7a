"""The pytest fixture `lab`: one lab for the whole session, in an instance that nobody else has.

The root conftest imports it. Where the lab cannot run the tests that ask for it fail, with a sentence that
says what is missing: they are not skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab

INSTANCES = ("test1", "test2", "test3", "test4")
"""Names that test runs share; runs on one machine at the same time take different ones."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab that is up."""
    for name in INSTANCES:
        mine = Lab(name)
        if mine.try_lock():
            break
    else:
        mine = Lab(INSTANCES[0])
        mine.lock()
    try:
        mine.up()
        yield mine
    finally:
        mine.down()
        mine.unlock()
