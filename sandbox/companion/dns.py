"""dns: one question to one server, over UDP with retries or over TCP, and what came back.

Theory of operation
    Each attempt sends a query with its own random id from one connected socket (so nobody but the server
    can answer). A datagram counts as an answer if it is a response, has one question, and id, name, type
    and class are those of a query of ours; everything else is dropped in silence. An answer whose records
    cannot be read marks its query as answered (`rx`) but does not end the wait: a good one may follow.
    An unreachable port does not end it either, as upstream.

    dnspython makes the query and its `Parser` guards every read of the answer. Names are read here, with a
    budget of compression pointers per message: a falling chain of pointers is legal for a parser that only
    forbids loops, and 64 KiB of them would keep this process busy for minutes.
"""

import asyncio
import secrets
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import ClassVar, Final

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.wire

from onvp.sandbox.companion import warts
from onvp.sandbox.companion.commands import HostRequest, to_prefix
from onvp.sandbox.companion.errors import CannotMeasure, CommandRefused, Malformed
from onvp.sandbox.companion.net import Connection, Datagrams, now_us, source_to, why
from onvp.sandbox.companion.options import Address, to_address
from onvp.sandbox.companion.results import Host, HostStop, Mx, Opt, Query, Rr, RrData, Soa, Svcb, Txt

PORT: Final = 53
RESOLVER_FILE: Final = Path("/etc/resolv.conf")

_EDNS_BYTES: Final = 1232
_POINTERS_PER_MESSAGE: Final = 20_000
_NORECURSE, _TCP, _NSID = 1, 2, 4

_IN, _CH = dns.rdataclass.IN, dns.rdataclass.CH
_NAMES: Final = frozenset((dns.rdatatype.NS, dns.rdatatype.CNAME, dns.rdatatype.PTR))
_SERVICES: Final = frozenset((dns.rdatatype.SVCB, dns.rdatatype.HTTPS))


class Dns:
    """One dns measurement."""

    primitive: ClassVar[str] = "dns"

    def __init__(self, request: HostRequest, port: int = PORT) -> None:
        self._request = request
        self._port = port
        self._udp: Datagrams | None = None
        self._tcp: Connection | None = None

    def prepare(self) -> None:
        """Find the server and a source address. Raises CommandRefused without either."""
        r = self._request
        server = r.server or default_resolver(RESOLVER_FILE)
        if server is None:
            raise CommandRefused("no nameserver to query")
        flags = (0 if r.recurse else _NORECURSE) | (_TCP if r.tcp else 0) | (_NSID if r.nsid else 0)
        self.result = Host(
            userid=r.userid,
            src=source_to(server, self._port),
            dst=server,
            start_us=now_us(),
            flags=flags,
            wait_ms=r.wait_us // 1000,
            retries=r.retries,
            qtype=r.qtype,
            qclass=r.qclass,
            qname=r.qname.encode("ascii"),
            ecs=r.ecs.encode("ascii") if r.ecs else None,
        )

    async def run(self) -> None:
        """Ask until there is an answer, or the attempts are used up."""
        self.result.start_us = now_us()
        try:
            self.result.stop = await (self._over_tcp() if self._request.tcp else self._over_udp())
        except CannotMeasure as e:
            self.fail(e.reason)

    def halt(self) -> None:
        """End as halted."""
        self.result.stop = HostStop.HALTED

    def fail(self, reason: str) -> None:
        """End as an error."""
        self.result.stop = HostStop.ERROR
        self.result.errmsg = reason

    def encode(self) -> bytes:
        """The host record."""
        return warts.host(self.result)

    def close(self) -> None:
        """Close the sockets."""
        for sock in (self._udp, self._tcp):
            if sock is not None:
                sock.close()

    def _query(self) -> tuple[Query, bytes]:
        """A new query with an id that this measurement has not used."""
        taken = {q.ident for q in self.result.queries}
        ident = next(i for i in iter(lambda: secrets.randbelow(65535) + 1, 0) if i not in taken)
        wire = make_query(self._request, ident)
        query = Query(ident=ident, tx_us=now_us())
        return query, wire

    async def _over_udp(self) -> HostStop:
        self._udp = udp = Datagrams(self.result.dst, self._port)
        self.result.src = udp.src
        loop = asyncio.get_running_loop()
        for _ in range(self._request.retries + 1):
            query, wire = self._query()
            query.tx_us = udp.send(wire)
            self.result.queries.append(query)
            deadline = loop.time() + self._request.wait_us / 1e6
            while (got := await udp.receive(deadline)) is not None:
                if self._matched(got.data, got.rx_us):
                    return HostStop.DONE
        return HostStop.TIMEOUT

    async def _over_tcp(self) -> HostStop:
        try:
            async with asyncio.timeout(self._request.wait_us / 1e6):
                self._tcp = tcp = Connection(self.result.dst, self._port)
                self.result.src = tcp.src
                await tcp.established()
                query, wire = self._query()
                self.result.queries.append(query)
                await tcp.send(len(wire).to_bytes(2, "big") + wire)
                while True:
                    size = int.from_bytes(await tcp.receive_exactly(2), "big")
                    if self._matched(await tcp.receive_exactly(size), now_us()):
                        return HostStop.DONE
        except TimeoutError as e:
            if e.errno:  # the kernel gave up connecting
                raise CannotMeasure(f"could not recv on tcp socket: {why(e)}") from None
            return HostStop.TIMEOUT
        except OSError as e:
            raise CannotMeasure(f"could not recv on tcp socket: {why(e)}") from None

    def _matched(self, wire: bytes, rx_us: int) -> bool:
        """Note what `wire` answers; True if the measurement has its answer."""
        try:
            answer = Answer(wire)
        except (dns.exception.DNSException, Malformed):
            return False
        asked = wire_name(self._request)
        query = next((q for q in self.result.queries if q.ident == answer.ident), None)
        if query is None or answer.question != (asked.lower(), self._request.qtype, self._request.qclass):
            return False
        query.rx_us = rx_us
        try:
            query.sections = answer.records()
        except (dns.exception.DNSException, Malformed):
            return False
        query.rcode, query.flags = answer.rcode, answer.flags
        return True


