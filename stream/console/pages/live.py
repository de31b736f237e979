"""Live: every change as it is published, filtered, and held still while somebody reads."""

from datetime import date
from typing import Final, NamedTuple

from nicegui import ui
from nicegui.element import Element

from models.snapshots import Snapshot
from stream.console.controls import Pick, Search
from stream.console.frame import Section, View, page
from stream.console.parts import account_path, link, node
from stream.console.telling import KINDS, kind_of, tell, when_text
from stream.serving.results import Change
from stream.view.entry import fold

_READ: Final = 200
_SHOWN: Final = 50


class Feed(NamedTuple):
    """The last changes, newest first, and their accounts."""

    items: tuple[Change, ...]
    accounts: dict[str, Snapshot]
    today: date


@page("/live", "live")
async def live(view: View) -> None:
    """Build the page."""
    words = view.words
    node("h1", words("live.title"))
    feed = _Live(view)
    with node("div", None, "row filters"):
        Search(words("live.search"), "", feed.search)
        options = [(kind, words(f"live.kind.{kind}")) for kind in KINDS]
        Pick(words("live.kinds"), words("accounts.find"), options, chosen=(), on_pick=feed.pick)
        feed.button = node("button", words("live.pause"), "secondary", type="button", aria_pressed="false")
        feed.button.on("click", feed.pause)
    feed.status = ui.label(words("live.running")).classes("soft")
    feed.status.props["role"] = "status"
    feed.section = await view.section(None, read=feed.read, draw=feed.draw, every_seconds=1)


class _Live:
    """What is shown of the feed, and whether it stands still."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._kinds: frozenset[str] = frozenset()
        self._wanted = ""
        self._paused = False
        self._held: Feed | None = None
        self.section: Section | None = None
        self.button: Element | None = None
        self.status: ui.label | None = None

    async def read(self) -> Feed:
        """Read the last changes; while paused those that are shown."""
        if self._paused and self._held is not None:
            return self._filtered(self._held)
        items = await self._view.reader.latest_changes(_READ)
        accounts = await self._view.reader.snapshots([one.event.account_id for one in items])
        self._held = Feed(items, accounts, self._view.formats.today())
        return self._filtered(self._held)

    def _filtered(self, feed: Feed) -> Feed:
        passing = [
            one
            for one in feed.items
            if (not self._kinds or kind_of(one.event) in self._kinds) and self._wanted in self._searched(feed, one)
        ]
        shown = tuple(passing[:_SHOWN])
        ids = {one.event.account_id for one in shown}
        accounts = {name: one for name, one in feed.accounts.items() if name in ids}
        return Feed(shown, accounts, feed.today)

    def _searched(self, feed: Feed, one: Change) -> str:
        account = feed.accounts.get(one.event.account_id)
        name = "" if account is None else account.name or ""
        return fold(f"{name} {one.event.account_id}")

    def draw(self, feed: Feed) -> None:
        """Draw the changes."""
        words, formats = self._view.words, self._view.formats
        if not feed.items:
            node("p", words("live.nothing"), "soft")
        with node("ul", None, "changes", aria_label=words("live.title")):
            for one in feed.items:
                told = tell(one.event, words, formats)
                account = feed.accounts.get(one.event.account_id)
                name = one.event.account_id if account is None or account.name is None else account.name
                with node("li", None, "change-good" if told.good else "change-bad"):
                    with node("div", None, "row between"):
                        link(name, account_path(one.event.account_id), "strong")
                        at = one.event.occurred_at
                        when = when_text(at, feed.today, words, formats)
                        node("time", when, "stamp", title=formats.moment(at), datetime=at.isoformat())
                    node("p", told.what)
                    node("p", told.why, "soft small")
        self._view.stamp()

    async def search(self, text: str) -> None:
        """Show only accounts whose name or id has a text in it."""
        self._wanted = fold(text)
        await self._again()

    async def pick(self, kinds: list[str]) -> None:
        """Show only some kinds of changes; all, where none is chosen."""
        self._kinds = frozenset(kinds)
        await self._again()

    async def pause(self) -> None:
        """Let it stand still, or go on."""
        words = self._view.words
        self._paused = not self._paused
        if self.button is not None:
            self.button.props["aria-pressed"] = "true" if self._paused else "false"
            self.button.update()
        if self.status is not None:
            self.status.set_text(words("live.paused" if self._paused else "live.running"))
        await self._again()

    async def _again(self) -> None:
        if self.section is not None:
            await self.section.refresh()
