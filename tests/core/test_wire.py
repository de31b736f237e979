"""Reading records: each reason for a refusal, and nothing that can break it."""

# ruff: noqa: E501  # a row of a table is one line

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from models.events import (
    TOPIC_OF_TYPE,
    TYPES_BY_TOPIC,
    ClockAdvanced,
    InputTopic,
    OrderEvent,
    ProfileUpdated,
    adapter_of,
)
from models.orders import order_of
from models.reasons import RefusalReason
from models.snapshots import Snapshot
from models.wire import EVENT_BYTES_MAX, Refusal, parse
from tests.core.histories import histories
from tests.support.tables import Row, rows, table

_AT: Final = "2026-01-31T12:00:00Z"
_HEAD: Final = {"event_id": "e1", "account_id": "A-1", "occurred_at": _AT}
_MONEY: Final = {"amount": "12.50", "currency": "EUR"}
VALID: Final[dict[str, dict[str, Any]]] = {
    "order.completed": {"order_id": "O-1", **_MONEY, "cost": 7, "product_lines": ["pumps"]},
    "order.refunded": {**_MONEY, "order_id": "O-1", "ordered_at": "2026-01-30T12:00:00+01:00"},
    "order.cancelled": {**_MONEY, "order_id": "O-1", "ordered_at": _AT},
    "clock.advanced": {},
    "ticket.opened": {"ticket_id": "T-1", "severity": "high"},
    "ticket.resolved": {"ticket_id": "T-1", "severity": "high"},
    "ticket.reopened": {"ticket_id": "T-1", "severity": "high"},
    "sla.breached": {"ticket_id": "T-1"},
    "complaint.filed": {"category": "quality"},
    "survey.answered": {"kind": "nps", "score": 10},
    "profile.updated": {
        "profile_version": 3,
        "name": "Acme",
        "customer_since": "2020-02-29",
        "budget": {"amount": 1000, "currency": "EUR"},
        "ratings": {"market_share": {"value": 80, "rated_at": "2026-01-01"}},
        "override": {"tier": "key", "reason": "strategic", "until": "2026-12-31"},
    },
    "account.erased": {},
}


def value_of(type_: str, **changes: Any) -> dict[str, Any]:
    """Give a valid event as JSON, with changes; `...` takes a field out."""
    raw = {"type": type_, **_HEAD, **VALID[type_], **changes}
    return {name: value for name, value in raw.items() if value is not ...}


def refused(type_: str, **changes: Any) -> Refusal:
    """Parse an event with changes on its own topic, which is refused."""
    found = parse(TOPIC_OF_TYPE[type_], b"A-1", json.dumps(value_of(type_, **changes)).encode())
    assert isinstance(found, Refusal), found
    return found


def test_every_type_is_accepted() -> None:
    """A valid example of each type is read on its own topic, with the account under either name."""
    assert set(VALID) == {type_ for types in TYPES_BY_TOPIC.values() for type_ in types}
    for type_, topic in TOPIC_OF_TYPE.items():
        for raw in (value_of(type_), value_of(type_, account_id=..., customer_id="A-1"), value_of(type_, unknown=[1])):
            event = parse(topic, b"A-1", json.dumps(raw).encode())
            assert not isinstance(event, Refusal), event
            assert event.type == type_
            assert isinstance(event, ClockAdvanced) or event.account_id == "A-1"


NO_EVENTS: Final = r"""
| case                           | value                                    | key | reason        |
| no value                       | none                                     | A-1 | empty_value   |
| an empty value                 |                                          | A-1 | invalid_json  |
| no JSON                        | hello                                    | A-1 | invalid_json  |
| cut off                        | {"type": "order.compl                    | A-1 | invalid_json  |
| two documents                  | {} {}                                    | A-1 | invalid_json  |
| half a surrogate pair          | {"type": "\ud800"}                       | A-1 | invalid_json  |
| a list                         | []                                       | A-1 | not_an_object |
| null                           | null                                     | A-1 | not_an_object |
| a text                         | "order.completed"                        | A-1 | not_an_object |
| a number                       | 1e999                                    | A-1 | not_an_object |
| no type                        | {}                                       | A-1 | missing_field |
| a type of nobody               | {"type": "order.shipped"}                | A-1 | unknown_type  |
| a type that is no text         | {"type": 7}                              | A-1 | unknown_type  |
| a type that is null            | {"type": null}                           | A-1 | unknown_type  |
| a type of another topic        | {"type": "ticket.opened"}                | A-1 | wrong_topic   |
"""


@table(NO_EVENTS)
def test_values_that_are_no_event(row: Row) -> None:
    """A value that is no event of the topic is refused for what is wrong with it first."""
    value = None if row["value"] == "none" else row["value"].encode()
    found = parse(InputTopic.ORDERS, row["key"].encode(), value)

    assert isinstance(found, Refusal)
    assert found.reason == row["reason"]


