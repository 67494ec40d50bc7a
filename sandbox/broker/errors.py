"""What can be wrong with the broker's books. Both are kinds of OSError: the machine's fault, not a script's."""


class LedgerError(OSError):
    """What was kept of the budgets cannot be read: nothing may run until a person has looked at it."""


class AuditError(OSError):
    """A decision cannot be written down, so it must not take effect; or what was written is not whole."""
