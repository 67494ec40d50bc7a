"""A vantage point brought up: keeper, dropped rights, jail, probers, books; and taken down again.

Theory of operation
-------------------
Two steps, and the border between them is the loss of root:

1. `prepare`, synchronous, with the rights that the process was started with: the policy is read (its packet
   rate becomes the prober's own limit), folders get their owner, the keeper is started with the few
   command lines that it may ever run. Then the process becomes the agent's user for good.
2. `Station.up`, on the event loop, without rights: the zygote and its self-test, the probers, the books.

Not root: the same steps, but the zygote comes from user namespaces and scamper from a socket that somebody
else keeps.
"""

import asyncio
import concurrent.futures.thread  # noqa: F401 - imported late by asyncio, when a private Python may be out of reach
import contextlib
import encodings.idna  # noqa: F401 - likewise
import gc
import os
import socket
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from onvp.policies.policy import Policy
from onvp.sandbox.agent import config
from onvp.sandbox.agent.config import Config
from onvp.sandbox.agent.keeper import Down, Service, Up
from onvp.sandbox.agent.kept import KeeperError, Kept, companion_service, scamper_service, start_keeper
from onvp.sandbox.agent.site import PolicyInForce, Site
from onvp.sandbox.agent.warm import Warm
from onvp.sandbox.broker.audit import AuditError, AuditLog
from onvp.sandbox.broker.budget import Ledger, LedgerError, Now
from onvp.sandbox.jail import doctor
from onvp.sandbox.jail.errors import JailError
from onvp.sandbox.jail.levels import Level
from onvp.sandbox.jail.messages import Configure
from onvp.sandbox.jail.spawn import JailClient
from onvp.sandbox.prober.driver import Prober
from onvp.sandbox.prober.errors import ProberUnavailable
from onvp.sandbox.prober.router import ProberSet

log = structlog.get_logger("onvp.station")

ENTRY = "onvp.sandbox.worker.main:run"
PRELOAD = "onvp.sandbox.worker.main:preload"
WARM = "onvp.sandbox.worker.main:warm"
PROBER_S = 2.0
HOUSEKEEPING_S = 1.0
DEFAULT_PPS = 50
GC_THRESHOLDS = (20_000, 20, 20)


class StationError(Exception):
    """The vantage point cannot be brought up; the sentence says what is wrong and what to do."""


@dataclass
class Prepared:
    """What was made while there were still rights to make it."""

    config: Config
    policy: PolicyInForce
    state: Path
    services: list[Service]
    keeper: socket.socket
    keeper_process: "subprocess.Popen[bytes]"
    scamper_socket: Path


def prepare(settings: Config, controllers: tuple[str, ...] = ()) -> Prepared:
    """Step one: with rights, then without them.

    Raises:
        PolicyErrors: the policy cannot be used.
        ConfigError: the settings name somebody who is not there.
        StationError: a folder cannot be made.
    """
    root = os.geteuid() == 0
    uid, gid = settings.ids() if root else (os.geteuid(), os.getegid())
    policy = PolicyInForce(Path(settings.policy), controllers)
    pps = _pps(policy.load())
    state = Path(settings.state)
    try:
        config.own(state, uid, gid)
        attached = _is_socket(settings.scamper)
        sockets = Path()
        if settings.companion or not attached:
            # The keeper removes it when it ends.
            sockets = Path(tempfile.mkdtemp(prefix="onvp-"))
            sockets.chmod(0o755)
    except OSError as error:
        raise StationError(f"cannot use {error.filename}: {error.strerror}; give a folder with --state") from error
    services = []
    scamper = Path(settings.scamper)
    if not attached:
        service = scamper_service(
            settings.scamper, sockets / "scamper", monitor=settings.vp_name(), pps=pps, uid=uid, gid=gid
        )
        services.append(service)
        scamper = service.path
    if settings.companion:
        service = companion_service(sockets / "companion", monitor=settings.vp_name(), uid=uid, gid=gid)
        services.append(service)
    keeper, process = start_keeper(services)
    if root:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        if os.geteuid() == 0 or _can_regain_root():
            raise StationError("root could not be dropped; this is a bug, please report it")
    return Prepared(settings, policy, state, services, keeper, process, scamper)


