"""A policy file → a layer, or every problem that it has, each with file, line and column.

Nothing is silently ignored: a key that this version does not enforce is a problem, not a promise. A file
that is missing or cannot be read is a problem, too; the caller then has no policy, and nothing runs.
"""

from pathlib import Path
from typing import Any, Final

import msgspec

from onvp.policies import analyse, selftest
from onvp.policies.combine import ENGINE_VERSION, digest_of
from onvp.policies.errors import PolicyErrors, Problem
from onvp.policies.match import Period
from onvp.policies.model import Layer
from onvp.policies.reader import Reader
from onvp.policies.sections import (
    read_budgets,
    read_destinations,
    read_primitives,
    read_rates,
    read_roles,
    read_scripts,
    read_tests,
    read_windows,
)
from onvp.policies.source import MAX_BYTES, Node, Scalar, canonical, read

_KEYS: Final = (
    "onvp-policy", "layer", "id", "owner", "valid", "summary", "default", "primitives", "destinations",
    "rates", "budgets", "scripts", "windows", "who", "tests",
)  # fmt: skip
_UNSUPPORTED: Final = ("vps", "transparency")
_FILE_LAYERS: Final = ("host", "operator")
_LATER_LAYERS: Final = ("grant", "script")


def load_file(path: str | Path, *, now: float | None = None) -> Layer:
    """The layer that a file holds.

    Args:
        path: of the file.
        now: seconds since the epoch; when given, a policy that has expired is a problem. (Whoever decides
            checks it again.)

    Raises:
        PolicyErrors: with every problem of the file.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "nothing runs without a policy; write one, or give the right path"
        raise PolicyErrors([Problem(str(path), 0, 0, f"cannot be read: {error.strerror or error}", hint)]) from error
    return load_bytes(data, str(path), now=now)


def load_bytes(data: bytes, file: str, *, now: float | None = None, loader: Any = None) -> Layer:
    """The layer that ``data`` holds. ``file`` is its name for problems and rules.

    Raises:
        PolicyErrors: with every problem of the data.
    """
    root, problems = read(file, data, loader=loader) if loader else read(file, data)
    reader = Reader(file)
    reader.problems = problems
    if root is None and not problems:
        problems.append(Problem(file, 0, 0, "the file is empty", "nothing is allowed by an empty policy"))
    layer = _layer(reader, root, now) if root is not None else None
    if layer is not None and not reader.problems:
        reader.problems += selftest.run(layer)
    if layer is None or reader.problems:
        raise PolicyErrors(sorted(reader.problems, key=lambda p: (p.line, p.column)))
    return layer


def _layer(reader: Reader, root: Node, now: float | None) -> Layer | None:
    top = reader.mapping(root, "", _KEYS, _UNSUPPORTED)
    if not top:
        if not reader.problems:
            reader.say(root, "there is no policy in this file", "begin with onvp-policy: 1")
        return None
    version = _version(reader, root, top)
    if version is not None and version > ENGINE_VERSION:
        return None  # what else is strange in it may be right for its own version
    kind = _kind(reader, root, top)
    owner, contact = _owner(reader, top.get("owner"))
    reader.layer, reader.owner = kind, owner
    simple = {name: _text(reader, top, name) for name in ("id", "summary")}
    if "default" in top:
        reader.word(top["default"][1], "default", ["deny"])
    valid, valid_origin = _valid(reader, top.get("valid"), now)
    layer = Layer(
        kind=kind,
        file=reader.file,
        digest=digest_of(canonical(root)),
        id=simple["id"],
        owner=owner,
        contact=contact,
        summary=simple["summary"],
        valid=valid,
        valid_origin=valid_origin,
        primitives=read_primitives(reader, top.get("primitives")),
        destinations=read_destinations(reader, top.get("destinations")),
        rates=read_rates(reader, top.get("rates")),
        budgets=read_budgets(reader, top.get("budgets")),
        scripts=read_scripts(reader, top.get("scripts")),
        windows=read_windows(reader, top.get("windows")),
        roles=read_roles(reader, top.get("who")),
        tests=read_tests(reader, top.get("tests")),
    )
    analyse.examine(reader, layer)
    return _with_warnings(layer, reader)


def _with_warnings(layer: Layer, reader: Reader) -> Layer:
    return msgspec.structs.replace(layer, warnings=tuple(sorted(reader.warnings)))


def _version(reader: Reader, root: Node, top: dict[str, tuple[Scalar, Node]]) -> int | None:
    if "onvp-policy" not in top:
        reader.say(root, "onvp-policy is missing", f"the first line is onvp-policy: {ENGINE_VERSION}")
        return None
    node = top["onvp-policy"][1]
    text = reader.text(node, "onvp-policy")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        reader.say(node, f"onvp-policy is {text!r}", f"it takes a version, such as {ENGINE_VERSION}")
        return None
    if int(text) > ENGINE_VERSION:
        reader.say(
            node,
            f"this policy is of version {text}; this engine knows versions up to {ENGINE_VERSION}",
            "upgrade the VP; until then nothing is allowed",
        )
    elif int(text) < 1:
        reader.say(node, "onvp-policy is 0", f"versions are 1 to {ENGINE_VERSION}")
    return int(text)


def _kind(reader: Reader, root: Node, top: dict[str, tuple[Scalar, Node]]) -> Any:
    if "layer" not in top:
        reader.say(root, "layer is missing", "a site host's file says layer: host")
        return "host"
    node = top["layer"][1]
    text = reader.text(node, "layer")
    if text in _LATER_LAYERS:
        reader.say(node, f"layer {text} is not supported yet", "files are of layer host or operator")
        return "host"
    if text == "platform":
        reader.say(node, "the platform layer is built in", "a site host's file says layer: host")
        return "host"
    if text is not None and text not in _FILE_LAYERS:
        reader.unknown(node, text, _FILE_LAYERS, f"layer {text!r}")
        return "host"
    return text or "host"


def _text(reader: Reader, top: dict[str, tuple[Scalar, Node]], name: str) -> str:
    return (reader.text(top[name][1], name) or "") if name in top else ""


def _owner(reader: Reader, pair: tuple[Scalar, Node] | None) -> tuple[str, str]:
    if pair is None:
        return "", ""
    fields = reader.mapping(pair[1], "owner", ("name", "contact"))
    name, contact = (
        (reader.text(fields[k][1], f"owner.{k}") or "") if k in fields else "" for k in ("name", "contact")
    )
    return name, contact


def _valid(reader: Reader, pair: tuple[Scalar, Node] | None, now: float | None) -> tuple[Period, Any]:
    if pair is None:
        return Period(), None
    fields = reader.mapping(pair[1], "valid", ("from", "until", "zone"))
    zone = reader.zone(fields["zone"][1], "valid.zone") if "zone" in fields else "UTC"
    start, end = (
        reader.moment(fields[k][1], f"valid.{k}", zone or "UTC") if k in fields else None for k in ("from", "until")
    )
    node = fields["until"][1] if "until" in fields else pair[0]
    if start is not None and end is not None and end <= start:
        reader.say(node, "valid.until is not after valid.from", "such a policy never holds")
    elif now is not None and end is not None:
        days = (end - now) / 86400
        if days <= 0:
            reader.say(node, "this policy has expired", "everything is denied; give it a later valid.until")
        elif days <= 30:
            reader.warn(node, f"this policy expires in {days:.0f} days", "everything is denied afterwards")
    return Period(None, start, end), reader.origin("valid", pair[0])
