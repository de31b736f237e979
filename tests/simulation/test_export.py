"""The files of `account-health simulate`, and the truth beside them."""

import doctest
import importlib
import json
import pkgutil
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from typer.testing import CliRunner

import stream.simulation
from models.events import InputTopic
from stream.cli.simulate import simulate

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "simulation.md"
NAMES: Final = ("orders.jsonl", "profiles.jsonl", "support.jsonl", "truth.json", "truth.jsonl")
OPTIONS: Final = (
    "--accounts", "40", "--days", "300", "--seed", "5", "--until", "2026-03-31",
    "--malformed-share", "0.02",
)  # fmt: skip

app = typer.Typer()
app.command()(simulate)


def _run(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, options)
    # Without colours and box lines, so that a message wrapped by the terminal's width reads as one.
    plain = re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", "", result.stderr)
    return result.exit_code, " ".join(plain.split())


@pytest.fixture(scope="module", name="files")
def _files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("simulated") / "new" / "folder"
    code, message = _run(*OPTIONS, "--out", str(directory))
    assert code == 0, message
    return directory


@pytest.fixture(scope="module", name="summary")
def _summary(files: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((files / "truth.json").read_bytes())
    return loaded


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1]


def test_the_files_are_those_that_are_promised(files: Path) -> None:
    """The three inputs and the two files of truth, and nothing half-written."""
    assert tuple(sorted(path.name for path in files.iterdir())) == NAMES


def test_the_same_options_give_the_same_files(files: Path, tmp_path: Path) -> None:
    """Every byte of every file is repeated."""
    assert _run(*OPTIONS, "--out", str(tmp_path))[0] == 0

    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (files / name).read_bytes()


def test_the_summary_counts_the_lines(files: Path, summary: dict[str, Any]) -> None:
    """Lines by topic, and accepted events with injected records, are those of the files."""
    lines = {topic: len(_lines(files / f"{topic}.jsonl")) for topic in InputTopic}
    marks = summary["marks"]

    assert summary["lines"] == lines
    assert sum(summary["events"].values()) == marks["clean"] + marks["late"]
    assert sum(marks.values()) == sum(lines.values())


def test_the_truth_finds_each_injected_record(files: Path, summary: dict[str, Any]) -> None:
    """Topic and line lead to the record; a malformed one is listed with its reason."""
    lines = {topic: _lines(files / f"{topic}.jsonl") for topic in InputTopic}

    assert {entry["mark"] for entry in summary["injected"]} >= {"late", "duplicate", "malformed"}
    for entry in summary["injected"]:
        line = lines[entry["topic"]][entry["line"] - 1]
        assert ("reason" in entry) == (entry["mark"] == "malformed")
        if entry["mark"] != "malformed":
            assert json.loads(line)["event_id"] == entry["event_id"]


def test_the_truth_adds_up_the_orders(files: Path, summary: dict[str, Any]) -> None:
    """Lifetime figures are those of the accepted lines: without repetitions, conflicts, broken copies."""
    skipped = {
        entry["line"]
        for entry in summary["injected"]
        if entry["topic"] == "orders" and entry["mark"] not in ("late", "clean")
    }
    signs = {"order.completed": 1, "order.cancelled": -1, "order.refunded": -1}
    revenue: dict[str, Decimal] = {}
    for number, line in enumerate(_lines(files / "orders.jsonl"), 1):
        if number not in skipped:
            event = json.loads(line)
            amount = signs[event["type"]] * Decimal(event["amount"])
            id_ = event["account_id"]
            revenue[id_] = revenue.get(id_, Decimal(0)) + amount

    accounts = [json.loads(line) for line in _lines(files / "truth.jsonl")]
    told = {one["account_id"]: Decimal(one["lifetime"]["revenue"]) for one in accounts}
    assert {id_: total for id_, total in told.items() if id_ in revenue} == revenue
    assert sum(told.values()) == Decimal(summary["revenue"])
    assert len(accounts) == 40


def test_the_truth_keeps_the_future_to_itself(files: Path) -> None:
    """An account that leaves after the last day is not told to have left."""
    for line in _lines(files / "truth.jsonl"):
        account = json.loads(line)
        assert (account["churned_on"] or "") <= "2026-03-31"
        assert (account["churned_on"] is None) == (account["churn_cause"] is None)
        assert account["returned_on"] is None or account["churned_on"] < account["returned_on"]


def test_the_command_says_what_it_made(tmp_path: Path) -> None:
    """The summary goes to stderr, with the options that give the same again."""
    code, message = _run("--accounts", "5", "--days", "30", "--out", str(tmp_path))

    assert code == 0
    assert "5 accounts, 30 days until" in message
    assert re.search(r"--accounts 5 --days 30 --seed 1 --until \d{4}-\d\d-\d\d", message)


def test_a_simulation_is_replaced_by_the_next(tmp_path: Path) -> None:
    """The same folder can be used again for another seed."""
    for seed in ("1", "2"):
        options = ("--accounts", "3", "--days", "9", "--seed", seed, "--until", "2026-01-31")
        assert _run(*options, "--out", str(tmp_path))[0] == 0

    assert json.loads((tmp_path / "truth.json").read_bytes())["seed"] == 2


def test_files_of_somebody_else_are_left_alone(tmp_path: Path) -> None:
    """Orders without a truth beside them are real ones: the command refuses to replace them."""
    (tmp_path / "orders.jsonl").write_text("real\n")

    code, message = _run("--accounts", "3", "--out", str(tmp_path))

    assert code == 2
    assert "not a simulation's to replace" in message
    assert (tmp_path / "orders.jsonl").read_text() == "real\n"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--accounts", "0"),
        ("--days", "0"),
        ("--days", "99999"),
        ("--until", "yesterday"),
        ("--until", "2099-12-31"),
        ("--currency", "euro"),
        ("--malformed-share", "0.9"),
    ],
)
def test_an_option_out_of_range_is_refused(tmp_path: Path, option: str, value: str) -> None:
    """The message names what is wrong, and nothing is written."""
    code, message = _run(option, value, "--out", str(tmp_path / "none"))

    assert code == 2
    assert option.removeprefix("--").split("-")[0] in message
    assert not (tmp_path / "none").exists()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A file in the way of the folder ends the command with a sentence, not a traceback."""
    (tmp_path / "file").write_text("")

    code, message = _run("--accounts", "3", "--out", str(tmp_path / "file" / "folder"))

    assert code == 1
    assert message.startswith("error: ")


def test_the_page_names_every_field_of_the_truth(files: Path, summary: dict[str, Any]) -> None:
    """The tables of the documentation list the fields of both files, no more and no fewer."""
    account = json.loads(_lines(files / "truth.jsonl")[0])
    page = PAGE.read_text(encoding="utf-8")
    _, accounts_part, summary_part = re.split(r"^### `truth\.jsonl?`.*$", page, flags=re.MULTILINE)

    def fields(text: str) -> list[str]:
        return re.findall(r"^\| `(\w+)` \|", text.split("\n## ", maxsplit=1)[0], flags=re.MULTILINE)

    assert fields(accounts_part) == list(account)
    assert fields(summary_part) == list(summary)


def test_the_examples_in_the_docstrings_hold() -> None:
    """Every example of the simulation's modules gives what it says."""
    attempted = 0
    for found in pkgutil.iter_modules(stream.simulation.__path__, "stream.simulation."):
        result = doctest.testmod(importlib.import_module(found.name), raise_on_error=True)
        attempted += result.attempted

    assert attempted >= 6
