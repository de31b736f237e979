"""Every measure of the score once more, slowly and exactly: fractions, and decimals of 40 digits for logarithms.

Written from docs/semantics.md, over the list of all that happened to an account.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from hypothesis import reject

from models.events import ProfileUpdated
from models.policy import Policy, Weights
from tests.core.ledger import Figures, Ledger, day_number
from tests.support.portfolios import Portfolio

PRECISION: Final = 40
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "revenue": ("revenue",),
    "profit": ("profit",),
    "strategic": ("market_share", "brand_influence", "cooperation_potential"),
    "potential": ("growth", "headroom", "white_space", "industry_growth"),
    "relationship": ("tenure", "regularity", "depth", "satisfaction", "value_fit", "support"),
}
NAMES: Final = tuple(name for parts in PARTS.values() for name in parts)
Measures = dict[str, Fraction | None]


class Rhythm(NamedTuple):
    """The order days of an account, as far as they are known, and its own gap."""

    days: tuple[int, ...]
    first: int | None
    gap: Fraction | None

    @property
    def last(self) -> int | None:
        """The last order day."""
        return self.days[-1] if self.days else None

    def lost_silence(self, policy: Policy) -> int | None:
        """Days of silence from which on the account counts as lost."""
        if self.gap is None:
            return None
        return math.ceil(max(Fraction(policy.churn.lost_days), Fraction(str(policy.churn.lost_gaps)) * self.gap))


@lru_cache(maxsize=10_000)
def exact(value: float) -> Fraction:
    """Read a number of the policy as it is written there."""
    return Fraction(str(value))


def real(value: Fraction) -> Decimal:
    """Give a fraction with many digits."""
    with localcontext(prec=PRECISION):
        return Decimal(value.numerator) / Decimal(value.denominator)


def clip(value: Fraction) -> Fraction:
    """Hold a share within 0 and 1."""
    return max(Fraction(0), min(value, Fraction(1)))


def quantile(values: Sequence[int], share: Fraction) -> Fraction:
    """Interpolate between the two values nearest to a share of the way (type 7 of Hyndman and Fan)."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@lru_cache(maxsize=1000)
def contribution(peers: tuple[int, ...], value: int) -> Fraction | None:
    """Score a figure among peers in whole hundredths: half by rank, half by size."""
    if not peers:
        return None
    if value <= 0:
        return Fraction(0)
    rank = Fraction(2 * sum(one < value for one in peers) + sum(one == value for one in peers), 2 * len(peers))
    gainers = [one for one in peers if one > 0]
    median = quantile(peers, Fraction(1, 2))
    if median <= 0:
        median = quantile(gainers, Fraction(1, 2)) if gainers else Fraction(0)
    top = quantile(peers, Fraction(99, 100))
    if value <= median:
        size = Fraction(0)
    elif value >= top:
        size = Fraction(1)
    else:
        with localcontext(prec=PRECISION):
            size = Fraction(real(value / median).ln() / real(top / median).ln())
    return Fraction(round(5000 * (rank + size)), 100)


def ranked_profit(policy: Policy, year: Figures, *, knew_costs: bool) -> int | None:
    """Give the known margin times the whole revenue, less what support cost; None where too little is known."""
    if year.costed == 0 and year.cost == 0:
        return -year.service if knew_costs and year.revenue == 0 else None
    if year.revenue <= 0 or year.costed <= 0:
        return year.costed - year.cost - year.service
    if Fraction(year.costed, year.revenue) < exact(policy.scorecard.profit_coverage_min):
        return None
    margin = Fraction(year.costed - year.cost, year.costed)
    return math.floor(margin * year.revenue + Fraction(1, 2)) - year.service


