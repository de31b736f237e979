"""Numbers, money and times as people of a place write them."""

from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import (
    format_compact_currency,
    format_compact_decimal,
    format_currency,
    format_decimal,
    format_percent,
)

from stream.console.words import Language

NOTHING: Final = "–"
"""In the place of a figure that is not known."""
_TAGS_MAX: Final = 20
_COMPACT_FROM: Final = 100_000


class Formats:
    """Writes figures for a place; None is written as a dash.

    Args:
        locale: of the place.
        time_zone: in which days begin and end: that of the policy, wherever somebody looks from.

    >>> british = Formats(Locale("en", "GB"))
    >>> british.integer(12345), british.percent(0.256), british.money("1234.50", "EUR"), british.decimal(None)
    ('12,345', '26%', '€1,234.50', '–')
    >>> british.day(date(2026, 3, 1)), british.signed(-4.1)
    ('1 Mar 2026', '−4.1')
    """

    def __init__(self, locale: Locale, time_zone: tzinfo = UTC) -> None:
        self.locale: Final = locale
        self._time_zone = time_zone

    def integer(self, value: int | None) -> str:
        """Write a count."""
        return NOTHING if value is None else format_decimal(value, format="#,##0", locale=self.locale)

    def decimal(self, value: float | None, digits: int = 1) -> str:
        """Write a number, a score for example, with so many decimals."""
        if value is None:
            return NOTHING
        return format_decimal(value, format="#,##0." + "0" * digits if digits else "#,##0", locale=self.locale)

    def signed(self, value: float | None, digits: int = 1) -> str:
        """Write a difference: with its sign, whichever it is."""
        if value is None:
            return NOTHING
        sign = "+" if value > 0 else "−" if value < 0 else "±"
        return sign + self.decimal(abs(value), digits)

    def percent(self, share: float | None, digits: int = 0) -> str:
        """Write a share from 0 to 1."""
        if share is None:
            return NOTHING
        return format_percent(share, format="#,##0." + "0" * digits + "%" if digits else "#,##0%", locale=self.locale)

    def money(self, amount: str | None, currency: str | None, *, whole: bool = False) -> str:
        """Write an amount; whole units only where cents would only be in the way."""
        if amount is None or currency is None:
            return NOTHING
        value = Decimal(amount)
        if whole:
            return format_currency(value, currency, "¤#,##0", locale=self.locale, currency_digits=False)
        return format_currency(value, currency, locale=self.locale)

    def short_money(self, amount: str | None, currency: str | None) -> str:
        """Write an amount for a headline: `€1.2M`."""
        if amount is None or currency is None:
            return NOTHING
        value = Decimal(amount)
        if abs(value) < _COMPACT_FROM:
            return self.money(amount, currency, whole=True)
        return format_compact_currency(value, currency, locale=self.locale, fraction_digits=1)

    def short(self, value: float) -> str:
        """Write a number for an axis: `1.2M`."""
        return format_compact_decimal(value, locale=self.locale, fraction_digits=1)

    def day(self, value: date | None) -> str:
        """Write a day."""
        return NOTHING if value is None else format_date(value, "medium", locale=self.locale)

    def short_day(self, value: date) -> str:
        """Write a day for an axis: without its year."""
        return format_date(value, "d MMM" if self.locale.language == "en" else "MMMd日", locale=self.locale)

    def moment(self, value: datetime | None) -> str:
        """Write a time, with its zone."""
        if value is None:
            return NOTHING
        local = value.astimezone(self._time_zone)
        return f"{format_datetime(local, 'medium', tzinfo=self._time_zone, locale=self.locale)} {local.tzname()}"

    def time(self, value: datetime) -> str:
        """Write a time of day."""
        return format_time(value.astimezone(self._time_zone), "short", tzinfo=self._time_zone, locale=self.locale)

    def date_of(self, value: datetime) -> date:
        """Give the day that a time is on."""
        return value.astimezone(self._time_zone).date()

    def today(self) -> date:
        """Give the day that it is."""
        return self.date_of(datetime.now(UTC))


def locale_of(language: str | None, accepted: str) -> tuple[Language, Locale]:
    """Give language and place: what was chosen, else the first that a browser's `Accept-Language` names and we speak.

    >>> locale_of(None, "de-AT,de;q=0.9,en-GB;q=0.8")
    (<Language.ENGLISH: 'en'>, Locale('en', territory='GB'))
    >>> locale_of("zh", "en")
    (<Language.CHINESE: 'zh'>, Locale('zh'))
    >>> locale_of("xx", ";;;")
    (<Language.ENGLISH: 'en'>, Locale('en'))
    """
    tags = [part.partition(";")[0].strip() for part in accepted.split(",")[:_TAGS_MAX]]
    chosen = language if language in set(Language) else None
    for tag in tags:
        spoken = tag.partition("-")[0].lower()
        if spoken not in set(Language) or (chosen is not None and spoken != chosen):
            continue
        try:
            return Language(spoken), Locale.parse(tag, sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    found = Language(chosen or Language.ENGLISH)
    return found, Locale(found.value)
