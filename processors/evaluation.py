"""One evaluation: score, tier, churn level and due day of an account as of a day, from its state alone.

This is what every event pays for. What only a reader wants to know beside it is in `processors.publish`.
"""

from bisect import bisect_left
from typing import Final

from models.fields import SUM_MINOR_MAX
from models.outputs import ChurnLevel, Tier
from models.state import UNPLANNED, AccountState, ProfileState
from processors import churn, classes, scorecard, support, tiers, windows
from processors.churn import Assessed
from processors.context import Card, Context
from processors.scorecard import Graded, Year
from processors.tiers import Standing
from processors.vetoes import Facts, held_down
from processors.windows import Rhythm

_WEEK: Final = 7
_PLAN: Final = "plan"
_LOST: Final = ChurnLevel.LOST

# A lookup costs a tenth of what an enumeration's call does.
_TIERS: Final[dict[str | None, Tier | None]] = {None: None, **{one.value: one for one in Tier}}
_LEVELS: Final[dict[str | None, ChurnLevel | None]] = {None: None, **{one.value: one for one in ChurnLevel}}


def tier_of(state: AccountState) -> Tier | None:
    """Give the tier of the last evaluation."""
    return _TIERS[state.tier]


def level_of(state: AccountState) -> ChurnLevel | None:
    """Give the churn level of the last evaluation."""
    return _LEVELS[state.churn_level]


class Evaluation:
    """What an account is as of a day.

    Args:
        as_of_day: the day.
        rhythm: its order days.
        year: its sums over the longest window.
        ranked_profit_minor: see `scorecard.profit_to_rank`.
        parts: of the score, see `scorecard.parts_of`.
        card: the weights.
        graded: the score.
        earned: the tier by score alone.
        tier: with override and vetoes.
        veto: name of the veto that holds the tier down.
        overridden: whether the tier was set by hand.
        assessed: the churn risk.
        base_day: see `scorecard.base_day_of`.
    """

    __slots__ = (
        "as_of_day",
        "assessed",
        "base_day",
        "card",
        "earned",
        "graded",
        "overridden",
        "parts",
        "ranked_profit_minor",
        "rhythm",
        "tier",
        "veto",
        "year",
    )

    def __init__(  # noqa: PLR0913, PLR0917  # its fields
        self,
        as_of_day: int,
        rhythm: Rhythm,
        year: Year,
        ranked_profit_minor: int | None,
        parts: list[float | None],
        card: Card,
        graded: Graded,
        earned: Standing,
        tier: Tier,
        veto: str | None,
        overridden: bool,  # noqa: FBT001  # a field among others
        assessed: Assessed,
        base_day: int,
    ) -> None:
        self.as_of_day: Final = as_of_day
        self.rhythm: Final = rhythm
        self.year: Final = year
        self.ranked_profit_minor: Final = ranked_profit_minor
        self.parts: Final = parts
        self.card: Final = card
        self.graded: Final = graded
        self.earned: Final = earned
        self.tier: Final = tier
        self.veto: Final = veto
        self.overridden: Final = overridden
        self.assessed: Final = assessed
        self.base_day: Final = base_day


