"""Fixtures that every room uses."""

pytest_plugins = ["tests.lab.fixtures"]
