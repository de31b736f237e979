"""From a record's bytes to an input event, or to the reason why it is refused."""

from typing import Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from models.events import TOPIC_OF_TYPE, ClockAdvanced, InputTopic, OrderEvent, adapter_of
from models.orders import CoreEvent, order_of
from models.reading import read_order
from models.reasons import RefusalReason

EVENT_BYTES_MAX: Final = 65_536
"""Longest event value accepted, in bytes."""
_DETAIL_CHARACTERS_MAX: Final = 300

_REASON_OF_ERROR: Final = {
    "missing": RefusalReason.MISSING_FIELD,
    "union_tag_not_found": RefusalReason.MISSING_FIELD,
    "timezone_aware": RefusalReason.TIME_WITHOUT_OFFSET,
    "unknown_currency": RefusalReason.UNKNOWN_CURRENCY,
}
_ADAPTERS: Final = {topic: adapter_of(topic) for topic in InputTopic}


class Refusal(NamedTuple):
    """A refused record: the reason, and a sentence for a person that quotes nothing of the record."""

    reason: RefusalReason
    detail: str


ReadEvent = CoreEvent | ClockAdvanced
"""An event as it was read: an order in the form in which the core takes it, others as the contract has them."""


def parse(topic: InputTopic, key: bytes | None, value: bytes | None) -> ReadEvent | Refusal:
    """Read one record of an input topic.

    Checks, in this order: presence, size, JSON, contract, key. Pure; raises nothing for any bytes.
    """
    if value is None:
        return Refusal(RefusalReason.EMPTY_VALUE, "the record has no value")
    if len(value) > EVENT_BYTES_MAX:
        return Refusal(RefusalReason.TOO_LARGE, f"{len(value)} bytes, at most {EVENT_BYTES_MAX}")
    event: ReadEvent | None = read_order(value) if topic is InputTopic.ORDERS else None
    if event is None:
        try:
            validated = _ADAPTERS[topic].validate_json(value)
        except ValidationError as error:
            return _refusal(topic, value, error)
        event = order_of(validated) if isinstance(validated, OrderEvent) else validated
    if type(event) is ClockAdvanced:
        return event
    if key is None:
        return Refusal(RefusalReason.KEY_MISSING, "the record has no key")
    if key != event.account_id.encode():  # type: ignore[union-attr]  # all others are account events
        return _key_refusal(key)
    return event


def _key_refusal(key: bytes) -> Refusal:
    try:
        key.decode()
    except UnicodeDecodeError:
        return Refusal(RefusalReason.NOT_UTF8, "the key is not UTF-8")
    return Refusal(RefusalReason.KEY_MISMATCH, "the key is not the event's account id")


def _refusal(topic: InputTopic, value: bytes, error: ValidationError) -> Refusal:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    first = details[0]
    match first["type"]:
        case "json_invalid":
            return _text_refusal(value)
        case "union_tag_invalid":
            return _type_refusal(topic, value, first)
        case "model_type" | "model_attributes_type" | "dict_type" if not first["loc"]:
            return Refusal(RefusalReason.NOT_AN_OBJECT, "the value is not a JSON object")
        case _:
            # A missing field says more about a record than a wrong one beside it.
            first = next((one for one in details if one["type"] == "missing"), first)
            reason = _REASON_OF_ERROR.get(first["type"], RefusalReason.INVALID_FIELD)
            return Refusal(reason, _sentence(first))


def _text_refusal(value: bytes) -> Refusal:
    try:
        value.decode()
    except UnicodeDecodeError:
        return Refusal(RefusalReason.NOT_UTF8, "the value is not UTF-8")
    return Refusal(RefusalReason.INVALID_JSON, "the value is not one complete JSON document")


def _type_refusal(topic: InputTopic, value: bytes, error: ErrorDetails) -> Refusal:
    name = from_json(value).get("type")
    home = TOPIC_OF_TYPE.get(name) if isinstance(name, str) else None
    if error["loc"] not in ((), ("type",)) or home is topic:
        # The inner union, a survey of a kind that we do not know: pydantic's sentence would quote it.
        return Refusal(RefusalReason.INVALID_FIELD, "kind: Input should be csat or nps")
    if home is None:
        return Refusal(RefusalReason.UNKNOWN_TYPE, "the type is not one of this contract")
    return Refusal(RefusalReason.WRONG_TOPIC, f"{name} belongs on {home}, not on {topic}")


def _sentence(error: ErrorDetails) -> str:
    # A location begins with the tags of unions, which are no fields: the event's type, and a survey's kind.
    parts = [str(part) for part in error["loc"]]
    if not parts:
        parts = ["type"]
    elif parts == ["survey.answered"]:
        parts = ["kind"]
    else:
        del parts[: 2 if parts[:2] in (["survey.answered", "csat"], ["survey.answered", "nps"]) else 1]
    # What two fields say together has no place of its own.
    place = f"{'.'.join(parts)}: " if parts else ""
    return f"{place}{error['msg']}"[:_DETAIL_CHARACTERS_MAX]
