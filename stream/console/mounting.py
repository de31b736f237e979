"""Putting the console beside the API, in the same application and the same process."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from nicegui import Client, ui
from nicegui import app as pages_app
from nicegui.storage import Storage
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stream.console.frame import Page, Shared, View
from stream.console.gate import PREFIX, SIGN_IN, Gate
from stream.console.pages import PAGES
from stream.console.pulse import Pulse
from stream.console.sessions import COOKIE, Sessions
from stream.console.signing import Signing
from stream.serving.security import LOCAL
from stream.serving.services import Services

_ASSETS: Final = Path(__file__).with_name("assets")
_HOUR_SECONDS: Final = 3600
_DAY_SECONDS: Final = 24 * _HOUR_SECONDS
_RECONNECT_SECONDS: Final = 10.0
_MESSAGES_KEPT: Final = 200
_RESPONSE_SECONDS: Final = 10.0


def mount(app: FastAPI, services: Services) -> None:
    """Serve the console under `/console`, and lead from `/` to it.

    Once in a process: the pages' machinery is one.
    """
    settings = services.settings
    sessions = Sessions(settings, services.reader)
    pulse = Pulse(
        services.reader,
        services.live,
        lambda: bool(Client.instances),
        lambda: sessions.look([one.request.cookies.get(COOKIE) for one in Client.instances.values()]),
    )
    is_open = services.keys.is_empty
    shared = Shared(
        services,
        pulse,
        app.state.admission,
        lambda request: LOCAL if is_open else sessions.principal(request.cookies.get(COOKIE)),
    )
    signing = Signing(sessions, app.state.admission)
    for one in PAGES:
        ui.page(one.path, response_timeout=_RESPONSE_SECONDS)(_builder(shared, one))
    pages_app.add_static_files("/assets", _ASSETS, max_cache_age=_HOUR_SECONDS)
    pages_app.add_route(SIGN_IN, signing.form, methods=["GET"])
    pages_app.add_route(SIGN_IN, signing.sign_in, methods=["POST"])
    pages_app.add_route("/sign-out", signing.sign_out, methods=["POST"])
    pages_app.on_startup(pulse.start)
    pages_app.on_shutdown(pulse.stop)
    Storage.max_tab_storage_age = _DAY_SECONDS
    app.add_route("/", _to_console, include_in_schema=False)
    ui.run_with(
        app,
        mount_path=PREFIX,
        title="account-health",
        favicon=_ASSETS / "icon.svg",
        dark=None,
        binding_refresh_interval=None,
        reconnect_timeout=_RECONNECT_SECONDS,
        message_history_length=_MESSAGES_KEPT,
        tailwind=False,
        show_welcome_message=False,
    )
    pages_app.add_middleware(
        Gate,
        sessions=sessions,
        admission=app.state.admission,
        local_only=is_open,
        is_full=lambda: len(Client.instances) >= settings.console_pages,
    )


def _builder(shared: Shared, one: Page) -> Callable[[Request], Coroutine[Any, Any, None]]:
    async def build(request: Request) -> None:
        await View.of(shared, request, one.name).open(one.build)

    return build


async def _to_console(_: Request) -> Response:
    return RedirectResponse(f"{PREFIX}/", HTTPStatus.TEMPORARY_REDIRECT)