def evaluate(state: AccountState, as_of_day: int, context: Context) -> Evaluation:
    """Evaluate a state as of a day, whose days of the horizon are all it holds. Changes nothing.

    Time is O(days of the horizon), in sums that run in C.
    """
    rhythm = windows.rhythm(state)
    year = year_of(state, context)
    ranked_profit = scorecard.profit_to_rank(
        year,
        knew_costs=state.lifetime_costed_revenue_minor != 0 or state.lifetime_cost_minor != 0,
        coverage_min=context.profit_coverage_min,
    )
    assessed = churn.assess(state, rhythm, level_of(state), as_of_day, context)
    base_day = scorecard.base_day_of(state, rhythm)
    slow = scorecard.slow_day(base_day, as_of_day, assessed.rest_day)
    parts = scorecard.parts_of(state, rhythm, year, ranked_profit, as_of_day, slow, context)
    card = context.card_of(state.profile)
    graded = scorecard.combine(parts, card)
    earned = tiers.grade(context.tiers, _standing(state), graded.score, graded.confidence, as_of_day)
    assert earned.tier is not None
    tier, veto = earned.tier, None
    if context.vetoes:
        pressure = scorecard.rating_of(state.profile, "competitive_pressure", as_of_day, context)
        severe = support.severe_open(state)
        facts = Facts(graded, year.revenue_minor, ranked_profit, year.orders, severe, pressure)
        tier, veto = held_down(tier, facts, context)
    override = None if state.profile is None else override_of(state.profile, as_of_day)
    if override is not None:
        tier, veto = override, None
    return Evaluation(
        as_of_day,
        rhythm,
        year,
        ranked_profit,
        parts,
        card,
        graded,
        earned,
        tier,
        veto,
        override is not None,
        assessed,
        base_day,
    )


# What of an evaluation its due day is worked out from. The rest is not kept: fresh memory is slow.
_Known = tuple[Rhythm, Standing, Assessed, int, Context]


def settle(state: AccountState, evaluation: Evaluation, as_of_ms: int, context: Context) -> None:
    """Write an evaluation into the state; `plan` has to follow before the due day is read."""
    graded, earned, assessed, year = evaluation.graded, evaluation.earned, evaluation.assessed, evaluation.year
    state.earned_tier = earned.tier
    state.below_since_days = list(earned.below_since_days)
    state.tier = evaluation.tier
    state.score = graded.score
    _note_loss(state, evaluation, context)
    state.churn_level = assessed.level
    state.risk = assessed.risk
    state.due_day = UNPLANNED
    state.__dict__[_PLAN] = evaluation.rhythm, earned, assessed, evaluation.base_day, context
    state.as_of_day = evaluation.as_of_day
    state.as_of_ms = as_of_ms
    state.configuration = context.configuration
    state.portfolio_version = context.portfolio_version
    state.year_revenue_minor = _within(year.revenue_minor)
    profit = evaluation.ranked_profit_minor
    state.year_profit_minor = None if profit is None else _within(profit)
    state.year_orders = year.orders
    state.parts = graded.plan.mask
    state.revision += 1


def plan(state: AccountState) -> int | None:
    """Work out the due day of the last evaluation, unless that is done.

    Apart from it, as most accounts have several events before anybody asks: nothing is due on the day of evaluation.
    """
    if state.due_day == UNPLANNED:
        known: _Known = state.__dict__.pop(_PLAN)
        state.due_day = _due_day(state, known)
    return state.due_day


def _within(minor: int) -> int:
    # Days of either sign within their bounds may sum to more than 64 bits.
    if -SUM_MINOR_MAX <= minor <= SUM_MINOR_MAX:
        return minor
    return SUM_MINOR_MAX if minor > 0 else -SUM_MINOR_MAX


def year_of(state: AccountState, context: Context) -> Year:
    """Sum the longest window, which is all that the state holds."""
    service_cost = 0
    if context.service_cost_minor and state.support_days:
        counts = support.counts(state, state.support_days[-1].day, context.horizon_days)
        service_cost = support.service_cost(counts, context.service_cost_minor)
    known = windows.totals(state)
    return Year(known.revenue_minor, known.orders, known.costed_revenue_minor, known.cost_minor, service_cost)


def lifetime_profit_minor(state: AccountState) -> int | None:
    """Profit since the first order, in minor units; None when no cost is known."""
    costed, cost = state.lifetime_costed_revenue_minor, state.lifetime_cost_minor
    return costed - cost - state.lifetime_service_cost_minor if costed != 0 or cost != 0 else None


