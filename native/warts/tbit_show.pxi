# TCP behaviour tests as JSON and as text for people, as sc_warts2json and sc_warts2text 20260420 print them.
#
# Packets come from the network and may be cut anywhere: a byte that is not there reads as 0, and header
# lengths that lead past the end stop the search for more headers.

cdef struct Isns:
    uint32_t client, server
    bint has_client, has_server


@cython.final
@cython.no_gc
cdef class TcpView:
    """An IP packet taken apart as far as a TCP test shows it."""

    cdef bytes data
    cdef int version, header, total, proto, ecn, ttl
    cdef bint fragment, more
    cdef uint32_t frag_id
    cdef int frag_off

    cdef unsigned int b(self, Py_ssize_t i) noexcept:
        if i < 0 or i >= PyBytes_GET_SIZE(self.data):
            return 0
        return <uint8_t>PyBytes_AS_STRING(self.data)[i]

    cdef unsigned int b16(self, Py_ssize_t i) noexcept:
        return (self.b(i) << 8) | self.b(i + 1)

    cdef uint32_t b32(self, Py_ssize_t i) noexcept:
        return (<uint32_t>self.b16(i) << 16) | self.b16(i + 2)

    cdef bint bit(self, int mask) noexcept:
        return self.b(self.header + 13) & mask

    cdef int tcp_header(self) noexcept:
        return ((self.b(self.header + 12) & 0xF0) >> 4) * 4


cdef TcpView take_apart(bytes data):
    """The view of a packet; version 0: it is neither IPv4 nor IPv6."""
    cdef TcpView v = TcpView.__new__(TcpView)
    cdef int step
    v.data = data
    v.version = v.b(0) >> 4
    if v.version == 4:
        v.header = (v.b(0) & 0xF) * 4
        v.total = v.b16(2)
        v.proto = v.b(9)
        v.ecn = v.b(1) & 3
        v.ttl = v.b(8)
        v.more = v.b(6) & 0x20
        v.frag_id = v.b16(4)
        v.frag_off = (v.b16(6) & 0x1FFF) * 8
        v.fragment = v.more or v.frag_off
    elif v.version == 6:
        v.header = 40
        v.total = v.b16(4) + 40
        v.proto = v.b(6)
        v.ecn = (v.b(1) & 0x30) >> 4
        v.ttl = v.b(7)
        while v.header < len(data):
            if v.proto == 44:
                v.more = v.b(v.header + 3) & 1
                v.frag_off = v.b16(v.header + 2) & 0xFFF8
                v.frag_id = v.b32(v.header + 4)
                v.fragment = True
                step = 8
            elif v.proto == 0 or v.proto == 43 or v.proto == 60:
                step = v.b(v.header + 1) * 8 + 8
            else:
                break
            v.proto = v.b(v.header)
            v.header += step
    else:
        v.version = 0
    return v


cdef list bit_words(uint32_t bits, tuple words, int most):
    """The words of the bits set; a bit without a word is its number."""
    return [words[i] if i < len(words) else 1 << i for i in range(most) if (bits >> i) & 1]


cdef list tcp_options(TcpView v, Isns isns, bint tx):
    cdef list out = []
    cdef int at = 20, end = v.tcp_header(), kind, size, p
    cdef uint32_t base = isns.server if tx else isns.client
    while at < end:
        p = v.header + at
        kind = v.b(p)
        if kind == 0:
            out.append({"kind": "eol"})
            break
        if kind == 1:
            out.append({"kind": "nop"})
            at += 1
            continue
        size = v.b(p + 1)
        if size == 0 or at + size > end:
            break
        if kind == 3 and size == 3:
            out.append({"kind": "wscale", "shift": v.b(p + 2)})
        elif kind == 4 and size == 2:
            out.append({"kind": "sack-ok"})
        elif kind == 5 and size in (10, 18, 26, 34):
            out.append({
                "kind": "sack",
                "blocks": [
                    {
                        "left": (v.b32(p + 2 + i * 8) - base) & 0xFFFFFFFF,
                        "right": (v.b32(p + 6 + i * 8) - base) & 0xFFFFFFFF,
                    }
                    for i in range((size - 2) // 8)
                ],
            })
        elif kind == 8 and size == 10:
            out.append({"kind": "ts", "val": v.b32(p + 2), "ecr": v.b32(p + 6)})
        elif kind == 34 or (kind == 254 and size >= 4 and v.b16(p + 2) == 0xF989):
            d = {"kind": "fo" if kind == 34 else "fo-exp"}
            cookie = v.data[p + (2 if kind == 34 else 4) : p + size]
            if cookie:
                d["cookie"] = cookie.hex()
            out.append(d)
        at += size
    return out


cdef dict json_tbit_pkt(ScamperTbit r, ScamperTbitPkt pkt, Isns *isns):
    cdef TcpView v = take_apart(pkt.data)
    cdef dict out = {"dir": {1: "tx", 2: "rx"}.get(pkt.direction, pkt.direction)}
    cdef dict since = json_between(r.started, pkt.when)
    cdef uint32_t seq, ack
    cdef unsigned int flags
    cdef bint tx = pkt.direction == 1
    out["tv_sec"] = since["sec"]
    out["tv_usec"] = since["usec"]
    out["len"] = pkt.length
    if v.version == 0:
        return out
    out["ip_hlen"] = v.header & 0xFF
    out["ip_ecn"] = v.ecn
    out["ip_ttl"] = v.ttl
    if v.version == 4 or v.fragment:
        out["frag_id"] = v.frag_id
        out["frag_off"] = v.frag_off
        out["frag_mf"] = 1 if v.more else 0
    if v.version == 4:
        out["frag_df"] = 0       # always, in sc_warts2json
    if v.frag_off != 0 or v.proto != 6:
        return out
    seq = v.b32(v.header + 4)
    ack = v.b32(v.header + 8)
    flags = v.b(v.header + 13)
    if flags & 0x12 == 0x02 and not isns.has_client:
        isns.client = seq
        isns.has_client = True
    elif flags & 0x12 == 0x12 and not isns.has_server:
        isns.server = seq
        isns.has_server = True
    out["tcp_hlen"] = v.tcp_header()
    out["tcp_flags"] = bit_words(flags, TCP_FLAGS, 8)
    out["tcp_options"] = tcp_options(v, isns[0], tx)
    if tx:
        seq -= isns.client
        ack -= isns.server
    else:
        if not (seq == 0 and flags & 0x04):
            seq -= isns.server
        ack -= isns.client
    out["tcp_seq"] = seq
    if flags & 0x10:
        out["tcp_ack"] = ack
    out["tcp_datalen"] = (v.total - v.header - v.tcp_header()) & 0xFFFF
    out["tcp_win"] = v.b16(v.header + 14)
    return out


cdef object icw_bytes(ScamperTbit r):
    """The initial congestion window: what came before the first segment was sent again; None: unknown."""
    cdef TcpView v
    cdef Py_ssize_t i
    cdef uint32_t begin = 0, seq, reach = 0
    cdef int length, firsts = 0
    cdef bint started = False
    if r.outcome != 60 or r.found is None:
        return None
    for i in range(1, len(r.all)):
        if (<ScamperTbitPkt>r.all[i]).direction != 2:
            continue
        v = take_apart((<ScamperTbitPkt>r.all[i]).data)
        if v.version == 0 or v.proto != 6:
            return None
        if not started:
            if v.b(v.header + 13) & 0x12 != 0x12:
                return None
            begin = v.b32(v.header + 4) + <uint32_t>r.found.field(1)
            started = True
            continue
        seq = v.b32(v.header + 4)
        length = (v.total - v.header - v.tcp_header()) & 0xFFFF
        if length == 0 and not v.bit(0x01):
            continue
        if <uint32_t>(seq - begin) >= 65535 and <uint32_t>(seq + length - 1 - begin) >= 65535:
            continue
        if seq == begin:
            firsts += 1
            if firsts == 2:
                return reach
        reach = max(reach, <uint32_t>(seq + length - begin))
    return None


cdef str tbit_url(TbitBlock app):
    scheme = "https" if app.field(3) == 1 else "http"
    return f"{scheme}://{as_text(app.fields[1])}{as_text(app.fields.get(2)) or ''}"


cdef str json_tbit(ScamperTbit r):
    cdef Isns isns
    cdef list pkts = []
    cdef dict out = {"type": "tbit", "tbit_type": word_of(TBIT_TYPES, r.type), "userid": r.userid}
    memset(&isns, 0, sizeof(isns))
    for item in r.all:
        pkts.append(json_tbit_pkt(r, <ScamperTbitPkt>item, &isns))
    out["src"] = str(r.src)
    out["dst"] = str(r.dst)
    out["sport"] = r.sport
    out["dport"] = r.dport
    out["start"] = json_time(r.started)
    out["client_mss"] = r.client_mss
    out["server_mss"] = r.server_mss
    out["ttl"] = r.client_ipttl
    out["result"] = r.result
    if r.options:
        out["options"] = bit_words(r.options, TBIT_OPTIONS, 16)
    if r.raw_errmsg is not None:
        out["errmsg"] = json_text(r.raw_errmsg)
    if r.client_wscale:
        out["wscale"] = r.client_wscale
    if r.cookie:
        out["fo_cookie"] = r.cookie.hex()
    if isns.has_client:
        out["client_isn"] = isns.client
    if isns.has_server:
        out["server_isn"] = isns.server
    if r.type == TBIT_ICW:
        size = icw_bytes(r)
        if size is not None:
            out["icw_bytes"] = size
    elif r.found is not None and r.type == TBIT_PMTUD:
        out["mtu"] = r.found.field(1)
        out["ptb_retx"] = r.found.field(2)
        if r.found.got(4):
            out["ptbsrc"] = str(r.found.fields[4])
        out["pmtud_options"] = bit_words(r.found.field(3), TBIT_PMTUD_OPTIONS, 8)
    elif r.found is not None and r.type == TBIT_NULL:
        out["null_options"] = bit_words(r.found.field(1), TBIT_NULL_OPTIONS, 16)
        out["null_results"] = bit_words(r.found.field(2), TBIT_NULL_RESULTS, 16)
    elif r.found is not None:
        out["blind_off"] = r.found.field(1)
        out["blind_retx"] = r.found.field(2)
    if r.app_block is not None and r.app == TBIT_APP_HTTP:
        out["app"] = "http"
        if r.app_block.got(1):
            out["http_url"] = tbit_url(r.app_block)
    elif r.app_block is not None:
        out["app"] = "bgp"
        out["bgp_asn"] = r.app_block.field(1)
    r.json_monitor(out)
    out["pkts"] = pkts
    return json_done(out)


cdef str tcp_word(unsigned int flags):
    """What a segment is, by its most telling flags."""
    cdef list out = []
    if flags & 0x02:
        out.append("SYN/ACK" if flags & 0x10 else "SYN")
    elif flags & 0x01:
        out.append("FIN")
    elif flags & 0x04:
        out.append("RST")
    if flags & 0x40:
        out.append("ECE")
    if flags & 0x80:
        out.append("CWR")
    return "/".join(out)


cdef str text_segment(TcpView v, bint tx, Isns *isns, str ipid, str frag):
    cdef uint32_t seq = v.b32(v.header + 4), ack = v.b32(v.header + 8)
    cdef unsigned int flags = v.b(v.header + 13), length
    cdef str numbers, tail = ipid
    if flags & 0x12 == 0x12:
        isns.server = seq
    elif flags & 0x02:
        isns.client = seq
    sacks = [
        " {" + ",".join([f"{b['left']}:{b['right']}" for b in option["blocks"]]) + "}"
        for option in tcp_options(v, isns[0], tx) if option["kind"] == "sack"
    ]
    seq -= isns.client if tx else isns.server
    ack -= isns.server if tx else isns.client
    length = (v.total - v.header - v.tcp_header()) & 0xFFFF
    numbers = f" seq = {seq}:{ack}" + (f"({length})" if length else "") + "".join(sacks)
    if v.fragment:
        tail += frag
    if length and v.version == 4 and v.b(6) & 0x40:
        tail += " DF"
    tail += " CE" if v.ecn == 3 else " ECT" if v.ecn else ""
    return "%-13s %4d%s%-23s%s" % (tcp_word(flags), v.total, "F" if v.fragment else " ", numbers, tail)


cdef str text_tbit(ScamperTbit r):
    cdef Isns isns
    cdef ScamperTbitPkt pkt
    cdef TcpView v
    cdef int64_t usec
    cdef list out = [f"tbit from {r.src} to {r.dst}", f" server-mss {r.server_mss}, result: {r.result}"]
    cdef str line, ipid, frag
    memset(&isns, 0, sizeof(isns))
    if r.app_block is not None and r.app == TBIT_APP_HTTP:
        if r.app_block.got(1):
            out.append(f" app: http, url: {tbit_url(r.app_block)}")
        else:
            out.append(f" app: http, file: {as_text(r.app_block.fields.get(2)) or ''}")
    for item in r.all:
        pkt = <ScamperTbitPkt>item
        v = take_apart(pkt.data)
        if v.version == 0:
            continue
        usec = usec_between(r.started, pkt.when)
        line = " [%3d.%03d] %s " % (
            usec // 1000000, usec // 1000 % 1000, "TX" if pkt.direction == 1 else "RX"
        )
        ipid = " %04x" % v.frag_id if v.version == 4 else "%x" % v.frag_id if v.fragment else ""
        frag = f":{v.frag_off}" + (" MF" if v.more else "") if v.fragment else ""
        if v.frag_off:
            line += "%-13s %4dF%22s %s%s" % ("", v.total, "", ipid, frag)
        elif v.proto == 6:
            line += text_segment(v, pkt.direction == 1, &isns, ipid, frag)
        elif v.proto == 1 and v.b16(v.header) == 0x0304:
            line += "%-13s %4d  mtu = %d" % ("PTB", v.total, v.b16(v.header + 6))
        elif v.proto == 58 and v.b(v.header) == 2:
            line += "%-13s %4d  mtu = %d" % ("PTB", v.total, v.b32(v.header + 4))
        out.append(line)
    return "\n".join(out)
