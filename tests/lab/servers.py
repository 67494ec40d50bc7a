"""The lab's servers: what runs where, how it is started, and how we know that it answers.

Theory of operation
    A server is a child process in its node's namespace, in a session of its own, its output in
    STATE/logs. Our own servers report on a pipe when they are ready; Debian's are ready when
    their port answers. Nothing waits for a fixed time. A server that ends before it is ready fails the
    start, and the end of its log says why.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import configs, netns, plan
from tests.lab.errors import LabError

PROJECT = Path(__file__).resolve().parents[2]
START_DEADLINE_S = 30.0
PROBE_INTERVAL_S = 0.02

DNS_PROBE = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + b"\0\0\x02\0\x01"
"""`. IN NS`"""
SNMP_PROBE = bytes.fromhex(
    "303a020103300f02024a69020300ffe3040104020103"
    "041030 0e0400020100020100040004000400"
    "3012 04000400 a00c02024a690201000201003000"
)
"""An SNMPv3 engine discovery (RFC 3414, section 4)."""


@dataclass(frozen=True)
class Probe:
    """A question that a ready server answers: UDP with a payload, TCP without."""

    address: str
    port: int
    payload: bytes | None = None


@dataclass(frozen=True)
class Server:
    """One process to be started. Without probes it reports its readiness on a pipe."""

    name: str
    node: str
    argv: tuple[str, ...]
    probes: tuple[Probe, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Running:
    """A started server."""

    server: Server
    process: subprocess.Popen[bytes]
    log: Path
    ready: int | None


def forwarder(prefix: str, state: Path) -> Server:
    """The process that serves the links with delay; it makes their devices, so it comes first."""
    return _own("wire", "wire", "wire", prefix, str(state / "wire.sock"))


def stage() -> Server:
    """The process that plays the actors; it makes the stage's device."""
    return _own("stage", "sim", "responder")


def _own(name: str, node: str, module: str, *arguments: str) -> Server:
    argv = (sys.executable, "-m", f"tests.lab.{module}", *arguments)
    return Server(name, node, argv, environment={"PYTHONPATH": str(PROJECT)})


def _unconfined(*argv: str) -> tuple[str, ...]:
    """Step around the AppArmor profile that confines Debian's named to /etc/bind and the like."""
    enabled = Path("/sys/module/apparmor/parameters/enabled")
    if enabled.exists() and enabled.read_text().startswith("Y") and shutil.which("aa-exec"):
        return ("aa-exec", "-p", "unconfined", "--", *argv)
    return argv


def application_servers(state: Path) -> Iterator[Server]:
    """Everything that answers on the lab's addresses."""
    for host in plan.NAMESERVERS:
        config = state / f"named-{host.name}.conf"
        probes = tuple(Probe(address, 53, DNS_PROBE) for address in host.addresses)
        argv = _unconfined("named", "-g", "-n", "1", "-c", str(config))
        yield Server(host.name, host.node, argv, probes)
    for name, host in (("web", plan.WEB), ("far", plan.CDN3)):
        config = state / f"nginx-{name}.conf"
        argv = ("nginx", "-c", str(config), "-p", str(state), "-e", "stderr", "-g", "daemon off;")
        ports = (80, 443, plan.HTTPS_TLS12_PORT)
        yield Server(f"nginx-{name}", host.node, argv, tuple(Probe(host.v4, p) for p in ports))
    for name, host in (("box", plan.BOX), ("far", plan.FAR)):
        config = state / f"snmpd-{name}.conf"
        argv = ("snmpd", "-f", "-Lo", "-C", "-c", str(config), "-p", str(state / f"snmpd-{name}.pid"))
        store = {"SNMP_PERSISTENT_DIR": str(state / f"snmp-{name}"), "MIBS": ""}
        probes = tuple(Probe(address, 161, SNMP_PROBE) for address in host.addresses)
        yield Server(f"snmpd-{name}", host.node, argv, probes, store)
    yield _own("services", "box", "services")
    tls = state / "tls"
    yield _own("hostile", "evil", "hostile", str(tls / "server.pem"), str(tls / "server.key"))


def write_configurations(state: Path) -> None:
    """Write every file that the servers read; certificates are made before."""
    configs.write_zones(state)
    for host in plan.NAMESERVERS:
        (state / f"named-{host.name}").mkdir()
        (state / f"named-{host.name}.conf").write_text(configs.named(state, host))
    (state / "dns-json.map").write_text(configs.dns_json_map())
    for name in ("web", "far"):
        (state / f"nginx-{name}").mkdir()
        (state / f"nginx-{name}.conf").write_text(configs.nginx(state, far=name == "far"))
    for name, hosts in (("box", (plan.BOX, plan.BOX_2)), ("far", (plan.FAR,))):
        (state / f"snmpd-{name}.conf").write_text(configs.snmpd(name, hosts))
    www = state / "www"
    www.mkdir()
    line = b"0123456789abcdef" * 4
    (www / "big").write_bytes((line[:-1] + b"\n") * (plan.BIG_FILE_BYTES // len(line)))
    (www / "small").write_text("small\n")


def start(server: Server, prefix: str, logs: Path) -> Running:
    """Start a server in its namespace; it outlives us."""
    log = logs / f"{server.name}.log"
    reader = writer = None
    environment = {**os.environ, **server.environment}
    if not server.probes:
        reader, writer = os.pipe()
        environment["ONVP_LAB_READY_FD"] = str(writer)
    try:
        with netns.inside(prefix + server.node), log.open("wb") as output:
            process = subprocess.Popen(
                server.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd="/",
                start_new_session=True,
                pass_fds=() if writer is None else (writer,),
            )
    except BaseException:
        if reader is not None:
            os.close(reader)
        raise
    finally:
        if writer is not None:
            os.close(writer)
    return Running(server, process, log, reader)


def wait_ready(running: Running, prefix: str, deadline_s: float = START_DEADLINE_S) -> None:
    """Return when a server is ready.

    Raises:
        LabError: if it ended instead, or is not ready in time; with the end of its log.
    """
    until = time.monotonic() + deadline_s
    if running.ready is not None:
        try:
            readable, _, _ = select.select([running.ready], [], [], deadline_s)
            if readable and os.read(running.ready, 16):
                return
        finally:
            os.close(running.ready)
        raise LabError(_explain(running))
    for probe in running.server.probes:
        with netns.inside(prefix + running.server.node):
            while not answers(probe):
                if running.process.poll() is not None or time.monotonic() > until:
                    raise LabError(_explain(running))


def _explain(running: Running) -> str:
    tail = "\n".join(running.log.read_text(errors="replace").splitlines()[-15:])
    code = running.process.poll()
    how = "does not answer" if code is None else f"ended with status {code}"
    return f"the lab's {running.server.name} {how}. The end of its log:\n{tail}"


def answers(probe: Probe, timeout_s: float = 0.25) -> bool:
    """Whether a probe, sent from the namespace that the thread is in, is answered."""
    family = socket.AF_INET6 if ":" in probe.address else socket.AF_INET
    kind = socket.SOCK_STREAM if probe.payload is None else socket.SOCK_DGRAM
    with socket.socket(family, kind) as handle:
        handle.settimeout(timeout_s)
        try:
            handle.connect((probe.address, probe.port))
            if probe.payload is None:
                return True
            handle.send(probe.payload)
            return bool(handle.recv(65535))
        except OSError:  # refused or late: not ready yet
            time.sleep(PROBE_INTERVAL_S)
            return False
