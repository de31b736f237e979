"""A policy that is tried on published histories: who moves is who a batch over the list of all orders names."""

import json
import os
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from typer.testing import CliRunner

from models.codec import NO_BUDGET, NO_PROFIT
from models.policy import Classes
from models.portfolio import cut_points_to_json
from processors.portfolio.census import ROW, take
from processors.portfolio.cutting import cut_points
from processors.scorecard import PARTS
from stream.cli import app
from stream.importers.presets import Preset
from stream.portfolio.files import CUT_POINTS_FILE
from tests.importers.running import run_preset
from tests.whatif import batch

SETS: Final = {
    "CDNOW sample": (Preset.CDNOW, "CDNOW_sample.txt", "USD", False),
    "AdventureWorks resellers": (Preset.ADVENTUREWORKS_RESELLERS, "adventureworks_resellers.csv.xz", "USD", True),
    "Online Retail": (Preset.ONLINE_RETAIL, "online_retail.csv.xz", "GBP", False),
}
SOME: Final = 4
"""Of the accounts one in so many is looked at; by hand, every one."""


def _events(data_dir: Path, name: str, parts: int) -> tuple[list[bytes], list[dict[str, Any]]]:
    preset, file, _, _ = SETS[name]
    imported = run_preset(preset, data_dir / file)
    pairs = [
        (line, event)
        for line, event in zip(imported.lines, imported.events, strict=True)
        if zlib.crc32(event["account_id"].encode()) % parts == 0
    ]
    return [line for line, _ in pairs], [event for _, event in pairs]


def _backtest(folder: Path, lines: list[bytes], currency: str, tried: str, *options: Path | str) -> dict[str, Any]:
    held = f'reporting_currency = "{currency}"\n'
    for file, text in (("held.toml", held), ("tried.toml", held + tried)):
        (folder / file).write_text(text, encoding="utf-8")
    events, result = folder / "events.jsonl", folder / "result.json"
    events.write_bytes(b"\n".join(lines) + b"\n")
    policies = ["--policy", folder / "tried.toml", "--against", folder / "held.toml"]
    arguments = ["backtest", events, *policies, "--json", result, *options]
    run = CliRunner(env={**os.environ}).invoke(app, [str(one) for one in arguments])
    assert run.exit_code == 0, run.output
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


def _write_cuts(path: Path, all_of: dict[str, batch.Orders], last_day: int, cuts: batch.Cuts) -> None:
    """Write the cut points as of a day, as a census of the batch's figures draws them."""
    table = np.zeros(len(all_of), ROW)
    table["profit_minor"], table["budget_minor"] = NO_PROFIT, NO_BUDGET
    for row, one in zip(table, all_of.values(), strict=True):
        inside = one.day > last_day - batch.YEAR
        row["revenue_minor"], row["orders"] = one.revenue[inside].sum(), one.is_order[inside].sum()
        if cuts.profit is not None:
            row["profit_minor"] = row["revenue_minor"] - one.cost[inside].sum()
        days = np.unique(one.day[one.is_order > 0])
        if len(days):
            row["order_days"], row["first_order_day"], row["last_order_day"] = len(days), days[0], days[-1]
        here = {"revenue", "tenure", *(["profit"] if cuts.profit is not None else [])}
        here |= {"growth"} if row["revenue_minor"] > 0 else set()
        here |= {"regularity"} if (days > last_day - batch.YEAR).sum() >= 4 else set()
        row["parts"] = sum(1 << PARTS.index(name) for name in here)
    path.write_bytes(cut_points_to_json(cut_points([take(table.tobytes(), last_day)], 1, Classes())))


def compared(data_dir: Path, folder: Path, name: str, parts: int) -> tuple[int, int]:
    """Try a lower bound of `growth`; gives how many accounts there are and how many move."""
    _, _, currency, costs = SETS[name]
    lines, events = _events(data_dir, name, parts)
    all_of = batch.orders_of(events)
    last_day = max(int(one.day[-1]) for one in all_of.values())
    cuts = batch.cuts_of(all_of, last_day, costs=costs)
    _write_cuts(folder / CUT_POINTS_FILE, all_of, last_day, cuts)
    tried = "[tiers.growth]\nenter = 42\nleave = 37\n"
    found = _backtest(folder, lines, currency, tried, "--cut-points", folder / CUT_POINTS_FILE)

    scored = {account_id: batch.scores(one, cuts, last_day) for account_id, one in all_of.items()}
    old, new = (
        {account_id: batch.last_tier(one, bounds) for account_id, one in scored.items()}
        for bounds in (batch.Bounds(), batch.Bounds((7100, 4200, 2500), (6600, 3700, 2000)))
    )
    moves = {account_id: (tier, new[account_id]) for account_id, tier in old.items() if tier != new[account_id]}
    assert moves
    assert {one["account_id"]: (one["old_tier"], one["new_tier"]) for one in found["moves"]} == moves
    matrix = Counter((tier, new[account_id]) for account_id, tier in old.items())
    assert [tuple(one) for one in found["tier_matrix"]] == sorted((*key, count) for key, count in matrix.items())
    return len(old), len(moves)


@pytest.mark.parametrize("name", ["CDNOW sample", "AdventureWorks resellers"])
def test_one_bound_moves_exactly_whom_a_batch_names(data_dir: Path, tmp_path: Path, name: str) -> None:
    """Every account's old and new tier is that of grading it by hand on each day, and nobody else moves."""
    accounts, moves = compared(data_dir, tmp_path, name, SOME)

    assert accounts > 150
    assert moves > 4


def test_a_policy_against_itself_differs_in_nothing(data_dir: Path, tmp_path: Path) -> None:
    """On a published history, its portfolio counted each day: nobody moves, no alert is more or fewer."""
    lines, _ = _events(data_dir, "AdventureWorks resellers", SOME)
    found = _backtest(tmp_path, lines, "USD", "")

    assert found["moves"] == found["alerts_only_old"] == found["alerts_only_new"] == []
    assert found["old"] == found["new"]
    assert found["old"]["tier_changes"] > 100
