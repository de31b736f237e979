"""The one list of why a record can be refused, and of what became of one that was not."""

from enum import StrEnum, unique


@unique
class RefusalReason(StrEnum):
    """Why a record became a dead letter. Members are a wire contract: append, never rename."""

    EMPTY_VALUE = "empty_value"
    """The record has no value (a tombstone)."""
    TOO_LARGE = "too_large"
    """The value is longer than the largest event allowed."""
    NOT_UTF8 = "not_utf8"
    """The value or the key is not UTF-8 text."""
    INVALID_JSON = "invalid_json"
    """The value is not one complete JSON document."""
    NOT_AN_OBJECT = "not_an_object"
    """The value is JSON, but not an object."""
    UNKNOWN_TYPE = "unknown_type"
    """`type` names no event of this contract."""
    WRONG_TOPIC = "wrong_topic"
    """`type` names an event that belongs on another topic."""
    MISSING_FIELD = "missing_field"
    """A field that the type requires is absent."""
    INVALID_FIELD = "invalid_field"
    """A field has the wrong type, format, length or range."""
    TIME_WITHOUT_OFFSET = "time_without_offset"
    """A time has no offset from UTC, so that it names no instant."""
    UNKNOWN_CURRENCY = "unknown_currency"
    """A currency is not a code of ISO 4217 that has minor units."""
    MISSING_RATE = "missing_rate"
    """The policy has no exchange rate for the currency on the order's day."""
    KEY_MISSING = "key_missing"
    """The record has no key."""
    KEY_MISMATCH = "key_mismatch"
    """The record's key is not the event's account id."""
    WRONG_PARTITION = "wrong_partition"
    """The key belongs on another partition under the murmur2 partitioner."""
    IN_THE_FUTURE = "in_the_future"
    """The event is dated later than the clock allows."""
    CLOCK_NOT_EVENT = "clock_not_event"
    """`clock.advanced` was sent to a worker whose clock is not the event clock."""


@unique
class Outcome(StrEnum):
    """What became of an accepted event."""

    APPLIED = "applied"
    """Counted on a day that is the account's current one or later."""
    LATE = "late"
    """Counted on its own day, which had already passed."""
    TOO_LATE = "too_late"
    """Older than the horizon: only the lifetime figures changed."""
    DUPLICATE = "duplicate"
    """Its id was seen before with the same content: ignored."""
    CONFLICT = "conflict"
    """Its id was seen before with other content: ignored."""
    STALE = "stale"
    """A profile with a version below the one held: ignored."""
    ERASED = "erased"
    """The account was erased after the event happened: ignored."""
