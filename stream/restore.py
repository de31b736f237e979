"""Opening a partition: where it stands, checked against the topics as they are, and its accounts from the changelog.

Everything here blocks, and runs on a thread of its own while the group's polling goes on.
"""

import time
from collections.abc import Mapping
from typing import Final, NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from models.codec import StateFormatError
from models.events import InputTopic
from models.portfolio import CutPoints, PortfolioFormatError, decode_cut_points
from processors.context import Context
from processors.partition import Partition
from stream.checkpoint import (
    CHECKPOINT_KEY,
    CUT_POINTS_KEY,
    Checkpoint,
    CheckpointError,
    decode,
    decode_mark,
    fingerprint,
    mark_key_of,
)
from stream.cluster import Cluster
from stream.fetching import fetch
from stream.interpreter import spare_what_is_there
from stream.positions import REBUILD, Standing, recount
from stream.settings import Settings, env_name

_BATCH_RECORDS: Final = 10_000
_NO_ACCOUNT: Final = "\x00"
"""What the keys of everything else begin with."""
_QUEUED_KBYTES: Final = 16_384
_QUEUED_RECORDS: Final = 1_000_000
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
    census_day: int | None = None
    """As of which day its accounts were last counted."""
    census_accounts: int = 0
    cuts: CutPoints | None = None
    """What its accounts were last compared with."""


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
    changelog = _read_changelog(partition, end, settings, deadline)
    checkpoint, marked, cuts = changelog.into(accounts)
    positions = _positions(partition, committed, checkpoint, cluster, settings)
    if checkpoint is not None:
        _check_policy(checkpoint, context, numbered=settings.policy_file is not None)
        if marked:
            _check_secret(checkpoint, context.erasure_secret)
        accounts.set_clock(checkpoint.clock_ms)
    if context.cuts is None:
        accounts.context = context.with_cuts(cuts)
    else:
        _check_fixed(context.cuts, cuts)
    spare_what_is_there()
    return Restored(
        accounts,
        positions,
        None if checkpoint is None else checkpoint.policy_version,
        changelog.records,
        time.monotonic() - started,
        None if checkpoint is None else checkpoint.census_day,
        0 if checkpoint is None else checkpoint.census_accounts,
        cuts,
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
                f"accounts may be missing; {REBUILD}"
            )
        if everything.end == committed.end:
            return everything.end
        if time.monotonic() > deadline:
            raise RestoreError(
                f"{topic} [{partition}] has a transaction that hangs at offset {committed.end}: "
                f"abort it with kafka-transactions.sh --bootstrap-server {settings.bootstrap_servers} abort "
                f"--topic {topic} --partition {partition} --start-offset {committed.end}"
            )
        time.sleep(_RETRY_SECONDS)


class _Changelog:
    """The last record of each key of one partition of the changelog.

    Only the last one is looked at: a changelog that was not compacted yet has several of each account.
    """

    def __init__(self) -> None:
        self.records = 0
        self._values: dict[str, bytes | None] = {}

    def take(self, messages: list[Message]) -> None:
        """Take records in their order.

        Raises:
            RestoreError: if a key is none of ours.
        """
        try:
            keys = map(bytes.decode, map(Message.key, messages))  # type: ignore[arg-type]  # a missing key is an error
            self._values.update(zip(keys, map(Message.value, messages), strict=True))
        except (TypeError, UnicodeDecodeError) as error:
            raise RestoreError(f"the state topic holds a record that no worker wrote: its key: {error}") from error
        self.records += len(messages)

    def into(self, accounts: Partition) -> tuple[Checkpoint | None, bool, CutPoints | None]:
        """Put accounts and erasure marks into a partition.

        Returns the checkpoint, whether there are marks, and the cut points.

        Raises:
            RestoreError: if a value cannot be read.
        """
        values = self._values
        checkpoint = values.pop(CHECKPOINT_KEY.decode(), None)
        cuts = values.pop(CUT_POINTS_KEY.decode(), None)
        marks = {key: mark_key_of(key.encode()) for key in values if key.startswith(_NO_ACCOUNT)}
        try:
            for key, mark_key in marks.items():
                mark = values.pop(key)
                if mark_key is not None and mark is not None:
                    accounts.restore_erased(mark_key, decode_mark(mark))
            for key in [key for key, value in values.items() if value is None]:
                del values[key]
            accounts.restore_all(cast("dict[str, bytes]", values))
            return (
                None if checkpoint is None else decode(checkpoint),
                bool(marks),
                None if cuts is None else decode_cut_points(cuts),
            )
        except (StateFormatError, CheckpointError, PortfolioFormatError) as error:
            raise RestoreError(f"the state topic cannot be read: {error}") from error


