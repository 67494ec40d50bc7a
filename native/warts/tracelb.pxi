# Multipath traceroute records (type 8). Facts: the field tables of scamper 20260420.
#
# A record is: what was asked for, the nodes, then the links; a link names its nodes by number and holds, hop by
# hop, the sets of probes that saw it. Nodes and links lead to each other, so the objects that a script
# holds are handles (the whole and one part of it): the whole itself has no reference cycles.

cdef tuple TRACELB_METHOD_WORDS = (
    None, "udp-dport", "icmp-echo", "udp-sport", "tcp-sport", "tcp-ack-sport",
)


@cython.final
@cython.no_gc
cdef class ScamperTracelbReply(Params):
    """One reply to one probe."""

    cdef readonly ScamperAddr src
    cdef ScamperIcmpExts exts
    cdef Stamp received
    cdef uint16_t ip_id
    cdef uint8_t ttl_seen, flags, type, code, tcp, q_ttl, q_tos

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            c.stamp(&self.received)
        elif flag == 2:
            self.ip_id = c.u16()
        elif flag == 3:
            self.ttl_seen = c.u8()
        elif flag == 4:
            self.flags = c.u8()
        elif flag == 5:
            self.type = c.u8()
            self.code = c.u8()
        elif flag == 6:
            self.tcp = c.u8()
        elif flag == 7:
            self.exts = read_icmpexts(c)
        elif flag == 8:
            self.q_ttl = c.u8()
        elif flag == 9:
            self.q_tos = c.u8()
        elif flag == 10:
            self.src = c.global_addr()
            self.mark(11)
            return 0
        else:
            self.src = c.addr()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.stamp(self.received)
        elif flag == 2:
            w.u16(self.ip_id)
        elif flag == 3:
            w.u8(self.ttl_seen)
        elif flag == 4:
            w.u8(self.flags)
        elif flag == 5:
            w.u8(self.type)
            w.u8(self.code)
        elif flag == 6:
            w.u8(self.tcp)
        elif flag == 7:
            write_icmpexts(w, self.exts)
        elif flag == 8:
            w.u8(self.q_ttl)
        elif flag == 9:
            w.u8(self.q_tos)
        elif flag == 11:
            w.addr(self.src)
        return 0

    cdef bint is_tcp(self) noexcept:
        return self.flags & 2

    cdef bint quotes(self):
        """An ICMP unreachable or time exceeded, which quotes the probe."""
        if self.is_tcp():
            return False
        if v4(self.src):
            return self.type == 3 or self.type == 11
        return v6(self.src) and (self.type == 1 or self.type == 3)

    @property
    def rx(self):
        """When it came."""
        return as_datetime(self.received)

    @property
    def ipid(self):
        """The reply's IP-ID (IPv4), or None."""
        return self.ip_id if v4(self.src) else None

    @property
    def ttl(self):
        """The reply's TTL, or None."""
        return self.ttl_seen if self.flags & 1 else None

    @property
    def icmp_type(self):
        """ICMP type, or None."""
        return None if self.is_tcp() else self.type

    @property
    def icmp_code(self):
        """ICMP code, or None."""
        return None if self.is_tcp() else self.code

    @property
    def icmp_q_ttl(self):
        """TTL in the quoted packet, or None."""
        return self.q_ttl if self.quotes() else None

    @property
    def icmp_q_tos(self):
        """Type-of-service byte in the quoted packet, or None."""
        return self.q_tos if self.quotes() else None

    @property
    def tcp_flags(self):
        """TCP flags, or None."""
        return self.tcp if self.is_tcp() else None

    @property
    def icmp_exts(self):
        """ICMP extensions, or None."""
        return self.exts


