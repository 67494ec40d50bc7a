"""What the commands of ``onvp`` share: exit statuses, errors as one sentence, tables, examples."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from onvp.controller import client, follow

EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_NO_CONTROLLER = 7
EXIT_INTERRUPTED = 130

script_argument = click.argument("script", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
args_argument = click.argument("args", nargs=-1, type=click.UNPROCESSED)


def examples(*lines: str) -> str:
    """The end of a command's help."""
    # Click reflows paragraphs, except behind a backspace (click's documentation, "Preventing Rewrapping").
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@contextlib.contextmanager
def problems() -> Iterator[None]:
    """Errors as one sentence and an exit status."""
    try:
        yield
    except client.NoLoginError as error:
        die(str(error), EXIT_USAGE)
    except client.ApiError as error:
        die(str(error), EXIT_NO_CONTROLLER if error.status >= 500 else EXIT_USAGE)
    except client.UnreachableError as error:
        die(str(error), EXIT_NO_CONTROLLER)


@contextlib.contextmanager
def connected() -> Iterator[client.Client]:
    """The controller that the login names."""
    with problems(), client.Client(client.load_login()) as controller:
        yield controller


def die(sentence: str, status: int) -> None:
    """One sentence, and the end."""
    click.echo(f"onvp: {follow.visible(sentence)}", err=True)
    sys.exit(status)


def print_problems(script: Path, found: list[dict[str, Any]]) -> None:
    """Language problems, one a line."""
    for problem in found:
        click.echo(follow.visible(follow.problem_line(str(script), problem)))


def table(headings: list[str], rows: list[list[str]]) -> None:
    """Columns, styled on a terminal."""
    if sys.stdout.isatty():
        Console(highlight=False).print(follow.rich_table(headings, rows))
    else:
        click.echo(follow.plain_table(headings, rows))
