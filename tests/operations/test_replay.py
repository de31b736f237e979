"""Where a replay of files ends, and what it takes for the future."""

# ruff: noqa: E501  # a row of a table is one line

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.fields import from_epoch_ms
from models.policy import Policy
from processors.context import Context
from stream.cli import app
from stream.replay import DEFAULT_PARTITIONS, Replay, ReplayError, Summary
from tests.support.tables import Row, table

_WALL_CLOCK_MS = 1_600_000_000_000


def _file(folder: Path, *days: str) -> Path:
    """Write an order for each day, with its currency after it if it is not the euro."""
    lines = []
    for number, text in enumerate(days):
        day, _, currency = text.partition(" ")
        order = {"type": "order.completed", "event_id": f"e{number}", "account_id": f"A{number}", "order_id": "O"}
        money = {"amount": "10", "currency": currency or "EUR", "occurred_at": f"{day}T12:00:00Z"}
        lines.append(json.dumps(order | money))
    path = folder / "events.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _replayed(folder: Path, days: str, until: date | None, zone: str = "UTC") -> Summary:
    context = Context(Policy(reporting_currency="EUR", reporting_timezone=zone))
    path = _file(folder, *days.split(", "))
    return Replay(context, _WALL_CLOCK_MS, until, DEFAULT_PARTITIONS).run([path], folder / "out", lambda _: None)


@table("""
| case                               | orders                                 | until      | last       | applied | skipped | refused       |
| the last event                     | 2020-01-01, 2020-02-01                 | -          | 2020-02-01 | 2       | 0       |               |
| a refused one moves nothing        | 2020-01-01, 2020-02-01, 2020-03-01 USD | -          | 2020-02-01 | 2       | 0       | missing_rate  |
| the wall clock without until       | 2020-01-01, 2030-02-01                 | -          | 2020-01-01 | 1       | 0       | in_the_future |
| until in place of the wall clock   | 2020-01-01, 2030-02-01                 | 2031-01-01 | 2030-02-01 | 2       | 0       |               |
| after until                        | 2020-01-01, 2030-02-01, 2032-01-01     | 2031-01-01 | 2030-02-01 | 2       | 1       |               |
""")
def test_where_a_replay_ends(row: Row, tmp_path: Path) -> None:
    """It ends with the last event that was not refused, and `until` takes the place of the wall clock."""
    until = None if row["until"] == "-" else date.fromisoformat(row["until"])
    summary = _replayed(tmp_path, row["orders"], until)

    assert summary.last_ms is not None
    assert from_epoch_ms(summary.last_ms).date().isoformat() == row["last"]
    assert (summary.outcomes.total(), summary.skipped) == (int(row["applied"]), int(row["skipped"]))
    assert " ".join(summary.refusals) == row["refused"]
    first = json.loads((tmp_path / "out" / "snapshots.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["as_of"][:10] <= (row["last"] if until is None else row["until"])


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_last_day_of_all(zone: str, tmp_path: Path) -> None:
    """The last day that can be given works in every time zone; the one after it is refused with its reason."""
    assert _replayed(tmp_path, "2020-01-01", date(9999, 12, 30), zone).outcomes.total() == 1
    with pytest.raises(ReplayError, match="9999-12-31 is after 9999-12-30"):
        _replayed(tmp_path, "2020-01-01", date(9999, 12, 31), zone)


def test_the_command_refuses_a_day_too_late(tmp_path: Path) -> None:
    """The command ends with the code of wrong usage and no traceback."""
    path = _file(tmp_path, "2020-01-01")
    result = CliRunner().invoke(app, ["replay", str(path), "--out", str(tmp_path / "out"), "--until", "9999-12-31"])

    assert result.exit_code == 2
    assert "9999-12-30" in result.output