@cython.final
@cython.no_gc
cdef class ScamperTracelbProbe(Params):
    """One probe that was sent."""

    cdef Stamp sent
    cdef readonly uint16_t flowid, reply_count
    cdef readonly uint8_t ttl
    cdef uint8_t attempt_number
    cdef tuple replies

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            c.stamp(&self.sent)
        elif flag == 2:
            self.flowid = c.u16()
        elif flag == 3:
            self.ttl = c.u8()
        elif flag == 4:
            self.attempt_number = c.u8()
        else:
            self.reply_count = c.u16()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.stamp(self.sent)
        elif flag == 2:
            w.u16(self.flowid)
        elif flag == 3:
            w.u8(self.ttl)
        elif flag == 4:
            w.u8(self.attempt_number)
        else:
            w.u16(self.reply_count)
        return 0

    @property
    def tx(self):
        """When it was sent."""
        return as_datetime(self.sent)

    @property
    def attempt(self):
        """Which try this was, counting from 1."""
        return <int>self.attempt_number + 1

    def reply(self, i):
        """Reply i, or None."""
        return item_of(self.replies, i)

    def __str__(self):
        return "probe flowid: %d, ttl: %d, attempt: %d, tx: %d.%06d" % (
            self.flowid, self.ttl, self.attempt, self.sent.sec, self.sent.usec
        )


@cython.final
@cython.no_gc
cdef class ScamperTracelbProbeset(Params):
    """The probes that were sent to one hop of a link."""

    cdef readonly uint16_t probe_count
    cdef tuple probes

    cdef int take(self, Cursor c, int flag) except -1:
        self.probe_count = c.u16()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        return w.u16(self.probe_count)

    def __len__(self):
        return self.probe_count

    def __iter__(self):
        return iter(self.probes)

    def probe(self, i):
        """Probe i, or None."""
        return item_of(self.probes, i)

    cdef list sources(self):
        """The addresses that replied, each once, in upstream's order; then None if a flow had no reply."""
        cdef dict seen = {}
        cdef dict flows = {}      # flow -> it had a reply; probes of a flow stand together
        cdef ScamperTracelbProbe probe
        for item in self.probes:
            probe = <ScamperTracelbProbe>item
            flows[probe.flowid] = flows.get(probe.flowid, False) or bool(probe.replies)
            for reply in probe.replies:
                seen[(<ScamperTracelbReply>reply).src] = None
        return sorted(seen, key=_source_order) + ([] if all(flows.values()) else [None])


@cython.final
@cython.no_gc
cdef class LbNode(Params):
    """A node as recorded."""

    cdef ScamperAddr addr
    cdef bytes raw_name
    cdef uint16_t count
    cdef uint8_t flags, q_ttl
    cdef list links               # LbLink: the links that begin here

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.addr = c.global_addr()
            if self.addr is not None:
                self.mark(5)
            return 0
        elif flag == 2:
            self.flags = c.u8()
        elif flag == 3:
            self.count = c.u16()
        elif flag == 4:
            self.q_ttl = c.u8()
        elif flag == 5:
            self.addr = c.addr()
        else:
            self.raw_name = c.text()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 2:
            w.u8(self.flags)
        elif flag == 3:
            w.u16(self.count)
        elif flag == 4:
            w.u8(self.q_ttl)
        elif flag == 5:
            w.addr(self.addr)
        elif flag == 6:
            w.text(self.raw_name)
        return 0


@cython.final
@cython.no_gc
cdef class LbLink(Params):
    """A link as recorded; its nodes by number."""

    cdef uint16_t near, far
    cdef uint8_t hops
    cdef tuple sets

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            self.near = c.u16()
        elif flag == 2:
            self.far = c.u16()
        else:
            self.hops = c.u8()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.u16(self.near)
        elif flag == 2:
            w.u16(self.far)
        else:
            w.u8(self.hops)
        return 0


@cython.final
@cython.no_gc
cdef class ScamperTracelbNode:
    """An interface that replied (or a place where none did)."""

    cdef ScamperTracelb whole
    cdef LbNode part

    @property
    def src(self):
        """Its address, or None."""
        return self.part.addr

    @property
    def name(self):
        """The address's name, where it was looked up, or None."""
        return as_text(self.part.raw_name)

    @property
    def icmp_q_ttl(self):
        """TTL in the quoted packets, or None."""
        return self.part.q_ttl if self.part.flags & 1 else None

    @property
    def link_count(self):
        """Links that begin here."""
        return len(self.part.links)

    def link(self, i):
        """Link i of those that begin here, or None."""
        cdef unsigned int n = i
        return self.whole.link_handle(self.part.links[n]) if n < <unsigned int>len(self.part.links) else None

    def links(self):
        """An iterator over the links that begin here."""
        return iter(tuple([self.whole.link_handle(<LbLink>x) for x in self.part.links]))


