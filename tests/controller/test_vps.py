"""The VPs' WebSocket: hostile peers are closed with a reason, and what is acknowledged is on disk."""

import asyncio
import contextlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from onvp.controller import settings
from onvp.controller.store import Store
from onvp.sandbox.agent.uplink import websocket_address
from onvp.sandbox.wire import calls, link
from tests.controller.world import Vp, World, controller, hello, request, until


@contextlib.asynccontextmanager
async def dialled(world: World, token: str) -> AsyncIterator[ClientConnection]:
    """A raw link, for saying what no agent says."""
    async with connect(
        websocket_address(world.url),
        additional_headers={"Authorization": f"Bearer {token}"},
        proxy=None,
        max_size=link.LIMIT_BYTES,
    ) as socket:
        yield socket


async def greet(socket: ClientConnection) -> link.Welcome:
    """An agent's half of the greeting."""
    await socket.send(link.encode(hello("vp1")))
    welcome = link.decode_from_controller(await socket.recv())  # type: ignore[arg-type]
    assert isinstance(welcome, link.Welcome)
    return welcome


@contextlib.asynccontextmanager
async def greeted(world: World) -> AsyncIterator[ClientConnection]:
    """A raw link of vp1, past the greeting."""
    identity = await world.identity("vp1")
    async with dialled(world, identity.token) as socket:
        await greet(socket)
        yield socket


def event(seq: int, run: str = "r", body: link.Body | None = None, when: float = 0.0) -> bytes:
    """An event as it is sent."""
    return link.encode(link.Event(seq, run, when, body or link.Output("x")))


def test_no_token_no_link(tmp_path: Path) -> None:
    """Without a good token the handshake is refused with 401 and the one error shape."""

    async def go() -> None:
        async with controller(tmp_path) as world:
            for header in ({}, {"Authorization": "Bearer vpt_wrong"}, {"Authorization": "Bearer \xff"}):
                with pytest.raises(InvalidStatus) as caught:
                    async with connect(websocket_address(world.url), additional_headers=header, proxy=None):
                        raise AssertionError("linked")

                assert caught.value.response.status_code == 401
                assert b'"unauthorized"' in (caught.value.response.body or b"")

    asyncio.run(go())


GREETING = link.encode(hello("vp1"))
HOSTILE = [
    pytest.param([os.urandom(200)], "not a message of an agent", id="random bytes"),
    pytest.param(["text"], "text on a binary link", id="text"),
    pytest.param([b""], "not a message of an agent", id="nothing"),
    pytest.param([event(1)], "not Hello", id="no greeting"),
    pytest.param([link.encode(hello("vp1", protocol=99))], "version 99", id="other protocol"),
    pytest.param([link.encode(link.Ack(1))], "not a message of an agent", id="a controller's word"),
    pytest.param([GREETING, GREETING], "Hello in the middle", id="greets twice"),
    pytest.param([GREETING, event(1), event(3)], "event 3 came after event 1", id="gap"),
    pytest.param([GREETING, event(2), event(1)], "event 1 came after event 2", id="backwards"),
    pytest.param([GREETING, event(0)], "impossible", id="number zero"),
    pytest.param([GREETING, event(1 << 63)], "impossible", id="number beyond all bounds"),
    pytest.param([GREETING, event(1, when=float("nan"))], "impossible", id="no time"),
    pytest.param([GREETING, event(1, when=1e18)], "impossible", id="a time after all calendars"),
    pytest.param([GREETING, event(1, "r" * 1000)], "impossible", id="a run's id that is none"),
    pytest.param([link.encode(hello("vp1", version="x" * (1 << 20)))], "greeting of", id="huge greeting"),
    pytest.param([GREETING, event(1)[:-3]], "not a message of an agent", id="cut"),
    pytest.param([GREETING, event(1) + b"\x00"], "not a message of an agent", id="something behind it"),
    pytest.param([GREETING, b"\x91" * 100_000], "not a message of an agent", id="nested without end"),
]


def test_hostile_vps(tmp_path: Path) -> None:
    """Whatever breaks the rules of the link is closed with 1008 and a sentence; the controller goes on."""

    async def go() -> None:
        async with controller(tmp_path) as world, world.user() as user:
            identity = await world.identity("vp1")
            for case in HOSTILE:
                messages, words = case.values
                with structlog.testing.capture_logs() as logs:
                    async with dialled(world, identity.token) as socket:
                        with pytest.raises(ConnectionClosed) as caught:
                            for message in messages:
                                await socket.send(message)
                            while True:
                                await socket.recv()
                assert caught.value.rcvd is not None, case.id
                assert caught.value.rcvd.code == 1008, case.id
                assert any(words in entry.get("why", "") for entry in logs), (case.id, logs)
                assert caught.value.rcvd.reason[:20] in "".join(entry.get("why", "") for entry in logs)
            assert (await user.get("/v1/health")).status_code == 200
            async with dialled(world, identity.token) as socket:
                await greet(socket)

    asyncio.run(go())


