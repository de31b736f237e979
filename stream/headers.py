"""Names of the headers of our records, and the values that are always the same."""

from typing import Final

CLOUDEVENTS_VERSION: Final = "1.0"
CONTENT_TYPE: Final = "application/json"
SEQUENCE_TYPE: Final = "Integer"
SEQUENCE_DIGITS: Final = 10
"""CloudEvents asks for a sequence that orders as text: an Integer's has 31 bits."""


class Header:
    """Names of the headers of outputs: CloudEvents 1.0, Kafka binding, binary mode."""

    CE_SPECVERSION: Final = "ce_specversion"
    """Version of CloudEvents: `1.0`."""
    CE_ID: Final = "ce_id"
    """Deterministic and unique within the source: a subscriber recognises a repetition by it."""
    CE_SOURCE: Final = "ce_source"
    """Which application published it."""
    CE_TYPE: Final = "ce_type"
    """Type of the event, as in the body."""
    CE_SUBJECT: Final = "ce_subject"
    """The account's id."""
    CE_TIME: Final = "ce_time"
    """As of when, in event time."""
    CE_SEQUENCE: Final = "ce_sequence"
    """Extension `sequence`: gap-free for the account and topic from 1 on, ten digits, so that it orders as text too."""
    CE_SEQUENCE_TYPE: Final = "ce_sequencetype"
    """Extension: `Integer`."""
    CE_TRIGGER_TOPIC: Final = "ce_triggertopic"
    """Extension: where the event that caused it was read. Attribute names have no separators."""
    CE_TRIGGER_PARTITION: Final = "ce_triggerpartition"
    """Extension: its partition."""
    CE_TRIGGER_OFFSET: Final = "ce_triggeroffset"
    """Extension: its offset. The three are absent when time or the policy caused it."""
    CE_INCARNATION: Final = "ce_incarnation"
    """Extension of snapshots, and of their deletions: events of a lower incarnation are of an erased account."""
    CONTENT_TYPE: Final = "content-type"
    """`application/json`."""


class DeadLetterHeader:
    """Names of the headers of a dead letter; values are UTF-8 text, numbers in decimal."""

    REASON: Final = "dead_letter_reason"
    """Why it was refused: one of the reasons of the contract."""
    DETAIL: Final = "dead_letter_detail"
    """A sentence for a person that quotes nothing of the record."""
    TOPIC: Final = "dead_letter_topic"
    """Full name of the topic that the record was read from."""
    PARTITION: Final = "dead_letter_partition"
    """Its partition there."""
    OFFSET: Final = "dead_letter_offset"
    """Its offset there."""
    TIMESTAMP_MS: Final = "dead_letter_timestamp_ms"
    """Timestamp of the record that was refused."""
    KEY_BYTES: Final = "dead_letter_key_bytes"
    """Length of the key before it was cut; only when it was."""
    KEY_SHA256: Final = "dead_letter_key_sha256"
    """SHA-256 of the whole key in hexadecimal; only when it was cut."""
    VALUE_BYTES: Final = "dead_letter_value_bytes"
    """Length of the value before it was cut; only when it was."""
    VALUE_SHA256: Final = "dead_letter_value_sha256"
    """SHA-256 of the whole value in hexadecimal; only when it was cut."""


class FailureHeader:
    """Names of the headers of a failed delivery, beside those of its event; values are UTF-8 text."""

    DESTINATION: Final = "delivery_failure_destination"
    """Name of the destination, as in the file of destinations."""
    REASON: Final = "delivery_failure_reason"
    """Why it was given up: one of the reasons of the contract."""
    DETAIL: Final = "delivery_failure_detail"
    """A sentence for a person that quotes nothing of the event."""
    STATUS: Final = "delivery_failure_status"
    """The last HTTP status; absent when there was no answer."""
    ATTEMPTS: Final = "delivery_failure_attempts"
    """How often it was tried."""
    TOPIC: Final = "delivery_failure_topic"
    """Full name of the topic that the event was read from."""
    PARTITION: Final = "delivery_failure_partition"
    """Its partition there."""
    OFFSET: Final = "delivery_failure_offset"
    """Its offset there."""
    TIMESTAMP_MS: Final = "delivery_failure_timestamp_ms"
    """Timestamp of the event's record."""
    SETTLED: Final = "delivery_failure_settled"
    """Of a record without a value: the account's failures of this partition up to this offset were delivered."""


REDRIVEN_FROM_HEADER: Final = "dead_letter_redriven_from"
"""Header of an input record that was refused before and sent again: topic/partition/offset of its dead letter."""
