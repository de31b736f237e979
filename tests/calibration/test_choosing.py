"""How candidates are compared, which one is chosen, and when nothing can be learned."""

from collections.abc import Mapping
from datetime import date
from typing import Final

import numpy as np
import pytest
from scipy.special import expit

from models.churn_model import ChurnModel
from stream.calibration.calibrating import Source, calibrate
from stream.calibration.candidates import LabelledWindow, log_odds
from stream.calibration.comparing import Judged, winner
from stream.calibration.history import CalibrationError, Features, History
from stream.calibration.scores import Scores
from tests.support.tables import Row, table

SOURCE: Final = Source(["events.jsonl"], 1, "UTC")


def _history(days: int, accounts: int = 300, until: int | None = None) -> History:
    """A portfolio that orders about every 20 days, a third of which stops somewhere."""
    generator = np.random.default_rng(3)
    orders: dict[str, list[int]] = {}
    for number in range(accounts):
        end = int(generator.integers(10, days)) if number % 3 == 0 else days
        ordered = np.cumsum(generator.exponential(19, size=days // 10) + 1) + number % 20
        orders[f"A{number}"] = [int(one) for one in ordered if one < end] or [number % 20]
    orders["A0"] = [0]
    return History(orders, days - 1 if until is None else until)


def _calibrated(history: History, horizon_days: int) -> ChurnModel:
    return calibrate(history, horizon_days, SOURCE)


@table("""
| days of history | horizon | protocol                 | windows                  |
| 400             | 60      | later_windows            | 399-60, 399-90, 399-120  |
| 270             | 80      | later_windows            | 269-80, 269-110          |
| 269             | 80      | cross_validation         | 268-80                   |
| 160             | 80      | cross_validation         | 159-80                   |
| 159             | 80      | cross_validation_shifted | 158-79                   |
| 80              | 300     | cross_validation_shifted | 79-40                    |
""")
def test_how_candidates_are_compared(row: Row) -> None:
    """Later windows take three horizons and thirty days; two horizons, a cross-validation; less, a shorter horizon."""
    days = int(row["days of history"])
    model = _calibrated(_history(days), int(row["horizon"]))

    assert model.comparison is not None
    assert model.comparison.protocol == row["protocol"]
    cuts = [int(end) - int(back) for end, back in (one.split("-") for one in row["windows"].split(", "))]
    assert [(one.cut - date(1970, 1, 1)).days for one in model.comparison.windows] == cuts
    assert model.horizon_days == int(row["horizon"])


def _judged(scores: Mapping[str, str], rarer: int, horizon_days: int = 90) -> Judged:
    accounts = np.arange(2 * rarer)
    features = Features(0, accounts, accounts, accounts, accounts, (accounts, accounts))
    window = LabelledWindow(features, accounts < rarer)
    found = {}
    for kind, text in scores.items():
        area, loss = map(float, text.split())
        found[kind] = Scores(area, 0.2, loss, 0.05)
    return Judged("later_windows", horizon_days, (window,), found, {})


@table("""
| case                                          | recency | mbg_nbd | logistic | rarer | gap | chosen   |
| the least log-loss                            | .70 .60 | .72 .55 | .75 .50  | 100   | 40  | logistic |
| also with a somewhat smaller AUC              | .70 .60 | .69 .50 | .75 .55  | 100   | 40  | mbg_nbd  |
| but not one that ranks clearly worse          | .70 .60 | .68 .50 | .75 .55  | 100   | 40  | logistic |
| recency where nothing is better               | .70 .50 | .72 .55 | .75 .60  | 100   | 40  | recency  |
| recency where all others rank worse           | .70 .60 | .65 .50 | .60 .40  | 100   | 40  | recency  |
| enough happened                               | .70 .60 | .72 .55 | .75 .50  | 30    | 40  | logistic |
| recency where too little happened             | .70 .60 | .72 .55 | .75 .50  | 29    | 40  | recency  |
| recency where the windows contradict it       | .49 .60 | .52 .55 | .75 .50  | 100   | 40  | recency  |
| also at a horizon about as long as the gap    | .49 .60 | .52 .55 | .75 .50  | 100   | 128 | recency  |
| not at a horizon within which few order again | .49 .60 | .52 .55 | .75 .50  | 100   | 129 | logistic |
""")
def test_which_candidate_is_chosen(row: Row) -> None:
    """The least log-loss, of those that are no worse than recency alone, where there is evidence against that."""
    scores = {kind: row[kind] for kind in ("recency", "mbg_nbd", "logistic")}

    assert winner(_judged(scores, int(row["rarer"])), float(row["gap"])) == row["chosen"]


def test_a_cross_validation_forgives_nothing() -> None:
    """It has seen no later time, so that what ranks a little worse than recency alone may rank much worse then."""
    judged = _judged({"recency": ".70 .60", "mbg_nbd": ".695 .50", "logistic": ".70 .55"}, 100)

    assert winner(judged, 40.0) == "mbg_nbd"
    assert winner(judged._replace(protocol="cross_validation"), 40.0) == "logistic"
    assert winner(judged._replace(protocol="cross_validation_shifted"), 40.0) == "logistic"


def test_a_longer_horizon_has_a_higher_share_of_returns() -> None:
    """A model of a shorter horizon is shifted: within 300 days more accounts order again than within 75."""
    history = _history(150, accounts=600)
    known = history.features(history.until_day)

    short, long = (expit(log_odds(_calibrated(history, horizon), known)).mean() for horizon in (75, 300))

    assert long < short


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (_history(40), "40 days of history: at least 56 are needed"),
        (_history(400, accounts=19), "19 accounts with an order: at least 20 are needed"),
        (History({f"A{one}": range(0, 400, 10) for one in range(50)}, 399), "fewer than 5 accounts stayed silent"),
        (History({f"A{one}": [0] for one in range(50)}, 399), "or fewer than 5 ordered"),
    ],
)
def test_what_cannot_be_learned_from(history: History, expected: str) -> None:
    """The error says what is missing."""
    with pytest.raises(CalibrationError, match=expected):
        _calibrated(history, 60)


def test_the_same_history_gives_the_same_model() -> None:
    """Byte for byte, and whatever comes after the last day."""
    longer = _history(400)
    first, again = _calibrated(_history(400, until=300), 60), _calibrated(_history(400, until=300), 60)

    assert first.to_json() == again.to_json()
    assert first.to_json() != _calibrated(longer, 60).to_json()


def test_a_small_portfolio_keeps_recency() -> None:
    """Of thirty accounts too few stay silent to prove anything else."""
    assert _calibrated(_history(400, accounts=30), 60).parameters.kind == "recency"
