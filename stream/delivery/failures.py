"""The topic of failed deliveries: what was given up, and which accounts wait for a redrive.

An account waits at a destination while one of its failures there is not settled: its events are not tried but appended
behind that failure, so that its order is kept. A redrive delivers an account's failures in order, and then appends a
record without a value that settles them.
"""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream.delivery.events import Delivery, Place
from stream.delivery.reasons import FailureReason
from stream.headers import FailureHeader
from stream.records import Headers, OutRecord
from stream.settings import Settings
from stream.topics import TopicNames

_POLL_SECONDS: Final = 0.1
_DELIVERY_TIMEOUT_MS: Final = 120_000
_OWN: Final = frozenset(value for name, value in vars(FailureHeader).items() if name.isupper())


class Failure(NamedTuple):
    """Why a delivery was given up."""

    reason: FailureReason
    detail: str
    """For a person; quotes nothing of the event."""
    attempts: int
    status: int | None = None
    """The last HTTP status; None when there was no answer."""


class KeptFailure(NamedTuple):
    """A failure as it is kept."""

    destination: str
    failure: Failure
    origin: Place
    """Where the event was read first."""
    delivery: Delivery
    """The event, at its place among the failures, with its own headers only."""


class Settlement(NamedTuple):
    """Says that an account's failures of one partition up to an offset were delivered."""

    destination: str
    account: bytes
    offset: int


def failure_record(destination: str, delivery: Delivery, failure: Failure, names: TopicNames) -> OutRecord:
    """Encode a failure: key and value unchanged, the event's headers, and why."""
    headers: Headers = [(name, value) for name, value in delivery.headers if name not in _OWN]
    said: dict[str, object | None] = {
        FailureHeader.DESTINATION: destination,
        FailureHeader.REASON: failure.reason,
        FailureHeader.DETAIL: failure.detail,
        FailureHeader.STATUS: failure.status,
        FailureHeader.ATTEMPTS: failure.attempts,
        FailureHeader.TOPIC: delivery.place.topic,
        FailureHeader.PARTITION: delivery.place.partition,
        FailureHeader.OFFSET: delivery.place.offset,
        FailureHeader.TIMESTAMP_MS: delivery.written_ms,
    }
    headers += [(name, str(value).encode()) for name, value in said.items() if value is not None]
    return OutRecord(names.delivery_failures, delivery.account, delivery.value, headers)


def settlement_record(settlement: Settlement, names: TopicNames) -> OutRecord:
    """Encode a settlement."""
    headers = [
        (FailureHeader.DESTINATION, settlement.destination.encode()),
        (FailureHeader.SETTLED, str(settlement.offset).encode()),
    ]
    return OutRecord(names.delivery_failures, settlement.account, None, headers)


def read_record(delivery: Delivery) -> KeptFailure | Settlement | None:
    """Read a record of the topic; None when we did not write it."""
    found = {name: value.decode(errors="replace") for name, value in delivery.headers}
    try:
        destination = found[FailureHeader.DESTINATION]
        if FailureHeader.SETTLED in found:
            return Settlement(destination, delivery.account, int(found[FailureHeader.SETTLED]))
        status = found.get(FailureHeader.STATUS)
        failure = Failure(
            FailureReason(found[FailureHeader.REASON]),
            found[FailureHeader.DETAIL],
            int(found[FailureHeader.ATTEMPTS]),
            None if status is None else int(status),
        )
        origin = Place(
            found[FailureHeader.TOPIC], int(found[FailureHeader.PARTITION]), int(found[FailureHeader.OFFSET])
        )
        written_ms = int(found[FailureHeader.TIMESTAMP_MS])
    except (KeyError, ValueError):
        return None
    own = [(name, value) for name, value in delivery.headers if name not in _OWN]
    event = Delivery(delivery.place, delivery.account, delivery.value, own, written_ms)
    return KeptFailure(destination, failure, origin, event)


class Waiting:
    """Which accounts wait for a redrive, at which destination. Thread-safe.

    Remembers an account only while it waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The last failure of an account in a partition that is not settled.
        self._last: Final[dict[tuple[str, bytes], dict[int, int]]] = {}

    def note(self, destination: str, account: bytes, partition: int, offset: int) -> None:
        """Note a failure."""
        with self._lock:
            last = self._last.setdefault((destination, account), {})
            last[partition] = max(offset, last.get(partition, -1))

    def settle(self, settlement: Settlement, partition: int) -> None:
        """Note a settlement."""
        key = (settlement.destination, settlement.account)
        with self._lock:
            last = self._last.get(key, {})
            if last.get(partition, settlement.offset + 1) <= settlement.offset:
                del last[partition]
            if not last:
                self._last.pop(key, None)

    def learn(self, delivery: Delivery) -> None:
        """Note what a record of the topic says."""
        match read_record(delivery):
            case Settlement() as settlement:
                self.settle(settlement, delivery.place.partition)
            case KeptFailure() as kept:
                self.note(kept.destination, delivery.account, delivery.place.partition, delivery.place.offset)

    def holds(self, destination: str, account: bytes) -> bool:
        """Return whether an account waits."""
        return (destination, account) in self._last

    def counts(self) -> Mapping[str, int]:
        """Return how many accounts wait at each destination."""
        found: dict[str, int] = {}
        with self._lock:
            for destination, _ in self._last:
                found[destination] = found.get(destination, 0) + 1
        return found


class FailureProducer:
    """Appends to the topic of failures; to be closed."""

    def __init__(self, settings: Settings, client_id: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "client.id": client_id,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "delivery.timeout.ms": _DELIVERY_TIMEOUT_MS,
                "linger.ms": 0,
                "log_level": 0,
            }
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="failures", daemon=True)
        self._thread.start()

    async def send(self, record: OutRecord) -> tuple[int, int]:
        """Append a record; return its partition and offset once it is safe.

        Raises:
            KafkaException: if it is not taken.
        """
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[tuple[int, int]] = loop.create_future()

        def report(error: KafkaError | None, message: Message) -> None:
            loop.call_soon_threadsafe(_tell, sent, error, message)

        headers: Any = record.headers
        self._producer.produce(record.topic, record.value, record.key, headers=headers, on_delivery=report)
        return await sent

    def close(self) -> None:
        """End the thread; what is not sent is given up."""
        self._stopping.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(_POLL_SECONDS)


def _tell(sent: asyncio.Future[tuple[int, int]], error: KafkaError | None, message: Message) -> None:
    if sent.done():  # whoever waited was broken off
        return
    if error is not None:
        sent.set_exception(KafkaException(error))
    else:
        sent.set_result((message.partition() or 0, message.offset() or 0))
