"""From an evaluation to what subscribers read: tier changes, churn events, snapshots."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple, TypedDict

from models.fields import from_epoch_ms
from models.outputs import (
    AccountLost,
    AccountRecovered,
    Action,
    BudgetFigure,
    Cause,
    ChurnEvent,
    ChurnFigures,
    ChurnLevel,
    ChurnRiskChanged,
    Classes,
    Component,
    ComponentChange,
    Lifecycle,
    Lifetime,
    OverrideFigure,
    PortfolioFigures,
    ProfileFigures,
    RatingFigure,
    RfmFigures,
    Snapshot,
    SupportFigures,
    Tier,
    TierChanged,
    WindowFigures,
)
from models.policy import ActionRule
from models.state import AccountState, ProfileState
from processors import classes, support, windows
from processors.churn import ALERTS, RISK_ONE, UNJUDGED, horizon_days, reasons_of, value_at_stake_minor, worth_minor
from processors.context import Context, date_of
from processors.evaluation import Evaluation, evaluate, lifetime_profit_minor
from processors.portfolio import ranking
from processors.scorecard import (
    BRAND_INFLUENCE,
    COMPONENTS,
    FULL_PART,
    GROWTH,
    HEADROOM,
    PARTS,
    SATISFACTION,
    WHITE_SPACE,
    points_of,
    profit_coverage,
)
from processors.support import SupportKind
from processors.tiers import direction

FLAP_DAYS = 30
"""A change that is undone within as many days was noise."""


class Trigger(NamedTuple):
    """Why an evaluation takes place, and the event that asked for it, if one did."""

    cause: Cause
    event_id: str | None = None


class Transition(NamedTuple):
    """Where an evaluation came from, and why."""

    tier: Tier | None
    level: ChurnLevel | None
    trigger: Trigger


class _Common(TypedDict):
    account_id: str
    sequence: int
    incarnation: int
    occurred_at: datetime
    trigger_event_id: str | None
    cause: Cause
    policy_version: str
    model_version: str
    portfolio_version: int | None


def _common(state: AccountState, sequence: int, trigger: Trigger, context: Context) -> _Common:
    return {
        "account_id": state.account_id,
        "sequence": sequence,
        "incarnation": state.incarnation,
        "occurred_at": from_epoch_ms(state.as_of_ms),
        "trigger_event_id": trigger.event_id,
        "cause": trigger.cause,
        "policy_version": context.policy.version,
        "model_version": context.model_version,
        "portfolio_version": context.portfolio_version or None,
    }


def tier_change(
    state: AccountState, evaluation: Evaluation, before: Transition, context: Context
) -> TierChanged | None:
    """Publish a change of tier, if there is one, and note in the state what was published.

    An account that was never graded is unrated without an event.
    """
    tier = evaluation.tier
    if tier is before.tier or (tier is Tier.UNRATED and not state.graded):
        return None
    previous_published = before.tier if state.graded else None
    published = {one.name: one for one in state.graded_points}
    points = points_of(evaluation.graded, evaluation.card)
    components = []
    for one in points:
        old = published.get(one.name)
        points_before = old.points if old else 0
        components.append(
            ComponentChange(
                name=one.name,
                score_before=_hundredths(old.score if old else None),
                score=_hundredths(one.score),
                weight=one.weight,
                points_before_hundredths=points_before,
                points_hundredths=one.points,
                delta_hundredths=one.points - points_before,
            )
        )
    held_days = evaluation.as_of_day - (state.graded_day or 0)
    flap = tier == state.tier_before and held_days <= FLAP_DAYS
    state.tier_before, state.graded_day = previous_published, evaluation.as_of_day
    score_before, state.graded_score = state.graded_score, evaluation.graded.score
    state.graded, state.graded_points = True, list(points)
    state.tier_sequence += 1
    return TierChanged(
        **_common(state, state.tier_sequence, before.trigger, context),
        previous_tier=previous_published,
        tier=tier,
        direction=direction(previous_published, tier),
        flap=flap,
        score_before=_hundredths(score_before),
        score=_hundredths(evaluation.graded.score),
        score_delta_hundredths=(evaluation.graded.score or 0) - (score_before or 0),
        confidence=evaluation.graded.confidence,
        components=components,
        windows=_windows(state, evaluation.as_of_day, context),
        classes=_classes(state, evaluation, context),
    )


def churn_change(
    state: AccountState, evaluation: Evaluation, before: Transition, context: Context
) -> ChurnEvent | None:
    """Publish a change of the churn level, if it is one that someone would act on.

    That is: into or out of `medium`, `high` or `lost`. A loss replaces the level's event. A loss whose orders are
    cancelled is no recovery: it never held.
    """
    level, previous = evaluation.assessed.level, before.level
    kind: type[ChurnEvent]
    if level is previous:
        return None
    if level is ChurnLevel.LOST:
        kind = AccountLost
    elif previous is ChurnLevel.LOST:
        kind = ChurnRiskChanged if level in UNJUDGED else AccountRecovered
    elif level in ALERTS or previous in ALERTS:
        kind = ChurnRiskChanged
    else:
        return None
    assessed = evaluation.assessed
    shown = _churn_figures(state, evaluation, context)
    state.churn_sequence += 1
    return kind(
        **_common(state, state.churn_sequence, before.trigger, context),
        previous_level=previous,
        level=level,
        risk=shown.risk,
        horizon_days=shown.horizon_days,
        silent_days=assessed.silent_days,
        own_gap_days=None if assessed.own_gap_days is None else round(assessed.own_gap_days, 2),
        reasons=shown.reasons,
        value_at_stake=shown.value_at_stake,
        tier=evaluation.tier,
    )


def snapshot(state: AccountState, context: Context) -> Snapshot:
    """Describe the whole current health of an account; evaluates the state again as of its own day.

    The tier and the churn level are those of the state, which remember where they came from.
    """
    evaluation = evaluate(state, state.as_of_day, context)
    phase = lifecycle_of(state, evaluation, context)
    figures = _churn_figures(state, evaluation, context)
    profile = state.profile
    parts = evaluation.parts
    return Snapshot(
        account_id=state.account_id,
        incarnation=state.incarnation,
        name=None if profile is None else profile.name,
        profile=None if profile is None else _profile(profile, context),
        currency=context.policy.reporting_currency,
        as_of=from_epoch_ms(state.as_of_ms),
        revision=state.revision,
        tier=Tier(state.tier or Tier.UNRATED),
        score=_hundredths(evaluation.graded.score),
        confidence=evaluation.graded.confidence,
        components=[
            Component(
                name=one.name,
                score=_hundredths(one.score),
                weight=one.weight,
                points=one.points / 100,
                parts={name: _rounded(part) for name, part in zip(PARTS[first:end], parts[first:end], strict=True)},
            )
            for one, (_, first, end) in zip(points_of(evaluation.graded, evaluation.card), COMPONENTS, strict=True)
        ],
        windows=_windows(state, evaluation.as_of_day, context),
        lifetime=_lifetime(state, evaluation, context),
        classes=_classes(state, evaluation, context),
        lifecycle=phase,
        scorecard=evaluation.card.name,
        override_until=_day(profile.override_until_day) if profile is not None and evaluation.overridden else None,
        veto=evaluation.veto,
        churn=figures,
        portfolio=_standing(evaluation, context),
        support=SupportFigures(
            open=len(state.open_tickets),
            severe=support.severe_open(state),
            breaches_90d=support.counts(state, state.as_of_day, context.churn.support_days).get(
                SupportKind.BREACHED, 0
            ),
            satisfaction=_rounded(parts[SATISFACTION]),
        ),
        actions=actions_of(context.policy.actions, Tier(state.tier or Tier.UNRATED), figures, phase, parts),
        policy_version=context.policy.version,
        model_version=context.model_version,
    )


def _profile(profile: ProfileState, context: Context) -> ProfileFigures:
    budget_minor, override_tier = profile.budget_minor, profile.override_tier
    override = None
    if override_tier is not None:
        assert profile.override_reason is not None
        assert profile.override_until_day is not None
        override = OverrideFigure(
            tier=Tier(override_tier), reason=profile.override_reason, until=date_of(profile.override_until_day)
        )
    return ProfileFigures(
        version=profile.version,
        customer_since=None if profile.customer_since_day is None else date_of(profile.customer_since_day),
        segment=profile.segment,
        industry=profile.industry,
        region=profile.region,
        owner=profile.owner,
        crm_url=profile.crm_url,
        budget=None
        if budget_minor is None
        else BudgetFigure(amount=context.to_decimal_text(budget_minor), currency=context.policy.reporting_currency),
        renewal_on=None if profile.renewal_day is None else date_of(profile.renewal_day),
        parent_id=profile.parent_id,
        ratings={
            name: RatingFigure(value=one.value, rated_at=date_of(one.rated_day))
            for name, one in profile.ratings.items()
        },
        override=override,
    )


def lifecycle_of(state: AccountState, evaluation: Evaluation, context: Context) -> Lifecycle:
    """Name the phase of an account's life as of an evaluation."""
    rhythm, assessed, growth = evaluation.rhythm, evaluation.assessed, evaluation.parts[GROWTH]
    life = classes.Life(
        first_order_day=rhythm.first_day,
        last_order_day=rhythm.last_day,
        own_gap_days=assessed.own_gap_days,
        lost=assessed.level is ChurnLevel.LOST,
        recovered_day=state.recovered_day,
        growth=None if growth is None else growth / FULL_PART,
    )
    return classes.lifecycle(life, evaluation.as_of_day, context.policy.classes)


