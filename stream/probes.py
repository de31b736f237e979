"""The worker's own HTTP server: `/healthz`, `/readyz` and `/metrics`, in a thread of its own.

It is up before Faust is, and answers while the event loop is busy, which is when it is needed.
"""

import json
import logging
import socketserver
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6, SHUT_RDWR, socket
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from stream.health import Problem

_log: Final = logging.getLogger(__name__)

REQUESTS_MAX: Final = 16
"""Requests answered at a time; a further connection is closed."""
REQUEST_SECONDS_MAX: Final = 5.0
"""A connection that is older is cut, however busily it sends."""
_CHECK_SECONDS: Final = 0.25
_JSON: Final = "application/json"


class Reasons(Protocol):
    """What readiness is told with: a named tuple, of which this is one field."""

    @property
    def reasons(self) -> Sequence[str]:
        """Why the process is not ready; empty when it is."""

    def _asdict(self) -> dict[str, Any]: ...


class Condition(Protocol):
    """Who knows how the process is: `stream.health.Health` of a worker, `stream.condition.Condition` of others."""

    def problems(self) -> Sequence[Problem]:
        """Return why the process should be restarted; nothing when it is well."""

    def readiness(self) -> Reasons:
        """Return why the process is not ready."""


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    # HTTP/1.0: one request for each connection, so that the limits on both are one.
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        match urlsplit(self.path).path:
            case "/healthz":
                self._answer_health()
            case "/readyz":
                self._answer_readiness()
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, content_type, encode(self.server.registry))
            case _:
                self._answer_json(HTTPStatus.NOT_FOUND, {"error": "not found"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer_health(self) -> None:
        problems = [problem._asdict() for problem in self.server.health.problems()]
        status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
        self._answer_json(status, {"healthy": not problems, "problems": problems})

    def _answer_readiness(self) -> None:
        readiness = self.server.health.readiness()
        ready = not readiness.reasons
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer_json(status, {"ready": ready, **readiness._asdict()})

    def _answer_json(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        self._answer(status, _JSON, json.dumps(body).encode() + b"\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "account-health"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is the base class's
        _log.debug("%s", format % args)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = REQUESTS_MAX

    def __init__(self, address: tuple[str, int], health: Condition, registry: CollectorRegistry) -> None:
        self.health: Final = health
        self.registry: Final = registry
        self._lock = threading.Lock()
        self._open: dict[socket, float] = {}
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own asks the name server for our name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # bytes for AF_UNIX only

    def verify_request(self, request: Any, client_address: Any) -> bool:
        del client_address
        with self._lock:
            if len(self._open) >= REQUESTS_MAX:
                return False
            self._open[request] = time.monotonic() + REQUEST_SECONDS_MAX
        return True

    def service_actions(self) -> None:
        now = time.monotonic()
        with self._lock:
            overdue = [request for request, deadline in self._open.items() if deadline < now]
            for request in overdue:
                # Wakes its thread, which then closes it; under the lock, so that it is still its.
                _shut(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def close_all(self) -> None:
        """Cut every open connection."""
        with self._lock:
            for request in self._open:
                _shut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address
        _log.debug("a probe's connection failed", exc_info=True)


def _shut(request: socket) -> None:
    with suppress(OSError):  # the other side may have closed it
        request.shutdown(SHUT_RDWR)


class ProbeServer:
    """Serves a process's health, readiness and metrics until it is stopped.

    >>> from prometheus_client import CollectorRegistry
    >>> from stream.health import Health
    >>> with ProbeServer("127.0.0.1", 0, Health(60), CollectorRegistry()) as server:
    ...     server.port > 0
    True
    """

    def __init__(self, host: str, port: int, health: Condition, registry: CollectorRegistry) -> None:
        self._address = (host, port)
        self._health = health
        self._registry = registry
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that it listens on. Raises RuntimeError unless the server is started."""
        if self._server is None:
            raise RuntimeError("the probes' server is not started")
        return self._server.server_port

    def start(self) -> None:
        """Listen, and answer from a thread of its own.

        Raises:
            OSError: if the address cannot be listened on.
        """
        if self._server is not None:
            raise RuntimeError("the probes' server is started already")
        self._server = _Server(self._address, self._health, self._registry)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_CHECK_SECONDS,), name="probes", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and cut what is open; harmless when it is stopped already."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.close_all()
        self._server.server_close()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
