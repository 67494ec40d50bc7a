"""The raw worker: the one process that holds raw sockets, and does nothing else.

Theory of operation
    The companion forks it before anything else happens. It opens its sockets, gives up every privilege
    (the open sockets are all that is left), limits itself to the descriptors that it has and no further
    process, and says `Ready`. Then one loop: sleep until the next probe is due or something can be read;
    build and send what is due; read replies and tell which probe they answer; take new schedules. It ends
    when the companion closes its end.

    Matching
        An ICMP error quotes the probe: destination, protocol, IP id and ports (or identifier and
        sequence). An echo reply has identifier and sequence number. A TCP reply has the ports; where
        several probes have the same ones, it answers the latest. IP ids of probes have two equal bytes,
        so a host that swaps them in its quotes is understood, and one that copies them is seen.

House rule: what arrives from the companion is decoded with bounds (`rawjob`); what arrives from the
network is read by `_rawio` with bounds. Neither is trusted.
"""

import gc
import heapq
import os
import resource
import secrets
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from onvp.native import _rawio
from onvp.sandbox.companion import rawfilter, rawjob
from onvp.sandbox.companion.net import SO_TIMESTAMPNS
from onvp.sandbox.companion.privileges import confine
from onvp.sandbox.companion.rawjob import Def, Failed, Got, Job, Ready, Sent
from onvp.sandbox.wire.errors import WireError
from onvp.sandbox.wire.frames import Deframer, pack

REPLIES_PER_PROBE: Final = 16
_JOBS: Final = 16
_SOLICITED_FOR_NS: Final = 300 * 1_000_000_000
"""How long after its last probe a job still takes replies, unless it is stopped before."""

_ETHERTYPE_IPV4: Final = 0x0800
_IDLE_NS: Final = 3600 * 1_000_000_000
_READS_AT_A_TIME: Final = 64
_NICER: Final = -10
"""Probes shall leave in time on a busy host, too; only root may ask for that."""
_TCP_METHODS: Final = (_rawio.TCP_ACK, _rawio.TCP_ACK_SPORT, _rawio.TCP_SYN_SPORT)

Key = tuple[int, ...]