def _churn_figures(state: AccountState, evaluation: Evaluation, context: Context) -> ChurnFigures:
    assessed, year = evaluation.assessed, evaluation.year
    worth = worth_minor(year.revenue_minor, evaluation.ranked_profit_minor, context.churn.policy.margin)
    growth = evaluation.parts[GROWTH]
    return ChurnFigures(
        risk=_risk(assessed.risk),
        level=assessed.level,
        horizon_days=horizon_days(assessed.own_gap_days, context),
        reasons=list(reasons_of(state, assessed, growth, evaluation.as_of_day, context)),
        value_at_stake=_money(value_at_stake_minor(assessed.risk, worth), context),
        lost_on=_day(state.lost_day),
        value_lost=_money(state.value_lost_minor, context),
    )


def _classes(state: AccountState, evaluation: Evaluation, context: Context) -> Classes:
    cuts, policy, year, day = context.cuts, context.policy.classes, evaluation.year, evaluation.as_of_day
    profile, last_day = state.profile, evaluation.rhythm.last_day
    by_revenue = by_profit = None
    if cuts is not None and last_day is not None:
        by_revenue = classes.abc(cuts.revenue, year.revenue_minor)
        by_profit = classes.abc(cuts.profit, evaluation.ranked_profit_minor)
    amounts = state.revenue_minor if policy.xyz_measure == "revenue" else state.orders
    evenness = classes.xyz(classes.blocks(state.days, amounts, evaluation.rhythm.first_day, day), policy)
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


