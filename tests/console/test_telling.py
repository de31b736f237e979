"""Changes in words: what happened, why, and whether it is good news."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel import Locale

from models.snapshots import ChurnFigures
from stream.console.formats import Formats
from stream.console.telling import risk_reason, tell, when_text
from stream.console.words import Language, Words
from stream.serving.rows import CHANGE_ADAPTER
from tests.support.snapshots import churn_change, tier_change

WORDS = Words(Language.ENGLISH)
FORMATS = Formats(Locale("en", "GB"))


def component(name: str, delta: int) -> dict[str, Any]:
    """Make a component that moved by so many hundredths."""
    return {
        "name": name,
        "score_before": 50.0,
        "score": 50.0,
        "weight": 25,
        "points_before_hundredths": 1000,
        "points_hundredths": 1000 + delta,
        "delta_hundredths": delta,
    }


MOVED = [component("revenue", -410), component("profit", 0), component("potential", 20), component("relationship", 120)]


@pytest.mark.parametrize(
    ("event", "what", "why", "good"),
    [
        (
            tier_change("A", 1, components=MOVED, direction="demoted", cause="time", previous_tier="key"),
            "Moved down: Key → Growth",
            "Because of time passing: Revenue −4.1, Relationship +1.2, Potential +0.2",
            False,
        ),
        (
            tier_change("A", 1, previous_tier=None, direction="entered"),
            "First grade: Growth",
            "Because of what the customer did",
            True,
        ),
        (
            churn_change("A", 1, silent_days=40, own_gap_days=12.4),
            "Low risk → High risk",
            "Silent for 40 days, where 12 days between orders are usual for it",
            False,
        ),
        (
            churn_change("A", 1, reasons=["falling_revenue", "renewal_near"], silent_days=1, own_gap_days=9.0),
            "Low risk → High risk",
            "Its revenue falls; its renewal is near",
            False,
        ),
        (
            churn_change("A", 1, previous_level="high", level="low", reasons=[], cause="behaviour"),
            "High risk → Low risk",
            "Because of what the customer did",
            True,
        ),
        (churn_change("A", 1, lost=True), "Lost", "Silent for longer than its own rhythm explains", False),
        (
            churn_change("A", 1, previous_level=None, level="medium", reasons=["complaint"], cause="correction"),
            "No orders yet → Medium risk",
            "Because of a refund, a cancellation or a late event; it complained",
            False,
        ),
    ],
)
def test_a_change_is_told(event: bytes, what: str, why: str, good: bool) -> None:  # noqa: FBT001  # a column
    """What changed, and why: the cause and what moved most, or what speaks of risk."""
    told = tell(CHANGE_ADAPTER.validate_json(event), WORDS, FORMATS)

    assert tuple(told) == (what, why, good)


@pytest.mark.parametrize(
    ("reasons", "risk", "text"),
    [
        (["overdue", "complaint"], 0.9, "Silent for longer than its own rhythm explains; it complained"),
        ([], 0.62, "62% likely not to order within 90 days"),
        ([], None, "No risk is known yet"),
    ],
)
def test_a_risk_is_told(reasons: list[str], risk: float | None, text: str) -> None:
    """By its signals, or by how large it is, where none speaks."""
    said = {"risk": risk, "level": "high", "horizon_days": 90, "reasons": reasons}
    churn = ChurnFigures.model_validate({**said, "value_at_stake": None, "lost_on": None, "value_lost": None})

    assert risk_reason(churn, WORDS, FORMATS) == text


@pytest.mark.parametrize(
    ("language", "moment", "text"),
    [
        (Language.ENGLISH, "2026-11-22T12:05:59", "13:05"),
        (Language.ENGLISH, "2026-11-21T23:00:00", "00:00"),
        (Language.ENGLISH, "2026-11-21T22:59:59", "yesterday, 23:59"),
        (Language.ENGLISH, "2026-11-20T23:00:00", "yesterday, 00:00"),
        (Language.ENGLISH, "2026-11-20T22:59:59", "20 Nov 2026"),
        (Language.ENGLISH, "2026-11-22T23:00:00", "23 Nov 2026"),
        (Language.CHINESE, "2026-11-21T22:59:59", "昨天 23:59"),
    ],
)
def test_yesterday_is_the_day_before_and_not_a_day_ago(language: Language, moment: str, text: str) -> None:
    """By the calendar of the policy's time zone, which is an hour ahead of UTC."""
    formats, value = Formats(Locale("en", "GB"), ZoneInfo("Europe/Berlin")), datetime.fromisoformat(moment)

    assert when_text(value.replace(tzinfo=UTC), date(2026, 11, 22), Words(language), formats) == text
