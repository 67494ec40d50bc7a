"""Files that are not files: artifacts, input files, and reading back what a run wrote."""

import io
from collections.abc import Callable

import pytest

from onvp.native.files import ScamperFile
from onvp.sandbox.worker import artifacts
from tests.worker.parts import CYCLE, LIST, PING, TRACE, Site

Make = Callable[..., Site]
RECORDING = LIST + CYCLE + PING + TRACE


def test_an_input_file_is_read_whatever_folders_its_name_has(site: Make) -> None:
    """A script that names a path gets the input file of that name."""
    s = site(inputs={"list.txt": b"one\ntwo\n"})
    with s.onvp.open("/home/me/list.txt") as file:
        assert [line.strip() for line in file] == ["one", "two"]
    with s.onvp.open("list.txt", "rb") as file:
        assert file.read() == b"one\ntwo\n"


def test_a_missing_input_is_named_with_what_to_do(site: Make) -> None:
    """The error says which input files there are and how to send more; ScamperFile's is upstream's kind."""
    s = site(inputs={"a.warts": RECORDING})
    with pytest.raises(FileNotFoundError, match=r"'b\.txt'.*a\.warts.*onvp run --input"):
        s.onvp.open("b.txt")
    with pytest.raises(RuntimeError, match="could not open file"):
        s.scamper.ScamperFile("b.warts")


def test_what_a_run_wrote_it_can_read_again(site: Make) -> None:
    """An artifact can be read in the run that wrote it; writing it anew begins anew; appending adds."""
    s = site()
    for mode, text, whole in (("w", "one", "one"), ("w", "two", "two"), ("a", "three", "twothree")):
        with s.onvp.open("notes.txt", mode) as file:
            file.write(text)
        assert s.onvp.open("notes.txt").read() == whole


def test_artifacts_that_are_too_large_to_be_kept_say_so(site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit an artifact still reaches the researcher whole, and reading it is an OSError."""
    monkeypatch.setattr(artifacts, "READ_BACK_BYTES", 100)
    s = site()
    with s.onvp.open("big.bin", "wb") as file:
        file.write(b"x" * 101)
    with pytest.raises(OSError, match="has left"):
        s.onvp.open("big.bin", "rb")
    with s.onvp.open("small.bin", "wb") as file:
        file.write(b"y" * 100)
    assert len(s.onvp.open("small.bin", "rb").read()) == 100
    s.drain()
    assert len(s.broker.artifact("big.bin")) == 101


@pytest.mark.parametrize("name", ["out.warts", "out.warts.gz", "out.bz2", "out.xz"])
def test_recordings_of_all_kinds_are_written_and_read_back_equal(site: Make, name: str) -> None:
    """Results go through every kind of warts file and come back equal, in the run and at the researcher's."""
    s = site(inputs={"in.warts": RECORDING})
    originals = [o for o in s.scamper.ScamperFile("in.warts") if hasattr(o, "to_json")]
    with s.scamper.ScamperFile(name, "w") as out:
        for o in originals:
            out.write(o)
    s.drain()
    data = s.broker.artifact(name)

    there = [o.to_json() for o in s.scamper.ScamperFile(name) if hasattr(o, "to_json")]
    with ScamperFile(name, opener=lambda _name, _mode: io.BytesIO(data)) as file:
        here = [o.to_json() for o in file if hasattr(o, "to_json")]

    assert there == here == [o.to_json() for o in originals]


def test_json_and_text_are_artifacts_too(site: Make) -> None:
    """The kind follows the name or is given; one object a line in json."""
    s = site(inputs={"in.warts": RECORDING})
    with s.scamper.ScamperFile("o.json", "w") as js, s.scamper.ScamperFile("o.dat", "w", "text") as text:
        for o in s.scamper.ScamperFile("in.warts", filter_types=[s.scamper.ScamperPing]):
            js.write(o)
            text.write(o)
    s.drain()
    assert s.broker.artifact("o.json").count(b"\n") == 1
    assert s.broker.artifact("o.dat").startswith(b"ping ")


def test_files_have_upstreams_errors(site: Make) -> None:
    """Modes, kinds and filters are checked as upstream checks them."""
    s = site(inputs={"in.warts": RECORDING})
    file = s.scamper.ScamperFile
    with pytest.raises(ValueError, match="invalid mode"):
        file("x", "rw")
    with pytest.raises(ValueError, match="kind"):
        file("in.warts", "r", "warts")
    out = file("x.warts", "w")
    for call in (lambda: out.filter_types(s.scamper.ScamperPing), lambda: iter(out)):
        with pytest.raises(ValueError, match=r"filter|readable"):
            call()
    with pytest.raises(RuntimeError, match="read mode"):
        out.read()
    out.close()
    out.close()
    with pytest.raises(ValueError, match="closed"):
        out.write(None)
    reading = file("in.warts")
    assert (reading.is_read(), reading.is_write(), reading.filetype) == (True, False, "warts")
    with pytest.raises(ValueError, match="invalid type"):
        reading.filter_types(s.scamper.ScamperList)
    with pytest.raises(ValueError, match="nothing to filter"):
        reading.filter_types()
    with pytest.raises(RuntimeError, match="write mode"):
        reading.write(None)
    assert reading.read() is not None


@pytest.mark.parametrize("name", ["", ".hidden", "a\nb", "x" * 129, ".."])
def test_names_that_cannot_be_are_refused(site: Make, name: str) -> None:
    """Empty, hidden, unprintable and very long names are a ValueError."""
    with pytest.raises(ValueError, match="cannot name an artifact"):
        site().onvp.open(name, "w")


@pytest.mark.parametrize("mode", ["r+", "w+", "wbt", "q", "", "rb+"])
def test_modes_that_cannot_be_are_refused(site: Make, mode: str) -> None:
    """Reading and writing at once is not possible."""
    with pytest.raises(ValueError, match="mode"):
        site().onvp.open("x", mode)
