"""Reading one partition in order, read-committed and without a group: for the commands that look at what is there."""

import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from stream.fetching import fetch
from stream.settings import Settings

_BATCH_RECORDS: Final = 2000
_POLL_SECONDS: Final = 0.02
_QUEUED_KBYTES: Final = 16_384
_PATIENCE_SECONDS: Final = 30.0


class ReadingError(RuntimeError):
    """A partition that cannot be read as far as was asked; the text says which."""


class PartitionReader:
    """Reads a partition from an offset on; to be closed, or used in a `with` statement.

    Args:
        settings: whose brokers.
        topic: full name.
        partition: its number.
        start: the first offset.
    """

    def __init__(self, settings: Settings, topic: str, partition: int, start: int) -> None:
        self.position = start
        """The offset that comes next."""
        self._topic = topic
        self._partition = partition
        # A transaction that hangs holds a reader back for as long, until the broker aborts it.
        self._patience_seconds = _PATIENCE_SECONDS + settings.transaction_timeout_ms / 1000
        self._fetched: deque[Message] = deque()
        self._read_to = start
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                # Required by the client; nothing is committed under it.
                "group.id": f"{settings.application_id}-reader",
                "client.id": f"{settings.application_id}-reader",
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": _QUEUED_KBYTES,
                "fetch.message.max.bytes": 4 * 1024 * 1024,
                "fetch.wait.max.ms": 10,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(topic, partition, start)])

    def until(self, end: int) -> Iterator[Message]:
        """Yield the committed records from the position up to, and without, an offset.

        Raises:
            ReadingError: if it is not reached: a transaction hangs, or the records are gone.
        """
        deadline = time.monotonic() + self._patience_seconds
        while self.position < end:
            while self._fetched and (self._fetched[0].offset() or 0) < end:
                message = self._fetched.popleft()
                self.position = (message.offset() or 0) + 1
                yield message
            if self._fetched or self._read_to >= end:
                self.position = end
                return
            before = self._read_to
            self._fetch()
            if self._read_to > before:
                deadline = time.monotonic() + self._patience_seconds
            elif time.monotonic() > deadline:
                raise ReadingError(
                    f"{self._topic} [{self._partition}] could not be read from {self._read_to} to {end}: a transaction "
                    "seems to hang there"
                )

    def seek(self, offset: int) -> None:
        """Go on at another offset."""
        if offset != self.position:
            self._fetched.clear()
            self.position = self._read_to = offset
            self._consumer.assign([TopicPartition(self._topic, self._partition, offset)])

    def close(self) -> None:
        """End the client."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fetch(self) -> None:
        for message in fetch(self._consumer, _BATCH_RECORDS, _POLL_SECONDS):
            error, offset = message.error(), message.offset()
            if error is None:
                assert offset is not None
                self._fetched.append(message)
                self._read_to = max(self._read_to, offset + 1)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its only name
                # Behind the control records too, which end a transaction and are no messages.
                self._read_to = max(self._read_to, offset or 0)
            elif error.fatal() or not error.retriable():
                raise ReadingError(f"{self._topic} [{self._partition}] cannot be read: {error}")
