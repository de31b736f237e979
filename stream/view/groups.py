"""What the view knows of the portfolio, for Prometheus: its groups.

The totals are kept by whoever writes the view, an account at a time; here they are only handed on.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from models.outputs import Abc, AccountType, ChurnLevel, Lifecycle, RfmSegment, Tier, Xyz
from stream.view.arrangement import Dimension
from stream.view.totals import Total

SEGMENTS_MAX: Final = 20
"""Segments that have series of their own: those with the most revenue."""
OTHER: Final = "other"
"""The segments beyond them."""
_VALUES: Final[Mapping[Dimension, tuple[str, ...]]] = {
    Dimension.TIER: tuple(Tier),
    Dimension.CHURN_LEVEL: tuple(ChurnLevel),
    Dimension.ABC_REVENUE: tuple(Abc),
    Dimension.XYZ: tuple(Xyz),
    Dimension.LIFECYCLE: tuple(Lifecycle),
    Dimension.RFM_SEGMENT: tuple(RfmSegment),
    Dimension.ACCOUNT_TYPE: tuple(AccountType),
}
"""Dimensions whose values are known; owners and regions have too many, and no series."""

Totals = Mapping[str, Mapping[str, Total]]


class _Figures(NamedTuple):
    groups: Mapping[tuple[str, str], Total]
    unit: int
    """Minor units of one major unit."""


class Groups(Collector):
    """Gauges of the groups that the view counts.

    Args:
        prefix: of the metrics' names.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._figures = _figures_of({})

    def take(self, totals: Totals) -> None:
        """Take the totals as they are now; called by the thread that changes them."""
        self._figures = _figures_of(totals)

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        groups, unit = self._figures
        labels = ("dimension", "value")
        accounts = self._gauge("group_accounts", "Accounts of a group.", labels)
        revenue = self._gauge("group_revenue", "Revenue of a group in the longest window, in major units.", labels)
        stake = self._gauge("group_value_at_stake", "What a group's risks put at stake, in major units.", labels)
        for key, total in groups.items():
            accounts.add_metric(key, total.accounts)
            revenue.add_metric(key, total.revenue / unit)
            stake.add_metric(key, total.stake / unit)
        yield from (accounts, revenue, stake)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._prefix + name, text, labels=labels)


def _figures_of(totals: Totals) -> _Figures:
    _, _, decimals = next(iter(totals.get("currency", {})), "").partition(":")
    groups: dict[tuple[str, str], Total] = {
        (dimension.value, value): totals.get(dimension.value, {}).get(value, Total()).copy()
        for dimension, values in _VALUES.items()
        for value in values
    }
    segments = totals.get(Dimension.SEGMENT.value, {})
    ordered = sorted(segments, key=lambda one: (-segments[one].revenue, one))
    rest = Total()
    for number, name in enumerate(ordered):
        total = segments[name]
        if number < SEGMENTS_MAX and name != OTHER:
            groups[Dimension.SEGMENT.value, name] = total.copy()
        else:
            rest.accounts += total.accounts
            rest.revenue += total.revenue
            rest.stake += total.stake
    groups[Dimension.SEGMENT.value, OTHER] = rest
    return _Figures(groups, 10 ** int(decimals or 0))
