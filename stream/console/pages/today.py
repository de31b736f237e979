"""Today: what changed, and whom to call first."""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Final, NamedTuple

from models.outputs import ChurnLevel, Tier, TierChanged
from models.snapshots import Snapshot
from stream.console.frame import View, page, with_query
from stream.console.parts import account_path, badge, link, node
from stream.console.telling import KINDS, action_text, kind_of, risk_reason, tell, when_text
from stream.serving.queries import AccountQuery
from stream.serving.results import Change, Group, Portfolio
from stream.view.arrangement import Dimension, Sort

_CALLS: Final = 8
_CHANGES_READ: Final = 200
_CHANGES_SHOWN: Final = 8
_AT_RISK: Final = frozenset({ChurnLevel.HIGH.value, ChurnLevel.MEDIUM.value})


class Changes(NamedTuple):
    """The changes of the last day that had any: of each account the last."""

    day: date | None
    today: date
    items: tuple[Change, ...]
    accounts: dict[str, Snapshot]


@page("/", "today")
async def today(view: View) -> None:
    """Build the page."""
    owner = view.query.get("owner") or None
    with node("div", None, "row between"):
        node("h1", view.words("today.title"))
        await _owners(view, owner)
    with node("div", None, "grid-2"):
        await view.section(
            "today.calls", read=lambda: _read_calls(view, owner), draw=lambda found: _calls(view, found, owner)
        )
        with node("div", None, "stack"):
            await view.section(None, read=view.shared.pulse.portfolio, draw=lambda found: _figures(view, found, owner))
            await view.section(
                None, read=lambda: _read_changes(view, owner), draw=lambda found: _changes(view, found, owner)
            )


async def _owners(view: View, owner: str | None) -> None:
    """Let somebody see the accounts of one owner."""

    def draw(found: Portfolio) -> None:
        owners = sorted({one.value for one in found.groups[Dimension.OWNER]} | ({owner} if owner else set()))
        if not owners:
            return
        with node("label", None, "row soft"):
            node("span", view.words("today.owner"))
            select = node("select", None, "quiet")
            with select:
                node("option", view.words("today.everybody"), value="", selected=owner is None or None)
                for one in owners:
                    node("option", one, value=one, selected=one == owner or None)
            select.on(
                "change",
                js_handler="(event) => { const at = new URL(location);"
                " at.searchParams.set('owner', event.target.value);"
                " if (!event.target.value) at.searchParams.delete('owner'); location.assign(at); }",
            )

    await view.section(None, read=view.shared.pulse.portfolio, draw=draw, every_seconds=None, classes="plain")


def _figures(view: View, found: Portfolio, owner: str | None) -> None:
    words = view.words
    mine = next((one for one in found.groups[Dimension.OWNER] if one.value == owner), None)
    if mine is not None:
        node("h2", words("today.figures_of", owner=mine.value))
        _figures_of(view, found, mine)
    else:
        # A portfolio tells its largest owners apart, and no others.
        node("h2", words("today.figures_of", owner=words("today.everybody")) if owner else words("today.figures"))
        _figures_of_all(view, found)
    view.stamp()


def _figures_of(view: View, found: Portfolio, owner: Group) -> None:
    words, formats = view.words, view.formats
    with node("dl", None, "stats"):
        _stat(view, "today.accounts", formats.integer(owner.accounts), "")
        revenue = formats.short_money(owner.revenue, found.currency)
        _stat(view, "today.revenue", revenue, words("today.revenue_detail"))
        share = formats.percent(_share(owner.revenue, found.revenue), 1)
        _stat(view, "today.owner_share", share, words("today.owner_share_detail"))
        stake = formats.short_money(owner.value_at_stake, found.currency)
        _stat(view, "today.stake", stake, words("today.stake_detail"))
    link(words("today.all_of_owner"), with_query("/accounts", owner=owner.value))


def _figures_of_all(view: View, found: Portfolio) -> None:
    words, formats = view.words, view.formats
    tiers = {one.value: one for one in found.groups[Dimension.TIER]}
    levels = {one.value: one for one in found.groups[Dimension.CHURN_LEVEL]}
    key = tiers.get(Tier.KEY.value)
    with node("dl", None, "stats"):
        _stat(view, "today.accounts", formats.integer(found.accounts), "")
        revenue = formats.short_money(found.revenue, found.currency)
        _stat(view, "today.revenue", revenue, words("today.revenue_detail"))
        share = None if key is None else _share(key.revenue, found.revenue)
        detail = words("today.key_detail", number=formats.integer(0 if key is None else key.accounts))
        _stat(view, "today.key_share", formats.percent(share), detail)
        stake = formats.short_money(found.value_at_stake, found.currency)
        _stat(view, "today.stake", stake, words("today.stake_detail"))
    for kind, groups in (("tier", tiers), ("churn_level", levels)):
        with node("div", None, "row tiers"):
            for value, one in groups.items():
                _count(view, kind, value, one)


def _stat(view: View, key: str, value: str, detail: str) -> None:
    with node("div", None, "stat"):
        node("dt", view.words(key))
        node("dd", value)
        if detail:
            node("dd", detail, "detail")


def _count(view: View, kind: str, value: str, group: Group) -> None:
    href = with_query("/accounts", **{kind: value})
    with link("", href, "count"):
        badge(kind, value, view.words.name(kind, value))
        node("span", view.formats.integer(group.accounts), "number")


