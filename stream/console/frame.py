"""The frame of every page: navigation, language, theme, banner, sections that keep themselves up to date.

How a page is added:

1. `stream/console/pages/NAME.py` has a function that builds it::

       @page("/win-back", "win_back")
       async def win_back(view: View) -> None:
           await view.section(
               "win_back.title",
               read=lambda: view.reader.win_back(50),
               draw=lambda found: draw(view, found),
           )

   `read` asks the services and may raise ServingError or QueryError, which the section says in words. `draw` puts what
   was read on the page. The section reads again when something changed, and draws again only what is not the same; if
   `draw` returned a function, that is called with the news instead.
2. `stream/console/pages/__init__.py` imports it, in the order of the navigation.
3. Each catalogue has `nav.NAME`, its name in the navigation and the window's title, and a table `NAME` of its texts.

Texts come from `view.words("win_back.title")`, names of enumerations from `view.words.name("tier", tier)`, figures from
`view.formats`. `stream.console.parts` has elements, badges and tables, `stream.console.charts` has charts,
`stream.console.telling` says reasons, causes and changes in words. Classes of the style stand in `assets/console.css`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlencode

from nicegui import ui
from nicegui.element import Element
from starlette.datastructures import QueryParams
from starlette.requests import Request

from stream.console.formats import Formats, locale_of
from stream.console.gate import PREFIX, PRINCIPAL
from stream.console.layout import THEMES, Banner, draw_frame
from stream.console.parts import node
from stream.console.pulse import Pulse
from stream.console.words import Words
from stream.serving.admission import Admission
from stream.serving.errors import (
    AccountNotFoundError,
    CursorExpiredError,
    EditConflictError,
    EditRefusedError,
    EditUnavailableError,
    ServingError,
    TooManyClientsError,
    TrialBusyError,
    ViewUnavailableError,
)
from stream.serving.problems import ProblemError
from stream.serving.queries import QueryError
from stream.serving.reader import ViewReader
from stream.serving.security import Principal, Scope
from stream.serving.services import Services

READ_AGAIN_SECONDS: Final = 3.0
"""How long a section rests between two readings, while things change; after a rest it follows a change at once."""
_TICK_SECONDS: Final = 0.25
_ERRORS: Final[Mapping[type[Exception], str]] = {
    AccountNotFoundError: "error.account_not_found",
    CursorExpiredError: "error.cursor_expired",
    EditConflictError: "error.edit_conflict",
    EditRefusedError: "error.edit_refused",
    EditUnavailableError: "error.edit_unavailable",
    TrialBusyError: "error.trial_busy",
    TooManyClientsError: "error.too_many_clients",
    ViewUnavailableError: "error.view_unavailable",
    QueryError: "error.query",
}
FoundT = TypeVar("FoundT")
Builder = Callable[["View"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: where it is, what it is called in the catalogues, and what builds it."""

    path: str
    name: str
    build: Builder
    in_navigation: bool


PAGES: Final[list[Page]] = []
"""In the order of the navigation."""


def page(path: str, name: str, *, in_navigation: bool = True) -> Callable[[Builder], Builder]:
    """Add a page to the console."""

    def add(build: Builder) -> Builder:
        PAGES.append(Page(path, name, build, in_navigation))
        return build

    return add


@dataclass(frozen=True, slots=True)
class Shared:
    """What all pages have in common."""

    services: Services
    pulse: Pulse
    admission: Admission
    principal_of: Callable[[Request], Principal | None]
    """Tells whose session the cookie of a request is, as of now."""


class Section:
    """A part of a page that reads what it shows, and reads it again when something changed."""

    def __init__(
        self, view: "View", body: Element, read: Callable[[], Awaitable[Any]], draw: Callable[[Any], object]
    ) -> None:
        self._view = view
        self._body = body
        self._read = read
        self._draw = draw
        self.shown: Any = None
        """What was read last; None before anything was."""
        self._update: Callable[[Any], object] | None = None
        self._failed: str | None = None
        self._stamps: list[ui.label] = []
        self._reading = asyncio.Lock()
        self.beat = -1
        """The pulse's, when it was read."""
        self.read_seconds = 0.0
        """When that was, whether it could be read or not, on the event loop's clock."""

    async def refresh(self, *, wait: bool = False) -> None:
        """Read it now, and draw it if it is not the same.

        Args:
            wait: what is asked for is another now, so that what is being read already is of no use; else it is left
                alone, and nothing is read beside it.
        """
        if self._reading.locked() and not wait:
            return
        async with self._reading:
            self.read_seconds = asyncio.get_running_loop().time()
            beat = self._view.shared.pulse.beat
            try:
                found = await self._read()
            except (ServingError, QueryError) as error:
                self.fail(self._view.error_text(error))
                return
            self.beat = beat
            self._show(found)

    def stamp(self) -> None:
        """Say as of when the section is, and keep saying it."""
        self._stamps.append(ui.label(self._view.updated_text()).classes("stamp"))

    def _show(self, found: Any) -> None:
        """Draw what was read, or as little of it as can be: whoever is at something in it should not lose it."""
        same = self._failed is None and self.shown is not None
        if same and (found == self.shown or self._update is not None):
            if found != self.shown and self._update is not None:
                self._update(found)
            for one in self._stamps:
                one.set_text(self._view.updated_text())
            self.shown = found
            return
        self.shown, self._failed = found, None
        made = self._redraw(lambda: self._draw(found))
        self._update = made if callable(made) and not isinstance(made, Element) else None

    def fail(self, text: str) -> None:
        """Say in its place why it is not there."""
        if self._failed == text:
            return
        self._failed = text
        self._redraw(lambda: node("p", text, "notice notice-bad", role="alert"))

    def _redraw(self, draw: Callable[[], object]) -> object:
        if self._body.is_deleted:
            return None
        self._stamps.clear()
        self._body.clear()
        self._view.current = self
        with self._body:
            made = draw()
        self._view.current = None
        return made


