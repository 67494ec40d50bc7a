# Builders: results out of plain values, for a prober that answers in warts, and for tests.
#
# Which flags a builder marks follows scamper 20260420's writer (a field that is zero or missing is not
# recorded), so that what upstream's programs read in our records is what they read in scamper's.

cdef object EPOCH = _datetime(1970, 1, 1, tzinfo=UTC)
cdef object MICROSECOND = _timedelta(microseconds=1)


cdef bytes as_bytes(object text, str what):
    """A string for a record: str as UTF-8, or bytes; it cannot hold a NUL."""
    cdef bytes out
    if text is None:
        return None
    if isinstance(text, bytes):
        out = bytes(text)
    elif isinstance(text, str):
        out = str(text).encode("utf-8", "surrogateescape")
    else:
        raise TypeError(f"{what}: expected str or bytes, not {type(text).__name__}")
    if b"\0" in out:
        raise ValueError(f"{what}: a NUL cannot be recorded")
    return out


cdef Stamp as_stamp(object when, str what) except *:
    """A moment from a datetime, epoch seconds, or (seconds, microseconds)."""
    cdef Stamp t
    cdef object usec
    if isinstance(when, _datetime):
        if when.tzinfo is None:
            raise ValueError(f"{what}: a datetime without a time zone")
        usec = (when - EPOCH) // MICROSECOND
    elif isinstance(when, tuple):
        sec, rest = when
        usec = int(sec) * 1000000 + int(rest)
    else:
        usec = round(when * 1000000)
    if not 0 <= usec < (1 << 32) * 1000000:
        raise ValueError(f"{what}: {when!r} is outside of 1970 to 2106")
    t.sec = usec // 1000000
    t.usec = usec % 1000000
    return t


cdef int64_t as_usec(object duration, str what, int64_t most) except -1:
    """Microseconds of a timedelta or of seconds."""
    cdef object usec
    if isinstance(duration, _timedelta):
        usec = duration // MICROSECOND
    else:
        usec = round(duration * 1000000)
    if not 0 <= usec <= most:
        raise ValueError(f"{what}: {duration!r} is outside of 0 to {most / 1e6} s")
    return usec


cdef ScamperAddr as_addr(object address):
    if address is None or isinstance(address, ScamperAddr):
        return address
    return ScamperAddr(address)


cdef object as_word(object value, tuple words, str what):
    """A number, or the number of a word."""
    if isinstance(value, str):
        if value not in words:
            raise ValueError(f"{what}: {value!r} is none of {', '.join([w for w in words if w])}")
        return words.index(value)
    return int(value)


cdef dict checked(object spec, tuple names, str what):
    """A copy of the mapping, if it has known keys only."""
    cdef dict out = dict(spec)
    unknown = sorted(set(out) - set(names))
    if unknown:
        raise ValueError(f"{what}: unknown {', '.join(unknown)}; known are {', '.join(names)}")
    return out


cdef void mark_if(Params p, int flag, bint present) noexcept:
    if present:
        p.mark(flag)


cdef int common(Result r, dict spec) except -1:
    """The fields that all results share, but for their flags."""
    r.list = spec.get("list")
    r.cycle = spec.get("cycle")
    r.userid = spec.get("userid", 0)
    if "start" in spec:
        r.started = as_stamp(spec["start"], "start")
    r.raw_errmsg = as_bytes(spec.get("errmsg"), "errmsg")
    mark_if(r, 1, r.list is not None)
    mark_if(r, 2, r.cycle is not None)
    return 0


def make_list(uint32_t id, name not None, *, descr=None, monitor=None):
    """A list to begin a stream with."""
    cdef ScamperList x = ScamperList.__new__(ScamperList)
    x.id = id
    x.raw_name = as_bytes(name, "name")
    x.raw_descr = as_bytes(descr, "descr")
    x.raw_monitor = as_bytes(monitor, "monitor")
    if x.raw_descr is not None:
        x.mark(1)
    if x.raw_monitor is not None:
        x.mark(2)
    return x


