"""Mappings: what is checked in them, and how cells are read by them."""

from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import events
from models.events import TOPIC_OF_TYPE
from stream.importers.cells import Numbers
from stream.importers.contract import TYPES, fields_of
from stream.importers.errors import MappingError, RowError
from stream.importers.mapping import FileFormat, read_mapping
from tests.importers.running import Imported, run_mapping, write

ORDER: Final = """
name = "shop"
type = "order.completed"
[fields]
account_id = { column = "account" }
occurred_at = { column = "time" }
order_id = { column = "order" }
amount = { column = "amount" }
currency = { constant = "EUR" }
"""


def _errors(text: str) -> list[str]:
    with pytest.raises(MappingError) as caught:
        read_mapping(text, "m.toml")
    return list(caught.value.lines)


def test_every_error_is_listed_at_once() -> None:
    """Errors in single keys and between keys come together, each with its place."""
    text = """
name = "Shop"
type = "order.completed"
group_by = "invoice"
colour = "red"
[file]
delimiter = ";;"
encoding = "utf-9"
decimal_separator = ";"
[time]
formats = ["%Q"]
zone = "Europe/Atlantis"
[fields]
account_id = { column = "account", constant = "7" }
occurred_at = { colum = "time" }
amount = { column = "amount", values = { a = "b" } }
currency = { constant = "EURO" }
ticket_id = { column = "ticket" }
"""
    places = [line.split(": ")[1] for line in _errors(text)]

    assert sorted(places) == sorted(
        [
            "name",
            "group_by",
            "colour",
            "file.delimiter",
            "file.encoding",
            "file.decimal_separator",
            "time.formats.0",
            "time.zone",
            "fields.account_id",
            "fields.occurred_at.colum",
            "fields.amount.values",
            "fields.currency.constant",
            "fields.ticket_id",
            "fields.order_id",
        ]
    )


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('"shop"', '"shop', "m.toml: not TOML: "),
        ('"order.completed"', '"clock.advanced"', "m.toml: type: Input should be"),
        ('{ column = "order" }', "{ line = false }", "m.toml: fields.order_id.line: Input should be True"),
        ('{ column = "order" }', "{}", "m.toml: fields.order_id: give exactly one of column, constant and line"),
        ('{ column = "amount" }', "{ line = true }", "m.toml: fields.amount.line: a line number can only be text"),
        ('{ column = "amount" }', '{ constant = "-1" }', "m.toml: fields.amount.constant: Input should be greater"),
        ('{ constant = "EUR" }', '{ constant = "EUR", times = "x" }', "m.toml: fields.currency: times, whole_number"),
        ('{ column = "order" }', '{ column = "order", times = "x" }', "m.toml: fields.order_id.times: only amounts"),
        ("[fields]", 'group_by = "amount"\n[fields]', "m.toml: group_by: 'amount' is not text"),
        ("[fields]", 'group_by = "currency"\n[fields]', "m.toml: group_by: 'currency' is not read from a column"),
        ("[fields]", '[time]\nformats = ["day"]\n[fields]', "m.toml: time.formats.0: 'day' names no part of a time"),
        ("[fields]", '[file]\nthousands_separator = "."\n[fields]', "m.toml: file: decimal_separator and thousands"),
        ("[fields]", '[fields]\nevent_id = { constant = "1" }', "m.toml: fields.event_id.constant: every event"),
        ('"order.completed"', '"order.refunded"\n[refund]\nnegative_amount = true', "m.toml: refund: only for"),
    ],
)
def test_an_error_says_where_and_what(old: str, new: str, error: str) -> None:
    """Each single error is found, and is the only one."""
    assert old in ORDER

    [line] = _errors(ORDER.replace(old, new, 1))

    assert line.startswith(error)


def _sample_mapping(type_: str) -> str:
    columns = "\n".join(f'"{name}" = {{ column = "{name}" }}' for name in fields_of(type_))
    return f'name = "all"\ntype = "{type_}"\n[fields]\n{columns}\n'


