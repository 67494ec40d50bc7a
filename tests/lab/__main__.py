"""The lab by hand: `python -m tests.lab up | down | status | exec NODE -- COMMAND | delay | loss`."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time

from tests.lab import Lab, LabError, LabUnavailableError, netns, plan
from tests.lab.lab import DEFAULT_INSTANCE

UNAVAILABLE = 3


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(us|ms|s)?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 50ms or 0.05s")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2] or "ms"]


def _share(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%)?", text)
    value = float(found[1]) / (100.0 if found[2] else 1.0) if found else 2.0
    if value > 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: write 10% or 0.1")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    parser.add_argument(
        "--instance",
        default=os.environ.get("ONVP_LAB_INSTANCE", DEFAULT_INSTANCE),
        help="name of the lab; two labs of different names do not meet (default: %(default)s)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="bring the lab up, clearing leftovers first")
    commands.add_parser("down", help="take it down and leave nothing behind")
    commands.add_parser("status", help="nodes, addresses, servers, links")
    run = commands.add_parser("exec", help="run a command on a node: exec vp1 -- scamper ...")
    run.add_argument("node", choices=plan.NODES, metavar="NODE")
    run.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    delay = commands.add_parser("delay", help="set a link's one-way delay: delay ctl 50ms")
    delay.add_argument("link")
    delay.add_argument("delay", type=_milliseconds)
    delay.add_argument("--jitter", type=_milliseconds)
    loss = commands.add_parser("loss", help="set a link's loss in each direction: loss vp1 5%%")
    loss.add_argument("link")
    loss.add_argument("loss", type=_share)
    return parser


def _status(lab: Lab) -> str:
    present = netns.list_namespaces(lab.prefix)
    if not present:
        return f"the lab {lab.instance!r} is down"
    crowd = netns.processes(present)
    state = "up" if lab.is_up else "half up: take it down, or bring it up again"
    lines = [f"the lab {lab.instance!r} is {state}", "", _row("NODE", "PROCESSES", "ADDRESSES")]
    for node in plan.NODES:
        name = lab.netns(node)
        count = sum(place == name for place in crowd.values()) if name in present else "gone"
        addresses = [
            address
            for net in plan.NETS
            for port in net.ports
            if port.node == node
            for number in port.numbers
            for address in (net.v4(number), net.v6(number))
        ]
        lines.append(_row(node, str(count), "  ".join(dict.fromkeys(addresses)) or "-"))
    lines += ["", _row("SERVER", "PID", "NODE")]
    for entry in lab.servers():
        pid = str(entry["pid"]) if entry["alive"] else "DEAD"
        lines.append(_row(entry["name"], pid, entry["node"]))
    lines += ["", _row("LINK", "DELAY", "(one way), round trip, jitter, loss each way, frames, lost")]
    try:
        links = lab.links()
    except LabError as problem:
        return "\n".join([*lines, str(problem)])
    for link in links.values():
        rest = f"{2 * link.delay_ms:g} ms, {link.jitter_ms:g} ms, {link.loss:.1%}"
        rest += f", {link.forwarded}, {link.lost}"
        lines.append(_row(link.name, f"{link.delay_ms:g} ms", rest))
    return "\n".join(lines)


def _row(first: str, second: str, rest: str) -> str:
    return f"{first:<12} {second:<10} {rest}"


def main() -> int:
    """Do what the command line says; the exit status says how it went (3: cannot run here)."""
    arguments = _parser().parse_args()
    lab = Lab(arguments.instance)
    match arguments.command:
        case "up":
            begun = time.monotonic()
            lab.up()
            print(f"the lab {lab.instance!r} is up ({time.monotonic() - begun:.1f} s)")
        case "down":
            lab.down()
            print(f"the lab {lab.instance!r} is down")
        case "status":
            print(_status(lab))
        case "exec":
            argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
            if not argv:
                raise LabError("exec needs a command: exec vp1 -- scamper -v")
            if lab.netns(arguments.node) not in netns.list_namespaces(lab.prefix):
                raise LabError(f"the lab {lab.instance!r} is down: `python -m tests.lab up` first")
            command = lab.command(arguments.node, argv)
            os.execvp(command[0], command)
        case "delay":
            lab.set_link(arguments.link, delay_ms=arguments.delay, jitter_ms=arguments.jitter)
        case "loss":
            lab.set_link(arguments.link, loss=arguments.loss)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabUnavailableError as problem:
        print("\n".join(problem.missing), file=sys.stderr)
        sys.exit(UNAVAILABLE)
    except PermissionError:
        print("The lab needs root: run the command with sudo.", file=sys.stderr)
        sys.exit(UNAVAILABLE)
    except LabError as problem:
        print(f"tests.lab: {problem}", file=sys.stderr)
        sys.exit(1)
