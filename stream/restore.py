"""Opening a partition: where it stands, checked against the topics as they are, and its accounts from the changelog.

Everything here blocks, and runs on a thread of its own while the group's polling goes on.
"""

import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, TopicPartition

from models.codec import StateFormatError
from models.events import InputTopic
from models.policy import Policy
from processors.context import Context
from processors.partition import Partition
from stream.checkpoint import (
    CHECKPOINT_KEY,
    Checkpoint,
    CheckpointError,
    InputPosition,
    decode,
    decode_mark,
    mark_key_of,
)
from stream.cluster import Cluster, Range
from stream.settings import Settings

_BATCH_RECORDS: Final = 5000
_POLL_SECONDS: Final = 0.1
_RETRY_SECONDS: Final = 0.05


class RestoreError(RuntimeError):
    """A partition that cannot be opened; its text says why, and what mends it."""


class Restored(NamedTuple):
    """A partition as it was left."""

    accounts: Partition
    positions: dict[InputTopic, int]
    settled_policy_version: str | None
    records: int
    seconds: float


def restore(
    partition: int,
    committed: Mapping[InputTopic, int | None],
    cluster: Cluster,
    context: Context,
    settings: Settings,
) -> Restored:
    """Open one partition.

    Args:
        partition: its number.
        committed: the group's stable committed offsets of the inputs; None where there is none.
        cluster: the brokers.
        context: the policy in force.
        settings: of the worker.

    Raises:
        RestoreError: if it cannot be opened.
    """
    started = time.monotonic()
    deadline = started + settings.restore_deadline_seconds
    end = _stable_end(partition, cluster, settings, deadline)
    accounts = Partition(context)
    checkpoint, records = _read_changelog(partition, end, accounts, settings, deadline)
    positions = _positions(partition, committed, checkpoint, cluster, settings)
    if checkpoint is not None:
        _check_policy(checkpoint, context.policy)
        accounts.set_clock(checkpoint.clock_ms)
    return Restored(
        accounts,
        positions,
        None if checkpoint is None else checkpoint.policy_version,
        records,
        time.monotonic() - started,
    )


def _stable_end(partition: int, cluster: Cluster, settings: Settings, deadline: float) -> int:
    """Wait until no transaction is open on the changelog: then its last record is the last word."""
    topic = settings.topics.state
    while True:
        everything = cluster.range_of(topic, partition)
        committed = cluster.range_of(topic, partition, read_committed=True)
        if everything.start > 0:
            raise RestoreError(
                f"{topic} [{partition}] begins at offset {everything.start}, not at 0: records were deleted and "
                "accounts may be missing; rebuild from the inputs under a new application id"
            )
        if everything.end == committed.end:
            return everything.end
        if time.monotonic() > deadline:
            raise RestoreError(
                f"{topic} [{partition}] has a transaction that hangs at offset {committed.end}: "
                "abort it with kafka-transactions.sh --find-hanging"
            )
        time.sleep(_RETRY_SECONDS)


def _read_changelog(
    partition: int, end: int, accounts: Partition, settings: Settings, deadline: float
) -> tuple[Checkpoint | None, int]:
    checkpoint: Checkpoint | None = None
    records = 0
    if end == 0:
        return None, 0
    consumer = Consumer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            # Required by the client; nothing is committed under it.
            "group.id": f"{settings.application_id}-restore",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 4 * 1024 * 1024,
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        consumer.assign([TopicPartition(settings.topics.state, partition, 0)])
        while True:
            for message in consumer.consume(_BATCH_RECORDS, _POLL_SECONDS):
                error = message.error()
                if error is None:
                    found = _take(message.key(), message.value(), accounts)
                    checkpoint = found or checkpoint
                    records += 1
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its only name
                    # The end may have been reached before the last batch was looked at.
                    (position,) = consumer.position([TopicPartition(settings.topics.state, partition)])
                    if position.offset >= end:
                        return checkpoint, records
                else:
                    raise RestoreError(f"{settings.topics.state} [{partition}] cannot be read: {error}")
            if time.monotonic() > deadline:
                raise RestoreError(
                    f"{settings.topics.state} [{partition}] was not restored in {settings.restore_deadline_seconds} s "
                    f"({records} records)"
                )
    finally:
        consumer.close()