SAMPLE_VALUES: Final = {
    "amount": "12.50",
    "cost": "3",
    "budget.amount": "1000000",
    "currency": "EUR",
    "budget.currency": "JPY",
    "score": "5",
    "kind": "csat",
    "profile_version": "3",
    "occurred_at": "2025-01-02T03:04:05Z",
    "ordered_at": "2025-01-01",
    "customer_since": "2020-02-29",
    "renewal_on": "2026-01-01",
    "severity": "high",
    "category": "quality",
    "crm_url": "https://crm.example/7",
}


@pytest.mark.parametrize("type_", TYPES)
def test_every_field_of_every_type_can_be_mapped(tmp_path: Path, type_: str) -> None:
    """A row with all fields of a type becomes an event that has them all and is accepted."""
    names = list(fields_of(type_))
    cells = [SAMPLE_VALUES.get(name, f"some-{name.replace('_', '-')}") for name in names]
    path = write(tmp_path, f"{','.join(names)}\n{','.join(cells)}")

    imported = run_mapping(_sample_mapping(type_), path)

    assert imported.refusals() == []
    [event] = imported.events
    assert event.keys() | {"type"} == {name.partition(".")[0] for name in names} | {"type"}


def test_the_types_are_those_of_the_contract() -> None:
    """All types but the control event, which has no account, can be mapped."""
    assert set(TYPES) == set(TOPIC_OF_TYPE) - {"clock.advanced"}


def test_what_is_not_mapped_is_known() -> None:
    """A field added to the contract's profile can be mapped too, unless it is named here."""
    mapped = {name.partition(".")[0] for name in fields_of("profile.updated")}

    assert set(events.ProfileUpdated.model_fields) - mapped == {"type", "ratings", "override"}


def _orders(folder: Path, rows: str, extra: str = "") -> Imported:
    path = write(folder, f"order,account,time,amount\n{rows}")
    return run_mapping(ORDER.replace("[fields]", f"{extra}\n[fields]"), path)


def _outcome(imported: Imported, field: str) -> Any:
    return imported.events[0][field] if imported.events else imported.rejects[0][1]


@pytest.mark.parametrize(
    ("cell", "settings", "expected"),
    [
        ("2025-01-31", "", "2025-01-31T00:00:00Z"),
        ("2025-01-31T10:00:00+02:00", "", "2025-01-31T08:00:00Z"),
        ("2025-07-01 10:00:00", 'zone = "Europe/Berlin"', "2025-07-01T08:00:00Z"),
        ("2025-10-26 02:30:00", 'zone = "Europe/Berlin"', "2025-10-26T00:30:00Z"),
        ("2025-07-01T10:00:00+00:00", 'zone = "Europe/Berlin"', "2025-07-01T10:00:00Z"),
        ("31.1.2025", 'formats = ["iso", "%d.%m.%Y"]', "2025-01-31T00:00:00Z"),
        ("31.1.2025 10:00 +0100", 'formats = ["%d.%m.%Y %H:%M %z"]', "2025-01-31T09:00:00Z"),
        ("2025-01-31T10:00:00.123456", "", "2025-01-31T10:00:00.123456Z"),
        ("2025-02-30", "", "invalid_time"),
        ("31/01/2025", 'formats = ["%m/%d/%Y"]', "invalid_time"),
        ("0001-01-01T00:00:00+02:00", "", "invalid_time"),
        ("1969-12-31T23:59:59", "", "refused_by_contract"),
        ("1738281600", "", "invalid_time"),
        ("", "", "missing_value"),
    ],
)
def test_times_are_read_as_the_mapping_says(tmp_path: Path, cell: str, settings: str, expected: str) -> None:
    """A time keeps its offset, or stands in the mapping's zone, and is written in UTC."""
    imported = _orders(tmp_path, f"1,k,{cell},5", f"[time]\n{settings}")

    assert _outcome(imported, "occurred_at") == expected


