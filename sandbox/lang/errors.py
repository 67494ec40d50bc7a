"""What the language says no with: one exception, which carries every problem of a script."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that a script cannot have.

    Attributes:
        line: counted from 1; 0 when the whole file is meant.
        column: counted from 1; 0 when the whole line is meant.
        construct: what it is, in a few words.
        message: the sentence: what was wrong, and what to write instead.
    """

    line: int
    column: int
    construct: str
    message: str


class ScriptRefused(Exception):
    """A script that will not be run, with all reasons at once.

    Attributes:
        filename: the script's name, as the researcher gave it.
        problems: at least one, in the order of the file.
    """

    def __init__(self, filename: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(filename, problems)
        self.filename = filename
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(f"{self.filename}:{p.line}:{p.column}: {p.message}" for p in self.problems)
