"""What the layout promises, compared with what is there."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from onvp.policies.action import ACTIONS
from onvp.sandbox.prober import command, dialect
from onvp.sandbox.worker.facade import primitives

ROOT = Path(__file__).parents[2]
TOP = {
    "pyproject.toml", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", ".ci", ".gitignore", "sandbox", "native",
    "controller", "policies", "tests", "docs",
}  # fmt: skip


def tracked() -> list[str]:
    """The files of the project, also those that are not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return listed.stdout.splitlines()


def test_the_top_level_holds_the_rooms_and_nothing_else() -> None:
    """The top level holds the rooms and the few files that stand beside them."""
    assert {name.split("/")[0] for name in tracked()} <= TOP


def test_every_room_says_what_it_is_and_does_nothing_when_imported() -> None:
    """Each package's __init__ is its map: a docstring, and no code."""
    for name in tracked():
        if not name.endswith("__init__.py") or name.startswith("tests/"):
            continue
        lines = (ROOT / name).read_text()
        if name == "controller/schema/__init__.py" and not lines.strip():
            continue
        code = compile(lines, name, "exec")
        assert code.co_consts[0] and isinstance(code.co_consts[0], str), name
        assert set(code.co_names) <= {"__doc__"}, name


@pytest.mark.parametrize("name", ACTIONS)
def test_a_measurement_is_in_every_table_that_it_belongs_in(name: str) -> None:
    """Each primitive has an action, a method with the same parameters, a rendering and a page."""
    method = getattr(primitives.Primitives, f"do_{name}")
    parameters = set(inspect.signature(method).parameters) - {"self", "inst", "sync", "recordroute"}

    assert parameters == set(ACTIONS[name].__struct_fields__), f"do_{name} and its action differ"
    known = set().union(*(dialect.dialect_of(version).primitives for version in ("20211212", "20260420", "onvp-0.1.0")))
    assert name in known, f"no prober serves {name}"
    assert name in command._ROWS, f"{name} cannot be rendered"
    assert (ROOT / "docs" / "reference" / "primitives" / f"{name}.md").exists(), f"{name} has no page"


def test_nothing_of_the_trusted_side_is_in_the_process_that_runs_scripts() -> None:
    """After its preload the process from which workers are forked holds no trusted module but the jail."""
    probe = (
        "import json, sys; from onvp.sandbox.worker import main; main.preload(); "
        "print(json.dumps(sorted(n for n in sys.modules if n.startswith('onvp.'))))"
    )
    found = json.loads(subprocess.run([sys.executable, "-I", "-c", probe], capture_output=True, check=True).stdout)

    for trusted in ("agent", "broker", "prober"):
        assert not [name for name in found if name.startswith(f"onvp.sandbox.{trusted}")]
    assert not [
        name for name in found if name.startswith(("onvp.policies", "onvp.controller", "onvp.sandbox.companion"))
    ]


def test_the_agent_loads_neither_the_researchers_libraries_nor_what_runs_inside_the_jail() -> None:
    """The daemon imports no click, no RestrictedPython, no codec (structlog loads rich where it is installed)."""
    probe = "import json, sys; from onvp.sandbox.agent import main; print(json.dumps(sorted(sys.modules)))"
    found = set(json.loads(subprocess.run([sys.executable, "-I", "-c", probe], capture_output=True, check=True).stdout))

    assert not found & {
        "click",
        "RestrictedPython",
        "onvp.native._warts",
        "onvp.sandbox.lang.check",
        "starlette",
    }


def test_docs_reach_every_command_of_the_vantage_point() -> None:
    """Every command of onvp-vp has a help text and a place in the docs."""
    from onvp.sandbox.agent.main import _parser

    commands = next(action for action in _parser()._actions if action.dest == "command")
    page = (ROOT / "docs" / "reference" / "onvp-vp.md").read_text()
    for name in commands.choices or {}:
        assert f"`onvp-vp {name}" in page, f"docs/reference/onvp-vp.md does not tell of {name}"
