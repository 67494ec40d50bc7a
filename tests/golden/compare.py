"""One recording against its oracles.

They are `.json` (sc_warts2json), `.attrs.json` (upstream's Python module) and `.dump` (sc_wartsdump).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onvp.native import _warts
from onvp.native.errors import WartsError
from onvp.native.files import ScamperFile
from tests.golden.describe import describe
from tests.golden.dump import said, seen
from tests.golden.quirks import MISSING, QUIRKS, STALE_DUMPS

# Lists whose order the oracle's module does not define.
UNORDERED = {"addrs()", "ans_addrs()", "ans_nses()", "ans_ptrs()"}
# The lines that sc_warts2json writes wrong, and how they were meant.
REPAIRS = (
    ('{"kind":"fo", {', '{"kind":"fo"}, {'),
    ('{"kind":"fo-exp"]', '{"kind":"fo-exp"}]'),
)


@dataclass
class Outcome:
    """What comparing one recording gave."""

    objects: int = 0
    compared: int = 0
    problems: list[str] = field(default_factory=list)
    excused: dict[str, int] = field(default_factory=dict)

    def note(self, oracle: str, where: str, path: str, ours: Any, theirs: Any) -> None:
        """Count a difference as excused, or keep it as a problem."""
        for quirk in QUIRKS:
            if quirk.oracle == oracle and quirk.path in (path, "*") and quirk.holds(ours, theirs):
                self.excused[quirk.why] = self.excused.get(quirk.why, 0) + 1
                return
        shown = ["nothing" if x is MISSING else json.dumps(x)[:100] for x in (ours, theirs)]
        self.problems.append(f"{oracle} {where}: {path}: ours {shown[0]}, theirs {shown[1]}")


def recordings(folder: Path) -> Iterator[Path]:
    """The recordings under a folder, compressed ones included."""
    for path in sorted(folder.rglob("*.warts*")):
        if path.suffix in {".warts", ".gz", ".bz2", ".xz"}:
            yield path


def records(data: bytes) -> list[bytes]:
    """A stream cut into its records."""
    out = []
    while data:
        length = 8 + int.from_bytes(data[4:8], "big")
        out.append(data[:length])
        data = data[length:]
    return out


def stem_of(path: Path) -> Path:
    """The path without `.warts` and what follows it."""
    return path.with_name(path.name.split(".warts")[0])


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values in the oracles' form differ: path, ours, theirs."""
    if isinstance(theirs, dict) and "!error" in theirs:
        yield path, ours, theirs
    elif isinstance(ours, dict) and isinstance(theirs, dict):
        # Names of header fields are data: they are no part of the path.
        inside = path if path.endswith("_hdrs") else str(theirs.get("_", path))
        for key in sorted(set(ours) | set(theirs)):
            yield from differences(ours.get(key, MISSING), theirs.get(key, MISSING), _join(inside, key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        if path.rsplit(".", 1)[-1] in UNORDERED:
            ours, theirs = sorted(ours), sorted(theirs)
        for a, b in zip(ours, theirs, strict=True):
            yield from differences(a, b, path)
    elif isinstance(ours, float) or isinstance(theirs, float):
        numbers = isinstance(ours, float | int) and isinstance(theirs, float | int)
        if not (numbers and abs(ours - theirs) < 1e-9):
            yield path, ours, theirs
    elif ours != theirs or type(ours) is not type(theirs):
        yield path, ours, theirs


def _join(inside: str, key: str) -> str:
    return inside if inside.endswith("_hdrs") else f"{inside}.{key}" if inside else key


def read(path: Path) -> tuple[list[Any], WartsError | None]:
    """All objects of a recording up to its end or its first bad record."""
    objects: list[Any] = []
    try:
        with ScamperFile(str(path)) as file:
            for item in file:
                objects.append(item)
    except WartsError as error:
        return objects, error
    return objects, None


def compare(path: Path) -> Outcome:
    """Compare a recording with the oracles beside it."""
    out = Outcome()
    objects, _ = read(path)
    out.objects = len(objects)
    stem = stem_of(path)
    attrs = stem.with_name(stem.name + ".attrs.json")
    if attrs.exists():
        _compare_attrs(out, objects, json.loads(attrs.read_text("utf-8")))
    lines = stem.with_name(stem.name + ".json")
    if lines.exists():
        _compare_json(out, objects, lines.read_text("utf-8").splitlines())
    dump = stem.with_name(stem.name + ".dump")
    if dump.exists() and dump.name not in STALE_DUMPS:
        _compare_dump(out, objects, dump.read_text("utf-8"))
    return out


def _compare_attrs(out: Outcome, objects: list[Any], oracle: list[Any]) -> None:
    if len(objects) != len(oracle):
        out.problems.append(f"attrs: {len(objects)} objects, the oracle has {len(oracle)}")
    for number, (item, theirs) in enumerate(zip(objects, oracle, strict=False)):
        out.compared += 1
        for where, a, b in differences(describe(item), theirs):
            out.note("attrs", f"object {number}", where, a, b)


def _repaired(line: str) -> Any:
    for wrong, right in REPAIRS:
        line = line.replace(wrong, right)
    head, found, tail = line.partition('"probe_tsps":[')
    if found:
        addrs, _, rest = tail.partition("]")
        line = head + found + addrs.replace('""', '","') + "]" + rest
    return json.loads(line)


def _compare_json(out: Outcome, objects: list[Any], lines: list[str]) -> None:
    ours = [text for text in map(_warts.json_of, objects) if text is not None]
    if len(ours) != len(lines):
        out.note("json", "lines", "lines", [len(ours), _stopper(objects)], len(lines))
    for number, (text, line) in enumerate(zip(ours, lines, strict=False)):
        out.compared += 1
        mine = json.loads(text)
        for where, a, b in differences(mine, _repaired(line), str(mine["type"])):
            out.note("json", f"line {number}", where, a, b)


def _compare_dump(out: Outcome, objects: list[Any], text: str) -> None:
    oracle = said(text)
    if len(objects) != len(oracle):
        out.problems.append(f"dump: {len(objects)} objects, the oracle has {len(oracle)}")
    for number, (item, theirs) in enumerate(zip(objects, oracle, strict=False)):
        out.compared += 1
        ours = {name: value for name, value in seen(item).items() if name in theirs}
        for where, a, b in differences(ours, theirs, theirs["kind"]):
            out.note("dump", f"object {number}", where, a, b)


def _stopper(objects: list[Any]) -> bool:
    """A record at which sc_warts2json ends."""
    return any(
        isinstance(item, getattr(_warts, "ScamperDealias", ())) and (item.is_midarest() or item.is_midardisc())
        for item in objects
    )