cdef dict CYCLE_KINDS = {
    "start": KIND_CYCLE_START, "definition": KIND_CYCLE_DEF, "stop": KIND_CYCLE_STOP,
}


def make_cycle(ScamperList list, uint32_t id, start, *, stop=None, hostname=None, kind="start"):
    """A cycle of a list.

    Args:
        start: when it began, epoch seconds or datetime (whole seconds are kept).
        stop: when it ended, likewise.
        kind: which record it becomes: "start", "definition" or "stop".
    """
    cdef ScamperCycle x = ScamperCycle.__new__(ScamperCycle)
    if kind not in CYCLE_KINDS:
        raise ValueError(f"kind: {kind!r} is none of {', '.join(CYCLE_KINDS)}")
    x.of = list
    x.id = id
    x.start_sec = as_stamp(start, "start").sec
    x.stop_sec = 0 if stop is None else as_stamp(stop, "stop").sec
    x.raw_hostname = as_bytes(hostname, "hostname")
    x.kind = CYCLE_KINDS[kind]
    if x.raw_hostname is not None:
        x.mark(2)
    return x


cdef object build_rr_data(int kind, object data):
    cdef ScamperHostMX mx
    cdef ScamperHostSOA soa
    cdef ScamperHostTXT txt
    cdef ScamperHostOPT opt
    cdef ScamperHostOPTElem elem
    cdef ScamperHostSVCB svcb
    cdef ScamperHostSVCBParam param
    cdef list items = []
    if kind == RR_ADDR:
        return as_addr(data)
    if kind == RR_STR:
        return as_bytes(data, "data")
    if kind == RR_MX:
        mx = ScamperHostMX.__new__(ScamperHostMX)
        mx.pref, exchange = data
        mx.raw_exch = as_bytes(exchange, "data")
        mx.has = 2 | (mx.pref != 0)
        return mx
    if kind == RR_SOA:
        soa = ScamperHostSOA.__new__(ScamperHostSOA)
        mname, rname, soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum = data
        soa.raw_mname = as_bytes(mname, "data")
        soa.raw_rname = as_bytes(rname, "data")
        soa.has = 3
        for flag, n in enumerate((soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum), 3):
            mark_if(soa, flag, n != 0)
        return soa
    if kind == RR_TXT:
        txt = ScamperHostTXT.__new__(ScamperHostTXT)
        for s in data:
            # A NUL ends a string for upstream's readers, so it cannot be recorded.
            items.append(as_bytes(s, "data"))
            if len(items[len(items) - 1]) > 255:
                raise ValueError("data: a TXT string has at most 255 bytes")
        txt.strings = tuple(items)
        txt.count = len(items)
        txt.has = 3 if items else 0
        return txt
    if kind == RR_OPT:
        opt = ScamperHostOPT.__new__(ScamperHostOPT)
        for code, raw in data:
            elem = ScamperHostOPTElem.__new__(ScamperHostOPTElem)
            elem.code_num = code
            elem.raw = bytes(raw)
            items.append(elem)
        opt.elems = tuple(items)
        opt.count = len(items)
        opt.has = 3 if items else 0
        return opt
    svcb = ScamperHostSVCB.__new__(ScamperHostSVCB)
    svcb.priority, target, pairs = data
    svcb.raw_target = as_bytes(target, "data")
    for key, raw in pairs:
        param = ScamperHostSVCBParam.__new__(ScamperHostSVCBParam)
        param.key_num = key
        param.raw = bytes(raw)
        items.append(param)
    svcb.params = tuple(items)
    svcb.count = len(items)
    svcb.has = (1 if svcb.priority else 0) | (2 if svcb.raw_target is not None else 0) | (12 if items else 0)
    return svcb


