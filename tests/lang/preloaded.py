"""`python preloaded.py MODULE_USES`: after preload, uses every module and prints what was opened or imported."""

import json
import runpy
import sys

from onvp.sandbox.lang import environment, report
from onvp.sandbox.lang.check import compile_script

WATCHED = (
    "open",
    "import",
    "os.",
    "ctypes.",
    "socket.",
    "subprocess.",
    "glob.",
    "shutil.",
    "tempfile.",
    "pathlib.",
    "mmap.",
)
RAISES = """
def f(x):
    return 1 / x
try:
    f(0)
except ZeroDivisionError as error:
    raise ValueError('outer') from error
"""
CODEC_NAMES = (
    "ascii latin-1 utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 idna punycode cp1252 iso8859-15 unicode_escape"
)
CODECS = "".join(f"'ab'.encode({name!r}).decode({name!r})\n" for name in CODEC_NAMES.split()) + (
    "'aé'.encode('ascii', 'namereplace'); '\\N{BULLET}'.encode('ascii', 'xmlcharrefreplace')\n"
    "'bücher.example'.encode('idna').decode('idna'); b'a\\xff'.decode('utf-8', 'replace')\n"
)


class Sink:
    """A stream that drops what it is given."""

    def write(self, text: str) -> int:
        """Drop it."""
        return len(text)

    def flush(self) -> None:
        """Nothing is held."""


def main() -> None:
    """Preload, then watch."""
    scripts = {**runpy.run_path(sys.argv[1])["USES"], "codecs": CODECS, "raises": RAISES}
    sys.argv[:] = [""]
    environment.preload()
    wanted: list[str] = []
    now = [""]

    def watch(event: str, args: tuple[object, ...]) -> None:
        if event.startswith(WATCHED):
            wanted.append(f"{now[0]}: {event} {args!r:.200}")

    sys.addaudithook(watch)
    problems = {}
    for module, source in scripts.items():
        now[0] = module
        code = compile_script(source, "script.py")
        names = environment.build(
            argv=["script.py"], stdout=Sink(), stderr=Sink(), open=None, facades={}, modules=None, guards="static"
        )
        try:
            exec(code, names)
        except Exception as error:  # noqa: BLE001 - a script may raise anything
            text = report.format_exception(error, source.encode(), "script.py")
            if module != "raises":
                problems[module] = text
    print(json.dumps({"wanted": wanted, "problems": problems}))


main()
