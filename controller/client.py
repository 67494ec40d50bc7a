"""The HTTP API from the researcher's side: plain calls, and an event stream that survives broken links.

The token is shown only to the controller that the login line pinned: the certificate is compared as soon
as TLS stands, before the first byte of HTTP.
"""

import hashlib
import json
import os
import re
import ssl
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from onvp.sandbox.wire.invite import USER, check_url, parse_invitation

TIMEOUT_S = 30.0
QUIET_S = 60.0
"""A followed stream that is silent for longer is dead: the controller sends something every 15 s."""

GIVE_UP_S = 600.0
_SLOWEST_S = 10.0


class ClientError(Exception):
    """The base of what can go wrong between this machine and the controller."""


class NoLoginError(ClientError):
    """Nobody told us which controller, or the token."""


class UnreachableError(ClientError):
    """The controller cannot be reached, or is not the one that was pinned."""


class ApiError(ClientError):
    """The controller said no.

    Attributes:
        status: the HTTP status.
        code: the stable code.
        hint: what to do next.
        details: more, for programs.
    """

    def __init__(self, status: int, code: str, message: str, hint: str, details: dict[str, Any]) -> None:
        super().__init__(f"{message}. {hint}" if hint else f"{message}.")
        self.status, self.code, self.hint, self.details = status, code, hint, details


class Login(NamedTuple):
    """Which controller, and as whom."""

    url: str
    token: str
    fingerprint: str | None

    @classmethod
    def parse(cls, line: str) -> "Login":
        """From the line that ``onvp controller user add`` printed.

        Raises:
            ValueError: it is not such a line.
        """
        token, fingerprint, url = parse_invitation(line)
        if not token.startswith(USER):
            raise ValueError(
                "this line is for a vantage point (`onvp-vp enrol`). For `onvp login` the operator "
                "makes one with `onvp controller user add`"
            )
        return cls(url, token, fingerprint)


