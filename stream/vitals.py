"""What the probes and Kafka's client know of a worker, for Prometheus.

Asked at each scrape: the answer has to change also while the worker is stuck.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from stream.health import Health, Unready
from stream.topics import TopicNames

_MICROSECONDS: Final = 1e6
_LEARNED: Final = "learned"
_CONNECTED: Final = frozenset({"UP", "UPDATE"})


class Vitals(Collector):
    """Gauges of what `/readyz` and `/healthz` tell.

    Args:
        health: of the worker.
        names: of the topics, which health knows by their full names.
        prefix: of the metrics' names.
    """

    def __init__(self, health: Health, names: TopicNames, prefix: str) -> None:
        self._health = health
        self._names = names
        self._prefix = prefix

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        readiness = self._health.readiness()
        unready = self._gauge("unready", "1 for each reason why the worker is not ready.", "reason")
        for reason in Unready:
            unready.add_metric((reason,), reason in readiness.reasons)
        restoring = self._gauge("restoring_partitions", "Partitions whose state is being restored.")
        restoring.add_metric((), len(readiness.restoring))
        waiting = self._gauge(
            "stuck_seconds",
            "How long records of an input have waited while nothing of it was processed.",
            "topic",
            "partition",
        )
        for (topic, partition), seconds in self._health.waiting().items():
            waiting.add_metric((self._names.input_of(topic) or topic, str(partition)), seconds)
        yield from (unready, restoring, waiting)

    def _gauge(self, name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._prefix + name, text, labels=labels)


class _RoundTrip(msgspec.Struct, frozen=True):
    avg: int = 0


class _Broker(msgspec.Struct, frozen=True):
    state: str = ""
    source: str = ""
    req_timeouts: int = 0
    rtt: _RoundTrip = _RoundTrip()


class _Statistics(msgspec.Struct, frozen=True):
    brokers: dict[str, _Broker] = {}


class Brokers(msgspec.Struct, frozen=True):
    """The brokers of the cluster, as a client last saw them."""

    connected: int
    """A client connects to those that it needs: leaders of its partitions, and its group's coordinator."""
    round_trip_seconds: float
    """From a request to its answer at the slowest of them, on average; fetches wait for records at the broker."""
    timeouts: int
    """Requests that were not answered in time, since the client was made."""


def read_statistics(text: str | bytes) -> Brokers:
    """Read what librdkafka says of itself: STATISTICS.md of its documentation.

    Raises:
        msgspec.DecodeError: if it is no such document.
    """
    brokers = msgspec.json.decode(text, type=_Statistics).brokers.values()
    # Others are addresses of the settings, and second connections to the coordinator.
    connected = [one for one in brokers if one.source == _LEARNED and one.state in _CONNECTED]
    return Brokers(
        connected=len(connected),
        round_trip_seconds=max((one.rtt.avg for one in connected), default=0) / _MICROSECONDS,
        timeouts=sum(one.req_timeouts for one in brokers),
    )
