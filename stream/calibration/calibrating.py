"""From a history to the churn model that fits it best."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from threadpoolctl import threadpool_limits

from models.churn_model import (
    Candidate,
    ChurnModel,
    Comparison,
    FittedOn,
    LabelWindow,
    Logistic,
    Recency,
    ReliabilityBin,
    ReturnCurve,
)
from processors.context import date_of
from stream.calibration.candidates import LabelledWindow, fit_candidate, log_odds, model_of, training_windows
from stream.calibration.comparing import Judged, judge, winner
from stream.calibration.curves import fit_curve
from stream.calibration.history import CalibrationError, History

SPAN_DAYS_MIN: Final = 56
"""Shortest history that anything is learned from: half of it before a cut, half of it after."""
ACCOUNTS_MIN: Final = 20
_SHIFT_MAX: Final = 50.0
_SHARE_MIN: Final = 1e-6
_TEXT_CHARACTERS_MAX: Final = 200
_FILES_MAX: Final = 1000


class Source(NamedTuple):
    """Where a history comes from."""

    files: Sequence[str]
    events: int
    time_zone: str


def calibrate(history: History, horizon_days: int, source: Source) -> ChurnModel:
    """Fit all candidates, compare them, and fit the best again on the latest full windows.

    Nothing after `history.until_day` is used, as it is not in the history.

    Args:
        history: order days of all accounts.
        horizon_days: the model's risk is that of no order within as many days.
        source: is written into the model.

    Raises:
        CalibrationError: if the history is too short, or too little happened in it.
    """
    # The arrays are small: threads of the linear algebra would only wait for each other.
    with threadpool_limits(limits=1, user_api="blas"):
        return _calibrate(history, horizon_days, source)


def _calibrate(history: History, horizon_days: int, source: Source) -> ChurnModel:
    if history.span_days < SPAN_DAYS_MIN:
        raise CalibrationError(f"{history.span_days} days of history: at least {SPAN_DAYS_MIN} are needed")
    if len(history) < ACCOUNTS_MIN:
        raise CalibrationError(f"{len(history)} accounts with an order: at least {ACCOUNTS_MIN} are needed")
    judged = judge(history, horizon_days)
    gap_days = history.portfolio_gap_days(history.until_day)
    kind = winner(judged, gap_days)
    known = history.features(history.until_day)
    windows = training_windows(history, history.until_day - judged.horizon_days, judged.horizon_days)
    model = fit_candidate(kind, windows, judged.horizon_days, gap_days, known)
    if judged.horizon_days != horizon_days:
        model = _lengthened(model, horizon_days, history)
    return ChurnModel(
        calibrated=True,
        horizon_days=horizon_days,
        portfolio_gap_days=gap_days,
        parameters=model.parameters,
        fitted_on=FittedOn(
            files=tuple(one[:_TEXT_CHARACTERS_MAX] for one in source.files[:_FILES_MAX]),
            events=source.events,
            accounts=len(history),
            first_order=date_of(history.first_day),
            until=date_of(history.until_day),
            time_zone=source.time_zone,
            windows=_described(windows, judged.horizon_days),
        ),
        comparison=_comparison(judged, kind),
    )


def _lengthened(model: ChurnModel, horizon_days: int, history: History) -> ChurnModel:
    """Shift a model of a shorter horizon to the mean risk that an MBG/NBD curve gives for the longer one."""
    known, gap_days = history.features(history.until_day), model.portfolio_gap_days
    curve = model_of(fit_curve("mbg_nbd", known), horizon_days, gap_days)
    mean = float(np.clip(expit(log_odds(curve, known)).mean(), _SHARE_MIN, 1 - _SHARE_MIN))
    found = log_odds(model_of(model.parameters, horizon_days, gap_days), known)
    shift = float(brentq(lambda one: float(expit(found + one).mean()) - mean, -_SHIFT_MAX, _SHIFT_MAX))
    return model_of(_shifted(model, shift), horizon_days, gap_days)


def _shifted(model: ChurnModel, shift: float) -> Recency | ReturnCurve | Logistic:
    parameters = model.parameters
    match parameters:
        case ReturnCurve():
            return parameters.model_copy(update={"shift": parameters.shift + shift})
        case Recency() | Logistic():
            return parameters.model_copy(update={"intercept": parameters.intercept + shift})
        case _:
            raise AssertionError("what was fitted is no declared rule")


def _described(windows: Sequence[LabelledWindow], horizon_days: int) -> tuple[LabelWindow, ...]:
    return tuple(
        LabelWindow(
            cut=date_of(one.features.day),
            horizon_days=horizon_days,
            accounts=len(one.features),
            silent=int(one.silent.sum()),
        )
        for one in windows
    )


def _comparison(judged: Judged, kind: str) -> Comparison:
    return Comparison(
        protocol=judged.protocol,
        windows=_described(judged.windows, judged.horizon_days),
        candidates=tuple(Candidate(kind=one, **figures._asdict()) for one, figures in judged.scores.items()),
        reliability=tuple(ReliabilityBin(**one._asdict()) for one in judged.reliability[kind]),
    )
