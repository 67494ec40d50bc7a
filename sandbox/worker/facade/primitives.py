"""The ``do_*`` methods: upstream's names, order and units; each becomes one plain request.

A method's own parameters are its documentation; `CONVERT` says what each name means wherever it
stands. What the value may be is judged where it counts, on the other side of the wire, and comes back as
a ValueError or TypeError that names parameter, value and bounds.
"""

import base64
from collections.abc import Callable
from typing import Any

from onvp.sandbox.worker.facade import plain

CONVERT: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("dst", "dst1", "dst2", "near", "far", "rtr", "src", "server"), plain.address),
    **dict.fromkeys(("wait_probe", "wait_timeout", "wait_round", "limit_time"), plain.duration),
    **dict.fromkeys(("method", "url", "qname", "qclass", "qtype", "direction"), plain.text),
    **dict.fromkeys(
        ("pmtud", "ptr", "all_attempts", "ip_rr", "dltx", "rd", "tcp", "nsid", "insecure", "ech_grease"),
        plain.boolean,
    ),
    "payload": plain.octets,
    "ip_ts": plain.timestamps,
    "mqtypes": plain.several(plain.text),
    "ecs": plain.network,
    "headers": plain.headers,
    "addrs": plain.several(plain.address),
    "probedefs": plain.several(plain.probedef),
    "startat": plain.moment,
}
"""How each parameter becomes plain; those that are not named here are integers."""

CONTROL = ("self", "inst", "sync")
"""Parameters that steer the call and are not sent."""


def request(given: dict[str, Any], *needs: str, **special: Callable[[str, Any], Any]) -> dict[str, Any]:
    """The plain parameters of a call, from the method's locals; None means not given.

    Raises:
        ValueError: one of ``needs`` is None.
    """
    for name in needs:
        if given[name] is None:
            raise ValueError(f"{name} must be given, and is None")
    convert: dict[str, Callable[[str, Any], Any]] = {**CONVERT, **special}
    made = {}
    for name, value in given.items():
        if value is not None and name not in CONTROL:
            converter: Callable[[str, Any], Any] = convert.get(name, plain.integer)
            made[name] = converter(name, value)
    return made


