"""What a researcher downloads: event lines, and the files that a run leaves.

A run directory holds, per VP, ``output.txt``, ``results.jsonl``, ``measurements.warts``, ``artifacts/``
and ``run.json``. The same `EventLine` is what the controller streams to whoever follows a run: one JSON
object a line.
"""

from typing import Any

import msgspec

OUTPUT = "output.txt"
RESULTS = "results.jsonl"
MEASUREMENTS = "measurements.warts"
RUN = "run.json"
ARTIFACTS = "artifacts"


class EventLine(msgspec.Struct, omit_defaults=True):
    """One line of ``GET /v1/runs/ID/events``.

    ``type`` is the tag of the event's body in `onvp.sandbox.wire.link` (``state``, ``output``,
    ``result``, ``refusal``, ``clamped``, ``note``, ``end``; ``measurement`` and ``artifact`` lines carry
    sizes, the bytes are downloaded apart), or ``run`` for the run as a whole (``data.state`` is
    ``done`` on the last line of a run that has ended everywhere).
    """

    id: int
    run: str
    vp: str
    time: float
    type: str
    data: dict[str, Any] = {}


class RunFile(msgspec.Struct, omit_defaults=False):
    """``run.json``: enough to repeat the run."""

    run: str
    vp: dict[str, Any]
    user: str
    script: str
    script_sha256: str
    args: list[str]
    started: str
    ended: str
    outcome: str
    status: int | None
    reason: str
    limit: str
    counters: dict[str, float]
    facts: dict[str, Any]