def test_too_large_a_message(tmp_path: Path) -> None:
    """A message above the limit ends the link, not the controller."""

    async def go() -> None:
        async with controller(tmp_path) as world, world.user() as user:
            async with greeted(world) as socket:
                with pytest.raises(ConnectionClosed):
                    await socket.send(b"x" * (link.LIMIT_BYTES + 1))
                    while True:
                        await socket.recv()
            assert (await user.get("/v1/health")).status_code == 200

    asyncio.run(go())


def test_events_of_foreign_runs_are_dropped(tmp_path: Path) -> None:
    """A VP cannot write into a run that was not given to it."""

    async def go() -> None:
        async with controller(tmp_path) as world, world.vp("vp2") as other, world.user() as user:
            run = (await user.post("/v1/runs", json=request())).json()["run"]
            await other.wait(lambda: bool(other.offers))
            async with greeted(world) as socket:
                await socket.send(event(1, run, link.End(outcome="finished")))
                assert link.decode_from_controller(await socket.recv()) == link.Ack(1)  # type: ignore[arg-type]
            view = (await user.get(f"/v1/runs/{run}")).json()
            assert view["state"] == "running"
            assert list(view["vps"]) == ["vp2"]

    asyncio.run(go())


def test_repeated_events_are_stored_once(tmp_path: Path) -> None:
    """What arrives again after a broken link is acknowledged and not stored twice."""

    async def go() -> None:
        async with controller(tmp_path) as world, world.user() as user:
            identity = await world.identity("vp1")
            async with dialled(world, identity.token) as socket:
                await greet(socket)
                run = (await user.post("/v1/runs", json=request())).json()["run"]
                for seq in (1, 2, 3):
                    await socket.send(event(seq, run, link.Output(f"{seq}\n")))
                acked = 0
                while acked < 3:
                    message = link.decode_from_controller(await socket.recv())  # type: ignore[arg-type]
                    acked = message.seq if isinstance(message, link.Ack) else acked
            async with dialled(world, identity.token) as socket:
                assert (await greet(socket)).acked == 3
                for seq in (2, 3, 4):
                    await socket.send(event(seq, run, link.Output(f"{seq}\n")))
                while acked < 4:
                    message = link.decode_from_controller(await socket.recv())  # type: ignore[arg-type]
                    acked = message.seq if isinstance(message, link.Ack) else acked
            assert (await user.get(f"/v1/runs/{run}/vps/vp1/file?name=output.txt")).text == "1\n2\n3\n4\n"

    asyncio.run(go())


def test_strange_values_do_not_hide_a_run(tmp_path: Path) -> None:
    """Whatever a VP puts into free fields, its run can still be listed, shown, followed and fetched."""
    strange = {"bytes": b"\xff", "nan": float("nan"), "deep": {"x": msgspec.msgpack.Ext(5, b"y")}}
    bodies = (
        link.State("s" * 1000),
        link.Clamped("ping", "x", [calls.Clamp("a", msgspec.msgpack.Ext(1, b""), {1: 2}, "r", "w")]),
        link.Artifact("n" * 5000, b"x"),
        link.Result(b"\xff"),
        link.Output("\x00\u2028"),
        link.End(outcome="a word of its own", status=1 << 62, counters={"x": float("inf")}, facts=strange),
    )

    async def go() -> None:
        async with controller(tmp_path) as world, world.vp("vp1") as vp, world.user() as user:
            run = (await user.post("/v1/runs", json=request())).json()["run"]
            await vp.wait(lambda: bool(vp.offers))
            for body in bodies:
                vp.spool.append(run, body)
            told = (await user.get(f"/v1/runs/{run}/events?follow=1")).text
            kinds = [json.loads(line)["type"] for line in told.split("\n") if line]
            assert kinds == ["run", "state", "note", "note", "result", "output", "end", "run"]
            for path in ("", f"/{run}", f"/{run}/vps/vp1/files", f"/{run}/vps/vp1/file?name=run.json"):
                assert (await user.get(f"/v1/runs{path}")).status_code == 200
            assert (await user.get(f"/v1/runs/{run}")).json()["vps"]["vp1"]["outcome"] == "failed"

    asyncio.run(go())


def test_a_removed_vp_is_cut_off(tmp_path: Path) -> None:
    """Removing a VP, or enrolling it anew, ends its link at once, not only at its next call."""

    async def go() -> None:
        async with controller(tmp_path) as world:
            async with greeted(world) as socket:
                store = Store(world.data / settings.DATABASE)
                store.begin()
                store.remove_vp("vp1")
                store.commit()
                store.close()
                with pytest.raises(ConnectionClosed) as caught:
                    await socket.recv()
                assert caught.value.rcvd is not None
                assert "removed" in caught.value.rcvd.reason

    asyncio.run(go())


