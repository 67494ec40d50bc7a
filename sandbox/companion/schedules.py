"""When midarest and midardisc send which probe: plain arithmetic, no clock.

A plan is a list of (offset in µs, index of the probe definition, round). Offsets count from the start of the
measurement and are all fixed beforehand, so lateness of one probe does not shift the next.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from onvp.sandbox.companion.results import Round


class Planned(NamedTuple):
    """One probe of a plan."""

    offset_us: int
    which: int
    round: int


def midarest(
    methods: int, addresses: int, rounds: int, wait_probe_us: int, wait_round_us: int, rng: random.Random
) -> list[Planned]:
    """Every address is probed with every method once in a round, evenly spaced.

    Definitions are numbered method by method: the one of method m and address a is m * addresses + a. Each
    round goes through the addresses in order, once per method; which of its methods an address gets
    first is shuffled in each round.
    """
    plan: list[Planned] = []
    for r in range(rounds):
        order = [list(range(methods)) for _ in range(addresses)]
        for methods_of_one in order:
            rng.shuffle(methods_of_one)
        for turn in range(methods):
            for a in range(addresses):
                offset = r * wait_round_us + (turn * addresses + a) * wait_probe_us
                plan.append(Planned(offset, order[a][turn] * addresses + a, r))
    return plan


def midardisc(schedule: Sequence[Round]) -> list[Planned]:
    """Each round probes its window of definitions, first to last, evenly over the time to the next round.

    The last round is as long as the one before it.
    """
    plan: list[Planned] = []
    for i, r in enumerate(schedule):
        a, b = (i, i + 1) if i + 1 < len(schedule) else (i - 1, i)
        length = schedule[b].start_us - schedule[a].start_us
        count = r.end - r.begin + 1
        plan += [
            Planned(r.start_us + length * k // count, which, i) for k, which in enumerate(range(r.begin, r.end + 1))
        ]
    return plan