@cython.final
@cython.no_gc
cdef class ScamperTracelbLink:
    """A link between two nodes."""

    cdef ScamperTracelb whole
    cdef LbLink part

    @property
    def near(self):
        """The node where it begins."""
        return self.whole.node_handle(self.part.near)

    @property
    def far(self):
        """The node where it ends, or None."""
        return self.whole.node_handle(self.part.far) if self.part.got(2) else None

    @property
    def length(self):
        """How many hops it spans."""
        return self.part.hops

    def probeset(self, i):
        """The probes to hop i of it, or None."""
        return item_of(self.part.sets, i)

    def __str__(self):
        cdef list out = [node_text(self.near)]
        for item in self.part.sets[: max(<int>self.part.hops - 1, 0)]:
            who = (<ScamperTracelbProbeset>item).sources()
            if who == [None]:
                out.append(" -> *")
            else:
                out.append("(" + ", ".join(["*" if a is None else str(a) for a in who]) + ")")
        out.append(" -> " + node_text(self.far))
        return "".join(out)


def _source_order(ScamperAddr a not None):
    """Sort key: upstream compares words in the machine's order, which is little-endian on common ones."""
    return (a.kind, a.packed[:8][::-1], a.packed[8:][::-1])


cdef str node_text(ScamperTracelbNode node):
    return "*" if node is None or node.part.addr is None else str(node.part.addr)


