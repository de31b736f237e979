"""Portfolio: all accounts together, how the revenue is spread, and who was lost and came back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import Final, NamedTuple

from babel.dates import format_skeleton
from nicegui import events
from nicegui.element import Element

from models.outputs import Abc, Xyz
from stream.console.charts import Line, line_chart, share_bar
from stream.console.frame import View, page, with_query
from stream.console.parts import badge, link, node
from stream.serving.results import ChurnMonth, ConcentrationPoint, MatrixCell, Portfolio, TurnGroup, Turns
from stream.view.arrangement import Dimension
from stream.view.months import OTHER, TurnDimension

_SCORES: Final = range(1, 6)
_HEATS: Final = 5
_MONTHS_SHOWN: Final = 12
_POINTS_TOLD: Final = 10


class Months(NamedTuple):
    """What is shown of the months; without the moment, which changes with every look."""

    currency: str | None
    complete_since: datetime | None
    months: tuple[ChurnMonth, ...]


@page("/portfolio", "portfolio")
async def portfolio(view: View) -> None:
    """Build the page."""
    read = view.shared.pulse.portfolio
    node("h1", view.words("portfolio.title"))
    await view.section("portfolio.figures", read=read, draw=lambda found: _figures(view, found))
    with node("div", None, "grid"):
        for dimension in (Dimension.TIER, Dimension.CHURN_LEVEL):
            await view.section(
                f"portfolio.by_{dimension}",
                read=read,
                draw=partial(_distribution, view, dimension),
            )
    with node("div", None, "grid"):
        await view.section("portfolio.matrix", read=read, draw=lambda found: _matrix(view, found))
        await view.section("portfolio.rfm", read=read, draw=lambda found: _rfm(view, found))
        await view.section("portfolio.segments", read=read, draw=lambda found: _segments(view, found))
    await view.section("portfolio.concentration", read=read, draw=lambda found: _concentration(view, found))
    months = _Months(view)
    await view.section("portfolio.months", read=months.read, draw=months.draw)


def _figures(view: View, found: Portfolio) -> None:
    words, formats = view.words, view.formats
    figures = {
        "accounts": formats.integer(found.accounts),
        "revenue": formats.short_money(found.revenue, found.currency),
        "stake": formats.short_money(found.value_at_stake, found.currency),
        "lost": formats.short_money(found.value_lost, found.currency),
        "top_fifth": formats.percent(found.top_fifth_share),
        "gini": formats.decimal(found.gini, 2),
    }
    with node("dl", None, "stats"):
        for name, value in figures.items():
            with node("div", None, "stat"):
                node("dt", words(f"portfolio.figure.{name}"))
                node("dd", value)
                node("dd", words(f"portfolio.figure.{name}_detail"), "detail")
    view.stamp()


def _table(caption: str, columns: Sequence[str], *, numbers_from: int = 1) -> Element:
    """Begin a table: the body, to be filled with rows."""
    with node("div", None, "rows", tabindex="0", role="region", aria_label=caption), node("table"):
        node("caption", caption, "unseen")
        with node("thead"), node("tr"):
            for at, text in enumerate(columns):
                node("th", text, "cell-number" if at >= numbers_from else "", scope="col")
        return node("tbody")


def _distribution(view: View, dimension: Dimension, found: Portfolio) -> None:
    words, formats = view.words, view.formats
    columns = [words(f"dimension.{dimension}"), words("portfolio.accounts"), words("portfolio.share_of_accounts")]
    columns.append(words("portfolio.revenue_share"))
    with _table(words(f"portfolio.by_{dimension}"), columns):
        for one in found.groups[dimension]:
            share = _share(one.accounts, found.accounts)
            with node("tr"):
                with node("td"), link("", with_query("/accounts", **{dimension.value: one.value})):
                    badge(dimension.value, one.value, words.name(dimension.value, one.value))
                node("td", formats.integer(one.accounts), "cell-number")
                with node("td", None, "cell-number"):
                    node("span", formats.percent(share, 1))
                    share_bar(share or 0)
                node("td", formats.percent(_money_share(one.revenue, found.revenue), 1), "cell-number")
    view.stamp()


def _matrix(view: View, found: Portfolio) -> None:
    words, formats = view.words, view.formats
    node("p", words("portfolio.matrix_hint"), "hint")
    cells = {(one.row, one.column): one for one in found.abc_xyz}
    largest = max((one.accounts for one in found.abc_xyz), default=0)
    with _grid(words("portfolio.matrix"), words("portfolio.abc"), [words(f"portfolio.xyz.{one}") for one in Xyz]):
        for abc in Abc:
            with node("tr"):
                node("th", words(f"portfolio.abc_row.{abc}"), scope="row")
                for xyz in Xyz:
                    one = cells.get((abc.value, xyz.value))
                    with node("td", None, _heat(one, largest)):
                        share = None if one is None else _money_share(one.revenue, found.revenue)
                        said = words(
                            "portfolio.matrix_cell",
                            name=f"{abc}{xyz}",
                            number=formats.integer(0 if one is None else one.accounts),
                            share=formats.percent(share or 0),
                        )
                        with link("", with_query("/accounts", abc_revenue=abc.value, xyz=xyz.value), "cell-link").props(
                            f'aria-label="{said}"'
                        ):
                            node("span", formats.integer(0 if one is None else one.accounts), "strong")
                            node("small", formats.percent(share or 0))
    view.stamp()


def _grid(caption: str, corner: str, columns: Iterable[str]) -> Element:
    with node("table", None, "heat-map"):
        node("caption", caption, "unseen")
        with node("thead"), node("tr"):
            node("th", corner, scope="col")
            for text in columns:
                node("th", text, scope="col")
        return node("tbody")


def _rfm(view: View, found: Portfolio) -> None:
    words, formats = view.words, view.formats
    node("p", words("portfolio.rfm_hint"), "hint")
    cells = {(one.row, one.column): one for one in found.rfm}
    largest = max((one.accounts for one in found.rfm), default=0)
    with _grid(words("portfolio.rfm"), words("portfolio.rfm_corner"), (f"F{one}" for one in _SCORES)):
        for recency in reversed(_SCORES):
            with node("tr"):
                node("th", f"R{recency}", scope="row")
                for frequency in _SCORES:
                    one = cells.get((str(recency), str(frequency)))
                    node("td", formats.integer(0 if one is None else one.accounts), _heat(one, largest))
    view.stamp()


def _segments(view: View, found: Portfolio) -> None:
    words, formats = view.words, view.formats
    columns = [words("dimension.rfm_segment"), words("portfolio.accounts"), words("portfolio.revenue_share")]
    with _table(words("portfolio.segments"), columns):
        for group in found.groups[Dimension.RFM_SEGMENT]:
            with node("tr"):
                with node("td"):
                    link(words.name("rfm_segment", group.value), with_query("/accounts", rfm_segment=group.value))
                node("td", formats.integer(group.accounts), "cell-number")
                node("td", formats.percent(_money_share(group.revenue, found.revenue), 1), "cell-number")
    view.stamp()


def _heat(cell: MatrixCell | None, largest: int) -> str:
    if cell is None or not largest or not cell.accounts:
        return "heat heat-0"
    return f"heat heat-{max(1, round(_HEATS * cell.accounts / largest))}"


def _concentration(view: View, found: Portfolio) -> None:
    words, formats = view.words, view.formats
    curve = (ConcentrationPoint(share_of_accounts=0, share_of_revenue=0), *found.concentration)
    if len(curve) == 1:
        node("p", words("portfolio.no_revenue"), "soft")
        return
    text = words(
        "portfolio.concentration_text",
        share=formats.percent(found.top_fifth_share),
        gini=formats.decimal(found.gini, 2),
    )
    node("p", text)
    with node("div", None, "narrow"):
        _curve(view, text, curve)
    with node("details"):
        node("summary", words("portfolio.as_table"))
        columns = [words("portfolio.share_of_accounts"), words("portfolio.revenue_share")]
        step = max(1, len(curve) // _POINTS_TOLD)
        with _table(words("portfolio.concentration"), columns, numbers_from=0):
            for one in curve[step - 1 :: step]:
                with node("tr"):
                    node("td", formats.percent(one.share_of_accounts, 1), "cell-number")
                    node("td", formats.percent(one.share_of_revenue, 1), "cell-number")
    view.stamp()


def _curve(view: View, text: str, curve: Sequence[ConcentrationPoint]) -> None:
    words, formats = view.words, view.formats
    places = [one.share_of_accounts for one in curve]
    line_chart(
        label=text,
        places=places,
        place_texts=[formats.percent(one) for one in places],
        lines=[
            Line(places, "even"),
            Line(
                [one.share_of_revenue for one in curve],
                titles=[
                    words(
                        "portfolio.concentration_point",
                        accounts=formats.percent(one.share_of_accounts, 1),
                        revenue=formats.percent(one.share_of_revenue, 1),
                    )
                    for one in curve
                ],
            ),
        ],
        low=0,
        high=1,
        value_text=formats.percent,
    )


class _Months:
    """The months, and the one whose losses are broken down."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._chosen: str | None = None
        self._parts: Element | None = None
        self._found = Months(None, None, ())

    async def read(self) -> Months:
        """Read the months that are shown."""
        found = await self._view.reader.churn_months()
        return Months(found.currency, found.complete_since, with_quiet_months(found.months)[-_MONTHS_SHOWN:])

    def draw(self, found: Months) -> None:
        """Draw them, the latest first."""
        words = self._view.words
        self._found = found
        if not found.months:
            node("p", words("portfolio.no_months"), "soft")
        else:
            _month_table(self._view, found)
            self._choice()
            self._parts = node("div", None, "grid", aria_live="polite")
            self._break_down()
        if found.complete_since is not None:
            moment = self._view.formats.moment(found.complete_since)
            node("p", words("portfolio.complete_since", moment=moment), "hint")
        self._view.stamp()

    def _choice(self) -> None:
        months = [one.month for one in reversed(self._found.months)]
        if self._chosen not in months:
            self._chosen = months[0]
        with node("label", None, "row month"):
            node("span", self._view.words("portfolio.month_details"), "soft")
            select = node("select", None, "quiet")
            with select:
                for month in months:
                    node("option", month_text(self._view, month), value=month, selected=month == self._chosen or None)

        def choose(event: events.GenericEventArguments) -> None:
            if event.args in months:
                self._chosen = event.args
                self._break_down()

        select.on("change", choose, js_handler="(event) => emit(event.target.value)")

    def _break_down(self) -> None:
        month = next((one for one in self._found.months if one.month == self._chosen), None)
        if self._parts is None or self._parts.is_deleted or month is None:
            return
        self._parts.clear()
        with self._parts:
            for dimension in TurnDimension:
                _breakdown(self._view, dimension, month.lost, month.recovered)


