"""The relative classes, case by case: bounds that are met exactly, equal accounts, losses, and time alone."""

from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.outputs import AccountType, Lifecycle, RfmSegment
from models.policy import Classes
from models.portfolio import CutPoints, Distribution, RfmCuts
from processors import classes
from processors.classes import (
    NOTHING_OLDER,
    RFM_SEGMENTS,
    Life,
    Older,
    Standing,
)
from processors.portfolio import ranking
from processors.portfolio.cutting import cut_points, distribution
from processors.portfolio.points import points_of
from tests.support.tables import Row, table

POLICY: Final = Classes()
CUTS: Final = RfmCuts((10, 20, 30, 40), (1, 1, 2, 3), (500, 900, 1500, 4000))


def whole(text: str) -> list[int]:
    """Read numbers divided by spaces; `4x25` is four times 25."""
    found: list[int] = []
    for word in text.split():
        times, _, value = word.rpartition("x")
        found += [int(value)] * int(times or 1)
    return found


def ranked(text: str) -> Distribution | None:
    """Describe the accounts that have these values."""
    return distribution(points_of(np.array(whole(text), np.int64)), POLICY)


@table("""
| case                                        | values          | classes   |
| larger ones hold exactly 80 %: no longer A  | 80 15 5         | A B C     |
| just under it the next is still A           | 79 16 5         | A A C     |
| the one that crosses is in the higher class | 50 31 15 4      | A A B C   |
| equal accounts share a class                | 4x25            | A A A A   |
| equal ones across the bound, too            | 60 10 10 10 10  | A A A A A |
| one account                                 | 7               | A         |
| one brings nearly all                       | 98 1 1          | A C C     |
| nothing and less are C                      | 10 0 -5         | A C C     |
| a loss takes nothing from the total         | 80 20 -100      | A B C     |
| nobody brings anything                      | 0 0 -3          | C C C     |
""")
def test_abc(row: Row) -> None:
    """A while strictly larger accounts hold under 80 % of the positive total, B under 95 %, else C."""
    values = whole(row["values"])
    found = ranked(row["values"])

    assert [str(classes.abc(found, value)) for value in values] == row["classes"].split()


def test_abc_without_a_portfolio_is_unknown() -> None:
    """So it is for a figure that is not known; a value between two accounts is classed as the smaller would be."""
    found = ranked("79 16 5")

    assert classes.abc(None, 5) is None
    assert classes.abc(found, None) is None
    assert [str(classes.abc(found, value)) for value in (100, 78, 16, 15, 6, 4)] == ["A", "A", "A", "C", "C", "C"]


@table("""
| case                                   | blocks        | class |
| the same each time                     | 5 5 5         | X     |
| half of the mean is no longer X        | 1 3 1 3       | Y     |
| just under it                          | 1001 2999     | X     |
| as much as the mean is no longer Y     | 0 2 0 2       | Z     |
| just under it                          | 1 2999 1 2999 | Y     |
| one order in a year                    | 900 11x0      | Z     |
| nothing                                | 3x0           | Z     |
| more returned than bought              | 5 -9 2        | Z     |
""")
def test_xyz(row: Row) -> None:
    """The coefficient of variation decides, ddof 0; a bound that is met exactly belongs to the less even class."""
    sums = whole(row["blocks"])
    policy = Classes(xyz_blocks_min=2)

    assert classes.xyz(sums, policy) == row["class"]


@table("""
| case                                          | days   | first | older | as of | blocks            |
| the block of the first order counts           | 70 95  | 70    |       | 121   | 10 20             |
| the last day of a block is not behind it      | 70 95  | 70    |       | 119   | 10                |
| empty blocks between count                    | 35 95  | 35    |       | 121   | 10 0 20           |
| no complete block yet                         | 62     | 62    |       | 89    |                   |
| no order                                      |        |       |       | 500   |                   |
| at most twelve, the day's own left out        | 31 420 | 31    |       | 434   | 11x0 0            |
| the day's own block is not among them         | 400    | 31    |       | 419   | 12x0              |
| what is older completes the first             | 61     | 20    | 2 7   | 424   | 17 11x0           |
| older than the first block is left out        | 100    | 20    | 1 7   | 424   | 0 10 10x0         |
""")
def test_blocks(row: Row) -> None:
    """Complete blocks of thirty days since the first order, the last twelve at most, each day bringing 10 more."""
    days = whole(row["days"])
    amounts = [10 * (index + 1) for index in range(len(days))]
    as_of = int(row["as of"])
    older = Older(*whole(row["older"])) if row["older"] else NOTHING_OLDER
    first = int(row["first"]) if row["first"] else None

    assert classes.blocks(days, amounts, older, first, range(as_of - 364, as_of + 1)) == whole(row["blocks"])


