"""Who an account is: all that stays the same through its life, drawn from its own numbers."""

import math
from dataclasses import dataclass
from enum import StrEnum, unique
from random import Random
from typing import Final

from stream.simulation.life import Life, draw_life
from stream.simulation.names import INDUSTRIES, OWNERS, PRODUCT_LINES, REGIONS, company_name
from stream.simulation.spec import SimulationSpec, sub_random


@unique
class SizeClass(StrEnum):
    """How much an account can be expected to spend in a year, against the median of all."""

    MICRO = "micro"
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    STRATEGIC = "strategic"


# 100 minor units are taken for one euro in every currency, so that yen orders look like yen orders.
_SPEND_MEDIAN_MINOR: Final = 4_000_000.0
# The top fifth of a log-normal population holds Φ(σ − 0.84) of its sum; lifetimes add to σ.
_SPEND_SIGMA: Final = 1.12
_SIZE_BOUNDS: Final = (-1.0, 0.0, 0.84, 1.65)
_SEGMENT_OF_SIZE: Final = {
    SizeClass.MICRO: ("self-employed", "small business"),
    SizeClass.SMALL: ("small business", "lower mid-market"),
    SizeClass.MEDIUM: ("lower mid-market", "upper mid-market"),
    SizeClass.LARGE: ("upper mid-market", "corporate"),
    SizeClass.STRATEGIC: ("corporate", "enterprise"),
}
_SPECIAL_SEGMENTS: Final = ("public sector", "reseller", "original equipment", "non-profit")
_SPECIAL_SEGMENT_SHARE: Final = 0.2

_GAP_MEDIAN_DAYS: Final = 16.0
_GAP_SIGMA: Final = 0.7
_GAP_BY_SIZE: Final = -0.25
_GAP_DAYS_RANGE: Final = (3.0, 90.0)
_REGULARITY_RANGE: Final = (0.8, 14.0)
_REGULARITY_SIGMA: Final = 0.8
_REGULARITY_MEDIAN: Final = 2.5
_GROWTH_MEAN: Final = 0.05
_GROWTH_SIGMA: Final = 0.25
_GROWTH_RANGE: Final = (-0.5, 0.8)
_MARGIN_MEAN: Final = 0.32
_MARGIN_SIGMA: Final = 0.1
_MARGIN_RANGE: Final = (0.03, 0.7)
_LOSS_SHARE: Final = 0.06
_LOSS_MARGIN_RANGE: Final = (-0.18, -0.01)
_COST_KNOWN_SHARE: Final = 0.92
_AMOUNT_SIGMA_RANGE: Final = (0.2, 0.65)
_LINES_MAX: Final = 6
_SEASON_RANGE: Final = (0.3, 1.4)
_SUPPORT_SHARE: Final = 0.75
_SUPPORT_GAP_MEDIAN_DAYS: Final = 75.0
_SUPPORT_GAP_SIGMA: Final = 0.5
_SUPPORT_BY_SIZE: Final = 0.3
_DEMANDING_SHARE: Final = 0.06
_DEMANDING_FACTOR: Final = 5.0
_SUPPORT_GAP_LEAST_DAYS: Final = 4.0
_MOOD_RANGE: Final = (0.6, 0.98)
_SUBSIDIARY_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Persona:
    """One account, as nobody but the simulation knows it."""

    index: int
    account_id: str
    name: str
    segment: str
    industry: str
    region: str
    owner: str
    parent_id: str | None
    size_class: SizeClass
    annual_spend_minor: float
    """Expected yearly spending at its first order, in minor units, before season and growth."""
    gap_days: float
    """Mean days between its orders, 3 to 90."""
    regularity: float
    """Shape of its gaps' gamma distribution: 1 is as irregular as chance, 14 nearly a clock."""
    growth_per_year: float
    """Logarithmic growth of its order sizes."""
    margin: float
    """Share of the amount that is profit; below 0 for an account served at a loss."""
    cost_known: bool
    amount_sigma: float
    """Spread of its order sizes (standard deviation of the logarithm)."""
    product_lines: tuple[str, ...]
    season_strength: float
    """How strongly it follows the company's season: 0 not, 1 as the average."""
    support_gap_days: float | None
    """Mean days between its ordinary tickets; None when it never asks for help."""
    mood: float
    """Its satisfaction when nothing is wrong, 0 to 1."""
    life: Life