def _month_table(view: View, found: Months) -> None:
    words, formats = view.words, view.formats
    most = max(max(one.lost.accounts, one.recovered.accounts) for one in found.months)
    columns = [words(f"portfolio.{one}") for one in ("month", "lost", "lost_stake", "recovered")]
    with _table(words("portfolio.months"), columns):
        for one in reversed(found.months):
            with node("tr"):
                node("th", month_text(view, one.month), scope="row")
                _turned_cell(view, one.lost, most, "share-bad")
                node("td", formats.money(one.lost.value_at_stake, found.currency, whole=True), "cell-number")
                _turned_cell(view, one.recovered, most, "share-good")


def _turned_cell(view: View, turns: Turns, most: int, classes: str) -> None:
    with node("td", None, "cell-number"):
        node("span", view.formats.integer(turns.accounts))
        share_bar(turns.accounts / most if most else 0, classes)


def _breakdown(view: View, dimension: TurnDimension, lost: Turns, recovered: Turns) -> None:
    words, formats = view.words, view.formats
    gone, back = (_counts(getattr(one, f"by_{dimension}")) for one in (lost, recovered))
    names = sorted(gone.keys() | back.keys(), key=lambda one: (-gone.get(one, 0) - back.get(one, 0), one or ""))
    title = words(f"portfolio.turned_by.{dimension}")
    columns = [title, words("portfolio.lost"), words("portfolio.recovered")]
    with node("div"), _table(title, columns):
        for name in names:
            with node("tr"):
                node("td", _name(view, dimension, name))
                node("td", formats.integer(gone.get(name, 0)), "cell-number")
                node("td", formats.integer(back.get(name, 0)), "cell-number")


