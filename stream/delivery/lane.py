"""One destination: its own consumer group, its own queue, its own pace."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream.delivery.courier import Courier
from stream.delivery.dispatcher import Dispatcher, Partition
from stream.delivery.events import Delivery, delivery_of
from stream.delivery.failures import Failure, FailureProducer, Waiting, failure_record
from stream.delivery.follower import Follower
from stream.delivery.reasons import Disposal, FailureReason
from stream.settings import Settings
from stream.topics import delivery_id

_log: Final = logging.getLogger(__name__)
WINDOW_RECORDS: Final = 1000
"""Events that are read and not done with; while there are as many, no more are read."""
_BATCH_RECORDS: Final = 200
_POLL_SECONDS: Final = 0.2
_COMMIT_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 30.0
_ASSIGN_SECONDS: Final = 150.0
"""When partitions come: for what was erased and what failed to be known, and where they stand, all together."""
_POLL_SECONDS_MAX: Final = 2 * _ASSIGN_SECONDS
"""Between two polls: beside an assignment, what was taken away before it is ended and committed."""
_APPENDED_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.02
_QUEUED_KBYTES: Final = 4096
_MS_PER_SECOND: Final = 1000
_HELD_BACK: Final = Failure(FailureReason.HELD_BACK, "an earlier event of the account waits for its redrive", 0)


T = TypeVar("T")


class LaneError(RuntimeError):
    """A lane that cannot go on; the text says why."""


class Common:
    """What the lanes of a process share.

    Args:
        settings: of the process.
        waiting: accounts that wait for a redrive.
        followers: of the topics of failures and of snapshots, in this order.
        producer: appends failures.
    """

    def __init__(
        self, settings: Settings, waiting: Waiting, followers: tuple[Follower, Follower], producer: FailureProducer
    ) -> None:
        self.settings: Final = settings
        self.waiting: Final = waiting
        self.failures, self.snapshots = followers
        self.producer: Final = producer

    def wait_until_current(self, deadline: float) -> None:
        """Wait until all that failed and all that was erased until now is known. Blocks.

        Args:
            deadline: of both together, on the monotonic clock.

        Raises:
            FollowerError: if that takes too long.
        """
        for follower in (self.failures, self.snapshots):
            follower.wait_until_current(deadline - time.monotonic())

    async def append(self, destination: str, delivery: Delivery, failure: Failure) -> None:
        """Keep a failure; returns when the account is known to wait."""
        record = failure_record(destination, delivery, failure, self.settings.topics)
        partition, offset = await self.producer.send(record)
        async with asyncio.timeout(_APPENDED_SECONDS):
            while not self.failures.has_reached(partition, offset):  # noqa: ASYNC110  # the follower is a thread
                await asyncio.sleep(_LOOK_SECONDS)


class Lane:
    """Reads events, hands each account's to the courier in order, and commits what is done with.

    Args:
        courier: of the destination.
        common: what the lanes share.
    """

    def __init__(self, courier: Courier, common: Common) -> None:
        self.name: Final = courier.name
        self.assigned = False
        """Whether it is a member of its group."""
        self.polled = time.monotonic()
        """When it last asked for events."""
        self._courier = courier
        self._common = common
        self._dispatcher = Dispatcher(self._handle)
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"lane {self.name}")
        self._stopping = False
        self._closing = False
        self._paused = False
        self._committed: dict[Partition, int] = {}
        # Where each partition began: it has no other position before its first event.
        self._starts: dict[Partition, int] = {}
        # Where a partition was last found to have no more.
        self._reached: dict[Partition, int] = {}
        settings = common.settings
        self._topics = [settings.topics.tier_changes, settings.topics.churn_risk]
        group = delivery_id(settings.application_id, self.name)
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": group,
                "group.instance.id": f"{group}-{settings.instance_id}",
                "client.id": group,
                "session.timeout.ms": settings.session_timeout_ms,
                "max.poll.interval.ms": max(settings.max_poll_interval_ms, int(_POLL_SECONDS_MAX * _MS_PER_SECOND)),
                # The same partitions of both topics go to the same member, and with them an account.
                "partition.assignment.strategy": "range",
                "enable.auto.commit": False,
                # A destination that is new is sent all that is kept.
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": _QUEUED_KBYTES,
                "fetch.wait.max.ms": 100,
                "log_level": 0,
            }
        )

    async def run(self) -> None:
        """Deliver until `request_stop` is called.

        Raises:
            LaneError: if it cannot go on.
            KafkaException, FollowerError: if Kafka is to blame.
        """
        await self._in_thread(self._subscribe)
        committed = time.monotonic()
        while not self._stopping:
            poll = partial(self._poll, WINDOW_RECORDS - self._dispatcher.open)
            for message in await self._in_thread(poll):
                self._dispatcher.take(delivery_of(message))
            if self._dispatcher.failure.done():
                error = self._dispatcher.failure.result()
                raise LaneError(f"{self.name}: {error!r}") from error
            if time.monotonic() - committed >= _COMMIT_SECONDS:
                committed = time.monotonic()
                await self._in_thread(partial(self._commit, self._dispatcher.next_offsets()))

    def request_stop(self) -> None:
        """Let `run` end."""
        self._stopping = self._courier.stopping = True

    async def close(self, grace_seconds: float) -> None:
        """End after `run`: requests under way may end, all else is broken off and comes again at the next start."""
        under_way = set(self._courier.attempting)
        self._dispatcher.drain(under_way)
        if under_way:
            await asyncio.wait(under_way, timeout=grace_seconds)
        offsets = await self._dispatcher.stop()
        await self._in_thread(partial(self._commit, offsets))
        self._closing = True
        await self._in_thread(self._consumer.close)
        self._thread.shutdown()

    def open_records(self) -> int:
        """Return how many events are read and not done with."""
        return self._dispatcher.open

    def lag_records(self, ends: Mapping[Partition, int]) -> int:
        """Return how many events are open, and how many offsets before the ends are not read yet."""
        read = {**self._starts, **self._dispatcher.read_to()}
        for one, offset in self._reached.items():
            # Behind the last event there may be what ends its transaction, which no event follows.
            read[one] = max(offset, read.get(one, 0))
        return self._dispatcher.open + sum(max(0, ends[one] - offset) for one, offset in read.items() if one in ends)

    def lag_seconds(self, now_ms: int) -> float:
        """Return the age of the oldest event that is read and not done with."""
        oldest_ms = self._dispatcher.oldest_ms
        return 0.0 if oldest_ms is None else max(0, now_ms - oldest_ms) / _MS_PER_SECOND

    async def _handle(self, delivery: Delivery) -> None:
        waits = self._common.waiting.holds(self.name, delivery.account)
        result = await self._courier.deliver(delivery, _HELD_BACK if waits else None)
        if result.disposal is Disposal.FAILED:
            assert result.failure is not None
            await self._common.append(self.name, delivery, result.failure)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, call)

    # What follows runs in the lane's thread, as the client's callbacks do.

    def _subscribe(self) -> None:
        self._consumer.subscribe(self._topics, on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose)

    def _poll(self, room: int) -> list[Message]:
        self.polled = time.monotonic()
        self._pause(stopped=room <= 0)
        first = self._consumer.poll(_POLL_SECONDS)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(min(_BATCH_RECORDS, max(room, 1)), 0)]
        for message in messages:
            if (error := message.error()) is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its only name
                self._reached[message.topic() or "", message.partition() or 0] = message.offset() or 0
            elif error.fatal() or not error.retriable():
                raise KafkaException(error)
        # What was taken before a rebalance that came between the two calls is another's now.
        return [one for one in messages if one.error() is None and (one.topic(), one.partition()) in self._starts]

    def _pause(self, *, stopped: bool) -> None:
        if stopped is self._paused:
            return
        self._paused = stopped
        assigned = self._consumer.assignment()
        (self._consumer.pause if stopped else self._consumer.resume)(assigned)

    def _commit(self, offsets: Mapping[Partition, int]) -> None:
        changed = {one: offset for one, offset in offsets.items() if self._committed.get(one) != offset}
        if not changed:
            return
        wanted = [TopicPartition(topic, partition, offset) for (topic, partition), offset in changed.items()]
        try:
            self._consumer.commit(offsets=wanted, asynchronous=False)
        except KafkaException as error:
            # They are committed again a second later; what was taken away meanwhile is for its new owner.
            _log.warning("offsets of %s are not committed: %s", self.name, error)
            return
        self._committed.update(changed)

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        deadline = time.monotonic() + _ASSIGN_SECONDS
        self._common.wait_until_current(deadline)
        for one in consumer.committed(partitions, timeout=_left(deadline)):
            first, _ = consumer.get_watermark_offsets(one, timeout=_left(deadline))
            if 0 <= one.offset < first:
                _log.error(
                    "%s: events expired before they were delivered: %s [%s] from %s to %s",
                    *(self.name, one.topic, one.partition, one.offset, first - 1),
                )
            self._starts[one.topic, one.partition] = max(one.offset, first)
        self._paused = False
        self.assigned = True

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        del consumer
        self._commit(self._forget(partitions))

    def _lose(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        del consumer
        self._forget(partitions)

    def _forget(self, partitions: Sequence[TopicPartition]) -> dict[Partition, int]:
        gone = [(one.topic, one.partition) for one in partitions]
        self.assigned = False
        for one in gone:
            self._starts.pop(one, None)
            self._reached.pop(one, None)
            self._committed.pop(one, None)
        if self._closing:
            return {}
        return asyncio.run_coroutine_threadsafe(self._dispatcher.forget(gone), self._loop).result(_TIMEOUT_SECONDS)


def _left(deadline: float) -> float:
    """Give the seconds until a deadline; behind it what an answer takes that is there."""
    return max(_POLL_SECONDS, deadline - time.monotonic())
