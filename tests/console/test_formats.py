"""Figures: as people of a place write them, and a dash for what is not known."""

from datetime import UTC, datetime, timedelta

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
    ("gone", "text"),
    [
        (timedelta(seconds=3), "3 seconds ago"),
        (timedelta(minutes=12), "12 minutes ago"),
        (timedelta(hours=5), "5 hours ago"),
        (timedelta(days=1), "21 Nov 2026"),
        (timedelta(days=400), "18 Oct 2025"),
    ],
)
def test_how_long_ago_something_was(gone: timedelta, text: str) -> None:
    """In words, and after a day by its date."""
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    assert Formats(Locale("en", "GB")).ago(now - gone, now) == text


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
