"""Dead letters: listing them, and sending them again once their cause is mended.

Sending again is exactly once. The position of each reason is kept as the offsets of a consumer group, which are
committed in the transaction of the records sent: what is behind it is never sent again, by whomever, and a run that
is interrupted leaves nothing half done. The worker's own de-duplication by event id is the second line.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import stamina
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from models.events import InputTopic
from models.reasons import RefusalReason
from models.wire import Refusal, parse
from processors.context import DAY_MS
from stream.cluster import COORDINATOR_MOVES, Cluster
from stream.handling import partition_of
from stream.headers import REDRIVEN_FROM_HEADER, DeadLetterHeader
from stream.inputs import timestamp_ms
from stream.reading import PartitionReader
from stream.settings import Settings
from stream.topics import OUTPUT_RECORD_BYTES_MAX, redrive_id

_BATCH_RECORDS: Final = 500
_BATCH_BYTES: Final = 8 * 1_048_576
_TIMEOUT_SECONDS: Final = 30.0
_REMEMBERED_DAYS: Final = 7
"""How long brokers keep a position that nobody moves (`offsets.retention.minutes`), unless they are set otherwise."""


class PositionForgottenError(RuntimeError):
    """Nobody can tell whether letters were sent again already."""


def _has_no_coordinator(error: Exception) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in COORDINATOR_MOVES


def kept(settings: Settings, cluster: Cluster) -> tuple[dict[int, int], dict[int, int]]:
    """Return from where to where each partition of the dead letters reaches now, as a committed reader sees it."""
    topic = settings.topics.dead_letters
    partitions = range(cluster.counts[topic])
    ranges = {one: cluster.range_of(topic, one, read_committed=True) for one in partitions}
    return {one: found.start for one, found in ranges.items()}, {one: found.end for one, found in ranges.items()}


class DeadLetter(NamedTuple):
    """One refused record, as it is kept."""

    partition: int
    offset: int
    written_ms: int
    """When it was refused."""
    key: bytes | None
    value: bytes | None
    reason: str
    detail: str
    topic: str
    """Full name of the topic that it came from."""
    origin_partition: int
    origin_offset: int
    origin_ms: int
    """Timestamp of the record that was refused."""
    is_cut: bool
    """Whether it was too large to be kept whole."""


def dead_letters(settings: Settings, starts: dict[int, int], ends: dict[int, int]) -> Iterator[DeadLetter]:
    """Yield the dead letters at these offsets of each partition; records that no worker wrote are left out.

    Raises:
        ReadingError: if the topic cannot be read.
    """
    for partition, end in ends.items():
        if starts[partition] >= end:
            continue
        with PartitionReader(settings, settings.topics.dead_letters, partition, starts[partition]) as reader:
            for message in reader.until(end):
                letter = _letter(message, partition)
                if letter is not None:
                    yield letter


def _letter(message: Message, partition: int) -> DeadLetter | None:
    pairs: list[tuple[str, Any]] = list(message.headers() or [])  # type: ignore[arg-type]  # always a list here
    headers = {name: (value or b"").decode(errors="replace") for name, value in pairs}
    try:
        return DeadLetter(
            partition,
            message.offset() or 0,
            timestamp_ms(message),
            message.key(),
            message.value(),
            headers[DeadLetterHeader.REASON],
            headers[DeadLetterHeader.DETAIL],
            headers[DeadLetterHeader.TOPIC],
            int(headers[DeadLetterHeader.PARTITION]),
            int(headers[DeadLetterHeader.OFFSET]),
            int(headers[DeadLetterHeader.TIMESTAMP_MS]),
            DeadLetterHeader.KEY_BYTES in headers or DeadLetterHeader.VALUE_BYTES in headers,
        )
    except (KeyError, ValueError):
        return None


@dataclass
class Redriven:
    """What became of the dead letters of one reason."""

    sent: Counter[str] = field(default_factory=Counter)
    """By topic."""
    cut: int = 0
    """Not sent: too large to have been kept whole."""
    superseded: int = 0
    """Not sent: a newer record of the same account is in a compacted topic, which would be lost behind an older."""
    foreign: int = 0
    """Not sent: they came from a topic that is no input of this application."""
    passed_over: int = 0
    """Not sent: refused before the moment from which on was asked for."""


class Redrive:
    """Sends the dead letters of one reason again; to be closed, or used in a `with` statement.

    Of two at the same time the older one is fenced and fails without having sent anything twice.

    Args:
        settings: of the application.
        cluster: its topics.
        reason: why they were refused.
        dry_run: whether to send nothing.
    """

    def __init__(self, settings: Settings, cluster: Cluster, reason: RefusalReason, *, dry_run: bool) -> None:
        self._settings = settings
        self._cluster = cluster
        self._reason = reason
        self._topic = settings.topics.dead_letters
        name = redrive_id(settings.application_id, reason)
        # The end is as of now: what is refused again meanwhile is for another run.
        self._starts, self._ends = kept(settings, cluster)
        self._producer = None if dry_run else _producer(settings, name)
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": name,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )

    def close(self) -> None:
        """End the clients."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, from_ms: int | None = None) -> Redriven:
        """Send all that was refused before now and is not sent yet.

        Args:
            from_ms: those that were refused before this moment are passed over, for good.

        Raises:
            KafkaException: if it cannot be sent; what was sent before stays so, and is not sent again.
            PositionForgottenError: if there are letters that an earlier run may have sent, and no moment was given.
            ReadingError: if a topic cannot be read.
        """
        if self._producer is not None:
            # First of all: ends what an interrupted run has left open, so that the position is the last word.
            self._producer.init_transactions(_TIMEOUT_SECONDS)
        positions = self._positions()
        starts = {one: max(first, positions[one] or 0) for one, first in self._starts.items()}
        if from_ms is None:
            self._check_remembered({one: starts[one] for one, held in positions.items() if held is None})
        newest = self._newest_profiles(starts)
        done = Redriven()
        reached = dict(starts)
        batch: list[DeadLetter] = []
        waiting_bytes = 0
        for letter in dead_letters(self._settings, starts, self._ends):
            reached[letter.partition] = letter.offset + 1
            if letter.reason != self._reason:
                continue
            if from_ms is not None and letter.written_ms < from_ms:
                done.passed_over += 1
            elif self._may_send(letter, newest, done):
                batch.append(letter)
            waiting_bytes += len(letter.value or b"")
            if len(batch) >= _BATCH_RECORDS or waiting_bytes >= _BATCH_BYTES:
                self._send(batch, reached)
                batch.clear()
                waiting_bytes = 0
        ended = {one: max(starts[one], end) for one, end in self._ends.items()}
        if ended != starts:
            self._send(batch, ended)
        return done

    @stamina.retry(on=_has_no_coordinator, attempts=None, timeout=_TIMEOUT_SECONDS, wait_max=1.0)
    def _positions(self) -> dict[int, int | None]:
        """Ask how far earlier runs have come; None where nobody remembers one."""
        positions: dict[int, int | None] = {}
        for one in self._consumer.committed(
            [TopicPartition(self._topic, one) for one in self._starts], _TIMEOUT_SECONDS
        ):
            if one.error is not None:
                raise KafkaException(one.error)
            positions[one.partition] = one.offset if one.offset >= 0 else None
        return positions

    def _check_remembered(self, starts: dict[int, int]) -> None:
        """Refuse letters so old that brokers may have forgotten a run that sent them."""
        oldest_ms = time.time_ns() // 1_000_000 - _REMEMBERED_DAYS * DAY_MS
        for partition in starts:
            # They stand in the order in which they were refused.
            of_partition = dead_letters(self._settings, starts, {partition: self._ends[partition]})
            for letter in takewhile(lambda one: one.written_ms < oldest_ms, of_partition):
                if letter.reason == self._reason:
                    raise PositionForgottenError(
                        f"there are letters that were refused more than {_REMEMBERED_DAYS} days ago, and the brokers "
                        "remember no earlier redrive of them, which they may have forgotten: say with --from TIME from "
                        "which moment on they are to be sent"
                    )

    def _may_send(self, letter: DeadLetter, newest: dict[bytes, tuple[int, int]], done: Redriven) -> bool:
        topic = self._settings.topics.input_of(letter.topic)
        if topic is None:
            done.foreign += 1
        elif letter.is_cut:
            done.cut += 1
        elif topic is InputTopic.PROFILES and self._superseded(letter, newest):
            done.superseded += 1
        else:
            done.sent[letter.topic] += 1
            return True
        return False

    def _send(self, batch: list[DeadLetter], positions: dict[int, int]) -> None:
        if self._producer is None:
            return
        self._producer.begin_transaction()
        for letter in batch:
            where = f"{self._topic}/{letter.partition}/{letter.offset}"
            self._producer.produce(
                letter.topic,
                letter.value,
                letter.key,
                self._target(letter),
                headers=[(REDRIVEN_FROM_HEADER, where.encode())],
            )
        offsets = [TopicPartition(self._topic, partition, offset) for partition, offset in positions.items()]
        metadata = self._consumer.consumer_group_metadata()
        self._producer.send_offsets_to_transaction(offsets, metadata, _TIMEOUT_SECONDS)
        self._producer.commit_transaction(_TIMEOUT_SECONDS)

    def _target(self, letter: DeadLetter) -> int:
        """Give the partition of its key, wherever the record was; without a key the one where it was."""
        if letter.key is None:
            return letter.origin_partition % self._cluster.partitions
        return partition_of(letter.key, self._cluster.partitions)

    def _superseded(self, letter: DeadLetter, newest: dict[bytes, tuple[int, int]]) -> bool:
        if letter.key is None or letter.key not in newest:
            return False
        offset, at_ms = newest[letter.key]
        if self._target(letter) == letter.origin_partition:
            return offset > letter.origin_offset
        return at_ms > letter.origin_ms

    def _newest_profiles(self, starts: dict[int, int]) -> dict[bytes, tuple[int, int]]:
        """Find offset and timestamp of the newest readable profile of every account that one would be sent again of.

        The topic is compacted: an older profile behind a newer one would be all that is left of the two.
        """
        name = self._settings.topics.profiles
        letters = dead_letters(self._settings, starts, self._ends)
        asked = {one.key for one in letters if one.reason == self._reason and one.topic == name}
        targets = {partition_of(key, self._cluster.partitions) for key in asked if key is not None}
        newest: dict[bytes, tuple[int, int]] = {}
        for partition in sorted(targets):
            start, end = self._cluster.range_of(name, partition)
            with PartitionReader(self._settings, name, partition, start) as reader:
                for message in reader.until(end):
                    key = message.key()
                    if key is None or key not in asked or partition_of(key, self._cluster.partitions) != partition:
                        continue
                    if not isinstance(parse(InputTopic.PROFILES, key, message.value()), Refusal):
                        newest[key] = (message.offset() or 0, timestamp_ms(message))
        return newest


def _producer(settings: Settings, name: str) -> Producer:
    return Producer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "transactional.id": name,
            "client.id": name,
            "transaction.timeout.ms": settings.transaction_timeout_ms,
            "message.timeout.ms": settings.transaction_timeout_ms,
            "linger.ms": 5,
            # What its producer had compressed was kept as it is, and has to fit into an input once more.
            "message.max.bytes": OUTPUT_RECORD_BYTES_MAX,
            "compression.type": "zstd",
            "log_level": 0,
        }
    )
