"""The line between companion and raw worker: nothing that is out of bounds becomes a probe."""

import socket
import struct
import threading

import msgspec
import pytest

from onvp.sandbox.companion import rawjob
from onvp.sandbox.companion.rawjob import Def, Failed, Job, Ready, Slot
from onvp.sandbox.companion.rawworker import Worker, open_sockets
from onvp.sandbox.wire.frames import Deframer, pack

PROBE = Def(1, 0x7F000001, 0x7F000001, 64, 0, 30, 0, 0, 1, 0)


def job(number: int = 1, which: int = 0) -> Job:
    """A schedule of one probe."""
    return Job(number, 0, [PROBE], [Slot(0, which)])


@pytest.mark.parametrize(
    "message",
    [
        None,
        {},
        ["job"],
        ["shell", 1],
        ["job", -1, 0, [["def", 1, 1, 1, 1, 0, 30, 0, 0, 0, 0]], [["slot", 0, 0]]],
        ["job", 1, 0, [], [["slot", 0, 0]]],
        ["job", 1, 0, [["def", 1, 1, 1, 1, 0, 30, 0, 0, 0, 0]], []],
        ["job", 1, 0, [["def", 7, 1, 1, 1, 0, 30, 0, 0, 0, 0]], [["slot", 0, 0]]],
        ["job", 1, 0, [["def", 1, 1 << 32, 1, 1, 0, 30, 0, 0, 0, 0]], [["slot", 0, 0]]],
        ["job", 1, 0, [["def", 1, 1, 1, 0, 0, 30, 0, 0, 0, 0]], [["slot", 0, 0]]],
        ["job", 1, 0, [["def", 1, 1, 1, 1, 0, 29, 0, 0, 0, 0]], [["slot", 0, 0]]],
        ["job", 1, 0, [["def", 1, 1, 1, 1, 0, 65536, 0, 0, 0, 0]], [["slot", 0, 0]]],
        ["job", 1, 0, [["def", 1, 1, 1, 1, 0, 30, 0, 0, 0, 0]], [["slot", -1, 0]]],
        ["job", 1, 0, [["def", 1, 1, 1, 1, 0, 30, 0, 0, 0, 0]], [["slot", rawjob.MOST_OFFSET_US + 1, 0]]],
        ["job", 1, 0, [["def", 1, 1, 1, 1, 0, 30, 0, 0, 0, 0]], [["slot", "0", 0]]],
        ["job", 1, 0, [["def", 1, 1, 1, 1, 0, 30, 0, 0, 0, 0, 9]], [["slot", 0, 0]], 1, 2],
    ],
)
def test_out_of_bounds(message: object) -> None:
    """A message with a field that is missing, of another type or out of its range does not decode."""
    with pytest.raises(msgspec.ValidationError):
        rawjob.to_worker.decode(msgspec.msgpack.encode(message))


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", struct.pack("!I", 3) + b"abc", pack(rawjob.encode(["job"]), limit_bytes=100)],
    ids=["a frame of 4 GiB", "no msgpack", "no job"],
)
def test_nonsense_ends_the_worker(data: bytes) -> None:
    """A companion that talks nonsense has nothing more sent for it."""
    ours, theirs = socket.socketpair()
    sending, receiving = open_sockets()
    with ours, theirs, sending, receiving:
        worker = threading.Thread(target=Worker(theirs, sending, receiving).run, daemon=True)
        worker.start()
        ours.sendall(data)
        worker.join(20)
        assert not worker.is_alive()


def test_a_schedule_that_names_no_probe() -> None:
    """A slot for a definition that is not there, and a number that is taken, are refused; the rest goes on."""
    ours, theirs = socket.socketpair()
    sending, receiving = open_sockets()
    with ours, theirs, sending, receiving:
        worker = threading.Thread(target=Worker(theirs, sending, receiving).run, daemon=True)
        worker.start()
        ours.settimeout(20)
        for each in (job(1, which=1), job(2), job(2)):
            ours.sendall(pack(rawjob.encode(each), limit_bytes=rawjob.TO_WORKER_BYTES))
        deframer, news = Deframer(limit_bytes=rawjob.FROM_WORKER_BYTES), list[rawjob.FromWorker]()
        while sum(isinstance(n, Failed) for n in news) < 2:
            for body in deframer.feed(ours.recv(65536)):
                news += rawjob.from_worker.decode(body)
        ours.shutdown(socket.SHUT_RDWR)
        worker.join(20)

    assert isinstance(news[0], Ready)
    assert [n.number for n in news if isinstance(n, Failed)] == [1, 2]
