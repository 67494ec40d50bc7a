"""A plain client of the control protocol, and the companion as a process: what the tests talk with."""

import binascii
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Data:
    """A record that came, decoded, and the task that it belongs to."""

    record: bytes
    task: int | None

    @property
    def kind(self) -> int:
        return int.from_bytes(self.record[2:4], "big")


class Dialogue:
    """One connection. Everything that is read waits at most `patience_s`."""

    def __init__(self, path: Path | str, patience_s: float = 20.0) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(patience_s)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rb")

    def __enter__(self) -> "Dialogue":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.sock.close()

    def say(self, line: str | bytes) -> None:
        data = line if isinstance(line, bytes) else line.encode("latin-1") + b"\n"
        self.sock.sendall(data)

    def hear(self) -> str | Data:
        """The next line or DATA; an empty string at the end."""
        line = self.file.readline().decode("latin-1").rstrip("\n")
        words = line.split()
        if not words or words[0] != "DATA":
            return line
        body = self.file.read(int(words[1]))
        assert body.endswith(b"`\n"), "DATA ends with a lone backquote"
        assert b" " not in body, "zero is written as a backquote"
        record = b"".join(binascii.a2b_uu(row) for row in body[:-2].splitlines())
        assert record[:2] == b"\x12\x05"
        assert len(record) == 8 + int.from_bytes(record[4:8], "big"), "DATA holds exactly one record"
        task = int(words[2].removeprefix("id-")) if len(words) > 2 else None
        return Data(record, task)

    def ask(self, line: str) -> str:
        self.say(line)
        heard = self.hear()
        assert isinstance(heard, str)
        return heard

    def attach(self, options: str = "") -> list[bytes]:
        """Attach; the list and the cycle record."""
        assert self.ask(f"attach {options}".strip()) == "OK"
        assert self.hear() == "MORE"
        records = [self.hear(), self.hear()]
        return [d.record for d in records if isinstance(d, Data)]

    def start(self, command: str) -> int:
        """Have `command` accepted; its task number."""
        answer = self.ask(command)
        assert answer.startswith("OK id-"), answer
        return int(answer.removeprefix("OK id-"))

    def rest(self) -> list[str | Data]:
        """Everything until the other side closes."""
        return list(iter(self.hear, ""))

    def measure(self, *commands: str) -> bytes:
        """A whole conversation: attach, the commands, done. All its records, put end to end."""
        records = self.attach()
        for command in commands:
            self.say(command)
        self.say("done")
        heard = self.rest()
        refused = [h for h in heard if isinstance(h, str) and h.startswith("ERR")]
        assert not refused, refused
        return b"".join([*records, *(h.record for h in heard if isinstance(h, Data))])


@contextlib.contextmanager
def companion(folder: Path, *options: str, prefix: Sequence[str] = ()) -> Iterator[Path]:
    """A companion process; yields its socket. At the end it must stop on SIGTERM, in peace."""
    path = folder / "companion.sock"
    command = [*prefix, sys.executable, "-m", "onvp.sandbox.companion.serve", "--socket", str(path), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            line = process.stdout.readline()
            assert b"listening" in line, process.stderr.read().decode()
            yield path
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=20)
            assert process.returncode == 0, errors.decode()
            assert errors == b"", errors.decode()
        finally:
            process.kill()


def resident_kib(pid: int) -> int:
    """The resident memory of a process."""
    text = Path(f"/proc/{pid}/statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def until(deadline_s: float, check: object) -> None:
    """Wait until `check()` is true."""
    end = time.monotonic() + deadline_s
    while not check():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
