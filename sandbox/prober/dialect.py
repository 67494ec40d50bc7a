"""Which words a prober knows, told by its version alone.

Two generations of scamper are in wide use: 20211212 (Debian 12) and the releases since 2024. What lies
between is served as well, because every difference is bound to the release that first had it. The
companion speaks the newest grammar and serves fewer primitives.

Source: upstream's releases 20210324 to 20260420, and both programs driven over their sockets.
"""

import enum
import re
from typing import NamedTuple

from onvp.policies.action import ACTIONS
from onvp.sandbox.prober.errors import ProberUnavailable

NEWEST = 99991231
"""A release that has everything: the companion's grammar."""

RESULT_IDS = 20230224
"""First release that says which task a result belongs to."""

TIME_SUFFIXES = 20240117
"""First release that reads ``20ms`` and ``1500us``; before, times are integers in an option's own unit."""

PRIMITIVE_SINCE: dict[str, int] = {
    "ping": 0, "trace": 0, "tracelb": 0, "dns": 0, "sniff": 0, "tbit": 0,
    "ally": 0, "mercator": 0, "prefixscan": 0, "radargun": 0,
    "http": 20240117, "udpprobe": 20240117, "midarest": 20240117, "midardisc": 20240117,
    "owamp": 20260105,
}  # fmt: skip
"""The first release that has a primitive; 0: older than any that is served."""

_COMPANION = re.compile(r"onvp-\d+(\.\d+){1,3}(\+[0-9A-Za-z.]{1,32})?")
_RELEASE = re.compile(r"(20\d{6})[a-z0-9.-]{0,16}")
_OLDEST = 20211212


class Generation(enum.Enum):
    """What a client has to get used to."""

    OLD = "old"  # no ids on results, no reasons in refusals, times are integers
    NEW = "new"
    COMPANION = "companion"


class Dialect(NamedTuple):
    """One prober's grammar.

    Attributes:
        name: what people call it: ``scamper 20211212``, ``companion 0.1.0``.
        release: scamper's release date as a number; `NEWEST` for the companion.
        primitives: what it can do at all.
    """

    name: str
    release: int
    primitives: frozenset[str]

    @property
    def generation(self) -> Generation:
        """The generation it belongs to."""
        if self.release == NEWEST:
            return Generation.COMPANION
        return Generation.NEW if self.release >= TIME_SUFFIXES else Generation.OLD

    @property
    def tells_ids(self) -> bool:
        """Whether results say which task they belong to."""
        return self.release >= RESULT_IDS


def dialect_of(version: str, primitives: str = "") -> Dialect:
    """The grammar of the prober that answered ``get version`` with ``version``.

    Args:
        version: a release of scamper, or ``onvp-`` and the companion's version.
        primitives: what a companion answered to ``get primitives``: names with commas between.

    Raises:
        ProberUnavailable: it is no prober that we know, or one older than 20211212.
    """
    if _COMPANION.fullmatch(version):
        return Dialect(f"companion {version[5:]}", NEWEST, frozenset(primitives.split(",")) & ACTIONS.keys())
    match = _RELEASE.fullmatch(version)
    if match is None:
        raise ProberUnavailable(
            f"the prober calls its version {version[:40]!r}, which is no scamper release (20211212, "
            "20260420, …); check what listens on its control socket"
        )
    release = int(match[1])
    if release < _OLDEST:
        raise ProberUnavailable(f"scamper {version} is too old; install {_OLDEST} or later")
    serves = frozenset(p for p in ACTIONS if PRIMITIVE_SINCE[p] <= release)
    return Dialect(f"scamper {version}", release, serves)
