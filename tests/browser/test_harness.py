"""What the tests of pages would find, tried on pages that are made for it: a test that cannot fail is none."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import quote, unquote

import pytest
from playwright.sync_api import Browser

from tests.support.browser import Tab

_PAGE = '<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1>{}</main></html>'
_DARK = "<style>@media (prefers-color-scheme: dark) {{ body {{ background: #000 }} main {{ color: {} }} }}</style>"


class _Echo(BaseHTTPRequestHandler):
    """Answers with the page that its path says."""

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
            return
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(_PAGE.format(unquote(self.path[1:])).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """Say nothing."""


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    """A server whose pages hold what their address says."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def tab(chromium: Browser, echo: str) -> Iterator[Tab]:
    """A tab for all of them."""
    made = Tab(chromium, echo)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>Nothing is wrong.</p>", None),
        ("<img src='data:,'>", "axe image-alt"),
        ("<input type=text>", "axe label"),
        ("<p style='color: rgb(200 200 200)'>Hardly to be read</p>", "axe color-contrast"),
        (_DARK.format("#eee"), None),
        (_DARK.format("#222") + "<p>Black on black</p>", "axe color-contrast"),
        ("<div style='width: 400px'>Wider than a phone</div>", "overflow: "),
        ("<script>console.error('said')</script>", "console: said"),
        ("<script>throw new Error('thrown')</script>", "exception: thrown"),
        ("<img alt='' src='/missing'>", "answer: 404 "),
        ("<img alt='' src='http://127.0.0.1:1/picture'>", "asks others: http://127.0.0.1:1/picture"),
    ],
)
def test_what_is_wrong_with_a_page_is_found(tab: Tab, body: str, expected: str | None) -> None:
    """In light and in dark, at a desk and on a phone; and of a page with which nothing is wrong, nothing is said."""
    tab.complaints.clear()

    tab.page.goto(f"/{quote(body)}")
    found = tab.faults()

    assert bool(found) == (expected is not None), found
    assert expected is None or any(one.startswith(expected) for one in found), found
