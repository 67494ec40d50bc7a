"""The pages of the measurements are true: their tables are the code's, and their examples run."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onvp.policies.action import ACTIONS
from tests.docs import primitives
from tests.world import World

DOCS = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", ACTIONS)
def test_a_pages_table_is_what_the_code_says(name: str) -> None:
    """The generated part is up to date: `python -m tests.docs.primitives` would change nothing."""
    assert primitives.page(name).read_text() == primitives.renewed(name)


def test_every_link_of_these_pages_leads_somewhere() -> None:
    """Relative links name files that are there."""
    pages = [*primitives.PAGES.glob("*.md"), DOCS / "coming-from-upstream.md"]
    assert len(pages) == len(ACTIONS) + 2
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)


def test_every_example_runs_and_prints(world: World, tmp_path: Path) -> None:
    """Each page's example runs on a VP as it stands, to its end, and has something to say."""

    def run(name: str) -> tuple[str, int, str]:
        (example,) = re.findall(r"^```python\n(.*?)^```$", primitives.page(name).read_text(), re.MULTILINE | re.DOTALL)
        path = tmp_path / f"{name}.py"
        path.write_text(example)
        done = world.onvp("run", "--json", str(path), "--vp", "vp1", check=False)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        text = "".join(event["data"]["text"] for event in events if event["type"] == "output")
        return name, done.returncode, text or done.stdout + done.stderr

    with ThreadPoolExecutor(max_workers=4) as pool:
        for name, status, text in pool.map(run, ["tracelb", *(n for n in ACTIONS if n != "tracelb")]):
            assert status == 0, (name, text)
            assert text.strip(), name
