"""The companion as a process: its clients, its privileges, its beginning and its end."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from onvp.native import _warts
from tests.companion.dialogue import Data, Dialogue, companion, until
from tests.companion.hostile_dns import dns_server

SERVER = "127.77.1.1"
"""An address of loopback that nobody else uses; dns is always asked on port 53."""


@pytest.fixture(scope="module")
def sock(shared_folder: Path) -> Iterator[Path]:
    """A companion's socket, with a DNS server that it can ask."""
    with dns_server(SERVER, 53), companion(shared_folder, "--name", "lab1") as path:
        yield path


def process_of(sock: Path) -> int:
    """The process behind the socket."""
    with Dialogue(sock) as c:
        return int(c.ask("get pid").split()[2])


def status(pid: int) -> dict[str, str]:
    """What proc(5) tells about it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def test_a_conversation(sock: Path) -> None:
    """A client attaches, measures and is done; what it got is a warts file of one list and one cycle."""
    with Dialogue(sock) as c:
        assert c.ask("get version").startswith("OK version onvp-")
        assert c.ask("get monitorname") == "OK monitorname lab1"
        stream = c.measure(f"host -U 7 -s {SERVER} good.example", f"host -T -t TXT -s {SERVER} types.example")

    objects = _warts.Decoder().feed(stream)
    assert [type(o).__name__ for o in objects[:2]] == ["ScamperList", "ScamperCycle"]
    results = [o for o in objects if type(o).__name__ == "ScamperHost"]
    assert {r.qname for r in results} == {"good.example", "types.example"}
    assert all(r.list.monitor == "lab1" and r.stop_reason_str == "done" for r in results)
    assert json.loads(results[0].to_json())["type"] == "host"


def test_capabilities(sock: Path) -> None:
    """A driver can ask which primitives are served, and why others are not."""
    with Dialogue(sock) as c:
        primitives = c.ask("get primitives").removeprefix("OK primitives ").split(",")
    assert {"dns", "http", "owamp", "udpprobe"} <= set(primitives)


def test_clients_do_not_meet(sock: Path) -> None:
    """Each connection has its own tasks, list and cycle; one client's end is nobody else's."""
    with Dialogue(sock) as one, Dialogue(sock) as two:
        first, second = one.attach(), two.attach()
        assert first[0] != second[0]
        assert one.start(f"host -W 1 -s {SERVER} silent.example") == 1
        assert one.hear() == "MORE"
        assert two.start(f"host -s {SERVER} good.example") == 1
        assert two.hear() == "MORE"
        answer = two.hear()
        assert isinstance(answer, Data)
        assert (answer.task, answer.kind) == (1, 14)
        two.say("not\ta line")
        assert two.hear() == "ERR invalid character in line"
        end, nothing = two.hear(), two.hear()
        assert isinstance(end, Data)
        assert (end.kind, nothing) == (4, "")
        late = one.hear()
        assert isinstance(late, Data)
        assert late.task == 1


def test_halt(sock: Path) -> None:
    """A halted task's record comes at once, also when it has hardly begun."""
    with Dialogue(sock) as c:
        c.attach()
        c.say(f"host -W 5 -s {SERVER} silent.example\nhalt 1\ndone\n".encode())
        heard = [h for h in c.rest() if h != "MORE"]

    assert heard[:3] == ["OK id-1", "OK halted 1", "OK"]
    assert [h.kind for h in heard if isinstance(h, Data)] == [14, 4]


def test_a_client_that_leaves_takes_its_tasks_along(sock: Path) -> None:
    """Sockets of a client's measurements are closed when the client is gone."""
    pid = process_of(sock)
    fds = Path(f"/proc/{pid}/fd")
    before = len(list(fds.iterdir()))
    with Dialogue(sock) as c:
        c.attach()
        for _ in range(20):
            c.start(f"host -W 5 -s {SERVER} silent.example")
            assert c.hear() == "MORE"
        until(4, lambda: len(list(fds.iterdir())) >= before + 20)
    until(4, lambda: len(list(fds.iterdir())) <= before)


def test_a_client_that_does_not_listen(sock: Path) -> None:
    """A client that asks and never reads is not served into memory without end; others are not held up."""
    with Dialogue(sock) as deaf, Dialogue(sock) as other:
        deaf.attach()
        deaf.sock.settimeout(0.5)
        line = f"host -T -t TXT -s {SERVER} hugetxt.example\n".encode()
        sent = 0
        try:
            while sent < 64 << 20:
                sent += deaf.sock.send(line * 100)
        except TimeoutError:
            pass
        assert sent < 4 << 20
        assert other.measure(f"host -s {SERVER} good.example")


def test_no_descriptors_left(own_folder: Path) -> None:
    """Out of descriptors, commands are refused or end as errors; afterwards everything works again."""
    prefix = ["prlimit", "--nofile=40:40"]
    with companion(own_folder, "--raw", "no", prefix=prefix) as path:
        with Dialogue(path) as c:
            c.attach()
            for _ in range(60):
                c.say("udpprobe -d 9 -p 00 -w 0.5 127.0.0.1")
            c.say("done")
            heard = c.rest()
        refused = [h for h in heard if isinstance(h, str) and h.startswith("ERR")]
        records = [h for h in heard if isinstance(h, Data) and h.kind == 16]
        troubled = [r for r in records if b"Too many open files" in r.record]
        assert refused or troubled
        assert all("this host cannot" in r for r in refused)
        assert len(refused) + len(records) == 60
        with Dialogue(path) as c:
            assert c.measure("udpprobe -d 9 -p 00 -w 0.5 127.0.0.1")


def test_privileges(sock: Path) -> None:
    """The process that serves is not root, can never become it, and holds no capability."""
    facts = status(process_of(sock))

    assert "0" not in facts["Uid"].split()
    assert facts["NoNewPrivs"] == "1"
    assert int(facts["CapEff"], 16) == int(facts["CapPrm"], 16) == 0
    assert sock.stat().st_mode & 0o777 == 0o600


def test_second_companion_is_refused(sock: Path) -> None:
    """A socket on which somebody listens is not taken away."""
    command = [sys.executable, "-m", "onvp.sandbox.companion.serve", "--socket", str(sock)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 1
    assert "listens there already" in done.stderr


def test_a_dead_companions_socket_is_replaced(own_folder: Path) -> None:
    """What a killed companion left behind does not hinder the next; a clean end leaves nothing."""
    path = own_folder / "companion.sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
    with companion(own_folder) as again, Dialogue(again) as c:
        assert c.ask("get monitorname") == "OK null monitorname"
    assert not path.exists()


def test_end_of_input_ends_it(own_folder: Path) -> None:
    """With --until-eof the companion ends when its supervisor is gone."""
    path = own_folder / "eof.sock"
    command = [sys.executable, "-m", "onvp.sandbox.companion.serve", "--until-eof", "--socket", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        assert b"listening" in process.stdout.readline()
        process.stdin.close()
        assert process.wait(20) == 0
