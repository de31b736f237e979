"""Churn: how likely an account is to stay away, the level that follows, and why.

    log-odds = silence against the rhythm of ordering (a rule or a fitted model) + Σ support signals

Without a model a declared rule speaks: steepness × ln(max(silence / own gap, ratio_min) / even_ratio). What support
signals add is declared judgement too (policy `churn`): no public data links the two.
"""

import math
from typing import Final, NamedTuple

from models.outputs import ChurnLevel, ChurnReason
from models.state import AccountState
from processors import scorecard, support
from processors.context import ChurnTerms, Context
from processors.return_model import crossing_day, log_odds, probability
from processors.support import SupportKind
from processors.windows import Rhythm

RISK_ONE: Final = 10_000
"""A risk of 1, in ten-thousandths."""
ALERTS: Final = (ChurnLevel.MEDIUM, ChurnLevel.HIGH)
UNJUDGED: Final = (ChurnLevel.NONE, ChurnLevel.UNPROVEN)
"""Levels of an account whose order days are too few to say that it was lost, or that it came back."""
_EXPONENT_MAX: Final = 500.0
# A threshold met exactly counts as reached, however its logarithm was rounded; the edge below is the same one.
_TOLERANCE: Final = 1e-9


class Signals(NamedTuple):
    """What raises the risk beyond silence; each kind of support event at most `signals_max`."""

    severe_tickets: int
    breaches: int
    complaints: int
    quality_complaints: int
    satisfaction_down: bool
    competitive_pressure: bool


NO_SIGNALS: Final = Signals(0, 0, 0, 0, satisfaction_down=False, competitive_pressure=False)


class Assessed:
    """What is known of an account's loyalty as of a day.

    Args:
        risk: ten-thousandths; None without an order, as the days.
        level: the churn level.
        silent_days: since the last order.
        own_gap_days: see `own_gap_days`.
        rest_day: the day from which on silence changes nothing any more.
        signals: what raises the risk beyond silence.
    """

    __slots__ = ("level", "own_gap_days", "rest_day", "risk", "signals", "silent_days")

    def __init__(  # noqa: PLR0913, PLR0917  # its fields
        self,
        risk: int | None,
        level: ChurnLevel,
        silent_days: int | None,
        own_gap_days: float | None,
        rest_day: int | None,
        signals: Signals,
    ) -> None:
        self.risk: Final = risk
        self.level: Final = level
        self.silent_days: Final = silent_days
        self.own_gap_days: Final = own_gap_days
        self.rest_day: Final = rest_day
        self.signals: Final = signals


_NOTHING: Final = Assessed(None, ChurnLevel.NONE, None, None, None, NO_SIGNALS)


def signals_of(state: AccountState, as_of_day: int, context: Context) -> Signals:
    """Read the signals of a state as of a day."""
    if not (state.support_days or state.open_tickets or state.surveys or state.profile is not None):
        return NO_SIGNALS
    policy = context.churn.policy
    counts = support.counts(state, as_of_day, policy.support_days)
    most = policy.signals_max
    complaints = sum(count for kind, count in counts.items() if kind in support.COMPLAINT_KINDS)
    return Signals(
        min(support.severe_open(state), most),
        min(counts.get(SupportKind.BREACHED, 0), most),
        min(complaints, most),
        min(counts.get(SupportKind.COMPLAINT_QUALITY, 0), most),
        satisfaction_down=_satisfaction_down(state, as_of_day, policy.support_days, policy.satisfaction_drop),
        competitive_pressure=_pressed(state, as_of_day, context),
    )


def own_gap_days(rhythm: Rhythm, portfolio_gap_days: float) -> float | None:
    """Mean gap between order days, shrunk to the portfolio's with the weight of one gap; None without an order.

    >>> own_gap_days(Rhythm(3, 100, 120), 40)
    20.0
    """
    if rhythm.first_day is None or rhythm.last_day is None:
        return None
    # n order days have n - 1 gaps, which sum to last - first; the portfolio's is one more.
    return (rhythm.last_day - rhythm.first_day + portfolio_gap_days) / rhythm.order_days


def lost_silence_days(gap_days: float, terms: ChurnTerms) -> int:
    """Give the silence, in whole days, from which on an account is lost."""
    return math.ceil(max(terms.lost_days, terms.lost_gaps * gap_days))


def horizon_days(gap_days: float | None, context: Context) -> int:
    """Give the days within which the next order is awaited: the model's, else two own gaps, 90 at least."""
    if context.model is not None:
        return context.model.horizon_days
    terms = context.churn
    return terms.horizon_days if gap_days is None else math.ceil(max(terms.horizon_days, terms.horizon_gaps * gap_days))


def assess(
    state: AccountState, rhythm: Rhythm, previous: ChurnLevel | None, as_of_day: int, context: Context
) -> Assessed:
    """Assess an account as of a day, which is not before its last order day."""
    gap = own_gap_days(rhythm, context.portfolio_gap_days)
    if gap is None or rhythm.last_day is None:
        return _NOTHING
    signals = signals_of(state, as_of_day, context)
    terms = context.churn
    silence = as_of_day - rhythm.last_day
    lost_silence = lost_silence_days(gap, terms)
    value = _base(state, rhythm, gap, as_of_day, context) + _shift(signals, terms)
    if rhythm.order_days == 1:
        level = ChurnLevel.UNPROVEN
    elif silence >= lost_silence:
        level = ChurnLevel.LOST
    elif value >= (terms.high_held if previous is ChurnLevel.HIGH else terms.high) - _TOLERANCE:
        level = ChurnLevel.HIGH
    elif value >= (terms.medium_held if previous in ALERTS else terms.medium) - _TOLERANCE:
        level = ChurnLevel.MEDIUM
    else:
        level = ChurnLevel.LOW
    risk = round(probability(value) * RISK_ONE)
    return Assessed(risk, level, silence, gap, rhythm.last_day + lost_silence, signals)


