"""Grading an account again from what was last published of it, for what another policy would make of it.

Formulas are those of an evaluation. What a snapshot does not hold is missing here: since when a score is below a bound
(every dwell time counts as passed), and a tier that was earned behind a veto.
"""

from collections.abc import Sequence
from typing import NamedTuple

from models.outputs import Tier
from processors.context import Context, Described
from processors.scorecard import Graded, Year, combine, profit_to_rank
from processors.tiers import Standing, grade
from processors.vetoes import Facts, held_down


class Known(NamedTuple):
    """What was published of an account."""

    parts: Sequence[float | None]
    """In the order of `processors.scorecard.PARTS`, 0 to 100."""
    described: Described | None
    """Its profile; None without one."""
    tier: Tier
    overridden: bool
    """Whether the tier was set by hand."""
    vetoed: bool
    """Whether a veto holds the tier down."""
    year: Year
    """Of the longest window."""
    knew_costs: bool
    """Whether any cost was ever known."""
    open_severe_tickets: int
    competitive_pressure: float | None


class Regraded(NamedTuple):
    """What a policy makes of it."""

    tier: Tier
    veto: str | None
    graded: Graded

    @property
    def score(self) -> int | None:
        """Hundredths of a point."""
        return self.graded.score

    @property
    def confidence(self) -> float:
        """Share of what could be known that is."""
        return self.graded.confidence


def regrade(known: Known, context: Context) -> Regraded:
    """Give the tier that an account comes to under a policy, as it is now and once its dwell times have passed.

    A tier set by hand stays. Within the band between two bounds an account keeps the tier that it has.
    """
    graded = combine(known.parts, context.card_of(known.described))
    if known.overridden:
        return Regraded(known.tier, None, graded)
    dwell_days = context.tiers.dwell_days
    held = None if known.vetoed else known.tier
    long_ago = (-dwell_days, -dwell_days, -dwell_days)
    earned = grade(context.tiers, Standing(held, long_ago), graded.score, graded.confidence, 0)
    assert earned.tier is not None
    year = known.year
    profit = profit_to_rank(year, knew_costs=known.knew_costs, coverage_min=context.profit_coverage_min)
    facts = Facts(
        graded, year.revenue_minor, profit, year.orders, known.open_severe_tickets, known.competitive_pressure
    )
    tier, veto = held_down(earned.tier, facts, context)
    return Regraded(tier, veto, graded)
