"""Fixtures that every room uses: the lab, and a whole onvp in it."""

pytest_plugins = ["tests.lab.fixtures", "tests.fixtures"]
