"""The input: a simulated company that never ends, sent at a rate and in bursts, from a thread of its own."""

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random
from typing import Final, NamedTuple, Self

from confluent_kafka import KafkaError, Message, Producer

from models.events import InputTopic
from models.fields import from_epoch_ms
from models.wire import EVENT_BYTES_MAX
from stream.settings import Settings
from stream.simulation.company import SimulatedRecord, Simulation
from stream.simulation.spec import SimulationSpec
from tests.support.deployment import PARTITIONS
from tests.support.rubbish import RECORD_BYTES_MAX, rubbish

RATE: Final = 100
"""Records a second between bursts."""
_TICK_SECONDS: Final = 0.05
_FLUSH_SECONDS: Final = 60.0
_ACCOUNTS: Final = 200
_FIRST_DAYS: Final = 60
"""In which the first accounts appear; others follow at the same pace."""
_LIVE_YEARS: Final = 3
_ERASED_IN: Final = 1500
"""One record in so many is followed by the erasure of its account."""
_RECENT_MAX: Final = 300
_SIZES: Final = (400, RECORD_BYTES_MAX)
"""Bytes of orders of every size, drawn evenly on a logarithmic scale."""
_TABLE_SIZES: Final = (
    EVENT_BYTES_MAX,
    EVENT_BYTES_MAX + 1,
    RECORD_BYTES_MAX - 1,
    RECORD_BYTES_MAX,
)


class Fed(NamedTuple):
    """A record to send."""

    topic: InputTopic
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    """None for that of its key."""
    moment_ms: int = 0
    """When the company sent it, in its own time."""


def company(seed: int, topics: Iterable[InputTopic], *, live: bool) -> Iterator[Fed]:
    """Yield what a company sends to some topics, late, double, conflicting and malformed records among it.

    Args:
        seed: of the company.
        topics: the only ones.
        live: whether it ends yesterday, as the live clock refuses what lies ahead; else it begins long ago.
    """
    now = datetime.now(UTC)
    first = (now - timedelta(days=365 * _LIVE_YEARS)).date() if live else date(2012, 1, 1)
    spec = SimulationSpec(
        until=first + timedelta(days=_FIRST_DAYS),
        days=_FIRST_DAYS,
        accounts=_ACCOUNTS,
        currency="GBP",
        malformed_share=0.01,
        late_share=0.02,
        duplicate_share=0.01,
        conflict_share=0.003,
    )
    wanted, chance = frozenset(topics), Random(f"{seed}/erasure")
    for record in Simulation(spec, seed).history(now - timedelta(days=1)):
        if record.topic in wanted:
            yield Fed(record.topic, record.key, record.value, moment_ms=record.produced_ms)
            if InputTopic.PROFILES in wanted and chance.randrange(_ERASED_IN) == 0:
                yield _erasure(record)


def _erasure(record: SimulatedRecord) -> Fed:
    fields = {
        "type": "account.erased",
        "event_id": f"erased-{record.produced_ms}",
        "account_id": record.key.decode(),
        "occurred_at": from_epoch_ms(record.produced_ms).isoformat(),
    }
    return Fed(InputTopic.PROFILES, record.key, json.dumps(fields).encode(), moment_ms=record.produced_ms)


def _order(key: bytes, event_id: str, moment_ms: int, size: int) -> Fed:
    """Make an order of about so many bytes, and exactly so many if it is not too small for that."""
    fields = {
        "type": "order.completed",
        "event_id": event_id,
        "account_id": key.decode(),
        "occurred_at": from_epoch_ms(moment_ms).isoformat(),
        "order_id": event_id,
        "amount": f"{size}.00",
        "currency": "GBP",
        "note": "",
    }
    fields["note"] = "x" * (size - len(json.dumps(fields)))
    return Fed(InputTopic.ORDERS, key, json.dumps(fields).encode())