def _due_day(state: AccountState, known: _Known) -> int | None:
    """Give the earliest day after an evaluation on which time alone could change something."""
    rhythm, earned, assessed, base_day, context = known
    as_of_day, rest_day = state.as_of_day, assessed.rest_day
    slow = base_day + ((as_of_day - base_day) // _WEEK + 1) * _WEEK
    edges = [
        tiers.next_edge_day(context.tiers, earned),
        churn.next_edge_day(state, rhythm, assessed, as_of_day, slow, context),
    ]
    if rest_day is None or slow <= rest_day:
        edges.append(slow)
    else:
        # No week brings a look at the classes any more.
        edges.extend(_class_edges(state, rhythm, as_of_day, context))
    days = state.days
    if days:
        first_day, last_day = days[0], days[-1]
        for window_days in context.edge_windows:
            start_day = as_of_day - window_days + 1
            if first_day >= start_day:
                # The longer ones hold all days too, and longer.
                edges.append(first_day + window_days)
                break
            if last_day >= start_day:
                edges.append(days[bisect_left(days, start_day)] + window_days)
    if state.product_lines:
        edges.append(min(state.product_lines.values()) + context.horizon_days)
    if state.support_days or state.open_tickets or state.surveys or state.profile is not None:
        edges.extend(_rare_edges(state, as_of_day, context))
    due_day: int | None = None
    for edge in edges:
        if edge is not None and edge > as_of_day and (due_day is None or edge < due_day):
            due_day = edge
    return due_day


def _class_edges(state: AccountState, rhythm: Rhythm, as_of_day: int, context: Context) -> list[int | None]:
    sums: list[int] = []
    if not state.days:
        older = classes.Older(state.old_block, state.old_block_revenue_minor)
        horizon = range(as_of_day - context.horizon_days + 1, as_of_day + 1)
        sums = classes.blocks(state.days, state.revenue_minor, older, rhythm.first_day, horizon)
    edges = [classes.xyz_edge_day(state.days, sums, rhythm.first_day, as_of_day, context.policy.classes)]
    if context.cuts is not None:
        edges.append(classes.rfm_edge_day(context.cuts.rfm, rhythm.last_day, as_of_day))
    return edges


def _rare_edges(state: AccountState, as_of_day: int, context: Context) -> list[int | None]:
    edges = [
        churn.signal_edge_day(state, as_of_day, context),
        scorecard.next_edge_day(state, as_of_day, context),
    ]
    horizon_days = context.horizon_days
    if state.support_days:
        edges.append(state.support_days[0].day + horizon_days)
    if state.surveys:
        edges.append(state.surveys[0].day + horizon_days)
    if state.open_tickets:
        edges.append(min(ticket.opened_day for ticket in state.open_tickets) + horizon_days)
    if context.service_cost_minor:
        edges.extend(support.next_edge_day(state, as_of_day, days) for days in context.window_days)
    profile = state.profile
    if profile is not None:
        if profile.override_until_day is not None:
            edges.append(profile.override_until_day + 1)
        if profile.renewal_day is not None:
            edges.extend((profile.renewal_day - context.churn.policy.renewal_days, profile.renewal_day + 1))
    return edges


def _standing(state: AccountState) -> Standing:
    key, growth, standard = state.below_since_days
    return Standing(_TIERS[state.earned_tier], (key, growth, standard))


def override_of(profile: ProfileState | None, as_of_day: int) -> Tier | None:
    """Give the tier that was set by hand and holds on a day, if one was."""
    if profile is None or profile.override_tier is None or profile.override_until_day is None:
        return None
    return Tier(profile.override_tier) if as_of_day <= profile.override_until_day else None


def _note_loss(state: AccountState, evaluation: Evaluation, context: Context) -> None:
    level, lost_day = evaluation.assessed.level, state.lost_day
    if level is _LOST:
        if lost_day is None:
            state.lost_day = evaluation.as_of_day
            state.value_lost_minor = churn.worth_minor(
                evaluation.year.revenue_minor, evaluation.ranked_profit_minor, context.churn.policy.margin
            )
    elif lost_day is not None:
        state.lost_day = state.value_lost_minor = None
        if level not in churn.UNJUDGED:
            state.recovered_day = evaluation.as_of_day
