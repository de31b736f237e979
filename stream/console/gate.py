"""The gate before every page: who has no session is sent to sign in, and so is whoever opens a WebSocket.

Nothing of the pages' own machinery runs for a stranger, so that a stranger cannot fill its memory.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from stream.console.sessions import COOKIE, Sessions
from stream.serving.admission import Admission
from stream.serving.problems import RETRY_SECONDS, ProblemError
from stream.serving.security import LOCAL, Principal

PREFIX: Final = "/console"
SIGN_IN: Final = "/sign-in"
ASSETS: Final = "/assets/"
"""Our own style and icon, which whoever signs in sees too."""
PRINCIPAL: Final = "account_health.principal"
"""Where a request's scope says whose it is."""
_MACHINERY: Final = "/_nicegui"
_SOCKET: Final = "/_nicegui_ws"
_POLICY_VIOLATION: Final = 1008
_HEADERS: Final = {
    # The pages' machinery compiles its templates and begins with a script in the page. Nothing may come from, or go
    # to, anybody else: what a script that does not belong here learned would have no way out.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'"
    ),
    # Our own form has to say where it comes from: under `no-referrer` its origin would be `null`, as a stranger's.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Gate:
    """Middleware of all that the console serves.

    Args:
        app: what is guarded.
        sessions: that are known.
        admission: which counts how often somebody asks.
        local_only: whether no key is set: the whole application then refuses all but this machine.
        is_full: tells whether no more pages may be open.
    """

    def __init__(
        self, app: ASGIApp, *, sessions: Sessions, admission: Admission, local_only: bool, is_full: Callable[[], bool]
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._admission = admission
        self._local_only = local_only
        self._is_full = is_full

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        principal = LOCAL if self._local_only else await self._known(connection.cookies.get(COOKIE), path_of(scope))
        scope[PRINCIPAL] = principal
        foreign = not is_same_origin(connection)
        if scope["type"] == "websocket":
            if principal is None or foreign:
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            else:
                await self._app(scope, receive, send)
            return
        path = path_of(scope)
        refusal = (
            PlainTextResponse("another site's page may not ask this", HTTPStatus.FORBIDDEN)
            if foreign
            else self._refusal(path, principal, scope)
        )
        await (self._app if refusal is None else refusal)(scope, receive, _sending(send))

    async def _known(self, cookie: str | None, path: str) -> Principal | None:
        """Tell whose session a cookie is; for the machinery's own files, which say nothing, as far as is known here."""
        if path.startswith(_SOCKET) or not path.startswith((_MACHINERY, ASSETS)):
            await self._sessions.look([cookie])
        return self._sessions.principal(cookie)

    def _refusal(self, path: str, principal: Principal | None, scope: Scope) -> Response | None:
        """Give the answer to a request that is not let through; None to one that is."""
        if path == SIGN_IN or path.startswith(ASSETS):
            return None
        if principal is None:
            if path.startswith(_MACHINERY):
                return PlainTextResponse("sign in first", HTTPStatus.UNAUTHORIZED)
            wanted = path + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            return RedirectResponse(f"{PREFIX}{SIGN_IN}?next={quote(wanted, safe='')}", HTTPStatus.SEE_OTHER)
        if path.startswith(_MACHINERY):
            return None
        try:
            self._admission.count(principal)
        except ProblemError as error:
            return PlainTextResponse(str(error), error.status, headers=error.headers)
        if self._is_full():
            return PlainTextResponse(
                "as many pages as may be are open already; try again later",
                HTTPStatus.SERVICE_UNAVAILABLE,
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        return None


def path_of(scope: Scope) -> str:
    """Give the path below the console's own."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def is_same_origin(connection: HTTPConnection) -> bool:
    """Tell whether a request comes from a page of ours, or from none; a WebSocket always says from which."""
    origin = connection.headers.get("origin")
    if origin is None:
        return bool(connection.scope["type"] != "websocket")
    host: str = connection.headers.get("host", "")
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False


def _sending(send: Send) -> Send:
    async def sending(message: "dict[str, object]") -> None:
        if message["type"] == "http.response.start":
            held = message["headers"]
            assert isinstance(held, list)
            held += [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
        await send(message)

    return sending  # type: ignore[return-value]  # its messages are of a narrower type
