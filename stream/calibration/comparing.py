"""Which candidate is best, judged on accounts or time that it has not seen."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy.special import expit

from stream.calibration.candidates import (
    KINDS,
    RECENCY,
    WINDOW_STEP_DAYS,
    LabelledWindow,
    fit_candidate,
    labelled,
    log_odds,
    training_windows,
)
from stream.calibration.history import CalibrationError, History
from stream.calibration.scores import Bin, Floats, Scores, reliability, scores

Protocol = Literal["later_windows", "cross_validation", "cross_validation_shifted"]

FOLDS: Final = 5
LATER_WINDOWS: Final = (2, 3)
"""Fewest and most windows that candidates are judged on; one alone may be an unusual one."""
AUC_TOLERANCE: Final = 0.01
"""A candidate that ranks accounts worse than recency alone by more than this never wins.

In a cross-validation it may not rank worse at all: that says nothing of the time that follows.
"""
OUTCOMES_MIN: Final = 30
"""Accounts of the rarer outcome, in the mean window, from which on another kind than recency may be chosen.

Five for each of the six weights of the logistic model: Vittinghoff & McCulloch (2007), American Journal of Epidemiology
165(6). Of a curve only level and slope are learned from outcomes, but on fewer its rank is luck: judged on 20 silent
resellers in their second year, a curve was ahead of recency by 0.15 of AUC, and came out behind it by 0.2.
"""
_EVEN: Final = 0.5
_ABOUT: Final = 0.7


class Judged(NamedTuple):
    """How all candidates did."""

    protocol: Protocol
    horizon_days: int
    """Of the windows: shorter than was asked for where the history is."""
    windows: tuple[LabelledWindow, ...]
    scores: Mapping[str, Scores]
    """By kind: means over the windows."""
    reliability: Mapping[str, Sequence[Bin]]
    """By kind, over all windows."""


def judge(history: History, horizon_days: int) -> Judged:
    """Judge all candidates.

    On windows later than those that a candidate learned from, where the history holds two of them thirty days apart:
    that takes three horizons and thirty days. Else by cross-validation over accounts on the last full window; where the
    history is shorter than two horizons, on a window of half its length.

    Raises:
        CalibrationError: if too little happened in the windows.
    """
    horizon = min(horizon_days, history.span_days // 2)
    last_cut = history.until_day - horizon
    if horizon == horizon_days:
        later = _later_windows(history, horizon)
        if len(later) >= LATER_WINDOWS[0]:
            return _on_later_windows(history, horizon, later)
    window = training_windows(history, last_cut, horizon)[0]
    return _by_cross_validation(
        history,
        window,
        horizon,
        "cross_validation" if horizon == horizon_days else "cross_validation_shifted",
    )


def winner(judged: Judged, gap_days: float) -> str:
    """Choose the kind with the least log-loss of those that rank accounts about as well as recency alone, or better.

    A kind is left out where too few accounts stayed silent, or ordered, for what it learns. Recency is kept where it
    ranks accounts worse than chance although the horizon is about as long as the mean gap between order days: what
    happened in the windows is then unlike what comes after them.
    """
    least = judged.scores[RECENCY].auc
    if least < _EVEN and judged.horizon_days >= _ABOUT * gap_days:
        return RECENCY
    tolerated = AUC_TOLERANCE if judged.protocol == "later_windows" else 0.0
    outcomes = float(np.mean([one.rarer for one in judged.windows]))
    eligible = [
        kind
        for kind, one in judged.scores.items()
        if kind == RECENCY or (one.auc >= least - tolerated and outcomes >= OUTCOMES_MIN)
    ]
    return min(eligible, key=lambda kind: judged.scores[kind].log_loss)


def _later_windows(history: History, horizon: int) -> list[LabelledWindow]:
    """Windows before which at least two horizons of history lie: one to learn from, and one before that."""
    last_cut = history.until_day - horizon
    cuts = (last_cut - number * WINDOW_STEP_DAYS for number in range(LATER_WINDOWS[1]))
    windows = [labelled(history, cut, horizon) for cut in cuts if cut - history.first_day + 1 >= 2 * horizon]
    return [one for one in windows if one.usable]


def _on_later_windows(history: History, horizon: int, windows: Sequence[LabelledWindow]) -> Judged:
    risks: dict[str, list[Floats]] = {kind: [] for kind in KINDS}
    for window in windows:
        cut = window.features.day
        learned = training_windows(history, cut - horizon, horizon)
        gap_days = history.portfolio_gap_days(cut)
        for kind in KINDS:
            model = fit_candidate(kind, learned, horizon, gap_days, window.features)
            risks[kind].append(expit(log_odds(model, window.features)))
    return _judged("later_windows", horizon, windows, risks)


def _by_cross_validation(history: History, window: LabelledWindow, horizon: int, protocol: Protocol) -> Judged:
    # By a hash of the account, so that an account's fold does not depend on who else is there.
    folds = np.array([zlib.crc32(history.account_ids[one].encode()) % FOLDS for one in window.features.accounts])
    gap_days = history.portfolio_gap_days(window.features.day)
    risks = {kind: np.zeros(len(folds)) for kind in KINDS}
    for fold in range(FOLDS):
        held_out = folds == fold
        learned = LabelledWindow(window.features.where(~held_out), window.silent[~held_out])
        if not learned.usable:
            raise CalibrationError("too few accounts for a cross-validation")
        tried = window.features.where(held_out)
        for kind in KINDS:
            model = fit_candidate(kind, [learned], horizon, gap_days, learned.features)
            risks[kind][held_out] = expit(log_odds(model, tried))
    return _judged(protocol, horizon, [window], {kind: [one] for kind, one in risks.items()})


def _judged(
    protocol: Protocol, horizon: int, windows: Sequence[LabelledWindow], risks: Mapping[str, Sequence[Floats]]
) -> Judged:
    silent = np.concatenate([one.silent for one in windows])
    return Judged(
        protocol,
        horizon,
        tuple(windows),
        {
            kind: Scores(
                *np.mean([scores(one.silent, risk) for one, risk in zip(windows, found, strict=True)], axis=0).tolist()
            )
            for kind, found in risks.items()
        },
        {kind: reliability(silent, np.concatenate(found)) for kind, found in risks.items()},
    )
