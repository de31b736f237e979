"""An account's profile: written when it is acquired, kept up to date by its account manager."""

from collections.abc import Iterator
from random import Random
from typing import Final

from models.events import InputTopic
from models.fields import MINOR_DIGITS
from stream.simulation.happening import Episode, Fields, Happening, instant, money
from stream.simulation.names import OWNERS
from stream.simulation.persona import Persona, SizeClass
from stream.simulation.spec import DAY_MS, HOUR_MS, YEAR_DAYS, date_of
from stream.simulation.tempo import draw_moment_ms, working_day

_FIRST_HOURS: Final = (4.0, 6.0)
"""Before the first order of the day."""
_UPDATE_DAYS_LEAST: Final = 20.0
_UPDATE_DAYS_MEAN: Final = 170.0
_BUDGET_SHARE: Final = 0.75
_BUDGET_OVER_SPEND: Final = (1.05, 3.0)
_BUDGET_DRIFT: Final = (0.85, 1.25)
_BUDGET_DIGITS: Final = -5
"""A budget is a round number: of 100,000 minor units."""
_RATED_SHARE: Final = 0.7
_RERATED_SHARE: Final = 0.5
_RATING_AGE_DAYS_MAX: Final = 300
_RATING_NOISE: Final = 18.0
_RATING_BY_SIZE: Final = 8.0
_RATING_CENTRE: Final = 48.0
_RATING_MAX: Final = 100.0
_RATINGS: Final = (
    "market_share",
    "brand_influence",
    "cooperation_potential",
    "industry_growth",
    "competitive_pressure",
    "value_fit",
)
_RATING_PRESENT_SHARE: Final = 0.85
_RENEWAL_SHARE: Final = 0.6
_NEW_OWNER_SHARE: Final = 0.12
_OVERRIDE_SHARE: Final = 0.015
_OVERRIDE_DAYS: Final = (30, 365)
_OVERRIDES: Final = (
    ("key", "reference customer of the region"),
    ("growth", "pilot of a new product line"),
    ("basic", "payment terms under review"),
)


def profile_episodes(persona: Persona, random: Random, currency: str) -> Iterator[Episode]:
    """Yield the profile at acquisition, then new versions while the account is a customer."""
    desk = _ProfileDesk(persona, random, currency)
    life = persona.life
    moment_ms = life.start_day * DAY_MS + int(random.uniform(*_FIRST_HOURS) * HOUR_MS)
    while True:
        yield moment_ms, [desk.publish(moment_ms)]
        wait_days = _UPDATE_DAYS_LEAST + random.expovariate(1 / _UPDATE_DAYS_MEAN)
        active_ms = life.next_active_ms(moment_ms + int(wait_days * DAY_MS))
        if active_ms is None:
            return
        moment_ms = draw_moment_ms(random, working_day(random, active_ms // DAY_MS))
        desk.revise(moment_ms // DAY_MS)


class _ProfileDesk:
    """Holds one account's profile between its versions."""

    def __init__(self, persona: Persona, random: Random, currency: str) -> None:
        self._persona = persona
        self._random = random
        self._currency = currency
        self._version = 0
        self._owner = persona.owner
        self._has_renewal = random.random() < _RENEWAL_SHARE
        self._budget_minor = persona.annual_spend_minor * random.uniform(*_BUDGET_OVER_SPEND)
        self._has_budget = random.random() < _BUDGET_SHARE
        self._ratings: Fields = {}
        self._override: Fields | None = None
        if random.random() < _RATED_SHARE:
            age_days = random.randint(0, _RATING_AGE_DAYS_MAX)
            self._rate(max(persona.life.start_day - age_days, persona.life.since_day))

    def revise(self, day: int) -> None:
        """Change what an account manager changes at a review."""
        random = self._random
        self._budget_minor *= random.uniform(*_BUDGET_DRIFT)
        if self._ratings and random.random() < _RERATED_SHARE:
            self._rate(day)
        if random.random() < _NEW_OWNER_SHARE:
            self._owner = random.choice(OWNERS)
        self._override = None
        if random.random() < _OVERRIDE_SHARE:
            tier, reason = random.choice(_OVERRIDES)
            until = date_of(day + random.randint(*_OVERRIDE_DAYS)).isoformat()
            self._override = {"tier": tier, "reason": reason, "until": until}

    def publish(self, moment_ms: int) -> Happening:
        """Return the whole profile as its next version."""
        persona = self._persona
        self._version += 1
        fields: Fields = {
            "event_id": f"{persona.account_id}-p{self._version}",
            "type": "profile.updated",
            "account_id": persona.account_id,
            "occurred_at": instant(moment_ms),
            "profile_version": self._version,
            "name": persona.name,
            "customer_since": date_of(persona.life.since_day).isoformat(),
            "segment": persona.segment,
            "industry": persona.industry,
            "region": persona.region,
            "owner": self._owner,
            "crm_url": f"https://crm.example.com/accounts/{persona.account_id}",
        }
        return Happening(moment_ms, InputTopic.PROFILES, fields | self._optional(moment_ms // DAY_MS))

    def _optional(self, day: int) -> Fields:
        digits = MINOR_DIGITS[self._currency]
        fields: Fields = {}
        if self._has_budget:
            budget_minor = max(round(self._budget_minor, _BUDGET_DIGITS), 10**-_BUDGET_DIGITS)
            amount = money(int(budget_minor), digits)
            fields["budget"] = {"amount": amount, "currency": self._currency}
        if self._has_renewal:
            years = (day - self._persona.life.since_day) // YEAR_DAYS + 1
            renewal_day = self._persona.life.since_day + years * YEAR_DAYS
            fields["renewal_on"] = date_of(renewal_day).isoformat()
        if self._persona.parent_id is not None:
            fields["parent_id"] = self._persona.parent_id
        if self._ratings:
            fields["ratings"] = self._ratings
        if self._override is not None:
            fields["override"] = self._override
        return fields

    def _rate(self, day: int) -> None:
        # A new dictionary: the published ones keep what they said.
        size = tuple(SizeClass).index(self._persona.size_class)
        centre = _RATING_CENTRE + _RATING_BY_SIZE * (size - 1)
        ratings: Fields = {}
        for name in _RATINGS:
            value = min(max(self._random.gauss(centre, _RATING_NOISE), 0.0), _RATING_MAX)
            if self._random.random() < _RATING_PRESENT_SHARE:
                ratings[name] = {"value": float(round(value)), "rated_at": date_of(day).isoformat()}
        self._ratings = ratings
