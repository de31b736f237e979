"""Figures: as people of a place write them, and a dash for what is not known."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from babel import Locale

from stream.console.formats import NOTHING, Formats, locale_of
from stream.console.words import Language


@pytest.mark.parametrize(
    ("place", "method", "value", "text"),
    [
        ("en_GB", "integer", 1234567, "1,234,567"),
        ("en_IN", "integer", 1234567, "1,234,567"),
        ("zh_CN", "integer", 1234567, "1,234,567"),
        ("en_GB", "decimal", 74.456, "74.5"),
        ("en_GB", "decimal", -0.5, "-0.5"),
        ("en_GB", "percent", 0.256, "26%"),
        ("en_GB", "percent", 1.0, "100%"),
        ("en_GB", "signed", 4.05, "+4.0"),
        ("en_GB", "signed", -4.1, "−4.1"),
        ("en_GB", "signed", 0.0, "±0.0"),
        ("en_GB", "integer", None, NOTHING),
        ("en_GB", "decimal", None, NOTHING),
        ("en_GB", "percent", None, NOTHING),
        ("en_GB", "signed", None, NOTHING),
        ("en_GB", "day", None, NOTHING),
        ("en_GB", "moment", None, NOTHING),
    ],
)
def test_numbers(place: str, method: str, value: float | None, text: str) -> None:
    """Each kind of figure, for each place."""
    assert getattr(Formats(Locale.parse(place)), method)(value) == text


@pytest.mark.parametrize(
    ("place", "amount", "currency", "whole", "short"),
    [
        ("en_GB", "1234.50", "EUR", "€1,234", "€1,234"),
        ("en_GB", "1234567.89", "EUR", "€1,234,568", "€1.2M"),
        ("en_GB", "-3.00", "GBP", "-£3", "-£3"),
        ("en_GB", "500000", "JPY", "JP¥500,000", "JP¥500K"),
        ("zh_CN", "1234567.89", "CNY", "¥1,234,568", "¥123.5万"),
        ("en_GB", None, "EUR", NOTHING, NOTHING),
        ("en_GB", "1.00", None, NOTHING, NOTHING),
    ],
)
def test_money(place: str, amount: str | None, currency: str | None, whole: str, short: str) -> None:
    """In its currency, whole or short, of any size and either sign."""
    formats = Formats(Locale.parse(place))

    assert formats.money(amount, currency, whole=True) == whole
    assert formats.short_money(amount, currency) == short


def test_cents_are_those_of_the_currency() -> None:
    """Two, none or three."""
    formats = Formats(Locale("en", "GB"))

    assert [formats.money("12.5", one) for one in ("EUR", "JPY", "KWD")] == ["€12.50", "JP¥12", "KWD12.500"]


@pytest.mark.parametrize(
    ("zone", "moment", "day", "text"),
    [
        ("UTC", "2026-11-22T23:30:00", date(2026, 11, 22), "22 Nov 2026, 23:30:00 UTC"),
        ("Europe/Berlin", "2026-11-22T22:59:59", date(2026, 11, 22), "22 Nov 2026, 23:59:59 CET"),
        ("Europe/Berlin", "2026-11-22T23:00:00", date(2026, 11, 23), "23 Nov 2026, 00:00:00 CET"),
        ("America/New_York", "2026-07-01T03:59:00", date(2026, 6, 30), "30 Jun 2026, 23:59:00 EDT"),
    ],
)
def test_a_day_is_one_of_the_policys_time_zone(zone: str, moment: str, day: date, text: str) -> None:
    """And a time says in which zone it is."""
    formats, value = Formats(Locale("en", "GB"), ZoneInfo(zone)), datetime.fromisoformat(moment).replace(tzinfo=UTC)

    assert (formats.date_of(value), formats.moment(value)) == (day, text)


@pytest.mark.parametrize(
    ("chosen", "accepted", "language", "place"),
    [
        (None, "", Language.ENGLISH, "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", Language.CHINESE, "zh_Hans_CN"),
        (None, "fr-FR,en-US;q=0.5", Language.ENGLISH, "en_US"),
        ("en", "zh-CN,en-AU;q=0.1", Language.ENGLISH, "en_AU"),
        ("zh", "en-GB", Language.CHINESE, "zh"),
        ("<script>", "zh", Language.CHINESE, "zh"),
        (None, "en-" + "x" * 5000, Language.ENGLISH, "en"),
        (None, "../../etc/passwd,en_GB\x00", Language.ENGLISH, "en"),
    ],
)
def test_the_language_is_the_browsers_unless_one_was_chosen(
    chosen: str | None, accepted: str, language: Language, place: str
) -> None:
    """Of those that the console speaks; whatever else is sent is no reason to fail."""
    found, locale = locale_of(chosen, accepted)

    assert (found, str(locale)) == (language, place)
