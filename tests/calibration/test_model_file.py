"""The churn model's file: what is in it, what is refused, what its version means."""

import json
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest

from models.churn_model import (
    Candidate,
    ChurnModel,
    ChurnModelError,
    Comparison,
    FittedOn,
    LabelWindow,
    Logistic,
    Recency,
    ReliabilityBin,
    load_churn_model,
    read_churn_model,
)
from tests.support.tables import Row, table

WINDOW: Final = LabelWindow(cut=date(1997, 7, 3), horizon_days=181, accounts=23_570, silent=17_000)
MODEL: Final = ChurnModel(
    calibrated=True,
    horizon_days=181,
    portfolio_gap_days=61.5,
    parameters=Logistic(
        intercept=0.4,
        log_orders=-1.4,
        log_silence=0.1,
        log_age=-0.05,
        log_overdue=0.9,
        recent_weights=(-0.1, 0.0),
        recent_most=(6, 9),
    ),
    fitted_on=FittedOn(
        files=("orders.jsonl",),
        events=69_659,
        accounts=23_570,
        first_order=date(1997, 1, 1),
        until=date(1997, 12, 31),
        time_zone="UTC",
        windows=(WINDOW,),
    ),
    comparison=Comparison(
        protocol="cross_validation",
        windows=(WINDOW,),
        candidates=(Candidate(kind="logistic", auc=0.8, brier=0.13, log_loss=0.41, calibration_error=0.02),),
        reliability=(ReliabilityBin(accounts=100, predicted=0.05, observed=0.04),),
    ),
)


def _text(**changes: Any) -> str:
    """The file of `MODEL` with some keys, by their dotted names, replaced."""
    content = json.loads(MODEL.to_json())
    for name, value in changes.items():
        place = content
        *outer, last = name.split("__")
        for part in outer:
            place = place[part]
        place[last] = value
    return json.dumps(content)


def test_a_model_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """All that a model says survives its file, byte for byte."""
    path = tmp_path / "model.json"
    path.write_text(MODEL.to_json(), encoding="utf-8")

    read = load_churn_model(path)

    assert read == MODEL
    assert read.to_json() == MODEL.to_json()
    assert read.version == MODEL.version


def test_every_error_is_listed_at_once() -> None:
    """Each with its key, its value and what is allowed."""
    text = _text(horizon_days=0, parameters__log_orders=0.5, parameters__intercept="high", shape="round")

    with pytest.raises(ChurnModelError) as raised:
        read_churn_model(text)

    assert str(raised.value).splitlines() == [
        "horizon_days = 0: Input should be greater than or equal to 1",
        "parameters.logistic.intercept = 'high': Input should be a valid number",
        "parameters.logistic.log_orders = 0.5: Input should be less than or equal to 0",
        "shape = 'round': Extra inputs are not permitted",
    ]


@table("""
| case                                | key                       | value | expected |
| a later format                      | format                    | 2     | Input should be 1 |
| an unknown kind                     | parameters__kind          | "x"   | does not match any of the expected tags |
| a risk that falls with age          | parameters__log_age       | -0.2  | log_silence + log_age should not |
| a risk that falls with silence      | parameters__log_silence   | -0.1  | greater than or equal to 0 |
| a risk that grows with orders       | parameters__recent_weights | [0.1, 0] | less than or equal to 0 |
| a number as text                    | portfolio_gap_days        | "61"  | Input should be a valid number |
| a gap shorter than a day            | portfolio_gap_days        | 0.5   | greater than or equal to 1 |
| fitted on nothing                   | fitted_on                 | null  | should say what it was fitted on |
| no number                           | parameters__intercept     | NaN   | Input should be a finite number |
""")
def test_what_is_refused(row: Row) -> None:
    """A model is refused where it is not one, or where silence would lower its risk."""
    with pytest.raises(ChurnModelError) as raised:
        read_churn_model(_text(**{row["key"]: json.loads(row["value"])}))

    assert row["expected"] in str(raised.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "No such file"), (b"", "Invalid JSON"), (b"{\xff}", "Invalid JSON"), (b" " * 1_048_577, "more than")],
)
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes | None, expected: str) -> None:
    """The error names the file."""
    path = tmp_path / "model.json"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ChurnModelError, match=f"model.json: .*{expected}"):
        load_churn_model(path)


@table("""
| case                     | key                   | value | same |
| another parameter        | parameters__intercept | 0.5   | no   |
| another horizon          | horizon_days          | 91    | no   |
| another gap              | portfolio_gap_days    | 60    | no   |
| another evidence         | fitted_on__events     | 1     | yes  |
| no comparison            | comparison            | null  | yes  |
""")
def test_the_version_is_the_hash_of_the_meaning(row: Row) -> None:
    """Two models with one version predict the same, wherever they come from."""
    other = read_churn_model(_text(**{row["key"]: json.loads(row["value"])}))

    assert (other.version == MODEL.version) == (row["same"] == "yes")


def test_a_version_tells_what_is_not_calibrated() -> None:
    """Subscribers see in every event whether its risk was calibrated."""
    declared = read_churn_model(_text(calibrated=False, fitted_on=None, comparison=None))

    assert declared.version.endswith("-uncalibrated")
    assert len(MODEL.version) == 12


def test_only_the_logistic_model_needs_recent_days() -> None:
    """A policy whose longest window is shorter can be served by every other kind."""
    recency = Recency(intercept=0.0, slope=1.0)

    assert MODEL.history_days_needed == 180
    assert MODEL.model_copy(update={"parameters": recency}).history_days_needed == 1