@table("""
| case                        | recency | orders | revenue | r f m |
| at every cut point          | 10      | 1      | 500     | 5 1 1 |
| just behind each            | 11      | 2      | 501     | 4 3 2 |
| cut points that are equal   | 20      | 1      | 900     | 4 1 2 |
| best                        | 0       | 4      | 4001    | 5 5 5 |
| worst                       | 41      | 1      | -10     | 1 1 1 |
""")
def test_rfm_scores(row: Row) -> None:
    """One more than the cut points strictly below; days since the last order the other way round."""
    found = classes.rfm(CUTS, int(row["recency"]), int(row["orders"]), int(row["revenue"]))

    assert found is not None
    assert list(found[:3]) == whole(row["r f m"])


@table("""
| segment            | cells                       |
| champions          | 555 544 554                 |
| loyal              | 541 553 455 451 345 351     |
| cannot_lose        | 144 255                     |
| at_risk            | 131 153 243 114 225         |
| hibernating        | 111 123 213 222             |
| needs_attention    | 331 335                     |
| about_to_sleep     | 311 325                     |
| new                | 511 515                     |
| promising          | 411 415                     |
| potential_loyalist | 421 435 521 535             |
""")
def test_rfm_segments(row: Row) -> None:
    """The first row of the table that holds names a cell; each of the 125 has a name, and each name a cell."""
    for cell in row["cells"].split():
        recency, frequency, monetary = map(int, cell)
        segments = [
            one.segment
            for one in RFM_SEGMENTS
            if recency in one.recency and frequency in one.frequency and monetary in one.monetary
        ]
        assert segments[0] == row["segment"]
    assert {one.segment for one in RFM_SEGMENTS} == set(RfmSegment)


def test_rfm_of_who_did_not_order_is_unknown() -> None:
    """So it is before the first census."""
    assert classes.rfm(CUTS, None, 0, 0) is None
    assert classes.rfm(CUTS, 3, 0, 100) is None
    assert classes.rfm(None, 3, 1, 100) is None


def portfolio() -> CutPoints:
    """A portfolio in which 1,000 of profit are brought, with a budget and support of some."""
    empty = cut_points([], 3, POLICY)
    profit = distribution(points_of(np.array([100, 900, -400], np.int64)), POLICY)
    fields = {name: getattr(empty, name) for name in empty.__struct_fields__}
    fields |= {"profit": profit, "rfm": CUTS, "budget_top_fifth_minor": 1000, "support_top_tenth_millionths": 500_000}
    return CutPoints(**fields)


NOBODY_SPECIAL: Final = Standing(0, None, 0, 0, None, None, None)


@table("""
| case                                  | fields                                                    | types            |
| a tenth of the profit                 | profit_minor=100                                          | breadwinner      |
| a little less                         | profit_minor=99                                           |                  |
| a loss                                | profit_minor=-100                                         |                  |
| young with a large budget             | age_days=179 budget_minor=1001                            | prospective      |
| no longer young                       | age_days=180 budget_minor=1001                            |                  |
| a budget at the cut point             | age_days=1 budget_minor=1000                              |                  |
| of an unknown age                     | budget_minor=5000                                         |                  |
| a known brand                         | brand_influence=80                                        | image_maker      |
| a less known one                      | brand_influence=79                                        |                  |
| asks much and buys much               | support_events=3 orders=5 revenue_minor=4001              | demanding_expert |
| asks as much as the tenth             | support_events=2 orders=4 revenue_minor=4001              |                  |
| asks much and buys less               | support_events=3 orders=5 revenue_minor=4000              |                  |
| asks without an order                 | support_events=3 orders=0 revenue_minor=4001              |                  |
""")
def test_account_types(row: Row) -> None:
    """In the top fifth or tenth is who is above its cut point; a tenth of the profit is enough to be a breadwinner."""
    fields = dict(one.split("=") for one in row["fields"].split())
    standing = NOBODY_SPECIAL._replace(**{name: int(value) for name, value in fields.items()})

    assert list(classes.account_types(portfolio(), standing, POLICY)) == row["types"].split()


def test_account_types_without_a_portfolio() -> None:
    """Only what needs no comparison is known before the first census."""
    standing = Standing(10**9, 10**9, 3, 9, 1, 10**9, 90.0)

    assert classes.account_types(None, standing, POLICY) == (AccountType.IMAGE_MAKER,)
    assert classes.account_types(cut_points([], 1, POLICY), standing, POLICY) == (AccountType.IMAGE_MAKER,)


