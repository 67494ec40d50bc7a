"""What an operator may set, in ``controller.toml`` inside the data folder.

The data folder holds everything: ``controller.toml``, ``controller.db``, and the certificate with its key
if the controller made its own. Unknown keys are errors.
"""

import hashlib
import ssl
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from onvp.controller.errors import SettingsError
from onvp.sandbox.wire.invite import check_url, is_loopback

FILE = "controller.toml"
DATABASE = "controller.db"
CERTIFICATE = "certificate.pem"
KEY = "key.pem"


@dataclass(frozen=True)
class Settings:
    """The controller's settings; the defaults stand here and in docs/reference/cli.md.

    Attributes:
        listen: address to listen on.
        port: TCP port.
        url: what clients use; goes into enrolment and login lines.
        certificate: PEM file with the certificate chain; empty for none (loopback only).
        key: PEM file with its private key.
        pin: whether lines carry the certificate's fingerprint; False for one from a public authority.
        grace_s: how long a vantage point may be away before its runs are lost.
        most_source_bytes: the largest script.
        most_inputs_bytes: the largest sum of input files.
        most_run_bytes: what is kept of one run on one vantage point.
        most_bytes: the largest database, 0 for no limit.
        least_free_bytes: the disk's reserve, below which nothing new is taken.
    """

    listen: str = "127.0.0.1"
    port: int = 8440
    url: str = "http://127.0.0.1:8440"
    certificate: str = ""
    key: str = ""
    pin: bool = True
    grace_s: float = 900.0
    most_source_bytes: int = 1 << 20
    most_inputs_bytes: int = 8 << 20
    most_run_bytes: int = 1 << 30
    most_bytes: int = 0
    least_free_bytes: int = 64 << 20

    @property
    def has_tls(self) -> bool:
        """Whether the controller itself speaks TLS."""
        return bool(self.certificate)

    def fingerprint(self, data: Path) -> str | None:
        """What enrolment and login lines pin; None if clients ask the usual authorities."""
        if not self.has_tls or not self.pin:
            return None
        return fingerprint_of(data / self.certificate)


def fingerprint_of(certificate: Path) -> str:
    """SHA-256 of the first certificate in a PEM file, in hex.

    Raises:
        SettingsError: the file holds none.
    """
    try:
        text = certificate.read_text("utf-8")
        start, end = text.index("-----BEGIN CERTIFICATE-----"), text.index("-----END CERTIFICATE-----")
        first = text[start:end] + "-----END CERTIFICATE-----\n"
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(first)).hexdigest()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{certificate}: no certificate can be read from it: {error}") from error


def load(data: Path) -> Settings:
    """Read and check the settings of a data folder.

    Raises:
        SettingsError: no such file, unknown key, wrong type, or no TLS beyond the loopback.
    """
    path = data / FILE
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{path} does not exist. Run `onvp controller init --data {data}` first") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    types = {field.name: type(field.default) for field in fields(Settings)}
    for name, value in found.items():
        if name not in types:
            raise SettingsError(f"{path}: unknown key {name!r}. The keys are {', '.join(types)}")
        wanted = types[name]
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise SettingsError(f"{path}: {name!r} has to be of type {wanted.__name__}, not {value!r}")
    settings = Settings(**found)
    _check(path, settings)
    return settings


def _check(path: Path, settings: Settings) -> None:
    try:
        check_url(settings.url)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error
    if not 0 <= settings.port < 65536:
        raise SettingsError(f"{path}: port {settings.port} is not between 0 and 65535")
    if settings.has_tls != bool(settings.key):
        raise SettingsError(f"{path}: 'certificate' and 'key' go together")
    if not settings.has_tls and not is_loopback(settings.listen):
        raise SettingsError(
            f"{path}: the controller listens on {settings.listen}, beyond this machine, and has no "
            f"certificate. Set 'certificate' and 'key'; `onvp controller init` in a new folder makes them"
        )


def write(data: Path, values: dict[str, Any]) -> None:
    """Write ``controller.toml``; strings and numbers only."""
    lines = ["# Settings of an onvp controller; every key is explained in docs/reference/cli.md."]
    for name, value in values.items():
        match value:
            case bool():
                lines.append(f"{name} = {str(value).lower()}")
            case str():
                escaped = value.replace("\\", "\\\\").replace('"', '\\"')
                lines.append(f'{name} = "{escaped}"')
            case _:
                lines.append(f"{name} = {value}")
    (data / FILE).write_text("\n".join(lines) + "\n", "utf-8")


def initialise(
    data: Path,
    *,
    listen: str,
    port: int,
    url: str | None,
    chain: Path | None = None,
    key: Path | None = None,
    tls: bool | None = None,
) -> Settings:
    """Make a data folder.

    Args:
        data: the folder; made with mode 0700.
        listen: address to listen on.
        port: TCP port.
        url: what clients use; None to derive it from the address.
        chain: a certificate from elsewhere; None to make one where TLS is needed.
        key: its key.
        tls: force TLS on a loopback, too.

    Raises:
        SettingsError: the folder is in use, or the address needs more than was given.
    """
    if (data / FILE).exists():
        raise SettingsError(f"{data / FILE} exists: this folder is in use. Edit the file, or choose another")
    if (chain is None) != (key is None):
        raise SettingsError("a certificate and its key go together: give both --cert and --key, or none")
    with_tls = tls or chain is not None or not is_loopback(listen)
    if url is None:
        if listen in ("0.0.0.0", "::"):  # noqa: S104
            raise SettingsError(
                f"with --listen {listen} clients need to know the controller's name: add --url https://NAME:{port}"
            )
        host = f"[{listen}]" if ":" in listen else listen
        url = f"{'https' if with_tls else 'http'}://{host}:{port}"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    values: dict[str, Any] = {"listen": listen, "port": port, "url": url}
    if with_tls and chain is None:
        # Only here: the library takes longer to import than most commands take to run.
        from onvp.controller.certificate import make_certificate  # noqa: PLC0415

        make_certificate(urlsplit(url).hostname or listen, data / CERTIFICATE, data / KEY)
        values |= {"certificate": CERTIFICATE, "key": KEY}
    elif chain is not None and key is not None:
        values |= {"certificate": str(chain.resolve()), "key": str(key.resolve())}
    write(data, values)
    return load(data)
