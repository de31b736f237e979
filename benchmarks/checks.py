"""What proves that contenders did the same work: two checksums, read from what is in Kafka after a run.

- Windows: over the orders, revenue and profit of each account in the 365 days as of one day, from the last state of
  each account in the changelog. Every contender has to give this one.
- Changes: over (account, sequence, old tier, new tier) of all tier changes. Every peer has to give this one; ours
  publishes changes of its own score and tiers.

A checksum is the sum of a 64-bit hash of each item, so that the order of the items does not matter and none cancels
out another.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, TopicPartition

from benchmarks.contenders import job
from benchmarks.orders import Dataset, generate
from models.codec import unpack

_BATCH: Final = 20_000
_POLL_SECONDS: Final = 1.0
_TIMEOUT_SECONDS: Final = 30.0
_MODULUS: Final = 2**64
_JAVA_HEAD: Final = struct.Struct(">ici" + "q" * 9 + "iii")
_JAVA_DAY: Final = struct.Struct(">iqiq")


class History(NamedTuple):
    """The non-empty days of one account, in columns."""

    account_id: str
    days: list[int]
    orders: list[int]
    revenue_minor: list[int]
    profit_minor: list[int]


class Checksums(NamedTuple):
    """What two runs over the same orders have to agree on."""

    windows: str
    accounts: int
    orders_365d: int
    """Among what the first hash is over, in words."""
    changes: str | None
    change_count: int | None


ReadState = Callable[[bytes, bytes], History | None]
"""From key and value of a changelog record to the account's days; None for a record that is no account's."""


def read_python_state(key: bytes, value: bytes) -> History:
    """Read the state of a peer in Python; a key may have what its framework puts around it."""
    state = job.decode_state(value)
    return History(_account_in(key), state.days, state.orders, state.revenue_minor, state.profit_minor)


def read_java_state(key: bytes, value: bytes) -> History:
    """Read the state of the peer in Java."""
    count = _JAVA_HEAD.unpack_from(value)[2]
    rows = list(_JAVA_DAY.iter_unpack(value[_JAVA_HEAD.size :]))
    assert len(rows) == count, "one row a day"
    days, revenue, orders, profit = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    return History(key.decode(), days, orders, revenue, profit)


def read_our_state(key: bytes, value: bytes) -> History | None:
    """Read the state of this project's worker."""
    if key.startswith(b"\0"):
        return None
    state = unpack(value)
    profit = [costed - cost for costed, cost in zip(state.costed_revenue_minor, state.cost_minor, strict=True)]
    return History(state.account_id, state.days, state.orders, state.revenue_minor, profit)


def _account_in(key: bytes) -> str:
    # Quix Streams writes `<key>|<name of the value>`.
    return key.partition(b"|")[0].decode()


def windows_checksum(histories: Iterable[History], as_of_day: int) -> tuple[str, int, int]:
    """Hash the 365-day windows as of a day; returns the hash, the number of accounts in it and their orders."""
    total = accounts = order_total = 0
    first_day = as_of_day - job.HORIZON_DAYS + 1
    for one in histories:
        inside = [index for index, day in enumerate(one.days) if day >= first_day]
        if not inside:
            continue
        orders, revenue, profit = (
            sum(column[index] for index in inside) for column in (one.orders, one.revenue_minor, one.profit_minor)
        )
        total += _hash(f"{one.account_id}|{orders}|{revenue}|{profit}")
        accounts += 1
        order_total += orders
    return _text(total), accounts, order_total


def changes_checksum(changes: Iterable[job.Change]) -> tuple[str, int]:
    """Hash tier changes; returns the hash and how many there were."""
    total = count = 0
    for one in changes:
        total += _hash(f"{one.account_id}|{one.sequence}|{one.old}|{one.new}")
        count += 1
    return _text(total), count


def expected(dataset: Dataset) -> Checksums:
    """Do the work once more, without Kafka."""
    states: dict[str, job.State] = {}
    changes: list[job.Change] = []
    for record in generate(dataset):
        state = states.setdefault(record.account_id, job.State())
        change = job.apply(state, job.decode_order(record.value))
        if change is not None:
            changes.append(change)
    histories = (
        History(account_id, state.days, state.orders, state.revenue_minor, state.profit_minor)
        for account_id, state in states.items()
    )
    return Checksums(*windows_checksum(histories, dataset.as_of_day), *changes_checksum(changes))


def found(
    bootstrap_servers: str, changelog: str, read_state: ReadState, changes: str | None, as_of_day: int
) -> Checksums:
    """Read what a contender left in its topics, as a read-committed reader sees it."""
    last: dict[bytes, bytes] = {}
    for key, value in read(bootstrap_servers, changelog):
        if value is not None:
            last[key] = value
        else:
            last.pop(key, None)
    histories = (one for key, value in last.items() if (one := read_state(key, value)) is not None)
    windows = windows_checksum(histories, as_of_day)
    if changes is None:
        return Checksums(*windows, None, None)
    decoded = (job.decode_change(value) for _, value in read(bootstrap_servers, changes) if value is not None)
    return Checksums(*windows, *changes_checksum(decoded))


def read(bootstrap_servers: str, topic: str) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield key and value of each committed record of a topic, partition by partition in order."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "checks",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 4 * 1024 * 1024,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=_TIMEOUT_SECONDS).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        left = set(partitions)
        while left:
            for message in consumer.consume(_BATCH, _POLL_SECONDS):
                error = message.error()
                if error is None:
                    yield message.key() or b"", message.value()
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its only name
                    left.discard(message.partition() or 0)
                else:
                    raise RuntimeError(f"{topic} cannot be read: {error}")
    finally:
        consumer.close()


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def _text(total: int) -> str:
    return f"{total % _MODULUS:016x}"
