"""How punctually the raw worker sends: ``python -m tests.bench.bench_schedule``.

A midardisc schedule with a start time is run over loopback, at several rates, on an idle machine and
beside two processes that only compute. Lateness is a probe's time stamp less its planned time.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from onvp.native import _warts
from tests.companion.dialogue import Dialogue, companion

BUDGET_MS = 5.0
PROBES = 400
ROUND = 20


def lateness_us(sock: Path, gap_ms: int) -> list[float]:
    """Run one schedule; the lateness of each probe in microseconds, sorted."""
    start = round(time.time() + 0.5, 6)
    rounds = " ".join(f"-S {k * ROUND * gap_ms / 1000:.3f}:0:{ROUND - 1}" for k in range(PROBES // ROUND))
    defs = " ".join(f"-p '-P icmp-echo -i 127.0.2.{k + 1}'" for k in range(ROUND))
    with Dialogue(sock, 120) as c:
        stream = c.measure(f"dealias -m midardisc -@ {start:.6f} -w 1 {rounds} {defs}")
    (seen,) = (o for o in _warts.Decoder().feed(stream) if type(o).__name__ == "ScamperDealias")
    probes: list[Any] = list(seen.probes())
    assert len(probes) == PROBES
    return sorted((p.tx.timestamp() - start) * 1e6 - k * gap_ms * 1000 for k, p in enumerate(probes))


def main() -> int:
    """Print the table; 1 if a median is over the budget."""
    worst = 0.0
    print(f"{'load':<12}{'gap':>8}{'median':>12}{'95 %':>12}{'largest':>12}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        with companion(folder) as sock:
            for load in (0, 2):
                busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(load)]
                try:
                    for gap_ms in (20, 5, 1):
                        late = lateness_us(sock, gap_ms)
                        median, high = late[len(late) // 2], late[len(late) * 95 // 100]
                        worst = max(worst, median / 1000)
                        row = f"{median:>9.0f} µs{high:>9.0f} µs{late[-1]:>9.0f} µs"
                        print(f"{f'{load} busy' if load else 'idle':<12}{gap_ms:>5} ms{row}", flush=True)
                finally:
                    for process in busy:
                        process.kill()
                        process.wait()
    print(f"largest median {worst:.3f} ms, budget {BUDGET_MS} ms")
    return int(worst > BUDGET_MS)


if __name__ == "__main__":
    sys.exit(main())
