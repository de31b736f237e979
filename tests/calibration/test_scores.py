"""The figures by which predictions are judged."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.calibration.scores import auc, reliability, scores
from tests.support.tables import Row, table

OUTCOMES = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.999, 1.0])), min_size=1)


@table("""
| case                      | silent  | risks           | auc   | brier  | ece  |
| a perfect prediction      | 1 1 0 0 | 1 1 0 0         | 1     | 0      | 0    |
| all wrong                 | 1 1 0 0 | 0 0 1 1         | 0     | 1      | 1    |
| the same for everyone     | 1 0 0 0 | .25 .25 .25 .25 | 0.5   | 0.1875 | 0    |
| one of four pairs wrong   | 1 1 0 0 | .9 .3 .6 .1     | 0.75  | 0.2175 | 0.375 |
| ties count half           | 1 0 0   | .5 .5 .1        | 0.75  | 0.17   | 0.0333 |
| all did the same          | 1 1     | .9 .8           | 0.5   | 0.025  | 0.15 |
""")
def test_scores_by_hand(row: Row) -> None:
    """Small cases that can be checked with a pencil."""
    silent = np.array([one == "1" for one in row["silent"].split()])
    risks = np.array([float(one) for one in row["risks"].split()])

    found = scores(silent, risks)

    assert found.auc == pytest.approx(float(row["auc"]))
    assert found.brier == pytest.approx(float(row["brier"]))
    assert found.calibration_error == pytest.approx(float(row["ece"]), abs=5e-5)


def test_a_sure_error_is_finite() -> None:
    """A risk of 1 for an account that ordered costs much, but not all."""
    assert scores(np.array([False]), np.array([1.0])).log_loss == pytest.approx(-math.log(1e-6))


@given(outcomes=OUTCOMES)
def test_the_auc_is_the_share_of_ordered_pairs(outcomes: list[tuple[bool, float]]) -> None:
    """Every pair of a silent account and one that was not, ties counted half."""
    pairs = [(one - other) for silent, one in outcomes if silent for ordered, other in outcomes if not ordered]
    expected = sum((pair > 0) + (pair == 0) / 2 for pair in pairs) / len(pairs) if pairs else 0.5

    found = auc(np.array([one for one, _ in outcomes]), np.array([one for _, one in outcomes]))

    assert found == pytest.approx(expected)


@given(outcomes=OUTCOMES)
def test_every_account_is_in_one_bin(outcomes: list[tuple[bool, float]]) -> None:
    """Bins keep the number of accounts, the sum of their risks and how many stayed silent."""
    silent, risks = np.array([one for one, _ in outcomes]), np.array([one for _, one in outcomes])

    bins = reliability(silent, risks)

    assert sum(one.accounts for one in bins) == len(outcomes)
    assert sum(one.accounts * one.predicted for one in bins) == pytest.approx(risks.sum())
    assert sum(one.accounts * one.observed for one in bins) == pytest.approx(silent.sum())
