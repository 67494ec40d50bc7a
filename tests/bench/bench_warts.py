"""How fast recordings decode to objects, against upstream's `sc_warts2json` on the same file.

    python -m tests.bench.bench_warts [SC_WARTS2JSON]

Files of one kind are made by joining recordings of the corpus with themselves. Both programs read the file
whole; ours is asked for every object, and the time of starting a process is taken off for theirs (measured
with a recording of one record). The last column shows that the time per record does not grow with the file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from onvp.native._warts import Decoder, concat

CORPUS = Path(__file__).parents[1] / "golden" / "corpus"
UNREADABLE = ("midarest", "midardisc", "malformed", "exclude")
"""Recordings at which one of the programs ends."""
SETS = {
    "ping": "ping-*.warts",
    "trace": "trace-*.warts",
    "dns": "host-*.warts",
    "tracelb": "tracelb-*.warts",
    "dealias": "dealias-[amr]*.warts",
}
PIECE = 1 << 16
ROUNDS = 12


def decode(data: bytes) -> int:
    """Decode a stream piece by piece, as a file is read, to objects; count them and let them go."""
    decoder = Decoder(max_record=1 << 30)
    return sum(len(decoder.feed(data[at : at + PIECE])) for at in range(0, len(data), PIECE))


def best(*runs: Callable[[], object]) -> list[float]:
    """The shortest time of each, in seconds; they take turns, so that a busy machine is busy for all."""
    out = [float("inf")] * len(runs)
    for _ in range(ROUNDS):
        for i, run in enumerate(runs):
            began = time.perf_counter()
            run()
            out[i] = min(out[i], time.perf_counter() - began)
    return out


def main() -> None:
    """Print the table."""
    tool = sys.argv[1] if len(sys.argv) > 1 else shutil.which("sc_warts2json")
    # Debian's tool reads what its own generation wrote; a current one is given by its path.
    made_by = "new" if len(sys.argv) > 1 else "old"
    print(
        f"{'set':10} {'records':>8} {'ours ms':>8} {'theirs ms':>9} {'ratio':>6} {'us/record':>10}"
        f" {'us/record, 10x file':>20}"
    )
    for name, pattern in SETS.items():
        parts = [
            path.read_bytes()
            for path in sorted((CORPUS / made_by).glob(pattern))
            if not any(word in path.name for word in UNREADABLE)
        ]
        one = concat(parts * max(1, 300_000 // sum(map(len, parts))))
        longer = concat([one] * 10)
        count = decode(one)
        with tempfile.NamedTemporaryFile(suffix=".warts") as full, tempfile.NamedTemporaryFile() as empty:
            full.write(longer)
            full.flush()
            empty.write(parts[0][: 8 + int.from_bytes(parts[0][4:8], "big")])
            empty.flush()
            runs: list[Callable[[], object]] = [partial(decode, one), partial(decode, longer)]
            if tool:
                runs += [partial(convert, tool, full.name), partial(convert, tool, empty.name)]
            ours, ours_longer, *rest = best(*runs)
        theirs = rest[0] - rest[1] if rest else float("nan")
        print(
            f"{name:10} {10 * count:8d} {ours_longer * 1e3:8.1f} {theirs * 1e3:9.1f} {theirs / ours_longer:6.1f}"
            f" {ours / count * 1e6:10.2f} {ours_longer / count / 10 * 1e6:20.2f}"
        )


def convert(tool: str, file: str) -> None:
    """Run upstream's program on a file."""
    subprocess.run([tool, file], stdout=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    main()
