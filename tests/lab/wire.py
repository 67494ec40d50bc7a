"""The forwarder: cables with delay, jitter and loss, for kernels without netem.

Theory of operation
    Each served link is two TAP devices, one in each node's namespace. A frame that the kernel sends
    into one is read here, kept for the link's delay, and written into the other. One loop
    serves all links: select on the devices, a heap for what waits. Frames of one direction never
    overtake each other. Losses come from a generator with a fixed seed per direction, so the same
    traffic meets the same losses.
    A socket (SOCK_SEQPACKET, one JSON object each way) changes and shows the links while they run.

The process itself lives in a namespace without interfaces. Run as
`python -m tests.lab.wire NAMESPACE_PREFIX CONTROL_SOCKET`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from tests.lab import netns, plan
from tests.lab.outbox import Outbox, hurry, open_device, report_ready

MAX_FRAME_BYTES = 65536
READS_PER_TURN = 64
SETTABLE = ("delay_ms", "jitter_ms", "loss")


@dataclass
class Direction:
    """One way of a link: settings, the far end's device, counters."""

    target: int
    random: random.Random
    last_due_s: float = 0.0
    forwarded: int = 0
    lost: int = 0


@dataclass
class Link:
    """A link as it is now."""

    name: str
    delay_ms: float
    jitter_ms: float
    loss: float
    ways: list[Direction] = field(default_factory=list)

    def set(self, name: str, value: float) -> None:
        """Change one setting.

        Raises:
            ValueError: if the name or the value makes no sense.
        """
        if name not in SETTABLE:
            raise ValueError(f"a link has no {name!r}, only {', '.join(SETTABLE)}")
        top = 1.0 if name == "loss" else 60_000.0
        if not 0.0 <= value <= top:
            raise ValueError(f"{name} {value} is not between 0 and {top:g}")
        setattr(self, name, float(value))

    def show(self) -> dict[str, Any]:
        """The settings and counters, for status."""
        return {
            "delay_ms": self.delay_ms,
            "jitter_ms": self.jitter_ms,
            "loss": self.loss,
            "forwarded": sum(way.forwarded for way in self.ways),
            "lost": sum(way.lost for way in self.ways),
        }


def admit(link: Link, way: Direction, now_s: float) -> float | None:
    """When a frame that comes in now is to leave; None if it is lost."""
    if link.loss and way.random.random() < link.loss:
        way.lost += 1
        return None
    delay_ms = link.delay_ms
    if link.jitter_ms:
        delay_ms += way.random.uniform(0.0, link.jitter_ms)
    due = max(way.last_due_s, now_s + delay_ms / 1000.0)
    way.last_due_s = due
    way.forwarded += 1
    return due


def answer(links: dict[str, Link], request: bytes) -> dict[str, Any]:
    """Carry out one request of the control socket: `{"set": {...}, "links": [...]}` or `{}`."""
    try:
        wanted = json.loads(request or b"{}")
        for name in wanted.get("links", []):
            if name not in links:
                return {"error": f"no link {name!r}; there are {', '.join(links)}"}
            for key, value in wanted.get("set", {}).items():
                links[name].set(key, value)
    except (ValueError, TypeError, AttributeError) as problem:
        return {"error": str(problem)}
    return {"links": {name: link.show() for name, link in links.items()}}


def build_links(prefix: str) -> tuple[dict[str, Link], dict[int, tuple[Link, Direction]]]:
    """Open both devices of every served link; returns the links, and what each device feeds."""
    links: dict[str, Link] = {}
    feeds: dict[int, tuple[Link, Direction]] = {}
    for name, net in plan.wires().items():
        assert net.wire is not None
        link = Link(name, net.wire.delay_ms, net.wire.jitter_ms, net.wire.loss)
        devices = []
        for port in net.ports:
            with netns.inside(prefix + port.node):
                devices.append(open_device(port.iface, ethernet=True))
        for source, target, label in zip(devices, reversed(devices), "ab", strict=True):
            way = Direction(target, random.Random(f"{name}:{label}"))
            link.ways.append(way)
            feeds[source] = (link, way)
        links[name] = link
    return links, feeds


def serve(links: dict[str, Link], feeds: dict[int, tuple[Link, Direction]], control: socket.socket) -> None:
    """The loop; never returns."""
    outbox = Outbox()
    callers: dict[int, socket.socket] = {}
    while True:
        readable, _, _ = select.select([*feeds, control.fileno(), *callers], [], [], outbox.wait_s(time.monotonic()))
        for descriptor in readable:
            if descriptor in feeds:
                link, way = feeds[descriptor]
                if not forward(link, way, descriptor, outbox):
                    del feeds[descriptor]
            elif descriptor == control.fileno():
                with contextlib.suppress(OSError):
                    caller, _ = control.accept()
                    caller.setblocking(False)
                    callers[caller.fileno()] = caller
            else:
                with callers.pop(descriptor) as caller, contextlib.suppress(OSError):
                    caller.send(json.dumps(answer(links, caller.recv(65536))).encode())
        outbox.send_due(time.monotonic())


def forward(link: Link, way: Direction, device: int, outbox: Outbox) -> bool:
    """Take in what a device has, up to a bound so that no link starves the others.

    Returns:
        False if the device is gone, with its namespace: select would report it for ever.
    """
    for _ in range(READS_PER_TURN):
        try:
            frame = os.read(device, MAX_FRAME_BYTES)
        except BlockingIOError:
            return True
        except OSError as problem:
            return problem.errno != errno.EBADFD
        due = admit(link, way, time.monotonic())
        if due is not None:
            outbox.put(due, way.target, frame)
    return True


def main() -> None:
    """Open the devices, say so, forward."""
    prefix, control_path = sys.argv[1:]
    hurry()
    links, feeds = build_links(prefix)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.bind(control_path)
    control.listen(8)
    control.setblocking(False)
    report_ready()
    serve(links, feeds, control)


if __name__ == "__main__":
    main()