FIELDS: Final = """
| case                         | type             | field         | value                            | reason              |
| no id                        | order.completed  | event_id      | ...                              | missing_field       |
| an empty id                  | order.completed  | event_id      | ""                               | invalid_field       |
| an id that is too long       | order.completed  | event_id      | "x" * 201                        | invalid_field       |
| an id with a control sign    | order.completed  | account_id    | "A\\x00"                         | invalid_field       |
| an id that is a number       | order.completed  | account_id    | 7                                | invalid_field       |
| no account                   | order.completed  | account_id    | ...                              | missing_field       |
| no account at support        | sla.breached     | account_id    | ...                              | missing_field       |
| no time                      | order.completed  | occurred_at   | ...                              | missing_field       |
| a time without offset        | order.completed  | occurred_at   | "2026-01-31T12:00:00"            | time_without_offset |
| a date                       | order.completed  | occurred_at   | "2026-01-31"                     | invalid_field       |
| a count of seconds           | order.completed  | occurred_at   | 1769860800                       | invalid_field       |
| a count of seconds as text   | order.completed  | occurred_at   | "1769860800"                     | invalid_field       |
| a time before 1970           | order.completed  | occurred_at   | "1969-12-31T23:59:59Z"           | invalid_field       |
| a day that is not            | order.completed  | occurred_at   | "2026-02-30T00:00:00Z"           | invalid_field       |
| no amount                    | order.completed  | amount        | ...                              | missing_field       |
| an amount that is null       | order.completed  | amount        | None                             | invalid_field       |
| a negative amount            | order.completed  | amount        | "-0.01"                          | invalid_field       |
| an amount that is no number  | order.completed  | amount        | "12,50"                          | invalid_field       |
| an amount of NaN             | order.completed  | amount        | "NaN"                            | invalid_field       |
| an infinite amount           | order.completed  | amount        | "Infinity"                       | invalid_field       |
| an amount too large          | order.completed  | amount        | "100000000000.01"                | invalid_field       |
| an amount too fine           | order.completed  | amount        | "0.0000000001"                   | invalid_field       |
| a refund of nothing          | order.refunded   | amount        | 0                                | invalid_field       |
| a negative cost              | order.completed  | cost          | -1                               | invalid_field       |
| a currency of nobody         | order.completed  | currency      | "EURO"                           | unknown_currency    |
| a currency in small letters  | order.completed  | currency      | "eur"                            | unknown_currency    |
| a metal                      | order.completed  | currency      | "XAU"                            | unknown_currency    |
| too many product lines       | order.completed  | product_lines | ["x"] * 101                      | invalid_field       |
| ordered after it was undone  | order.cancelled  | ordered_at    | "2026-01-31T12:00:01Z"           | invalid_field       |
| refunded before the order    | order.refunded   | ordered_at    | "2026-02-01T12:00:00Z"           | invalid_field       |
| ordered without offset       | order.cancelled  | ordered_at    | "2026-01-31T12:00:00"            | time_without_offset |
| a severity of nobody         | ticket.opened    | severity      | "urgent"                         | invalid_field       |
| a category of nobody         | complaint.filed  | category      | "colour"                         | invalid_field       |
| a survey of nobody           | survey.answered  | kind          | "effort"                         | invalid_field       |
| no kind of survey            | survey.answered  | kind          | ...                              | missing_field       |
| nps above 10                 | survey.answered  | score         | 11                               | invalid_field       |
| nps in parts                 | survey.answered  | score         | 9.5                              | invalid_field       |
| a negative version           | profile.updated  | profile_version | -1                             | invalid_field       |
| a budget of nothing          | profile.updated  | budget        | {"amount": 0, "currency": "EUR"} | invalid_field       |
| a budget of no currency      | profile.updated  | budget        | {"amount": 1, "currency": "???"} | unknown_currency    |
| a rating above 100           | profile.updated  | ratings       | {"value_fit": {"value": 101, "rated_at": "2026-01-01"}} | invalid_field |
| an address of another kind   | profile.updated  | crm_url       | "javascript:alert(1)"            | invalid_field       |
| an override to no tier       | profile.updated  | override      | {"tier": "unrated", "reason": "x", "until": "2026-01-01"} | invalid_field |
"""


@table(FIELDS)
def test_fields_that_are_refused(row: Row) -> None:
    """A field that is absent or wrong is refused with a reason and a sentence that names it and quotes nothing."""
    value = eval(row["value"], {})  # noqa: S307  # the cells are written above
    found = refused(row["type"], **{row["field"]: value})

    assert found.reason == row["reason"]
    assert found.detail.startswith((f"{row['field']}: ", f"{row['field']}.", f"{row['field']} should"))
    assert not isinstance(value, str) or len(value) < 4 or value not in found.detail


