"""A researcher's scripts on three vantage points, the way she runs them."""

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab import plan
from tests.world import World

DEMO = Path(__file__).parent.parent / "demo" / "scripts"


def write(folder: Path, text: str, name: str = "script.py") -> str:
    """A script in a file."""
    path = folder / name
    path.write_text(text)
    return str(path)


def follow(world: World, *args: str, timeout: float = 60) -> tuple[int, list[dict[str, Any]]]:
    """Run a script; gives the exit status and every event line."""
    done = world.onvp("run", "--json", *args, check=False, timeout=timeout)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events, done.stderr
    return done.returncode, events


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The events of one type."""
    return [event for event in events if event["type"] == kind]


def test_a_reactive_script_traces_the_target_that_stands_out_on_every_vp(world: World) -> None:
    """A reactive script pings five targets on each VP and traces the far one."""
    targets = [plan.WEB.v4, plan.BOX.v4, plan.NS2.v4, plan.FAR.v4, plan.ALIAS_A1.v4]

    status, events = follow(world, str(DEMO / "standing_out.py"), "--on", "all", "--", *targets)

    assert status == 0
    results = {event["vp"]: event["data"]["value"] for event in of(events, "result")}
    assert set(results) == {"vp1", "vp2", "vp3"}
    for result in results.values():
        assert result["target"] == plan.FAR.v4
        assert result["over_median_ms"] > 40
        assert result["path"][-1] == plan.FAR.v4
        assert len(result["path"]) >= 5


def test_nameserver_delays_come_from_dns_and_ping_together(world: World) -> None:
    """A script asks for A and AAAA of nameservers and pings the answers."""
    names = [server.fqdn for server in plan.NAMESERVERS]

    status, events = follow(world, str(DEMO / "nameserver_delay.py"), "--on", "all", "--", plan.DOMAIN, *names)

    assert status == 0
    for event in of(events, "result"):
        delays = event["data"]["value"]["nameservers"]
        assert set(delays) == set(names)
        assert delays[plan.NS3.fqdn] > delays[plan.NS1.fqdn] + 40


def test_a_refusal_tells_sentence_rule_and_line_and_only_where_the_policy_says_so(world: World) -> None:
    """What the strict VP refuses it refuses with sentence, rule and file:line; the open ones do it."""
    status, events = follow(world, str(DEMO / "listener.py"), "--on", "all", "--", plan.WEB.v4)

    assert status == 3
    refusals = of(events, "refusal")
    assert [event["vp"] for event in refusals] == ["vp3"]
    refusal = refusals[0]["data"]
    assert refusal["primitive"] == "sniff"
    assert refusal["rule"] == "primitives.sniff.allow"
    assert re.fullmatch(r"strict\.yaml:\d+", refusal["where"])
    assert "does not permit packet capture" in refusal["sentence"]
    ends = {event["vp"]: event["data"] for event in of(events, "end")}
    assert {vp: end["outcome"] for vp, end in ends.items()} == {"vp1": "finished", "vp2": "finished", "vp3": "refused"}
    clamped = of(events, "clamped")
    assert [event["vp"] for event in clamped] == ["vp3"]
    assert clamped[0]["data"]["clamps"][0]["parameter"] == "attempts"


def test_a_hostile_script_reads_nothing_and_is_ended_by_the_cpu_limit(world: World) -> None:
    """A script that loops for ever is ended by the policy's CPU limit, which is named."""
    status, events = follow(world, str(DEMO / "hostile.py"), "--vp", "vp3")

    assert status == 4
    end = of(events, "end")[0]["data"]
    assert end["outcome"] == "killed"
    assert end["limit"] == "cpu"
    output = "".join(event["data"]["text"] for event in of(events, "output"))
    assert "root:" not in output


def test_a_script_outside_of_the_language_is_refused_with_every_line(world: World) -> None:
    """A script that the language refuses is refused with all its problems, with lines."""
    status, events = follow(world, str(DEMO / "sneaky.py"), "--vp", "vp1", "--no-check")

    assert status == 3
    end = of(events, "end")[0]["data"]
    assert end["outcome"] == "refused"
    assert end["code"] == "language"
    assert {5, 6, 7} <= {problem["line"] for problem in end["problems"]}


