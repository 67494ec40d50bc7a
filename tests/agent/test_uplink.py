"""The uplink: it resumes where it stopped, shows its token to one controller only, and never gives up."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from websockets.asyncio.server import ServerConnection, serve

from onvp.controller import settings as controller_settings
from onvp.controller.certificate import make_certificate
from onvp.sandbox.agent import uplink
from onvp.sandbox.agent.enrol import Identity
from onvp.sandbox.wire import link
from tests.controller.world import Vp, World, controller, finishing, hello, request, until

Handler = Callable[[ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def scripted(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A controller that does what the test says."""
    async with serve(handler, "127.0.0.1", 0, ssl=context, max_size=link.LIMIT_BYTES) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def cutting_proxy(target: str, budgets: list[int]) -> AsyncIterator[str]:
    """A line to ``target`` that breaks after each of these numbers of bytes from the client, then holds."""
    host, port = target.removeprefix("http://").split(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None) -> None:
        while data := await reader.read(4096):
            if left is not None:
                left -= len(data)
                if left < 0:
                    break
            writer.write(data)
            await writer.drain()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        budget = budgets.pop(0) if budgets else None
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        tasks = [
            asyncio.create_task(pump(reader, far_writer, budget)),
            asyncio.create_task(pump(far_reader, writer, None)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for each in (writer, far_writer):
                each.transport.abort()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def vp_at(url: str, path: Path, fingerprint: str | None = None, **said: Any) -> Vp:
    """A vantage point that believes it was enrolled there."""
    return Vp(Identity("vp1", url, "vpt_secret", fingerprint), path / "spool", **said)


async def greet(socket: ServerConnection, acked: int = 0, protocol: int = link.PROTOCOL) -> link.Hello:
    """The controller's half of the greeting."""
    said = link.decode_from_agent(await socket.recv())  # type: ignore[arg-type]
    assert isinstance(said, link.Hello)
    await socket.send(link.encode(link.Welcome(protocol, "vp1", acked)))
    return said


async def lines(world: World, run: str) -> list[dict[str, Any]]:
    """Every event of a run that has ended, as the controller tells it."""
    import json

    async with world.user("reader", "operator") as reader:
        answer = await reader.get(f"/v1/runs/{run}/events?follow=1")
        return [json.loads(line) for line in answer.text.split("\n") if line]


def test_broken_lines_lose_and_repeat_nothing(tmp_path: Path) -> None:
    """However often and wherever the line breaks, each event arrives exactly once and in order."""
    outputs = [link.Output(f"{number}\n" + "x" * 500) for number in range(400)]

    async def go() -> None:
        async with controller(tmp_path) as world:
            identity = await world.identity("vp1")
            budgets = [900, 3_000, 20_000, 61_000, 5_000, 33_333]
            async with cutting_proxy(world.url, budgets) as url:
                vp = Vp(identity._replace(url=url), tmp_path / "spool", finishing(*outputs))
                async with vp.up(), world.user() as user:
                    await until(lambda: not budgets[5:] and vp.uplink.linked)
                    await vp.wait_linked()
                    run = (await user.post("/v1/runs", json=request())).json()["run"]
                    told = await lines(world, run)
                    assert not budgets
                    texts = [each["data"]["text"] for each in told if each["type"] == "output"]
                    assert [output.text for output in outputs] == texts

    asyncio.run(go())


def test_events_from_before_the_link(tmp_path: Path) -> None:
    """What was spooled while the controller was away is delivered behind what it has."""

    async def go() -> None:
        got: list[int] = []
        done = asyncio.Event()

        async def handler(socket: ServerConnection) -> None:
            said = await greet(socket, acked=3)
            assert said.last_seq == 5
            async for data in socket:
                event = link.decode_from_agent(data)  # type: ignore[arg-type]
                assert isinstance(event, link.Event)
                got.append(event.seq)
                await socket.send(link.encode(link.Ack(event.seq)))
                if event.seq == 6:
                    done.set()

        async with scripted(handler) as url:
            vp = vp_at(url, tmp_path)
            await vp.spool.open()
            for number in range(5):
                vp.spool.append("r", link.Output(str(number)))
            await vp.spool.flush()
            await vp.spool.close()
            async with vp.up():
                await vp.wait_linked()
                vp.spool.append("r", link.Output("5"))
                await done.wait()
                await until(lambda: vp.spool.stored_bytes == 0)

        assert got == [4, 5, 6]

    asyncio.run(go())


def test_unacknowledged_bytes_are_bounded(tmp_path: Path) -> None:
    """A controller that does not acknowledge is not sent more than the window."""

    async def go() -> None:
        received = 0
        quiet = asyncio.Event()

        async def handler(socket: ServerConnection) -> None:
            nonlocal received
            await greet(socket)
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(0.5):
                        received += len(await socket.recv())
            quiet.set()
            await socket.wait_closed()

        async with scripted(handler) as url:
            vp = vp_at(url, tmp_path)
            async with vp.up():
                for _ in range(200):
                    vp.spool.append("r", link.Measurement(0, b"x" * 100_000))
                await quiet.wait()

        assert 0 < received <= uplink.WINDOW_BYTES + 2 * 100_100

    asyncio.run(go())


def test_wrong_certificate_never_sees_the_token(tmp_path: Path) -> None:
    """A controller with another certificate than the pinned one gets no byte of HTTP."""
    make_certificate("127.0.0.1", tmp_path / "cert.pem", tmp_path / "key.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    async def go() -> None:
        heard: list[bytes] = []
        closed = asyncio.Event()

        async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(100):
                    heard.append(data)
            writer.close()
            closed.set()

        server = await asyncio.start_server(stranger, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with structlog.testing.capture_logs() as logs:
            async with server, vp_at(url, tmp_path, "0" * 64).up():
                await closed.wait()
                await until(lambda: any(entry["event"] == "link-refused" for entry in logs))

        assert heard == []
        (entry,) = [entry for entry in logs if entry["event"] == "link-refused"]
        assert "enrol again" in entry["why"]
        assert entry["again_in_s"] == uplink.REFUSED_S

    asyncio.run(go())


def test_pinned_certificate_is_trusted(tmp_path: Path) -> None:
    """The pinned certificate is enough, although no authority signed it and its name is another."""
    make_certificate("elsewhere.example", tmp_path / "cert.pem", tmp_path / "key.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    pin = controller_settings.fingerprint_of(tmp_path / "cert.pem")

    async def go() -> None:
        async def handler(socket: ServerConnection) -> None:
            assert socket.request is not None
            assert socket.request.headers["Authorization"] == "Bearer vpt_secret"
            await greet(socket)
            await socket.wait_closed()

        async with scripted(handler, context) as url:
            vp = vp_at(url, tmp_path, pin)
            async with vp.up():
                await vp.wait_linked()

    asyncio.run(go())


def test_wrong_token(tmp_path: Path) -> None:
    """An agent with a wrong token is told what to do, tries again slowly, and keeps its events."""

    async def go() -> None:
        async with controller(tmp_path) as world:
            vp = Vp(await world.identity("vp1"), tmp_path / "spool")
            with structlog.testing.capture_logs() as logs:
                async with vp.up(token="vpt_wrong"):
                    vp.spool.append("r", link.Output("kept"))
                    await until(lambda: any(entry["event"] == "link-refused" for entry in logs))
                    await vp.spool.flush()
                    assert vp.spool.newest == 1
                    assert len(await vp.spool.read(0)) == 1
                    (entry,) = [entry for entry in logs if entry["event"] == "link-refused"]
                    assert "Enrol again" in entry["why"]
                    assert entry["again_in_s"] == uplink.REFUSED_S

    asyncio.run(go())


async def _garbage(socket: ServerConnection) -> None:
    await greet(socket)
    await socket.send(b"\xff\x00 not a message")
    await socket.wait_closed()


async def _text(socket: ServerConnection) -> None:
    await greet(socket)
    await socket.send("text")
    await socket.wait_closed()


async def _no_welcome(socket: ServerConnection) -> None:
    await socket.send(link.encode(link.Ack(1)))
    await socket.wait_closed()


async def _early_ack(socket: ServerConnection) -> None:
    await greet(socket)
    await socket.send(link.encode(link.Ack(99)))
    await socket.wait_closed()


async def _other_protocol(socket: ServerConnection) -> None:
    await greet(socket, protocol=99)
    await socket.wait_closed()


async def _refuses(socket: ServerConnection) -> None:
    await greet(socket)
    await socket.close(1008, "event 7 came after event 3")


async def _goes_away(socket: ServerConnection) -> None:
    await greet(socket)
    await socket.close(1001, "the controller stops")


@pytest.mark.parametrize(
    ("handler", "event", "words"),
    [
        pytest.param(_garbage, "link-down", "not a message", id="random bytes"),
        pytest.param(_text, "link-down", "binary", id="text"),
        pytest.param(_no_welcome, "link-down", "not Welcome", id="no welcome"),
        pytest.param(_early_ack, "link-down", "never sent", id="acknowledges what was not sent"),
        pytest.param(_other_protocol, "link-refused", "version 99", id="other protocol"),
        pytest.param(_refuses, "link-refused", "event 7 came after event 3", id="closed with a reason"),
        pytest.param(_goes_away, "link-down", "the controller stops", id="goes away"),
    ],
)
def test_a_controller_that_misbehaves(tmp_path: Path, handler: Handler, event: str, words: str) -> None:
    """Nothing that a controller says ends the uplink: it logs a sentence and will dial again."""

    async def go() -> None:
        async with scripted(handler) as url:
            vp = vp_at(url, tmp_path)
            with structlog.testing.capture_logs() as logs:
                async with vp.up():
                    vp.spool.append("r", link.Output("kept"))
                    await until(lambda: any(entry["event"] == event for entry in logs))
                    await vp.spool.flush()
                    assert len(await vp.spool.read(0)) == 1

        entry = next(entry for entry in logs if entry["event"] == event)
        assert words in entry["why"]

    asyncio.run(go())


def test_a_callback_that_fails_does_not_cut_the_link(tmp_path: Path) -> None:
    """If starting a run raises, the link stays and later messages arrive."""

    async def go() -> None:
        async def handler(socket: ServerConnection) -> None:
            await greet(socket)
            for run in ("bad", "good"):
                await socket.send(link.encode(link.Offer(run, "alice", "researcher", "s.py", b"", [])))
            await socket.wait_closed()

        def script(_: Vp, offer: link.Offer) -> None:
            if offer.run == "bad":
                raise ZeroDivisionError

        async with scripted(handler) as url:
            vp = vp_at(url, tmp_path, script=script)
            with structlog.testing.capture_logs() as logs:
                async with vp.up():
                    await vp.wait(lambda: len(vp.offers) == 2)
                    assert vp.uplink.linked

        assert any(entry["event"] == "callback-failed" for entry in logs)

    asyncio.run(go())


def test_status_is_reported(tmp_path: Path) -> None:
    """A change of the vantage point's state reaches the controller on the open link."""

    async def go() -> None:
        async with controller(tmp_path) as world, world.vp("vp1") as vp, world.user() as user:
            said = hello("vp1")
            await vp.uplink.report(link.Status(True, "standard", "digest-2", said.primitives, {"scamper": "20260420"}))
            view: dict[str, Any] = {}
            async with asyncio.timeout(20):
                while not view.get("paused"):
                    (view,) = (await user.get("/v1/vps")).json()["vps"]

            assert view["policy_digest"] == "digest-2"
            assert view["probers"] == {"scamper": "20260420"}

    asyncio.run(go())


def test_a_new_disk_under_an_old_name(tmp_path: Path) -> None:
    """A vantage point that lost its spool delivers its next run, although numbers start again."""

    async def go() -> None:
        async with controller(tmp_path) as world, world.user() as user:
            identity = await world.identity("vp1")
            for spool in ("old", "new"):
                vp = Vp(identity, tmp_path / spool, finishing(*[link.Output("x")] * 20))
                async with vp.up():
                    await vp.wait_linked()
                    run = (await user.post("/v1/runs", json=request())).json()["run"]
                    answer = await user.get(f"/v1/runs/{run}/events?follow=1")
                    assert answer.text.count('"output"') == 20

    asyncio.run(go())
