"""Season, weekdays, growth and decline: how much and how often an account orders on a day."""

import math
from random import Random
from typing import Final

from stream.simulation.persona import Persona
from stream.simulation.spec import DAY_MS, HOUR_MS, MINUTE_MS, YEAR_DAYS

_YEAR_DAYS_EXACT: Final = 365.2425
_HALF_YEAR_SWING: Final = 0.12
_YEAR_SWING: Final = 0.1
_HALF_YEAR_PEAK: Final = 0.28
_YEAR_PEAK: Final = 0.8
_PAUSES: Final = ((0.585, 0.645, 0.7), (0.973, 1.0, 0.35), (0.0, 0.012, 0.35))
"""Parts of the year (from, to) with little business, and what is left: August, turn of the year."""

_THURSDAY: Final = 3  # 1970-01-01
_WEEK_DAYS: Final = 7
_WEEKDAY_SHARE: Final = (1.0, 0.98, 0.92, 0.88, 0.75, 0.1, 0.03)
"""Monday to Sunday: the chance that an order due on such a day is placed on it, not later."""
WEEKDAY_DELAY_DAYS: Final = 0.65
"""What waiting for a working day adds to a gap on average."""

_OPENING_HOURS: Final = (6.5, 18.0, 9.75)
_GROWTH_YEARS_MAX: Final = 3.0
_DEFECTION_AMOUNT: Final = 0.8
_DEFECTION_PACE: Final = 0.4
_TROUBLE_AMOUNT: Final = 0.25
_RETURNED_AMOUNT: Final = 0.7


def season(day: int) -> float:
    """The company's business on a day of the year, about 1 on average: high in April and October.

    >>> round(season(280), 2), round(season(360), 2)  # 8 October, 27 December
    (1.22, 0.33)
    """
    part = _part_of_year(day)
    factor = 1.0 + _HALF_YEAR_SWING * math.cos(4 * math.pi * (part - _HALF_YEAR_PEAK))
    factor += _YEAR_SWING * math.cos(2 * math.pi * (part - _YEAR_PEAK))
    return factor * _staffing(part)


def amount_factor(persona: Persona, day: int) -> float:
    """How large its orders are on a day against those of its first, by growth, season and fate."""
    life = persona.life
    years = (day - life.first_order_day) / YEAR_DAYS
    # Nothing grows for ever: after some years it stays as it is.
    grown = _GROWTH_YEARS_MAX * math.tanh(years / _GROWTH_YEARS_MAX)
    factor = math.exp(persona.growth_per_year * grown)
    factor *= math.pow(season(day), persona.season_strength / 2)
    factor *= 1 - _DEFECTION_AMOUNT * life.defection(day)
    factor *= 1 - _TROUBLE_AMOUNT * life.trouble(day)
    return factor * (_RETURNED_AMOUNT if life.has_returned(day) else 1.0)


def draw_gap_ms(persona: Persona, random: Random, day: int) -> int:
    """Draw the time from an order on a day to the next, without the wait for a working day."""
    gap_days = max(persona.gap_days - WEEKDAY_DELAY_DAYS, 1.0)
    pace = math.pow(season(day), persona.season_strength)
    pace *= 1 - _DEFECTION_PACE * persona.life.defection(day)
    scale = gap_days / (persona.regularity * pace)
    return int(random.gammavariate(persona.regularity, scale) * DAY_MS)


def working_day(random: Random, day: int) -> int:
    """Return the day, or a later one, on which somebody is at work to do what was due."""
    while random.random() > _work(day):
        day += 1
    return day


def draw_moment_ms(random: Random, day: int) -> int:
    """Draw a moment in the opening hours of a day."""
    hours = random.triangular(*_OPENING_HOURS)
    return day * DAY_MS + int(hours * HOUR_MS / MINUTE_MS) * MINUTE_MS + random.randrange(MINUTE_MS)


def _work(day: int) -> float:
    """Return the chance that what is due on a day is done on it, 0 to 1."""
    weekday_share = _WEEKDAY_SHARE[(day + _THURSDAY) % _WEEK_DAYS]
    return weekday_share * _staffing(_part_of_year(day))


def _part_of_year(day: int) -> float:
    return day / _YEAR_DAYS_EXACT % 1.0


def _staffing(part: float) -> float:
    """Return how much of business goes on in a part of the year: 1, or less in a pause."""
    return next((left for start, end, left in _PAUSES if start <= part < end), 1.0)