@pytest.mark.parametrize(
    ("cell", "separators", "expected"),
    [
        ("1234.5", ".", "1234.5"),
        ("+0.10", ".", "0.10"),
        (".5", ".", "0.5"),
        ("-3", ".", "-3"),
        ("1,5", ",", "1.5"),
        ("1.234,5", ",.", "1234.5"),
        ("12.345.678", ",.", "12345678"),
        ("1 234.5", ". ", "1234.5"),
        ("1,234", ".", None),
        ("1.5", ",.", None),
        ("1234.567", ",.", None),
        ("1.234.5", ",.", None),
        ("1.", ".", None),
        ("1e3", ".", None),
        ("0x10", ".", None),
        ("1_000", ".", None),
        ("NaN", ".", None),
        ("Infinity", ".", None),
        ("-", ".", None),
        ("--1", ".", None),
        ("1-", ".", None),
        ("€1", ".", None),
        ("١", ".", None),
        ("9" * 21, ".", None),
    ],
)
def test_numbers_are_read_as_the_mapping_says(cell: str, separators: str, expected: str | None) -> None:
    """A number is read by its separators, and anything that could be another number is refused."""
    numbers = Numbers(
        FileFormat.model_validate({"decimal_separator": separators[0], "thousands_separator": separators[1:]})
    )

    if expected is None:
        with pytest.raises(RowError, match="invalid_number"):
            numbers.parse(cell)
    else:
        assert str(numbers.parse(cell)) == expected


@given(st.decimals(min_value=-(10**11), max_value=10**11, places=4))
def test_a_number_written_in_german_is_read_back(number: Decimal) -> None:
    """Writing with thousands points and a decimal comma, then reading, changes nothing."""
    german = f"{number:,f}".translate(str.maketrans(",.", ".,"))

    assert Numbers(FileFormat(decimal_separator=",", thousands_separator=".")).parse(german) == number


@pytest.mark.parametrize(
    ("source", "cell", "expected"),
    [
        ("whole_number = true", "17850.0", "17850"),
        ("whole_number = true", "17850.5", "17850.5"),
        ("whole_number = true", "00017", "00017"),
        ("floor_divide_by = 1000", "43659001", "43659"),
        ("floor_divide_by = 1000", "43x", "invalid_number"),
        ('values = { a = "A" }', "a", "A"),
        ('values = { a = "A" }', "b", "unknown_value"),
        ('values = { "7" = "K-7" }, whole_number = true', "7.0", "K-7"),
        ("whole_number = true", "-", "missing_account"),
        ("whole_number = true", " ", "missing_account"),
    ],
)
def test_text_is_changed_as_the_mapping_says(tmp_path: Path, source: str, cell: str, expected: str) -> None:
    """Ids lose what a program added to them, and are translated."""
    changed = ORDER.replace('{ column = "account" }', f'{{ column = "account", {source} }}')
    changed = changed.replace("[fields]", '[file]\nmissing = ["-"]\n[fields]')
    path = write(tmp_path, f"order,account,time,amount\n1,{cell},2025-01-01,5")

    assert _outcome(run_mapping(changed, path), "account_id") == expected


def test_an_order_below_0_needs_a_rule(tmp_path: Path) -> None:
    """Without a rule for refunds a negative amount is rejected, with one it is a refund."""
    row = "1,k,2025-01-01,-5"

    assert _orders(tmp_path, row).rejects == [(2, "refused_by_contract")]
    assert _outcome(_orders(tmp_path, row, "[refund]\nnegative_amount = true"), "amount") == "5.00"


def test_rows_that_are_left_out_are_counted(tmp_path: Path) -> None:
    """`only` skips rows of other values; a row too short to have one is rejected, not skipped."""
    imported = _orders(tmp_path, "1,k,2025-01-01,5\n2,k,2025-01-01,6\n3,k", '[only]\ncolumn = "amount"\nvalues = ["5"]')

    assert (imported.summary.rows, imported.summary.rows_skipped) == (2, 1)
    assert imported.rejects == [(4, "wrong_cell_count")]


