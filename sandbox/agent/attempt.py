"""One run without a controller: ``onvp-vp try``. The whole path on this machine, events to the terminal.

What the script prints on stdout goes to stdout; everything else (its stderr, results, refusals, how it ended) goes
to stderr. With a folder, what the run leaves is written there, in the files that `onvp fetch` brings;
measurements stand in one part per prober connection, which `onvp try` joins.
"""

import datetime
import io
import json
import os
import sys
from pathlib import Path
from typing import IO, Any, TextIO

import msgspec

from onvp.sandbox.wire import link, records


class Terminal:
    """A sink that shows a run's events, and keeps what it leaves.

    Args:
        out: folder for what the run leaves, or None.
    """

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._files: dict[str, IO[bytes]] = {}
        self.end: link.End | None = None
        self.trouble = ""
        """Why what the run left is not complete in the folder; empty when it is."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal may not know every character
        self.started = datetime.datetime.now(datetime.UTC)

    async def room(self) -> None:
        """There is always room on a terminal."""

    def append(self, run: str, body: link.Body) -> None:
        """Show and keep one event. A disk that is full or a reader that has left does not end the run."""
        try:
            self._take(run, body)
        except OSError as error:
            if not self.trouble:
                self.trouble = f"{error.strerror or error}"
                _say(f"not all that the run leaves can be kept: {self.trouble}")
            if isinstance(body, link.End):
                self.end = body

    def _take(self, run: str, body: link.Body) -> None:
        match body:
            case link.Output():
                _write(sys.stderr if body.err else sys.stdout, body.text)
                self._keep(records.OUTPUT, body.text.encode())
            case link.Result():
                _say(f"result {body.json.decode(errors='replace')}")
                self._keep(records.RESULTS, body.json + b"\n")
            case link.Measurement():
                self._keep(f"{records.MEASUREMENTS}.{body.connection:03d}", body.data)
            case link.Artifact():
                self._keep_artifact(body)
            case link.Refusal():
                _say(f"refused {body.primitive} {body.target}: {body.sentence} (rule {body.rule}, {body.where})")
            case link.Clamped():
                for clamp in body.clamps:
                    _say(
                        f"narrowed {body.primitive} {body.target}: {clamp.parameter} {clamp.asked} -> {clamp.given} "
                        f"(rule {clamp.rule}, {clamp.where})"
                    )
            case link.Note():
                _say(body.text)
            case link.State():
                pass
            case link.End():
                self._finish(run, body)

    def _finish(self, run: str, end: link.End) -> None:
        self.end = end
        for problem in end.problems:
            _say(f"line {problem.line}, column {problem.column}: {problem.message}")
        _say(f"{end.outcome}{': ' + end.reason if end.reason else ''}")
        if self._out is None:
            return
        facts: dict[str, Any] = dict(end.facts)
        kept = records.RunFile(
            run=run,
            vp=facts.pop("vp", {}),
            user=facts.pop("user", ""),
            script=facts.pop("filename", ""),
            script_sha256=facts.pop("script_sha256", ""),
            args=facts.pop("args", []),
            started=self.started.isoformat(),
            ended=datetime.datetime.now(datetime.UTC).isoformat(),
            outcome=end.outcome,
            status=end.status,
            reason=end.reason,
            limit=end.limit,
            counters=end.counters,
            facts=facts,
        )
        self._keep(records.RUN, json.dumps(msgspec.to_builtins(kept), indent=1).encode() + b"\n")
        for file in self._files.values():
            file.close()

    def _keep(self, name: str, data: bytes) -> None:
        if self._out is None:
            return
        file = self._files.get(name)
        if file is None:
            path = self._out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            file = self._files[name] = path.open("wb")
        file.write(data)

    def _keep_artifact(self, body: link.Artifact) -> None:
        # The session has judged the name: one part of a path, printable, not hidden.
        name = f"{records.ARTIFACTS}/{body.name}"
        if body.truncate and name in self._files:
            self._files.pop(name).close()
        self._keep(name, body.data)


def _say(text: Any) -> None:
    _write(sys.stdout, "")
    _write(sys.stderr, f"onvp: {text}\n")


def _write(stream: TextIO, text: str) -> None:
    """Write at once; when the reader has left (``onvp-vp try … | head``), nothing more is shown."""
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
