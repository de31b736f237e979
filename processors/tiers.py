"""Tiers: promotion at once, demotion after a dwell time below the leave bound, and no flapping between."""

from typing import Final

from models.outputs import Direction, Tier
from processors.context import TierTerms

LADDER: Final = (Tier.KEY, Tier.GROWTH, Tier.STANDARD, Tier.BASIC)
"""Graded tiers, best first."""
_PLACE: Final = {tier: place for place, tier in enumerate(LADDER)}


class Standing:
    """An account's tier by its score, and since when its score is below each leave bound (key, growth, standard)."""

    __slots__ = ("below_since_days", "tier")

    def __init__(self, tier: Tier | None, below_since_days: tuple[int | None, int | None, int | None]) -> None:
        self.tier: Final = tier
        self.below_since_days: Final = below_since_days


_UNRATED: Final = Standing(Tier.UNRATED, (None, None, None))


def grade(terms: TierTerms, standing: Standing, score: int | None, confidence: float, as_of_day: int) -> Standing:
    """Grade a score as of a day.

    Promotion is at once and may cross several bands. A tier is left when the score has been below its leave bound for
    `dwell_days` without a break; then the next lower tier is kept unless its own bound has been left for as long.
    Too little confidence acts at once.
    """
    if score is None or confidence < terms.confidence_min:
        return _UNRATED
    key_since, growth_since, standard_since = standing.below_since_days
    key_leave, growth_leave, standard_leave = terms.leave
    below = (
        None if score >= key_leave else as_of_day if key_since is None else key_since,
        None if score >= growth_leave else as_of_day if growth_since is None else growth_since,
        None if score >= standard_leave else as_of_day if standard_since is None else standard_since,
    )
    entered = 0
    for bound in terms.enter:
        if score >= bound:
            break
        entered += 1
    held = len(terms.enter) if standing.tier is None else _PLACE.get(standing.tier, len(terms.enter))
    while held < entered:
        since = below[held]
        if since is None or as_of_day - since < terms.dwell_days:
            break
        held += 1
    reached = min(held, entered)
    if reached == 0 and confidence < terms.key_confidence_min:
        reached = 1
    return Standing(LADDER[reached], below)


def capped(tier: Tier, tier_max: Tier) -> Tier:
    """Hold a tier down to one that a veto allows; an unrated account stays unrated.

    >>> capped(Tier.KEY, Tier.STANDARD), capped(Tier.BASIC, Tier.STANDARD)
    (<Tier.STANDARD: 'standard'>, <Tier.BASIC: 'basic'>)
    """
    if tier is Tier.UNRATED or _PLACE[tier] >= _PLACE[tier_max]:
        return tier
    return tier_max


def direction(previous: Tier | None, tier: Tier) -> Direction:
    """Name the move from one tier to another.

    >>> direction(Tier.GROWTH, Tier.KEY)
    <Direction.PROMOTED: 'promoted'>
    """
    if tier is Tier.UNRATED:
        return Direction.WITHDRAWN
    if previous is None or previous is Tier.UNRATED:
        return Direction.ENTERED
    return Direction.PROMOTED if _PLACE[tier] < _PLACE[previous] else Direction.DEMOTED


def next_edge_day(terms: TierTerms, standing: Standing) -> int | None:
    """Give the day on which the dwell time below the held tier's leave bound ends; None if it does not run."""
    place = None if standing.tier is None else _PLACE.get(standing.tier)
    if place is None or place == len(terms.leave):
        return None
    since = standing.below_since_days[place]
    return None if since is None else since + terms.dwell_days
