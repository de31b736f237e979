"""`account-health backtest` and `explain`, as they are used."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.cli import app

OLD = 'reporting_currency = "EUR"\n[tiers]\nconfidence_min = 0.01\nkey_confidence_min = 0.01\n'
LOWER_KEY = OLD + "[tiers.key]\nenter = 66\nleave = 61\n"


def _run(*arguments: str | Path) -> str:
    result = CliRunner(env={**os.environ, "COLUMNS": "160"}).invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(events: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a replay of it wrote."""
    out = tmp_path_factory.mktemp("replay")
    policy = out / "old.toml"
    policy.write_text(OLD)
    _run("replay", *events, "--policy", policy, "--out", out)
    return out


def _backtest(events: list[Path], tmp_path: Path, tried: str, against: str) -> dict[str, Any]:
    for name, text in (("tried", tried), ("held", against)):
        (tmp_path / f"{name}.toml").write_text(text)
    report = tmp_path / "report.html"
    result = tmp_path / "result.json"
    policies = ("--policy", tmp_path / "tried.toml", "--against", tmp_path / "held.toml")
    _run("backtest", *events, *policies, "--json", result, "--html", report)
    page = report.read_text()
    assert page.count("<svg") == 2
    assert "<script" not in page
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def test_one_bound_moves_exactly_the_accounts_that_two_replays_disagree_on(
    events: list[Path], folder: Path, tmp_path: Path
) -> None:
    """Who moves is who ends in another tier when each policy is replayed by itself."""
    found = _backtest(events, tmp_path, LOWER_KEY, OLD)
    (tmp_path / "tried.toml").write_text(LOWER_KEY)
    _run("replay", *events, "--policy", tmp_path / "tried.toml", "--out", tmp_path / "new")

    def tiers(out: Path) -> dict[str, str]:
        lines = (out / "snapshots.jsonl").read_text().splitlines()
        return {one["account_id"]: one["tier"] for one in map(json.loads, lines)}

    old, new = tiers(folder), tiers(tmp_path / "new")
    expected = {account: (tier, new[account]) for account, tier in old.items() if tier != new[account]}
    assert expected
    assert {one["account_id"]: (one["old_tier"], one["new_tier"]) for one in found["moves"]} == expected
    # Scores do not depend on bounds.
    assert {one["why"] for one in found["moves"]} == {"bounds"}
    assert found["old"]["churn_events"] == found["new"]["churn_events"]


def test_policies_of_two_currencies_are_refused(events: list[Path], tmp_path: Path) -> None:
    """Their accounts cannot be compared, and the line says so."""
    (tmp_path / "a.toml").write_text(OLD)
    (tmp_path / "b.toml").write_text(OLD.replace("EUR", "USD"))
    result = CliRunner().invoke(
        app, ["backtest", str(events[0]), "--policy", str(tmp_path / "a.toml"), "--against", str(tmp_path / "b.toml")]
    )
    assert result.exit_code == 2
    assert "USD and EUR" in result.output


def test_what_a_policy_refuses_is_told(events: list[Path], tmp_path: Path) -> None:
    """A policy in another currency makes dead letters of all orders, and the tables and the page say so."""
    policy = tmp_path / "dollars.toml"
    policy.write_text(OLD.replace("EUR", "USD"))
    page = tmp_path / "report.html"

    text = _run("backtest", *events, "--policy", policy, "--until", "2025-03-31", "--html", page)

    assert "dead letters missing_rate" in text
    assert "are after --until" in text
    assert "events are refused</strong> under dollars" in page.read_text()


def test_what_an_erased_account_did_is_nobody_s_failure(tmp_path: Path) -> None:
    """No alert could come for a silence that nothing knows of, so it is no departure either."""

    def line(account: str, kind: str, moment: str) -> str:
        event = {
            "type": kind,
            "event_id": account + moment,
            "account_id": account,
            "occurred_at": f"{moment}T00:00:00Z",
        }
        return json.dumps(event | ({"order_id": moment, "amount": "9", "currency": "EUR"} if "order" in kind else {}))

    days = ("2025-01-01", "2025-01-20")
    orders = [line(account, "order.completed", day) for day in days for account in ("gone", "erased")]
    orders.append(line("stays", "order.completed", "2025-12-31"))
    for name, lines in (("orders", orders), ("profiles", [line("erased", "account.erased", "2025-12-01")])):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{one}\n" for one in lines))

    found = _backtest([tmp_path / f"{name}.jsonl" for name in ("orders", "profiles")], tmp_path, OLD, OLD)

    assert found["new"]["foretold"][0]["departures"] == 1
    assert found["new"]["foretold"][0]["recall"] == 1


def test_errors_of_both_policies_are_told_at_once(events: list[Path], tmp_path: Path) -> None:
    """Each line names the file, the setting, its value, and what is allowed."""
    tried, held = tmp_path / "tried.toml", tmp_path / "held.toml"
    tried.write_text(OLD + "dwel_days = 3\n")
    held.write_text(OLD + "dwell_days = -3\n[rates]\nUSD = 1\n")

    result = CliRunner().invoke(app, ["backtest", str(events[0]), "--policy", str(tried), "--against", str(held)])

    assert result.exit_code == 2
    assert f"{tried}: tiers.dwel_days = 3: Extra inputs are not permitted: is dwell_days meant?" in result.output
    assert f"{held}: tiers.dwell_days = -3: Input should be greater than or equal to 0" in result.output
    assert f"{held}: rates.USD = 1: Input should be a list" in result.output


def test_explain_tells_what_the_files_say(folder: Path) -> None:
    """Each component with its points, every change with its deltas and cause, and what to do."""
    changes = [json.loads(line) for line in (folder / "tier-changes.jsonl").read_text().splitlines()]
    change = next(one for one in changes if one["previous_tier"] and one["score_delta_hundredths"])
    lines = (folder / "snapshots.jsonl").read_text().splitlines()
    snapshot = next(one for one in map(json.loads, lines) if one["account_id"] == change["account_id"])

    text = _run("explain", change["account_id"], "--folder", folder)

    assert f"{snapshot['score']:.2f}" in text
    for component in snapshot["components"]:
        assert f"{component['points']:.2f}" in text
    moved = max(change["components"], key=lambda one: abs(one["delta_hundredths"]))
    assert f"{moved['name']} {moved['delta_hundredths'] / 100:+.2f}" in text
    assert change["cause"] in text
    for action in snapshot["actions"]:
        assert action["name"] in text


def test_explain_of_a_stranger_says_so(folder: Path) -> None:
    """An account that is not there ends with one line and code 2."""
    result = CliRunner().invoke(app, ["explain", "nobody", "--folder", str(folder)])
    assert result.exit_code == 2
    assert "no account 'nobody'" in result.output


def test_the_page_follows_the_reader_s_colours(events: list[Path], tmp_path: Path) -> None:
    """The ink of its plots is that of its text, which is light on dark paper."""
    policy, page = tmp_path / "policy.toml", tmp_path / "report.html"
    policy.write_text(OLD)
    _run("backtest", *events, "--policy", policy, "--until", "2025-02-28", "--html", page)

    text = page.read_text()
    assert "prefers-color-scheme: dark" in text
    assert "fill: currentColor" in text
    assert "stroke: currentColor" in text
    assert "#ffffff" not in text