def account_id_of(index: int) -> str:
    """Id of the account with a number from 0.

    >>> account_id_of(0)
    'ACC-000001'
    """
    return f"ACC-{index + 1:06d}"


def draw_persona(spec: SimulationSpec, seed: int, index: int, acquired_day: int | None = None) -> Persona:
    """Draw an account from its own numbers: the same whatever other accounts there are.

    Args:
        spec: the company.
        seed: the seed of the whole simulation.
        index: the account's number, from 0.
        acquired_day: its first day, in days since 1970-01-01; drawn when None.
    """
    random = sub_random(seed, "account", index, "persona")
    size = random.gauss(0, 1)
    size_class = tuple(SizeClass)[sum(size > bound for bound in _SIZE_BOUNDS)]
    gap_log = _GAP_SIGMA * random.gauss(0, 1) + _GAP_BY_SIZE * size
    gap_days = _clamp(_GAP_MEDIAN_DAYS * math.exp(gap_log), _GAP_DAYS_RANGE)
    regularity = _REGULARITY_MEDIAN * math.exp(_REGULARITY_SIGMA * random.gauss(0, 1))
    region = random.choice(REGIONS)
    lines = random.sample(PRODUCT_LINES, random.randint(1, _LINES_MAX))
    return Persona(
        index=index,
        account_id=account_id_of(index),
        name=company_name(index, sub_random(seed, "names").randrange(1_000), region),
        segment=_draw_segment(random, size_class),
        industry=random.choice(INDUSTRIES),
        region=region,
        owner=random.choice(OWNERS),
        parent_id=_draw_parent(random, index),
        size_class=size_class,
        annual_spend_minor=_SPEND_MEDIAN_MINOR * math.exp(_SPEND_SIGMA * size),
        gap_days=gap_days,
        regularity=_clamp(regularity, _REGULARITY_RANGE),
        growth_per_year=_clamp(random.gauss(_GROWTH_MEAN, _GROWTH_SIGMA), _GROWTH_RANGE),
        margin=_draw_margin(random),
        cost_known=random.random() < _COST_KNOWN_SHARE,
        amount_sigma=random.uniform(*_AMOUNT_SIGMA_RANGE),
        product_lines=tuple(lines),
        season_strength=random.uniform(*_SEASON_RANGE),
        support_gap_days=_draw_support_gap_days(random, size),
        mood=random.uniform(*_MOOD_RANGE),
        life=draw_life(spec, random, gap_days, acquired_day),
    )


def _draw_segment(random: Random, size_class: SizeClass) -> str:
    special = random.choice(_SPECIAL_SEGMENTS)
    ordinary = random.choice(_SEGMENT_OF_SIZE[size_class])
    return special if random.random() < _SPECIAL_SEGMENT_SHARE else ordinary


def _draw_parent(random: Random, index: int) -> str | None:
    # A lower number, so that the parent exists however few accounts there are.
    parent = int(random.random() * index)
    is_subsidiary = random.random() < _SUBSIDIARY_SHARE and index > 0
    return account_id_of(parent) if is_subsidiary else None


def _draw_margin(random: Random) -> float:
    if random.random() < _LOSS_SHARE:
        return random.uniform(*_LOSS_MARGIN_RANGE)
    return _clamp(random.gauss(_MARGIN_MEAN, _MARGIN_SIGMA), _MARGIN_RANGE)


def _draw_support_gap_days(random: Random, size: float) -> float | None:
    has_support = random.random() < _SUPPORT_SHARE
    demanding = _DEMANDING_FACTOR if random.random() < _DEMANDING_SHARE else 1.0
    spread = math.exp(_SUPPORT_GAP_SIGMA * random.gauss(0, 1) - _SUPPORT_BY_SIZE * size)
    gap_days = max(_SUPPORT_GAP_MEDIAN_DAYS * spread / demanding, _SUPPORT_GAP_LEAST_DAYS)
    return gap_days if has_support else None


def _clamp(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
