"""One account: how it stands and why, what it brought, how it came here, what to do, and its profile."""

from datetime import date
from itertools import pairwise
from typing import Final

from models.outputs import ChurnEvent, TierChanged
from models.snapshots import Component, Snapshot
from stream.console.charts import Line, day_places, line_chart, share_bar
from stream.console.editor import Editor
from stream.console.frame import View, page
from stream.console.parts import Rows, badge, link, node
from stream.console.telling import components_text, reasons_text, risk_reason, tell
from stream.serving.results import AccountDetail, ScorePoint

_FULL: Final = 100.0
_REST_SECONDS: Final = 0.5
"""Of a page that is one account alone: who has it open waits for the customer that is on the telephone."""


@page("/accounts/{account_id:path}", "account", in_navigation=False)
async def account(view: View) -> None:
    """Build the page."""
    account_id = view.request.path_params["account_id"]
    editors: list[Editor] = []

    def draw(found: AccountDetail) -> None:
        _draw(view, found)
        for one in editors:
            one.take(found.snapshot)

    section = await view.section(
        None, read=lambda: view.reader.account(account_id), draw=draw, every_seconds=_REST_SECONDS, classes="plain"
    )
    detail = section.shown
    if isinstance(detail, AccountDetail) and view.may_edit:
        with node("section", None, "card"):
            node("h2", view.words("edit.title"))
            node("p", view.words("edit.hint"), "soft small")
            editors.append(Editor(view, detail.snapshot))


def _draw(view: View, found: AccountDetail) -> None:
    one = found.snapshot
    with node("div", None, "stack"):
        _head(view, one)
        with node("div", None, "grid-2"):
            with node("div", None, "stack"):
                _chart(view, found)
                _components(view, one)
                _windows(view, one)
                _history(view, found)
            with node("div", None, "stack"):
                _actions(view, one)
                _risk(view, one)
                _classes(view, one)
                _support(view, one)
                _profile(view, one)


class _Card:
    """A card with a heading, which ends with as of when its figures are."""

    def __init__(self, view: View, key: str, one: Snapshot) -> None:
        self._view = view
        self._one = one
        self._element = node("section", None, "card")
        self._key = key

    def __enter__(self) -> None:
        self._element.__enter__()
        node("h2", self._view.words(self._key))

    def __exit__(self, *_: object) -> None:
        self._view.stamp(self._one.as_of)
        self._element.__exit__()


def _head(view: View, one: Snapshot) -> None:
    words, formats = view.words, view.formats
    with node("section", None, "card"):
        with node("div", None, "row between"):
            with node("div"):
                node("h1", one.name or one.account_id)
                profile = one.profile
                said = [one.account_id] if one.name else []
                if profile is not None:
                    said += [
                        text for text in (profile.segment, profile.industry, profile.region, profile.owner) if text
                    ]
                node("p", " · ".join(said), "soft")
                with node("div", None, "row"):
                    badge("tier", one.tier, words.name("tier", one.tier))
                    badge("churn_level", one.churn.level, words.name("churn_level", one.churn.level))
                    node("span", words.name("lifecycle", one.lifecycle), "badge")
                    if profile is not None and profile.crm_url:
                        link(words("account.crm"), profile.crm_url)
            with node("dl", None, "stats head"):
                _stat(
                    view,
                    "score",
                    formats.decimal(one.score),
                    words("account.confidence", share=formats.percent(one.confidence)),
                )
                _stat(
                    view, "risk", formats.percent(one.churn.risk), words("account.within", days=one.churn.horizon_days)
                )
                _stat(view, "stake", formats.money(one.churn.value_at_stake, one.currency, whole=True), "")
                _stat(
                    view,
                    "revenue",
                    formats.money(one.windows["365"].revenue, one.currency, whole=True),
                    words("account.year"),
                )
        _notices(view, one)
        view.stamp(one.as_of)


def _notices(view: View, one: Snapshot) -> None:
    words = view.words
    if one.override_until is not None:
        override = None if one.profile is None else one.profile.override
        reason = "" if override is None else override.reason
        node("p", words("account.override", day=view.formats.day(one.override_until), reason=reason), "notice")
    if one.veto is not None:
        node("p", words("account.veto", name=words.name("veto", one.veto)), "notice")
    if one.churn.lost_on is not None:
        worth = view.formats.money(one.churn.value_lost, one.currency, whole=True)
        node("p", words("account.lost", day=view.formats.day(one.churn.lost_on), worth=worth), "notice notice-bad")


def _stat(view: View, name: str, value: str, detail: str) -> None:
    with node("div", None, "stat"):
        node("dt", view.words(f"account.stat.{name}"))
        node("dd", value)
        if detail:
            node("dd", detail, "detail")


