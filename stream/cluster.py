"""What the worker must know of the brokers: partition counts, topic ids, and which offsets exist."""

import logging
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

import stamina
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from models.events import InputTopic
from stream.handling import Place
from stream.settings import Settings
from stream.topics import group_id

_log = logging.getLogger(__name__)
_TIMEOUT_SECONDS: Final = 30.0
_RESULT_SECONDS: Final = _TIMEOUT_SECONDS + 5.0
"""For the client to say itself why a request failed."""
_RETRY_SECONDS: Final = 0.1
_RETRY_SECONDS_MAX: Final = 1.0
_ABORTED_SECONDS: Final = 15.0
"""How long after a transaction's timeout a broker has aborted it: by default brokers look every ten seconds."""
_LEADER_MOVES: Final = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        # A broker that was restarted hears of its leadership a little later than its clients.
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        # The client's own: it knows of no leader.
        KafkaError._NOENT,  # noqa: SLF001  # its only name
    }
)
COORDINATOR_MOVES: Final = frozenset(
    {
        # Another broker has taken over the group, and reads what there is of it; so does the first one of a new group.
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""What brokers say of a group that they can soon say more of."""
# An open transaction holds offsets.
_OFFSETS_UNSETTLED: Final = COORDINATOR_MOVES | {KafkaError.UNSTABLE_OFFSET_COMMIT}
_ENDS: Final = (OffsetSpec.earliest(), OffsetSpec.latest())  # type: ignore[no-untyped-call]  # the client's


class ClusterError(RuntimeError):
    """Topics that a worker cannot work with; its text says which, and what mends it."""


class Range(NamedTuple):
    """Offsets [start, end) of one partition."""

    start: int
    end: int


class Brokers:
    """What is asked of the brokers about topics.

    Args:
        settings: whose brokers.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # All that it would log ends as an error of a call.
        self._admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})

    def partition_counts(self, names: Iterable[str]) -> dict[str, int]:
        """Ask how many partitions topics have.

        Raises:
            ClusterError: if one is missing.
        """
        counts = {name: self._partitions_of(name) for name in names}
        missing = [name for name, count in counts.items() if count == 0]
        if missing:
            raise ClusterError(f"missing topics: {', '.join(missing)}. Make them with: account-health topics create")
        return counts

    def ids_of(self, names: Iterable[str]) -> dict[str, str]:
        """Ask for the ids of topics: one that is made anew has another."""
        if self._settings.embedded_broker:
            # The mock describes no topics; its cluster's id is another one at each start, and so serves as well.
            cluster_id = str(self._admin.list_topics(timeout=_TIMEOUT_SECONDS).cluster_id)
            return dict.fromkeys(names, cluster_id)
        futures = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=_TIMEOUT_SECONDS)
        return {name: str(future.result(_RESULT_SECONDS).topic_id) for name, future in futures.items()}

    def range_of(self, topic: str, partition: int, *, read_committed: bool = False) -> Range:
        """Ask which offsets of a partition exist, up to the end or to the first open transaction."""
        level = IsolationLevel.READ_COMMITTED if read_committed else IsolationLevel.READ_UNCOMMITTED
        one = TopicPartition(topic, partition)
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while True:
            first, last = (
                self._admin.list_offsets({one: spec}, isolation_level=level, request_timeout=_TIMEOUT_SECONDS)[one]
                for spec in _ENDS
            )
            try:
                return Range(first.result(_RESULT_SECONDS).offset, last.result(_RESULT_SECONDS).offset)
            except KafkaException as error:
                # The client asks the leader that it knows: a new topic may have none yet, and one may have moved.
                if error.args[0].code() not in _LEADER_MOVES or time.monotonic() > deadline:
                    raise
            time.sleep(_RETRY_SECONDS)
            # It keeps what it knows of a leader for minutes, also when that is refused.
            self._admin.list_topics(topic, timeout=_TIMEOUT_SECONDS)

    def _partitions_of(self, name: str) -> int:
        topic = self._admin.list_topics(name, timeout=_TIMEOUT_SECONDS).topics[name]
        return len(topic.partitions) if topic.error is None else 0


