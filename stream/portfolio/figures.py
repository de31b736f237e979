"""The portfolio for Prometheus: of all accounts, so each worker that goes by the same cut points says the same."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from processors.context import Context

CLASS_BASES: Final = ("abc_revenue", "abc_profit")
CONCENTRATIONS: Final = ("top_account", "top_fifth", "gini")
_ABC: Final = ("A", "B", "C")
_MS: Final = 1000


class PortfolioGauges(Collector):
    """Gauges of the latest cut points that this worker goes by; without any only the version, 0.

    Args:
        prefix: of the metrics' names.
    """

    def __init__(self, prefix: str) -> None:
        self.context: Context | None = None
        self._prefix = prefix

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        context = self.context
        cuts = None if context is None else context.cuts
        version = self._gauge("portfolio_version", "Version of the cut points in force; 0 before the first.")
        version.add_metric((), 0 if cuts is None else cuts.version)
        as_of = self._gauge(
            "portfolio_as_of_timestamp_seconds", "Beginning of the day that the cut points are of, since 1970."
        )
        accounts = self._gauge("portfolio_accounts", "Accounts of all workers, as they were counted.", "kind")
        classes = self._gauge(
            "portfolio_class_accounts",
            "Active accounts of all workers in a class, as counted.",
            "by",
            "class",
        )
        concentration = self._gauge(
            "portfolio_concentration_ratio",
            "Share of the revenue that the largest account brings, that the largest fifth brings, and the Gini index.",
            "measure",
        )
        if context is not None and cuts is not None:
            as_of.add_metric((), context.start_of_day_ms(cuts.as_of_day) / _MS)
            accounts.add_metric(("known",), cuts.accounts)
            accounts.add_metric(("active",), cuts.active_accounts)
            for by, one in zip(CLASS_BASES, (cuts.revenue, cuts.profit), strict=True):
                for name, count in zip(_ABC, (0, 0, 0) if one is None else one.class_accounts, strict=True):
                    classes.add_metric((by, name), count)
            if (found := cuts.concentration) is not None:
                shares = (found.top_share, found.top_fifth_share, found.gini)
                for measure, share in zip(CONCENTRATIONS, shares, strict=True):
                    concentration.add_metric((measure,), share)
        yield from (version, as_of, accounts, classes, concentration)

    def _gauge(self, name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._prefix + name, text, labels=labels)
