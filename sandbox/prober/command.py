"""Action → command line, by table, for the prober at hand.

Each primitive has a row per parameter: field, flag, how its value is written, the value that is left out
because it is every prober's default, and the first scamper release that has the option. What a prober
cannot say exactly is refused (`Inexpressible`), never rounded. What a policy judges (attempts, waits, gaps)
is written out even at its default, so that what was judged is what is sent.

Where upstream's Python module disagrees with its own documentation, the documentation holds: confidence of
a trace is ``-c``; ``attempts`` of dns counts queries; quotes in http headers are escaped.

Never rendered, because a line of it kills a prober: ``sting``, ``dealias -m prefixscan -x``, timestamp pings
with a payload or exactly without room for one; or holds it up for minutes: pings with tens of thousands of
source ports. Nor, because no parameter asks for it: ``-O spoof``, ``-O raw``, ``-y``.

Source: scamper(1), the option parsers of 20211212 and 20260420, and both programs driven.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import msgspec

from onvp.policies import action as act
from onvp.policies.action import MS, Action, ProbeDef
from onvp.sandbox.prober import values as v
from onvp.sandbox.prober.dialect import TIME_SUFFIXES, Dialect, Generation
from onvp.sandbox.prober.errors import Inexpressible
from onvp.sandbox.prober.line import Line

ATTEMPTS_WITH_PORTS = 500
"""How many sockets one ping may make a current scamper open."""

_PORT_PER_ATTEMPT = frozenset({"tcp-syn-sport", "tcp-ack-sport", "udp-sport"})


class _Row(NamedTuple):
    """One parameter: ``show`` is None for a switch; then ``flag`` is all its words."""

    field: str
    flag: str
    show: v.Show | None
    omit: object = None
    since: int = 0


def _switch(field: str, flag: str, *, omit: bool = False, since: int = 0) -> _Row:
    return _Row(field, flag, None, omit, since)


_USERID = _Row("userid", "-U", v.number, omit=0)
_RTR = _Row("rtr", "-r", v.address)
_PTR = _switch("ptr", "-O ptr")
_DEALIAS_COMMON = (
    _Row("wait_probe", "-W", v.time_in(MS)),
    _Row("wait_timeout", "-w", v.seconds),
    _USERID,
)

_ROWS: dict[str, tuple[_Row, ...]] = {
    "ping": (
        _Row("attempts", "-c", v.number),
        _Row("stop_count", "-o", v.number, omit=0),
        _Row("wait_probe", "-i", v.ping_wait_probe),
        _Row("wait_timeout", "-W", v.seconds),
        _Row("ttl", "-m", v.number, omit=64),
        _Row("tos", "-z", v.number, omit=0),
        _Row("size", "-s", v.number),
        _Row("payload", "-B", v.hexadecimal),
        _Row("method", "-P", v.one_of({"tcp-syn-sport": 20230224, "udp-sport": 20240916}), omit="icmp-echo"),
        _Row("sport", "-F", v.number),
        _Row("dport", "-d", v.number),
        _Row("icmp_id", "-F", v.number),
        _Row("icmp_seq", "-d", v.number),
        _Row("icmp_sum", "-C", v.number),
        _Row("tcp_ack", "-A", v.number),
        _Row("tcp_seq", "-A", v.number),
        _Row("tcp_mss", "-O", v.prefixed("mss=", v.number), since=20250401),
        _Row("mtu", "-M", v.number, omit=0),
        _RTR,
        _Row("src", "-S", v.address),
        _switch("ip_rr", "-R"),
        _Row("ip_ts", "-T", v.timestamps),
        _switch("dltx", "-O dltx", since=20250505),
        _USERID,
    ),
    "trace": (
        _Row("confidence", "-c", v.number),
        _Row("method", "-P", v.text, omit="udp-paris"),
        _Row("dport", "-d", v.number),
        _Row("icmp_sum", "-d", v.number),
        _Row("sport", "-s", v.within(1, 65535)),
        _Row("icmp_id", "-s", v.within(1, 65535)),
        _Row("firsthop", "-f", v.number, omit=1),
        _Row("gaplimit", "-g", v.number),
        _Row("loops", "-l", v.number, omit=1),
        _Row("hoplimit", "-m", v.number, omit=0),
        _switch("pmtud", "-M"),
        _Row("squeries", "-N", v.number, omit=1),
        _PTR,
        _Row("payload", "-p", v.hexadecimal),
        _Row("attempts", "-q", v.number),
        _switch("all_attempts", "-Q"),
        _RTR,
        _Row("src", "-S", v.address),
        _Row("tos", "-t", v.number, omit=0),
        _Row("wait_timeout", "-w", v.whole_seconds),
        _Row("wait_probe", "-W", v.time_in(10 * MS), omit=0),
        _USERID,
    ),
    "tracelb": (
        _Row("confidence", "-c", v.number),
        _Row("method", "-P", v.text, omit="udp-dport"),
        _Row("dport", "-d", v.number),
        _Row("sport", "-s", v.number),
        _Row("firsthop", "-f", v.number, omit=1),
        _Row("gaplimit", "-g", v.number),
        _Row("attempts", "-q", v.number),
        _PTR,
        _RTR,
        _Row("tos", "-t", v.number, omit=0),
        _Row("wait_timeout", "-w", v.whole_seconds),
        _Row("wait_probe", "-W", v.time_in(10 * MS)),
        _USERID,
    ),
    "dns": (
        _Row("server", "-s", v.dns_server),
        _Row("qclass", "-c", v.text, omit="IN", since=20240503),
        _Row("qtype", "-t", v.one_of(
            {"NS": 20230605, "SOA": 20230605, "TXT": 20240503, "SVCB": 20250227, "HTTPS": 20260331})),
        _Row("mqtypes", "-O", v.prefixed("mqtypes=", v.listed(v.text)), since=20260902),
        _Row("attempts", "-R", v.retries, omit=1),
        _switch("rd", "-r", omit=True),
        _Row("wait_timeout", "-W", v.seconds),
        _switch("tcp", "-T", since=20240503),
        _switch("nsid", "-O nsid", since=20240916),
        _Row("ecs", "-O", v.prefixed("subnet=", v.prefix), since=20250227),
        _USERID._replace(since=20230224),  # 20211212 takes the option and records 0
    ),
    "http": (
        _Row("limit_time", "-m", v.seconds),
        _switch("insecure", "-O insecure"),
        _switch("ech_grease", "-O grease", since=20260331),
        _Row("ech_config_list", "-O", v.prefixed("ecl=", v.base64_text), since=20260331),
        _USERID,
    ),
    "udpprobe": (
        _Row("dport", "-d", v.number),
        _Row("payload", "-p", v.hexadecimal),
        _Row("attempts", "-c", v.number, omit=1, since=20240503),
        _Row("stop_count", "-o", v.number, omit=1, since=20240503),
        _Row("src", "-S", v.address, since=20240920),
        _USERID,
    ),
    "sniff": (
        _Row("src", "-S", v.address),
        _Row("limit_pkt_count", "-c", v.number),
        _Row("limit_time", "-G", v.whole_seconds),
        _USERID,
    ),
    "tbit": (_Row("method", "-t", v.text), _USERID),
    # 20211212 keeps the attempts of alias resolution in eight bits, silently.
    "ally": (_Row("attempts", "-q", v.within(1, 255)), _Row("fudge", "-f", v.number, omit=0),
             *_DEALIAS_COMMON),
    "mercator": (_USERID,),
    "prefixscan": (_Row("attempts", "-q", v.within(1, 255)), _Row("fudge", "-f", v.number, omit=0),
                   *_DEALIAS_COMMON),
    "radargun": (_Row("rounds", "-q", v.within(1, 255)), _Row("wait_round", "-r", v.time_in(MS)),
                 *_DEALIAS_COMMON),
    "midarest": (_Row("rounds", "-q", v.number), _Row("wait_round", "-r", v.time_in(MS)), *_DEALIAS_COMMON),
    "midardisc": (_Row("wait_timeout", "-w", v.seconds), _Row("startat", "-@", v.point_in_time), _USERID),
    "owamp": (
        _Row("direction", "-d", v.text),
        _Row("attempts", "-c", v.number),
        _Row("dscp", "-D", v.number, omit=0),
        _Row("schedule", "-i", v.listed(v.seconds)),
        _Row("size", "-s", v.number),
        _Row("ttl", "-m", v.number, omit=255),
        _Row("startat", "-@", v.point_in_time),
        _Row("wait_timeout", "-w", v.whole_seconds),
        _USERID,
    ),
}  # fmt: skip


def supports(action: Action, dialect: Dialect) -> Inexpressible | None:
    """None when that prober can do exactly this; else why not."""
    try:
        render(action, dialect)
    except Inexpressible as error:
        return error
    return None


def render(action: Action, dialect: Dialect) -> str:
    """The command line, without its newline.

    Raises:
        Inexpressible: that prober has no such primitive or option, or cannot say the value exactly.
        UnsafeLine: a bug: a value would not stay the one word that it is.
    """
    primitive = action.primitive
    if primitive not in dialect.primitives:
        raise Inexpressible(primitive, f"{dialect.name} has no {primitive}")
    if isinstance(action, act.Ping):
        _spare(action, dialect)
    line = Line(_COMMANDS.get(primitive, primitive), escapes=dialect.release >= TIME_SUFFIXES)
    for field, flag, show, omit, since in _ROWS[primitive]:
        value = getattr(action, field)
        if value is None or (type(value) is type(omit) and value == omit):
            continue
        if dialect.release < since:
            raise Inexpressible(field, f"{dialect.name} has no {field}: scamper has it since {since}; leave it out")
        if show is not None:
            line.option(flag, show(value, field, dialect))
        else:
            name, _, argument = flag.partition(" ")
            if argument:
                line.option(name, argument)
            else:
                line.flag(name)
    end = _ENDS.get(primitive)
    if end is None:
        _end_with_dst(line, action, dialect)
    else:
        end(line, action, dialect)
    return line.text()


def _spare(action: act.Ping, dialect: Dialect) -> None:
    """Refuse what the prober's parser takes and the prober does not survive."""
    if action.method == "icmp-time" and action.payload is not None:
        # A payload overruns the buffer of a timestamp request: abort, in both generations.
        raise Inexpressible("payload", f"{dialect.name} cannot send a payload with method icmp-time: leave it out")
    if action.method == "icmp-time" and action.size == _bare_timestamp(action):
        # Exactly the headers: it writes into the room for a payload that it did not make.
        raise Inexpressible(
            "size", f"{dialect.name} cannot send a timestamp of exactly {action.size} bytes: give one more, or none"
        )
    if (
        action.method in _PORT_PER_ATTEMPT
        and action.attempts > ATTEMPTS_WITH_PORTS
        and dialect.generation is Generation.NEW
    ):
        # It binds a socket per attempt before the first packet, and answers nobody meanwhile.
        raise Inexpressible(
            "attempts",
            f"{dialect.name} makes at most {ATTEMPTS_WITH_PORTS} attempts with method {action.method}, "
            f"not {action.attempts}: give fewer",
        )


