"""All that a computation needs besides the state and the event, prepared once from the policy."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from models.churn_model import ChurnModel
from models.events import Severity
from models.fields import MINOR_DIGITS, MINOR_MAX, epoch_ms, from_epoch_ms
from models.orders import AMOUNT_DECIMALS
from models.outputs import Tier
from models.policy import Churn, Measure, Policy, Tiers, Weights
from models.portfolio import CutPoints
from processors.portfolio.ranking import Ranking
from processors.return_model import compiled

DAY_MS: Final = 86_400_000
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_DECIMAL_PRECISION: Final = 40
_DAYS_A_YEAR: Final = 365.25
RULE_MODEL_VERSION: Final = "rule-1-uncalibrated"
"""The churn model in use: the recency rule, whose numbers are judgement and not fitted."""


class MissingRateError(LookupError):
    """The policy has no rate for a currency on a day."""


class AmountRangeError(ValueError):
    """An amount is too large once it is converted."""


class Ratio:
    """A share as it is written in the policy, so that a bound that is met exactly is met."""

    def __init__(self, parts: int, of: int) -> None:
        self.parts: Final = parts
        self.of: Final = of


class TierTerms:
    """Bounds of key, growth, standard in hundredths, and when they act."""

    def __init__(self, policy: Tiers) -> None:
        key, growth, standard = policy.key, policy.growth, policy.standard
        self.enter: Final = (round(key.enter * 100), round(growth.enter * 100), round(standard.enter * 100))
        self.leave: Final = (round(key.leave * 100), round(growth.leave * 100), round(standard.leave * 100))
        self.dwell_days: Final = policy.dwell_days
        self.confidence_min: Final = policy.confidence_min
        self.key_confidence_min: Final = policy.key_confidence_min


class ChurnTerms:
    """The policy's churn section with its thresholds as log-odds."""

    def __init__(self, policy: Churn) -> None:
        self.policy = policy
        self.even_ratio = policy.even_ratio
        self.ratio_min = policy.ratio_min
        self.steepness = policy.steepness
        self.lost_days = policy.lost_days
        self.lost_gaps = policy.lost_gaps
        self.horizon_days = policy.horizon_days
        self.horizon_gaps = policy.horizon_gaps
        self.support_days = policy.support_days
        self.medium = logit(policy.medium)
        self.medium_held = logit(policy.medium - policy.hysteresis)
        self.high = logit(policy.high)
        self.high_held = logit(policy.high - policy.hysteresis)


def logit(share: float) -> float:
    """Give the log-odds of a share above 0 and below 1."""
    return math.log(share / (1 - share))


def _in_order(weights: Weights) -> tuple[int, int, int, int, int]:
    return weights.revenue, weights.profit, weights.strategic, weights.potential, weights.relationship


def date_of(day: int) -> date:
    """The date of a day counted since 1970-01-01.

    >>> date_of(1)
    datetime.date(1970, 1, 2)
    """
    return date.fromordinal(day + _EPOCH_ORDINAL)


def day_of_date(value: date) -> int:
    """The inverse of `date_of`."""
    return value.toordinal() - _EPOCH_ORDINAL


_SHARE_ONE: Final = 10_000
PART_COUNTS: Final = (1, 1, 3, 4, 6)
"""Parts of each component, in the order of `processors.scorecard.COMPONENTS`."""


class Plan:
    """How a score is put together from the parts that are present.

    Args:
        mask: bit i for the i-th part that is present.
        present: of each component with a part: its place, those of its parts, and its weight in twelfths.
        weight_total: what the weighted sum is divided by, in twelfths.
        confidence: share of what can be known that is, by weight, 0 to 1, four decimals.
    """

    def __init__(
        self, mask: int, present: tuple[tuple[int, tuple[int, ...], int], ...], weight_total: int, confidence: float
    ) -> None:
        self.mask: Final = mask
        self.present: Final = present
        self.weight_total: Final = weight_total
        self.confidence: Final = confidence