def default_resolver(path: Path) -> Address | None:
    """The first nameserver that resolv.conf(5) names, or None."""
    try:
        with path.open("rb") as f:
            lines = f.read(65536).decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split("#")[0].split(";")[0].split()
        if len(words) >= 2 and words[0].lower() == "nameserver" and (found := to_address(words[1])):
            return found
    return None


def wire_name(request: HostRequest) -> bytes:
    """The name that is asked for, dotted: the client's, or the reverse name of its address."""
    if request.qtype == dns.rdatatype.PTR:
        return dns.reversename.from_address(request.qname).to_text(omit_final_dot=True).encode("ascii")
    return request.qname.encode("ascii")


def make_query(request: HostRequest, ident: int) -> bytes:
    """The query as bytes. Labels are what stands between the dots; there are no escapes."""
    dotted = wire_name(request)
    name = dns.name.Name([*dotted.split(b"."), b""] if dotted else [b""])
    options: list[dns.edns.Option] = []
    if request.nsid:
        options.append(dns.edns.GenericOption(dns.edns.OptionType.NSID, b""))
    if request.ecs is not None and (prefix := to_prefix(request.ecs)) is not None:
        options.append(dns.edns.ECSOption(str(prefix.network_address), prefix.prefixlen))
    message = dns.message.make_query(
        name,
        dns.rdatatype.RdataType.make(request.qtype),
        dns.rdataclass.RdataClass.make(request.qclass),
        use_edns=0 if options else False,
        payload=_EDNS_BYTES,
        options=options,
        id=ident,
        flags=int(dns.flags.RD) if request.recurse else 0,
    )
    return message.to_wire()


def warm_up() -> None:
    """Make dnspython import what it imports late: the process may not be able to read it any more later."""
    for name, qtype in (("example.com", 65), ("192.0.2.1", 12)):
        make_query(HostRequest(name, None, qtype, 1, 0, True, 0, False, True, "192.0.2.0/24", 0), 1)


