"""Many values as points: the distinct ones and how many accounts have each. Where they are too many, in buckets.

The buckets are those of DDSketch (Masson, Rim & Lee 2019, "DDSketch: a fast and fully-mergeable quantile sketch", PVLDB
12(12)): bucket k holds the values in (γ^(k−1), γ^k], γ = (1 + α) / (1 − α), and stands for them all with its middle,
which is wrong by at most α of any of them. A value that many accounts share, as where prices are few, stays by itself.
Points of several partitions merge by adding counts, in any order.
"""

import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.portfolio import KNOTS_MAX, Figure

Integers = NDArray[np.int64]
RELATIVE_ERROR: Final = 0.01
"""α: by how much the middle of a bucket may be wrong, and by half a unit for its rounding."""
_GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA: Final = math.log(_GAMMA)
_SHARED_MIN: Final = 500
"""A value that at least one in as many accounts has is shared by many."""
_INT64_SUM_MAX: Final = 2**62
_HUNDRED: Final = 100
_ALONE: Final = 50
"""Buckets of smaller values hold one integer each."""


class Points(NamedTuple):
    """Values, ascending, how many accounts have each, and whether it is the middle of a bucket."""

    values: Integers
    counts: Integers
    buckets: NDArray[np.bool_]

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return int(self.counts.sum())

    @property
    def exact(self) -> bool:
        """Whether every value is one that accounts have."""
        return not self.buckets.any()


def points_of(values: Integers) -> Points:
    """Gather the values of single accounts, in any order."""
    distinct, counts = np.unique(values, return_counts=True)
    return Points(distinct, counts, np.zeros(len(distinct), np.bool_))


def merged(many: Iterable[Points]) -> Points:
    """Add up points."""
    parts = [one for one in many if len(one.values)]
    if not parts:
        return NOBODY
    if len(parts) == 1:
        return parts[0]
    return _gathered(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def bounded(points: Points) -> Points:
    """Replace values by the middles of their buckets, where they are too many to be published one by one.

    >>> many = points_of(np.array([3] * 5 + [5000] * 10 + list(range(100, 10_100))))
    >>> [int(one) for one in bounded(many).values[:4]], len(bounded(many).values)
    ([3, 100, 103, 105], 232)
    """
    if len(points.values) <= KNOTS_MAX:
        return points
    middles = _middle(points.values)
    is_own = points.buckets | (points.counts * _SHARED_MIN >= points.accounts)
    # The smallest buckets hold one integer, and are no buckets.
    buckets = points.buckets | (~is_own & (np.abs(points.values) >= _ALONE))
    return _gathered(np.where(is_own, points.values, middles), points.counts, buckets)


def to_figure(points: Points) -> Figure:
    """Give the form in which points are published."""
    return Figure(points.values.tolist(), points.counts.tolist(), np.flatnonzero(points.buckets).tolist())


def from_figure(figure: Figure) -> Points:
    """Give the points of a published figure."""
    buckets = np.zeros(len(figure.values), np.bool_)
    buckets[figure.buckets] = True
    return Points(np.array(figure.values, np.int64), np.array(figure.counts, np.int64), buckets)


def quantile(points: Points, hundredths: int) -> float:
    """Type-7 quantile (Hyndman & Fan 1996) at some hundredths of at least one account: linear between two ranks.

    In integers as far as that goes: a rounded position would put a value on the wrong side of its own cut point.

    >>> quantile(points_of(np.array([1, 2, 2, 10])), 50), quantile(points_of(np.array([1, 2, 2, 10])), 80)
    (2.0, 5.2)
    """
    upto = np.cumsum(points.counts)
    place, rest = divmod((int(upto[-1]) - 1) * hundredths, _HUNDRED)
    low = int(points.values[np.searchsorted(upto, place, side="right")])
    if not rest:
        return float(low)
    high = int(points.values[np.searchsorted(upto, place + 1, side="right")])
    return low + (high - low) * rest / _HUNDRED


def positive(points: Points) -> Points:
    """Keep the values above 0."""
    first = np.searchsorted(points.values, 1)
    return Points(points.values[first:], points.counts[first:], points.buckets[first:])


def masses(points: Points) -> NDArray[Any]:
    """Multiply values and counts; as Python's integers where 64 bits may not hold the sum."""
    values, counts = points.values, points.counts
    large = len(values) and float(np.abs(values).max()) * float(counts.sum()) >= _INT64_SUM_MAX
    products: NDArray[Any] = values.astype(object) * counts if large else values * counts
    return products


def spread(points: Points) -> tuple[Integers, Integers, Integers]:
    """Give the knots between which accounts are spread evenly: values, how many are below, how many are at each.

    A value that accounts have is a knot itself. A bucket is what lies between its two bounds.
    """
    upto = np.cumsum(points.counts)
    if points.exact:
        return points.values, upto - points.counts, points.counts
    own_values, own_counts = points.values[~points.buckets], points.counts[~points.buckets]
    held = points.counts[points.buckets]
    bounds = np.array([bucket(one) for one in points.values[points.buckets].tolist()], np.int64)
    held_upto = np.cumsum(held)
    edges, filled = bounds.ravel(), np.stack([held_upto - held, held_upto], axis=1).ravel()
    knots = np.unique(np.concatenate([own_values, edges]))
    at = np.zeros(len(knots), np.int64)
    at[np.searchsorted(knots, own_values)] = own_counts
    below = np.rint(np.interp(knots, edges, filled)).astype(np.int64) + np.cumsum(at) - at
    return knots, below, at


def bucket(middle: int) -> tuple[int, int]:
    """Give the integers (low, high] that a bucket's middle stands for.

    >>> bucket(4965), bucket(-4965)
    ((4916, 5015), (-5016, -4917))
    """
    key = round(math.log(abs(middle) * (_GAMMA + 1) / 2) / _LOG_GAMMA)
    low, high = math.floor(_GAMMA ** (key - 1)), math.floor(_GAMMA**key)
    return (low, high) if middle > 0 else (-high - 1, -low - 1)


def _gathered(values: Integers, counts: Integers, buckets: NDArray[np.bool_]) -> Points:
    # Of equal values the one of accounts comes before the bucket's.
    keys, places = np.unique(2 * values + buckets, return_inverse=True)
    sums = np.zeros(len(keys), np.int64)
    np.add.at(sums, places, counts)
    return Points(keys >> 1, sums, (keys & 1).astype(np.bool_))


def _middle(values: Integers) -> Integers:
    sizes = np.abs(values).astype(np.float64)
    with np.errstate(divide="ignore"):
        keys = np.ceil(np.log(sizes) / _LOG_GAMMA)
    middles = np.rint(2 * np.power(_GAMMA, keys) / (_GAMMA + 1))
    return np.asarray(np.where(values == 0, 0, np.sign(values) * middles)).astype(np.int64)


NOBODY: Final = points_of(np.empty(0, np.int64))
