"""`python -m tests.golden DIR...`: compare every recording under the folders with its oracles.

Prints each difference that the table of quirks does not explain, and a summary; exit status 1 if there
are any.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from tests.golden.bad import check as check_bad
from tests.golden.compare import compare, recordings


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("-v", "--verbose", action="store_true", help="list what was excused, too")
    options = parser.parse_args()
    files = objects = compared = bad = 0
    excused: Counter[str] = Counter()
    for folder in options.folders:
        for index in sorted(folder.rglob("index.json")):
            problems = check_bad(index)
            bad += len(problems)
            for problem in problems:
                print(problem)
        for path in recordings(folder):
            if (path.parent / "index.json").exists():
                continue
            outcome = compare(path)
            files += 1
            objects += outcome.objects
            compared += outcome.compared
            bad += len(outcome.problems)
            excused.update(outcome.excused)
            for problem in outcome.problems:
                print(f"{path}: {problem}")
    print(f"{files} recordings, {objects} objects, {compared} comparisons, {bad} unexplained differences")
    if options.verbose:
        for why, count in excused.most_common():
            print(f"  excused {count:6d} {why}")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
