"""The commands' help as docs/reference/cli.md shows it; run as a module, it writes it there."""

from collections.abc import Iterator
from pathlib import Path

import click

from onvp.controller.cli import cli

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
START, END = "<!-- help: start -->", "<!-- help: end -->"


def commands(group: click.Group = cli, path: tuple[str, ...] = ("onvp",)) -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups before what is in them."""
    for name, command in sorted(group.commands.items()):
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def help_of(name: str, command: click.Command) -> str:
    """What ``--help`` prints at 96 columns."""
    parent, _, last = name.rpartition(" ")
    context = click.Context(
        command,
        info_name=last,
        parent=click.Context(cli, info_name=parent),
        terminal_width=96,
        help_option_names=["-h", "--help"],
    )
    return command.get_help(context)


def generated() -> str:
    """The part of the page between the marks."""
    parts = [f"### {name}\n\n```text\n{help_of(name, command)}\n```\n" for name, command in commands()]
    return "\n".join(("", *parts))


def write() -> None:
    """Bring the page up to date."""
    text = PAGE.read_text("utf-8")
    head, tail = text.split(START)[0], text.split(END)[1]
    PAGE.write_text(f"{head}{START}\n{generated()}\n{END}{tail}", "utf-8")


if __name__ == "__main__":
    write()
