"""Random policies and histories of accounts: small horizons, so that every edge is crossed many times."""

from datetime import date
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from models.churn_model import ChurnModel, Recency, ReturnCurve
from models.events import AccountEvent
from models.fields import from_epoch_ms
from models.policy import Policy, read_policy
from processors.context import date_of, day_of_date
from tests.support.portfolios import EVERY_PART, Portfolio
from tests.support.scenario import DAY_MS, make_event

# Daylight saving time begins on the 8th in New York and on the 29th in Berlin.
FIRST: Final = day_of_date(date(2026, 2, 25))
SPAN_DAYS: Final = 60
_CENTS = st.sampled_from([0, 1, 999, 2_000, 5_000, 10_000, 20_000, 50_000, 99_999, 200_000])


class Arrival(NamedTuple):
    """An event and the moment at which it arrives, never before it happened."""

    at_ms: int
    event: AccountEvent


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Policies with short windows and dwell times, in several zones and currencies, every setting somewhere else."""
    windows = draw(st.sampled_from([(3, 7, 20), (2, 10, 31), (5,), (7, 14)]))
    currency = draw(st.sampled_from(["EUR", "EUR", "JPY", "KWD"]))
    rates = {"USD": [{"since": "2026-02-20", "rate": "0.9137"}, {"since": "2026-03-20", "rate": "1.105"}]}
    return read_policy(
        {
            "reporting_currency": currency,
            "reporting_timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"])),
            "window_days": windows,
            "rates": rates | ({} if currency == "EUR" else {"EUR": [{"since": "2026-01-01", "rate": "3.5"}]}),
            "scorecard": _scorecard(draw, windows[-1]),
            "scorecards": draw(st.sampled_from([(), _SCORECARDS])),
            "vetoes": draw(st.lists(_VETOES, max_size=3)),
            "tiers": {
                "dwell_days": draw(st.sampled_from([0, 1, 3, 8])),
                "confidence_min": draw(st.sampled_from([0, 0.2, 0.3])),
                "key_confidence_min": draw(st.sampled_from([0, 0.5, 0.8])),
            },
            "churn": _churn(draw, windows[-1]),
            "support": {
                "feed": draw(st.booleans()),
                "days": draw(st.integers(1, windows[-1])),
                "complaint_penalty": draw(st.sampled_from([0, 12.5, 60])),
                "service_cost": draw(st.sampled_from([{}, {"low": "0.125", "critical": "40"}])),
            },
        }
    )


_WEIGHTS: Final = st.sampled_from([0, 1, 7, 15, 30])
_SCORECARDS: Final = (
    {"name": "one", "segment": "retail", "region": "EU", "weights": {"revenue": 1, "profit": 0, "relationship": 9}},
    {"name": "two", "segment": "retail", "weights": {"revenue": 90, "potential": 0}},
    {"name": "three", "industry": "pumps", "weights": {"strategic": 90}},
)
_VETOES: Final = st.sampled_from(
    [
        {"name": "weak", "measure": "score", "below": 45, "tier_max": "basic"},
        {"name": "doubt", "measure": "confidence", "below": 0.6, "tier_max": "growth"},
        {"name": "small", "measure": "revenue", "below": 25.5, "tier_max": "standard"},
        {"name": "loss", "measure": "profit", "below": 0, "tier_max": "standard"},
        {"name": "few", "measure": "orders", "below": 2, "tier_max": "standard"},
        {"name": "tickets", "measure": "open_severe_tickets", "at_least": 1, "tier_max": "growth"},
        {"name": "rivals", "measure": "competitive_pressure", "at_least": 80, "tier_max": "standard"},
        {"name": "unprofitable", "measure": "profit_score", "below": 10, "tier_max": "growth"},
        {"name": "shrinking", "measure": "potential_score", "below": 30, "tier_max": "basic"},
    ]
)


def _scorecard(draw: st.DrawFn, horizon_days: int) -> dict[str, Any]:
    names = ("profit", "strategic", "potential", "relationship")
    return {
        "weights": {"revenue": draw(st.sampled_from([1, 30])), **{name: draw(_WEIGHTS) for name in names}},
        "missing": draw(st.sampled_from(["rescale", "rescale", "zero"])),
        "profit_coverage_min": draw(st.sampled_from([0, 0.07, 0.5, 1])),
        "rating_days": draw(st.sampled_from([1, 6, 40])),
        "growth_days": draw(st.integers(1, horizon_days // 2)),
        "product_lines_target": draw(st.integers(1, 4)),
        "tenure_years": draw(st.sampled_from([0.05, 0.2, 5])),
        "regularity_days_min": draw(st.sampled_from([3, 4])),
        "satisfaction_half_life_days": draw(st.sampled_from([1, 7, 180])),
    }


@st.composite
def portfolios(draw: st.DrawFn) -> Portfolio:
    """Portfolios of a few accounts, or of none, whose figures lie where those of a history do."""
    revenue = draw(st.lists(_PEERS, max_size=7))
    return Portfolio(
        tuple(revenue),
        tuple(draw(st.lists(_PEERS, max_size=len(revenue)))),
        draw(st.sampled_from([None, None, 1, 3.5, 6, 20])),
        draw(st.sampled_from([EVERY_PART, (1, 0.5, *(0,) * 13), tuple(number / 16 for number in range(15))])),
    )


@st.composite
def models(draw: st.DrawFn) -> ChurnModel:
    """Churn models that foretell within weeks."""
    curve = st.builds(
        ReturnCurve,
        kind=st.sampled_from(["bg_nbd", "mbg_nbd"]),
        r=st.sampled_from([0.3, 2]),
        alpha_days=st.sampled_from([2, 15.5]),
        a=st.sampled_from([0.2, 1]),
        b=st.sampled_from([0.5, 3]),
    )
    recency = st.builds(Recency, intercept=st.sampled_from([-4, -1.5]), slope=st.sampled_from([0, 0.7, 2]))
    return ChurnModel(
        calibrated=False,
        horizon_days=draw(st.sampled_from([7, 30])),
        portfolio_gap_days=draw(st.sampled_from([2, 9.5])),
        parameters=draw(curve | recency),
    )


_PEERS: Final = st.sampled_from([-500, 0, 1, 500, 2_000, 5_000, 15_000, 30_000, 60_000, 100_000, 400_000])


def _churn(draw: st.DrawFn, horizon_days: int) -> dict[str, Any]:
    return {
        "portfolio_gap_days": draw(st.sampled_from([1, 4, 5.5, 12])),
        "even_ratio": draw(st.sampled_from([0.5, 1.5, 2])),
        "steepness": draw(st.sampled_from([1, 2, 3])),
        "hysteresis": draw(st.sampled_from([0, 0.05])),
        "lost_days": draw(st.sampled_from([1, 12, 25])),
        "lost_gaps": draw(st.sampled_from([0, 3])),
        "horizon_days": 6,
        "support_days": draw(st.integers(1, horizon_days)),
        "signals_max": draw(st.sampled_from([1, 3])),
        "severe_ticket_log_odds": draw(st.sampled_from([0, 0.8, -0.7])),
        "sla_breach_log_odds": draw(st.sampled_from([0.4, 2.5])),
        "satisfaction_drop": draw(st.sampled_from([0, 20, 90])),
        "competitive_pressure_high": draw(st.sampled_from([0, 70])),
        "falling_growth": draw(st.sampled_from([0, 40, 60])),
        "renewal_days": draw(st.sampled_from([1, 9])),
        "margin": draw(st.sampled_from([0, 0.3, 1])),
    }


@st.composite
def moments(draw: st.DrawFn, last: int = SPAN_DAYS) -> int:
    """Moments of the span, often at the very ends of a day."""
    day = draw(st.integers(0, last))
    inside = draw(st.sampled_from([0, 1, DAY_MS // 2, DAY_MS - 1]) | st.integers(0, DAY_MS - 1))
    return (FIRST + day) * DAY_MS + inside


def _money(draw: st.DrawFn, *, positive: bool = False) -> dict[str, Any]:
    cents = draw(_CENTS)
    fields: dict[str, Any] = {
        "amount": f"{max(cents, 1) if positive else cents}e-2",
        "currency": draw(st.sampled_from(["EUR", "EUR", "EUR", "USD"])),
    }
    if draw(st.integers(0, 3)):
        fields["cost"] = f"{draw(_CENTS) // 2}e-2"
    return fields


@st.composite
def _bodies(draw: st.DrawFn, occurred_ms: int) -> tuple[str, dict[str, Any]]:
    verb = draw(
        st.sampled_from(
            ["order"] * 7 + ["profile"] * 2 + ["refund", "cancel", "open", "resolve", "reopen"] + ["other"] * 2
        )
    )
    ordered_at = from_epoch_ms(occurred_ms - draw(st.integers(0, 30 * DAY_MS))).isoformat()
    ticket = {"ticket_id": f"T{draw(st.integers(0, 3))}", "severity": draw(st.sampled_from(["low", "critical"]))}
    match verb:
        case "order":
            lines = draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=2))
            return "order.completed", {"order_id": "O", "product_lines": lines, **_money(draw)}
        case "profile":
            return "profile.updated", _profile(draw)
        case "refund":
            known = {"ordered_at": ordered_at} if draw(st.booleans()) else {}
            return "order.refunded", {**_money(draw, positive=True), **known}
        case "cancel":
            return "order.cancelled", {"order_id": "O", "ordered_at": ordered_at, **_money(draw)}
        case "open":
            return "ticket.opened", ticket
        case "resolve":
            return "ticket.resolved", ticket
        case "reopen":
            return "ticket.reopened", ticket
        case _:
            others: list[tuple[str, dict[str, Any]]] = [
                ("sla.breached", {"ticket_id": "T0"}),
                ("complaint.filed", {"category": "quality"}),
                ("complaint.filed", {"category": "price"}),
                ("survey.answered", {"kind": "csat", "score": 2}),
                ("survey.answered", {"kind": "nps", "score": 9}),
            ]
            return others[draw(st.integers(0, len(others) - 1))]


def _profile(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a profile of which everything may be absent, and whose days lie around the span."""

    def day(first: int = -60, last: int = SPAN_DAYS + 20) -> str:
        return date_of(FIRST + draw(st.integers(first, last))).isoformat()

    maybe = st.booleans()
    rated = ("market_share", "brand_influence", "industry_growth", "value_fit", "competitive_pressure")
    fields: dict[str, Any] = {
        "profile_version": draw(st.integers(0, 3)),
        "segment": draw(st.sampled_from([None, "retail", "Retail"])),
        "region": draw(st.sampled_from([None, "EU"])),
        "industry": draw(st.sampled_from([None, "pumps"])),
        "ratings": {
            name: {"value": draw(st.sampled_from([0, 40, 70, 82.5, 100])), "rated_at": day(-5, SPAN_DAYS)}
            for name in rated
            if draw(maybe)
        },
    }
    if draw(maybe):
        fields["customer_since"] = day()
    if draw(maybe):
        fields["renewal_on"] = day(0)
    if draw(maybe):
        fields["budget"] = {"amount": draw(st.sampled_from(["0.001", "50", "900"])), "currency": "USD"}
    if draw(st.integers(0, 2)) == 0:
        tier = draw(st.sampled_from(["key", "growth", "standard", "basic"]))
        fields["override"] = {"tier": tier, "reason": "by hand", "until": day(0)}
    return fields