async def _read_calls(view: View, owner: str | None) -> list[Snapshot]:
    filters = {Dimension.CHURN_LEVEL: _AT_RISK}
    if owner is not None:
        filters[Dimension.OWNER] = frozenset({owner})
    found = await view.reader.accounts(AccountQuery(filters, sort=Sort.VALUE_AT_STAKE, limit=_CALLS))
    snapshots = await view.reader.snapshots([one.account_id for one in found.items])
    return [snapshots[one.account_id] for one in found.items if one.account_id in snapshots]


def _calls(view: View, found: list[Snapshot], owner: str | None) -> None:
    words, formats = view.words, view.formats
    node("p", words("today.calls_hint" if found else "today.no_calls"), "soft small lead")
    with node("ol", None, "calls"):
        for one in found:
            with node("li"):
                with node("div", None, "row between"):
                    with node("div", None, "row"):
                        link(one.name or one.account_id, account_path(one.account_id), "strong")
                        badge("tier", one.tier, words.name("tier", one.tier))
                        badge("churn_level", one.churn.level, words.name("churn_level", one.churn.level))
                    with node("span", None, "number"):
                        node("span", formats.money(one.churn.value_at_stake, one.currency, whole=True), "strong")
                        node("span", " " + words("today.at_stake"), "soft small")
                node("p", risk_reason(one.churn, words, formats))
                with node("div", None, "row between"):
                    node("span", f"→ {action_text(one.actions, words)}" if one.actions else "", "action")
                    if one.profile is not None and one.profile.crm_url:
                        link(words("account.crm"), one.profile.crm_url, "small")
                node("p", " · ".join(_call_facts(view, one)), "soft small")
    if len(found) == _CALLS:
        at_risk = with_query("/accounts", churn_level=sorted(_AT_RISK), owner=owner, sort=Sort.VALUE_AT_STAKE.value)
        link(words("today.all_at_risk"), at_risk)
    view.stamp()


def _call_facts(view: View, one: Snapshot) -> list[str]:
    """Say what one wants to know before the call: since when it is silent, when its contract ends, whose it is."""
    words, formats, last_order = view.words, view.formats, one.lifetime.last_order
    facts = []
    if last_order is not None:
        days = (formats.today() - last_order).days
        day = formats.day(last_order)
        facts.append(words.count("today.last_order", days, day=day, days=formats.integer(days)))
    if one.profile is not None and one.profile.renewal_on is not None:
        facts.append(words("today.renewal", day=formats.day(one.profile.renewal_on)))
    owner = _owner_of(one)
    return facts if owner is None else [*facts, owner]


async def _read_changes(view: View, owner: str | None) -> Changes:
    """Read the changes of the last day that had any: of today, where there were some."""
    latest = await view.reader.latest_changes(_CHANGES_READ)
    date_of, today = view.formats.date_of, view.formats.today()
    if not latest:
        return Changes(None, today, (), {})
    day = date_of(max(one.event.occurred_at for one in latest))
    items = _last_of_each(one for one in latest if date_of(one.event.occurred_at) == day)
    accounts = await view.reader.snapshots([one.event.account_id for one in items])
    if owner is not None:
        items = tuple(one for one in items if _owner_of(accounts.get(one.event.account_id)) == owner)
    return Changes(day, today, items, accounts)


def _last_of_each(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Leave an account's last change of tier and of risk, of changes that come newest first: older ones are past."""
    last: dict[tuple[str, bool], Change] = {}
    for one in changes:
        last.setdefault((one.event.account_id, isinstance(one.event, TierChanged)), one)
    return tuple(last.values())


def _owner_of(account: Snapshot | None) -> str | None:
    return None if account is None or account.profile is None else account.profile.owner


def _changes(view: View, found: Changes, owner: str | None) -> None:
    words, formats = view.words, view.formats
    if found.day is None or found.day == found.today:
        node("h2", words("today.changes"))
    else:
        node("h2", words("today.changes_of", day=formats.day(found.day)))
    counted = Counter(kind_of(one.event) for one in found.items)
    if not found.items:
        node("p", words("today.no_changes"), "soft")
    with node("p", None, "row soft"):
        for kind in KINDS:
            if counted[kind]:
                node("span", words(f"today.counted.{kind}", number=formats.integer(counted[kind])))
    with node("ul", None, "changes"):
        for one in found.items[:_CHANGES_SHOWN]:
            told = tell(one.event, words, formats)
            account = found.accounts.get(one.event.account_id)
            name = one.event.account_id if account is None or account.name is None else account.name
            with node("li", None, "change-good" if told.good else "change-bad"):
                with node("div", None, "row between"):
                    link(name, account_path(one.event.account_id), "strong")
                    at = one.event.occurred_at
                    when = when_text(at, found.today, words, formats)
                    node("time", when, "stamp", title=formats.moment(at), datetime=at.isoformat())
                node("p", told.what)
                node("p", told.why, "soft small")
    if owner is None and len(found.items) > _CHANGES_SHOWN:
        more = words("today.more", number=formats.integer(len(found.items) - _CHANGES_SHOWN))
        link(more, with_query("/live"))
    view.stamp()


def _share(part: str, whole: str) -> float | None:
    return float(part) / float(whole) if float(whole) > 0 else None
