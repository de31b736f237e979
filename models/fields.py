"""Field types shared by the wire contract: ids, times, money."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final

from iso4217 import Currency as Iso4217
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, Strict
from pydantic_core import PydanticCustomError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DATE_LENGTH: Final = len("2026-01-31")

MINOR_DIGITS: Final[dict[str, int]] = {
    currency.code: currency.exponent for currency in Iso4217 if currency.exponent is not None
}
"""ISO 4217 code to the number of digits of its minor unit (EUR 2, JPY 0, KWD 3)."""

AMOUNT_MAX: Final = Decimal(10) ** 11
"""Largest amount of one event, in major units of its own currency."""

MINOR_MAX: Final = 10**15
"""Largest amount of one event once it is converted, in minor units: `AMOUNT_MAX` where a unit has four digits."""

SUM_MINOR_MAX: Final = 10**18
"""Largest sum that an account may reach, of either sign, in minor units; a packed integer has 64 bits."""


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00Z, rounded down.

    >>> epoch_ms(datetime(1970, 1, 2, tzinfo=UTC))
    86400000
    """
    return (moment - EPOCH) // _MILLISECOND


def from_epoch_ms(milliseconds: int) -> datetime:
    """Turn milliseconds since the epoch into the moment, in UTC."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def _is_timestamp_text(value: Any) -> Any:
    # Pydantic also reads 1600000000 as a time; a count of seconds or of milliseconds is a guess.
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or value[_DATE_LENGTH : _DATE_LENGTH + 1] not in ("T", "t", " "):
        raise PydanticCustomError("timestamp_format", "Input should be an RFC 3339 time")
    return value


def _is_after_epoch(value: datetime) -> datetime:
    if value < EPOCH:
        raise PydanticCustomError("timestamp_range", "Input should not be before 1970")
    return value


def _is_currency(value: str) -> str:
    if value not in MINOR_DIGITS:
        raise PydanticCustomError("unknown_currency", "Input should be an ISO 4217 currency code")
    return value


Timestamp = Annotated[AwareDatetime, AfterValidator(_is_after_epoch), BeforeValidator(_is_timestamp_text)]
"""An RFC 3339 time with an offset, not before 1970."""

# No control characters: ids travel in record keys, headers, logs and terminals.
Identifier = Annotated[str, Strict(), Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""An id of 1 to 200 characters without control characters."""

Text = Annotated[str, Strict(), Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A name of 1 to 200 characters without control characters."""

Link = Annotated[str, Strict(), Field(max_length=2000, pattern=r"^https?://[^\s\x00-\x1f\x7f]+$")]
"""An http or https address."""

CurrencyCode = Annotated[str, Strict(), AfterValidator(_is_currency)]
"""An ISO 4217 code in capitals."""

Amount = Annotated[Decimal, Field(ge=0, le=AMOUNT_MAX, decimal_places=9)]
"""A decimal string or number of major units, 0 to 10^11, at most 9 decimals."""

PositiveAmount = Annotated[Decimal, Field(gt=0, le=AMOUNT_MAX, decimal_places=9)]
"""An `Amount` above 0."""

Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
"""A rating from 0 to 100."""
