"""Made-up changes, and a moment of a demo that shows them."""

from datetime import UTC, datetime, timedelta

import pytest

from models.outputs import (
    Cause,
    ChurnLevel,
    ChurnReason,
    ChurnRiskChanged,
    Classes,
    ComponentChange,
    Direction,
    Tier,
    TierChanged,
)
from stream.demo.figures import Figures
from stream.demo.story import Story
from stream.demo.view import Phase, View
from stream.topics import CHURN_RISK, DEAD_LETTERS, SNAPSHOTS, TIER_CHANGES

MOMENT = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
NAMES = ("Vesper Machine Works Sp. z o.o.", "Lorenz Dairy 株式会社", "José Núñez Tools GmbH")


def component(name: str, delta_hundredths: int) -> ComponentChange:
    """A component that moved from zero."""
    return ComponentChange(
        name=name,
        score_before=0,
        score=50,
        weight=40,
        points_before_hundredths=0,
        points_hundredths=delta_hundredths,
        delta_hundredths=delta_hundredths,
    )


def tier_change(
    account: int = 0, day: int = 0, previous: Tier | None = Tier.STANDARD, cause: Cause = Cause.BEHAVIOUR
) -> TierChanged:
    """A promotion to `growth`, so many days after the moment."""
    return TierChanged(
        account_id=f"ACC-{account}",
        sequence=1,
        incarnation=0,
        occurred_at=MOMENT + timedelta(days=day),
        trigger_event_id=None,
        policy_version="p",
        model_version="m",
        portfolio_version=None,
        previous_tier=previous,
        tier=Tier.GROWTH,
        direction=Direction.ENTERED if previous is None else Direction.PROMOTED,
        flap=False,
        cause=cause,
        score_before=None if previous is None else 42.25,
        score=51.75,
        score_delta_hundredths=950,
        confidence=1,
        components=[component("revenue", 610), component("frequency", -1), component("profit", 341)],
        windows={},
        classes=Classes(),
    )


def churn_change(
    account: int = 0, day: int = 0, reasons: tuple[ChurnReason, ...] = (ChurnReason.OVERDUE,)
) -> ChurnRiskChanged:
    """A risk that rose from `low` to `high`, so many days after the moment."""
    return ChurnRiskChanged(
        account_id=f"ACC-{account}",
        sequence=1,
        incarnation=0,
        occurred_at=MOMENT + timedelta(days=day),
        trigger_event_id=None,
        policy_version="p",
        model_version="m",
        portfolio_version=None,
        cause=Cause.TIME,
        previous_level=ChurnLevel.LOW,
        level=ChurnLevel.HIGH,
        risk=0.834,
        horizon_days=90,
        silent_days=49,
        own_gap_days=24.38,
        reasons=list(reasons),
        value_at_stake="12635.51",
        tier=Tier.GROWTH,
    )


@pytest.fixture
def story() -> Story:
    """Three tier changes and two churn risks of three accounts, a snapshot and a dead letter."""
    story = Story()
    for account, name in enumerate(NAMES):
        story.take_profile(f'{{"account_id": "ACC-{account}", "name": "{name}"}}'.encode())
        story.take(TIER_CHANGES, tier_change(account, day=-account).model_dump_json().encode(), 7.0 + account)
    for account, reasons in ((1, tuple(ChurnReason)), (2, (ChurnReason.COMPLAINT,))):
        story.take(CHURN_RISK, churn_change(account, reasons=reasons).model_dump_json().encode(), 9.0)
    story.take(SNAPSHOTS, b"{}", 9.0)
    story.take(DEAD_LETTERS, b"not JSON", 9.0)
    return story


def view_of(story: Story, phase: Phase) -> View:
    """A moment at which 40 % of the history is done."""
    return View(
        phase=phase,
        elapsed_s=12.5,
        history_share=0.4,
        events_per_second=1234.5,
        latency_seconds=0.15,
        figures=Figures(
            events=8123,
            clock_ms=int(MOMENT.timestamp() * 1000),
            tiers={"key": 3, "growth": 120, "standard": 0},
            levels={"low": 100, "lost": 1},
            refusals={"invalid_json": 2, "missing_field": 5},
        ),
        story=story,
        accounts=300,
        days=730,
        hours_per_second=6,
        currency="EUR",
        url="http://127.0.0.1:8080",
    )
