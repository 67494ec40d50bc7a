"""``onvp controller``: the operator's commands. They work on the data folder, on the controller's machine."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from onvp.controller import auth, follow, messages, settings
from onvp.controller.cli_common import examples
from onvp.controller.errors import ControllerError, SettingsError
from onvp.controller.store import Store
from onvp.sandbox.wire.invite import Invitation


def _default_data() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(os.environ.get("ONVP_CONTROLLER_DATA") or Path(base) / "onvp-controller")


data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=_default_data,
    help="The data folder [default: $ONVP_CONTROLLER_DATA, or ~/.local/share/onvp-controller].",
)


@click.group()
def controller() -> None:
    """Run a controller, and manage its users and vantage points.

    These commands work on the controller's data folder, while it runs or not.
    """


@controller.command(
    epilog=examples(
        "onvp controller init",
        "onvp controller init --data /srv/onvp --listen 0.0.0.0 --url https://onvp.example.net:8440",
    )
)
@data_option
@click.option("--listen", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8440, show_default=True, type=click.IntRange(1, 65535), help="TCP port.")
@click.option("--url", help="What users and VPs will dial [default: made of address and port].")
@click.option("--cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Certificate chain, PEM.")
@click.option("--key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Its private key, PEM.")
@click.option("--tls", is_flag=True, help="TLS on a loopback address, too.")
def init(data: Path, listen: str, port: int, url: str | None, cert: Path | None, key: Path | None, tls: bool) -> None:
    """Make a data folder: settings, database, and a certificate unless the address is loopback."""
    with _problems():
        made = settings.initialise(data, listen=listen, port=port, url=url, chain=cert, key=key, tls=tls or None)
        Store(data / settings.DATABASE).close()
    click.echo(f"made {data} for a controller at {made.url}", err=True)
    click.echo(f"next: onvp controller user add NAME --data {data}; onvp controller run --data {data}", err=True)


@controller.command(epilog=examples("onvp controller run --data /srv/onvp"))
@data_option
def run(data: Path) -> None:
    """Run the controller until it is stopped (SIGTERM or Ctrl-C); logs are JSON lines on stderr."""
    # The server's parts take longer to import than most other commands take to run.
    from onvp.controller import serve  # noqa: PLC0415

    with _problems():
        serve.run(data)


@controller.command(epilog=examples("onvp controller enrol --name wlg-nz"))
@data_option
@click.option("--name", help="Only for a VP of this name; may replace an enrolled one.")
@click.option("--hours", default=24.0, show_default=True, type=click.FloatRange(min=0.01), help="How long it is good.")
def enrol(data: Path, name: str | None, hours: float) -> None:
    """Print a one-time line with which one vantage point can enrol."""
    secret = auth.new_enrolment_secret()
    if name is not None and not auth.is_name(name):
        raise click.UsageError(f"{name!r} cannot be a name: {auth.NAME_RULE}")
    with _store(data) as store:
        store.add_enrolment(auth.digest(secret), name, time.time() + hours * 3600)
    _print_line(data, secret)
    click.echo(f"good once, for {hours:g} h. On the vantage point: onvp-vp enrol LINE --name NAME", err=True)


@controller.command(epilog=examples("onvp controller users"))
@data_option
def users(data: Path) -> None:
    """List the users."""
    with _store(data) as store:
        rows = [
            [name, role, str(messages.stamp(created))[:19], str(tokens)]
            for name, role, created, tokens in store.users()
        ]
    click.echo(follow.plain_table(["user", "role", "since (UTC)", "tokens"], rows))


@controller.command(epilog=examples("onvp controller vps"))
@data_option
def vps(data: Path) -> None:
    """List the enrolled vantage points."""
    with _store(data) as store:
        rows = [
            [
                row.name,
                str(messages.stamp(row.enrolled))[:19],
                str(messages.stamp(row.seen) or "never")[:19],
                str(row.acked),
            ]
            for row in store.vps()
        ]
    click.echo(follow.plain_table(["VP", "enrolled (UTC)", "last heard (UTC)", "events"], rows))


@controller.group()
def user() -> None:
    """Add and remove users, and make their tokens."""


@user.command(epilog=examples("onvp controller user add alice", "onvp controller user add bob --role operator"))
@click.argument("name")
@data_option
@click.option(
    "--role",
    default=auth.RESEARCHER,
    show_default=True,
    help="'operator' sees every run; policies know roles by name.",
)
def add(name: str, data: Path, role: str) -> None:
    """Add a user and print the line for her `onvp login`."""
    for text in (name, role):
        if not auth.is_name(text):
            raise click.UsageError(f"{text!r} cannot be a name: {auth.NAME_RULE}")
    secret = auth.new_user_secret()
    with _store(data) as store:
        store.add_user(name, role, time.time())
        store.add_user_token(name, auth.digest(secret), time.time())
    _print_line(data, secret)
    click.echo(f"for {name}: onvp login LINE. It is shown only once", err=True)


@user.command(epilog=examples("onvp controller user token alice --revoke"))
@click.argument("name")
@data_option
@click.option("--revoke", is_flag=True, help="Make all older tokens of the user invalid.")
def token(name: str, data: Path, revoke: bool) -> None:
    """Print a new login line for a user."""
    secret = auth.new_user_secret()
    with _store(data) as store:
        store.add_user_token(name, auth.digest(secret), time.time(), revoke=revoke)
    _print_line(data, secret)


@user.command(epilog=examples("onvp controller user remove alice"))
@click.argument("name")
@data_option
def remove(name: str, data: Path) -> None:
    """Take a user's access away; the runs stay."""
    with _store(data) as store:
        store.remove_user(name)


@controller.group()
def vp() -> None:
    """Manage enrolled vantage points."""


@vp.command("remove", epilog=examples("onvp controller vp remove wlg-nz"))
@click.argument("name")
@data_option
def remove_vp(name: str, data: Path) -> None:
    """Forget a vantage point: its token opens nothing any more; what it delivered stays."""
    with _store(data) as store:
        store.remove_vp(name)


@contextlib.contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        click.echo(f"onvp: {error}", err=True)
        sys.exit(2)
    except ControllerError as error:
        click.echo(f"onvp: {error.message}. {error.hint}", err=True)
        sys.exit(2)
    except OSError as error:
        click.echo(f"onvp: {error}", err=True)
        sys.exit(2)


@contextlib.contextmanager
def _store(data: Path) -> Iterator[Store]:
    """The database, in one transaction."""
    with _problems():
        settings.load(data)
        store = Store(data / settings.DATABASE)
        try:
            store.begin()
            yield store
            store.commit()
        finally:
            store.rollback()
            store.close()


def _print_line(data: Path, secret: str) -> None:
    config: Any = settings.load(data)
    click.echo(str(Invitation(secret, config.fingerprint(data), config.url)))
