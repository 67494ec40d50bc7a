"""``import logging`` for scripts: loggers, handlers and formatters over the run's streams.

The library's own module formats records with texts that read attributes, opens files and looks at frames. This
one has the parts that scripts use, with the same names, defaults and output.
"""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from onvp.native import _guards
from onvp.sandbox.lang import names

CRITICAL = FATAL = 50
ERROR, WARNING, INFO, DEBUG, NOTSET = 40, 30, 20, 10, 0
WARN = WARNING
BASIC_FORMAT: Final = "%(levelname)s:%(name)s:%(message)s"
_LEVELS: Final = {
    "CRITICAL": CRITICAL, "FATAL": FATAL, "ERROR": ERROR, "WARN": WARNING, "WARNING": WARNING, "INFO": INFO,
    "DEBUG": DEBUG, "NOTSET": NOTSET,
}  # fmt: skip
_DEFAULT_FORMAT: Final = {
    "%": BASIC_FORMAT,
    "{": "{levelname}:{name}:{message}",
    "$": "${levelname}:${name}:${message}",
}
_MARK: Final = "_write_"


def check_level(level: Any) -> int:
    """A level as a number, from a number or a name."""
    if isinstance(level, int):
        return int(level)
    if isinstance(level, str) and level in _LEVELS:
        return _LEVELS[level]
    raise ValueError(f"Unknown level: {level!r}")


class LogRecord:
    """One message and where it came from."""

    def __init__(
        self, name: str, level: int, line: int, function: str, msg: Any, args: Any, exc: Any, file: str
    ) -> None:
        now = time.time()
        self.name, self.levelno, self.msg, self.exc_info = name, level, msg, exc
        self.args = args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args
        self.levelname = _level_names.get(level, f"Level {level}")
        self.lineno, self.funcName, self.filename, self.pathname = line, function, file, file
        self.module = file.rpartition("/")[2].removesuffix(".py")
        self.created, self.msecs = now, int((now - int(now)) * 1000) + 0.0
        self.relativeCreated = (now - _started) * 1000
        self.thread = self.process = 1
        self.threadName, self.processName = "MainThread", "MainProcess"
        self.message = self.asctime = ""
        self.exc_text: str | None = None

    def getMessage(self) -> str:  # noqa: N802 - the library's name
        """The message with its arguments."""
        text = str(self.msg)
        return text % self.args if self.args else text


_level_names: dict[int, str] = {v: k for k, v in _LEVELS.items() if k not in {"FATAL", "WARN"}}
_started = time.time()