cdef ScamperHostRR build_rr(object spec):
    cdef dict f = checked(spec, ("name", "rclass", "rtype", "ttl", "data"), "rr")
    cdef ScamperHostRR rr = ScamperHostRR.__new__(ScamperHostRR)
    cdef int kind
    rr.raw_name = as_bytes(f["name"], "name")
    rr.rclass = f.get("rclass", CLASS_IN)
    rr.rtype = f["rtype"]
    rr.ttl = f.get("ttl", 0)
    if f.get("data") is not None:
        kind = rr_data_kind(rr.rclass, rr.rtype)
        if kind < 0:
            raise ValueError(f"data: a record holds none for class {rr.rclass} type {rr.rtype}")
        rr.data = build_rr_data(kind, f["data"])
    mark_if(rr, 1, rr.rclass != 0)
    mark_if(rr, 2, rr.rtype != 0)
    rr.mark(3)
    mark_if(rr, 4, rr.ttl != 0)
    mark_if(rr, 5, rr.data is not None)
    return rr


cdef ScamperHostQuery build_query(object spec):
    cdef dict f = checked(spec, ("tx", "rx", "id", "rcode", "flags", "an", "ns", "ar"), "query")
    cdef ScamperHostQuery q = ScamperHostQuery.__new__(ScamperHostQuery)
    q.sent = as_stamp(f["tx"], "tx")
    if f.get("rx") is not None:
        q.received = as_stamp(f["rx"], "rx")
    q.id = f.get("id", 0)
    q.code = f.get("rcode", 0)
    q.flags = f.get("flags", 0)
    q.answers = tuple([build_rr(rr) for rr in f.get("an", ())])
    q.authorities = tuple([build_rr(rr) for rr in f.get("ns", ())])
    q.additionals = tuple([build_rr(rr) for rr in f.get("ar", ())])
    q.ancount = len(q.answers)
    q.nscount = len(q.authorities)
    q.arcount = len(q.additionals)
    mark_if(q, 1, not is_zero(q.sent))
    mark_if(q, 2, not is_zero(q.received))
    for flag, n in enumerate((q.id, q.ancount, q.nscount, q.arcount, q.code, q.flags), 3):
        mark_if(q, flag, n != 0)
    return q


def build_host(spec):
    """A DNS result out of plain values; see `_warts.pyi` for the keys."""
    cdef dict f = checked(spec, (
        "list", "cycle", "userid", "src", "dst", "start", "flags", "wait_timeout", "stop_reason", "retries",
        "qtype", "qclass", "qname", "ecs", "errmsg", "queries",
    ), "host")
    cdef ScamperHost r = ScamperHost.__new__(ScamperHost)
    common(r, f)
    r.src = as_addr(f.get("src"))
    r.dst = as_addr(f["dst"])
    for word in f.get("flags", ()):
        r.flags |= 1 << as_word(word, HOST_FLAGS, "flags")
    r.wait_ms = as_usec(f.get("wait_timeout", 0), "wait_timeout", 65535000) // 1000
    r.stop = as_word(f.get("stop_reason", 0), HOST_STOP, "stop_reason")
    r.retries = f.get("retries", 0)
    r.qtype_num = f["qtype"]
    r.class_num = f.get("qclass", CLASS_IN)
    r.raw_qname = as_bytes(f["qname"], "qname")
    r.raw_ecs = as_bytes(f.get("ecs"), "ecs")
    r.queries = tuple([build_query(q) for q in f.get("queries", ())])
    if len(r.queries) > 255:
        raise ValueError("queries: a record holds at most 255")
    r.qcount = len(r.queries)
    for q in r.queries:
        if r.answer is None and not is_zero((<ScamperHostQuery>q).received):
            r.answer = <ScamperHostQuery>q
    mark_if(r, 3, r.userid != 0)
    mark_if(r, 4, r.src is not None)
    r.mark(5)
    r.mark(6)
    for flag, n in enumerate((r.flags, r.wait_ms, r.stop, r.retries, r.qtype_num, r.class_num), 7):
        mark_if(r, flag, n != 0)
    r.mark(13)
    mark_if(r, 14, r.qcount != 0)
    mark_if(r, 15, r.raw_ecs is not None)
    mark_if(r, 16, r.raw_errmsg is not None)
    return r


