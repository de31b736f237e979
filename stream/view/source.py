"""What the view is made from: committed snapshots, tier changes and churn events, from positions that Redis keeps."""

from collections.abc import Iterable, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.cluster import Brokers, Range
from stream.inputs import timestamp_ms
from stream.settings import Settings
from stream.topics import CHURN_RISK, SNAPSHOTS, TIER_CHANGES, Topic
from stream.view.writing import Batch, Position

TOPICS: Final = (SNAPSHOTS, TIER_CHANGES, CHURN_RISK)
_QUEUED_KBYTES: Final = 16_384


class SourceError(RuntimeError):
    """Records that cannot be read from where the view stands: the view has to be built anew."""


class Source:
    """Reads the three topics, without a group: positions are the view's.

    Args:
        settings: whose brokers and topics.

    Raises:
        ClusterError: if a topic is missing.
        KafkaException: if the brokers do not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._brokers = Brokers(settings)
        self._names = {settings.topics.of(topic): topic.suffix for topic in TOPICS}
        self._full_names = {suffix: name for name, suffix in self._names.items()}
        counts = self._brokers.partition_counts(self._names)
        self.partitions: Final = {
            topic.suffix: [(topic.suffix, number) for number in range(counts[self._full_names[topic.suffix]])]
            for topic in TOPICS
        }
        """The partitions of each topic, by its suffix."""
        self.timestamps_ms: Final[dict[Position, int]] = {}
        """Of the last record that was read of a partition."""
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                # Required by the client; nothing is committed under it.
                "group.id": f"{settings.application_id}-view",
                "client.id": f"{settings.application_id}-view",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": _QUEUED_KBYTES,
                "fetch.message.max.bytes": 4 * 1024 * 1024,
                "fetch.wait.max.ms": 50,
                "log_level": 0,
            }
        )

    def topic_ids(self) -> dict[str, str]:
        """Ask for the broker's id of each topic, by its suffix."""
        return {self._names[name]: one for name, one in self._brokers.ids_of(self._names).items()}

    def ranges(self, topics: Iterable[Topic]) -> dict[Position, Range]:
        """Ask which committed offsets there are."""
        return {
            one: self._brokers.range_of(self._full_names[one[0]], one[1], read_committed=True)
            for topic in topics
            for one in self.partitions[topic.suffix]
        }

    def assign(self, positions: Mapping[Position, int]) -> None:
        """Read these partitions, and only these, from these offsets on."""
        self.timestamps_ms.clear()
        self._consumer.assign(
            [TopicPartition(self._full_names[topic], number, at) for (topic, number), at in positions.items()]
        )

    def poll(self, records_max: int, timeout_seconds: float) -> Batch:
        """Read what comes next.

        Raises:
            SourceError: if it is not there any longer.
            KafkaException: if it cannot be read.
        """
        batch = Batch()
        for message in self._consumer.consume(records_max, timeout_seconds):
            error = message.error()
            if error is None:
                self._take(batch, message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its only name
                offset = message.offset()
                assert offset is not None
                # Behind the control records too, which end a transaction and are no messages.
                batch.positions[self._position_of(message)] = offset
            elif error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:  # noqa: SLF001  # see above
                raise SourceError(f"{message.topic()} [{message.partition()}] is gone where the view stands")
            elif error.fatal() or not error.retriable():
                raise KafkaException(error)
        return batch

    def lag(self, positions: Mapping[Position, int]) -> dict[Position, int]:
        """Tell how many offsets are still to be read, as far as the client has heard."""
        found = {}
        for position, offset in positions.items():
            where = TopicPartition(self._full_names[position[0]], position[1])
            _, end = self._consumer.get_watermark_offsets(where, cached=True)
            found[position] = max(0, end - offset)
        return found

    def close(self) -> None:
        """End the client."""
        self._consumer.close()

    def _position_of(self, message: Message) -> Position:
        topic, partition = message.topic(), message.partition()
        assert topic is not None
        assert partition is not None
        return self._names[topic], partition

    def _take(self, batch: Batch, message: Message) -> None:
        position, offset, key = self._position_of(message), message.offset(), message.key()
        assert offset is not None
        batch.positions[position] = offset + 1
        self.timestamps_ms[position] = timestamp_ms(message)
        # Ours always have a key; what somebody else wrote there is nobody's health.
        account_id = "" if key is None else key.decode(errors="replace")
        value = message.value()
        if position[0] == SNAPSHOTS.suffix:
            batch.snapshots.setdefault(account_id, []).append(value)
        elif value is not None:
            batch.changes.setdefault(account_id, []).append(value)
