"""What happens to a request before any route sees it, and to an answer after: limits, headers, measures."""

import asyncio
import time
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.serving.problems import respond
from stream.serving.security import is_local_request
from stream.serving.telemetry import ServeMetrics

BODY_BYTES_MAX: Final = 64 * 1024
TARGET_BYTES_MAX: Final = 24 * 1024
"""Path and query together."""
_BODY_SECONDS_MAX: Final = 10.0
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_API_HEADERS: Final = {
    "Cache-Control": "no-store",
    # What is answered is data: a browser that is led to show it must run nothing in it.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}
_POLICY_VIOLATION: Final = 1008
"""Why a WebSocket is closed, in its own numbers."""


class Guard:
    """Middleware of the whole application.

    Args:
        app: what is guarded.
        api: beginning of the API's paths.
        local_only: whether no key is set.
        metrics: of the process.
    """

    def __init__(self, app: ASGIApp, *, api: str, local_only: bool, metrics: ServeMetrics) -> None:
        self._app = app
        self._api = api
        self._local_only = local_only
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        stranger = self._local_only and not is_local_request(headers)
        if scope["type"] == "websocket":
            if stranger:
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            else:
                await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        watched = _Watched(send, is_api=scope["path"].startswith(self._api))
        if stranger:
            refusal = respond(HTTPStatus.FORBIDDEN, "not-local", "without a key only this machine is served")
            await refusal(scope, receive, watched)
        elif len(scope.get("raw_path") or b"") + len(scope["query_string"]) > TARGET_BYTES_MAX:
            refusal = respond(HTTPStatus.REQUEST_URI_TOO_LONG, "too-long", "the address is too long")
            await refusal(scope, receive, watched)
        else:
            await self._answer(scope, receive, watched, headers)
        route = getattr(scope.get("route"), "path", "") if watched.is_api else ""
        self._metrics.observe_request(scope["method"], route, watched.status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, watched: "_Watched", headers: Headers) -> None:
        if not watched.is_api:
            await self._app(scope, receive, watched)
            return
        said = headers.get("content-length", "0")
        body = b"" if said.isdecimal() and int(said) <= BODY_BYTES_MAX else None
        if body is not None:
            try:
                async with asyncio.timeout(_BODY_SECONDS_MAX):
                    body = await _body(receive)
            except TimeoutError:
                refusal = respond(HTTPStatus.REQUEST_TIMEOUT, "too-slow", "the body did not come in time")
                await refusal(scope, receive, watched)
                return
        if body is None:
            detail = f"a body may have {BODY_BYTES_MAX} bytes at most"
            refusal = respond(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-long", detail)
            await refusal(scope, receive, watched)
            return
        read = False

        async def replay() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, watched)


async def _body(receive: Receive) -> bytes | None:
    """Read a whole body; None if it is too long."""
    parts: list[bytes] = []
    left, more = BODY_BYTES_MAX, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        left -= len(parts[-1])
        if left < 0:
            return None
        more = message.get("more_body", False)
    return b"".join(parts)


class _Watched:
    """Sends an answer with our headers, and remembers its status."""

    def __init__(self, send: Send, *, is_api: bool) -> None:
        self.status = 0
        self.is_api: Final = is_api
        self._send = send

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in {**_HEADERS, **(_API_HEADERS if self.is_api else {})}.items():
                headers.setdefault(name, value)
        await self._send(message)
