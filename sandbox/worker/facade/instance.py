"""What a control object hands out: vantage points, instances and tasks, with upstream's attributes."""

from typing import TYPE_CHECKING, Any

from onvp.native import _warts
from onvp.sandbox.wire import calls
from onvp.sandbox.worker.facade.hub import Hub, Pending

if TYPE_CHECKING:
    from onvp.sandbox.worker.facade.control import ScamperCtrl


class ScamperVp:
    """A vantage point: names, numbers and place. What is not known is None."""

    __slots__ = ("_index", "_info")

    def __init__(self, index: int, info: calls.Instance) -> None:
        self._index = index
        self._info = info

    name = property(lambda self: self._info.name, doc="The VP's name.")
    shortname = property(lambda self: self._info.shortname or self._info.name, doc="The short name.")
    asn4 = property(lambda self: self._info.asn4, doc="The AS number of its IPv4 address.")
    asn6 = property(lambda self: self._info.asn6, doc="The AS number of its IPv6 address.")
    ipv4 = property(lambda self: self._info.ipv4, doc="Its IPv4 address, as a str.")
    ipv6 = property(lambda self: self._info.ipv6, doc="Its IPv6 address, as a str.")
    loc = property(lambda self: self._info.loc, doc="(latitude, longitude) in degrees.")
    iata = property(lambda self: _upper(self._info.iata), doc="The code of the nearest airport.")
    cc = property(lambda self: _upper(self._info.cc), doc="The country code.")
    st = property(lambda self: _upper(self._info.st), doc="The state or province.")
    place = property(lambda self: self._info.place, doc="The place, in words.")
    tags = property(lambda self: set(self._info.tags), doc="Tags, as a set of str.")

    def __str__(self) -> str:
        return str(self.name)

    def __repr__(self) -> str:
        return f"<ScamperVp {self.name}>"


class ScamperMux:
    """Named for completeness; scripts meet muxes only through ``ScamperCtrl(mux=…)``."""

    __slots__ = ()


class ScamperInst:
    """A connected VP: what ``inst=`` takes, and what a result's ``inst`` is."""

    __slots__ = (
        "_busy", "_ctrl", "_decoders", "_done", "_eof", "_meta", "_more", "_removed", "_resultc", "_said_eof",
        "_taskc", "_vp",
    )  # fmt: skip

    def __init__(self, ctrl: "ScamperCtrl", vp: ScamperVp) -> None:
        self._ctrl = ctrl
        self._vp = vp
        self._taskc = 0
        self._busy = 0  # tasks under way, those of synchronous calls among them
        self._resultc = 0
        self._more = 1  # calls of morecb that are due
        self._meta = 0  # list and cycle records that were queued
        self._decoders: dict[int, _warts.Decoder] = {}  # by connection
        self._done = False
        self._eof = False
        self._said_eof = False
        self._removed = False

    name = property(lambda self: self._vp.name, doc="The VP's name.")
    shortname = property(lambda self: self._vp.shortname, doc="The short name.")
    asn4 = property(lambda self: self._vp.asn4, doc="The AS number of its IPv4 address.")
    asn6 = property(lambda self: self._vp.asn6, doc="The AS number of its IPv6 address.")
    ipv4 = property(lambda self: self._vp.ipv4, doc="Its IPv4 address, as a str.")
    ipv6 = property(lambda self: self._vp.ipv6, doc="Its IPv6 address, as a str.")
    loc = property(lambda self: self._vp.loc, doc="(latitude, longitude) in degrees.")
    iata = property(lambda self: self._vp.iata, doc="The code of the nearest airport.")
    cc = property(lambda self: self._vp.cc, doc="The country code.")
    st = property(lambda self: self._vp.st, doc="The state or province.")
    place = property(lambda self: self._vp.place, doc="The place, in words.")
    tags = property(lambda self: self._vp.tags, doc="Tags, as a set of str.")
    taskc = property(lambda self: self._taskc, doc="How many tasks are outstanding.")
    resultc = property(lambda self: self._resultc, doc="How many objects wait to be consumed.")

    def done(self) -> None:
        """No more tasks: the instance ends when its outstanding ones have."""
        self._done = True

    def is_done(self) -> bool:
        """Was ``done`` called?"""
        if self._removed:
            raise ValueError("ScamperInst removed from ctrl")
        return bool(self._done)

    def is_eof(self) -> bool:
        """Has the instance ended?"""
        return bool(self._eof)

    def __str__(self) -> str:
        return str(self.name)

    def __repr__(self) -> str:
        return f"<ScamperInst {self.name}>"


class ScamperTask:
    """A measurement under way."""

    __slots__ = ("_hub", "_pending")

    def __init__(self, hub: Hub, pending: Pending) -> None:
        self._hub = hub
        self._pending = pending

    def halt(self) -> None:
        """Ask the prober to stop; the result still arrives, with what was measured."""
        self._hub.halt(self._pending.task)

    @property
    def clamped(self) -> dict[str, tuple[Any, Any]]:
        """What a rule narrowed: ``{parameter: (asked, given)}``."""
        return {clamp.parameter: (clamp.asked, clamp.given) for clamp in self._pending.clamps}

    def __lt__(self, other: Any) -> bool:
        if not isinstance(other, ScamperTask):
            return NotImplemented
        return self._pending.task < other._pending.task


def _upper(value: str | None) -> str | None:
    return None if value is None else value.upper()