KEYS: Final = """
| case                   | key    | reason       |
| no key                 | none   | key_missing  |
| an empty key           |        | key_mismatch |
| another account        | A-2    | key_mismatch |
| in other letters       | a-1    | key_mismatch |
"""


@table(KEYS)
def test_keys_that_are_refused(row: Row) -> None:
    """The key of a record is its account's id."""
    key = None if row["key"] == "none" else row["key"].encode()
    found = parse(InputTopic.ORDERS, key, json.dumps(value_of("order.completed")).encode())

    assert isinstance(found, Refusal)
    assert found.reason == row["reason"]


def test_bytes_that_are_no_text_are_refused_as_such() -> None:
    """Neither a value nor a key may be other than UTF-8, and a value has a largest size."""
    valid = json.dumps(value_of("order.completed")).encode()
    space = b" " * (EVENT_BYTES_MAX - len(valid))

    assert _reason(b"A-1", valid.replace(b"O-1", b"O\xff1")) == "not_utf8"
    assert _reason(b"A\xff1", valid) == "not_utf8"
    assert _reason(b"A-1", valid + space) is None
    assert _reason(b"A-1", valid + space + b" ") == "too_large"


def test_the_control_event_needs_no_key() -> None:
    """`clock.advanced` belongs to a partition, whatever its key."""
    for key in (None, b"", b"\xff"):
        assert _reason(key, json.dumps(value_of("clock.advanced", account_id=...)).encode()) is None


def test_every_reason_is_reached() -> None:
    """Each reason has a row here or, where it takes more than a record to tell, is given by the one who knows."""
    told = {row["reason"] for text in (NO_EVENTS, FIELDS, KEYS) for row in rows(text)}
    elsewhere = {
        "missing_rate",  # the core: test_what_becomes_of_each_event
        "wrong_partition",  # who knows how many partitions there are
        "in_the_future",  # who has a clock
        "clock_not_event",  # who has a clock
    }

    assert told | {"not_utf8", "too_large"} | elsewhere == set(RefusalReason)


def _reason(key: bytes | None, value: bytes) -> str | None:
    found = parse(InputTopic.ORDERS, key, value)
    return found.reason if isinstance(found, Refusal) else None


TOPICS: Final = st.sampled_from(list(InputTopic))
VALUES: Final = st.sampled_from([json.dumps(value_of(type_)).encode() for type_ in VALID])
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(TOPICS, st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(topic: InputTopic, key: bytes | None, value: bytes | None) -> None:
    """No bytes raise anything."""
    assert parse(topic, key, value) is not None


@given(TOPICS, VALUES, st.integers(0, 400), st.binary(max_size=3), st.integers(0, 5))
def test_a_damaged_event_is_read_or_refused(topic: InputTopic, value: bytes, place: int, put: bytes, cut: int) -> None:
    """No byte of a valid event that is changed, added or lost raises anything."""
    damaged = value[:place] + put + value[place + cut :]
    found = parse(topic, b"A-1", damaged)

    assert not isinstance(found, Refusal) or (found.detail and len(found.detail) <= 300)


@given(st.sampled_from(list(VALID)), st.data())
def test_any_value_of_a_field_is_read_or_refused(type_: str, data: st.DataObject) -> None:
    """No JSON in the place of a field raises anything."""
    raw = value_of(type_)
    raw[data.draw(st.sampled_from(sorted({*raw, "ratings", "budget", "override", "customer_id"})))] = data.draw(JSON)

    assert parse(data.draw(TOPICS), b"A-1", json.dumps(raw).encode()) is not None


def test_deep_nesting_is_refused() -> None:
    """A value nested deeper than a reader may follow is refused and breaks nothing."""
    for value in (b"[" * 60_000, b'{"a":' * 10_000, b'{"type":' + b"[" * 300 + b"]" * 300 + b"}"):
        assert isinstance(parse(InputTopic.ORDERS, b"A-1", value), Refusal)


@given(histories(events_max=4))
def test_an_event_that_is_written_and_read_is_the_same(history: list[Any]) -> None:
    """Events survive the wire: what is written as JSON is read as an equal event."""
    for _, event in history:
        written = event.model_dump_json().encode()
        read = order_of(event) if isinstance(event, OrderEvent) else event
        assert parse(TOPIC_OF_TYPE[event.type], b"A", written) == read
        assert adapter_of(TOPIC_OF_TYPE[event.type]).validate_json(written) == event


@pytest.mark.parametrize("model", [ProfileUpdated, Snapshot])
def test_an_error_quotes_nothing(model: type[BaseModel]) -> None:
    """A program's error ends in a log, where no account's name may stand."""
    with pytest.raises(ValidationError) as raised:
        model.model_validate({"name": ["Acme"], "account_id": ["Acme"]})

    assert "Acme" not in str(raised.value)
