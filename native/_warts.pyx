# cython: language_level=3, binding=False, auto_pickle=False, embedsignature=False
# cython: boundscheck=True, wraparound=False, initializedcheck=False, nonecheck=True, cdivision=True
"""The warts codec: recordings of scamper in, immutable result objects out, and back.

Theory of operation
    A warts stream is a row of records: an 8-byte header (magic, type, length) and a body. `Decoder` cuts
    the stream at the headers and hands each body to one reader, chosen by type. All reading of the
    body goes through `Cursor` (`warts/cursor.pxi`); nothing else touches the buffer. `Encoder` is the
    way back, and `Joiner` puts streams together without decoding them.

    Nearly everything in a record is a block of flags and parameters. A class that is stored this way
    derives from `Params` and has two methods, `take` (flag number -> read that field) and `give`
    (flag number -> write that field). `Params.has` remembers which flags were present, so that a
    recording comes back byte for byte.

House rules
    * Any bytes decode or raise `WartsError`. No count is trusted: memory grows only with bytes read.
    * Result classes are final, have no `__dict__`, are read-only from Python, and hold no reference to
      anything but their own parts, plain values, and `inst` (what the caller of `Decoder` gave).
    * `binding=False`: methods are builtin, so no function object leads to this module's globals.
    * No import, file, locale or time zone is touched after this module has been imported.

The format facts come from the public manual page warts(5) and from the field tables of scamper 20260420;
each `.pxi` says which. They were checked against the recordings in `tests/golden/`.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport datetime_new, import_datetime, timedelta_new
from cpython.object cimport Py_EQ, Py_GE, Py_GT, Py_LE, Py_LT, Py_NE, PyObject, PyTypeObject, newfunc
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.math cimport sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from datetime import datetime as _datetime
from datetime import timedelta as _timedelta
from datetime import timezone as _timezone
from enum import IntEnum
from json import dumps as _dumps

from onvp.native.errors import WartsError

import_datetime()

cdef object UTC = _timezone.utc

include "warts/cursor.pxi"
include "warts/values.pxi"
include "warts/enums.pxi"
include "warts/addr.pxi"
include "warts/list.pxi"
include "warts/icmpext.pxi"
include "warts/result.pxi"
include "warts/ping.pxi"
include "warts/trace.pxi"
include "warts/trace_text.pxi"
include "warts/host.pxi"
include "warts/tracelb.pxi"
include "warts/dealias.pxi"
include "warts/neighbourdisc.pxi"
include "warts/tbit.pxi"
include "warts/tbit_show.pxi"
include "warts/sting.pxi"
include "warts/sniff.pxi"
include "warts/http.pxi"
include "warts/udpprobe.pxi"
include "warts/owamp.pxi"
include "warts/build.pxi"
include "warts/stream.pxi"
include "warts/seal.pxi"
