"""How long a worker takes to be ready on a state of many accounts, and how much memory it then holds.

Each account has 20 order days. The changelog is written as workers write it: once an account, which is what compaction
leaves, and five times, which is what it finds before.
"""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from confluent_kafka import Producer

from benchmarks.broker import PARTITIONS
from benchmarks.stand import Stand
from benchmarks.throughput import rss_mib
from benchmarks.workers import Worker
from models.codec import pack
from models.events import InputTopic, OrderCompleted
from models.policy import Policy
from models.state import AccountState
from processors.account import apply
from processors.context import Context
from processors.partition import Partition
from stream.checkpoint import CHECKPOINT_KEY, encode
from stream.cluster import Cluster
from stream.handling import Place
from stream.restore import Restored
from stream.settings import Settings
from stream.task import PartitionTask

ACCOUNTS: Final = (100_000, 1_000_000)
RECORDS_AN_ACCOUNT: Final = (1, 5)
ORDER_DAYS: Final = 20
_TEMPLATES: Final = 500
_NOT_COMPACTED: Final = {"min.compaction.lag.ms": "86400000"}
_SETTLE_SECONDS: Final = 3.0
_QUEUE_RECORDS: Final = 200_000
_POLLED_EVERY: Final = 2000


def scenario(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Restore each size from each kind of changelog."""
    del rate
    results: dict[str, Any] = {"order_days": ORDER_DAYS}
    policy = Policy(reporting_currency="EUR")
    templates = list(_states(Context(policy)))
    for accounts in ACCOUNTS:
        for records in RECORDS_AN_ACCOUNT:
            count = round(accounts * scale)
            results[f"{accounts}_accounts_{records}_records"] = _restored(stand, policy, templates, count, records)
    return results


def _restored(
    stand: Stand, policy: Policy, templates: list[AccountState], accounts: int, records: int
) -> dict[str, Any]:
    prefix = f"restore-{accounts}-{records}."
    stand.make_our_topics(prefix, PARTITIONS, _NOT_COMPACTED)
    settings = stand.settings(prefix, "restore")
    written_bytes = _write(settings, policy, templates, accounts, records)
    with Worker(stand.bootstrap_servers, prefix, f"restore-{accounts}-{records}") as worker:
        ready_seconds = worker.wait_until_ready()
        time.sleep(_SETTLE_SECONDS)
        found = worker.metric("state_accounts")
        if found != accounts:
            raise RuntimeError(f"{found:.0f} of {accounts} accounts were restored")
        memory_mib = rss_mib(worker.pid)
        packed_bytes = worker.metric("state_bytes")
    stand.topics.remove(name for name in stand.topics.names() if name.startswith(prefix))
    return {
        "seconds_from_start_to_ready": round(ready_seconds, 2),
        "records_per_second": round(accounts * records / ready_seconds),
        "rss_mib": round(memory_mib),
        "state_mib": round(packed_bytes / 2**20),
        "changelog_mib": round(written_bytes / 2**20),
    }


def _states(context: Context) -> Iterator[AccountState]:
    """Make accounts with twenty order days in the last year, by the core itself."""
    rng = random.Random(1)
    now = datetime.now(UTC)
    for number in range(_TEMPLATES):
        state: AccountState | None = None
        for days_ago in sorted(rng.sample(range(1, 360), ORDER_DAYS), reverse=True):
            amount = Decimal(rng.randrange(500, 50_000)) / 100
            order = OrderCompleted(
                event_id=f"e{number}-{days_ago}",
                account_id="template",
                order_id=f"o{number}-{days_ago}",
                occurred_at=now - timedelta(days=days_ago),
                amount=amount,
                currency="EUR",
                cost=(amount * 6 / 10).quantize(Decimal("0.01")),
            )
            state = apply(state, order, context).state
        assert state is not None, "an order makes an account"
        # As after a commit: nothing is left to publish, and nothing is due at once.
        state.published_revision = state.revision
        state.due_day = context.day_of(int(now.timestamp() * 1000)) + 7
        yield state


def _write(settings: Settings, policy: Policy, templates: list[AccountState], accounts: int, records: int) -> int:
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 20,
            "batch.size": 1_000_000,
            "queue.buffering.max.messages": _QUEUE_RECORDS,
        }
    )
    written = 0
    topic = settings.topics.state
    for _ in range(records):
        for number in range(accounts):
            state = templates[number % len(templates)]
            state.account_id = account_id = f"C{number:07d}"
            value = pack(state)
            written += len(value)
            producer.produce(topic, value, account_id)
            if number % _POLLED_EVERY == 0:
                while len(producer) > _QUEUE_RECORDS - _POLLED_EVERY:
                    producer.poll(0.05)
                producer.poll(0)
    for partition in range(PARTITIONS):
        producer.produce(topic, _checkpoint(settings, policy, partition), CHECKPOINT_KEY, partition)
    producer.flush()
    return written


def _checkpoint(settings: Settings, policy: Policy, partition: int) -> bytes:
    """Let a task that has read nothing yet describe itself."""
    cluster = Cluster(settings)
    topic_ids = {one: cluster.topic_ids[settings.topics.of_input(one)] for one in InputTopic}
    empty = Restored(Partition(Context(policy)), dict.fromkeys(InputTopic, 0), policy.version, 0, 0.0)
    now_ms = time.time_ns() // 1_000_000
    empty.accounts.set_clock(now_ms)
    task = PartitionTask(Place(partition, PARTITIONS, topic_ids), empty, settings, lambda: now_ms)
    return encode(task.checkpoint())