@cython.final
cdef class ScamperTracelb(Result):
    """A multipath traceroute: the nodes and links found between source and destination."""

    cdef readonly ScamperAddr src, dst, rtr
    cdef tuple all_nodes, all_links
    cdef readonly uint32_t probe_count
    cdef uint32_t probe_max
    cdef readonly uint16_t node_count, link_count, probe_size
    cdef uint16_t sport, dport
    cdef uint8_t type, wait, wait_probe_cs, flags
    cdef readonly uint8_t firsthop, attempts, confidence, tos, gaplimit

    cdef int kind(self) noexcept:
        return 8

    cdef int take(self, Cursor c, int flag) except -1:
        if flag == 1:
            return self.take_list(c)
        elif flag == 2:
            return self.take_cycle(c)
        elif flag == 3:
            self.src = c.global_addr()
            if self.src is not None:
                self.mark(21)
            return 0
        elif flag == 4:
            self.dst = c.global_addr()
            self.mark(22)
            return 0
        elif flag == 5:
            c.stamp(&self.started)
        elif flag == 6:
            self.sport = c.u16()
        elif flag == 7:
            self.dport = c.u16()
        elif flag == 8:
            self.probe_size = c.u16()
        elif flag == 9:
            self.type = c.u8()
        elif flag == 10:
            self.firsthop = c.u8()
        elif flag == 11:
            self.wait = c.u8()
        elif flag == 12:
            self.wait_probe_cs = c.u8()
        elif flag == 13:
            self.attempts = c.u8()
        elif flag == 14:
            self.confidence = c.u8()
        elif flag == 15:
            self.tos = c.u8()
        elif flag == 16:
            self.node_count = c.u16()
        elif flag == 17:
            self.link_count = c.u16()
        elif flag == 18:
            self.probe_count = c.u32()
        elif flag == 19:
            self.probe_max = c.u32()
        elif flag == 20:
            self.gaplimit = c.u8()
        elif flag == 21:
            self.src = c.addr()
        elif flag == 22:
            self.dst = c.addr()
        elif flag == 23:
            self.userid = c.u32()
        elif flag == 24:
            self.flags = c.u8()
        elif flag == 25:
            self.rtr = c.static_addr()
        elif flag == 26:
            self.raw_errmsg = c.text()
        return 1

    cdef int give(self, Writer w, int flag) except -1:
        if flag == 1:
            w.u32(w.list_id)
        elif flag == 2:
            w.u32(w.cycle_id)
        elif flag == 5:
            w.stamp(self.started)
        elif flag == 6:
            w.u16(self.sport)
        elif flag == 7:
            w.u16(self.dport)
        elif flag == 8:
            w.u16(self.probe_size)
        elif flag == 9:
            w.u8(self.type)
        elif flag == 10:
            w.u8(self.firsthop)
        elif flag == 11:
            w.u8(self.wait)
        elif flag == 12:
            w.u8(self.wait_probe_cs)
        elif flag == 13:
            w.u8(self.attempts)
        elif flag == 14:
            w.u8(self.confidence)
        elif flag == 15:
            w.u8(self.tos)
        elif flag == 16:
            w.u16(self.node_count)
        elif flag == 17:
            w.u16(self.link_count)
        elif flag == 18:
            w.u32(self.probe_count)
        elif flag == 19:
            w.u32(self.probe_max)
        elif flag == 20:
            w.u8(self.gaplimit)
        elif flag == 21:
            w.addr(self.src)
        elif flag == 22:
            w.addr(self.dst)
        elif flag == 23:
            w.u32(self.userid)
        elif flag == 24:
            w.u8(self.flags)
        elif flag == 25:
            w.static_addr(self.rtr)
        elif flag == 26:
            w.text(self.raw_errmsg)
        return 0

    cdef int write(self, Writer w) except -1:
        w.params(self)
        for node in self.all_nodes:
            w.params(<LbNode>node)
        for link in self.all_links:
            w.params(<LbLink>link)
            for item in (<LbLink>link).sets:
                w.params(<ScamperTracelbProbeset>item)
                for probe in (<ScamperTracelbProbeset>item).probes:
                    w.params(<ScamperTracelbProbe>probe)
                    for reply in (<ScamperTracelbProbe>probe).replies:
                        w.params(<ScamperTracelbReply>reply)
        return 0

    cdef ScamperTracelbNode node_handle(self, unsigned int i):
        cdef ScamperTracelbNode out
        if i >= <unsigned int>len(self.all_nodes):
            return None
        out = ScamperTracelbNode.__new__(ScamperTracelbNode)
        out.whole = self
        out.part = self.all_nodes[i]
        return out

    cdef ScamperTracelbLink link_handle(self, LbLink part):
        cdef ScamperTracelbLink out = ScamperTracelbLink.__new__(ScamperTracelbLink)
        out.whole = self
        out.part = part
        return out

    @property
    def method(self):
        """What the probes vary."""
        return TRACELB_METHODS.get(self.type, self.type)

    def node(self, i):
        """Node i, or None."""
        return self.node_handle(i)

    def nodes(self):
        """An iterator over the nodes."""
        return iter(tuple([self.node_handle(i) for i in range(len(self.all_nodes))]))

    def link(self, i):
        """Link i, or None."""
        cdef unsigned int n = i
        return self.link_handle(self.all_links[n]) if n < <unsigned int>len(self.all_links) else None

    def links(self):
        """An iterator over the links."""
        return iter(tuple([self.link_handle(<LbLink>x) for x in self.all_links]))

    @property
    def wait_probe(self):
        """Time between probes."""
        return as_delta(<int64_t>self.wait_probe_cs * 10000)

    @property
    def wait_timeout(self):
        """How long a reply was waited for."""
        return as_delta(<int64_t>self.wait * 1000000)

    @property
    def probe_sport(self):
        """Source port, or None for ICMP."""
        return self.sport if self.is_udp() or self.is_tcp() else None

    @property
    def probe_dport(self):
        """Destination port, or None for ICMP."""
        return self.dport if self.is_udp() or self.is_tcp() else None

    @property
    def probe_icmp_id(self):
        """ICMP identifier, or None if not ICMP."""
        return self.sport if self.is_icmp() else None

    def is_udp(self):
        """UDP probes."""
        return self.type == 1 or self.type == 3

    def is_tcp(self):
        """TCP probes."""
        return self.type == 4 or self.type == 5

    def is_icmp(self):
        """ICMP probes."""
        return self.type == 2

    def to_json(self):
        """One JSON object, as sc_warts2json writes it."""
        return json_tracelb(self)

    def to_text(self):
        """Lines for people, as sc_warts2text writes them."""
        return text_tracelb(self)

    def __str__(self):
        return text_tracelb(self)


