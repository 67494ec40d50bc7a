"""A vantage point's settings: defaults, file, flags, and every mistake as a sentence."""

import os
from pathlib import Path
from typing import Any

import pytest

from onvp.sandbox.agent import config
from onvp.sandbox.agent.config import AGENT_ID, Config, ConfigError


def test_a_file_is_read_and_flags_are_laid_over_it(tmp_path: Path) -> None:
    """What the command line says wins, key by key, also within a place; None counts as not said."""
    file = tmp_path / "vp.yaml"
    file.write_text("policy: a.yaml\nname: vp1\nspool-bytes: 5\nplace: {cc: nz, asn4: 64500, tags: [a, b]}\n")

    made = config.load(file, {"policy": "b.yaml", "name": None, "place": {"cc": "au"}})

    assert (made.policy, made.name, made.spool_bytes) == ("b.yaml", "vp1", 5)
    assert made.place.cc == "au"
    assert made.place.asn4 == 64500
    assert made.instance().tags == ("a", "b")


def test_only_the_policy_has_no_default(tmp_path: Path) -> None:
    """With a policy alone everything else has a value; without one nothing runs."""
    assert config.load(None, {"policy": "x.yaml"}) == Config(policy="x.yaml")
    assert Config(policy="x").vp_name() == os.uname().nodename
    with pytest.raises(ConfigError, match="no policy: give --policy FILE"):
        config.load(None, {})
    empty = tmp_path / "vp.yaml"
    empty.write_text("name: x\n")
    with pytest.raises(ConfigError, match="no policy"):
        config.load(empty, {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "expected keys and values"),
        ("- a\n", "expected keys and values"),
        ("policy: [", "cannot be read"),
        ("policy: a\n\tx: 1\n", "cannot be read"),
        ("policy: a\npolycy: b\n", "polycy"),
        ("policy: 5\n", "policy"),
        ("policy: a\nspool-bytes: many\n", "spool-bytes"),
        ("policy: a\nplace: {country: nz}\n", "country"),
        ("policy: a\nguards: none\n", "guards is static or full"),
        ("policy: !!python/object/apply:os.system [id]\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_sentence_that_names_it(tmp_path: Path, text: str, sentence: str) -> None:
    """Not YAML, an unknown key, a wrong type, code in YAML: the file and the key are named."""
    file = tmp_path / "vp.yaml"
    file.write_text(text)

    with pytest.raises(ConfigError, match=sentence):
        config.load(file, {})


def test_a_file_that_is_not_there_or_not_text_is_a_sentence(tmp_path: Path) -> None:
    """The path is in the sentence."""
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        config.load(tmp_path / "none.yaml", {})
    (tmp_path / "vp.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"vp\.yaml: cannot be read"):
        config.load(tmp_path / "vp.yaml", {})


@pytest.mark.parametrize(("user", "ids"), [("1234", (1234, 1234)), ("nobody", None), ("", None)])
def test_the_agent_becomes_somebody_who_is_not_root(user: str, ids: tuple[int, int] | None) -> None:
    """A number, a name, or what there is when nothing is said."""
    uid, gid = Config(policy="x", user=user).ids()

    assert uid != 0
    assert ids is None or (uid, gid) == ids
    assert user != "" or uid == AGENT_ID or uid > 0


@pytest.mark.parametrize(
    ("user", "sentence"), [("root", "does not run as root"), ("0", "does not run as root"), ("nobody-here", "no user")]
)
def test_the_agent_does_not_become_root_or_nobody_known(user: str, sentence: str) -> None:
    """Root by name or number is refused, and so is a name that is not there."""
    with pytest.raises(ConfigError, match=sentence):
        Config(policy="x", user=user).ids()


def test_a_folder_of_ones_own_is_closed_to_others(tmp_path: Path) -> None:
    """What the agent keeps can be entered by the agent alone."""
    (tmp_path / "state").mkdir()
    made = config.own(tmp_path / "state" / "deep", os.getuid(), os.getgid())

    assert made.stat().st_mode & 0o777 == 0o700
    assert made.stat().st_uid == os.getuid()


def test_an_instance_carries_every_fact_of_the_place() -> None:
    """What scripts see is what the host set."""
    facts: dict[str, Any] = {"asn4": 64500, "cc": "nz", "ipv4": "198.18.0.1", "loc": (-37.8, 175.3), "tags": ("x",)}

    instance = Config(policy="x", name="vp1", place=config.Place(**facts)).instance()

    assert instance.name == "vp1"
    assert all(getattr(instance, name) == value for name, value in facts.items())
