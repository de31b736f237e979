"""How good predicted risks are: discrimination, and agreement with what happened."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.calibration.history import Flags

Floats = NDArray[np.float64]

BINS: Final = 10
_SHARE_MIN: Final = 1e-6
"""A risk of exactly 0 or 1 that turned out wrong must not make a log-loss infinite."""


class Scores(NamedTuple):
    """Four figures; of the AUC more is better, of the others less."""

    auc: float
    """Chance that of two accounts, one silent and one not, the silent one had the higher risk; ties count half."""
    brier: float
    log_loss: float
    calibration_error: float
    """Mean distance between predicted and observed share over the bins, weighted by their accounts."""


class Bin(NamedTuple):
    """Accounts of similar risk: how many, their mean risk, and the share that stayed silent."""

    accounts: int
    predicted: float
    observed: float


def scores(silent: Flags, risks: Floats) -> Scores:
    """Score risks against what happened.

    >>> scores(np.array([False, True, True]), np.array([0.2, 0.9, 0.1])).auc
    0.5
    """
    happened = silent.astype(np.float64)
    bounded = np.clip(risks, _SHARE_MIN, 1 - _SHARE_MIN)
    bins = reliability(silent, risks)
    return Scores(
        auc=auc(silent, risks),
        brier=float(np.mean((risks - happened) ** 2)),
        log_loss=float(-np.mean(np.where(silent, np.log(bounded), np.log1p(-bounded)))),
        calibration_error=sum(one.accounts * abs(one.predicted - one.observed) for one in bins) / len(risks),
    )


def auc(silent: Flags, risks: Floats) -> float:
    """Area under the receiver operating characteristic; 0.5 where all accounts did the same.

    The Mann-Whitney statistic over its maximum (Hanley & McNeil 1982).
    """
    positives = int(silent.sum())
    negatives = len(silent) - positives
    if positives == 0 or negatives == 0:
        return 0.5
    _, places, counts = np.unique(risks, return_inverse=True, return_counts=True)
    # Equal risks share the mean of their ranks.
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return float((ranks[silent].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def reliability(silent: Flags, risks: Floats) -> list[Bin]:
    """Sort accounts into ten bins of equal width by their risk; empty bins are left out.

    >>> reliability(np.array([False, True]), np.array([0.05, 1.0]))
    [Bin(accounts=1, predicted=0.05, observed=0.0), Bin(accounts=1, predicted=1.0, observed=1.0)]
    """
    places = np.minimum((risks * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    predicted = np.bincount(places, risks, minlength=BINS)
    observed = np.bincount(places, silent.astype(np.float64), minlength=BINS)
    return [
        Bin(int(count), float(risk / count), float(share / count))
        for count, risk, share in zip(counts, predicted, observed, strict=True)
        if count
    ]
