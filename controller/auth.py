"""Secrets: 256 random bits each, kept only as SHA-256.

A fast hash is right here because there is nothing to guess: unlike passwords, these secrets are drawn
from 2^256. A hash is looked up by equality in the database's index; what its timing tells is the hash
of what the caller sent, not of what we hold.
"""

import hashlib
import re
import secrets
from typing import NamedTuple

from onvp.sandbox.wire.invite import ENROL, USER, VP

OPERATOR = "operator"
RESEARCHER = "researcher"

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


class User(NamedTuple):
    """Who asks."""

    name: str
    role: str

    @property
    def is_operator(self) -> bool:
        """Operators see every run and may cancel each."""
        return self.role == OPERATOR


def new_user_secret() -> str:
    """A researcher's token."""
    return USER + secrets.token_urlsafe(32)


def new_vp_secret() -> str:
    """A vantage point's token."""
    return VP + secrets.token_urlsafe(32)


def new_enrolment_secret() -> str:
    """A one-time secret."""
    return ENROL + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def bearer(header: str | None) -> str | None:
    """The secret in an ``Authorization: Bearer`` header (RFC 6750), None if there is none."""
    scheme, _, secret = (header or "").partition(" ")
    secret = secret.strip()
    return secret if scheme.lower() == "bearer" and 0 < len(secret) <= 256 else None


def is_name(text: str) -> bool:
    """Whether a text can name a user or a vantage point: it becomes a folder name and a host label."""
    return _NAME.fullmatch(text) is not None and ".." not in text


NAME_RULE = "names are 1 to 63 of a-z, 0-9, '.' and '-', and start and end with a letter or digit"