def _standing(evaluation: Evaluation, context: Context) -> PortfolioFigures:
    cuts, revenue = context.cuts, evaluation.year.revenue_minor
    if cuts is None or cuts.revenue is None or evaluation.rhythm.last_day is None:
        return PortfolioFigures(version=None if cuts is None else cuts.version)
    share = ranking.share(cuts.revenue, revenue)
    return PortfolioFigures(
        revenue_rank=ranking.rank(cuts.revenue, revenue),
        revenue_share=None if share is None else round(share, 6),
        version=cuts.version,
    )


def actions_of(
    rules: Sequence[ActionRule], tier: Tier, figures: ChurnFigures, phase: Lifecycle, parts: Sequence[float | None]
) -> list[Action]:
    """Recommend the actions whose conditions all hold, each with the reasons that it answers."""
    white_space, headroom = parts[WHITE_SPACE], parts[HEADROOM]
    found = []
    for rule in rules:
        spoken = [reason for reason in figures.reasons if reason in rule.reasons]
        if (
            (not rule.tiers or tier in rule.tiers)
            and (not rule.levels or figures.level in rule.levels)
            and (not rule.lifecycles or phase in rule.lifecycles)
            and (not rule.reasons or spoken)
            and (rule.white_space_min is None or (white_space is not None and white_space >= rule.white_space_min))
            and (rule.headroom_min is None or (headroom is not None and headroom >= rule.headroom_min))
        ):
            found.append(Action(name=rule.name, reasons=spoken or list(figures.reasons)))
    return found


def _windows(state: AccountState, as_of_day: int, context: Context) -> dict[str, WindowFigures]:
    return {str(days): _window(state, as_of_day, days, context) for days in context.window_days}


def _window(state: AccountState, as_of_day: int, days: int, context: Context) -> WindowFigures:
    sums = windows.sums(state, as_of_day, days)
    cost = 0
    if context.service_cost_minor and state.support_days:
        cost = support.service_cost(support.counts(state, as_of_day, days), context.service_cost_minor)
    known = sums.costed_revenue_minor != 0 or sums.cost_minor != 0
    profit = sums.costed_revenue_minor - sums.cost_minor - cost if known else None
    return WindowFigures(
        revenue=context.to_decimal_text(sums.revenue_minor),
        profit=_money(profit, context),
        service_cost=context.to_decimal_text(cost),
        orders=sums.orders,
        profit_coverage=profit_coverage(sums.revenue_minor, sums.costed_revenue_minor),
    )


def _lifetime(state: AccountState, evaluation: Evaluation, context: Context) -> Lifetime:
    first_day, last_day = evaluation.rhythm.first_day, evaluation.rhythm.last_day
    return Lifetime(
        first_order=None if first_day is None else date_of(first_day),
        last_order=None if last_day is None else date_of(last_day),
        orders=state.lifetime_orders,
        revenue=context.to_decimal_text(state.lifetime_revenue_minor),
        profit=_money(lifetime_profit_minor(state), context),
    )


def _money(minor: int | None, context: Context) -> str | None:
    return None if minor is None else context.to_decimal_text(minor)


def _hundredths(value: int | None) -> float | None:
    return None if value is None else value / 100


def _day(day: int | None) -> date | None:
    return None if day is None else date_of(day)


def _rounded(part: float | None) -> float | None:
    return None if part is None else round(part, 2)


def _risk(value: int | None) -> float | None:
    return None if value is None else value / RISK_ONE
