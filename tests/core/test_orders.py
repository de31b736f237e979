"""The short way to an order: it accepts only what the contract accepts, and gives the same order."""

import json
from decimal import Decimal
from random import Random
from typing import Any, Final

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.events import ORDERS_ADAPTER, ClockAdvanced, InputTopic
from models.fields import AMOUNT_MAX
from models.orders import Order, nano_of, order_of
from models.reading import read_order
from tests.core.test_wire import value_of
from tests.support.rubbish import rubbish
from tests.support.tables import Row, rows, table

ORDINARY: Final = r"""
| case                            | type            | changes                                                      |
| as simple as it may be          | order.completed | {"cost": "...", "product_lines": "..."}                      |
| amounts as numbers              | order.completed | {"amount": 12.34, "cost": 7}                                 |
| amounts as texts                | order.completed | {"amount": "12.34", "cost": "7.5"}                           |
| more decimals than a minor unit | order.completed | {"amount": 0.123456789, "cost": "0.000000001"}               |
| the largest amount              | order.completed | {"amount": 100000000000, "cost": "100000000000.000000000"}   |
| nothing                         | order.completed | {"amount": 0, "cost": "0.00"}                                |
| an unknown cost                 | order.completed | {"cost": null}                                               |
| the other name of an account    | order.completed | {"account_id": "...", "customer_id": "A-1"}                  |
| both names of an account        | order.completed | {"customer_id": "B-2"}                                       |
| another script                  | order.completed | {"order_id": "注文-1", "product_lines": ["Łódź", "насос"]}  |
| unknown fields                  | order.completed | {"channel": "web", "meta": {"tags": ["a", {"b": null}]}}     |
| a field of another type         | order.completed | {"ordered_at": "no time"}                                    |
| milliseconds                    | order.completed | {"occurred_at": "2026-01-31T12:00:00.123Z"}                  |
| microseconds                    | order.completed | {"occurred_at": "2026-01-31T12:00:00.123999Z"}               |
| ahead of UTC                    | order.completed | {"occurred_at": "2026-01-31T00:30:00+05:45"}                 |
| behind UTC                      | order.completed | {"occurred_at": "2026-01-31 23:30:59.5-03:30"}               |
| the first moment                | order.completed | {"occurred_at": "1969-12-31T23:00:00-01:00"}                 |
| a refund                        | order.refunded  | {}                                                           |
| a refund of nothing in special  | order.refunded  | {"order_id": "...", "ordered_at": "..."}                     |
| a refund of null                | order.refunded  | {"order_id": null, "ordered_at": null}                       |
| a cancellation                  | order.cancelled | {"ordered_at": "2026-01-31T11:59:59Z"}                       |
| a cancellation in its moment    | order.cancelled | {}                                                           |
"""


def _document(type_: str, changes: dict[str, Any]) -> bytes:
    raw = value_of(type_, **{name: ... if value == "..." else value for name, value in changes.items()})
    return json.dumps(raw, ensure_ascii=False).encode()


def _contract(document: bytes) -> Order | None:
    """What the contract says: an order, or None for everything else."""
    try:
        event = ORDERS_ADAPTER.validate_json(document)
    except ValidationError:
        return None
    return None if isinstance(event, ClockAdvanced) else order_of(event)


def _assert_sound(document: bytes) -> None:
    order = read_order(document)
    assert order is None or order == _contract(document)


@table(ORDINARY)
def test_ordinary_orders_take_the_short_way(row: Row) -> None:
    """What producers usually write is read without the contract's validation, and as it would read it."""
    document = _document(row["type"], json.loads(row["changes"]))

    order = read_order(document)

    assert order is not None
    assert order == _contract(document)


