"""The score: what is known of an account, part by part, weighted into components and into one figure.

Parts are 0 to 100, 100 is good. Scores and points are integers in hundredths of a point, so that points sum to the
score and their differences to its change, exactly. Formulas and worked examples: docs/semantics.md.
"""

import math
from collections.abc import Sequence
from operator import mul, sub
from typing import Final

from models.portfolio import PARTS_COUNT
from models.state import AccountState, ComponentPoints, ProfileState, SurveyAnswer
from processors import support
from processors.context import Card, Context, Plan, Ratio
from processors.windows import Rhythm, halves, order_days, totals

FULL_SCORE: Final = 10_000
"""The best score, in hundredths."""
FULL_PART: Final = 100.0
PARTS: Final = (
    "revenue",
    "profit",
    "market_share",
    "brand_influence",
    "cooperation_potential",
    "growth",
    "headroom",
    "white_space",
    "industry_growth",
    "tenure",
    "regularity",
    "depth",
    "satisfaction",
    "value_fit",
    "support",
)
"""All parts, in the order of their components. The order is part of the state's format."""
assert len(PARTS) == PARTS_COUNT
COMPONENTS: Final = (
    ("revenue", 0, 1),
    ("profit", 1, 2),
    ("strategic", 2, 5),
    ("potential", 5, 9),
    ("relationship", 9, 15),
)
"""Name, and its parts' places [from, to)."""
BRAND_INFLUENCE: Final = PARTS.index("brand_influence")
GROWTH: Final = PARTS.index("growth")
HEADROOM: Final = PARTS.index("headroom")
WHITE_SPACE: Final = PARTS.index("white_space")
SATISFACTION: Final = PARTS.index("satisfaction")
_DAYS_A_YEAR: Final = 365.25
_WEEK: Final = 7
# The logistic of ln x is x / (1 + x). With a quarter of the year on both sides, x lies between 1/5 and 5.
_LEAST_GROWTH: Final = 1 / 6
_GROWTH_SPAN: Final = 4 / 6


class Year:
    """Sums over the longest window, in minor units."""

    __slots__ = ("cost_minor", "costed_revenue_minor", "orders", "revenue_minor", "service_cost_minor")

    def __init__(
        self, revenue_minor: int, orders: int, costed_revenue_minor: int, cost_minor: int, service_cost_minor: int
    ) -> None:
        self.revenue_minor: Final = revenue_minor
        self.orders: Final = orders
        self.costed_revenue_minor: Final = costed_revenue_minor
        self.cost_minor: Final = cost_minor
        self.service_cost_minor: Final = service_cost_minor


class Graded:
    """A score and what it was made of.

    Args:
        score: hundredths; None if no component is present.
        components: score of each component in hundredths, in the order of `COMPONENTS`; None if it is absent.
        plan: what was present, and how it was weighed.
    """

    __slots__ = ("components", "plan", "score")

    def __init__(self, score: int | None, components: tuple[int | None, ...], plan: Plan) -> None:
        self.score: Final = score
        self.components: Final = components
        self.plan: Final = plan

    @property
    def confidence(self) -> float:
        """Share of what could be known that is, by weight, 0 to 1, four decimals."""
        return self.plan.confidence


def profit_coverage(revenue_minor: int, costed_revenue_minor: int) -> float | None:
    """Share of a revenue with a known cost, 0 to 1, four decimals; None without revenue."""
    if revenue_minor <= 0:
        return None
    return round(min(1.0, max(0.0, costed_revenue_minor / revenue_minor)), 4)


def profit_to_rank(year: Year, *, knew_costs: bool, coverage_min: Ratio) -> int | None:
    """Give the profit that is ranked: the known margin times the whole revenue, less what support cost; minor units.

    None when too little of the revenue has a known cost. Silence for the whole window is a profit of nothing, not an
    unknown one, where costs were known before.

    >>> profit_to_rank(Year(1000, 2, 800, 600, 10), knew_costs=True, coverage_min=Ratio(1, 2))
    240
    """
    revenue, costed, cost = year.revenue_minor, year.costed_revenue_minor, year.cost_minor
    if costed == 0 and cost == 0:
        return -year.service_cost_minor if knew_costs and revenue == 0 else None
    if revenue <= 0 or costed <= 0:
        return costed - cost - year.service_cost_minor
    if costed * coverage_min.of < revenue * coverage_min.parts:
        return None
    margin_times_revenue = (2 * (costed - cost) * revenue + costed) // (2 * costed)
    return margin_times_revenue - year.service_cost_minor


