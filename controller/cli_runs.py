"""What was, and what is there: ``onvp runs|show|cancel|fetch|vps``."""

import json
from pathlib import Path
from typing import Any

import click

from onvp.controller import fetch, follow
from onvp.controller.cli_common import connected, examples, table


@click.command(epilog=examples("onvp runs --limit 5"))
@click.option("--limit", "count", default=20, show_default=True, help="How many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def runs(count: int, as_json: bool) -> None:
    """List your runs (all runs, for an operator), newest first."""
    with connected() as controller:
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
    table(["run", "user", "script", "submitted (UTC)", "state", "VPs"], rows)


@click.command(epilog=examples("onvp show 20260301-101500-k3f9ab"))
@click.argument("run_id", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
def show(run_id: str, as_json: bool) -> None:
    """Show one run: what was asked, where it ran, how it ended, what it left."""
    with connected() as controller:
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
    table(["VP", "outcome", "results", "refused", "why", "files"], rows)


@click.command(epilog=examples("onvp cancel 20260301-101500-k3f9ab"))
@click.argument("run_id", metavar="RUN")
def cancel(run_id: str) -> None:
    """Stop a run on all its VPs; what it delivered is kept."""
    with connected() as controller:
        controller.cancel(run_id)
    click.echo(f"asked to cancel; see how it ends with `onvp follow {run_id}`", err=True)


@click.command(
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
    with connected() as controller:
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


@click.command(epilog=examples("onvp vps"))
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def vps(as_json: bool) -> None:
    """List the vantage points: who is connected, where, with which probers and primitives."""
    with connected() as controller:
        found = controller.vps()
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    table(
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
