"""The classes of a whole portfolio at once, from the list of all events: slow, and with nothing of the product's.

Money is in minor units. Written from the definitions, with NumPy where it has what they name.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np

YEAR_DAYS: Final = 365
BLOCK_DAYS: Final = 30
EPOCH: Final = date(1970, 1, 1).toordinal()


class History(NamedTuple):
    """What one account did, a day at a time: revenue and orders."""

    revenue: dict[int, int]
    orders: dict[int, int]

    def within(self, first: int, last: int) -> tuple[int, int]:
        """Sum revenue and orders of some days."""
        return (
            sum(amount for day, amount in self.revenue.items() if first <= day <= last),
            sum(count for day, count in self.orders.items() if first <= day <= last),
        )

    def order_days(self) -> list[int]:
        """The days with an order, ascending."""
        return sorted(day for day, count in self.orders.items() if count > 0)


def histories(events: list[dict[str, Any]]) -> dict[str, History]:
    """Read orders and refunds of one currency as they are on the wire."""
    found: dict[str, History] = defaultdict(lambda: History(defaultdict(int), defaultdict(int)))
    for event in events:
        if not event["type"].startswith("order."):
            continue
        assert event["type"] in {"order.completed", "order.refunded"}
        day = date.fromisoformat(event["occurred_at"][:10]).toordinal() - EPOCH
        sign = 1 if event["type"] == "order.completed" else -1
        history = found[event["account_id"]]
        history.revenue[day] += sign * int((Decimal(event["amount"]) * 100).to_integral_value("ROUND_HALF_EVEN"))
        history.orders[day] += sign == 1
    return found


def profits(events: list[dict[str, Any]], last: int) -> dict[str, int]:
    """Profit of the last 365 days, of events that all tell their cost."""
    found: dict[str, int] = defaultdict(int)
    for event in events:
        day = date.fromisoformat(event.get("occurred_at", "1970-01-01")[:10]).toordinal() - EPOCH
        if event["type"] == "order.completed" and last - YEAR_DAYS < day <= last:
            amount, cost = ((Decimal(event[name]) * 100).to_integral_value("ROUND_HALF_EVEN") for name in PRICES)
            found[event["account_id"]] += int(amount) - int(cost)
    return found


PRICES: Final = ("amount", "cost")


def abc(values: Mapping[str, int], a: Fraction = Fraction(4, 5), b: Fraction = Fraction(19, 20)) -> dict[str, str]:
    """Walk down from the largest; equal accounts hold the same place."""
    total = sum(value for value in values.values() if value > 0)
    classes: dict[str, str] = {}
    larger = ties = 0
    before: int | None = None
    for name, value in sorted(values.items(), key=lambda item: -item[1]):
        if value != before:
            larger, ties, before = larger + ties, 0, value
        ties += value
        if value <= 0:
            classes[name] = "C"
        else:
            share = Fraction(larger, total)
            classes[name] = "A" if share < a else "B" if share < b else "C"
    return classes


def xyz(history: History, last: int) -> str | None:
    """Sum blocks of the whole history, and take NumPy's deviation of the last twelve."""
    days = history.order_days()
    if not days:
        return None
    blocks = range(max(days[0] // BLOCK_DAYS, last // BLOCK_DAYS - 12), last // BLOCK_DAYS)
    sums = [history.within(block * BLOCK_DAYS, block * BLOCK_DAYS + BLOCK_DAYS - 1)[0] for block in blocks]
    if len(sums) < 3:
        return None
    mean = float(np.mean(sums))
    if mean <= 0:
        return "Z"
    variation = float(np.std(sums)) / mean
    return "X" if variation < 0.5 else "Y" if variation < 1 else "Z"


def rfm(all_of: Mapping[str, History], last: int) -> dict[str, tuple[int, int, int]]:
    """Score the accounts that ordered in 365 days by NumPy's quantiles, whose default is type 7."""
    first = last - YEAR_DAYS + 1
    rows = {}
    for name, history in all_of.items():
        revenue, orders = history.within(first, last)
        if orders > 0:
            rows[name] = (last - history.order_days()[-1], orders, revenue)
    cuts = np.quantile(np.array(list(rows.values())), [0.2, 0.4, 0.6, 0.8], axis=0)
    below = {name: (cuts < np.array(row)).sum(axis=0) for name, row in rows.items()}
    return {name: (5 - int(r), 1 + int(f), 1 + int(m)) for name, (r, f, m) in below.items()}


def mean_gap(all_of: Mapping[str, History]) -> float:
    """Mean over all gaps between order days of all accounts."""
    return float(np.mean(np.concatenate([np.diff(history.order_days()) for history in all_of.values()])))


def top_fifth_share(values: list[int]) -> float:
    """Share that the largest floor(0.2 N) of N values above 0 have of their sum."""
    ordered = sorted((value for value in values if value > 0), reverse=True)
    return sum(ordered[: len(ordered) // 5]) / sum(ordered)


def gini(values: list[int]) -> float:
    """Mean difference of all pairs over twice the mean."""
    ordered = np.array(sorted(value for value in values if value > 0), float)
    return float(np.abs(ordered[:, None] - ordered[None, :]).mean() / (2 * ordered.mean()))


def mid_ranks(values: Mapping[str, int]) -> dict[str, float]:
    """Share of the accounts below each, equal ones counted half."""
    ordered = np.sort(np.array(list(values.values())))
    return {
        name: float(np.searchsorted(ordered, value) + np.searchsorted(ordered, value, side="right")) / 2 / len(ordered)
        for name, value in values.items()
    }
