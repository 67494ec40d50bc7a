"""Exceptions as text: the script's own lines, none of ours, from memory.

Theory of operation
-------------------
What a script raised is hostile: its ``__str__`` may raise, lie or recurse, its chain of causes may be deep or a
ring, its names may be long. Every piece of text is asked for once, inside a try, cut to a length, and the
whole has a last line no matter what. Frames are the script's when their builtins are a script's; the lines
come from the source that was compiled, so no file is opened. Everything runs inside the walls.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

TEXT_LIMIT: Final = 4096  # characters of one exception's own text
CHAIN_LIMIT: Final = 20  # exceptions of one chain
FRAME_LIMIT: Final = 60  # frames of one traceback: the outermost and the innermost halves
LINE_LIMIT: Final = 240  # characters of a source line
_REPEATS: Final = 3  # equal frames in a row that are shown

_CAUSE: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"

_sources: dict[str, str] = {}


def remember(filename: str, text: str) -> None:
    """Keep the text of the script that was compiled last, for `source_of`."""
    _sources.clear()
    _sources[filename] = text


def source_of(filename: str) -> str:
    """The text of the script that was compiled last; empty for any other file."""
    return _sources.get(filename, "")


Spot = tuple[str, int, str]  # file, line, function


def format_exception(exc: BaseException, source: bytes | str, filename: str = "script.py") -> str:
    """An exception with its causes, as Python prints it, in the script's own lines.

    Args:
        exc: what the script raised, or what our functions raised into it.
        source: the script that was compiled.
        filename: what to call it.
    """
    text = source.decode("utf-8", "replace") if isinstance(source, bytes) else source
    lines = text.splitlines()
    parts: list[str] = []
    for link, joint in reversed(list(_chain(exc))):
        parts.append(_one(link, lines, filename))
        parts.append(joint)
    return "".join(parts)


def only(exc: BaseException) -> str:
    """The last line: the class and the text."""
    cls = type(exc)
    name = _cut(str(type.__dict__["__qualname__"].__get__(cls)), 200)
    module = _module(cls)
    if module and module not in {"builtins", "__main__"} and not module.startswith("onvp."):
        name = f"{_cut(module, 200)}.{name}"
    text = _text(exc)
    lines = [f"{name}: {text}" if text else name]
    notes = _quiet_get(exc, "__notes__")
    if type(notes) is list:
        lines.extend(_cut(note, TEXT_LIMIT) for note in notes[:20] if type(note) is str)
    return "\n".join(lines) + "\n"


def _chain(exc: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The exception and what led to it, last first; each with the words that follow it."""
    seen: set[int] = set()
    joint = ""
    while len(seen) < CHAIN_LIMIT:
        yield exc, joint
        seen.add(id(exc))
        cause, context = exc.__cause__, exc.__context__
        if cause is not None and id(cause) not in seen:
            exc, joint = cause, _CAUSE
        elif context is not None and not exc.__suppress_context__ and id(context) not in seen:
            exc, joint = context, _CONTEXT
        else:
            return


def _one(exc: BaseException, lines: list[str], filename: str) -> str:
    spots = list(_spots(exc.__traceback__, filename))
    if not spots:
        return only(exc)
    return "Traceback (most recent call last):\n" + "".join(_stack(spots, lines)) + only(exc)


def _spots(traceback: TracebackType | None, filename: str) -> Iterator[Spot]:
    while traceback is not None:
        frame = traceback.tb_frame
        if "_write_" in frame.f_builtins:  # only a script's builtins have the guards
            yield filename, traceback.tb_lineno, frame.f_code.co_name
        traceback = traceback.tb_next


def _stack(spots: list[Spot], lines: list[str]) -> Iterator[str]:
    kept = _collapsed(spots)
    if len(kept) > FRAME_LIMIT:
        half = FRAME_LIMIT // 2
        left_out = sum(times for _, times in kept[half:-half])
        yield from _shown(kept[:half], lines)
        yield f"  [{left_out} more calls]\n"
        kept = kept[-half:]
    yield from _shown(kept, lines)


def _collapsed(spots: list[Spot]) -> list[tuple[Spot, int]]:
    kept: list[tuple[Spot, int]] = []
    for spot in spots:
        if kept and kept[-1][0] == spot:
            kept[-1] = (spot, kept[-1][1] + 1)
        else:
            kept.append((spot, 1))
    return kept


def _shown(kept: list[tuple[Spot, int]], lines: list[str]) -> Iterator[str]:
    for (filename, number, function), times in kept:
        text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
        where = f'  File "{filename}", line {number}, in {_cut(function, 100)}\n'
        if text:
            where += f"    {_cut(text, LINE_LIMIT)}\n"
        yield where * min(times, _REPEATS)
        if times > _REPEATS:
            yield f"  [Previous line repeated {times - _REPEATS} more times]\n"


def _text(exc: BaseException) -> str:
    try:
        text = str(exc)
        return _cut(str.__str__(text), TEXT_LIMIT)
    except BaseException as error:  # noqa: BLE001 - whatever a hostile __str__ raises, the report goes on
        return f"<no text: str() raised {type.__dict__['__qualname__'].__get__(type(error))}>"


def _module(cls: type) -> str:
    module = _quiet_get(cls, "__module__")
    return module if type(module) is str else ""


def _quiet_get(thing: Any, name: str) -> Any:
    try:
        return getattr(thing, name, None)
    except BaseException:  # noqa: BLE001 - a property of a script's class may raise anything
        return None


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