def _bare_timestamp(action: act.Ping) -> int:
    """The size of a timestamp request without a payload: headers and IP options."""
    options = 40 if action.ip_rr or action.ip_ts == "tsonly" else 36 if action.ip_ts == "tsandaddr" else 0
    if isinstance(action.ip_ts, list):
        options = 4 + 8 * len(action.ip_ts)
    return (20 if action.dst.version == 4 else 40) + 20 + options


def _end_with_dst(line: Line, action: Any, dialect: Dialect) -> None:
    line.word(v.address(action.dst, "dst", dialect))


def _end_dns(line: Line, action: act.Dns, dialect: Dialect) -> None:
    line.word(v.text(action.qname, "qname", dialect))


def _end_http(line: Line, action: act.Http, dialect: Dialect) -> None:
    line.quoted("-u", v.text(action.url, "url", dialect))
    for name, value in action.headers.items():
        line.quoted("-H", f"{v.text(name, 'headers', dialect)}: {v.text(value, 'headers', dialect)}")
    _end_with_dst(line, action, dialect)


def _end_tbit(line: Line, action: act.Tbit, dialect: Dialect) -> None:
    line.quoted("-u", v.text(action.url, "url", dialect))
    _end_with_dst(line, action, dialect)


def _end_sniff(line: Line, action: act.Sniff, dialect: Dialect) -> None:
    # The one expression that the prober accepts, in exactly this spelling.
    line.word("icmp[icmpid]")
    line.word("==")
    line.word(v.number(action.icmp_id, "icmp_id", dialect))


