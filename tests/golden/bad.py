"""The malformed recordings: what `index.json` says of upstream's reader against ours.

`reader` is `eof N` (N records, decoded to the end), `error N` (an error after N) or `noopen`.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.golden.compare import compare, read

# File name -> why we differ from upstream's reader on purpose.
DIFFERENT: dict[str, str] = {}


def check(index: Path) -> list[str]:
    """Problems of the recordings that an index lists and that are there."""
    problems = []
    for name, facts in json.loads(index.read_text("utf-8")).items():
        path = index.parent / name
        if not path.exists() or name in DIFFERENT:
            continue
        objects, error = read(path)
        end = facts["reader"].split()[0]
        ours = f"{'error' if error else 'eof'} {len(objects)}"
        if end == "noopen":
            if objects:
                problems.append(f"{path}: ours {ours}, theirs {facts['reader']}")
            continue
        if ours != facts["reader"]:
            problems.append(f"{path} ({facts['what']}): ours {ours} ({error}), theirs {facts['reader']}")
        elif end == "eof":
            problems += [f"{path}: {problem}" for problem in compare(path).problems]
    return problems