def _read_changelog(partition: int, end: int, settings: Settings, deadline: float) -> _Changelog:
    """Read a partition up to its end."""
    changelog = _Changelog()
    if end == 0:
        return changelog
    topic = settings.topics.state
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
            "queued.max.messages.kbytes": _QUEUED_KBYTES,
            "queued.min.messages": _QUEUED_RECORDS,
            "fetch.queue.backoff.ms": 2,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, partition, 0)])
        while True:
            messages = fetch(consumer, _BATCH_RECORDS, _POLL_SECONDS)
            errors = [error for error in map(Message.error, messages) if error is not None]
            if any(error.code() != KafkaError._PARTITION_EOF for error in errors):  # noqa: SLF001  # its only name
                raise RestoreError(f"{topic} [{partition}] cannot be read: {errors[0]}")
            changelog.take([one for one in messages if one.error() is None] if errors else messages)
            if errors:
                # The end may have been reached before the last batch was looked at.
                (position,) = consumer.position([TopicPartition(topic, partition)])
                if position.offset >= end:
                    return changelog
            if time.monotonic() > deadline:
                raise RestoreError(
                    f"{topic} [{partition}] was not restored in {settings.restore_deadline_seconds} s "
                    f"({changelog.records} records); allow more with {env_name('restore_deadline_seconds')}"
                )
    finally:
        consumer.close()


def _check_fixed(fixed: CutPoints, held: CutPoints | None) -> None:
    """Refuse fixed cut points that could be taken for those that the accounts were evaluated under."""
    if held is not None and held.version == fixed.version and held != fixed:
        raise RestoreError(
            f"{env_name('cut_points_file')} has the version {fixed.version} of other cut points, under which accounts "
            "were evaluated: they would not be evaluated again; give the file another version"
        )


def _check_secret(checkpoint: Checkpoint, secret: bytes) -> None:
    if checkpoint.erasure_fingerprint == fingerprint(secret):
        return
    remedy = "unset it" if checkpoint.erasure_fingerprint == fingerprint(b"") else "set the former one"
    raise RestoreError(
        f"{env_name('erasure_secret')} is not the secret that erased accounts are remembered under: they would come "
        f"back; {remedy}"
    )


def _positions(
    partition: int,
    committed: Mapping[InputTopic, int | None],
    checkpoint: Checkpoint | None,
    cluster: Cluster,
    settings: Settings,
) -> dict[InputTopic, int]:
    """Agree on where to read on, or refuse: nothing is ever skipped silently."""
    if checkpoint is not None and (problem := recount(checkpoint, cluster.partitions)) is not None:
        raise RestoreError(problem)
    positions: dict[InputTopic, int] = {}
    for topic in InputTopic:
        name = settings.topics.of_input(topic)
        held = None if checkpoint is None else checkpoint.inputs[topic]
        available = cluster.range_of(name, partition)
        standing = Standing(name, partition, available, cluster.topic_ids[name], held, committed[topic])
        if (problem := standing.disagreement()) is not None:
            raise RestoreError(problem)
        positions[topic] = available.start if held is None else held.next_offset
    return positions


def _check_policy(checkpoint: Checkpoint, context: Context, *, numbered: bool) -> None:
    """Refuse a policy that cannot follow the checkpoint's; `numbered` if a file says its revision."""
    policy = context.policy
    if policy.revision < checkpoint.policy_revision:
        raise RestoreError(
            f"the policy's revision is {policy.revision}, the state's {checkpoint.policy_revision}: "
            "a newer policy is in force. Deploy it here too, or raise the revision; account-health check shows which "
            "one is here"
        )
    for what, held, wanted in (
        ("reporting_currency", checkpoint.reporting_currency, policy.reporting_currency),
        ("reporting_timezone", checkpoint.reporting_timezone, policy.reporting_timezone),
    ):
        if held != wanted:
            raise RestoreError(f"the state was kept with {what} {held} and cannot serve {wanted}: {REBUILD}")
    if policy.horizon_days > checkpoint.horizon_days:
        raise RestoreError(
            f"the state remembers {checkpoint.horizon_days} days and cannot serve a window of {policy.horizon_days}: "
            f"{REBUILD}"
        )
    # The default policy has the same revision for ever, whatever a release or another currency makes of it.
    same = policy.revision == checkpoint.policy_revision
    if numbered and same and context.configuration != checkpoint.policy_in_force:
        raise RestoreError(
            f"policy {context.configuration} has the revision {policy.revision} of another one, "
            f"{checkpoint.policy_in_force}, "
            "which the state was kept with: workers cannot tell which is newer; raise `revision` in the policy file"
        )
