"""Scripts as they are written for the upstream module, unmodified, against the lab's known truths.

With ``ONVP_SCAMPER=PATH`` the same scripts run against that scamper in place of Debian's.
"""

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from onvp.native.files import ScamperFile
from tests.lab import plan
from tests.world import World

SCRIPTS = Path(__file__).parent / "scripts"
SOCKET = "/run/scamper/vp.sock"
A1, A2, OWN = plan.ALIAS_A1.v4, plan.ALIAS_A2.v4, plan.IPID_OWN.v4
BULK = [
    plan.NS1.v4, plan.NS2.v4, plan.WEB.v4, plan.CDN1.v4, plan.CDN2.v4, plan.BOX.v4, plan.BOX_2.v4, plan.SILENT.v4
]  # fmt: skip


class Ran:
    """How a script's run ended, and what it said on each VP."""

    def __init__(self, world: World, status: int, events: list[dict[str, Any]], stderr: str) -> None:
        self.world = world
        self.status = status
        self.id = events[0]["run"] if events else ""
        self.text: dict[str, str] = {}
        for event in events:
            if event["type"] == "output":
                self.text[event["vp"]] = self.text.get(event["vp"], "") + event["data"]["text"]
        self.told = f"exit status {status}\n{self.text}\n{[e for e in events if e['type'] == 'end']}\n{stderr}"

    def lines(self, vp: str = "vp1") -> list[str]:
        """The lines of one VP, after a look at whether all went well."""
        assert self.status == 0, self.told
        return self.text.get(vp, "").splitlines()

    def fetch(self, folder: Path) -> Path:
        """The folder with what the run left on vp1."""
        self.world.onvp("fetch", self.id, "--out", str(folder))
        return folder / "vp1"


def run(world: World, script: str, *args: str, on: str = "vp1", inputs: tuple[str, ...] = ()) -> Ran:
    """Run a script to its end."""
    files = [word for name in inputs for word in ("--input", name)]
    where = ["--on", "all"] if on == "all" else ["--vp", on]
    done = world.onvp("run", "--json", str(SCRIPTS / script), *where, *files, "--", *args, check=False)
    return Ran(world, done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr)


@pytest.fixture(scope="module")
def started(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, "Future[Ran]"]]:
    """All scripts, begun at once: most of their time is waiting for packets."""
    addresses = tmp_path_factory.mktemp("inputs") / "addresses.txt"
    addresses.write_text("\n".join(BULK) + "\n")
    with ThreadPoolExecutor(max_workers=4) as pool:

        def begin(script: str, *args: str, on: str = "vp1", inputs: tuple[str, ...] = ()) -> "Future[Ran]":
            return pool.submit(run, world, script, *args, on=on, inputs=inputs)

        yield {
            "balancers": begin("balancers.py", SOCKET, plan.WIDE.v4, on="vp2"),
            "balancers again": begin("balancers.py", SOCKET, plan.WIDE.v4, on="vp1"),
            "ipid_series": begin("ipid_series.py", SOCKET, A1, A2, OWN),
            "cdn_study": begin("cdn_study.py", SOCKET, "cdn.warts.gz", f"cdn.{plan.DOMAIN}", plan.WEB.fqdn),
            "alias_tests": begin("alias_tests.py", SOCKET, A1, A2, OWN, A1, plan.ALIAS_MATE.v4, on="vp2"),
            "poll_loop": begin("poll_loop.py", SOCKET, plan.WEB.v4, plan.SILENT.v4),
            "snmp_alias": begin("snmp_alias.py", SOCKET, plan.BOX.v4, plan.BOX_2.v4, plan.FAR.v4),
            "sniffer": begin("sniffer.py", SOCKET, plan.VP1.v4, plan.WEB.v4),
            "shortest_ping": begin("shortest_ping.py", "/run/scamper", plan.WEB.v4, plan.FAR.v4, on="all"),
            "nameserver_delay": begin("nameserver_delay.py", "/run/mux", plan.DOMAIN),
            "bulk_ping": begin("bulk_ping.py", "/run/scamper", "addresses.txt", on="vp2", inputs=(str(addresses),)),
            "resolver_sites": begin("resolver_sites.py", "/run/scamper", plan.NS1.v4, plan.NS2.v4, on="vp2"),
            "tcp_behaviour": begin("tcp_behaviour.py", SOCKET, plan.WEB_RAW.v4, plan.WEB_RAW.fqdn),
        }


