"""The input of every run: orders of many accounts over 400 days, the same for the same seed and last day.

An account's share of the orders falls with its number (the first hundredth of them gets a tenth). Orders come in the
order of their time. A record's timestamp is when it was written, as of an import; or the time of its order, as of a
topic that is read again from its beginning: then a live clock passes through the 400 days in a few seconds.
"""

import random
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from confluent_kafka import Producer

SPAN_DAYS: Final = 400
_DAY_MS: Final = 86_400_000
_EPOCH: Final = date(1970, 1, 1)
_PRICES: Final = 10_007
_BATCH: Final = 2000
_QUEUE_RECORDS: Final = 200_000
_FLUSH_SECONDS: Final = 120.0


class Dataset(NamedTuple):
    """What to generate.

    A dataset with `every` above 1 holds the orders of each `every`-th account only: fewer events for a slow contender,
    each of which meets a history as long as in the whole.
    """

    accounts: int
    orders: int
    """Of all accounts, also when `every` leaves some out."""
    last_day: int
    """Day of the last orders, counted from 1970-01-01."""
    every: int = 1
    replayed: bool = False
    """Whether a record's timestamp is the time of its order."""
    seed: int = 1

    @property
    def as_of_day(self) -> int:
        """A day after the last order, as of which all contenders' windows are compared, also those of a live clock.

        Three days later, since the clock goes on while the benchmark runs, past midnight too.
        """
        return self.last_day + 3


class OrderRecord(NamedTuple):
    """One record of the input."""

    account_id: str
    value: str
    timestamp_ms: int
    """0: when it is written."""


def yesterday() -> int:
    """Give the last whole day, counted from 1970-01-01."""
    return (datetime.now(UTC).date() - _EPOCH).days - 1


def generate(dataset: Dataset) -> Iterator[OrderRecord]:
    """Generate the orders in the order of their time."""
    rng = random.Random(dataset.seed)
    prices = [_price(rng) for _ in range(_PRICES)]
    uniform = rng.random
    first_ms = (dataset.last_day - SPAN_DAYS + 1) * _DAY_MS
    step_ms = SPAN_DAYS * _DAY_MS / dataset.orders
    shown_day, date_text = -1, ""
    for number in range(dataset.orders):
        index = int(dataset.accounts * uniform() ** 2)
        price = prices[int(_PRICES * uniform())]
        if index % dataset.every:
            continue
        at_ms = first_ms + int(number * step_ms)
        day, of_day_ms = divmod(at_ms, _DAY_MS)
        if day != shown_day:
            shown_day, date_text = day, (_EPOCH + timedelta(days=day)).isoformat()
        seconds, ms = divmod(of_day_ms, 1000)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        account_id = f"C{index:07d}"
        yield OrderRecord(
            account_id,
            f'{{"type":"order.completed","event_id":"e{number:09d}","account_id":"{account_id}",'
            f'"order_id":"o{number}","occurred_at":"{date_text}T{hour:02d}:{minute:02d}:{second:02d}.{ms:03d}Z",'
            f'{price},"currency":"EUR","product_lines":["{"ABCDE"[number % 5]}"],"channel":"web"}}',
            at_ms if dataset.replayed else 0,
        )


def _price(rng: random.Random) -> str:
    amount = round(rng.lognormvariate(4.0, 1.0) * 100)
    cost = round(amount * rng.uniform(0.4, 0.9))
    return f'"amount":{amount // 100}.{amount % 100:02d},"cost":{cost // 100}.{cost % 100:02d}'


def produce(bootstrap_servers: str, topic: str, records: Iterator[OrderRecord]) -> float:
    """Write the orders to a topic, keyed by account as Java's clients would; returns the seconds it took."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 20,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": _QUEUE_RECORDS,
            "queue.buffering.max.kbytes": 262_144,
        }
    )
    started = time.monotonic()
    write = producer.produce
    for number, one in enumerate(records):
        write(topic, one.value, one.account_id, timestamp=one.timestamp_ms)
        if number % _BATCH == 0:
            while len(producer) > _QUEUE_RECORDS - _BATCH:
                producer.poll(0.05)
            producer.poll(0)
    left = producer.flush(_FLUSH_SECONDS)
    if left:
        raise RuntimeError(f"{left} orders could not be written")
    return time.monotonic() - started
