"""The reference page says what the tables say, and the tables say what is there."""

import importlib

from onvp.sandbox.lang import environment, names
from tests.lang.reference import PAGE, page


def test_the_page_is_what_the_tables_say():
    """docs/reference/language.md was written from the tables as they are."""
    text = PAGE.read_text(encoding="utf-8")

    assert text == page(text), "run python -m tests.lang.reference"


def test_every_listed_module_can_be_imported_with_every_listed_name():
    """A script gets each name of the tables, and none is None by mistake."""
    builtins = environment.build()["__builtins__"]
    for module in names.MODULES:
        listed = names.listed(module)
        view = builtins["__import__"](module, None, None, tuple(listed), 0)
        assert sorted(dir(view)) == sorted(listed)
        assert len(listed) == len(set(listed))
        real = importlib.import_module(module)
        for name in listed:
            assert getattr(view, name) is not None or getattr(real, name, None) is None, f"{module}.{name}"


def test_every_name_has_a_reason():
    """No group of names is without a sentence."""
    groups = [group for many in names.MODULES.values() for group in many] + list(names.BUILTINS.values())

    assert all(len(group.reason.split()) >= 2 and group.names for group in groups)


def test_builtins_are_the_listed_ones():
    """A script's builtins are those of the table, and the guards, whose names no script can write."""
    builtins = environment.build()["__builtins__"]
    reserved = {n for n in builtins if n.startswith("_") and n.endswith("_") and not n.startswith("__")}

    assert set(builtins) - reserved == set(names.builtin_names())
