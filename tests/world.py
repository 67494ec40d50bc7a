"""A whole onvp in the lab: a controller, three enrolled VPs with real scamper, and a researcher.

Each part is the real program, started the way a person starts it, in its own namespace of the lab. What
`World` adds is only the waiting for readiness and the clearing away.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.lab import Lab, plan

BIN = Path(sys.executable).parent
POLICIES = Path(__file__).parent / "demo" / "policies"
READY_S = 30.0
SCAMPER = os.environ.get("ONVP_SCAMPER", "")
"""A scamper to use in place of the one that is installed: the same tests against another generation."""


class WorldError(Exception):
    """A part of the world did not come up or go on; the sentence holds its last log lines."""


class Vp:
    """One vantage point: its agent's process and folders."""

    def __init__(self, world: "World", name: str, policy: Path) -> None:
        self.world = world
        self.name = name
        self.host: plan.Host = {host.name: host for host in plan.VPS}[name]
        self.policy = policy
        self.state = world.folder / name
        self.log = world.folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *extra: str) -> None:
        """Start the agent."""
        number = int(self.name[-1])
        if SCAMPER:
            extra = ("--scamper", SCAMPER, *extra)
        argv = [
            str(BIN / "onvp-vp"), "run", "--name", self.name, "--state", str(self.state), "--policy", str(self.policy),
            "--set", f"place.asn4={64500 + number}", "--set", f"place.cc={('nz', 'au', 'sg')[number - 1]}",
            "--set", f"place.ipv4={self.host.v4}", "--set", f"place.ipv6={self.host.v6}",
            "--set", f"place.tags={'residential' if number == 3 else 'campus'}", *extra,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = self.world.lab.exec(self.name, argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the agent and wait for it."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(how)
            self.process.wait(30)
            self.process = None

    def processes(self, word: str) -> list[int]:
        """The ids of this VP's processes whose command line holds a word."""
        pids = subprocess.run(
            ["ip", "netns", "pids", self.world.lab.netns(self.name)], capture_output=True, text=True, check=True
        ).stdout.split()
        found = []
        for pid in map(int, pids):
            with contextlib.suppress(OSError):
                if word in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                    found.append(pid)
        return found


class World:
    """A controller and three vantage points in a lab that is up.

    Args:
        lab: the network.
        policies: the policy file of each VP, by name.
    """

    def __init__(self, lab: Lab, policies: dict[str, Path] | None = None) -> None:
        self.lab = lab
        self.folder = Path(tempfile.mkdtemp(prefix="onvp-world-"))
        # The agents drop root and must still reach their folders below this one.
        self.folder.chmod(0o755)
        chosen = policies or {
            "vp1": POLICIES / "open.yaml", "vp2": POLICIES / "open.yaml", "vp3": POLICIES / "strict.yaml"
        }  # fmt: skip
        for path in set(chosen.values()):
            shutil.copy(path, self.folder / path.name)
        self.vps = {name: Vp(self, name, self.folder / path.name) for name, path in chosen.items()}
        self.data = self.folder / "controller"
        self.log = self.folder / "controller.log"
        self.home = self.folder / "home"
        self.home.mkdir()
        self.controller: subprocess.Popen[bytes] | None = None

    # ---- life ----

    def up(self, tell: Callable[[str], None] = lambda _text: None) -> None:
        """Start everything, enrol the VPs and a researcher, and wait until all are linked."""
        tell("a controller at its address in the lab")
        url = f"https://{plan.CTL.v4}:8440"
        self.onvp("controller", "init", "--data", str(self.data), "--listen", plan.CTL.v4, "--url", url)
        self.start_controller()
        line = self.onvp("controller", "user", "add", "alice", "--data", str(self.data)).stdout.strip()
        self.onvp("login", line)
        for vp in self.vps.values():
            tell(f"{vp.name}: an agent with a scamper and a policy ({vp.policy.name}) of its own")
            secret = self.onvp("controller", "enrol", "--name", vp.name, "--data", str(self.data)).stdout.strip()
            enrol = [str(BIN / "onvp-vp"), "enrol", secret, "--name", vp.name, "--state", str(vp.state)]
            done = self.lab.run(vp.name, enrol, check=False)
            if done.returncode:
                raise WorldError(f"{vp.name} could not enrol: {done.stderr or done.stdout}")
            vp.start()
        self.wait_for(self._all_linked, "the VPs to be linked")

    def down(self) -> None:
        """End every process of ours, and remove the folder."""
        for vp in self.vps.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                vp.stop()
        self.stop_controller()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def start_controller(self) -> None:
        """Start the controller and wait until it answers."""
        with self.log.open("ab") as log:
            self.controller = self.lab.exec(
                "ctl", [str(BIN / "onvp"), "controller", "run", "--data", str(self.data)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.wait_for(self._controller_answers, "the controller to answer")

    def stop_controller(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the controller and wait for it."""
        if self.controller is not None:
            if self.controller.poll() is None:
                self.controller.send_signal(how)
            self.controller.wait(30)
            self.controller = None

    # ---- the researcher ----

    def environment(self) -> dict[str, str]:
        """What the researcher's commands find around them."""
        return {
            **os.environ, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config"), "COLUMNS": "120"
        }  # fmt: skip

    def onvp(self, *args: str, check: bool = True, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
        """Run the researcher's command on the controller's host."""
        done = subprocess.run(
            self.lab.command("ctl", [str(BIN / "onvp"), *args]), env=self.environment(), text=True,
            capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if check and done.returncode:
            raise WorldError(f"onvp {' '.join(args[:2])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def start_onvp(self, *args: str, **popen: Any) -> "subprocess.Popen[str]":
        """Start the researcher's command and do not wait for it."""
        return subprocess.Popen(
            self.lab.command("ctl", [str(BIN / "onvp"), *args]), env=self.environment(), text=True,
            stdin=subprocess.DEVNULL, **popen,
        )  # fmt: skip

    # ---- waiting ----

    def wait_for(self, condition: Callable[[], bool], what: str, timeout_s: float = READY_S) -> None:
        """Ask again and again until a condition holds.

        Raises:
            WorldError: it does not come to hold in time; with the logs' last lines.
        """
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end or any(died for died in self._dead()):
                dead = ", ".join(self._dead()) or "nobody"
                raise WorldError(f"waited for {what} in vain (ended by itself: {dead})\n{self.last_words()}")
            time.sleep(0.05)

    def last_words(self, lines: int = 12) -> str:
        """The end of every log."""
        logs = [self.log, *(vp.log for vp in self.vps.values())]
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
            for log in logs
            if log.exists()
        )

    def _dead(self) -> Iterator[str]:
        for vp in self.vps.values():
            if vp.process is not None and vp.process.poll() is not None:
                yield vp.name
        if self.controller is not None and self.controller.poll() is not None:
            yield "controller"

    def _controller_answers(self) -> bool:
        done = self.lab.run("ctl", ["ss", "-Hltn", "sport", "=", ":8440"], check=False)
        return bool(done.stdout.strip())

    def _all_linked(self) -> bool:
        rows = json.loads(self.onvp("vps", "--json", check=False).stdout or "[]")
        linked = {row["name"] for row in rows if row.get("state", row.get("connected")) in {"connected", "idle", True}}
        return set(self.vps) <= linked
