"""What the process that writes the view tells Prometheus about itself."""

import platform
from collections.abc import Iterator, Mapping
from enum import StrEnum, unique
from typing import Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from stream.release import version
from stream.series import Counts, Histogram, Levels
from stream.telemetry import PREFIX
from stream.topics import CHURN_RISK, SNAPSHOTS, TIER_CHANGES
from stream.view.groups import Groups, Totals
from stream.view.writing import Position, Written

_WRITE_BOUNDS_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_MS: Final = 1000


@unique
class Applied(StrEnum):
    """What became of a record in the view."""

    APPLIED = "applied"
    ERASED = "erased"
    """It removed an account."""
    STALE = "stale"
    """It was not newer than what the view held, or was of an erased account."""
    UNREADABLE = "unreadable"
    """It was not written by this application, or not by a version that this one understands."""


@unique
class Failure(StrEnum):
    """Why a batch was not written at once."""

    UNAVAILABLE = "unavailable"
    """Redis did not answer."""
    REFUSED = "refused"
    """Redis answered with an error: it is full, say."""
    CONFLICT = "conflict"
    """Another process wrote the view, or Redis came back without it."""
    SOURCE = "source"
    """Kafka did not answer, or no longer holds what comes next."""


@unique
class RebuildReason(StrEnum):
    """Why the view was built anew."""

    ABSENT = "absent"
    """There was none: Redis is new, or lost what it held."""
    SCHEMA = "schema"
    """It was of another version."""
    TOPIC = "topic"
    """A topic was made anew."""
    AWAY = "away"
    """It was not written for so long that erasures may be missing."""
    POSITION = "position"
    """What comes next in a topic is not there any longer."""
    ASKED = "asked"
    """By `account-health view --rebuild`."""


class _Lag(Collector):
    """Gauges by partition."""

    def __init__(self) -> None:
        self.records: Mapping[Position, int] = {}
        self.seconds: Mapping[Position, float] = {}

    def collect(self) -> Iterator[Metric]:
        labels = ("topic", "partition")
        records = GaugeMetricFamily(
            f"{PREFIX}view_lag_records", "Offsets of a partition that the view has not taken in.", labels=labels
        )
        seconds = GaugeMetricFamily(
            f"{PREFIX}view_lag_seconds", "Age of the last record taken in, while others wait.", labels=labels
        )
        for (topic, partition), count in self.records.items():
            records.add_metric((topic, str(partition)), count)
        for (topic, partition), age in self.seconds.items():
            seconds.add_metric((topic, str(partition)), age)
        yield from (records, seconds)


class ViewMetrics:
    """All metrics of the process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry: Final = CollectorRegistry(auto_describe=True)
        topics = tuple(topic.suffix for topic in (SNAPSHOTS, TIER_CHANGES, CHURN_RISK))
        self._records = Counts(
            f"{PREFIX}view_records_total",
            "Records that the view took in, by what became of them.",
            ("kind", "outcome"),
            [(kind, outcome) for kind in ("snapshot", "change") for outcome in Applied],
        )
        self._failures = Counts(
            f"{PREFIX}view_failures_total",
            "Times that the view could not be written at once; it is tried again.",
            ("reason",),
            [(one,) for one in Failure],
        )
        self._rebuilds = Counts(
            f"{PREFIX}view_rebuilds_total",
            "Times that the view was begun anew.",
            ("reason",),
            [(one,) for one in RebuildReason],
        )
        self._write_seconds = Histogram(
            f"{PREFIX}view_write_seconds", "Time to write one batch to Redis.", _WRITE_BOUNDS_SECONDS
        )
        self._accounts = Levels(f"{PREFIX}view_accounts", "Accounts in the view.")
        self._built = Levels(f"{PREFIX}view_built", "1 when the view holds every account, 0 while it is being built.")
        self._updated = Levels(
            f"{PREFIX}view_updated_timestamp_seconds", "When the view was last written, in seconds since 1970."
        )
        self._lag = _Lag()
        self._groups = Groups(f"{PREFIX}view_")
        build = Levels(f"{PREFIX}build_info", "Always 1; what is running.", ("version", "python"), ())
        build.replace({(version(), platform.python_version()): 1})
        for one in (
            self._records,
            self._failures,
            self._rebuilds,
            self._write_seconds,
            self._accounts,
            self._built,
            self._updated,
            self._lag,
            self._groups,
            build,
        ):
            self.registry.register(one)
        ProcessCollector(registry=self.registry)
        self.set_lag({(topic, 0): 0 for topic in topics}, {(topic, 0): 0.0 for topic in topics})

    def count_written(self, written: Written, seconds: float) -> None:
        """Count a batch that was written."""
        self._records.add(
            {
                ("snapshot", Applied.APPLIED): written.snapshots,
                ("snapshot", Applied.ERASED): written.erasures,
                ("snapshot", Applied.STALE): written.stale_snapshots,
                ("snapshot", Applied.UNREADABLE): written.unreadable_snapshots,
                ("change", Applied.APPLIED): written.changes,
                ("change", Applied.STALE): written.stale_changes,
                ("change", Applied.UNREADABLE): written.unreadable_changes,
            }
        )
        self._write_seconds.observe(seconds)

    def count_failure(self, reason: Failure) -> None:
        """Count a batch that was not written at once."""
        self._failures.increment((reason,))

    def count_rebuild(self, reason: RebuildReason) -> None:
        """Count a view that is begun anew."""
        self._rebuilds.increment((reason,))

    def set_view(self, accounts: int, updated_ms: int, *, built: bool) -> None:
        """Show how far the view is."""
        self._accounts.set(accounts)
        self._built.set(int(built))
        self._updated.set(updated_ms / _MS)

    def set_lag(self, records: Mapping[Position, int], seconds: Mapping[Position, float]) -> None:
        """Show how far the view is behind its topics."""
        self._lag.records, self._lag.seconds = records, seconds

    def set_groups(self, totals: Totals) -> None:
        """Show the groups of accounts as they are now."""
        self._groups.take(totals)
