"""The peers' work, against the plainest way to do it: keep every order and add up again after each."""

import random
from datetime import date, timedelta
from typing import Final, NamedTuple

import pytest

from benchmarks.contenders import job

FIRST: Final = date(2024, 1, 1)


class Plain(NamedTuple):
    """One order, in minor units."""

    day: date
    revenue: int
    profit: int


def _orders(seed: int, *, late: bool) -> list[Plain]:
    rng = random.Random(seed)
    day = FIRST
    orders = []
    for _ in range(300):
        day += timedelta(days=rng.choice((0, 0, 1, 3, 10, 40)))
        shown = day - timedelta(days=rng.choice((0, 5, 80, 200))) if late and rng.random() < 0.3 else day
        revenue = rng.randrange(100, 200_000)
        orders.append(Plain(shown, revenue, revenue - rng.randrange(100, 150_000)))
    return orders


def _apply(state: job.State, order: Plain) -> job.Change | None:
    cost = order.revenue - order.profit
    return job.apply(state, job.Order("A", f"{order.day.isoformat()}T12:00:00.000Z", order.revenue / 100, cost / 100))


def _added_up(orders: list[Plain], days: int) -> list[int]:
    latest = max(order.day for order in orders)
    inside = [order for order in orders if order.day > latest - timedelta(days=days)]
    return [sum(order.revenue for order in inside), len(inside), sum(order.profit for order in inside)]


@pytest.mark.parametrize("late", [False, True], ids=["in order", "late ones among them"])
@pytest.mark.parametrize("seed", range(5))
def test_windows_are_what_adding_up_gives(seed: int, *, late: bool) -> None:
    """After each order, for each window: revenue, orders and profit."""
    state = job.State()
    counted: list[Plain] = []
    for order in _orders(seed, late=late):
        latest = max((one.day for one in counted), default=order.day)
        _apply(state, order)
        if order.day > latest - timedelta(days=job.HORIZON_DAYS):
            counted.append(order)

        assert state.sums == [value for days in job.WINDOW_DAYS for value in _added_up(counted, days)]


def test_a_change_of_tier_is_told_once() -> None:
    """Each change begins where the one before ended, and counts on."""
    state = job.State()
    changes = [change for order in _orders(1, late=False) if (change := _apply(state, order)) is not None]

    assert [one.sequence for one in changes] == list(range(1, len(changes) + 1))
    assert [one.old for one in changes] == ["D", *(one.new for one in changes[:-1])]
    assert changes[-1].new == state.tier


def test_a_state_survives_its_packing() -> None:
    """What the changelog holds is the state."""
    state = job.State()
    for order in _orders(2, late=True):
        _apply(state, order)

    assert job.decode_state(job.encode_state(state)) == state


def test_an_order_of_the_generator_is_read_whole() -> None:
    """The four fields that the work needs, of those that there are."""
    order = job.decode_order(
        '{"type":"order.completed","event_id":"e","account_id":"C1","order_id":"o",'
        '"occurred_at":"2024-02-29T10:00:00.000Z","amount":10.05,"cost":3.10,"currency":"EUR","channel":"web"}'
    )

    assert order == job.Order("C1", "2024-02-29T10:00:00.000Z", 10.05, 3.1)
