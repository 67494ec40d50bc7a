"""What judging one call costs: decision, charge, audit line; and what loading a policy costs.

    python -m tests.bench.bench_policy

The decision is taken under a host's policy of ten rules and an opt-out list of 100,000 prefixes, as a busy VP has;
beside it the same list looked through one by one, for comparison.
"""

import ipaddress
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from onvp.policies.action import parse
from onvp.policies.combine import combine, optout_layer, platform_layer
from onvp.policies.decide import Usage, decide
from onvp.policies.grant import Grant, Refusal
from onvp.policies.load import load_bytes, load_file
from onvp.sandbox.broker.audit import AuditLog
from onvp.sandbox.broker.budget import Ledger, Now, Reservation

PREFIXES = 100_000
ROUNDS = 15
NOON = 1_780_000_000.0
TEN_RULES = b"""onvp-policy: 1
layer: host
primitives:
  ping:
    allow: true
    attempts: {max: 1000, over: clamp}
    size: {max: 256B}
    wait_probe: {min: 100ms, over: clamp}
    methods: [icmp-echo, tcp-syn, udp-dport]
    ports: [80, 443, 33434-33690]
    src: false
destinations:
  deny: [special-purpose, this-site]
  allow: [global-unicast]
rates: {vp: {pps: 1000000, burst: 1000000}, user: {pps: 1000000, burst: 1000000}}
budgets: {user: {day: {packets: 1000M}}, zone: UTC}
windows: [{deny: all, hours: "03:00-04:00", zone: Pacific/Auckland}]
"""


def main() -> None:
    """Print the table."""
    random.seed(1)
    networks = [
        ipaddress.ip_network((random.getrandbits(32), random.randint(16, 32)), strict=False) for _ in range(PREFIXES)
    ]
    began = time.perf_counter()
    optout = optout_layer(networks)
    host = load_bytes(TEN_RULES, "site.yaml")
    site = combine([platform_layer(own_addresses=["192.0.2.1"]), host, optout])
    built = time.perf_counter() - began
    ping = parse("ping", {"dst": _open_address(site)})
    denied = parse("ping", {"dst": str(networks[500][0])})
    narrowed = parse("ping", {"dst": str(ping.targets()[0]), "attempts": 5000})
    usage = Usage(user="ann", run="r1")
    granted = decide(site, ping, usage, NOON)
    assert isinstance(granted, Grant)
    assert isinstance(decide(site, denied, usage, NOON), Refusal)
    spans = [(int(net.network_address), int(net.broadcast_address)) for net in networks]
    address = int(ping.targets()[0])

    print(f"Policy: ten rules of a host and an opt-out list of {PREFIXES:,} prefixes; µs, median of {ROUNDS} rounds")
    _row("decide: granted", lambda: decide(site, ping, usage, NOON), 1000)
    _row("decide: granted with a clamp", lambda: decide(site, narrowed, usage, NOON), 1000)
    _row("decide: refused by the list", lambda: decide(site, denied, usage, NOON), 1000)
    _row("for comparison: the list, one by one", lambda: any(a <= address <= b for a, b in spans), 3)

    ledger = Ledger(lambda: site)
    clock = iter(range(1_000_000_000))

    def charge() -> None:
        now = Now(float(next(clock)), NOON)
        reservation = ledger.reserve(granted, now)
        assert isinstance(reservation, Reservation)
        ledger.settle(reservation.charge, 1000, now)

    _row("reserve and settle", charge, 1000)
    with tempfile.TemporaryDirectory() as folder:
        log = AuditLog(Path(folder) / "audit.jsonl")
        _row("audit line, written", lambda: log.record(granted, ping, run="r1", user="ann", now=NOON), 1000)
        log.close()
    example = Path("policies/examples/datacentre.yaml")
    _row("load of a file with its tests (datacentre.yaml)", lambda: load_file(example), 3)
    print(f"{'build of the whole policy, list included':<50}{built * 1e3:>10.0f} ms")


def _open_address(site: object) -> str:
    while True:
        address = str(ipaddress.IPv4Address(random.getrandbits(32)))
        if isinstance(decide(site, parse("ping", {"dst": address}), now=NOON), Grant):  # type: ignore[arg-type]
            return address


def _row(what: str, work: Callable[[], object], times: int) -> None:
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(times):
            work()
        rounds.append((time.perf_counter() - began) / times * 1e6)
    print(f"{what:<50}{statistics.median(rounds):>10.1f} µs   best {min(rounds):.1f}")


if __name__ == "__main__":
    main()
