"""Bodies of output records as the core makes them: the contract of `outputs` and `snapshots` without its checks.

To check what we computed ourselves takes as long as to compute it. Each class has the name, the fields and their order
of the contract's model; what `encode` makes of one is what that model would serialise, byte for byte: `tests/core`
holds both to each other.
"""

from datetime import date, datetime
from typing import Final, Literal

import msgspec

from models import outputs
from models.outputs import (
    Abc,
    AccountType,
    Cause,
    ChurnLevel,
    ChurnReason,
    Direction,
    Lifecycle,
    RfmSegment,
    Tier,
    Xyz,
)

ChurnEventType = Literal["account.churn_risk_changed", "account.lost", "account.recovered"]


class ComponentChange(msgspec.Struct, frozen=True, gc=False):
    """One component before and after."""

    name: str
    score_before: float | None
    score: float | None
    weight: int
    points_before_hundredths: int
    points_hundredths: int
    delta_hundredths: int


class WindowFigures(msgspec.Struct, frozen=True, gc=False):
    """Sums over one rolling window."""

    revenue: str
    profit: str | None
    service_cost: str
    orders: int
    profit_coverage: float | None


class RfmFigures(msgspec.Struct, frozen=True, gc=False):
    """Recency, frequency and monetary value."""

    r: int
    f: int
    m: int
    segment: RfmSegment


class Classes(msgspec.Struct, frozen=True, gc=False):
    """Relative classes."""

    abc_revenue: Abc | None
    abc_profit: Abc | None
    xyz: Xyz | None
    matrix: str | None
    rfm: RfmFigures | None
    account_types: list[AccountType]


class TierChanged(msgspec.Struct, frozen=True, gc=False):
    """An account moved to another tier."""

    account_id: str
    sequence: int
    incarnation: int
    occurred_at: datetime
    trigger_event_id: str | None
    policy_version: str
    model_version: str
    portfolio_version: int | None
    type: Literal["account.tier_changed"]
    previous_tier: Tier | None
    tier: Tier
    direction: Direction
    flap: bool
    cause: Cause
    score_before: float | None
    score: float | None
    score_delta_hundredths: int
    confidence: float
    components: list[ComponentChange]
    windows: dict[str, WindowFigures]
    classes: Classes


class ChurnEvent(msgspec.Struct, frozen=True, gc=False):
    """The risk of losing an account moved to another level: one of the contract's three, by its type."""

    account_id: str
    sequence: int
    incarnation: int
    occurred_at: datetime
    trigger_event_id: str | None
    policy_version: str
    model_version: str
    portfolio_version: int | None
    cause: Cause
    previous_level: ChurnLevel | None
    level: ChurnLevel
    risk: float | None
    horizon_days: int
    silent_days: int | None
    own_gap_days: float | None
    reasons: list[ChurnReason]
    value_at_stake: str | None
    tier: Tier
    type: ChurnEventType


OutputEvent = TierChanged | ChurnEvent


class Component(msgspec.Struct, frozen=True, gc=False):
    """One component of the score."""

    name: str
    score: float | None
    weight: int
    points: float
    parts: dict[str, float | None]


class Lifetime(msgspec.Struct, frozen=True, gc=False):
    """Since the first order."""

    first_order: date | None
    last_order: date | None
    orders: int
    revenue: str
    profit: str | None


class ChurnFigures(msgspec.Struct, frozen=True, gc=False):
    """The risk of losing the account."""

    risk: float | None
    level: ChurnLevel
    horizon_days: int
    reasons: list[ChurnReason]
    value_at_stake: str | None
    lost_on: date | None
    value_lost: str | None


class Action(msgspec.Struct, frozen=True, gc=False):
    """A recommended action."""

    name: str
    reasons: list[ChurnReason]


class SupportFigures(msgspec.Struct, frozen=True, gc=False):
    """Support of the last days."""

    open: int
    severe: int
    breaches_90d: int
    satisfaction: float | None


class PortfolioFigures(msgspec.Struct, frozen=True, gc=False):
    """The account among all others."""

    revenue_rank: int | None
    revenue_share: float | None
    version: int | None


class RatingFigure(msgspec.Struct, frozen=True, gc=False):
    """A rating."""

    value: float
    rated_at: date


class BudgetFigure(msgspec.Struct, frozen=True, gc=False):
    """What the customer could spend in a year."""

    amount: str
    currency: str


class OverrideFigure(msgspec.Struct, frozen=True, gc=False):
    """A tier set by hand."""

    tier: Tier
    reason: str
    until: date


class ProfileFigures(msgspec.Struct, frozen=True, gc=False):
    """What the last accepted profile says."""

    version: int
    customer_since: date | None
    segment: str | None
    industry: str | None
    region: str | None
    owner: str | None
    crm_url: str | None
    budget: BudgetFigure | None
    renewal_on: date | None
    parent_id: str | None
    ratings: dict[str, RatingFigure]
    override: OverrideFigure | None


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """The account's whole current health."""

    account_id: str
    incarnation: int
    name: str | None
    profile: ProfileFigures | None
    currency: str
    as_of: datetime
    revision: int
    tier: Tier
    score: float | None
    confidence: float
    components: list[Component]
    windows: dict[str, WindowFigures]
    lifetime: Lifetime
    classes: Classes
    lifecycle: Lifecycle
    scorecard: str | None
    override_until: date | None
    veto: str | None
    churn: ChurnFigures
    portfolio: PortfolioFigures
    support: SupportFigures
    actions: list[Action]
    policy_version: str
    model_version: str


def body_of(event: outputs.OutputEvent) -> OutputEvent:
    """Give the body of an event that was read by the contract."""
    if isinstance(event, outputs.TierChanged):
        return msgspec.convert(event, TierChanged, from_attributes=True)
    return msgspec.convert(event, ChurnEvent, from_attributes=True)


encode: Final = msgspec.json.Encoder().encode
"""Gives the JSON of a body, as UTF-8."""
_MOMENT: Final = b',"as_of":'
_BEHIND: Final = b',"tier":'


def without_moment(snapshot: bytes) -> bytes:
    """Cut the moment and the revision out of an encoded snapshot: what is left says what is known of the account.

    >>> without_moment(b'{"currency":"EUR","as_of":"2026-07-01T00:00:00Z","revision":7,"tier":"key"}')
    b'{"currency":"EUR","tier":"key"}'
    """
    # Within a text a quotation mark has a backslash before it: these are names of fields, wherever they are found.
    start = snapshot.index(_MOMENT)
    return snapshot[:start] + snapshot[snapshot.index(_BEHIND, start) :]