def slow_day(base_day: int, as_of_day: int, rest_day: int | None) -> int:
    """Give the day as of which what changes with every day is measured: whole weeks since a base, up to a day of rest.

    So the score changes on one known day of the week, and not at all for an account that is long silent.

    >>> slow_day(100, 120, None), slow_day(100, 120, 110)
    (114, 107)
    """
    day = as_of_day if rest_day is None or as_of_day < rest_day else rest_day
    return base_day + (day - base_day) // _WEEK * _WEEK


def base_day_of(state: AccountState, rhythm: Rhythm) -> int:
    """Give the day on which the relationship began: `customer_since`, else the first order; else day 0."""
    profile = state.profile
    if profile is not None and profile.customer_since_day is not None:
        return profile.customer_since_day
    return rhythm.first_day or 0


def parts_of(  # noqa: PLR0913, PLR0917  # what an evaluation knows already
    state: AccountState,
    rhythm: Rhythm,
    year: Year,
    ranked_profit_minor: int | None,
    as_of_day: int,
    slow: int,
    context: Context,
) -> list[float | None]:
    """Measure each of `PARTS` as of a day; None where it is absent.

    Args:
        state: the account.
        rhythm: its order days.
        year: its sums over the longest window.
        ranked_profit_minor: see `profit_to_rank`.
        as_of_day: the day.
        slow: see `slow_day`.
        context: policy and cut points.
    """
    parts: list[float | None] = [None] * len(PARTS)
    has_ordered = rhythm.last_day is not None
    if has_ordered:
        if context.revenue_ranking is not None:
            parts[0] = context.revenue_ranking.contribution_hundredths(year.revenue_minor) / 100
        if context.profit_ranking is not None and ranked_profit_minor is not None:
            parts[1] = context.profit_ranking.contribution_hundredths(ranked_profit_minor) / 100
    if year.revenue_minor > 0:
        parts[5] = _growth(state, year.revenue_minor, as_of_day, context.growth_days)
    lines = len(state.product_lines)
    if lines:
        share = min(lines / context.product_lines_target, 1.0)
        parts[7] = (1 - share) * FULL_PART
        parts[11] = share * FULL_PART
    if has_ordered:
        parts[9] = _tenure(base_day_of(state, rhythm), slow, context.tenure_days)
        parts[10] = _regularity(state, context.regularity_days_min)
    if state.surveys:
        parts[12] = satisfaction(state.surveys, slow, context.satisfaction_half_life_days)
    if context.support_feed or state.support_days or state.open_tickets:
        parts[14] = _support(state, as_of_day, context)
    if state.profile is not None:
        _from_profile(parts, state, year, as_of_day, context)
    return parts


def combine(parts: Sequence[float | None], card: Card) -> Graded:
    """Weigh the parts: a component is the mean of its present parts, and weighs as much as of its parts is known.

    So a component of which a quarter is known has a quarter of its weight, and the score rests on what is known.

    >>> card = Card(None, (30, 25, 15, 15, 15), missing_is_zero=False, shares=None)
    >>> graded = combine([50.0, None, None, None, None, 80.0, *[None] * 9], card)
    >>> graded.score, graded.confidence, graded.components
    (5333, 0.3375, (5000, None, None, 8000, None))
    """
    plan = card.plan(mask_of(parts))
    components: list[int | None] = [None] * len(COMPONENTS)
    total = 0
    for index, places, weight in plan.present:
        held = 0.0
        for place in places:
            part = parts[place]
            assert part is not None
            held += part
        score = round(held * 100 / len(places))
        components[index] = score
        total += weight * score
    weight_total = plan.weight_total
    score_all = None if weight_total == 0 or not plan.present else (2 * total + weight_total) // (2 * weight_total)
    return Graded(score_all, tuple(components), plan)


def mask_of(parts: Sequence[float | None]) -> int:
    """Tell which parts are present, bit i for the i-th.

    >>> mask_of([1.0, None, 0.0])
    5
    """
    mask = 0
    bit = 1
    for part in parts:
        if part is not None:
            mask |= bit
        bit += bit
    return mask