# A buffer's data shares 65535 bytes of parameters with its other fields.
cdef Py_ssize_t HTTP_PIECE = 65000


def build_http(spec):
    """An HTTP result out of plain values; see `_warts.pyi` for the keys."""
    cdef dict f = checked(spec, (
        "list", "cycle", "userid", "src", "dst", "sport", "dport", "start", "stop_reason", "scheme", "host",
        "file", "headers", "bufs", "hsrtt", "insecure", "maxtime", "errmsg",
    ), "http")
    cdef ScamperHttp r = ScamperHttp.__new__(ScamperHttp)
    cdef ScamperHttpBuf b
    cdef bytes data
    cdef list out = []
    cdef Py_ssize_t at
    cdef int64_t most
    common(r, f)
    r.src = as_addr(f.get("src"))
    r.dst = as_addr(f["dst"])
    r.type = as_word(f["scheme"], HTTP_SCHEMES, "scheme")
    r.sport = f.get("sport", 0)
    r.dport = f.get("dport", 443 if r.type == HTTPS else 80)
    r.stop = as_word(f.get("stop_reason", 0), HTTP_STOP, "stop_reason")
    r.host = as_bytes(f["host"], "host")
    r.file = as_bytes(f["file"], "file")
    r.headers = tuple([as_bytes(h, "headers") for h in f.get("headers", ())])
    r.shake = as_usec(f.get("hsrtt", 0), "hsrtt", 0xFFFFFFFF)
    r.flags = 1 if f.get("insecure") else 0
    most = as_usec(f.get("maxtime", 0), "maxtime", 0xFFFFFFFF * <int64_t>1000000)
    r.most.sec = most // 1000000
    r.most.usec = most % 1000000
    for direction, kind, when, payload in f.get("bufs", ()):
        data = bytes(payload)
        if not data:
            raise ValueError("bufs: a buffer without data")
        for at in range(0, len(data), HTTP_PIECE):
            b = ScamperHttpBuf.__new__(ScamperHttpBuf)
            b.tx = as_word(direction, ("rx", "tx"), "bufs")
            b.type = as_word(kind, HTTP_BUF_TYPES, "bufs")
            b.when = as_stamp(when, "bufs")
            b.data = data[at : at + HTTP_PIECE]
            b.length = len(b.data)
            mark_if(b, 1, b.tx or b.type)
            b.has |= 14
            out.append(b)
    r.buffers = tuple(out)
    r.count = len(out)
    mark_if(r, 3, r.userid != 0)
    mark_if(r, 4, r.src is not None)
    r.mark(5)
    mark_if(r, 6, r.sport != 0)
    mark_if(r, 7, r.dport != (443 if r.type == HTTPS else 80))
    mark_if(r, 8, not is_zero(r.started))
    mark_if(r, 9, r.stop != 0)
    mark_if(r, 10, r.type != 0)
    r.mark(11)
    r.mark(12)
    mark_if(r, 13, len(r.headers) != 0)
    mark_if(r, 14, r.count != 0)
    mark_if(r, 15, r.shake != 0)
    mark_if(r, 16, r.flags != 0)
    mark_if(r, 17, not is_zero(r.most))
    mark_if(r, 18, r.raw_errmsg is not None)
    return r


