"""Vetoes: conditions under which an account is graded no better than a tier, at once and as long as they hold."""

from typing import Final, NamedTuple, assert_never

from models.outputs import Tier
from models.policy import Measure
from processors.context import Context
from processors.scorecard import COMPONENTS, Graded
from processors.tiers import capped

_NAMES: Final = [name for name, _, _ in COMPONENTS]


class Facts(NamedTuple):
    """What vetoes may look at, of one account."""

    graded: Graded
    revenue_minor: int
    """Of the longest window, as are profit and orders."""
    ranked_profit_minor: int | None
    """See `processors.scorecard.profit_to_rank`."""
    orders: int
    open_severe_tickets: int
    competitive_pressure: float | None
    """A rating, 0 to 100; None if there is none or it is out of date."""


def held_down(tier: Tier, facts: Facts, context: Context) -> tuple[Tier, str | None]:
    """Hold a tier down by the policy's vetoes; the first one that takes it lowest is named."""
    name = None
    for veto in context.vetoes:
        value = _measured(veto.measure, facts, context.major)
        if value is not None and (value < veto.below or value >= veto.at_least):
            lower = capped(tier, veto.tier_max)
            if lower is not tier:
                tier, name = lower, veto.name
    return tier, name


def _measured(measure: Measure, facts: Facts, major: int) -> float | None:
    """Give the value of a measure, in the units of the policy; None if it is absent."""
    graded = facts.graded
    match measure:
        case "score":
            return None if graded.score is None else graded.score / 100
        case "confidence":
            return graded.confidence
        case "revenue":
            return facts.revenue_minor / major
        case "profit":
            return None if facts.ranked_profit_minor is None else facts.ranked_profit_minor / major
        case "orders":
            return float(facts.orders)
        case "open_severe_tickets":
            return float(facts.open_severe_tickets)
        case "competitive_pressure":
            return facts.competitive_pressure
        case "revenue_score" | "profit_score" | "strategic_score" | "potential_score" | "relationship_score":
            score = graded.components[_NAMES.index(measure.removesuffix("_score"))]
            return None if score is None else score / 100
    assert_never(measure)
