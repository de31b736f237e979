"""One evaluation: windows, score, tier, churn and due day of an account as of a day, from its state alone."""

import hashlib
from typing import Final, NamedTuple

import msgspec

from models.outputs import ChurnLevel, Tier
from models.state import AccountState
from processors import churn, scorecard, support, tiers, windows
from processors.churn import Assessed
from processors.context import Context
from processors.scorecard import Graded
from processors.support import SupportKind
from processors.tiers import Standing
from processors.windows import Rhythm, WindowSums

_VIEW_HASH_BYTES: Final = 8
_encode: Final = msgspec.msgpack.Encoder().encode


class Window(NamedTuple):
    """One window with its profit; None when no cost is known."""

    days: int
    sums: WindowSums
    service_cost_minor: int
    profit_minor: int | None

    @property
    def coverage(self) -> float | None:
        """Share of the revenue with a known cost; None without revenue."""
        return scorecard.profit_coverage(self.sums)


class Evaluation(NamedTuple):
    """All that is derived of an account as of a day."""

    as_of_day: int
    windows: tuple[Window, ...]
    rhythm: Rhythm
    support_counts: dict[str, int]
    graded: Graded
    standing: Standing
    assessed: Assessed
    value_at_stake_minor: int | None
    due_day: int | None
    structure_day: int | None
    """The earliest day on which time alone could change more than what silence does."""


def evaluate(state: AccountState, as_of_day: int, context: Context) -> Evaluation:
    """Evaluate a state as of a day. Changes nothing; O(days of the horizon)."""
    policy = context.policy
    support_counts = support.counts(state, as_of_day, policy.churn.support_days)
    views = tuple(_window(state, as_of_day, days, context) for days in policy.window_days)
    rhythm = windows.rhythm(state)
    longest = views[-1]
    graded = scorecard.combine(
        scorecard.measure(context, longest.sums, _profit_to_grade(state, longest), has_ordered=rhythm.order_days > 0)
    )
    standing = tiers.grade(policy.tiers, _standing(state), graded.score, graded.confidence, as_of_day)
    signals = churn.signals_of(state, support_counts, policy.churn)
    level = None if state.churn_level is None else ChurnLevel(state.churn_level)
    assessed = churn.assess(rhythm, signals, level, as_of_day, policy.churn)
    stake = churn.value_at_stake_minor(assessed.risk, longest.sums.revenue_minor, longest.profit_minor, policy.churn)
    edges = [
        tiers.next_edge_day(policy.tiers, standing),
        support.next_edge_day(state, as_of_day, policy.churn.support_days),
        *(windows.next_edge_day(state.days, as_of_day, days) for days in policy.window_days),
    ]
    if state.surveys:
        edges.append(state.surveys[0].day + policy.horizon_days)
    if state.open_tickets:
        edges.append(min(ticket.opened_day for ticket in state.open_tickets) + policy.horizon_days)
    if context.service_cost_minor:
        edges.extend(support.next_edge_day(state, as_of_day, days) for days in policy.window_days)
    structure_day = min((max(edge, as_of_day + 1) for edge in edges if edge is not None), default=None)
    silence_day = churn.next_edge_day(rhythm, signals, as_of_day, policy.churn)
    return Evaluation(
        as_of_day=as_of_day,
        windows=views,
        rhythm=rhythm,
        support_counts=support_counts,
        graded=graded,
        standing=standing,
        assessed=assessed,
        value_at_stake_minor=stake,
        due_day=_earlier(structure_day, silence_day),
        structure_day=structure_day,
    )


def settle(state: AccountState, evaluation: Evaluation, as_of_ms: int, context: Context) -> None:
    """Write an evaluation into the state; its revision grows if a reader of snapshots could see a difference."""
    standing, assessed = evaluation.standing, evaluation.assessed
    state.tier = standing.tier
    state.below_since_days = list(standing.below_since_days)
    state.score = evaluation.graded.score
    state.churn_level = assessed.level
    state.due_day = evaluation.due_day
    state.structure_day = evaluation.structure_day
    state.as_of_day = evaluation.as_of_day
    state.as_of_ms = as_of_ms
    state.policy_version = context.policy.version
    year = evaluation.windows[-1]
    state.year_revenue_minor, state.year_orders = year.sums.revenue_minor, year.sums.orders
    state.year_profit_minor = _profit_to_grade(state, year)
    view = _view_hash(state, evaluation, context)
    if view != state.view_hash or assessed.risk != state.risk:
        state.view_hash = view
        state.risk = assessed.risk
        state.revision += 1