cdef ScamperUdpprobeReply build_udpprobe_reply(object spec):
    cdef dict f = checked(spec, ("rx", "payload", "ifname"), "reply")
    cdef ScamperUdpprobeReply reply = ScamperUdpprobeReply.__new__(ScamperUdpprobeReply)
    reply.received = as_stamp(f["rx"], "rx")
    reply.data = bytes(f.get("payload") or b"")
    reply.length = len(reply.data)
    reply.raw_ifname = as_bytes(f.get("ifname"), "ifname")
    mark_if(reply, 1, not is_zero(reply.received))
    if reply.data:
        reply.has |= 6
    mark_if(reply, 4, reply.raw_ifname is not None)
    return reply


cdef ScamperUdpprobeProbe build_udpprobe_probe(object spec):
    cdef dict f = checked(spec, ("tx", "sport", "replies"), "probe")
    cdef ScamperUdpprobeProbe probe = ScamperUdpprobeProbe.__new__(ScamperUdpprobeProbe)
    probe.sent = as_stamp(f["tx"], "tx")
    probe.sport = f.get("sport", 0)
    probe.replies = tuple([build_udpprobe_reply(reply) for reply in f.get("replies", ())])
    if len(probe.replies) > 255:
        raise ValueError("replies: a record holds at most 255 to one probe")
    probe.reply_count = len(probe.replies)
    mark_if(probe, 1, not is_zero(probe.sent))
    mark_if(probe, 2, probe.sport != 0)
    mark_if(probe, 3, probe.reply_count != 0)
    return probe


def build_udpprobe(spec):
    """A UDP probe result out of plain values; see `_warts.pyi` for the keys."""
    cdef dict f = checked(spec, (
        "list", "cycle", "userid", "src", "dst", "sport", "dport", "start", "wait_timeout", "wait_probe",
        "stop_reason", "payload", "attempts", "stop_count", "exitfirst", "errmsg", "probes",
    ), "udpprobe")
    cdef ScamperUdpprobe r = ScamperUdpprobe.__new__(ScamperUdpprobe)
    cdef ScamperUdpprobeProbe first
    common(r, f)
    r.src = as_addr(f.get("src"))
    r.dst = as_addr(f["dst"])
    r.sport = f.get("sport", 0)
    r.dport = f["dport"]
    r.timeout_usec = as_usec(f.get("wait_timeout", 0), "wait_timeout", 0xFFFFFFFF)
    r.wait_usec = as_usec(f.get("wait_probe", 0), "wait_probe", 0xFFFFFFFF)
    r.stop = as_word(f.get("stop_reason", 0), UDPPROBE_STOP, "stop_reason")
    r.data = bytes(f.get("payload") or b"")
    r.length = len(r.data)
    r.attempts = f.get("attempts", 1)
    r.stop_count = f.get("stop_count", 0)
    r.flags = 1 if f.get("exitfirst") else 0
    r.probes = tuple([build_udpprobe_probe(probe) for probe in f.get("probes", ())])
    if len(r.probes) > 255:
        raise ValueError("probes: a record holds at most 255")
    r.probe_sent = len(r.probes)
    if r.probes:
        first = r.probes[0]
        r.first_sport = first.sport
        r.first_replies = first.reply_count
        r.started = first.sent
    mark_if(r, 3, r.userid != 0)
    mark_if(r, 4, r.src is not None)
    r.mark(5)
    mark_if(r, 6, r.first_sport != 0)
    mark_if(r, 7, r.dport != 0)
    mark_if(r, 8, not is_zero(r.started))
    mark_if(r, 9, r.timeout_usec != 0)
    mark_if(r, 10, r.flags != 0)
    mark_if(r, 11, r.stop != 0)
    if r.data:
        r.mark(12)
        r.mark(13)
    mark_if(r, 14, r.first_replies != 0)
    mark_if(r, 15, r.attempts != 1)
    mark_if(r, 16, r.probe_sent != 1)
    mark_if(r, 17, r.stop_count != 0)
    mark_if(r, 18, r.sport != 0)
    mark_if(r, 19, r.wait_usec != 0)
    mark_if(r, 20, r.raw_errmsg is not None)
    return r
