"""Order events as the core takes them, and the form of the documents that `models.reading` reads them from."""

from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from models.events import OrderCompleted, OrderEvent, ProfileEvent, SupportEvent
from models.fields import AMOUNT_MAX, epoch_ms

OrderType = Literal["order.completed", "order.refunded", "order.cancelled"]

AMOUNT_DECIMALS: Final = 9
"""Decimals of an amount, at most."""
NANO: Final = 10**AMOUNT_DECIMALS
"""Parts of a currency's major unit that amounts are counted in: exact, and equal amounts are equal integers."""
NANO_MAX: Final = int(AMOUNT_MAX) * NANO


class Order(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event of an order: what the contract's fields of the same names say.

    Amounts are integers in billionths of `currency`'s major unit, moments in milliseconds since the epoch. A field that
    the contract does not have for the type is None or empty.
    """

    type: OrderType
    event_id: str
    account_id: str
    occurred_ms: int
    amount_nano: int
    currency: str
    cost_nano: int | None = None
    order_id: str | None = None
    ordered_ms: int | None = None
    product_lines: tuple[str, ...] = ()


CoreEvent = Order | SupportEvent | ProfileEvent
"""An event of an account in the form in which the core takes it."""


def order_of(event: OrderEvent) -> Order:
    """Turn an event of the contract into an order."""
    ordered_at = None if isinstance(event, OrderCompleted) else event.ordered_at
    return Order(
        type=event.type,
        event_id=event.event_id,
        account_id=event.account_id,
        occurred_ms=event.occurred_ms,
        amount_nano=nano_of(event.amount),
        currency=event.currency,
        cost_nano=None if event.cost is None else nano_of(event.cost),
        order_id=event.order_id,
        ordered_ms=None if ordered_at is None else epoch_ms(ordered_at),
        product_lines=event.product_lines if isinstance(event, OrderCompleted) else (),
    )


def nano_of(amount: Decimal) -> int:
    """Give an amount of the contract in billionths.

    >>> nano_of(Decimal("12.50"))
    12500000000
    """
    return int(amount.scaleb(AMOUNT_DECIMALS))


_ID_CHARACTERS_MAX: Final = 200
_Id = Annotated[str, Meta(min_length=1, max_length=_ID_CHARACTERS_MAX)]


class OrderDocument(msgspec.Struct, gc=False):
    """An order as it stands in its document, before times and amounts are read."""

    type: OrderType
    event_id: _Id
    occurred_at: str
    amount: float | str
    currency: str
    account_id: _Id | UnsetType = UNSET
    customer_id: _Id | UnsetType = UNSET
    cost: float | str | None = None
    order_id: _Id | None = None
    ordered_at: str | None = None
    product_lines: Annotated[tuple[_Id, ...], Meta(max_length=100)] = ()
