"""An account's state: all that the core remembers of it, in integers and short texts.

The lists of one window day stand in columns (`days[i]`, `revenue_minor[i]`, …), so that a window is a sum of a
slice. Every collection has a stated maximum; a state of 20 order days packs into about 500 bytes.
"""

from typing import Final

import msgspec

OPEN_TICKETS_MAX: Final = 64
"""Open tickets remembered; the oldest is forgotten for a further one."""
SURVEYS_MAX: Final = 32
"""Survey answers remembered, the latest."""
PRODUCT_LINES_MAX: Final = 64
"""Product lines remembered, those ordered last."""
RECENT_EVENTS_MAX: Final = 32
"""Event ids remembered for each input topic, the latest."""
RECENT_EVENT_BYTES: Final = 12
"""Bytes of one remembered event: 8 of its id's hash, 4 of its content's."""
UNPLANNED: Final = -1
"""Stands for a due day that is not worked out yet; it is before a state is packed."""


class ComponentPoints(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One component at an evaluation: score and points in hundredths, weight as in the policy."""

    name: str
    score: int | None
    weight: int
    points: int


class OpenTicket(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A support ticket that is not resolved; forgotten when its day leaves the horizon."""

    ticket_id: str
    severity: str
    opened_day: int


class SupportDay(msgspec.Struct, array_like=True, gc=False):
    """How many support events of one kind happened on one day."""

    day: int
    kind: str
    count: int


class SurveyAnswer(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One answer, `score` on the survey's own scale."""

    day: int
    kind: str
    score: int


class ProfileRating(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A rating from 0 to 100 and the day on which it was given."""

    value: float
    rated_day: int


class ProfileState(msgspec.Struct, omit_defaults=True, gc=False, frozen=True):
    """What the last accepted profile says."""

    version: int
    name: str | None = None
    segment: str | None = None
    industry: str | None = None
    region: str | None = None
    owner: str | None = None
    crm_url: str | None = None
    parent_id: str | None = None
    customer_since_day: int | None = None
    budget_minor: int | None = None
    renewal_day: int | None = None
    ratings: dict[str, ProfileRating] = {}
    override_tier: str | None = None
    override_reason: str | None = None
    override_until_day: int | None = None


class AccountState(msgspec.Struct, array_like=True, dict=True):
    """Format 1. A day is a count of local days since 1970-01-01; money is in minor units.

    What the core works out from the fields and keeps beside them in memory stands in `__dict__`: it is not packed.
    """

    account_id: str
    incarnation: int = 0
    """How often the account was erased before."""
    revision: int = 0
    """Grows with each change that a reader of snapshots could see."""
    published_revision: int = 0
    """The last revision published as a snapshot."""
    tier_sequence: int = 0
    churn_sequence: int = 0
    configuration: str = ""
    """Policy and churn model of the last evaluation."""
    as_of_ms: int = 0
    as_of_day: int = 0
    due_day: int | None = None
    """The earliest day on which time alone could change something."""

    # The non-empty days of the horizon, ascending; at most the horizon's number of days.
    days: list[int] = []
    revenue_minor: list[int] = []
    orders: list[int] = []
    costed_revenue_minor: list[int] = []
    cost_minor: list[int] = []

    lifetime_orders: int = 0
    lifetime_revenue_minor: int = 0
    lifetime_costed_revenue_minor: int = 0
    lifetime_cost_minor: int = 0
    lifetime_service_cost_minor: int = 0
    # Days with an order that are older than the horizon: how many, the first, the last.
    old_order_days: int = 0
    old_first_order_day: int | None = None
    old_last_order_day: int | None = None
    # Of the block of 30 days in which the horizon begins, what is older than the horizon.
    old_block: int = 0
    old_block_revenue_minor: int = 0
    old_block_orders: int = 0

    product_lines: dict[str, int] = {}
    """The day on which each product line of the horizon was ordered last."""

    recent_orders: bytes = b""
    recent_support: bytes = b""
    recent_profiles: bytes = b""

    open_tickets: list[OpenTicket] = []
    # Ascending by day and kind; at most the horizon's days times the number of kinds.
    support_days: list[SupportDay] = []
    surveys: list[SurveyAnswer] = []
    profile: ProfileState | None = None

    portfolio_version: int = 0
    """Of the cut points that the account was last evaluated with; 0 without any."""
    # Figures of the last evaluation, which a census reads. A day that leaves a window is due, so they are current.
    year_revenue_minor: int = 0
    """Of the longest window, as those below."""
    year_profit_minor: int | None = None
    """None when too little of the cost is known."""
    year_orders: int = 0
    parts: int = 0
    """Which parts of the score are present: bit i is the i-th of `processors.scorecard.PARTS`."""

    tier: str | None = None
    """None until the first evaluation; `unrated` without enough data."""
    earned_tier: str | None = None
    """The tier by score alone, without override and vetoes."""
    graded: bool = False
    """Whether a tier change was ever published."""
    graded_day: int | None = None
    """The day of the last published change."""
    tier_before: str | None = None
    """The tier before the last published change."""
    # Since when the score is below the leave bound of key, growth, standard, without a break.
    below_since_days: list[int | None] = msgspec.field(default_factory=lambda: [None, None, None])
    score: int | None = None
    """Hundredths, 0 to 10000."""
    graded_score: int | None = None
    """The score published with the last tier change."""
    graded_points: list[ComponentPoints] = []
    """The components published with the last tier change."""

    churn_level: str | None = None
    risk: int | None = None
    """Ten-thousandths."""
    lost_day: int | None = None
    """Since when the account counts as lost."""
    value_lost_minor: int | None = None
    """What a year with it was worth then."""
    recovered_day: int | None = None
    """When it last came back."""
    published_hash: int = 0
    """Hash of what the last snapshot said beyond its moment and revision."""


class ErasedAccount(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What remains of an erased account: no id, only when, and how often."""

    erased_ms: int
    incarnation: int
