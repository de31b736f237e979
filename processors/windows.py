"""Rolling windows: integer sums over the non-empty days of the horizon.

A window of N days as of day D is [D − N + 1, D]. Integers only: floats drift when old days are subtracted.
"""

from bisect import bisect_left
from operator import mul, sub
from typing import Any, Final, NamedTuple

from models.fields import SUM_MINOR_MAX
from models.state import AccountState

BLOCK_DAYS: Final = 30
"""Days are also counted in blocks: block b begins with day 30 b."""
_TOTALS: Final = "totals"
_BEFORE_ALL: Final = -(2**31)
"""Before every day."""
_is_positive: Final = (0).__lt__
_DAYS_MAX: Final = 4096
# Each day's own object; what stands in it follows from the key alone.
_days: Final[dict[int, Any]] = {}


class WindowSums(NamedTuple):
    """Sums over one window, in minor units; `service_cost_minor` is taken from the profit by the caller."""

    revenue_minor: int
    orders: int
    costed_revenue_minor: int
    cost_minor: int


class Movement:
    """What one order event adds to its day; cancellations and refunds are negative."""

    __slots__ = ("cost_minor", "orders", "revenue_minor")

    def __init__(self, revenue_minor: int, orders: int, cost_minor: int | None) -> None:
        self.revenue_minor: Final = revenue_minor
        self.orders: Final = orders
        self.cost_minor: Final = cost_minor


class Totals:
    """What the whole horizon of a state adds up to: kept up to date by what comes and goes, never packed.

    `order_days` are those with more orders than cancellations, `squared_gaps` is the sum of the squares of the gaps
    between neighbouring days. Of `halves`: the first day and the revenue of each, as of whoever asked last.
    """

    __slots__ = (
        "cost_minor",
        "costed_revenue_minor",
        "early_from_day",
        "early_minor",
        "late_from_day",
        "late_minor",
        "order_days",
        "orders",
        "revenue_minor",
        "squared_gaps",
    )

    def __init__(self, state: AccountState) -> None:
        days = state.days
        gaps = list(map(sub, days[1:], days))
        self.revenue_minor: int = sum(state.revenue_minor)
        self.orders: int = sum(state.orders)
        self.costed_revenue_minor: int = sum(state.costed_revenue_minor)
        self.cost_minor: int = sum(state.cost_minor)
        self.order_days: int = sum(map(_is_positive, state.orders))
        self.squared_gaps: int = sum(map(mul, gaps, gaps))
        self.early_from_day = self.late_from_day = _BEFORE_ALL
        self.early_minor = 0
        self.late_minor = self.revenue_minor


def totals(state: AccountState) -> Totals:
    """Add up the days that a state holds; O(days) the first time, and no more as long as it stays in memory.

    >>> state = AccountState("A")
    >>> _ = [add(state, day, Movement(100, 1, 60), horizon_start_day=0) for day in (1, 5, 2)]
    >>> totals(state).revenue_minor, totals(state).squared_gaps
    (300, 10)
    """
    known: Totals | None = state.__dict__.get(_TOTALS)
    if known is None:
        known = state.__dict__[_TOTALS] = Totals(state)
    return known


def halves(state: AccountState, as_of_day: int, half_days: int) -> tuple[int, int]:
    """Sum the revenue of two windows of as many days each, one behind the other: the early, and the late as of a day.

    O(days that changed sides since the last time), in minor units.

    >>> state = AccountState("A")
    >>> _ = [add(state, day, Movement(day, 1, None), horizon_start_day=0) for day in (1, 10, 20)]
    >>> halves(state, as_of_day=20, half_days=10), halves(state, as_of_day=21, half_days=10)
    ((11, 20), (10, 20))
    """
    known = totals(state)
    late_from_day = as_of_day - half_days + 1
    early_from_day = late_from_day - half_days
    if known.late_from_day != late_from_day or known.early_from_day != early_from_day:
        _move_halves(state, known, early_from_day, late_from_day)
    return known.early_minor, known.late_minor