@st.composite
def histories(draw: st.DrawFn, account_id: str = "A", events_max: int = 30, last: int = SPAN_DAYS) -> list[Arrival]:
    """Events of one account in order of arrival: late, twice, with other content, cancelled before ordered."""
    arrivals: list[Arrival] = []
    for number in range(draw(st.integers(1, events_max))):
        occurred_ms = draw(moments(last))
        type_, fields = draw(_bodies(occurred_ms))
        event = make_event(account_id, type_, f"e{number}", occurred_ms, **fields)
        arrivals.append(Arrival(occurred_ms + draw(_DELAYS), event))
        arrivals += _followers(draw, account_id, arrivals[-1], number)
    return sorted(arrivals, key=lambda arrival: arrival.at_ms)


_DELAYS: Final = st.sampled_from([0, 0, 0, DAY_MS // 3, 2 * DAY_MS, 9 * DAY_MS, 40 * DAY_MS])


def _followers(draw: st.DrawFn, account_id: str, arrival: Arrival, number: int) -> list[Arrival]:
    """Give what an event may bring with it: itself again, its id with other content, its cancellation."""
    event, at_ms = arrival.event, arrival.at_ms
    match draw(st.integers(0, 9)):
        case 0:
            return [Arrival(at_ms + draw(_DELAYS), event)]
        case 1 if event.type == "order.completed":
            other = event.model_copy(update={"amount": event.amount + 1})
            return [Arrival(at_ms + draw(_DELAYS), other)]
        case 2 | 3 if event.type == "order.completed":
            fields = {
                "order_id": event.order_id,
                "ordered_at": event.occurred_at.isoformat(),
                "amount": str(event.amount),
                "currency": event.currency,
                "cost": None if event.cost is None else str(event.cost),
            }
            happened_ms = event.occurred_ms + draw(st.sampled_from([0, 1, DAY_MS, 3 * DAY_MS]))
            cancelled = make_event(account_id, "order.cancelled", f"c{number}", happened_ms, **fields)
            return [Arrival(happened_ms + draw(_DELAYS), cancelled)]
        case _:
            return []
