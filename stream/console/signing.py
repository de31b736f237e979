"""Signing in and out: a form that needs no script, and nothing of the pages' machinery."""

import asyncio
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from stream.console.formats import locale_of
from stream.console.gate import PREFIX, PRINCIPAL
from stream.console.layout import STYLE, THEMES
from stream.console.sessions import COOKIE, SESSION_SECONDS, Sessions
from stream.console.words import Words
from stream.serving.admission import Admission
from stream.serving.problems import ProblemError
from stream.serving.security import Scope

_BODY_BYTES_MAX: Final = 4096
_BODY_SECONDS_MAX: Final = 10.0
_FIELDS_MAX: Final = 10
_NEXT_CHARACTERS_MAX: Final = 2000
_FORM: Final = Environment(autoescape=True).from_string("""\
<!doctype html>
<html lang="{{ language }}" data-theme="{{ theme }}">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ words("sign_in.title") }} · account-health</title>
<link rel="stylesheet" href="{{ style }}"><link rel="icon" href="{{ prefix }}/assets/icon.svg">
</head>
<body class="sign-in">
<main class="card">
<h1>{{ words("sign_in.title") }}</h1>
{% if error %}<p class="notice notice-bad" role="alert">{{ error }}</p>{% endif %}
<form method="post" action="{{ prefix }}/sign-in">
<input type="hidden" name="next" value="{{ next }}">
<label for="key">{{ words("sign_in.key") }}</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus maxlength="200">
<p class="hint">{{ words("sign_in.hint") }}</p>
<button class="primary" type="submit">{{ words("sign_in.submit") }}</button>
</form>
</main>
</body>
</html>
""")


class Signing:
    """Answers the sign-in form.

    Args:
        sessions: that a valid key begins.
        admission: which knows the keys, and slows down whoever guesses.
    """

    def __init__(self, sessions: Sessions, admission: Admission) -> None:
        self._sessions = sessions
        self._admission = admission

    async def form(self, request: Request) -> Response:
        """Show the form; who is signed in already goes on."""
        wanted = safe_next(request.query_params.get("next"))
        if request.scope[PRINCIPAL] is not None:
            return RedirectResponse(PREFIX + wanted, HTTPStatus.SEE_OTHER)
        return _form(request, wanted, None)

    async def sign_in(self, request: Request) -> Response:
        """Begin a session with a key."""
        body = b""
        try:
            async with asyncio.timeout(_BODY_SECONDS_MAX):
                async for part in request.stream():
                    body += part
                    if len(body) > _BODY_BYTES_MAX:
                        return PlainTextResponse("too long", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except TimeoutError:
            # The connection with it: who sends so slowly is no browser.
            return PlainTextResponse("too slow", HTTPStatus.REQUEST_TIMEOUT, headers={"Connection": "close"})
        try:
            fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=_FIELDS_MAX)
        except ValueError:
            return PlainTextResponse("too many fields", HTTPStatus.BAD_REQUEST)
        wanted = safe_next(fields.get("next", [""])[0])
        try:
            principal = self._admission.admit(f"Bearer {fields.get('key', [''])[0]}", Scope.READ)
        except ProblemError as error:
            return _form(request, wanted, error)
        answer = RedirectResponse(PREFIX + wanted, HTTPStatus.SEE_OTHER)
        if not self._admission.is_open:
            answer.set_cookie(
                COOKIE,
                self._sessions.begin(principal),
                max_age=SESSION_SECONDS,
                path=PREFIX,
                secure=_is_secure(request),
                httponly=True,
                samesite="strict",
            )
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session, wherever its cookie is."""
        await self._sessions.end(request.cookies.get(COOKIE))
        answer = RedirectResponse(f"{PREFIX}/sign-in", HTTPStatus.SEE_OTHER)
        answer.delete_cookie(COOKIE, path=PREFIX, httponly=True, samesite="strict")
        return answer


def safe_next(wanted: str | None) -> str:
    r"""Give where to go after signing in: a page of the console, and nowhere else.

    >>> safe_next("/accounts?tier=key"), safe_next("//evil.example"), safe_next("https://evil.example"), safe_next(None)
    ('/accounts?tier=key', '/', '/', '/')
    >>> safe_next("/\\evil.example"), safe_next("/a\r\nb")
    ('/', '/')
    """
    text = wanted or "/"
    fine = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if fine and len(text) <= _NEXT_CHARACTERS_MAX else "/"


def _is_secure(request: Request) -> bool:
    """Tell whether the browser came by TLS: who lies about it keeps its own cookie from being sent."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "") == "https"


def _form(request: Request, wanted: str, error: ProblemError | None) -> Response:
    language, _ = locale_of(request.cookies.get("account-health-language"), request.headers.get("accept-language", ""))
    words = Words(language)
    theme = request.cookies.get("account-health-theme", "")
    text = None
    if error is not None:
        text = words("sign_in.slow" if error.status is HTTPStatus.TOO_MANY_REQUESTS else "sign_in.refused")
    page = _FORM.render(
        words=words,
        language=language.value,
        theme=theme if theme in THEMES else "auto",
        style=STYLE,
        prefix=PREFIX,
        next=wanted,
        error=text,
    )
    headers = {"Cache-Control": "no-store", **({} if error is None else error.headers)}
    headers.pop("WWW-Authenticate", None)
    return HTMLResponse(page, HTTPStatus.OK if error is None else error.status, headers=headers)
