"""`account-health import` as one types it."""

import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner, Result

from stream.cli import app
from stream.importers.errors import RejectReason
from stream.importers.mapping import FieldSource, Mapping
from stream.importers.outbox import Outbox

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs" / "importing.md"
EXAMPLE: Final = [
    "--mapping",
    str(ROOT / "examples" / "mapping.toml"),
    str(ROOT / "examples" / "orders.csv"),
]

EXAMPLE_EVENTS: Final = [
    (
        '{"event_id":"shop:R-1001","type":"order.completed","account_id":"K-0042",'
        '"occurred_at":"2025-02-03T08:15:00Z","order_id":"R-1001","amount":"1334.90","currency":"EUR",'
        '"cost":"781.40","product_lines":["filters","pumps"]}'
    ),
    (
        '{"event_id":"shop:R-1002","type":"order.completed","account_id":"K-0007",'
        '"occurred_at":"2025-02-03T10:40:00Z","order_id":"R-1002","amount":"310.00","currency":"EUR",'
        '"product_lines":["pumps"]}'
    ),
    (
        '{"event_id":"shop:G-0001","type":"order.refunded","account_id":"K-0042",'
        '"occurred_at":"2025-07-10T14:30:00Z","amount":"84.90","currency":"EUR","cost":"51.00"}'
    ),
]


def _run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["import", *map(str, arguments)])


def test_the_example_gives_orders_and_a_refund() -> None:
    """The example mapping reads its file: commas, local times, several rows an order, translated names."""
    result = _run(*EXAMPLE)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == EXAMPLE_EVENTS


def test_the_summary_counts_on_standard_error() -> None:
    """Rows, events, rejects by reason, money and times are printed where they do not mix with the events."""
    printed = dict(re.findall(r"│ (\S.*?) +│ +(\S.*?) │", _run(*EXAMPLE).stderr))

    assert printed == {
        "rows read": "6",
        "rows skipped by the mapping's only": "1",
        "orders read": "5",
        "orders rejected": "2",
        "events": "3",
        "events order.completed": "2",
        "events order.refunded": "1",
        "accounts": "2",
        "rows rejected": "2",
        "rows rejected: invalid_number": "1",
        "rows rejected: missing_account": "1",
        "amount EUR, all rows": "1,605.00",
        "amount EUR, order.completed": "1,644.90",
        "amount EUR, order.refunded": "84.90",
        "amount EUR, rejected rows": "45.00",
        "cost EUR, all rows": "750.40",
        "cost EUR, order.completed": "781.40",
        "cost EUR, order.refunded": "51.00",
        "cost EUR, rejected rows": "20.00",
        "first event": "2025-02-03 08:15:00 UTC",
        "last event": "2025-07-10 14:30:00 UTC",
    }


def test_events_and_rejects_are_written_side_by_side(tmp_path: Path) -> None:
    """With --out, standard output stays empty and the rejects lie beside the events."""
    out = tmp_path / "events.jsonl"

    result = _run(*EXAMPLE, "--out", out)

    assert (result.exit_code, result.stdout) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "events.jsonl",
        "events.rejects.jsonl",
    ]
    assert len(out.read_text().splitlines()) == 3
    rejects = (tmp_path / "events.rejects.jsonl").read_text().splitlines()
    assert [(json.loads(one)["line"], json.loads(one)["reason"]) for one in rejects] == [
        (7, "missing_account"),
        (8, "invalid_number"),
    ]


def test_importing_twice_replaces_the_files_with_the_same(tmp_path: Path) -> None:
    """The second import of a file leaves the same bytes, also where an older file was in the way."""
    out = tmp_path / "events.jsonl"
    out.write_text("something else")

    contents = []
    for _ in range(2):
        assert _run(*EXAMPLE, "--out", out).exit_code == 0
        contents.append([path.read_bytes() for path in sorted(tmp_path.iterdir())])

    assert contents[0] == contents[1]


def test_rejects_that_are_not_kept_are_mentioned() -> None:
    """Without a file for them, the summary says how to get one."""
    assert "rejected rows were not kept: --rejects names a file for them" in _run(*EXAMPLE).stderr


def test_a_preset_reads_a_compressed_file(tmp_path: Path) -> None:
    """A preset and a file are all that is needed."""
    path = tmp_path / "cdnow.txt.gz"
    path.write_bytes(gzip.compress(b" 00004 0001 19970101  2   29.33\r\n"))

    assert '"account_id":"00004"' in _run("cdnow", path).stdout


def test_no_file_appears_beside_a_device() -> None:
    """Events can go to a device, and then rejects are only counted."""
    result = _run(*EXAMPLE, "--out", os.devnull)

    assert (result.exit_code, result.stdout) == (0, "")
    assert "rejected rows were not kept" in result.stderr
    assert not Path(f"{os.devnull}.rejects.jsonl").exists()


INCIDENTS_HEADER: Final = "number,incident_state,reopen_count,made_sla,caller_id,opened_at,sys_updated_at,priority"


