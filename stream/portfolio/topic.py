"""The portfolio topic: one census for each partition, and the latest cut points; compacted, one partition."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from models.portfolio import CensusHead, CutPoints, decode_census_head, decode_cut_points
from stream.fetching import fetch
from stream.logs import librdkafka_logger
from stream.settings import Settings

_log = logging.getLogger(__name__)
PARTITION: Final = 0
"""The only one of the topic."""
LATEST_KEY: Final = b"cut-points"
_CENSUS_PREFIX: Final = b"census/"
_RECORDS: Final = 1000
_POLL_SECONDS: Final = 0.2


def census_key(partition: int) -> bytes:
    """Give the key of a partition's census.

    >>> census_key(3), partition_of_census(census_key(3))
    (b'census/3', 3)
    """
    return _CENSUS_PREFIX + str(partition).encode()


def partition_of_census(key: bytes) -> int | None:
    """Give the partition if a key is one of a census."""
    number = key.removeprefix(_CENSUS_PREFIX)
    return int(number) if number != key and number.isdigit() else None


class Posted(NamedTuple):
    """A census as it was published: unread, as only one worker needs what is in it."""

    head: CensusHead
    record: bytes


class Board:
    """What the portfolio topic says: the latest census of each partition, and the latest cut points."""

    def __init__(self) -> None:
        self.cuts: CutPoints | None = None
        self.censuses: dict[int, Posted] = {}

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take one record.

        Raises:
            PortfolioFormatError: if it is of a newer format, or none.
        """
        if key is None or value is None:
            return
        if key == LATEST_KEY:
            self.cuts = decode_cut_points(value)
        elif (partition := partition_of_census(key)) is not None:
            self.censuses[partition] = Posted(decode_census_head(value), value)


class Feed:
    """Reads the portfolio topic from its beginning on, on a thread of its own.

    Args:
        settings: of the worker.
        on_record: told of each record, on the event loop.
        on_failure: told why nothing more will come, on the event loop.
        loop: where to tell it.
    """

    def __init__(
        self,
        settings: Settings,
        on_record: Callable[[bytes | None, bytes | None], None],
        on_failure: Callable[[str], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._topic = settings.topics.portfolio
        self._on_record = on_record
        self._on_failure = on_failure
        self._loop = loop
        self._stopping = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                # Required by the client; nothing is committed under it.
                "group.id": f"{settings.application_id}-portfolio",
                "client.id": f"{settings.instance_id}-portfolio",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.message.max.bytes": 4 * 1024 * 1024,
                "allow.auto.create.topics": settings.embedded_broker,
            },
            logger=librdkafka_logger(),
        )
        self._thread = threading.Thread(target=self._run, name="portfolio", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Read no more; does not wait."""
        self._stopping.set()

    def _run(self) -> None:
        try:
            self._consumer.assign([TopicPartition(self._topic, PARTITION, 0)])
            while not self._stopping.is_set():
                for message in fetch(self._consumer, _RECORDS, _POLL_SECONDS):
                    self._take(message)
            self._consumer.close()
        except Exception as error:  # noqa: BLE001  # a worker that hears of no cut points any more must end
            self._tell(self._on_failure, f"{self._topic} cannot be read: {error!r}")

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is None:
            self._tell(self._on_record, message.key(), message.value())
        elif error.fatal() or (error.code() != KafkaError._PARTITION_EOF and not error.retriable()):  # noqa: SLF001  # its only name
            self._tell(self._on_failure, f"{self._topic} cannot be read: {error}")

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        if not self._stopping.is_set():
            self._loop.call_soon_threadsafe(call, *arguments)
