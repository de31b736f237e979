"""The poll thread: the group's membership, fetching, and nothing else.

It hands what it fetches to the event loop, in order, and runs what the loop asks of the consumer between two polls.
The group subscribes to one anchor topic (`orders`); the same partitions of the other inputs are read with it.
"""

import asyncio
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Coroutine
from itertools import groupby
from typing import Any, Final, Protocol

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from models.events import InputTopic
from stream.fetching import fetch
from stream.logs import librdkafka_logger
from stream.orphans import Orphans
from stream.settings import Settings
from stream.topics import group_id

_log = logging.getLogger(__name__)
_POLL_SECONDS: Final = 0.05
_POLL_RECORDS: Final = 5000
_POLLS_AHEAD: Final = 2
"""While the event loop takes what one poll fetched, the next one goes on."""
_LAG_SECONDS: Final = 1.0
_LOOP_STUCK_SECONDS: Final = 25
"""What the event loop does at a time takes a fraction of a second. Records may wait for longer, for other producers."""
_EXIT_STUCK: Final = 1
_METADATA_SECONDS: Final = 30.0
_STATISTICS_MS: Final = 2000


class Owner(Protocol):
    """What the poll thread tells; each is called on the event loop, in the order in which things happened."""

    def on_messages(self, topic: InputTopic, partition: int, messages: list[Message]) -> None:
        """Take fetched records."""

    def on_end(self, topic: InputTopic, partition: int) -> None:
        """Note that an input is read to its end."""

    def on_ends(self, ends: dict[tuple[InputTopic, int], int]) -> None:
        """Take the end offsets of what is fetched."""

    def on_assigned(self, partitions: list[int], assignment: int) -> None:
        """Open the partitions that the group gives."""

    def on_revoked(self, partitions: list[int]) -> Coroutine[Any, Any, None]:
        """Commit, and close the partitions that the group takes back."""

    def on_reset(self, partition: int, epoch: int) -> None:
        """Take records again after the `reset` of an epoch."""

    def on_statistics(self, text: str) -> None:
        """Take what the client says of itself."""

    def fail(self, reason: str) -> None:
        """End the worker."""


