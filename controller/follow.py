"""Shows a run while it happens.

Theory of operation
-------------------
Events go in, lines come out, and `Tally` remembers how each vantage point stands. What the script says
(its output and results) goes to stdout, everything else to stderr, so that a pipe gets the script's words
only. On a terminal both share one live display: lines scroll by above a table of states. With ``json``
every event is one line, unchanged.

What a script or a vantage point wrote may hold control sequences: they are made visible before they reach
a terminal, and are left as they are in a pipe.
"""

import json
import re
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from onvp.sandbox.wire.errors import EXIT_STATUS, Outcome

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_STYLES = {
    "finished": "green",
    "running": "cyan",
    "failed": "red",
    "refused": "yellow",
    "killed": "red",
    "timed-out": "red",
    "lost": "red",
    "cancelled": "magenta",
}


@dataclass
class Standing:
    """How a run stands on one vantage point."""

    state: str = "offered"
    outcome: str = ""
    status: int | None = None
    why: str = ""
    results: int = 0
    refused: int = 0
    clamped: int = 0
    calls: float | None = None
    wall_s: float | None = None


class Tally:
    """What the events so far add up to.

    Attributes:
        last: the id of the last event, after which a stream can be resumed.
        done: the run has ended everywhere.
        vps: the standings.
    """

    def __init__(self, vps: list[str]) -> None:
        self.last = 0
        self.done = False
        self.vps = {vp: Standing() for vp in vps}

    def add(self, event: dict[str, Any]) -> None:
        """Count an event."""
        self.last, data = event["id"], event["data"]
        if event["type"] == "run":
            self.done = data["state"] == "done"
            return
        standing = self.vps.setdefault(event["vp"], Standing())
        match event["type"]:
            case "state":
                standing.state, standing.outcome = data["state"], ""
            case "result":
                standing.results += 1
            case "refusal":
                standing.refused += 1
            case "clamped":
                standing.clamped += 1
            case "end":
                counters = data.get("counters", {})
                standing.state = standing.outcome = data["outcome"]
                standing.status, standing.why = data.get("status"), why(data)
                standing.calls, standing.wall_s = counters.get("calls"), counters.get("wall_s")

    def exit_status(self) -> int:
        """Of all vantage points the worst, by the table in `onvp.sandbox.wire.errors`."""
        statuses = [0]
        for standing in self.vps.values():
            if standing.outcome:
                known = standing.outcome in set(Outcome)
                statuses.append(EXIT_STATUS[Outcome(standing.outcome)] if known else 1)
        return max(statuses)

    def rows(self) -> list[list[str]]:
        """The final table."""
        return [
            [
                name,
                vp.outcome or vp.state,
                "" if vp.status is None else str(vp.status),
                str(vp.results),
                "" if vp.calls is None else f"{vp.calls:g}",
                str(vp.refused),
                "" if vp.wall_s is None else f"{vp.wall_s:.2f} s",
                vp.why,
            ]
            for name, vp in sorted(self.vps.items())
        ]


HEADINGS = ["VP", "outcome", "status", "results", "calls", "refused", "time", "why"]


def why(end: dict[str, Any]) -> str:
    """The reason of an end, in one line."""
    if end.get("reason"):
        return str(end["reason"]).splitlines()[0]
    if end.get("limit"):
        return f"limit: {end['limit']}"
    if end.get("problems"):
        return f"{len(end['problems'])} problem(s) in the script"
    lines = str(end.get("error") or "").strip().splitlines()
    return lines[-1] if lines else ""


