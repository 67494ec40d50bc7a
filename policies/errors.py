"""What can be wrong with a call or a policy file; instances carry the data, ``str`` the sentence."""

from collections.abc import Sequence
from typing import Any

import msgspec


class BadParameter(ValueError):
    """A parameter of a call has a wrong type or value.

    Attributes:
        parameter: its name; the primitive's name when the combination is wrong.
        value: what was given.
        wrong_type: True when no value of that type would do (a TypeError in the script).
    """

    def __init__(self, parameter: str, value: Any, sentence: str, *, wrong_type: bool = False) -> None:
        super().__init__(sentence)
        self.parameter = parameter
        self.value = value
        self.wrong_type = wrong_type


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong in a policy file, and what to write instead.

    Attributes:
        file: the path as it was given.
        line: from 1; 0 when the file as a whole is meant.
        column: from 1; 0 when the file as a whole is meant.
        message: what is wrong.
        hint: what to do; may be empty.
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class PolicyErrors(ValueError):
    """A policy file that is not loaded, with everything that is wrong with it, in the file's order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = list(problems)
