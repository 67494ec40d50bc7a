"""``onvp-vp``: the vantage point's command.

``run`` is the daemon. ``try`` is one run without a controller. ``enrol`` is the first contact with a controller,
``doctor`` says what the walls are made of here, ``pause`` and ``resume`` are the site host's stop button.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import uuid
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from onvp.policies.errors import PolicyErrors
from onvp.policies.policy import Policy
from onvp.sandbox.agent import config, enrol
from onvp.sandbox.agent.attempt import Terminal
from onvp.sandbox.agent.config import ConfigError
from onvp.sandbox.agent.enrol import EnrolError
from onvp.sandbox.agent.runs import Runs
from onvp.sandbox.agent.site import Site
from onvp.sandbox.agent.spool import Spool, SpoolError
from onvp.sandbox.agent.station import ENTRY, PRELOAD, Prepared, Station, StationError, prepare
from onvp.sandbox.agent.uplink import Uplink
from onvp.sandbox.jail import doctor
from onvp.sandbox.jail.levels import Level
from onvp.sandbox.jail.messages import Configure
from onvp.sandbox.wire import link
from onvp.sandbox.wire.errors import EXIT_STATUS, Code, Outcome

log = structlog.get_logger("onvp.agent")

IDENTITY = "identity.json"
USAGE = 2
UNUSABLE = 3
SPOOL = "spool.db"
WATCH_S = 0.25

EXPECTED = (PolicyErrors, ConfigError, StationError, EnrolError, SpoolError)
"""What can be wrong outside of us; told as a sentence, without a traceback."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; gives its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    # What follows -- is the script's, whatever it looks like.
    border = words.index("--") if "--" in words else len(words)
    args = _parser().parse_args(words[:border])
    args.args = words[border + 1 :]
    _log_to_stderr(quiet=args.command == "try")
    try:
        return int(args.serve(args))
    except EXPECTED as error:
        print(f"onvp-vp: {error}", file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"onvp-vp: {where}{error.strerror or error}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        return 130


# ---- the commands ----


def run(args: argparse.Namespace) -> int:
    """The daemon."""
    settings = config.load(args.config, _overrides(args))
    identity = enrol.load(Path(settings.state) / IDENTITY)
    prepared = prepare(settings, _addresses(identity.url))
    return asyncio.run(_serve(prepared, identity))


async def _serve(prepared: Prepared, identity: enrol.Identity) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    spool = Spool(prepared.state / SPOOL, max_bytes=prepared.config.spool_bytes)
    await spool.open()
    try:
        async with Station(prepared) as station:
            site = station.site
            known = await spool.runs()
            for run_id, ended in known.items():
                if not ended:
                    spool.append(
                        run_id, link.End(outcome=Outcome.LOST, code=Code.INTERNAL, reason="the agent was restarted")
                    )
            runs = Runs(site, spool, set(known))
            uplink = Uplink(
                identity.url,
                identity.token,
                identity.fingerprint,
                spool,
                lambda: _hello(site, runs, identity.vp),
                runs.offer,
                runs.cancel,
            )
            log.info("ready", vp=identity.vp, level=str(site.jail.level), primitives=sorted(_served(site)))
            tasks = [
                asyncio.create_task(uplink.run(), name="uplink"),
                asyncio.create_task(_watch(site, runs, uplink, spool), name="watch"),
                asyncio.create_task(stop.wait(), name="stop"),
                asyncio.create_task(station.lost.wait(), name="lost"),
            ]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                await runs.stop("the vantage point's own end")
                with contextlib.suppress(SpoolError):
                    await spool.flush()
                await _linger(uplink, spool)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            for task in done:
                if task.get_name() in {"uplink", "watch"}:
                    task.result()
            if station.lost.is_set():
                log.error("keeper-lost", hint="the process that keeps the prober ended; start the agent again")
                return UNUSABLE
            return 0
    finally:
        await spool.close()


async def _linger(uplink: Uplink, spool: Spool) -> None:
    """Give the controller a moment to take the last events; what it does not take waits on disk."""
    for _ in range(20):
        if not uplink.linked or spool.stored_bytes == 0:
            return
        await asyncio.sleep(0.05)


async def _watch(site: Site, runs: Runs, uplink: Uplink, spool: Spool) -> None:
    """Act on the stop button and on a full disk, and tell the controller what changed."""
    before: link.Status | None = None
    while True:
        # What a run delivers must be kept: without room for it nothing runs, until there is room again.
        site.disk_trouble = spool.failed or ""
        if site.disk_trouble:
            for run_id in runs.running:
                runs.cancel(run_id, f"this vantage point: {site.disk_trouble}")
        if site.look_for_pause():
            for run_id in runs.running:
                runs.cancel(run_id, "the site host, who paused this vantage point")
        status = _status(site)
        if before is not None and status != before:
            await uplink.report(status)
        before = status
        await asyncio.sleep(WATCH_S)


def attempt(args: argparse.Namespace) -> int:
    """One run without a controller."""
    path = Path(args.script)
    try:
        source = path.read_bytes()
        inputs = {Path(name).name: Path(name).read_bytes() for name in args.input}
    except OSError as error:
        print(f"onvp-vp: cannot read {error.filename}: {error.strerror}", file=sys.stderr)
        return USAGE
    overrides = _overrides(args)
    with _temporary_state(overrides):
        settings = config.load(args.config, overrides)
        out = Path(args.out) if args.out else None
        if out is not None:
            try:
                out.mkdir(parents=True, exist_ok=True)
                if os.geteuid() == 0:
                    os.chown(out, *settings.ids())
            except OSError as error:
                print(f"onvp-vp: --out {out}: {error.strerror}; give another folder", file=sys.stderr)
                return USAGE
        prepared = prepare(settings)
        offer = link.Offer(
            run=f"try-{uuid.uuid4().hex[:12]}", user=args.user, role=args.role, filename=path.name, source=source,
            args=args.args, inputs=inputs,
        )  # fmt: skip
        return asyncio.run(_attempt(prepared, offer, out))


async def _attempt(prepared: Prepared, offer: link.Offer, out: Path | None) -> int:
    loop = asyncio.get_running_loop()
    async with Station(prepared) as station:
        terminal = Terminal(out)
        runs = Runs(station.site, terminal)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, runs.cancel, offer.run, "you")
        runs.offer(offer)
        while offer.run in runs.running:
            await asyncio.sleep(0.01)
        assert terminal.end is not None
        status = EXIT_STATUS[Outcome(terminal.end.outcome)]
        return max(status, EXIT_STATUS[Outcome.LOST]) if terminal.trouble else status


