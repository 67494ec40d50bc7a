"""What can go wrong with the lab: one family, each message says what to do next."""

from __future__ import annotations


class LabError(Exception):
    """The lab could not do what was asked of it."""


class LabUnavailableError(LabError):
    """This machine lacks something the lab needs; `missing` holds one sentence for each lack."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__(" ".join(missing))
        self.missing = missing
