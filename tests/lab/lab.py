"""The lab as an object: up, down, run something in it, change a link, see what there is.

Theory of operation
    An instance is a name. Everything that belongs to it is found by that name alone: namespaces
    called onvp-NAME-*, /etc/netns/onvp-NAME-*, /run/onvp-lab/NAME. So `down` needs no memory of what
    `up` did, and works after any kill: it ends whatever runs in the namespaces, deletes them, and
    removes both folders. `up` begins with `down`. A file lock per instance keeps two runs apart; the
    kernel lets go of it when its holder dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.lab import build, checks, netns, plan, servers, tls
from tests.lab.errors import LabError, LabUnavailableError
from tests.lab.servers import Probe, Running

RUN = Path("/run/onvp-lab")
ETC_NETNS = Path("/etc/netns")
DEFAULT_INSTANCE = "lab"
SBIN = ("/usr/sbin", "/sbin")


@dataclass(frozen=True)
class LinkState:
    """A served link as it is now; delay and jitter are one way."""

    name: str
    delay_ms: float
    jitter_ms: float
    loss: float
    forwarded: int
    lost: int


class Lab:
    """A handle on one instance of the lab. As a context manager it is up inside the block.

    Args:
        instance: a short name of lower-case letters and digits; two instances may run at a time.
    """

    addresses = plan
    """The plan: `lab.addresses.WEB.v4`."""

    def __init__(self, instance: str = DEFAULT_INSTANCE) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9]{0,11}", instance):
            raise LabError(
                f"{instance!r} is no name for a lab: take a letter, then up to eleven letters or digits, all lower case"
            )
        self.instance = instance
        self.prefix = f"onvp-{instance}-"
        self.state = RUN / instance
        self._children: list[Running] = []
        self._lock: int | None = None

    # -- life ------------------------------------------------------------------------------------

    @staticmethod
    def missing() -> list[str]:
        """What this machine lacks, in sentences; empty if the lab can come up."""
        return checks.missing()

    def up(self) -> None:
        """Bring the lab up; leftovers of this instance are cleared away first.

        Raises:
            LabUnavailableError: if the machine lacks something.
            LabError: if something failed; then nothing is left behind.
        """
        if lacks := self.missing():
            raise LabUnavailableError(lacks)
        _extend_path()
        with self._locked():
            self._clear()
            try:
                self._build()
            except BaseException:
                self._clear()
                raise

    def _build(self) -> None:
        self.state.mkdir(parents=True, mode=0o755)
        logs = self.state / "logs"
        logs.mkdir()
        build.make_namespaces(self.prefix)
        first = [servers.forwarder(self.prefix, self.state), servers.stage()]
        self._children = [servers.start(s, self.prefix, logs) for s in first]
        tls.make_certificates(self.state / "tls")
        servers.write_configurations(self.state)
        self._write_etc()
        for running in self._children:
            servers.wait_ready(running, self.prefix)
        build.connect(self.prefix)
        for server in servers.application_servers(self.state):
            self._children.append(servers.start(server, self.prefix, logs))
        for running in self._children[len(first) :]:
            servers.wait_ready(running, self.prefix)
        self._wait_for_paths()
        listing = [
            {
                "name": r.server.name,
                "node": r.server.node,
                "pid": r.process.pid,
                "started": netns.start_time(r.process.pid),
            }
            for r in self._children
        ]
        part = self.state / "servers.json.part"
        part.write_text(json.dumps(listing, indent=1))
        part.rename(self.state / "servers.json")

    def _write_etc(self) -> None:
        """What `ip netns exec` lays over /etc in the namespaces: resolver and trusted authority."""
        for node in plan.NODES:
            folder = ETC_NETNS / (self.prefix + node)
            while not folder.exists():
                # Another instance that goes down may take the empty parent away in between.
                with contextlib.suppress(FileNotFoundError):
                    folder.mkdir(parents=True)
            nameservers = "".join(f"nameserver {a}\n" for a in plan.RESOLVER.addresses)
            (folder / "resolv.conf").write_text(nameservers)
            if Path("/etc/ssl").is_dir() and node in {"ctl", *plan.VP_NAMES}:
                tls.make_trust_store(folder / "ssl", self.state / "tls/ca.pem")

    def _wait_for_paths(self) -> None:
        """The way from each vantage point to the resolver, and to the controller, is open."""
        until = time.monotonic() + servers.START_DEADLINE_S
        for vp in plan.VP_NAMES:
            for address in plan.RESOLVER.addresses:
                with netns.inside(self.netns(vp)):
                    while not servers.answers(Probe(address, 53, servers.DNS_PROBE), 1.0):
                        if time.monotonic() > until:
                            raise LabError(f"{vp} has no answer from the resolver at {address}")

    def down(self) -> None:
        """Take the lab down, whatever state it is in, and leave nothing of it behind."""
        _extend_path()
        with self._locked():
            self._clear()

    def _clear(self) -> None:
        namespaces = netns.list_namespaces(self.prefix)
        netns.end_processes(namespaces)
        for child in self._children:
            child.process.wait()
        self._children = []
        netns.delete_namespaces(namespaces)
        for folder in ETC_NETNS.glob(self.prefix + "*"):
            shutil.rmtree(folder)
        if self.state.exists():
            shutil.rmtree(self.state)
        for folder in (ETC_NETNS, RUN):
            with contextlib.suppress(OSError):  # absent, or another instance lives there
                folder.rmdir()

    def __enter__(self) -> Self:
        self._acquire(block=True)
        try:
            self.up()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.down()
        finally:
            self._release()

    # -- use -------------------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """Whether `up` has finished and `down` has not begun."""
        return (self.state / "servers.json").exists()

    @property
    def authority(self) -> Path:
        """The certificate of the lab's authority (PEM)."""
        return self.state / "tls/ca.pem"

    def netns(self, node: str) -> str:
        """The name of a node's namespace, as `ip netns` knows it.

        Raises:
            LabError: if the plan has no such node.
        """
        if node not in plan.NODES:
            raise LabError(f"there is no node {node!r} in the lab; there are {', '.join(plan.NODES)}")
        return self.prefix + node

    def command(self, node: str, argv: Sequence[str]) -> list[str]:
        """The argument list that runs a command on a node, as anybody would type it."""
        return ["ip", "netns", "exec", self.netns(node), *argv]

    def exec(self, node: str, argv: Sequence[str], **popen: Any) -> subprocess.Popen[Any]:
        """Start a command on a node, with the node's resolver and trusted authority.

        `ip netns exec` replaces itself by the command, so the pid is the command's own.

        Args:
            node: a name from `plan.NODES`.
            argv: program and arguments.
            popen: passed to `subprocess.Popen`.
        """
        _extend_path()
        return subprocess.Popen(self.command(node, argv), **popen)

    def run(
        self, node: str, argv: Sequence[str], *, timeout_s: float = 60.0, check: bool = True, **popen: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a node to its end and return what it printed, as text.

        Raises:
            subprocess.CalledProcessError: if it failed and `check` is true.
        """
        _extend_path()
        popen = {"capture_output": True, "text": True} | popen
        argv = self.command(node, argv)
        return subprocess.run(argv, timeout=timeout_s, check=check, **popen)

    def inside(self, node: str) -> contextlib.AbstractContextManager[None]:
        """A block in which this thread's new sockets and children belong to a node."""
        return netns.inside(self.netns(node))

    def links(self) -> dict[str, LinkState]:
        """The links that the forwarder serves, with their settings and counters."""
        reply = self._ask_forwarder({})
        return {name: LinkState(name, **state) for name, state in reply["links"].items()}

    def set_link(
        self,
        name: str,
        *,
        delay_ms: float | None = None,
        jitter_ms: float | None = None,
        loss: float | None = None,
    ) -> None:
        """Change a link while the lab runs, in both directions.

        Args:
            name: a link (`vp1`, `far`, `lossy`, `ctl-vp1`), or `ctl` for all management links.
            delay_ms: one way; a round trip takes twice as long.
            jitter_ms: added at random between zero and this; frames keep their order.
            loss: between 0 and 1, for each direction; 1 cuts the link.
        """
        wanted = {"delay_ms": delay_ms, "jitter_ms": jitter_ms, "loss": loss}
        names = [link for link in plan.wires() if link == name or link.startswith(name + "-")]
        if not names:
            raise LabError(f"no link {name!r} has a delay; there are {', '.join(plan.wires())}")
        settings = {key: value for key, value in wanted.items() if value is not None}
        self._ask_forwarder({"links": names, "set": settings})

    def _ask_forwarder(self, request: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as handle:
            handle.settimeout(10.0)
            try:
                handle.connect(str(self.state / "wire.sock"))
                handle.send(json.dumps(request).encode())
                reply: dict[str, Any] = json.loads(handle.recv(1 << 20))
            except (FileNotFoundError, ConnectionError):
                raise LabError("the lab's forwarder does not answer: bring the lab up") from None
        if "error" in reply:
            raise LabError(reply["error"])
        return reply

    def servers(self) -> list[dict[str, Any]]:
        """Name, node, pid of each server, and whether it still runs."""
        try:
            listing = json.loads((self.state / "servers.json").read_text())
        except FileNotFoundError:
            return []
        return [entry | {"alive": netns.start_time(entry["pid"]) == entry["started"]} for entry in listing]

    # -- one at a time ---------------------------------------------------------------------------

    def try_lock(self) -> bool:
        """Take the instance for this handle, unless somebody has it."""
        return self._acquire(block=False)

    def lock(self) -> None:
        """Take the instance for this handle, waiting until it is free."""
        self._acquire(block=True)

    def unlock(self) -> None:
        """Give the instance back."""
        self._release()

    def _acquire(self, *, block: bool) -> bool:
        assert self._lock is None, "an instance is locked once per handle"
        path = RUN / f"{self.instance}.lock"
        while True:
            RUN.mkdir(mode=0o755, exist_ok=True)
            try:
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except FileNotFoundError:  # the folder went between the two lines
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if block else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(handle)
                return False
            # The last holder removes the file: a lock on a removed file guards nothing.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), path.stat()):
                    self._lock = handle
                    return True
            os.close(handle)

    def _release(self) -> None:
        assert self._lock is not None
        with contextlib.suppress(FileNotFoundError):
            (RUN / f"{self.instance}.lock").unlink()
        os.close(self._lock)
        self._lock = None
        with contextlib.suppress(OSError):
            RUN.rmdir()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock for one operation, unless this handle holds it anyway."""
        if self._lock is not None:
            yield
            return
        if not self._acquire(block=False):
            raise LabError(
                f"the lab {self.instance!r} is in use by another process: wait for it to end, or "
                "choose another name with --instance"
            )
        try:
            yield
        finally:
            self._release()


def _extend_path() -> None:
    """ip, nft and the servers are in sbin, which a user's PATH often lacks."""
    path = os.environ.get("PATH", os.defpath).split(":")
    os.environ["PATH"] = ":".join([*path, *(p for p in SBIN if p not in path)])