def _chart(view: View, found: AccountDetail) -> None:
    words, formats, one = view.words, view.formats, found.snapshot
    points = _points(found)
    with _Card(view, "account.over_time", one):
        if len(points) == 1:
            node("p", words("account.one_point"), "soft")
            return
        with node("p", None, "row small"):
            node("span", words("account.legend.score"), "legend")
            node("span", words("account.legend.risk"), "legend legend-second")
        days = [point.day for point in points]
        line_chart(
            label=_chart_text(view, points),
            places=day_places(days),
            place_texts=[formats.short_day(day) for day in days],
            lines=[
                Line([p.score for p in points], "", [_point_text(view, p) for p in points]),
                Line([None if p.risk is None else p.risk * _FULL for p in points], "second"),
            ],
            low=0,
            high=_FULL,
            value_text=lambda value: formats.decimal(value, 0),
        )


def _points(found: AccountDetail) -> list[ScorePoint]:
    """Give the weeks, and where the account stands now."""
    one = found.snapshot
    now = ScorePoint(
        day=one.as_of.date(), score=one.score, risk=one.churn.risk, tier=one.tier, churn_level=one.churn.level
    )
    return [point for point in found.points if point.day < now.day] + [now]


def _point_text(view: View, point: ScorePoint) -> str:
    tier, score = view.words.name("tier", point.tier), view.formats.decimal(point.score)
    return view.words("account.point", day=view.formats.day(point.day), score=score, tier=tier)


def _chart_text(view: View, points: list[ScorePoint]) -> str:
    first, last = points[0], points[-1]
    moved = sum(before.tier != after.tier for before, after in pairwise(points))
    return view.words(
        "account.chart",
        first=_point_text(view, first),
        last=_point_text(view, last),
        moved=view.formats.integer(moved),
    )


def _components(view: View, one: Snapshot) -> None:
    words, formats = view.words, view.formats
    with _Card(view, "account.components", one):
        if one.scorecard is not None:
            node("p", words("account.scorecard", name=one.scorecard), "soft small")
        with (
            node("div", None, "rows", tabindex="0", role="region", aria_label=words("account.components")),
            node("table"),
        ):
            with node("thead"), node("tr"):
                for name in ("component", "score", "weight", "points"):
                    node("th", words(f"account.column.{name}"), "" if name == "component" else "number", scope="col")
            with node("tbody"):
                for part in one.components:
                    _component(view, part)
                with node("tr", None, "total"):
                    node("th", words("account.total"), scope="row")
                    node("td", "")
                    node("td", formats.integer(sum(part.weight for part in one.components)), "number")
                    node("td", formats.decimal(one.score, 2), "number")
        if any(None in part.parts.values() for part in one.components):
            node("p", words("account.weights"), "soft small")


def _component(view: View, part: Component) -> None:
    words, formats = view.words, view.formats
    known = [
        f"{words.name('part', name)} {formats.decimal(value, 0)}"
        for name, value in part.parts.items()
        if value is not None
    ]
    missing = [words.name("part", name) for name, value in part.parts.items() if value is None]
    with node("tr"):
        with node("th", None, scope="row"):
            node("span", words.name("component", part.name), "strong")
            share_bar((part.score or 0) / _FULL)
            if len(part.parts) > 1 and known:
                node("small", words("tell.comma").join(known))
            if missing:
                node("small", words("account.missing", parts=words("tell.comma").join(missing)))
        node("td", formats.decimal(part.score), "number")
        node("td", formats.integer(part.weight), "number")
        node("td", formats.decimal(part.points, 2), "number")


def _windows(view: View, one: Snapshot) -> None:
    words, formats = view.words, view.formats
    with _Card(view, "account.windows", one):
        names = ("window", "revenue", "orders", "profit", "service_cost", "coverage")
        columns = [
            {
                "name": name,
                "label": words(f"account.column.{name}"),
                "kind": "text" if name == "window" else "number",
                "wide": name in {"service_cost", "coverage"},
            }
            for name in names
        ]
        table = Rows(columns, caption=words("account.windows"), empty="")
        table.show(
            [
                {
                    "key": days,
                    "window": words("account.days", days=days),
                    "revenue": formats.money(figures.revenue, one.currency, whole=True),
                    "orders": formats.integer(figures.orders),
                    "profit": formats.money(figures.profit, one.currency, whole=True),
                    "service_cost": formats.money(figures.service_cost, one.currency, whole=True),
                    "coverage": formats.percent(figures.profit_coverage),
                }
                for days, figures in one.windows.items()
            ]
        )
        life = one.lifetime
        node(
            "p",
            words(
                "account.lifetime",
                orders=formats.integer(life.orders),
                revenue=formats.money(life.revenue, one.currency, whole=True),
                first=formats.day(life.first_order),
                last=formats.day(life.last_order),
            ),
            "soft small",
        )