cdef ScamperTracelbProbeset read_probeset(Cursor c):
    cdef ScamperTracelbProbeset out = ScamperTracelbProbeset.__new__(ScamperTracelbProbeset)
    cdef ScamperTracelbProbe probe
    cdef ScamperTracelbReply reply
    cdef tuple replies
    cdef int i, j
    c.params(out, 1)
    out.probes = c.room(out.probe_count)
    for i in range(out.probe_count):
        probe = ScamperTracelbProbe.__new__(ScamperTracelbProbe)
        c.params(probe, 5)
        replies = c.room(probe.reply_count)
        for j in range(probe.reply_count):
            reply = ScamperTracelbReply.__new__(ScamperTracelbReply)
            c.params(reply, 11)
            if reply.src is None:
                c.fail("a reply without a source")
            put(replies, j, reply)
        probe.replies = replies
        put(out.probes, i, probe)
    return out


cdef ScamperTracelb read_tracelb(Cursor c):
    cdef ScamperTracelb r = ScamperTracelb.__new__(ScamperTracelb)
    cdef LbNode node
    cdef LbLink link
    cdef tuple sets
    cdef int i, j
    c.params(r, 26)
    if r.dst is None:
        c.fail("a tracelb without a destination")
    r.all_nodes = c.room(r.node_count)
    for i in range(r.node_count):
        node = LbNode.__new__(LbNode)
        node.links = []
        c.params(node, 6)
        put(r.all_nodes, i, node)
    r.all_links = c.room(r.link_count)
    for i in range(r.link_count):
        link = LbLink.__new__(LbLink)
        c.params(link, 3)
        if link.near >= r.node_count or (link.got(2) and link.far >= r.node_count):
            c.fail("a link to a node that is not there")
        sets = c.room(link.hops)
        for j in range(link.hops):
            put(sets, j, read_probeset(c))
        link.sets = sets
        put(r.all_links, i, link)
        (<LbNode>r.all_nodes[link.near]).links.append(link)
    for item in r.all_nodes:
        if len((<LbNode>item).links) != (<LbNode>item).count:
            c.fail("a node that says it has other links than it has")
    return r


cdef dict json_tracelb_reply(ScamperTracelbProbe probe, ScamperTracelbReply reply):
    cdef dict out = {"rx": json_time(reply.received), "ttl": reply.ttl_seen}
    out["rtt"] = json_ms(usec_between(probe.sent, reply.received))
    if v4(reply.src):
        out["ipid"] = reply.ip_id
    if reply.is_tcp():
        out["tcp_flags"] = reply.tcp
    else:
        out["icmp_type"] = reply.type
        out["icmp_code"] = reply.code
        out["icmp_q_tos"] = reply.q_tos
        if reply.quotes():
            out["icmp_q_ttl"] = reply.q_ttl
    if reply.exts is not None:
        out["icmpext"] = json_icmpexts(reply.exts)
    return out


cdef dict json_tracelb_probe(ScamperTracelbProbe probe, list replies):
    """A probe, with the replies that came from one address."""
    cdef dict out = {
        "tx": json_time(probe.sent), "replyc": len(replies), "ttl": probe.ttl,
        "attempt": probe.attempt_number, "flowid": probe.flowid,
    }
    if replies:
        out["replies"] = [json_tracelb_reply(probe, <ScamperTracelbReply>reply) for reply in replies]
    return out


cdef list json_probes_to(ScamperTracelbProbeset item, ScamperAddr source):
    """All probes of a hop, with the replies that came from one address."""
    return [
        json_tracelb_probe(
            <ScamperTracelbProbe>probe,
            [r for r in (<ScamperTracelbProbe>probe).replies if (<ScamperTracelbReply>r).src == source],
        )
        for probe in item.probes
    ]


cdef list json_set(ScamperTracelbProbeset item):
    """One hop between two nodes: who answered there, to which probes."""
    cdef list out = []
    cdef dict answered = {}       # address -> its probes; one pass, for a hop may have many of both
    cdef dict mine
    for probe in item.probes:
        mine = {}
        for reply in (<ScamperTracelbProbe>probe).replies:
            mine.setdefault((<ScamperTracelbReply>reply).src, []).append(reply)
        for source, replies in mine.items():
            shown = json_tracelb_probe(<ScamperTracelbProbe>probe, replies)
            answered.setdefault(source, []).append(shown)
    for source in item.sources():
        if source is None:
            out.append({"addr": "*"})
        else:
            out.append({"addr": str(source), "probes": answered[source]})
    return out


