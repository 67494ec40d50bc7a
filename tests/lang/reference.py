"""`python -m tests.lang.reference`: writes the tables of docs/reference/language.md from the tables of the code."""

from pathlib import Path

from onvp.sandbox.lang import advice, names

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "language.md"
BEGIN, END = "<!-- tables: written by python -m tests.lang.reference -->\n", "<!-- end of tables -->\n"


def tables() -> str:
    """The part of the page that is not prose."""
    parts = ["## Builtins\n", "| names | why they are safe |", "|---|---|"]
    parts += [f"| {ticked(group.names)} | {group.reason} |" for group in names.BUILTINS.values()]
    parts += [
        "",
        "## Special methods\n",
        "A class may define, and call by name:\n",
        ticked(" ".join(sorted(names.SPECIAL_METHODS))),
    ]
    parts += ["", "Not these; what to write instead:\n", "| method | instead |", "|---|---|"]
    parts += [f"| `{name}` | {hint} |" for name, hint in advice.METHODS.items()]
    parts += ["", "## Modules\n"]
    for module, groups in names.MODULES.items():
        parts += [f"### {module}\n", "| names | why they are safe |", "|---|---|"]
        parts += [f"| {ticked(group.names)} | {group.reason} |" for group in groups]
        parts.append("")
    parts += ["## Modules that are not there\n", "| module | instead |", "|---|---|"]
    parts += [f"| `{name}` | {hint} |" for name, hint in advice.MODULES.items()]
    return "\n".join(parts) + "\n"


def ticked(words: str) -> str:
    """Each word as code."""
    return " ".join(f"`{word}`" for word in words.split())


def page(text: str) -> str:
    """The page with fresh tables."""
    head, rest = text.split(BEGIN)
    return head + BEGIN + "\n" + tables() + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
