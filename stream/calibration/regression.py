"""Logistic regression with signs that are known beforehand, shrunk to what is expected without data."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from stream.calibration.history import Flags
from stream.calibration.scores import Floats

_LOG_ODDS_MAX: Final = 100.0


class Weighting(NamedTuple):
    """What is known of one column's weight: where it may lie, and where it lies without data."""

    low: float | None
    high: float | None
    expected: float = 0.0


class Regression(NamedTuple):
    """Log-odds = intercept + columns · weights."""

    intercept: float
    weights: tuple[float, ...]


def fit_regression(  # noqa: PLR0913  # the data are three arrays
    columns: Floats,
    happened: Flags,
    importance: Floats,
    known: Sequence[Weighting],
    penalty: float,
    *,
    standardised: bool,
) -> Regression:
    """Fit by penalised maximum likelihood: Σ importance × log-loss + penalty / 2 × Σ (weight − expected)².

    Args:
        columns: one row for each observation.
        happened: what is to be predicted.
        importance: how much each row counts.
        known: of each column's weight.
        penalty: in observations of importance 1; the intercept has none.
        standardised: whether columns are first scaled to a standard deviation of 1, so that all are shrunk alike.
    """
    centre = columns.mean(axis=0) if standardised else np.zeros(columns.shape[1])
    scale = columns.std(axis=0) if standardised else np.ones(columns.shape[1])
    scale = np.where(scale > 0, scale, 1.0)
    design = np.column_stack([np.ones(len(columns)), (columns - centre) / scale])
    target = happened.astype(np.float64)
    expected = np.concatenate([[0.0], [one.expected for one in known] * scale])
    shrunk = np.full(len(expected), penalty)
    shrunk[0] = 0.0
    total = importance.sum()

    def loss(weights: Floats) -> tuple[float, Floats]:
        log_odds = design @ weights
        away = weights - expected
        value = importance @ (np.logaddexp(0, log_odds) - target * log_odds) + shrunk @ away**2 / 2
        gradient = design.T @ (importance * (expit(log_odds) - target)) + shrunk * away
        return float(value / total), gradient / total

    found = minimize(
        loss,
        expected,
        jac=True,
        method="L-BFGS-B",
        # Signs are those of the unscaled weights, as a scale is above 0.
        bounds=[
            (-_LOG_ODDS_MAX, _LOG_ODDS_MAX),
            *((_scaled(one.low, by), _scaled(one.high, by)) for one, by in zip(known, scale, strict=True)),
        ],
        options={"ftol": 1e-12, "gtol": 1e-8, "maxiter": 1000},
    )
    weights = found.x[1:] / scale
    return Regression(float(found.x[0] - weights @ centre), tuple(weights.tolist()))


def _scaled(bound: float | None, by: float) -> float | None:
    return None if bound is None else bound * by
