"""The commands that the companion understands: one table each, text in, a frozen request out.

Names, options, ranges and defaults are those of current scamper's commands, so that a client renders
one form for both probers. What is not in a table is refused.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final, Union

from onvp.sandbox.companion.errors import CommandRefused
from onvp.sandbox.companion.midarcommands import MidardiscRequest, MidarestRequest, dealias
from onvp.sandbox.companion.options import (
    SECOND,
    USERID,
    Address,
    Option,
    address,
    choice,
    duration_us,
    moment_us,
    number,
    octets,
    one_address,
    parse,
    to_address,
)

# ---- host ----

QTYPES: Final[Mapping[str, int]] = {
    "a": 1, "ns": 2, "soa": 6, "ptr": 12, "mx": 15, "txt": 16, "aaaa": 28, "svcb": 64, "https": 65,
}  # fmt: skip
QCLASSES: Final[Mapping[str, int]] = {"in": 1, "ch": 3, "chaos": 3}


@dataclass(frozen=True)
class HostRequest:
    """A dns query. `server` None means this host's resolver; `qname` is as the client wrote it."""

    qname: str
    server: Address | None
    qtype: int
    qclass: int
    retries: int
    recurse: bool
    wait_us: int
    tcp: bool
    nsid: bool
    ecs: str | None
    userid: int


def _host_option(text: str) -> str:
    if text.lower() == "nsid":
        return "nsid"
    if not text.lower().startswith("subnet="):
        raise CommandRefused("unknown option")
    prefix = text[7:]
    if to_prefix(prefix) is None:
        raise CommandRefused("invalid ecs subnet option")
    return prefix


def to_prefix(text: str) -> IPv4Network | IPv6Network | None:
    """The prefix ``ADDRESS/LENGTH`` that `text` is; bits beyond the length are dropped."""
    head, _, length = text.partition("/")
    if to_address(head) is None or not re.fullmatch(r"\d{1,3}", length, re.ASCII):
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


HOST: Final[Mapping[str, Option]] = {
    "c": Option("qclass", choice("query class", QCLASSES)),
    "O": Option("options", _host_option, repeats=True),
    "r": Option("norecurse"),
    "R": Option("retries", number("retries", 0, 3)),
    "s": Option("server", address("server")),
    "t": Option("qtype", choice("query type", QTYPES)),
    "T": Option("tcp"),
    "U": USERID,
    "W": Option("wait", duration_us("timeout", "s", 1 * SECOND, 5 * SECOND)),
}

_LABEL_BYTES: Final = 63
_NAME_BYTES: Final = 253


def host(text: str) -> HostRequest:
    """Read ``host [-rT] [-c class] [-O option] [-R n] [-s server] [-t type] [-U id] [-W time] NAME``."""
    v, words = parse("host", text, HOST)
    if len(words) != 1:
        raise CommandRefused("expected name to query")
    name = words[0]
    is_address = to_address(name) is not None
    qtype = v.get("qtype") or (QTYPES["ptr"] if is_address else QTYPES["a"])
    if qtype == QTYPES["ptr"]:
        if not is_address:
            raise CommandRefused("query must be for an IP address")
    else:
        if is_address and qtype != QTYPES["txt"]:
            raise CommandRefused("query cannot be for an IP address")
        name = name.removesuffix(".")
        labels = name.split(".") if name else []
        if any(not 1 <= len(label) <= _LABEL_BYTES for label in labels) or len(name) > _NAME_BYTES:
            raise CommandRefused("invalid name")
    if v.get("tcp") and v.get("retries"):
        raise CommandRefused("no retry with TCP")
    subnets = [o for o in v["options"] if o != "nsid"]
    return HostRequest(
        qname=name,
        server=v.get("server"),
        qtype=qtype,
        qclass=v.get("qclass", 1),
        retries=v.get("retries", 0),
        recurse=not v.get("norecurse"),
        wait_us=v.get("wait", 5 * SECOND),
        tcp=bool(v.get("tcp")),
        nsid="nsid" in v["options"],
        ecs=subnets[-1] if subnets else None,
        userid=v.get("userid", 0),
    )


# ---- http ----


@dataclass(frozen=True)
class HttpRequest:
    """A GET of one URL from one address. `host` and `file` are the parts of the URL, as written."""

    dst: Address
    https: bool
    host: str
    dport: int
    file: str
    headers: tuple[str, ...]
    insecure: bool
    maxtime_us: int
    userid: int


