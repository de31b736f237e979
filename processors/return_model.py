"""The risk that an account does not order again, by a churn model, from its order days.

A model is compiled once into plain numbers; one prediction is a few logarithms. Call it so:

    predictor = compiled(model)                                   # once, with the policy
    base = log_odds(predictor, state, rhythm, day)                # None without an order
    risk = probability(base + what support signals add)           # 0 to 1
    due = crossing_day(predictor, state, rhythm, day, bounds, last_day)

The risk never falls while an account is silent, so the day on which it crosses a bound is found by halving.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, Protocol, assert_never

from models.churn_model import RECENT_DAYS, ChurnModel, Logistic, Recency, ReturnCurve
from models.state import AccountState
from processors.windows import Rhythm

LOG_ODDS_MAX: Final = 500.0
"""Log-odds are held within ± this, where the exponential function is finite and the risk is 0 or 1 long since."""
_ODDS_MIN: Final = math.exp(-LOG_ODDS_MAX)
_SHORT_DAYS, _LONG_DAYS = RECENT_DAYS
_is_positive: Final = (0).__lt__


class Predictor(Protocol):
    """A compiled model."""

    needs_recent: bool
    """Whether the counts of recent order days matter; where they do not, 0 may be passed."""

    def log_odds(self, rhythm: Rhythm, recent: tuple[int, int], day: int) -> float:
        """Give the log-odds of no order within the horizon, within ± `LOG_ODDS_MAX`.

        Args:
            rhythm: of an account with one order day at least.
            recent: order days in the last 90 and 180 days as of `day`.
            day: not before the last order day.
        """


def compiled(model: ChurnModel) -> Predictor:
    """Prepare a model for prediction."""
    parameters = model.parameters
    match parameters:
        case Recency():
            return _Recency(parameters)
        case ReturnCurve():
            return _ReturnCurve(parameters, model.horizon_days)
        case Logistic():
            return _Logistic(parameters, model.portfolio_gap_days)
    assert_never(parameters)


def log_odds(predictor: Predictor, state: AccountState, rhythm: Rhythm, day: int) -> float | None:
    """Give the log-odds of no order within the model's horizon as of a day; None for an account without an order.

    Args:
        predictor: the compiled model.
        state: whose horizon is `history_days_needed` of the model at least.
        rhythm: of that state.
        day: not before the last day of the state.
    """
    if rhythm.order_days == 0:
        return None
    recent = recent_order_days(state, day) if predictor.needs_recent else (0, 0)
    return predictor.log_odds(rhythm, recent, day)


def crossing_day(  # noqa: PLR0913, PLR0917  # an account, and what is asked about it
    predictor: Predictor, state: AccountState, rhythm: Rhythm, day: int, bounds: Sequence[float], last_day: int
) -> int | None:
    """Give the first day after `day`, up to `last_day`, on which silence takes the log-odds to a bound not yet reached.

    None if that happens on none of them. `bounds` are log-odds without what support signals add. One prediction where
    nothing is crossed, and one more for each halving of the days.
    """
    now = log_odds(predictor, state, rhythm, day)
    if now is None or last_day <= day:
        return None
    bound = min((one for one in bounds if one > now), default=None)
    if bound is None or not _reaches(predictor, state, rhythm, last_day, bound):
        return None
    before, reached = day, last_day
    while reached - before > 1:
        middle = (before + reached) // 2
        if _reaches(predictor, state, rhythm, middle, bound):
            reached = middle
        else:
            before = middle
    return reached


def probability(value: float) -> float:
    """Turn log-odds into a probability, for any finite value.

    >>> probability(0.0), probability(-1e9), probability(1e9)
    (0.5, 0.0, 1.0)
    """
    return 1 / (1 + math.exp(-value)) if value > -LOG_ODDS_MAX else 0.0


def recent_order_days(state: AccountState, day: int) -> tuple[int, int]:
    """Count the days with an order among the last 90 and the last 180, as of a day.

    >>> state = AccountState("A", days=[10, 100, 120], orders=[1, 1, 0])
    >>> recent_order_days(state, 120), recent_order_days(state, 190)
    ((1, 2), (0, 1))
    """
    days, orders = state.days, state.orders
    long_start = bisect_right(days, day - _LONG_DAYS)
    short_start = bisect_right(days, day - _SHORT_DAYS, long_start)
    short = sum(map(_is_positive, orders[short_start:]))
    return short, short + sum(map(_is_positive, orders[long_start:short_start]))


def _reaches(predictor: Predictor, state: AccountState, rhythm: Rhythm, day: int, bound: float) -> bool:
    value = log_odds(predictor, state, rhythm, day)
    return value is not None and value >= bound


def _within(value: float) -> float:
    return max(-LOG_ODDS_MAX, min(value, LOG_ODDS_MAX))


class _Recency:
    __slots__ = ("_intercept", "_slope")
    needs_recent = False

    def __init__(self, recency: Recency) -> None:
        self._intercept = recency.intercept
        self._slope = recency.slope

    def log_odds(self, rhythm: Rhythm, recent: tuple[int, int], day: int) -> float:  # noqa: ARG002  # as the others
        last_day = rhythm.last_day
        assert last_day is not None
        return _within(self._intercept + self._slope * math.log1p(day - last_day))


class _ReturnCurve:
    """The odds of no order: (E + D) / (1 − D), with D = ((α + T) / (α + T + h))^(r + x) and E the odds of being lost.

    E = a / (b + x − 1) × ((α + T) / (α + t))^(r + x) from the first repeat on, else 0, under BG/NBD (t: first to last
    order day), and E = a / (b + x) × the same always, under MBG/NBD.
    """

    __slots__ = ("_alpha", "_b", "_horizon", "_log_a", "_lost_at_once", "_r", "_scale", "_shift")
    needs_recent = False

    def __init__(self, curve: ReturnCurve, horizon_days: int) -> None:
        self._r = curve.r
        self._alpha = curve.alpha_days
        self._log_a = math.log(curve.a)
        # b + n under MBG/NBD, b + n − 1 under BG/NBD, counted from n order days instead of x = n − 1.
        self._lost_at_once = curve.kind == "mbg_nbd"
        self._b = curve.b - (1 if self._lost_at_once else 2)
        self._horizon = horizon_days
        self._shift, self._scale = curve.shift, curve.scale

    def log_odds(self, rhythm: Rhythm, recent: tuple[int, int], day: int) -> float:  # noqa: ARG002  # as the others
        order_days, first_day, last_day = rhythm.order_days, rhythm.first_day, rhythm.last_day
        assert first_day is not None
        assert last_day is not None
        exposure = self._alpha + (day - first_day)
        power = self._r + order_days - 1
        exponent = -power * math.log1p(self._horizon / exposure)
        odds = math.exp(max(exponent, -LOG_ODDS_MAX))
        if order_days > 1 or self._lost_at_once:
            lost = self._log_a - math.log(self._b + order_days)
            lost += power * math.log(exposure / (self._alpha + (last_day - first_day)))
            odds += math.exp(_within(lost))
        silent = math.log(max(odds, _ODDS_MIN)) - math.log(-math.expm1(exponent))
        return _within(self._shift + self._scale * silent)


class _Logistic:
    __slots__ = ("_gap", "_intercept", "_long", "_long_most", "_short", "_short_most", "_weights")
    needs_recent = True

    def __init__(self, logistic: Logistic, portfolio_gap_days: float) -> None:
        self._gap = portfolio_gap_days
        self._intercept = logistic.intercept
        self._weights = (logistic.log_orders, logistic.log_silence, logistic.log_age, logistic.log_overdue)
        self._short, self._long = logistic.recent_weights
        self._short_most, self._long_most = logistic.recent_most

    def log_odds(self, rhythm: Rhythm, recent: tuple[int, int], day: int) -> float:
        order_days, first_day, last_day = rhythm.order_days, rhythm.first_day, rhythm.last_day
        assert first_day is not None
        assert last_day is not None
        orders, silence, age, overdue = self._weights
        short, long = recent
        silent_days = day - last_day
        return _within(
            self._intercept
            + orders * math.log(order_days)
            + silence * math.log1p(silent_days)
            + age * math.log1p(day - first_day)
            + overdue * math.log1p(silent_days * order_days / (last_day - first_day + self._gap))
            + self._short * min(short, self._short_most)
            + self._long * min(long, self._long_most)
        )