@table(r"""
| case                           | order | text                                  |
| more digits than a double has  | same  | 0.1000000000000000055                 |
| the digits that a double lacks | same  | 99999999999.123456789                 |
| an exponent                    | same  | 1e5                                   |
| an exponent below one          | long  | 1e-7                                  |
| ten decimals                   | none  | 0.1234567891                          |
| ten decimals of nothing        | long  | "1.0000000000"                        |
| a minus before nothing         | same  | -0                                    |
| a plus                         | long  | "+5"                                  |
| spaces                         | long  | " 5 "                                 |
| an underscore                  | long  | "1_000"                               |
| digits of another script       | long  | "٣"                                   |
| no digit before the point      | long  | ".5"                                  |
| more than the largest          | none  | 100000000000.01                       |
| more than any double           | none  | 1e999                                 |
| less than nothing              | none  | -0.01                                 |
| not a number                   | none  | NaN                                   |
| a truth                        | any   | true                                  |
""")
def test_unusual_amounts(row: Row) -> None:
    """An amount in an unusual writing is read by the contract, and one that it refuses is not read at all."""
    document = _document("order.completed", {"amount": "AMOUNT"}).replace(b'"AMOUNT"', row["text"].encode())
    order, expected = read_order(document), _contract(document)

    match row["order"]:
        case "same":
            assert order == expected
            assert order is not None
        case "long":
            assert order is None
            assert expected is not None
        case "none":
            assert order is None
            assert expected is None
        case _:
            assert order is None


_TEXTS: Final = (
    '"x"',
    '""',
    '" "',
    '"A-1"',
    '"a\\u0041"',
    '"\\ud800"',
    '"\\u0000"',
    '"tab\there"',
    '"\x7f"',
    '"\u0085"',
    '"é\u2028"',
    '"😀"',
    "null",
    "7",
    "[]",
    "{}",
    "true",
    f'"{"x" * 200}"',
    f'"{"x" * 201}"',
    f'"{"é" * 200}"',
)
_TIMES: Final = (
    '"2026-01-31T12:00:00Z"',
    '"2026-01-31T12:00:00.5Z"',
    '"2026-01-31T12:00:00.0009Z"',
    '"2026-01-31T12:00:00.0001Z"',
    '"2026-01-31T12:00:00.1239999Z"',
    '"2026-01-31T12:00:00.123456789Z"',
    '"2026-01-31T11:59:59.999999999999Z"',
    '"2026-01-31t12:00:00z"',
    '"2026-01-31 12:00:00+00:00"',
    '"2026-01-31T13:00:00+01:00"',
    '"2026-01-31T12:00:00-00:00"',
    '"2026-01-31T12:00:00+0100"',
    '"2026-01-31T12:00:00+24:00"',
    '"2026-01-31T12:00Z"',
    '"2026-01-31T12:00:60Z"',
    '"2026-01-31T24:00:00Z"',
    '"2026-01-31T12:00:00,5Z"',
    '"2026-01-31T12:00:00"',
    '"2026-W05-6T12:00:00Z"',
    '"2026-02-29T12:00:00Z"',
    '"1970-01-01T00:00:00+00:01"',
    '"0001-01-01T00:00:00Z"',
    '"9999-12-31T23:59:59-01:00"',
    '"٢٠٢٦-01-31T12:00:00Z"',
    "1769860800",
    "null",
)
_NUMBERS: Final = (
    *("0", "-0", "0.0", "-0.0", "1", "12.5", "12.50", "1e5", "1E-2", "1e-10", "5e-324", "100000000000", "1e400", "01"),
    *("0.1000000000000000055", "99999999999.123456789", "100000000000.000000001", "-1", "1.", ".5", "NaN", "Infinity"),
    *('"0"', '"-0"', '"12.50"', '"1e5"', '"NaN"', '"1_0"', '" 1"', '"٣"', '"1."', '".5"', '"0.0000000001"', '""'),
    *("true", "null", "[]", '"100000000000.000000000"', "123456789012345678901234567890", "9" * 310),
)
_LINES: Final = ("[]", '["A"]', '["A", "B"]', '[""]', "[7]", '"A"', "null", '["\\u0001"]', json.dumps(["x"] * 101))
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "type": ('"order.completed"', '"order.refunded"', '"order.cancelled"', '"clock.advanced"', '"order"', "null"),
    "event_id": _TEXTS,
    "account_id": _TEXTS,
    "customer_id": _TEXTS,
    "order_id": _TEXTS,
    "occurred_at": _TIMES,
    "ordered_at": _TIMES,
    "amount": _NUMBERS,
    "cost": _NUMBERS,
    # ISO 4217's own code for no currency is among them: well formed, and not to be known.
    "currency": ('"EUR"', '"USD"', '"JPY"', '"eur"', '"XXX"', '""', "null", "978"),
    "product_lines": _LINES,
    "note": ('"x"', '"\\ud800"', '"\\q"', "1e999", "NaN", "[" * 250 + "]" * 250, "01", '{"a":{"a":1}}', "9" * 3900),
}
_USUAL: Final = {
    "type": '"order.completed"',
    "event_id": '"e1"',
    "account_id": '"A-1"',
    "order_id": '"O-1"',
    "occurred_at": '"2026-01-31T12:00:00Z"',
    "amount": "12.5",
    "currency": '"EUR"',
}


