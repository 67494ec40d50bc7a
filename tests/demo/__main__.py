"""The demonstration: a controller, three vantage points with real scamper, four scripts, and what came of them.

Everything that is shown is the output of the commands that a person would type; each is printed before it
runs. Nothing is left running.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.lab import Lab, plan
from tests.lab.errors import LabError
from tests.world import World, WorldError

SCRIPTS = Path(__file__).parent / "scripts"
OUT = Path("out/demo")


def say(text: str = "") -> None:
    """A line of the demonstration's own."""
    print(text, flush=True)


def step(world: World, title: str, script: str, *words: str, expect: set[int]) -> str:
    """Run one script on the VPs and show what arrives; gives the run's id.

    Raises:
        WorldError: it ended otherwise than the demonstration promises.
    """
    say(f"\n== {title}")
    argv = ["run", str(SCRIPTS / script), *words]
    shown = " ".join(word if " " not in word else repr(word) for word in ["onvp", "run", script, *words])
    say(f"$ {shown}")
    process = world.start_onvp(*argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    run = ""
    assert process.stdout is not None
    for line in process.stdout:
        if not run and line.startswith("run "):
            run = line.split()[1]
        say("  " + line.rstrip())
    status = process.wait()
    watchdog.cancel()
    say(f"  (exit status {status})")
    if status not in expect:
        raise WorldError(f"{script} ended with {status}, not with {sorted(expect)}\n{world.last_words()}")
    return run


def show(world: World) -> None:
    """Run the four scripts."""
    say("\n$ onvp vps")
    for line in world.onvp("vps").stdout.splitlines():
        say("  " + line)
    targets = [plan.WEB.v4, plan.BOX.v4, plan.NS2.v4, plan.FAR.v4, plan.ALIAS_A1.v4]
    runs = [
        step(
            world, "1. On all three: ping five targets, and at once trace the one whose RTT stands out",
            "standing_out.py", "--on", "all", "--", *targets, expect={0},
        ),
        step(
            world, "2. How far are a zone's nameservers? A and AAAA of their names, then pings of the answers",
            "nameserver_delay.py", "--on", "all", "--", plan.DOMAIN, *(ns.fqdn for ns in plan.NAMESERVERS), expect={0},
        ),
        step(
            world, "3. A script that asks for more than vp3's household permits: narrowed, then refused",
            "listener.py", "--on", "all", "--", plan.WEB.v4, expect={3},
        ),
        step(
            world, "4. A hostile script: reads a file, opens a socket, loops for ever",
            "hostile.py", "--vp", "vp1", "--vp", "vp3", expect={3, 4},
        ),
        step(
            world, "5. The same once more, with what the language refuses when compiling",
            "sneaky.py", "--vp", "vp2", "--no-check", expect={3},
        ),
    ]  # fmt: skip
    say("\n$ onvp runs")
    for line in world.onvp("runs").stdout.splitlines():
        say("  " + line)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    say(f"\n$ onvp fetch {runs[0]} --out {OUT}/{runs[0]}")
    for run in runs:
        listed = world.onvp("fetch", run, "--out", str((OUT / run).resolve())).stdout
        if run == runs[0]:
            for line in listed.splitlines():
                say("  " + line.replace(str(Path.cwd()) + "/", ""))
    warts = sorted((OUT / runs[0]).rglob("measurements.warts"))
    dump = subprocess.run(["sc_wartsdump", str(warts[0])], capture_output=True, text=True, check=True).stdout
    say(f"\n$ sc_wartsdump {warts[0]} | head -4")
    for line in dump.splitlines()[:4]:
        say("  " + line)
    say(f"\nThe files of all runs lie in {OUT}/.")


def main() -> int:
    """Run the demonstration; gives the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lacks = Lab.missing()
    if lacks:
        for sentence in lacks:
            print(f"make demo: {sentence}", file=sys.stderr)
        return 3
    began = time.monotonic()
    say("Bringing up the lab: three vantage points, routers, servers, links with delay and loss, no route out")
    try:
        with Lab("demo") as lab:
            world = World(lab)
            try:
                world.up(lambda text: say(f"  {text}"))
                show(world)
            finally:
                world.down()
    except (LabError, WorldError) as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    say(f"Done in {time.monotonic() - began:.0f} s; nothing is left running. Next: docs/tutorial/first-upload.md")
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
