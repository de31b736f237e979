"""Following a whole topic, from its oldest record on, in a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from stream.cluster import Brokers
from stream.settings import Settings

_log: Final = logging.getLogger(__name__)
_BATCH_RECORDS: Final = 2000
_POLL_SECONDS: Final = 0.1
_QUEUED_KBYTES: Final = 16_384


class FollowerError(RuntimeError):
    """A topic that cannot be followed; the text says which."""


class Follower:
    """Reads every committed record of a topic and hands it to `handle`, for as long as it runs.

    Args:
        settings: whose brokers.
        brokers: how many partitions there are, and where they end.
        topic: full name.
        handle: called in the follower's thread.
    """

    def __init__(self, settings: Settings, brokers: Brokers, topic: str, handle: Callable[[Message], None]) -> None:
        self._brokers = brokers
        self._topic = topic
        self._handle = handle
        self._partitions = range(brokers.partition_counts([topic])[topic])
        self._reached = dict.fromkeys(self._partitions, 0)
        self._moved = threading.Condition()
        self._stopping = threading.Event()
        self._failure: str | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                # Required by the client; nothing is committed under it.
                "group.id": f"{settings.application_id}-follower",
                "client.id": f"{settings.application_id}-follower",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": _QUEUED_KBYTES,
                "fetch.wait.max.ms": 100,
                "log_level": 0,
            }
        )
        self._thread = threading.Thread(target=self._run, name=f"follow {topic}", daemon=True)

    @property
    def failure(self) -> str | None:
        """Why it ended, if it did."""
        return self._failure

    def has_reached(self, partition: int, offset: int) -> bool:
        """Return whether a record was handled.

        Raises:
            FollowerError: if none will be any more.
        """
        if self._failure is not None:
            raise FollowerError(self._failure)
        return self._reached[partition] > offset

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the client."""
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def wait_until_current(self, timeout_seconds: float) -> None:
        """Wait until all that is committed now was handled.

        Raises:
            FollowerError: if it is not in time.
        """
        deadline = time.monotonic() + timeout_seconds
        ends = {one: self._brokers.range_of(self._topic, one, read_committed=True).end for one in self._partitions}
        with self._moved:
            while any(self._reached[one] < end for one, end in ends.items()):
                left = deadline - time.monotonic()
                if left <= 0 or self._failure is not None:
                    raise FollowerError(self._failure or f"{self._topic} was not read within {timeout_seconds:.0f} s")
                self._moved.wait(left)

    def _run(self) -> None:
        self._consumer.assign([TopicPartition(self._topic, one, OFFSET_BEGINNING) for one in self._partitions])
        try:
            while not self._stopping.is_set():
                self._read()
        except Exception as error:  # noqa: BLE001  # whoever waits has to be told, whatever it is
            _log.exception("%s is no longer followed", self._topic)
            with self._moved:
                self._failure = f"{self._topic} is no longer followed: {error!r}"
                self._moved.notify_all()

    def _read(self) -> None:
        reached: dict[int, int] = {}
        for message in self._consumer.consume(_BATCH_RECORDS, _POLL_SECONDS):
            error, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
            if error is None:
                self._handle(message)
                reached[partition] = offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its only name
                # Behind the control records too, which end a transaction and are no messages.
                reached[partition] = offset
            elif error.fatal() or not error.retriable():
                raise FollowerError(str(error))
        if reached:
            with self._moved:
                for partition, offset in reached.items():
                    self._reached[partition] = max(self._reached[partition], offset)
                self._moved.notify_all()
