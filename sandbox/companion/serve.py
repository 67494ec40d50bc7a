"""The companion process: a unix stream socket in front of the measurements.

Theory of operation
    One event loop; `client` serves each connection, `session` decides what is answered, and one module
    per measurement does the work. An error inside a measurement ends that measurement with an error
    record; a client that goes away takes its measurements with it.

    Started as root, the process binds its socket, starts what needs raw sockets, and drops to another user
    for good. Once it listens it says so with one line on standard output. It ends on SIGTERM, SIGINT, or
    (with ``--until-eof``) when its standard input closes: a supervisor that dies takes it along.
"""

import argparse
import asyncio
import codecs
import importlib.metadata
import os
import resource
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from onvp.sandbox.companion import dns, http, midar, owamp, rawworker, session, udpprobe
from onvp.sandbox.companion.client import Client
from onvp.sandbox.companion.commands import HostRequest, HttpRequest, OwampRequest, UdpprobeRequest, read_command
from onvp.sandbox.companion.errors import CannotServe, CommandRefused
from onvp.sandbox.companion.measurement import Measurement
from onvp.sandbox.companion.midarcommands import MidardiscRequest, MidarestRequest
from onvp.sandbox.companion.net import why
from onvp.sandbox.companion.privileges import confine
from onvp.sandbox.companion.room import Room

DEFAULT_WINDOW: Final = 256
PRIMITIVES: Final[Mapping[type, str]] = {
    HostRequest: "dns",
    HttpRequest: "http",
    UdpprobeRequest: "udpprobe",
    OwampRequest: "owamp",
    MidarestRequest: "midarest",
    MidardiscRequest: "midardisc",
}
"""What ``get primitives`` calls each."""

_BACKLOG: Final = 64


class Companion:
    """What all clients share: the measurements on offer, and the facts that sessions tell."""

    def __init__(self, name: str | None, window: int, raw: socket.socket | None, no_raw: str) -> None:
        """`raw` is the line to the raw worker; without one `no_raw` says why."""
        self._room = Room()
        makers: dict[type, Callable[[Any], Measurement]] = {
            HostRequest: dns.Dns,
            HttpRequest: lambda request: http.HttpGet(request, self._room),
            UdpprobeRequest: lambda request: udpprobe.Udp(request, self._room),
            OwampRequest: owamp.OneWay,
        }
        self._missing = "" if raw else f"not offered: {no_raw}"
        self._line = midar.RawLine(raw) if raw else None
        if (line := self._line) is not None:
            makers[MidarestRequest] = makers[MidardiscRequest] = lambda request: midar.Midar(request, line)
        self._makers = makers
        missing = [name for request, name in PRIMITIVES.items() if request not in makers]
        self._counter = 0
        self._clients: dict[Client, asyncio.Event] = {}
        answers: dict[str, str | None] = {
            "pid": str(os.getpid()),
            "window": str(window),
            "pps": "0",
            "nameserver": str(found) if (found := dns.default_resolver(dns.RESOLVER_FILE)) else None,
            "command": None,
            "primitives": ",".join(sorted(PRIMITIVES[request] for request in makers)),
            "missing": f"{','.join(sorted(missing))}: {no_raw}" if missing else None,
        }
        self.facts = session.Facts(
            version=f"onvp-{importlib.metadata.version('onvp')}",
            monitor=name,
            hostname=socket.gethostname().split(".")[0],
            answers=answers,
            prepare=self._prepare,
            window=window,
        )

    def _prepare(self, line: str) -> Measurement:
        request = read_command(line)
        maker = self._makers.get(type(request))
        if maker is None:
            raise CommandRefused(f"{PRIMITIVES[type(request)]} is {self._missing}")
        measurement = maker(request)
        try:
            measurement.prepare()
        except OSError as e:  # no descriptors left, say
            raise CommandRefused(f"this host cannot: {why(e)}") from None
        return measurement

    async def serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk with one client until either side ends it."""
        self._counter += 1
        own = writer.get_extra_info("sockname")
        name = Path(own).name if isinstance(own, str) else "companion"
        client = Client(session.Session(self.facts, f"{name}:{self._counter - 1}"), reader, writer, self._room)
        gone = self._clients[client] = asyncio.Event()
        try:
            await client.run()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client is gone; so is everything that it asked for
        finally:
            await client.close()
            del self._clients[client]
            gone.set()

    async def start(self) -> None:
        """Begin, once the event loop runs."""
        if self._line is not None:
            await self._line.open()

    async def stop(self) -> None:
        """Send all clients away."""
        ends = list(self._clients.items())
        for client, _ in ends:
            client.stop()
        for _, gone in ends:
            await gone.wait()
        if self._line is not None:
            await self._line.close()


def listen(path: Path, owner: str | None) -> socket.socket:
    """A listening socket at `path` that only its owner may use. A dead companion's socket is replaced."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(str(path)) == 0:
                    raise CannotServe(f"{path}: something listens there already. Stop it or choose another path.")
            path.unlink()
        before = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        if owner is not None:
            shutil.chown(path, user=owner)
    except (OSError, LookupError) as e:
        sock.close()
        raise CannotServe(f"{path}: cannot make the socket: {e}. Choose a folder that this user can write.") from e
    except CannotServe:
        sock.close()
        raise
    sock.listen(_BACKLOG)
    return sock


