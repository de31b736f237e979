"""From an evaluation to what subscribers read: tier changes and churn events."""

from typing import NamedTuple

from models.bodies import ChurnEvent, ChurnEventType, ComponentChange, TierChanged
from models.fields import from_epoch_ms
from models.outputs import Cause, ChurnLevel, Tier
from models.state import AccountState
from processors.churn import ALERTS, UNJUDGED
from processors.context import Context
from processors.evaluation import Evaluation
from processors.figures import churn_figures, classes_of, hundredths, windows_of
from processors.scorecard import points_of
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
                score_before=hundredths(old.score if old else None),
                score=hundredths(one.score),
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
        account_id=state.account_id,
        sequence=state.tier_sequence,
        incarnation=state.incarnation,
        occurred_at=from_epoch_ms(state.as_of_ms),
        trigger_event_id=before.trigger.event_id,
        policy_version=context.policy.version,
        model_version=context.model_version,
        portfolio_version=context.portfolio_version or None,
        type="account.tier_changed",
        previous_tier=previous_published,
        tier=tier,
        direction=direction(previous_published, tier),
        flap=flap,
        cause=before.trigger.cause,
        score_before=hundredths(score_before),
        score=hundredths(evaluation.graded.score),
        score_delta_hundredths=(evaluation.graded.score or 0) - (score_before or 0),
        confidence=evaluation.graded.confidence,
        components=components,
        windows=windows_of(state, evaluation.as_of_day, context),
        classes=classes_of(state, evaluation, context),
    )


def churn_change(
    state: AccountState, evaluation: Evaluation, before: Transition, context: Context
) -> ChurnEvent | None:
    """Publish a change of the churn level, if it is one that someone would act on.

    That is: into or out of `medium`, `high` or `lost`. A loss replaces the level's event. A loss whose orders are
    cancelled is no recovery: it never held.
    """
    level, previous = evaluation.assessed.level, before.level
    kind: ChurnEventType
    if level is previous:
        return None
    if level is ChurnLevel.LOST:
        kind = "account.lost"
    elif previous is ChurnLevel.LOST:
        kind = "account.churn_risk_changed" if level in UNJUDGED else "account.recovered"
    elif level in ALERTS or previous in ALERTS:
        kind = "account.churn_risk_changed"
    else:
        return None
    assessed = evaluation.assessed
    shown = churn_figures(state, evaluation, context)
    state.churn_sequence += 1
    return ChurnEvent(
        account_id=state.account_id,
        sequence=state.churn_sequence,
        incarnation=state.incarnation,
        occurred_at=from_epoch_ms(state.as_of_ms),
        trigger_event_id=before.trigger.event_id,
        policy_version=context.policy.version,
        model_version=context.model_version,
        portfolio_version=context.portfolio_version or None,
        cause=before.trigger.cause,
        previous_level=previous,
        level=level,
        risk=shown.risk,
        horizon_days=shown.horizon_days,
        silent_days=assessed.silent_days,
        own_gap_days=None if assessed.own_gap_days is None else round(assessed.own_gap_days, 2),
        reasons=shown.reasons,
        value_at_stake=shown.value_at_stake,
        tier=evaluation.tier,
        type=kind,
    )
