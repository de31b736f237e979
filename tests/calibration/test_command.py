"""`account-health calibrate` as it is called."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from models.churn_model import load_churn_model
from models.policy import Policy
from processors.context import Context, date_of, day_of_date
from processors.return_model import compiled, probability
from processors.windows import Rhythm
from stream.calibration.predicting import account_risks
from stream.cli import app
from tests.support.scenario import FIRST_DAY, iso

_LAST: Final = 299


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)])


def _order(account: str, day: int, number: int) -> str:
    event = {
        "type": "order.completed",
        "event_id": f"{account}-{number}",
        "order_id": str(number),
        "account_id": account,
        "occurred_at": iso(f"d{day}"),
        "amount": "10",
        "currency": "EUR",
    }
    return json.dumps(event)


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred days of 120 accounts, half of which stop somewhere."""
    generator = np.random.default_rng(5)
    lines = []
    for number in range(120):
        end = int(generator.integers(20, _LAST)) if number % 2 else _LAST
        days = np.cumsum(generator.exponential(20, size=30) + 1).astype(int) + number % 10
        lines += [(int(day), _order(f"A{number}", int(day), one)) for one, day in enumerate(days) if day <= end]
    path = tmp_path_factory.mktemp("events") / "orders.jsonl"
    path.write_text("".join(f"{line}\n" for _, line in sorted(lines)), encoding="utf-8")
    return path


def _until(day: int) -> str:
    return str(date_of(FIRST_DAY + day))


def test_it_writes_the_best_model_and_says_how_good_it_is(events: Path, tmp_path: Path) -> None:
    """The file, the table of candidates, the reliability on the terminal and as a picture."""
    model_file, plot = tmp_path / "model.json", tmp_path / "plot.svg"

    done = _run(events, "--until", _until(290), "--horizon-days", "60", "--out", model_file, "--plot", plot)

    assert done.exit_code == 0, done.output
    model = load_churn_model(model_file)
    assert model.calibrated
    assert model.horizon_days == 60
    assert model.fitted_on is not None
    assert (model.fitted_on.files, str(model.fitted_on.until)) == (("orders.jsonl",), _until(290))
    assert model.comparison is not None
    for one in model.comparison.candidates:
        assert f"{one.auc:.4f}" in done.output
        assert f"{one.calibration_error:.4f}" in done.output
    assert "chosen" in done.output
    assert "◆" in done.output
    assert model.version in done.output
    assert plot.read_text(encoding="utf-8").startswith("<?xml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "plot.svg"]


def test_what_comes_after_changes_nothing(events: Path, tmp_path: Path) -> None:
    """The same bytes with the later events, and without them; and for the same events, every time."""
    lines = events.read_text(encoding="utf-8").splitlines()
    early = tmp_path / events.name
    early.write_text("".join(f"{one}\n" for one in lines if json.loads(one)["occurred_at"] < _until(251)))
    first, second = tmp_path / "1.json", tmp_path / "2.json"

    assert _run(events, "--until", _until(250), "--out", first).exit_code == 0
    assert _run(early, "--until", _until(250), "--out", second).exit_code == 0

    assert len(early.read_text().splitlines()) < len(lines)
    assert first.read_bytes() == second.read_bytes()


def test_risks_are_those_of_the_model(events: Path, tmp_path: Path) -> None:
    """`account_risks` predicts every account as of the day, by the model of the file."""
    path = tmp_path / "model.json"
    _run(events, "--until", _until(290), "--horizon-days", "60", "--out", path)
    model = load_churn_model(path)
    days: dict[str, list[int]] = {}
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        day = day_of_date(date.fromisoformat(event["occurred_at"][:10]))
        if day <= FIRST_DAY + 290:
            days.setdefault(event["account_id"], []).append(day)

    risks = account_risks([events], date_of(FIRST_DAY + 290), model, Context(Policy(reporting_currency="EUR")))

    today = FIRST_DAY + 290
    for account, ordered in days.items():
        known = sorted(set(ordered))
        recent = (sum(one > today - 90 for one in known), sum(one > today - 180 for one in known))
        value = compiled(model).log_odds(Rhythm(len(known), known[0], known[-1]), recent, today)
        assert risks[account] == probability(value)
    assert risks.keys() == days.keys()


def test_every_wrong_argument_is_told_at_once(events: Path, tmp_path: Path) -> None:
    """Before anything is read, and nothing is written."""
    done = _run(events, "--out", tmp_path / "none" / "model.json", "--plot", tmp_path / "plot.gif")

    assert done.exit_code == 2
    assert "plot.gif: ends in none of .svg, .png, .pdf" in done.output
    assert "no such folder" in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_events_is_never_written_over(events: Path) -> None:
    """Neither by the model nor by the picture."""
    before = events.read_bytes()

    done = _run(events, "--out", events)

    assert (done.exit_code, events.read_bytes()) == (2, before)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--until", "2026-01-20"], "18 days of history: at least 56 are needed"),
        (["--until", "2025-01-20"], "no order in the files up to --until: "),
        (["--until", "2027-12-31"], "days before --until: if the files end there, accounts only seem to be silent"),
    ],
)
def test_a_history_without_a_lesson(events: Path, tmp_path: Path, arguments: list[str], expected: str) -> None:
    """One line says what is missing; no file is left."""
    done = _run(events, *arguments, "--out", tmp_path / "model.json")

    assert done.exit_code == 2
    assert expected in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_worker_does_not_load_what_only_fits() -> None:
    """Commands start without SciPy, which only the extra `calibrate` installs."""
    loaded = (
        "import stream.cli, stream.worker, sys, typer; dict(typer.main.get_command(stream.cli.app).commands);"
        " print(sorted({'scipy', 'matplotlib'} & sys.modules.keys()))"
    )

    done = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "[]"


def test_without_the_extra_it_says_what_to_install(
    events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the image of the worker."""
    for name in [one for one in sys.modules if one.startswith("stream.calibration")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)

    done = _run(events, "--out", tmp_path / "model.json")

    assert done.exit_code == 1
    assert "account-health-stream[calibrate]" in done.output
