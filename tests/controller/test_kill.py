"""A killed controller: every acknowledged event is there when it comes back, and all goes on by itself."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from onvp.controller import auth, settings
from onvp.controller.store import Store
from onvp.sandbox.agent.enrol import Identity
from onvp.sandbox.wire import link
from tests.controller.world import Vp, request, until

PIECES, LINES = 3, 1500


class Server:
    """A controller in a process of its own, that can be killed and started again."""

    def __init__(self, data: Path) -> None:
        self.data = data
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as found:
            port = found.getsockname()[1]
        self.url = settings.initialise(data, listen="127.0.0.1", port=port, url=None).url
        self.process: asyncio.subprocess.Process

    async def start(self) -> None:
        """Until it answers."""
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "onvp.controller.cli", "controller", "run", "--data", str(self.data)),
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with httpx.AsyncClient(trust_env=False) as anyone, asyncio.timeout(30):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await anyone.get(f"{self.url}/v1/health")).status_code == 200:
                        return
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """As the power does."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator["Server"]:
        """Start it, and end it at the end."""
        await self.start()
        try:
            yield self
        finally:
            if self.process.returncode is None:
                self.process.terminate()
            await self.process.wait()

    def tokens(self) -> tuple[str, Identity]:
        """A researcher's token and an enrolled VP."""
        user, vp = auth.new_user_secret(), auth.new_vp_secret()
        once = auth.new_enrolment_secret()
        store = Store(self.data / settings.DATABASE)
        store.begin()
        store.add_user("alice", "researcher", time.time())
        store.add_user_token("alice", auth.digest(user), time.time())
        store.add_enrolment(auth.digest(once), None, time.time() + 60)
        store.enrol(auth.digest(once), "vp1", auth.digest(vp), time.time())
        store.commit()
        store.close()
        return user, Identity("vp1", self.url, vp, None)

    def user(self, token: str) -> httpx.AsyncClient:
        """The researcher's client."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False)

    def stored(self) -> int:
        """The number of the last event of vp1 on disk."""
        store = Store(self.data / settings.DATABASE, read_only=True)
        (row,) = store.vps()
        store.close()
        return row.acked


def test_killed_again_and_again(tmp_path: Path) -> None:
    """However often the controller is killed, no event is lost or doubled, and the run ends.

    Somebody who follows the run sees every event exactly once through all of that.
    """

    async def go() -> None:
        server = Server(tmp_path / "data")
        async with server.up():
            token, identity = server.tokens()
            vp = Vp(identity, tmp_path / "spool")
            async with vp.up(), server.user(token) as user:
                await vp.wait_linked()
                run = (await user.post("/v1/runs", json=request())).json()["run"]
                await vp.wait(lambda: bool(vp.offers))
                vp.running = [run]
                follower = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "onvp.controller.cli", "follow", run, "--json"),
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env=os.environ | {"ONVP_URL": server.url, "ONVP_TOKEN": token},
                    limit=1 << 22,
                )
                assert follower.stdout is not None
                first = await follower.stdout.readline()
                acked = 0
                for piece in range(PIECES):
                    for number in range(piece * LINES, (piece + 1) * LINES):
                        vp.spool.append(run, link.Output(f"{number}\n" + "x" * 200))
                    async with asyncio.timeout(30):
                        while await acknowledged(vp) <= acked:
                            await asyncio.sleep(0)
                    await server.kill()
                    acked = await acknowledged(vp)
                    assert server.stored() >= acked
                    await server.start()
                vp.spool.append(run, link.End(outcome="finished", status=0))
                out, err = await follower.communicate()
                told = [json.loads(line) for line in (first + out).split(b"\n") if line]
                texts = [line["data"]["text"].split("\n")[0] for line in told if line["type"] == "output"]

                assert [str(number) for number in range(PIECES * LINES)] == texts
                assert follower.returncode == 0, err
                assert len({line["id"] for line in told}) == len(told)
                await until(lambda: vp.spool.stored_bytes == 0)

    asyncio.run(go())


async def acknowledged(vp: Vp) -> int:
    """The number of the last event that the VP has forgotten, because the controller has it."""
    rows = await vp.spool.read(0, most_bytes=1)
    return rows[0][0] - 1 if rows else vp.spool.newest


def test_runs_survive_without_their_vp(tmp_path: Path) -> None:
    """A run that was offered to a VP before the controller was killed is offered again after it."""

    async def go() -> None:
        server = Server(tmp_path / "data")
        async with server.up():
            token, identity = server.tokens()
            vp = Vp(identity, tmp_path / "spool")
            async with server.user(token) as user:
                async with vp.up():
                    await vp.wait_linked()
                    run = (await user.post("/v1/runs", json=request())).json()["run"]
                await server.kill()
                vp.offers.clear()
                async with vp.up():
                    await server.start()
                    await vp.wait(lambda: [offer.run for offer in vp.offers] == [run])

    asyncio.run(go())


def test_stops_when_told(tmp_path: Path) -> None:
    """SIGTERM ends the controller in an orderly way although somebody follows a run and a VP is linked."""

    async def go() -> None:
        server = Server(tmp_path / "data")
        async with server.up():
            token, identity = server.tokens()
            vp = Vp(identity, tmp_path / "spool")
            async with vp.up(), server.user(token) as user:
                await vp.wait_linked()
                run = (await user.post("/v1/runs", json=request())).json()["run"]
                async with user.stream("GET", f"/v1/runs/{run}/events?follow=1") as stream:
                    chunks = stream.aiter_bytes()
                    await anext(chunks)
                    server.process.terminate()
                    # The stream ends as a stream does; a connection that was cut would raise here.
                    async for _ in chunks:
                        pass
                    assert await server.process.wait() in (0, -signal.SIGTERM)

    asyncio.run(go())
