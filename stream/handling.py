"""What one record of an input does to a partition: the same in a worker and in an audit of what it did."""

from typing import Final, NamedTuple

from confluent_kafka import Message
from kafka.partitioner.default import murmur2

from models.events import ClockAdvanced, InputTopic
from models.reasons import Outcome, RefusalReason
from models.wire import Refusal, parse
from processors.account import Step
from processors.partition import Partition
from stream.inputs import timestamp_ms

_POSITIVE: Final = 0x7FFFFFFF


class Terms(NamedTuple):
    """What decides about a record beyond its bytes; a checkpoint keeps it."""

    wall_ms: int
    """The wall clock, which the live clock does not pass; 0 with the event clock."""
    latest_ms: int
    """An event dated later is refused."""


class Place(NamedTuple):
    """Which partition, of which topics."""

    partition: int
    partitions: int
    """How many partitions each input has."""
    topic_ids: dict[InputTopic, str]
    """The broker's ids of the input topics."""


def handle(accounts: Partition, topic: InputTopic, message: Message, terms: Terms, place: Place) -> Step | Refusal:
    """Apply one record to its account, or refuse it."""
    key = message.key()
    event = parse(topic, key, message.value())
    if isinstance(event, Refusal):
        return event
    if event.occurred_ms > terms.latest_ms:
        return Refusal(RefusalReason.IN_THE_FUTURE, "dated later than the clock allows")
    if isinstance(event, ClockAdvanced):
        return _advance_clock(accounts, event, terms)
    if event.account_id not in accounts and partition_of(key, place.partitions) != place.partition:
        return Refusal(RefusalReason.WRONG_PARTITION, "the key belongs on another partition under murmur2")
    now_ms = 0
    if terms.wall_ms:
        # A record's timestamp is its producer's clock, which must not take ours into the future.
        now_ms = max(accounts.clock_ms, min(timestamp_ms(message), terms.wall_ms))
    step = accounts.apply(event, now_ms)
    return step if step.refusal is None else step.refusal


def partition_of(key: bytes | None, partitions: int) -> int:
    """Give the partition of a key as Kafka's default partitioner does: the sign bit is cut off, not negated.

    >>> partition_of(b"A-1", 4)
    3
    """
    return int((murmur2(key) & _POSITIVE) % partitions)


def _advance_clock(accounts: Partition, event: ClockAdvanced, terms: Terms) -> Step | Refusal:
    if terms.wall_ms:
        return Refusal(RefusalReason.CLOCK_NOT_EVENT, "the clock of this worker is live")
    accounts.clock_ms = max(accounts.clock_ms, event.occurred_ms)
    return Step(None, outcome=Outcome.APPLIED)