_URL: Final = re.compile(r"(https?)://([A-Za-z0-9.-]{1,253})(?::([0-9]{1,5}))?(/[\x21-\x7e]*|)\Z", re.IGNORECASE)
_HEADER: Final = re.compile(r"([\x21-\x39\x3b-\x7e]+): *([\x21-\x7e][\x20-\x7e]*)\Z")
_MOST_HEADERS: Final = 255
_MOST_TEXT_BYTES: Final = 60_000
"""URL and headers together: the record's block of fields holds 65535 bytes."""


def _url(text: str) -> tuple[bool, str, int, str]:
    found = _URL.match(text)
    https = text[:5].lower() == "https"
    port = int(found[3] or (443 if https else 80)) if found else 0
    if found is None or not 1 <= port <= 65535:
        raise CommandRefused("could not parse URL")
    return https, found[2], port, found[4] or "/"


def _header(text: str) -> str:
    found = _HEADER.match(text)
    if found is None or found[1].lower() == "host":
        raise CommandRefused("invalid HTTP header")
    return text


def _no_ech(text: str) -> bool:
    if text.lower() == "insecure":
        return True
    if text.lower() == "grease" or text.lower().startswith("ecl="):
        raise CommandRefused("ech requested but no ech support")
    raise CommandRefused("unknown option")


HTTP: Final[Mapping[str, Option]] = {
    "H": Option("headers", _header, repeats=True),
    "m": Option("maxtime", duration_us("maximum runtime", "s", 1 * SECOND, 60 * SECOND, step_us=1)),
    "O": Option("options", _no_ech, repeats=True),
    "u": Option("url", _url),
    "U": USERID,
}


def http(text: str) -> HttpRequest:
    """Read ``http [-H header]... [-m time] [-O insecure] [-U id] -u URL ADDRESS``."""
    v, words = parse("http", text, HTTP)
    if "url" not in v:
        raise CommandRefused("missing URL parameter")
    https, name, dport, file = v["url"]
    headers = tuple(v["headers"])
    if len(headers) > _MOST_HEADERS:
        raise CommandRefused(f"cannot provide more than {_MOST_HEADERS} headers")
    if len(file) + sum(map(len, headers)) > _MOST_TEXT_BYTES:
        raise CommandRefused(f"URL and headers must not exceed {_MOST_TEXT_BYTES} characters")
    return HttpRequest(
        dst=one_address("http", words),
        https=https,
        host=name,
        dport=dport,
        file=file,
        headers=headers,
        insecure=bool(v["options"]),
        maxtime_us=v.get("maxtime", 60 * SECOND),
        userid=v.get("userid", 0),
    )


# ---- udpprobe ----


@dataclass(frozen=True)
class UdpprobeRequest:
    """A payload to a UDP port. `src` None lets the system choose."""

    dst: Address
    dport: int
    payload: bytes
    attempts: int
    stop_count: int
    exit_first: bool
    src: Address | None
    wait_timeout_us: int
    wait_probe_us: int
    userid: int