@table("""
| case                                   | first | last | lost | recovered | growth | as of | phase     |
| never ordered                          |       |      | no   |           |        | 400   | prospect  |
| lost before all else                   | 350   | 400  | yes  | 390       | 0.9    | 400   | lost      |
| back for less than ninety days         | 0     | 300  | no   | 311       | 0.1    | 400   | recovered |
| back for ninety days                   | 0     | 390  | no   | 310       | 0.1    | 400   | declining |
| silent for more than two gaps          | 390   | 359  | no   |           | 0.9    | 400   | dormant   |
| silent for two gaps                    | 0     | 360  | no   |           | 0.9    | 400   | growing   |
| first order less than ninety days ago  | 311   | 390  | no   |           | 0.1    | 400   | new       |
| first order ninety days ago            | 310   | 390  | no   |           | 0.1    | 400   | declining |
| growth at the lower bound              | 0     | 390  | no   |           | 0.4    | 400   | steady    |
| growth at the upper bound              | 0     | 390  | no   |           | 0.6    | 400   | steady    |
| growth above it                        | 0     | 390  | no   |           | 0.61   | 400   | growing   |
| growth unknown                         | 0     | 390  | no   |           |        | 400   | steady    |
""")
def test_lifecycle(row: Row) -> None:
    """The first phase that holds, with a gap of twenty days of its own."""
    number = {name: int(row[name]) if row[name] else None for name in ("first", "last", "recovered")}
    growth = float(row["growth"]) if row["growth"] else None
    life = Life(number["first"], number["last"], 20.0, row["lost"] == "yes", number["recovered"], growth)

    assert classes.lifecycle(life, int(row["as of"]), POLICY) is Lifecycle(row["phase"])


DAYS: Final = st.integers(0, 900)


@given(st.lists(st.tuples(DAYS, st.integers(-50, 200)), max_size=6), st.integers(0, 900))
def test_xyz_keeps_its_class_until_its_edge(rows: list[tuple[int, int]], as_of: int) -> None:
    """No day before the one that is named brings another class."""
    kept = {day: amount for day, amount in sorted(rows) if as_of - 364 <= day <= as_of and amount}
    first = min((day for day, _ in rows if day <= as_of), default=None)

    def sums(day: int) -> list[int]:
        return classes.blocks(list(kept), list(kept.values()), NOTHING_OLDER, first, range(as_of - 364, day + 1))

    edge = classes.xyz_edge_day(list(kept), sums(as_of), first, as_of, POLICY)
    for day in range(as_of + 1, as_of + 200 if edge is None else edge):
        assert classes.xyz(sums(day), POLICY) == classes.xyz(sums(as_of), POLICY)
    assert edge is None or as_of < edge <= as_of + 30


@given(st.lists(st.integers(0, 200), min_size=4, max_size=4), DAYS, DAYS, st.floats(1, 90))
def test_recency_and_phase_hold_until_their_edge(days: list[int], first: int, since: int, gap: float) -> None:
    """No day before the one that is named brings another score or phase, and on the days named they may."""
    cuts = RfmCuts((days[0], days[0] + days[1] / 2, 300.5, 400), CUTS.orders, CUTS.revenue_minor)
    life = Life(first, first + days[2], gap, lost=False, recovered_day=first + days[3], growth=0.5)
    assert life.last_order_day is not None
    last = life.last_order_day
    as_of = last + since
    edge = classes.rfm_edge_day(cuts, last, as_of)
    for day in range(as_of + 1, as_of + 100 if edge is None else edge):
        assert classes.rfm(cuts, day - last, 1, 1) == classes.rfm(cuts, since, 1, 1)
    assert edge is None or classes.rfm(cuts, edge - last, 1, 1) != classes.rfm(cuts, edge - last - 1, 1, 1)
    phase_edge = classes.lifecycle_edge_day(life, as_of, POLICY)
    for day in range(as_of + 1, as_of + 100 if phase_edge is None else phase_edge):
        assert classes.lifecycle(life, day, POLICY) is classes.lifecycle(life, as_of, POLICY)


@table("""
| case                          | values         | value | hundredths |
| one account alone             | 100            | 100   | 2500       |
| less than nothing             | 100 200        | -5    | 0          |
| nothing                       | 0 100          | 0     | 0          |
| at the median                 | 10 20 30       | 20    | 2500       |
| above all                     | 10 20 30       | 31    | 10000      |
| the largest                   | 10 20 30       | 30    | 9167       |
| below all, and above nothing  | 10 20 30       | 1     | 0          |
| all the same                  | 3x10           | 10    | 2500       |
| more than all the same        | 3x10           | 11    | 10000      |
| a median of a loss            | -9 -8 -7 -6 40 | 40    | 4500       |
| a median of nothing           | 3x0 100 1000   | 900   | 8388       |
""")
def test_contribution(row: Row) -> None:
    """Half by mid-rank, half by the logarithm of the size between median and 99 % quantile."""
    found = ranked(row["values"])
    assert found is not None

    assert ranking.Ranking(found).contribution_hundredths(int(row["value"])) == int(row["hundredths"])


def test_a_rank_counts_who_has_more() -> None:
    """Equal accounts share the better rank; an unheard-of value stands where it would be."""
    found = ranked("50 20 20 10")
    assert found is not None

    assert [ranking.rank(found, value) for value in (60, 50, 20, 15, 10, 5)] == [1, 1, 2, 4, 4, 5]
    assert [ranking.share(found, value) for value in (50, 0, -5)] == [0.5, 0, 0]
    assert ranking.share(distribution(points_of(np.array([0])), POLICY) or pytest.fail("it is not empty"), 5) is None
