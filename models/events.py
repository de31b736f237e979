"""Input events: what producers write to `orders`, `support` and `profiles`.

Frozen, and tolerant of unknown fields, so that a producer may add one before we know it. `customer_id` is
accepted as another name of `account_id`.
"""

from datetime import date, datetime
from enum import StrEnum, unique
from typing import Annotated, Literal, Self, TypeVar, assert_never

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from models.fields import (
    Amount,
    CurrencyCode,
    Identifier,
    Link,
    Percent,
    PositiveAmount,
    Text,
    Timestamp,
    epoch_ms,
)


@unique
class InputTopic(StrEnum):
    """The three inputs, in the order in which records of equal timestamp are taken."""

    PROFILES = "profiles"
    ORDERS = "orders"
    SUPPORT = "support"


@unique
class Severity(StrEnum):
    """How bad a support ticket is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@unique
class ComplaintCategory(StrEnum):
    """What a complaint is about."""

    QUALITY = "quality"
    DELIVERY = "delivery"
    SERVICE = "service"
    PRICE = "price"
    OTHER = "other"


class Contract(BaseModel):
    """Base of all that crosses the wire: immutable, unknown fields ignored."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
        # Errors reach logs, which quote nothing of a record.
        hide_input_in_errors=True,
    )


class _Event(Contract):
    event_id: Identifier
    """Unique to the event within its account and topic; the key of de-duplication."""
    occurred_at: Timestamp
    """When it happened in the business (event time)."""

    @property
    def occurred_ms(self) -> int:
        """`occurred_at` in milliseconds since the epoch."""
        return epoch_ms(self.occurred_at)


class _AccountEvent(_Event):
    account_id: Identifier = Field(validation_alias=AliasChoices("account_id", "customer_id"))


_E = TypeVar("_E", bound=_Event)


def _check_ordered_before(event: _E, ordered_at: datetime | None) -> _E:
    if ordered_at is not None and ordered_at > event.occurred_at:
        raise PydanticCustomError("ordered_after", "ordered_at should not be after occurred_at")
    return event


class OrderCompleted(_AccountEvent):
    """An order that counts as revenue."""

    type: Literal["order.completed"] = "order.completed"
    order_id: Identifier
    amount: Amount
    """Net of tax and discount, in `currency`."""
    currency: CurrencyCode
    cost: Amount | None = None
    """Cost of what was sold, in `currency`; absent when unknown."""
    product_lines: Annotated[tuple[Text, ...], Field(max_length=100)] = ()


class OrderRefunded(_AccountEvent):
    """Money given back, on the day of `occurred_at`; never reduces the number of orders."""

    type: Literal["order.refunded"] = "order.refunded"
    amount: PositiveAmount
    currency: CurrencyCode
    cost: Amount | None = None
    """Cost of what came back, in `currency`."""
    order_id: Identifier | None = None
    ordered_at: Timestamp | None = None

    @model_validator(mode="after")
    def _ordered_before(self) -> Self:
        return _check_ordered_before(self, self.ordered_at)


class OrderCancelled(_AccountEvent):
    """Undoes one order on the day of `ordered_at`; self-contained, so it may come before its order."""

    type: Literal["order.cancelled"] = "order.cancelled"
    order_id: Identifier
    ordered_at: Timestamp
    amount: Amount
    currency: CurrencyCode
    cost: Amount | None = None

    @model_validator(mode="after")
    def _ordered_before(self) -> Self:
        return _check_ordered_before(self, self.ordered_at)


class ClockAdvanced(_Event):
    """Control: moves the event clock of this partition to `occurred_at`."""

    type: Literal["clock.advanced"] = "clock.advanced"


class _TicketEvent(_AccountEvent):
    ticket_id: Identifier
    severity: Severity


class TicketOpened(_TicketEvent):
    """A support ticket was opened."""

    type: Literal["ticket.opened"] = "ticket.opened"


class TicketResolved(_TicketEvent):
    """A support ticket was resolved."""

    type: Literal["ticket.resolved"] = "ticket.resolved"


class TicketReopened(_TicketEvent):
    """A resolved ticket was opened again."""

    type: Literal["ticket.reopened"] = "ticket.reopened"


class SlaBreached(_AccountEvent):
    """A ticket missed its service-level agreement."""

    type: Literal["sla.breached"] = "sla.breached"
    ticket_id: Identifier


class ComplaintFiled(_AccountEvent):
    """The customer complained formally."""

    type: Literal["complaint.filed"] = "complaint.filed"
    category: ComplaintCategory


