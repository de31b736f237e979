"""Fits find what data were made of, keep the signs that are known, and are safe where there is little to learn from."""

from typing import Final

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import expit

from models.churn_model import Logistic, Recency, ReturnCurve
from stream.calibration.candidates import KINDS, fit_candidate, labelled, log_odds
from stream.calibration.curves import CurveKind, _Likelihood, fit
from stream.calibration.history import History
from stream.calibration.regression import Weighting, fit_regression

FREE: Final = Weighting(None, None)


def _data(weights: list[float], rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(1)
    columns = generator.normal(size=(rows, len(weights) - 1)) * [3.0, 0.1][: len(weights) - 1] + 5
    happened = generator.random(rows) < expit(weights[0] + columns @ np.array(weights[1:]))
    return columns, happened


def test_a_regression_finds_the_weights_of_its_data() -> None:
    """Also of columns of different scales, none of them centred."""
    columns, happened = _data([2.0, 0.5, -1.0])

    found = fit_regression(columns, happened, np.ones(len(columns)), [FREE, FREE], 1.0, standardised=True)

    assert found.weights == pytest.approx((0.5, -1.0), rel=0.2)


def test_a_sign_that_is_known_holds() -> None:
    """A weight that the data would turn is 0, and the others make the best of it."""
    columns, happened = _data([2.0, 0.5, -1.0])

    found = fit_regression(
        columns, happened, np.ones(len(columns)), [Weighting(None, 0.0), FREE], 1.0, standardised=True
    )

    assert found.weights[0] == 0
    assert found.weights[1] < 0


def test_without_data_a_weight_is_what_is_expected() -> None:
    """A penalty that outweighs the data leaves the expectation; importance outweighs a penalty."""
    columns, happened = _data([0.0, 0.5], rows=100)
    known = [Weighting(None, None, expected=2.0)]

    shrunk = fit_regression(columns, happened, np.full(100, 1e-6), known, 1e3, standardised=False)
    followed = fit_regression(columns, happened, np.full(100, 1e6), known, 1e3, standardised=False)

    assert shrunk.weights[0] == pytest.approx(2.0, abs=1e-3)
    assert followed.weights[0] < 1.5


@pytest.mark.parametrize("kind", ["bg_nbd", "mbg_nbd"])
@pytest.mark.parametrize("logs", [[0.0, 0.0, 0.0, 0.0], [-1.4, 1.5, -0.2, 0.9], [2.0, 4.0, -3.0, 3.0]])
def test_the_gradient_is_that_of_the_likelihood(kind: CurveKind, logs: list[float]) -> None:
    """Against differences of the likelihood itself, with and without repeats."""
    repeats, last, age = np.array([0.0, 1, 3, 40]), np.array([0.0, 2, 9, 38]), np.array([30.0, 30, 10, 39])
    likelihood = _Likelihood(kind, repeats, last, age)

    difference = check_grad(
        lambda point: likelihood(point)[0].sum(), lambda point: likelihood(point)[1].sum(axis=1), np.array(logs)
    )

    assert difference < 1e-4


@pytest.mark.parametrize("kind", ["bg_nbd", "mbg_nbd"])
def test_a_curve_is_penalised_where_the_likelihood_is_unsafe(kind: CurveKind) -> None:
    """Few customers, or ones so regular that no maximum lies inside: parameters stay in reach all the same."""
    few = fit(kind, np.array([0.0, 3, 5]), np.array([0.0, 20, 28]), np.array([30.0, 30, 30]))
    regular = fit(kind, np.full(500, 10.0), np.full(500, 50.0), np.full(500, 52.0))

    for found in (few, regular):
        assert found.penalised
        assert all(1e-2 < one < 1e3 for one in (found.r, found.alpha, found.a, found.b))


def _company() -> History:
    """Half of 400 accounts order about monthly for two years, the others stop somewhere."""
    generator = np.random.default_rng(7)
    days: dict[str, list[int]] = {}
    for number in range(400):
        end = 730 if number % 2 else int(generator.integers(30, 730))
        gaps = generator.exponential(30, size=60) + 1
        ordered = np.cumsum(gaps) + generator.integers(0, 60)
        days[f"A{number}"] = [int(day) for day in ordered if day < end] or [0]
    return History(days, 730)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_who_stopped(kind: str) -> None:
    """On the accounts of a later day, far better than chance, and with the risks about right."""
    history = _company()
    window, later = labelled(history, 500, 90), labelled(history, 640, 90)

    model = fit_candidate(kind, [window], 90, history.portfolio_gap_days(590), history.features(590))
    risks = expit(log_odds(model, later.features))

    assert isinstance(model.parameters, Recency | ReturnCurve | Logistic)
    assert risks[later.silent].mean() - risks[~later.silent].mean() > 0.5
    assert risks.mean() == pytest.approx(later.silent.mean(), abs=0.1)