def points_of(graded: Graded, card: Card) -> tuple[ComponentPoints, ...]:
    """Say what each component adds to the score, by largest remainder, so that they sum to it (Hamilton's method).

    >>> card = Card(None, (1, 2, 1, 0, 0), missing_is_zero=False, shares=None)
    >>> graded = combine([50.0, 25.0, *[None] * 13], card)
    >>> graded.score, [one.points for one in points_of(graded, card)]
    (3333, [1667, 1666, 0, 0, 0])
    """
    total = graded.plan.weight_total
    raw = [0] * len(COMPONENTS)
    for index, _, weight in graded.plan.present:
        raw[index] = weight * (graded.components[index] or 0)
    points = [0] * len(raw)
    if graded.score is not None:
        points = [value // total for value in raw]
        by_remainder = sorted(range(len(raw)), key=lambda index: -(raw[index] % total))
        for index in by_remainder[: graded.score - sum(points)]:
            points[index] += 1
    return tuple(
        ComponentPoints(name, score, weight, given)
        for (name, _, _), score, weight, given in zip(COMPONENTS, graded.components, card.weights, points, strict=True)
    )


def satisfaction(surveys: Sequence[SurveyAnswer], as_of_day: int, half_life_days: int) -> float:
    """Mean of survey answers, each taken to 0-100 and weighing half as much for each half-life of its age.

    CSAT 1-5 becomes 0-100 in steps of 25, NPS 0-10 in steps of 10.

    >>> satisfaction([SurveyAnswer(0, "csat", 5), SurveyAnswer(180, "nps", 4)], 180, 180)
    60.0
    """
    weights = held = 0.0
    for one in surveys:
        weight = 0.5 ** (max(as_of_day - one.day, 0) / half_life_days)
        weights += weight
        held += weight * support.survey_points(one)
    return held / weights


def rating_of(profile: ProfileState | None, name: str, as_of_day: int, context: Context) -> float | None:
    """Give a rating, 0 to 100; None if there is none or it is out of date."""
    rating = None if profile is None else profile.ratings.get(name)
    return None if rating is None or as_of_day >= rating.rated_day + context.rating_days else rating.value


def next_edge_day(state: AccountState, as_of_day: int, context: Context) -> int | None:
    """Give the first day after `as_of_day` on which a rating or a support event leaves the score.

    Order days leave it with their windows, see `Context.edge_windows`; what changes weekly, see `slow_day`.
    """
    edges: list[int] = []
    if state.support_days:
        edge = support.next_edge_day(state, as_of_day, context.support_days)
        if edge is not None:
            edges.append(edge)
    if state.profile is not None:
        edges.extend(
            rating.rated_day + context.rating_days
            for rating in state.profile.ratings.values()
            if rating.rated_day + context.rating_days > as_of_day
        )
    return min(edges, default=None)


def _growth(state: AccountState, year_revenue_minor: int, as_of_day: int, growth_days: int) -> float:
    before, lately = halves(state, as_of_day, growth_days)
    margin = year_revenue_minor / 4
    late = max(lately, 0) + margin
    early = max(before, 0) + margin
    share = (late / (late + early) - _LEAST_GROWTH) / _GROWTH_SPAN
    return min(max(share, 0.0), 1.0) * FULL_PART


def _tenure(base_day: int, slow: int, tenure_days: float) -> float:
    return min(max(slow - base_day, 0) / tenure_days, 1.0) * FULL_PART


def _regularity(state: AccountState, days_min: int) -> float | None:
    known = totals(state)
    if known.order_days < days_min:
        return None
    days = order_days(state)
    count = len(days) - 1
    total = days[-1] - days[0]
    if count + 1 == len(state.days):
        squares = known.squared_gaps
    else:
        gaps = list(map(sub, days[1:], days))
        squares = sum(map(mul, gaps, gaps))
    # The coefficient of variation by integers: sqrt(n Σg² − (Σg)²) / Σg.
    spread = count * squares - total * total
    return max(0.0, 1.0 - math.sqrt(spread) / total) * FULL_PART


def _support(state: AccountState, as_of_day: int, context: Context) -> float:
    policy = context.policy.support
    counts = support.counts(state, as_of_day, policy.days)
    complaints = sum(count for kind, count in counts.items() if kind in support.COMPLAINT_KINDS)
    penalties = (
        support.severe_open(state) * policy.open_severe_penalty
        + counts.get(support.SupportKind.BREACHED, 0) * policy.breach_penalty
        + counts.get(support.SupportKind.REOPENED, 0) * policy.reopening_penalty
        + complaints * policy.complaint_penalty
    )
    return max(0.0, FULL_PART - penalties)


def _from_profile(parts: list[float | None], state: AccountState, year: Year, as_of_day: int, context: Context) -> None:
    profile = state.profile
    assert profile is not None
    if profile.budget_minor:
        parts[6] = min(max(1 - year.revenue_minor / profile.budget_minor, 0.0), 1.0) * FULL_PART
    for name in profile.ratings:
        place = _RATED.get(name)
        if place is not None:
            parts[place] = rating_of(profile, name, as_of_day, context)


_RATED: Final = {
    name: PARTS.index(name)
    for name in ("market_share", "brand_influence", "cooperation_potential", "industry_growth", "value_fit")
}
