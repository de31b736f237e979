"""Cut points: from the census of the whole portfolio to what single accounts are compared with."""

from typing import Final

import numpy as np

from models.policy import Classes
from models.portfolio import KNOTS_MAX, Concentration, CutPoints, Distribution, RfmCuts
from processors.portfolio.census import Counted, merge
from processors.portfolio.points import (
    RELATIVE_ERROR,
    Integers,
    Points,
    bucket,
    masses,
    positive,
    quantile,
    spread,
)

_SHARE_ONE: Final = 10_000
_FIFTH: Final = 5
_TOTAL_MAX: Final = 2**63 - 1
"""Largest total that a record can hold: that of a million accounts, each with nine trillion units of money."""


def cut_points(censuses: list[Counted], version: int, classes: Classes) -> CutPoints:
    """Draw cut points from the latest census of each partition.

    Exact if all of them are; else every value in them is wrong by at most `RELATIVE_ERROR`.

    >>> cut_points([], version=1, classes=Classes()).revenue is None
    True
    """
    whole = merge(censuses)
    figures = (
        whole.revenue_minor,
        whole.profit_minor,
        whole.orders,
        whole.support_per_order_millionths,
        whole.budget_minor,
    )
    support, budgets = whole.support_per_order_millionths, whole.budget_minor
    return CutPoints(
        version=version,
        as_of_day=whole.as_of_day,
        accounts=whole.accounts,
        active_accounts=whole.revenue_minor.accounts,
        relative_error=0.0 if all(one.exact for one in figures) else RELATIVE_ERROR,
        mean_gap_days=whole.gap_days / whole.gaps if whole.gaps else None,
        revenue=distribution(whole.revenue_minor, classes),
        profit=distribution(whole.profit_minor, classes),
        rfm=_rfm(whole),
        budget_top_fifth_minor=quantile(budgets, 80) if budgets.accounts else None,
        support_top_tenth_millionths=quantile(support, 90) if support.accounts else None,
        concentration=concentration(whole.revenue_minor),
        part_shares=tuple(
            round(accounts / max(1, whole.revenue_minor.accounts), 4) for accounts in whole.part_accounts
        ),
    )


def distribution(points: Points, classes: Classes) -> Distribution | None:
    """Describe one figure of the active accounts; None if there are none."""
    accounts = points.accounts
    if not accounts:
        return None
    gainers = positive(points)
    a_from, b_from = abc_bounds(gainers, classes)
    knots, below, at = _thinned(*spread(points))
    q50 = quantile(points, 50)
    if q50 <= 0:
        q50 = quantile(gainers, 50) if gainers.accounts else 0.0
    upto = below + at
    return Distribution(
        accounts=accounts,
        values=tuple(knots.tolist()),
        below=tuple(below.tolist()),
        at=tuple(at.tolist()),
        q50=q50,
        q99=quantile(points, 99),
        positive_total=min(int(masses(gainers).sum()), _TOTAL_MAX),
        positive_accounts=gainers.accounts,
        a_from=a_from,
        b_from=b_from,
        class_accounts=_class_accounts(points, a_from, b_from),
        rank_error=float((below[1:] - upto[:-1]).max(initial=0)) / accounts,
    )


def abc_bounds(gainers: Points, classes: Classes) -> tuple[int | None, int | None]:
    """Find the least value in class A, and the least in A or B, of values above 0.

    An account is in A while strictly larger ones hold under `abc_a` of the total, in B under `abc_b`: the one that
    crosses the bound is in the higher class, and equal accounts are in the same one.

    >>> from processors.portfolio.points import points_of
    >>> abc_bounds(points_of(np.array([50, 30, 15, 5])), Classes())
    (30, 15)
    """
    if not gainers.accounts:
        return None, None
    held = masses(gainers)
    total = int(held.sum())
    larger = total - np.cumsum(held)
    bounds = []
    for bound in (classes.abc_a, classes.abc_b):
        # A sum of integers is under a share of the total if it is under that share rounded up.
        limit = -(-total * round(bound * _SHARE_ONE) // _SHARE_ONE)
        index = np.argmax(larger < limit)
        value = int(gainers.values[index])
        bounds.append(bucket(value)[0] + 1 if gainers.buckets[index] else value)
    return bounds[0], bounds[1]


def concentration(points: Points) -> Concentration | None:
    """Say how unevenly the values above 0 are spread; None if there are none.

    The Gini coefficient is 2 Σ i xᵢ / (n Σ xᵢ) − (n + 1) / n over the values in ascending order.

    >>> from processors.portfolio.points import points_of
    >>> concentration(points_of(np.array([0, 1, 1, 1, 1, 6])))
    Concentration(top_share=0.6, top_fifth_share=0.6, gini=0.4)
    """
    gainers = positive(points)
    accounts = gainers.accounts
    if not accounts:
        return None
    held = masses(gainers)
    total = float(held.sum())
    upto = np.cumsum(gainers.counts)
    mean_ranks = upto - (gainers.counts - 1) / 2
    ranked = float((held.astype(np.float64) * mean_ranks).sum())
    return Concentration(
        top_share=float(gainers.values[-1]) / total,
        top_fifth_share=_top_sum(gainers, accounts // _FIFTH) / total,
        gini=max(0.0, round(2 * ranked / (accounts * total) - (accounts + 1) / accounts, 12)),
    )


def _top_sum(gainers: Points, accounts: int) -> float:
    counts, values = gainers.counts[::-1], gainers.values[::-1]
    taken = np.diff(np.minimum(np.cumsum(counts), accounts), prepend=0)
    return float((taken.astype(np.float64) * values).sum())


def _rfm(whole: Counted) -> RfmCuts | None:
    last_days = whole.last_order_day
    if not last_days.accounts:
        return None
    recency = Points(whole.as_of_day - last_days.values[::-1], last_days.counts[::-1], last_days.buckets)
    return RfmCuts(_fifths(recency), _fifths(whole.orders), _fifths(whole.revenue_minor))


def _fifths(points: Points) -> tuple[float, float, float, float]:
    return quantile(points, 20), quantile(points, 40), quantile(points, 60), quantile(points, 80)


def _class_accounts(points: Points, a_from: int | None, b_from: int | None) -> tuple[int, int, int]:
    if a_from is None or b_from is None:
        return 0, 0, points.accounts
    in_a = int(points.counts[points.values >= a_from].sum())
    in_a_or_b = int(points.counts[points.values >= b_from].sum())
    return in_a, in_a_or_b - in_a, points.accounts - in_a_or_b


def _thinned(values: Integers, below: Integers, at: Integers) -> tuple[Integers, Integers, Integers]:
    """Keep the largest values, whose ranks are read one by one, and of the others those at even ranks and the heavy."""
    if len(values) <= KNOTS_MAX:
        return values, below, at
    part = KNOTS_MAX // 4
    largest = len(values) - 2 * part
    step = max(1, int(below[largest]) // part)
    # A knot before every step of ranks, and one at each value that alone has as many accounts.
    is_kept = np.diff((below + at) // step, prepend=-1) > 0
    is_kept |= np.diff(below // step, append=below[-1] // step) > 0
    is_kept[largest:] = True
    return values[is_kept], below[is_kept], at[is_kept]