def _move_halves(state: AccountState, known: Totals, early_from_day: int, late_from_day: int) -> None:
    days, revenue = state.days, state.revenue_minor
    early = bisect_left(days, early_from_day)
    late = bisect_left(days, late_from_day, early)
    if known.early_from_day <= early_from_day and known.late_from_day <= late_from_day:
        early_before = bisect_left(days, known.early_from_day, 0, early)
        late_before = bisect_left(days, known.late_from_day, 0, late)
        turned = sum(revenue[late_before:late])
        known.late_minor -= turned
        known.early_minor += turned - sum(revenue[early_before:early])
    else:
        known.early_minor, known.late_minor = sum(revenue[early:late]), sum(revenue[late:])
    known.early_from_day, known.late_from_day = early_from_day, late_from_day


def sums(state: AccountState, as_of_day: int, window_days: int) -> WindowSums:
    """Sum the window that ends with a day, which is not before the last day held. O(days in the window).

    >>> state = AccountState("A")
    >>> _ = [add(state, day, Movement(100, 1, 60), horizon_start_day=0) for day in (1, 30, 31)]
    >>> sums(state, as_of_day=31, window_days=30).revenue_minor
    200
    >>> sums(state, as_of_day=31, window_days=31).revenue_minor
    300
    """
    first = bisect_left(state.days, as_of_day - window_days + 1)
    if first == 0:
        return WindowSums(
            sum(state.revenue_minor),
            sum(state.orders),
            sum(state.costed_revenue_minor),
            sum(state.cost_minor),
        )
    return WindowSums(
        sum(state.revenue_minor[first:]),
        sum(state.orders[first:]),
        sum(state.costed_revenue_minor[first:]),
        sum(state.cost_minor[first:]),
    )


def fits(state: AccountState, day: int, movement: Movement) -> bool:
    """Tell whether every sum that a movement goes into stays within `SUM_MINOR_MAX`."""
    revenue, cost = movement.revenue_minor, movement.cost_minor
    costed = 0 if cost is None else revenue
    cost = cost or 0
    if not (
        _within(state.lifetime_revenue_minor + revenue)
        and _within(state.lifetime_costed_revenue_minor + costed)
        and _within(state.lifetime_cost_minor + cost)
    ):
        return False
    days = state.days
    index = _place(days, day)
    if index == len(days) or days[index] != day:
        return True
    return (
        _within(state.revenue_minor[index] + revenue)
        and _within(state.costed_revenue_minor[index] + costed)
        and _within(state.cost_minor[index] + cost)
    )


def _place(days: list[int], day: int) -> int:
    # Most days come in order.
    return bisect_left(days, day) if days and day <= days[-1] else len(days)


def _within(minor: int) -> bool:
    return -SUM_MINOR_MAX <= minor <= SUM_MINOR_MAX


def add(state: AccountState, day: int, movement: Movement, horizon_start_day: int) -> bool:
    """Add a movement to its day and to the lifetime; False if the day is older than the horizon.

    Older movements count in the lifetime figures only. Of older orders the rhythm sees those that come in order.
    """
    revenue, orders, cost = movement.revenue_minor, movement.orders, movement.cost_minor
    state.lifetime_orders += orders
    state.lifetime_revenue_minor += revenue
    costed = 0 if cost is None else revenue
    state.lifetime_costed_revenue_minor += costed
    state.lifetime_cost_minor += cost or 0
    if day < horizon_start_day:
        if orders > 0:
            _note_old_order_day(state, day)
        return False
    cost = cost or 0
    known = totals(state)
    days, revenues, counts = state.days, state.revenue_minor, state.orders
    costeds, costs = state.costed_revenue_minor, state.cost_minor
    index = _place(days, day)
    if index == len(days) or days[index] != day:
        known.squared_gaps += _squares_gained(days, index, day)
        _insert(state, index, day, revenue, movement.cost_minor is not None)
        counts.insert(index, orders)
        costs.insert(index, cost)
        known.order_days += orders > 0
    else:
        held = counts[index]
        revenues[index] += revenue
        counts[index] = held + orders
        costeds[index] += costed
        costs[index] += cost
        known.order_days += (held + orders > 0) - (held > 0)
    known.revenue_minor += revenue
    known.orders += orders
    known.costed_revenue_minor += costed
    known.cost_minor += cost
    if day >= known.late_from_day:
        known.late_minor += revenue
    elif day >= known.early_from_day:
        known.early_minor += revenue
    if not (counts[index] or revenues[index] or costeds[index] or costs[index]):
        # What was undone leaves no trace.
        for column in (days, revenues, counts, costeds, costs):
            del column[index]
        known.squared_gaps -= _squares_gained(days, index, day)
    return True


