"""From outputs of the core to Kafka records: CloudEvents 1.0 in binary mode, and dead letters."""

import hashlib
from typing import Final, NamedTuple

from models.bodies import OutputEvent, TierChanged, encode
from models.wire import Refusal
from processors.partition import Described
from stream.headers import CLOUDEVENTS_VERSION, CONTENT_TYPE, SEQUENCE_DIGITS, SEQUENCE_TYPE, DeadLetterHeader, Header
from stream.topics import OUTPUT_RECORD_BYTES_MAX, TopicNames

_SHOWN_BYTES_MAX: Final = OUTPUT_RECORD_BYTES_MAX - 16_384
"""Key and value of a dead letter together, so that they and the headers fit into one record."""
_KEY_BYTES_MAX: Final = _SHOWN_BYTES_MAX // 2

SNAPSHOT: Final = "account.snapshot"
SNAPSHOT_DELETED: Final = "account.snapshot.deleted"
"""Types of the records of snapshots, whose bodies have none."""

Headers = list[tuple[str, bytes]]
_SPECVERSION: Final = (Header.CE_SPECVERSION, CLOUDEVENTS_VERSION.encode())
_CONTENT_TYPE: Final = (Header.CONTENT_TYPE, CONTENT_TYPE.encode())
_SEQUENCE_TYPE: Final = (Header.CE_SEQUENCE_TYPE, SEQUENCE_TYPE.encode())


class Origin(NamedTuple):
    """Where the record came from that caused an output."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


class OutRecord(NamedTuple):
    """A record to produce; the partition follows from the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


def output_record(event: OutputEvent, names: TopicNames, source: str, origin: Origin | None) -> OutRecord:
    """Encode a tier change or churn event.

    Its id is the account, the incarnation, the kind of topic and the gap-free sequence number: the same again
    whenever the event is made again.
    """
    kind, topic = ("tier", names.tier_changes) if isinstance(event, TierChanged) else ("churn", names.churn_risk)
    headers = _cloud_event(
        f"{event.account_id}/{event.incarnation}/{kind}/{event.sequence}", event.type, event.account_id, source
    )
    headers += [
        (Header.CE_TIME, event.occurred_at.isoformat().encode()),
        (Header.CE_SEQUENCE, str(event.sequence).zfill(SEQUENCE_DIGITS).encode()),
        _SEQUENCE_TYPE,
    ]
    # What time or the policy caused may be noticed while a record is processed, which is not its cause.
    if origin is not None and event.trigger_event_id is not None:
        headers += [
            (Header.CE_TRIGGER_TOPIC, origin.topic.encode()),
            (Header.CE_TRIGGER_PARTITION, str(origin.partition).encode()),
            (Header.CE_TRIGGER_OFFSET, str(origin.offset).encode()),
        ]
    return OutRecord(topic, event.account_id.encode(), encode(event), headers)


def snapshot_record(described: Described, names: TopicNames, source: str) -> OutRecord:
    """Make the record of a snapshot."""
    snapshot = described.snapshot
    account_id, incarnation = snapshot.account_id, snapshot.incarnation
    headers = _cloud_event(f"{account_id}/{incarnation}/snapshot/{snapshot.revision}", SNAPSHOT, account_id, source)
    headers += [
        (Header.CE_TIME, snapshot.as_of.isoformat().encode()),
        (Header.CE_INCARNATION, str(incarnation).encode()),
    ]
    return OutRecord(names.snapshots, account_id.encode(), described.body, headers)


def tombstone_record(account_id: str, incarnation: int, names: TopicNames, source: str) -> OutRecord:
    """Remove an erased account's snapshot, and say which incarnation a new account of this id would be."""
    headers = _cloud_event(f"{account_id}/{incarnation}/deleted", SNAPSHOT_DELETED, account_id, source)
    headers.append((Header.CE_INCARNATION, str(incarnation).encode()))
    return OutRecord(names.snapshots, account_id.encode(), None, headers)


def dead_letter_record(
    key: bytes | None, value: bytes | None, refusal: Refusal, origin: Origin, names: TopicNames
) -> OutRecord:
    """Encode a refused record: key and value unchanged, why and whence in the headers.

    What would be too large for a record is cut, with its size and hash in the headers.
    """
    headers: Headers = [
        (DeadLetterHeader.REASON, refusal.reason.encode()),
        (DeadLetterHeader.DETAIL, refusal.detail.encode()),
        (DeadLetterHeader.TOPIC, origin.topic.encode()),
        (DeadLetterHeader.PARTITION, str(origin.partition).encode()),
        (DeadLetterHeader.OFFSET, str(origin.offset).encode()),
        (DeadLetterHeader.TIMESTAMP_MS, str(origin.timestamp_ms).encode()),
    ]
    if key is not None and len(key) > _KEY_BYTES_MAX:
        headers += _cut(key, DeadLetterHeader.KEY_BYTES, DeadLetterHeader.KEY_SHA256)
        key = key[:_KEY_BYTES_MAX]
    value_bytes_max = _SHOWN_BYTES_MAX - len(key or b"")
    if value is not None and len(value) > value_bytes_max:
        headers += _cut(value, DeadLetterHeader.VALUE_BYTES, DeadLetterHeader.VALUE_SHA256)
        value = value[:value_bytes_max]
    return OutRecord(names.dead_letters, key, value, headers)


def _cloud_event(id_: str, type_: str, account_id: str, source: str) -> Headers:
    return [
        _SPECVERSION,
        (Header.CE_ID, id_.encode()),
        (Header.CE_SOURCE, source.encode()),
        (Header.CE_TYPE, type_.encode()),
        (Header.CE_SUBJECT, account_id.encode()),
        _CONTENT_TYPE,
    ]


def _cut(data: bytes, bytes_header: str, sha256_header: str) -> Headers:
    return [
        (bytes_header, str(len(data)).encode()),
        (sha256_header, hashlib.sha256(data).hexdigest().encode()),
    ]
