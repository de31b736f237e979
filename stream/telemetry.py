"""What a worker tells Prometheus about itself.

Names: `account_health_` + noun + unit, and `_total` for counters. Labels are bounded: never an
account. Count what was processed once its transaction has committed, so that what an abort made
to be processed again counts once.
"""

import platform
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum, unique
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector

from models.events import InputTopic
from models.outputs import Cause, ChurnLevel, ChurnReason, Direction, Tier
from models.reasons import Outcome, RefusalReason
from processors.context import Context
from stream.figures import PartitionFigures, Partitions
from stream.health import Health
from stream.portfolio.figures import PortfolioGauges
from stream.series import Counts, Histogram, Levels
from stream.topics import TopicNames
from stream.vitals import Brokers, Vitals

PREFIX: Final = "account_health_"
DEAD_LETTER: Final = "dead_letter"
"""The outcome of an event that was refused, beside those of `models.reasons.Outcome`."""
CHURN_EVENT_TYPES: Final = (
    "account.churn_risk_changed",
    "account.lost",
    "account.recovered",
)
NO_REASON: Final = "none"
"""Stands for the reasons of a churn event that has none."""
OTHER_SEGMENT: Final = "other"
"""Stands for the segments that the policy does not name, and for accounts without one."""
CLOCKS: Final = ("live", "event")
CUT_POINT_SOURCES: Final = ("census", "file")
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


class Metrics:
    """All metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        self._partitions = Partitions(PREFIX)
        self._portfolio = PortfolioGauges(PREFIX)
        self.registry.register(self._portfolio)
        self.registry.register(self._partitions)
        self._make_event_metrics()
        self._make_output_metrics()
        self._make_run_metrics()
        self._make_broker_metrics()

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
            "Churn events published, by the level and the tier that the account then had.",
            type=CHURN_EVENT_TYPES,
            level=tuple(ChurnLevel),
            tier=tuple(Tier),
        )
        self._churn_reasons = self._counts(
            "churn_event_reasons_total",
            "Reasons given by published churn events; one event may give several.",
            type=CHURN_EVENT_TYPES,
            reason=(*ChurnReason, NO_REASON),
        )
        self._churn_segments = self._counts(
            "churn_event_segments_total",
            "Churn events published, by segment where the policy names it.",
            type=CHURN_EVENT_TYPES,
            segment=(OTHER_SEGMENT,),
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
        self._census_seconds = self._histogram(
            "census_seconds", "Time to count the accounts of a partition, beside the processing.", _BATCH_BOUNDS_SECONDS
        )
        self._rebalances = self._counts(
            "rebalances_total",
            "Rebalances that gave or took partitions.",
            kind=tuple(RebalanceKind),
        )
        self._build_info = self._level("build_info", "Always 1; what is running.", ("version", "python"), ())
        self._policy_info = self._level(
            "policy_info", "Always 1; the policy in force.", ("revision", "version", "currency"), ()
        )
        self._clock_info = self._level(
            "clock_info", "1 for the clock that this worker follows.", ("clock",), [(one,) for one in CLOCKS]
        )
        self._portfolio_info = self._level(
            "portfolio_info",
            "1 for where the cut points come from: drawn from censuses, or from a file and gone by for ever.",
            ("source",),
            [(one,) for one in CUT_POINT_SOURCES],
        )

    def _make_broker_metrics(self) -> None:
        # Unknown until the client has said so: 0 would look like an outage.
        self._brokers = self._level("connected_brokers", "Kafka brokers that this worker is connected to.", (), ())
        self._round_trip = self._level(
            "broker_round_trip_seconds",
            "From a request to the answer of the slowest broker, on average; a fetch waits there for records.",
        )
        self._timeouts = self._counts(
            "broker_request_timeouts_total", "Requests to brokers that were not answered in time."
        )
        self._timeouts_seen = 0

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

    def count_churn_events(self, counts: Mapping[tuple[str, ChurnLevel, Tier], int]) -> None:
        """Count published churn events by type (`CHURN_EVENT_TYPES`), level and tier."""
        self._churn_events.add({(*key,): count for key, count in counts.items()})

    def count_churn_reasons(self, counts: Mapping[tuple[str, ChurnReason | None], int]) -> None:
        """Count the reasons that published churn events give, by type; None stands for an event without any."""
        self._churn_reasons.add({(kind, reason or NO_REASON): count for (kind, reason), count in counts.items()})

    def count_churn_segments(self, counts: Mapping[tuple[str, str | None], int]) -> None:
        """Count published churn events by type and the account's segment; None stands for one that is not named."""
        self._churn_segments.add({(kind, segment or OTHER_SEGMENT): count for (kind, segment), count in counts.items()})

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

    def observe_census(self, seconds: float) -> None:
        """Observe a census of one partition."""
        self._census_seconds.observe(seconds)

    def set_portfolio(self, context: Context | None) -> None:
        """Show the cut points that a context compares accounts with."""
        self._portfolio.context = context

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

    def set_policy(self, revision: int, version: str, currency: str) -> None:
        """Show which policy is in force, and the currency that it reports in."""
        self._policy_info.replace({(str(revision), version, currency): 1})

    def set_segments(self, segments: Collection[str]) -> None:
        """Name the segments that have series of their own."""
        self._churn_segments.begin(product(CHURN_EVENT_TYPES, segments))

    def set_clock(self, clock: str) -> None:
        """Show which of the `CLOCKS` is followed."""
        self._clock_info.replace({(one,): one == clock for one in CLOCKS})

    def set_cut_point_source(self, source: str) -> None:
        """Show which of the `CUT_POINT_SOURCES` is drawn from."""
        self._portfolio_info.replace({(one,): one == source for one in CUT_POINT_SOURCES})

    def set_brokers(self, brokers: Brokers) -> None:
        """Show how the brokers are reached."""
        self._brokers.set(brokers.connected)
        self._round_trip.set(brokers.round_trip_seconds)
        self._timeouts.increment(amount=brokers.timeouts - self._timeouts_seen)
        self._timeouts_seen = brokers.timeouts

    def watch(self, health: Health, names: TopicNames) -> None:
        """Show what the probes know, from now on."""
        self.registry.register(Vitals(health, names, PREFIX))

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
