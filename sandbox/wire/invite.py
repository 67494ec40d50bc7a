"""The line of text that a person carries from the controller to a vantage point or to her own machine.

It holds a secret, the fingerprint of the only certificate to show the secret to, and where to go::

    onvp1.SECRET.FINGERPRINT@https://controller.example:8440

``FINGERPRINT`` is the SHA-256 of the certificate in lower-case hex, or ``-`` when the address is a
loopback without TLS, or a name whose certificate the usual authorities vouch for. The first letters of
the secret say what it opens (`ENROL`, `USER`, `VP`), so that a token in the wrong place is recognised.
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

ENROL = "enr_"
"""A one-time secret that a new vantage point exchanges for its own."""

USER = "usr_"
"""A researcher's secret."""

VP = "vpt_"
"""A vantage point's secret."""

_SHAPE = re.compile(r"onvp1\.([A-Za-z0-9_-]{8,128})\.([0-9a-f]{64}|-)@(.+)")


class Invitation(NamedTuple):
    """A secret, the certificate to trust (None for the usual authorities), and the controller's URL."""

    secret: str
    fingerprint: str | None
    url: str

    def __str__(self) -> str:
        return f"onvp1.{self.secret}.{self.fingerprint or '-'}@{self.url}"


def parse_invitation(text: str) -> Invitation:
    """Read the line that `Invitation` wrote.

    Raises:
        ValueError: with a sentence that says what is wrong with the line.
    """
    match = _SHAPE.fullmatch("".join(text.split()))
    if match is None:
        raise ValueError("this is not an onvp token. It has the form onvp1.SECRET.FINGERPRINT@URL; copy the whole line")
    secret, fingerprint, url = match.groups()
    return Invitation(secret, None if fingerprint == "-" else fingerprint, check_url(url))


def check_url(url: str) -> str:
    """The controller's URL without a trailing slash.

    Raises:
        ValueError: it is not ``http(s)://HOST[:PORT]``, or is plain ``http`` to another machine.
    """
    parts = urlsplit(url)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"the controller's URL {url!r} is broken: {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or "@" in url:
        raise ValueError(f"the controller's URL {url!r} is not of the form https://HOST:PORT")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"{url!r} would send secrets in the clear: only a loopback address may do without TLS")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether an address or name stays on this machine."""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None
