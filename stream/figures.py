"""The partitions that a worker holds, as Prometheus sees them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from models.events import InputTopic
from models.outputs import ChurnLevel, Tier

_MS_PER_SECOND: Final = 1000


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
    snapshots_held_seconds: float = 0
    """For how long they have been held back; 0 when they are not."""
    tiers: Mapping[Tier, int] = field(default_factory=dict)
    churn_levels: Mapping[ChurnLevel, int] = field(default_factory=dict)
    inputs: Mapping[InputTopic, InputFigures] = field(default_factory=dict)


class Partitions(Collector):
    """Gauges of the partitions held: their series come and go with the partitions."""

    def __init__(self, prefix: str) -> None:
        self.figures: dict[int, PartitionFigures] = {}
        self._prefix = prefix

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        held = sorted(self.figures.copy().items())
        yield from self._of_partitions(held)
        yield from self._of_inputs(held)
        yield from self._sums([figures for _, figures in held])

    def _of_partitions(self, held: list[tuple[int, PartitionFigures]]) -> Iterator[Metric]:
        labels = ("partition",)
        accounts = self._gauge("state_accounts", "Accounts in the state of a partition.", labels)
        size = self._gauge("state_bytes", "Size of the packed states of a partition.", labels)
        due = self._gauge("due_accounts", "Accounts whose due day has come and that wait for it.", labels)
        pending = self._gauge("snapshots_pending", "Accounts that changed since their last snapshot.", labels)
        waiting = self._gauge(
            "snapshots_held_seconds", "How long snapshots have been held back while catching up.", labels
        )
        clock = self._gauge("clock_timestamp_seconds", "Clock of a partition, in seconds since 1970.", labels)
        for partition, one in held:
            key = (str(partition),)
            accounts.add_metric(key, one.accounts)
            size.add_metric(key, one.state_bytes)
            due.add_metric(key, one.due_accounts)
            pending.add_metric(key, one.snapshots_pending)
            waiting.add_metric(key, one.snapshots_held_seconds)
            if one.clock_ms is not None:
                clock.add_metric(key, one.clock_ms / _MS_PER_SECOND)
        yield from (accounts, size, due, pending, waiting, clock)

    def _of_inputs(self, held: list[tuple[int, PartitionFigures]]) -> Iterator[Metric]:
        labels = ("topic", "partition")
        records = self._gauge("lag_records", "Records of an input that are not committed.", labels)
        seconds = self._gauge("lag_seconds", "How long the oldest record that is not committed has waited.", labels)
        buffered = self._gauge("buffered_bytes", "Fetched bytes that are not yet processed.", labels)
        for partition, one in held:
            for topic, figures in one.inputs.items():
                key = (str(topic), str(partition))
                records.add_metric(key, figures.lag_records)
                seconds.add_metric(key, figures.lag_seconds)
                buffered.add_metric(key, figures.buffered_bytes)
        yield from (records, seconds, buffered)

    def _sums(self, held: list[PartitionFigures]) -> Iterator[Metric]:
        assigned = self._gauge("assigned_partitions", "Partitions that this worker holds.")
        assigned.add_metric((), len(held))
        tiers = self._gauge("tier_accounts", "Accounts of this worker in a tier.", ("tier",))
        for tier in Tier:
            tiers.add_metric((tier,), sum(one.tiers.get(tier, 0) for one in held))
        levels = self._gauge("churn_accounts", "Accounts of this worker at a churn level.", ("level",))
        for level in ChurnLevel:
            levels.add_metric((level,), sum(one.churn_levels.get(level, 0) for one in held))
        yield from (assigned, tiers, levels)

    def _gauge(self, name: str, documentation: str, labels: Sequence[str] = ()) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._prefix + name, documentation, labels=labels)
