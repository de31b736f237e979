"""All that a computation needs besides the state and the event, prepared once from the policy."""

from bisect import bisect_right
from copy import copy
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final, Self
from zoneinfo import ZoneInfo

from models.events import Severity
from models.fields import MINOR_DIGITS, MINOR_MAX, epoch_ms, from_epoch_ms
from models.orders import AMOUNT_DECIMALS
from models.policy import Policy
from models.portfolio import CutPoints

DAY_MS: Final = 86_400_000
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_DECIMAL_PRECISION: Final = 40
RULE_MODEL_VERSION: Final = "rule-1-uncalibrated"
"""The churn model in use: the recency rule, whose numbers are judgement and not fitted."""


class MissingRateError(LookupError):
    """The policy has no rate for a currency on a day."""


class AmountRangeError(ValueError):
    """An amount is too large once it is converted."""


def date_of(day: int) -> date:
    """The date of a day counted since 1970-01-01.

    >>> date_of(1)
    datetime.date(1970, 1, 2)
    """
    return date.fromordinal(day + _EPOCH_ORDINAL)


def day_of_date(value: date) -> int:
    """The inverse of `date_of`."""
    return value.toordinal() - _EPOCH_ORDINAL


class Context:
    """The policy, and what is derived from it once. Immutable by convention; one for each policy.

    >>> from models.orders import nano_of
    >>> context = Context(Policy(reporting_currency="EUR", reporting_timezone="Europe/Berlin"))
    >>> context.day_of(epoch_ms(datetime(2026, 1, 31, 23, 30, tzinfo=UTC))) == day_of_date(date(2026, 2, 1))
    True
    >>> context.to_minor(nano_of(Decimal("12.345")), "EUR", day=0)
    1234
    """

    def __init__(self, policy: Policy, erasure_secret: bytes = b"", cuts: CutPoints | None = None) -> None:
        self.policy = policy
        self.erasure_secret = erasure_secret
        self.cuts = cuts
        """What an account is compared with; None before the first census."""
        self.model_version = RULE_MODEL_VERSION
        self.reporting_digits = MINOR_DIGITS[policy.reporting_currency]
        self._nano_a_minor: int = 10 ** (AMOUNT_DECIMALS - self.reporting_digits)
        self._time_zone = None if policy.reporting_timezone == "UTC" else ZoneInfo(policy.reporting_timezone)
        self._rate_days = {
            currency: [day_of_date(rate.since) for rate in rates] for currency, rates in policy.rates.items()
        }
        self.service_cost_minor: dict[Severity, int] = {
            severity: self._round(cost) for severity, cost in policy.support.service_cost.items()
        }

    @property
    def portfolio_version(self) -> int | None:
        """Version of the cut points; None without any."""
        return None if self.cuts is None else self.cuts.version

    def with_cuts(self, cuts: CutPoints | None) -> Self:
        """Give the same with other cut points."""
        other = copy(self)
        other.cuts = cuts
        return other

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
        if currency == self.policy.reporting_currency:
            minor, rest = divmod(amount_nano, self._nano_a_minor)
            twice = 2 * rest
            return minor + (twice > self._nano_a_minor or (twice == self._nano_a_minor and minor % 2))
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
