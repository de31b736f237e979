"""How a record can be broken so that it has to be refused, and with which reason."""

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Final

from models.events import InputTopic
from models.reasons import RefusalReason
from stream.simulation.happening import Fields, encode

Broken = tuple[bytes, RefusalReason]
_Fault = Callable[[Fields, Random], Broken]

_TRUNCATED_PART: Final = (0.2, 0.9)
_UNKNOWN_TYPES: Final = {
    InputTopic.ORDERS: "order.quoted",
    InputTopic.SUPPORT: "ticket.escalated",
    InputTopic.PROFILES: "profile.merged",
}
_FOREIGN_TYPES: Final = {
    InputTopic.ORDERS: "ticket.opened",
    InputTopic.SUPPORT: "profile.updated",
    InputTopic.PROFILES: "order.completed",
}


def broken(topic: InputTopic, fields: Fields, random: Random) -> Broken:
    """Break a copy of a valid event in one way; return its line and why it must be refused.

    A copy dated 2099 is valid but for the clock: only a reader with a clock can refuse it.
    """
    copy = fields | {"event_id": f"{fields['event_id']}-broken"}
    faults = _faults(topic, copy)
    return random.choice(faults)(copy, random)


def altered(fields: Fields) -> Fields | None:
    """Return a valid event of the same id with other content; None where nothing can be altered."""
    match fields:
        case {"amount": str(amount)}:
            return fields | {"amount": str(Decimal(amount) + 1)}
        case {"severity": severity}:
            return fields | {"severity": "low" if severity != "low" else "medium"}
        case {"score": int(score)}:
            return fields | {"score": score - 1 if score > 1 else score + 1}
        case _:
            return None


def _faults(topic: InputTopic, fields: Fields) -> list[_Fault]:
    faults: list[_Fault] = [
        _truncated,
        _in_a_list,
        _missing_field,
        _without_offset,
        _far_future,
        lambda copy, _: (
            encode(copy | {"type": _UNKNOWN_TYPES[topic]}),
            RefusalReason.UNKNOWN_TYPE,
        ),
        lambda copy, _: (
            encode(copy | {"type": _FOREIGN_TYPES[topic]}),
            RefusalReason.WRONG_TOPIC,
        ),
    ]
    if "amount" in fields:
        faults += [_negative_amount, _unknown_currency]
    if "severity" in fields:
        faults.append(_unknown_severity)
    if "score" in fields:
        faults.append(_impossible_score)
    return faults


def _truncated(fields: Fields, random: Random) -> Broken:
    # Cut between characters: the line stays valid UTF-8, as a text file needs.
    text = encode(fields).decode()
    end = int(len(text) * random.uniform(*_TRUNCATED_PART))
    return text[:end].encode(), RefusalReason.INVALID_JSON


def _in_a_list(fields: Fields, _: Random) -> Broken:
    return encode([fields]), RefusalReason.NOT_AN_OBJECT


def _missing_field(fields: Fields, random: Random) -> Broken:
    left_out = random.choice(("event_id", "occurred_at", "type"))
    kept = {name: value for name, value in fields.items() if name != left_out}
    return encode(kept), RefusalReason.MISSING_FIELD


def _without_offset(fields: Fields, _: Random) -> Broken:
    occurred_at = fields["occurred_at"].removesuffix("Z")
    return encode(fields | {"occurred_at": occurred_at}), RefusalReason.TIME_WITHOUT_OFFSET


def _far_future(fields: Fields, _: Random) -> Broken:
    # 1 March, as 29 February of another year would not exist in 2099.
    occurred_at = "2099-03-01" + fields["occurred_at"][len("2099-03-01") :]
    return encode(fields | {"occurred_at": occurred_at}), RefusalReason.IN_THE_FUTURE


def _negative_amount(fields: Fields, _: Random) -> Broken:
    # Not "-0.00" for a free sample: that is zero, and valid.
    amount = str(-Decimal(fields["amount"]) - 1)
    return encode(fields | {"amount": amount}), RefusalReason.INVALID_FIELD


def _unknown_currency(fields: Fields, random: Random) -> Broken:
    currency = random.choice(("EURO", "US$", "ZZZ", "eur"))
    return encode(fields | {"currency": currency}), RefusalReason.UNKNOWN_CURRENCY


def _unknown_severity(fields: Fields, _: Random) -> Broken:
    return encode(fields | {"severity": "catastrophic"}), RefusalReason.INVALID_FIELD


def _impossible_score(fields: Fields, _: Random) -> Broken:
    return encode(fields | {"score": 11}), RefusalReason.INVALID_FIELD
