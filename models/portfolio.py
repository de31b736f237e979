"""The portfolio: what one partition's census says of its accounts, and the cut points drawn from all of them.

An account knows only itself. Ranks, shares and relative classes compare it with cut points: numbered, immutable, and
held by every worker. Neither a census nor cut points name an account.
"""

from typing import Final, TypeVar

import msgspec

CENSUS_FORMAT: Final = 1
CUT_POINTS_FORMAT: Final = 1
"""First byte of each; the rest is MessagePack."""
PARTS_COUNT: Final = 15
"""How many parts a score has."""
KNOTS_MAX: Final = 2_000
"""Distinct values that a distribution tells one by one; beyond them it is thinned out."""


_Kind = TypeVar("_Kind")


class PortfolioFormatError(ValueError):
    """Bytes that are not a census or cut points of a format known here."""


class Figure(msgspec.Struct, frozen=True):
    """One figure of many accounts: the distinct values, ascending, and how many accounts have each."""

    values: list[int]
    counts: list[int]
    buckets: list[int]
    """Which of the values are the middles of buckets, and not what accounts have."""


class Census(msgspec.Struct, frozen=True):
    """The accounts of one partition as of a day, as distributions. An active account ordered within the horizon."""

    as_of_day: int
    accounts: int
    gap_days: int
    """Sum of all gaps between order days, of all accounts."""
    gaps: int
    """How many those are."""
    revenue_minor: Figure
    """Of the horizon, of active accounts; so are those below but for the budget."""
    profit_minor: Figure
    """Only where enough of the cost is known."""
    last_order_day: Figure
    orders: Figure
    support_per_order_millionths: Figure
    budget_minor: Figure
    """Of all accounts that have told one."""
    part_accounts: tuple[int, ...]
    """For each of `processors.scorecard.PARTS`, how many active accounts have it."""


class CensusHead(msgspec.Struct, frozen=True):
    """What tells one census from another."""

    as_of_day: int
    accounts: int


class Distribution(msgspec.Struct, frozen=True):
    """One figure of the active accounts of the whole portfolio, to rank a value in.

    Knot i says how many accounts are below `values[i]` and how many are at it; those between two knots are taken as
    spread evenly.
    """

    accounts: int
    """At least 1."""
    values: tuple[int, ...]
    """Ascending."""
    below: tuple[int, ...]
    at: tuple[int, ...]
    q50: float
    """The median, if it is above 0, else that of the values above 0; 0 if there is none."""
    q99: float
    positive_total: int
    """Sum of the values above 0."""
    positive_accounts: int
    a_from: int | None
    """The least value in class A; None if no value is above 0."""
    b_from: int | None
    """The least value in class A or B."""
    class_accounts: tuple[int, int, int]
    """How many accounts are in A, B and C."""
    rank_error: float
    """By how much a rank may be wrong, as a share of the accounts; 0 when every value is a knot."""


class RfmCuts(msgspec.Struct, frozen=True):
    """The quantiles at 20, 40, 60 and 80 % of what active accounts did within the horizon."""

    recency_days: tuple[float, float, float, float]
    orders: tuple[float, float, float, float]
    revenue_minor: tuple[float, float, float, float]


class Concentration(msgspec.Struct, frozen=True):
    """How unevenly revenue is spread over the accounts that bring some; shares of 0 to 1."""

    top_share: float
    """Of the largest account."""
    top_fifth_share: float
    """Of the largest accounts, floor(0.2 N) of N."""
    gini: float
    """0 when all bring the same, towards 1 when one brings all."""


class CutPoints(msgspec.Struct, frozen=True):
    """What a value is compared with: one version, for every account that is evaluated under it."""

    version: int
    """Grows with each."""
    as_of_day: int
    accounts: int
    active_accounts: int
    """Accounts with an order within the horizon."""
    relative_error: float
    """Of every value here: 0 when they were drawn from the accounts themselves."""
    mean_gap_days: float | None
    """Mean of all gaps between order days of all accounts; None without one."""
    revenue: Distribution | None
    """None without an active account."""
    profit: Distribution | None
    """None without an active account whose profit is known."""
    rfm: RfmCuts | None
    budget_top_fifth_minor: float | None
    """The 80 % quantile of the budgets told."""
    support_top_tenth_millionths: float | None
    """The 90 % quantile of support events per order of active accounts, in millionths."""
    concentration: Concentration | None
    part_shares: tuple[float, ...]
    """For each of `processors.scorecard.PARTS`, the share of the active accounts that have it, 0 to 1."""


_encode_msgpack: Final = msgspec.msgpack.Encoder().encode
_encode_json: Final = msgspec.json.Encoder().encode


def encode_census(census: Census) -> bytes:
    """Write a census."""
    return bytes([CENSUS_FORMAT]) + _encode_msgpack(census)


def decode_census(data: bytes) -> Census:
    """Read a census.

    Raises:
        PortfolioFormatError: if it is of a newer format, or none.
    """
    return _decode(data, CENSUS_FORMAT, Census)


def decode_census_head(data: bytes) -> CensusHead:
    """Read of which day a census is, and of how many accounts.

    Raises:
        PortfolioFormatError: if it is of a newer format, or none.
    """
    return _decode(data, CENSUS_FORMAT, CensusHead)


def encode_cut_points(cuts: CutPoints) -> bytes:
    """Write cut points."""
    return bytes([CUT_POINTS_FORMAT]) + _encode_msgpack(cuts)


def decode_cut_points(data: bytes) -> CutPoints:
    """Read cut points.

    Raises:
        PortfolioFormatError: if they are of a newer format, or none.
    """
    return _decode(data, CUT_POINTS_FORMAT, CutPoints)


def cut_points_to_json(cuts: CutPoints) -> bytes:
    """Write cut points for a file."""
    return _encode_json(cuts)


def cut_points_from_json(text: bytes) -> CutPoints:
    """Read cut points of a file.

    Raises:
        PortfolioFormatError: if it holds something else.
    """
    try:
        return msgspec.json.decode(text, type=CutPoints)
    except msgspec.MsgspecError as error:
        raise PortfolioFormatError(f"not cut points: {error}") from error


def _decode(data: bytes, known: int, kind: type[_Kind]) -> _Kind:
    if data and data[0] > known:
        raise PortfolioFormatError(f"{kind.__name__} format {data[0]} is newer than {known}, the newest known here")
    try:
        # Format 0 was never written.
        return msgspec.msgpack.decode(data[1:] if data.startswith(bytes([known])) else b"", type=kind)
    except msgspec.MsgspecError as error:
        raise PortfolioFormatError(f"not a {kind.__name__}: {error}") from error
