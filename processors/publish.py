"""From an evaluation to what subscribers read: tier changes, churn events, snapshots."""

from datetime import datetime
from typing import NamedTuple, TypedDict

from models.fields import from_epoch_ms
from models.outputs import (
    AccountLost,
    AccountRecovered,
    BudgetFigure,
    Cause,
    ChurnEvent,
    ChurnFigures,
    ChurnLevel,
    ChurnRiskChanged,
    Classes,
    Component,
    ComponentChange,
    Lifetime,
    OverrideFigure,
    PortfolioFigures,
    ProfileFigures,
    RatingFigure,
    Snapshot,
    SupportFigures,
    Tier,
    TierChanged,
    WindowFigures,
)
from models.state import AccountState, ProfileState
from processors import support
from processors.churn import RISK_ONE
from processors.context import Context, date_of
from processors.evaluation import Evaluation, evaluate, lifetime_profit_minor
from processors.support import SupportKind
from processors.tiers import direction

FLAP_DAYS = 30
"""A change that is undone within as many days was noise."""
ALERTS = frozenset({ChurnLevel.MEDIUM, ChurnLevel.HIGH})
UNJUDGED = frozenset({ChurnLevel.NONE, ChurnLevel.UNPROVEN})
"""Levels of an account whose order days are too few to say that it was lost, or that it came back."""


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
        "portfolio_version": context.portfolio_version,
    }


def tier_change(
    state: AccountState, evaluation: Evaluation, before: Transition, context: Context
) -> TierChanged | None:
    """Publish a change of tier, if there is one, and note in the state what was published.

    An account that was never graded is unrated without an event.
    """
    tier = evaluation.standing.tier
    if tier is None or tier is before.tier or (tier is Tier.UNRATED and not state.graded):
        return None
    previous_published = before.tier if state.graded else None
    published = {one.name: one for one in state.graded_points}
    components = []
    for one in evaluation.graded.components:
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
    state.graded, state.graded_points = True, list(evaluation.graded.components)
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
        windows=_windows(evaluation, context),
        classes=Classes(),
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
    state.churn_sequence += 1
    return kind(
        **_common(state, state.churn_sequence, before.trigger, context),
        previous_level=previous,
        level=level,
        risk=_risk(assessed.risk),
        horizon_days=assessed.horizon_days,
        silent_days=assessed.silent_days,
        own_gap_days=None if assessed.own_gap_days is None else round(assessed.own_gap_days, 2),
        reasons=list(assessed.reasons),
        value_at_stake=_money(evaluation.value_at_stake_minor, context),
        tier=evaluation.standing.tier or Tier.UNRATED,
    )


def snapshot(state: AccountState, context: Context) -> Snapshot:
    """Describe the whole current health of an account; evaluates the state again as of its own day."""
    evaluation = evaluate(state, state.as_of_day, context)
    assessed = evaluation.assessed
    return Snapshot(
        account_id=state.account_id,
        incarnation=state.incarnation,
        name=None if state.profile is None else state.profile.name,
        profile=None if state.profile is None else _profile(state.profile, context),
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
                parts=parts,
            )
            for one, parts in zip(evaluation.graded.components, evaluation.graded.parts, strict=True)
        ],
        windows=_windows(evaluation, context),
        lifetime=_lifetime(state, evaluation, context),
        classes=Classes(),
        lifecycle=None,
        churn=ChurnFigures(
            risk=_risk(assessed.risk),
            level=assessed.level,
            horizon_days=assessed.horizon_days,
            reasons=list(assessed.reasons),
            value_at_stake=_money(evaluation.value_at_stake_minor, context),
        ),
        portfolio=PortfolioFigures(),
        support=SupportFigures(
            open=len(state.open_tickets),
            severe=support.severe_open(state),
            breaches_90d=evaluation.support_counts.get(SupportKind.BREACHED, 0),
            satisfaction=support.satisfaction(state),
        ),
        actions=None,
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


def _windows(evaluation: Evaluation, context: Context) -> dict[str, WindowFigures]:
    return {
        str(window.days): WindowFigures(
            revenue=context.to_decimal_text(window.sums.revenue_minor),
            profit=_money(window.profit_minor, context),
            service_cost=context.to_decimal_text(window.service_cost_minor),
            orders=window.sums.orders,
            profit_coverage=window.coverage,
        )
        for window in evaluation.windows
    }


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


def _risk(value: int | None) -> float | None:
    return None if value is None else value / RISK_ONE
