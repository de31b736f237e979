"""Classes of the published histories: those of a batch over the list of all events, for every account."""

from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from models.codec import NO_BUDGET, NO_PROFIT, pack, unpack
from models.policy import Classes
from models.portfolio import KNOTS_MAX, CutPoints, Distribution, decode_census, encode_census, encode_cut_points
from processors import classes
from processors.account import advance
from processors.portfolio import ranking
from processors.portfolio.census import ROW, Counted, publishable, published, take
from processors.portfolio.cutting import concentration, cut_points
from processors.portfolio.points import RELATIVE_ERROR, points_of
from stream.importers.presets import Preset
from tests.importers.running import run_preset
from tests.portfolio import batch
from tests.portfolio.published import Portfolio, portfolio

SMALL: Final = ("Online Retail", "CDNOW sample", "AdventureWorks resellers")
Of = Callable[[str], Portfolio]


@pytest.fixture(scope="module")
def of(data_dir: Path) -> Of:
    """Each history, replayed once."""
    return cache(partial(portfolio, data_dir))


def year_revenue(found: Portfolio) -> dict[str, int]:
    """Revenue of the accounts that ordered in the last 365 days, from the events."""
    sums = {
        name: one.within(found.last_day - batch.YEAR_DAYS + 1, found.last_day)
        for name, one in batch.histories(found.events).items()
    }
    return {name: revenue for name, (revenue, orders) in sums.items() if orders > 0}


def mid_rank(distribution: Distribution, value: int) -> float:
    """Share of the accounts below a value, those at it counted half."""
    below, at = ranking.at_or_below(distribution, value)
    return (below + at / 2) / distribution.accounts


@pytest.mark.parametrize("name", SMALL)
def test_abc_by_revenue_equals_the_batch_for_every_account(of: Of, name: str) -> None:
    """One worker draws the bounds exactly; so do three, whose partitions have few distinct values."""
    found = of(name)
    expected = batch.abc(year_revenue(found))

    for one_worker in (True, False):
        cuts = found.cuts(one_worker=one_worker)
        classed = {name: classes.abc(cuts.revenue, found.states[name].year_revenue_minor) for name in expected}
        assert classed == expected
        assert cuts.relative_error == 0
        assert cuts.revenue is not None
        assert cuts.revenue.class_accounts == tuple(map(list(expected.values()).count, "ABC"))
    assert set(expected.values()) == set("ABC")


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.75), (0.05, 0.999)])
def test_abc_goes_by_the_bounds_of_the_policy(of: Of, a: float, b: float) -> None:
    """Other shares of the total than the default ones draw other bounds, by revenue and by profit."""
    found = of("AdventureWorks resellers")
    policy = Classes(abc_a=a, abc_b=b)
    cuts = cut_points(found.censuses, 1, policy)
    shares = Fraction(str(a)), Fraction(str(b))
    revenues = year_revenue(found)
    profits = batch.profits(found.events, found.last_day)

    states = {name: one for name, one in found.states.items() if name in revenues}
    by_revenue = {name: classes.abc(cuts.revenue, one.year_revenue_minor) for name, one in states.items()}
    by_profit = {name: classes.abc(cuts.profit, one.year_profit_minor) for name, one in states.items()}
    assert by_revenue == batch.abc(revenues, *shares) != batch.abc(revenues)
    assert by_profit == batch.abc(profits, *shares) != batch.abc(profits)


def test_abc_by_profit_equals_the_batch_for_every_reseller(of: Of) -> None:
    """Half of the resellers lose money: they are in class C, and totals are of those that do not."""
    found = of("AdventureWorks resellers")
    active = year_revenue(found)
    expected = batch.abc(batch.profits(found.events, found.last_day))
    cuts = found.cuts(one_worker=True)

    assert set(expected) == set(active)
    assert expected == {name: classes.abc(cuts.profit, found.states[name].year_profit_minor) for name in expected}
    assert cuts.profit is not None
    assert cuts.profit.q50 > 0, "the median of those above 0, as the median itself is a loss"


@pytest.mark.parametrize("name", SMALL)
def test_xyz_equals_the_batch_for_every_account(of: Of, name: str) -> None:
    """Twelve whole blocks, although the horizon begins within the first of them."""
    found = of(name)
    expected = {name: batch.xyz(one, found.last_day) for name, one in batch.histories(found.events).items()}

    assert {name: found.xyz(found.states[name]) for name in expected} == expected
    assert name != "Online Retail" or set(expected.values()) == {"X", "Y", "Z", None}


