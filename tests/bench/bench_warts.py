"""How fast recordings decode to objects, against upstream's `sc_warts2json` on the same file.

    python -m tests.bench.bench_warts [SC_WARTS2JSON]

Files of one kind are made by joining recordings of the corpus with themselves. Both programs read the file
whole; ours is asked for every object, and the time of starting a process is taken off for theirs (measured
with an empty recording). The last column shows that the time per record does not grow with the file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from onvp.native._warts import Decoder, concat

CORPUS = Path(__file__).parents[1] / "golden" / "corpus"
SETS = {
    "ping": "new/ping-*.warts",
    "trace": "new/trace-*.warts",
    "dns": "new/host-*.warts",
    "tracelb": "new/tracelb-*.warts",
    "dealias": "new/dealias-[amr]*.warts",
}
TIMES = 5


def best(run: object) -> float:
    """The shortest of a few runs, in seconds."""
    out = []
    for _ in range(TIMES):
        began = time.perf_counter()
        run()  # type: ignore[operator]
        out.append(time.perf_counter() - began)
    return min(out)


def decode(data: bytes) -> int:
    """Decode a stream to objects and count them."""
    return len(Decoder(max_record=1 << 30).feed(data))


def main() -> None:
    """Print the table."""
    tool = sys.argv[1] if len(sys.argv) > 1 else shutil.which("sc_warts2json")
    print(f"{'set':10} {'records':>8} {'ours ms':>8} {'theirs ms':>9} {'ratio':>6} {'us/record':>10}"
          f" {'us/record, 10x file':>20}")  # fmt: skip
    for name, pattern in SETS.items():
        parts = [
            path.read_bytes()
            for path in sorted(CORPUS.glob(pattern))
            if "midarest" not in path.name and "midardisc" not in path.name
        ]
        one = concat(parts * max(1, 300_000 // sum(map(len, parts))))
        count = decode(one)
        ours = best(lambda data=one: decode(data))
        longer = concat([one] * 10)
        ours_longer = best(lambda data=longer: decode(data))
        theirs = ratio = float("nan")
        if tool:
            with tempfile.NamedTemporaryFile(suffix=".warts") as file:
                file.write(longer)
                file.flush()
                command = [tool, file.name]
                theirs = best(lambda c=command: subprocess.run(c, stdout=subprocess.DEVNULL, check=False))
            with tempfile.NamedTemporaryFile(suffix=".warts") as file:
                file.write(parts[0][: 8 + int.from_bytes(parts[0][4:8], "big")])
                file.flush()
                command = [tool, file.name]
                theirs -= best(lambda c=command: subprocess.run(c, stdout=subprocess.DEVNULL, check=False))
            ratio = theirs / ours_longer
        print(
            f"{name:10} {10 * count:8d} {ours_longer * 1e3:8.1f} {theirs * 1e3:9.1f} {ratio:6.1f}"
            f" {ours / count * 1e6:10.2f} {ours_longer / count / 10 * 1e6:20.2f}"
        )


if __name__ == "__main__":
    main()
