"""Many values as points: the distinct ones and how many accounts have each. Exact, or compressed into buckets.

Compressed as a DDSketch does it (Masson, Rim & Lee 2019, "DDSketch: a fast and fully-mergeable quantile sketch",
PVLDB 12(12)): bucket k holds the values in (γ^(k−1), γ^k], γ = (1 + α) / (1 − α), and stands for them all with its
middle, which is wrong by at most α of any of them. Points of several partitions merge by adding counts, in any order.
"""

import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.portfolio import KNOTS_MAX, Figure

Integers = NDArray[np.int64]
RELATIVE_ERROR: Final = 0.01
"""α: by how much a compressed value may be wrong, and by half a unit for its rounding."""
_GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA: Final = math.log(_GAMMA)
_INT64_SUM_MAX: Final = 2**62
_HUNDRED: Final = 100


class Points(NamedTuple):
    """Distinct values, ascending, and how many accounts have each."""

    values: Integers
    counts: Integers
    exact: bool = True

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return int(self.counts.sum())


NOBODY: Final = Points(np.empty(0, np.int64), np.empty(0, np.int64))


def points_of(values: Integers) -> Points:
    """Gather the values of single accounts, in any order."""
    distinct, counts = np.unique(values, return_counts=True)
    return Points(distinct, counts)


def merged(many: Iterable[Points]) -> Points:
    """Add up points; compressed as a whole if one of them is."""
    parts = [one for one in many if len(one.values)]
    if not parts:
        return NOBODY
    if len(parts) == 1:
        return parts[0]
    if not all(one.exact for one in parts):
        parts = [compressed(one) for one in parts]
    distinct, places = np.unique(np.concatenate([one.values for one in parts]), return_inverse=True)
    counts = np.zeros(len(distinct), np.int64)
    np.add.at(counts, places, np.concatenate([one.counts for one in parts]))
    return Points(distinct, counts, parts[0].exact)


def compressed(points: Points) -> Points:
    """Replace values by the middles of their buckets; does nothing to middles.

    >>> compressed(points_of(np.array([-7, 0, 3, 100, 101, 5000])))[:2]
    (array([  -7,    0,    3,  100, 4965]), array([1, 1, 1, 2, 1]))
    """
    if not points.exact:
        return points
    middles = _middle(points.values)
    distinct, places = np.unique(middles, return_inverse=True)
    counts = np.zeros(len(distinct), np.int64)
    np.add.at(counts, places, points.counts)
    return Points(distinct, counts, exact=False)


def bounded(points: Points) -> Points:
    """Compress points that are too many to be published one by one."""
    return points if len(points.values) <= KNOTS_MAX else compressed(points)


def to_figure(points: Points) -> Figure:
    """Give the form in which points are published."""
    return Figure(points.values.tolist(), points.counts.tolist(), points.exact)


def from_figure(figure: Figure) -> Points:
    """Give the points of a published figure."""
    return Points(np.array(figure.values, np.int64), np.array(figure.counts, np.int64), figure.exact)


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
    return Points(points.values[first:], points.counts[first:], points.exact)


def masses(points: Points) -> NDArray[Any]:
    """Multiply values and counts; as Python's integers where 64 bits may not hold the sum."""
    values, counts = points.values, points.counts
    large = len(values) and float(np.abs(values).max()) * float(counts.sum()) >= _INT64_SUM_MAX
    products: NDArray[Any] = values.astype(object) * counts if large else values * counts
    return products


def spread(points: Points) -> tuple[Integers, Integers, Integers]:
    """Give the knots between which accounts are spread evenly: values, how many are below, how many are at each.

    An exact value is a knot itself. A bucket is what lies between its two bounds, unless it holds one integer only.
    """
    upto = np.cumsum(points.counts)
    below = upto - points.counts
    if points.exact:
        return points.values, below, points.counts
    knots: list[int] = []
    rows: list[tuple[int, int]] = []
    for value, before, count in zip(points.values.tolist(), below.tolist(), points.counts.tolist(), strict=True):
        low, high = bucket(value)
        if high - low == 1:
            knots.append(high)
            rows.append((before, count))
            continue
        if not knots or knots[-1] != low:
            knots.append(low)
            rows.append((before, 0))
        knots.append(high)
        rows.append((before + count, 0))
    table = np.array(rows, np.int64).reshape(-1, 2)
    return np.array(knots, np.int64), table[:, 0], table[:, 1]


def bucket(middle: int) -> tuple[int, int]:
    """Give the integers (low, high] that a bucket's middle stands for.

    >>> bucket(4965), bucket(3), bucket(0)
    ((4916, 5015), (2, 3), (-1, 0))
    """
    if middle == 0:
        return -1, 0
    key = round(math.log(abs(middle) * (_GAMMA + 1) / 2) / _LOG_GAMMA)
    low, high = math.floor(_GAMMA ** (key - 1)), math.floor(_GAMMA**key)
    if high - low < 1 or high < abs(middle):
        low, high = abs(middle) - 1, abs(middle)
    return (low, high) if middle > 0 else (-high - 1, -low - 1)


def _middle(values: Integers) -> Integers:
    sizes = np.abs(values).astype(np.float64)
    with np.errstate(divide="ignore"):
        keys = np.ceil(np.log(sizes) / _LOG_GAMMA)
    middles = np.rint(2 * np.power(_GAMMA, keys) / (_GAMMA + 1))
    return np.asarray(np.where(values == 0, 0, np.sign(values) * middles)).astype(np.int64)
