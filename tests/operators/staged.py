"""Transactions of one partition as a worker makes them, collected before they are written: a test can spoil them."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Message, Producer

from models.events import TOPIC_OF_TYPE, InputTopic
from models.policy import Policy
from models.portfolio import encode_census
from processors.context import Context
from processors.partition import Partition
from processors.portfolio.census import publishable, rows_of, take
from processors.portfolio.cutting import cut_points
from stream.checkpoint import CHECKPOINT_KEY, CensusStep, Checkpoint, encode
from stream.cluster import Cluster
from stream.portfolio.part import Offer
from stream.reading import PartitionReader
from stream.records import OutRecord
from stream.restore import Restored
from stream.settings import Settings
from stream.task import PartitionTask

FLUSH_TIMEOUT_S: Final = 30.0
SLICE: Final = 50

Event = dict[str, Any]


@dataclass
class Staged:
    """What one transaction writes."""

    outputs: list[OutRecord] = field(default_factory=list)
    states: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    """Packed states, erasure marks and cut points, with the keys of the state topic."""
    checkpoint: Checkpoint | None = None


def event(account_id: str, day: int, type_: str, **fields: Any) -> Event:
    """Make an event of so many days after the first of 2026; its id follows from what it holds."""
    month, date = divmod(day, 28)
    occurred_at = f"{2026 + month // 12}-{month % 12 + 1:02}-{date + 1:02}T12:00:00Z"
    return {
        "event_id": f"{account_id}-{day}-{type_}-{sorted(fields.items())}",
        "type": type_,
        "account_id": account_id,
        "occurred_at": occurred_at,
        **fields,
    }


def order(account_id: str, day: int, amount: str = "100", currency: str = "GBP") -> Event:
    """Make an order."""
    return event(
        account_id, day, "order.completed", order_id=f"{account_id}-{day}-{amount}", amount=amount, currency=currency
    )


def send(settings: Settings, events: Iterable[Event | bytes]) -> None:
    """Send events to the topics of their types, by key; bytes go to orders as they are, with the key `A-1`."""
    producer = Producer(
        {"bootstrap.servers": settings.bootstrap_servers, "partitioner": "murmur2_random", "enable.idempotence": True}
    )
    # A millisecond apart, so that it is plain in which order they are merged.
    now_ms = int(time.time() * 1000) - 100_000
    for number, one in enumerate(events):
        if isinstance(one, bytes):
            producer.produce(settings.topics.orders, one, b"A-1", timestamp=now_ms + number)
        else:
            topic = settings.topics.of_input(TOPIC_OF_TYPE[one["type"]])
            producer.produce(topic, json.dumps(one).encode(), one["account_id"].encode(), timestamp=now_ms + number)
    assert producer.flush(FLUSH_TIMEOUT_S) == 0


def stage(settings: Settings, policy: Policy, batch_records: int = 2) -> list[Staged]:
    """Do all that a worker would do with partition 0, a transaction for each batch, and write nothing."""
    cluster = Cluster(settings)
    names = settings.topics
    messages: list[tuple[InputTopic, Message]] = []
    for topic in InputTopic:
        with PartitionReader(settings, names.of_input(topic), 0, 0) as reader:
            end = cluster.range_of(names.of_input(topic), 0).end
            messages += [(topic, message) for message in reader.until(end)]
    messages.sort(key=lambda one: one[1].timestamp()[1])
    restored = Restored(Partition(Context(policy)), dict.fromkeys(InputTopic, 0), None, 0, 0.0)
    task = PartitionTask(cluster.place(0), restored, settings, lambda: time.time_ns() // 1_000_000)
    staged = [_transaction(task, messages[at : at + batch_records]) for at in range(0, len(messages), batch_records)]
    return [*staged, _transaction(task, [])]


def _count(task: PartitionTask) -> None:
    """Publish a census of what is committed, and go by cut points drawn from it."""
    accounts = task.accounts
    counted = take(rows_of(accounts.packed_states()), accounts.context.day_of(accounts.clock_ms))
    record = encode_census(publishable(counted))
    task.part.offer(Offer(CensusStep(counted.as_of_day, counted.accounts), record, None))
    cuts = cut_points([counted], task.part.version + 1, accounts.context.policy.classes)
    task.part.adopt(accounts.context.with_cuts(cuts), is_drawn=True)


def _transaction(task: PartitionTask, messages: list[tuple[InputTopic, Message]]) -> Staged:
    staged = Staged()
    if len(task.accounts):
        # More often than a worker: whatever follows from new cut points is in every test.
        _count(task)
    for topic, message in messages:
        task.process(topic, [message], staged.outputs.append)
    while task.tick(SLICE, staged.outputs.append) == SLICE:
        pass
    task.publish_snapshots(SLICE, staged.outputs.append)
    changes = task.changes()
    *staged.states, _ = task.changelog(changes)
    staged.checkpoint = task.checkpoint()
    task.committed(changes)
    return staged


def write(settings: Settings, staged: Iterable[Staged]) -> None:
    """Write what was staged, one transaction after the other."""
    producer = Producer(
        {
            "bootstrap.servers": settings.bootstrap_servers,
            "partitioner": "murmur2_random",
            "transactional.id": settings.topic_prefix,
        }
    )
    producer.init_transactions(FLUSH_TIMEOUT_S)
    for one in staged:
        producer.begin_transaction()
        for output in one.outputs:
            producer.produce(output.topic, output.value, output.key, headers=list(output.headers))
        for key, value in one.states:
            producer.produce(settings.topics.state, value, key, 0)
        if one.checkpoint is not None:
            producer.produce(settings.topics.state, encode(one.checkpoint), CHECKPOINT_KEY, 0)
        producer.commit_transaction(FLUSH_TIMEOUT_S)
