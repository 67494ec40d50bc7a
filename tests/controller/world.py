"""A real controller on a loopback port, real agents' links, and a scripted runner in place of the jail."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import structlog

from onvp.controller import auth, serve, settings
from onvp.controller.store import Store
from onvp.sandbox.agent.enrol import Identity, enrol
from onvp.sandbox.agent.spool import Spool
from onvp.sandbox.agent.uplink import Uplink
from onvp.sandbox.wire import link
from onvp.sandbox.wire.calls import Instance
from onvp.sandbox.wire.invite import Invitation

Script = Callable[["Vp", link.Offer], None]


def hello(name: str, **fields: object) -> link.Hello:
    """The greeting of a vantage point in New Zealand."""
    said: dict[str, object] = {
        "protocol": link.PROTOCOL,
        "version": "0.1.0",
        "vp": Instance(name=name, cc="nz", asn4=64500, tags=("campus",)),
        "primitives": {"ping": "scamper"},
        "probers": {"scamper": "20211212"},
        "level": "standard",
        "policy_digest": "00",
    }
    return link.Hello(**(said | fields))  # type: ignore[arg-type]


class World:
    """A controller in this process and what a test needs around it."""

    def __init__(self, data: Path, config: settings.Settings, url: str) -> None:
        self.data, self.config, self.url = data, config, url

    def user(self, name: str = "alice", role: str = "researcher") -> httpx.AsyncClient:
        """A researcher with a token and an HTTP client."""
        token = auth.new_user_secret()
        store = Store(self.data / settings.DATABASE)
        store.begin()
        store.add_user(name, role, time.time())
        store.add_user_token(name, auth.digest(token), time.time())
        store.commit()
        store.close()
        return httpx.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=30, trust_env=False, verify=False
        )

    def invitation(self, name: str | None = None, *, expires_in_s: float = 60.0) -> Invitation:
        """A one-time line for a vantage point."""
        secret = auth.new_enrolment_secret()
        store = Store(self.data / settings.DATABASE)
        store.begin()
        store.add_enrolment(auth.digest(secret), name, time.time() + expires_in_s)
        store.commit()
        store.close()
        return Invitation(secret, self.config.fingerprint(self.data), self.url)

    async def identity(self, name: str) -> Identity:
        """An enrolled vantage point."""
        return await asyncio.to_thread(enrol, self.invitation(), name)

    @contextlib.asynccontextmanager
    async def vp(self, name: str, script: Script | None = None, **said: object) -> AsyncIterator["Vp"]:
        """An enrolled and linked vantage point whose runs do what ``script`` says."""
        vp = Vp(await self.identity(name), self.data / f"{name}.spool", script, **said)
        async with vp.up():
            await vp.wait_linked()
            yield vp


class Vp:
    """A vantage point: a real spool and a real uplink."""

    def __init__(self, identity: Identity, path: Path, script: Script | None = None, **said: object) -> None:
        self.identity = identity
        self.name = identity.vp
        self.said = said
        self.script = script
        self.path = path
        self.spool = Spool(path)
        self.offers: list[link.Offer] = []
        self.cancels: list[tuple[str, str]] = []
        self.news = asyncio.Event()
        self.running: list[str] = []
        self.uplink: Uplink

    @contextlib.asynccontextmanager
    async def up(self, *, token: str | None = None) -> AsyncIterator["Vp"]:
        """Open the spool and keep the link up."""
        self.spool = Spool(self.path)
        await self.spool.open()
        self.uplink = Uplink(
            self.identity.url,
            token or self.identity.token,
            self.identity.fingerprint,
            self.spool,
            lambda: hello(self.name, **({"running": self.running} | self.said)),
            self._offered,
            self._cancelled,
        )
        task = asyncio.create_task(self.uplink.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait((task,))
            await self.spool.close()

    def _offered(self, offer: link.Offer) -> None:
        self.offers.append(offer)
        self.news.set()
        if self.script is not None:
            self.script(self, offer)

    def _cancelled(self, run: str, by: str) -> None:
        self.cancels.append((run, by))
        self.news.set()

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Until something that the controller sent makes the condition true."""
        async with asyncio.timeout(20):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def wait_linked(self) -> None:
        """Until the controller's welcome."""
        await until(lambda: self.uplink.linked)


async def until(condition: Callable[[], bool]) -> None:
    """Poll something that has no event of its own; bounded."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def finishing(*bodies: link.Body) -> Script:
    """A run that starts, does this, and finishes."""

    def script(vp: Vp, offer: link.Offer) -> None:
        for body in (link.State("accepted"), link.State("running"), *bodies):
            vp.spool.append(offer.run, body)
        vp.spool.append(offer.run, link.End(outcome="finished", status=0, counters={"calls": 1}))

    return script


@contextlib.asynccontextmanager
async def controller(data: Path, *, tls: bool = False, **changes: object) -> AsyncIterator[World]:
    """A running controller on a port of its own."""
    folder = data / "controller"
    if not (folder / settings.FILE).exists():
        settings.initialise(folder, listen="127.0.0.1", port=0, url=None, tls=tls)
    loaded = settings.load(folder)
    config = settings.Settings(**(vars(loaded) | changes))  # type: ignore[arg-type]
    listener = serve.listen(config)
    server = serve.make_server(folder, config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started or task.done())
    scheme = "https" if tls else "http"
    with (folder / "log").open("a") as log:
        # Not to stdout: there a test may look for what a command prints.
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(log))
        try:
            yield World(folder, config, f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            await task
            structlog.reset_defaults()


def request(source: bytes = b"print('hi')\n", **fields: object) -> dict[str, object]:
    """The body of a submission."""
    import base64

    asked: dict[str, object] = {
        "filename": "script.py",
        "source": base64.b64encode(source).decode(),
        "select": {"selector": "all"},
    }
    return asked | fields