def _history(view: View, found: AccountDetail) -> None:
    words, formats = view.words, view.formats
    with _Card(view, "account.history", found.snapshot):
        if not found.history:
            node("p", words("account.no_history"), "soft")
        with node("ol", None, "changes"):
            for event in found.history:
                told = tell(event, words, formats)
                with node("li", None, "change-good" if told.good else "change-bad"):
                    with node("div", None, "row between"):
                        node("span", told.what, "strong")
                        node("time", formats.moment(event.occurred_at), "stamp", datetime=event.occurred_at.isoformat())
                    node("p", told.why, "soft small")
                    _numbers(view, event, found.snapshot.currency)


def _numbers(view: View, event: TierChanged | ChurnEvent, currency: str) -> None:
    words, formats = view.words, view.formats
    if isinstance(event, TierChanged):
        if event.score_before is not None:
            before, after = formats.decimal(event.score_before, 2), formats.decimal(event.score, 2)
            delta = formats.signed(event.score_delta_hundredths / 100, 2)
            parts = components_text(event, words, formats, every=True)
            node("p", words("account.score_moved", before=before, after=after, delta=delta, parts=parts), "soft small")
    elif event.risk is not None:
        stake = event.value_at_stake
        money = formats.money(stake, currency, whole=True)
        node("p", words("account.risk_moved", risk=formats.percent(event.risk), stake=money), "soft small")


def _actions(view: View, one: Snapshot) -> None:
    with _Card(view, "account.actions", one):
        if not one.actions:
            node("p", view.words("account.no_actions"), "soft")
        with node("ul", None, "calls"):
            for action in one.actions:
                with node("li"):
                    node("p", f"→ {view.words.name('action', action.name)}", "action")
                    if action.reasons:
                        node("p", reasons_text(action.reasons, view.words), "soft small")


def _facts(rows: list[tuple[str, str]]) -> None:
    with node("dl", None, "facts"):
        for name, value in rows:
            node("dt", name)
            node("dd", value)


def _risk(view: View, one: Snapshot) -> None:
    words, formats, churn = view.words, view.formats, one.churn
    with _Card(view, "account.churn", one):
        with node("p", None, "row"):
            badge("churn_level", churn.level, words.name("churn_level", churn.level))
            node("span", risk_reason(churn, words, formats))
        _facts(
            [
                (words("account.stat.risk"), formats.percent(churn.risk, 1)),
                (words("account.horizon"), words("account.days", days=churn.horizon_days)),
                (words("account.stat.stake"), formats.money(churn.value_at_stake, one.currency)),
                (words("account.model"), one.model_version),
            ]
        )


def _classes(view: View, one: Snapshot) -> None:
    words, formats, classes, among = view.words, view.formats, one.classes, one.portfolio
    rfm = classes.rfm
    types = words("tell.comma").join(words.name("account_type", kind) for kind in classes.account_types)
    with _Card(view, "account.classes", one):
        _facts(
            [
                (words("account.abc_revenue"), classes.abc_revenue or "–"),
                (words("account.abc_profit"), classes.abc_profit or "–"),
                (words("account.xyz"), classes.xyz or "–"),
                (words("account.matrix"), classes.matrix or "–"),
                (words("account.rfm"), "–" if rfm is None else f"{rfm.r}-{rfm.f}-{rfm.m}"),
                (words("dimension.rfm_segment"), "–" if rfm is None else words.name("rfm_segment", rfm.segment)),
                (words("dimension.account_type"), types or "–"),
                (words("account.rank"), formats.integer(among.revenue_rank)),
                (words("account.share"), formats.percent(among.revenue_share, 2)),
            ]
        )


def _support(view: View, one: Snapshot) -> None:
    words, formats, support = view.words, view.formats, one.support
    with _Card(view, "account.support", one):
        _facts(
            [
                (words("account.open"), formats.integer(support.open)),
                (words("account.severe"), formats.integer(support.severe)),
                (words("account.breaches"), formats.integer(support.breaches_90d)),
                (words("part.satisfaction"), formats.decimal(support.satisfaction, 0)),
            ]
        )


def _profile(view: View, one: Snapshot) -> None:
    words, formats, profile = view.words, view.formats, one.profile
    with _Card(view, "account.profile", one):
        if profile is None:
            node("p", words("account.no_profile"), "soft")
            return
        budget = profile.budget
        days: list[tuple[str, date | None]] = [
            ("customer_since", profile.customer_since),
            ("renewal_on", profile.renewal_on),
        ]
        _facts(
            [
                (words("dimension.owner"), profile.owner or "–"),
                (words("dimension.segment"), profile.segment or "–"),
                (words("account.industry"), profile.industry or "–"),
                (words("dimension.region"), profile.region or "–"),
                *((words(f"account.{name}"), formats.day(day)) for name, day in days),
                (
                    words("account.budget"),
                    "–" if budget is None else formats.money(budget.amount, budget.currency, whole=True),
                ),
                (words("account.parent"), profile.parent_id or "–"),
                (words("account.version"), formats.integer(profile.version)),
            ]
        )
