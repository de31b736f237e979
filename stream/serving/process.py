"""The process that serves: from start to an orderly stop, or to an end that its supervisor sees."""

import asyncio
import contextlib
import logging
import signal
import socket
from typing import Final, NoReturn

import uvicorn
from fastapi import FastAPI

from models.policy import PolicyError
from stream import logs
from stream.condition import Condition
from stream.ending import EXIT_FAILED, end
from stream.interpreter import spare_what_is_there
from stream.probes import ProbeServer
from stream.serving.application import create_app
from stream.serving.errors import ServingError
from stream.serving.services import Services
from stream.settings import Settings, effective, env_name

_log = logging.getLogger(__name__)
UNAVAILABLE: Final = "view_unavailable"
BUILDING: Final = "view_building"
_LOOK_SECONDS: Final = 1.0
_CONNECTIONS_MAX: Final = 1000
_KEEP_ALIVE_SECONDS: Final = 15
_BACKLOG: Final = 256
_MESSAGE_BYTES_MAX: Final = 256 * 1024


def run_serve(settings: Settings) -> NoReturn:
    """Serve the API until SIGTERM or SIGINT; ends the process."""
    logs.configure(settings.log_level, settings.log_format)
    for name, value in effective(settings):
        _log.debug("%s=%s", name, value)
    if settings.embedded_redis:
        _log.warning("%s: the Redis is a stand-in, which keeps nothing", env_name("embedded_redis"))
    try:
        listening = _listen(settings)
    except OSError as error:
        _log.critical("the API on %s:%s: %s", settings.api_host, settings.api_port, error.strerror)
        end(EXIT_FAILED)
    for number in (signal.SIGTERM, signal.SIGINT):
        # The server takes them over, and sends them to itself once more when it has ended.
        signal.signal(number, signal.SIG_IGN)
    try:
        asyncio.run(_serve(settings, listening))
    except PolicyError as error:
        _log.critical("the policy: %s", error)
        end(EXIT_FAILED)
    except OSError as error:
        _log.critical("probes and metrics on %s:%s: %s", settings.http_host, settings.http_port, error.strerror)
        end(EXIT_FAILED)
    _log.info("stopped")
    end(0)


async def _serve(settings: Settings, listening: socket.socket) -> None:
    logging.getLogger("uvicorn.error").addFilter(lambda record: not _is_about_a_connection(record))
    services = Services.of(settings)
    condition = Condition(settings.stuck_deadline_seconds)
    application = _application(services)
    # Else each look at all that was imported lets everybody wait for a tenth of a second.
    spare_what_is_there()
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            # Which parser and loop are there depends on what else is installed: the limits below are of these.
            http="h11",
            ws="websockets-sansio",
            ws_max_size=_MESSAGE_BYTES_MAX,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            # Who is behind a proxy is not taken from what anybody may write.
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS_MAX + settings.api_live_clients,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, settings.grace_period_seconds - 5),
            h11_max_incomplete_event_size=32 * 1024,
        )
    )
    with ProbeServer(settings.http_host, settings.http_port, condition, services.metrics.registry) as probes:
        _log.info("probes and metrics on port %s", probes.port)
        _log.info("the API on port %s", listening.getsockname()[1])
        looking = asyncio.create_task(_look(services, condition, server), name="look")
        try:
            await server.serve(sockets=[listening])
        finally:
            looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await looking


def _is_about_a_connection(record: logging.LogRecord) -> bool:
    """Tell whether a record says what a browser sent: its cookie, or the page that its WebSocket belongs to."""
    if record.levelno >= logging.WARNING:
        return False
    return record.levelno < logging.INFO or "WebSocket" in record.msg or record.msg.startswith("connection ")


def _application(services: Services) -> FastAPI:
    app = create_app(services)
    if services.settings.console:
        # Its library takes half a second and its memory, which a process with the API alone should not pay for.
        from stream.console.mounting import mount  # noqa: PLC0415

        mount(app, services)
    return app


async def _look(services: Services, condition: Condition, server: uvicorn.Server) -> None:
    """Keep the probes up to date, and let go of who follows the changes when the server is to stop."""
    while True:
        try:
            status = await services.reader.status()
        except ServingError:
            condition.hear((UNAVAILABLE,))
        else:
            condition.hear(() if status.built else (BUILDING,))
        if server.should_exit:
            condition.drain()
            await services.live.close()
        await asyncio.sleep(_LOOK_SECONDS)


def _listen(settings: Settings) -> socket.socket:
    """Listen before anything else: who is told of the port finds somebody there."""
    (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
        settings.api_host, settings.api_port, type=socket.SOCK_STREAM
    )
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(address)
    listening.listen(_BACKLOG)
    return listening