class View(Protocol):
    """Where lines go."""

    def say(self, text: str) -> None:
        """A line of the script's words."""

    def tell(self, text: str, style: str = "") -> None:
        """A line about the run."""

    def update(self, tally: Tally) -> None:
        """The standings changed."""

    def finish(self, tally: Tally) -> None:
        """Show the final table."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class PlainView:
    """Lines only; for pipes, files and other programs."""

    def say(self, text: str) -> None:
        """To stdout, as it came, unless that is a terminal."""
        sys.stdout.write((visible(text) if sys.stdout.isatty() else text) + "\n")
        sys.stdout.flush()

    def tell(self, text: str, style: str = "") -> None:
        """To stderr."""
        sys.stderr.write(visible(text) + "\n")
        sys.stderr.flush()

    def update(self, tally: Tally) -> None:
        """A plain view has nothing that stands still."""

    def finish(self, tally: Tally) -> None:
        """The table, to stderr."""
        self.tell(plain_table(HEADINGS, tally.rows()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return


class LiveView:
    """A terminal: lines scroll by above a table of states."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._live = Live(console=console, auto_refresh=True, refresh_per_second=4, transient=True)

    def say(self, text: str) -> None:
        """The script's words, unstyled."""
        self._console.print(Text(visible(text)), soft_wrap=True)

    def tell(self, text: str, style: str = "") -> None:
        """Dim, unless it matters."""
        self._console.print(Text(visible(text), style or "dim"), soft_wrap=True)

    def update(self, tally: Tally) -> None:
        """Redraw the states."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for name, vp in sorted(tally.vps.items()):
            state = vp.outcome or vp.state
            counts = f"{vp.results} result{'' if vp.results == 1 else 's'}" + (
                f", {vp.refused} refused" if vp.refused else ""
            )
            table.add_row(name, Text(visible(state), _STYLES.get(state, "dim")), counts)
        self._live.update(table)

    def finish(self, tally: Tally) -> None:
        """The final table stays on the screen."""
        self._live.stop()
        self._console.print(rich_table(HEADINGS, tally.rows()))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


class Narrator:
    """Turns events into lines."""

    def __init__(self, view: View, run: str, vps: list[str], script: str) -> None:
        self._view = view
        self._run = run
        self._script = script
        self._several = len(vps) > 1
        self._partial: dict[tuple[str, bool], str] = {}

    def narrate(self, event: dict[str, Any]) -> None:
        """Show one event."""
        vp, data = event["vp"], event["data"]
        match event["type"]:
            case "output":
                self._output(vp, data["text"], data.get("err", False))
            case "result":
                value = json.dumps(data["value"], ensure_ascii=False) if "value" in data else data["text"]
                self._view.say(f"{vp + ' ' if self._several else ''}=> {value}")
            case "state":
                self._view.tell(f"{vp}: {data['state']}")
            case "refusal":
                what = f"{data['primitive']} {data['target']}".strip()
                self._view.tell(f"{vp}: refused: {what}: {_because(data)}", "yellow")
            case "clamped":
                what = f"{data['primitive']} {data['target']}".strip()
                for clamp in data["clamps"]:
                    self._view.tell(
                        f"{vp}: narrowed: {what}: {clamp['parameter']} {clamp['asked']} → {clamp['given']} "
                        f"(rule {clamp['rule']}, {clamp['where']})",
                        "yellow",
                    )
            case "note":
                self._view.tell(f"{vp}: note: {data['text']}")
            case "end":
                self._end(vp, data)
            case "run" if data["state"] == "cancelling":
                self._view.tell(f"{self._run}: {data.get('by', 'somebody')} asked to cancel")

    def _output(self, vp: str, text: str, err: bool) -> None:
        *lines, rest = (self._partial.pop((vp, err), "") + text).split("\n")
        for line in lines:
            self._line(vp, line, err)
        if rest:
            self._partial[vp, err] = rest

    def _line(self, vp: str, line: str, err: bool) -> None:
        shown = f"{vp} | {line}" if self._several else line
        if err:
            self._view.tell(shown, "red")
        else:
            self._view.say(shown)

    def _end(self, vp: str, data: dict[str, Any]) -> None:
        for err in (False, True):
            rest = self._partial.pop((vp, err), "")
            if rest:
                self._line(vp, rest, err)
        outcome = data["outcome"]
        style = _STYLES.get(outcome, "")
        reason = f": {data['reason']}" if data.get("reason") else ""
        self._view.tell(f"{vp}: {outcome}{reason}", style)
        for problem in data.get("problems", ()):
            self._view.tell(f"{vp}:   {problem_line(self._script, problem)}", style)
        # A traceback is not told again: the script's own stderr has shown it.


def _because(refusal: dict[str, Any]) -> str:
    place = ", ".join(part for part in (f"rule {refusal['rule']}" if refusal["rule"] else "", refusal["where"]) if part)
    return f"{refusal['sentence']} ({place})" if place else str(refusal["sentence"])


def problem_line(script: str, problem: dict[str, Any]) -> str:
    """A language problem as editors read it; one of the script as a whole has no line."""
    place = f"{script}:{problem['line']}:{problem['column']}" if problem["line"] else script
    return f"{place}: {problem['message']}"


def make_view() -> View:
    """A live display if both streams are the terminal, else lines."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        return LiveView(Console(highlight=False))
    return PlainView()


def visible(text: str) -> str:
    """Text whose control characters cannot steer a terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def plain_table(headings: list[str], rows: list[list[str]]) -> str:
    """Aligned columns."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (headings, *rows)
    )


def rich_table(headings: list[str], rows: list[list[str]]) -> Table:
    """The same for a terminal."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell), _STYLES.get(cell, "")) for cell in row))
    return table
