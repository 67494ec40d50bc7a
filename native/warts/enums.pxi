# The public enumerations. Facts: names and values of upstream's Python module 20260420/20260902.


def _enum(name, words):
    """An IntEnum whose members count from 0, or take the numbers given."""
    pairs = words if isinstance(words, dict) else {word: n for n, word in enumerate(words.split())}
    return IntEnum(name, pairs, module="onvp.native._warts")


ScamperTraceStop = _enum(
    "ScamperTraceStop",
    "NoReason Completed Unreach Icmp Loop GapLimit Error HopLimit GSS Halted InProgress",
)
ScamperPingStop = _enum("ScamperPingStop", "NoReason Completed Error Halted InProgress")
ScamperHostStop = _enum("ScamperHostStop", "NoReason Completed Timeout Halted Error")
ScamperHttpStop = _enum(
    "ScamperHttpStop", "NoReason Halted NoConnection Completed Error Timeout Insecure"
)
ScamperSniffStop = _enum("ScamperSniffStop", "NoReason Error LimitTime LimitPktC Halted")
ScamperUdpprobeStop = _enum("ScamperUdpprobeStop", "NoReason Completed Halted Error")
ScamperOwampResult = _enum(
    "ScamperOwampResult", "NoReason Completed Halted Error NoConn NotAccepted NoMode Timeout"
)
ScamperOwampSchedType = _enum("ScamperOwampSchedType", "Fixed Exponential")
ScamperTracelbMethod = _enum(
    "ScamperTracelbMethod",
    {"UdpDport": 1, "IcmpEcho": 2, "UdpSport": 3, "TcpSport": 4, "TcpAckSport": 5},
)
ScamperHttpEchStatus = _enum(
    "ScamperHttpEchStatus",
    "NoStatus Unknown Failed Success Grease GreaseEch Backend BadCall NotTried BadName "
    "NotConfigured FailedEch FailedEchBadName",
)
ScamperHostType = _enum(
    "ScamperHostType",
    {
        "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "OPT": 41,
        "DS": 43, "SSHFP": 44, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "SVCB": 64, "HTTPS": 65,
    },
)

cdef tuple TRACE_STOP = (
    "none", "completed", "unreach", "icmp", "loop", "gaplimit", "error", "hoplimit", "gss", "halted",
    "inprogress",
)
cdef tuple PING_STOP = ("none", "done", "error", "halted", "inprogress")
cdef tuple HOST_STOP = ("none", "done", "timeout", "halted", "error")
cdef tuple HTTP_STOP = ("none", "halted", "noconn", "done", "error", "timeout", "insecure")
cdef tuple UDPPROBE_STOP = ("none", "done", "halted", "error")
cdef tuple OWAMP_RESULT = (
    "none", "done", "halted", "error", "noconn", "notaccepted", "nomode", "timeout",
)
cdef tuple OWAMP_SCHED = ("fixed", "exponential")


cdef dict members_of(object enum):
    """Number to member, so that an unknown number can stay a plain int without an exception."""
    return {int(member): member for member in enum}


cdef dict TRACE_STOPS = members_of(ScamperTraceStop)
cdef dict PING_STOPS = members_of(ScamperPingStop)
cdef dict HOST_STOPS = members_of(ScamperHostStop)
cdef dict HTTP_STOPS = members_of(ScamperHttpStop)
cdef dict SNIFF_STOPS = members_of(ScamperSniffStop)
cdef dict UDPPROBE_STOPS = members_of(ScamperUdpprobeStop)
cdef dict OWAMP_RESULTS = members_of(ScamperOwampResult)
cdef dict OWAMP_SCHEDS = members_of(ScamperOwampSchedType)
cdef dict TRACELB_METHODS = members_of(ScamperTracelbMethod)
cdef dict ECH_STATUSES = members_of(ScamperHttpEchStatus)
