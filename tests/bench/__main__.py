"""Every benchmark, one after the other, each in a process of its own; a name runs one of them."""

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run the benchmarks; gives the exit status."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    wanted = [f"bench_{name.removeprefix('bench_')}" for name in sys.argv[1:]] or names
    unknown = set(wanted) - set(names)
    if unknown:
        print(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    failed = 0
    for name in wanted:
        print(f"\n== {name.removeprefix('bench_')}\n", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
