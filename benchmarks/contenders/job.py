"""The work that every peer does: rolling windows of one customer, a tier by revenue, and its changes.

Buckets of one day for 365 days, with the sums of revenue, orders and profit over the last 30, 90 and 365 of them, kept
up to date by adding what comes and subtracting what leaves. All peers in Python share this module, and the Java one
does the same step by step, so that what is compared is what is around it. Money is in minor units: sums of integers
are equal whatever the order of the additions. Needs nothing but msgspec: each peer has an environment of its own.
"""

from bisect import bisect_left
from datetime import date
from functools import cache
from typing import Final

import msgspec

WINDOW_DAYS: Final = (30, 90, 365)
HORIZON_DAYS: Final = WINDOW_DAYS[-1]
TIERS: Final = ((1_000_000, "A"), (400_000, "B"), (150_000, "C"))
"""Least revenue of 365 days, in minor units, for each tier above the lowest."""
LOWEST_TIER: Final = "D"
_MEASURES: Final = 3
_YEAR_REVENUE: Final = 2 * _MEASURES
_DATE_CHARACTERS: Final = 10
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()


class Order(msgspec.Struct, gc=False):
    """One order; fields that the work does not need are skipped."""

    account_id: str
    occurred_at: str
    """In UTC, so that its first ten characters are the day."""
    amount: float
    cost: float


class Change(msgspec.Struct, gc=False):
    """A customer moved to another tier."""

    account_id: str
    sequence: int
    old: str
    new: str
    occurred_at: str
    revenue_365d_minor: int


class State(msgspec.Struct, array_like=True, gc=False):
    """One customer: non-empty days in columns, ascending, and the sums over the windows."""

    days: list[int] = []
    revenue_minor: list[int] = []
    orders: list[int] = []
    profit_minor: list[int] = []
    sums: list[int] = msgspec.field(default_factory=lambda: [0] * (_MEASURES * len(WINDOW_DAYS)))
    """Revenue, orders and profit of the shortest window, then of the next."""
    starts: list[int] = msgspec.field(default_factory=lambda: [0] * len(WINDOW_DAYS))
    """For each window the index of its first day."""
    tier: str = LOWEST_TIER
    sequence: int = 0


decode_order: Final = msgspec.json.Decoder(Order).decode
encode_change: Final = msgspec.json.Encoder().encode
decode_change: Final = msgspec.json.Decoder(Change).decode
encode_state: Final = msgspec.msgpack.Encoder().encode
decode_state: Final = msgspec.msgpack.Decoder(State).decode


def apply(state: State, order: Order) -> Change | None:
    """Count an order in the windows, which move to its day if that is the latest; tell a change of the tier."""
    day = _day_of(order.occurred_at[:_DATE_CHARACTERS])
    revenue = round(order.amount * 100)
    profit = revenue - round(order.cost * 100)
    days = state.days
    if not days or day > days[-1]:
        _append(state, day, revenue, profit)
    elif day == days[-1]:
        _add(state, len(days) - 1, revenue, profit)
    elif day > days[-1] - HORIZON_DAYS:
        _add_late(state, day, revenue, profit)
    else:
        return None
    tier = _tier_of(state.sums[_YEAR_REVENUE])
    if tier == state.tier:
        return None
    old, state.tier = state.tier, tier
    state.sequence += 1
    return Change(order.account_id, state.sequence, old, tier, order.occurred_at, state.sums[_YEAR_REVENUE])


@cache
def _day_of(text: str) -> int:
    return date.fromisoformat(text).toordinal() - _EPOCH_ORDINAL


def _tier_of(revenue_minor: int) -> str:
    for least, tier in TIERS:
        if revenue_minor >= least:
            return tier
    return LOWEST_TIER


def _append(state: State, day: int, revenue: int, profit: int) -> None:
    """Begin a new latest day: the windows move."""
    days, sums, starts = state.days, state.sums, state.starts
    revenues, orders, profits = state.revenue_minor, state.orders, state.profit_minor
    days.append(day)
    revenues.append(revenue)
    orders.append(1)
    profits.append(profit)
    for window, length in enumerate(WINDOW_DAYS):
        at = window * _MEASURES
        sums[at] += revenue
        sums[at + 1] += 1
        sums[at + 2] += profit
        first = day - length + 1
        index = starts[window]
        while days[index] < first:
            sums[at] -= revenues[index]
            sums[at + 1] -= orders[index]
            sums[at + 2] -= profits[index]
            index += 1
        starts[window] = index
    gone = starts[-1]
    if gone:
        del days[:gone], revenues[:gone], orders[:gone], profits[:gone]
        state.starts = [start - gone for start in starts]


def _add(state: State, index: int, revenue: int, profit: int) -> None:
    """Add to a day that has orders already."""
    state.revenue_minor[index] += revenue
    state.orders[index] += 1
    state.profit_minor[index] += profit
    sums = state.sums
    for window, start in enumerate(state.starts):
        if index >= start:
            at = window * _MEASURES
            sums[at] += revenue
            sums[at + 1] += 1
            sums[at + 2] += profit


def _add_late(state: State, day: int, revenue: int, profit: int) -> None:
    """Add to a day before the latest one, which does not move the windows."""
    days = state.days
    index = bisect_left(days, day)
    if days[index] != day:
        for column, value in ((days, day), (state.revenue_minor, 0), (state.orders, 0), (state.profit_minor, 0)):
            column.insert(index, value)
        first_days = [days[-1] - length + 1 for length in WINDOW_DAYS]
        state.starts = [bisect_left(days, first) for first in first_days]
    _add(state, index, revenue, profit)
