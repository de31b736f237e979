"""Every name on the wire, in one place: topics, groups, transactional ids, headers.

Nothing here is derived from the name of a class or function: renaming code never moves data.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, unique
from typing import Final, assert_never

from models.events import InputTopic

DEFAULT_PREFIX: Final = "account-health."
TOPIC_NAME_CHARACTERS_MAX: Final = 249
"""Longest topic name that Kafka accepts."""
NAME_PATTERN: Final = r"[A-Za-z0-9._-]+"
"""Kafka's alphabet of topic names; used for group and transactional ids too."""

INPUT_RECORD_BYTES_MAX: Final = 1_048_588
"""Largest record batch of an input; Kafka's default."""
OUTPUT_RECORD_BYTES_MAX: Final = 2 * 1_048_576
"""Largest record batch of all else: a dead letter is an input record and its headers."""

_MIB: Final = 1_048_576
_COPIES_TO_LOSE_ONE: Final = 3
_OUTPUT_SEGMENT_DAYS: Final = 1
_FOREVER: Final = "-1"


@unique
class Flow(StrEnum):
    """Which way a topic's records go."""

    IN = "in"
    """Written by producers, read by the worker."""
    OUT = "out"
    """Written by the worker, read by subscribers."""
    INTERNAL = "internal"
    """Written and read by the worker alone."""


@unique
class Cleanup(StrEnum):
    """What the broker removes, in the words of Kafka's `cleanup.policy`."""

    DELETE = "delete"
    """Records older than the retention."""
    COMPACT = "compact"
    """Records that have a younger one of the same key."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long records are kept, and how soon compaction removes an old value."""

    input_days: int | None = None
    """Inputs; None keeps them for ever."""
    output_days: int = 30
    """Tier changes, churn risks and dead letters, which cannot be erased by key; 2 or more."""
    compaction_days: int = 7
    """Compacted topics: a value that was replaced or erased is gone after at most as long."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the contract, without its prefix."""

    suffix: str
    flow: Flow
    cleanup: Cleanup
    description: str
    segment_mib: int = 1024
    """Compaction leaves the newest segment alone: small ones keep what is restored short."""
    delete_retention_days: int = 1
    """How long a reader may be away and still see that a key was deleted, at least."""
    tells_of_erasures: bool = False
    """Whether readers of the other outputs learn here whose events they may not use any more."""
    one_partition: bool = False
    """Whether it has one partition, whatever the inputs have."""

    @property
    def is_input(self) -> bool:
        """Whether producers write it."""
        return self.flow is Flow.IN

    @property
    def partitions_fixed(self) -> bool:
        """Whether its number of partitions is part of the contract; outputs may have others."""
        return self.flow is not Flow.OUT

    def partitions(self, input_partitions: int) -> int:
        """Return how many partitions the topic is made with, beside the inputs'."""
        return 1 if self.one_partition else input_partitions

    def kept(self, retention: Retention) -> str:
        """Say what is kept, for a person."""
        if self.cleanup is Cleanup.COMPACT:
            return "the last of each key"
        days = retention.input_days if self.is_input else retention.output_days
        return "all" if days is None else f"{days} days at most"

    def deletions_kept_days(self, retention: Retention) -> int:
        """Return how long a deletion is kept: one that tells of an erasure outlives what it is about."""
        erasable_days = retention.output_days if self.tells_of_erasures else 0
        return max(self.delete_retention_days, erasable_days)

    def config(self, retention: Retention, replication_factor: int) -> dict[str, str]:
        """Return the topic's configuration in Kafka's names and units (milliseconds, bytes)."""
        bytes_max = INPUT_RECORD_BYTES_MAX if self.flow is Flow.IN else OUTPUT_RECORD_BYTES_MAX
        config = {
            "cleanup.policy": self.cleanup.value,
            "max.message.bytes": str(bytes_max),
            # With three copies one broker may fail, and every acknowledged record is on two.
            "min.insync.replicas": "2" if replication_factor >= _COPIES_TO_LOSE_ONE else "1",
            "segment.bytes": str(self.segment_mib * _MIB),
        }
        match (self.cleanup, self.flow):
            case (Cleanup.COMPACT, _):
                # Without a longest lag, a value of a quiet partition survives its erasure for ever.
                config["retention.ms"] = _FOREVER
                config["max.compaction.lag.ms"] = _ms(retention.compaction_days)
                config["delete.retention.ms"] = _ms(self.deletions_kept_days(retention))
                config["min.cleanable.dirty.ratio"] = "0.1"
            case (Cleanup.DELETE, Flow.IN):
                days = retention.input_days
                config["retention.ms"] = _FOREVER if days is None else _ms(days)
            case (Cleanup.DELETE, _):
                # The broker removes whole segments, once the youngest record is too old: the
                # oldest has then lived for the span of a segment more.
                config["segment.ms"] = _ms(_OUTPUT_SEGMENT_DAYS)
                config["retention.ms"] = _ms(retention.output_days - _OUTPUT_SEGMENT_DAYS)
            case _ as never:
                assert_never(never)
        return config