@contextlib.contextmanager
def _temporary_state(overrides: dict[str, Any]) -> Any:
    """A folder for the books of a run that has no vantage point of its own."""
    import shutil  # noqa: PLC0415 - only here
    import tempfile  # noqa: PLC0415 - only here

    if overrides.get("state"):
        yield
        return
    folder = tempfile.mkdtemp(prefix="onvp-try-")
    overrides["state"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def join(args: argparse.Namespace) -> int:
    """The first contact with a controller."""
    name = args.name or socket.gethostname()
    path = Path(args.state) / IDENTITY
    identity = enrol.enrol(args.line, name, save_to=path)
    print(
        f"enrolled as {identity.vp} at {identity.url}; start the agent with: onvp-vp run --policy FILE", file=sys.stderr
    )
    return 0


def examine(args: argparse.Namespace) -> int:
    """What the walls are made of here."""
    required = Level.named(args.level)
    settings = Configure(run=ENTRY, preload=PRELOAD, uid=config.WORKER_ID, gid=config.WORKER_ID, least=required)
    report = asyncio.run(doctor.examine(settings))
    print(doctor.to_json(report).decode() if args.json else doctor.render(report))
    return 0 if report.good_for(required) else 1


def pause(args: argparse.Namespace) -> int:
    """The stop button."""
    (Path(args.state) / "paused").touch()
    print("paused: what runs is stopped, and nothing new starts until 'onvp-vp resume'", file=sys.stderr)
    return 0


def resume(args: argparse.Namespace) -> int:
    """Take the stop back."""
    (Path(args.state) / "paused").unlink(missing_ok=True)
    print("resumed", file=sys.stderr)
    return 0


# ---- what the controller is told ----


def _hello(site: Site, runs: Runs, name: str) -> link.Hello:
    policy = site.policy.current
    status = _status(site)
    vp = site.vp
    return link.Hello(
        protocol=link.PROTOCOL, version=version("onvp"), vp=type(vp)(**{**_fields(vp), "name": name}),
        primitives=status.primitives, probers=status.probers, level=status.level, policy_digest=status.policy_digest,
        policy_summary=policy.summary if policy is not None else site.policy.trouble, paused=status.paused,
        running=runs.running,
    )  # fmt: skip


def _fields(vp: Any) -> dict[str, Any]:
    return {name: getattr(vp, name) for name in vp.__struct_fields__}


def _status(site: Site) -> link.Status:
    policy: Policy | None = site.policy.current
    return link.Status(
        paused=site.paused,
        level=str(site.jail.level) if not site.trouble else "refused",
        policy_digest=policy.digest if policy is not None else "",
        primitives=_served(site),
        probers=site.probers.probers(),
    )


def _served(site: Site) -> dict[str, str]:
    """The primitives that somebody here can do and the policy allows, with who does them."""
    policy = site.policy.current
    allowed = policy.allowed_primitives() if policy is not None else frozenset()
    return {name: prober for name, prober in site.probers.primitives().items() if name in allowed}


def _addresses(url: str) -> tuple[str, ...]:
    """The controller's addresses, which no script may reach."""
    host = urlsplit(url).hostname or ""
    try:
        return tuple(sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None)}))
    except OSError:
        return ()


