"""The churn model beside the policy: where it is read, what it changes, what is refused."""

import json
import math
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.churn_model import ChurnModel, ChurnModelError, Logistic, Recency
from models.policy import Policy
from stream.cli import app
from stream.judgement import context_of, model_for
from stream.settings import load_settings

POLICY = Policy(reporting_currency="EUR")
MODEL = ChurnModel(
    calibrated=False, horizon_days=120, portfolio_gap_days=30, parameters=Recency(intercept=-3.0, slope=0.8)
)
COUNTING = ChurnModel(
    calibrated=False,
    horizon_days=120,
    portfolio_gap_days=30,
    parameters=Logistic(
        intercept=0,
        log_orders=-1,
        log_silence=1,
        log_age=0,
        log_overdue=1,
        recent_weights=(-0.1, -0.1),
        recent_most=(5, 5),
    ),
)


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    """The file of a model."""
    path = tmp_path / "model.json"
    path.write_text(MODEL.to_json())
    return path


def test_a_worker_judges_by_the_model_of_its_settings(model_file: Path) -> None:
    """Policy and model together are the configuration that accounts are evaluated under."""
    environ = {"ACCOUNT_HEALTH_REPORTING_CURRENCY": "EUR", "ACCOUNT_HEALTH_BOOTSTRAP_SERVERS": "kafka:9092"}
    bare = context_of(load_settings(environ))
    context = context_of(load_settings(environ | {"ACCOUNT_HEALTH_CHURN_MODEL_FILE": str(model_file)}))

    assert (bare.model, bare.configuration) == (None, POLICY.version)
    assert context.model == MODEL
    assert context.configuration == f"{POLICY.version}+{MODEL.version}"
    assert context.model_version == MODEL.version


def test_a_model_that_counts_more_days_than_the_policy_keeps_is_refused(tmp_path: Path) -> None:
    """The line says how many days each of them has."""
    path = tmp_path / "model.json"
    path.write_text(COUNTING.to_json())
    short = Policy.model_validate(
        {
            "reporting_currency": "EUR",
            "window_days": (30, 90),
            "scorecard": {"growth_days": 45},
        }
    )

    assert model_for(path, POLICY) == COUNTING
    with pytest.raises(ChurnModelError, match="counts the orders of 180 days, and the policy's longest window is 90"):
        model_for(path, short)


def test_a_replay_shows_the_models_risk(model_file: Path, tmp_path: Path) -> None:
    """Risk, horizon and model version of the snapshots are the model's."""
    order = {"type": "order.completed", "order_id": "O", "amount": "10", "currency": "EUR", "account_id": "A"}
    days = ("2025-01-01", "2025-01-11")
    lines = [json.dumps(order | {"event_id": day, "occurred_at": f"{day}T12:00:00Z"}) for day in days]
    events = tmp_path / "events.jsonl"
    events.write_text("\n".join(lines) + "\n")
    command = ["replay", str(events), "--until", "2025-02-10", "--model", str(model_file), "--out", str(tmp_path)]

    result = CliRunner().invoke(app, command)

    assert result.exit_code == 0, result.output
    snapshot = json.loads((tmp_path / "snapshots.jsonl").read_text())
    assert snapshot["model_version"] == MODEL.version
    assert snapshot["churn"]["horizon_days"] == 120
    # 1 / (1 + e^(3 − 0.8 ln(1 + days of silence))), as of the last day on which the account was looked at.
    silent_days = (date.fromisoformat(snapshot["as_of"][:10]) - date(2025, 1, 11)).days
    assert silent_days > 20
    expected = 1 / (1 + math.exp(3) * (1 + silent_days) ** -0.8)
    assert snapshot["churn"]["risk"] == pytest.approx(expected, abs=1e-4)


def test_a_model_file_with_errors_names_all_of_them(tmp_path: Path) -> None:
    """As a policy's: one line each, and exit code 2."""
    path = tmp_path / "model.json"
    path.write_text('{"format": 1, "calibrated": false, "horizon_days": 0, "portfolio_gap_days": -1}')
    events = tmp_path / "events.jsonl"
    events.write_text("")
    policy = tmp_path / "policy.toml"
    policy.write_text('reporting_currency = "EUR"\n')
    command = ["replay", str(events), "--policy", str(policy), "--model", str(path), "--out", str(tmp_path)]

    result = CliRunner().invoke(app, command)

    assert result.exit_code == 2
    for name in ("horizon_days", "portfolio_gap_days", "parameters"):
        assert name in result.output