cdef list json_links(ScamperTracelb r, LbNode node):
    cdef LbLink link
    cdef LbNode far
    cdef list out = [], branches = []
    cdef dict d
    if len(node.links) > 1:
        for item in node.links:
            link = <LbLink>item
            far = r.all_nodes[link.far] if link.got(2) else None
            d = {}
            if far is not None and far.addr is not None:
                d["addr"] = str(far.addr)
            d["probes"] = []
            if link.sets and far is not None:
                d["probes"] = json_probes_to(<ScamperTracelbProbeset>link.sets[0], far.addr)
            branches.append(d)
        return [branches]
    link = node.links[0]
    far = r.all_nodes[link.far] if link.got(2) else None
    for item in link.sets[: max(<int>link.hops - 1, 0)]:
        out.append(json_set(<ScamperTracelbProbeset>item))
    if far is None or not link.sets:
        out.append([{"addr": "*"}])
    else:
        out.append([{
            "addr": "*" if far.addr is None else str(far.addr),
            "probes": json_probes_to(<ScamperTracelbProbeset>link.sets[link.hops - 1], far.addr),
        }])
    return out


cdef dict json_node(ScamperTracelb r, LbNode node):
    cdef dict out = {"addr": "*" if node.addr is None else str(node.addr)}
    if node.raw_name is not None:
        out["name"] = json_text(node.raw_name)
    if node.flags & 1:
        out["q_ttl"] = node.q_ttl
    out["linkc"] = node.count
    out["links"] = json_links(r, node)
    return out


cdef str json_tracelb(ScamperTracelb r):
    cdef dict out = {
        "type": "tracelb", "version": "0.1", "userid": r.userid,
        "method": word_of(TRACELB_METHOD_WORDS, r.type),
    }
    cdef list nodes
    for name, a in (("src", r.src), ("dst", r.dst), ("rtr", r.rtr)):
        if a is not None:
            out[name] = str(a)
    if r.is_udp() or r.is_tcp():
        out["sport"] = r.sport
        out["dport"] = r.dport
    out["start"] = json_time(r.started)
    out["start"]["ftime"] = make_datetime(r.started.sec, 0).isoformat(" ")[:19]
    out["probe_size"] = r.probe_size
    out["firsthop"] = r.firsthop
    out["attempts"] = r.attempts
    out["confidence"] = r.confidence
    out["tos"] = r.tos
    out["gaplimit"] = r.gaplimit
    out["wait_timeout"] = r.wait
    out["wait_probe"] = r.wait_probe_cs
    out["probec"] = r.probe_count
    out["probec_max"] = r.probe_max
    out["nodec"] = r.node_count
    out["linkc"] = r.link_count
    if r.raw_errmsg is not None:
        out["errmsg"] = json_text(r.raw_errmsg)
    r.json_monitor(out)
    nodes = [json_node(r, <LbNode>node) for node in r.all_nodes if (<LbNode>node).links]
    if nodes:
        out["nodes"] = nodes
    return json_done(out)


cdef str set_text(ScamperTracelbProbeset item):
    cdef list who = item.sources()
    if who == [None]:
        return "*"
    return "(" + ", ".join(["*" if a is None else str(a) for a in who]) + ")"


cdef str text_tracelb(ScamperTracelb r):
    cdef list out, line
    cdef LbNode node
    cdef LbLink link
    source = "" if r.src is None else f" from {r.src}"
    out = [
        f"tracelb{source} to {r.dst}, {r.node_count} nodes, {r.link_count} links, {r.probe_count} probes, "
        f"{r.confidence}%"
    ]
    for item in r.all_nodes:
        node = <LbNode>item
        name = "*" if node.addr is None else str(node.addr)
        if len(node.links) > 1:
            for x in node.links:
                link = <LbLink>x
                out.append(f"{name} -> {node_text(r.node_handle(link.far) if link.got(2) else None)}")
        elif node.links:
            link = node.links[0]
            line = [name] + [set_text(<ScamperTracelbProbeset>s) for s in link.sets[: max(<int>link.hops - 1, 0)]]
            if link.got(2):
                line.append(node_text(r.node_handle(link.far)))
            elif link.sets:
                line.append(set_text(<ScamperTracelbProbeset>link.sets[link.hops - 1]))
            out.append(" -> ".join(line))
    return "\n".join(out)