def test_what_a_run_leaves_can_be_fetched_and_read_by_scamper(world: World, tmp_path: Path) -> None:
    """`onvp fetch` brings output, results, artifacts, run.json, and warts that sc_wartsdump reads."""
    script = write(
        tmp_path,
        "import sys, onvp\n"
        "from scamper import ScamperCtrl\n"
        "ctrl = ScamperCtrl()\n"
        "ping = ctrl.do_ping(sys.argv[1], attempts=2, wait_probe=0.2, stop_count=2, sync=True)\n"
        "print(repr(sys.argv[2]))\n"
        "onvp.emit(dst=ping.dst, n=ping.nreplies)\n"
        "with open('table.csv', 'w') as file:\n"
        "    file.write('a,b\\n')\n",
    )
    status, events = follow(world, script, "--vp", "vp2", "--", plan.WEB.v4, "two\nlines")
    assert status == 0, events
    run = events[0]["run"]

    world.onvp("fetch", run, "--out", str(tmp_path / "got"))

    got = tmp_path / "got" / "vp2"
    assert (got / "output.txt").read_text() == "'two\\nlines'\n"
    assert json.loads((got / "results.jsonl").read_text()) == {"dst": plan.WEB.v4, "n": 2}
    assert (got / "artifacts" / "table.csv").read_text() == "a,b\n"
    facts = json.loads((got / "run.json").read_text())
    assert facts["outcome"] == "finished"
    assert facts["args"] == [plan.WEB.v4, "two\nlines"]
    assert re.fullmatch(r"[0-9a-f]{64}", facts["script_sha256"])
    assert facts["facts"]["policy"]
    dump = subprocess.run(
        ["sc_wartsdump", str(got / "measurements.warts")], capture_output=True, text=True, check=True
    ).stdout
    assert f"ping from {plan.VP2.v4} to {plan.WEB.v4}" in dump


def test_a_script_that_fails_shows_its_own_lines(world: World, tmp_path: Path) -> None:
    """A traceback shows the script's own line; the exit status is 1."""
    script = write(tmp_path, "def f(x):\n    return 1 / x\n\nf(0)\n")

    done = world.onvp("run", script, "--vp", "vp1", check=False)

    assert done.returncode == 1
    assert "line 2, in f" in done.stdout + done.stderr
    assert "ZeroDivisionError" in done.stdout + done.stderr
    assert "onvp/sandbox" not in done.stdout + done.stderr


def test_sys_exit_gives_the_scripts_status(world: World, tmp_path: Path) -> None:
    """A script that exits with a status of its own has failed, with that status in the record."""
    script = write(tmp_path, "import sys\nprint('bye', file=sys.stderr)\nsys.exit(7)\n")

    status, events = follow(world, script, "--vp", "vp1")

    assert status == 1
    assert of(events, "end")[0]["data"]["status"] == 7


@pytest.mark.parametrize(
    ("limit", "body"),
    [
        ("output", "while True:\n    print('x' * 1000)\n"),
        ("memory", "hoard = []\nwhile True:\n    hoard.append('y' * 1000000)\n"),
        ("wall", "import time\nwhile True:\n    time.sleep(1)\n"),
        ("artifacts", "with open('big', 'wb') as f:\n    while True:\n        f.write(b'z' * 60000)\n"),
    ],
)
def test_each_limit_ends_a_run_and_is_named(world: World, tmp_path: Path, limit: str, body: str) -> None:
    """Output, memory, wall time and artifacts are limited, and the limit that ended a run is named."""
    status, events = follow(world, write(tmp_path, body), "--vp", "vp3", "--limit", "wall_s=3")

    end = of(events, "end")[0]["data"]
    assert status == 4
    assert end["limit"] == limit