def test_incidents_are_joined_by_options(tmp_path: Path) -> None:
    """--accounts and --shift-days join callers to customers and move the dates."""
    (tmp_path / "incidents.csv").write_text(f"{INCIDENTS_HEADER}\n1,New,0,true,7,1/3/2016 10:00,1/3/2016 10:05,2\n")
    (tmp_path / "map.csv").write_text("caller_id,account_id\n7,17850\n")

    result = _run("incidents", tmp_path / "incidents.csv", "--accounts", tmp_path / "map.csv", "--shift-days", "-1826")

    assert json.loads(result.stdout) == {
        "event_id": "incidents:1:opened",
        "type": "ticket.opened",
        "account_id": "17850",
        "occurred_at": "2011-03-02T10:00:00Z",
        "ticket_id": "1",
        "severity": "high",
    }


@pytest.mark.parametrize(
    ("arguments", "errors"),
    [
        (["cdnow"], ["give a preset (online-retail, cdnow, adventureworks-resellers, incidents) and one file, "]),
        (["shop", "FILE"], ["'shop' is no preset; there are online-retail, cdnow, "]),
        (["cdnow", "FILE", "FILE"], ["give a preset "]),
        (["cdnow", "FILE", "--mapping", "FILE"], ["give either a preset or --mapping, and one file"]),
        (["cdnow", "MISSING"], ["MISSING: No such file or directory"]),
        (["cdnow", "FILE"], ["FILE: 1 columns; the master set has 4, its sample 5"]),
        (["online-retail", "FILE"], ["FILE: no column 'CustomerID', 'InvoiceDate', 'InvoiceNo', 'Quantity', "]),
        (["incidents", "FILE"], ["FILE: no column 'number', 'incident_state', 'reopen_count', 'made_sla', "]),
        (["--mapping", "FILE", "FILE"], ["FILE: not TOML: "]),
        (["--mapping", "MISSING", "FILE"], ["MISSING: No such file or directory"]),
        (
            ["cdnow", "FILE", "--profiles", "FILE", "--accounts", "FILE", "--shift-days", "3"],
            [
                "--profiles is for adventureworks-resellers",
                "--accounts is for incidents",
                "--shift-days is for incidents",
            ],
        ),
        (["incidents", "FILE", "--shift-days", "99999999999"], ["--shift-days 99999999999 is too large"]),
        (["cdnow", "FILE", "--out", "FILE"], ["--out and --rejects should not name a file that is read"]),
        (["cdnow", "FILE", "--out", "NEW", "--rejects", "NEW"], ["--out and --rejects should be two files"]),
        (["cdnow", "FILE", "--out", "MISSING/x"], ["no such folder: MISSING"]),
    ],
)
def test_errors_are_single_lines(tmp_path: Path, arguments: list[str], errors: list[str]) -> None:
    """What is wrong is said in one line for each error, with exit code 2, and no file appears."""
    (tmp_path / "FILE").write_text("a,b\n1,2\n")
    names = {"FILE", "MISSING", "NEW", "MISSING/x"}

    result = _run(*(tmp_path / one if one in names else one for one in arguments))

    assert (result.exit_code, result.stdout) == (2, "")
    lines = result.stderr.replace(f"{tmp_path}/", "").splitlines()
    assert len(lines) == len(errors)
    for line, error in zip(lines, errors, strict=True):
        assert line.startswith(f"error: {error}")
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]


def test_a_file_that_breaks_off_changes_nothing(tmp_path: Path) -> None:
    """When the source turns out to be damaged, what an earlier import wrote stays."""
    out = tmp_path / "events.jsonl"
    out.write_text("an earlier import")
    source = tmp_path / "cdnow.txt.gz"
    source.write_bytes(gzip.compress(b"00004 0001 19970101 2 29.33\n" * 100_000)[:-4])

    result = _run("cdnow", source, "--out", out)

    assert result.exit_code == 2
    assert "damaged or cut off" in result.stderr
    assert out.read_text() == "an earlier import"
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_is_left_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves no half a file."""

    def full(_: Outbox) -> Iterator[bytes]:
        yield b"{}"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Outbox, "events", property(full))

    result = _run(*EXAMPLE, "--out", tmp_path / "events.jsonl")

    assert result.exit_code == 2
    assert "No space left on device" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["events.rejects.jsonl"]


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        parts = [one for one in (info.annotation, *get_args(info.annotation)) if isinstance(one, type)]
        inner = [one for one in parts if issubclass(one, BaseModel)]
        if inner:
            yield from _keys(inner[0], f"{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_key_of_a_mapping_is_documented() -> None:
    """The documentation has each key, and what a field can be made of."""
    text = DOCS.read_text(encoding="utf-8")
    keys = [key for key in _keys(Mapping) if not key.startswith("fields.")]

    assert [key for key in keys if f"`{key}`" not in text] == []
    assert [key for key in FieldSource.model_fields if f"`{key}" not in text] == []


@pytest.mark.parametrize("reason", RejectReason)
def test_every_reason_is_documented(reason: RejectReason) -> None:
    """The documentation has each reason in its table."""
    assert f"| `{reason}` | " in DOCS.read_text(encoding="utf-8")