class Formatter:
    """A record as text."""

    default_time_format = "%Y-%m-%d %H:%M:%S"
    default_msec_format = "%s,%03d"
    converter = staticmethod(time.localtime)

    def __init__(
        self,
        fmt: str | None = None,
        datefmt: str | None = None,
        style: str = "%",
        validate: bool = True,
        *,
        defaults: Any = None,
    ) -> None:
        if style not in _DEFAULT_FORMAT:
            raise ValueError("Style must be one of: %,{,$")
        self.fmt = fmt if fmt is not None else {"%": "%(message)s", "{": "{message}", "$": "${message}"}[style]
        self.datefmt, self.style, self.defaults = datefmt, style, dict(defaults or {})

    def formatTime(self, record: LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """When it was said."""
        moment = self.converter(record.created)
        if datefmt:
            return time.strftime(datefmt, moment)
        return self.default_msec_format % (time.strftime(self.default_time_format, moment), record.msecs)

    def usesTime(self) -> bool:  # noqa: N802
        """Does the format show the time?"""
        return "asctime" in self.fmt

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """An exception's traceback."""
        return _report(ei[1]).rstrip("\n") if ei and ei[1] is not None else ""

    def formatMessage(self, record: LogRecord) -> str:  # noqa: N802
        """The line itself."""
        values = self.defaults | vars(record)
        if self.style == "%":
            return self.fmt % values
        if self.style == "{":
            return str(_guards._format_(self.fmt, **values))
        from string import Template  # noqa: PLC0415 - loaded long ago

        return Template(self.fmt).substitute(values)

    def format(self, record: LogRecord) -> str:
        """The whole record."""
        record.message = record.getMessage()
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        text = self.formatMessage(record)
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return text


class Filterer:
    """What loggers and handlers share."""

    def __init__(self) -> None:
        self.filters: list[Any] = []

    def addFilter(self, filter: Any) -> None:  # noqa: N802
        """Ask this filter, too."""
        if filter not in self.filters:
            self.filters.append(filter)

    def removeFilter(self, filter: Any) -> None:  # noqa: N802
        """Do not ask this filter any more."""
        if filter in self.filters:
            self.filters.remove(filter)

    def filter(self, record: LogRecord) -> bool:
        """Do all filters let it pass?"""
        return all((f.filter(record) if hasattr(f, "filter") else f(record)) for f in self.filters)


class Filter:
    """Lets records of a logger and its children pass."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def filter(self, record: LogRecord) -> bool:
        """Does it pass?"""
        return not self.name or record.name == self.name or record.name.startswith(f"{self.name}.")


class Handler(Filterer):
    """Where records go."""

    def __init__(self, level: Any = NOTSET) -> None:
        super().__init__()
        self.level = check_level(level)
        self.formatter: Any = None
        self.name: Any = None

    def setLevel(self, level: Any) -> None:  # noqa: N802
        """Take records from this level on."""
        self.level = check_level(level)

    def setFormatter(self, fmt: Any) -> None:  # noqa: N802
        """Write records this way."""
        self.formatter = fmt

    def format(self, record: LogRecord) -> str:
        """A record as text."""
        return str((self.formatter or _plain).format(record))

    def handle(self, record: LogRecord) -> bool:
        """Write a record if the filters let it pass."""
        passed = self.filter(record)
        if passed:
            self.emit(record)
        return passed

    def emit(self, record: LogRecord) -> None:
        """Write a record."""
        raise NotImplementedError("emit must be implemented by Handler subclasses")

    def flush(self) -> None:
        """Write what is held back."""

    def close(self) -> None:
        """No more records."""


class StreamHandler(Handler):
    """Writes to a stream; stderr when none is given."""

    terminator = "\n"

    def __init__(self, stream: Any = None) -> None:
        super().__init__()
        self.stream = _current["stderr"] if stream is None else stream

    def emit(self, record: LogRecord) -> None:
        """Write a record."""
        self.stream.write(self.format(record) + self.terminator)
        self.flush()

    def flush(self) -> None:
        """Flush the stream."""
        if hasattr(self.stream, "flush"):
            self.stream.flush()

    def setStream(self, stream: Any) -> Any:  # noqa: N802
        """Write to another stream."""
        before, self.stream = self.stream, stream
        return before


class FileHandler(StreamHandler):
    """Writes to an artifact."""

    def __init__(
        self, filename: Any, mode: str = "a", encoding: Any = None, delay: bool = False, errors: Any = None
    ) -> None:
        super().__init__(_current["open"](filename, "w" if mode == "a" else mode))

    def close(self) -> None:
        """Close the artifact."""
        self.stream.close()


class NullHandler(Handler):
    """Drops records."""

    def emit(self, record: LogRecord) -> None:
        """Drop it."""


class Logger(Filterer):
    """A named source of records."""

    def __init__(self, name: str, level: Any = NOTSET) -> None:
        super().__init__()
        self.name, self.level = name, check_level(level)
        self.handlers: list[Any] = []
        self.propagate, self.disabled = True, False
        self.parent: Logger | None = None

    def setLevel(self, level: Any) -> None:  # noqa: N802
        """Take records from this level on."""
        self.level = check_level(level)

    def addHandler(self, hdlr: Any) -> None:  # noqa: N802
        """Give records to this handler, too."""
        if hdlr not in self.handlers:
            self.handlers.append(hdlr)

    def removeHandler(self, hdlr: Any) -> None:  # noqa: N802
        """Give no records to this handler."""
        if hdlr in self.handlers:
            self.handlers.remove(hdlr)

    def hasHandlers(self) -> bool:  # noqa: N802
        """Would a record go anywhere?"""
        return any(logger.handlers for logger in self._line())

    def getEffectiveLevel(self) -> int:  # noqa: N802
        """Its level, or the next one above it that has one."""
        return next((logger.level for logger in self._line(all_of_them=True) if logger.level), NOTSET)

    def isEnabledFor(self, level: Any) -> bool:  # noqa: N802
        """Would a record of this level be taken?"""
        return not self.disabled and check_level(level) > _current["disabled"] and level >= self.getEffectiveLevel()

    def getChild(self, suffix: str) -> "Logger":  # noqa: N802
        """The logger below this one."""
        return getLogger(suffix if self.name == "root" else f"{self.name}.{suffix}")

    def _line(self, all_of_them: bool = False) -> Any:
        logger: Logger | None = self
        while logger is not None:
            yield logger
            logger = logger.parent if logger.propagate or all_of_them else None

    def log(self, level: Any, msg: Any, *args: Any, exc_info: Any = None, extra: Any = None, **kwargs: Any) -> None:
        """Say something."""
        if not self.isEnabledFor(level):
            return
        exc: Any = None
        if isinstance(exc_info, BaseException):
            exc = (type(exc_info), exc_info, None)
        elif exc_info:
            exc = (*sys.exc_info()[:2], None)
        file, line, function = _caller()
        record = LogRecord(self.name, check_level(level), line, function, msg, args, exc, file)
        for name, value in (extra or {}).items():
            if type(name) is not str or name.startswith("_") or name in vars(record):
                raise KeyError(f"Attempt to overwrite {name!r} in LogRecord")
            setattr(record, name, value)
        self.handle(record)

    def handle(self, record: LogRecord) -> None:
        """Give a record to the handlers."""
        if not self.filter(record):
            return
        found = False
        for logger in self._line():
            for handler in logger.handlers:
                found = True
                if record.levelno >= handler.level:
                    handler.handle(record)
        if not found and record.levelno >= WARNING:
            _current["stderr"].write(f"{record.getMessage()}\n")

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Say something of level DEBUG."""
        self.log(DEBUG, msg, *args, **kwargs)

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Say something of level INFO."""
        self.log(INFO, msg, *args, **kwargs)

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Say something of level WARNING."""
        self.log(WARNING, msg, *args, **kwargs)

    warn = warning

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Say something of level ERROR."""
        self.log(ERROR, msg, *args, **kwargs)

    def exception(self, msg: Any, *args: Any, exc_info: Any = True, **kwargs: Any) -> None:
        """Say something of level ERROR, with the exception that is being handled."""
        self.log(ERROR, msg, *args, exc_info=exc_info, **kwargs)

    def critical(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Say something of level CRITICAL."""
        self.log(CRITICAL, msg, *args, **kwargs)

    fatal = critical

    def __repr__(self) -> str:
        return f"<Logger {self.name} ({getLevelName(self.getEffectiveLevel())})>"


class LoggerAdapter:
    """A logger with something added to each message."""

    def __init__(self, logger: Any, extra: Any = None) -> None:
        self.logger, self.extra = logger, extra

    def process(self, msg: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Add to a message."""
        kwargs["extra"] = self.extra
        return msg, kwargs

    def log(self, level: Any, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Say something."""
        msg, kwargs = self.process(msg, kwargs)
        self.logger.log(level, msg, *args, **kwargs)

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Say something of level DEBUG."""
        self.log(DEBUG, msg, *args, **kwargs)

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Say something of level INFO."""
        self.log(INFO, msg, *args, **kwargs)

    def warning(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Say something of level WARNING."""
        self.log(WARNING, msg, *args, **kwargs)

    def error(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Say something of level ERROR."""
        self.log(ERROR, msg, *args, **kwargs)


def _caller() -> tuple[str, int, str]:
    """Where the script called from: file, line, function."""
    frame: Any = sys._getframe(1)
    while frame is not None and _MARK not in frame.f_builtins:
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) if frame else ("", 0, "")


def _report(exc: BaseException) -> str:
    return str(_current["report"](exc))


_plain = Formatter()
_current: dict[str, Any] = {}


def getLogger(name: Any = None) -> Logger:  # noqa: N802
    """The logger of this name; the root without one."""
    loggers: dict[str, Logger] = _current["loggers"]
    if not name or name == "root":
        return loggers[""]
    if not isinstance(name, str):
        raise TypeError("A logger name must be a string")
    if name not in loggers:
        made = loggers[name] = Logger(name)
        above = name.rpartition(".")[0]
        made.parent = getLogger(above) if above else loggers[""]
    return loggers[name]


def getLevelName(level: Any) -> Any:  # noqa: N802
    """A level's name, or a name's level."""
    if level in _level_names:
        return _level_names[level]
    return _LEVELS.get(level, f"Level {level}")


def addLevelName(level: int, levelName: str) -> None:  # noqa: N802, N803
    """Call a level this."""
    _level_names[int(level)] = str(levelName)
    _LEVELS[str(levelName)] = int(level)


def basicConfig(**kwargs: Any) -> None:  # noqa: N802
    """Set the root logger up, unless it is already or ``force`` is given."""
    known = {
        "level",
        "format",
        "datefmt",
        "style",
        "stream",
        "handlers",
        "force",
        "filename",
        "filemode",
        "encoding",
        "errors",
    }
    unknown = set(kwargs) - known
    if unknown:
        raise ValueError(f"Unrecognised argument(s): {', '.join(sorted(unknown))}")
    root = getLogger()
    if kwargs.get("force"):
        root.handlers.clear()
    if root.handlers:
        return
    style = kwargs.get("style", "%")
    fmt = Formatter(kwargs.get("format") or _DEFAULT_FORMAT[style], kwargs.get("datefmt"), style)
    handlers = kwargs.get("handlers")
    if handlers is None:
        filename = kwargs.get("filename")
        handlers = [
            FileHandler(filename, kwargs.get("filemode", "a")) if filename else StreamHandler(kwargs.get("stream"))
        ]
    for handler in handlers:
        if handler.formatter is None:
            handler.setFormatter(fmt)
        root.addHandler(handler)
    if kwargs.get("level") is not None:
        root.setLevel(kwargs["level"])


def disable(level: Any = CRITICAL) -> None:
    """Take no record of this level or below."""
    _current["disabled"] = check_level(level)


def captureWarnings(capture: bool) -> None:  # noqa: N802
    """Accepted; warnings go to stderr either way."""


def shutdown() -> None:
    """Nothing is held back."""


def _through_root(method: str) -> Callable[..., None]:
    def say(*args: Any, **kwargs: Any) -> None:
        root = getLogger()
        if not root.handlers:
            basicConfig()
        getattr(root, method)(*args, **kwargs)

    say.__name__ = say.__qualname__ = method
    return say


def bind(stderr: Any, open_artifact: Any, report: Callable[[BaseException], str]) -> dict[str, Any]:
    """The module's names for one run, with loggers of its own."""
    root = Logger("root", WARNING)
    _current.update(stderr=stderr, open=open_artifact, report=report, loggers={"": root}, disabled=NOTSET)
    special: dict[str, Any] = {"root": root}
    for method in ("debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"):
        special[method] = _through_root(method)
    here = globals()
    return {name: special[name] if name in special else here[name] for name in names.listed("logging")}


for _cls in (Formatter, Filter, Handler, StreamHandler, FileHandler, NullHandler, Logger, LoggerAdapter, LogRecord):
    _cls.__module__ = "logging"
    _guards.allow_writes(_cls)
    _guards.allow_base(_cls)
