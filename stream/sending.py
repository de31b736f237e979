"""Sending lines of event files to the input topics, as any producer should: by key, with murmur2."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from datetime import time as time_of_day
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from models.events import ClockAdvanced, InputTopic
from models.fields import epoch_ms, from_epoch_ms
from stream.files import Line
from stream.settings import Settings

_QUEUED_RECORDS_MAX: Final = 100_000
_QUEUED_KBYTES_MAX: Final = 65_536
_DELIVERY_TIMEOUT_MS: Final = 60_000
_METADATA_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.1
_CLOCK_TYPE: Final[str] = ClockAdvanced.model_fields["type"].default
_MS_PER_SECOND: Final = 1000
_BY_KEY: Final = -1
_SHORTEST_WAIT_S: Final = 0.001
_CLOSE_TIMEOUT_S: Final = 5.0


class SendingError(RuntimeError):
    """Nothing can be sent; the text says why."""


class Sender:
    """Sends lines in the order given, and counts what became of them.

    Records are timestamped with the time of sending, never decreasing. The queue is bounded: when
    it is full, sending waits until the broker has taken some.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.sent: Final[Counter[InputTopic]] = Counter()
        self.unroutable = 0
        self.delivered = 0
        self.failed = 0
        self.first_failure = ""
        self._clock: Final = clock
        self._last_ms = 0
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "client.id": f"{settings.application_id}-produce",
                # The worker refuses a record that is not where Java's producers would put it.
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 20,
                # All that it would log ends as an error of a call or of a delivery.
                "log_level": 0,
                "queue.buffering.max.messages": _QUEUED_RECORDS_MAX,
                "queue.buffering.max.kbytes": _QUEUED_KBYTES_MAX,
                "delivery.timeout.ms": _DELIVERY_TIMEOUT_MS,
            }
        )
        self._names = {topic: settings.topics.of_input(topic) for topic in InputTopic}
        self._partitions = self._count_partitions(create=settings.embedded_broker)

    def _count_partitions(self, *, create: bool) -> int:
        """Return how many partitions each input has: the same number, or it is an error."""
        counts: dict[str, int] = {}
        for name in self._names.values():
            # Naming a topic would have the broker make it, with whatever its defaults are.
            list_topics = self._producer.list_topics
            metadata = (
                list_topics(name, timeout=_METADATA_TIMEOUT_S) if create else list_topics(timeout=_METADATA_TIMEOUT_S)
            )
            if name not in metadata.topics or not metadata.topics[name].partitions:
                raise SendingError(f"{name}: no such topic; account-health topics create makes it")
            counts[name] = len(metadata.topics[name].partitions)
        if len(set(counts.values())) != 1:
            found = ", ".join(f"{name} has {count}" for name, count in counts.items())
            raise SendingError(f"the inputs must have the same number of partitions: {found}")
        return min(counts.values())

    def send(self, line: Line) -> None:
        """Send one line to the topic of its type, keyed by its account.

        A line of no known type goes to `orders` unchanged, where it becomes a dead letter. A
        `clock.advanced` goes to every partition.
        """
        if line.topic is None:
            self.unroutable += 1
        topic = line.topic or InputTopic.ORDERS
        if _is_clock(line):
            self._last_ms += 1
            self._to_every_partition(line.raw)
        else:
            key = None if line.account_id is None else line.account_id.encode()
            self._produce(topic, line.raw, key)
        self.sent[topic] += 1

    def end_input(self, last_event_ms: int, time_zone: ZoneInfo) -> None:
        """Move every partition's event clock to the end of the last event's day."""
        self.flush()
        # Inputs are merged by timestamp: this must be younger than all that was sent before.
        self._last_ms += 1
        end = end_of_day_ms(last_event_ms, time_zone)
        event = ClockAdvanced(event_id=f"end-of-input-{end}", occurred_at=from_epoch_ms(end))
        self._to_every_partition(event.model_dump_json().encode())
        self.flush()

    def wait(self, seconds: float) -> None:
        """Wait, to the nearest millisecond, and take delivery reports meanwhile."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > _SHORTEST_WAIT_S:
            self._producer.poll(left)

    def flush(self) -> None:
        """Wait until every record is delivered or given up."""
        while self._producer.flush(_POLL_S):
            pass

    def close(self) -> None:
        """End the client; what cannot be delivered in a few seconds is given up."""
        self._producer.flush(_CLOSE_TIMEOUT_S)
        self._producer.purge()
        self._producer.close()

    def _to_every_partition(self, value: bytes) -> None:
        for partition in range(self._partitions):
            self._produce(InputTopic.ORDERS, value, None, partition)

    def _produce(self, topic: InputTopic, value: bytes, key: bytes | None, partition: int = _BY_KEY) -> None:
        self._last_ms = max(self._last_ms, int(self._clock() * _MS_PER_SECOND))
        while True:
            try:
                self._producer.produce(
                    self._names[topic],
                    value,
                    key,
                    partition,
                    on_delivery=self._on_delivery,
                    timestamp=self._last_ms,
                )
            except BufferError:
                self._producer.poll(_POLL_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise
                self._on_delivery(error.args[0], None)
                return
            else:
                self._producer.poll(0)
                return

    def _on_delivery(self, error: KafkaError | None, message: Message | None) -> None:
        del message
        if error is None:
            self.delivered += 1
            return
        self.failed += 1
        self.first_failure = self.first_failure or error.str()


class Pace:
    """How fast to send: so many records a second, or the events' own rhythm sped up, or at once.

    >>> pace = Pace(records_per_second=2)
    >>> pace.seconds_until_due(None), pace.seconds_until_due(None)
    (0.0, 0.5)
    """

    def __init__(self, *, records_per_second: float | None = None, speedup: float | None = None) -> None:
        self._records_per_second = records_per_second
        self._speedup = speedup
        self._records = 0
        self._first_ms: int | None = None

    def seconds_until_due(self, occurred_ms: int | None) -> float:
        """Return when the next record is due, in seconds since the first."""
        if self._records_per_second is not None:
            due = self._records / self._records_per_second
            self._records += 1
            return due
        if self._speedup is None or occurred_ms is None:
            return 0.0
        if self._first_ms is None:
            self._first_ms = occurred_ms
        return (occurred_ms - self._first_ms) / _MS_PER_SECOND / self._speedup


def end_of_day_ms(moment_ms: int, time_zone: ZoneInfo) -> int:
    """Return the last millisecond of the local day of a moment.

    >>> from_epoch_ms(end_of_day_ms(0, ZoneInfo("America/New_York"))).isoformat()
    '1970-01-01T04:59:59.999000+00:00'
    """
    day = from_epoch_ms(moment_ms).astimezone(time_zone).date() + timedelta(days=1)
    return epoch_ms(datetime.combine(day, time_of_day(), time_zone)) - 1


def _is_clock(line: Line) -> bool:
    # The bytes are looked at first: reading every line once more would cost more than sending it.
    if line.topic is not InputTopic.ORDERS or _CLOCK_TYPE.encode() not in line.raw:
        return False
    return bool(msgspec.json.decode(line.raw, type=_Typed).type == _CLOCK_TYPE)


class _Typed(msgspec.Struct):
    type: str