def _end_ally(line: Line, action: act.Ally, dialect: Dialect) -> None:
    line.option("-m", "ally")
    if action.fudge == 0:
        line.option("-O", "inseq")
    method = action.method or ("icmp-echo" if action.icmp_sum is not None else None)
    if method is not None:
        _probe(line, dialect, method, sport=action.sport, dport=action.dport, icmp_sum=action.icmp_sum)
    line.word(v.address(action.dst1, "dst1", dialect))
    line.word(v.address(action.dst2, "dst2", dialect))


def _end_mercator(line: Line, action: act.Mercator, dialect: Dialect) -> None:
    line.option("-m", "mercator")
    _end_with_dst(line, action, dialect)


def _end_prefixscan(line: Line, action: act.Prefixscan, dialect: Dialect) -> None:
    line.option("-m", "prefixscan")
    if action.fudge == 0:
        line.option("-O", "inseq")
    _probe(line, dialect, action.method, sport=action.sport, dport=action.dport, icmp_sum=action.icmp_sum)
    line.word(v.address(action.near, "near", dialect))
    far = v.address(action.far, "far", dialect)
    line.word(f"{far}/{v.number(action.prefixlen, 'prefixlen', dialect)}")


def _end_radargun(line: Line, action: act.Radargun, dialect: Dialect) -> None:
    if dialect.generation is Generation.OLD and action.addrs and len(action.probedefs) > 1:
        # 20211212 takes one probedef with addresses, or several that each have one; the order is the same.
        if len(action.addrs) * len(action.probedefs) > 4096:
            raise Inexpressible("addrs", f"{dialect.name} takes 4096 addrs times probedefs at most: give fewer")
        line.option("-m", "radargun")
        for one in action.probedefs:
            for dst in action.addrs:
                _probes(line, [msgspec.structs.replace(one, dst=dst)], dialect)
        return
    _end_series(line, action, dialect)


