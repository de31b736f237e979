"""A real browser for tests, and what is wrong with a page: what it complains of, barriers, and what overflows."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request, Response, expect, sync_playwright

from tests.support.missing import missing

_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS: Final = (
    # It does not start for root with one, and all that it shows is ours.
    "--no-sandbox",
    "--disable-gpu",
    "--font-render-hinting=none",
)
_TIMEOUT_MS: Final = 30_000
_GRAVE: Final = frozenset({"serious", "critical"})
_SHOWN: Final = 3
_ON_THE_NETWORK: Final = frozenset({"http", "https", "ws", "wss"})
_ERROR_STATUS: Final = 400

_OVERFLOWING: Final = """() => {
    const width = document.documentElement.clientWidth;
    const widest = document.documentElement.scrollWidth;
    if (widest <= width) return [];
    const named = (one) => one.tagName.toLowerCase() + [...one.classList].map((name) => `.${name}`).join('');
    const wide = [...document.body.querySelectorAll('*')].filter((one) => one.getBoundingClientRect().right > width);
    return [`${widest} pixels wide of ${width}`, ...wide.slice(0, 3).map(named)];
}"""
_IS_STILL: Final = """() => document.getAnimations().every(
    (one) => one.playState !== 'running' || one.effect?.getComputedTiming().endTime === Infinity
)"""


class Size(NamedTuple):
    """Of the window, in CSS pixels."""

    width: int
    height: int


Scheme = Literal["light", "dark"]

DESK: Final = Size(1280, 900)
PHONE: Final = Size(390, 844)

_CONTRAST: Final = "color-contrast"
_LOOKS: Final[tuple[tuple[Scheme, Size, dict[str, Any] | None], ...]] = (
    ("light", DESK, {}),
    ("light", PHONE, {"rules": {_CONTRAST: {"enabled": False}}}),
    ("dark", PHONE, None),
    ("dark", DESK, {"runOnly": [_CONTRAST]}),
)
"""In which a page has to be whole, and what axe is asked in it. Contrasts take most of its time: those of a scheme are
the same at every width, and all else is the same in every scheme."""


def find_chromium() -> str | None:
    """Find the browser's program."""
    return next((found for name in _PROGRAMS if (found := shutil.which(name)) is not None), None)


def require_chromium() -> str:
    """Give the browser's program, or skip the test where there is none; in CI that is a failure."""
    program = find_chromium()
    if program is None:
        missing("no browser: apt-get install chromium")
    return program


@contextmanager
def browser(program: str) -> Iterator[Browser]:
    """Run a browser without a window."""
    expect.set_options(timeout=_TIMEOUT_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        try:
            yield launched
        finally:
            launched.close()


class Tab:
    """A page of its own, with no cookies of others, and all that it complained of.

    Args:
        launched: the browser.
        home: address that it is on: nothing else may be asked for anything.
        size: of its window.
        options: more of Playwright's for a context.
    """

    def __init__(self, launched: Browser, home: str, size: Size = DESK, **options: Any) -> None:
        self.complaints: Final[list[str]] = []
        """Errors on its console, exceptions, failed answers, and requests to others."""
        self._home = urlsplit(home).netloc
        self._context = launched.new_context(
            base_url=home,
            viewport={"width": size.width, "height": size.height},
            # Pages say the same wherever the tests run, and nothing is caught halfway in its motion.
            locale=options.pop("locale", "en-GB"),
            timezone_id="UTC",
            reduced_motion="reduce",
            **options,
        )
        self._context.set_default_timeout(_TIMEOUT_MS)
        self.page: Final[Page] = self._context.new_page()
        self.page.on("console", lambda said: self._complain("console", said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self._complain("exception", error.message))
        self.page.on("request", self._note_request)
        self.page.on("response", self._note_response)

    def visit(self, path: str) -> None:
        """Go to a page of the console, and wait until it is connected."""
        self.page.goto(path)
        self.wait_connected()

    def sign_in(self, key: str, path: str) -> None:
        """Go to a page of the console that asks for a key, and give one."""
        self.page.goto(path)
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.wait_connected()

    def wait_connected(self) -> None:
        """Wait until a page of the console is connected: from then on it keeps itself up to date."""
        self.page.wait_for_function("() => window.did_handshake")

    def close(self) -> None:
        """Close it."""
        self._context.close()

    def faults(self) -> list[str]:
        """Tell what is wrong with the page in every look, and what it complained of since it was opened."""
        found: list[str] = []
        for scheme, size, asked in _LOOKS:
            self.dress(scheme, size)
            where = f"{scheme}, {size.width} wide"
            found += [f"overflow: {where}: {one}" for one in self.page.evaluate(_OVERFLOWING)]
            if asked is not None:
                found += barriers(self.page, where, asked)
        return [*self.complaints, *found]

    def dress(self, scheme: Scheme, size: Size) -> None:
        """Show the page in another colour scheme and size, and wait until nothing moves any longer.

        Colours on their way to others would be judged as they are.
        """
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size({"width": size.width, "height": size.height})
        self.page.wait_for_function(_IS_STILL)

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in _ON_THE_NETWORK and parts.netloc != self._home:
            self._complain("asks others", request.url)

    def _note_response(self, response: Response) -> None:
        if response.status >= _ERROR_STATUS:
            self._complain("answer", f"{response.status} {response.url}")

    def _complain(self, kind: str, text: str) -> None:
        self.complaints.append(f"{kind}: {text}")


def barriers(page: Page, where: str, asked: Mapping[str, Any]) -> list[str]:
    """Let axe look for what keeps people with disabilities from a page; only what is serious or worse."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())
    # Without asking for the style sheets once more: a page may show that it loads something.
    options = {"resultTypes": ["violations"], "preload": False, **asked}
    found = page.evaluate("(options) => axe.run(options)", options)["violations"]
    return [
        f"axe {one['id']}: {where}: {one['help']}: {node['html'][:200]} ({node.get('failureSummary', '')[:300]})"
        for one in found
        if one["impact"] in _GRAVE
        for node in one["nodes"][:_SHOWN]
    ]


@cache
def _axe() -> str:
    """Read axe; of the package that ships it nothing else is used."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
