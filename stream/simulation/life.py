"""When an account is a customer: acquired, perhaps lost and for what cause, perhaps won back."""

from dataclasses import dataclass
from enum import StrEnum, unique
from random import Random
from typing import Final

from stream.simulation.spec import DAY_MS, YEAR_DAYS, SimulationSpec

TROUBLE_DAYS: Final = 60
"""For so long before it leaves, an account with bad service has reason to complain."""

_IN_PERIOD_SHARE: Final = 0.45
_PROSPECT_SHARE: Final = 0.04
_PROSPECT_DAYS_LEAST: Final = 60
_PROSPECT_DAYS_MEAN: Final = 400.0
_FIRST_ORDER_DAYS_MEAN: Final = 6.0
_RELATION_YEARS_MEAN: Final = 4.0
_RELATION_YEARS_MAX: Final = 25.0
_LIFETIME_DAYS_LEAST: Final = 90
_LIFETIME_DAYS_MEAN: Final = 1_500.0
_RETURN_SHARE: Final = 0.2
# An account is lost after 180 silent days or three of its own gaps: a return comes later.
_RETURN_DAYS_LEAST: Final = 190
_RETURN_GAPS_LEAST: Final = 3.2
_RETURN_DAYS_SPREAD: Final = 180.0
_DECLINE_DAYS: Final = (120, 240)


@unique
class ChurnCause(StrEnum):
    """Why an account leaves."""

    BAD_SERVICE = "bad_service"
    """Severe tickets, missed deadlines, complaints and falling satisfaction for 60 days."""
    COMPETITOR = "competitor"
    """Orders become smaller and rarer for months."""
    CLOSED = "closed"
    """Silence from one day to the next."""


@dataclass(frozen=True, slots=True)
class Life:
    """The days of an account's life, as days since 1970-01-01.

    The churn day is the last on which it may order; it may lie beyond the simulated history.
    """

    since_day: int
    """When it became a customer, perhaps long before the history."""
    start_day: int
    """When its first record is sent."""
    first_order_day: int
    churn_day: int
    churn_cause: ChurnCause
    return_day: int | None
    """When it orders again, more than 180 days after it left."""
    decline_days: int
    """For so long before the churn day, orders go to a competitor."""

    def next_active_ms(self, moment_ms: int) -> int | None:
        """Return the earliest moment from the given one on at which it is a customer, if any."""
        if moment_ms < (self.churn_day + 1) * DAY_MS:
            return moment_ms
        if self.return_day is None:
            return None
        return max(moment_ms, self.return_day * DAY_MS)

    def has_returned(self, day: int) -> bool:
        """Tell whether a day belongs to its second life."""
        return self.return_day is not None and day >= self.return_day

    def trouble(self, day: int) -> float:
        """How far bad service has driven it on a day: 0 not at all, 1 out of the door."""
        if self.churn_cause is not ChurnCause.BAD_SERVICE:
            return 0.0
        return self._approach(day, TROUBLE_DAYS)

    def defection(self, day: int) -> float:
        """How much of its demand goes to a competitor on a day: 0 none, 1 all."""
        if self.churn_cause is not ChurnCause.COMPETITOR:
            return 0.0
        return self._approach(day, self.decline_days)

    def _approach(self, day: int, days: int) -> float:
        if self.has_returned(day):
            return 0.0
        return min(max((day - self.churn_day + days) / days, 0.0), 1.0)


def draw_life(spec: SimulationSpec, random: Random, gap_days: float, acquired_day: int | None) -> Life:
    """Draw when an account comes and goes; `acquired_day` fixes its first day, None draws it.

    More than half of the accounts are customers before the history begins; these are shown from
    its first day.
    """
    recently = random.random() < _IN_PERIOD_SHARE
    since_days = min(random.expovariate(1 / _RELATION_YEARS_MEAN), _RELATION_YEARS_MAX) * YEAR_DAYS
    day_in_period = spec.first_day + int(random.random() * spec.days)
    first_gap_share = random.random()
    if acquired_day is not None or recently:
        start_day = since_day = day_in_period if acquired_day is None else acquired_day
        wait_days = random.expovariate(1 / _FIRST_ORDER_DAYS_MEAN)
    else:
        start_day, since_day = spec.first_day, spec.first_day - 1 - int(since_days)
        wait_days = first_gap_share * gap_days
    if random.random() < _PROSPECT_SHARE:
        since_day = start_day
        wait_days = _PROSPECT_DAYS_LEAST + random.expovariate(1 / _PROSPECT_DAYS_MEAN)
    first_order_day = start_day + int(wait_days)
    lifetime_days = _LIFETIME_DAYS_LEAST + int(random.expovariate(1 / _LIFETIME_DAYS_MEAN))
    churn_day = first_order_day + lifetime_days
    absence_days = max(_RETURN_DAYS_LEAST, _RETURN_GAPS_LEAST * gap_days)
    absence_days += random.random() * _RETURN_DAYS_SPREAD
    returns = random.random() < _RETURN_SHARE
    return Life(
        since_day=since_day,
        start_day=start_day,
        first_order_day=first_order_day,
        churn_day=churn_day,
        churn_cause=random.choices(tuple(ChurnCause), weights=(35, 40, 25))[0],
        return_day=churn_day + int(absence_days) if returns else None,
        decline_days=random.randint(*_DECLINE_DAYS),
    )


def acquisition_gap_days(spec: SimulationSpec) -> float:
    """Mean days between two new accounts within the history; later ones arrive at this pace too."""
    return spec.days / (spec.accounts * _IN_PERIOD_SHARE)
