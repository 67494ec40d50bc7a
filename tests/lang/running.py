"""Runs a script as the worker does, in this process: compiled, with the script's names, without the kernel's walls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from onvp.sandbox.lang import environment, report
from onvp.sandbox.lang.check import ScriptRefused, compile_script

FILENAME = "script.py"


@dataclass
class Sink:
    """A stream that keeps what it is given."""

    parts: list[str] = field(default_factory=list)

    def write(self, text: str) -> int:
        """Keep text."""
        self.parts.append(text)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def text(self) -> str:
        """All of it."""
        return "".join(self.parts)


@dataclass
class Outcome:
    """What came of a script.

    Attributes:
        out: its output.
        err: what it said on stderr.
        error: the exception that ended it, or None.
        refusals: why it was not run at all.
        report: the error as its author sees it.
    """

    out: str = ""
    err: str = ""
    error: BaseException | None = None
    refusals: tuple[str, ...] = ()
    report: str = ""

    @property
    def last_word(self) -> str:
        """The refusal, or the exception with its sentence; empty when the script ran to its end."""
        if self.refusals:
            return f"refused: {self.refusals[0]}"
        return "" if self.error is None else f"{type(self.error).__name__}: {self.error}"


def is_told(outcome: Outcome, refusal: str) -> bool:
    """Did a script end with these words? An ellipsis at the end stands for the rest of them."""
    if refusal.endswith("…"):
        return outcome.last_word.startswith(refusal[:-1])
    return outcome.last_word == refusal


def no_file(*_args: Any, **_kwargs: Any) -> Any:
    """The `open` of these runs: there are no files."""
    raise FileNotFoundError("there is no input file in this run")


def run(
    source: str,
    *,
    guards: str = "static",
    args: tuple[str, ...] = (),
    modules: list[str] | None = None,
    facades: dict[str, dict[str, object]] | None = None,
) -> Outcome:
    """Run a script to its end."""
    outcome = Outcome()
    try:
        code = compile_script(source.encode(), FILENAME, guards=guards)
    except ScriptRefused as refused:
        outcome.refusals = tuple(problem.message for problem in refused.problems)
        return outcome
    out, err = Sink(), Sink()
    names = environment.build(
        argv=[FILENAME, *args],
        stdout=out,
        stderr=err,
        open=no_file,
        facades=facades or {},
        modules=modules,
        guards=guards,
    )
    try:
        exec(code, names)
    except BaseException as error:  # noqa: BLE001 - a script may raise anything
        outcome.error = error
        outcome.report = report.format_exception(error, source.encode(), FILENAME)
    outcome.out, outcome.err = out.text(), err.text()
    return outcome