def _end_series(line: Line, action: act.Radargun | act.Midarest, dialect: Dialect) -> None:
    line.option("-m", action.primitive)
    _probes(line, action.probedefs, dialect)
    for dst in action.addrs:
        line.word(v.address(dst, "addrs", dialect))


def _end_midardisc(line: Line, action: act.Midardisc, dialect: Dialect) -> None:
    line.option("-m", "midardisc")
    _probes(line, action.probedefs, dialect)
    for step in action.schedule:
        start = v.point_in_time(step.start, "schedule", dialect)
        begin, end = (v.number(index, "schedule", dialect) for index in (step.begin, step.end))
        line.option("-S", f"{start}:{begin}:{end}")


def _probes(line: Line, definitions: list[ProbeDef], dialect: Dialect) -> None:
    for one in definitions:
        if one.icmp_id is not None:
            raise Inexpressible("probedefs", f"{dialect.name} takes no icmp_id in a probedef: leave it out")
        _probe(line, dialect, one.method, sport=one.sport, dport=one.dport, icmp_sum=one.icmp_sum,
               size=one.size, ttl=one.ttl, dst=one.dst)  # fmt: skip


def _probe(
    line: Line,
    dialect: Dialect,
    method: str,
    *,
    sport: int | None,
    dport: int | None,
    icmp_sum: int | None,
    size: int | None = None,
    ttl: int | None = None,
    dst: act.Address | None = None,
) -> None:
    """A probe definition: options of its own inside one quoted value."""
    inner = Line(None, escapes=False)
    inner.option("-P", v.text(method, "method", dialect))
    if size is not None and dialect.generation is Generation.OLD and (method != "icmp-echo" or size < 100):
        raise Inexpressible(
            "probedefs", f"{dialect.name} takes a size in icmp-echo probedefs only, of at least 100 bytes"
        )
    for flag, value in (("-c", icmp_sum), ("-d", dport), ("-F", sport), ("-s", size), ("-t", ttl)):
        if value is not None:
            inner.option(flag, v.number(value, "probedefs", dialect))
    if dst is not None:
        inner.option("-i", v.address(dst, "probedefs", dialect))
    line.nested("-p", inner)


_COMMANDS = {
    "dns": "host",
    **dict.fromkeys(("ally", "mercator", "prefixscan", "radargun", "midarest", "midardisc"), "dealias"),
}

_ENDS = cast(
    dict[str, Callable[[Line, Action, Dialect], None]],
    {
        "dns": _end_dns,
        "http": _end_http,
        "tbit": _end_tbit,
        "sniff": _end_sniff,
        "ally": _end_ally,
        "mercator": _end_mercator,
        "prefixscan": _end_prefixscan,
        "radargun": _end_radargun,
        "midarest": _end_series,
        "midardisc": _end_midardisc,
    },
)
"""What follows the options of the table; a single destination when not listed."""


def fields() -> Iterator[tuple[str, str]]:
    """Every (primitive, parameter) with a row of its own: for the test that compares the tables."""
    for primitive, rows in _ROWS.items():
        for row in rows:
            yield primitive, row.field