class Card:
    """The weights of one scorecard, prepared.

    Args:
        name: of the policy's entry; None for the general weights.
        weights: of the components.
        missing_is_zero: whether an absent part counts as 0.
        shares: for each part, the share of the portfolio's accounts that have it, 0 to 1; None if nobody counted yet.
    """

    def __init__(
        self,
        name: str | None,
        weights: tuple[int, int, int, int, int],
        *,
        missing_is_zero: bool,
        shares: Sequence[float] | None,
    ) -> None:
        self.name = name
        self.weights = weights
        # Of one part of each component, in twelfths of a weight: 12 is a multiple of every count.
        self._units = tuple(12 * weight // count for weight, count in zip(weights, PART_COUNTS, strict=True))
        self._missing_is_zero = missing_is_zero
        # In ten-thousandths, which is how they are counted: a confidence is compared with bounds, so it is exact.
        self._shares = tuple(round(share * _SHARE_ONE) for share in shares or (1.0,) * sum(PART_COUNTS))
        # At most one for each set of parts that occurs.
        self._plans: dict[int, Plan] = {}

    def plan(self, mask: int) -> Plan:
        """Say how a score is put together.

        A part that an account lacks counts against its confidence as far as others have it: where no order has a
        cost, nobody's grade is doubted for it. Before a portfolio was counted every part counts.

        Args:
            mask: bit i for the i-th part that is present.
        """
        known = self._plans.get(mask)
        if known is None:
            known = self._plans[mask] = self._make(mask)
        return known

    def _make(self, mask: int) -> Plan:
        found = []
        weight_total = 0
        missing = 0
        first = 0
        for index, (count, unit) in enumerate(zip(PART_COUNTS, self._units, strict=True)):
            places = range(first, first + count)
            here = tuple(place for place in places if mask >> place & 1)
            missing += sum(unit * self._shares[place] for place in places if place not in here)
            weight_total += unit * len(here)
            if here:
                found.append((index, here, unit * len(here)))
            first += count
        known = _SHARE_ONE * weight_total
        confidence = float(round(Fraction(known, known + missing), 4)) if known else 0.0
        return Plan(mask, tuple(found), 12 * sum(self.weights) if self._missing_is_zero else weight_total, confidence)


class CompiledVeto(NamedTuple):
    """A veto with its bounds as they are compared."""

    name: str
    measure: Measure
    below: float
    """-inf without one."""
    at_least: float
    """inf without one."""
    tier_max: Tier


def _vetoes(policy: Policy) -> tuple[CompiledVeto, ...]:
    return tuple(
        CompiledVeto(
            one.name,
            one.measure,
            -math.inf if one.below is None else one.below,
            math.inf if one.at_least is None else one.at_least,
            Tier(one.tier_max),
        )
        for one in policy.vetoes
    )


class Described(Protocol):
    """What scorecards are chosen by: a profile, wherever it is kept."""

    @property
    def segment(self) -> str | None:
        """See `models.events.ProfileUpdated`, as the others."""

    @property
    def industry(self) -> str | None:
        """Of the account."""

    @property
    def region(self) -> str | None:
        """Of the account."""


class Context:
    """The policy, the churn model and the portfolio's cut points, and what is derived from them once.

    Immutable by convention; another one is made for another policy, model or version of the cut points.

    >>> from models.orders import nano_of
    >>> context = Context(Policy(reporting_currency="EUR", reporting_timezone="Europe/Berlin"))
    >>> context.day_of(epoch_ms(datetime(2026, 1, 31, 23, 30, tzinfo=UTC))) == day_of_date(date(2026, 2, 1))
    True
    >>> context.to_minor(nano_of(Decimal("12.345")), "EUR", day=0)
    1234
    """

    def __init__(
        self,
        policy: Policy,
        erasure_secret: bytes = b"",
        *,
        cuts: CutPoints | None = None,
        model: ChurnModel | None = None,
    ) -> None:
        self.policy = policy
        self.erasure_secret = erasure_secret
        self.cuts = cuts
        revenue, profit = (None, None) if cuts is None else (cuts.revenue, cuts.profit)
        self.revenue_ranking = None if revenue is None else Ranking(revenue)
        self.profit_ranking = None if profit is None else Ranking(profit)
        self.model = model
        self.predictor = None if model is None else compiled(model)
        self.model_version = RULE_MODEL_VERSION if model is None else model.version
        self.portfolio_version = 0 if cuts is None else cuts.version
        self.configuration = policy.version if model is None else f"{policy.version}+{model.version}"
        """Names policy and churn model together."""
        self._reporting_currency: str = policy.reporting_currency
        self.reporting_digits = MINOR_DIGITS[policy.reporting_currency]
        self.major: int = 10**self.reporting_digits
        self._nano_a_minor: int = 10 ** (AMOUNT_DECIMALS - self.reporting_digits)
        self._time_zone = None if policy.reporting_timezone == "UTC" else ZoneInfo(policy.reporting_timezone)
        self._rate_days = {
            currency: [day_of_date(rate.since) for rate in rates] for currency, rates in policy.rates.items()
        }
        self.service_cost_minor: dict[Severity, int] = {
            severity: self._round(cost) for severity, cost in policy.support.service_cost.items()
        }
        # What an evaluation reads, as plain attributes: a model's field costs several times as much.
        card = policy.scorecard
        self.horizon_days = policy.horizon_days
        self.window_days = policy.window_days
        coverage = Fraction(str(card.profit_coverage_min))
        self.profit_coverage_min = Ratio(coverage.numerator, coverage.denominator)
        self.growth_days = card.growth_days
        # Lengths of all windows that an order day leaves; a day that does changes something.
        self.edge_windows = tuple(sorted({*policy.window_days, card.growth_days, 2 * card.growth_days}))
        self.rating_days = card.rating_days
        self.product_lines_target = card.product_lines_target
        self.tenure_days = card.tenure_years * _DAYS_A_YEAR
        self.regularity_days_min = card.regularity_days_min
        self.satisfaction_half_life_days = card.satisfaction_half_life_days
        self.support_feed = policy.support.feed
        self.support_days = policy.support.days
        self.churn = ChurnTerms(policy.churn)
        gap = None if cuts is None else cuts.mean_gap_days
        self.portfolio_gap_days = float(policy.churn.portfolio_gap_days if gap is None else gap)
        self.tiers = TierTerms(policy.tiers)
        self.vetoes = _vetoes(policy)
        shares = None if cuts is None else cuts.part_shares
        zero = card.missing == "zero"
        self._card = Card(None, _in_order(card.weights), missing_is_zero=zero, shares=shares)
        self._cards = [
            (one, Card(one.name, _in_order(one.weights), missing_is_zero=zero, shares=shares))
            for one in policy.scorecards
        ]

    def with_cuts(self, cuts: CutPoints | None) -> "Context":
        """Give the same with other cut points."""
        return Context(self.policy, self.erasure_secret, cuts=cuts, model=self.model)

    def card_of(self, profile: Described | None) -> Card:
        """Give the scorecard of an account: the first of the policy's whose conditions its profile meets."""
        if profile is not None:
            for one, card in self._cards:
                if (
                    one.segment in (None, profile.segment)
                    and one.industry in (None, profile.industry)
                    and one.region in (None, profile.region)
                ):
                    return card
        return self._card

    def day_of(self, moment_ms: int) -> int:
        """Turn a moment into its local day in the policy's time zone.

        Where the clock goes back over midnight, a later moment may belong to the day before.
        """
        if self._time_zone is None:
            return moment_ms // DAY_MS
        return day_of_date(from_epoch_ms(moment_ms).astimezone(self._time_zone).date())

    def start_of_day_ms(self, day: int) -> int:
        """Give the moment at which a local day begins."""
        if self._time_zone is None:
            return day * DAY_MS
        midnight = datetime.combine(date_of(day), datetime.min.time(), tzinfo=self._time_zone)
        return epoch_ms(midnight.astimezone(UTC))

    def end_of_day_ms(self, day: int) -> int:
        """Give the last millisecond of a local day."""
        return self.start_of_day_ms(day + 1) - 1

    def to_minor(self, amount_nano: int, currency: str, day: int) -> int:
        """Convert an amount in billionths to minor units of the reporting currency, rounded half-even once.

        Raises:
            MissingRateError: if no rate of the currency is in force on the day.
            AmountRangeError: if the result is above `MINOR_MAX`.
        """
        if currency == self._reporting_currency:
            nano_a_minor = self._nano_a_minor
            minor = amount_nano // nano_a_minor
            twice = 2 * (amount_nano - minor * nano_a_minor)
            up = twice > nano_a_minor or (twice == nano_a_minor and minor % 2 == 1)
            return minor + 1 if up else minor
        days = self._rate_days.get(currency, [])
        index = bisect_right(days, day) - 1
        if index < 0:
            raise MissingRateError(f"no rate for {currency} on {date_of(day)}")
        with localcontext(prec=_DECIMAL_PRECISION):
            amount = Decimal(amount_nano).scaleb(-AMOUNT_DECIMALS)
            minor = self._round(amount * self.policy.rates[currency][index].rate)
        if minor > MINOR_MAX:
            raise AmountRangeError(f"{amount} {currency} is more than {MINOR_MAX} minor units once it is converted")
        return minor

    def to_decimal_text(self, minor: int) -> str:
        """Write minor units as a decimal string of major units.

        >>> Context(Policy(reporting_currency="EUR")).to_decimal_text(-1205)
        '-12.05'
        """
        digits = self.reporting_digits
        if digits == 0:
            return str(minor)
        whole, fraction = divmod(abs(minor), 10**digits)
        return f"{'-' if minor < 0 else ''}{whole}.{fraction:0{digits}d}"

    def _round(self, amount: Decimal) -> int:
        return int(amount.scaleb(self.reporting_digits).to_integral_value(ROUND_HALF_EVEN))
