"""A vantage point's first contact: a one-time secret becomes a token of its own, kept in a file.

The exchange goes to exactly the controller that the invitation pins. The token file is written before
anything else can fail, with mode 0600, and replaces an older one in one step.
"""

import hashlib
import http.client
import json
import os
import ssl
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from onvp.sandbox.wire.invite import ENROL, Invitation, check_url, parse_invitation

TIMEOUT_S = 30
_ANSWER_LIMIT_BYTES = 64 << 10


class EnrolError(Exception):
    """Enrolment failed; the sentence says why and what to do."""


class Identity(NamedTuple):
    """Who this vantage point is to its controller.

    Attributes:
        vp: its name.
        url: the controller's address.
        token: the secret that opens the link.
        fingerprint: SHA-256 of the controller's certificate, None for the usual authorities.
    """

    vp: str
    url: str
    token: str
    fingerprint: str | None


def enrol(invitation: str | Invitation, name: str, *, save_to: Path | None = None) -> Identity:
    """Exchange the one-time line from ``onvp controller enrol`` for this vantage point's own token.

    Args:
        invitation: the line, ``onvp1.SECRET.FINGERPRINT@URL``.
        name: what the vantage point wants to be called.
        save_to: where to keep the result, see `save`.

    Raises:
        EnrolError: a broken line, an unreachable or wrong controller, a used or expired secret, a taken name.
    """
    try:
        secret, fingerprint, url = parse_invitation(invitation) if isinstance(invitation, str) else invitation
    except ValueError as error:
        raise EnrolError(str(error)) from error
    if not secret.startswith(ENROL):
        raise EnrolError(
            "this line is for a researcher (`onvp login`). For a vantage point the operator makes one with "
            "`onvp controller enrol`"
        )
    status, answer = _post(f"{url}/v1/enrol", fingerprint, {"secret": secret, "name": name})
    if status != 201:
        why = answer.get("error")
        told = f"{why.get('message')}. {why.get('hint')}" if isinstance(why, dict) else f"HTTP {status}"
        raise EnrolError(f"the controller at {url} refused: {told}")
    try:
        identity = Identity(str(answer["vp"]), url, str(answer["token"]), fingerprint)
    except KeyError as error:
        raise EnrolError(f"what answers at {url} is not an onvp controller") from error
    if save_to is not None:
        save(identity, save_to)
    return identity


def save(identity: Identity, path: Path) -> None:
    """Write the identity as JSON, readable by its owner only; an older file is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(identity._asdict(), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def load(path: Path) -> Identity:
    """Read what `save` wrote.

    Raises:
        EnrolError: missing, readable by others, or damaged.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            fields = json.load(file)
    except FileNotFoundError as error:
        raise EnrolError(
            f"{path} does not exist: this vantage point is not enrolled. Run `onvp-vp enrol` with a "
            f"line from `onvp controller enrol`"
        ) from error
    except (OSError, ValueError) as error:
        raise EnrolError(f"cannot read {path}: {error}. Enrol again") from error
    if mode & 0o077:
        raise EnrolError(f"{path} can be read by others: run `chmod 600 {path}`, or enrol again")
    try:
        identity = Identity(**fields)
        check_url(identity.url)
    except (TypeError, ValueError) as error:
        raise EnrolError(f"{path} is damaged: {error}. Enrol again") from error
    return identity


def _post(url: str, fingerprint: str | None, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        if fingerprint is not None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        connection.connect()
        if fingerprint is not None:
            _check(connection, fingerprint, parts.netloc)
        connection.request("POST", parts.path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read(_ANSWER_LIMIT_BYTES))
        if not isinstance(answer, dict):
            raise ValueError("not a JSON object")
    except ssl.SSLError as error:
        raise EnrolError(f"no secure connection to {parts.netloc}: {error}") from error
    except OSError as error:
        raise EnrolError(f"cannot reach the controller at {parts.netloc}: {error}") from error
    except (http.client.HTTPException, ValueError) as error:
        raise EnrolError(f"what answers at {parts.netloc} is not an onvp controller ({error})") from error
    finally:
        connection.close()
    return response.status, answer


def _check(connection: http.client.HTTPConnection, fingerprint: str, where: str) -> None:
    """The secret goes only to the certificate that the invitation pins."""
    tls = connection.sock
    certificate = tls.getpeercert(binary_form=True) if isinstance(tls, ssl.SSLSocket) else None
    found = hashlib.sha256(certificate).hexdigest() if certificate else "none"
    if found != fingerprint:
        raise EnrolError(
            f"{where} shows the certificate {found[:16]}…, the line pins {fingerprint[:16]}…. Either this is "
            f"not your controller, or the line is old: ask for a fresh one"
        )