@dataclass(slots=True)
class View:
    """One open page, and all that its builder needs."""

    shared: Shared
    request: Request
    principal: Principal
    words: Words
    formats: Formats
    name: str
    """Of the page."""
    banner: Banner | None = None
    current: Section | None = None
    """The section that is being drawn."""
    _sections: list[tuple[Section, float]] = field(default_factory=list)

    @classmethod
    def of(cls, shared: Shared, request: Request, name: str) -> Self:
        """Make the view of a request."""
        language, locale = locale_of(
            request.cookies.get("account-health-language"), request.headers.get("accept-language", "")
        )
        principal = request.scope[PRINCIPAL]
        assert isinstance(principal, Principal)
        return cls(shared, request, principal, Words(language), Formats(locale, shared.services.time_zone), name)

    @property
    def reader(self) -> ViewReader:
        """What answers questions."""
        return self.shared.services.reader

    @property
    def may_edit(self) -> bool:
        """Whether whoever looks at this may change profiles."""
        return self.principal.scope is Scope.ADMIN

    def error_of_asking(self, cost: int = 1) -> str | None:
        """Count something that is asked over a page that is open; say what is against it, None if nothing is.

        Args:
            cost: as how many requests it counts.
        """
        if self.shared.principal_of(self.request) is None:
            return self.words("error.signed_out")
        try:
            self.shared.admission.count(self.principal, cost)
        except ProblemError:
            return self.words("error.too_often")
        return None

    @property
    def query(self) -> QueryParams:
        """What stands in the address behind the question mark."""
        return self.request.query_params

    @property
    def theme(self) -> str:
        """`light`, `dark` or `auto`."""
        chosen = self.request.cookies.get("account-health-theme", "")
        return chosen if chosen in THEMES else "auto"

    async def section(
        self,
        title: str | None,
        *,
        read: Callable[[], Awaitable[FoundT]],
        draw: Callable[[FoundT], object],
        every_seconds: float | None = READ_AGAIN_SECONDS,
        classes: str = "card",
    ) -> Section:
        """Add a section, and read it for the first time.

        Args:
            title: key of its heading; None for one whose `draw` makes its own.
            read: asks the services.
            draw: puts what was read on the page; `view.stamp()` in it says as of when that is.
            every_seconds: how long it rests between two readings, while things change; None for one that is read once.
            classes: of the style.
        """
        with node("section", None, classes):
            if title is not None:
                node("h2", self.words(title))
            body = node("div", None, "body")
        made = Section(self, body, read, draw)
        if every_seconds is not None:
            self._sections.append((made, every_seconds))
        await made.refresh()
        return made

    def stamp(self, as_of: datetime | None = None) -> None:
        """Say as of when the figures of this card are: of an account, or of the whole view where none is given."""
        if as_of is None and self.current is not None:
            self.current.stamp()
            return
        node("p", self.updated_text() if as_of is None else self.as_of_text(as_of), "stamp")

    def as_of_text(self, as_of: datetime) -> str:
        """Say as of when something is."""
        return self.words("frame.as_of", moment=self.formats.moment(as_of))

    def updated_text(self) -> str:
        """Say as of when the whole view is."""
        status = self.shared.pulse.status
        if status is None or status.updated_at is None:
            return self.words("frame.as_of_unknown")
        return self.as_of_text(status.updated_at)

    def error_text(self, error: Exception) -> str:
        """Say in words why something could not be done."""
        return self.words(next((key for kind, key in _ERRORS.items() if isinstance(error, kind)), "error.other"))

    def set_query(self, items: Mapping[str, str | list[str]]) -> None:
        """Let the address say what is shown, without loading the page again, so that it can be shared."""
        address = with_query(self.request.scope["path"].removeprefix(PREFIX), **items)
        ui.run_javascript(f"history.replaceState(history.state, '', {json.dumps(address)})")

    async def open(self, build: Builder) -> None:
        """Build the page in its frame, and keep it up to date."""
        pulse = self.shared.pulse
        await pulse.look()
        with draw_frame(self, [one.name for one in PAGES if one.in_navigation], _paths()) as banner:
            self.banner = banner
            self._tell()
            await build(self)
        ui.timer(_TICK_SECONDS, self._tick)

    async def _tick(self) -> None:
        self._tell()
        if self.shared.principal_of(self.request) is None:
            ui.navigate.reload()
            return
        now = asyncio.get_running_loop().time()
        for section, every_seconds in self._sections:
            if section.beat != self.shared.pulse.beat and now - section.read_seconds >= every_seconds:
                await section.refresh()

    def _tell(self) -> None:
        if self.banner is not None:
            self.banner.tell(self.shared.pulse)


def _paths() -> Mapping[str, str]:
    return {one.name: PREFIX + one.path for one in PAGES}


def with_query(path: str, **values: str | list[str] | None) -> str:
    """Give a full path of a page with what its address says; nothing of what is empty.

    >>> with_query("/accounts", tier=["key", "growth"], search="", owner="Ann Lee")
    '/console/accounts?tier=key&tier=growth&owner=Ann+Lee'
    """
    pairs = [
        (name, one) for name, value in values.items() for one in (value if isinstance(value, list) else [value]) if one
    ]
    return PREFIX + path + (f"?{urlencode(pairs)}" if pairs else "")
