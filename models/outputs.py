"""Output events: what downstream services subscribe to.

The body holds nothing of the run. Scores and points are numbers with two decimals; money is a decimal string in the
reporting currency; days are local dates of the policy's time zone.
"""

from datetime import datetime
from enum import StrEnum, unique
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


@unique
class Tier(StrEnum):
    """Grades of an account, best first; `unrated` when too little is known."""

    KEY = "key"
    GROWTH = "growth"
    STANDARD = "standard"
    BASIC = "basic"
    UNRATED = "unrated"


@unique
class Direction(StrEnum):
    """How a tier changed."""

    ENTERED = "entered"
    """The first grade, or the first after being unrated."""
    PROMOTED = "promoted"
    DEMOTED = "demoted"
    WITHDRAWN = "withdrawn"
    """Too little is known to grade the account any longer."""


@unique
class Cause(StrEnum):
    """What moved the account."""

    BEHAVIOUR = "behaviour"
    TIME = "time"
    CONFIGURATION = "configuration"
    CORRECTION = "correction"
    PORTFOLIO = "portfolio"


@unique
class ChurnLevel(StrEnum):
    """How likely the account is to stay away."""

    NONE = "none"
    """No order yet: there is nothing to lose."""
    UNPROVEN = "unproven"
    """One order day: no rhythm to judge by, and no alert."""
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    LOST = "lost"


@unique
class ChurnReason(StrEnum):
    """Why an account is at risk."""

    OVERDUE = "overdue"
    """Silent for longer than its own rhythm explains."""
    OPEN_SEVERE_TICKET = "open_severe_ticket"
    SLA_BREACHED = "sla_breached"
    COMPLAINT = "complaint"
    QUALITY_COMPLAINT = "quality_complaint"
    SATISFACTION_DOWN = "satisfaction_down"
    """Survey answers have become worse."""
    COMPETITIVE_PRESSURE = "competitive_pressure"
    FALLING_REVENUE = "falling_revenue"
    RENEWAL_NEAR = "renewal_near"


@unique
class Lifecycle(StrEnum):
    """The phase of an account's life; the first that holds, in this order."""

    PROSPECT = "prospect"
    """No order yet."""
    LOST = "lost"
    RECOVERED = "recovered"
    """Back since 90 days at most."""
    DORMANT = "dormant"
    """Silent for more than twice its own gap."""
    NEW = "new"
    """First order less than 90 days ago."""
    DECLINING = "declining"
    GROWING = "growing"
    STEADY = "steady"


@unique
class Abc(StrEnum):
    """By what accounts bring: A the few that bring most, C the many that bring little."""

    A = "A"
    B = "B"
    C = "C"


@unique
class Xyz(StrEnum):
    """By how evenly an account buys: X steadily, Y with swings, Z irregularly."""

    X = "X"
    Y = "Y"
    Z = "Z"


@unique
class RfmSegment(StrEnum):
    """What recency, frequency and monetary value say together."""

    CHAMPIONS = "champions"
    """Ordered just now, often, and for much."""
    LOYAL = "loyal"
    CANNOT_LOSE = "cannot_lose"
    """Ordered often and for much, and not for long."""
    AT_RISK = "at_risk"
    HIBERNATING = "hibernating"
    NEEDS_ATTENTION = "needs_attention"
    ABOUT_TO_SLEEP = "about_to_sleep"
    NEW = "new"
    PROMISING = "promising"
    POTENTIAL_LOYALIST = "potential_loyalist"


@unique
class AccountType(StrEnum):
    """What an account is to the one who sells to it; several may hold."""

    BREADWINNER = "breadwinner"
    """Brings a tenth of the portfolio's profit, or more."""
    PROSPECTIVE = "prospective"
    """Young, with a budget in the top fifth."""
    IMAGE_MAKER = "image_maker"
    """Its brand lends ours its name."""
    DEMANDING_EXPERT = "demanding_expert"
    """Among those that ask most for each order, and that buy most."""


class Output(BaseModel):
    """Base of all that is published: immutable, and nothing but its fields."""

    # Errors reach logs, which quote nothing of an account.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)


Points = Annotated[float, Field(ge=0, le=100)]


class ComponentChange(Output):
    """One component before and after, points in hundredths; the deltas of all sum exactly to the score's."""

    name: str
    score_before: Points | None
    score: Points | None
    weight: int
    points_before_hundredths: int
    points_hundredths: int
    delta_hundredths: int


class WindowFigures(Output):
    """Sums over one rolling window."""

    revenue: str
    profit: str | None
    """Null when no cost is known."""
    service_cost: str
    """Cost of support tickets, already taken from the profit."""
    orders: int
    profit_coverage: float | None
    """Share of the revenue with a known cost; null without revenue."""


class RfmFigures(Output):
    """Recency, frequency and monetary value, each from 1 to 5, 5 being best, and the segment of their cell."""

    r: Annotated[int, Field(ge=1, le=5)]
    f: Annotated[int, Field(ge=1, le=5)]
    m: Annotated[int, Field(ge=1, le=5)]
    segment: RfmSegment


class Classes(Output):
    """Relative classes; null until a portfolio exists, or where too little is known of the account."""

    abc_revenue: Abc | None = None
    abc_profit: Abc | None = None
    xyz: Xyz | None = None
    matrix: str | None = None
    """ABC by revenue and XYZ: AX to CZ."""
    rfm: RfmFigures | None = None
    account_types: list[AccountType] = []


class _AccountOutput(Output):
    account_id: str
    sequence: int
    """Gap-free for the account, its incarnation and the topic; starts at 1."""
    incarnation: int
    """How often an account of this id was erased before."""
    occurred_at: datetime
    """As of when, in event time."""
    trigger_event_id: str | None
    """The event that caused it; null when time or the policy did."""
    policy_version: str
    model_version: str
    portfolio_version: int | None


class TierChanged(_AccountOutput):
    """An account moved to another tier. `score_before` and `points_before` are those of its last tier change."""

    type: Literal["account.tier_changed"] = "account.tier_changed"
    previous_tier: Tier | None
    tier: Tier
    direction: Direction
    flap: bool
    """Whether it undoes the change before it within 30 days."""
    cause: Cause
    score_before: Points | None
    score: Points | None
    score_delta_hundredths: int
    """From `score_before` to `score`, an absent one being 0; equals the sum of the components' deltas."""
    confidence: float
    components: list[ComponentChange]
    windows: dict[str, WindowFigures]
    classes: Classes


class _ChurnOutput(_AccountOutput):
    cause: Cause
    previous_level: ChurnLevel | None
    level: ChurnLevel
    risk: float | None
    horizon_days: int
    silent_days: int | None
    own_gap_days: float | None
    """Mean gap between order days, shrunk to the portfolio's."""
    reasons: list[ChurnReason]
    value_at_stake: str | None
    tier: Tier


class ChurnRiskChanged(_ChurnOutput):
    """The risk of losing an account moved to another level."""

    type: Literal["account.churn_risk_changed"] = "account.churn_risk_changed"


class AccountLost(_ChurnOutput):
    """An account has been silent for so long that it counts as lost."""

    type: Literal["account.lost"] = "account.lost"


class AccountRecovered(_ChurnOutput):
    """A lost account ordered again, or a correction showed that it never was lost."""

    type: Literal["account.recovered"] = "account.recovered"


ChurnEvent = ChurnRiskChanged | AccountLost | AccountRecovered
OutputEvent = TierChanged | ChurnEvent
