"""From the totals that the view keeps to the portfolio as a whole."""

from collections.abc import Iterable, Mapping
from typing import Final

from models.outputs import ChurnLevel, Tier
from stream.serving.results import ConcentrationPoint, Group, MatrixCell, Portfolio
from stream.view.arrangement import Dimension
from stream.view.entry import decimal_text
from stream.view.keys import ABC, UNCLASSED
from stream.view.totals import Total

GROUPS: Final = (*(one.value for one in Dimension), "cell", "currency", "abc_xyz", "rfm", "revenue_band")
"""The totals that a portfolio is made of."""
VALUES_MAX: Final = 100
"""Values of one dimension that a portfolio lists, at most, those with the most revenue."""
_CONCENTRATION_POINTS: Final = 50
_ORDERS: Final[Mapping[Dimension, tuple[str, ...]]] = {
    Dimension.TIER: tuple(Tier),
    Dimension.CHURN_LEVEL: tuple(ChurnLevel),
    Dimension.ABC_REVENUE: tuple(one for one in ABC if one != UNCLASSED),
    Dimension.XYZ: ("X", "Y", "Z"),
}

Totals = Mapping[str, Mapping[str, Total]]


def portfolio_of(totals: Totals) -> Portfolio:
    """Give the portfolio that the totals, by group and value, make."""
    # All are in the reporting currency, which cannot be changed without a new view.
    currency, _, decimals_text = next(iter(totals.get("currency", {})), "").partition(":")
    decimals = int(decimals_text or 0)
    everything = _sum(totals.get("cell", {}).values())
    return Portfolio(
        currency=currency or None,
        accounts=everything.accounts,
        revenue=decimal_text(everything.revenue, decimals),
        value_at_stake=decimal_text(everything.stake, decimals),
        groups={one: groups_of(one, totals.get(one.value, {}), decimals) for one in Dimension},
        abc_xyz=_matrix(totals.get("abc_xyz", {}), decimals),
        rfm=_matrix(totals.get("rfm", {}), decimals),
        concentration=concentration(totals.get("revenue_band", {})),
    )


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
    # The bands of very large revenues are many, and close to each other.
    step = max(1, len(points) // _CONCENTRATION_POINTS)
    return (*points[:-1:step], points[-1])


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
        found = Total(found.accounts + one.accounts, found.revenue + one.revenue, found.stake + one.stake)
    return found
