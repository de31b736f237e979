"""The policy: every number that a sales organisation may judge differently, checked as a whole.

One TOML file. Unknown keys are refused, every error is listed at once, units are in the names. The `version` is
the hash of its meaning; the `revision` is a number that must grow with each change.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from models.actions import DEFAULT_ACTIONS, ActionRule
from models.events import Severity
from models.fields import CurrencyCode
from models.sections import Days, LogOdds, Money, Score, Section, Share, Weight
from models.state import PRODUCT_LINES_MAX

_VERSION_HEX_DIGITS: Final = 12
_VALUE_CHARACTERS_MAX: Final = 100


class PolicyError(ValueError):
    """A policy that cannot be used; its text lists every error, one a line."""


def _time_zone(value: Any) -> Any:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise PydanticCustomError("time_zone", "Input should be an IANA time zone, as Europe/Berlin") from error
    return value


class Rate(Section):
    """From a day on, one unit of a currency is worth `rate` units of the reporting currency."""

    since: date
    rate: Annotated[Decimal, Field(gt=0, le=10**9), AfterValidator(Decimal.normalize)]


class Weights(Section):
    """How much each component of the score counts in relation to the others; 0 leaves one out."""

    revenue: Weight = 30
    profit: Weight = 25
    strategic: Weight = 15
    potential: Weight = 15
    relationship: Weight = 15

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        if not any((self.revenue, self.profit, self.strategic, self.potential, self.relationship)):
            raise PydanticCustomError("no_weight", "one weight at least should be above 0")
        return self


class Scorecard(Section):
    """What the components are made of; the same for all accounts."""

    weights: Weights = Weights()
    """Of accounts that no entry of `scorecards` names."""
    missing: Literal["rescale", "zero"] = "rescale"
    """What absent parts do: the weights of the present ones are scaled to the whole, or they count as 0."""
    profit_coverage_min: Share = 0.5
    """Profit is absent when less of the revenue has a known cost."""
    rating_days: Days = 365
    """A rating is absent again as many days after it was given."""
    growth_days: Days = 182
    """Growth compares the revenue of as many days with that of as many before."""
    product_lines_target: Annotated[int, Field(ge=1, le=PRODUCT_LINES_MAX)] = 8
    """Product lines that an account should buy; the rest is white space."""
    tenure_years: Annotated[float, Field(gt=0, le=50)] = 5
    """Years of tenure that score 100."""
    regularity_days_min: Annotated[int, Field(ge=3, le=100)] = 4
    """Order days from which on the rhythm of ordering is scored."""
    satisfaction_half_life_days: Days = 180
    """Age at which a survey answer counts half."""


class Segmented(Section):
    """Weights of their own for the accounts of a segment, an industry or a region; all that are given must match."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    segment: Annotated[str, Field(min_length=1)] | None = None
    industry: Annotated[str, Field(min_length=1)] | None = None
    region: Annotated[str, Field(min_length=1)] | None = None
    weights: Weights

    @model_validator(mode="after")
    def _some_condition(self) -> Self:
        if self.segment is None and self.industry is None and self.region is None:
            raise PydanticCustomError("no_condition", "segment, industry or region should be given")
        return self


Measure = Literal[
    "score",
    "confidence",
    "revenue_score",
    "profit_score",
    "strategic_score",
    "potential_score",
    "relationship_score",
    "revenue",
    "profit",
    "orders",
    "open_severe_tickets",
    "competitive_pressure",
]
"""What a veto may look at: scores and ratings 0-100, confidence 0-1, money of the longest window in major units."""


