"""How the demo puts a change into words, for an account manager."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from models.fields import from_epoch_ms
from models.outputs import Cause, ChurnEvent, ChurnReason, TierChanged

_CAUSES: Final = {
    Cause.BEHAVIOUR: "",
    Cause.TIME: "as time passed",
    Cause.CONFIGURATION: "new policy",
    Cause.CORRECTION: "after a correction",
    Cause.PORTFOLIO: "against its peers",
}
_REASONS: Final = {
    ChurnReason.OVERDUE: "overdue",
    ChurnReason.OPEN_SEVERE_TICKET: "severe ticket open",
    ChurnReason.SLA_BREACHED: "deadline missed",
    ChurnReason.COMPLAINT: "complaint",
    ChurnReason.QUALITY_COMPLAINT: "quality complaint",
    ChurnReason.SATISFACTION_DOWN: "less satisfied",
    ChurnReason.COMPETITIVE_PRESSURE: "a competitor presses",
    ChurnReason.FALLING_REVENUE: "buys less",
    ChurnReason.RENEWAL_NEAR: "renewal is near",
}
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of text: a name must not be able to fake a line."""
_HUNDRED: Final = 100


def plain(text: str) -> str:
    """Give a text from outside without what could disturb a terminal."""
    return _UNPRINTABLE.sub("�", text)


def day(moment: datetime) -> str:
    """Give a day as people write it.

    >>> day(datetime(2025, 3, 4, tzinfo=UTC))
    '4 Mar 2025'
    """
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y}"


def short_day(moment: datetime) -> str:
    """Give a day without its year.

    >>> short_day(datetime(2025, 3, 4, tzinfo=UTC))
    '4 Mar'
    """
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b}"


def day_of_ms(moment_ms: int | None) -> str:
    """Give the day of a moment in milliseconds since the epoch; a dash for none."""
    return "–" if moment_ms is None else day(from_epoch_ms(moment_ms))


def score(value: float | None) -> str:
    """Give a score with one decimal, or a dash."""
    return "–" if value is None else f"{value:.1f}"


def largest_delta(change: TierChanged) -> tuple[str, float] | None:
    """Give the component that moved a score most, and by how many points; None if none did."""
    moved = max(change.components, key=lambda one: abs(one.delta_hundredths), default=None)
    if moved is None or moved.delta_hundredths == 0:
        return None
    return moved.name, moved.delta_hundredths / _HUNDRED


def why_tier(change: TierChanged) -> str:
    """Say why a tier changed: the largest component delta, and the cause unless it is what the account did."""
    found = largest_delta(change)
    moved = "" if found is None else f"{found[0]} {found[1]:+.1f}"
    return ", ".join(one for one in (moved, _CAUSES[change.cause]) if one)


def why_churn(event: ChurnEvent, most: int = len(ChurnReason)) -> str:
    """Say why an account is at risk: so many reasons at most, and how many more there are."""
    if not event.reasons:
        return "orders again" if event.type == "account.recovered" else "nothing speaks for it any longer"
    texts = [_silence(event) if one is ChurnReason.OVERDUE else _REASONS[one] for one in event.reasons]
    more = f" +{len(texts) - most}" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _silence(event: ChurnEvent) -> str:
    if event.silent_days is None:
        return _REASONS[ChurnReason.OVERDUE]
    usual = "" if event.own_gap_days is None else f" (usual {event.own_gap_days:.0f})"
    return f"silent {event.silent_days} days{usual}"


def money(amount: str | None, currency: str) -> str:
    """Give an amount in whole units, or a dash.

    >>> money("12635.51", "EUR")
    '12,636 EUR'
    """
    return "–" if amount is None else f"{Decimal(amount):,.0f} {currency}"


def percent(share: float | None) -> str:
    """Give a share in whole per cent, or a dash."""
    return "–" if share is None else f"{share:.0%}"
