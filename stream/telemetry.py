"""What a worker tells Prometheus about itself.

Names: `account_health_` + noun + unit, and `_total` for counters. Labels are bounded: never an
account. Count what was processed once its transaction has committed, so that what an abort made
to be processed again counts once.
"""

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from models.events import InputTopic
from models.outputs import Cause, ChurnLevel, Direction, Tier
from models.reasons import Outcome, RefusalReason
from stream.series import Counts, Histogram, Levels

PREFIX: Final = "account_health_"
DEAD_LETTER: Final = "dead_letter"
"""The outcome of an event that was refused, beside those of `models.reasons.Outcome`."""
CHURN_EVENT_TYPES: Final = (
    "account.churn_risk_changed",
    "account.lost",
    "account.recovered",
)
_MS_PER_SECOND: Final = 1000

_LATENCY_BOUNDS_SECONDS: Final = (
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
    1800,
)
_BATCH_BOUNDS_SECONDS: Final = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    5,
)
_EVENT_BOUNDS_SECONDS: Final = (1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2)
_COMMIT_BOUNDS_SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 5, 10)
_RESTORE_BOUNDS_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600)


@unique
class TransactionResult(StrEnum):
    """How a transaction ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"


@unique
class RebalanceKind(StrEnum):
    """What a rebalance did to this worker."""

    ASSIGNED = "assigned"
    REVOKED = "revoked"
    LOST = "lost"
    """Taken away without a chance to commit."""


@dataclass(frozen=True, slots=True)
class InputFigures:
    """One input of one partition."""

    lag_records: int = 0
    lag_seconds: float = 0
    """How long the oldest record that is not committed has waited; 0 when none has."""
    buffered_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PartitionFigures:
    """One partition that this worker holds, as its task last saw it."""

    accounts: int = 0
    state_bytes: int = 0
    clock_ms: int | None = None
    """The partition's clock; None before its first event."""
    due_accounts: int = 0
    snapshots_pending: int = 0
    tiers: Mapping[Tier, int] = field(default_factory=dict)
    churn_levels: Mapping[ChurnLevel, int] = field(default_factory=dict)
    inputs: Mapping[InputTopic, InputFigures] = field(default_factory=dict)


class _Partitions(Collector):
    """Gauges of the partitions held: their series come and go with the partitions."""

    def __init__(self) -> None:
        self.figures: dict[int, PartitionFigures] = {}

    def collect(self) -> Iterator[Metric]:
        held = sorted(self.figures.copy().items())
        yield from self._of_partitions(held)
        yield from self._of_inputs(held)
        yield from self._sums([figures for _, figures in held])

    @staticmethod
    def _of_partitions(held: list[tuple[int, PartitionFigures]]) -> Iterator[Metric]:
        labels = ("partition",)
        accounts = _gauge("state_accounts", "Accounts in the state of a partition.", labels)
        size = _gauge("state_bytes", "Size of the packed states of a partition.", labels)
        due = _gauge("due_accounts", "Accounts whose due day has come and that wait for it.", labels)
        pending = _gauge("snapshots_pending", "Accounts that changed since their last snapshot.", labels)
        clock = _gauge("clock_timestamp_seconds", "Clock of a partition, in seconds since 1970.", labels)
        for partition, one in held:
            key = (str(partition),)
            accounts.add_metric(key, one.accounts)
            size.add_metric(key, one.state_bytes)
            due.add_metric(key, one.due_accounts)
            pending.add_metric(key, one.snapshots_pending)
            if one.clock_ms is not None:
                clock.add_metric(key, one.clock_ms / _MS_PER_SECOND)
        yield from (accounts, size, due, pending, clock)

    @staticmethod
    def _of_inputs(held: list[tuple[int, PartitionFigures]]) -> Iterator[Metric]:
        labels = ("topic", "partition")
        records = _gauge("lag_records", "Records of an input that are not committed.", labels)
        seconds = _gauge("lag_seconds", "How long the oldest record that is not committed has waited.", labels)
        buffered = _gauge("buffered_bytes", "Fetched bytes that are not yet processed.", labels)
        for partition, one in held:
            for topic, figures in one.inputs.items():
                key = (str(topic), str(partition))
                records.add_metric(key, figures.lag_records)
                seconds.add_metric(key, figures.lag_seconds)
                buffered.add_metric(key, figures.buffered_bytes)
        yield from (records, seconds, buffered)

    @staticmethod
    def _sums(held: list[PartitionFigures]) -> Iterator[Metric]:
        assigned = _gauge("assigned_partitions", "Partitions that this worker holds.")
        assigned.add_metric((), len(held))
        tiers = _gauge("tier_accounts", "Accounts of this worker in a tier.", ("tier",))
        for tier in Tier:
            tiers.add_metric((tier,), sum(one.tiers.get(tier, 0) for one in held))
        levels = _gauge("churn_accounts", "Accounts of this worker at a churn level.", ("level",))
        for level in ChurnLevel:
            levels.add_metric((level,), sum(one.churn_levels.get(level, 0) for one in held))
        yield from (assigned, tiers, levels)