class Feeder:
    """Sends; leaving the context ends the thread. What is sent and in which order depends on the seed alone.

    Args:
        settings: of the application.
        seed: of the company and of all that is drawn here.
        topics: the inputs that are fed.
        live: whether the clock of the workers is live.
    """

    def __init__(self, settings: Settings, seed: int, topics: tuple[InputTopic, ...], *, live: bool) -> None:
        self.topics: Final = topics
        self._settings = settings
        self._live = live
        self._names = {topic: settings.topics.of_input(topic) for topic in topics}
        self._records = company(seed, topics, live=live)
        self._chance = Random(f"{seed}/feeding")
        self._numbers = count(1)
        self._recent: list[bytes] = []
        self._last_ms = 0
        self._failure: str | None = None
        # Whoever sends holds it: records of one partition keep the order in which they were drawn.
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._producer = self._connect()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def burst(self, records: int) -> None:
        """Send so many records at once."""
        with self._lock:
            self._send(records)

    def send_rubbish(self, records: int) -> int:
        """Send so many records that must be refused, among good ones; returns how many there were."""
        with self._lock:
            accounts = [key.decode() for key in self._recent]
            bad = [one for one in rubbish(self._chance, accounts, PARTITIONS, records) if one.topic in self._names]
            self._chance.shuffle(bad)
            for one in bad:
                self._produce(Fed(one.topic, one.key, one.value, one.partition))
                self._send(1)
        return len(bad)

    def send_sizes(self, records: int) -> int:
        """Send so many orders of every size up to what the broker takes; returns the bytes of the largest."""
        with self._lock:
            drawn = [int(_SIZES[0] * (_SIZES[1] / _SIZES[0]) ** self._chance.random()) for _ in range(records)]
            sizes = [*_TABLE_SIZES, *drawn]
            self._chance.shuffle(sizes)
            for size in sizes:
                key = self._chance.choice(self._recent)
                self._produce(_order(key, f"size-{next(self._numbers)}", self._last_ms, size))
                self._send(1)
        return max(sizes)

    def waiting(self) -> int:
        """Count the records that the broker has not acknowledged."""
        return len(self._producer)

    def recent_keys(self) -> list[bytes]:
        """Name accounts that were sent of last, each once."""
        with self._lock:
            return sorted(set(self._recent))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Send nothing meanwhile, after all that was sent is there; then go on with a new client.

        The former one would remember a topic that was made anew meanwhile.
        """
        with self._lock:
            self._flush()
            yield
            self._producer = self._connect()

    def finish(self) -> None:
        """Stop sending; with the event clock, let time reach the end of what was sent."""
        self._stop()
        with self._lock:
            if not self._live:
                end = {"type": "clock.advanced", "occurred_at": from_epoch_ms(self._last_ms).isoformat()}
                for partition in range(PARTITIONS):
                    value = json.dumps({**end, "event_id": f"end-{partition}"}).encode()
                    self._produce(Fed(InputTopic.ORDERS, None, value, partition))
            self._flush()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_TICK_SECONDS):
            with self._lock:
                self._send(int(RATE * _TICK_SECONDS) + 1)
                self._producer.poll(0)

    def _send(self, records: int) -> None:
        for _ in range(records):
            fed = next(self._records)
            self._produce(fed)
            self._last_ms = max(self._last_ms, fed.moment_ms)
            if fed.key is not None:
                self._recent.append(fed.key)
        del self._recent[:-_RECENT_MAX]

    def _produce(self, fed: Fed) -> None:
        partition = -1 if fed.partition is None else fed.partition
        while True:
            try:
                self._producer.produce(
                    self._names[fed.topic], fed.value, fed.key, partition, on_delivery=self._on_delivery
                )
            except BufferError:
                # The broker is down, or slower than a burst.
                self._producer.poll(_TICK_SECONDS)
            else:
                return

    def _flush(self) -> None:
        left = self._producer.flush(_FLUSH_SECONDS)
        assert left == 0, f"{left} records could not be sent"
        assert self._failure is None, self._failure

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failure = str(error)

    def _connect(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._settings.bootstrap_servers,
                "partitioner": "murmur2_random",
                # what is tried again stays in its order, and is there once
                "enable.idempotence": True,
                "message.timeout.ms": 300_000,
                "message.max.bytes": RECORD_BYTES_MAX + 1000,
                "linger.ms": 5,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )
