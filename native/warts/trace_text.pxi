# Traceroute as text for people, line by line as sc_warts2text 20260420 prints it.

cdef dict UNREACH4 = {0: " !N", 1: " !H", 2: " !P", 3: "", 4: " !F", 5: " !S", 13: " !X"}
cdef dict UNREACH6 = {0: " !N", 1: " !P", 2: " !S", 3: " !A", 4: ""}
# In the order in which sc_warts2text lists them.
cdef tuple TCP_FLAG_WORDS = (
    (0x04, "RST"), (0x02, "SYN"), (0x10, "ACK"), (0x08, "PSH"), (0x01, "FIN"), (0x20, "URG"),
    (0x80, "CWR"), (0x40, "ECE"),
)


cdef str hop_mark(ScamperTraceHop hop):
    """What a reply was, where that is not a plain time exceeded, echo reply or port unreachable."""
    if hop.flags & HOP_FLAG_TCP:
        if hop.tcp & 0x04:
            return " [closed]"
        if hop.tcp & 0x12 == 0x12:
            return " [open, ecn]" if hop.tcp & 0x40 else " [open]"
        if hop.tcp == 0:
            return " [unknown, no flags]"
        return " [unknown, " + " ".join([word for bit, word in TCP_FLAG_WORDS if hop.tcp & bit]) + "]"
    if not hop.icmp() or hop.icmp_is(11, -1, 3, -1) or hop.icmp_is(0, -1, 129, -1):
        return ""
    if v4(hop.src) and hop.type == 3:
        return UNREACH4.get(hop.code) if hop.code in UNREACH4 else f" !<{hop.code}>"
    if v6(hop.src) and hop.type == 1:
        return UNREACH6.get(hop.code) if hop.code in UNREACH6 else f" !<{hop.code}>"
    if v6(hop.src) and hop.type == 2:
        return " !F"
    return f" !<{hop.type},{hop.code}>" if v4(hop.src) or v6(hop.src) else ""


cdef str hop_line(ScamperTrace trace, int ttl, list hops):
    cdef ScamperTraceHop hop
    cdef ScamperAddr shown = None
    cdef list parts = []
    if not hops:
        return "%2d  %s" % (ttl, " ".join(["*"] * (trace.attempts if trace.flags & 1 else 1)))
    for item in hops:
        hop = <ScamperTraceHop>item
        if shown is None or hop.src != shown:
            shown = hop.src
            parts.append(str(shown))
        parts.append(f"{ms_text(hop.delay)} ms{hop_mark(hop)}")
    return "%2d  %s" % (ttl, "  ".join(parts))


cdef str mtu_mark(int mtu, int size):
    """The MTU towards a hop; with a star where the probes were smaller or larger than it."""
    return f" [mtu: {mtu}]" if mtu == size else f" [*mtu: {size}]"


cdef dict mtu_marks_1(ScamperTrace trace):
    """What to put behind each hop, for the first version of path MTU discovery."""
    cdef ScamperTracePmtud p = trace.pmtud
    cdef tuple hops = trace.by_ttl()
    cdef ScamperTraceHop reply, hop
    cdef dict out = {}
    cdef int i, next_reply = 0, mtu, size
    cdef bint same
    mtu = size = p.if_mtu if p.hops else p.path_mtu
    if p.hops and p.first_mtu:
        size = p.first_mtu
    for i in range(trace.hop_count):
        if hops[i] is None or next_reply >= len(p.hops):
            continue
        hop = hops[i]
        reply = p.hops[next_reply]
        same = reply.src == hop.src
        if same:
            out[i] = mtu_mark(mtu, size)
            if reply.ptb():
                mtu = reply.nhmtu
        elif i >= <int>reply.probe_ttl - <int>reply.q_ttl:
            if reply.ptb():
                size = mtu = reply.nhmtu
            out[i] = mtu_mark(mtu, size)
        else:
            out[i] = mtu_mark(mtu, size)
            continue
        next_reply += 1
        if next_reply < len(p.hops):
            size = (<ScamperTraceHop>p.hops[next_reply]).probe_size
        else:
            size = p.path_mtu
    return out


cdef dict mtu_marks_2(ScamperTrace trace):
    """What to put behind each hop, for the second version, which left notes."""
    cdef ScamperTracePmtud p = trace.pmtud
    cdef tuple hops = trace.by_ttl(), notes = p.all_notes
    cdef ScamperTracePmtudNote note
    cdef ScamperTraceHop reply
    cdef dict out = {}
    cdef int at = 0, i, mtu = p.if_mtu, size = p.if_mtu, last = trace.last_hop()
    if p.first_mtu:
        # The first note is about a first hop that was silent.
        size = p.first_mtu
        notes = notes[1:]
    for item in notes:
        note = <ScamperTracePmtudNote>item
        reply = note.reply
        if reply is None:
            size = note.nhmtu
            continue
        i = (note.dist & 0xFF) - 1
        if i < 0:
            continue
        while at <= i and at < last:
            if hops[at] is not None:
                out[at] = mtu_mark(mtu, size)
            at += 1
        if reply.ptb():
            out.setdefault(i, mtu_mark(mtu, size))
            if i >= len(hops) or hops[i] is None or hops[i].src != reply.src:
                out[i] += f" ptb {reply.src}"
            if note.nhmtu != reply.nhmtu:
                out[i] += f" nhmtu {reply.nhmtu}!"
            mtu = reply.nhmtu
        size = note.nhmtu
    while at < last:
        if hops[at] is not None:
            out[at] = mtu_mark(mtu, size)
        at += 1
    return out


cdef str text_trace(ScamperTrace trace):
    cdef dict marks = {}
    cdef list by_ttl = [[] for _ in range(trace.hop_count)]
    source = "" if trace.src is None else f" from {trace.src}"
    via = "" if trace.rtr is None else f" via {trace.rtr}"
    out = [f"traceroute{source} to {trace.dst}{via}"]
    for hop in trace.all:
        by_ttl[(<ScamperTraceHop>hop).probe_ttl - 1].append(hop)
    if trace.pmtud is not None and trace.pmtud.version == 1:
        marks = mtu_marks_1(trace)
    elif trace.pmtud is not None and trace.pmtud.version == 2:
        marks = mtu_marks_2(trace)
    for i, hops in enumerate(by_ttl):
        out.append(hop_line(trace, i + 1, hops) + (marks.get(i, "") if i < trace.last_hop() else ""))
    return "\n".join(out)