def drift(state: AccountState, as_of_ms: int, as_of_day: int, context: Context) -> bool:
    """Let silence grow up to a moment and its day, if that changes only the risk; else change nothing, return False.

    Two evaluations in three are of this kind: time asks for them every week, and windows and score cannot have changed.
    """
    if state.churn_level is None or (state.structure_day is not None and state.structure_day <= as_of_day):
        return False
    policy = context.policy.churn
    rhythm = windows.rhythm(state)
    signals = churn.signals_of(state, support.counts(state, as_of_day, policy.support_days), policy)
    level = ChurnLevel(state.churn_level)
    assessed = churn.assess(rhythm, signals, level, as_of_day, policy)
    if assessed.level is not level or assessed.reasons != churn.reasons_of(rhythm, signals, state.as_of_day, policy):
        return False
    if assessed.risk != state.risk:
        state.risk = assessed.risk
        state.revision += 1
    state.as_of_ms, state.as_of_day = as_of_ms, as_of_day
    state.due_day = _earlier(state.structure_day, churn.next_edge_day(rhythm, signals, as_of_day, policy))
    return True


def lifetime_profit_minor(state: AccountState) -> int | None:
    """Profit since the first order, in minor units; None when no cost is known."""
    costed, cost = state.lifetime_costed_revenue_minor, state.lifetime_cost_minor
    return costed - cost - state.lifetime_service_cost_minor if costed != 0 or cost != 0 else None


def _earlier(one: int | None, other: int | None) -> int | None:
    return min(one, other) if one is not None and other is not None else one if other is None else other


def _window(state: AccountState, as_of_day: int, days: int, context: Context) -> Window:
    sums = windows.sums(state, as_of_day, days)
    cost = 0
    if context.service_cost_minor and state.support_days:
        cost = support.service_cost(support.counts(state, as_of_day, days), context.service_cost_minor)
    known = sums.costed_revenue_minor != 0 or sums.cost_minor != 0
    profit = sums.costed_revenue_minor - sums.cost_minor - cost if known else None
    return Window(days, sums, cost, profit)


def _profit_to_grade(state: AccountState, longest: Window) -> int | None:
    # Silence for the whole horizon is a profit of nothing, not an unknown one, where costs were known before.
    knew = state.lifetime_costed_revenue_minor != 0 or state.lifetime_cost_minor != 0
    if longest.profit_minor is None and knew and longest.sums.revenue_minor == 0:
        return -longest.service_cost_minor
    return longest.profit_minor


def _standing(state: AccountState) -> Standing:
    key, growth, standard = state.below_since_days
    return Standing(None if state.tier is None else Tier(state.tier), (key, growth, standard))


def _view_hash(state: AccountState, evaluation: Evaluation, context: Context) -> int:
    """Hash what a snapshot shows, and nothing else: what is not shown must not publish one.

    But for the risk, which is compared by itself, and the value at stake, which follows from the rest.
    """
    seen = (
        state.profile,
        [
            (one.sums.revenue_minor, one.profit_minor, one.service_cost_minor, one.sums.orders, one.coverage)
            for one in evaluation.windows
        ],
        evaluation.rhythm.first_day,
        evaluation.rhythm.last_day,
        evaluation.graded.components,
        evaluation.graded.confidence,
        evaluation.standing.tier,
        evaluation.assessed.level,
        evaluation.assessed.horizon_days,
        evaluation.assessed.reasons,
        evaluation.support_counts.get(SupportKind.BREACHED, 0),
        len(state.open_tickets),
        support.severe_open(state),
        support.satisfaction(state),
        state.lifetime_orders,
        state.lifetime_revenue_minor,
        lifetime_profit_minor(state),
        context.policy.version,
        context.model_version,
    )
    try:
        encoded = _encode(seen)
    except OverflowError:
        # Days of either sign within their bounds may sum to a window of more than 64 bits.
        encoded = repr(seen).encode()
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=_VIEW_HASH_BYTES).digest())
