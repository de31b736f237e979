"""The candidates: what each kind of model is fitted on, and how it predicts.

All of them learn from label windows: a day (the cut), what was known of the accounts by then, and which of them stayed
silent for the horizon after it. Predictions are those of the core, account by account, so that what is compared is what
the worker publishes.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, get_args

import numpy as np

from models.churn_model import ChurnModel, Logistic, Parameters, Recency, ReturnCurve
from processors.return_model import compiled
from processors.windows import Rhythm
from stream.calibration.curves import CurveKind, fit_curve
from stream.calibration.history import CalibrationError, Features, Flags, History
from stream.calibration.regression import Regression, Weighting, fit_regression
from stream.calibration.scores import Floats

RECENCY: Final = "recency"
LOGISTIC: Final = "logistic"
CURVES: Final[tuple[CurveKind, ...]] = get_args(CurveKind)
KINDS: Final = (RECENCY, *CURVES, LOGISTIC)

WINDOWS_MAX: Final = 6
"""Label windows that a candidate learns from, at most; together they count as one."""
WINDOW_STEP_DAYS: Final = 30
"""Between their cuts. Several keep the phase of the month or of the quarter from being learned."""
OUTCOME_MIN: Final = 5
"""Accounts of the rarer outcome that a window needs before anything is learned from it."""

PENALTY: Final = 20.0
"""Of the weights of recency and logistic, in accounts."""
CURVE_PENALTY: Final = 5.0
_RECENT_QUANTILE: Final = 0.99
_RISING: Final = Weighting(0.0, None)
_FALLING: Final = Weighting(None, 0.0)
_SLOPE: Final = Weighting(0.25, 10.0, 0.5)
"""Silence counts for something even where a window says otherwise: it then says more about the window."""
_SCALE: Final = Weighting(0.1, 10.0, 1.0)


class LabelledWindow(NamedTuple):
    """Accounts as of a cut, and which of them stayed silent for the horizon after it."""

    features: Features
    silent: Flags

    @property
    def rarer(self) -> int:
        """Accounts of the rarer outcome."""
        silent = int(self.silent.sum())
        return min(silent, len(self.silent) - silent)

    @property
    def usable(self) -> bool:
        """Whether anything can be learned from it."""
        return self.rarer >= OUTCOME_MIN


def labelled(history: History, cut_day: int, horizon_days: int) -> LabelledWindow:
    """Look at a cut and the horizon after it, which must be within the history."""
    features = history.features(cut_day)
    return LabelledWindow(features, history.silent(features, horizon_days))


def training_windows(history: History, last_cut_day: int, horizon_days: int) -> list[LabelledWindow]:
    """Give the label windows that end with a cut: those before which at least a horizon of history lies.

    Raises:
        CalibrationError: if in none of them enough accounts stayed silent and enough ordered.
    """
    cuts = (last_cut_day - number * WINDOW_STEP_DAYS for number in range(WINDOWS_MAX))
    long_enough = [cut for cut in cuts if cut - history.first_day + 1 >= horizon_days]
    windows = [labelled(history, cut, horizon_days) for cut in long_enough or [last_cut_day]]
    usable = [one for one in windows if one.usable]
    if not usable:
        raise CalibrationError(
            f"within {horizon_days} days, fewer than {OUTCOME_MIN} accounts stayed silent or fewer than {OUTCOME_MIN} "
            "ordered: there is nothing to learn from"
        )
    return usable


def fit_candidate(
    kind: str, windows: Sequence[LabelledWindow], horizon_days: int, gap_days: float, known: Features
) -> ChurnModel:
    """Fit one kind on label windows.

    Args:
        kind: one of `KINDS`.
        windows: latest first.
        horizon_days: of the windows, and of the model.
        gap_days: the portfolio's mean gap.
        known: the accounts as of the last day that may be known; a curve is fitted to them, without any label.
    """
    if kind == LOGISTIC:
        return model_of(_logistic(windows, gap_days), horizon_days, gap_days)
    if kind == RECENCY:
        columns = np.concatenate([np.log1p(one.features.silence) for one in windows])
        fitted = _fit(columns[:, np.newaxis], windows, [_SLOPE], PENALTY)
        return model_of(Recency(intercept=fitted.intercept, slope=fitted.weights[0]), horizon_days, gap_days)
    curve = fit_curve(_curve_kind(kind), known)
    return model_of(_scaled_curve(curve, windows, horizon_days, gap_days), horizon_days, gap_days)


def model_of(parameters: Parameters, horizon_days: int, gap_days: float) -> ChurnModel:
    """Make a model that only predicts: nothing is said about how it was found."""
    return ChurnModel(calibrated=False, horizon_days=horizon_days, portfolio_gap_days=gap_days, parameters=parameters)


def log_odds(model: ChurnModel, features: Features) -> Floats:
    """Predict each account by the core's own function."""
    predict = compiled(model).log_odds
    rows = zip(
        features.order_days.tolist(),
        features.first_day.tolist(),
        features.last_day.tolist(),
        features.recent[0].tolist(),
        features.recent[1].tolist(),
        strict=True,
    )
    day = features.day
    return np.fromiter(
        (predict(Rhythm(orders, first, last), (short, long), day) for orders, first, last, short, long in rows),
        np.float64,
        len(features),
    )


