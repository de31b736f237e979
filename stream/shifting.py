"""Moving an event in time by whole days, so that a history from years ago ends today."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

import msgspec
from pydantic import TypeAdapter, ValidationError

from models.fields import Timestamp

_Fields = dict[str, msgspec.Raw]

_timestamp: Final = TypeAdapter(Timestamp).validate_python
_decode: Final = msgspec.json.Decoder(_Fields).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


def shifted(raw: bytes, days: int) -> bytes:
    """Return an event with every time and date in it moved by so many days.

    All else stays as it is written. What is not readable as an event, or would leave the
    calendar, is returned as it is.

    >>> shifted(b'{"amount":1.10,"occurred_at":"2024-02-28T10:00:00Z"}', 2)
    b'{"amount":1.10,"occurred_at":"2024-03-01T10:00:00Z"}'
    """
    try:
        return _encode(_moved(_decode(raw), _EVENT, timedelta(days=days)))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValidationError, ValueError, OverflowError):
        return raw


def _moved(fields: _Fields, rules: dict[str, "_Rule"], by: timedelta) -> _Fields:
    return {
        name: rules[name](value, by) if name in rules and bytes(value) != b"null" else value
        for name, value in fields.items()
    }


_Rule = Callable[[msgspec.Raw, timedelta], msgspec.Raw]


def _moment(value: msgspec.Raw, by: timedelta) -> msgspec.Raw:
    moment: datetime = _timestamp(_decode_text(value))
    return msgspec.Raw(_encode(moment + by))


def _date(value: msgspec.Raw, by: timedelta) -> msgspec.Raw:
    return msgspec.Raw(_encode(date.fromisoformat(_decode_text(value)) + by))


def _override(value: msgspec.Raw, by: timedelta) -> msgspec.Raw:
    return msgspec.Raw(_encode(_moved(_decode(value), {"until": _date}, by)))


def _rating(value: msgspec.Raw, by: timedelta) -> msgspec.Raw:
    return msgspec.Raw(_encode(_moved(_decode(value), {"rated_at": _date}, by)))


def _ratings(value: msgspec.Raw, by: timedelta) -> msgspec.Raw:
    fields = _decode(value)
    return msgspec.Raw(_encode(_moved(fields, dict.fromkeys(fields, _rating), by)))


_EVENT: Final[dict[str, _Rule]] = {
    "occurred_at": _moment,
    "ordered_at": _moment,
    "customer_since": _date,
    "renewal_on": _date,
    "ratings": _ratings,
    "override": _override,
}
