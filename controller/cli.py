"""``onvp``: what researchers and operators type. docs/reference/cli.md describes every command.

Exit status: 0 finished, 1 the script failed, 2 usage (also: the controller rejects the request), 3 refused
by policy or language, 4 ended by a limit, 5 a VP was lost, 6 cancelled; over several VPs the largest.
7: the controller cannot be reached. 130: interrupted, and the run goes on.
"""

import base64
import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from onvp.controller import checker, cli_admin, cli_policy, client, fetch, follow
from onvp.controller.cli_admin import examples

EXIT_USAGE = 2
EXIT_REFUSED = 3
EXIT_NO_CONTROLLER = 7
EXIT_INTERRUPTED = 130

CHECKED_BYTES = 1 << 20
"""Larger sources are not compiled here before they are sent: the controller refuses them sooner."""

_UNITS = {
    "": 1.0,
    "s": 1.0,
    "ms": 0.001,
    "min": 60.0,
    "h": 3600.0,
    "k": 1e3,
    "kB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KiB": 1024.0,
    "MiB": 1024.0**2,
    "GiB": 1024.0**3,
}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)")

script_argument = click.argument("script", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
args_argument = click.argument("args", nargs=-1, type=click.UNPROCESSED)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("onvp"), prog_name="onvp")
def cli() -> None:
    """Run Python measurement scripts on Internet vantage points (VPs).

    Start with `onvp login`, then `onvp vps` and `onvp run SCRIPT --on all`.
    """


cli.add_command(cli_admin.controller)
cli.add_command(cli_policy.policy)


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


# ---- runs ----


@cli.command(
    epilog=examples(
        "onvp run ping.py --on all -- 192.0.2.1 192.0.2.2",
        "onvp run study.py --on 'cc=nz,au tag=campus' --limit wall_s=10min",
        "onvp run study.py --vp wlg-nz --vp akl-nz --input targets.txt --json",
    )
)
@script_argument
@args_argument
@click.option("--on", "selector", metavar="SELECTOR", help="VPs by property: 'cc=nz tag=residential', or 'all'.")
@click.option("--vp", "names", metavar="NAME", multiple=True, help="A VP by name; may be repeated.")
@click.option("--limit", "limits", metavar="NAME=VALUE", multiple=True, help="Narrow a limit of the policy.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path),
    help="A file that the script may read by its name; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout, for programs.")
@click.option("--detach", is_flag=True, help="Print the run's id and leave.")
@click.option("--no-check", is_flag=True, help="Do not look for language problems here first.")
def run(
    script: Path,
    args: tuple[str, ...],
    selector: str | None,
    names: tuple[str, ...],
    limits: tuple[str, ...],
    inputs: tuple[Path, ...],
    as_json: bool,
    detach: bool,
    no_check: bool,
) -> None:
    """Run SCRIPT on vantage points and follow it live.

    What the script prints and emits goes to stdout, everything else to stderr. Without --on and --vp the
    run goes to the only connected VP; if there are several you have to say which. What follows -- goes to
    the script as sys.argv.

    Ctrl-C asks whether to cancel the run or to leave it running; a second one, or no terminal to ask on,
    leaves it running and says how to come back to it.
    """
    if selector is not None and names:
        raise click.UsageError("give either --on or --vp, not both")
    narrowed = dict(_limit(text) for text in limits)
    source = script.read_bytes()
    if not no_check:
        _check_first(source, script)
    with _connected() as controller:
        select: dict[str, Any] = {"selector": selector} if selector is not None else {"names": list(names)}
        if selector is None and not names:
            select = {"names": [_only_vp(controller)]}
        answer = controller.submit(
            {
                "filename": script.name,
                "source": base64.b64encode(source).decode("ascii"),
                "args": list(args),
                "select": select,
                "inputs": {path.name: base64.b64encode(path.read_bytes()).decode("ascii") for path in inputs},
                "limits": narrowed,
            }
        )
        if detach:
            click.echo(json.dumps(answer) if as_json else answer["run"])
            return
        if not as_json:
            click.echo(f"run {answer['run']} on {', '.join(answer['vps'])}", err=True)
        sys.exit(_follow(controller, answer["run"], answer["vps"], script.name, as_json=as_json))


