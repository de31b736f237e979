"""Invoices of the Online Retail set: which become orders, which refunds, which nothing."""

from pathlib import Path
from typing import Final

import pytest

from stream.importers.presets import Preset
from tests.importers.running import Imported, run_preset, write

HEADER: Final = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def _import(folder: Path, rows: str) -> Imported:
    """Import rows of invoice, quantity, price, customer and, optionally, minute."""
    lines = [HEADER]
    for row in rows.split(";"):
        invoice, quantity, price, customer, *minute = row.split()
        customer = "" if customer == "-" else customer
        time = f"2011-01-05 13:{minute[0] if minute else '40'}:00"
        lines.append(f"{invoice},85123A,HOLDER,{quantity},{time},{price},{customer},France")
    return run_preset(Preset.ONLINE_RETAIL, write(folder, "\n".join(lines)))


def _brief(imported: Imported) -> list[str]:
    return [
        " ".join((event["event_id"].partition(":")[2], event["type"].partition(".")[2], event["amount"]))
        for event in imported.events
    ]


CASES: Final = [
    # why, rows, events, rejects
    ("the lines of an invoice are summed", "1 6 2.55 17850.0; 1 6 3.39 17850.0", ["1 completed 35.64"], []),
    ("a sum is exact to the last digit", "1 1 0.001 7.0; 1 3 0.1 7.0", ["1 completed 0.301"], []),
    ("equal lines are two lines", "1 1 2.00 7.0; 1 1 2.00 7.0", ["1 completed 4.00"], []),
    ("nothing to pay is an order", "1 5 0.0 7.0", ["1 completed 0.00"], []),
    (
        "an invoice may be interrupted",
        "1 1 2.00 7.0; 2 1 1.00 8.0; 1 1 3.00 7.0",
        ["1 completed 5.00", "2 completed 1.00"],
        [],
    ),
    ("a cancellation is a refund", "C1 -2 1.50 7.0", ["C1 refunded 3.00"], []),
    ("below 0 without a C is a refund", "1 1 2.00 7.0; 1 -3 1.00 7.0", ["1 refunded 1.00"], []),
    ("a negative price is a refund", "1 1 -2.00 7.0", ["1 refunded 2.00"], []),
    ("a cancellation of 0 is nothing", "C1 -2 0.0 7.0", [], [(2, "refund_not_negative")]),
    ("nor one above 0", "C1 -1 2.0 7.0; C1 2 2.0 7.0", [], [(2, "refund_not_negative"), (3, "refund_not_negative")]),
    ("bad debt is no order", "A1 1 11062.06 7.0", [], [(2, "not_an_order")]),
    ("nor is it a refund", "A1 1 -11062.06 7.0", [], [(2, "not_an_order")]),
    ("an account is needed", "1 1 2.00 -; 2 1 2.00 7.0", ["2 completed 2.00"], [(2, "missing_account")]),
    (
        "in every line of an invoice",
        "1 1 2.00 7.0; 1 1 2.00 -",
        [],
        [(2, "order_incomplete"), (3, "missing_account")],
    ),
    (
        "and only one",
        "1 1 2.00 7.0; 2 1 2.00 7.0; 1 1 2.00 8.0",
        ["2 completed 2.00"],
        [(2, "several_values"), (4, "several_values")],
    ),
    (
        "a line that cannot be read spoils its invoice, before or after it",
        "1 1 2.00 7.0; 1 x 2.00 7.0; 1 1 2.00 7.0; 2 1 1.00 7.0",
        ["2 completed 1.00"],
        [(2, "order_incomplete"), (3, "invalid_number"), (4, "order_incomplete")],
    ),
    ("a price is a number", "1 1 1e2 7.0", [], [(2, "invalid_number")]),
    ("not just any number", "1 1 nan 7.0", [], [(2, "invalid_number")]),
    ("a time is a time", "1 1 2.00 7.0 61", [], [(2, "invalid_time")]),
    ("what no worker would accept", "1 1 100000000001 7.0", [], [(2, "refused_by_contract")]),
    (
        "a refund keeps its own date",
        "1 1 2.00 7.0 41; C2 -1 2.00 7.0 40",
        ["C2 refunded 2.00", "1 completed 2.00"],
        [],
    ),
]


@pytest.mark.parametrize(("why", "rows", "events", "rejects"), CASES, ids=[case[0] for case in CASES])
def test_what_becomes_of_invoices(
    tmp_path: Path, why: str, rows: str, events: list[str], rejects: list[tuple[int, str]]
) -> None:
    """An invoice becomes one order, one refund, or rejects of all its lines."""
    imported = _import(tmp_path, rows)

    assert (_brief(imported), imported.rejects) == (events, rejects), why


def test_an_order_looks_like_this(tmp_path: Path) -> None:
    """Ids are written as a person would, the time is that of the first line, and there is no cost."""
    [event] = _import(tmp_path, "540185 1 2.00 17850.0 41; 540185 1 2.00 17850.0 40").events

    assert list(event.items()) == [
        ("event_id", "online-retail:540185"),
        ("type", "order.completed"),
        ("account_id", "17850"),
        ("occurred_at", "2011-01-05T13:41:00Z"),
        ("order_id", "540185"),
        ("amount", "4.00"),
        ("currency", "GBP"),
    ]


def test_a_refund_names_no_order(tmp_path: Path) -> None:
    """A cancellation has a number of its own, which is not the number of the order that it cancels."""
    [event] = _import(tmp_path, "C540186 -1 2.00 17850.0").events

    assert "order_id" not in event


def test_a_spreadsheets_dates_are_read(tmp_path: Path) -> None:
    """The set is also passed on as a spreadsheet saves it: month first, no seconds, whole customer ids."""
    path = write(tmp_path, f"{HEADER}\n536365,85123A,HOLDER,6,12/1/2010 8:26,2.55,17850,United Kingdom")

    [event] = run_preset(Preset.ONLINE_RETAIL, path).events

    assert (event["occurred_at"], event["account_id"]) == ("2010-12-01T08:26:00Z", "17850")


def test_rejected_rows_are_kept_as_they_were(tmp_path: Path) -> None:
    """A reject says where it was, why it is one, and what the row said."""
    [line] = _import(tmp_path, "1 1 2.00 -").reject_lines

    assert line.decode() == (
        '{"file":"source.csv","line":2,"reason":"missing_account","detail":"account_id is empty","row":'
        '{"InvoiceNo":"1","StockCode":"85123A","Description":"HOLDER","Quantity":"1",'
        '"InvoiceDate":"2011-01-05 13:40:00","UnitPrice":"2.00","CustomerID":"","Country":"France"}}'
    )


def test_naive_times_are_mentioned(tmp_path: Path) -> None:
    """The summary says that times without an offset were taken for UTC."""
    imported = _import(tmp_path, "1 1 2.00 7.0")

    assert imported.summary.notes == ["times in source.csv without an offset were read as UTC"]
