"""Every decision is written down before it takes effect, in a chain that shows every change."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.policies.combine import combine
from onvp.policies.decide import decide
from onvp.policies.load import load_file
from onvp.policies.selftest import parse_call
from onvp.sandbox.broker.audit import GENESIS, AuditError, AuditLog, verify, verify_all

SITE = combine([load_file("policies/examples/residential-strict.yaml")])
NOON = 1_780_000_000.123


def write(log: AuditLog, call: str = "ping 1.1.1.1", now: float = NOON, user: str = "ann") -> None:
    """Write one decision down."""
    action = parse_call(call)
    log.record(decide(SITE, action, now=now), action, run="r1", user=user, now=now)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "audit.jsonl"


def lines(path: Path) -> list[dict[str, object]]:
    """The lines of a log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines(path: Path) -> None:
    """A line says who asked for what, what was decided, by which rule of which policy, and when."""
    log = AuditLog(path)
    write(log)
    write(log, "ping 1.1.1.1 attempts=50")
    write(log, "sniff 1.1.1.1", user="bob\n{")
    log.close()

    granted, clamped, refused = lines(path)
    assert granted["verdict"] == "granted"
    assert granted["time"] == "2026-05-28T20:26:40.123Z"
    assert granted["prev"] == GENESIS
    assert granted["targets"] == ["1.1.1.1"]
    assert granted["packets"] == 4
    assert granted["digest"] == SITE.digest
    assert clamped["verdict"] == "clamped"
    assert clamped["clamps"] == [["attempts", 50, 10, "primitives.ping.attempts"]]
    assert (refused["verdict"], refused["rule"]) == ("refused", "primitives.sniff.allow")
    assert refused["where"] == "residential-strict.yaml:35"
    assert refused["user"] == "bob\n{"
    assert len({granted["decision"], clamped["decision"], refused["decision"]}) == 3


def test_written_at_once(path: Path) -> None:
    """When `record` returns, the line is in the file: it does not wait in this process."""
    log = AuditLog(path)
    write(log)

    assert len(lines(path)) == 1
    assert (path.stat().st_mode & 0o777) & ~0o640 == 0
    log.sync()
    log.close()
    log.close()


def test_targets_are_bounded(path: Path) -> None:
    """A scan of a prefix is one line of bounded length, with the number of what it leaves out."""
    site = combine([load_file("policies/examples/lab-open.yaml")])
    action = parse_call("prefixscan 198.18.0.1 198.18.4.1 prefixlen=24")
    log = AuditLog(path)
    log.record(decide(site, action, now=NOON), action, run="r", user="u", now=NOON)
    log.close()

    (line,) = lines(path)
    assert len(line["targets"]) == 8  # type: ignore[arg-type]
    assert line["more_targets"] == 257 - 8


@given(st.integers(0, 10**6), st.sampled_from(["change", "remove", "repeat", "cut"]))
def test_tampering(tmp_path_factory: pytest.TempPathFactory, position: int, how: str) -> None:
    """Whoever changes, removes, repeats or cuts off a line breaks the chain or changes the head."""
    path = tmp_path_factory.mktemp("log") / "audit.jsonl"
    log = AuditLog(path)
    for number in range(5):
        write(log, now=NOON + number)
    log.close()
    assert verify(path, prev=GENESIS) == log.head
    data = path.read_bytes()
    kept = data.splitlines(keepends=True)
    at = position % len(kept)
    if how == "change":
        spot = position % len(data)
        data = data[:spot] + bytes([data[spot] ^ 1]) + data[spot + 1 :]
    elif how == "cut":
        data = data[: position % len(data)]
    else:
        data = b"".join(kept[:at] + ([kept[at]] * 2 if how == "repeat" else []) + kept[at + 1 :])
    path.write_bytes(data)

    try:
        assert verify(path, prev=GENESIS) != log.head
    except AuditError as error:
        assert str(path) in str(error)


def test_goes_on(path: Path) -> None:
    """A log that is opened again goes on with the chain."""
    for _ in range(3):
        log = AuditLog(path)
        write(log)
        log.close()

    assert verify(path, prev=GENESIS) == log.head
    assert len(lines(path)) == 3


def test_turns(path: Path) -> None:
    """A full file and a new day begin another file; the chain goes through all of them."""
    log = AuditLog(path, max_bytes=1000)
    for number in range(9):
        write(log, now=NOON + number)
    write(log, now=NOON + 86400)
    log.close()

    files = sorted(path.parent.iterdir(), key=lambda p: (p == path, p.name))
    assert [f.name for f in files][:2] == ["audit-2026-05-28.1.jsonl", "audit-2026-05-28.2.jsonl"]
    assert files[-1] == path
    assert verify_all(files) == log.head
    assert len(lines(path)) == 1
    with pytest.raises(AuditError, match="the chain breaks here"):
        verify_all([files[0], *files[2:]])


def test_unfinished_line(path: Path) -> None:
    """A line that a crash left unfinished stays visible, and the lines after it are whole."""
    log = AuditLog(path)
    write(log)
    log.close()
    with path.open("ab") as file:
        file.write(b'{"time":"20')

    log = AuditLog(path)
    write(log)
    log.close()

    with pytest.raises(AuditError, match=r"audit\.jsonl:2: this is not a line"):
        verify(path)
    assert json.loads(path.read_bytes().splitlines()[2])["prev"]


def test_disk_full(path: Path) -> None:
    """What cannot be written is an AuditError that says so, and no part of a line stays."""
    code = "import sys; from pathlib import Path; from tests.broker.test_audit import fill; fill(Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False, env={"PYTHONPATH": "."}
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("refused") == 2
    assert path.read_bytes().endswith(b"\n")
    verify(path, prev=GENESIS)


def fill(path: Path) -> None:
    """Write until a limit of the kernel stops it; then room again, and it goes on."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    log = AuditLog(path)
    write(log)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, resource.RLIM_INFINITY))
    for _ in range(2):
        try:
            for _ in range(5):
                write(log)
        except AuditError as error:
            print(error)
        else:
            raise AssertionError("the limit did not hold")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    write(log)
    assert verify(path, prev=GENESIS) == log.head


def test_cannot_be_opened(tmp_path: Path) -> None:
    """A log that cannot be opened is an AuditError with its path; a symbolic link is not followed."""
    with pytest.raises(AuditError, match="cannot be opened"):
        AuditLog(tmp_path / "none" / "audit.jsonl")
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AuditError, match="cannot be opened"):
        AuditLog(tmp_path / "audit.jsonl")


def test_closed(path: Path) -> None:
    """A closed log takes no decision."""
    log = AuditLog(path)
    log.close()

    with pytest.raises(AuditError, match="so it is refused"):
        write(log)