class Cluster(Brokers):
    """A view of the brokers, taken once at the start but for offsets.

    Args:
        settings: of the worker.

    Raises:
        ClusterError: if a topic is missing, or the inputs and the state do not have the same partitions.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        names = settings.topics
        inputs = [names.of_input(topic) for topic in InputTopic]
        counts = self.partition_counts(
            (
                *inputs,
                names.state,
                names.portfolio,
                names.tier_changes,
                names.churn_risk,
                names.snapshots,
                names.dead_letters,
            )
        )
        bound = {name: counts[name] for name in (*inputs, names.state)}
        if len(set(bound.values())) > 1:
            shown = ", ".join(f"{name} {count}" for name, count in bound.items())
            raise ClusterError(f"the inputs and the state must have the same number of partitions: {shown}")
        if counts[names.portfolio] > 1 and not settings.embedded_broker:
            raise ClusterError(f"{names.portfolio} has {counts[names.portfolio]} partitions and must have 1")
        self.counts: Final = counts
        """How many partitions each topic has, by full name."""
        self.partitions: Final = counts[inputs[0]]
        self.topic_ids: Final = self.ids_of(inputs)

    def place(self, partition: int) -> Place:
        """Say which partition this is, of which topics."""
        names = self._settings.topics
        topic_ids = {topic: self.topic_ids[names.of_input(topic)] for topic in InputTopic}
        return Place(partition, self.partitions, topic_ids)

    def committed(self, partition: int) -> dict[InputTopic, int | None]:
        """Ask for the group's stable committed offsets of a partition's inputs; None where there is none.

        Stable: a transaction that is open on them is waited for until the broker must have aborted it.

        Raises:
            ClusterError: if it is open even then.
        """
        if self._settings.embedded_broker:
            return dict.fromkeys(InputTopic)
        patience_seconds = self._settings.transaction_timeout_ms / 1000 + _ABORTED_SECONDS
        told: set[str] = set()

        def is_unsettled(error: Exception) -> bool:
            if not isinstance(error, KafkaException) or error.args[0].code() not in _OFFSETS_UNSETTLED:
                return False
            if (name := error.args[0].name()) not in told:
                told.add(name)
                _log.warning(
                    "%s: the group's offsets of partition %s cannot be told yet, as when a killed worker's transaction"
                    " holds them: waiting for at most %g s",
                    *(name, partition, patience_seconds),
                )
            return True

        try:
            for attempt in stamina.retry_context(
                on=is_unsettled,
                attempts=None,
                timeout=patience_seconds,
                wait_initial=_RETRY_SECONDS,
                wait_max=_RETRY_SECONDS_MAX,
                wait_jitter=_RETRY_SECONDS_MAX,
            ):
                with attempt:
                    return self._committed(partition)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNSTABLE_OFFSET_COMMIT:
                raise
            raise ClusterError(
                f"a transaction has held the group's offsets of partition {partition} for {patience_seconds:g} s. Is a"
                " worker of another transaction timeout at work? If not, the transaction hangs: find it with"
                f" kafka-transactions.sh --bootstrap-server {self._settings.bootstrap_servers} list, and abort it"
            ) from error
        raise AssertionError("every attempt returns or raises")

    def _committed(self, partition: int) -> dict[InputTopic, int | None]:
        names = {self._settings.topics.of_input(topic): topic for topic in InputTopic}
        group = group_id(self._settings.application_id)
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(name, partition) for name in names])
        futures = self._admin.list_consumer_group_offsets(
            [asked], require_stable=True, request_timeout=_TIMEOUT_SECONDS
        )
        found = futures[group].result(_RESULT_SECONDS).topic_partitions
        failed = next((one.error for one in found if one.error is not None), None)
        if failed is not None:
            raise KafkaException(failed)
        return {names[one.topic]: one.offset if one.offset >= 0 else None for one in found}
