"""Where one value stands among those of the portfolio. On the path of every evaluation: plain lookups."""

import math
from bisect import bisect_right
from typing import Final

from models.portfolio import Distribution

_HALF_HUNDREDTHS: Final = 5_000


def at_or_below(distribution: Distribution, value: int) -> tuple[float, int]:
    """Count the accounts below a value, and those at it.

    >>> from models.portfolio import Distribution
    >>> three = Distribution(
    ...     accounts=4, values=(10, 20, 40), below=(0, 1, 3), at=(1, 2, 1), q50=20, q99=39.4, positive_total=90,
    ...     positive_accounts=4, a_from=20, b_from=10, class_accounts=(3, 1, 0), rank_error=0,
    ... )
    >>> at_or_below(three, 20), at_or_below(three, 21), at_or_below(three, 9)
    ((1, 2), (3, 0), (0, 0))
    """
    values = distribution.values
    index = bisect_right(values, value) - 1
    if index < 0:
        return 0, 0
    below, at = distribution.below[index], distribution.at[index]
    low = values[index]
    if value == low:
        return below, at
    upto = below + at
    if index + 1 == len(values):
        return upto, 0
    between = distribution.below[index + 1] - upto
    if not between:
        return upto, 0
    return upto + between * (value - low) / (values[index + 1] - low), 0


class Ranking:
    """A distribution prepared for `contribution_hundredths`, which every evaluation asks."""

    __slots__ = ("_at", "_below", "_distribution", "_per_account", "_per_log", "_q50", "_q99", "_values")

    def __init__(self, distribution: Distribution) -> None:
        self._distribution = distribution
        self._values = distribution.values
        self._below = distribution.below
        self._at = distribution.at
        self._per_account = _HALF_HUNDREDTHS / distribution.accounts
        self._q50 = distribution.q50
        self._q99 = distribution.q99
        spread = math.log(self._q99 / self._q50) if 0 < self._q50 < self._q99 else 0.0
        self._per_log = _HALF_HUNDREDTHS / spread if spread > 0 else 0.0

    def contribution_hundredths(self, value: int) -> int:
        """Score what an account brings among the active ones, in hundredths, 0 to 10000: half by rank, half by size.

        50 × mid-rank + 50 × clip(ln(r / q50) / ln(q99 / q50), 0, 1); nothing for a value of 0 or less. A rank alone
        would give an account that is eighty times larger three points more.
        """
        if value <= 0:
            return 0
        values = self._values
        index = bisect_right(values, value) - 1
        if index >= 0 and values[index] == value:
            points = (self._below[index] + self._at[index] / 2) * self._per_account
        else:
            below, at = at_or_below(self._distribution, value)
            points = (below + at / 2) * self._per_account
        if value >= self._q99 and value > self._q50:
            points += _HALF_HUNDREDTHS
        elif value > self._q50:
            points += math.log(value / self._q50) * self._per_log
        return round(points)


def rank(distribution: Distribution, value: int) -> int:
    """Rank a value among the active accounts: 1 plus how many have more."""
    below, at = at_or_below(distribution, value)
    return 1 + max(0, distribution.accounts - round(below + at))


def share(distribution: Distribution, value: int) -> float | None:
    """Share of the total of the values above 0; None if there is none."""
    if distribution.positive_total <= 0:
        return None
    return max(0, value) / distribution.positive_total
