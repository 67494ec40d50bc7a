"""However a script ends, the worker's last word says how."""

import socket

import pytest

from onvp.sandbox.wire import calls, frames
from onvp.sandbox.worker import main

HOSTILE_INT = "class I(int):\n    def __int__(self): raise ValueError\n    def __and__(self, other): return 'x'\n"
HOSTILE_TEXT = "class T:\n    def __str__(self): raise ValueError\n"


def last_word(source: str) -> calls.Finished:
    """Run a worker over a real channel; give its last message."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        job = calls.Job(
            run="r", filename="s.py", source=source.encode(), args=[], instances=[calls.Instance(name="here")]
        )
        ours.sendall(frames.pack(calls.encode(job), limit_bytes=calls.TO_WORKER_LIMIT_BYTES))
        main.run(theirs.fileno())
        theirs.shutdown(socket.SHUT_WR)
        deframer = frames.Deframer(limit_bytes=calls.FROM_WORKER_LIMIT_BYTES)
        messages = []
        while data := ours.recv(1 << 16):
            messages.extend(map(calls.decode_from_worker, deframer.feed(data)))
    end = messages[-1]
    assert isinstance(end, calls.Finished), messages
    return end


@pytest.mark.parametrize(
    ("source", "status", "error"),
    [
        ("", 0, ""),
        ("import sys\nsys.exit()", 0, ""),
        ("import sys\nsys.exit(300)", 300 & 0xFF, ""),
        ("import sys\nsys.exit('why')", 1, "why"),
        (HOSTILE_INT + "raise SystemExit(I(3))", 3, ""),
        (HOSTILE_TEXT + "raise SystemExit(T())", 1, "SystemExit: its status has no text"),
        ("raise KeyboardInterrupt", 1, "KeyboardInterrupt"),
        ("raise GeneratorExit('x')", 1, "GeneratorExit: x"),
        ("class E(BaseException): pass\nraise E('x')", 1, "E: x"),
        ("raise ValueError('x')", 1, "ValueError: x"),
    ],
)
def test_an_end_has_a_status_and_the_last_line_of_its_error(source, status, error):
    """Any way out of a script, ordinary or hostile, is a status and a sentence, never a lost worker."""
    end = last_word(source)
    assert end.status == status
    assert (end.error or "").strip().splitlines()[-1:] == ([error] if error else [])


def test_a_refusal_of_the_scripts_own_making_is_its_own_error():
    """An exception that calls itself a policy's refusal, with a code that raises, is reported as the script's."""
    source = "import onvp\nclass E(onvp.Refused):\n    @property\n    def code(self): raise ValueError\nraise E('mine')"
    assert last_word(source).code == "script-error"