class Poller:
    """Owns the consumer; only its thread polls it.

    Args:
        settings: of the worker.
        owner: whom to tell.
        loop: where to tell it.
    """

    def __init__(self, settings: Settings, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._settings = settings
        self._owner = owner
        self._loop = loop
        self._names = settings.topics
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._fetched: set[tuple[InputTopic, int]] = set()
        # Which rebalance gave each partition: what was opened for an earlier one comes too late.
        self._assignment = 0
        self._assignments: dict[int, int] = {}
        self._lag_at_seconds = 0.0
        self._orphans: Orphans | None = None
        # Polls that the loop may still be behind by.
        self._ahead = threading.Semaphore(_POLLS_AHEAD)
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": group_id(settings.application_id),
                "group.instance.id": settings.instance_id,
                "client.id": settings.instance_id,
                "partition.assignment.strategy": "cooperative-sticky",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "session.timeout.ms": settings.session_timeout_ms,
                "max.poll.interval.ms": settings.max_poll_interval_ms,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
                "fetch.message.max.bytes": 2 * 1024 * 1024,
                "queued.max.messages.kbytes": max(1024, settings.buffer_bytes // 1024),
                # By default an input that found the client's queue full is not fetched for a second, in which its
                # partition would go on without it.
                "fetch.queue.backoff.ms": 10,
                "allow.auto.create.topics": settings.embedded_broker,
                "statistics.interval.ms": _STATISTICS_MS,
                "stats_cb": lambda text: self._tell(self._owner.on_statistics, text),
            },
            logger=librdkafka_logger(),
        )
        # The client serves one caller at a time and prefers whoever polls: another thread that asked it would wait for
        # seconds. What the commit needs of it is therefore kept here.
        self.group_metadata = self._consumer.consumer_group_metadata()
        self._member_id = ""
        self._thread = threading.Thread(target=self._run, name="poller", daemon=True)

    def start(self) -> None:
        """Join the group and begin to poll."""
        self._thread.start()

    async def stop(self, timeout_seconds: float) -> bool:
        """Give all partitions back and leave; False if that took too long."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, timeout_seconds)
        return not self._thread.is_alive()

    def fetch(self, partition: int, assignment: int, positions: dict[InputTopic, int]) -> None:
        """Begin to fetch the inputs of an opened partition at these offsets, if its assignment still holds."""

        def run() -> None:
            if self._assignments.get(partition) != assignment:
                return
            self._consumer.incremental_assign(
                [TopicPartition(self._name(topic), partition, offset) for topic, offset in positions.items()]
            )
            self._fetched.update((topic, partition) for topic in positions)

        self._commands.put(run)

    def reset(self, partition: int, epoch: int, positions: dict[InputTopic, int]) -> None:
        """Fetch again from these offsets; `on_reset` follows whatever was fetched before."""

        def run() -> None:
            for topic, offset in positions.items():
                if (topic, partition) in self._fetched:
                    self._consumer.seek(TopicPartition(self._name(topic), partition, offset))
            self._tell(self._owner.on_reset, partition, epoch)

        self._commands.put(run)

    def pause(self, topic: InputTopic, partition: int) -> None:
        """Stop fetching one input of one partition."""
        self._commands.put(lambda: self._if_fetched(self._consumer.pause, topic, partition))

    def resume(self, topic: InputTopic, partition: int) -> None:
        """Go on fetching it."""
        self._commands.put(lambda: self._if_fetched(self._consumer.resume, topic, partition))

    def _run(self) -> None:
        try:
            # The client looks for the leaders of topics that are assigned and not subscribed to once a second: known
            # beforehand, they are fetched at once when a partition opens.
            names = [self._name(topic) for topic in InputTopic]
            known = {name: self._consumer.list_topics(name, _METADATA_SECONDS).topics[name] for name in names}
            if not self._settings.embedded_broker:
                # The mock describes no groups, and has one worker.
                self._orphans = Orphans(self._settings, len(known[self._names.orders].partitions))
            self._subscribe()
            while not self._stopping.is_set():
                self._poll_once()
            self._consumer.close()
        except Exception as error:  # noqa: BLE001  # whatever ends the polling must end the worker
            self._tell(self._owner.fail, f"polling ended: {error!r}")

    def _poll_once(self) -> None:
        self._wait_for_the_loop()
        while not self._commands.empty():
            self._commands.get()()
        self._keep_membership(self._consumer)
        found: dict[tuple[str, int], list[Message]] = {}
        ended: set[tuple[str, int]] = set()
        messages = fetch(self._consumer, _POLL_RECORDS, _POLL_SECONDS)
        if any(map(Message.error, messages)):
            messages = self._without_events(messages, ended)
        for partition, of_partition in groupby(messages, Message.partition):
            for topic, run in groupby(of_partition, Message.topic):
                assert topic is not None, "a record is of a topic"
                assert partition is not None, "a record is of a partition"
                found.setdefault((topic, partition), []).extend(run)
        for (name, partition), records in found.items():
            self._tell(self._owner.on_messages, self._input(name), partition, records)
        # After the records: an end is behind all that was fetched with it.
        for name, partition in ended:
            self._tell(self._owner.on_end, self._input(name), partition)
        self._tell_ends()
        if self._orphans is not None and (orphans := self._orphans.found()):
            _log.warning("nobody holds partitions %s: joining again, so that the group deals anew", orphans)
            # The client joins again for no less: of a subscription that comes to the same topics it makes nothing.
            self._consumer.unsubscribe()
            self._subscribe()
        self._tell(self._ahead.release)

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            [self._names.orders], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def _keep_membership(self, consumer: Consumer) -> None:
        """Keep the generation that commits name, for as long as this is the member that was given the partitions.

        Who is no member any more keeps the one that it was of: with none, a group that has just become empty would take
        its offsets.

        The client does not always say that a session has ended: not if it was joining again just then. Its next join
        makes it another member, of a generation that knows nothing of what others did with its partitions meanwhile.
        """
        metadata = consumer.consumer_group_metadata()
        # Asked for after it: what belongs to another member never comes back to this one.
        member_id = consumer.memberid()
        if member_id == self._member_id:
            self.group_metadata = metadata if member_id else self.group_metadata
        elif member_id and self._assignments:
            held = sorted(self._assignments)
            self._tell(self._owner.fail, f"partitions {held} were lost: the group took this worker for another member")
        elif member_id:
            self._member_id = member_id
            self.group_metadata = consumer.consumer_group_metadata()

    def _without_events(self, messages: list[Message], ended: set[tuple[str, int]]) -> list[Message]:
        """Give the records among what was fetched, and note which partitions end behind them."""
        records = []
        for message in messages:
            error = message.error()
            topic, partition = message.topic(), message.partition()
            if topic is None or partition is None:
                self._tell(self._owner.fail, f"the group cannot be served: {error}")
            elif error is None:
                records.append(message)
                ended.discard((topic, partition))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its only name
                ended.add((topic, partition))
            elif error.fatal() or not error.retriable():
                self._tell(self._owner.fail, f"{topic} [{partition}] cannot be read: {error}")
        return records

    def _wait_for_the_loop(self) -> None:
        """Poll no further than the event loop follows.

        A loop that is stuck stops the polling, and ends the process.
        """
        seconds = min(_LOOP_STUCK_SECONDS, self._settings.stuck_deadline_seconds)
        if not self._ahead.acquire(timeout=seconds):
            _log.critical("the event loop was stuck for %s s", seconds)
            os._exit(_EXIT_STUCK)

    def _tell_ends(self) -> None:
        now = time.monotonic()
        if now - self._lag_at_seconds < _LAG_SECONDS:
            return
        self._lag_at_seconds = now
        ends: dict[tuple[InputTopic, int], int] = {}
        for topic, partition in self._fetched:
            _, end = self._consumer.get_watermark_offsets(TopicPartition(self._name(topic), partition), cached=True)
            if end >= 0:
                ends[topic, partition] = end
        self._tell(self._owner.on_ends, ends)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Nothing is fetched before its task is open; the empty call tells librdkafka that we have heard.
        consumer.incremental_assign([])
        numbers = [one.partition for one in partitions]
        if not consumer.memberid():
            self._tell(self._owner.fail, f"partitions {numbers} were lost before they were opened: the session ended")
            return
        self._keep_membership(consumer)
        self._assignment += 1
        self._assignments.update(dict.fromkeys(numbers, self._assignment))
        self._tell(self._owner.on_assigned, numbers, self._assignment)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._keep_membership(consumer)
        numbers = [one.partition for one in partitions]
        for number in numbers:
            self._assignments.pop(number, None)
        closing = asyncio.run_coroutine_threadsafe(self._owner.on_revoked(numbers), self._loop)
        try:
            closing.result(self._settings.grace_period_seconds)
        except TimeoutError:
            self._tell(self._owner.fail, f"partitions {numbers} were not given back in time")
        given_back = {one for one in self._fetched if one[1] in numbers}
        self._fetched -= given_back
        consumer.incremental_unassign([TopicPartition(self._name(topic), number) for topic, number in given_back])

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._tell(self._owner.fail, f"partitions {[one.partition for one in partitions]} were lost: the session ended")

    def _if_fetched(self, call: Callable[[list[TopicPartition]], None], topic: InputTopic, partition: int) -> None:
        if (topic, partition) in self._fetched:
            call([TopicPartition(self._name(topic), partition)])

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        self._loop.call_soon_threadsafe(call, *arguments)

    def _name(self, topic: InputTopic) -> str:
        return self._names.of_input(topic)

    def _input(self, name: str) -> InputTopic:
        topic = self._names.input_of(name)
        assert topic is not None, "only inputs are fetched"
        return topic