Started = dict[str, "Future[Ran]"]


def test_shortest_ping_finds_each_vps_distance(started: Started) -> None:
    """On each VP every target has one line, and its delay is what the lab's wires make it."""
    ran = started["shortest_ping"].result()

    for vp in plan.VP_NAMES:
        rows = {line.split()[0]: line.split()[1:] for line in ran.lines(vp)}
        assert set(rows) == {plan.WEB.v4, plan.FAR.v4}
        assert {name for name, *_ in rows.values()} == {vp}
        assert float(rows[plan.WEB.v4][1]) >= 2 * plan.VP_WIRES[vp].delay_ms
        assert float(rows[plan.FAR.v4][1]) >= 2 * (plan.VP_WIRES[vp].delay_ms + 30)


def test_nameserver_delay_knows_every_address_of_every_nameserver(started: Started) -> None:
    """NS, then A and AAAA, then pings: six addresses, and the far server is the far one."""
    rows = [line.split() for line in started["nameserver_delay"].result().lines()]

    assert {(name, addr) for _, name, addr, _ in rows} == {
        (server.fqdn, addr) for server in plan.NAMESERVERS for addr in server.addresses
    }
    assert {name for _, name, _, _ in rows[-2:]} == {plan.NS3.fqdn}
    assert all((float(rtt) > 60) == (name == plan.NS3.fqdn) for _, name, _, rtt in rows)


def test_cdn_study_agrees_with_the_json_api_and_reaches_every_edge(started: Started) -> None:
    """DNS and a verified HTTPS API give the same edges; each has a name and answers TCP traceroutes to 443."""
    lines = started["cdn_study"].result().lines()

    assert lines[0] == "same answers True"
    assert sorted(lines[1:-1]) == sorted(f"{h.v4} completed 6 {h.fqdn}" for h in (plan.CDN1, plan.CDN2, plan.CDN3))
    assert lines[-1] == "took True"


def test_cdn_studys_outfile_holds_everything_and_can_be_read_everywhere(
    world: World, started: Started, tmp_path: Path
) -> None:
    """The outfile is read by sc_warts2json, by our ScamperFile here, and by a script as its input."""
    recording = started["cdn_study"].result().fetch(tmp_path / "got") / "artifacts" / "cdn.warts.gz"
    expected = {"ScamperHost": 5, "ScamperHttp": 1, "ScamperTrace": 3}

    with ScamperFile(str(recording)) as file:
        kinds = [type(o).__name__ for o in file]
    plain = tmp_path / "cdn.warts"
    plain.write_bytes(subprocess.run(["zcat", str(recording)], capture_output=True, check=True).stdout)
    dump = subprocess.run(["sc_wartsdump", str(plain)], capture_output=True, text=True, check=False).stdout
    ran = run(world, "read_warts.py", recording.name, inputs=(str(recording),))

    assert {kind: kinds.count(kind) for kind in expected} == expected
    assert dump.count("traceroute from") == 3
    lines = ran.lines()
    assert lines[:5] == ["ScamperCycle 1", "ScamperHost 5", "ScamperHttp 1", "ScamperList 1", "ScamperTrace 3"]
    assert sorted(lines[5:8]) == sorted(f"last {h.v4} True True True" for h in (plan.CDN1, plan.CDN2, plan.CDN3))
    assert sorted(lines[8:]) == ["seen ScamperHost 0"] * 2 + ["seen ScamperHost 7"] * 3 + ["seen ScamperHttp 0"]
    again = ran.fetch(tmp_path / "again") / "artifacts"
    assert len((again / "traces.json").read_text().splitlines()) == 3
    assert (again / "traces.txt").read_text().count("traceroute from") == 3
    with ScamperFile(str(again / "traces.warts.xz")) as file:
        copies = [o.to_json() for o in file if type(o).__name__ == "ScamperTrace"]
    assert copies == (again / "traces.json").read_text().splitlines()


