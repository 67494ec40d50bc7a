"""Runs the controller: one uvicorn server in one process, logs as JSON lines on stderr."""

import logging
import socket
import sys
from pathlib import Path

import structlog
import uvicorn

from onvp.controller import settings
from onvp.controller.app import Controller, make_app
from onvp.controller.errors import SettingsError
from onvp.sandbox.wire import link

_log = structlog.get_logger("onvp.controller")


def configure_logs() -> None:
    """JSON lines on stderr, the server's own among them."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class _Server(uvicorn.Server):
    """Ends the streams of those who follow before it waits for its connections to end."""

    def __init__(self, config: uvicorn.Config, controller: Controller) -> None:
        super().__init__(config)
        self._controller = controller

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._controller.notices.close()
        await super().shutdown(sockets)


def make_server(data: Path, config: settings.Settings) -> uvicorn.Server:
    """The server, ready to run."""
    controller = Controller(data, config)
    return _Server(
        uvicorn.Config(
            make_app(controller),
            host=config.listen,
            port=config.port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            # A vantage point may send this much at once, and four of them may wait to be read.
            ws_max_size=link.LIMIT_BYTES,
            ws_max_queue=4,
            ws_per_message_deflate=False,
            ssl_certfile=data / config.certificate if config.has_tls else None,
            ssl_keyfile=data / config.key if config.has_tls else None,
            timeout_graceful_shutdown=5,
        ),
        controller,
    )


def listen(config: settings.Settings) -> socket.socket:
    """The listening socket.

    Raises:
        SettingsError: the address is in use, or not ours.
    """
    family = socket.AF_INET6 if ":" in config.listen else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it, answers take 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if config.listen == "::" else 1)
        listener.bind((config.listen, config.port))
        listener.listen(512)
        return listener
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen on {config.listen} port {config.port}: {error.strerror or error}. Is a "
            f"controller running already? The address stands in {settings.FILE}"
        ) from error


def run(data: Path) -> None:
    """Run the controller of a data folder until SIGTERM or SIGINT.

    Raises:
        SettingsError: the settings or the address cannot be used.
    """
    config = settings.load(data)
    configure_logs()
    listener = listen(config)
    _log.info("listening", url=config.url, address=config.listen, port=listener.getsockname()[1])
    make_server(data, config).run(sockets=[listener])