def start(user: str | None) -> tuple[socket.socket, str]:
    """Fork the worker.

    Returns: the companion's end of the line, and why there is no worker ("" if there is one).
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the worker: no zombie is left
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            ours.close()
            status = _main(theirs, user)
        finally:
            os._exit(status)
    theirs.close()
    deframer = Deframer(limit_bytes=rawjob.FROM_WORKER_BYTES)
    while data := ours.recv(4096):
        for body in deframer.feed(data):
            (first,) = rawjob.from_worker.decode(body)
            return ours, first.reason if isinstance(first, Ready) else "it does not speak our language"
    return ours, "it died while it started"


def _main(line: socket.socket, user: str | None) -> int:
    os.closerange(3, line.fileno())
    os.closerange(line.fileno() + 1, 1 << 16)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(nothing, fd)
    os.close(nothing)
    try:
        with suppress(OSError):
            os.nice(_NICER)
        sockets = open_sockets()
        confine(user)
        _rawio.drop_capabilities()
    except Exception as e:  # noqa: BLE001  (whatever it is, the companion wants to know)
        line.sendall(pack(rawjob.encode([Ready(str(e)[:500])]), limit_bytes=rawjob.FROM_WORKER_BYTES))
        return 1
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))  # ppoll(2) wants as many as it is given
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    gc.freeze()
    gc.disable()
    Worker(line, *sockets).run()
    return 0


def open_sockets() -> tuple[socket.socket, socket.socket]:
    """The sending and the receiving socket. Raises OSError without the right to them.

    Replies are read in front of the host's own firewall (packet(7)), as scamper does.
    """
    sending = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    receiving = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETHERTYPE_IPV4))
    receiving.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    _rawio.attach_filter(receiving.fileno(), rawfilter.NOTHING)
    return sending, receiving


@dataclass
class _Running:
    """A job in progress."""

    job: Job
    start_ns: int
    next: int = 0
    keys: list[Key] = field(default_factory=list)
    replies: dict[int, int] = field(default_factory=dict)
    ipid: int = 255
    icmp_seq: int = 0
    varied: dict[int, int] = field(default_factory=dict)
    fixed: dict[int, tuple[int, int]] = field(default_factory=dict)

    def due_ns(self) -> int:
        return self.start_ns + self.job.plan[self.next].offset_us * 1000


class Worker:
    """The loop."""

    def __init__(self, line: socket.socket, sending: socket.socket, receiving: socket.socket) -> None:
        line.setblocking(False)
        self._line = line
        self._sending, self._receiving = sending, receiving
        self._in = Deframer(limit_bytes=rawjob.TO_WORKER_BYTES)
        self._out = bytearray()
        self._news: list[rawjob.FromWorker] = [Ready("")]
        self._jobs: dict[int, _Running] = {}
        self._due: list[tuple[int, int]] = []
        self._probes: dict[Key, tuple[int, int]] = {}
        self._open = True

    def run(self) -> None:
        """Work until the companion is gone."""
        fds = (self._line.fileno(), self._receiving.fileno())
        while self._open:
            self._report()
            now = _rawio.monotonic_ns()
            deadline = self._due[0][0] if self._due else now + _IDLE_NS
            if self._out:
                deadline = min(deadline, now + 5_000_000)
            ready = _rawio.wait(fds, deadline)
            self._send_due()
            if ready & 2:
                self._receive()
            if ready & 1:
                self._listen()

    # ---- the companion ----

    def _listen(self) -> None:
        try:
            data = self._line.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._open = False
            return
        try:
            for body in self._in.feed(data):
                message = rawjob.to_worker.decode(body)
                if isinstance(message, Job):
                    self._begin(message)
                else:
                    self._forget(message.number)
        except (WireError, msgspec.MsgspecError):
            self._open = False  # a companion that talks nonsense gets nothing more sent

    def _report(self) -> None:
        if self._news:
            body = rawjob.encode(self._news)
            self._news = []
            self._out += pack(body, limit_bytes=rawjob.FROM_WORKER_BYTES)
        if self._out:
            try:
                del self._out[: self._line.send(self._out)]
            except BlockingIOError:
                pass
            except OSError:
                self._open = False

    # ---- schedules ----

    def _begin(self, job: Job) -> None:
        if job.number in self._jobs or len(self._jobs) >= _JOBS:
            self._news.append(Failed(job.number, "too many schedules at a time"))
            return
        if any(slot.which >= len(job.defs) for slot in job.plan):
            self._news.append(Failed(job.number, "a schedule that names a probe that is not there"))
            return
        start_ns = _rawio.monotonic_ns()
        if job.start_us:
            start_ns += job.start_us * 1000 - _rawio.realtime_ns()
        running = self._jobs[job.number] = _Running(job, start_ns)
        heapq.heappush(self._due, (running.due_ns(), job.number))
        self._aim()

    def _forget(self, number: int) -> None:
        running = self._jobs.pop(number, None)
        if running is None:
            return
        for key in running.keys:
            if self._probes.get(key, (number, 0))[0] == number:
                self._probes.pop(key, None)
        self._due = [entry for entry in self._due if entry[1] != number]
        heapq.heapify(self._due)
        self._aim()

    def _aim(self) -> None:
        """Have the kernel pass on only what can be a reply to our probes."""
        ports = {
            (d.sport, min(d.sport + rawjob.PORTS_VARIED - 1, 0xFFFF))
            for running in self._jobs.values()
            for d in running.job.defs
            if d.method in _TCP_METHODS
        }
        program = rawfilter.replies(sorted(ports)) if self._jobs else rawfilter.NOTHING
        _rawio.attach_filter(self._receiving.fileno(), program)

    def _send_due(self) -> None:
        while self._due and self._due[0][0] <= _rawio.monotonic_ns():
            due_ns, number = heapq.heappop(self._due)
            running = self._jobs[number]
            if running.next == len(running.job.plan):
                self._forget(number)
                continue
            try:
                self._send(running, due_ns)
            except OSError as e:
                self._news.append(Failed(number, f"could not send a probe: {e.strerror}"))
                self._forget(number)
                continue
            running.next += 1
            again = running.due_ns() if running.next < len(running.job.plan) else due_ns + _SOLICITED_FOR_NS
            heapq.heappush(self._due, (again, number))

    def _send(self, running: _Running, due_ns: int) -> None:
        number, index = running.job.number, running.next
        which = running.job.plan[index].which
        d = running.job.defs[which]
        ipid = running.ipid << 8 | running.ipid
        a, b, seq, ack = self._numbers(running, which, d)
        packet = _rawio.probe(
            d.method,
            d.src,
            d.dst,
            ttl=d.ttl,
            tos=d.tos,
            size=d.size,
            ipid=ipid,
            a=a,
            b=b,
            checksum=d.checksum if d.method == _rawio.ICMP_ECHO else (index + 1) & 0xFFFF,
            seq=seq,
            ack=ack,
        )
        late_ns = _rawio.monotonic_ns() - due_ns
        tx_ns = _rawio.send(self._sending.fileno(), packet, d.dst)
        running.ipid = running.ipid - 1 or 255
        for key in _keys(d, ipid, a, b):
            self._probes[key] = (number, index)
            running.keys.append(key)
        self._news.append(Sent(number, index, tx_ns // 1000, late_ns // 1000, ipid))

    @staticmethod
    def _numbers(running: _Running, which: int, d: Def) -> tuple[int, int, int, int]:
        """Ports (or identifier and sequence number), and TCP's sequence and acknowledgement."""
        if d.method == _rawio.ICMP_ECHO:
            seq = running.icmp_seq
            running.icmp_seq = (seq + 1) & 0xFFFF
            return d.icmp_id, seq, 0, 0
        if d.method == _rawio.UDP:
            return d.sport, d.dport, 0, 0
        if d.method == _rawio.TCP_ACK:
            seq, ack = running.fixed.setdefault(which, (secrets.randbits(32), secrets.randbits(32)))
            return d.sport, d.dport, seq, ack
        step = running.varied.get(d.dst, 0)
        running.varied[d.dst] = (step + 1) % rawjob.PORTS_VARIED
        if d.method == _rawio.UDP_DPORT:
            return d.sport, min(d.dport + step, 0xFFFF), 0, 0
        return min(d.sport + step, 0xFFFF), d.dport, secrets.randbits(32), secrets.randbits(32)

    # ---- replies ----

    def _receive(self) -> None:
        for _ in range(_READS_AT_A_TIME):
            packet = _rawio.receive(self._receiving.fileno())
            if packet is None:
                return
            if packet is not False:
                self._match(packet)

    def _match(self, packet: _rawio.Packet) -> None:
        if packet.proto == 6:
            key: Key = (6, packet.src, packet.b, packet.a)
        elif packet.icmp_type == 0:
            key = (0, packet.src, packet.a, packet.b)
        else:
            key = (1, packet.q_dst, packet.q_proto, packet.q_ipid, packet.q_a, packet.q_b)
        found = self._probes.get(key)
        if found is None:
            return
        number, index = found
        replies = self._jobs[number].replies
        count = replies[index] = replies.get(index, 0) + 1
        if count > REPLIES_PER_PROBE:
            return
        self._news.append(
            Got(
                number,
                index,
                packet.rx_ns // 1000,
                packet.src,
                packet.ipid,
                packet.ttl,
                packet.size,
                packet.proto,
                packet.icmp_type,
                packet.icmp_code,
                packet.q_ttl,
                packet.tcp_flags,
            )
        )


def _keys(d: Def, ipid: int, a: int, b: int) -> list[Key]:
    """What a reply to this probe will be found by: quoted in an error, and in a reply of its own."""
    if d.method == _rawio.ICMP_ECHO:
        return [(1, d.dst, 1, ipid, a, b), (0, d.dst, a, b)]
    if d.method in _TCP_METHODS:
        return [(1, d.dst, 6, ipid, a, b), (6, d.dst, a, b)]
    return [(1, d.dst, 17, ipid, a, b)]
