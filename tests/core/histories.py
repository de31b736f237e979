"""Random policies and histories of accounts: small horizons, so that every edge is crossed many times."""

from datetime import date
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from models.events import AccountEvent
from models.fields import from_epoch_ms
from models.policy import Policy, read_policy
from processors.context import day_of_date
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
    """Policies with short windows and dwell times, in several zones and currencies."""
    windows = draw(st.sampled_from([(3, 7, 20), (2, 10, 31), (5,), (7, 14)]))
    currency = draw(st.sampled_from(["EUR", "EUR", "JPY", "KWD"]))
    rates = {"USD": [{"since": "2026-02-20", "rate": "0.9137"}, {"since": "2026-03-20", "rate": "1.105"}]}
    return read_policy(
        {
            "reporting_currency": currency,
            "reporting_timezone": draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"])),
            "window_days": windows,
            "rates": rates | ({} if currency == "EUR" else {"EUR": [{"since": "2026-01-01", "rate": "3.5"}]}),
            "scorecard": {
                "revenue_weight": draw(st.sampled_from([0, 1, 40])),
                "frequency_weight": draw(st.sampled_from([7, 25])),
                "profit_weight": draw(st.sampled_from([0, 35, 120])),
                "revenue_scale": {"low": 10, "high": 2_000},
                "frequency_scale": {"low": 1, "high": 8},
                "profit_scale": {"low": 5, "high": 800},
            },
            "tiers": {"dwell_days": draw(st.sampled_from([0, 1, 3, 8]))},
            "churn": _churn(draw, windows[-1]),
            "support": {"service_cost": draw(st.sampled_from([{}, {"low": "0.125", "critical": "40"}]))},
        }
    )


def _churn(draw: st.DrawFn, horizon_days: int) -> dict[str, Any]:
    return {
        "portfolio_gap_days": draw(st.sampled_from([1, 4, 5.5, 12])),
        "even_ratio": draw(st.sampled_from([0.5, 1, 2])),
        "steepness": draw(st.sampled_from([1, 2, 3])),
        "hysteresis": draw(st.sampled_from([0, 0.05])),
        "lost_days": draw(st.sampled_from([1, 12, 25])),
        "lost_gaps": draw(st.sampled_from([0, 3])),
        "horizon_days": 6,
        "support_days": draw(st.integers(1, horizon_days)),
        "signals_max": draw(st.sampled_from([1, 3])),
        "severe_ticket_log_odds": draw(st.sampled_from([0, 0.8, -0.7])),
        "sla_breach_log_odds": draw(st.sampled_from([0.4, 2.5])),
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
    verb = draw(st.sampled_from(["order"] * 6 + ["refund", "cancel", "open", "resolve", "reopen", "other"]))
    ordered_at = from_epoch_ms(occurred_ms - draw(st.integers(0, 30 * DAY_MS))).isoformat()
    ticket = {"ticket_id": f"T{draw(st.integers(0, 3))}", "severity": draw(st.sampled_from(["low", "critical"]))}
    match verb:
        case "order":
            return "order.completed", {"order_id": "O", **_money(draw)}
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
                ("profile.updated", {"profile_version": draw(st.integers(0, 3)), "name": "Acme"}),
            ]
            return others[draw(st.integers(0, len(others) - 1))]


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