def test_a_name_cannot_be_chosen_in_the_greeting(tmp_path: Path) -> None:
    """A VP is called what its token says, whatever it calls itself."""

    async def go() -> None:
        async with controller(tmp_path) as world, world.user() as user:
            identity = await world.identity("vp1")
            async with dialled(world, identity.token) as socket:
                await socket.send(link.encode(hello("root")))
                await socket.recv()
                (view,) = (await user.get("/v1/vps")).json()["vps"]
                assert (view["name"], view["vp"]["name"]) == ("vp1", "vp1")

    asyncio.run(go())


def test_the_newer_link_wins(tmp_path: Path) -> None:
    """A VP that dials again while its old link looks alive gets through, and the old link is closed."""

    async def go() -> None:
        async with controller(tmp_path) as world, world.user() as user:
            identity = await world.identity("vp1")
            async with dialled(world, identity.token) as old, dialled(world, identity.token) as new:
                await greet(old)
                await greet(new)
                with pytest.raises(ConnectionClosed) as caught:
                    await old.recv()
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 4001
                await user.post("/v1/runs", json=request())
                assert isinstance(link.decode_from_controller(await new.recv()), link.Offer)  # type: ignore[arg-type]

    asyncio.run(go())


def test_offer_is_repeated_until_it_is_known_to_have_arrived(tmp_path: Path) -> None:
    """A run submitted while the link was breaking is offered again, under the same id."""

    async def go() -> None:
        async with controller(tmp_path) as world, world.user() as user:
            identity = await world.identity("vp1")
            async with dialled(world, identity.token) as socket:
                await greet(socket)
                run = (await user.post("/v1/runs", json=request())).json()["run"]
            async with dialled(world, identity.token) as socket:
                await greet(socket)
                offer = link.decode_from_controller(await socket.recv())  # type: ignore[arg-type]
                assert isinstance(offer, link.Offer)
                assert offer.run == run

    asyncio.run(go())


def test_a_full_disk_acknowledges_nothing(tmp_path: Path) -> None:
    """With no room, events are not acknowledged, changes get 507, and all arrives once there is room."""

    async def go() -> None:
        async with controller(tmp_path) as world, world.user() as user:
            vp = Vp(await world.identity("vp1"), tmp_path / "spool")
            async with vp.up():
                await vp.wait_linked()
                run = (await user.post("/v1/runs", json=request())).json()["run"]
                await vp.wait(lambda: bool(vp.offers))
        size = (tmp_path / "controller" / settings.DATABASE).stat().st_size
        async with controller(tmp_path, most_bytes=size - 1) as world:
            vp.identity = vp.identity._replace(url=world.url)
            with structlog.testing.capture_logs() as logs:
                async with vp.up():
                    vp.spool.append(run, link.Output("kept\n"))
                    vp.spool.append(run, link.End(outcome="finished"))
                    await until(lambda: any(entry["event"] == "link-down" for entry in logs))
                    assert len(await vp.spool.read(0)) == 2
            assert any("has reached its limit" in entry.get("why", "") for entry in logs)
            headers = dict(user.headers)
            async with httpx.AsyncClient(base_url=world.url, headers=headers, trust_env=False) as again:
                # Reading goes on; changes are refused with a sentence.
                assert (await again.get(f"/v1/runs/{run}")).status_code == 200
                answer = await again.post(f"/v1/runs/{run}/cancel")
                assert (answer.status_code, answer.json()["error"]["code"]) == (507, "storage")
        async with controller(tmp_path) as world:
            vp.identity = vp.identity._replace(url=world.url)
            async with vp.up():
                await until(lambda: vp.spool.stored_bytes == 0 and vp.uplink.linked)
            headers = dict(user.headers)
            async with httpx.AsyncClient(base_url=world.url, headers=headers, trust_env=False) as again:
                assert (await again.get(f"/v1/runs/{run}/vps/vp1/file?name=output.txt")).text == "kept\n"

    asyncio.run(go())


def test_secrets_are_not_in_the_database(tmp_path: Path) -> None:
    """The database holds hashes: whoever copies it cannot pose as a VP or a researcher."""

    async def go() -> None:
        async with controller(tmp_path) as world, world.user() as user:
            invitation = world.invitation()
            vp = await world.identity("vp1")
            secrets = [invitation.secret, vp.token, user.headers["authorization"].split()[1]]
        path = tmp_path / "controller" / settings.DATABASE
        dump = "\n".join(sqlite3.connect(path).iterdump()).encode() + path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in dump

    asyncio.run(go())