@pytest.mark.parametrize("name", SMALL)
def test_rfm_equals_the_batch_for_every_account(of: Of, name: str) -> None:
    """The three scores are those of NumPy's quantiles."""
    found = of(name)
    histories = batch.histories(found.events)
    expected = batch.rfm(histories, found.last_day)

    for one_worker in (True, False):
        cuts = found.cuts(one_worker=one_worker)
        for account_id, scores in expected.items():
            state = found.states[account_id]
            recency = found.last_day - histories[account_id].order_days()[-1]
            scored = classes.rfm(cuts.rfm, recency, state.year_orders, state.year_revenue_minor)
            assert scored is not None
            assert scored[:3] == scores
        assert cuts.active_accounts == len(expected)
        assert cuts.accounts == len(found.states)
        assert cuts.mean_gap_days == pytest.approx(batch.mean_gap(histories), rel=1e-12)


@pytest.mark.parametrize("name", SMALL)
def test_ranks_and_shares_equal_the_batch(of: Of, name: str) -> None:
    """Mid-rank, rank and share of every account, and how concentrated the portfolio is.

    The largest are ranked exactly; the others of a portfolio of more than 2,000 distinct values within a stated error.
    """
    found = of(name)
    revenues = year_revenue(found)
    cuts = found.cuts(one_worker=True)
    assert cuts.revenue is not None
    assert cuts.concentration is not None
    ordered = sorted(revenues.values(), reverse=True)
    total = sum(revenue for revenue in ordered if revenue > 0)

    for account_id, expected in batch.mid_ranks(revenues).items():
        revenue = revenues[account_id]
        place = 1 + ordered.index(revenue)
        error = cuts.revenue.rank_error if place > KNOTS_MAX // 2 else 0
        assert mid_rank(cuts.revenue, revenue) == pytest.approx(expected, abs=error + 1e-12)
        assert ranking.rank(cuts.revenue, revenue) == pytest.approx(place, abs=error * len(ordered))
        assert ranking.share(cuts.revenue, revenue) == max(0, revenue) / total
    assert cuts.revenue.rank_error < (0.002 if name == "Online Retail" else 1e-12)
    assert cuts.revenue.q99 == pytest.approx(float(np.quantile(ordered, 0.99)))
    assert cuts.revenue.q50 == pytest.approx(float(np.quantile(ordered, 0.5)))
    assert cuts.concentration.top_share == ordered[0] / total
    assert cuts.concentration.gini == pytest.approx(batch.gini(ordered), abs=1e-9)


PUBLISHED_SHARES: Final = [
    # set, of the last 365 days, of the whole history
    ("Online Retail", 0.732, 0.734),
    ("AdventureWorks resellers", 0.629, 0.667),
]


@pytest.mark.parametrize(("name", "year", "lifetime"), PUBLISHED_SHARES)
def test_the_top_fifth_brings_what_is_known_of_it(of: Of, name: str, year: float, lifetime: float) -> None:
    """The best fifth of the accounts with revenue brings as much as is known of these histories, net of returns."""
    found = of(name)
    cuts = found.cuts(one_worker=True)
    whole = concentration(points_of(np.array([one.lifetime_revenue_minor for one in found.states.values()])))
    assert cuts.concentration is not None
    assert whole is not None

    assert round(cuts.concentration.top_fifth_share, 3) == year
    assert cuts.concentration.top_fifth_share == pytest.approx(
        batch.top_fifth_share(list(year_revenue(found).values()))
    )
    assert round(whole.top_fifth_share, 3) == lifetime


@pytest.fixture(scope="module")
def master(data_dir: Path) -> tuple[dict[str, batch.History], int]:
    """CDNOW's 23,570 accounts, and the last day: as events, without the core."""
    events = run_preset(Preset.CDNOW, data_dir / "CDNOW_master.txt").events
    histories = batch.histories(events)
    return histories, max(history.order_days()[-1] for history in histories.values())


