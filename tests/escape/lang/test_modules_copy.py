"""What a script cannot learn from the host's objects by having them copied."""

import pytest

from tests.lang.running import run

SPY = """
import copy, dataclasses, host
class Spy:
    def __deepcopy__(self, memo):
        seen.append(memo)
        return self
seen = []
@dataclasses.dataclass
class Holder:
    held: object
"""
SHOW = "\nprint([sorted(type(v).__name__ for v in memo.values()) for memo in seen])"


class Host:
    """An object of the host's, with a secret."""

    def __init__(self) -> None:
        self._secret = {"key": "secret"}
        self._inner = Inner()


class Inner:
    """A part that no script is given."""


@pytest.mark.parametrize("guards", ["static", "full"])
@pytest.mark.parametrize(
    "attack",
    [
        "copy.deepcopy([Spy(), host.thing])",
        "copy.deepcopy({1: host.thing, 2: Spy()})",
        "copy.deepcopy(Holder([host.thing, Spy()]))",
        "dataclasses.asdict(Holder({Spy(), host.thing}))",
        "dataclasses.astuple(Holder({Spy(), host.thing}))",
        "copy.copy(Holder([host.thing, Spy()]))",
    ],
)
def test_a_script_cannot_find_the_parts_of_the_hosts_objects_in_a_memo(attack, guards):
    """A script's __deepcopy__ is given a memo of plain containers and its own objects, nothing of the host's."""
    outcome = run(SPY + attack + SHOW, guards=guards, facades={"host": {"thing": Host()}})
    assert outcome.last_word == ""
    for name in ("Host", "Inner", "secret"):
        assert name not in outcome.out


def test_a_script_cannot_double_an_object_of_the_hosts():
    """An object of the host's that is deeply copied is the same object."""
    outcome = run(
        "import copy, host\nprint(copy.deepcopy([host.thing])[0] is host.thing)", facades={"host": {"thing": Host()}}
    )
    assert outcome.out == "True\n"


def test_a_script_cannot_bring_a_memo_of_its_own_kind():
    """A memo with methods of the script's is refused."""
    source = "import copy\nclass Memo(dict):\n    def get(self, *args): return 1\ncopy.deepcopy([], Memo())"
    assert run(source).last_word == "TypeError: deepcopy's memo is the dict that __deepcopy__ was given"
