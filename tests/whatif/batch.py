"""The tiers of a whole history at once, by NumPy and from the list of all orders: nothing of the product's in it.

Written from docs/semantics.md, for histories of orders and refunds alone, the default scorecard, and cut points that
stay. An account's score is looked at on every day, and on days of several events after each of them.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

YEAR: Final = 365
HALF: Final = 182
WEEK: Final = 7
TENURE: Final = 5 * 365.25
DWELL: Final = 30
EPOCH: Final = date(1970, 1, 1).toordinal()
UNITS: Final = {"revenue": 360, "profit": 300, "growth": 45, "tenure": 30, "regularity": 30}
"""Of a part, in twelfths of a weight: 30 and 25 for one part, 15 for four and for six."""
UNSURE: Final = 0.3
SURE: Final = 0.5
LADDER: Final = ("key", "growth", "standard", "basic")


class Orders(NamedTuple):
    """What one account did, an entry for each event, in the order of their time."""

    day: Integers
    revenue: Integers
    cost: Integers
    is_order: Integers


class Cuts(NamedTuple):
    """What accounts are compared with: the year's figures of the active ones, and which parts they have."""

    revenue: Integers
    profit: Integers | None
    gap_days: float
    shares: dict[str, int]
    """Ten-thousandths of the active accounts that have a part."""


class Bounds(NamedTuple):
    """Of key, growth, standard: where they are entered and left, in hundredths."""

    enter: tuple[int, int, int] = (7100, 5000, 2500)
    leave: tuple[int, int, int] = (6600, 4500, 2000)


def orders_of(events: Sequence[dict[str, Any]]) -> dict[str, Orders]:
    """Read orders and refunds as they are on the wire."""
    found: dict[str, list[tuple[int, int, int, int]]] = defaultdict(list)
    for event in events:
        sign = 1 if event["type"] == "order.completed" else -1
        assert sign == 1 or event["type"] == "order.refunded"
        day = date.fromisoformat(event["occurred_at"][:10]).toordinal() - EPOCH
        amount, cost = (int((Decimal(event.get(name, "0")) * 100).to_integral_value()) for name in ("amount", "cost"))
        found[event["account_id"]].append((day, sign * amount, sign * cost, int(sign == 1)))
    return {name: Orders(*np.array(rows, np.int64).T) for name, rows in found.items()}


def cuts_of(all_of: dict[str, Orders], last_day: int, *, costs: bool) -> Cuts:
    """Compare the accounts as of a day."""
    revenue, profit, gaps, have = [], [], [], dict.fromkeys(UNITS, 0)
    for one in all_of.values():
        days = np.unique(one.day[one.is_order > 0])
        gaps.append(np.diff(days))
        inside = one.day > last_day - YEAR
        if not one.is_order[inside].any():
            continue
        revenue.append(int(one.revenue[inside].sum()))
        profit.append(revenue[-1] - int(one.cost[inside].sum()))
        for name in ("revenue", "tenure", *(["profit"] if costs else [])):
            have[name] += 1
        have["growth"] += revenue[-1] > 0
        have["regularity"] += int((days > last_day - YEAR).sum()) >= 4
    shares = {name: round(round(count / len(revenue), 4) * 10_000) for name, count in have.items()}
    values = np.sort(np.array(revenue)), np.sort(np.array(profit))
    return Cuts(values[0], values[1] if costs else None, float(np.mean(np.concatenate(gaps))), shares)


def contribution(figures: Integers, values: Floats | Integers) -> Floats:
    """Score figures among the active accounts: half by mid-rank, half by size; in steps of a hundredth."""
    ranks = (np.searchsorted(figures, values) + np.searchsorted(figures, values, side="right")) / 2 / len(figures)
    q50, q99 = np.quantile(figures, [0.5, 0.99])
    q50 = q50 if q50 > 0 else np.quantile(figures[figures > 0], 0.5)
    size = np.clip(np.log(np.maximum(values, 1) / q50) / np.log(q99 / q50), 0, 1)
    return np.where(values > 0, np.rint(5000 * ranks + 5000 * size) / 100, 0.0)


class Scored(NamedTuple):
    """One account's score in hundredths and confidence, at each time that it was looked at."""

    day: Integers
    score: Integers
    confidence: Floats


def scores(one: Orders, cuts: Cuts, last_day: int) -> Scored:
    """Score an account on every day from its first event on; before its first order there is nothing to score."""
    days, counts = _looks(one, last_day)
    if not one.is_order.any():
        return Scored(days, np.zeros(len(days), np.int64), np.zeros(len(days)))
    upto = {name: np.concatenate([[0], np.cumsum(getattr(one, name))]) for name in ("revenue", "cost", "is_order")}

    def within(name: str, window: int, before: int = 0) -> Integers:
        low, high = (np.searchsorted(one.day, days - shift, side="right") for shift in (before + window, before))
        sums: Integers = upto[name][np.minimum(high, counts)] - upto[name][np.minimum(low, counts)]
        return sums

    revenue = within("revenue", YEAR)
    parts: dict[str, Floats] = {"revenue": contribution(cuts.revenue, revenue)}
    if cuts.profit is not None:
        parts["profit"] = contribution(cuts.profit, revenue - within("cost", YEAR))
    quarter = revenue / 4
    late = np.maximum(within("revenue", HALF), 0) + quarter
    early = np.maximum(within("revenue", HALF, HALF), 0) + quarter
    with np.errstate(invalid="ignore", divide="ignore"):
        growth = np.clip((late / (late + early) - 1 / 6) / (4 / 6), 0, 1) * 100
    parts["growth"] = np.where(revenue > 0, growth, np.nan)
    parts["tenure"], parts["regularity"] = _rhythm(one, cuts, days, counts)
    has_ordered = counts > np.flatnonzero(one.is_order)[0]
    parts = {name: np.where(has_ordered, part, np.nan) for name, part in parts.items()}
    return Scored(days, *_weighed(parts, cuts))