class Primitives:
    """The measurement methods of ScamperCtrl.

    Times are timedelta or seconds; addresses are str or ScamperAddr; ``inst`` is an instance, or a list
    or set of them; with ``sync`` the call returns the result instead of a task.
    """

    def _measure(self, primitive: str, params: dict[str, Any], inst: Any, sync: Any) -> Any:
        raise NotImplementedError

    def do_ping(
        self, dst: Any, tcp_ack: Any = None, tcp_seq: Any = None, tcp_mss: Any = None, attempts: Any = None,
        icmp_id: Any = None, icmp_seq: Any = None, icmp_sum: Any = None, dport: Any = None, sport: Any = None,
        wait_probe: Any = None, ttl: Any = None, mtu: Any = None, stop_count: Any = None, method: Any = None,
        payload: Any = None, rtr: Any = None, ip_rr: Any = None, ip_ts: Any = None, dltx: Any = None,
        size: Any = None, src: Any = None, wait_timeout: Any = None, tos: Any = None, userid: Any = None,
        inst: Any = None, sync: Any = False, *, recordroute: Any = None,
    ) -> Any:  # fmt: skip
        """Send echo, timestamp, TCP or UDP probes to one address; gives a ScamperPing."""
        params = request({k: v for k, v in locals().items() if k != "recordroute"}, "dst")
        if recordroute is not None:
            # The name of ip_rr in upstream's module up to 20260420.
            params["ip_rr"] = plain.boolean("recordroute", recordroute)
        _lower(params, "method")
        return self._measure("ping", params, inst, sync)

    def do_trace(
        self, dst: Any, confidence: Any = None, dport: Any = None, icmp_id: Any = None, icmp_sum: Any = None,
        firsthop: Any = None, gaplimit: Any = None, loops: Any = None, hoplimit: Any = None, pmtud: Any = None,
        squeries: Any = None, ptr: Any = None, payload: Any = None, method: Any = None, attempts: Any = None,
        all_attempts: Any = None, rtr: Any = None, sport: Any = None, src: Any = None, tos: Any = None,
        wait_timeout: Any = None, wait_probe: Any = None, userid: Any = None, inst: Any = None, sync: Any = False,
    ) -> Any:  # fmt: skip
        """Find the path to one address; gives a ScamperTrace."""
        params = request(locals(), "dst")
        _lower(params, "method")
        if "method" not in params and ("icmp_sum" in params or "icmp_id" in params):
            params["method"] = "icmp-paris"
        return self._measure("trace", params, inst, sync)

    def do_tracelb(
        self, dst: Any, confidence: Any = None, dport: Any = None, firsthop: Any = None, gaplimit: Any = None,
        method: Any = None, attempts: Any = None, ptr: Any = None, rtr: Any = None, sport: Any = None,
        tos: Any = None, wait_timeout: Any = None, wait_probe: Any = None, userid: Any = None, inst: Any = None,
        sync: Any = False,
    ) -> Any:  # fmt: skip
        """Find all load-balanced paths to one address; gives a ScamperTracelb."""
        params = request(locals(), "dst")
        _lower(params, "method")
        return self._measure("tracelb", params, inst, sync)

    def do_dns(
        self, qname: Any, server: Any = None, qclass: Any = None, qtype: Any = None, mqtypes: Any = None,
        attempts: Any = None, rd: Any = None, wait_timeout: Any = None, tcp: Any = None, nsid: Any = None,
        ecs: Any = None, userid: Any = None, inst: Any = None, sync: Any = False,
    ) -> Any:  # fmt: skip
        """Ask a DNS server one question; ``attempts`` counts queries in all. Gives a ScamperHost."""
        params = request(locals(), "qname", qname=_name_or_address)
        for name in ("qtype", "qclass"):
            if name in params:
                params[name] = params[name].upper()
        if params.get("qclass") == "CHAOS":
            params["qclass"] = "CH"
        if "mqtypes" in params:
            params["mqtypes"] = [word.upper() for word in params["mqtypes"]]
        return self._measure("dns", params, inst, sync)

    def do_http(
        self, dst: Any, url: Any, headers: Any = None, insecure: Any = None, limit_time: Any = None,
        ech_grease: Any = None, ech_config_list: Any = None, userid: Any = None, inst: Any = None,
        sync: Any = False,
    ) -> Any:  # fmt: skip
        """Fetch a URL from one address (the host in it is not looked up); gives a ScamperHttp."""
        params = request(locals(), "dst", "url", ech_config_list=_base64)
        return self._measure("http", params, inst, sync)

    def do_udpprobe(
        self, dst: Any, dport: Any, payload: Any, attempts: Any = None, src: Any = None, stop_count: Any = None,
        userid: Any = None, inst: Any = None, sync: Any = False,
    ) -> Any:  # fmt: skip
        """Send a UDP payload and collect what comes back; gives a ScamperUdpprobe."""
        return self._measure("udpprobe", request(locals(), "dst", "dport", "payload"), inst, sync)

    def do_sniff(
        self, src: Any, icmp_id: Any, limit_pkt_count: Any = None, limit_time: Any = None, userid: Any = None,
        inst: Any = None, sync: Any = False,
    ) -> Any:  # fmt: skip
        """Capture ICMP packets with one identifier; gives a ScamperSniff."""
        return self._measure("sniff", request(locals(), "src", "icmp_id"), inst, sync)

    def do_tbit(
        self, dst: Any, method: Any = None, url: Any = None, userid: Any = None, inst: Any = None,
        sync: Any = False,
    ) -> Any:  # fmt: skip
        """Test how a web server's TCP behaves; gives a ScamperTbit."""
        params = request(locals(), "dst", "method", "url")
        _lower(params, "method")
        return self._measure("tbit", params, inst, sync)

    def do_ally(
        self, dst1: Any, dst2: Any, fudge: Any = None, icmp_sum: Any = None, dport: Any = None, sport: Any = None,
        method: Any = None, attempts: Any = None, wait_probe: Any = None, wait_timeout: Any = None,
        userid: Any = None, inst: Any = None, sync: Any = False,
    ) -> Any:  # fmt: skip
        """Ask whether two addresses share an IP-ID counter; gives a ScamperDealias."""
        _single("ally", inst)
        params = request(locals(), "dst1", "dst2")
        _lower(params, "method")
        if "icmp_sum" in params:
            params.setdefault("method", "icmp-echo")
        return self._measure("ally", params, inst, sync)

    def do_mercator(self, dst: Any, userid: Any = None, inst: Any = None, sync: Any = False) -> Any:
        """Ask which address answers for an address; gives a ScamperDealias."""
        return self._measure("mercator", request(locals(), "dst"), inst, sync)

    def do_prefixscan(
        self, near: Any, far: Any, prefixlen: Any, fudge: Any = None, icmp_sum: Any = None, dport: Any = None,
        sport: Any = None, method: Any = None, attempts: Any = None, wait_probe: Any = None,
        wait_timeout: Any = None, userid: Any = None, inst: Any = None, sync: Any = False,
    ) -> Any:  # fmt: skip
        """Look in the far end's prefix for an alias of the near end; gives a ScamperDealias."""
        _single("prefixscan", inst)
        params = request(locals(), "near", "far", "prefixlen")
        _lower(params, "method")
        return self._measure("prefixscan", params, inst, sync)

    def do_radargun(
        self, addrs: Any = None, rounds: Any = None, probedefs: Any = None, wait_probe: Any = None,
        wait_round: Any = None, wait_timeout: Any = None, userid: Any = None, inst: Any = None, sync: Any = False,
    ) -> Any:  # fmt: skip
        """Probe addresses in rounds, for their IP-ID series; gives a ScamperDealias."""
        return self._measure("radargun", request(locals(), "probedefs"), inst, sync)

    def do_midarest(
        self, rounds: Any = None, wait_probe: Any = None, wait_round: Any = None, wait_timeout: Any = None,
        probedefs: Any = None, addrs: Any = None, userid: Any = None, inst: Any = None, sync: Any = False,
    ) -> Any:  # fmt: skip
        """MIDAR's estimation stage; gives a ScamperDealias."""
        _single("midarest", inst)
        return self._measure("midarest", request(locals(), "probedefs", "addrs"), inst, sync)

    def do_midardisc(
        self, probedefs: Any = None, schedule: Any = None, startat: Any = None, wait_timeout: Any = None,
        userid: Any = None, inst: Any = None, sync: Any = False,
    ) -> Any:  # fmt: skip
        """MIDAR's discovery stage: probes on a schedule; gives a ScamperDealias."""
        _single("midardisc", inst)
        params = request(locals(), "probedefs", "schedule", schedule=plain.several(plain.midar_round))
        return self._measure("midardisc", params, inst, sync)

    def do_owamp(
        self, dst: Any, direction: Any, attempts: Any = None, dscp: Any = None, schedule: Any = None,
        size: Any = None, startat: Any = None, ttl: Any = None, wait_timeout: Any = None, userid: Any = None,
        inst: Any = None, sync: Any = False,
    ) -> Any:  # fmt: skip
        """Measure one-way delay with an OWAMP server; gives a ScamperOwamp."""
        params = request(locals(), "dst", "direction", schedule=plain.intervals)
        _lower(params, "direction")
        return self._measure("owamp", params, inst, sync)


for _name, _method in vars(Primitives).items():
    if _name.startswith("do_"):
        # A wrong call is told in words that the script knows.
        _method.__qualname__ = f"ScamperCtrl.{_name}"


def _lower(params: dict[str, Any], name: str) -> None:
    if name in params:
        params[name] = params[name].lower()


def _single(primitive: str, inst: Any) -> None:
    if isinstance(inst, list | set):
        kind = "list" if isinstance(inst, list) else "set"
        raise RuntimeError(f"{kind} of ScamperInst not allowed with {primitive}")


def _name_or_address(name: str, value: Any) -> str:
    return plain.address(name, value)


def _base64(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return base64.b64decode(plain.text(name, value), validate=True)
    return plain.octets(name, value)