def _curve_kind(kind: str) -> CurveKind:
    return next(one for one in CURVES if one == kind)


def _fit(
    columns: Floats,
    windows: Sequence[LabelledWindow],
    known: Sequence[Weighting],
    penalty: float,
    *,
    standardised: bool = False,
) -> Regression:
    # The windows overlap: together they count as one.
    importance = np.concatenate([np.full(len(one.features), 1 / len(windows)) for one in windows])
    happened = np.concatenate([one.silent for one in windows])
    return fit_regression(columns, happened, importance, known, penalty, standardised=standardised)


def _scaled_curve(
    curve: ReturnCurve, windows: Sequence[LabelledWindow], horizon_days: int, gap_days: float
) -> ReturnCurve:
    """Scale a curve to what became of accounts, as it would have been fitted at the latest of the cuts."""
    then = fit_curve(curve.kind, windows[0].features)
    model = model_of(then, horizon_days, gap_days)
    columns = np.concatenate([log_odds(model, one.features) for one in windows])
    fitted = _fit(columns[:, np.newaxis], windows, [_SCALE], CURVE_PENALTY)
    return curve.model_copy(update={"shift": fitted.intercept, "scale": fitted.weights[0]})


def _logistic(windows: Sequence[LabelledWindow], gap_days: float) -> Logistic:
    short, long = (
        np.concatenate([one.features.recent[number] for one in windows]).astype(np.float64) for number in (0, 1)
    )
    most = tuple(max(1, int(np.ceil(np.quantile(one, _RECENT_QUANTILE)))) for one in (short, long))
    logs = np.concatenate([_logs(one.features, gap_days) for one in windows])
    columns = np.column_stack([logs, np.minimum(short, most[0]), np.minimum(long, most[1])])
    known = [_FALLING, _RISING, _RISING, _RISING, _FALLING, _FALLING]
    fitted = _fit(columns, windows, known, PENALTY, standardised=True)
    orders, share, age, overdue, recent_short, recent_long = fitted.weights
    return Logistic(
        intercept=fitted.intercept,
        log_orders=orders,
        log_silence=share,
        log_age=age - share,
        log_overdue=overdue,
        recent_weights=(recent_short, recent_long),
        recent_most=(most[0], most[1]),
    )


def _logs(features: Features, gap_days: float) -> Floats:
    """Logarithms of orders, silence over age, age, and silence over the own gap.

    Weights of the second and the third that are not below 0 make a risk that never falls while an account is silent.
    """
    silence, age = np.log1p(features.silence), np.log1p(features.age)
    own_gap = (features.last_day - features.first_day + gap_days) / features.order_days
    return np.column_stack([np.log(features.order_days), silence - age, age, np.log1p(features.silence / own_gap)])
