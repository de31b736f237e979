"""What is asked over a page that is still open when its session has ended."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.requests import Request

from models.policy import Policy
from stream.console.frame import Shared, View
from stream.console.gate import PRINCIPAL
from stream.console.pages import what_if, win_back
from stream.serving.admission import Admission
from stream.serving.security import Principal, Scope
from stream.serving.services import Services
from stream.serving.telemetry import ServeMetrics
from stream.settings import load_settings
from tests.serving.conftest import READ_KEY

ANN = Principal("ann", Scope.READ)


class Heard:
    """A form or a section that notes what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.refreshed = 0

    def begin(self, _: object) -> None:
        """Show other values."""

    def say(self, text: str, *, good: bool) -> None:
        """Say what became of it."""
        del good
        self.said.append(text)

    def fail(self, text: str) -> None:
        """Say why nothing is there."""
        self.said.append(text)

    async def refresh(self, *, wait: bool = False) -> None:
        """Read again."""
        self.refreshed += wait


async def _try_policy(view: View, heard: Heard) -> None:
    held = Policy(reporting_currency="EUR")
    trying: Any = what_if._Trying(view, held, None)  # type: ignore[arg-type]  # shows nothing
    trying._form = heard
    await trying._send({name: f"{value:g}" for name, value in what_if.fields_of(held).items()})


async def _ask_for_more(view: View, heard: Heard) -> None:
    listing: Any = win_back._Listing(view)
    listing.section = heard
    await listing._more()


@pytest.mark.parametrize("ask", [_try_policy, _ask_for_more])
def test_nothing_is_answered_over_a_page_whose_session_has_ended(
    ask: Callable[[View, Heard], Coroutine[Any, Any, None]],
) -> None:
    """Who keeps its connection open is told that it is signed out; while the session lasts, it is answered."""

    async def run(known: Principal | None) -> tuple[Heard, str]:
        services = Services.of(
            load_settings(
                {
                    "ACCOUNT_HEALTH_API_READ_KEYS": f"ann:{READ_KEY}",
                    # nobody listens there: whoever is answered is told so, at once
                    "ACCOUNT_HEALTH_REDIS_URL": "redis://127.0.0.1:1/0",
                }
            )
        )
        admission = Admission(services.keys, services.settings.api_requests_per_second, ServeMetrics())
        shared = Shared(services, None, admission, lambda _: known)  # type: ignore[arg-type]  # has no pulse
        request = Request({"type": "http", "method": "GET", "headers": [], "path": "/", PRINCIPAL: ANN})
        view, heard = View.of(shared, request, "page"), Heard()
        await ask(view, heard)
        await services.close()
        return heard, view.words("error.signed_out")

    out, text = asyncio.run(run(None))
    known, _ = asyncio.run(run(ANN))

    assert (out.said, out.refreshed) == ([text], 0)
    assert text not in known.said
    assert known.said or known.refreshed