@st.composite
def _documents(draw: st.DrawFn) -> bytes:
    """Documents with any of the values above, with fields that are missing, doubled, and in any order."""
    usual = dict(_USUAL)
    usual["type"] = draw(st.sampled_from(_FIELDS["type"][:3]))
    if draw(st.booleans()):
        usual["ordered_at"] = '"2026-01-31T12:00:00Z"'
    fields = [(name, text) for name, text in usual.items() if draw(st.integers(0, 15))]
    odd = draw(st.lists(st.sampled_from(sorted(_FIELDS)), max_size=3))
    fields += [(name, draw(st.sampled_from(_FIELDS[name]))) for name in odd]
    if draw(st.booleans()):
        fields = draw(st.permutations(fields))
    space = draw(st.sampled_from(["", "", " ", "\n\t", "\x0b"]))
    around = draw(st.sampled_from(["", "", "", " ", "\ufeff", "x", "{}"]))
    inner = f",{space}".join(f'"{name}"{space}:{text}' for name, text in fields)
    return f"{around}{{{inner}{space}}}{around if around.isspace() else ''}".encode()


@settings(max_examples=500)
@given(_documents())
@example(_document("order.completed", {"account_id": None, "customer_id": "A-1"}))
def test_the_short_way_is_sound(document: bytes) -> None:
    """Whatever it accepts, the contract accepts too, and reads the same order."""
    _assert_sound(document)


@settings(max_examples=500)
@given(_documents(), st.integers(0, 10_000), st.binary(max_size=3), st.integers(0, 3))
@example(_document("order.completed", {"note": "x" * 10}), 0, b"\xef\xbb\xbf", 0)
def test_the_short_way_is_sound_on_damaged_bytes(document: bytes, place: int, put: bytes, gone: int) -> None:
    """The same of documents in which some bytes were replaced."""
    at = place % (len(document) + 1)
    _assert_sound(document[:at] + put + document[at + gone :])


def test_the_short_way_is_sound_on_rubbish() -> None:
    """The same of the records that a worker has to refuse."""
    for bad in rubbish(Random(1), ["A-1", "B-2"], partitions=4, count=2000):
        if bad.topic is InputTopic.ORDERS and bad.value is not None:
            _assert_sound(bad.value)


@given(st.decimals(min_value=0, max_value=AMOUNT_MAX, places=9))
def test_amounts_are_exact(amount: Decimal) -> None:
    """An amount in billionths is the amount, as a text and as far as a double says it."""
    text = _document("order.completed", {"amount": str(amount)})
    number = _document("order.completed", {"amount": float(amount)})

    order = read_order(text)
    assert order is None or order.amount_nano == nano_of(amount)
    _assert_sound(text)
    _assert_sound(number)


def test_every_ordinary_case_is_in_the_table() -> None:
    """All three types of order take the short way."""
    assert {row["type"] for row in rows(ORDINARY)} == {"order.completed", "order.refunded", "order.cancelled"}
