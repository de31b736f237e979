"""A state topic as workers write it, made without one: accounts with twenty order days in the last year."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from confluent_kafka import Producer

from benchmarks.broker import PARTITIONS
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

ORDER_DAYS: Final = 20
_TEMPLATES: Final = 500
_QUEUE_RECORDS: Final = 200_000
_POLLED_EVERY: Final = 2000


def states(context: Context, due_in_days: int) -> Iterator[AccountState]:
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
        # As after a commit: nothing is left to publish.
        state.published_revision = state.revision
        state.due_day = context.day_of(int(now.timestamp() * 1000)) + due_in_days
        yield state


class Changelog(NamedTuple):
    """What to write."""

    templates: list[AccountState]
    """Accounts are copies of these."""
    accounts: int
    records: int
    """Of each account."""
    clock_ms: int
    """How far time had come."""


def write(settings: Settings, policy: Policy, changelog: Changelog) -> int:
    """Write a changelog and its checkpoints to the state topic; returns the bytes of the states."""
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
    templates, accounts, records, clock_ms = changelog
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
        producer.produce(topic, _checkpoint(settings, policy, partition, clock_ms), CHECKPOINT_KEY, partition)
    producer.flush()
    return written


def _checkpoint(settings: Settings, policy: Policy, partition: int, clock_ms: int) -> bytes:
    """Let a task that has read nothing yet describe itself."""
    cluster = Cluster(settings)
    topic_ids = {one: cluster.topic_ids[settings.topics.of_input(one)] for one in InputTopic}
    empty = Restored(Partition(Context(policy)), dict.fromkeys(InputTopic, 0), policy.version, 0, 0.0)
    empty.accounts.set_clock(clock_ms)
    task = PartitionTask(Place(partition, PARTITIONS, topic_ids), empty, settings, lambda: clock_ms)
    return encode(task.checkpoint())
