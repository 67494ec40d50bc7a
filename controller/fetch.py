"""Brings what a run left to the researcher's disk.

One folder per vantage point, named after it, with ``output.txt``, ``results.jsonl``,
``measurements.warts``, ``artifacts/`` and ``run.json``. The names of artifacts come from scripts on other
people's machines: each becomes one harmless path component, whatever it holds. Files appear complete or
not at all.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from onvp.controller.client import Client
from onvp.sandbox.wire import records

_HARMLESS = re.compile(r"[^\W_][\w.,+= ()@~-]*")
_LONGEST_BYTES = 150


class Fetched(NamedTuple):
    """A file that is now on disk."""

    vp: str
    path: Path
    bytes: int


def fetch(client: Client, run: str, out: Path, vps: Iterable[str]) -> Iterator[Fetched]:
    """Download what a run left on some vantage points.

    Args:
        client: the controller.
        run: the run's id.
        out: the folder to write into; made if it does not exist.
        vps: which vantage points.

    Yields:
        Each file once it is complete.
    """
    for vp in vps:
        folder = out / harmless(vp)
        folder.mkdir(parents=True, exist_ok=True)
        streams: list[str] = []
        for file in client.files(run, vp):
            name: str = file["name"]
            kind, _, rest = name.partition("/")
            if kind == "measurements":
                streams.append(name)
            elif kind == records.ARTIFACTS:
                (folder / records.ARTIFACTS).mkdir(exist_ok=True)
                path = folder / records.ARTIFACTS / harmless(rest)
                yield Fetched(vp, path, _write(path, client.download(run, vp, name)))
            elif name in (records.OUTPUT, records.RESULTS, records.RUN):
                path = folder / name
                yield Fetched(vp, path, _write(path, client.download(run, vp, name)))
        if streams:
            path = folder / records.MEASUREMENTS
            parts = [b"".join(client.download(run, vp, name)) for name in sorted(streams, key=_connection_of)]
            try:
                yield Fetched(vp, path, _write(path, [_join(parts)]))
            except ValueError:
                # A stream that is no warts, from a vantage point that is broken or lies: kept as it came.
                for number, part in enumerate(parts):
                    path = folder / f"{records.MEASUREMENTS}.{number}"
                    yield Fetched(vp, path, _write(path, [part]))


def join_parts(folder: Path) -> None:
    """Join the streams that ``onvp-vp try`` left, one per prober connection, into ``measurements.warts``."""
    parts = sorted(folder.glob(f"{records.MEASUREMENTS}.[0-9]*"))
    if parts:
        _write(folder / records.MEASUREMENTS, [_join([part.read_bytes() for part in parts])])
        for part in parts:
            part.unlink()


def harmless(name: str) -> str:
    """A name that is one path component, hides nothing, and stays the same when it already was such.

    Everything else is percent-encoded; what is too long is cut and told apart by a hash.
    """
    if _HARMLESS.fullmatch(name) and len(name.encode()) <= _LONGEST_BYTES and name == name.rstrip(". "):
        return name
    encoded = "".join(
        character
        if re.fullmatch(r"[A-Za-z0-9_-]", character) or (character == "." and 0 < index < len(name) - 1)
        else _quote(character)
        for index, character in enumerate(name)
    )
    if encoded and len(encoded) <= _LONGEST_BYTES:
        return encoded
    return f"{encoded[:100] or '%'}~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _quote(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def _connection_of(name: str) -> int:
    number = name.partition("/")[2]
    return int(number) if number.isdecimal() else 0


def _join(parts: list[bytes]) -> bytes:
    """The streams of several prober connections as one file: lists and cycles numbered anew."""
    if len(parts) == 1:
        return parts[0]
    # The decoder runs here, on the researcher's machine, and only here: never in the controller.
    from onvp.native._warts import concat  # noqa: PLC0415

    return bytes(concat(parts))


def _write(path: Path, chunks: Iterable[bytes]) -> int:
    fresh = path.with_name(f"{path.name}.part")
    total = 0
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            for chunk in chunks:
                total += file.write(chunk)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return total
