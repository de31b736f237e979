"""What it costs to evaluate one account, beside what it costs to validate one order, in the same run."""

import random
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final

from benchmarks.stand import Stand
from models.codec import pack
from models.events import ORDERS_ADAPTER
from models.policy import Policy
from models.portfolio import CutPoints
from models.state import AccountState
from processors.context import Context
from processors.evaluation import evaluate, plan, settle
from processors.portfolio.census import rows_of, take
from processors.portfolio.cutting import cut_points

_ORDER: Final = (
    b'{"type":"order.completed","event_id":"e-1","account_id":"A-1","occurred_at":"2026-01-31T10:11:12Z",'
    b'"order_id":"O-1","amount":"1234.50","currency":"EUR","cost":"987.60","product_lines":["pumps"]}'
)
_DAY: Final = 20_500
_YEAR: Final = 365
_ORDER_DAYS: Final = (20, 365)
_ROUNDS: Final = 15
_CALLS: Final = 2_000
_PORTFOLIO: Final = 2_000


def scenario(stand: Stand, scale: float, rate: int) -> dict[str, Any]:
    """Time both, in turns; microseconds of one core, medians, and their ratio."""
    del stand, rate
    calls = max(1, round(_CALLS * scale))
    context = _context()
    states = {days: _state(days, random.Random(days), context) for days in _ORDER_DAYS}
    timed: dict[str, Callable[[], object]] = {"validate_order": lambda: ORDERS_ADAPTER.validate_json(_ORDER)}
    for days, state in states.items():
        timed[f"evaluate_{days}_order_days"] = lambda state=state: _evaluate(state, context)  # type: ignore[misc]  # bound at once
    took: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(_ROUNDS):
        for name, call in timed.items():
            started = time.perf_counter()
            for _ in range(calls):
                call()
            took[name].append((time.perf_counter() - started) / calls * 1e6)
    found: dict[str, Any] = {f"{name}_microseconds": round(median(times), 2) for name, times in took.items()}
    for days in _ORDER_DAYS:
        ratios = [
            one / order for one, order in zip(took[f"evaluate_{days}_order_days"], took["validate_order"], strict=True)
        ]
        found[f"{days}_order_days_in_validations"] = round(median(ratios), 2)
    return found


def _context() -> Context:
    policy = Policy(reporting_currency="EUR")
    bare = Context(policy)
    others = [_state(1 + number % 40, random.Random(number), bare) for number in range(_PORTFOLIO)]
    cuts: CutPoints = cut_points([take(rows_of(map(pack, others)), _DAY)], 1, policy.classes)
    return Context(policy, cuts=cuts)


def _state(days: int, numbers: random.Random, context: Context) -> AccountState:
    """Make an account with an order on each of as many days of the last year, with costs."""
    state = AccountState(f"A-{days}")
    state.days = sorted(numbers.sample(range(_DAY - _YEAR + 1, _DAY + 1), days))
    state.orders = [1] * days
    state.revenue_minor = [numbers.randint(100, 1_000_000) for _ in range(days)]
    state.costed_revenue_minor = list(state.revenue_minor)
    state.cost_minor = [one * 7 // 10 for one in state.revenue_minor]
    state.lifetime_orders = days
    state.lifetime_revenue_minor = state.lifetime_costed_revenue_minor = sum(state.revenue_minor)
    state.lifetime_cost_minor = sum(state.cost_minor)
    _evaluate(state, context)
    return state


def _evaluate(state: AccountState, context: Context) -> None:
    """Judge an account, write it into the state, and find the day on which it is due next."""
    settle(state, evaluate(state, _DAY, context), 0, context)
    plan(state)
