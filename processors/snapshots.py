"""Snapshots: from an account's state to all that views show of it."""

from collections.abc import Sequence

from models.actions import ActionRule
from models.bodies import (
    Action,
    BudgetFigure,
    ChurnFigures,
    Component,
    Lifetime,
    OverrideFigure,
    PortfolioFigures,
    ProfileFigures,
    RatingFigure,
    Snapshot,
    SupportFigures,
)
from models.fields import from_epoch_ms
from models.outputs import ChurnLevel, Lifecycle, Tier
from models.state import AccountState, ProfileState
from processors import classes, support
from processors.context import Context, date_of
from processors.evaluation import Evaluation, evaluate, lifetime_profit_minor
from processors.figures import churn_figures, classes_of, date_or_none, hundredths, money, windows_of
from processors.portfolio import ranking
from processors.scorecard import (
    COMPONENTS,
    FULL_PART,
    GROWTH,
    HEADROOM,
    PARTS,
    SATISFACTION,
    WHITE_SPACE,
    points_of,
)
from processors.support import SupportKind


def snapshot(state: AccountState, context: Context) -> Snapshot:
    """Describe the whole current health of an account; evaluates the state again as of its own day.

    The tier and the churn level are those of the state, which remember where they came from.
    """
    evaluation = evaluate(state, state.as_of_day, context)
    phase = lifecycle_of(state, evaluation, context)
    figures = churn_figures(state, evaluation, context)
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
        score=hundredths(evaluation.graded.score),
        confidence=evaluation.graded.confidence,
        components=[
            Component(
                name=one.name,
                score=hundredths(one.score),
                weight=one.weight,
                points=one.points / 100,
                parts={name: _rounded(part) for name, part in zip(PARTS[first:end], parts[first:end], strict=True)},
            )
            for one, (_, first, end) in zip(points_of(evaluation.graded, evaluation.card), COMPONENTS, strict=True)
        ],
        windows=windows_of(state, evaluation.as_of_day, context),
        lifetime=_lifetime(state, evaluation, context),
        classes=classes_of(state, evaluation, context),
        lifecycle=phase,
        scorecard=evaluation.card.name,
        override_until=date_or_none(profile.override_until_day)
        if profile is not None and evaluation.overridden
        else None,
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


def _standing(evaluation: Evaluation, context: Context) -> PortfolioFigures:
    cuts, revenue = context.cuts, evaluation.year.revenue_minor
    if cuts is None or cuts.revenue is None or evaluation.rhythm.last_day is None:
        return PortfolioFigures(None, None, None if cuts is None else cuts.version)
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


def _lifetime(state: AccountState, evaluation: Evaluation, context: Context) -> Lifetime:
    first_day, last_day = evaluation.rhythm.first_day, evaluation.rhythm.last_day
    return Lifetime(
        first_order=None if first_day is None else date_of(first_day),
        last_order=None if last_day is None else date_of(last_day),
        orders=state.lifetime_orders,
        revenue=context.to_decimal_text(state.lifetime_revenue_minor),
        profit=money(lifetime_profit_minor(state), context),
    )


def _rounded(part: float | None) -> float | None:
    return None if part is None else round(part, 2)
