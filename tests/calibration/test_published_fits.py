"""BG/NBD and MBG/NBD on the CDNOW sample give what was published, to its digits."""

from datetime import date
from typing import Final

import numpy as np
import pytest
from scipy.special import hyp2f1

from models.churn_model import ReturnCurve
from models.policy import Policy
from processors.context import Context
from stream.calibration.curves import DAYS_PER_UNIT, CurveKind, Fitted, fit, fit_curve, log_likelihoods
from stream.calibration.history import Features, read_history
from tests.calibration import reference
from tests.calibration.conftest import EventsFile
from tests.support.tables import Row, table

UTC: Final = Context(Policy(reporting_currency="USD"))
CALIBRATED_TO: Final = date(1997, 9, 30)


@pytest.fixture(scope="module")
def cdnow(events_file: EventsFile) -> Features:
    """The sample's customers at the end of the calibration period, orders of one day taken together."""
    history = read_history([events_file("CDNOW sample")], UTC, 0, CALIBRATED_TO).history
    return history.features(history.until_day)


def _fitted(kind: CurveKind, cdnow: Features) -> Fitted:
    repeats, last, age = (
        one.astype(np.float64) for one in (cdnow.order_days - 1, cdnow.last_day - cdnow.first_day, cdnow.age)
    )
    return fit(kind, repeats, last / DAYS_PER_UNIT, age / DAYS_PER_UNIT)


def test_the_calibration_sample_is_the_published_one(cdnow: Features) -> None:
    """Fader, Hardie & Lee (2005): 2,357 customers."""
    assert len(cdnow) == 2357


@table("""
| kind    | r      | alpha | a     | b     | log-likelihood |
| bg_nbd  | 0.2426 | 4.414 | 0.793 | 2.426 | -9582.43       |
| mbg_nbd | 0.525  | 6.183 | 0.891 | 1.614 | -9582.13       |
""")
def test_published_parameters(cdnow: Features, row: Row) -> None:
    """In weeks, to every digit; the likelihood of MBG/NBD, -9582.136, was published cut off instead of rounded."""
    found = _fitted("mbg_nbd" if row["kind"] == "mbg_nbd" else "bg_nbd", cdnow)

    assert not found.penalised
    for name in ("r", "alpha", "a", "b"):
        digits = len(row[name].partition(".")[2])
        assert round(getattr(found, name), digits) == float(row[name]), name
    assert found.log_likelihood == pytest.approx(float(row["log-likelihood"]), abs=0.006)


def test_the_published_customer(cdnow: Features) -> None:
    """26 repeats, the last after 30.857143 of 31 weeks: alive with 0.9688523, and 25.75659 orders in 52 weeks.

    The last digits are those of a search that stopped a little before the maximum: parameters as they were published,
    with four digits, are as far from them.
    """
    found = _fitted("bg_nbd", cdnow)
    curve = ReturnCurve(kind="bg_nbd", r=found.r, alpha_days=found.alpha, a=found.a, b=found.b)

    alive = float(reference.p_alive(curve, 26, 30.857143, 31))

    assert alive == pytest.approx(0.9688523, abs=3e-6)
    assert _expected_orders(curve, 26, 31, 52) * alive == pytest.approx(25.75659, abs=1e-3)


def test_a_curve_is_in_days(cdnow: Features) -> None:
    """The model file's α is the published one in days."""
    assert fit_curve("bg_nbd", cdnow).alpha_days == pytest.approx(4.414 * 7, abs=0.005)


@pytest.mark.parametrize(("repeats", "last", "expected"), [(0, 0, -0.59947382), (200, 38, 100.7957)])
def test_the_likelihood_is_stable(repeats: int, last: int, expected: float) -> None:
    """Also for 200 repeats, where a naive product of its terms overflows."""
    [value] = log_likelihoods(
        "bg_nbd", (0.25, 4.0, 0.8, 2.5), np.array([repeats * 1.0]), np.array([last * 1.0]), np.array([40.0])
    )

    assert value == pytest.approx(expected, abs=5e-5 if repeats else 5e-9)


def _expected_orders(curve: ReturnCurve, repeats: int, age: float, horizon: float) -> float:
    """Orders expected of a customer who is alive: Fader, Hardie & Lee (2005), equation 10, over its P(alive)."""
    r, alpha, a, b = curve.r, curve.alpha_days, curve.a, curve.b
    power = ((alpha + age) / (alpha + age + horizon)) ** (r + repeats)
    hypergeometric = hyp2f1(r + repeats, b + repeats, a + b + repeats - 1, horizon / (alpha + age + horizon))
    return float((a + b + repeats - 1) / (a - 1) * (1 - power * hypergeometric))
