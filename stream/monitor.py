"""From what the engine does to metrics and health, so that the engine says each thing once."""

from collections.abc import Mapping
from typing import Final

from models.events import InputTopic
from models.outputs import ChurnLevel, Tier
from models.policy import Policy
from stream.figures import InputFigures, PartitionFigures
from stream.health import Health, Progress
from stream.release import version
from stream.task import PartitionTask, Tally
from stream.telemetry import Metrics, RebalanceKind, TransactionResult
from stream.topics import TopicNames
from stream.vitals import read_statistics

_MS: Final = 1000

Ends = Mapping[tuple[InputTopic, int], int]


class Monitor:
    """Reports what a worker does.

    Args:
        metrics: for Prometheus.
        health: for the probes.
        policy: in force.
        names: of the topics.
        clock: the one that is followed, `live` or `event`.
    """

    def __init__(
        self, metrics: Metrics, health: Health, policy: Policy, names: TopicNames, clock: str = "live"
    ) -> None:
        self._metrics = metrics
        self._health = health
        self._names = names
        metrics.watch(health, names)
        metrics.set_build(version())
        metrics.set_policy(policy.revision, policy.version, policy.reporting_currency)
        metrics.set_segments(policy.segments)
        metrics.set_clock(clock)

    def processed(self, seconds: float, records: int) -> None:
        """Report a processed batch."""
        self._metrics.observe_batch(seconds, records)

    def committed(self, tally: Tally, committed_ms: int) -> None:
        """Report what a committed transaction did to one partition."""
        for topic in InputTopic:
            if tally.timestamps_ms[topic]:
                self._metrics.count_events(topic, tally.outcomes[topic])
                self._metrics.count_dead_letters(topic, tally.refusals[topic])
                self._metrics.observe_end_to_end(topic, tally.timestamps_ms[topic], committed_ms)
        self._metrics.count_tier_changes(tally.tier_changes)
        self._metrics.count_tier_flaps(tally.flaps)
        self._metrics.count_churn_events(tally.churn_events)
        self._metrics.count_churn_reasons(tally.churn_reasons)
        self._metrics.count_churn_segments(tally.churn_segments)
        self._metrics.count_snapshots(tally.snapshots)
        self._metrics.count_clock_ticks(tally.ticks)

    def transaction(self, result: TransactionResult, seconds: float, ended_ms: int) -> None:
        """Report the end of a transaction."""
        self._metrics.observe_transaction(result, seconds, ended_ms)

    def statistics(self, text: str) -> None:
        """Report what Kafka's client says of itself."""
        self._metrics.set_brokers(read_statistics(text))

    def rebalanced(self, kind: RebalanceKind) -> None:
        """Report a rebalance."""
        self._metrics.count_rebalance(kind)

    def restored(self, seconds: float, records: int) -> None:
        """Report that a partition was opened."""
        self._metrics.observe_restore(seconds, records)

    def counted(self, seconds: float) -> None:
        """Report a census."""
        self._metrics.observe_census(seconds)

    def closed(self, partition: int) -> None:
        """Report that a partition was given back."""
        self._metrics.remove_partition(partition)

    def draining(self) -> None:
        """Report that the worker is about to stop."""
        self._health.set_draining()

    def partitions(self, tasks: Mapping[int, PartitionTask], ends: Ends, opening: set[int], now_ms: int) -> None:
        """Report all partitions as they are, once the group has given some, or none."""
        self._health.set_assigned({*tasks, *opening})
        self._health.set_restoring(opening)
        progress = {}
        for partition, task in tasks.items():
            self._metrics.set_partition(partition, _figures(task, ends, now_ms))
            for topic, position in task.positions.items():
                end = ends.get((topic, partition), position)
                # Behind the last record may stand control records of a transaction, which are never delivered.
                reached = end if task.inputs.is_at_end(topic) else position
                progress[self._names.of_input(topic), partition] = Progress(reached, end)
        self._health.report(progress)
        contexts = (task.accounts.context for task in tasks.values())
        self._metrics.set_portfolio(max(contexts, key=lambda one: one.portfolio_version, default=None))


def _figures(task: PartitionTask, ends: Ends, now_ms: int) -> PartitionFigures:
    accounts = task.accounts
    inputs = {}
    for topic in InputTopic:
        behind = 0
        if not task.inputs.is_at_end(topic):
            behind = max(0, ends.get((topic, task.partition), 0) - task.positions[topic])
        head_ms = task.inputs.head_timestamp_ms(topic)
        waited_ms = 0 if head_ms is None else max(0, now_ms - head_ms)
        inputs[topic] = InputFigures(behind, waited_ms / _MS, task.inputs.buffered_bytes(topic))
    held_ms = 0 if task.held_back_since_ms is None else max(0, now_ms - task.held_back_since_ms)
    return PartitionFigures(
        accounts=len(accounts),
        state_bytes=accounts.packed_bytes,
        clock_ms=accounts.clock_ms if accounts.clock_ms >= 0 else None,
        due_accounts=accounts.due_count() + accounts.stale_count(),
        snapshots_pending=len(accounts.snapshots_pending),
        snapshots_held_seconds=held_ms / _MS,
        tiers={tier: accounts.tiers[tier] for tier in Tier},
        churn_levels={level: accounts.levels[level] for level in ChurnLevel},
        inputs=inputs,
    )
