"""dns: what is asked, what is made of the answers, and what hostile answers cannot do."""

import asyncio
import socket
import time
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onvp.sandbox.companion.commands import host
from onvp.sandbox.companion.dns import Answer, Dns, default_resolver, make_query
from onvp.sandbox.companion.errors import CommandRefused, Malformed
from onvp.sandbox.companion.results import HostStop, Query
from tests.companion import hostile_dns
from tests.companion.alone import carry_out, read_back
from tests.companion.hostile_dns import dns_server


def ask(command: str, port: int, halt_after_s: float | None = None) -> Dns:
    """Run a host command; the server's address is in the command."""

    async def run() -> Dns:
        job = Dns(host(command), port)
        await carry_out(job, halt_after_s)
        job.close()
        return job

    return asyncio.run(run())


def decoded(job: Dns) -> object:
    """The job's record, as scripts see it."""
    return read_back(job.encode())


ANSWERS = {
    # label: (how it ends over UDP, whether something answered the question, answer records)
    "good": ("done", True, 1),
    "upper": ("done", True, 1),
    "truncated": ("done", True, 1),
    "twice": ("done", True, 1),
    "refused": ("done", True, 0),
    "badthengood": ("done", True, 1),
    "wrongid": ("timeout", False, 0),
    "wrongq": ("timeout", False, 0),
    "noq": ("timeout", False, 0),
    "short": ("timeout", False, 0),
    "query": ("timeout", False, 0),
    "silent": ("timeout", False, 0),
    "garbage": ("timeout", False, 0),
    "badrdlen": ("timeout", True, 0),
    "ptrloop": ("timeout", True, 0),
    "ptrahead": ("timeout", True, 0),
    "fewer": ("timeout", True, 0),
    "manymore": ("timeout", True, 0),
    "badaddr": ("timeout", True, 0),
}


@pytest.fixture(scope="module")
def answered() -> dict[tuple[str, str], Dns]:
    """All of `ANSWERS`, asked for at the same time over both transports."""

    async def run(port: int) -> dict[tuple[str, str], Dns]:
        jobs = {
            (transport, label): Dns(host(f"{transport}-W 1 -s 127.0.0.1 {label}.example"), port)
            for transport in ("", "-T ")
            for label in ANSWERS
        }
        for job in jobs.values():
            job.prepare()
        await asyncio.gather(*(job.run() for job in jobs.values()))
        for job in jobs.values():
            job.close()
        return jobs

    with dns_server() as (port, _):
        return asyncio.run(run(port))


@pytest.mark.parametrize("label", ANSWERS)
@pytest.mark.parametrize("transport", ["", "-T "])
def test_answers(answered: dict[tuple[str, str], Dns], transport: str, label: str) -> None:
    """Only a readable response to our own question is an answer; all else is waited out and survived."""
    job = answered[transport, label]
    stop, came, records = ANSWERS[label]

    query = job.result.queries[0]
    if transport and stop == "timeout":  # the server closes when it has said its piece
        assert job.result.stop is HostStop.ERROR
        assert "closed" in job.result.errmsg
    else:
        assert stop == job.result.stop.name.lower()
    assert came == (query.rx_us > 0)
    assert records == len(query.sections[0])
    assert decoded(job).stop_reason_str == job.result.stop.name.lower()


def test_all_types() -> None:
    """Every record type that upstream reads comes out with its data; others come out bare."""
    with dns_server() as (port, _):
        job = ask("-s 127.0.0.1 types.example", port)
    found = decoded(job)

    shown = [str(r).split()[1:] for r in [*found.ans(), *found.nss(), *found.ars()]]
    assert len(shown) == 13
    by_type: dict[int, object] = {}
    for r in found.ans():
        by_type.setdefault(r.rtype, r)
    assert by_type[2].ns == "ns.example"
    assert by_type[5].cname == "WwW.types.example"
    assert str(by_type[28].addr) == "::1"
    assert (by_type[15].mx.pref, by_type[15].mx.exch) == (10, "mx.example")
    assert (by_type[6].soa.mname, by_type[6].soa.minimum) == ("m.example", 5)
    assert list(by_type[16].txt) == ["one", "two"]
    assert [(p.key_num, p.val) for p in by_type[65].https] == [(1, b"\2h2"), (3, b"\1\xbb")]
    assert (by_type[64].svcb.priority, by_type[64].svcb.target) == (0, "t.example")
    opt = next(r for r in found.ars() if r.rtype == 41)
    assert [(e.code_num, e.data) for e in opt.opt] == [(3, b"ns-x")]
    assert opt.udpsize == 1232


def test_pointer_chains_cost_little() -> None:
    """64 KiB of falling compression pointers are turned away instead of being walked for every record."""
    with dns_server() as (port, _):
        before = time.process_time()
        job = ask("-T -W 5 -s 127.0.0.1 chain.example", port)
        spent = time.process_time() - before

    assert job.result.queries[0].sections == ((), (), ())
    assert spent < 5  # walking them takes minutes


QUERY = make_query(host("types.example"), 7)


