"""Maximum-likelihood fits of BG/NBD and MBG/NBD to order days.

Both say that an active customer orders at a rate λ of its own, gamma distributed over customers (r, α), and is lost
after an order with a chance p of its own, beta distributed (a, b). Under BG/NBD a customer can be lost only after a
repeat, so that everyone with one order is alive; under MBG/NBD also after the first.

Sources: Fader, Hardie & Lee (2005), Marketing Science 24(2), equation 6, and their note on the numerical stability of
its two terms; Batislam, Denizel & Filiztekin (2007), International Journal of Research in Marketing 24(3).
"""

from typing import Final, Literal, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln, psi

from models.churn_model import ReturnCurve
from stream.calibration.history import Features
from stream.calibration.scores import Floats

CurveKind = Literal["bg_nbd", "mbg_nbd"]

DAYS_PER_UNIT: Final = 7
"""Time is in weeks while fitting: the scale of α, and so of its penalty, is that of the literature."""
PENALTY_BELOW_ACCOUNTS: Final = 200
"""Below so many accounts the likelihood alone is unsafe."""
_LOG_BOUND: Final = 7.0
"""Parameters lie between e^-7 and e^7; a fit that runs to an end has no maximum inside."""
_EDGE: Final = 0.01
_STARTS: Final = ((0.0, 0.0, 0.0, 0.0), (-1.0, 1.5, 0.0, 1.0), (0.5, 2.5, -1.0, 1.0))


class Fitted(NamedTuple):
    """A fit: parameters in the units of its data, its log-likelihood, and whether it was penalised."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    penalised: bool


def fit_curve(kind: CurveKind, features: Features) -> ReturnCurve:
    """Fit a curve to all that is known as of the day of the features."""
    repeats, last, age = (
        one.astype(np.float64)
        for one in (features.order_days - 1, features.last_day - features.first_day, features.age)
    )
    fitted = fit(kind, repeats, last / DAYS_PER_UNIT, age / DAYS_PER_UNIT)
    return ReturnCurve(kind=kind, r=fitted.r, alpha_days=fitted.alpha * DAYS_PER_UNIT, a=fitted.a, b=fitted.b)


def fit(kind: CurveKind, repeats: Floats, last: Floats, age: Floats) -> Fitted:
    """Fit by maximum likelihood; with a penalty of (2/n) Σ log² on the mean where that has no safe maximum.

    Args:
        kind: which model.
        repeats: order days after the first of each customer.
        last: time from the first to the last, in any unit.
        age: time from the first to the end, in the same unit.
    """
    rows, numbers = np.unique(np.column_stack([repeats, last, age]), axis=0, return_counts=True)
    counts = numbers.astype(np.float64)
    likelihood = _Likelihood(kind, *rows.T)
    customers = len(repeats)
    if customers >= PENALTY_BELOW_ACCOUNTS:
        best = _minimum(likelihood, counts, penalty=0.0)
        if np.all(np.abs(best) < _LOG_BOUND - _EDGE):
            return _fitted(best, likelihood, counts, penalised=False)
    best = _minimum(likelihood, counts, penalty=2.0 / customers)
    return _fitted(best, likelihood, counts, penalised=True)


def log_likelihoods(
    kind: CurveKind, parameters: tuple[float, float, float, float], repeats: Floats, last: Floats, age: Floats
) -> Floats:
    """Log-likelihood of each customer, given r, α, a, b.

    >>> published = (0.25, 4.0, 0.8, 2.5)
    >>> found = log_likelihoods("bg_nbd", published, np.array([0.0, 200]), np.array([0.0, 38]), np.array([40.0, 40]))
    >>> found.round(4).tolist()
    [-0.5995, 100.7957]
    """
    values, _ = _Likelihood(kind, repeats, last, age)(np.log(parameters))
    return values


class _Likelihood:
    """Log-likelihood of each row and its gradient, as a function of the parameters' logarithms."""

    def __init__(self, kind: CurveKind, repeats: Floats, last: Floats, age: Floats) -> None:
        self._x = repeats
        self._last = last
        self._age = age
        # Orders after which a customer may have been lost: all under MBG/NBD, the repeats under BG/NBD.
        self._chances = repeats + 1 if kind == "mbg_nbd" else repeats
        self._may_be_lost = self._chances > 0

    def __call__(self, logs: Floats) -> tuple[Floats, Floats]:
        r, alpha, a, b = np.exp(logs)
        x, chances = self._x, self._chances
        # Without a chance to be lost the second term is absent; any finite number stands in for it.
        spent = np.where(self._may_be_lost, chances, 1.0)
        common = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - betaln(a, b)
        alive = betaln(a, b + chances) - (r + x) * np.log(alpha + self._age)
        lost = betaln(a + 1, b + spent - 1) - (r + x) * np.log(alpha + self._last)
        lost = np.where(self._may_be_lost, lost, -np.inf)
        values = common + np.logaddexp(alive, lost)
        share = expit(lost - alive)
        both = psi(a + b + chances)
        by_r = (
            psi(r + x)
            - psi(r)
            + np.log(alpha)
            - (1 - share) * np.log(alpha + self._age)
            - share * np.log(alpha + self._last)
        )
        by_alpha = r / alpha - (r + x) * ((1 - share) / (alpha + self._age) + share / (alpha + self._last))
        by_a = psi(a + b) - both + (1 - share) * psi(a) + share * psi(a + 1) - psi(a)
        by_b = psi(a + b) - both + (1 - share) * psi(b + chances) + share * psi(b + spent - 1) - psi(b)
        return values, np.stack([by_r * r, by_alpha * alpha, by_a * a, by_b * b])


def _minimum(likelihood: _Likelihood, counts: Floats, penalty: float) -> Floats:
    total = counts.sum()

    def loss(logs: Floats) -> tuple[float, Floats]:
        values, gradients = likelihood(logs)
        value = -float(values @ counts) / total + penalty * float(logs @ logs)
        return value, -(gradients @ counts) / total + 2 * penalty * logs

    found = [
        minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-_LOG_BOUND, _LOG_BOUND)] * 4,
            options={"ftol": 1e-13, "gtol": 1e-9, "maxiter": 1000},
        )
        for start in _STARTS
    ]
    best: Floats = min(found, key=lambda one: float(one.fun)).x
    return best


def _fitted(logs: Floats, likelihood: _Likelihood, counts: Floats, *, penalised: bool) -> Fitted:
    values, _ = likelihood(logs)
    r, alpha, a, b = np.exp(logs).tolist()
    return Fitted(r, alpha, a, b, float(values @ counts), penalised)
