"""Snapshots: the whole current health of an account, for views and for editors."""

from datetime import date, datetime

from models.outputs import ChurnLevel, ChurnReason, Classes, Lifecycle, Output, Points, Tier, WindowFigures


class Component(Output):
    """One component of the score, its share of the points, and the parts it was made of."""

    name: str
    score: Points | None
    weight: int
    points: Points
    parts: dict[str, float | None]


class Lifetime(Output):
    """Since the first order."""

    first_order: date | None
    last_order: date | None
    orders: int
    revenue: str
    profit: str | None


class ChurnFigures(Output):
    """The risk of losing the account."""

    risk: float | None
    level: ChurnLevel
    horizon_days: int
    reasons: list[ChurnReason]
    value_at_stake: str | None
    lost_on: date | None
    """Since when the account counts as lost; null if it does not."""
    value_lost: str | None
    """What a year with it was worth when it was lost."""


class Action(Output):
    """A recommended action, and the churn reasons that speak for it."""

    name: str
    reasons: list[ChurnReason]


class SupportFigures(Output):
    """Support of the last 90 days (setting)."""

    open: int
    severe: int
    breaches_90d: int
    satisfaction: float | None


class PortfolioFigures(Output):
    """The account among all others; null until a portfolio exists."""

    revenue_rank: int | None = None
    revenue_share: float | None = None
    version: int | None = None


class RatingFigure(Output):
    """A rating from 0 to 100 and the day on which it was given."""

    value: float
    rated_at: date


class BudgetFigure(Output):
    """What the customer could spend in a year."""

    amount: str
    currency: str
    """The reporting currency, whichever one the profile named."""


class OverrideFigure(Output):
    """A tier set by hand until the end of a day."""

    tier: Tier
    reason: str
    until: date


class ProfileFigures(Output):
    """What the last accepted profile says: an editor sends all of it again, with the next version."""

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


class Snapshot(Output):
    """The account's whole current health."""

    account_id: str
    incarnation: int
    """How often an account of this id was erased before; the revision begins again with it."""
    name: str | None
    profile: ProfileFigures | None
    """Null before the first profile; its name stands above."""
    currency: str
    """The reporting currency, of all money that names no other."""
    as_of: datetime
    revision: int
    tier: Tier
    score: Points | None
    confidence: float
    components: list[Component]
    windows: dict[str, WindowFigures]
    lifetime: Lifetime
    classes: Classes
    lifecycle: Lifecycle
    scorecard: str | None
    """The entry of the policy's `scorecards` that gave the weights; null for the general ones."""
    override_until: date | None
    """Last day of a tier set by hand; null without one."""
    veto: str | None
    """The policy's veto that holds the tier down; null without one."""
    churn: ChurnFigures
    portfolio: PortfolioFigures
    support: SupportFigures
    actions: list[Action]
    policy_version: str
    model_version: str
