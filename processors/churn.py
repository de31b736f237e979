"""Churn by a first rule: silence against the account's own rhythm, shifted by support signals.

    log-odds = steepness × ln(max(silence / own gap, ratio_min) / even_ratio) + Σ support signals

The numbers are declared judgement (policy `churn`), not fitted: `model_version` says so. A fitted model replaces
`assess` and `next_edge_day`.
"""

import math
from typing import NamedTuple

from models.outputs import ChurnLevel, ChurnReason
from models.policy import Churn
from models.state import AccountState
from processors.support import COMPLAINT_KINDS, SupportKind, severe_open
from processors.windows import Rhythm

RISK_ONE = 10_000
"""A risk of 1, in ten-thousandths."""
DRIFT_DAYS = 7
"""Between two evaluations that only time asks for: the risk shown is never older."""
_LOG_ODDS_MAX = 500.0
"""Keeps the exponential function within floats; the risk is 0 or 1 long before."""
# A threshold met exactly counts as reached, however its logarithm was rounded; the edge below is the same one.
_TOLERANCE = 1e-9


class Signals(NamedTuple):
    """Support events that raise the risk, each kind at most `signals_max`."""

    severe_tickets: int
    breaches: int
    complaints: int
    quality_complaints: int


NO_SIGNALS = Signals(0, 0, 0, 0)


class Assessed(NamedTuple):
    """What is known of an account's loyalty as of a day."""

    risk: int | None
    """Ten-thousandths; None without an order."""
    level: ChurnLevel
    silent_days: int | None
    own_gap_days: float | None
    horizon_days: int
    reasons: tuple[ChurnReason, ...]


def signals_of(state: AccountState, counts: dict[str, int], policy: Churn) -> Signals:
    """Count the support signals of a state, given its support counts of `support_days`."""
    if not counts and not state.open_tickets:
        return NO_SIGNALS
    most = policy.signals_max
    complaints = sum(count for kind, count in counts.items() if kind in COMPLAINT_KINDS)
    return Signals(
        min(severe_open(state), most),
        min(counts.get(SupportKind.BREACHED, 0), most),
        min(complaints, most),
        min(counts.get(SupportKind.COMPLAINT_QUALITY, 0), most),
    )


def own_gap_days(rhythm: Rhythm, policy: Churn) -> float | None:
    """Mean gap between order days, shrunk to the portfolio's with the weight of one gap; None without an order.

    >>> own_gap_days(Rhythm(3, 100, 120), Churn(portfolio_gap_days=40))
    20.0
    """
    if rhythm.first_day is None or rhythm.last_day is None:
        return None
    # n order days have n - 1 gaps, which sum to last - first; the portfolio's is one more.
    return (rhythm.last_day - rhythm.first_day + policy.portfolio_gap_days) / rhythm.order_days


def lost_silence_days(gap_days: float, policy: Churn) -> int:
    """Give the silence, in whole days, from which on an account is lost."""
    return math.ceil(max(policy.lost_days, policy.lost_gaps * gap_days))


def assess(rhythm: Rhythm, signals: Signals, previous: ChurnLevel | None, as_of_day: int, policy: Churn) -> Assessed:
    """Assess an account as of a day, which is not before its last order day."""
    gap = own_gap_days(rhythm, policy)
    if gap is None or rhythm.last_day is None:
        return Assessed(None, ChurnLevel.NONE, None, None, policy.horizon_days, ())
    silence = as_of_day - rhythm.last_day
    log_odds = policy.steepness * math.log(max(silence / gap, policy.ratio_min) / policy.even_ratio) + _shift(
        signals, policy
    )
    risk = 1 / (1 + math.exp(max(-_LOG_ODDS_MAX, min(-log_odds, _LOG_ODDS_MAX))))
    if rhythm.order_days == 1:
        level = ChurnLevel.UNPROVEN
    elif silence >= lost_silence_days(gap, policy):
        level = ChurnLevel.LOST
    else:
        level = _level(log_odds, previous, policy)
    horizon = math.ceil(max(policy.horizon_days, policy.horizon_gaps * gap))
    reasons = reasons_of(rhythm, signals, as_of_day, policy)
    return Assessed(round(risk * RISK_ONE), level, silence, gap, horizon, reasons)


def next_edge_day(rhythm: Rhythm, signals: Signals, as_of_day: int, policy: Churn) -> int | None:
    """Give the first day after `as_of_day` on which silence alone may change the level or, by a week, the risk."""
    gap = own_gap_days(rhythm, policy)
    if gap is None or rhythm.last_day is None:
        return None
    lost_day = rhythm.last_day + lost_silence_days(gap, policy)
    if as_of_day >= lost_day:
        return None
    edges = [lost_day, as_of_day + DRIFT_DAYS]
    for share in (policy.medium, policy.high):
        exponent = (_logit(share) - _TOLERANCE - _shift(signals, policy)) / policy.steepness
        silence = gap * policy.even_ratio * math.exp(min(exponent, _LOG_ODDS_MAX))
        if silence < lost_day - rhythm.last_day:
            edges.append(rhythm.last_day + math.ceil(silence))
    return min(edge for edge in edges if edge > as_of_day)


def value_at_stake_minor(risk: int | None, revenue_minor: int, profit_minor: int | None, policy: Churn) -> int | None:
    """Risk times the profit of the longest window, or times the policy's margin on its revenue; minor units."""
    if risk is None:
        return None
    worth = profit_minor if profit_minor is not None else revenue_minor * policy.margin
    return round(risk * max(0, worth) / RISK_ONE)


def _shift(signals: Signals, policy: Churn) -> float:
    return (
        signals.severe_tickets * policy.severe_ticket_log_odds
        + signals.breaches * policy.sla_breach_log_odds
        + signals.complaints * policy.complaint_log_odds
    )


def _level(log_odds: float, previous: ChurnLevel | None, policy: Churn) -> ChurnLevel:
    def reached(share: float, *, holding: bool) -> bool:
        return log_odds >= _logit(share - (policy.hysteresis if holding else 0)) - _TOLERANCE

    if reached(policy.high, holding=previous is ChurnLevel.HIGH):
        return ChurnLevel.HIGH
    if reached(policy.medium, holding=previous in {ChurnLevel.MEDIUM, ChurnLevel.HIGH}):
        return ChurnLevel.MEDIUM
    return ChurnLevel.LOW


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def reasons_of(rhythm: Rhythm, signals: Signals, as_of_day: int, policy: Churn) -> tuple[ChurnReason, ...]:
    """Name what speaks for a loss as of a day, in a fixed order."""
    gap = own_gap_days(rhythm, policy)
    if gap is None or rhythm.last_day is None:
        return ()
    overdue = (as_of_day - rhythm.last_day) / gap >= policy.even_ratio
    if not overdue and signals == NO_SIGNALS:
        return ()
    holds = {
        ChurnReason.OVERDUE: overdue,
        ChurnReason.OPEN_SEVERE_TICKET: signals.severe_tickets > 0,
        ChurnReason.SLA_BREACHED: signals.breaches > 0,
        ChurnReason.COMPLAINT: signals.complaints > signals.quality_complaints,
        ChurnReason.QUALITY_COMPLAINT: signals.quality_complaints > 0,
    }
    return tuple(reason for reason, held in holds.items() if held)