def _looks(one: Orders, last_day: int) -> tuple[Integers, Integers]:
    """Give the days of all looks, and how many events have come by each: as the day begins, and after each event."""
    all_days = np.arange(one.day[0] + 1, last_day + 1)
    days = np.concatenate([all_days, one.day])
    counts = np.concatenate([np.searchsorted(one.day, all_days), np.arange(1, len(one.day) + 1)])
    order = np.lexsort((counts, days))
    return days[order], counts[order]


def _rhythm(one: Orders, cuts: Cuts, days: Integers, counts: Integers) -> tuple[Floats, Floats]:
    is_order = one.is_order.astype(bool)
    places = np.flatnonzero(is_order)
    # Of the orders of a day the first: a refund before it is no order.
    is_new = np.zeros(len(one.day), bool)
    is_new[places[np.concatenate([[True], np.diff(one.day[places]) > 0])]] = True
    order_days = one.day[is_new]
    known = np.concatenate([[0], np.cumsum(is_new)])[counts]
    first, last = order_days[0], order_days[known - 1]
    gap = (last - first + cuts.gap_days) / np.maximum(known, 1)
    rest = last + np.ceil(np.maximum(180, 3 * gap)).astype(np.int64)
    tenure = np.clip((np.minimum(days, rest) - first) // WEEK * WEEK / TENURE, 0, 1) * 100

    low = np.searchsorted(order_days, days - YEAR, side="right")
    squares = np.concatenate([[0], np.cumsum(np.diff(order_days) ** 2)])
    count = known - 1 - low
    low = np.minimum(low, known - 1)
    total = last - order_days[low]
    spread = count * (squares[known - 1] - squares[low]) - total**2
    with np.errstate(invalid="ignore", divide="ignore"):
        regularity = np.maximum(0, 1 - np.sqrt(np.maximum(spread, 0)) / total) * 100
    return tenure, np.where(count >= 3, regularity, np.nan)


def _weighed(parts: dict[str, Floats], cuts: Cuts) -> tuple[Integers, Floats]:
    components = [["revenue"], ["profit"], ["growth"], ["tenure", "regularity"]]
    held = np.zeros(len(parts["revenue"]), np.int64)
    weight, missing = np.zeros_like(held), np.zeros_like(held)
    for names in components:
        present = [name for name in names if name in parts]
        table = np.array([parts[name] for name in present] or [np.full(len(held), np.nan)])
        here = ~np.isnan(table)
        count = here.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(count > 0, np.rint(np.nansum(table, axis=0) * 100 / count), 0).astype(np.int64)
        unit = UNITS[names[0]]
        held, weight = held + unit * count * mean, weight + unit * count
        for name in names:
            there = ~np.isnan(parts[name]) if name in parts else np.zeros(len(held), bool)
            missing += np.where(there, 0, UNITS[name] * cuts.shares[name])
    confidence: Floats = np.round(10_000 * weight / (10_000 * weight + missing), 4).astype(np.float64)
    return (2 * held + weight) // np.maximum(2 * weight, 1), confidence


def last_tier(found: Scored, bounds: Bounds) -> str:
    """Grade one account through all its time."""
    tier, since = "", [-1, -1, -1]
    score, confidence = 0, 0.0
    for day, next_score, next_confidence in _changes(found):
        # A dwell time may end before the score changes.
        for end in sorted({one + DWELL for one in since if one >= 0 and one + DWELL < day}):
            tier = _graded(tier, since, end, (score, confidence), bounds)
        score, confidence = next_score, next_confidence
        if confidence < UNSURE:
            tier, since = "unrated", [-1, -1, -1]
            continue
        below = zip(since, bounds.leave, strict=True)
        since = [-1 if score >= leave else (day if one < 0 else one) for one, leave in below]
        tier = _graded(tier, since, day, (score, confidence), bounds)
    return tier


def _changes(found: Scored) -> Iterator[tuple[int, int, float]]:
    is_new = np.concatenate([[True], (np.diff(found.score) != 0) | (np.diff(found.confidence) != 0)])
    is_new[-1] = True
    yield from zip(*(column[is_new].tolist() for column in found), strict=True)


def _graded(tier: str, since: list[int], day: int, graded: tuple[int, float], bounds: Bounds) -> str:
    score, confidence = graded
    entered = sum(score < bound for bound in bounds.enter)
    held = LADDER.index(tier) if tier in LADDER else 3
    while held < entered and since[held] >= 0 and day - since[held] >= DWELL:
        held += 1
    held = min(held, entered)
    return "growth" if held == 0 and confidence < SURE else LADDER[held]
