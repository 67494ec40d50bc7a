# No result class can be made from Python: `type.__call__` and `__new__` end in `refuse`. (The codec makes
# objects through Cython's own constructors, which do not ask these slots.)

cdef extern from "Python.h":
    ctypedef struct Slots "PyTypeObject":
        newfunc tp_new
        void *tp_vectorcall


cdef object refuse(type kind, PyObject *args, PyObject *kwargs):
    raise TypeError("This class cannot be instantiated directly.")


cdef void seal(object cls) noexcept:
    (<Slots *>cls).tp_new = <newfunc>refuse
    (<Slots *>cls).tp_vectorcall = NULL


RESULT_KINDS = {
    6: ScamperTrace, 7: ScamperPing, 8: ScamperTracelb, 9: ScamperDealias, 10: ScamperNeighbourdisc,
    11: ScamperTbit, 12: ScamperSting, 13: ScamperSniff, 14: ScamperHost, 15: ScamperHttp,
    16: ScamperUdpprobe, 17: ScamperOwamp,
}

for _cls in tuple(RESULT_KINDS.values()) + (
    Params, Cursor, Writer, Tables, Result, ScamperList, ScamperCycle, ScamperIcmpExt, ScamperIcmpExts,
    ScamperPingReply, ScamperPingReplyIPTS,
    ScamperTraceHop, ScamperTracePmtud, ScamperTracePmtudNote, Doubletree, Nothing,
    ScamperTracelbReply, ScamperTracelbProbe, ScamperTracelbProbeset, ScamperTracelbNode,
    ScamperTracelbLink, LbNode, LbLink,
    ScamperDealiasReply, ScamperDealiasProbe, DealiasPlan,
    NeighbourProbe, NeighbourReply,
    ScamperTbitPkt, TbitBlock, TcpView,
    StingPkt, ScamperSniffPkt,
    ScamperHostRR, ScamperHostQuery, ScamperHostMX, ScamperHostSOA, ScamperHostTXT, ScamperHostOPT,
    ScamperHostOPTElem, ScamperHostSVCB, ScamperHostSVCBParam,
    ScamperHttpBuf, ScamperUdpprobeReply, ScamperUdpprobeProbe,
    ScamperOwampSched, ScamperOwampRx, ScamperOwampTx,
    JoinerPart,
):
    seal(_cls)
del _cls