def next_edge_day(  # noqa: PLR0913, PLR0917  # what an evaluation knows already
    state: AccountState, rhythm: Rhythm, assessed: Assessed, as_of_day: int, until_day: int, context: Context
) -> int | None:
    """Give the first day after `as_of_day`, up to `until_day`, on which silence alone changes the level.

    `until_day` is when the account is looked at in any case.
    """
    rest_day, gap, last_day = assessed.rest_day, assessed.own_gap_days, rhythm.last_day
    if rest_day is None or gap is None or last_day is None or as_of_day >= rest_day:
        return None
    if rhythm.order_days == 1:
        return None
    edge = rest_day
    terms, shift = context.churn, _shift(assessed.signals, context.churn)
    if context.predictor is not None:
        bounds = [bound - shift - _TOLERANCE for bound in (terms.medium, terms.high)]
        crossing = crossing_day(context.predictor, state, rhythm, as_of_day, bounds, min(until_day, rest_day))
        return edge if crossing is None else crossing
    for bound in (terms.medium, terms.high):
        exponent = (bound - _TOLERANCE - shift) / terms.steepness
        silence = gap * terms.even_ratio * math.exp(min(exponent, _EXPONENT_MAX))
        if silence < edge - last_day:
            day = last_day + math.ceil(silence)
            if as_of_day < day < edge:
                edge = day
    return edge


def signal_edge_day(state: AccountState, as_of_day: int, context: Context) -> int | None:
    """Give the first day after `as_of_day` on which time alone changes a signal; ratings are the scorecard's."""
    days = context.churn.support_days
    edges = []
    if state.support_days:
        edge = support.next_edge_day(state, as_of_day, days)
        if edge is not None:
            edges.append(edge)
    edges.extend(one.day + days for one in state.surveys if one.day + days > as_of_day)
    return min(edges, default=None)


def value_at_stake_minor(risk: int | None, worth_minor: int) -> int | None:
    """Risk times what a year with the account is worth; minor units."""
    return None if risk is None else round(risk * worth_minor / RISK_ONE)


def worth_minor(revenue_minor: int, profit_minor: int | None, margin: float) -> int:
    """Give what a year with an account is worth: its profit, or a margin on its revenue; minor units, not below 0."""
    return max(0, profit_minor if profit_minor is not None else round(revenue_minor * margin))


def reasons_of(
    state: AccountState, assessed: Assessed, growth: float | None, as_of_day: int, context: Context
) -> tuple[ChurnReason, ...]:
    """Name what speaks for a loss as of a day, in a fixed order.

    Args:
        state: the account.
        assessed: as of that day.
        growth: the part of the score, 0 to 100.
        as_of_day: the day.
        context: the policy.
    """
    if assessed.silent_days is None or assessed.own_gap_days is None:
        return ()
    signals, policy = assessed.signals, context.churn.policy
    renewal_day = None if state.profile is None else state.profile.renewal_day
    holds = {
        ChurnReason.OVERDUE: assessed.silent_days / assessed.own_gap_days >= policy.even_ratio,
        ChurnReason.OPEN_SEVERE_TICKET: signals.severe_tickets > 0,
        ChurnReason.SLA_BREACHED: signals.breaches > 0,
        ChurnReason.COMPLAINT: signals.complaints > signals.quality_complaints,
        ChurnReason.QUALITY_COMPLAINT: signals.quality_complaints > 0,
        ChurnReason.SATISFACTION_DOWN: signals.satisfaction_down,
        ChurnReason.COMPETITIVE_PRESSURE: signals.competitive_pressure,
        ChurnReason.FALLING_REVENUE: growth is not None and growth < policy.falling_growth,
        ChurnReason.RENEWAL_NEAR: renewal_day is not None and 0 <= renewal_day - as_of_day <= policy.renewal_days,
    }
    return tuple(reason for reason, held in holds.items() if held)


def _base(state: AccountState, rhythm: Rhythm, gap: float, as_of_day: int, context: Context) -> float:
    if context.predictor is not None:
        value = log_odds(context.predictor, state, rhythm, as_of_day)
        assert value is not None, "an account with an order has a risk"
        return value
    assert rhythm.last_day is not None
    terms = context.churn
    return terms.steepness * math.log(max((as_of_day - rhythm.last_day) / gap, terms.ratio_min) / terms.even_ratio)


def _shift(signals: Signals, terms: ChurnTerms) -> float:
    if signals is NO_SIGNALS:
        return 0.0
    policy = terms.policy
    return (
        signals.severe_tickets * policy.severe_ticket_log_odds
        + signals.breaches * policy.sla_breach_log_odds
        + signals.complaints * policy.complaint_log_odds
        + signals.satisfaction_down * policy.satisfaction_down_log_odds
        + signals.competitive_pressure * policy.competitive_pressure_log_odds
    )


def _satisfaction_down(state: AccountState, as_of_day: int, days: int, drop: float) -> bool:
    start_day = as_of_day - days + 1
    late = [support.survey_points(one) for one in state.surveys if one.day >= start_day]
    early = [support.survey_points(one) for one in state.surveys if one.day < start_day]
    return bool(late and early) and sum(early) / len(early) - sum(late) / len(late) >= drop


def _pressed(state: AccountState, as_of_day: int, context: Context) -> bool:
    pressure = scorecard.rating_of(state.profile, "competitive_pressure", as_of_day, context)
    return pressure is not None and pressure >= context.churn.policy.competitive_pressure_high
