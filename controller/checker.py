"""The child process in which ``onvp check`` compiles a script: it reads source, and writes what it found.

A script is compiled only where that can do no harm. On the researcher's machine this is a child with
little memory and time; a source that makes the compiler eat either ends the child, not the command.
The controller never runs this.
"""

import json
import resource
import subprocess
import sys
from typing import Any

MEMORY_BYTES = 1 << 30
CPU_S = 20
CHILD = (sys.executable, "-I", "-m", "onvp.controller.checker")


class CheckError(Exception):
    """The check itself could not be made."""


def check(source: bytes, filename: str) -> dict[str, Any]:
    """Ask a child: ``{"problems": [{"line", "column", "message"}], "primitives": [...]}``.

    Raises:
        CheckError: the child died or has no language to check with.
    """
    try:
        child = subprocess.run(
            (*CHILD, filename),
            input=source,
            capture_output=True,
            timeout=3 * CPU_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CheckError(f"checking {filename} took longer than {3 * CPU_S} s") from error
    if child.returncode != 0:
        last = child.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise CheckError(
            f"{filename} could not be checked: the compiler "
            + (f"was stopped by signal {-child.returncode}" if child.returncode < 0 else f"failed: {' '.join(last)}")
        )
    found: dict[str, Any] = json.loads(child.stdout)
    return found


def main() -> None:
    """The child."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # In the child only: the command itself never holds what compiles scripts.
    from onvp.sandbox.lang.check import ScriptRefused, compile_script, primitives_used  # noqa: PLC0415

    source = sys.stdin.buffer.read()
    problems: list[dict[str, Any]] = []
    used: list[str] = []
    try:
        compile_script(source, sys.argv[1])
        used = sorted(primitives_used(source))
    except ScriptRefused as refused:
        problems = [
            {"line": problem.line, "column": problem.column, "message": problem.message} for problem in refused.problems
        ]
    sys.stdout.write(json.dumps({"problems": problems, "primitives": used}))


if __name__ == "__main__":
    main()
