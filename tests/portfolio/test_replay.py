"""The portfolio in a replay: counted when the day turns, while it is young, and at the end."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from models.policy import Policy
from models.portfolio import CutPoints
from processors.context import Context, date_of
from stream.cli import app
from stream.importers.presets import Preset
from stream.portfolio.files import CUT_POINTS_FILE, CutPointsFileError, load_cut_points
from stream.replay import SNAPSHOTS_FILE, TIER_CHANGES_FILE, Replay
from tests.importers.running import run_preset
from tests.portfolio import batch
from tests.support.tables import Row, table

WALL_CLOCK_MS: Final = 1_800_000_000_000


def replay(folder: Path, lines: list[bytes], currency: str = "EUR", cuts: CutPoints | None = None) -> Path:
    """Replay events into a folder of their own."""
    folder.mkdir(parents=True)
    events = folder / "events.jsonl"
    events.write_bytes(b"\n".join(lines) + b"\n")
    out = folder / "out"
    Replay(Context(Policy(reporting_currency=currency), cuts=cuts), WALL_CLOCK_MS).run([events], out, lambda _: None)
    return out


def order(account_id: str, moment: str, amount: str = "10") -> bytes:
    """Write one order."""
    fields = {
        "type": "order.completed",
        "event_id": f"{account_id}/{moment}",
        "account_id": account_id,
        "order_id": "O",
        "amount": amount,
        "currency": "EUR",
        "occurred_at": moment,
    }
    return json.dumps(fields).encode()


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Read a file of the output."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_the_classes_of_every_reseller_are_those_of_a_batch(data_dir: Path, tmp_path: Path) -> None:
    """Four partitions, counted 900 times; the last count reaches every account, and its snapshots say so."""
    imported = run_preset(Preset.ADVENTUREWORKS_RESELLERS, data_dir / "adventureworks_resellers.csv.xz")
    out = replay(tmp_path / "resellers", imported.lines, "USD")
    cuts = load_cut_points(out / CUT_POINTS_FILE)
    histories = batch.histories(imported.events)
    last = cuts.as_of_day
    year = {name: one.within(last - batch.YEAR_DAYS + 1, last) for name, one in histories.items()}
    revenues = {name: revenue for name, (revenue, orders) in year.items() if orders > 0}
    by_revenue, by_profit = batch.abc(revenues), batch.abc(batch.profits(imported.events, last))
    scores = batch.rfm(histories, last)
    ordered = sorted(revenues.values(), reverse=True)
    found = {one["account_id"]: one for one in lines_of(out / SNAPSHOTS_FILE)}

    assert set(found) == set(histories)
    for name, snapshot in found.items():
        classes = snapshot["classes"]
        assert snapshot["portfolio"]["version"] == cuts.version
        assert classes["xyz"] == batch.xyz(histories[name], last)
        if name in revenues:
            rfm = classes["rfm"]
            assert (classes["abc_revenue"], classes["abc_profit"]) == (by_revenue[name], by_profit[name])
            assert (rfm["r"], rfm["f"], rfm["m"]) == scores[name]
            assert snapshot["portfolio"]["revenue_rank"] == 1 + ordered.index(revenues[name])
            share = max(0, revenues[name]) / sum(one for one in ordered if one > 0)
            assert snapshot["portfolio"]["revenue_share"] == pytest.approx(share, abs=1e-6)
        else:
            assert classes["rfm"] is None
    assert cuts.version > 800


@table("""
| case                              | events                                          | version | as of      |
| at the first account, and the end | A 01-01                                         | 2       | 2026-01-01 |
| whenever there are twice as many  | A 01-01; B 01-01; C 01-01; D 01-01; E 01-01     | 4       | 2026-01-01 |
| when the day turns                | A 01-01; A 01-02; A 01-02; A 01-04              | 4       | 2026-01-04 |
| not for what was before           | A 01-05; B 01-01; A 01-04                       | 3       | 2026-01-05 |
| nobody                            |                                                 | 1       | 1970-01-01 |
""")
def test_when_a_replay_counts(row: Row, tmp_path: Path) -> None:
    """Once at the turn of a day, at every doubling, and once more at the end."""
    words = [one.split() for one in row["events"].split(";") if one.strip()]
    lines = [order(name, f"2026-{day}T12:{minute:02}:00Z") for minute, (name, day) in enumerate(words)]
    out = replay(tmp_path / "run", lines)

    cuts = load_cut_points(out / CUT_POINTS_FILE)
    assert (cuts.version, str(date_of(cuts.as_of_day))) == (int(row["version"]), row["as of"])
    assert cuts.accounts == len({name for name, _ in words})


def test_accounts_of_other_partitions_are_counted_as_of_the_same_day(tmp_path: Path) -> None:
    """What left the windows of an account has left them in the census, although no event has come to its partition."""
    lines = [order(f"A{number}", "2025-01-01T12:00:00Z") for number in range(20)]
    late = [order("B", f"2026-01-{day:02}T12:00:00Z") for day in (1, 2)]
    out = replay(tmp_path / "run", lines + late)

    # The last count is of the end of the day: so is the one at its turn, which the version before it was drawn from.
    assert load_cut_points(out / CUT_POINTS_FILE).active_accounts == 1


def test_fixed_cut_points_stay(tmp_path: Path) -> None:
    """Given the cut points of a replay, two others write the same bytes, count nothing, and keep their version."""
    lines = [order(f"A{n % 7}", f"2026-01-{n % 28 + 1:02}T12:00:00Z", str(n + 1)) for n in range(60)]
    cuts = load_cut_points(replay(tmp_path / "live", lines) / CUT_POINTS_FILE)
    first, second = (replay(tmp_path / name, lines, cuts=cuts) for name in ("first", "second"))

    assert load_cut_points(first / CUT_POINTS_FILE) == cuts
    assert {one["portfolio"]["version"] for one in lines_of(first / SNAPSHOTS_FILE)} == {cuts.version}
    assert {one["cause"] for one in lines_of(first / TIER_CHANGES_FILE)} <= {"behaviour", "time"}
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes()


def test_the_command_takes_a_file(tmp_path: Path) -> None:
    """One that is none is refused with its name."""
    out = replay(tmp_path / "run", [order("A", "2026-01-01T12:00:00Z")])
    events = str(tmp_path / "run" / "events.jsonl")
    runner = CliRunner()
    again = ["replay", events, "--out", str(tmp_path / "again"), "--cut-points"]

    good = runner.invoke(app, [*again, str(out / CUT_POINTS_FILE)])
    assert good.exit_code == 0, good.output
    bad = runner.invoke(app, [*again, events])
    assert (bad.exit_code, "events.jsonl: not cut points" in bad.output.replace("\n", "")) == (2, True)
    with pytest.raises(CutPointsFileError, match="No such file"):
        load_cut_points(tmp_path / "nowhere.json")
