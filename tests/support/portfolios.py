"""Portfolios against which a test's accounts are scored: from the figures of its peers, or as a known curve."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from models.policy import Classes
from models.portfolio import PARTS_COUNT, CutPoints, Distribution
from processors.portfolio.cutting import distribution
from processors.portfolio.points import points_of

EVERY_PART: Final = (1.0,) * PARTS_COUNT
"""Everybody knows everything: a part that is missing counts whole."""
_CURVE_STEPS: Final = 200
_ACCOUNTS: Final = 200


def cut_points(
    version: int = 1,
    *,
    revenue: Distribution | None = None,
    profit: Distribution | None = None,
    gap_days: float | None = None,
    part_shares: Sequence[float] = EVERY_PART,
    **others: Any,
) -> CutPoints:
    """Give cut points of which a test names what it needs."""
    fields = {
        "as_of_day": 0,
        "accounts": 1,
        "active_accounts": 1,
        "relative_error": 0.0,
        "rfm": None,
        "budget_top_fifth_minor": None,
        "support_top_tenth_millionths": None,
        "concentration": None,
        **others,
    }
    return CutPoints(
        version=version,
        revenue=revenue,
        profit=profit,
        mean_gap_days=gap_days,
        part_shares=tuple(part_shares),
        **fields,
    )


def curve(minor_digits: int = 2) -> Distribution:
    """Give a distribution against which 10 (major units) scores 25, 100 scores 50, 1000 scores 75, 10000 scores 100.

    That is 25 × the decimal logarithm: up to 100 by rank alone, above it half by rank, which is full, and half by size.
    """
    major = 10**minor_digits
    values = tuple(round(major * 100 ** (step / _CURVE_STEPS)) for step in range(_CURVE_STEPS + 1))
    return Distribution(
        accounts=_ACCOUNTS,
        values=values,
        below=tuple(range(_CURVE_STEPS + 1)),
        at=(0,) * len(values),
        q50=100.0 * major,
        q99=10_000.0 * major,
        positive_total=values[-1] * _ACCOUNTS,
        positive_accounts=_ACCOUNTS,
        a_from=values[100],
        b_from=values[50],
        class_accounts=(100, 50, 50),
        rank_error=0.0,
    )


def peers(values: Sequence[int]) -> Distribution | None:
    """Give the distribution of peers whose figures are known, in minor units; None without any."""
    return distribution(points_of(np.array(values, np.int64)), Classes())


class Portfolio(NamedTuple):
    """A portfolio as it is: the figures of every active account, in minor units."""

    revenue: tuple[int, ...]
    profit: tuple[int, ...]
    gap_days: float | None
    part_shares: tuple[float, ...]

    def cut_points(self, version: int) -> CutPoints:
        """Draw cut points from it."""
        return cut_points(
            version,
            revenue=peers(self.revenue),
            profit=peers(self.profit),
            gap_days=self.gap_days,
            part_shares=self.part_shares,
        )
