"""What a host can set about its vantage point: one YAML file, each key also a flag of `onvp-vp run`.

Every key has a default except the policy: without one nothing runs. Unknown keys are errors, and all
problems of a file are told at once.
"""

import os
import pwd
import socket
from pathlib import Path
from typing import Any

import msgspec
import yaml

from onvp.sandbox.wire import calls

DEFAULT_FILE = Path("/etc/onvp/vp.yaml")
AGENT_ID = 64990
"""uid and gid of the agent when it is started as root and there is no user ``onvp``."""
WORKER_ID = 64991
"""uid and gid of workers; never the agent's."""


class ConfigError(ValueError):
    """A configuration that cannot be used; the sentence says which file, which key, and what to do."""


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the vantage point is; what is not known is left out."""

    shortname: str | None = None
    asn4: int | None = None
    asn6: int | None = None
    ipv4: str | None = None
    ipv6: str | None = None
    loc: tuple[float, float] | None = None
    iata: str | None = None
    cc: str | None = None
    st: str | None = None
    place: str | None = None
    tags: tuple[str, ...] = ()


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A vantage point's settings.

    Attributes:
        policy: the site host's policy file.
        name: what the vantage point is called.
        state: folder for the spool, the audit log, budgets and the identity.
        scamper: the prober's program, or the path of a control socket that is already there.
        companion: run the second prober, for what scamper lacks.
        user: whom the agent becomes when started as root: a name or a number.
        spool-bytes: how much may wait on disk for the controller.
        guards: ``static`` or ``full``: whether the language guards every operation, or only those
            where the answer can differ.
        place: metadata that researchers select by.
    """

    policy: str
    name: str = ""
    state: str = "/var/lib/onvp"
    scamper: str = "scamper"
    companion: bool = True
    user: str = ""
    spool_bytes: int = 1 << 30
    guards: str = "static"
    place: Place = Place()

    def instance(self) -> calls.Instance:
        """The VP as scripts and the controller see it."""
        return calls.Instance(name=self.vp_name(), **msgspec.structs.asdict(self.place))

    def vp_name(self) -> str:
        """The name, or this machine's."""
        return self.name or socket.gethostname()

    def ids(self) -> tuple[int, int]:
        """The uid and gid that the agent becomes.

        Raises:
            ConfigError: no such user, or root.
        """
        name = self.user or "onvp"
        if name.isdigit():
            uid = gid = int(name)
        else:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                if self.user:
                    raise ConfigError(f"user: there is no user {name!r}; create it, or give a number") from None
                return AGENT_ID, AGENT_ID
            uid, gid = entry.pw_uid, entry.pw_gid
        if uid == 0:
            raise ConfigError("user: the agent does not run as root; give another user")
        return uid, gid


def load(path: Path | None, overrides: dict[str, Any]) -> Config:
    """The settings from a file, with flags over them.

    Args:
        path: the file, or None for the default one if it is there.
        overrides: what the command line said; None counts as not said.

    Raises:
        ConfigError: unreadable, not YAML, or with a key or value that does not belong.
    """
    settings: dict[str, Any] = {}
    if path is None and DEFAULT_FILE.exists():
        path = DEFAULT_FILE
    if path is not None:
        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error
        if not isinstance(loaded, dict):
            raise ConfigError(f"{path}: expected keys and values, such as 'policy: /etc/onvp/policy.yaml'")
        settings = loaded
    for key, value in overrides.items():
        if isinstance(value, dict) and isinstance(settings.get(key), dict):
            settings[key] = settings[key] | value  # single facts of a place, over those of the file
        elif value is not None:
            settings[key] = value
    if "policy" not in settings:
        raise ConfigError("no policy: give --policy FILE (nothing runs on a vantage point without its host's policy)")
    try:
        config = msgspec.convert(settings, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path or 'command line'}: {error}") from None
    if config.guards not in {"static", "full"}:
        raise ConfigError(f"guards is static or full, not {config.guards!r}")
    return config


def own(folder: Path, uid: int, gid: int) -> Path:
    """Make a folder that only ``uid`` can enter, and give it what is in it (root only)."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.getuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, uid, gid, follow_symlinks=False)
    return folder