class Veto(Section):
    """A condition under which an account is graded no better than a tier, at once and as long as it holds."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    measure: Measure
    below: Annotated[float, Field(allow_inf_nan=False)] | None = None
    at_least: Annotated[float, Field(allow_inf_nan=False)] | None = None
    tier_max: Literal["growth", "standard", "basic"]

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.below is None) == (self.at_least is None):
            raise PydanticCustomError("one_bound", "either below or at_least should be given")
        return self


class TierBound(Section):
    """A tier is entered at a score of `enter` or more and left below `leave`."""

    enter: Score
    leave: Score

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.leave > self.enter:
            raise PydanticCustomError("bound_order", "leave should not be above enter")
        return self


class Tiers(Section):
    """Bounds of the tiers, and how long a score must stay below one before the account is demoted."""

    key: TierBound = TierBound(enter=71, leave=66)
    growth: TierBound = TierBound(enter=50, leave=45)
    standard: TierBound = TierBound(enter=25, leave=20)
    dwell_days: Annotated[int, Field(ge=0, le=365)] = 30
    confidence_min: Share = 0.30
    """Below it an account is unrated."""
    key_confidence_min: Share = 0.50
    """Below it an account is at most `growth`."""

    @model_validator(mode="after")
    def _descending(self) -> Self:
        for upper, lower in ((self.key, self.growth), (self.growth, self.standard)):
            if upper.enter <= lower.enter or upper.leave <= lower.leave:
                raise PydanticCustomError("tier_order", "key, growth, standard should descend")
        return self


class Churn(Section):
    """When silence is a risk, and when an account is lost."""

    portfolio_gap_days: Annotated[float, Field(ge=1, le=365)] = 45
    """Mean gap between order days that an account's own is shrunk to, with the weight of one gap."""
    even_ratio: Annotated[float, Field(gt=0, le=100)] = 2
    """Silence over own gap at which the risk is one half."""
    ratio_min: Annotated[float, Field(gt=0, le=100)] = 0.5
    """That ratio counts as this at least, so that support signals are heard right after an order."""
    steepness: Annotated[float, Field(gt=0, le=10)] = 2
    """Growth of the log-odds with the logarithm of that ratio."""
    medium: Share = 0.5
    high: Share = 0.8
    hysteresis: Annotated[float, Field(ge=0, le=0.2)] = 0.05
    horizon_days: Days = 90
    horizon_gaps: Annotated[float, Field(ge=0, le=20)] = 2
    lost_days: Days = 180
    lost_gaps: Annotated[float, Field(ge=0, le=20)] = 3
    severe_ticket_log_odds: LogOdds = 0.8
    """Added for each open ticket of high or critical severity."""
    sla_breach_log_odds: LogOdds = 0.4
    """Added for each missed deadline of the last `support_days`."""
    complaint_log_odds: LogOdds = 0.5
    """Added for each complaint of the last `support_days`."""
    satisfaction_down_log_odds: LogOdds = 0.4
    """Added while the answers of the last `support_days` are `satisfaction_drop` points below those before."""
    satisfaction_drop: Score = 15
    competitive_pressure_log_odds: LogOdds = 0.4
    """Added while competitive pressure is rated `competitive_pressure_high` or more."""
    competitive_pressure_high: Score = 80
    falling_growth: Score = 40
    """A growth part below it names falling revenue as a reason."""
    renewal_days: Days = 60
    """A renewal as near as this is named as a reason."""
    signals_max: Annotated[int, Field(ge=0, le=100)] = 3
    """Signals of one kind that count at most."""
    support_days: Days = 90
    margin: Share = 0.3
    """Profit per revenue assumed for the value at stake when costs are unknown."""

    @model_validator(mode="after")
    def _levels_ordered(self) -> Self:
        if not (self.hysteresis < self.medium < self.high - self.hysteresis and self.high < 1):
            raise PydanticCustomError(
                "level_order", "hysteresis < medium < high - hysteresis should hold, and high < 1"
            )
        return self


class Support(Section):
    """What support costs, and what it takes off the relationship."""

    feed: bool = False
    """Whether support events are sent at all: then an account without any has the full support score."""
    days: Days = 90
    """Breaches, reopenings and complaints of as many days are penalised."""
    open_severe_penalty: Score = 25
    """Points off for each open ticket of high or critical severity."""
    breach_penalty: Score = 10
    reopening_penalty: Score = 10
    complaint_penalty: Score = 15

    service_cost: dict[Severity, Money] = Field(default_factory=dict)
    """Major units of the reporting currency for each ticket opened; absent severities cost nothing."""