UDPPROBE: Final[Mapping[str, Option]] = {
    "c": Option("attempts", number("probe-count", 1, 20)),
    "d": Option("dport", number("dport", 1, 65535)),
    "o": Option("stop_count", number("stop-count", 1, 20)),
    "O": Option("options", choice("option", {"exitfirst": True}), repeats=True),
    "p": Option("payload", octets("payload", 1, 1400)),
    "S": Option("src", address("source")),
    "U": USERID,
    "w": Option("wait_timeout", duration_us("wait-timeout", "s", SECOND // 2, 5 * SECOND, step_us=1)),
    "W": Option("wait_probe", duration_us("wait-probe", "s", SECOND // 2, 5 * SECOND, step_us=1)),
}


def udpprobe(text: str) -> UdpprobeRequest:
    """Read ``udpprobe [-c n] [-o n] [-O exitfirst] [-S ip] [-U id] [-w t] [-W t] -d port -p hex ADDRESS``."""
    v, words = parse("udpprobe", text, UDPPROBE)
    dst = one_address("udpprobe", words)
    if "payload" not in v:
        raise CommandRefused("missing payload parameter")
    if "dport" not in v:
        raise CommandRefused("missing destination port parameter")
    attempts, stop_count, src = v.get("attempts", 1), v.get("stop_count", 1), v.get("src")
    if stop_count > attempts:
        raise CommandRefused("stop-count cannot be larger than probe-count")
    if src is not None and src.version != dst.version:
        raise CommandRefused("source and destination must be of one address family")
    return UdpprobeRequest(
        dst=dst,
        dport=v["dport"],
        payload=v["payload"],
        attempts=attempts,
        stop_count=stop_count,
        exit_first=bool(v["options"]),
        src=src,
        wait_timeout_us=v.get("wait_timeout", 2 * SECOND),
        wait_probe_us=v.get("wait_probe", 1 * SECOND),
        userid=v.get("userid", 0),
    )


# ---- owamp ----


@dataclass(frozen=True)
class OwampRequest:
    """One-way delays (RFC 4656). `receives`: the target sends. `startat_us` 0 means in a second."""

    dst: Address
    receives: bool
    schedule_us: tuple[int, ...]
    attempts: int
    size: int
    dscp: int
    ttl: int
    zero: bool
    startat_us: int
    wait_timeout_us: int
    userid: int


OWAMP_HEADERS: Final = {4: 20 + 8 + 14, 6: 40 + 8 + 14}
"""Bytes of a test packet without padding."""

_MOST_SLOTS: Final = 1000
_DAY_US: Final = 86_400 * SECOND


def _schedule(text: str) -> tuple[int, ...]:
    read = duration_us("schedule", "s", 1, 3600 * SECOND, step_us=1)
    slots = tuple(read(slot.removeprefix("f")) for slot in text.split(","))
    if len(slots) > _MOST_SLOTS:
        raise CommandRefused(f"at most {_MOST_SLOTS} intervals")
    return slots


OWAMP: Final[Mapping[str, Option]] = {
    "c": Option("attempts", number("attempts", 1, 65535)),
    "d": Option("receives", choice("direction", {"tx": "tx", "rx": "rx"})),
    "D": Option("dscp", number("dscp", 0, 63)),
    "i": Option("schedule", _schedule),
    "m": Option("ttl", number("ttl", 1, 255)),
    "O": Option("options", choice("option", {"zero": True}), repeats=True),
    "s": Option("size", number("size", 0, 65535)),
    "U": USERID,
    "w": Option("wait_timeout", duration_us("timeout", "s", 1 * SECOND, 20 * SECOND, step_us=SECOND)),
    "@": Option("startat", moment_us("startat time")),
}


def owamp(text: str) -> OwampRequest:
    """Read ``owamp [-@ epoch] [-c n] [-D dscp] [-i s,s...] [-m ttl] [-O zero] [-s n] [-w t] -d tx|rx ADDRESS``."""
    v, words = parse("owamp", text, OWAMP)
    dst = one_address("owamp", words)
    least = OWAMP_HEADERS[dst.version]
    size = v.get("size") or least
    if size < least:
        raise CommandRefused(f"ipv{dst.version} packet size too small")
    schedule, attempts = v.get("schedule", (SECOND // 10,)), v.get("attempts", 10)
    if sum(schedule) * (attempts // len(schedule) + 1) > _DAY_US:
        raise CommandRefused("a schedule of more than a day")
    return OwampRequest(
        dst=dst,
        receives=v.get("receives") == "rx",
        schedule_us=schedule,
        attempts=attempts,
        size=size,
        dscp=v.get("dscp", 0),
        ttl=v.get("ttl", 255),
        zero=bool(v["options"]),
        startat_us=v.get("startat", 0),
        wait_timeout_us=v.get("wait_timeout", 2 * SECOND),
        userid=v.get("userid", 0),
    )


Request = Union[  # noqa: UP007
    HostRequest, HttpRequest, UdpprobeRequest, OwampRequest, MidarestRequest, MidardiscRequest
]

READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "host": host,
    "http": http,
    "udpprobe": udpprobe,
    "dealias": dealias,
    "owamp": owamp,
}


def read_command(line: str) -> Request:
    """The request that a command line makes.

    Raises:
        CommandRefused: with the reason for the client.
    """
    word, _, rest = line.strip(" ").partition(" ")
    reader = READERS.get(word.lower())
    if reader is None:
        raise CommandRefused("could not determine command type")
    request: Request = reader(rest.strip(" "))
    return request