def test_a_large_portfolio_is_described_within_the_stated_error(
    master: tuple[dict[str, batch.History], int],
) -> None:
    """Published as buckets, values are within 1 % and ranks within what is said; both fit into a small record."""
    histories, last_day = master
    census = take(batch_rows(histories, last_day), last_day)
    exact, merged = (
        cut_points([one], 1, Classes())
        for one in (census, published(decode_census(encode_census(publishable(census)))))
    )
    assert exact.concentration is not None
    assert exact.rfm is not None
    assert merged.rfm is not None
    assert (exact.accounts, exact.relative_error, merged.relative_error) == (23_570, 0, RELATIVE_ERROR)
    assert round(exact.concentration.top_fifth_share, 3) == 0.635
    lifetime = [sum(history.revenue.values()) for history in histories.values()]
    whole = concentration(points_of(np.array(lifetime)))
    assert whole is not None
    assert round(whole.top_fifth_share, 3) == 0.677
    assert merged.rfm.revenue_minor == pytest.approx(exact.rfm.revenue_minor, rel=RELATIVE_ERROR)
    assert (merged.rfm.orders, merged.rfm.recency_days) == (exact.rfm.orders, exact.rfm.recency_days)
    first = last_day - batch.YEAR_DAYS + 1
    sums = {name: one.within(first, last_day) for name, one in histories.items()}
    ranks = batch.mid_ranks({name: revenue for name, (revenue, orders) in sums.items() if orders > 0})
    for cuts, rank_error in ((exact, 0.002), (merged, 0.01)):
        revenue = cuts.revenue
        assert revenue is not None
        assert revenue.rank_error < rank_error
        assert len(revenue.values) <= KNOTS_MAX
        assert len(encode_cut_points(cuts)) < 65_536
        for name, expected in ranks.items():
            found = mid_rank(revenue, sums[name][0])
            assert found == pytest.approx(expected, abs=revenue.rank_error)
    assert merged.revenue is not None
    assert exact.revenue is not None
    _check_classes(exact, merged, histories, last_day)
    for name in ("q50", "q99", "a_from", "b_from"):
        assert getattr(merged.revenue, name) == pytest.approx(getattr(exact.revenue, name), rel=2 * RELATIVE_ERROR)


def _check_classes(exact: CutPoints, merged: CutPoints, histories: dict[str, batch.History], last_day: int) -> None:
    """Compare ABC and RFM of every account: exact, and but for those at a bound also of buckets."""
    first = last_day - batch.YEAR_DAYS + 1
    sums = {name: one.within(first, last_day) for name, one in histories.items()}
    revenues = {name: revenue for name, (revenue, orders) in sums.items() if orders > 0}
    by_revenue, scores = batch.abc(revenues), batch.rfm(histories, last_day)
    differ = 0
    for cuts in (exact, merged):
        assert cuts.revenue is not None
        assert cuts.rfm is not None
        bounds = [cuts.revenue.a_from, cuts.revenue.b_from, *cuts.rfm.revenue_minor]
        for name, revenue in revenues.items():
            recency = last_day - histories[name].order_days()[-1]
            cell = classes.rfm(cuts.rfm, recency, sums[name][1], revenue)
            assert cell is not None
            if (classes.abc(cuts.revenue, revenue), cell[:3]) != (by_revenue[name], scores[name]):
                differ += 1
                near = min(abs(revenue - bound) / bound for bound in bounds if bound)
                assert cuts is merged
                assert near <= 2 * RELATIVE_ERROR
    assert differ < 0.05 * len(revenues)


def over_the_wire(census: Counted) -> Counted:
    """Publish a census and read it back."""
    return published(decode_census(encode_census(publishable(census))))


def batch_rows(histories: dict[str, batch.History], last_day: int) -> bytes:
    """Write the figures of histories as packed states have them."""
    table = np.zeros(len(histories), ROW)
    table["profit_minor"], table["budget_minor"] = NO_PROFIT, NO_BUDGET
    first = last_day - batch.YEAR_DAYS + 1
    for row, history in zip(table, histories.values(), strict=True):
        row["revenue_minor"], row["orders"] = history.within(first, last_day)
        days = history.order_days()
        row["order_days"], row["first_order_day"], row["last_order_day"] = len(days), days[0], days[-1]
    return table.tobytes()


@pytest.mark.parametrize(
    ("name", "share"), [("Online Retail", 50), ("CDNOW sample", 35), ("AdventureWorks resellers", 28)]
)
def test_key_accounts_bring_what_key_accounts_bring(of: Of, name: str, share: int) -> None:
    """Graded for the first time on the last day, by the default policy: the share that docs/semantics.md tells."""
    found = of(name)
    context = found.context.with_cuts(found.cuts(one_worker=True))
    revenue: Counter[str | None] = Counter()
    for state in found.states.values():
        graded = unpack(pack(state))
        advance(graded, context.end_of_day_ms(found.last_day), context)
        revenue[graded.tier] += max(0, graded.year_revenue_minor)

    assert round(100 * revenue["key"] / revenue.total()) == share
