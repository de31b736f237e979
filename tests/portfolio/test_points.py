"""Points: what they keep of the accounts when they are gathered, merged, published and put into buckets."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fields import SUM_MINOR_MAX
from models.policy import Classes
from models.portfolio import (
    CENSUS_FORMAT,
    KNOTS_MAX,
    Figure,
    PortfolioFormatError,
    cut_points_from_json,
    cut_points_to_json,
    decode_census,
    decode_cut_points,
    encode_census,
    encode_cut_points,
)
from processors.portfolio.census import EMPTY, ROW, Counted, merge, publishable, published, take
from processors.portfolio.cutting import concentration, cut_points
from processors.portfolio.points import (
    RELATIVE_ERROR,
    Points,
    bounded,
    bucket,
    from_figure,
    merged,
    points_of,
    quantile,
    spread,
    to_figure,
)

MONEY: Final = st.integers(-SUM_MINOR_MAX, SUM_MINOR_MAX)
SMALL: Final = st.integers(-300, 3_000)
VALUES: Final = st.lists(st.one_of(SMALL, SMALL, MONEY), min_size=1, max_size=60)


def of(values: list[int]) -> Points:
    """Gather values."""
    return points_of(np.array(values, np.int64))


@given(VALUES, st.integers(0, 100))
def test_quantiles_are_those_of_numpy(values: list[int], hundredths: int) -> None:
    """Type 7, which is NumPy's default; equal values count as often as they are there."""
    expected = float(np.quantile(np.array(values, float), hundredths / 100))

    assert quantile(of(values), hundredths) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(st.lists(VALUES, max_size=5))
def test_merged_points_are_those_of_all_together(parts: list[list[int]]) -> None:
    """In whatever order they are merged."""
    together = of([value for values in parts for value in values])

    for order in (parts, parts[::-1]):
        found = merged(map(of, order))
        assert [column.tolist() for column in found] == [column.tolist() for column in together]


SIZES: Final = st.lists(st.one_of(st.integers(1, 10**6), st.integers(1, SUM_MINOR_MAX)), min_size=1, max_size=40)


@given(SIZES, st.sampled_from([1, -1]))
def test_buckets_are_wrong_by_one_percent_at_most(values: list[int], sign: int) -> None:
    """Beyond 2,000 values each is replaced by the middle of its bucket, 1 % and half a unit away at most."""
    asked = {sign * value for value in values}
    others = set(range(10**7, 10**7 + KNOTS_MAX + 1))
    found = bounded(of([*asked, *(sign * one for one in others)]))

    for value in asked:
        near = float(np.abs(found.values - value).min())
        assert near <= abs(value) * RELATIVE_ERROR * (1 + 1e-9) + 0.5
    assert found.accounts == len(asked | {sign * one for one in others})
    for value, is_bucket in zip(found.values.tolist(), found.buckets.tolist(), strict=True):
        low, high = bucket(value) if is_bucket else (value - 1, value)
        assert low < value <= high


def test_any_portfolio_is_published_within_bounds() -> None:
    """A million accounts of all sizes fit into a small record, and putting buckets into buckets changes nothing."""
    generator = np.random.default_rng(7)
    sizes = np.exp(generator.uniform(0, np.log(SUM_MINOR_MAX), 1_000_000)).astype(np.int64)
    once = bounded(points_of(sizes * generator.choice([-1, 1], 1_000_000)))
    again = bounded(once)

    assert len(once.values) < 2 * KNOTS_MAX + 500
    assert [column.tolist() for column in again] == [column.tolist() for column in once]
    figure = to_figure(once)
    census = encode_census(publishable(EMPTY._replace(revenue_minor=once, profit_minor=once, budget_minor=once)))
    assert len(census) < 150_000
    cuts = cut_points([EMPTY._replace(revenue_minor=once, profit_minor=once)], 1, Classes())
    assert len(encode_cut_points(cuts)) < 65_536
    assert [column.tolist() for column in from_figure(figure)] == [column.tolist() for column in once]


def test_a_price_that_many_share_stays_by_itself() -> None:
    """Buckets would put those who bought once into the middle of those around them."""
    points = of([1177] * 900 + list(range(1000, 9000)))
    found = bounded(points)

    index = found.values.tolist().index(1177)
    assert (found.counts[index], found.buckets[index]) == (901, False)
    assert found.accounts == 8_900
    knots, below, at = spread(found)
    place = knots.tolist().index(1177)
    assert at[place] == 901
    assert below[place] == pytest.approx(177, abs=12)


@given(VALUES)
def test_knots_count_every_account_once(values: list[int]) -> None:
    """Whoever is below a knot or at it is not above it, with buckets as without."""
    points = of([*values, *range(10**6, 10**6 + KNOTS_MAX)])
    for one in (of(values), bounded(points)):
        knots, below, at = spread(one)
        upto = below + at
        assert (np.diff(knots) > 0).all()
        assert (below[1:] >= upto[:-1]).all()
        assert (below[0], upto[-1]) == (0, one.accounts)


