"""The reference pages tell the truth: what exists is documented, as it is."""

import dataclasses

import click
import pytest

from onvp.controller import api, errors, selector
from onvp.controller.settings import Settings
from onvp.sandbox.wire.errors import EXIT_STATUS
from tests.controller import reference

CLI = reference.PAGE.read_text("utf-8")
API = reference.PAGE.with_name("http-api.md").read_text("utf-8")
COMMANDS = dict(reference.commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_have_help(name: str) -> None:
    """Each command says what it does, shows an example, and describes each option."""
    command = COMMANDS[name]

    assert command.help
    if not isinstance(command, click.Group):
        assert f"{name}" in (command.epilog or "")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_commands_reference_is_up_to_date() -> None:
    """The page shows the help as the commands print it; `python -m tests.controller.reference` renews it."""
    shown = CLI.split(reference.START)[1].split(reference.END)[0]

    assert shown.strip() == reference.generated().strip()


def test_exit_statuses_are_documented() -> None:
    """Each exit status that a run can lead to is in the table."""
    for status in {*EXIT_STATUS.values(), 2, 7, 130}:
        assert f"\n| {status} |" in CLI


def test_selector_keys_are_documented() -> None:
    """Each key of a selector is in the table."""
    assert [key for key in selector.KEYS if f"`{key}`" not in CLI] == []


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_settings_are_documented(field: "dataclasses.Field[object]") -> None:
    """Each setting is in the table with its default."""
    default = str(field.default).lower() if isinstance(field.default, bool) else field.default
    shown = f'"{default}"' if isinstance(default, str) and not isinstance(field.default, bool) else default

    assert f"| `{field.name}` | `{shown}` |" in CLI


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in api.ROUTES])
def test_routes_are_documented(method: str, path: str) -> None:
    """Each route has a section."""
    assert f"### `{method} {path}`" in API


def _codes(base: type[errors.ControllerError]) -> dict[str, int]:
    found = {base.code: base.status}
    for below in base.__subclasses__():
        found |= _codes(below)
    return found


@pytest.mark.parametrize(("code", "status"), _codes(errors.ControllerError).items())
def test_error_codes_are_documented(code: str, status: int) -> None:
    """Each error code is in the table with its HTTP status."""
    assert f"| `{code}` | {status} |" in API