class Metrics:
    """All metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry(auto_describe=True)
        self._partitions = _Partitions()
        self.registry.register(self._partitions)
        self._make_event_metrics()
        self._make_output_metrics()
        self._make_run_metrics()

    def _make_event_metrics(self) -> None:
        topics = tuple(InputTopic)
        outcomes = (*Outcome, DEAD_LETTER)
        self._events = self._counts(
            "events_total", "Records read, by what became of them.", topic=topics, outcome=outcomes
        )
        self._dead_letters = self._counts(
            "dead_letters_total",
            "Records refused, by reason.",
            topic=topics,
            reason=tuple(RefusalReason),
        )
        self._clock_ticks = self._counts("clock_ticks_total", "Times a partition's clock moved on its own.")
        self._batch_seconds = self._histogram(
            "batch_processing_seconds", "Time to process one batch.", _BATCH_BOUNDS_SECONDS
        )
        self._event_seconds = self._histogram(
            "event_processing_seconds",
            "Time to process one event: its batch's, divided by its number of events.",
            _EVENT_BOUNDS_SECONDS,
        )
        self._end_to_end_seconds = self._histogram(
            "end_to_end_seconds",
            "From a record's timestamp to the commit that made its effects visible.",
            _LATENCY_BOUNDS_SECONDS,
            topic=topics,
        )

    def _make_output_metrics(self) -> None:
        self._tier_changes = self._counts(
            "tier_changes_total",
            "Tier changes published.",
            direction=tuple(Direction),
            cause=tuple(Cause),
        )
        self._tier_flaps = self._counts("tier_flaps_total", "Tier changes that undid the one before within 30 days.")
        self._churn_events = self._counts(
            "churn_events_total",
            "Churn events published.",
            type=CHURN_EVENT_TYPES,
            level=tuple(ChurnLevel),
        )
        self._snapshots = self._counts("snapshots_total", "Snapshots published.")

    def _make_run_metrics(self) -> None:
        results = tuple(TransactionResult)
        self._transactions = self._counts("transactions_total", "Transactions, by how they ended.", result=results)
        self._transaction_seconds = self._histogram(
            "transaction_end_seconds",
            "Time to commit or to abort a transaction, during which nothing is produced.",
            _COMMIT_BOUNDS_SECONDS,
            result=results,
        )
        self._last_commit = self._level(
            "last_commit_timestamp_seconds",
            "When a transaction last committed, in seconds since 1970; 0 before the first.",
        )
        self._restore_seconds = self._histogram(
            "restore_seconds", "Time to restore a partition.", _RESTORE_BOUNDS_SECONDS
        )
        self._restored_records = self._counts("restored_records_total", "Changelog records read to restore partitions.")
        self._rebalances = self._counts(
            "rebalances_total",
            "Rebalances that gave or took partitions.",
            kind=tuple(RebalanceKind),
        )
        self._build_info = self._level("build_info", "Always 1; what is running.", ("version", "python"), ())
        self._policy_info = self._level("policy_info", "Always 1; the policy in force.", ("revision", "version"), ())

    def count_events(self, topic: InputTopic, counts: Mapping[Outcome, int]) -> None:
        """Count accepted events of one input by outcome."""
        self._events.add({(topic, outcome): count for outcome, count in counts.items()})

    def count_dead_letters(self, topic: InputTopic, counts: Mapping[RefusalReason, int]) -> None:
        """Count refused records of one input by reason, and among its events."""
        self._dead_letters.add({(topic, reason): count for reason, count in counts.items()})
        self._events.increment((topic, DEAD_LETTER), sum(counts.values()))

    def count_clock_ticks(self, count: int = 1) -> None:
        """Count moves of a partition's clock that no event caused."""
        self._clock_ticks.increment(amount=count)

    def observe_batch(self, seconds: float, events: int) -> None:
        """Observe the processing of one batch of `events` events."""
        self._batch_seconds.observe(seconds)
        if events:
            self._event_seconds.observe(seconds / events, times=events)

    def observe_end_to_end(self, topic: InputTopic, timestamps_ms: Sequence[int], committed_ms: int) -> None:
        """Observe the latency of records that were committed at `committed_ms`, all of one input.

        A producer's clock that is ahead of ours counts as no latency.
        """
        latencies = [max(0, committed_ms - one) / _MS_PER_SECOND for one in timestamps_ms]
        self._end_to_end_seconds.observe_all(latencies, (topic,))

    def count_tier_changes(self, counts: Mapping[tuple[Direction, Cause], int]) -> None:
        """Count published tier changes by direction and cause."""
        self._tier_changes.add({(*key,): count for key, count in counts.items()})

    def count_tier_flaps(self, count: int) -> None:
        """Count tier changes that undid the one before within 30 days."""
        self._tier_flaps.increment(amount=count)

    def count_churn_events(self, counts: Mapping[tuple[str, ChurnLevel], int]) -> None:
        """Count published churn events by type (`CHURN_EVENT_TYPES`) and level."""
        self._churn_events.add({(*key,): count for key, count in counts.items()})

    def count_snapshots(self, count: int) -> None:
        """Count published snapshots."""
        self._snapshots.increment(amount=count)

    def observe_transaction(self, result: TransactionResult, seconds: float, ended_ms: int) -> None:
        """Observe the end of a transaction, which took `seconds` to commit or to abort."""
        self._transactions.increment((result,))
        self._transaction_seconds.observe(seconds, (result,))
        if result is TransactionResult.COMMITTED:
            self._last_commit.set(ended_ms / _MS_PER_SECOND)

    def observe_restore(self, seconds: float, records: int) -> None:
        """Observe the restoration of one partition."""
        self._restore_seconds.observe(seconds)
        self._restored_records.increment(amount=records)

    def count_rebalance(self, kind: RebalanceKind) -> None:
        """Count a rebalance that gave or took partitions."""
        self._rebalances.increment((kind,))

    def set_partition(self, partition: int, figures: PartitionFigures) -> None:
        """Show a partition that this worker holds."""
        self._partitions.figures[partition] = figures

    def remove_partition(self, partition: int) -> None:
        """Forget a partition that was given back; harmless when it is not held."""
        self._partitions.figures.pop(partition, None)

    def set_build(self, version: str) -> None:
        """Show which release is running."""
        self._build_info.replace({(version, platform.python_version()): 1})

    def set_policy(self, revision: int, version: str) -> None:
        """Show which policy is in force."""
        self._policy_info.replace({(str(revision), version): 1})

    def _counts(self, name: str, text: str, **labels: Sequence[str]) -> Counts:
        counts = Counts(PREFIX + name, text, tuple(labels), product(*labels.values()))
        self.registry.register(counts)
        return counts

    def _level(
        self,
        name: str,
        text: str,
        labels: tuple[str, ...] = (),
        label_sets: Sequence[tuple[str, ...]] = ((),),
    ) -> Levels:
        level = Levels(PREFIX + name, text, labels, label_sets)
        self.registry.register(level)
        return level

    def _histogram(self, name: str, text: str, bounds: Sequence[float], **labels: Sequence[str]) -> Histogram:
        histogram = Histogram(PREFIX + name, text, bounds, tuple(labels), product(*labels.values()))
        self.registry.register(histogram)
        return histogram


def _gauge(name: str, documentation: str, labels: Sequence[str] = ()) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, documentation, labels=labels)