def raw_worker(wanted: bool, user: str | None) -> tuple[socket.socket | None, str]:
    """The line to a raw worker, or why there is none."""
    if not wanted:
        return None, "switched off with --raw no"
    line, problem = rawworker.start(user)
    if not problem:
        return line, ""
    line.close()
    return None, f"no raw sockets ({problem}); give the companion CAP_NET_RAW"


def warm_up() -> None:
    """Import what would be imported late: another user may not be able to read our libraries."""
    for name in ("ascii", "idna", "latin-1", "utf-8"):
        codecs.lookup(name)
    dns.warm_up()
    http.warm_up()


async def serve(sock: socket.socket, companion: Companion, until_eof: bool) -> None:
    """Serve clients until told to stop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    if until_eof:

        def at_input() -> None:
            if not os.read(0, 4096):
                stop.set()

        loop.add_reader(0, at_input)
    await companion.start()
    server = await asyncio.start_unix_server(companion.serve_client, sock=sock)
    print(f"companion: listening on {sock.getsockname()}", flush=True)  # noqa: T201
    async with server:
        await stop.wait()
        server.close()
        await companion.stop()


def main(argv: list[str] | None = None) -> int:
    """Run the companion; returns the exit status."""
    p = argparse.ArgumentParser(prog="python -m onvp.sandbox.companion.serve", description=__doc__.splitlines()[0])
    p.add_argument("--socket", type=Path, required=True, help="where to listen")
    p.add_argument("--name", help="this vantage point's name, for the records")
    p.add_argument("--user", default="nobody", help="whom to become when started as root (default: nobody)")
    p.add_argument("--owner", help="who may connect, when started as root (default: --user)")
    p.add_argument("--raw", choices=("auto", "no"), default="auto", help="whether to offer midarest and midardisc")
    p.add_argument("--window", type=int, default=DEFAULT_WINDOW, help="tasks of one client at a time")
    p.add_argument("--until-eof", action="store_true", help="end when standard input closes")
    args = p.parse_args(argv)
    try:
        root = os.geteuid() == 0
        sock = listen(args.socket, (args.owner or args.user) if root else None)
        with sock:
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            warm_up()
            raw, no_raw = raw_worker(args.raw == "auto", args.user if root else None)
            companion = Companion(args.name, args.window, raw, no_raw)
            confine(args.user if root else None)
            try:
                asyncio.run(serve(sock, companion, args.until_eof))
            finally:
                with suppress(OSError):
                    args.socket.unlink()
    except CannotServe as e:
        print(f"companion: {e}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
