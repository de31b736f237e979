"""The census of one partition: from the figures in the headers of its packed states to distributions.

Nothing is unpacked: the headers' figures stand one behind the other, and NumPy reads them as columns.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from models.codec import FIGURES_BYTES, NO_BUDGET, NO_DAY, NO_PROFIT, figures
from models.portfolio import PARTS_COUNT, Census
from processors.portfolio.points import (
    NOBODY,
    Points,
    bounded,
    from_figure,
    merged,
    points_of,
    to_figure,
)

ROW: Final = np.dtype(
    [
        ("revenue_minor", "<i8"),
        ("profit_minor", "<i8"),
        ("budget_minor", "<i8"),
        ("orders", "<i4"),
        ("order_days", "<i4"),
        ("first_order_day", "<i4"),
        ("last_order_day", "<i4"),
        ("support_events", "<i4"),
        ("parts", "<i4"),
    ]
)
"""One account, as `models.codec` packs it."""
assert ROW.itemsize == FIGURES_BYTES
_MILLION: Final = 1_000_000


class Counted(NamedTuple):
    """A census before it is published: of one partition, or of several together."""

    as_of_day: int
    accounts: int
    gap_days: int
    gaps: int
    revenue_minor: Points
    profit_minor: Points
    last_order_day: Points
    orders: Points
    support_per_order_millionths: Points
    budget_minor: Points
    part_accounts: tuple[int, ...]


def rows_of(packed_states: Iterable[bytes]) -> bytes:
    """Put the figures of packed states behind one another."""
    return b"".join(map(figures, packed_states))


def take(rows: bytes, as_of_day: int) -> Counted:
    """Count the accounts whose figures are given, one behind the other; exact.

    Args:
        rows: `FIGURES_BYTES` for each account.
        as_of_day: up to which day time has come for them.
    """
    table = np.frombuffer(rows, ROW)
    ordered = table["order_days"] > 0
    gap_days = np.where(ordered, table["last_order_day"].astype(np.int64) - table["first_order_day"], 0)
    active = table[table["orders"] > 0]
    profits = active["profit_minor"]
    budgets = table["budget_minor"]
    last_days = active["last_order_day"]
    return Counted(
        as_of_day=as_of_day,
        accounts=len(table),
        gap_days=int(gap_days.sum()),
        gaps=int(np.maximum(table["order_days"].astype(np.int64) - 1, 0).sum()),
        revenue_minor=points_of(active["revenue_minor"]),
        profit_minor=points_of(profits[profits != NO_PROFIT]),
        last_order_day=points_of(last_days[last_days != NO_DAY].astype(np.int64)),
        orders=points_of(active["orders"].astype(np.int64)),
        support_per_order_millionths=points_of(
            active["support_events"].astype(np.int64) * _MILLION // active["orders"]
        ),
        budget_minor=points_of(budgets[budgets != NO_BUDGET]),
        part_accounts=tuple(int((active["parts"] >> place & 1).sum()) for place in range(PARTS_COUNT)),
    )


def merge(censuses: list[Counted]) -> Counted:
    """Add up the censuses of several partitions, as of the latest of their days."""
    return Counted(
        as_of_day=max((one.as_of_day for one in censuses), default=0),
        accounts=sum(one.accounts for one in censuses),
        gap_days=sum(one.gap_days for one in censuses),
        gaps=sum(one.gaps for one in censuses),
        revenue_minor=merged(one.revenue_minor for one in censuses),
        profit_minor=merged(one.profit_minor for one in censuses),
        last_order_day=merged(one.last_order_day for one in censuses),
        orders=merged(one.orders for one in censuses),
        support_per_order_millionths=merged(one.support_per_order_millionths for one in censuses),
        budget_minor=merged(one.budget_minor for one in censuses),
        part_accounts=tuple(sum(one.part_accounts[place] for one in censuses) for place in range(PARTS_COUNT)),
    )


def publishable(census: Counted) -> Census:
    """Give a census the form in which it is published: bounded, so compressed where there are too many values."""
    return Census(
        as_of_day=census.as_of_day,
        accounts=census.accounts,
        gap_days=census.gap_days,
        gaps=census.gaps,
        revenue_minor=to_figure(bounded(census.revenue_minor)),
        profit_minor=to_figure(bounded(census.profit_minor)),
        # Days of one horizon: few, and a day must not be rounded.
        last_order_day=to_figure(census.last_order_day),
        orders=to_figure(bounded(census.orders)),
        support_per_order_millionths=to_figure(bounded(census.support_per_order_millionths)),
        budget_minor=to_figure(bounded(census.budget_minor)),
        part_accounts=census.part_accounts,
    )


def published(census: Census) -> Counted:
    """Take a census as it was published."""
    return Counted(
        as_of_day=census.as_of_day,
        accounts=census.accounts,
        gap_days=census.gap_days,
        gaps=census.gaps,
        revenue_minor=from_figure(census.revenue_minor),
        profit_minor=from_figure(census.profit_minor),
        last_order_day=from_figure(census.last_order_day),
        orders=from_figure(census.orders),
        support_per_order_millionths=from_figure(census.support_per_order_millionths),
        budget_minor=from_figure(census.budget_minor),
        part_accounts=census.part_accounts,
    )


EMPTY: Final = Counted(0, 0, 0, 0, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, (0,) * PARTS_COUNT)
