"""What the view knows of the portfolio, for Prometheus: its groups.

The totals are kept by whoever writes the view, an account at a time; here they are only handed on.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from models.outputs import Abc, AccountType, ChurnLevel, ChurnReason, Lifecycle, RfmSegment, Tier, Xyz
from stream.view import months
from stream.view.arrangement import Dimension
from stream.view.keys import UNCLASSED
from stream.view.months import Turn, TurnDimension, read_turn_key
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


_MONTH_FIRST_DAY: Final = "-01"


class _Figures(NamedTuple):
    groups: Mapping[tuple[str, str], Total]
    month: str | None
    """The latest in which an account was lost or came back."""
    turns: Mapping[tuple[str, str, str], Total]
    """Of that month, by turn, dimension and value."""
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
        groups, month, turns, unit = self._figures
        labels = ("dimension", "value")
        accounts = self._gauge("group_accounts", "Accounts of a group.", labels)
        revenue = self._gauge("group_revenue", "Revenue of a group in the longest window, in major units.", labels)
        stake = self._gauge("group_value_at_stake", "What a group's risks put at stake, in major units.", labels)
        lost = self._gauge("group_value_lost", "What a year with a group's lost accounts was worth.", labels)
        for key, total in groups.items():
            accounts.add_metric(key, total.accounts)
            revenue.add_metric(key, total.revenue / unit)
            stake.add_metric(key, total.stake / unit)
            lost.add_metric(key, total.lost / unit)
        yield from (accounts, revenue, stake, lost)
        turned = self._gauge(
            "month_churn_accounts", "Accounts lost or recovered in the latest such month.", ("direction", *labels)
        )
        for turn, total in turns.items():
            turned.add_metric(turn, total.accounts)
        began = self._gauge(
            "month_start_timestamp_seconds", "Start of the latest month in which an account was lost or recovered.", ()
        )
        if month is not None:
            began.add_metric((), datetime.fromisoformat(month + _MONTH_FIRST_DAY).replace(tzinfo=UTC).timestamp())
        yield from (turned, began)

    def _gauge(self, name: str, text: str, labels: Sequence[str]) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._prefix + name, text, labels=tuple(labels))


def _figures_of(totals: Totals) -> _Figures:
    _, _, decimals = next(iter(totals.get("currency", {})), "").partition(":")
    groups: dict[tuple[str, str], Total] = {
        (dimension.value, value): totals.get(dimension.value, {}).get(value, Total()).copy()
        for dimension, values in _VALUES.items()
        for value in values
    }
    segments = totals.get(Dimension.SEGMENT.value, {})
    shown = sorted(segments, key=lambda one: (-segments[one].revenue, one))[:SEGMENTS_MAX]
    groups[Dimension.SEGMENT.value, OTHER] = rest = Total()
    for name, total in segments.items():
        if name in shown and name != OTHER:
            groups[Dimension.SEGMENT.value, name] = total.copy()
        else:
            rest.include(total)
    month = max((name.partition(":")[0] for name in totals.get(months.WHOLE, {})), default=None)
    turns = _turns_of(month, totals.get(months.PARTS, {}), shown)
    return _Figures(groups, month, turns, 10 ** int(decimals or 0))


def _turns_of(
    month: str | None, parts: Mapping[str, Total], segments: Collection[str]
) -> dict[tuple[str, str, str], Total]:
    """Give the turns of a month by reason and by segment; only segments that have series of their own are named."""
    reasons = (*ChurnReason, UNCLASSED)
    turns = {(turn.value, TurnDimension.REASON.value, str(reason)): Total() for turn in Turn for reason in reasons}
    turns |= {(turn.value, TurnDimension.SEGMENT.value, OTHER): Total() for turn in Turn}
    for name, total in parts.items():
        key = read_turn_key(name)
        if key.month != month or key.dimension is TurnDimension.OWNER:
            continue
        value = key.value or UNCLASSED
        if key.dimension is TurnDimension.SEGMENT and value not in segments:
            value = OTHER
        turns.setdefault((key.turn.value, key.dimension.value, value), Total()).include(total)
    return turns
