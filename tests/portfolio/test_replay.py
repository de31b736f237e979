"""The portfolio in a replay: counted when the day turns, while it is young, and at the end."""

# ruff: noqa: E501  # a row of a table is one line

import json
import zlib
from datetime import date
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from models.events import TOPIC_OF_TYPE, ClockAdvanced
from models.policy import Policy
from models.portfolio import CutPoints
from models.reasons import Outcome
from models.wire import Refusal, parse
from processors.context import Context, date_of
from processors.partition import Partition
from stream.cli import app
from stream.importers.presets import Preset
from stream.portfolio.files import CUT_POINTS_FILE, CutPointsFileError, load_cut_points
from stream.replay import SNAPSHOTS_FILE, TIER_CHANGES_FILE, Replay
from stream.simulation import Simulation, SimulationSpec
from stream.simulation.export import write_history
from tests.importers.running import run_preset
from tests.portfolio import batch
from tests.support.changes import that_do_not_add_up
from tests.support.cuts import MADE_UP
from tests.support.deployment import published_by_replay
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
    changes = published_by_replay(out).tier_changes
    assert that_do_not_add_up(changes) == []
    assert len(changes) == len(histories)


def test_every_tier_change_of_a_published_history_adds_up(data_dir: Path, tmp_path: Path) -> None:
    """The deltas of the components are the score's change since the change before: of a fourth of CDNOW's customers."""
    imported = run_preset(Preset.CDNOW, data_dir / "CDNOW_sample.txt")
    fourth = [
        line
        for line, event in zip(imported.lines, imported.events, strict=True)
        if zlib.crc32(event["account_id"].encode()) % 4 == 0
    ]
    changes = published_by_replay(replay(tmp_path / "cdnow", fourth, "USD", MADE_UP)).tier_changes

    assert that_do_not_add_up(changes) == []
    assert sum(len(found) for found in changes.values()) > len(changes) > 500
    changes[max(changes)][-1]["score_delta_hundredths"] += 1
    assert len(that_do_not_add_up(changes)) == 1


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


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A simulated company of half a year on three topics, with late and refused events, and a clock that ends it."""
    folder = tmp_path_factory.mktemp("company")
    spec = SimulationSpec(until=date(2025, 12, 31), days=180, accounts=40, malformed_share=0.02)
    write_history(Simulation(spec, seed=3), folder)
    with (folder / "orders.jsonl").open("ab") as orders:
        orders.write(b'{"type":"clock.advanced","event_id":"end","occurred_at":"2026-02-15T00:00:00Z"}\n')
    return [folder / f"{name}.jsonl" for name in ("orders", "support", "profiles")]


def test_several_processes_write_the_same_bytes(company: list[Path], tmp_path: Path) -> None:
    """Whoever has the partitions: what they write comes in the order of the input, and one census is of all."""
    context = Context(Policy(reporting_currency="EUR"))
    runs = {
        processes: Replay(context, WALL_CLOCK_MS, processes=processes).run(
            company, tmp_path / str(processes), lambda _: None
        )
        for processes in (1, 2)
    }

    assert runs[1] == runs[2]
    assert runs[1].refusals.total() > 0
    assert runs[1].tier_changes.total() > 40
    files = sorted(one.name for one in (tmp_path / "1").iterdir())
    assert len(files) == 5
    for name in files:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
        assert (tmp_path / "1" / name).stat().st_size > 0


def test_an_erased_account_is_in_no_later_replay(company: list[Path], tmp_path: Path) -> None:
    """What it did, and what was refused of it, counts as erased: its id is in no file, and no census counted it."""
    context = Context(Policy(reporting_currency="EUR"))
    snapshots = tmp_path / "before" / SNAPSHOTS_FILE
    Replay(context, WALL_CLOCK_MS).run(company, snapshots.parent, lambda _: None)
    gone = max(lines_of(snapshots), key=lambda one: float(one["windows"]["365"]["revenue"]))["account_id"]
    erasure = {"type": "account.erased", "event_id": "gone", "account_id": gone, "occurred_at": "2025-12-31T23:00:00Z"}
    refused = {"type": "order.completed", "account_id": gone, "occurred_at": "2025-12-01T00:00:00Z"}
    more = tmp_path / "more.jsonl"
    more.write_text(f"{json.dumps(refused)}\n{json.dumps(erasure)}\n", encoding="utf-8")
    without = tmp_path / "without"
    without.mkdir()
    for path in company:
        kept = [line for line in path.read_bytes().splitlines() if gone.encode() not in line]
        (without / path.name).write_bytes(b"\n".join(kept) + b"\n")

    run = Replay(context, WALL_CLOCK_MS).run([*company, more], tmp_path / "after", lambda _: None)
    Replay(context, WALL_CLOCK_MS).run([without / path.name for path in company], tmp_path / "never", lambda _: None)

    assert run.outcomes[Outcome.ERASED] > 20
    for file in (tmp_path / "after").iterdir():
        assert gone.encode() not in file.read_bytes()
    after, never = (load_cut_points(tmp_path / run / CUT_POINTS_FILE) for run in ("after", "never"))
    assert (after.accounts, after.revenue, after.profit, after.rfm) == (
        never.accounts,
        never.revenue,
        never.profit,
        never.rfm,
    )


@table("""
| case                              | events                                                     | incarnation | outcomes          |
| an order after it                 | order 01-05; erase 01-10; order 01-20                      | 1           | erased 1, applied 2 |
| nothing before it                 | erase 01-10; order 01-20                                   | 0           | applied 2         |
| erased twice                      | order 01-05; erase 01-10; order 01-20; erase 01-21; order 01-22 | 2      | erased 2, applied 3 |
| nothing in between                | order 01-05; erase 01-10; erase 01-21; order 01-22         | 1           | erased 1, applied 3 |
| an old event that comes after it  | order 01-05; erase 01-10; order 01-20; order 01-04         | 1           | erased 2, applied 2 |
""")
def test_who_comes_back_after_an_erasure(row: Row, tmp_path: Path) -> None:
    """An order after the last erasure begins a new account, of the incarnation that a worker would give it."""
    kinds = {"order": "order.completed", "erase": "account.erased"}
    lines = []
    for number, (kind, day) in enumerate(one.split() for one in row["events"].split(";")):
        fields = json.loads(order("A", f"2026-{day}T12:00:00Z")) | {"type": kinds[kind], "event_id": str(number)}
        lines.append(json.dumps(fields).encode())
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(lines) + b"\n")
    context = Context(Policy(reporting_currency="EUR"))

    run = Replay(context, WALL_CLOCK_MS).run([events], tmp_path / "out", lambda _: None)

    (found,) = lines_of(tmp_path / "out" / SNAPSHOTS_FILE)
    (entered, *_) = lines_of(tmp_path / "out" / TIER_CHANGES_FILE)
    worker = Partition(context)
    for line in lines:
        event = parse(TOPIC_OF_TYPE[json.loads(line)["type"]], b"A", line)
        assert not isinstance(event, Refusal | ClockAdvanced)
        worker.apply(event)
    held = worker.get("A")
    assert held is not None
    assert (found["incarnation"], entered["incarnation"], held.incarnation) == (int(row["incarnation"]),) * 3
    assert entered["sequence"] == 1
    assert ", ".join(f"{name} {count}" for name, count in sorted(run.outcomes.items(), reverse=True)) == row["outcomes"]


def test_an_account_that_is_erased_later_is_not_brought_back(tmp_path: Path) -> None:
    """An `until` before the erasure is no way around it."""
    erasure = {"type": "account.erased", "event_id": "x", "account_id": "A", "occurred_at": "2026-02-01T12:00:00Z"}
    lines = [order("A", "2026-01-01T12:00:00Z"), order("B", "2026-01-02T12:00:00Z"), json.dumps(erasure).encode()]
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(lines) + b"\n")
    context = Context(Policy(reporting_currency="EUR"))

    run = Replay(context, WALL_CLOCK_MS, date(2026, 1, 10)).run([events], tmp_path / "out", lambda _: None)

    assert [one["account_id"] for one in lines_of(tmp_path / "out" / SNAPSHOTS_FILE)] == ["B"]
    assert (dict(run.outcomes), run.skipped) == ({"erased": 1, "applied": 1}, 1)


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