def config_path() -> Path:
    """Where ``onvp login`` keeps the login."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "onvp" / "config.toml"


def save_login(login: Login) -> Path:
    """Keep the login in a file that only its owner reads."""
    path = config_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    text = f'url = "{login.url}"\ntoken = "{login.token}"\nfingerprint = "{login.fingerprint or ""}"\n'
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
    return path


def load_login() -> Login:
    """The login: ``ONVP_TOKEN`` (and ``ONVP_URL``, ``ONVP_FINGERPRINT``) first, then the file.

    Raises:
        NoLoginError: there is none, or it is damaged.
    """
    token, url = os.environ.get("ONVP_TOKEN"), os.environ.get("ONVP_URL")
    saved: dict[str, str] = {}
    path = config_path()
    try:
        if path.exists() and not (token and url):
            if path.stat().st_mode & 0o077:
                raise NoLoginError(f"{path} can be read by others: run `chmod 600 {path}`")
            saved = tomllib.loads(path.read_text("utf-8"))
        if token and token.startswith("onvp1."):
            return Login.parse(token)
        token, fingerprint = token or saved.get("token"), os.environ.get("ONVP_FINGERPRINT")
        if url is None:
            url, fingerprint = saved.get("url"), fingerprint or saved.get("fingerprint")
        if not token or not url:
            raise NoLoginError(
                "no controller is known. Run `onvp login` with the line from your operator, or set "
                "ONVP_URL and ONVP_TOKEN"
            )
        return Login(check_url(url), token, fingerprint or None)
    except (OSError, ValueError) as error:
        raise NoLoginError(f"the login cannot be used: {error}. Run `onvp login` again") from error


class Client:
    """One researcher's connection to the controller.

    Raises:
        ApiError, UnreachableError: from every method.
    """

    def __init__(self, login: Login) -> None:
        self.login = login
        self._http = httpx.Client(
            base_url=login.url,
            headers={"Authorization": f"Bearer {login.token}"},
            timeout=TIMEOUT_S,
            verify=_context(login.fingerprint),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def me(self) -> dict[str, Any]:
        """Who the controller thinks we are."""
        return self._call("GET", "/v1/me")

    def vps(self) -> list[dict[str, Any]]:
        """Every vantage point."""
        found: list[dict[str, Any]] = self._call("GET", "/v1/vps")["vps"]
        return found

    def submit(self, run: dict[str, Any]) -> dict[str, Any]:
        """Submit a run; the body is that of ``POST /v1/runs``."""
        return self._call("POST", "/v1/runs", json=run)

    def runs(self, limit: int) -> list[dict[str, Any]]:
        """The newest runs."""
        found: list[dict[str, Any]] = self._call("GET", f"/v1/runs?limit={limit}")["runs"]
        return found

    def run(self, run: str) -> dict[str, Any]:
        """One run."""
        return self._call("GET", _path(run))

    def cancel(self, run: str) -> None:
        """Ask to stop a run everywhere."""
        self._call("POST", f"{_path(run)}/cancel")

    def files(self, run: str, vp: str) -> list[dict[str, Any]]:
        """What a run left on a vantage point."""
        path = f"{_path(run)}/vps/{quote(vp, safe='')}/files"
        found: list[dict[str, Any]] = self._call("GET", path)["files"]
        return found

    def download(self, run: str, vp: str, name: str) -> Iterator[bytes]:
        """A file, in pieces."""
        path = f"{_path(run)}/vps/{quote(vp, safe='')}/file?name={quote(name, safe='')}"
        try:
            with self._http.stream("GET", path) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield from response.iter_bytes()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def events(
        self, run: str, after: int = 0, *, on_trouble: Callable[[str], None] | None = None
    ) -> Iterator[dict[str, Any]]:
        """A run's events, each exactly once, until it has ended everywhere.

        A broken link is dialled again and the stream goes on behind the last event, for `GIVE_UP_S`.

        Args:
            run: its id.
            after: the id of the last event that is known already.
            on_trouble: told a sentence when the link breaks.
        """
        wait_s, trouble_since = 0.25, None
        while True:
            try:
                for event in self._stream(run, after):
                    wait_s, trouble_since = 0.25, None
                    after = event["id"]
                    yield event
                    if event["type"] == "run" and event["data"]["state"] == "done":
                        return
                if self.run(run)["state"] == "done":
                    return  # nothing new since `after`
                problem = UnreachableError("the controller ended the stream")
            except UnreachableError as error:
                problem = error
            now = time.monotonic()
            if trouble_since is None:
                trouble_since = now
                if on_trouble is not None:
                    on_trouble(f"{problem}; trying again")
            if now - trouble_since > GIVE_UP_S:
                raise problem
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, _SLOWEST_S)

    def _stream(self, run: str, after: int) -> Iterator[dict[str, Any]]:
        path = f"{_path(run)}/events?follow=1&after={after}"
        try:
            timeout = httpx.Timeout(TIMEOUT_S, read=QUIET_S)
            with self._http.stream("GET", path, timeout=timeout) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                # Not iter_lines(): that splits at U+2028 and others, too, which JSON leaves as they are.
                rest = b""
                for chunk in response.iter_bytes():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line:
                            yield json.loads(line)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **body)
            if response.is_error:
                raise _refusal(response)
            answer: dict[str, Any] = response.json()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        except ValueError as error:
            raise UnreachableError(f"what answers at {self.login.url} is not an onvp controller") from error
        return answer

    def _unreachable(self, error: httpx.HTTPError) -> UnreachableError:
        why = str(error) or type(error).__name__
        return UnreachableError(f"cannot reach the controller at {self.login.url}: {why}")


def _path(run: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,64}", run):
        raise ApiError(404, "not-found", f"there is no run {run!r}", "See `onvp runs`.", {})
    return f"/v1/runs/{run}"


def _refusal(response: httpx.Response) -> ApiError:
    try:
        fields = response.json()["error"]
        return ApiError(response.status_code, fields["code"], fields["message"], fields["hint"], fields["details"])
    except (ValueError, KeyError, TypeError):
        return ApiError(response.status_code, "internal", f"HTTP {response.status_code}", "", {})


class _PinnedContext(ssl.SSLContext):
    """TLS to exactly one certificate."""

    fingerprint: str

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        tls = super().wrap_socket(*args, **kwargs)
        certificate = tls.getpeercert(binary_form=True)
        found = hashlib.sha256(certificate).hexdigest() if certificate else "none"
        if found != self.fingerprint:
            tls.close()
            raise ssl.SSLError(
                f"it shows the certificate {found[:16]}…, your login pins {self.fingerprint[:16]}…. Either "
                f"this is not your controller, or it has a new certificate: ask for a new login line"
            )
        return tls

    def wrap_bio(self, *_: Any, **__: Any) -> ssl.SSLObject:
        # Only reached for TLS inside TLS; there the handshake comes later, and nobody would compare.
        raise ssl.SSLError("a pinned certificate does not work through an https:// proxy")


def _context(fingerprint: str | None) -> ssl.SSLContext:
    if fingerprint is None:
        return ssl.create_default_context()
    context = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.fingerprint = fingerprint
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