def test_rows_that_are_left_out_are_not_rejected_with_their_order(tmp_path: Path) -> None:
    """When an order is rejected, its skipped rows stay skipped."""
    text = ORDER.replace("[fields]", 'group_by = "order_id"\n[only]\ncolumn = "keep"\nvalues = ["y"]\n[fields]')
    path = write(
        tmp_path,
        "order,account,time,amount,keep\n1,k,2025-01-01,5,y\n1,k,2025-01-01,5,n\n1,l,2025-01-01,5,y",
    )

    assert run_mapping(text, path).rejects == [(2, "several_values"), (4, "several_values")]


def test_spaces_around_cells_and_names_are_no_part_of_them(tmp_path: Path) -> None:
    """Names of columns and cells are read without the spaces around them."""
    path = tmp_path / "rows.csv"
    path.write_text(" order, account ,time,amount\n 1 , k,2025-01-01 , 5 \n", encoding="utf-8")

    [event] = run_mapping(ORDER, path).events

    assert (event["order_id"], event["account_id"], event["amount"]) == ("1", "k", "5.00")


def test_a_refund_without_cost_is_not_below_0(tmp_path: Path) -> None:
    """Turning the sign of a cost of 0 leaves a plain 0."""
    text = ORDER.replace("[fields]", "[refund]\nnegative_amount = true\n[fields]\ncost = { constant = 0 }")
    path = write(tmp_path, "order,account,time,amount\n1,k,2025-01-01,-5")

    [event] = run_mapping(text, path).events

    assert (event["amount"], event["cost"]) == ("5.00", "0.00")


def test_a_cost_unknown_in_one_row_is_unknown(tmp_path: Path) -> None:
    """An order with a row without a cost has no cost: half a cost would make a profit of the rest."""
    text = ORDER.replace("[fields]", 'group_by = "order_id"\n[fields]\ncost = { column = "cost" }')
    path = write(
        tmp_path,
        "order,account,time,amount,cost\n1,k,2025-01-01,5,3\n1,k,2025-01-01,5,\n2,k,2025-01-01,5,0",
    )

    first, second = run_mapping(text, path).events

    assert ("cost" in first, second["cost"]) == (False, "0.00")


def test_a_short_row_spoils_the_order_it_names(tmp_path: Path) -> None:
    """What is missing from it may be an amount, so the order's other rows are rejected too."""
    text = ORDER.replace("[fields]", 'group_by = "order_id"\n[fields]')
    path = write(tmp_path, "order,account,time,amount\n1,k,2025-01-01,5\n1,k\n2,k,2025-01-01,5")

    imported = run_mapping(text, path)

    assert imported.rejects == [(2, "order_incomplete"), (3, "wrong_cell_count")]
    assert [event["order_id"] for event in imported.events] == ["2"]


def test_a_row_too_short_to_name_its_order_is_rejected_alone(tmp_path: Path) -> None:
    """No order can be held responsible for it."""
    text = ORDER.replace("[fields]", 'group_by = "order_id"\n[fields]')
    path = write(tmp_path, "account,time,amount,order\nk,2025-01-01,5,1\nk,2025-01-01")

    imported = run_mapping(text, path)

    assert (len(imported.events), imported.rejects) == (1, [(3, "wrong_cell_count")])


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "5"), ("EUR", "5.00"), ("KWD", "5.000")])
def test_amounts_have_the_currencys_digits(tmp_path: Path, currency: str, amount: str) -> None:
    """An amount is written with at least the digits of its currency's minor unit."""
    path = write(tmp_path, "order,account,time,amount\n1,k,2025-01-01,5")

    [event] = run_mapping(ORDER.replace("EUR", currency), path).events

    assert event["amount"] == amount
