"""What the read side answers: typed results for the API and for the console, which run in one process.

Money is a decimal string in the currency that stands beside it. A null is what is not known.
"""

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from models.outputs import (
    Abc,
    AccountType,
    ChurnEvent,
    ChurnLevel,
    ChurnReason,
    Lifecycle,
    RfmSegment,
    Tier,
    TierChanged,
    Xyz,
)
from models.snapshots import Snapshot
from stream.view.arrangement import Dimension


class Result(BaseModel):
    """Base of all results: immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class AccountRow(Result):
    """One account in a list."""

    account_id: str
    name: str | None
    tier: Tier
    score: float | None
    confidence: float
    churn_level: ChurnLevel
    risk: float | None
    reasons: tuple[ChurnReason, ...]
    """Why it is at risk."""
    value_at_stake: str | None
    value_lost: str | None
    """What a year with it was worth when it was lost; null unless it is lost."""
    lost_on: date | None
    revenue: str
    """Of the longest window, as the next two."""
    profit: str | None
    orders: int
    currency: str
    abc_revenue: Abc | None
    abc_profit: Abc | None
    xyz: Xyz | None
    rfm_segment: RfmSegment | None
    account_types: tuple[AccountType, ...]
    lifecycle: Lifecycle
    segment: str | None
    owner: str | None
    region: str | None
    last_order: date | None
    actions: tuple[str, ...]
    """What is recommended, by name."""
    as_of: datetime
    revision: int


class AccountPage(Result):
    """Some accounts, in order."""

    items: tuple[AccountRow, ...]
    next: str | None
    """Cursor of the page that follows; null when this is the last. A page may hold fewer accounts than were asked for,
    even none, and still be followed by another: a filter that few accounts pass is searched a part at a time."""
    total: int | None
    """How many accounts there are on all pages; null where to count them would cost more than to list them."""


class ScorePoint(Result):
    """Where an account stood at the end of a week, counted from Thursday 1970-01-01."""

    day: date
    score: float | None
    risk: float | None
    tier: Tier
    churn_level: ChurnLevel


class Change(Result):
    """A tier change or a churn event, as it was published."""

    cursor: str
    """Its place in the order of changes: ask for those after it."""
    event: Annotated[TierChanged | ChurnEvent, Field(discriminator="type")]


class ChangePage(Result):
    """Some changes, oldest first."""

    items: tuple[Change, ...]
    next: str
    """Cursor to go on with, now or later: the changes after this page."""
    more: bool
    """Whether there are more already."""


class AccountDetail(Result):
    """All that is known of one account."""

    snapshot: Snapshot
    history: tuple[Annotated[TierChanged | ChurnEvent, Field(discriminator="type")], ...]
    """Its last changes, newest first."""
    points: tuple[ScorePoint, ...]
    """Week by week since the view first saw the account, oldest first, at most half a year of them."""


class Group(Result):
    """The accounts that have one value in common."""

    value: str
    accounts: int
    revenue: str
    value_at_stake: str
    value_lost: str
    """Of those that are lost: what a year with them was worth."""


class MatrixCell(Result):
    """One cell of a matrix of two classes."""

    row: str
    column: str
    accounts: int
    revenue: str


class ConcentrationPoint(Result):
    """The largest accounts, and how much of the positive revenue is theirs."""

    share_of_accounts: float
    share_of_revenue: float


class Portfolio(Result):
    """All accounts together."""

    currency: str | None
    """Null while there are no accounts."""
    accounts: int
    revenue: str
    value_at_stake: str
    value_lost: str
    """What a year with the lost accounts was worth."""
    groups: dict[Dimension, tuple[Group, ...]]
    """The values in use; tiers, levels and classes in their own order, others by revenue, a hundred at most."""
    abc_xyz: tuple[MatrixCell, ...]
    rfm: tuple[MatrixCell, ...]
    """Recency in rows, frequency in columns, each from 1 to 5."""
    concentration: tuple[ConcentrationPoint, ...]
    """From the largest accounts to all."""
    gini: float | None
    """Of the positive revenues, 0 when all are equal, towards 1 when one account has all; each band's accounts count
    as equal, which is at most 0.03 too little. Null without revenue."""
    top_fifth_share: float | None
    """Share of the positive revenue that the largest fifth of these accounts has; of a band that is cut its mean."""


class TurnGroup(Result):
    """Accounts that were lost, or came back, in a month, and have one value in common."""

    value: str | None
    """Null for those without one; `other` for those beyond the values told apart."""
    accounts: int
    value_at_stake: str


class Turns(Result):
    """Accounts that were lost in a month, or that came back in it."""

    accounts: int
    value_at_stake: str
    """As of the events."""
    by_reason: tuple[TurnGroup, ...]
    """One account may have several reasons, or none."""
    by_segment: tuple[TurnGroup, ...]
    by_owner: tuple[TurnGroup, ...]


class ChurnMonth(Result):
    """A calendar month of UTC."""

    month: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")]
    lost: Turns
    recovered: Turns


class ChurnMonths(Result):
    """Who was lost and who came back, month by month."""

    currency: str | None
    complete_since: datetime | None
    """Since when every loss and return is counted: before it only those that were still on the topic when the view was
    built. Null when all ever were."""
    updated_at: datetime
    """When the view was last written."""
    months: tuple[ChurnMonth, ...]
    """Those in which something happened, oldest first, of the last 24."""


class ViewStatus(Result):
    """How far the Redis view is."""

    built: bool
    """Whether it holds every account; until then nothing else is answered."""
    accounts: int
    updated_at: datetime | None
    """When it was last written."""
    built_at: datetime | None
    progress: float
    """Share of the snapshots that are read, from 0 to 1, while it is being built."""
