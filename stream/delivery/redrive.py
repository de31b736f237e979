"""Failed deliveries: what is kept, and delivering it again in order, account by account.

A failure stays where it is until all of its account's up to there were delivered; then one record settles them. So the
order is kept however often a redrive fails or is killed: what was delivered may come again, which an id tells.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Consumer, TopicPartition

from stream.cluster import Brokers
from stream.delivery.client import DestinationClient
from stream.delivery.courier import Courier
from stream.delivery.destinations import Destination
from stream.delivery.dispatcher import Dispatcher
from stream.delivery.erasures import Erasures
from stream.delivery.events import Delivery, Place, delivery_of
from stream.delivery.failures import FailureProducer, KeptFailure, Settlement, read_record, settlement_record
from stream.delivery.follower import Follower
from stream.delivery.reasons import Disposal, FailureReason
from stream.delivery.telemetry import DeliveryMetrics
from stream.reading import PartitionReader
from stream.settings import Settings
from stream.topics import delivery_redrive_id

_JOIN_SECONDS: Final = 60.0
_CURRENT_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 0.02
_BATCH_RECORDS: Final = 200
_WINDOW_RECORDS: Final = 1000
_GIVE_UP_SECONDS: Final = 60.0
"""A redrive is watched by a person: a destination that accepts nothing for so long is left alone."""

Account = tuple[str, bytes, int]
"""Destination, key, partition."""


class RedriveError(RuntimeError):
    """A redrive that cannot begin; the text says why."""


class KeptFailures:
    """The failures that are kept, as of now.

    Args:
        settings: whose brokers.
        brokers: that know the topic.

    Raises:
        ReadingError: if the topic cannot be read; from `open` too.
    """

    def __init__(self, settings: Settings, brokers: Brokers) -> None:
        self._settings = settings
        self._topic = settings.topics.delivery_failures
        partitions = range(brokers.partition_counts([self._topic])[self._topic])
        ranges = {one: brokers.range_of(self._topic, one, read_committed=True) for one in partitions}
        self._ranges = {one: found for one, found in ranges.items() if found.start < found.end}
        self._settled: dict[Account, int] = {}
        for partition, record in self._records():
            if isinstance(record, Settlement):
                key = (record.destination, record.account, partition)
                self._settled[key] = max(record.offset, self._settled.get(key, -1))

    def open(self, destination: str | None = None) -> Iterator[KeptFailure]:
        """Yield what is not settled, each partition in order."""
        for partition, record in self._records():
            if isinstance(record, KeptFailure) and destination in {None, record.destination}:
                key = (record.destination, record.delivery.account, partition)
                if record.delivery.place.offset > self._settled.get(key, -1):
                    yield record

    def _records(self) -> Iterator[tuple[int, KeptFailure | Settlement]]:
        for partition, (start, end) in self._ranges.items():
            with PartitionReader(self._settings, self._topic, partition, start) as reader:
                for message in reader.until(end):
                    record = read_record(delivery_of(message))
                    if record is not None:
                        yield partition, record


@dataclass
class Redriven:
    """What became of the failures of one destination."""

    disposals: Counter[Disposal] = field(default_factory=Counter)
    """Of those that were settled."""
    discarded: int = 0
    """Settled without being delivered, as was asked for."""
    reasons: Counter[FailureReason] = field(default_factory=Counter)
    """Why those that were tried failed again; one for each account."""
    left: int = 0
    """Not tried: behind one of those, or after the destination had accepted nothing for too long."""


class Redrive:
    """Delivers the failures of one destination again.

    Args:
        settings: of the application.
        courier: of the destination.
        producer: appends settlements.
        discard: reasons of failures that are settled without being delivered.
    """

    def __init__(
        self, settings: Settings, courier: Courier, producer: FailureProducer, discard: Collection[FailureReason]
    ) -> None:
        self._settings = settings
        self._courier = courier
        self._producer = producer
        self._discard = frozenset(discard)
        self._dispatcher = Dispatcher(self._handle)
        self._reasons: dict[Place, FailureReason] = {}
        self._blocked: set[bytes] = set()
        self._given_up = False
        self._done = Redriven()

    async def run(self, failures: Iterator[KeptFailure]) -> Redriven:
        """Deliver these; returns when each is settled or left.

        Raises:
            KafkaException: if a settlement is not taken; what was delivered by then may be delivered again.
        """
        while batch := await asyncio.to_thread(list, islice(failures, _BATCH_RECORDS)):
            for kept in batch:
                self._reasons[kept.delivery.place] = kept.failure.reason
                self._dispatcher.take(kept.delivery)
            await self._until(lambda: self._dispatcher.open < _WINDOW_RECORDS)
        await self._until(lambda: self._dispatcher.idle)
        return self._done

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():  # the dispatcher's tasks are many, and short
            if self._dispatcher.failure.done():
                raise self._dispatcher.failure.result()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _handle(self, delivery: Delivery) -> None:
        reason = self._reasons.pop(delivery.place)
        if delivery.account in self._blocked or self._given_up:
            self._blocked.add(delivery.account)
            self._done.left += 1
            return
        if reason in self._discard:
            self._done.discarded += 1
        else:
            result = await self._courier.deliver(delivery)
            if result.failure is not None:
                self._blocked.add(delivery.account)
                self._done.reasons[result.failure.reason] += 1
                # Whoever accepts nothing now would be asked once more for each account.
                if self._courier.is_silent:
                    self._given_up = True
                return
            self._done.disposals[result.disposal] += 1
        settlement = Settlement(self._courier.name, delivery.account, delivery.place.offset)
        await self._producer.send(settlement_record(settlement, self._settings.topics))


class Exclusive:
    """Keeps other redrives of a destination out while it is held, in a `with` statement.

    It is a member of a consumer group that has one: whoever comes second is given a part of the partitions only.

    Raises:
        RedriveError: if another one runs, or the group cannot be joined in time.
    """

    def __init__(self, settings: Settings, brokers: Brokers, destination: str) -> None:
        self._destination = destination
        self._topic = settings.topics.delivery_failures
        self._partitions = brokers.partition_counts([self._topic])[self._topic]
        self._assigned: int | None = None
        self._stopping = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": delivery_redrive_id(settings.application_id, destination),
                "enable.auto.commit": False,
                "session.timeout.ms": settings.session_timeout_ms,
                "log_level": 0,
            }
        )
        self._thread = threading.Thread(target=self._poll, name="redrive group", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + _JOIN_SECONDS
        while self._assigned is None and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        if self._assigned == self._partitions:
            return self
        self._leave()
        if self._assigned is None:
            raise RedriveError(f"the group of the redrive could not be joined within {_JOIN_SECONDS:g} s")
        raise RedriveError(f"another redrive of {self._destination} is running")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _poll(self) -> None:
        def assign(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            # Nothing is read here.
            consumer.assign(partitions)
            consumer.pause(partitions)
            if self._assigned is None:
                self._assigned = len(partitions)

        self._consumer.subscribe([self._topic], on_assign=assign)
        while not self._stopping.is_set():
            self._consumer.poll(_POLL_SECONDS)
        self._consumer.close()


async def redrive(
    settings: Settings,
    name: str,
    destination: Destination,
    discard: Collection[FailureReason],
) -> Redriven:
    """Deliver the failures of a destination again, one redrive at a time.

    Raises:
        ClusterError, FollowerError, KafkaException, ReadingError: if Kafka is to blame.
        RedriveError: if another redrive of the destination is running.
    """
    names = settings.topics
    brokers = Brokers(settings)
    quick = destination.model_copy(update={"give_up_seconds": min(destination.give_up_seconds, _GIVE_UP_SECONDS)})
    erasures = Erasures()
    follower = Follower(settings, brokers, names.snapshots, erasures.handle)
    producer = FailureProducer(settings, delivery_redrive_id(settings.application_id, name))
    with Exclusive(settings, brokers, name):
        follower.start()
        try:
            await asyncio.to_thread(follower.wait_until_current, _CURRENT_SECONDS)
            async with DestinationClient(quick) as client:
                courier = Courier(name, client, erasures, DeliveryMetrics([name]))
                failures = KeptFailures(settings, brokers).open(name)
                return await Redrive(settings, courier, producer, discard).run(failures)
        finally:
            producer.close()
            follower.stop()
