"""The score: weighted components, what each of them adds, and how far the score can be trusted.

Scores and points are integers in hundredths of a point, so that points sum to the score and their differences to its
change, exactly.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from models.policy import Scale
from models.state import ComponentPoints
from processors.context import Context
from processors.windows import WindowSums

FULL_SCORE = 10_000
"""The best score, in hundredths."""


class Measured(NamedTuple):
    """One component before weighting: its score in hundredths, or None if it is absent."""

    name: str
    score: int | None
    weight: int
    parts: dict[str, float | None]


class Graded(NamedTuple):
    """A score with what it was made of."""

    score: int | None
    """Hundredths; None if no component is present."""
    confidence: float
    """Share of the weight whose parts are present, 0 to 1, four decimals."""
    components: tuple[ComponentPoints, ...]
    parts: tuple[dict[str, float | None], ...]


def measure(context: Context, year: WindowSums, profit_minor: int | None, *, has_ordered: bool) -> list[Measured]:
    """Measure the components over the longest window.

    An account that ever ordered scores 0 where it has nothing; one that never did has no component. Profit is absent
    when its coverage is under the policy's minimum.
    """
    policy = context.policy.scorecard
    days = context.policy.window_days[-1]
    major = 10**context.reporting_digits
    revenue = year.revenue_minor / major if has_ordered else None
    orders = float(year.orders) if has_ordered else None
    profit = profit_minor / major if profit_minor is not None and has_ordered else None
    coverage = profit_coverage(year)
    if coverage is not None and coverage < policy.profit_coverage_min:
        profit = None
    return [
        Measured(
            "revenue", on_scale(revenue, policy.revenue_scale), policy.revenue_weight, {f"revenue_{days}d": revenue}
        ),
        Measured(
            "frequency", on_scale(orders, policy.frequency_scale), policy.frequency_weight, {f"orders_{days}d": orders}
        ),
        Measured("profit", on_scale(profit, policy.profit_scale), policy.profit_weight, {f"profit_{days}d": profit}),
    ]


def profit_coverage(window: WindowSums) -> float | None:
    """Share of a window's revenue with a known cost, 0 to 1, four decimals; None without revenue."""
    if window.revenue_minor <= 0:
        return None
    return round(min(1.0, max(0.0, window.costed_revenue_minor / window.revenue_minor)), 4)


def on_scale(value: float | None, scale: Scale) -> int | None:
    """Place a value on a logarithmic scale, in hundredths: 0 at `low` and below, 10000 at `high` and above.

    >>> on_scale(1000, Scale(low=100, high=10_000))
    5000
    """
    if value is None:
        return None
    if value <= scale.low:
        return 0
    share = math.log(value / scale.low) / math.log(scale.high / scale.low)
    return round(min(1.0, share) * FULL_SCORE)


def combine(measured: Sequence[Measured]) -> Graded:
    """Weigh the components: the weights of the present ones are scaled to 1.

    Points are handed out by largest remainder, so that they sum to the score (Hamilton's method).

    >>> graded = combine([
    ...     Measured("revenue", 5000, 1, {"a": 1.0}),
    ...     Measured("frequency", 2500, 2, {"b": 1.0}),
    ...     Measured("profit", None, 1, {"c": None}),
    ... ])
    >>> graded.score, [one.points for one in graded.components], graded.confidence
    (3333, [1667, 1666, 0], 0.75)
    """
    weight_total = sum(one.weight for one in measured if one.score is not None)
    components = [ComponentPoints(one.name, one.score, one.weight, 0) for one in measured]
    score = None
    if weight_total > 0:
        raw = [one.weight * (one.score or 0) for one in measured]
        score = (2 * sum(raw) + weight_total) // (2 * weight_total)
        points = [value // weight_total for value in raw]
        by_remainder = sorted(range(len(raw)), key=lambda index: -(raw[index] % weight_total))
        for index in by_remainder[: score - sum(points)]:
            points[index] += 1
        components = [
            ComponentPoints(one.name, one.score, one.weight, given) for one, given in zip(measured, points, strict=True)
        ]
    return Graded(score, _confidence(measured), tuple(components), tuple(one.parts for one in measured))


def _confidence(measured: Sequence[Measured]) -> float:
    total = sum(one.weight for one in measured)
    present = sum(
        one.weight * sum(part is not None for part in one.parts.values()) / len(one.parts)
        for one in measured
        if one.score is not None
    )
    return round(present / total, 4)
