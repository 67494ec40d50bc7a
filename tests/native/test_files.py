"""`ScamperFile`: reading and writing every kind, filters, errors, limits."""

from __future__ import annotations

import gzip
import io
import lzma
import subprocess
from pathlib import Path
from typing import IO

import pytest

from onvp.native import _warts
from onvp.native.errors import WartsError
from onvp.native.files import ScamperFile

CORPUS = Path(__file__).parents[1] / "golden" / "corpus"
PINGS = CORPUS / "new" / "ping-duplicates.warts"
TRACES = CORPUS / "new" / "trace-udp.warts"


def objects_of(path: Path) -> list[object]:
    """All objects of a file."""
    with ScamperFile(str(path)) as file:
        return list(file)


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
def test_write_and_read(tmp_path: Path, suffix: str) -> None:
    """What is written in a kind of warts file reads back the same, told by content and not by name."""
    target = tmp_path / f"copy.warts{suffix}"
    with ScamperFile(str(target), "w") as file:
        for item in objects_of(PINGS):
            file.write(item)
    renamed = target.rename(tmp_path / "anything")
    with ScamperFile(str(renamed)) as file:
        kind, got = file.filetype, list(file)

    assert kind == "warts" + suffix
    assert [_warts.json_of(x) for x in got] == [_warts.json_of(x) for x in objects_of(PINGS)]


def test_copy_is_identical(tmp_path: Path) -> None:
    """Copying a recording object by object gives the same bytes."""
    with ScamperFile(str(tmp_path / "copy.warts"), "w") as file:
        for item in objects_of(PINGS):
            file.write(item)

    assert (tmp_path / "copy.warts").read_bytes() == PINGS.read_bytes()


def test_json_and_text(tmp_path: Path) -> None:
    """A json file holds a line per result and cycle, a text file what is printed for people."""
    objects = [x for x in objects_of(TRACES) if not isinstance(x, _warts.ScamperList)]
    with ScamperFile(str(tmp_path / "x.json"), "w") as file:
        for item in objects:
            file.write(item)
    with ScamperFile(str(tmp_path / "x.txt"), "w") as file:
        for item in objects:
            if isinstance(item, _warts.ScamperTrace):
                file.write(item)
    text = subprocess.run(["sc_warts2text", TRACES], capture_output=True, text=True, check=True)

    assert (tmp_path / "x.json").read_text().splitlines() == [_warts.json_of(x) for x in objects]
    assert (tmp_path / "x.txt").read_text() == text.stdout


def test_text_refuses_cycles(tmp_path: Path) -> None:
    """A text file cannot hold a cycle, and says which type it was."""
    cycle = next(x for x in objects_of(PINGS) if isinstance(x, _warts.ScamperCycle))
    with (
        ScamperFile(str(tmp_path / "x.txt"), "w") as file,
        pytest.raises(RuntimeError, match="could not write 2"),
    ):
        file.write(cycle)


def test_filter() -> None:
    """A filter lets only its classes through, can be replaced, and knows result classes only."""
    with ScamperFile(str(PINGS), filter_types=[_warts.ScamperTrace]) as file:
        assert list(file) == []
    with ScamperFile(str(PINGS)) as file:
        file.filter_types(_warts.ScamperPing, _warts.ScamperTrace)
        assert {type(x) for x in file} == {_warts.ScamperPing}
        with pytest.raises(ValueError, match="invalid type"):
            file.filter_types(_warts.ScamperList)
        with pytest.raises(ValueError, match="nothing to filter"):
            file.filter_types()


def test_arguments(tmp_path: Path) -> None:
    """Wrong modes, kinds and names are refused at once."""
    with pytest.raises(ValueError, match="invalid mode"):
        ScamperFile("x", "a")
    with pytest.raises(ValueError, match="do not specify kind"):
        ScamperFile("x", "r", "warts")
    with pytest.raises(RuntimeError, match="could not open file"):
        ScamperFile(str(tmp_path / "missing"))
    with pytest.raises(RuntimeError, match="could not open file"):
        ScamperFile(str(tmp_path / "x"), "w", "pcap")


def test_wrong_direction_and_closed(tmp_path: Path) -> None:
    """Reading a written file, writing a read one, and touching a closed one are errors."""
    with ScamperFile(str(tmp_path / "x"), "w") as file:
        assert (file.is_write(), file.is_read(), file.filename) == (True, False, str(tmp_path / "x"))
        with pytest.raises(RuntimeError, match="not opened in read mode"):
            file.read()
        with pytest.raises(ValueError, match="not readable"):
            iter(file)
        with pytest.raises(ValueError, match="non-readable"):
            file.filter_types(_warts.ScamperPing)
        with pytest.raises(RuntimeError, match="unhandled object type"):
            file.write("text")
    file.close()
    with pytest.raises(ValueError, match="closed file"):
        file.write(None)
    with ScamperFile(str(PINGS)) as file, pytest.raises(RuntimeError, match="write mode"):
        file.write(None)
    with pytest.raises(ValueError, match="closed file"):
        file.read()
    assert file.is_read()


def test_opener_is_the_only_way_to_a_file() -> None:
    """With an opener nothing else is opened: it gets the name and a binary mode, and its file is closed."""
    asked = []
    stored = io.BytesIO(PINGS.read_bytes())

    def opener(name: str, mode: str) -> IO[bytes]:
        asked.append((name, mode))
        return stored

    with ScamperFile("what the script said", opener=opener) as file:
        assert len(list(file)) == len(objects_of(PINGS))
    assert asked == [("what the script said", "rb")]
    assert stored.closed


def test_bad_record_after_good_ones(tmp_path: Path) -> None:
    """The objects before a bad record are read first; then it is an error; then the file has ended."""
    target = tmp_path / "x.warts"
    target.write_bytes(PINGS.read_bytes() + b"rubbish!!")
    with ScamperFile(str(target)) as file:
        got = [file.read() for _ in objects_of(PINGS)]
        with pytest.raises(WartsError, match="no record starts here"):
            file.read()
        assert file.read() is None

    assert None not in got


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress], ids=["gz", "xz"])
def test_bomb(tmp_path: Path, compress: object) -> None:
    """A compressed file gives no more than it may, however small it is."""
    one = bytes.fromhex("1205 00ff 00010000") + bytes(1 << 16)
    target = tmp_path / "bomb"
    target.write_bytes(compress(one * 64))  # type: ignore[operator]
    with (
        ScamperFile(str(target), max_bytes=1 << 20) as file,
        pytest.raises(WartsError, match="more bytes than it may"),
    ):
        file.read()


def test_damaged_compression(tmp_path: Path) -> None:
    """Compressed data that does not decompress is a WartsError, after what did."""
    whole = gzip.compress(PINGS.read_bytes())
    target = tmp_path / "x.gz"
    target.write_bytes(whole[:60] + b"\xff" * 40 + whole[100:])
    with ScamperFile(str(target)) as file, pytest.raises(WartsError):
        list(file)