def test_snmp_alias_joins_the_addresses_of_one_engine(started: Started) -> None:
    """Two addresses of a box share an SNMP engine; the far host has its own."""
    lines = started["snmp_alias"].result().lines()

    assert lines == [f"{plan.BOX.v4} {plan.BOX_2.v4}", plan.FAR.v4]


def test_ipid_series_tell_aliases_from_others(started: Started) -> None:
    """Radargun's series join router A's addresses only; MIDAR estimates a rate for each address and method."""
    rows = [line.split() for line in started["ipid_series"].result().lines()]

    pairs = {(a, b): says == "True" for kind, a, b, says in (r for r in rows if r[0] == "radargun")}
    assert pairs == {(A1, A2): True, (A1, OWN): False, (A2, OWN): False}
    estimates = {(dst, method): (int(n), float(v)) for _, dst, method, n, v in (r for r in rows if r[0] == "midarest")}
    assert set(estimates) == {(a, m) for a in (A1, A2, OWN) for m in ("icmp-echo", "tcp-ack", "udp")}
    assert all(n == 5 and v > 0 for n, v in estimates.values())


def test_bulk_ping_is_fed_by_morecb_to_the_end(started: Started) -> None:
    """Every address of an input file is pinged once; done() in morecb ends the instance, and eofcb says so."""
    lines = started["bulk_ping"].result().lines("vp2")

    assert lines[0] == f"vp2 {len(BULK) - 1} True"
    assert lines[1] == f"ended vp2 {len(BULK) + 1}"


def test_resolver_sites_are_told_by_chaos_and_nsid(started: Started) -> None:
    """hostname.bind, id.server and NSID name the server that answered."""
    lines = started["resolver_sites"].result().lines("vp2")

    expected = []
    for server in (plan.NS1, plan.NS2):
        short = f"{server.name}.lab"
        expected += [f"{server.v4} IN . {short}", f"{server.v4} CH hostname.bind {server.fqdn}"]
        expected += [f"{server.v4} CH id.server {short}"]
    assert lines == expected


def test_poll_loop_sees_meta_objects_callbacks_and_the_end(started: Started) -> None:
    """poll(until=) gives list, cycle, results and the cycle's stop; a silent target is traced; eofcb runs once."""
    lines = started["poll_loop"].result().lines()

    assert lines[0].startswith(f"trace {plan.SILENT.v4} gaplimit ['{plan.ACCESS[0].v4(1)}'")
    assert lines[1] == "pings 3 meta ScamperList ScamperCycle ScamperCycle eof 1 more True"


def test_alias_tests_find_the_pairs_of_the_plan(started: Started) -> None:
    """Ally, Mercator and a prefix scan find router A's addresses, and no others."""
    lines = started["alias_tests"].result().lines("vp2")

    assert lines == [
        "ally True True",
        "ally False False",
        f"mercator True {[A2, A1]}",
        f"prefixscan True {[A1, plan.ALIAS_A18.v4]}",
    ]


def test_balancers_finds_the_diamond(started: Started) -> None:
    """Tracelb sees one node before three, three before two, and two before one.

    At 99 % confidence it may still miss a way of a node by chance: two VPs look, and together they see all.
    """
    ways: dict[str, set[str]] = {}
    for name, vp in (("balancers", "vp2"), ("balancers again", "vp1")):
        first, *nodes = started[name].result().lines(vp)
        assert first.startswith("nodes ")
        for line in nodes:
            node, _, nexts = line.partition(" -> ")
            ways.setdefault(node, set()).update(nexts.split())

    assert sorted(map(len, ways.values()), reverse=True) == [3, 2, 2, 2]


def test_sniffer_captures_the_echo_replies(started: Started) -> None:
    """A capture that is halted holds the replies to the pings with its identifier."""
    assert started["sniffer"].result().lines() == [f"sniffed Halted {0x4A69} 3 3"]


def test_tcp_behaviour_gives_a_result_or_an_error_for_each_test(started: Started) -> None:
    """Tbit answers for each method; where the host has no firewall for it, the answer is its error."""
    lines = started["tcp_behaviour"].result().lines()

    assert [line.split()[0] for line in lines] == ["null", "icw", "ecn"]
    assert all(line.endswith(f"{plan.WEB_RAW.v4} True") for line in lines)