class Answer:
    """A response with one question. Reading the records is a second step, so that a bad one is told apart.

    Raises:
        dns.exception.DNSException, Malformed: this is no response to a single question.
    """

    def __init__(self, wire: bytes) -> None:
        self._parser = p = dns.wire.Parser(wire)
        self._pointers = 0
        self.ident, flags, questions, *self._counts = p.get_struct("!HHHHHH")
        if not flags & dns.flags.QR or questions != 1:
            raise Malformed("not a response to one question")
        self.rcode = flags & 0xF
        self.flags = flags >> 4 & 0xFF  # AA TC RD RA Z AD CD and one bit of the opcode, as the record has them
        name = self._name()
        qtype, qclass = p.get_struct("!HH")
        self.question = (name.lower(), qtype, qclass)

    def records(self) -> tuple[tuple[Rr, ...], tuple[Rr, ...], tuple[Rr, ...]]:
        """All records of the three sections, as many as the header promises.

        Raises:
            dns.exception.DNSException, Malformed: there are fewer, or one cannot be read.
        """
        answer, authority, additional = (tuple(self._rr() for _ in range(n)) for n in self._counts)
        return answer, authority, additional

    def _rr(self) -> Rr:
        p = self._parser
        name = self._name()
        rtype, rclass, ttl, size = p.get_struct("!HHIH")
        end = p.current + size
        with p.restrict_to(size):
            data = self._data(rclass, rtype, size)
            p.current = end
        return Rr(name, rclass, rtype, ttl, data)

    def _data(self, rclass: int, rtype: int, size: int) -> RrData | None:
        p = self._parser
        if rtype == dns.rdatatype.OPT:
            elements = self._elements(size)
            return Opt(elements) if elements else None
        if rtype == dns.rdatatype.TXT and rclass in (_IN, _CH):
            strings: list[bytes] = []
            while p.remaining():
                strings.append(p.get_counted_bytes())
            return Txt(tuple(strings)) if strings else None
        if rclass != _IN:
            return None
        if rtype in _NAMES:
            return self._name()
        if rtype == dns.rdatatype.A:
            return IPv4Address(_all_of(p, 4))
        if rtype == dns.rdatatype.AAAA:
            return IPv6Address(_all_of(p, 16))
        if rtype == dns.rdatatype.SOA:
            return Soa(self._name(), self._name(), *p.get_struct("!IIIII"))
        if rtype == dns.rdatatype.MX:
            return Mx(p.get_uint16(), self._name())
        if rtype in _SERVICES and size >= 2:
            return Svcb(p.get_uint16(), self._name(), self._elements(p.remaining()))
        return None

    def _elements(self, size: int) -> tuple[tuple[int, bytes], ...]:
        """Pairs of code and data to the end; a last one that does not fit is left out, as upstream does."""
        p = self._parser
        found: list[tuple[int, bytes]] = []
        while p.remaining() >= 4:
            code, length = p.get_struct("!HH")
            if length > p.remaining():
                break
            found.append((code, p.get_bytes(length)))
        return tuple(found)

    def _name(self) -> bytes:
        """A name as dotted bytes; pointers lead backwards only, and there is a budget of them."""
        p = self._parser
        labels: list[bytes] = []
        size, end = 0, p.end
        lowest, after = p.current, -1
        while count := p.get_uint8():
            if count >= 0xC0:
                target = (count & 0x3F) << 8 | p.get_uint8()
                self._pointers += 1
                if target >= lowest or self._pointers > _POINTERS_PER_MESSAGE:
                    raise Malformed("a compression pointer that leads nowhere")
                if after < 0:
                    after, p.end = p.current, len(p.wire)
                lowest = p.current = target
                continue
            size += count + 1
            if count >= 0x40 or size > 255:
                raise Malformed("a name that is too long")
            labels.append(p.get_bytes(count))
        p.end = end
        if after >= 0:
            p.current = after
        return b".".join(labels)


def _all_of(p: dns.wire.Parser, size: int) -> bytes:
    if p.remaining() != size:
        raise Malformed("an address of a wrong length")
    return p.get_remaining()