def _take(key: bytes | None, value: bytes | None, accounts: Partition) -> Checkpoint | None:
    try:
        if key == CHECKPOINT_KEY:
            return None if value is None else decode(value)
        if key is None:
            raise RestoreError("the state topic holds a record without a key, which no worker wrote")
        mark_key = mark_key_of(key)
        if mark_key is None:
            accounts.restore(key.decode(), value)
        elif value is not None:
            accounts.restore_erased(mark_key, decode_mark(value))
    except (StateFormatError, CheckpointError, UnicodeDecodeError) as error:
        raise RestoreError(f"the state topic cannot be read: {error}") from error
    return None


def _positions(
    partition: int,
    committed: Mapping[InputTopic, int | None],
    checkpoint: Checkpoint | None,
    cluster: Cluster,
    settings: Settings,
) -> dict[InputTopic, int]:
    """Agree on where to read on, or refuse: nothing is ever skipped silently."""
    positions: dict[InputTopic, int] = {}
    for topic in InputTopic:
        name = settings.topics.of_input(topic)
        available = cluster.range_of(name, partition)
        offset = committed[topic]
        if checkpoint is None:
            if offset is not None:
                raise RestoreError(
                    f"the group has read {name} [{partition}] up to {offset}, but {settings.topics.state} is empty: "
                    "the state was lost; delete the group's offsets, or take a new application id, to build it again"
                )
            positions[topic] = available.start
            continue
        held = checkpoint.inputs[topic]
        _check_topic(f"{name} [{partition}]", held, available, cluster.topic_ids[name])
        # Offsets of a group that was away for a week are gone; the checkpoint stands for both.
        if offset is not None and offset != held.next_offset:
            raise RestoreError(
                f"the group's offset of {name} [{partition}] is {offset}, the state's is {held.next_offset}: "
                f"offsets were reset by hand; set it back to {held.next_offset}"
            )
        positions[topic] = held.next_offset
    if checkpoint is not None and checkpoint.partitions != cluster.partitions:
        raise RestoreError(
            f"the inputs had {checkpoint.partitions} partitions and have {cluster.partitions}: accounts would be "
            "split; rebuild under a new application id"
        )
    return positions


def _check_topic(name: str, held: InputPosition, available: Range, topic_id: str) -> None:
    rebuild = "rebuild under a new application id"
    position = held.next_offset
    if held.topic_id != topic_id:
        raise RestoreError(
            f"the topic of {name} was made anew (its id is {topic_id}, the state's {held.topic_id}): offsets mean "
            f"other records; {rebuild}"
        )
    if position < available.start:
        raise RestoreError(
            f"{name} was trimmed: offsets {position} to {available.start - 1} are gone unread; "
            f"restore them, or {rebuild}"
        )
    if position > available.end:
        raise RestoreError(
            f"{name} ends at {available.end}, before the position {position}: it lost records; {rebuild}"
        )


def _check_policy(checkpoint: Checkpoint, policy: Policy) -> None:
    if policy.revision < checkpoint.policy_revision:
        raise RestoreError(
            f"the policy's revision is {policy.revision}, the state's {checkpoint.policy_revision}: "
            "a newer policy is in force. Deploy it here too, or raise the revision"
        )
    for what, held, wanted in (
        ("reporting_currency", checkpoint.reporting_currency, policy.reporting_currency),
        ("reporting_timezone", checkpoint.reporting_timezone, policy.reporting_timezone),
    ):
        if held != wanted:
            raise RestoreError(
                f"the state was kept with {what} {held} and cannot serve {wanted}: rebuild under a new application id"
            )
    if policy.horizon_days > checkpoint.horizon_days:
        raise RestoreError(
            f"the state remembers {checkpoint.horizon_days} days and cannot serve a window of {policy.horizon_days}: "
            "rebuild under a new application id"
        )
