"""`python -m tests.escape FILE... [--native]`: run a file behind the walls and print what it could do.

Without `--native` a file is a researcher's script: the language, the kernel and the broker stand before it,
and the policy allows nothing. With `--native` it is ordinary CPython code in a confined worker, ctypes and
the whole standard library at hand, the language wall off: what it prints, it could do. `--without LAYER`
leaves out a layer of the jail (namespaces, landlock, rlimits, seccomp), to see what the others are worth.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from onvp.sandbox.jail.errors import JailError
from onvp.sandbox.jail.levels import Level
from onvp.sandbox.jail.limits import Limits
from onvp.sandbox.jail.messages import Configure, Switch
from onvp.sandbox.jail.spawn import Cause, End, Jail

ROOT = Path(__file__).parents[2]
CLOSED = Path(__file__).parent / "closed.yaml"
LIMITS = Limits(cpu_s=10, wall_s=30)


async def as_native_code(jail: Jail, file: Path) -> tuple[str, End]:
    """What the file printed from inside a confined worker, and how it ended."""
    loop = asyncio.get_running_loop()
    worker = await jail.spawn(LIMITS)
    printed = b""
    with worker.socket as channel:
        with contextlib.suppress(ConnectionError):
            await loop.sock_sendall(channel, f"{file.name}\0".encode() + file.read_bytes() + b"\0")
            while part := await loop.sock_recv(channel, 65_536):
                printed += part
    return printed.decode(errors="replace"), await worker.wait()


async def natively(files: list[Path], without: tuple[Switch, ...]) -> None:
    """Each file in a worker of its own."""
    config = Configure(
        run="tests.escape.native:run",
        preload="tests.escape.native:preload",
        path=(str(ROOT),),
        least=Level.REFUSED if without else Level.STANDARD,
        without=without,
    )
    async with Jail(config) as jail:
        report = jail.client.report
        assert report is not None
        print(f"confinement: {report.level}{f' ({report.why_not_higher})' if report.why_not_higher else ''}")
        for file in files:
            log = kernel_log()
            printed, end = await as_native_code(jail, file)
            call = forbidden_call(log) if end.cause is Cause.VIOLATION else ""
            show(file, "native code", printed, f"{end.cause}: {end.detail}{call}")


def kernel_log() -> int | None:
    """The kernel's log from here on, where we may read it."""
    try:
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(log, 0, os.SEEK_END)
    except OSError:
        return None
    return log


def forbidden_call(log: int | None) -> str:
    """The number of the call that the filter answered with death, which only the kernel's log tells."""
    if log is None:
        return ""
    found = ""
    with contextlib.suppress(OSError):  # EAGAIN: the end
        while record := os.read(log, 8192).decode(errors="replace"):
            if match := re.search(r"type=1326 .*\bsig=31\b.*\bsyscall=(\d+)", record):
                found = f", call number {match[1]}"
    os.close(log)
    return found


def as_script(file: Path) -> None:
    """The file as a researcher's script, the whole path, under a policy that allows nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "onvp.sandbox.agent.main", "try", str(file), "--policy", str(CLOSED)],
        check=False,
        capture_output=True,
        cwd=ROOT,
        timeout=120,
    )
    printed = (done.stdout + done.stderr).decode(errors="replace")
    show(file, "script", printed, f"exit status {done.returncode}")


def show(file: Path, manner: str, printed: str, end: str) -> None:
    """One file's result."""
    print(f"\n== {file} as {manner}")
    for line in printed.splitlines():
        print(f"   {line}")
    print(f"   -- {end}")


def main() -> int:
    """Run the files; 0 when each was run, whatever it could do, 1 when the walls could not be built."""
    parser = argparse.ArgumentParser(prog="python -m tests.escape", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--native", action="store_true", help="the language wall off")
    parser.add_argument("--without", action="append", default=[], choices=get_args(Switch), metavar="LAYER")
    options = parser.parse_args()
    if missing := [str(file) for file in options.files if not file.is_file()]:
        parser.error(f"no such file: {', '.join(missing)}")
    if options.without and not options.native:
        parser.error("--without goes with --native")
    if not options.native:
        for file in options.files:
            as_script(file)
        return 0
    try:
        asyncio.run(natively(options.files, tuple(options.without)))
    except JailError as error:
        print(f"the walls could not be built: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
