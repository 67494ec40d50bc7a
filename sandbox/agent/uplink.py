"""The one connection of a vantage point: it dials the controller, resumes, and never gives up.

Theory of operation
-------------------
::

    DIALLING ──▶ GREETING ──▶ LINKED ──▶ (closed) ──▶ WAITING ──▶ DIALLING
                 Hello ▶       events ▶ (after a read from the spool)
                 ◀ Welcome     ◀ Ack, Offer, Cancel

`Welcome` names the last event that the controller holds; sending goes on behind it. At most
`WINDOW_BYTES` are on the way unacknowledged, so neither side buffers without bound. After a failure the
wait doubles up to `SLOWEST_S`, with jitter, so that a thousand vantage points do not come back in step;
after a refusal that only a person can mend (wrong token, other protocol) it is `REFUSED_S`.

The token is shown only to the right controller: with a fingerprint, the certificate is compared before
the first byte of HTTP leaves; without one, the usual authorities vouch for it.
"""

import asyncio
import hashlib
import random
import ssl
from collections.abc import Callable
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from onvp.sandbox.agent.spool import Spool, SpoolError
from onvp.sandbox.wire import link
from onvp.sandbox.wire.errors import WireError

PATH = "/v1/vp"

FIRST_S = 0.25
SLOWEST_S = 30.0
REFUSED_S = 60.0
GREETING_S = 20.0
KEEPALIVE_S = 20.0
WINDOW_BYTES = 4 << 20

_REFUSED_CLOSE_CODES = (1002, 1008)
"""WebSocket close codes with which a controller says that trying again will not help (RFC 6455 §7.4)."""

_log = structlog.get_logger("onvp.uplink")


class LinkRefusedError(Exception):
    """The controller does not want this vantage point; a person has to look at it."""