@cli.command("follow", epilog=examples("onvp follow 20260301-101500-k3f9ab"))
@click.argument("run_id", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout, for programs.")
def follow_run(run_id: str, as_json: bool) -> None:
    """Show a run from its start, and go on until it ends everywhere."""
    with _connected() as controller:
        view = controller.run(run_id)
        sys.exit(_follow(controller, run_id, sorted(view["vps"]), view["script"], as_json=as_json))


@cli.command(epilog=examples("onvp runs --limit 5"))
@click.option("--limit", "count", default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def runs(count: int, as_json: bool) -> None:
    """List your runs (all runs, for an operator), newest first."""
    with _connected() as controller:
        found = controller.runs(count)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    rows = [
        [
            view["run"],
            view["user"],
            view["script"],
            view["submitted"][:19].replace("T", " "),
            view["state"],
            ", ".join(f"{vp}: {at['outcome'] or at['state']}" for vp, at in sorted(view["vps"].items())),
        ]
        for view in found
    ]
    _table(["run", "user", "script", "submitted (UTC)", "state", "VPs"], rows)


@cli.command(epilog=examples("onvp show 20260301-101500-k3f9ab"))
@click.argument("run_id", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def show(run_id: str, as_json: bool) -> None:
    """Show one run: what was asked, where it ran, how it ended, what it left."""
    with _connected() as controller:
        view = controller.run(run_id)
        files = {vp: controller.files(run_id, vp) for vp in sorted(view["vps"])}
    if as_json:
        click.echo(json.dumps(view | {"files": files}, indent=1))
        return
    for key in ("run", "user", "script", "script_sha256", "args", "limits", "submitted", "ended", "state"):
        if view[key]:
            value = view[key] if isinstance(view[key], str) else json.dumps(view[key], ensure_ascii=False)
            click.echo(follow.visible(f"{key + ':':15} {value}"))
    rows = []
    for vp, at in sorted(view["vps"].items()):
        end = at["end"] or {}
        left = ", ".join(f"{file['name']} ({file['bytes']} B)" for file in files[vp] if "bytes" in file)
        rows.append([vp, at["outcome"] or at["state"], str(at["results"]), str(at["refused"]), follow.why(end), left])
    click.echo()
    _table(["VP", "outcome", "results", "refused", "why", "files"], rows)


@cli.command(epilog=examples("onvp cancel 20260301-101500-k3f9ab"))
@click.argument("run_id", metavar="RUN")
def cancel(run_id: str) -> None:
    """Stop a run on all its VPs; what it delivered is kept."""
    with _connected() as controller:
        controller.cancel(run_id)
    click.echo(f"asked to cancel; see how it ends with `onvp follow {run_id}`", err=True)


@cli.command(
    "fetch",
    epilog=examples(
        "onvp fetch 20260301-101500-k3f9ab",
        "onvp fetch 20260301-101500-k3f9ab --out study/monday --vp wlg-nz",
    ),
)
@click.argument("run_id", metavar="RUN")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write into [default: RUN].")
@click.option("--vp", "names", metavar="NAME", multiple=True, help="Only this VP; may be repeated.")
def fetch_run(run_id: str, out: Path | None, names: tuple[str, ...]) -> None:
    """Bring what a run left, per VP: output.txt, results.jsonl, measurements.warts, artifacts/, run.json."""
    with _connected() as controller:
        view = controller.run(run_id)
        for name in names:
            if name not in view["vps"]:
                raise click.UsageError(f"the run did not go to {name!r}; it went to {', '.join(view['vps'])}")
        folder = out or Path(fetch.harmless(run_id))
        try:
            for file in fetch.fetch(controller, run_id, folder, names or sorted(view["vps"])):
                click.echo(f"{file.path} ({file.bytes} bytes)")
        except OSError as error:
            raise click.ClickException(f"cannot write to {folder}: {error}") from error
        if view["state"] != "done":
            click.echo("the run is still going on: this is what has arrived so far", err=True)


# ---- vantage points ----


@cli.command(epilog=examples("onvp vps"))
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def vps(as_json: bool) -> None:
    """List the vantage points: who is connected, where, with which probers and primitives."""
    with _connected() as controller:
        found = controller.vps()
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    _table(
        ["VP", "state", "where", "ASN", "tags", "level", "probers", "primitives", "runs"],
        [_vp_row(view) for view in found],
    )


def _vp_row(view: dict[str, Any]) -> list[str]:
    about = view.get("vp") or {}
    served: dict[str, list[str]] = {}
    for primitive, prober in sorted(view.get("primitives", {}).items()):
        served.setdefault(prober, []).append(primitive)
    state = "connected" if view["connected"] else f"away since {(view['seen'] or 'ever')[:19].replace('T', ' ')}"
    return [
        view["name"],
        "paused by its host" if view.get("paused") and view["connected"] else state,
        " ".join(str(about[key]) for key in ("place", "st", "cc") if about.get(key)),
        str(about.get("asn4") or about.get("asn6") or ""),
        " ".join(about.get("tags", ())),
        str(view.get("level", "")),
        ", ".join(f"{name} {release}" for name, release in sorted(view.get("probers", {}).items())),
        "; ".join(f"{prober}: {' '.join(names)}" for prober, names in sorted(served.items())),
        str(len(view["runs"])),
    ]


# ---- without a controller ----


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
        _print_problems(script, found["problems"])
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


# ---- login ----


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
    with _problems(), client.Client(wanted) as controller:
        me = controller.me()
    path = client.save_login(wanted)
    click.echo(f"logged in at {wanted.url} as {me['user']} ({me['role']}); kept in {path}", err=True)


# ---- what commands share ----


@contextlib.contextmanager
def _problems() -> Iterator[None]:
    """Errors as one sentence and an exit status."""
    try:
        yield
    except client.NoLoginError as error:
        _die(str(error), EXIT_USAGE)
    except client.ApiError as error:
        _die(str(error), EXIT_NO_CONTROLLER if error.status >= 500 else EXIT_USAGE)
    except client.UnreachableError as error:
        _die(str(error), EXIT_NO_CONTROLLER)


@contextlib.contextmanager
def _connected() -> Iterator[client.Client]:
    with _problems(), client.Client(client.load_login()) as controller:
        yield controller


def _die(sentence: str, status: int) -> None:
    click.echo(f"onvp: {follow.visible(sentence)}", err=True)
    sys.exit(status)


def _check_first(source: bytes, script: Path) -> None:
    try:
        source.decode("utf-8")
        if len(source) > CHECKED_BYTES:
            return
        problems = checker.check(source, script.name)["problems"]
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        _die(
            f"{script}:{line}: the script is not UTF-8 (byte 0x{source[error.start]:02x}). Save it as UTF-8.",
            2,
        )
    except checker.CheckError as error:
        click.echo(f"onvp: not checked here, the VP will: {error}", err=True)
    else:
        if problems:
            _print_problems(script, problems)
            sys.exit(EXIT_REFUSED)


def _print_problems(script: Path, problems: list[dict[str, Any]]) -> None:
    for problem in problems:
        click.echo(follow.visible(follow.problem_line(str(script), problem)))


def _only_vp(controller: client.Client) -> str:
    connected = [view["name"] for view in controller.vps() if view["connected"]]
    if len(connected) == 1:
        return str(connected[0])
    if not connected:
        raise click.UsageError("no vantage point is connected at the moment; see `onvp vps`")
    raise click.UsageError(f"which VP? Use --vp NAME or --on SELECTOR. Connected: {', '.join(connected)}")


def _limit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    match = _QUANTITY.fullmatch(value)
    if not name or match is None or match[2] not in _UNITS:
        raise click.UsageError(f"--limit {text!r} is not of the form NAME=VALUE, such as wall_s=10min")
    return name, float(match[1]) * _UNITS[match[2]]


def _table(headings: list[str], rows: list[list[str]]) -> None:
    if sys.stdout.isatty():
        Console(highlight=False).print(follow.rich_table(headings, rows))
    else:
        click.echo(follow.plain_table(headings, rows))


def _follow(controller: client.Client, run_id: str, vps: list[str], script: str, *, as_json: bool) -> int:
    tally = follow.Tally(vps)
    while True:
        try:
            _watch(controller, run_id, tally, script, as_json=as_json)
            return tally.exit_status()
        except KeyboardInterrupt:
            choice = _ask(run_id, vps)
        if choice == "cancel":
            with contextlib.suppress(client.ApiError):  # it may have ended meanwhile
                controller.cancel(run_id)
        elif choice == "leave":
            click.echo(
                f"left running: `onvp follow {run_id}` shows it again, `onvp cancel {run_id}` stops it",
                err=True,
            )
            return EXIT_INTERRUPTED


def _watch(controller: client.Client, run_id: str, tally: follow.Tally, script: str, *, as_json: bool) -> None:
    trouble = lambda sentence: click.echo(f"onvp: {follow.visible(sentence)}", err=True)  # noqa: E731
    if as_json:
        for event in controller.events(run_id, tally.last, on_trouble=trouble):
            tally.add(event)
            click.echo(json.dumps(event, ensure_ascii=False))
        return
    with follow.make_view() as view:
        narrator = follow.Narrator(view, run_id, list(tally.vps), script)
        view.update(tally)
        for event in controller.events(run_id, tally.last, on_trouble=view.tell):
            tally.add(event)
            narrator.narrate(event)
            view.update(tally)
        view.finish(tally)


def _ask(run_id: str, vps: list[str]) -> str:
    """What an interrupt means: ``cancel``, ``leave`` or ``go on``."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "leave"
    question = f"\n{run_id} is running on {', '.join(vps)}: [c]ancel, [l]eave it running, [g]o on following? [l] "
    try:
        while True:
            click.echo(question, nl=False, err=True)
            answer = _read_line().strip().lower()
            if answer in _ANSWERS:
                return _ANSWERS[answer]
    except KeyboardInterrupt:
        click.echo(err=True)
        return "leave"


_ANSWERS = {"c": "cancel", "l": "leave", "g": "go on", "": "leave"}


def _read_line() -> str:
    # Not input(): a second Ctrl-C that comes just before readline waits would only count after Enter.
    while not select.select((sys.stdin,), (), (), 0.2)[0]:
        pass
    return sys.stdin.readline()


if __name__ == "__main__":
    main()