def _insert(state: AccountState, index: int, day: int, revenue: Any, has_cost: bool) -> None:  # noqa: FBT001  # a fact
    # An account's integers are most of what it takes in memory, and all are read to pack it: accounts share the objects
    # of their days, and both columns that of an amount. As Any, for of an int the compiled core makes a new one.
    if (shared := _days.get(day)) is None:
        if len(_days) >= _DAYS_MAX:
            _days.clear()
        shared = _days[day] = day
    days: list[Any] = state.days
    revenues: list[Any] = state.revenue_minor
    costeds: list[Any] = state.costed_revenue_minor
    days.insert(index, shared)
    revenues.insert(index, revenue)
    costeds.insert(index, revenue if has_cost else 0)


def _squares_gained(days: list[int], index: int, day: int) -> int:
    """Give what a day adds to the squares of the gaps when it comes between its neighbours."""
    before = day - days[index - 1] if index > 0 else 0
    after = days[index] - day if index < len(days) else 0
    # (before + after)² was there already, but not at an end.
    return -2 * before * after if before and after else before * before + after * after


def drop_before(state: AccountState, horizon_start_day: int) -> None:
    """Forget the days older than the horizon, keeping what the rhythm and the block that it begins in need of them."""
    days = state.days
    count = bisect_left(days, horizon_start_day)
    if count == 0:
        return
    known = totals(state)
    for day, revenue, orders in zip(days[:count], state.revenue_minor, state.orders, strict=False):
        if orders > 0:
            known.order_days -= 1
            _note_old_order_day(state, day)
        if day // BLOCK_DAYS > state.old_block:
            state.old_block, state.old_block_revenue_minor, state.old_block_orders = day // BLOCK_DAYS, 0, 0
        state.old_block_revenue_minor += revenue
        state.old_block_orders += orders
        if day >= known.late_from_day:
            known.late_minor -= revenue
        elif day >= known.early_from_day:
            known.early_minor -= revenue
    known.revenue_minor -= sum(state.revenue_minor[:count])
    known.orders -= sum(state.orders[:count])
    known.costed_revenue_minor -= sum(state.costed_revenue_minor[:count])
    known.cost_minor -= sum(state.cost_minor[:count])
    gaps = list(map(sub, days[1 : count + 1], days))
    known.squared_gaps -= sum(map(mul, gaps, gaps))
    for column in (days, state.revenue_minor, state.orders, state.costed_revenue_minor, state.cost_minor):
        del column[:count]


def next_edge_day(days: list[int], as_of_day: int, window_days: int) -> int | None:
    """Give the first day after `as_of_day` on which a day leaves the window; None if the window is empty.

    >>> next_edge_day([10, 12], as_of_day=15, window_days=30)
    40
    """
    index = bisect_left(days, as_of_day - window_days + 1)
    return days[index] + window_days if index < len(days) else None


class Rhythm:
    """The order days of a lifetime: how many, the first and the last."""

    __slots__ = ("first_day", "last_day", "order_days")

    def __init__(self, order_days: int, first_day: int | None, last_day: int | None) -> None:
        self.order_days: Final = order_days
        self.first_day: Final = first_day
        self.last_day: Final = last_day


def rhythm(state: AccountState) -> Rhythm:
    """Count the days with an order: those of the horizon exactly, those before as they were noted."""
    days = order_days(state)
    if not days:
        return Rhythm(state.old_order_days, state.old_first_order_day, state.old_last_order_day)
    first_day = state.old_first_order_day
    return Rhythm(state.old_order_days + len(days), days[0] if first_day is None else first_day, days[-1])


def order_days(state: AccountState) -> list[int]:
    """Give the days of the horizon with an order, ascending. Do not change the list."""
    days = state.days
    if totals(state).order_days == len(days):
        return days
    return [day for day, orders in zip(days, state.orders, strict=True) if orders > 0]


def _note_old_order_day(state: AccountState, day: int) -> None:
    first, last = state.old_first_order_day, state.old_last_order_day
    if first is None or day < first:
        state.old_first_order_day = day
    if last is None or day > last:
        state.old_last_order_day = day
        state.old_order_days += 1