def rows(accounts: Sequence[tuple[int, ...]]) -> bytes:
    """Write accounts as packed states have them."""
    return np.array(accounts, ROW).tobytes()


def test_a_census_counts_who_ordered() -> None:
    """Figures of the horizon are of accounts with an order in it; gaps and budgets of all."""
    accounts = [
        # revenue, profit, budget, orders, order days, first, last, support, parts
        (1_000, 400, -1, 4, 3, 10, 30, 2, 0b011),
        (500, -(2**63), 7_000, 1, 1, 25, 25, 0, 0b001),
        (-50, -50, 9_000, 0, 5, 1, 20, 7, 0b111),
        (0, -(2**63), 100, 0, 0, -(2**31), -(2**31), 3, 0),
    ]
    found = take(rows(accounts), as_of_day=40)

    assert (found.accounts, found.gap_days, found.gaps) == (4, 20 + 19, 2 + 4)
    assert found.revenue_minor.values.tolist() == [500, 1_000]
    assert found.profit_minor.values.tolist() == [400]
    assert found.last_order_day.values.tolist() == [25, 30]
    assert found.support_per_order_millionths.values.tolist() == [0, 500_000]
    assert found.budget_minor.values.tolist() == [100, 7_000, 9_000]
    cuts = cut_points([found], 5, Classes())
    assert cuts.part_shares[:3] == (1.0, 0.5, 0.0)
    assert (cuts.version, cuts.as_of_day, cuts.accounts, cuts.active_accounts) == (5, 40, 4, 2)
    assert (cuts.mean_gap_days, cuts.budget_top_fifth_minor) == (39 / 6, 8_200)
    assert cuts.rfm is not None
    assert cuts.rfm.recency_days == (11, 12, 13, 14)


def test_nobody_has_no_cut_points_but_the_count() -> None:
    """An empty portfolio says that it is empty."""
    cuts = cut_points([take(b"", 3), EMPTY], 2, Classes())

    assert (cuts.as_of_day, cuts.accounts, cuts.active_accounts, cuts.relative_error) == (3, 0, 0, 0)
    unknown = (cuts.mean_gap_days, cuts.revenue, cuts.profit, cuts.rfm, cuts.budget_top_fifth_minor, cuts.concentration)
    assert unknown == (None,) * 6
    assert merge([]).accounts == 0


def test_sums_beyond_64_bits_are_exact() -> None:
    """A hundred accounts of the largest sum there is are still shares of a whole."""
    found = concentration(of([SUM_MINOR_MAX] * 100))
    cuts = cut_points([EMPTY._replace(revenue_minor=of([SUM_MINOR_MAX - 1, *[SUM_MINOR_MAX] * 9]))], 1, Classes())

    assert found is not None
    assert (found.top_share, found.top_fifth_share, found.gini) == (0.01, 0.2, 0)
    assert cuts.revenue is not None
    assert cuts.revenue.a_from == SUM_MINOR_MAX
    assert encode_cut_points(cuts)


def published_and_read(census: Counted) -> Counted:
    """Take a census over the wire."""
    return published(decode_census(encode_census(publishable(census))))


@given(VALUES, VALUES)
def test_a_census_is_read_as_it_was_published(one: list[int], other: list[int]) -> None:
    """So are cut points, from the topic and from a file."""
    census = EMPTY._replace(as_of_day=9, accounts=7, revenue_minor=of(one), budget_minor=of(other))
    cuts = cut_points([census], 3, Classes())

    assert cut_points([published_and_read(census)], 3, Classes()) == cuts
    assert decode_cut_points(encode_cut_points(cuts)) == cuts
    # A partition that adopts them writes the same bytes as the one that drew them.
    assert encode_cut_points(decode_cut_points(encode_cut_points(cuts))) == encode_cut_points(cuts)
    assert cut_points_from_json(cut_points_to_json(cuts)) == cuts


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x01", b"\x01\xc0", bytes([CENSUS_FORMAT + 1])])
def test_other_bytes_are_refused(data: bytes) -> None:
    """Nothing is guessed, and a newer format is named."""
    told = "newer than 1" if data[:1] > b"\x01" else "not a"
    for read in (decode_census, decode_cut_points):
        with pytest.raises(PortfolioFormatError, match=told):
            read(data)
    with pytest.raises(PortfolioFormatError, match="not cut points"):
        cut_points_from_json(b'{"version": "1"}')


def test_figures_name_their_buckets() -> None:
    """Which of the values are middles is part of what is published."""
    assert to_figure(of([5, 5, 7])) == Figure([5, 7], [2, 1], [])