def _ms(days: int) -> str:
    return str(timedelta(days=days) // timedelta(milliseconds=1))


ORDERS: Final = Topic(
    "orders",
    Flow.IN,
    Cleanup.DELETE,
    "Orders, refunds and cancellations; kept for ever unless set: rebuilds and audits read them.",
)
SUPPORT: Final = Topic(
    "support",
    Flow.IN,
    Cleanup.DELETE,
    "Support tickets, complaints and surveys. Kept as long as orders.",
)
PROFILES: Final = Topic(
    "profiles",
    Flow.IN,
    Cleanup.COMPACT,
    "Whole account profiles, and requests to erase an account.",
    segment_mib=128,
)
TIER_CHANGES: Final = Topic(
    "tier-changes", Flow.OUT, Cleanup.DELETE, "An account moved to another tier, with the reasons."
)
CHURN_RISK: Final = Topic(
    "churn-risk",
    Flow.OUT,
    Cleanup.DELETE,
    "The risk of losing an account changed, or it was lost, or came back.",
)
SNAPSHOTS: Final = Topic(
    "snapshots",
    Flow.OUT,
    Cleanup.COMPACT,
    "The whole current health of each account; null when it was erased.",
    segment_mib=128,
    delete_retention_days=7,  # a view that is down over a long weekend still learns what was erased
    tells_of_erasures=True,
)
PORTFOLIO: Final = Topic(
    "portfolio",
    Flow.INTERNAL,
    Cleanup.COMPACT,
    "The latest census of each partition, and the latest cut points drawn from all of them; neither names an account.",
    segment_mib=16,
    one_partition=True,  # every task reads all of it, and the cut points have one order
)
STATE: Final = Topic(
    "state",
    Flow.INTERNAL,
    Cleanup.COMPACT,
    "Changelog of the accounts; a checkpoint and the cut points that it goes by for each partition.",
    segment_mib=64,
)
DELIVERY_FAILURES: Final = Topic(
    "delivery-failures",
    Flow.OUT,
    Cleanup.DELETE,
    "Events that a destination could not be given, unchanged; the headers say which one and why.",
)
DEAD_LETTERS: Final = Topic(
    "dead-letters",
    Flow.OUT,
    Cleanup.DELETE,
    "Refused records, unchanged; the headers say why and whence.",
)

TOPICS: Final = (
    ORDERS,
    SUPPORT,
    PROFILES,
    TIER_CHANGES,
    CHURN_RISK,
    SNAPSHOTS,
    PORTFOLIO,
    STATE,
    DEAD_LETTERS,
    DELIVERY_FAILURES,
)
"""Every topic, in the order of the documentation."""

SPEC_OF_INPUT: Final = {
    InputTopic.ORDERS: ORDERS,
    InputTopic.SUPPORT: SUPPORT,
    InputTopic.PROFILES: PROFILES,
}


def is_topic_name(name: str) -> bool:
    """Return whether Kafka accepts a topic of this name.

    >>> is_topic_name("account-health.orders"), is_topic_name("orders/2024"), is_topic_name("..")
    (True, False, False)
    """
    if len(name) > TOPIC_NAME_CHARACTERS_MAX or name in {".", ".."}:
        return False
    return re.fullmatch(NAME_PATTERN, name) is not None


class TopicNames:
    """The full names of all topics under one prefix, the inputs under another if that is given.

    >>> names = TopicNames("demo.")
    >>> names.tier_changes, names.of_input(InputTopic.ORDERS), names.input_of("demo.support")
    ('demo.tier-changes', 'demo.orders', <InputTopic.SUPPORT: 'support'>)
    >>> names.input_of("support") is None
    True
    >>> beside = TopicNames("rebuilt.", "demo.")
    >>> beside.of_input(InputTopic.ORDERS), beside.state
    ('demo.orders', 'rebuilt.state')
    """

    __slots__ = (
        "_input_of_name",
        "_name_of_input",
        "churn_risk",
        "dead_letters",
        "delivery_failures",
        "input_prefix",
        "orders",
        "portfolio",
        "prefix",
        "profiles",
        "snapshots",
        "state",
        "support",
        "tier_changes",
    )

    def __init__(self, prefix: str = DEFAULT_PREFIX, input_prefix: str | None = None) -> None:
        self.prefix: Final = prefix
        self.input_prefix: Final = prefix if input_prefix is None else input_prefix
        self.orders: Final = self.of(ORDERS)
        self.support: Final = self.of(SUPPORT)
        self.profiles: Final = self.of(PROFILES)
        self.tier_changes: Final = self.of(TIER_CHANGES)
        self.churn_risk: Final = self.of(CHURN_RISK)
        self.snapshots: Final = self.of(SNAPSHOTS)
        self.portfolio: Final = self.of(PORTFOLIO)
        self.state: Final = self.of(STATE)
        self.dead_letters: Final = self.of(DEAD_LETTERS)
        self.delivery_failures: Final = self.of(DELIVERY_FAILURES)
        self._name_of_input: Final = {topic: self.of(spec) for topic, spec in SPEC_OF_INPUT.items()}
        self._input_of_name: Final = {name: topic for topic, name in self._name_of_input.items()}

    def of(self, topic: Topic) -> str:
        """Return the full name of a topic.

        Raises:
            ValueError: if Kafka would not accept the name.
        """
        name = (self.input_prefix if topic.is_input else self.prefix) + topic.suffix
        if not is_topic_name(name):
            raise ValueError(
                f"{name!r} is no topic name: letters, digits, '.', '_' and '-', "
                f"at most {TOPIC_NAME_CHARACTERS_MAX} characters"
            )
        return name

    def of_input(self, topic: InputTopic) -> str:
        """Return the full name of an input."""
        return self._name_of_input[topic]

    def input_of(self, name: str) -> InputTopic | None:
        """Return which input a full name is, or None."""
        return self._input_of_name.get(name)


def group_id(application_id: str) -> str:
    """Return the consumer group of all workers of one application."""
    return application_id


def transactional_id(application_id: str, instance_id: str) -> str:
    """Return the transactional id of one worker: a newer producer with it fences the older."""
    return f"{application_id}-{instance_id}"


def redrive_id(application_id: str, reason: str) -> str:
    """Return the group and the transactional id of sending again what was refused for one reason."""
    return f"{application_id}-redrive-{reason}"


def delivery_id(application_id: str, destination: str) -> str:
    """Return the consumer group that delivers to one destination: its offsets are the destination's own."""
    return f"{application_id}-deliver-{destination}"


def delivery_redrive_id(application_id: str, destination: str) -> str:
    """Return the consumer group that keeps a second redrive of one destination out."""
    return f"{application_id}-deliver-{destination}-redrive"


def event_source(application_id: str) -> str:
    """Return the CloudEvents `source` of all that an application publishes."""
    return f"/account-health/{application_id}"
