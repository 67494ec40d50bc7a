"""One script's life inside the worker: its globals, its output, and how it ended.

Theory of operation
-------------------
`execute` compiles the source, builds the names that the script sees, runs it, and gives the worker's last
word. Whatever leaves the script is turned into that word in here, inside the walls and under the run's
limits: a traceback may call the script's own ``__repr__``.
"""

import contextlib
from types import CodeType
from typing import Any

from onvp.sandbox.lang import environment, report
from onvp.sandbox.lang.check import ScriptRefused, compile_script
from onvp.sandbox.wire import calls
from onvp.sandbox.wire.errors import Code
from onvp.sandbox.worker.artifacts import Shelf
from onvp.sandbox.worker.client import BrokerLost, Client
from onvp.sandbox.worker.facade import onvp, scamper
from onvp.sandbox.worker.facade.errors import Refused
from onvp.sandbox.worker.facade.hub import Hub
from onvp.sandbox.worker.streams import Stream

ERROR_LIMIT_CHARACTERS = 16 << 10


def execute(client: Client, job: calls.Job) -> calls.Finished:
    """Run a job's script to its end.

    Raises:
        BrokerLost: nobody listens any more.
    """
    try:
        code = compile_script(job.source, job.filename, guards=job.guards)
    except ScriptRefused as refused:
        problems = [calls.Problem(p.line, p.column, p.message) for p in refused.problems]
        client.send(calls.Refusals(problems=problems))
        return calls.Finished(status=1, error=str(refused)[:ERROR_LIMIT_CHARACTERS], code=Code.LANGUAGE)
    out, err = Stream(client.send, err=False), Stream(client.send, err=True)
    shelf = Shelf(client.send, job.inputs)
    hub = Hub(client, job.instances)
    facades = {"scamper": scamper.exported(hub, shelf), "onvp": onvp.exported(client, hub, shelf)}
    names = environment.build(
        argv=[job.filename, *job.args],
        stdout=out,
        stderr=err,
        open=shelf.open,
        facades=facades,
        modules=job.modules,
        guards=job.guards,
    )
    client.send(calls.Started())
    try:
        ending = _run(code, names, job, err)
    finally:
        out.flush()
        err.flush()
    return ending


def _run(code: CodeType, names: dict[str, Any], job: calls.Job, err: Stream) -> calls.Finished:
    try:
        exec(code, names)  # noqa: S102 - this process exists to do this
    except BrokerLost:
        raise
    except SystemExit as leaving:
        return _left(leaving, err)
    except MemoryError:
        return calls.Finished(status=1, error="MemoryError: out of memory", code=Code.LIMIT)
    except BaseException as error:  # noqa: BLE001 - the script's own, reported to its author
        text = report.format_exception(error, job.source, job.filename)[-ERROR_LIMIT_CHARACTERS:]
        err.write(text if text.endswith("\n") else text + "\n")
        return calls.Finished(status=1, error=text, code=_code(error))
    return calls.Finished(status=0)


def _left(leaving: SystemExit, err: Stream) -> calls.Finished:
    """What ``sys.exit(status)`` means. The status is the script's: its methods may raise or lie."""
    try:
        status = leaving.code
        if status is None:
            return calls.Finished(status=0)
        if isinstance(status, int):
            return calls.Finished(status=int.__and__(status, 0xFF))
        text = str.__str__(str(status))[:ERROR_LIMIT_CHARACTERS]
    except BrokerLost:
        raise
    except BaseException:  # noqa: BLE001 - whatever it is, the run has ended
        text = "SystemExit: its status has no text"
    err.write(f"{text}\n")
    return calls.Finished(status=1, error=text)


def _code(error: BaseException) -> str:
    """A policy's code, where that ended the script; an exception of the script's own may lie about it."""
    if isinstance(error, Refused):
        with contextlib.suppress(Exception):
            code = Code(str.__str__(error.code))
            if code in {Code.POLICY, Code.BUDGET, Code.RATE}:
                return code
    return Code.SCRIPT_ERROR
