"""From the totals that the view keeps to the portfolio as a whole."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from models.outputs import ChurnLevel, Tier
from stream.serving.listing import Totals
from stream.serving.results import ConcentrationPoint, Group, MatrixCell, Portfolio
from stream.view.arrangement import Dimension
from stream.view.entry import decimal_text
from stream.view.keys import ABC, RANKED_DIMENSIONS, UNCLASSED
from stream.view.totals import Total

GROUPS: Final = (
    *(one.value for one in Dimension if one not in RANKED_DIMENSIONS),
    *("cell", "currency", "abc_xyz", "rfm", "revenue_band"),
)
"""The totals that a portfolio is made of, beside those of the largest values of the other dimensions."""
VALUES_MAX: Final = 100
"""Values of one dimension that a portfolio lists, at most, those with the most revenue."""
_CONCENTRATION_POINTS: Final = 50
_ORDERS: Final[Mapping[Dimension, tuple[str, ...]]] = {
    Dimension.TIER: tuple(Tier),
    Dimension.CHURN_LEVEL: tuple(ChurnLevel),
    Dimension.ABC_REVENUE: tuple(one for one in ABC if one != UNCLASSED),
    Dimension.XYZ: ("X", "Y", "Z"),
}


def portfolio_of(totals: Totals) -> Portfolio:
    """Give the portfolio that the totals, by group and value, make."""
    currency, decimals = money_of(totals)
    everything = _sum(totals.get("cell", {}).values())
    curve = concentration(totals.get("revenue_band", {}))
    return Portfolio(
        currency=currency,
        accounts=everything.accounts,
        revenue=decimal_text(everything.revenue, decimals),
        value_at_stake=decimal_text(everything.stake, decimals),
        value_lost=decimal_text(everything.lost, decimals),
        groups={one: groups_of(one, totals.get(one.value, {}), decimals) for one in Dimension},
        abc_xyz=_matrix(totals.get("abc_xyz", {}), decimals),
        rfm=_matrix(totals.get("rfm", {}), decimals),
        concentration=thinned(curve),
        gini=gini(curve),
        top_fifth_share=share_of_top(0.2, curve),
    )


def money_of(totals: Totals) -> tuple[str | None, int]:
    """Give the currency of all money, None while there is none, and how many decimals it has."""
    # All are in the reporting currency, which cannot be changed without a new view.
    currency, _, decimals = next(iter(totals.get("currency", {})), "").partition(":")
    return currency or None, int(decimals or 0)


def groups_of(dimension: Dimension, totals: Mapping[str, Total], decimals: int) -> tuple[Group, ...]:
    """Give the values of a dimension: in their own order where they have one, else by revenue."""
    known = _ORDERS.get(dimension)
    ordered = (
        sorted(totals, key=lambda value: (-totals[value].revenue, value))
        if known is None
        else [value for value in known if value in totals]
    )
    return tuple(
        Group(
            value=value,
            accounts=totals[value].accounts,
            revenue=decimal_text(totals[value].revenue, decimals),
            value_at_stake=decimal_text(totals[value].stake, decimals),
            value_lost=decimal_text(totals[value].lost, decimals),
        )
        for value in ordered[:VALUES_MAX]
    )


def concentration(bands: Mapping[str, Total]) -> tuple[ConcentrationPoint, ...]:
    """Draw the concentration curve: which share of the positive revenue the largest accounts have.

    The bands are of revenue, in equal steps of its logarithm; so a point is exact, and only where the points are is
    not for the caller to choose.

    >>> [(one.share_of_accounts, one.share_of_revenue) for one in concentration({"3": Total(1, 80), "1": Total(3, 20)})]
    [(0.25, 0.8), (1.0, 1.0)]
    """
    largest = sorted(((int(name), one) for name, one in bands.items() if name != UNCLASSED), reverse=True)
    if not largest:
        return ()
    everything = _sum(one for _, one in largest)
    points, accounts, revenue = [], 0, 0
    for _, one in largest:
        accounts += one.accounts
        revenue += one.revenue
        points.append(
            ConcentrationPoint(
                share_of_accounts=accounts / everything.accounts, share_of_revenue=revenue / everything.revenue
            )
        )
    return tuple(points)


def thinned(curve: Sequence[ConcentrationPoint]) -> tuple[ConcentrationPoint, ...]:
    """Leave out points where there are many: the bands of very large revenues are close to each other."""
    step = max(1, len(curve) // _CONCENTRATION_POINTS)
    return (*curve[:-1:step], *curve[-1:])


def gini(curve: Sequence[ConcentrationPoint]) -> float | None:
    """Give the Gini index of a concentration curve: twice the area between it and the diagonal; None without one.

    >>> gini(concentration({"3": Total(1, 80), "1": Total(3, 20)}))
    0.55
    """
    if not curve:
        return None
    area = before_accounts = before_revenue = 0.0
    for one in curve:
        area += (one.share_of_accounts - before_accounts) * (one.share_of_revenue + before_revenue)
        before_accounts, before_revenue = one.share_of_accounts, one.share_of_revenue
    return round(area - 1, 4)


def share_of_top(share: float, curve: Sequence[ConcentrationPoint]) -> float | None:
    """Give the share of the revenue that a share of the accounts has, the largest; None without any.

    >>> share_of_top(0.5, concentration({"3": Total(1, 80), "1": Total(3, 20)}))
    0.8667
    """
    before_accounts = before_revenue = 0.0
    for one in curve:
        if one.share_of_accounts >= share:
            part = (share - before_accounts) / (one.share_of_accounts - before_accounts)
            return round(before_revenue + part * (one.share_of_revenue - before_revenue), 4)
        before_accounts, before_revenue = one.share_of_accounts, one.share_of_revenue
    return None


def _matrix(totals: Mapping[str, Total], decimals: int) -> tuple[MatrixCell, ...]:
    cells = []
    for name, one in sorted(totals.items()):
        row, _, column = name.partition(":")
        cells.append(
            MatrixCell(row=row, column=column, accounts=one.accounts, revenue=decimal_text(one.revenue, decimals))
        )
    return tuple(cells)


def _sum(totals: Iterable[Total]) -> Total:
    found = Total()
    for one in totals:
        found.include(one)
    return found