class Classes(Section):
    """Bounds of the relative classes, the account types and the phases of the lifecycle."""

    abc_a: Share = 0.80
    """Accounts are in class A while larger ones hold less than this share of the total."""
    abc_b: Share = 0.95
    """The same for class B."""
    xyz_measure: Literal["revenue", "orders"] = "revenue"
    """What the blocks of 30 days are summed over."""
    xyz_x_below: Annotated[float, Field(gt=0, le=10)] = 0.5
    """Coefficient of variation of the blocks, below which an account is in class X."""
    xyz_y_below: Annotated[float, Field(gt=0, le=10)] = 1.0
    """The same for class Y."""
    xyz_blocks_min: Annotated[int, Field(ge=2, le=12)] = 3
    """Complete blocks from which on there is a class."""
    breadwinner_share: Annotated[float, Field(gt=0, le=1)] = 0.10
    """Of the portfolio's profit, from which on an account is a breadwinner."""
    prospective_days: Days = 180
    """An account that is younger is prospective if its budget is in the top fifth."""
    image_maker_brand: Score = 80
    """Brand influence from which on an account is an image-maker."""
    new_days: Days = 90
    """An account is new for as long after its first order."""
    recovered_days: Days = 90
    """An account is recovered for as long after its return."""
    dormant_gaps: Annotated[float, Field(gt=0, le=20)] = 2
    """An account that is silent for more than as many of its own gaps is dormant."""
    declining_below: Share = 0.4
    """Growth, 0.5 being none, below which an account is declining."""
    growing_above: Share = 0.6
    """Growth above which an account is growing."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not (0 < self.abc_a < self.abc_b):
            raise PydanticCustomError("abc_order", "0 < abc_a < abc_b should hold")
        if self.xyz_x_below >= self.xyz_y_below:
            raise PydanticCustomError("xyz_order", "xyz_x_below should be less than xyz_y_below")
        if self.declining_below > self.growing_above:
            raise PydanticCustomError("growth_order", "declining_below should not be above growing_above")
        return self


class Policy(Section):
    """All judgement in one place."""

    revision: Annotated[int, Field(ge=1, lt=2**31)] = 1
    reporting_currency: CurrencyCode
    reporting_timezone: Annotated[str, BeforeValidator(_time_zone)] = "UTC"
    window_days: Annotated[tuple[Days, ...], Field(min_length=1, max_length=6)] = (30, 90, 365)
    """Lengths of the rolling windows, ascending; the longest is the horizon."""
    rates: dict[CurrencyCode, Annotated[tuple[Rate, ...], Field(min_length=1, max_length=4000)]] = Field(
        default_factory=dict
    )
    scorecard: Scorecard = Scorecard()
    scorecards: Annotated[tuple[Segmented, ...], Field(max_length=100)] = ()
    """The first whose conditions hold gives an account its weights."""
    vetoes: Annotated[tuple[Veto, ...], Field(max_length=100)] = ()
    actions: Annotated[tuple[ActionRule, ...], Field(max_length=100)] = DEFAULT_ACTIONS
    """Recommended in this order."""
    tiers: Tiers = Tiers()
    churn: Churn = Churn()
    support: Support = Support()
    classes: Classes = Classes()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(a >= b for a, b in pairwise(self.window_days)):
            raise PydanticCustomError("window_order", "window_days should ascend")
        if self.reporting_currency in self.rates:
            raise PydanticCustomError("own_rate", "the reporting currency should have no rate")
        for rates in self.rates.values():
            if any(a.since >= b.since for a, b in pairwise(rates)):
                raise PydanticCustomError("rate_order", "the rates of a currency should ascend by `since`")
        longest = {
            "churn.support_days": self.churn.support_days,
            "support.days": self.support.days,
            "twice scorecard.growth_days": 2 * self.scorecard.growth_days,
        }
        for name, days in longest.items():
            if days > self.horizon_days:
                raise PydanticCustomError("too_long", "{name} should not exceed the longest window", {"name": name})
        return self

    @cached_property
    def segments(self) -> frozenset[str]:
        """The segments that it names."""
        return frozenset(one.segment for one in self.scorecards if one.segment is not None)

    @property
    def horizon_days(self) -> int:
        """How many days an account remembers one by one."""
        return self.window_days[-1]

    @cached_property
    def version(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of all that the policy means, the revision left out."""
        meaning = json.dumps(self.model_dump(mode="json", exclude={"revision"}), sort_keys=True)
        return hashlib.sha256(meaning.encode()).hexdigest()[:_VERSION_HEX_DIGITS]


def read_policy(source: Mapping[str, Any]) -> Policy:
    """Check a policy that was read from a file or an environment.

    Raises:
        PolicyError: with every error, one a line, each with the setting, its value and what is allowed.
    """
    try:
        return Policy.model_validate(source)
    except ValidationError as error:
        lines = [
            f"{'.'.join(str(part) for part in one['loc']) or 'policy'} = {_shortened(one['input'])}: {_allowed(one)}"
            for one in error.errors(include_url=False, include_context=False)
        ]
        raise PolicyError("\n".join(lines)) from error


def load_policy(path: Path) -> Policy:
    """Read and check a policy file.

    Raises:
        PolicyError: if the file cannot be read, is not TOML, or holds an error.
    """
    try:
        return read_policy(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PolicyError(f"{path}: not TOML: {error}") from error


def _allowed(error: ErrorDetails) -> str:
    match error["type"]:
        case "extra_forbidden":
            known = [name for one in Section.__subclasses__() for name in one.model_fields]
            near = get_close_matches(str(error["loc"][-1]), known, n=1)
            return error["msg"] + "".join(f": is {name} meant?" for name in near)
        case "tuple_type":
            return "Input should be a list"
        case _:
            return error["msg"]


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _VALUE_CHARACTERS_MAX else text[: _VALUE_CHARACTERS_MAX - 1] + "…"
