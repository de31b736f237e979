"""Records that a worker has to refuse, each with the reason for which it should."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, NamedTuple

from models.events import InputTopic
from models.reasons import RefusalReason
from models.wire import EVENT_BYTES_MAX
from stream.handling import partition_of

Fields = dict[str, Any]
RECORD_BYTES_MAX: Final = 1_048_000
"""A little less than the brokers take, which is a batch with what it needs besides its records."""
_HUGE_IN: Final = 60
"""One of so many that are too large is as large as the broker takes it; the others are just too large."""


class Bad(NamedTuple):
    """A record that is refused."""

    reason: RefusalReason
    topic: InputTopic
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    """None for that of its key."""


class _Draft(NamedTuple):
    """A record that would be accepted, to be spoilt."""

    chance: Random
    topic: InputTopic
    account_id: str
    fields: Fields
    partitions: int


Spoilt = tuple[bytes | None, bytes | None] | tuple[bytes | None, bytes | None, int]
"""Key, value, and the partition unless it is that of the key."""


def rubbish(chance: Random, accounts: list[str], partitions: int, count: int) -> Iterator[Bad]:
    """Make bad records of all inputs and of every reason but `clock_not_event`, about accounts that may exist."""
    makers = list(_MAKERS.items())
    for number in range(count):
        reason, maker = makers[number % len(makers)]
        topics = _TOPICS.get(reason, tuple(InputTopic))
        topic = chance.choice(topics)
        account_id = chance.choice(accounts)
        draft = _Draft(chance, topic, account_id, _fields(topic, account_id, number), partitions)
        yield Bad(reason, topic, *maker(draft))


def _fields(topic: InputTopic, account_id: str, number: int) -> Fields:
    common = {"event_id": f"bad-{number}", "account_id": account_id, "occurred_at": "2026-03-05T10:15:00Z"}
    match topic:
        case InputTopic.ORDERS:
            return {**common, "type": "order.completed", "order_id": "O-1", "amount": "250.00", "currency": "GBP"}
        case InputTopic.SUPPORT:
            return {**common, "type": "ticket.opened", "ticket_id": "T-1", "severity": "critical"}
        case InputTopic.PROFILES:
            budget = {"amount": "9000", "currency": "GBP"}
            return {**common, "type": "profile.updated", "profile_version": 2**40, "name": "Nobody", "budget": budget}


def _encode(fields: Fields) -> bytes:
    return json.dumps(fields).encode()


def _changed(draft: _Draft, **changed: Any) -> Spoilt:
    return draft.account_id.encode(), _encode({**draft.fields, **changed})


def _missing_field(draft: _Draft) -> Spoilt:
    optional = {"name", "budget"}
    gone = draft.chance.choice([name for name in draft.fields if name not in optional])
    return draft.account_id.encode(), _encode({name: one for name, one in draft.fields.items() if name != gone})


def _each(name: str, *values: Any) -> list[Fields]:
    return [{name: value} for value in values]


def _invalid_field(draft: _Draft) -> Spoilt:
    shared: list[Fields] = [
        *_each("event_id", 7, "", "x" * 201, "a\nb", None, ["x"]),
        *_each("account_id", 7, "", {}, "x" * 201, "tab\there"),
        *(
            {"occurred_at": one}
            for one in ("yesterday", 1_700_000_000, "1969-12-31T23:59:59Z", None, "2026-13-01T00:00Z")
        ),
    ]
    own: dict[InputTopic, list[Fields]] = {
        InputTopic.ORDERS: [
            *_each("amount", -1, "ten", "1e12", "1e400", "NaN", None, [], "0.0000000001"),
            {"currency": 826},
            {"cost": "-3"},
            {"product_lines": "chairs"},
        ],
        InputTopic.SUPPORT: [
            {"severity": "extreme"},
            {"ticket_id": 9},
            {"type": "complaint.filed", "category": "weather"},
            {"type": "survey.answered", "kind": "stars", "score": 3},
            {"type": "survey.answered", "kind": "csat", "score": 6},
            {"type": "survey.answered", "kind": "nps", "score": "often"},
        ],
        InputTopic.PROFILES: [
            *_each("profile_version", -1, "one", 2**53, 1.5),
            {"customer_since": "long ago"},
            {"crm_url": "javascript:alert(1)"},
            {"ratings": {"market_share": {"value": 101, "rated_at": "2026-01-01"}}},
            {"override": {"tier": "platinum", "reason": "r", "until": "2026-12-31"}},
        ],
    }
    return _changed(draft, **draft.chance.choice(shared + own[draft.topic]))


def _invalid_json(draft: _Draft) -> Spoilt:
    whole = _encode(draft.fields)
    broken: list[bytes] = [
        whole[: draft.chance.randrange(len(whole))],
        whole + b"}",
        b"",
        b"\x00" * 20,
        b"not json",
        b'{"a":' * 9000,
        whole.replace(b'"', b"'"),
        whole.replace(b"bad-", b"\\ud800"),
    ]
    return draft.account_id.encode(), draft.chance.choice(broken)


def _not_utf8(draft: _Draft) -> Spoilt:
    key, value = draft.account_id.encode(), _encode(draft.fields)
    return draft.chance.choice([(key, value.replace(b"bad-", b"\xff\xfe")), (b"\xc3\x28" + key, value)])


def _unknown_currency(draft: _Draft) -> Spoilt:
    # ISO 4217's own code for no currency is among them: well formed, and not to be known.
    code = draft.chance.choice(["XXX", "gbp", "EURO", "BTC", ""])
    return _in_currency(draft, code)


def _in_currency(draft: _Draft, code: str) -> Spoilt:
    if draft.topic is InputTopic.PROFILES:
        return _changed(draft, budget={"amount": "5", "currency": code})
    return _changed(draft, currency=code)


def _wrong_topic(draft: _Draft) -> Spoilt:
    other = draft.chance.choice([topic for topic in InputTopic if topic is not draft.topic])
    return draft.account_id.encode(), _encode({**_fields(other, draft.account_id, 0), "event_id": "elsewhere"})


def _key_missing(draft: _Draft) -> Spoilt:
    return None, _encode(draft.fields), draft.chance.randrange(draft.partitions)


def _key_mismatch(draft: _Draft) -> Spoilt:
    key = draft.chance.choice([b"", draft.account_id.lower().encode() + b" ", b"somebody else", b"\x00"])
    return key, _encode(draft.fields)


def _wrong_partition(draft: _Draft) -> Spoilt:
    # an account that is known would be taken wherever it comes: it is where it is
    stray = f"STRAY-{draft.chance.randrange(1000)}"
    offset = draft.chance.randrange(1, draft.partitions)
    partition = (partition_of(stray.encode(), draft.partitions) + offset) % draft.partitions
    return stray.encode(), _encode({**draft.fields, "account_id": stray}), partition


def _too_large(draft: _Draft) -> Spoilt:
    huge = draft.chance.randrange(_HUGE_IN) == 0
    padding = "x" * ((RECORD_BYTES_MAX - 1000) if huge else EVENT_BYTES_MAX)
    return _changed(draft, note=padding)


def _in_the_future(draft: _Draft) -> Spoilt:
    soon = datetime.now(UTC) + timedelta(days=draft.chance.randrange(2, 400))
    return _changed(
        draft, occurred_at=draft.chance.choice([soon.isoformat(), "2099-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
    )


_MAKERS: Final[dict[RefusalReason, Callable[[_Draft], Spoilt]]] = {
    RefusalReason.EMPTY_VALUE: lambda draft: (draft.account_id.encode(), None),
    RefusalReason.TOO_LARGE: _too_large,
    RefusalReason.NOT_UTF8: _not_utf8,
    RefusalReason.INVALID_JSON: _invalid_json,
    RefusalReason.NOT_AN_OBJECT: lambda draft: (
        draft.account_id.encode(),
        draft.chance.choice([b"[]", b"1", b'"text"', b"null", b"true", b"[{}]", b" 3.5 "]),
    ),
    RefusalReason.UNKNOWN_TYPE: lambda draft: _changed(
        draft, type=draft.chance.choice(["order.shipped", "", "ORDER", 5])
    ),
    RefusalReason.WRONG_TOPIC: _wrong_topic,
    RefusalReason.MISSING_FIELD: _missing_field,
    RefusalReason.INVALID_FIELD: _invalid_field,
    RefusalReason.TIME_WITHOUT_OFFSET: lambda draft: _changed(draft, occurred_at="2026-03-05T10:15:00"),
    RefusalReason.UNKNOWN_CURRENCY: _unknown_currency,
    RefusalReason.MISSING_RATE: lambda draft: _in_currency(draft, draft.chance.choice(["EUR", "USD", "JPY"])),
    RefusalReason.KEY_MISSING: _key_missing,
    RefusalReason.KEY_MISMATCH: _key_mismatch,
    RefusalReason.WRONG_PARTITION: _wrong_partition,
    RefusalReason.IN_THE_FUTURE: _in_the_future,
}
_MONEY: Final = (InputTopic.ORDERS, InputTopic.PROFILES)
_TOPICS: Final = {
    RefusalReason.UNKNOWN_CURRENCY: _MONEY,
    RefusalReason.MISSING_RATE: _MONEY,
    # a compacted topic takes no record without a key
    RefusalReason.KEY_MISSING: (InputTopic.ORDERS, InputTopic.SUPPORT),
}
"""Where a reason can occur, if not everywhere."""