class Station:
    """A vantage point that is up. An asynchronous context manager around step two."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._kept: Kept | None = None
        self._housekeeping: asyncio.Task[None] | None = None
        self._kept_budgets = b""
        self.lost = asyncio.Event()
        """Set when the agent cannot go on and should end."""
        self.site: Site

    async def up(self) -> Site:
        """Step two.

        Raises:
            StationError: no prober, no jail at the level that the policy requires, or no books.
        """
        prepared = self._prepared
        self._kept = Kept(prepared.keeper, self._service_changed, self.lost.set)
        policy = prepared.policy.current
        assert policy is not None
        jail = Warm(self._start_zygote, self._configure(policy))
        probers = await self._start_probers()
        trouble = await self._start_jail(jail)
        try:
            audit = AuditLog(prepared.state / "audit.jsonl")
            ledger = Ledger.load(
                prepared.state / "budgets.json", lambda: prepared.policy.current, prober_pps=_pps(policy)
            )
        except (OSError, LedgerError, AuditError) as error:
            raise StationError(f"the books of this vantage point cannot be opened: {error}") from error
        self.site = Site(
            vp=prepared.config.instance(),
            policy=prepared.policy,
            jail=jail,
            probers=probers,
            ledger=ledger,
            audit=audit,
            state=prepared.state,
            guards=prepared.config.guards,
            trouble=trouble,
        )
        self._housekeeping = asyncio.create_task(self._keep_house(), name="housekeeping")
        # What is alive now stays alive: the collector need not look at it in the middle of a measurement.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        return self.site

    async def down(self) -> None:
        """Take everything down; safe at any stage."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._housekeeping
        site = getattr(self, "site", None)
        if site is not None:
            await site.probers.close()
            site.jail.close()
            with contextlib.suppress(OSError):
                site.ledger.save(_now())
            site.audit.close()
        if self._kept is not None:
            self._kept.close()
        await asyncio.to_thread(self._prepared.keeper_process.wait)

    async def __aenter__(self) -> "Station":
        try:
            await self.up()
        except BaseException:
            await self.down()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.down()

    # ---- parts ----

    def _configure(self, policy: Policy) -> Configure:
        least = Level.named(policy.scripts.level)
        return Configure(run=ENTRY, preload=PRELOAD, warm=WARM, uid=config.WORKER_ID, gid=config.WORKER_ID, least=least)

    async def _start_zygote(self) -> JailClient:
        assert self._kept is not None
        try:
            return JailClient(await self._kept.zygote())
        except KeeperError as error:
            raise JailError(str(error)) from error

    async def _start_jail(self, jail: Warm) -> str:
        """Start the zygote and try what no worker may do; gives why scripts may not run, or nothing."""
        try:
            report = await jail.start()
            problems = await doctor.self_test(jail.client)
        except JailError as error:
            log.error("jail-unusable", why=str(error))
            return f"no script runs here: {error}"
        if problems:
            worked = ", ".join(problem.name for problem in problems)
            log.error("self-test-failed", worked=worked)
            return f"no script runs here: the self-test could do what must be blocked ({worked}); run 'onvp-vp doctor'"
        log.info("jail-ready", level=str(report.level), why_not_higher=report.why_not_higher)
        return ""

    async def _start_probers(self) -> ProberSet:
        assert self._kept is not None
        prepared = self._prepared
        members = [Prober(prepared.scamper_socket)]
        for service in prepared.services:
            try:
                await self._kept.start(service.name)
            except KeeperError as error:
                if service.name == "scamper":
                    raise StationError(str(error)) from error
                log.error("companion-unusable", why=str(error))
                continue
            if service.name == "companion":
                members.append(Prober(service.path, role="companion"))
        probers = ProberSet(members)
        try:
            await probers.start(wait_s=PROBER_S)
        except ProberUnavailable as error:
            raise StationError(str(error)) from error
        return probers

    def _service_changed(self, change: Up | Down) -> None:
        if isinstance(change, Up):
            log.info("service-up", service=change.name, pid=change.pid)
        elif change.again_s is not None:
            log.warning("service-down", service=change.name, why=change.reason, again_in_s=change.again_s)

    async def _keep_house(self) -> None:
        """Notice a changed policy and write down what was used, now and then."""
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            self.site.policy.reload_if_changed()
            # Counted on the loop, written on a thread: no measurement waits for the disk.
            kept = self.site.ledger.snapshot(_now())
            if kept != self._kept_budgets:
                try:
                    await asyncio.to_thread(self.site.ledger.write, kept)
                    self._kept_budgets = kept
                except OSError as error:
                    log.error("budgets-not-kept", why=str(error))


def _now() -> Now:
    return Now(time.monotonic(), time.time())


def _pps(policy: Policy) -> int:
    """The prober's own limit: the policy's packets a second for the whole vantage point."""
    limit = policy.rates.vp.pps
    return limit.value if limit is not None else DEFAULT_PPS


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(Path(path).stat().st_mode)
    except OSError:
        return False


def _can_regain_root() -> bool:
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True
