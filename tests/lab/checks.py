"""What this machine lacks for the lab, in sentences that say what to do about it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

TOOLS = {
    "ip": "iproute2",
    "nft": "nftables",
    "named": "bind9",
    "nginx": "nginx-light",
    "snmpd": "snmpd",
    "openssl": "openssl",
}
"""Programs that the lab runs, and the Debian package that has each."""

_TRIALS = (
    ("pairs of virtual Ethernet devices (veth)", "ip link add lab0 type veth peer name lab1"),
    ("TAP devices", "ip tuntap add lab0 mode tap"),
    ("bridges", "ip link add lab0 type bridge"),
    ("packet filter rules (nftables)", "nft add table inet lab"),
)
"""What the kernel must be able to do, each tried in a namespace that ends with the trial."""


def _with_sbin() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def missing() -> list[str]:
    """One sentence for each thing that is missing; empty if the lab can run."""
    return list(_missing())


def _missing() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "The lab makes network namespaces, which needs root: run the command with sudo."
        return
    for tool, package in TOOLS.items():
        if shutil.which(tool, path=_with_sbin()) is None:
            yield f"The lab needs the program {tool}: apt install {package}."
    if not Path("/dev/net/tun").exists():
        yield "There is no /dev/net/tun: run `modprobe tun`, or give the container that device."
    if not Path("/proc/sys/net/ipv6").exists():
        yield "The kernel has no IPv6: start it without ipv6.disable=1."
    if shutil.which("unshare") is None:
        yield "The lab needs the program unshare: apt install util-linux."
        return
    if _try("true"):
        yield (
            "This machine does not allow network namespaces (unshare --net fails): "
            "run on a real or virtual machine, or in a container with --privileged."
        )
        return
    for what, command in _TRIALS:
        if shutil.which(command.split()[0], path=_with_sbin()) and (problem := _try(command)):
            yield f"The kernel cannot make {what} ({problem}): load the module or use another kernel."


def _try(command: str) -> str:
    """Run a command in a new network namespace; what it complained about, or nothing."""
    done = subprocess.run(
        ["unshare", "--net", *command.split()],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": _with_sbin()},
    )
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["failed"])[-1]
