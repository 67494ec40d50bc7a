"""The pages about the language cannot lie."""

import re
from pathlib import Path

import pytest

from onvp.policies import load, sections
from onvp.policies.action import ACTIONS
from onvp.policies.combine import combine
from onvp.policies.load import load_bytes
from onvp.policies.model import ScriptLimits
from onvp.policies.parameters import CHOICES, PARAMETERS
from onvp.policies.special import GROUPS
from onvp.policies.units import SIZES, TIMES

REFERENCE = Path("docs/reference/policy.md")
HOWTO = Path("docs/howto/write-a-policy.md")


def parameter_table() -> str:
    """The table of parameters as it must stand in the reference."""
    rows = ["| primitive | parameters |", "|---|---|"]
    rows += [
        f"| `{name}` | {' '.join(f'`{p}`' for p in sorted(table)) or 'none'} |" for name, table in PARAMETERS.items()
    ]
    return "\n".join(rows)


def test_parameters() -> None:
    """The reference lists every parameter that can be bounded, and no other."""
    assert parameter_table() in REFERENCE.read_text()


def test_every_word() -> None:
    """Every key, primitive, list, group and unit of the language is in the reference."""
    text = REFERENCE.read_text()
    code = set(re.findall(r"[\w-]+", " ".join(re.findall(r"`([^`]+)`", text))))
    words = {*load._KEYS, *load._UNSUPPORTED, *ACTIONS, *GROUPS, *SIZES, *TIMES, "this-site"}
    words |= {word for table in CHOICES.values() for word in table}
    for known in re.findall(r"\(((?:\"[a-z_]+\",? ?)+)\)", Path(sections.__file__).read_text()):
        words |= set(re.findall(r"[a-z_]+", known))
    assert {word for word in words if word not in code} == set()


def test_defaults() -> None:
    """The limits of scripts in the reference are those that hold."""
    text, limits = REFERENCE.read_text(), ScriptLimits()

    assert f"| `cpu` | `{{total: duration}}` | `{limits.cpu_s:.0f}s` |" in text
    assert f"| `memory` | size | `{limits.memory_bytes >> 20}MiB` |" in text
    assert f"| `wall` | duration | `{limits.wall_s / 3600:.0f}h` |" in text
    assert f"`{limits.artifact_bytes >> 20}MiB`" in text
    assert f"`{{user: {limits.concurrent_user}, vp: {limits.concurrent_vp}}}`" in text
    assert f"`{limits.calls // 1000}k`" in text
    assert f"the least confinement | `{limits.level}`" in text


@pytest.mark.parametrize("number", range(2))
def test_howto(number: int) -> None:
    """The policies in the how-to load without a warning and allow something."""
    block = re.findall(r"```yaml\n(.*?)```", HOWTO.read_text(), re.DOTALL)[number]
    layer = load_bytes(block.encode(), "howto.yaml")

    assert layer.warnings == ()
    assert combine([layer]).allowed_primitives()
