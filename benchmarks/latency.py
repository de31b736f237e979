"""End-to-end latency: from an order being given to a producer until its change can be read, read-committed.

At a tenth, half and four fifths of the top rate, on the same machine: the producer, the broker, the worker and the
reader share its cores. The id of an order holds the time at which it was produced; an output names the order that
triggered it. What no order triggered has no latency.
"""

import random
import threading
import time
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.broker import PARTITIONS
from benchmarks.catalogue import compile_core
from benchmarks.stand import Stand
from benchmarks.workers import Worker

LOADS: Final = (0.1, 0.5, 0.8)
ACCOUNTS: Final = 20_000
WARM_UP_SECONDS: Final = 5.0
SECONDS: Final = 20.0
_PREFIX: Final = "latency."
_SLICE_SECONDS: Final = 0.005
_DRAIN_SECONDS: Final = 30.0
_QUANTILES: Final = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))
_NS_PER_MS: Final = 1_000_000


class _Output(msgspec.Struct):
    trigger_event_id: str | None = None


class Reader:
    """Reads the outputs as a subscriber would, and notes how old each is."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.latencies_ms: list[tuple[int, float]] = []
        """When the order was produced, in nanoseconds, and the latency of what it caused."""
        self._stopped = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "latency-reader",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
            }
        )
        names = (f"{_PREFIX}tier-changes", f"{_PREFIX}churn-risk")
        self._consumer.assign([TopicPartition(name, number, 0) for name in names for number in range(PARTITIONS)])
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._stopped.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        decode = msgspec.json.Decoder(_Output).decode
        while not self._stopped.is_set():
            messages = self._consumer.consume(1000, 0.01)
            now_ns = time.time_ns()
            for message in messages:
                value = message.value()
                if message.error() is not None or value is None:
                    continue
                trigger = decode(value).trigger_event_id
                if trigger is not None:
                    produced_ns = int(trigger.partition("-")[0])
                    self.latencies_ms.append((produced_ns, (now_ns - produced_ns) / _NS_PER_MS))


def scenario(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Measure the latency under each load."""
    return _measure(stand, scale, rate, Worker(stand.bootstrap_servers, _PREFIX, "latency"))


def scenario_compiled(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Measure it with the core compiled, at the same parts of its own top rate."""
    return _measure(stand, scale, rate, Worker(stand.bootstrap_servers, _PREFIX, "latency-compiled", compile_core()))


def _measure(stand: Stand, scale: float, rate: int, one: Worker) -> dict[str, Any]:
    stand.topics.remove({f"{_PREFIX}orders"})
    stand.make_our_topics(_PREFIX, PARTITIONS)
    results: dict[str, Any] = {"top_rate": rate, "unit": "milliseconds"}
    with one as worker:
        worker.wait_until_ready()
        reader = Reader(stand.bootstrap_servers)
        for load in LOADS:
            results[f"{load:.0%}"] = _under(load, rate, scale, _Ends(worker, reader, stand.bootstrap_servers))
        reader.stop()
    return results


class _Ends(NamedTuple):
    worker: Worker
    reader: Reader
    bootstrap_servers: str


def _under(load: float, rate: int, scale: float, ends: _Ends) -> dict[str, Any]:
    worker, reader, bootstrap_servers = ends
    before = worker.metric("events_total", 'topic="orders"')
    measured_from_ns, sent = _send(bootstrap_servers, rate * load, scale, f"L{load:.0%}-".replace("%", ""))
    sent_ns = time.time_ns()
    deadline = time.monotonic() + _DRAIN_SECONDS
    while worker.metric("events_total", 'topic="orders"') - before < sent and time.monotonic() < deadline:
        time.sleep(0.1)
    behind_seconds = (time.time_ns() - sent_ns) / 1e9
    # What has been committed is read a moment later.
    time.sleep(0.5)
    sample = sorted(latency for produced_ns, latency in reader.latencies_ms if produced_ns >= measured_from_ns)
    quantiles = {name: round(sample[int(share * (len(sample) - 1))], 1) for name, share in _QUANTILES}
    return {**quantiles, "changes": len(sample), "orders": sent, "seconds_behind_at_the_end": round(behind_seconds, 1)}


def _send(bootstrap_servers: str, rate: float, scale: float, prefix: str) -> tuple[int, int]:
    """Produce at a steady rate; returns when the warm-up was over, and how many orders were sent."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 5,
        }
    )
    rng = random.Random(1)
    amounts = [round(rng.lognormvariate(5.0, 1.0), 2) for _ in range(10_007)]
    started = time.monotonic()
    seconds = (WARM_UP_SECONDS + SECONDS) * min(1.0, scale)
    measured_from_ns = time.time_ns() + int(WARM_UP_SECONDS * min(1.0, scale) * 1e9)
    sent = 0
    while (elapsed := time.monotonic() - started) < seconds:
        due = int(elapsed * rate)
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        for _ in range(sent, due):
            account_id = f"{prefix}{int(ACCOUNTS * rng.random()):06d}"
            amount = amounts[sent % len(amounts)]
            value = (
                f'{{"type":"order.completed","event_id":"{time.time_ns()}-{sent}","account_id":"{account_id}",'
                f'"order_id":"o{sent}","occurred_at":"{moment}","amount":{amount},"currency":"EUR",'
                f'"cost":{amount * 0.6:.2f},"product_lines":["A"],"channel":"web"}}'
            )
            producer.produce(f"{_PREFIX}orders", value, account_id)
            sent += 1
        producer.poll(0)
        time.sleep(_SLICE_SECONDS)
    producer.flush()
    return measured_from_ns, sent