def test_scamper_killed_in_mid_run_fails_the_tasks_in_flight_and_later_ones_work(world: World, tmp_path: Path) -> None:
    """When scamper is killed, what was in flight raises ScamperInstError; what comes later works."""
    script = write(
        tmp_path,
        "import sys, onvp\n"
        "from scamper import ScamperCtrl, ScamperInstError\n"
        "ctrl = ScamperCtrl()\n"
        "print('ready')\n"
        "try:\n"
        "    ctrl.do_ping(sys.argv[1], attempts=20, wait_probe=1, sync=True)\n"
        "except ScamperInstError as error:\n"
        "    print('lost:', error)\n"
        "ping = ctrl.do_ping(sys.argv[1], attempts=1, stop_count=1, sync=True)\n"
        "print('again:', ping.nreplies)\n",
    )
    vp = world.vps["vp1"]
    log = vp.state / "audit.jsonl"
    before = len(log.read_text().splitlines())
    lines = []
    with world.start_onvp("run", script, "--vp", "vp1", "--", plan.WEB.v4, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if "ready" in line:
                # The probe is on its way as soon as the audit log has it.
                world.wait_for(lambda: len(log.read_text().splitlines()) > before, "the ping to be granted")
                for pid in vp.processes("scamper -U"):
                    subprocess.run(["kill", "-9", str(pid)], check=False)
        text = "".join(lines)
        assert process.wait(60) == 0, text
    assert "lost: " in text
    assert "again: 1" in text


def test_a_cancelled_run_keeps_what_it_delivered(world: World, tmp_path: Path) -> None:
    """`onvp cancel` ends a run on its VPs; its output is kept."""
    script = write(tmp_path, "import time\nprint('started')\ntime.sleep(300)\n")
    run = world.onvp("run", script, "--vp", "vp1", "--vp", "vp2", "--detach").stdout.strip()
    world.wait_for(lambda: world.onvp("show", run).stdout.count("running") >= 2, "the run to be running")

    world.onvp("cancel", run)
    followed = world.onvp("follow", run, "--json", check=False)

    ends = of([json.loads(line) for line in followed.stdout.splitlines()], "end")
    assert {event["data"]["outcome"] for event in ends} == {"cancelled"}
    assert followed.returncode == 6
    world.onvp("fetch", run, "--out", str(tmp_path / "kept"))
    assert (tmp_path / "kept" / "vp1" / "output.txt").read_text() == "started\n"


def test_a_vp_without_its_controller_carries_on_and_delivers_later(world: World, tmp_path: Path) -> None:
    """The controller is killed in mid-run and comes back: every event is there, once and in order."""
    script = write(tmp_path, "import time\nfor n in range(30):\n    print(n)\n    time.sleep(0.1)\n")
    run = world.onvp("run", script, "--vp", "vp2", "--detach").stdout.strip()
    world.wait_for(lambda: "running" in world.onvp("show", run).stdout, "the run to be running")

    world.stop_controller(signal.SIGKILL)
    world.start_controller()
    done = world.onvp("follow", run, "--json", check=False)

    events = [json.loads(line) for line in done.stdout.splitlines()]
    text = "".join(event["data"]["text"] for event in of(events, "output"))
    assert text == "".join(f"{n}\n" for n in range(30))
    assert done.returncode == 0


def test_the_site_hosts_stop_button_ends_what_runs_and_refuses_what_comes(world: World, tmp_path: Path) -> None:
    """`onvp-vp pause` cancels what runs and refuses new runs until `onvp-vp resume`."""
    vp = world.vps["vp1"]
    script = write(tmp_path, "import time\ntime.sleep(300)\n")
    run = world.onvp("run", script, "--vp", "vp1", "--detach").stdout.strip()
    world.wait_for(lambda: "running" in world.onvp("show", run).stdout, "the run to be running")
    command = Path(__import__("sys").executable).parent / "onvp-vp"

    world.lab.run("vp1", [str(command), "pause", "--state", str(vp.state)])
    try:
        stopped = world.onvp("follow", run, "--json", check=False)
        status, events = follow(world, script, "--vp", "vp1")
    finally:
        world.lab.run("vp1", [str(command), "resume", "--state", str(vp.state)])

    assert "paused" in stopped.stdout
    assert stopped.returncode == 6
    assert status == 3
    assert "has paused it" in of(events, "end")[0]["data"]["reason"]


def test_agents_and_workers_do_not_run_as_root(world: World) -> None:
    """On a VP only the keeper and scamper's own privileged half are root."""
    for vp in world.vps.values():
        for word in ("onvp-vp", "onvp.sandbox.jail.zygote", "onvp.sandbox.companion"):
            pids = vp.processes(word)
            assert pids, word
            for pid in pids:
                status = Path(f"/proc/{pid}/status").read_text()
                uids = re.search(r"^Uid:\s+(\d+)\s+(\d+)\s+(\d+)", status, re.MULTILINE)
                assert uids is not None
                assert "0" not in uids.groups(), (word, uids.groups())


def test_an_unknown_vp_is_named_with_those_that_are_there(world: World, tmp_path: Path) -> None:
    """A VP that does not exist is a clear error before anything is uploaded."""
    done = world.onvp("run", write(tmp_path, "print(1)\n"), "--vp", "vp9", check=False)

    assert done.returncode == 2
    assert "vp9" in done.stderr
    assert "vp1" in done.stderr


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (b"def f(:\n", "syntax"),
        (b"print('\xff\xfe')\n", "UTF-8"),
        (b"#" * (10 << 20), "10485760"),
    ],
    ids=["syntax error", "not UTF-8", "10 MB"],
)
def test_a_source_that_is_no_script_is_refused_clearly(world: World, tmp_path: Path, source: bytes, says: str) -> None:
    """Syntax errors, other encodings and huge files are refused with a clear sentence."""
    path = tmp_path / "broken.py"
    path.write_bytes(source)

    for extra in ([], ["--no-check"]):
        done = world.onvp("run", str(path), "--vp", "vp1", *extra, check=False)

        assert done.returncode in {2, 3}
        assert says in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr


