"""What can be asked for: every metric with its labels, and the values that a label can have."""

from typing import Final

from stream.delivery.telemetry import DeliveryMetrics
from stream.reference import exported
from stream.serving.telemetry import ServeMetrics
from stream.view.telemetry import ViewMetrics

OPEN_ENDED: Final = frozenset(
    {"destination", "currency", "partition", "python", "revision", "version", "le", "segment", "value"}
)
"""Labels whose values are not known beforehand."""
SCRAPED: Final = frozenset({"job", "instance"})
"""Labels that Prometheus adds."""


def known() -> dict[str, dict[str, set[str]]]:
    """Return every series that a scrape of our processes gives: its labels, and their values."""
    found: dict[str, dict[str, set[str]]] = {"up": {}}
    for registry in (exported(), ViewMetrics().registry, DeliveryMetrics(["crm"]).registry, ServeMetrics().registry):
        for sample in (sample for family in registry.collect() for sample in family.samples):
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found
