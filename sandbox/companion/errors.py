"""What can go wrong in the companion, told apart by whose fault it is.

`CommandRefused` is the client's fault and becomes an ``ERR`` line. `CannotMeasure` is the network's or
this machine's and becomes the ``errmsg`` of a record. Neither ends a connection.
"""


class CompanionError(Exception):
    """Base of the errors here; never raised itself."""

    code = "companion"


class CommandRefused(CompanionError):
    """A command that will not be run. `reason` goes to the client, one line of printable ASCII."""

    code = "command-refused"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CannotMeasure(CompanionError):
    """A measurement that could not be carried out. `reason` goes into the record as its error message."""

    code = "cannot-measure"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Malformed(CompanionError):
    """Bytes from the network that are not what they should be."""

    code = "malformed"


class CannotServe(CompanionError):
    """The companion cannot start: what was wrong, and what to do."""

    code = "cannot-serve"
