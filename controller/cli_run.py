"""``onvp run`` and ``onvp follow``: a run, live, from the researcher's chair."""

import base64
import contextlib
import json
import re
import select
import sys
from pathlib import Path
from typing import Any

import click

from onvp.controller import checker, client, follow
from onvp.controller.cli_common import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    args_argument,
    connected,
    die,
    examples,
    print_problems,
    script_argument,
)

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


@click.command(
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
    with connected() as controller:
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


@click.command("follow", epilog=examples("onvp follow 20260301-101500-k3f9ab"))
@click.argument("run_id", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout, for programs.")
def follow_run(run_id: str, as_json: bool) -> None:
    """Show a run from its start, and go on until it ends everywhere."""
    with connected() as controller:
        view = controller.run(run_id)
        sys.exit(_follow(controller, run_id, sorted(view["vps"]), view["script"], as_json=as_json))


def _check_first(source: bytes, script: Path) -> None:
    try:
        source.decode("utf-8")
        if len(source) > CHECKED_BYTES:
            return
        problems = checker.check(source, script.name)["problems"]
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        die(
            f"{script}:{line}: the script is not UTF-8 (byte 0x{source[error.start]:02x}). Save it as UTF-8.",
            2,
        )
    except checker.CheckError as error:
        click.echo(f"onvp: not checked here, the VP will: {error}", err=True)
    else:
        if problems:
            print_problems(script, problems)
            sys.exit(EXIT_REFUSED)


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


_ANSWERS = {"c": "cancel", "l": "leave", "g": "go on", "": "leave"}


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


def _read_line() -> str:
    # Not input(): a second Ctrl-C that comes just before readline waits would only count after Enter.
    while not select.select((sys.stdin,), (), (), 0.2)[0]:
        pass
    return sys.stdin.readline()
