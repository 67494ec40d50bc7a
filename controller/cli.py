"""``onvp``: what researchers and operators type. docs/reference/cli.md describes every command.

Exit status: 0 finished, 1 the script failed, 2 usage (also: the controller rejects the request), 3 refused
by policy or language, 4 ended by a limit, 5 a VP was lost, 6 cancelled; over several VPs the largest.
7: the controller cannot be reached. 130: interrupted, and the run goes on.
"""

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click

from onvp.controller import checker, cli_admin, cli_policy, cli_run, cli_runs, client, fetch
from onvp.controller.cli_common import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    EXIT_USAGE,
    args_argument,
    examples,
    print_problems,
    problems,
    script_argument,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("onvp"), prog_name="onvp")
def cli() -> None:
    """Run Python measurement scripts on Internet vantage points (VPs).

    Start with `onvp login`, then `onvp vps` and `onvp run SCRIPT --on all`.
    """


cli.add_command(cli_admin.controller)


for command in (
    *(cli_run.run, cli_run.follow_run),
    *(cli_runs.runs, cli_runs.show, cli_runs.cancel, cli_runs.fetch_run, cli_runs.vps),
    *(cli_admin.controller, cli_policy.policy),
):
    cli.add_command(command)


def main(args: list[str] | None = None) -> None:
    """The entry point: click's errors become exit statuses that mean what the table says."""
    try:
        status = cli.main(args, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("onvp: interrupted", err=True)
        status = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has seen enough; nothing more can be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status if isinstance(status, int) else 0)


@cli.command(epilog=examples("onvp check study.py"))
@script_argument
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
def check(script: Path, as_json: bool) -> None:
    """Find all language problems of SCRIPT, with lines, and the primitives that it uses.

    Exit status 3 if there are problems.
    """
    try:
        found = checker.check(script.read_bytes(), script.name)
    except checker.CheckError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        print_problems(script, found["problems"])
        if not found["problems"]:
            used = ", ".join(found["primitives"]) or "none"
            click.echo(f"{script}: fine. Primitives that it uses: {used}")
    sys.exit(EXIT_REFUSED if found["problems"] else 0)


@cli.command(
    "try",
    context_settings={"ignore_unknown_options": True},
    epilog=examples("onvp try ping.py --policy campus.yaml --out results -- 192.0.2.1"),
)
@script_argument
@args_argument
@click.option("--policy", required=True, type=click.Path(exists=True, dir_okay=False), help="The policy to run under.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for what the run leaves.")
def try_(script: Path, args: tuple[str, ...], policy: str, out: Path | None) -> None:
    """Run SCRIPT on this machine, the whole path without a controller.

    The script's stdout is this command's stdout, all else goes to stderr. The same as `onvp-vp try`.
    """
    command = [sys.executable, "-m", "onvp.sandbox.agent.main", "try", str(script), "--policy", policy]
    if out is None:
        sys.stdout.flush()
        # Replacing this process hands signals and the exit status through as they are.
        os.execv(sys.executable, [*command, "--", *args])  # noqa: S606
    with subprocess.Popen([*command, "--out", str(out), "--", *args]) as child:
        # Ctrl-C reaches the child by itself; it ends the run, and we have its streams to join.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        status = child.wait()
    fetch.join_parts(out)
    sys.exit(status if status >= 0 else 128 - status)


@cli.command(epilog=examples("onvp login"))
@click.argument("line", required=False)
def login(line: str | None) -> None:
    """Keep the controller's address and your token for the other commands.

    LINE is what your operator got from `onvp controller user add`. Leave it out to be asked for it: then
    it does not end up in your shell's history. ONVP_TOKEN (a whole line, or a token with ONVP_URL) in the
    environment goes before what is kept here.
    """
    if line is None:
        line = click.prompt("The line from your operator", hide_input=True, err=True)
    try:
        wanted = client.Login.parse(line)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with problems(), client.Client(wanted) as controller:
        me = controller.me()
    path = client.save_login(wanted)
    click.echo(f"logged in at {wanted.url} as {me['user']} ({me['role']}); kept in {path}", err=True)


if __name__ == "__main__":
    main()
