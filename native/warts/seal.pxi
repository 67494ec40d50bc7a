# No result class can be made from Python: `type.__call__` and `__new__` end here. (The codec makes objects
# through Cython's own constructors, which do not ask this slot.)


cdef object refuse(type kind, PyObject *args, PyObject *kwargs):
    raise TypeError("This class cannot be instantiated directly.")


cdef void seal(object cls):
    (<PyTypeObject *>cls).tp_new = <newfunc>refuse


RESULT_KINDS = {6: ScamperTrace, 7: ScamperPing, 14: ScamperHost, 15: ScamperHttp, 16: ScamperUdpprobe}

for _cls in tuple(RESULT_KINDS.values()) + (
    Params, Cursor, Writer, Tables, Result, ScamperList, ScamperCycle, ScamperIcmpExt, ScamperIcmpExts,
    ScamperPingReply, ScamperPingReplyIPTS, ScamperTraceHop, ScamperTracePmtud, ScamperTracePmtudNote,
    Doubletree, Nothing, JoinerPart, ScamperHostRR, ScamperHostQuery, ScamperHostMX, ScamperHostSOA, ScamperHostTXT,
    ScamperHostOPT, ScamperHostOPTElem, ScamperHostSVCB, ScamperHostSVCBParam,
    ScamperHttpBuf, ScamperUdpprobeReply, ScamperUdpprobeProbe,
):
    seal(_cls)
del _cls
