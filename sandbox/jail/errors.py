"""The errors of the jail. They stand alone so that every module beside may raise them."""

from __future__ import annotations


class JailError(Exception):
    """Anything that keeps a script from being run in its jail."""

    code = "jail"


class ConfinementError(JailError):
    """A layer that could not be applied, or was applied and does not hold."""

    code = "jail-unconfined"

    def __init__(self, step: str, problem: str) -> None:
        super().__init__(step, problem)
        self.step, self.problem = step, problem

    def __str__(self) -> str:
        return f"{self.step}: {self.problem}"


class LevelTooLow(JailError):
    """The confinement reached on this machine is below the level that is required."""

    code = "jail-level"

    def __init__(self, reached: str, required: str, why: str) -> None:
        super().__init__(reached, required, why)
        self.reached, self.required, self.why = reached, required, why

    def __str__(self) -> str:
        return (
            f"confinement here is '{self.reached}' but '{self.required}' is required: {self.why}. "
            "Run 'onvp-vp doctor' to see each layer and what to do"
        )


class SpawnError(JailError):
    """One worker could not be started; the zygote lives on."""

    code = "jail-spawn"


class ZygoteGone(JailError):
    """The fork server ended or does not answer; its workers are dead, start another."""

    code = "jail-gone"
