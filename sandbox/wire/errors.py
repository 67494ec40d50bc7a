"""The table of outcomes and error codes that cross a process border.

A run ends in exactly one `Outcome`. Everything that is refused or fails on the way carries a
`Code`, so that a person reads the sentence and a program reads the code.
"""

import enum


class WireError(ValueError):
    """The peer broke the message format; the connection cannot go on."""


class Outcome(enum.StrEnum):
    """How a run on one VP ended."""

    FINISHED = "finished"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed-out"
    KILLED = "killed"
    LOST = "lost"


EXIT_STATUS: dict[Outcome, int] = {
    Outcome.FINISHED: 0,
    Outcome.FAILED: 1,
    # 2 is a usage error of the command line itself.
    Outcome.REFUSED: 3,
    Outcome.TIMED_OUT: 4,
    Outcome.KILLED: 4,
    Outcome.LOST: 5,
    Outcome.CANCELLED: 6,
}
"""Exit status of `onvp run`, `onvp try` and `onvp follow`; over several VPs the largest counts."""


class Code(enum.StrEnum):
    """Stable codes; the sentence beside a code may change, the code does not."""

    # The script's fault.
    LANGUAGE = "language"  # the script uses what scripts may not
    SCRIPT_ERROR = "script-error"  # an exception left the script
    BAD_TYPE = "bad-type"  # a parameter of the wrong type
    BAD_VALUE = "bad-value"  # a parameter out of its documented range
    PROTOCOL = "protocol"  # the worker broke the message format

    # A policy's word.
    POLICY = "policy"  # a rule forbids it
    BUDGET = "budget"  # a budget is used up
    RATE = "rate"  # it would wait longer than the policy lets it
    LIMIT = "limit"  # a limit of the run ended it
    PAUSED = "paused"  # the site host pressed stop
    LEVEL = "level"  # confinement is below the level that the policy requires

    # The prober's or the network's fault.
    PROBER = "prober"  # the prober refused or failed
    PROBER_LOST = "prober-lost"  # the prober or the VP is gone
    UNSUPPORTED = "unsupported"  # no prober of this VP can do or express it

    # Ours.
    INTERNAL = "internal"
