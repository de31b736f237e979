"""Tiers: promotion at once, demotion after a dwell time below the leave bound, and no flapping between."""

from typing import Final, NamedTuple

from models.outputs import Direction, Tier
from models.policy import Tiers

LADDER: Final = (Tier.KEY, Tier.GROWTH, Tier.STANDARD, Tier.BASIC)
"""Graded tiers, best first."""
_HUNDREDTHS: Final = 100


class Standing(NamedTuple):
    """An account's tier and since when its score is below each leave bound (key, growth, standard)."""

    tier: Tier | None
    below_since_days: tuple[int | None, int | None, int | None]


def grade(policy: Tiers, standing: Standing, score: int | None, confidence: float, as_of_day: int) -> Standing:
    """Grade a score as of a day.

    Promotion is at once and may cross several bands. A tier is left when the score has been below its leave bound for
    `dwell_days` without a break; then the next lower tier is kept unless its own bound has been left for as long.
    Too little confidence acts at once.
    """
    if score is None or confidence < policy.confidence_min:
        return Standing(Tier.UNRATED, (None, None, None))
    bounds = (policy.key, policy.growth, policy.standard)
    below = tuple(
        (as_of_day if since is None else since) if score < bound.leave * _HUNDREDTHS else None
        for bound, since in zip(bounds, standing.below_since_days, strict=True)
    )
    entered = next((index for index, bound in enumerate(bounds) if score >= bound.enter * _HUNDREDTHS), len(bounds))
    held = LADDER.index(standing.tier) if standing.tier in LADDER else len(bounds)
    while held < entered and _left(below[held], as_of_day, policy.dwell_days):
        held += 1
    reached = min(held, entered)
    if reached == 0 and confidence < policy.key_confidence_min:
        reached = 1
    return Standing(LADDER[reached], (below[0], below[1], below[2]))


def direction(previous: Tier | None, tier: Tier) -> Direction:
    """Name the move from one tier to another.

    >>> direction(Tier.GROWTH, Tier.KEY)
    <Direction.PROMOTED: 'promoted'>
    """
    if tier is Tier.UNRATED:
        return Direction.WITHDRAWN
    if previous is None or previous is Tier.UNRATED:
        return Direction.ENTERED
    return Direction.PROMOTED if LADDER.index(tier) < LADDER.index(previous) else Direction.DEMOTED


def next_edge_day(policy: Tiers, standing: Standing) -> int | None:
    """Give the day on which the dwell time below the held tier's leave bound ends; None if it does not run."""
    if standing.tier is None or standing.tier not in LADDER[:-1]:
        return None
    since = standing.below_since_days[LADDER.index(standing.tier)]
    return None if since is None else since + policy.dwell_days


def _left(since_day: int | None, as_of_day: int, dwell_days: int) -> bool:
    return since_day is not None and as_of_day - since_day >= dwell_days
