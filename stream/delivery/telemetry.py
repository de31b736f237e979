"""What the delivery tells Prometheus about itself. Labels are bounded: the file of destinations names them."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector

from stream.delivery.client import Answer
from stream.delivery.reasons import AttemptOutcome, Disposal, FailureReason
from stream.release import version
from stream.series import Counts, Histogram, Levels
from stream.telemetry import PREFIX

_ATTEMPT_BOUNDS_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_END_TO_END_BOUNDS_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43_200, 172_800)
_MS_PER_SECOND: Final = 1000


class DeliveryMetrics:
    """All metrics of one delivery process, in a registry of their own.

    Args:
        destinations: their names.
    """

    def __init__(self, destinations: Sequence[str]) -> None:
        self.registry: Final = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        each = {"destination": tuple(destinations)}
        self._attempts = self._counts(
            "delivery_attempts_total", "Requests to a destination, by outcome.", **each, outcome=tuple(AttemptOutcome)
        )
        self._deliveries = self._counts(
            "deliveries_total", "Events that are done with at a destination.", **each, disposal=tuple(Disposal)
        )
        self._failures = self._counts(
            "delivery_failures_total", "Events that were given up, by reason.", **each, reason=tuple(FailureReason)
        )
        self._attempt_seconds = self._histogram(
            "delivery_attempt_seconds", "Time of one request.", _ATTEMPT_BOUNDS_SECONDS, destinations
        )
        self._end_to_end_seconds = self._histogram(
            "delivery_end_to_end_seconds",
            "From the publication of an event to its acceptance by a destination.",
            _END_TO_END_BOUNDS_SECONDS,
            destinations,
        )
        self._lag_records = self._levels(
            "delivery_lag_records", "Events that are published and not done with at a destination.", destinations
        )
        self._lag_seconds = self._levels(
            "delivery_lag_seconds", "Age of the oldest event that is read and not done with.", destinations
        )
        self._open = self._levels(
            "delivery_open_records", "Events that are read and not done with, at most a fixed number.", destinations
        )
        self._waiting = self._levels(
            "delivery_waiting_accounts", "Accounts whose events wait for a redrive.", destinations
        )
        self._build = Levels(PREFIX + "delivery_build_info", "Always 1; what is running.", ("version",), ())
        self._build.replace({(version(),): 1})
        self.registry.register(self._build)

    def count_attempt(self, destination: str, answer: Answer) -> None:
        """Count a request and its time."""
        self._attempts.increment((destination, answer.outcome))
        self._attempt_seconds.observe(answer.seconds, (destination,))

    def count_delivery(self, destination: str, disposal: Disposal) -> None:
        """Count an event that is done with."""
        self._deliveries.increment((destination, disposal))

    def count_failure(self, destination: str, reason: FailureReason) -> None:
        """Count an event that was given up."""
        self._failures.increment((destination, reason))

    def observe_end_to_end(self, destination: str, published_ms: int, accepted_ms: int) -> None:
        """Observe how long an event took; a clock that is ahead of ours counts as no time."""
        self._end_to_end_seconds.observe(max(0, accepted_ms - published_ms) / _MS_PER_SECOND, (destination,))

    def set_lag(self, destination: str, records: int, seconds: float, open_records: int) -> None:
        """Show how far behind a destination is."""
        self._lag_records.set(records, (destination,))
        self._lag_seconds.set(seconds, (destination,))
        self._open.set(open_records, (destination,))

    def set_waiting(self, accounts: Mapping[str, int], destinations: Sequence[str]) -> None:
        """Show how many accounts wait for a redrive."""
        for name in destinations:
            self._waiting.set(accounts.get(name, 0), (name,))

    def _counts(self, name: str, text: str, **labels: Sequence[str]) -> Counts:
        counts = Counts(PREFIX + name, text, tuple(labels), product(*labels.values()))
        self.registry.register(counts)
        return counts

    def _levels(self, name: str, text: str, destinations: Sequence[str]) -> Levels:
        levels = Levels(PREFIX + name, text, ("destination",), [(one,) for one in destinations])
        self.registry.register(levels)
        return levels

    def _histogram(self, name: str, text: str, bounds: Sequence[float], destinations: Sequence[str]) -> Histogram:
        histogram = Histogram(PREFIX + name, text, bounds, ("destination",), [(one,) for one in destinations])
        self.registry.register(histogram)
        return histogram