def _counts(groups: Iterable[TurnGroup]) -> Mapping[str | None, int]:
    return {one.value: one.accounts for one in groups}


def _name(view: View, dimension: TurnDimension, value: str | None) -> str:
    if value is None:
        return view.words("portfolio.without")
    if value == OTHER:
        return view.words("portfolio.other")
    return view.words.name("reason", value) if dimension is TurnDimension.REASON else value


def with_quiet_months(months: Sequence[ChurnMonth]) -> tuple[ChurnMonth, ...]:
    """Give every month from the first to the last, also those in which nobody was lost or came back."""
    if not months:
        return ()
    held = {one.month: one for one in months}
    nobody = Turns(accounts=0, value_at_stake="0", by_reason=(), by_segment=(), by_owner=())
    first, last = (int(one.month[:4]) * 12 + int(one.month[5:]) - 1 for one in (months[0], months[-1]))
    names = (f"{at // 12:04d}-{at % 12 + 1:02d}" for at in range(first, last + 1))
    return tuple(held.get(name) or ChurnMonth(month=name, lost=nobody, recovered=nobody) for name in names)


def month_text(view: View, month: str) -> str:
    """Write a month as people of a place do."""
    return str(format_skeleton("yMMMM", date.fromisoformat(f"{month}-01"), locale=view.formats.locale))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None


def _money_share(part: str, whole: str) -> float | None:
    return float(part) / float(whole) if float(whole) > 0 else None
