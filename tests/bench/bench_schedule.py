"""How exactly the companion's MIDAR probes leave: the deviation from their schedule.

python -m tests.bench.bench_schedule
"""

from tests.companion.bench_schedule import main

if __name__ == "__main__":
    main()
