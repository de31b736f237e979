"""What the turn of a day does to the events that come meanwhile, when every account of a large state is due on it.

The state is as of the end of yesterday: the worker opens it today, so that time reaches every account as at midnight.
Records that have to be refused come at a steady rate, before and during that. Each becomes a dead letter that holds its
value unchanged, which is the moment at which it was produced: the worker handles them in turn with all others.
"""

import threading
import time
from typing import Any, Final

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.broker import PARTITIONS
from benchmarks.changelog import Changelog, states, write
from benchmarks.stand import Stand
from benchmarks.throughput import rss_mib
from benchmarks.workers import Worker
from models.policy import Policy
from processors.context import DAY_MS, Context

ACCOUNTS: Final = 1_000_000
RECORDS_A_SECOND: Final = 200
CALM_SECONDS: Final = 10.0
_PREFIX: Final = "turn."
_WARM_UP_SECONDS: Final = 10.0
"""Of the turn: a broker that has just been started is slower than one that has run all day."""
_LOOK_SECONDS: Final = 0.5
_TIMEOUT_SECONDS: Final = 3600.0
_NS_PER_MS: Final = 1_000_000


class Probes:
    """Sends records that will be refused, reads what becomes of them, and notes how long that took."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.waits_ms: list[tuple[int, float]] = []
        """When each was produced, in nanoseconds, and how long it took to be read as a dead letter."""
        self._stopped = threading.Event()
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 0})
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "turn-reader",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
            }
        )
        self._consumer.assign([TopicPartition(f"{_PREFIX}dead-letters", number, 0) for number in range(PARTITIONS)])
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._send, self._read)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop sending and reading."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._consumer.close()

    def _send(self) -> None:
        sent = 0
        while not self._stopped.wait(1 / RECORDS_A_SECOND):
            self._producer.produce(f"{_PREFIX}orders", str(time.time_ns()), "probe", sent % PARTITIONS)
            self._producer.poll(0)
            sent += 1

    def _read(self) -> None:
        while not self._stopped.is_set():
            message = self._consumer.poll(0.1)
            value = None if message is None else message.value()
            if message is not None and message.error() is None and value is not None:
                produced_ns = int(value)
                self.waits_ms.append((produced_ns, (time.time_ns() - produced_ns) / _NS_PER_MS))


def scenario(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Measure how long records wait while time reaches every account, and how long when nothing else happens."""
    del rate
    accounts = round(ACCOUNTS * scale)
    policy = Policy(reporting_currency="EUR")
    settings = stand.settings(_PREFIX, "turn")
    stand.make_our_topics(_PREFIX, PARTITIONS)
    midnight_ms = time.time_ns() // _NS_PER_MS // DAY_MS * DAY_MS
    templates = list(states(Context(policy), due_in_days=0))
    write(settings, policy, Changelog(templates, accounts, 1, midnight_ms - 1))
    probes = Probes(stand.bootstrap_servers)
    with Worker(stand.bootstrap_servers, _PREFIX, "turn") as worker:
        worker.wait_until_ready()
        opened = time.monotonic()
        time.sleep(_WARM_UP_SECONDS)
        turn_from_ns = time.time_ns()
        reached_seconds = _until_none(worker, "due_accounts") - opened
        turn_seconds = _until_none(worker, "snapshots_pending") - opened
        memory_mib = rss_mib(worker.pid)
        calm_from_ns = time.time_ns()
        time.sleep(CALM_SECONDS)
    probes.stop()
    during = [wait for produced_ns, wait in probes.waits_ms if turn_from_ns <= produced_ns < calm_from_ns]
    after = [wait for produced_ns, wait in probes.waits_ms if produced_ns >= calm_from_ns]
    stand.topics.remove(name for name in stand.topics.names() if name.startswith(_PREFIX))
    return {
        "accounts": accounts,
        "seconds_until_reached": round(reached_seconds, 1),
        "seconds": round(turn_seconds, 1),
        "accounts_per_second": round(accounts / turn_seconds),
        "rss_mib": round(memory_mib),
        "unit": "milliseconds",
        "during": _quantiles(during),
        "after": _quantiles(after),
    }


def _until_none(worker: Worker, metric: str) -> float:
    """Wait until a metric is zero; gives when that was, on the monotonic clock."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while worker.metric(metric):
        worker.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{metric} is not zero after {_TIMEOUT_SECONDS:g} s")
        time.sleep(_LOOK_SECONDS)
    return time.monotonic()


def _quantiles(waits_ms: list[float]) -> dict[str, float]:
    if not waits_ms:
        raise RuntimeError("the turn was over before it was measured: take more accounts")
    ascending = sorted(waits_ms)
    return {
        name: round(ascending[int(share * (len(ascending) - 1))], 1)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }
