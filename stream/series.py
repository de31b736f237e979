"""Time series that are updated once a batch: what prometheus_client's own would do once an event.

Each is a collector of prometheus_client, which writes the exposition. Thread-safe. A label set that
is named in `label_sets` exists from the start, at 0: a rate over a counter that appears with its
first event misses that event.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from threading import Lock
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

Labels = tuple[str, ...]
NO_LABELS: Final[Labels] = ()
_TOTAL: Final = "_total"


class Counts(Collector):
    """A counter, or one for each label set.

    >>> counts = Counts("events_total", "Events.", ("topic",), [("orders",)])
    >>> counts.add({("orders",): 3})
    >>> [(sample.name, sample.labels, sample.value) for sample in next(counts.collect()).samples]
    [('events_total', {'topic': 'orders'}, 3.0)]
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Labels = NO_LABELS,
        label_sets: Iterable[Labels] = (NO_LABELS,),
    ) -> None:
        if not name.endswith(_TOTAL):
            raise ValueError(f"the counter {name} should end in {_TOTAL}")
        self.name: Final = name
        self.documentation: Final = documentation
        self.labels: Final = labels
        self._lock = Lock()
        self._values: dict[Labels, float] = dict.fromkeys(label_sets, 0.0)

    def begin(self, label_sets: Iterable[Labels]) -> None:
        """Let further label sets exist, at 0 unless they do already."""
        with self._lock:
            self._values = dict.fromkeys(label_sets, 0.0) | self._values

    def add(self, amounts: Mapping[Labels, float]) -> None:
        """Add to several label sets at once."""
        with self._lock:
            for labels, amount in amounts.items():
                self._values[labels] = self._values.get(labels, 0.0) + amount

    def increment(self, labels: Labels = NO_LABELS, amount: float = 1) -> None:
        """Add to one label set."""
        self.add({labels: amount})

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        family = CounterMetricFamily(self.name, self.documentation, labels=self.labels)
        with self._lock:
            values = list(self._values.items())
        for labels, value in values:
            family.add_metric(labels, value)
        yield family


class Levels(Collector):
    """A gauge, or one for each label set."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Labels = NO_LABELS,
        label_sets: Iterable[Labels] = (NO_LABELS,),
    ) -> None:
        self.name: Final = name
        self.documentation: Final = documentation
        self.labels: Final = labels
        self._lock = Lock()
        self._values: dict[Labels, float] = dict.fromkeys(label_sets, 0.0)

    def set(self, value: float, labels: Labels = NO_LABELS) -> None:
        """Set one label set."""
        with self._lock:
            self._values[labels] = value

    def replace(self, values: Mapping[Labels, float]) -> None:
        """Set all label sets; those that are not named cease to exist."""
        with self._lock:
            self._values = dict(values)

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        family = GaugeMetricFamily(self.name, self.documentation, labels=self.labels)
        with self._lock:
            values = list(self._values.items())
        for labels, value in values:
            family.add_metric(labels, value)
        yield family


class _Distribution:
    __slots__ = ("counts", "total")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.total = 0.0


class Histogram(Collector):
    """A histogram that takes many observations in one call.

    >>> histogram = Histogram("wait_seconds", "Wait.", (0.1, 1.0))
    >>> histogram.observe_all([0.05, 0.06, 3.0])
    >>> [(s.labels.get("le"), s.value) for s in next(histogram.collect()).samples]
    [('0.1', 2.0), ('1.0', 2.0), ('+Inf', 3.0), (None, 3.0), (None, 3.11)]
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        bounds: Sequence[float],
        labels: Labels = NO_LABELS,
        label_sets: Iterable[Labels] = (NO_LABELS,),
    ) -> None:
        if list(bounds) != sorted(set(bounds)):
            raise ValueError(f"the bounds of {name} should ascend")
        self.name: Final = name
        self.documentation: Final = documentation
        self.labels: Final = labels
        self.bounds: Final = tuple(bounds)
        self._lock = Lock()
        self._distributions = {one: _Distribution(len(bounds)) for one in label_sets}

    def observe(self, value: float, labels: Labels = NO_LABELS, times: int = 1) -> None:
        """Observe one value, once or several times."""
        with self._lock:
            distribution = self._distributions[labels]
            distribution.counts[bisect_left(self.bounds, value)] += times
            distribution.total += value * times

    def observe_all(self, values: Sequence[float], labels: Labels = NO_LABELS) -> None:
        """Observe every one of the values."""
        if not values:
            return
        ascending = sorted(values)
        with self._lock:
            distribution = self._distributions[labels]
            distribution.total += sum(ascending)
            below = 0
            for index, bound in enumerate(self.bounds):
                reached = bisect_right(ascending, bound, below)
                distribution.counts[index] += reached - below
                below = reached
            distribution.counts[-1] += len(ascending) - below

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        family = HistogramMetricFamily(self.name, self.documentation, labels=self.labels)
        with self._lock:
            copies = [(one, list(d.counts), d.total) for one, d in self._distributions.items()]
        names = [*(str(float(bound)) for bound in self.bounds), "+Inf"]
        for labels, counts, total in copies:
            buckets = zip(names, (float(n) for n in accumulate(counts)), strict=True)
            family.add_metric(labels, list(buckets), total)
        yield family
