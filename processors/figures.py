"""Figures of an account that changes and snapshots both show."""

from datetime import date

from models.bodies import ChurnFigures, Classes, RfmFigures, WindowFigures
from models.state import AccountState
from processors import classes, support, windows
from processors.churn import RISK_ONE, horizon_days, reasons_of, value_at_stake_minor, worth_minor
from processors.context import Context, date_of
from processors.evaluation import Evaluation
from processors.scorecard import BRAND_INFLUENCE, GROWTH, profit_coverage


def churn_figures(state: AccountState, evaluation: Evaluation, context: Context) -> ChurnFigures:
    """Describe the risk of losing an account as of an evaluation."""
    assessed, year = evaluation.assessed, evaluation.year
    worth = worth_minor(year.revenue_minor, evaluation.ranked_profit_minor, context.churn.policy.margin)
    growth = evaluation.parts[GROWTH]
    return ChurnFigures(
        risk=None if assessed.risk is None else assessed.risk / RISK_ONE,
        level=assessed.level,
        horizon_days=horizon_days(assessed.own_gap_days, context),
        reasons=list(reasons_of(state, assessed, growth, evaluation.as_of_day, context)),
        value_at_stake=money(value_at_stake_minor(assessed.risk, worth), context),
        lost_on=date_or_none(state.lost_day),
        value_lost=money(state.value_lost_minor, context),
    )


def classes_of(state: AccountState, evaluation: Evaluation, context: Context) -> Classes:
    """Classify an account against the portfolio as of an evaluation."""
    cuts, policy, year, day = context.cuts, context.policy.classes, evaluation.year, evaluation.as_of_day
    profile, last_day = state.profile, evaluation.rhythm.last_day
    by_revenue = by_profit = None
    if cuts is not None and last_day is not None:
        by_revenue = classes.abc(cuts.revenue, year.revenue_minor)
        by_profit = classes.abc(cuts.profit, evaluation.ranked_profit_minor)
    by_money = policy.xyz_measure == "revenue"
    amounts = state.revenue_minor if by_money else state.orders
    older = classes.Older(state.old_block, state.old_block_revenue_minor if by_money else state.old_block_orders)
    horizon = range(day - context.horizon_days + 1, day + 1)
    evenness = classes.xyz(classes.blocks(state.days, amounts, older, evaluation.rhythm.first_day, horizon), policy)
    cell = classes.rfm(
        None if cuts is None else cuts.rfm,
        None if last_day is None else day - last_day,
        year.orders,
        year.revenue_minor,
    )
    since_day = None if profile is None else profile.customer_since_day
    since_day = evaluation.rhythm.first_day if since_day is None else since_day
    standing = classes.Standing(
        revenue_minor=year.revenue_minor,
        profit_minor=evaluation.ranked_profit_minor,
        orders=year.orders,
        support_events=sum(one.count for one in state.support_days),
        age_days=None if since_day is None else day - since_day,
        budget_minor=None if profile is None else profile.budget_minor,
        brand_influence=evaluation.parts[BRAND_INFLUENCE],
    )
    return Classes(
        abc_revenue=by_revenue,
        abc_profit=by_profit,
        xyz=evenness,
        matrix=classes.matrix(by_revenue, evenness),
        rfm=None
        if cell is None
        else RfmFigures(r=cell.recency, f=cell.frequency, m=cell.monetary, segment=cell.segment),
        account_types=list(classes.account_types(cuts, standing, policy)),
    )


def windows_of(state: AccountState, as_of_day: int, context: Context) -> dict[str, WindowFigures]:
    """Sum every window of the policy as of a day."""
    first_days = state.days[:1] + [one.day for one in state.support_days[:1]]
    first_day = min(first_days, default=as_of_day)
    shown: dict[str, WindowFigures] = {}
    figures: WindowFigures | None = None
    start_day = as_of_day
    for days in context.window_days:
        # They ascend: behind one that holds everything the longer ones are the same.
        if figures is None or start_day > first_day:
            figures = _window(state, as_of_day, days, context)
        start_day = as_of_day - days + 1
        shown[str(days)] = figures
    return shown


def _window(state: AccountState, as_of_day: int, days: int, context: Context) -> WindowFigures:
    sums = windows.sums(state, as_of_day, days)
    cost = 0
    if context.service_cost_minor and state.support_days:
        cost = support.service_cost(support.counts(state, as_of_day, days), context.service_cost_minor)
    known = sums.costed_revenue_minor != 0 or sums.cost_minor != 0
    profit = sums.costed_revenue_minor - sums.cost_minor - cost if known else None
    return WindowFigures(
        revenue=context.to_decimal_text(sums.revenue_minor),
        profit=money(profit, context),
        service_cost=context.to_decimal_text(cost),
        orders=sums.orders,
        profit_coverage=profit_coverage(sums.revenue_minor, sums.costed_revenue_minor),
    )


def date_or_none(day: int | None) -> date | None:
    """Give the date of a day."""
    return None if day is None else date_of(day)


def money(minor: int | None, context: Context) -> str | None:
    """Write minor units as a decimal string."""
    return None if minor is None else context.to_decimal_text(minor)


def hundredths(value: int | None) -> float | None:
    """Give points from their hundredths."""
    return None if value is None else value / 100
