"""Enrolment: a one-time line becomes a token of the vantage point's own, and goes to one controller only."""

import asyncio
import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from onvp.sandbox.agent.enrol import EnrolError, Identity, enrol, load, save
from onvp.sandbox.wire.invite import Invitation
from tests.controller.world import Vp, World, controller


def test_a_line_works_once(tmp_path: Path) -> None:
    """A line makes one vantage point, which can link; the second use is refused with what to do."""

    async def go() -> None:
        async with controller(tmp_path, tls=True) as world:
            line = str(world.invitation())
            identity = await asyncio.to_thread(enrol, line, "vp1", save_to=tmp_path / "id" / "vp.json")
            assert load(tmp_path / "id" / "vp.json") == identity
            vp = Vp(identity, tmp_path / "spool")
            async with vp.up():
                await vp.wait_linked()
            with pytest.raises(EnrolError, match=r"has been used\. Ask the operator"):
                await asyncio.to_thread(enrol, line, "vp2")

    asyncio.run(go())


REFUSED = [
    pytest.param(lambda world: world.invitation(expires_in_s=-1), "vp1", "expired", id="expired"),
    pytest.param(lambda world: world.invitation("vp7"), "vp1", "is for 'vp7', not for 'vp1'", id="another name"),
    pytest.param(lambda world: world.invitation(), "taken", "already", id="name taken"),
    pytest.param(lambda world: world.invitation(), "../x", "cannot be", id="not a name"),
    pytest.param(lambda world: Invitation("enr_" + "x" * 43, None, world.url), "vp1", "unknown", id="made-up secret"),
    pytest.param(lambda world: Invitation("usr_" + "x" * 43, None, world.url), "vp1", "researcher", id="a login line"),
    pytest.param(lambda world: f"{world.url}", "vp1", "not an onvp token", id="only a URL"),
    pytest.param(
        lambda world: Invitation("enr_" + "x" * 43, None, "http://127.0.0.1:1"), "vp1", "cannot reach", id="nobody"
    ),
]


def test_refusals(tmp_path: Path) -> None:
    """Each line that does not work is refused with a sentence, and the name stays free."""

    async def go() -> None:
        async with controller(tmp_path) as world:
            await world.identity("taken")
            for case in REFUSED:
                make, name, words = case.values
                with pytest.raises(EnrolError, match=words):
                    await asyncio.to_thread(enrol, make(world), name)
            await asyncio.to_thread(enrol, world.invitation(), "vp1")

    asyncio.run(go())


def test_replacing_a_vantage_point(tmp_path: Path) -> None:
    """A line made for a name may take it over; the old token then opens nothing."""

    async def go() -> None:
        async with controller(tmp_path) as world:
            old = await world.identity("vp1")
            new = await asyncio.to_thread(enrol, world.invitation("vp1"), "vp1")
            assert old.token != new.token
            async with link_status(world, old) as status:
                assert status == 401

    asyncio.run(go())


@contextlib.asynccontextmanager
async def link_status(world: World, identity: Identity) -> "contextlib.AbstractAsyncContextManager[int]":  # type: ignore[misc]
    """The HTTP status that a token's link gets."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    from onvp.sandbox.agent.uplink import websocket_address

    try:
        async with connect(
            websocket_address(world.url),
            additional_headers={"Authorization": f"Bearer {identity.token}"},
            proxy=None,
        ):
            yield 101
    except InvalidStatus as refused:
        yield refused.response.status_code


def test_another_certificate_never_sees_the_secret(tmp_path: Path) -> None:
    """A controller that is not the pinned one is refused, and its secret still works at the right one."""

    async def go() -> None:
        async with controller(tmp_path, tls=True) as world:
            invitation = world.invitation()
            with pytest.raises(EnrolError, match="not your controller"):
                await asyncio.to_thread(enrol, invitation._replace(fingerprint="0" * 64), "vp1")
            with pytest.raises(EnrolError, match="no secure connection"):
                await asyncio.to_thread(enrol, invitation._replace(fingerprint=None), "vp1")
            await asyncio.to_thread(enrol, invitation, "vp1")

    asyncio.run(go())


@contextlib.contextmanager
def answering(data: bytes) -> Iterator[str]:
    """Something on a port that is not a controller."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(data)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"SSH-2.0-x\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", id="not JSON"),
        pytest.param(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n[]", id="not an object"),
        pytest.param(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", id="no token"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_strangers(data: bytes) -> None:
    """Whatever else answers on the port is told apart from a controller in a sentence."""
    with answering(data) as url, pytest.raises(EnrolError, match=r"not an onvp controller|cannot reach"):
        enrol(Invitation("enr_" + "x" * 43, None, url), "vp1")


IDENTITY = Identity("vp1", "https://onvp.example:8440", "vpt_x", "0" * 64)


def test_the_file_is_private(tmp_path: Path) -> None:
    """The token is kept for its owner only, replaces an older one, and comes back as it was."""
    path = tmp_path / "vp.json"
    save(IDENTITY, path)
    save(IDENTITY._replace(token="vpt_y", fingerprint=None), path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert load(path) == IDENTITY._replace(token="vpt_y", fingerprint=None)
    assert [each.name for each in tmp_path.iterdir()] == ["vp.json"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "is not enrolled", id="missing"),
        pytest.param("{", "Enrol again", id="cut"),
        pytest.param("{}", "damaged", id="empty object"),
        pytest.param("[1]", "damaged", id="a list"),
        pytest.param(json.dumps(IDENTITY._replace(url="http://192.0.2.1")._asdict()), "in the clear", id="without TLS"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: str | None, words: str) -> None:
    """A missing, damaged or unsafe identity is refused with what to do."""
    path = tmp_path / "vp.json"
    if content is not None:
        path.write_text(content)
        path.chmod(0o600)

    with pytest.raises(EnrolError, match=words):
        load(path)


def test_a_file_that_others_can_read(tmp_path: Path) -> None:
    """A token that others can read is not used."""
    path = tmp_path / "vp.json"
    save(IDENTITY, path)
    path.chmod(0o640)

    with pytest.raises(EnrolError, match="chmod 600"):
        load(path)