class CsatAnswered(_AccountEvent):
    """A customer-satisfaction answer, 1 (worst) to 5."""

    type: Literal["survey.answered"] = "survey.answered"
    kind: Literal["csat"] = "csat"
    score: Annotated[int, Field(ge=1, le=5)]


class NpsAnswered(_AccountEvent):
    """A net-promoter answer, 0 (worst) to 10."""

    type: Literal["survey.answered"] = "survey.answered"
    kind: Literal["nps"] = "nps"
    score: Annotated[int, Field(ge=0, le=10)]


SurveyAnswered = Annotated[CsatAnswered | NpsAnswered, Field(discriminator="kind")]


class Rating(Contract):
    """A judgement of an account manager; out of date 365 days after `rated_at`."""

    value: Percent
    rated_at: date


class Ratings(Contract):
    """The ratings of key-account management; each may be absent."""

    market_share: Rating | None = None
    brand_influence: Rating | None = None
    cooperation_potential: Rating | None = None
    industry_growth: Rating | None = None
    competitive_pressure: Rating | None = None
    value_fit: Rating | None = None


class Budget(Contract):
    """What the customer could spend with us in a year."""

    amount: PositiveAmount
    currency: CurrencyCode


class TierOverride(Contract):
    """A tier set by hand until the end of a day."""

    tier: Literal["key", "growth", "standard", "basic"]
    reason: Text
    until: date


class ProfileUpdated(_AccountEvent):
    """The whole profile of an account: what is absent is unset."""

    type: Literal["profile.updated"] = "profile.updated"
    profile_version: Annotated[int, Field(ge=0, lt=2**53)]
    name: Text | None = None
    customer_since: date | None = None
    segment: Text | None = None
    industry: Text | None = None
    region: Text | None = None
    owner: Text | None = None
    crm_url: Link | None = None
    budget: Budget | None = None
    renewal_on: date | None = None
    parent_id: Identifier | None = None
    ratings: Ratings = Ratings()
    override: TierOverride | None = None


class AccountErased(_AccountEvent):
    """The customer asked to be forgotten."""

    type: Literal["account.erased"] = "account.erased"


OrderEvent = OrderCompleted | OrderRefunded | OrderCancelled
SupportEvent = (
    TicketOpened | TicketResolved | TicketReopened | SlaBreached | ComplaintFiled | CsatAnswered | NpsAnswered
)
ProfileEvent = ProfileUpdated | AccountErased
AccountEvent = OrderEvent | SupportEvent | ProfileEvent
InputEvent = AccountEvent | ClockAdvanced

ORDERS_ADAPTER: TypeAdapter[OrderEvent | ClockAdvanced] = TypeAdapter(
    Annotated[OrderEvent | ClockAdvanced, Field(discriminator="type")]
)
SUPPORT_ADAPTER: TypeAdapter[SupportEvent] = TypeAdapter(
    Annotated[
        TicketOpened | TicketResolved | TicketReopened | SlaBreached | ComplaintFiled | SurveyAnswered,
        Field(discriminator="type"),
    ]
)
PROFILES_ADAPTER: TypeAdapter[ProfileEvent] = TypeAdapter(Annotated[ProfileEvent, Field(discriminator="type")])

TYPES_BY_TOPIC: dict[InputTopic, tuple[str, ...]] = {
    InputTopic.ORDERS: ("order.completed", "order.refunded", "order.cancelled", "clock.advanced"),
    InputTopic.SUPPORT: (
        "ticket.opened",
        "ticket.resolved",
        "ticket.reopened",
        "sla.breached",
        "complaint.filed",
        "survey.answered",
    ),
    InputTopic.PROFILES: ("profile.updated", "account.erased"),
}
TOPIC_OF_TYPE: dict[str, InputTopic] = {type_: topic for topic, types in TYPES_BY_TOPIC.items() for type_ in types}


def adapter_of(topic: InputTopic) -> TypeAdapter[InputEvent]:
    """Return the validator of one input topic's events."""
    match topic:
        case InputTopic.ORDERS:
            return ORDERS_ADAPTER  # type: ignore[return-value]  # a narrower union of the same models
        case InputTopic.SUPPORT:
            return SUPPORT_ADAPTER  # type: ignore[return-value]  # see above
        case InputTopic.PROFILES:
            return PROFILES_ADAPTER  # type: ignore[return-value]  # see above
    assert_never(topic)
