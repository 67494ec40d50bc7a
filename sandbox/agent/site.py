"""What all runs of a vantage point share: its name, its policy in force, its jail, its probers, its books.

The policy file is read again when it changes. A file that cannot be used stops everything: nothing new
starts and every call of what runs is refused, until the file is right again (fail closed).
"""

import ipaddress
import json
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import structlog

from onvp.policies.combine import combine, platform_layer
from onvp.policies.errors import PolicyErrors
from onvp.policies.load import load_file
from onvp.policies.policy import Policy
from onvp.sandbox.agent.warm import Warm
from onvp.sandbox.broker.audit import AuditLog
from onvp.sandbox.broker.budget import Ledger
from onvp.sandbox.prober.router import ProberSet
from onvp.sandbox.wire import calls

log = structlog.get_logger("onvp.site")


class PolicyInForce:
    """The policy file and what it says now.

    Args:
        path: the site host's file.
        controllers: addresses that no script may reach.

    Attributes:
        current: the policy, or None when the file cannot be used.
        trouble: why not, in a sentence; empty when it can.
    """

    def __init__(self, path: Path, controllers: tuple[str, ...] = ()) -> None:
        self.path = path
        self.controllers = controllers
        self.current: Policy | None = None
        self.trouble = ""
        self._stamp: tuple[int, int] | None = None

    def load(self) -> Policy:
        """Read the file.

        Raises:
            PolicyErrors: it cannot be used; every problem is in it.
        """
        self._stamp = self._look()
        addresses, networks = own_networks()
        platform = platform_layer(own_addresses=addresses, own_networks=networks, controllers=self.controllers)
        try:
            self.current = combine([platform, load_file(self.path)])
        except PolicyErrors as error:
            self.current = None
            first = error.problems[0]
            more = f" and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
            self.trouble = f"the policy of this vantage point cannot be used: {first}{more}"
            raise
        self.trouble = ""
        return self.current

    def reload_if_changed(self) -> bool:
        """Read the file again when it has changed; True when something is different now."""
        if self._look() == self._stamp:
            return False
        before = self.current.digest if self.current is not None else ""
        try:
            policy = self.load()
        except PolicyErrors:
            log.error("policy-broken", file=str(self.path), why=self.trouble)
            return True
        log.info("policy-loaded", file=str(self.path), digest=policy.digest)
        return policy.digest != before

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


@dataclass
class Site:
    """What the runs share.

    Attributes:
        vp: the vantage point as scripts see it.
        policy: in force.
        jail: where workers come from.
        probers: who measures.
        ledger: what was used of the budgets.
        audit: where decisions are written before they take effect.
        state: the folder of this vantage point.
        guards: ``static`` or ``full``.
        trouble: why no script may run at all; empty when they may.
        disk_trouble: why no script may run for the moment; empty when they may.
        paused: the site host has pressed stop; as of the last `look_for_pause`.
    """

    vp: calls.Instance
    policy: PolicyInForce
    jail: Warm
    probers: ProberSet
    ledger: Ledger
    audit: AuditLog
    state: Path
    guards: str = "static"
    trouble: str = ""
    disk_trouble: str = ""
    paused: bool = False
    _version: str = field(default_factory=lambda: version("onvp"))

    @property
    def pause_file(self) -> Path:
        """While it is there, nothing runs: the site host's stop."""
        return self.state / "paused"

    def look_for_pause(self) -> bool:
        """Look whether the site host has pressed stop; `paused` says so from then on."""
        self.paused = self.pause_file.exists()
        return self.paused

    def why_not(self) -> str:
        """Why no script may run now; empty when they may."""
        return self.trouble or self.disk_trouble or self.policy.trouble

    def facts(self) -> dict[str, Any]:
        """What is needed to repeat a run here, apart from the script."""
        policy = self.policy.current
        return {
            "vp": msgspec.to_builtins(self.vp),
            "onvp": self._version,
            "probers": self.probers.probers(),
            "policy": policy.digest if policy is not None else "",
            "level": str(self.jail.level),
            "guards": self.guards,
            "python": ".".join(map(str, sys.version_info[:3])),
        }


def own_networks() -> tuple[list[str], list[str]]:
    """This machine's addresses, and the networks that it is on, without loopback and link-local."""
    addresses, networks = [], []
    for address, length in _interface_addresses():
        parsed = ipaddress.ip_address(address)
        if parsed.is_loopback or parsed.is_link_local:
            continue
        addresses.append(address)
        networks.append(str(ipaddress.ip_network(f"{address}/{length}", strict=False)))
    return addresses, networks


def _interface_addresses() -> list[tuple[str, int]]:
    """(address, prefix length) of every interface, from the kernel by way of ip(8)."""
    try:
        listed = subprocess.run(["ip", "-json", "addr"], capture_output=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("addresses-unknown", why=str(error))
        return []
    return [
        (info["local"], int(info["prefixlen"]))
        for link in json.loads(listed)
        for info in link.get("addr_info", [])
        if "local" in info
    ]
