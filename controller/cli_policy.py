"""``onvp policy``: for the people who write policies, before they put one on a vantage point."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onvp.controller import follow
from onvp.controller.cli_common import examples

if TYPE_CHECKING:
    from onvp.policies.errors import Problem

EXIT_PROBLEMS = 3

file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group()
def policy() -> None:
    """Check and explain policy files."""


@policy.command(epilog=examples("onvp policy check campus.yaml"))
@file_argument
def check(file: Path) -> None:
    """Find every problem of a policy file, with file and line; its own tests are run, too.

    Exit status 3 if there are problems. A vantage point does not run anything under a file that has some.
    """
    # Loading the engine takes longer than most other commands take to run.
    from onvp.policies.errors import PolicyErrors  # noqa: PLC0415
    from onvp.policies.load import load_file  # noqa: PLC0415

    try:
        layer = load_file(file, now=time.time())
    except PolicyErrors as errors:
        _show(errors.problems)
        sys.exit(EXIT_PROBLEMS)
    for warning in layer.warnings:
        click.echo(follow.visible(f"warning: {warning}"), err=True)
    click.echo(f"{file}: fine")


@policy.command(epilog=examples("onvp policy explain campus.yaml"))
@file_argument
def explain(file: Path) -> None:
    """Say a policy file in plain words: a sentence for each rule, and the worst case of a day.

    Exit status 3 if the file has problems; they are shown instead.
    """
    from onvp.policies.combine import combine  # noqa: PLC0415  # see check
    from onvp.policies.errors import PolicyErrors  # noqa: PLC0415
    from onvp.policies.explain import statement  # noqa: PLC0415
    from onvp.policies.load import load_file  # noqa: PLC0415

    try:
        layer = load_file(file, now=time.time())
    except PolicyErrors as errors:
        _show(errors.problems)
        sys.exit(EXIT_PROBLEMS)
    for line in statement(combine([layer])).splitlines():
        click.echo(follow.visible(line))


def _show(problems: "list[Problem]") -> None:
    for problem in problems:
        click.echo(follow.visible(str(problem)))