def slow_day(base: int, day: int, rest: int | None) -> int:
    """Give the last day of a whole week since the base day, not after the day of rest."""
    counted = day if rest is None else min(day, rest)
    return base + 7 * ((counted - base) // 7)


def measure(
    policy: Policy, ledger: Ledger, rhythm: Rhythm, day: int, portfolio: Portfolio | None
) -> tuple[Measures, int | None]:
    """Measure all parts as of a day, and the profit that is ranked."""
    card, profile = policy.scorecard, ledger.profile
    year, life = ledger.figures(day, policy.horizon_days), ledger.figures(None, None)
    profit = ranked_profit(policy, year, knew_costs=bool(life.costed or life.cost))
    found: Measures = dict.fromkeys(NAMES)
    if portfolio is not None and rhythm.days:
        found["revenue"] = contribution(portfolio.revenue, year.revenue)
        found["profit"] = None if profit is None else contribution(portfolio.profit, profit)
    for name in ("market_share", "brand_influence", "cooperation_potential", "industry_growth", "value_fit"):
        found[name] = ledger.rating(name, day)
    if year.revenue > 0:
        found["growth"] = _growth(ledger, year.revenue, day, card.growth_days)
    if ledger.budget:
        found["headroom"] = 100 * clip(1 - Fraction(year.revenue, ledger.budget))
    if lines := ledger.product_lines(day):
        bought = 100 * clip(Fraction(lines, card.product_lines_target))
        found["depth"], found["white_space"] = bought, 100 - bought
    base = base_day(profile, rhythm)
    silence = rhythm.lost_silence(policy)
    rest = None if silence is None or rhythm.last is None else rhythm.last + silence
    slow = slow_day(base, day, rest)
    if rhythm.days:
        found["tenure"] = 100 * clip(Fraction(slow - base) / (exact(card.tenure_years) * Fraction("365.25")))
        inside = [one for one in rhythm.days if one > day - policy.horizon_days]
        if len(inside) >= card.regularity_days_min:
            found["regularity"] = _regularity(inside)
    if answers := ledger.answers_on(day):
        found["satisfaction"] = _satisfaction(answers, slow, card.satisfaction_half_life_days)
    if policy.support.feed or ledger.heard_of_support(day):
        found["support"] = _support(policy, ledger, day)
    return found, profit


def base_day(profile: ProfileUpdated | None, rhythm: Rhythm) -> int:
    """Give the day from which the weeks of slow measures are counted."""
    if profile is not None and profile.customer_since is not None:
        return day_number(profile.customer_since)
    return rhythm.first if rhythm.first is not None and rhythm.days else 0


def _growth(ledger: Ledger, revenue: int, day: int, days: int) -> Fraction:
    late = max(0, ledger.figures(day, days).revenue)
    early = max(0, ledger.figures(day - days, days).revenue)
    ratio = (late + Fraction(revenue, 4)) / (early + Fraction(revenue, 4))
    # The logistic function of ln x is x / (1 + x); a fifth gives 1/6 and five times as much 5/6.
    return 100 * clip((ratio / (1 + ratio) - Fraction(1, 6)) / Fraction(2, 3))


def _regularity(days: Sequence[int]) -> Fraction:
    gaps = [after - before for before, after in pairwise(days)]
    mean = Fraction(sum(gaps), len(gaps))
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    with localcontext(prec=PRECISION):
        deviation = real(Fraction(variance)).sqrt()
    return 100 * max(Fraction(0), 1 - Fraction(deviation) / mean)


def _satisfaction(answers: Sequence[tuple[int, int]], slow: int, half_life: int) -> Fraction:
    with localcontext(prec=PRECISION):
        weights = [Fraction(Decimal(2) ** real(Fraction(-max(0, slow - day), half_life))) for day, _ in answers]
    weighed = sum((weight * points for weight, (_, points) in zip(weights, answers, strict=True)), Fraction(0))
    return weighed / sum(weights, Fraction(0))


def _support(policy: Policy, ledger: Ledger, day: int) -> Fraction:
    terms = policy.support
    penalty = (
        ledger.severe(day) * exact(terms.open_severe_penalty)
        + ledger.count(day, terms.days, "breached") * exact(terms.breach_penalty)
        + ledger.count(day, terms.days, "reopened") * exact(terms.reopening_penalty)
        + ledger.count(day, terms.days, "complaint") * exact(terms.complaint_penalty)
    )
    return max(Fraction(0), 100 - penalty)


class Scored(NamedTuple):
    """A score in hundredths, what it was made of, and how sure it is."""

    score: int | None
    confidence: float
    components: tuple[int | None, ...]
    points: tuple[Fraction, ...]
    """Exact; published are the nearest integers that sum to the score."""
    card: str | None


def score(policy: Policy, profile: ProfileUpdated | None, found: Measures, portfolio: Portfolio | None) -> Scored:
    """Weigh the parts that are known, each component as much as of its parts is."""
    card, weights = scorecard(policy, profile)
    shares = None if portfolio is None else portfolio.part_shares
    present = tuple(name for name in NAMES if found[name] is not None)
    held = tuple(getattr(weights, name) for name in PARTS)
    known, missing = _weights_of(held, shares, present)
    means = []
    for parts in PARTS.values():
        values = [value for one in parts if (value := found[one]) is not None]
        means.append(_hundredths(sum(values, Fraction(0)) / len(values)) if values else None)
    effective = sum(known, Fraction(0))
    total = Fraction(sum(held)) if policy.scorecard.missing == "zero" else effective
    anything = total > 0 and any(mean is not None for mean in means)
    points = tuple(
        weight * (mean or 0) / total if anything else Fraction(0) for weight, mean in zip(known, means, strict=True)
    )
    return Scored(
        math.floor(sum(points, Fraction(0)) + Fraction(1, 2)) if anything else None,
        float(round(effective / (effective + missing), 4)) if effective else 0.0,
        tuple(means),
        points,
        card,
    )


@lru_cache(maxsize=1000)
def _weights_of(
    weights: tuple[int, ...], shares: tuple[float, ...] | None, present: tuple[str, ...]
) -> tuple[tuple[Fraction, ...], Fraction]:
    """Give what each component weighs by its known parts, and what the others would, as far as others have them."""
    have = dict(zip(NAMES, map(exact, shares or (1.0,) * len(NAMES)), strict=True))
    known, missing = [], Fraction(0)
    for weight, parts in zip(weights, PARTS.values(), strict=True):
        known.append(Fraction(weight * sum(one in present for one in parts), len(parts)))
        missing += sum((weight * have[one] / len(parts) for one in parts if one not in present), Fraction(0))
    return tuple(known), missing


def _hundredths(value: Fraction) -> int:
    """Round to hundredths; which way the middle goes depends on how floats are rounded, so it is not asked for."""
    if abs(100 * value % 1 - Fraction(1, 2)) < Fraction(1, 10**9):
        reject()
    return round(100 * value)


def scorecard(policy: Policy, profile: ProfileUpdated | None) -> tuple[str | None, Weights]:
    """Find the weights of an account: the first entry of which everything that is given holds."""
    for one in policy.scorecards if profile is not None else ():
        wanted = {"segment": one.segment, "industry": one.industry, "region": one.region}
        if all(value is None or getattr(profile, name) == value for name, value in wanted.items()):
            return one.name, one.weights
    return None, policy.scorecard.weights


class Judged(NamedTuple):
    """What an account is as of a day."""

    day: int
    parts: Measures
    profit: int | None
    year: Figures
    scored: Scored
    earned: str
    tier: str
    veto: str | None
    level: str
    risk: int | None
    reasons: tuple[str, ...]


class Noticed(NamedTuple):
    """Other cut points: an account takes notice on its next due day, else when it is looked at next."""

    portfolio: Portfolio
    due_day: int | None
    own_day: int


def override_of(profile: ProfileUpdated | None, day: int) -> str | None:
    """Give the tier that was set by hand and holds on a day."""
    if profile is None or profile.override is None or day > day_number(profile.override.until):
        return None
    return profile.override.tier
