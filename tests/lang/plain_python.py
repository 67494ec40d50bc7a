"""`python -I plain_python.py MODULE_USES`: runs each use in plain CPython and prints what it printed, as JSON."""

import contextlib
import io
import json
import linecache
import runpy
import sys

uses = runpy.run_path(sys.argv[1])["USES"]
sys.argv[:] = ["script.py"]
printed = {}
for module, source in uses.items():
    linecache.cache["script.py"] = (len(source), None, source.splitlines(keepends=True), "script.py")
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        exec(compile(source, "script.py", "exec", dont_inherit=True), {"__name__": "__main__"})
    printed[module] = out.getvalue()
print(json.dumps(printed))
