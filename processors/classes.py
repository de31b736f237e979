"""Relative classes of one account: ABC, XYZ, RFM, matrix, types, lifecycle. Pure functions, against cut points.

Each class with an `…_edge_day` beside it changes by time alone on no earlier day than that. The others change only
when a day leaves a window, which `processors.windows` tells.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from models.outputs import Abc, AccountType, Lifecycle, RfmSegment, Xyz
from models.policy import Classes
from models.portfolio import CutPoints, Distribution, RfmCuts
from processors.windows import BLOCK_DAYS

BLOCKS_MAX: Final = 12
_BEST: Final = 5
_SHARE_ONE: Final = 10_000


class Rfm(NamedTuple):
    """Scores from 1 to 5, 5 being best, and the segment of their cell."""

    recency: int
    frequency: int
    monetary: int
    segment: RfmSegment


class _Cells(NamedTuple):
    recency: range
    frequency: range
    monetary: range
    segment: RfmSegment


_ANY: Final = range(1, 6)
_LOW: Final = range(1, 3)
_HIGH: Final = range(4, 6)
RFM_SEGMENTS: Final = (
    _Cells(range(5, 6), _HIGH, _HIGH, RfmSegment.CHAMPIONS),
    _Cells(range(3, 6), _HIGH, _ANY, RfmSegment.LOYAL),
    _Cells(_LOW, _HIGH, _HIGH, RfmSegment.CANNOT_LOSE),
    _Cells(_LOW, range(3, 6), _ANY, RfmSegment.AT_RISK),
    _Cells(_LOW, _ANY, _HIGH, RfmSegment.AT_RISK),
    _Cells(_LOW, _ANY, _ANY, RfmSegment.HIBERNATING),
    _Cells(range(3, 4), range(3, 4), _ANY, RfmSegment.NEEDS_ATTENTION),
    _Cells(range(3, 4), _LOW, _ANY, RfmSegment.ABOUT_TO_SLEEP),
    _Cells(range(5, 6), range(1, 2), _ANY, RfmSegment.NEW),
    _Cells(range(4, 5), range(1, 2), _ANY, RfmSegment.PROMISING),
    _Cells(_ANY, _ANY, _ANY, RfmSegment.POTENTIAL_LOYALIST),
)
"""The first row whose three ranges hold names the segment. The names are the usual ones of RFM analysis (Hughes 1994,
Strategic Database Marketing, for the scores); the grid of recency and frequency, with monetary value where it tells
those that must not be lost from the rest."""
_SEGMENT_OF: Final = {
    (r, f, m): next(
        row.segment for row in RFM_SEGMENTS if r in row.recency and f in row.frequency and m in row.monetary
    )
    for r in _ANY
    for f in _ANY
    for m in _ANY
}


def abc(distribution: Distribution | None, value: int | None) -> Abc | None:
    """Classify what an account brings; None where it, or the portfolio, is not known.

    A while strictly larger accounts hold under 80 % of the total, B under 95 %, else C: the account that crosses the
    bound is in the higher class. C for 0 or less. Source: the Lorenz curve, as Dickie 1951, "ABC inventory analysis
    shoots for dollars", cuts it.
    """
    if distribution is None or value is None:
        return None
    if distribution.a_from is None or distribution.b_from is None or value <= 0:
        return Abc.C
    if value >= distribution.a_from:
        return Abc.A
    return Abc.B if value >= distribution.b_from else Abc.C


class Older(NamedTuple):
    """What an account did in the block in which the horizon begins, before the horizon."""

    block: int
    amount: int


NOTHING_OLDER: Final = Older(0, 0)


def blocks(
    days: Sequence[int], amounts: Sequence[int], older: Older, first_order_day: int | None, horizon: range
) -> list[int]:
    """Sum the complete blocks of 30 days (day // 30), from the one with the first order on, at most the last twelve.

    Empty ones count. The block that the day of evaluation lies in is not complete.

    Args:
        days: of the horizon that are not empty, ascending.
        amounts: of each of them: revenue in minor units, or orders.
        older: what completes the block in which the horizon begins.
        first_order_day: None without an order.
        horizon: its days; the last one is that of the evaluation.

    >>> blocks([32, 95], [4, 8], Older(1, 2), first_order_day=29, horizon=range(31, 96))
    [6, 0]
    """
    if first_order_day is None:
        return []
    end = horizon[-1] // BLOCK_DAYS
    start = max(end - BLOCKS_MAX, first_order_day // BLOCK_DAYS, horizon[0] // BLOCK_DAYS)
    sums = [0] * max(0, end - start)
    if older.block == start and sums:
        sums[0] = older.amount
    for index in range(bisect_left(days, start * BLOCK_DAYS), bisect_left(days, end * BLOCK_DAYS)):
        sums[days[index] // BLOCK_DAYS - start] += amounts[index]
    return sums


def xyz(sums: Sequence[int], policy: Classes) -> Xyz | None:
    """Classify how evenly the amounts of blocks are spread, by their coefficient of variation (ddof 0).

    X below 0.5, Y below 1, else Z; Z where the mean is 0 or less; None for fewer than three blocks.

    >>> xyz([10, 10, 11], Classes()), xyz([0, 10, 20], Classes()), xyz([0, 0, 30], Classes()), xyz([5, 5], Classes())
    (<Xyz.X: 'X'>, <Xyz.Y: 'Y'>, <Xyz.Z: 'Z'>, None)
    """
    count, total = len(sums), sum(sums)
    if count < policy.xyz_blocks_min:
        return None
    if total <= 0:
        return Xyz.Z
    # CV² = (n Σx² − (Σx)²) / (Σx)², in integers: a bound that is met exactly must count as met.
    scatter = count * sum(one * one for one in sums) - total * total
    for bound, name in ((policy.xyz_x_below, Xyz.X), (policy.xyz_y_below, Xyz.Y)):
        numerator, denominator = bound.as_integer_ratio()
        if scatter * denominator**2 < (numerator * total) ** 2:
            return name
    return Xyz.Z


def xyz_edge_day(
    days: Sequence[int], sums: Sequence[int], first_order_day: int | None, as_of_day: int, policy: Classes
) -> int | None:
    """Give the next day on which a block is complete; None without an order, and once every block stays empty.

    Args:
        days: of the horizon that are not empty.
        sums: of the blocks as of the day.
        first_order_day: None without an order.
        as_of_day: the day of the evaluation.
        policy: says from how many blocks on there is a class.

    >>> xyz_edge_day([40], [3, 0, 1], 0, 59, Classes()), xyz_edge_day([], [0] * 12, 0, 599, Classes())
    (60, None)
    """
    if first_order_day is None:
        return None
    block = as_of_day // BLOCK_DAYS
    # A horizon of fewer blocks than are needed never has a class.
    enough = len(sums) >= policy.xyz_blocks_min or len(sums) < block - first_order_day // BLOCK_DAYS
    if not days and enough and not any(sums):
        return None
    return (block + 1) * BLOCK_DAYS


def matrix(by_revenue: Abc | None, evenness: Xyz | None) -> str | None:
    """Name the cell of the nine of ABC by XYZ: AX to CZ; None if one of the two is not known.

    >>> matrix(Abc.A, Xyz.Z), matrix(Abc.A, None)
    ('AZ', None)
    """
    return None if by_revenue is None or evenness is None else by_revenue + evenness


def rfm(cuts: RfmCuts | None, recency_days: int | None, orders: int, revenue_minor: int) -> Rfm | None:
    """Score recency, frequency and monetary value of the horizon, 1 to 5 each; None without an order in it.

    1 + the number of cut points strictly below the value; the days since the last order count the other way round.

    >>> cuts = RfmCuts((10, 20, 30, 40), (1, 1, 2, 3), (500, 900, 1500, 4000))
    >>> rfm(cuts, recency_days=10, orders=1, revenue_minor=4001)
    Rfm(recency=5, frequency=1, monetary=5, segment=<RfmSegment.NEW: 'new'>)
    """
    if cuts is None or recency_days is None or orders <= 0:
        return None
    cell = (
        _BEST - bisect_left(cuts.recency_days, recency_days),
        1 + bisect_left(cuts.orders, orders),
        1 + bisect_left(cuts.revenue_minor, revenue_minor),
    )
    return Rfm(*cell, _SEGMENT_OF[cell])


def rfm_edge_day(cuts: RfmCuts | None, last_order_day: int | None, as_of_day: int) -> int | None:
    """Give the next day on which the days since the last order pass a cut point; None if they passed all.

    >>> cuts = RfmCuts((10, 20.5, 30, 40), (1, 1, 2, 3), (500, 900, 1500, 4000))
    >>> rfm_edge_day(cuts, last_order_day=100, as_of_day=111), rfm_edge_day(cuts, last_order_day=100, as_of_day=141)
    (121, None)
    """
    if cuts is None or last_order_day is None:
        return None
    return _earliest((last_order_day + math.floor(cut) + 1 for cut in cuts.recency_days), as_of_day)


def is_breadwinner(distribution: Distribution | None, profit_minor: int | None, policy: Classes) -> bool:
    """Tell whether an account brings at least a tenth of the portfolio's positive profit; nobody does if there is none.

    >>> is_breadwinner(None, 100, Classes())
    False
    """
    if distribution is None or profit_minor is None or profit_minor <= 0:
        return False
    return profit_minor * _SHARE_ONE >= round(policy.breadwinner_share * _SHARE_ONE) * distribution.positive_total


class Standing(NamedTuple):
    """What the types of an account are read from."""

    revenue_minor: int
    """Of the horizon, as those below."""
    profit_minor: int | None
    orders: int
    support_events: int
    age_days: int | None
    """Since it became a customer, or since its first order; None if neither is known."""
    budget_minor: int | None
    brand_influence: float | None
    """The rating, 0 to 100; None without one that is still good."""


def account_types(cuts: CutPoints | None, standing: Standing, policy: Classes) -> tuple[AccountType, ...]:
    """Name the types that hold, in a fixed order. In the top fifth is who is above the cut point, not at it."""
    brand = standing.brand_influence
    holds = {
        AccountType.BREADWINNER: is_breadwinner(None if cuts is None else cuts.profit, standing.profit_minor, policy),
        AccountType.PROSPECTIVE: cuts is not None and _is_prospective(cuts, standing, policy),
        AccountType.IMAGE_MAKER: brand is not None and brand >= policy.image_maker_brand,
        AccountType.DEMANDING_EXPERT: cuts is not None and _is_demanding(cuts, standing),
    }
    return tuple(kind for kind, held in holds.items() if held)


def _is_prospective(cuts: CutPoints, one: Standing, policy: Classes) -> bool:
    if one.age_days is None or one.budget_minor is None or cuts.budget_top_fifth_minor is None:
        return False
    return one.age_days < policy.prospective_days and one.budget_minor > cuts.budget_top_fifth_minor


def _is_demanding(cuts: CutPoints, one: Standing) -> bool:
    if one.orders <= 0 or cuts.rfm is None or cuts.support_top_tenth_millionths is None:
        return False
    return (
        support_per_order_millionths(one.support_events, one.orders) > cuts.support_top_tenth_millionths
        and one.revenue_minor > cuts.rfm.revenue_minor[-1]
    )


def support_per_order_millionths(support_events: int, orders: int) -> int:
    """Support events for each order, in millionths, rounded down, as a census counts them.

    >>> support_per_order_millionths(2, 3)
    666666
    """
    return support_events * 1_000_000 // orders


def account_types_edge_day(since_day: int | None, as_of_day: int, policy: Classes) -> int | None:
    """Give the day on which a young account is one no longer; None if it is none.

    >>> account_types_edge_day(100, as_of_day=110, policy=Classes()), account_types_edge_day(100, 280, Classes())
    (280, None)
    """
    return None if since_day is None else _earliest((since_day + policy.prospective_days,), as_of_day)


class Life(NamedTuple):
    """What the lifecycle of an account is read from."""

    first_order_day: int | None
    last_order_day: int | None
    own_gap_days: float | None
    lost: bool
    """Whether it counts as lost."""
    recovered_day: int | None
    """The day of its last return."""
    growth: float | None
    """Growth of its revenue, 0 to 1, where 0.5 is as much as before; None without any."""


def lifecycle(life: Life, as_of_day: int, policy: Classes) -> Lifecycle:
    """Name the phase of an account's life: the first that holds.

    >>> lifecycle(Life(0, 100, 20.0, lost=False, recovered_day=None, growth=0.3), as_of_day=140, policy=Classes())
    <Lifecycle.DECLINING: 'declining'>
    >>> lifecycle(Life(0, 100, 20.0, lost=False, recovered_day=None, growth=0.3), as_of_day=141, policy=Classes())
    <Lifecycle.DORMANT: 'dormant'>
    """
    if life.first_order_day is None or life.last_order_day is None:
        return Lifecycle.PROSPECT
    if life.lost:
        return Lifecycle.LOST
    if life.recovered_day is not None and as_of_day - life.recovered_day < policy.recovered_days:
        return Lifecycle.RECOVERED
    if life.own_gap_days is not None and as_of_day - life.last_order_day > policy.dormant_gaps * life.own_gap_days:
        return Lifecycle.DORMANT
    if as_of_day - life.first_order_day < policy.new_days:
        return Lifecycle.NEW
    if life.growth is not None and life.growth < policy.declining_below:
        return Lifecycle.DECLINING
    if life.growth is not None and life.growth > policy.growing_above:
        return Lifecycle.GROWING
    return Lifecycle.STEADY


def lifecycle_edge_day(life: Life, as_of_day: int, policy: Classes) -> int | None:
    """Give the next day on which time alone may end a phase or begin one, but for losses and growth; None if none.

    >>> lifecycle_edge_day(Life(0, 100, 20.0, lost=False, recovered_day=80, growth=None), 110, Classes())
    141
    """
    if life.first_order_day is None or life.last_order_day is None:
        return None
    edges = [life.first_order_day + policy.new_days]
    if life.recovered_day is not None:
        edges.append(life.recovered_day + policy.recovered_days)
    if life.own_gap_days is not None:
        edges.append(life.last_order_day + math.floor(policy.dormant_gaps * life.own_gap_days) + 1)
    return _earliest(edges, as_of_day)


def _earliest(edges: Iterable[int], as_of_day: int) -> int | None:
    return min((edge for edge in edges if edge > as_of_day), default=None)