@given(
    st.sampled_from([a for label in ANSWERS for a in hostile_dns.ANSWERS[label](QUERY)]),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=4)), max_size=6),
    st.integers(0, 2000),
)
def test_any_bytes(message: bytes, changes: list[tuple[int, bytes]], cut: int) -> None:
    """Whatever is done to an answer, it is read, or turned away as malformed; what is read can be recorded."""
    data = bytearray(message)
    for at, new in changes:
        data[at % (len(data) + 1) : at % (len(data) + 1) + len(new)] = new
    try:
        answer = Answer(bytes(data[: cut or None]))
        sections = answer.records()
    except (dns.exception.DNSException, Malformed):
        return
    job = Dns(host("-s 127.0.0.1 x"), 53)
    job.prepare()
    job.result.queries.append(Query(1, 1, 1, answer.rcode, answer.flags, sections))
    found = decoded(job)
    assert [len(list(f())) for f in (found.ans, found.nss, found.ars)] == [len(x) for x in sections]


def test_data_that_no_block_holds() -> None:
    """A record with nearly 64 KiB of data is shown without the data; the measurement stands."""
    with dns_server() as (port, _):
        job = ask("-T -t TXT -s 127.0.0.1 hugetxt.example", port)

    (found,) = decoded(job).ans()
    assert found.rtype == 16


def test_query_bits() -> None:
    """The query asks exactly for what the command says."""
    plain = dns.message.from_wire(make_query(host("www.example.com"), 7))
    assert (plain.id, plain.edns, plain.flags) == (7, -1, dns.flags.RD)
    assert str(plain.question[0]) == "www.example.com. IN A"

    rich = make_query(host("-r -c ch -t TXT -O nsid -O subnet=192.0.2.77/21 version.bind"), 9)
    read = dns.message.from_wire(rich)
    assert (read.edns, read.payload, read.flags) == (0, 1232, 0)
    assert str(read.question[0]) == "version.bind. CH TXT"
    assert sorted(o.otype for o in read.options) == [3, 8]
    assert rich.endswith(b"\0\x08\0\x07\0\x01\x15\0\xc0\0\0"), "bits beyond the prefix are not sent"

    reverse = dns.message.from_wire(make_query(host("2001:db8::1"), 9))
    assert str(reverse.question[0].name).startswith("1.0.0.0.")


def test_retries() -> None:
    """A query is repeated as often as asked, each time under another id, and each is in the record."""
    with dns_server() as (port, seen):
        job = ask("-W 1 -R 1 -s 127.0.0.1 silent.example", port)

    assert len({q.ident for q in job.result.queries}) == 2
    assert [q[:2] for q in seen if q] == [q.ident.to_bytes(2, "big") for q in job.result.queries]
    assert job.result.stop is HostStop.TIMEOUT


def test_only_the_server_can_answer() -> None:
    """An answer from another address or port than the one that was asked never counts."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        asked.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.2", 0))

        async def run() -> Dns:
            job = Dns(host("-W 1 -s 127.0.0.1 good.example"), asked.getsockname()[1])
            job.prepare()
            task = asyncio.create_task(job.run())
            query, who = await asyncio.to_thread(asked.recvfrom, 4096)
            from tests.companion.hostile_dns import A, message

            other.sendto(message(query, 0x8580, [A]), who)
            await task
            job.close()
            return job

        job = asyncio.run(run())
    assert job.result.stop is HostStop.TIMEOUT
    assert job.result.queries[0].rx_us == 0


def test_halt() -> None:
    """A halted measurement ends at once, with what it has."""
    with dns_server() as (port, _):
        job = ask("-W 5 -s 127.0.0.1 silent.example", port, halt_after_s=0.05)

    assert job.result.stop is HostStop.HALTED
    assert decoded(job).stop_reason_str == "halted"


def test_ipv6_server() -> None:
    """A server is asked over IPv6 as well."""
    with dns_server("::1") as (port, _):
        job = ask("-s ::1 good.example", port)

    assert str(decoded(job).dst) == "::1"
    assert job.result.stop is HostStop.DONE


def test_nobody_listens() -> None:
    """An unreachable port is a timeout over UDP and an error over TCP, as upstream has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    assert ask("-W 1 -s 127.0.0.1 x.example", port).result.stop is HostStop.TIMEOUT
    tcp = ask("-T -W 1 -s 127.0.0.1 x.example", port).result
    assert (tcp.stop, tcp.queries) == (HostStop.ERROR, [])
    assert "Connection refused" in tcp.errmsg


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("nameserver 192.0.2.1\nnameserver 192.0.2.2\n", "192.0.2.1"),
        ("# nameserver 192.0.2.9\n\nsearch x\nNameServer\t2001:db8::1 # comment\n", "2001:db8::1"),
        ("nameserver resolver.example\nnameserver 192.0.2.3;x\n", "192.0.2.3"),
        ("search x\nnameserver\n\xff\xfe", None),
    ],
)
def test_default_resolver(tmp_path: Path, text: str, server: str | None) -> None:
    """Without a server the first address in resolv.conf is asked."""
    path = tmp_path / "resolv.conf"
    path.write_bytes(text.encode("latin-1"))

    found = default_resolver(path)

    assert (None if found is None else str(found)) == server


def test_no_route_is_refused() -> None:
    """Where this host cannot send at all, the command is refused with the reason."""
    job = Dns(host("-s ff02::1 x.example"))
    with pytest.raises(CommandRefused, match="cannot send to"):
        job.prepare()
