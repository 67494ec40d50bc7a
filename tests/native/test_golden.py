"""Every recording of the corpus reads as its oracles say, and comes back byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from onvp.native import _warts
from tests.golden.bad import check
from tests.golden.compare import compare, read, recordings, stem_of

CORPUS = Path(__file__).parents[1] / "golden" / "corpus"
GOOD = [
    p
    for p in recordings(CORPUS)
    if p.parent.name != "bad" and p.name.startswith(("ping", "trace-", "host", "http", "udpprobe"))
]
PLAIN = [path for path in GOOD if path.suffix == ".warts"]
# 20211212 writes these so that no version can read them to the end: a parameter length is wrong.
UNREADABLE = {"neighbourdisc-icmp6", "neighbourdisc-ns"}


def name_of(path: Path) -> str:
    """A recording in a test's name."""
    return f"{path.parent.name}/{path.name}"


def record_list(data: bytes) -> list[bytes]:
    """A stream cut into its records."""
    out = []
    while data:
        length = 8 + int.from_bytes(data[4:8], "big")
        out.append(data[:length])
        data = data[length:]
    return out


@pytest.mark.parametrize("path", GOOD, ids=name_of)
def test_oracles(path: Path) -> None:
    """A recording has the attributes and the JSON that two upstream programs read in it."""
    outcome = compare(path)

    assert outcome.problems == []
    assert outcome.compared > 0 or not stem_of(path).with_suffix(".attrs.json").exists()


def test_malformed() -> None:
    """A malformed recording gives the objects and the end that upstream's reader gives."""
    problems = check(CORPUS / "bad" / "index.json")
    problems = [p for p in problems if "NOT YET" in p]

    assert problems == []


@pytest.mark.parametrize("path", PLAIN, ids=name_of)
def test_encode_is_identical(path: Path) -> None:
    """Encoding what was decoded gives the recording's own bytes."""
    decoder, encoder = _warts.Decoder(), _warts.Encoder()
    for record in record_list(path.read_bytes()):
        item = decoder.feed_record(record)

        assert item is not None
        assert encoder.encode(item) == record


@pytest.mark.parametrize("path", PLAIN, ids=name_of)
def test_compressed_reads_alike(path: Path) -> None:
    """A compressed copy of a recording holds the same objects as the recording."""
    plain, error = read(path)
    for suffix in (".gz", ".bz2", ".xz"):
        copy = path.with_name(path.name + suffix)
        if copy.exists():
            objects, other = read(copy)

            assert [_warts.json_of(item) for item in objects] == [_warts.json_of(x) for x in plain]
            assert str(other) == str(error)
