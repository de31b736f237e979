"""A destination for tests: a real HTTP server that does as it is told, and remembers what it was sent."""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

ANSWER_SECONDS_MAX: Final = 30.0


@dataclass(frozen=True)
class Received:
    """One request."""

    at: float
    """Seconds of the wall clock."""
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What it answers."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: bool = False
    """Whether there is no answer until the server ends or the client goes."""
    drip_seconds: float = 0.0
    """Pause after each byte of the body."""


Answering = Callable[[Received], Reply]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"
    timeout = ANSWER_SECONDS_MAX

    def _take(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            # Whoever was killed between the headers and the end of the body has sent no request.
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(time.time(), self.command, self.path, headers, body)
        reply = self.server.destination.take(received)
        if reply.hang:
            self.server.destination.released.wait(ANSWER_SECONDS_MAX)
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status >= http.client.OK and reply.status not in {204, 304}:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        step = 1 if reply.drip_seconds else max(len(reply.body), 1)
        for start in range(0, len(reply.body), step):
            self.wfile.write(reply.body[start : start + step])
            if reply.drip_seconds and self.server.destination.released.wait(reply.drip_seconds):
                return

    def do_POST(self) -> None:
        self._take()

    def do_PATCH(self) -> None:
        self._take()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, destination: "Destination", port: int) -> None:
        self.destination = destination
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client may go at any time."""


class Destination:
    """A server on 127.0.0.1; `answering` may be changed at any time."""

    def __init__(self, answering: Answering = lambda _: Reply(), context: ssl.SSLContext | None = None) -> None:
        self.answering = answering
        self.released = threading.Event()
        self.received: Final[list[Received]] = []
        self._lock = threading.Lock()
        self._server = _Server(self, 0)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if context is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is, without a path."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def take(self, received: Received) -> Reply:
        """Remember a request and decide what to answer."""
        with self._lock:
            self.received.append(received)
        return self.answering(received)

    def release(self) -> None:
        """Let go of all who wait for an answer; from now on none has to wait."""
        self.released.set()

    def close(self) -> None:
        """End the server."""
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