# ---- arguments ----


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="onvp-vp", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--version", action="version", version=version("onvp"))
    commands = parser.add_subparsers(dest="command", required=True)

    one = commands.add_parser("run", help="run the vantage point's daemon")
    _settings(one)
    one.set_defaults(serve=run)

    one = commands.add_parser("try", help="run a script here, once, without a controller")
    one.add_argument("script", help="the script")
    _settings(one)
    one.add_argument("--out", metavar="DIR", help="folder for what the run leaves")
    one.add_argument("--input", action="append", default=[], metavar="FILE", help="a file that the script may read")
    one.add_argument("--user", default="you", dest="user", help="who asks, for the policy (default: you)")
    one.add_argument("--role", default="researcher", help="in which role (default: researcher)")
    one.epilog = "What follows -- goes to the script as sys.argv."
    one.set_defaults(serve=attempt)

    one = commands.add_parser("enrol", help="exchange a line from 'onvp controller enrol' for this VP's token")
    one.add_argument("line", help="the line")
    one.add_argument("--name", help="what this vantage point is called (default: this machine's name)")
    one.add_argument("--state", default="/var/lib/onvp", help="folder for the token (default: %(default)s)")
    one.set_defaults(serve=join)

    one = commands.add_parser("doctor", help="show each layer of the jail, and try to break out of it")
    one.add_argument("--json", action="store_true", help="for programs")
    one.add_argument(
        "--level",
        default="standard",
        choices=[str(level) for level in Level],
        help="the least level that is needed (default: %(default)s)",
    )
    one.set_defaults(serve=examine)

    for name, function, what in (("pause", pause, "stop everything, now"), ("resume", resume, "take the stop back")):
        one = commands.add_parser(name, help=what)
        one.add_argument("--state", default="/var/lib/onvp", help="the vantage point's folder (default: %(default)s)")
        one.set_defaults(serve=function)
    return parser


def _settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help=f"settings file (default: {config.DEFAULT_FILE}, if it is there)")
    parser.add_argument("--policy", help="the site host's policy file")
    parser.add_argument("--name", help="what this vantage point is called")
    parser.add_argument("--state", help="folder for spool, audit log, budgets and token")
    parser.add_argument("--scamper", help="scamper's program, or the control socket of one that runs already")
    parser.add_argument("--no-companion", action="store_true", help="run without the second prober")
    parser.add_argument("--agent-user", help="whom the agent becomes when started as root: a name or a number")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting, such as place.cc=nz"
    )


def _overrides(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that the command line gave, by their names in the file."""
    given: dict[str, Any] = {
        "policy": args.policy,
        "name": args.name,
        "state": args.state,
        "scamper": args.scamper,
        "user": args.agent_user,
        "companion": False if args.no_companion else None,
    }
    for text in args.set:
        key, separator, value = text.partition("=")
        if not separator:
            raise ConfigError(f"--set {text}: give KEY=VALUE, such as --set place.cc=nz")
        target = given
        *path, last = key.split(".")
        for part in path:
            if target.get(part) is None:
                target[part] = {}
            target = target[part]
            if not isinstance(target, dict):
                raise ConfigError(f"--set {text}: {part} is a value, it has no keys of its own")
        target[last] = _value(last, value)
    return {key: value for key, value in given.items() if value is not None}


def _value(key: str, text: str) -> Any:
    if key == "tags":
        return text.split(",")
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return text


def _log_to_stderr(*, quiet: bool) -> None:
    """JSON lines; only what a person must see when a person is looking."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(40 if quiet else 20),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
