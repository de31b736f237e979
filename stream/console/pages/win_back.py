"""Win-back: the lost accounts, those first that were worth the most, why they left, and what to do."""

from typing import Any, Final

from stream.console.frame import Section, View, page
from stream.console.parts import Rows, account_cell, badge_cell, node
from stream.console.telling import reasons_text, sentence
from stream.serving.queries import LIMIT_MAX
from stream.serving.results import AccountPage, AccountRow

_STEP: Final = 50


@page("/win-back", "win_back")
async def win_back(view: View) -> None:
    """Build the page."""
    node("h1", view.words("win_back.title"))
    node("p", view.words("win_back.hint"), "soft")
    listing = _Listing(view)
    listing.section = await view.section(None, read=listing.read, draw=listing.draw)


class _Listing:
    """The table, which grows when more is asked for."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._limit = _STEP
        self.section: Section | None = None

    async def read(self) -> AccountPage:
        """Read as many as are wanted."""
        return await self._view.reader.win_back(self._limit)

    def draw(self, found: AccountPage) -> None:
        """Draw them."""
        words = self._view.words
        columns: list[dict[str, Any]] = [
            {"name": "name", "label": words("accounts.column.name"), "kind": "account"},
            {"name": "value", "label": words("win_back.value"), "kind": "number"},
            {"name": "reasons", "label": words("win_back.reasons"), "kind": "text"},
            {"name": "action", "label": words("win_back.action"), "kind": "text", "wide": True},
            {"name": "lost_on", "label": words("win_back.lost_on"), "kind": "day", "wide": True},
            {"name": "last_order", "label": words("win_back.last_order"), "kind": "day", "wide": True},
            {"name": "tier", "label": words("dimension.tier"), "kind": "badge", "wide": True},
            {"name": "owner", "label": words("dimension.owner"), "kind": "text", "wide": True},
        ]
        table = Rows(columns, caption=words("win_back.title"), empty=words("win_back.nobody"))
        table.show([self._row(one) for one in found.items])
        shown = len(found.items)
        with node("div", None, "row between"):
            total = shown if found.total is None else found.total
            formats = self._view.formats
            node(
                "p",
                words("win_back.shown", shown=formats.integer(shown), total=formats.integer(total)),
                "soft",
                role="status",
            )
            if found.next is not None and self._limit < LIMIT_MAX:
                node("button", words("win_back.more"), "secondary", type="button").on("click", self._more)
        self._view.stamp()

    async def _more(self) -> None:
        if self.section is None:
            return
        if (against := self._view.error_of_asking()) is not None:
            self.section.fail(against)
            return
        self._limit = min(LIMIT_MAX, self._limit + _STEP)
        await self.section.refresh(wait=True)

    def _row(self, one: AccountRow) -> dict[str, object]:
        words, formats = self._view.words, self._view.formats
        days = None if one.last_order is None else (formats.today() - one.last_order).days
        ago = "" if days is None else words("win_back.days_ago", days=formats.integer(days))
        return {
            "key": one.account_id,
            "name": account_cell(one.account_id, one.name),
            "value": formats.money(one.value_lost, one.currency, whole=True),
            "reasons": sentence(reasons_text(one.reasons, words) or words("win_back.no_reason")),
            "action": words("tell.between").join(words.name("action", name) for name in one.actions),
            "lost_on": {"text": formats.day(one.lost_on)},
            "last_order": {"text": formats.day(one.last_order), "detail": ago},
            "tier": badge_cell("tier", one.tier, words.name("tier", one.tier)),
            "owner": one.owner or "",
        }