class Uplink:
    """Keeps a vantage point linked.

    Args:
        url: the controller's address, ``https://HOST:PORT`` (or ``http`` to a loopback).
        token: the secret from enrolment.
        fingerprint: SHA-256 of the certificate in hex, or None for the usual authorities.
        spool: where events come from.
        hello: makes the greeting; asked at each connection.
        on_offer: a run to start. Called in the loop; may come twice for the same run.
        on_cancel: a run to stop, and who wants it stopped.

    Attributes:
        linked: whether the controller can be heard at the moment.
    """

    def __init__(
        self,
        url: str,
        token: str,
        fingerprint: str | None,
        spool: Spool,
        hello: Callable[[], link.Hello],
        on_offer: Callable[[link.Offer], None],
        on_cancel: Callable[[str, str], None],
    ) -> None:
        self.linked = False
        self._address = websocket_address(url)
        self._token = token
        self._fingerprint = fingerprint
        self._spool = spool
        self._hello = hello
        self._on_offer = on_offer
        self._on_cancel = on_cancel
        self._acked = 0
        self._on_the_way = 0
        self._sizes: dict[int, int] = {}
        self._window = asyncio.Event()
        self._socket: ClientConnection | None = None

    async def run(self) -> None:
        """Dial, again and again, until cancelled."""
        failures = 0
        while True:
            wait_s = REFUSED_S
            try:
                try:
                    await self._session()
                finally:
                    if self.linked:
                        failures = 0
                    self.linked = False
                    self._socket = None
            except LinkRefusedError as refusal:
                _log.error("link-refused", controller=self._address, why=str(refusal), again_in_s=wait_s)
            except (
                OSError,
                TimeoutError,
                InvalidHandshake,
                InvalidURI,
                ConnectionClosed,
                WireError,
                SpoolError,
            ) as error:
                wait_s = min(SLOWEST_S, FIRST_S * 2 ** min(failures, 10))
                failures += 1
                _log.warning("link-down", controller=self._address, why=_sentence(error), again_in_s=round(wait_s, 2))
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))

    async def report(self, status: link.Status) -> None:
        """Tell the controller what changed about the vantage point, if it can be heard now.

        If not, the next greeting says it.
        """
        if self._socket is not None:
            try:
                await self._socket.send(link.encode(status))
            except ConnectionClosed:
                return

    # ---- one connection ----

    async def _session(self) -> None:
        try:
            async with connect(
                self._address,
                ssl=self._tls(),
                create_connection=self._connection_class(),
                additional_headers={"Authorization": f"Bearer {self._token}"},
                user_agent_header=f"onvp-vp/{version('onvp')}",
                max_size=link.LIMIT_BYTES,
                max_queue=4,
                compression=None,  # records are small or already dense, and a Pi has other work
                proxy=None,
                open_timeout=GREETING_S,
                ping_interval=KEEPALIVE_S,
                ping_timeout=KEEPALIVE_S,
                close_timeout=5,
            ) as socket:
                await self._greet(socket)
                await self._exchange(socket)
        except InvalidStatus as answer:
            if answer.response.status_code in (401, 403, 404):
                raise LinkRefusedError(_refusal(answer)) from answer
            raise
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code in _REFUSED_CLOSE_CODES:
                raise LinkRefusedError(
                    f"the controller closed the link: {closed.rcvd.reason or closed.rcvd.code}"
                ) from closed
            raise

    async def _greet(self, socket: ClientConnection) -> None:
        hello = msgspec.structs.replace(self._hello(), last_seq=self._spool.newest)
        await socket.send(link.encode(hello))
        async with asyncio.timeout(GREETING_S):
            welcome = self._decode(await socket.recv())
        if not isinstance(welcome, link.Welcome):
            raise WireError(f"the controller's first word was {type(welcome).__name__}, not Welcome")
        if welcome.protocol != link.PROTOCOL:
            raise LinkRefusedError(
                f"the controller speaks version {welcome.protocol} of the link, this agent {link.PROTOCOL}. "
                f"Install the same release on both"
            )
        await self._spool.resume(welcome.acked)
        self._acked = welcome.acked
        self._on_the_way = 0
        self._sizes.clear()
        self._socket = socket
        self.linked = True
        _log.info("linked", controller=self._address, vp=welcome.vp, acked=welcome.acked)

    async def _exchange(self, socket: ClientConnection) -> None:
        sender = asyncio.create_task(self._send_events(socket))
        try:
            receiver = asyncio.create_task(self._receive(socket))
            try:
                done, _ = await asyncio.wait((sender, receiver), return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                await _end(receiver)
        finally:
            await _end(sender)

    async def _send_events(self, socket: ClientConnection) -> None:
        sent = self._acked
        while True:
            await self._spool.wait_beyond(sent)
            for seq, message in await self._spool.read(sent):
                while self._on_the_way > WINDOW_BYTES:
                    self._window.clear()
                    await self._window.wait()
                self._sizes[seq] = len(message)
                self._on_the_way += len(message)
                sent = seq
                await socket.send(message)

    async def _receive(self, socket: ClientConnection) -> None:
        while True:
            message = self._decode(await socket.recv())
            match message:
                case link.Ack(seq):
                    self._acknowledge(seq)
                case link.Offer():
                    self._call(self._on_offer, message)
                case link.Cancel(run, by):
                    self._call(self._on_cancel, run, by)
                case _:
                    raise WireError(f"the controller sent {type(message).__name__} in the middle of a link")

    def _acknowledge(self, seq: int) -> None:
        # Events are numbered without gaps, and sent in order.
        if not self._acked <= seq <= max(self._sizes, default=self._acked):
            raise WireError(f"the controller acknowledged event {seq}, which was never sent")
        for number in range(self._acked + 1, seq + 1):
            self._on_the_way -= self._sizes.pop(number, 0)
        self._acked = seq
        self._window.set()
        self._spool.acknowledge(seq)

    def _call(self, callback: Callable[..., None], *args: Any) -> None:
        try:
            callback(*args)
        except Exception:  # noqa: BLE001
            # A fault in what a run does is no reason to drop the link of all the others.
            _log.exception("callback-failed", callback=getattr(callback, "__qualname__", repr(callback)))

    def _decode(self, data: str | bytes) -> link.FromController:
        if isinstance(data, str):
            raise WireError("the controller sent text; the link is binary")
        return link.decode_from_controller(data)

    # ---- TLS ----

    def _tls(self) -> ssl.SSLContext | None:
        if self._address.startswith("ws://"):
            return None
        context = ssl.create_default_context()
        if self._fingerprint is not None:
            # `PinnedConnection` compares the certificate itself, which is more than a name in it.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _connection_class(self) -> type[ClientConnection]:
        if self._fingerprint is None:
            return ClientConnection
        pinned: str = self._fingerprint

        class PinnedConnection(ClientConnection):
            """Looks at the certificate after TLS and before HTTP: a stranger never sees the token."""

            async def handshake(self, *args: Any, **kwargs: Any) -> None:
                check_certificate(self.transport.get_extra_info("ssl_object"), pinned)
                await super().handshake(*args, **kwargs)

        return PinnedConnection


def check_certificate(tls: ssl.SSLObject | ssl.SSLSocket | None, fingerprint: str) -> None:
    """Compare the peer's certificate with the one that was pinned.

    Raises:
        LinkRefusedError: there is no TLS, or another certificate.
    """
    certificate = tls.getpeercert(binary_form=True) if tls is not None else None
    found = hashlib.sha256(certificate).hexdigest() if certificate else "none"
    if found != fingerprint:
        raise LinkRefusedError(
            f"the controller shows the certificate {found[:16]}…, the token pins {fingerprint[:16]}…. "
            f"Either this is not your controller, or it has a new certificate: then enrol again"
        )


def websocket_address(url: str) -> str:
    """Where the link is served, from the controller's ``http(s)`` URL."""
    parts = urlsplit(url)
    scheme = {"https": "wss", "http": "ws"}[parts.scheme]
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{PATH}"


async def _end(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait for it; its error, if any, was or will be told by the other task's."""
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()


def _refusal(answer: InvalidStatus) -> str:
    status = answer.response.status_code
    if status == 404:
        return "there is no onvp controller at this address"
    return (
        f"the controller refuses this vantage point's token (HTTP {status}). Enrol again with a fresh line "
        f"from `onvp controller enrol`"
    )


def _sentence(error: BaseException) -> str:
    return str(error) or type(error).__name__
