"""The zygote that is ready for the next run, replaced before it grows old and after it died.

A zygote's workers share its address layout, so after `FORKS` of them a fresh one is started beside it, and
the old one goes when its last worker has. One that dies takes its workers along (they are told as lost);
the next spawn waits for its successor.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from onvp.sandbox.jail.errors import JailError, ZygoteGone
from onvp.sandbox.jail.levels import Level, LevelReport
from onvp.sandbox.jail.limits import Limits
from onvp.sandbox.jail.messages import Configure
from onvp.sandbox.jail.spawn import JailClient, Worker

log = structlog.get_logger("onvp.jail")

FORKS = 1000
START_TRIES = 5

Start = Callable[[], Awaitable[JailClient]]
"""Starts a zygote and gives the client to it, not yet configured."""


class Warm:
    """Keeps one configured zygote at hand.

    Args:
        start: starts a zygote; may ask another process to.
        config: what it is for.
    """

    def __init__(self, start: Start, config: Configure) -> None:
        self._start = start
        self._config = config
        self._client: JailClient | None = None
        self._old: list[JailClient] = []
        self._lock = asyncio.Lock()
        self._closed = False
        self.report: LevelReport | None = None

    @property
    def level(self) -> Level:
        """The level that was reached."""
        return self.report.level if self.report is not None else Level.REFUSED

    async def start(self) -> LevelReport:
        """Have a zygote at hand.

        Raises:
            JailError: it could not start, or reached less than the configured level.
        """
        if self._closed:
            raise ZygoteGone("the jail was closed")
        client = await self._start()
        try:
            self.report = await client.start(self._config)
        except BaseException:
            client.close()
            raise
        if self._closed:
            client.close()
            raise ZygoteGone("the jail was closed")
        self._client = client
        return self.report

    async def spawn(self, limits: Limits) -> Worker:
        """A worker from the zygote at hand, or from its successor when it is gone.

        Raises:
            JailError: none could be had.
        """
        for attempt in range(START_TRIES):
            client = await self._at_hand()
            try:
                return await client.spawn(limits)
            except ZygoteGone as error:
                log.warning("zygote-gone", why=str(error), attempt=attempt)
                if self._client is client:
                    self._client = None
        raise ZygoteGone(f"no zygote could be kept alive in {START_TRIES} attempts; see the log")

    @property
    def client(self) -> JailClient:
        """The client to the zygote at hand.

        Raises:
            ZygoteGone: there is none.
        """
        if self._client is None:
            raise ZygoteGone("the zygote is gone")
        return self._client

    def close(self) -> None:
        """Let the zygotes go, and their workers with them."""
        self._closed = True  # a spawn that is under way must not start another
        for client in [*self._old, *([self._client] if self._client else [])]:
            client.close()
        self._client = None
        self._old.clear()

    async def _at_hand(self) -> JailClient:
        async with self._lock:
            for old in [client for client in self._old if not client.workers]:
                old.close()
                self._old.remove(old)
            if self._client is not None and self._client.forks >= FORKS:
                self._old.append(self._client)
                self._client = None
            if self._client is None:
                try:
                    await self.start()
                except JailError:
                    if not self._closed:
                        await asyncio.sleep(0.5)
                    raise
            assert self._client is not None
            return self._client