def test_a_full_spool_ends_what_runs_with_a_sentence_and_recovers(world: World, tmp_path: Path) -> None:
    """A VP that has no room to keep what a run delivers ends the run and says so; with room again, it runs."""
    vp = world.vps["vp2"]
    vp.stop()
    world.wait_for(lambda: not linked(world, "vp2"), "vp2 to be gone")
    vp.start("--set", "spool-bytes=300000")
    script = write(
        tmp_path,
        "import time\nfor n in range(400):\n    print(str(n) + 'x' * 9000)\n    time.sleep(0.01)\ntime.sleep(300)\n",
    )
    world.wait_for(lambda: linked(world, "vp2"), "vp2 to be linked")
    run = world.onvp("run", script, "--vp", "vp2", "--detach").stdout.strip()
    world.wait_for(lambda: "running" in world.onvp("show", run).stdout, "the run to be running")
    world.stop_controller(signal.SIGKILL)  # nobody takes the events: they pile up
    world.wait_for(lambda: "run-ended" in vp.log.read_text().rpartition('"ready"')[2], "the run to be ended")
    world.start_controller()

    followed = world.onvp("follow", run, "--json", check=False)
    vp.stop()
    world.wait_for(lambda: not linked(world, "vp2"), "vp2 to be gone")
    vp.start()
    world.wait_for(lambda: linked(world, "vp2"), "vp2 to be linked")
    status, _ = follow(world, write(tmp_path, "print('fine')\n"), "--vp", "vp2")

    end = of([json.loads(line) for line in followed.stdout.splitlines()], "end")[-1]["data"]
    assert end["outcome"] == "cancelled"
    assert "spool" in end["reason"]
    assert status == 0


def linked(world: World, name: str) -> bool:
    """Is the VP linked now?"""
    rows = json.loads(world.onvp("vps", "--json", check=False).stdout or "[]")
    return any(row["name"] == name and row["connected"] for row in rows)
