"""Accounts: all of them, found, filtered and ordered, a page at a time. The address says what is shown."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

from nicegui import events
from nicegui.element import Element
from starlette.datastructures import QueryParams

from models.outputs import Abc, AccountType, ChurnLevel, Lifecycle, RfmSegment, Tier, Xyz
from stream.console.controls import Pick, Search
from stream.console.frame import View, page
from stream.console.parts import Rows, account_cell, badge_cell, node
from stream.serving.queries import SEARCH_CHARACTERS_MAX, AccountQuery
from stream.serving.results import AccountRow, Portfolio
from stream.view.arrangement import Dimension, Sort

PAGE_ROWS: Final = 50
_READS_MAX: Final = 4
"""How often the view is asked for one page, at most: a filter that few accounts pass is searched a part at a time."""
_BACK_MAX: Final = 2000
"""Pages that one can go back, at most."""
_OPTIONS: Final[dict[Dimension, tuple[str, ...]]] = {
    Dimension.TIER: tuple(Tier),
    Dimension.CHURN_LEVEL: tuple(ChurnLevel),
    Dimension.ABC_REVENUE: tuple(Abc),
    Dimension.XYZ: tuple(Xyz),
    Dimension.LIFECYCLE: tuple(Lifecycle),
    Dimension.SEGMENT: (),
    Dimension.OWNER: (),
    Dimension.REGION: (),
    Dimension.RFM_SEGMENT: tuple(RfmSegment),
    Dimension.ACCOUNT_TYPE: tuple(AccountType),
}
"""Values of a filter; those in use where there are none here."""


@dataclass(slots=True)
class Asked:
    """What somebody wants to see: filters, search, order, and how many pages on."""

    filters: dict[Dimension, list[str]] = field(default_factory=dict)
    search: str = ""
    sort: Sort = Sort.REVENUE
    descending: bool = True
    cursors: list[str | None] = field(default_factory=lambda: [None])
    """Where each page began, up to the one that is shown."""
    first: int = 1
    """Number of the first account on the page."""
    firsts: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, query: QueryParams) -> Self:
        """Read an address; what is not offered is left out."""
        known = {
            dimension: [one for one in query.getlist(dimension.value)[:50] if not values or one in values]
            for dimension, values in _OPTIONS.items()
        }
        sort = query.get("sort", "")
        chosen = Sort(sort) if sort in set(Sort) else Sort.REVENUE
        order = query.get("order")
        return cls(
            filters={dimension: values for dimension, values in known.items() if values},
            search=query.get("search", "")[:SEARCH_CHARACTERS_MAX],
            sort=chosen,
            descending=order == "descending" if order else chosen is not Sort.NAME,
        )

    def address(self) -> dict[str, str | list[str]]:
        """Give what the address says."""
        default = self.sort is not Sort.NAME
        order = "" if self.descending == default else ("descending" if self.descending else "ascending")
        return {
            "search": self.search,
            **{dimension.value: values for dimension, values in self.filters.items()},
            "sort": "" if self.sort is Sort.REVENUE else self.sort.value,
            "order": order,
        }

    def query(self, cursor: str | None, limit: int) -> AccountQuery:
        """Give the question. Raises QueryError."""
        search = self.search.strip() or None
        return AccountQuery(
            filters={dimension: frozenset(values) for dimension, values in self.filters.items() if values},
            search=search,
            sort=self.sort if search is None else Sort.NAME,
            descending=self.descending if search is None else False,
            limit=limit,
            cursor=cursor,
        )

    def begin(self) -> None:
        """Go to the first page."""
        self.cursors, self.firsts, self.first = [None], [], 1

    def on(self, cursor: str, shown: int) -> None:
        """Go to the page that a cursor begins, after so many accounts on this one."""
        self.cursors, self.firsts = [*self.cursors[-_BACK_MAX:], cursor], [*self.firsts, self.first][-_BACK_MAX:]
        self.first += shown

    def back(self) -> None:
        """Go to the page before; from the last one whose way back is known, to the first."""
        if self.firsts:
            self.cursors.pop()
            self.first = self.firsts.pop()
        else:
            self.begin()


class Found(NamedTuple):
    """A page of accounts, and what is needed to go on."""

    items: tuple[AccountRow, ...]
    next: str | None
    total: int | None
    first: int


@page("/accounts", "accounts")
async def accounts(view: View) -> None:
    """Build the page."""
    asked = Asked.of(view.query)
    node("h1", view.words("accounts.title"))
    listing = _Listing(view, asked)
    await view.section(
        None,
        read=view.shared.pulse.portfolio,
        draw=lambda found: _filters(view, asked, found, listing.again),
        every_seconds=None,
        classes="plain",
    )
    listing.section = await view.section(None, read=listing.read, draw=listing.draw)


class _Listing:
    """The table, and the ways through its pages."""

    def __init__(self, view: View, asked: Asked) -> None:
        self._view = view
        self._asked = asked
        self.section: Any = None
        self._found: Found | None = None
        self._said: list[Element] = []

    async def read(self) -> Found:
        """Read the page that is asked for."""
        asked, items, total = self._asked, list[AccountRow](), None
        cursor = asked.cursors[-1]
        for number in range(_READS_MAX):
            got = await self._view.reader.accounts(asked.query(cursor, PAGE_ROWS - len(items)))
            items += got.items
            total, cursor = (got.total if number == 0 else total), got.next
            if cursor is None or len(items) >= PAGE_ROWS:
                break
        return Found(tuple(items), cursor, total, asked.first)

    async def again(self) -> None:
        """Show what is asked for now, from its first page on."""
        self._asked.begin()
        self._view.set_query(self._asked.address())
        await self._show()

    def draw(self, found: Found) -> Callable[[Found], None]:
        """Draw the table; what it gives takes the news in."""
        words = self._view.words
        with node("div", None, "row between"):
            counted = node("p", "", "soft", role="status")
            self._view.stamp()
        table = Rows(_columns(words), caption=words("accounts.title"), empty=words("accounts.none"))
        table.on("sort", self._sort)
        with node("nav", None, "row pages", aria_label=words("accounts.pages")):
            back = node("button", words("accounts.back"), "secondary", type="button").on("click", self._back)
            onward = node("button", words("accounts.next"), "secondary", type="button").on("click", self._next)

        def show(news: Found) -> None:
            self._found = news
            order = ("ascending", "descending")[self._asked.descending]
            by = (Sort.NAME.value, "ascending") if self._asked.search.strip() else (self._asked.sort.value, order)
            table.show([_row(self._view, one) for one in news.items], sorted_by=by)
            counted.set_text(_counted(self._view, news))  # type: ignore[attr-defined]  # it is an element of text
            for button, off in ((back, news.first == 1), (onward, news.next is None)):
                button.props["disabled"] = off
                button.update()

        show(found)
        return show

    async def _sort(self, event: events.GenericEventArguments) -> None:
        if event.args not in set(Sort) or self._asked.search.strip():
            return
        sort, asked = Sort(event.args), self._asked
        asked.descending = not asked.descending if asked.sort is sort else sort is not Sort.NAME
        asked.sort = sort
        await self.again()

    async def _back(self) -> None:
        self._asked.back()
        await self._show()

    async def _next(self) -> None:
        if self._found is not None and self._found.next is not None:
            self._asked.on(self._found.next, len(self._found.items))
            await self._show()

    async def _show(self) -> None:
        error = self._view.error_of_asking()
        if error is None:
            await self.section.refresh(wait=True)
        else:
            self.section.fail(error)


def _filters(view: View, asked: Asked, found: Portfolio, again: Callable[[], Any]) -> None:
    async def search(text: str) -> None:
        asked.search = text[:SEARCH_CHARACTERS_MAX]
        await again()

    picks: dict[Dimension, Pick] = {}

    def picker(dimension: Dimension) -> Callable[[list[str]], Any]:
        async def pick(values: list[str]) -> None:
            asked.filters = {**asked.filters, dimension: values}
            await again()

        return pick

    async def clear() -> None:
        asked.filters = {}
        for one in picks.values():
            one.show([])
        await again()

    with node("search", None, "row filters"):
        Search(view.words("accounts.search"), asked.search, search)
        for dimension, values in _OPTIONS.items():
            used = values or tuple(one.value for one in found.groups[dimension])
            if used:
                picks[dimension] = Pick(
                    view.words(f"dimension.{dimension}"),
                    view.words("accounts.find"),
                    [(one, view.words.name(_KINDS.get(dimension, ""), one) if values else one) for one in used],
                    chosen=asked.filters.get(dimension, []),
                    on_pick=picker(dimension),
                )
        node("button", view.words("accounts.clear"), "quiet", type="button").on("click", clear)


_KINDS: Final = {
    Dimension.TIER: "tier",
    Dimension.CHURN_LEVEL: "churn_level",
    Dimension.LIFECYCLE: "lifecycle",
    Dimension.RFM_SEGMENT: "rfm_segment",
    Dimension.ACCOUNT_TYPE: "account_type",
}


def _columns(words: Callable[[str], str]) -> list[dict[str, Any]]:
    shape = (
        ("name", "account", Sort.NAME, False),
        ("tier", "badge", None, False),
        ("score", "number", Sort.SCORE, True),
        ("level", "badge", None, False),
        ("risk", "number", Sort.RISK, True),
        ("stake", "number", Sort.VALUE_AT_STAKE, True),
        ("revenue", "number", Sort.REVENUE, True),
        ("classes", "text", None, True),
        ("lifecycle", "text", None, True),
        ("owner", "text", None, True),
        ("last_order", "number", None, True),
    )
    return [
        {
            "name": name,
            "label": words(f"accounts.column.{name}"),
            "kind": kind,
            "sort": None if sort is None else sort.value,
            "wide": wide,
        }
        for name, kind, sort, wide in shape
    ]


def _row(view: View, one: AccountRow) -> dict[str, Any]:
    words, formats = view.words, view.formats
    return {
        "key": one.account_id,
        "name": account_cell(one.account_id, one.name),
        "tier": badge_cell("tier", one.tier, words.name("tier", one.tier)),
        "score": formats.decimal(one.score),
        "level": badge_cell("churn_level", one.churn_level, words.name("churn_level", one.churn_level)),
        "risk": formats.percent(one.risk),
        "stake": formats.money(one.value_at_stake, one.currency, whole=True),
        "revenue": formats.money(one.revenue, one.currency, whole=True),
        "classes": f"{one.abc_revenue or '–'}{one.xyz or '–'}",
        "lifecycle": words.name("lifecycle", one.lifecycle),
        "owner": one.owner or "–",
        "last_order": formats.day(one.last_order),
    }


def _counted(view: View, found: Found) -> str:
    integer, words = view.formats.integer, view.words
    last = found.first + len(found.items) - 1
    if not found.items:
        return words("accounts.none")
    if found.total is None:
        return words("accounts.range", first=integer(found.first), last=integer(last))
    return words("accounts.range_of", first=integer(found.first), last=integer(last), total=integer(found.total))
