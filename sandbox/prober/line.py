r"""One command line, built word by word and checked twice.

The first check is at each word, as it is added: its alphabet and whether it may begin with a hyphen.
The second looks at the finished line alone, cuts it by the prober's own rules and compares: the line
must fall apart into exactly the words that were added. What fails either check is a bug of ours and
is never sent.

The rules (scamper's option parser, both generations): blanks separate; a value may be wrapped in quotes;
inside, newer releases read ``\`` before a quote or another ``\`` as an escape, older ones have none.
"""

import re

from onvp.sandbox.prober.errors import UnsafeLine

# Printable, no blank, no quote, no backslash, and not a hyphen first.
_WORD = re.compile(r"[!#-&(-,.-\[\]-~][!#-&(-\[\]-~]*")
_FLAG = re.compile(r"-[A-Za-z@]")
_PRINTABLE = re.compile(r"[ -~]*")

LIMIT_CHARS = 1 << 20
"""No action renders longer; radargun over 512 addresses is about 20,000 characters."""


class Line:
    r"""A command line in the making.

    Args:
        command: the command word; None for a line inside a value.
        escapes: whether the prober knows ``\`` inside quotes.
    """

    __slots__ = ("_escapes", "_parts", "_words")

    def __init__(self, command: str | None, *, escapes: bool) -> None:
        self._words = [] if command is None else [command]
        self._parts = list(self._words)
        self._escapes = escapes

    def flag(self, flag: str) -> None:
        """An option without a value: ``-R``."""
        if _FLAG.fullmatch(flag) is None:
            raise UnsafeLine(f"{flag!r} is not a flag")
        self._words.append(flag)
        self._parts.append(flag)

    def option(self, flag: str, value: str) -> None:
        """An option and its value, a single word: ``-c 4``."""
        self.flag(flag)
        self.word(value)

    def word(self, value: str) -> None:
        """A word that is no option: no hyphen first, no blank, no quote, no backslash."""
        if type(value) is not str or _WORD.fullmatch(value) is None:
            raise UnsafeLine(f"{value!r} may not stand in a command line")
        self._words.append(value)
        self._parts.append(value)

    def quoted(self, flag: str, value: str) -> None:
        """An option and its value in quotes, whatever printable text that is: ``-H 'a: b'``."""
        if type(value) is not str or not value or _PRINTABLE.fullmatch(value) is None:
            raise UnsafeLine(f"the value of {flag} is not printable ASCII")
        if ("'" in value or "\\" in value) and not self._escapes:
            raise UnsafeLine(f"the value of {flag} has a quote that this prober cannot take")
        self.flag(flag)
        self._words.append(value)
        self._parts.append("'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'")

    def nested(self, flag: str, inner: "Line") -> None:
        """An option whose value is a line of options of its own: ``-p '-P udp -d 53'``."""
        text = inner.text()
        if "'" in text or "\\" in text:
            raise UnsafeLine(f"the value of {flag} holds a quote")
        self.flag(flag)
        self._words.append(text)
        self._parts.append(f"'{text}'")

    def text(self) -> str:
        """The finished line, checked as a whole."""
        line = " ".join(self._parts)
        if len(line) > LIMIT_CHARS:
            raise UnsafeLine(f"a command of {len(line)} characters")
        if _PRINTABLE.fullmatch(line) is None:
            raise UnsafeLine("a command that is not one line of printable ASCII")
        # Without a quote, cutting at blanks is all that a prober does.
        found = line.split(" ") if "'" not in line else cut(line, escapes=self._escapes)
        if found != self._words:
            raise UnsafeLine("a command falls apart into other words than were meant")
        return line


def cut(line: str, *, escapes: bool) -> list[str]:
    """The words of ``line`` as a prober's parser sees them.

    Raises:
        UnsafeLine: a quote does not end, or an escape is none.
    """
    words: list[str] = []
    at, end = 0, len(line)
    while at < end:
        if line[at] == " ":
            at += 1
            continue
        quote = line[at]
        if quote not in "'\"":
            stop = line.find(" ", at)
            stop = end if stop < 0 else stop
            words.append(line[at:stop])
            at = stop
            continue
        at += 1
        letters: list[str] = []
        while at < end and line[at] != quote:
            if line[at] == "\\" and escapes:
                at += 1
                if at == end or line[at] not in ("\\", quote):
                    raise UnsafeLine("an escape inside quotes that a prober would refuse")
            letters.append(line[at])
            at += 1
        if at == end:
            raise UnsafeLine("a quote that does not end")
        at += 1
        words.append("".join(letters))
    return words
