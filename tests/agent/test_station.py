"""A vantage point that cannot come up says why in one sentence, and leaves nothing running and nothing on disk."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.command import Desk, Done

UNUSABLE = 3


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A policy, a scamper, a place for temporary files."""
    with Desk() as desk:
        yield desk
        assert desk.leftovers() == []


def told(done: Done) -> str:
    """The one sentence of a command that could not do it."""
    assert done.status == UNUSABLE, done
    assert "Traceback" not in done.err
    assert done.out == ""
    assert done.sentences, done.err
    assert done.sentences[0].startswith("onvp-vp: ")
    return done.err


def program(desk: Desk, text: str) -> Path:
    """A program that stands in the place of scamper."""
    path = desk.write("no-scamper", f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_no_policy_no_vantage_point(desk: Desk) -> None:
    """Without a policy nothing is started."""
    assert "no policy: give --policy FILE" in told(desk.run("try", desk.write("s.py", "1"), "--no-companion"))


def test_a_policy_that_is_not_there(desk: Desk) -> None:
    """The path is in the sentence."""
    assert "none.yaml" in told(desk.attempt("1", "--policy", desk.folder / "none.yaml"))


def test_every_problem_of_a_broken_policy_is_told_with_its_line(desk: Desk) -> None:
    """A duplicate key, a wrong unit and an unknown primitive are told together."""
    broken = desk.policy.read_text().replace("default: deny", "default: deny\nid: again")
    broken = broken.replace("  ping:", "  pong: {allow: true}\n  ping:") + "  wall: 5 parsecs\n"
    path = desk.write("broken.yaml", broken)

    text = told(desk.attempt("1", "--policy", path))

    for word in ("pong", "parsecs", "id"):
        assert any(word in line and "broken.yaml:" in line for line in text.splitlines()), text


def test_a_policy_with_a_tab_is_told_with_its_line(desk: Desk) -> None:
    """The line of the tab is in the sentence."""
    path = desk.write("tab.yaml", desk.policy.read_text() + "\tx: 1\n")

    assert "tab.yaml:" in told(desk.attempt("1", "--policy", path))


def test_scamper_is_not_installed(desk: Desk) -> None:
    """A program that is not there is named, with how to get it."""
    text = told(desk.attempt("1", "--scamper", "no-such-scamper"))

    assert "no-such-scamper" in text
    assert "apt install scamper" in text


def test_scamper_dies_at_its_start(desk: Desk) -> None:
    """Its own last words are in the sentence."""
    assert "out of luck" in told(desk.attempt("1", "--scamper", program(desk, "echo out of luck >&2; exit 4")))


def test_what_is_started_is_no_scamper(desk: Desk) -> None:
    """A program that listens and answers garbage is no prober."""
    text = (
        "exec python3 -c \"import socket,os\ns=socket.socket(socket.AF_UNIX); s.bind('scamper.sock'); "
        "os.chmod('scamper.sock',0o777); s.listen()\nwhile 1:\n"
        " c,_=s.accept()\n try: c.recv(100); c.send(b'\\x00\\xff garbage\\\\n'*50)\n except OSError: pass\""
    )

    assert "is not a prober" in told(desk.attempt("1", "--scamper", program(desk, text)))


def test_what_listens_at_a_given_socket_is_no_prober(desk: Desk) -> None:
    """Garbage on a socket that somebody else keeps is told, with the socket's path."""
    path = desk.folder / "other.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o777)
        listener.listen()

        def answer() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(100)
                    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        text = told(desk.attempt("1", "--scamper", path))
        listener.shutdown(socket.SHUT_RDWR)

    assert "other.sock" in text
    assert "is not a prober" in text


def test_settings_that_name_nobody(desk: Desk) -> None:
    """A user who is not there, or is root, is told before anything is started."""
    assert "there is no user 'nobody-here'" in told(desk.attempt("1", "--agent-user", "nobody-here"))
    assert "does not run as root" in told(desk.attempt("1", "--agent-user", "root"))


def test_a_state_that_is_a_file(desk: Desk) -> None:
    """A state folder that cannot be one is named."""
    path = desk.write("state", "")

    assert str(path) in told(desk.attempt("1", "--state", path))


def test_damaged_books_stop_everything(desk: Desk) -> None:
    """Budgets that cannot be read are not taken for empty ones."""
    state = desk.folder / "st"
    state.mkdir()
    (state / "budgets.json").write_text("{")

    text = told(desk.attempt("print(1)", "--state", state))

    assert "budgets.json" in text


def test_without_root_the_sentence_says_what_to_do(desk: Desk) -> None:
    """An ordinary user is told about root and the socket of a scamper that runs already."""
    # An ordinary user who can read the program wherever it is installed.
    as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    as_user += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]

    text = told(desk.run("try", desk.write("s.py", "1"), "--policy", desk.policy, "--no-companion", before=as_user))

    assert "root" in text
    assert "socket of a scamper" in text
